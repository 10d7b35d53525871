//! Launches for radiance fields: densities and colours at points, pictures.

use super::arguments::{Field, Model as RawModel, Query, Radiance, Render};
use super::image::widest_of_colours;
use super::resident::{Resident, THREADS, TILES, tile_bytes, tile_of};
use super::{Limits, Shape, Stream};
use crate::model::spec::Spec;
use crate::{Error, Result};

/// What launches need beside the model.
#[derive(Debug, Clone, Copy)]
pub struct Pictures {
    field: Field,
    /// Of the model's vectors and the field's.
    widest: u32,
    /// Points of a tile.
    tile: u32,
    shared: usize,
}

// Each point of a tile has a thread of its own.
const _: () = assert!(TILES[0] <= THREADS);

impl Pictures {
    /// # Errors
    /// `InvalidArgument` if the model is no radiance field, `Unsupported` if a block has no room for
    /// the vectors that make its colours.
    pub fn new(spec: &Spec, field: Field, limits: Limits) -> Result<Self> {
        let widest = widest_of_colours(spec)
            .ok_or_else(|| Error::argument("the model is no radiance field"))?;
        // Beside the tile, how many rays were begun.
        let bytes = |tile| tile_bytes(tile, 2 * widest) + size_of::<u64>();
        let (tile, shared) =
            tile_of(limits, bytes).map_err(|error| error.context("densities and colours"))?;
        Ok(Self { field, widest: widest as u32, tile, shared })
    }
}

impl Resident {
    /// Whether it is a radiance field whose densities and colours can be asked for.
    pub fn has_colours(&self) -> bool {
        self.pictures.is_ok()
    }

    /// Queues densities and colours; the model, its tile and its field are filled in here.
    ///
    /// # Safety
    /// As for [`Resident::query`].
    ///
    /// # Errors
    /// `InvalidArgument` if the model is no radiance field, `Unsupported` if a block has no room for what
    /// makes its colours; what the driver says.
    pub unsafe fn radiance(&self, radiance: &Radiance, stream: Stream) -> Result<()> {
        let pictures = self.pictures.clone()?;
        let Some(shape) = self.shape(&pictures, radiance.query.count) else { return Ok(()) };
        let query = self.asked(&pictures, &radiance.query);
        let radiance = Radiance { query, field: pictures.field, ..*radiance };
        // SAFETY: the caller's promise; the model lives as long as `self`.
        unsafe { self.machine.radiance(&radiance, shape, stream) }
    }

    /// Queues a picture; the model, its tile and its field are filled in here.
    ///
    /// # Safety
    /// As for [`Resident::query`].
    ///
    /// # Errors
    /// `InvalidArgument` if the model is no radiance field, `Unsupported` if a block has no room for what
    /// makes its colours; what the driver says.
    pub unsafe fn render(&self, render: &Render, stream: Stream) -> Result<()> {
        let pictures = self.pictures.clone()?;
        let Some(shape) = self.shape(&pictures, render.query.count) else { return Ok(()) };
        let query = self.asked(&pictures, &render.query);
        let render = Render { query, field: pictures.field, ..*render };
        // SAFETY: the caller's promise; the model lives as long as `self`.
        unsafe { self.machine.render(&render, shape, stream) }
    }

    fn asked(&self, pictures: &Pictures, query: &Query) -> Query {
        let model = RawModel { widest: pictures.widest, ..self.model };
        Query { model, tile: pictures.tile, ..*query }
    }

    /// Of a launch for so many points or rays; none if there are none.
    fn shape(&self, pictures: &Pictures, count: u64) -> Option<Shape> {
        let blocks = self.blocks(count, pictures.tile.into());
        (count > 0).then_some(Shape { blocks, threads: THREADS, shared: pictures.shared })
    }
}
