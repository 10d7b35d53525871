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
    /// Vertices of the refined grid, slowest first.
    pub shape: Vec<usize>,
    grids: Grids,
    /// Where `grids` are sampled for refinement, `[vertices, dims]`; `None`: at their own
    /// vertices.
    coords: Option<Tensor>,
    coeff: Option<Tensor>,
    refiner: Option<Refiner>,
}

/// The trainable numbers of a part.
enum Grids {
    /// `[1, features, ...shape]` each.
    Dense(Vec<Tensor>),
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
                    grids.iter_mut().for_each(|grid| *grid = grid.to_kind(kind));
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
    /// Whether its grids are refined into one.
    pub fn is_refined(&self) -> bool {
        self.refiner.is_some()
    }

    /// The trainable grids as they are.
    pub fn tables(&self) -> Vec<Table> {
        match &self.grids {
            Grids::Dense(grids) => grids.iter().map(Table::dense).collect(),
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
            Grids::Dense(grids) => grids[0].kind(),
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
        Touched::new(&self.own_coordinates(points), &self.shape, kind)
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
        let points = points.to_kind(grids[0].kind());
        let mut shape = vec![1i64; points.size()[1] as usize];
        shape.extend(points.size());
        let points = points.view(&shape[..]);
        let sampled: Vec<_> = (grids.iter())
            .map(|grid| {
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
    let grids = (shapes.iter().enumerate())
        .map(|(i, shape)| {
            grid(parameters, format!("{name}.feature_grids.{i}.feature_grid"), features, shape)
        })
        .collect::<Result<_>>()?;
    let shape = refine_res.clone().or_else(|| shapes.last().cloned()).unwrap_or_default();
    let coords =
        parameters.buffer(format!("{name}.high_res_coords"), vertex_coordinates(&shape))?;
    let coeff = coefficients(parameters, format!("{name}.prerefine_pe.coeff"), g)?;
    let axes = (0..shape.len()).collect();
    let (grids, coords) = (Grids::Dense(grids), Some(coords));
    Ok(Part { axes, shape, grids, coords, coeff, refiner: None })
}

fn dense(
    parameters: &mut Parameters,
    name: &str,
    shape: &[usize],
    features: usize,
    refine_res: &Option<Vec<usize>>,
    g: Option<usize>,
) -> Result<Part> {
    let grids = vec![grid(parameters, format!("{name}.feature_grid"), features, shape)?];
    let coords = match refine_res {
        Some(res) => {
            Some(parameters.buffer(format!("{name}.x_highest_res"), vertex_coordinates(res))?)
        }
        None => None,
    };
    let coeff = coefficients(parameters, format!("{name}.prerefine_pe.coeff"), g)?;
    let shape = refine_res.clone().unwrap_or_else(|| shape.to_vec());
    let axes = (0..shape.len()).collect();
    Ok(Part { axes, shape, grids: Grids::Dense(grids), coords, coeff, refiner: None })
}

fn hashed(parameters: &mut Parameters, name: &str, config: &HashConfig) -> Result<Part> {
    let grids = Grids::Hashed(HashGrid::new(parameters, name, config)?);
    let (axes, shape) = ((0..config.dims).collect(), Vec::new());
    Ok(Part { axes, shape, grids, coords: None, coeff: None, refiner: None })
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
    parameters.unused_buffer(format!("{name}.high_res_x"), vertex_coordinates(&res))?;
    let coeff = coefficients(parameters, format!("{name}.prerefine_PE_grid.coeff"), g)?;
    let part = |(i, axes): (usize, &[usize; 2])| Part {
        axes: axes.to_vec(),
        shape: res.to_vec(),
        grids: Grids::Dense(vec![planes.narrow(0, i as i64, 1)]),
        coords: None,
        coeff: coeff.as_ref().map(Tensor::shallow_clone),
        refiner: None,
    };
    Ok(PLANE_AXES.iter().enumerate().map(part).collect())
}

fn grid(
    parameters: &mut Parameters,
    name: String,
    features: usize,
    shape: &[usize],
) -> Result<Tensor> {
    let mut dims = vec![1, features as i64];
    dims.extend(shape.iter().map(|&n| n as i64));
    parameters.trainable_table(name, &dims, INIT)
}

fn coefficients(
    parameters: &mut Parameters,
    name: String,
    g: Option<usize>,
) -> Result<Option<Tensor>> {
    g.map(|g| parameters.buffer(name, encoding_coefficients(g))).transpose()
}

/// Coordinates of all vertices of a grid in row-major order, `[vertices, dims]`, x first, in 32
/// bits as the reference stores them.
fn vertex_coordinates(shape: &[usize]) -> Tensor {
    let axes: Vec<_> = (shape.iter())
        .map(|&n| Tensor::linspace(-1.0, 1.0, n as i64, (Kind::Float, tch::Device::Cpu)))
        .collect();
    let mut columns: Vec<_> =
        Tensor::meshgrid_indexing(&axes, "ij").iter().map(|axis| axis.flatten(0, -1)).collect();
    columns.reverse();
    Tensor::stack(&columns, 1)
}
