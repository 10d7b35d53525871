//! Spatial encoders: trainable grids, resampled and refined at the vertices of one target grid.
//!
//! `MultiDenseFeatGrid` and `DenseFeatGrid` have one such *part*, a tri-plane has three, each
//! seeing two of the coordinates, that are summed. A hash grid is one part that is never refined.

use anyhow::Result;
use tch::{Kind, Tensor};

use super::hash::HashGrid;
use super::layers::{Refiner, encoding_coefficients, positional_encoding};
use super::parameters::{Init, Parameters};
use super::vertices::Touched;
use super::window::Held;
use crate::config::{EncoderConfig, HashConfig, HashLevel, RefinerConfig};

/// Grids start uniform within this of zero (as in the reference).
const INIT: Init = Init::Uniform(-0.001, 0.001);

/// Coordinate pairs of the three planes.
const PLANE_AXES: [[usize; 2]; 3] = [[1, 2], [0, 2], [0, 1]];

/// A spatial encoder with its refiner, if it has one and uses it.
pub struct Encoder {
    parts: Vec<Part>,
}

/// Grids that are refined together into one.
pub struct Part {
    /// Coordinates that it sees; the first moves along the last dimension.
    pub axes: Vec<usize>,
    /// Vertices of the refined grid that are held (all, but where several processes have cut the
    /// domain up), slowest first.
    pub shape: Vec<usize>,
    /// Which ones those are.
    held: Held,
    grids: Grids,
    /// Where `grids` are sampled for refinement, `[vertices, dims]`; `None`: at their own
    /// vertices.
    coords: Option<Tensor>,
    coeff: Option<Tensor>,
    refiner: Option<Refiner>,
}

/// The trainable numbers of a part.
enum Grids {
    /// `[1, features, ...shape]` each, and which vertices of it are held.
    Dense(Vec<(Tensor, Held)>),
    /// Vertices share rows of tables.
    Hashed(HashGrid),
}

/// One grid of a part that is not refined.
pub struct Table {
    /// Vertices of each dimension, slowest first.
    pub shape: Vec<usize>,
    /// Whether its vertices share rows by their hashes.
    pub hashed: bool,
    /// `[rows, features]`
    pub rows: Tensor,
}

impl Encoder {
    /// Builds the encoder under `name` and its refiner under `refiner_name`. The refiner's weights
    /// exist whenever it is configured; it is used if `refine`.
    pub fn new(
        parameters: &mut Parameters,
        name: &str,
        config: &EncoderConfig,
        refiner_name: &str,
        refiner: Option<&RefinerConfig>,
        refine: bool,
    ) -> Result<Self> {
        let mut parts = match config {
            EncoderConfig::MultiDense { grid_shapes, num_feat, refine_res, pe, .. } => {
                vec![multi_dense(parameters, name, grid_shapes, *num_feat, refine_res, *pe)?]
            }
            EncoderConfig::Dense { grid_shape, num_feat, refine_res, pe, .. } => {
                vec![dense(parameters, name, grid_shape, *num_feat, refine_res, *pe)?]
            }
            EncoderConfig::TriPlane { plane_res, num_feat, pe, .. } => {
                tri_plane(parameters, name, *plane_res, *num_feat, *pe)?
            }
            EncoderConfig::Hash(config) => vec![hashed(parameters, name, config)?],
        };
        for (i, part) in parts.iter_mut().enumerate() {
            let refiner = match refiner {
                Some(RefinerConfig::One(glu)) => {
                    Refiner::new(parameters, refiner_name, glu, config.residual())?
                }
                Some(RefinerConfig::PerPlane(glu)) => {
                    let name = format!("{refiner_name}.net.{i}");
                    Refiner::new(parameters, &name, glu, config.residual())?
                }
                None => continue,
            };
            if refine {
                // Refined at many vertices: in the precision of the refiner. Tables are smaller
                // than what they are refined to, so this fits where the result does.
                let kind = parameters.kind();
                if let Grids::Dense(grids) = &mut part.grids {
                    grids.iter_mut().for_each(|(grid, _)| *grid = grid.to_kind(kind));
                }
                part.refiner = Some(refiner);
            }
        }
        Ok(Self { parts })
    }

    /// Features at `points`, `[points, dims]` in [-1, 1]: `[points, channels]`. Refines the
    /// vertices that the points touch, in `kind`.
    pub fn forward(&self, points: &Tensor, kind: Kind) -> Tensor {
        let parts = self.parts.iter().map(|part| part.forward(points, kind));
        parts.reduce(|a, b| a + b).unwrap_or_else(|| points.zeros_like())
    }

    /// Kind of the trainable numbers.
    pub fn kind(&self) -> Kind {
        self.parts[0].kind()
    }

    /// The parts, whose sum is the encoding.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }
}

impl Part {
    /// Not refined, along all axes.
    fn new(held: Held, grids: Grids, coords: Option<Tensor>, coeff: Option<Tensor>) -> Self {
        let shape = held.shape();
        let axes = (0..shape.len()).collect();
        Self { axes, shape, held, grids, coords, coeff, refiner: None }
    }

    /// Whether its grids are refined into one.
    pub fn is_refined(&self) -> bool {
        self.refiner.is_some()
    }

    /// The trainable grids as they are.
    pub fn tables(&self) -> Vec<Table> {
        match &self.grids {
            Grids::Dense(grids) => grids.iter().map(|(grid, _)| Table::dense(grid)).collect(),
            Grids::Hashed(grid) => grid.levels().iter().map(|level| self.level(level)).collect(),
        }
    }

    fn level(&self, (level, rows): &(HashLevel, Tensor)) -> Table {
        let shape = vec![level.vertices; self.axes.len()];
        Table { shape, hashed: level.hashed, rows: rows.shallow_clone() }
    }

    /// Kind of the trainable numbers.
    fn kind(&self) -> Kind {
        match &self.grids {
            Grids::Dense(grids) => grids[0].0.kind(),
            Grids::Hashed(grid) => grid.levels()[0].1.kind(),
        }
    }

    /// Refined features of some vertices (row-major indices), `[vertices, channels]`; of an
    /// unrefined part, the plain concatenation.
    pub fn vertex_features(&self, vertices: &Tensor) -> Tensor {
        self.refined(vertices, self.kind())
    }

    /// The vertices that `points`, `[points, dims]`, touch in the refined grid.
    pub fn touch(&self, points: &Tensor, kind: Kind) -> Touched {
        Touched::new(&self.held.local(&self.own_coordinates(points)), &self.shape, kind)
    }

    /// As [`vertex_features`](Self::vertex_features), refined in `kind`.
    pub fn refined(&self, vertices: &Tensor, kind: Kind) -> Tensor {
        let features = match &self.coords {
            Some(coords) => self.sample(&coords.index_select(0, vertices)),
            None => self.tables()[0].rows.index_select(0, vertices),
        };
        let Some(refiner) = &self.refiner else { return features };
        let features = match &self.coeff {
            Some(coeff) => positional_encoding(&features, coeff),
            None => features.contiguous(),
        };
        refiner.refine(&features.to_kind(kind))
    }

    /// Features at `points`, `[points, dims]`: `[points, channels]`.
    pub fn forward(&self, points: &Tensor, kind: Kind) -> Tensor {
        if self.is_refined() {
            let touched = self.touch(points, kind);
            return touched.interpolate(&self.refined(&touched.vertices, kind));
        }
        let points = self.own_coordinates(points);
        self.sample(&points).to_kind(kind)
    }

    /// Bytes that refining a vertex keeps for the way back, roughly.
    pub fn bytes_per_vertex(&self) -> usize {
        self.refiner.as_ref().map_or(0, Refiner::bytes_per_row)
    }

    /// The coordinates that it sees, of `points`, `[points, dims]`.
    pub fn own_coordinates(&self, points: &Tensor) -> Tensor {
        let axes: Vec<i64> = self.axes.iter().map(|&axis| axis as i64).collect();
        points.index_select(1, &Tensor::from_slice(&axes).to_device(points.device()))
    }

    /// Concatenation of all grids sampled at `points`, `[points, grids * features]`.
    fn sample(&self, points: &Tensor) -> Tensor {
        let grids = match &self.grids {
            Grids::Dense(grids) => grids,
            Grids::Hashed(grid) => return grid.sample(points),
        };
        let mut shape = vec![1i64; points.size()[1] as usize];
        shape.extend(points.size());
        let sampled: Vec<_> = (grids.iter())
            .map(|(grid, held)| {
                let points = held.local(points).to_kind(grid.kind()).view(&shape[..]);
                const BILINEAR: i64 = 0;
                const ZEROS: i64 = 0;
                let features = grid.grid_sampler(&points, BILINEAR, ZEROS, true);
                features.view([grid.size()[1], -1]).transpose(0, 1)
            })
            .collect();
        Tensor::cat(&sampled, 1)
    }
}

impl Table {
    /// Of a grid `[1, features, ...shape]`.
    fn dense(grid: &Tensor) -> Self {
        let shape = grid.size()[2..].iter().map(|&n| n as usize).collect();
        let rows = grid.flatten(2, -1).squeeze_dim(0).transpose(0, 1);
        Self { shape, hashed: false, rows }
    }
}

fn multi_dense(
    parameters: &mut Parameters,
    name: &str,
    shapes: &[Vec<usize>],
    features: usize,
    refine_res: &Option<Vec<usize>>,
    g: Option<usize>,
) -> Result<Part> {
    let shape = refine_res.clone().or_else(|| shapes.last().cloned()).unwrap_or_default();
    let held = parameters.held(&shape);
    let grids = (shapes.iter().enumerate())
        .map(|(i, shape)| {
            let name = format!("{name}.feature_grids.{i}.feature_grid");
            grid(parameters, name, features, below(&held, shape))
        })
        .collect::<Result<_>>()?;
    let coords = coordinates(parameters, format!("{name}.high_res_coords"), &held)?;
    let coeff = coefficients(parameters, format!("{name}.prerefine_pe.coeff"), g)?;
    Ok(Part::new(held, Grids::Dense(grids), Some(coords), coeff))
}

fn dense(
    parameters: &mut Parameters,
    name: &str,
    shape: &[usize],
    features: usize,
    refine_res: &Option<Vec<usize>>,
    g: Option<usize>,
) -> Result<Part> {
    let held = parameters.held(refine_res.as_deref().unwrap_or(shape));
    let name_of_grid = format!("{name}.feature_grid");
    let grids = vec![grid(parameters, name_of_grid, features, below(&held, shape))?];
    let coords = match refine_res {
        Some(_) => Some(coordinates(parameters, format!("{name}.x_highest_res"), &held)?),
        None => None,
    };
    let coeff = coefficients(parameters, format!("{name}.prerefine_pe.coeff"), g)?;
    Ok(Part::new(held, Grids::Dense(grids), coords, coeff))
}

fn hashed(parameters: &mut Parameters, name: &str, config: &HashConfig) -> Result<Part> {
    let grids = Grids::Hashed(HashGrid::new(parameters, name, config)?);
    let part = Part::new(Held::all(&[]), grids, None, None);
    Ok(Part { axes: (0..config.dims).collect(), ..part })
}

fn tri_plane(
    parameters: &mut Parameters,
    name: &str,
    res: [usize; 2],
    features: usize,
    g: Option<usize>,
) -> Result<Vec<Part>> {
    let shape = [3, features as i64, res[0] as i64, res[1] as i64];
    let planes = parameters.trainable_table(format!("{name}.planes"), &shape, INIT)?;
    // The planes are refined at their own vertices.
    let all = Held::all(&res);
    parameters.unused_buffer(format!("{name}.high_res_x"), vertex_coordinates(&all))?;
    let coeff = coefficients(parameters, format!("{name}.prerefine_PE_grid.coeff"), g)?;
    let part = |(i, axes): (usize, &[usize; 2])| {
        let grids = Grids::Dense(vec![(planes.narrow(0, i as i64, 1), all.clone())]);
        let coeff = coeff.as_ref().map(Tensor::shallow_clone);
        Part { axes: axes.to_vec(), ..Part::new(all.clone(), grids, None, coeff) }
    };
    Ok(PLANE_AXES.iter().enumerate().map(part).collect())
}

fn grid(
    parameters: &mut Parameters,
    name: String,
    features: usize,
    held: Held,
) -> Result<(Tensor, Held)> {
    let window = held.window(&[1, features as i64]);
    Ok((parameters.trainable_window(name, window, INIT)?, held))
}

/// What is held of a grid that is sampled at the vertices that are `held` of the refined one.
fn below(held: &Held, shape: &[usize]) -> Held {
    match held.is_all() {
        true => Held::all(shape),
        false => Held::within(shape, &held.bounds()),
    }
}

fn coordinates(parameters: &mut Parameters, name: String, held: &Held) -> Result<Tensor> {
    parameters.buffer_window(name, held.rows(held.shape().len() as i64), vertex_coordinates(held))
}

fn coefficients(
    parameters: &mut Parameters,
    name: String,
    g: Option<usize>,
) -> Result<Option<Tensor>> {
    g.map(|g| parameters.buffer(name, encoding_coefficients(g))).transpose()
}

/// Coordinates of the vertices that are held of a grid in row-major order, `[vertices, dims]`, x
/// first, in 32 bits as the reference stores them.
fn vertex_coordinates(held: &Held) -> Tensor {
    let along = |axis: usize| {
        let (start, count, of) = held.along(axis);
        let all = Tensor::linspace(-1.0, 1.0, of, (Kind::Float, tch::Device::Cpu));
        all.narrow(0, start, count)
    };
    let axes: Vec<_> = (0..held.shape().len()).map(along).collect();
    let mut columns: Vec<_> =
        Tensor::meshgrid_indexing(&axes, "ij").iter().map(|axis| axis.flatten(0, -1)).collect();
    columns.reverse();
    Tensor::stack(&columns, 1)
}
