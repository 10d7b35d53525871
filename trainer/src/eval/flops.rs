//! Multiply-adds and parameters of a model, part by part, from its description alone.
//!
//! A multiply-add counts as one. Counted are the products of layers and the weighted sums of
//! interpolation; activations, normalisation, encodings, biases and the weights of interpolation
//! are not. Nothing is run.

use anyhow::{Result, anyhow};
use drr::model::spec::Spec;
use serde::Serialize;

use super::{flops_baselines, flops_single};
use crate::config::{
    EncoderConfig, FeatMlpConfig, GluConfig, HdinrConfig, LatentConfig, ModelConfig, RefinerConfig,
};

/// What interpolation is taken to cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counting {
    /// One multiply-add for each feature of each corner: 2 on a line, 4 in a plane, 8 in a volume.
    Corners,
    /// As in the tables of the paper, whose figures this reproduces: the rules of the profiler
    /// fvcore, for which a sampled grid costs 4 a feature whatever its dimension ("assume
    /// bilinear"), and lines, read by indexing and element-wise products, nothing.
    Paper,
}

/// Multiply-adds of one query.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Query {
    /// Interpolation of the grids.
    pub encoder: u64,
    /// Interpolation of the lines.
    pub lines: u64,
    /// The layer that joins the features of both; in a baked file one of the decoder's, or none.
    pub fusion: u64,
    /// What follows.
    pub decoder: u64,
}

/// Multiply-adds of refining every vertex, which is done once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Refinement {
    /// Resampling and refining the grid or the planes.
    pub grid: u64,
    /// Resampling and refining the lines.
    pub lines: u64,
}

/// Multiply-adds of a model.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Flops {
    /// Of one query.
    pub query: Query,
    /// The part of `query` that depends on the parameters alone: libdrr does it once for all
    /// points that are asked with the same ones.
    pub per_set: u64,
    /// Once for a model.
    pub refinement: Refinement,
}

/// Numbers that a model stores: trained ones, or those of a baked file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Sizes {
    /// The grids.
    pub encoder: u64,
    /// The lines.
    pub lines: u64,
    /// The refiner of the grids.
    pub grid_refiner: u64,
    /// The refiner of the lines.
    pub line_refiner: u64,
    /// The layer that joins the features of both.
    pub fusion: u64,
    /// What follows.
    pub decoder: u64,
}

impl Counting {
    /// Multiply-adds for a feature of a grid of `dims` dimensions.
    pub(super) fn grid(self, dims: usize) -> usize {
        match self {
            Self::Corners => 1 << dims,
            Self::Paper => 4,
        }
    }

    /// Multiply-adds for a feature of a line.
    pub(super) fn line(self) -> usize {
        match self {
            Self::Corners => 2,
            Self::Paper => 0,
        }
    }
}

impl Query {
    /// All parts.
    ///
    /// # Errors
    /// The sum exceeds 64 bits.
    pub fn total(&self) -> Result<u64> {
        sum([self.encoder, self.lines, self.fusion, self.decoder])
    }
}

impl Refinement {
    /// Both parts.
    ///
    /// # Errors
    /// The sum exceeds 64 bits.
    pub fn total(&self) -> Result<u64> {
        sum([self.grid, self.lines])
    }
}

impl Sizes {
    /// All parts.
    ///
    /// # Errors
    /// The sum exceeds 64 bits.
    pub fn total(&self) -> Result<u64> {
        let refiners = [self.grid_refiner, self.line_refiner];
        sum([self.encoder, self.lines, self.fusion, self.decoder].into_iter().chain(refiners))
    }

    /// Trainable numbers of the model of a configuration. A refiner that is configured and not
    /// used is trained by nothing, but stored.
    ///
    /// # Errors
    /// The model is too large to be counted in 64 bits.
    pub fn of_model(model: &ModelConfig) -> Result<Self> {
        match model {
            ModelConfig::Baseline(config) => flops_baselines::sizes(config),
            ModelConfig::Hdinr(config) => Ok(Self {
                encoder: encoder_size(&config.encoder)?,
                lines: lines_size(&config.latent)?,
                grid_refiner: grid_refiner_size(config.spatial_refiner.as_ref())?,
                line_refiner: config.cond_refiner.as_ref().map_or(Ok(0), glu_size)?,
                fusion: dense(fusion_inputs(config)?, config.hidden_dim)?,
                decoder: sum_of(decoder_layers(config).map(|(i, o)| dense(i, o)))?,
            }),
            ModelConfig::Inr(config) => flops_single::inr_sizes(config),
            ModelConfig::Radiance(config) => flops_single::radiance_sizes(config),
        }
    }

    /// Numbers in a baked file.
    ///
    /// # Errors
    /// As [`Sizes::of_model`].
    pub fn of_baked(spec: &Spec) -> Result<Self> {
        let grids =
            spec.grids.iter().map(|g| times(g.channels as u64, product(&g.tensor_shape())?));
        let lines = spec.lines.iter().map(|l| product(&[l.vertices, l.features]));
        let layers = spec.layers.iter().map(|l| dense(l.inputs, l.outputs));
        let start = Ok(if spec.input.bias { spec.input.width as u64 } else { 0 });
        Ok(Self {
            encoder: sum_of(grids)?,
            lines: sum_of(lines)?,
            decoder: sum_of(layers.chain([start]))?,
            ..Self::default()
        })
    }
}

impl Flops {
    /// Multiply-adds of the model of a configuration; of a radiance field those of a sample, density
    /// and colour.
    ///
    /// # Errors
    /// The model is too large to be counted in 64 bits.
    pub fn of_model(model: &ModelConfig, counting: Counting) -> Result<Self> {
        match model {
            ModelConfig::Hdinr(config) => Self::of_hdinr(config, counting),
            ModelConfig::Baseline(config) => flops_baselines::flops(config, counting),
            ModelConfig::Inr(config) => flops_single::inr_flops(config, counting),
            ModelConfig::Radiance(config) => flops_single::radiance_flops(config, counting),
        }
    }

    fn of_hdinr(config: &HdinrConfig, counting: Counting) -> Result<Self> {
        let latent = config.latent.width();
        let grid_refiner = config.spatial_refiner.as_ref().filter(|_| config.refines_grid());
        let grid_refiner = grid_refiner.map(RefinerConfig::glu);
        let line_refiner = config.cond_refiner.as_ref().filter(|_| config.refines_lines());
        let lines = product(&[counting.line(), latent])?;
        let layers = decoder_layers(config).map(|(inputs, outputs)| product(&[inputs, outputs]));
        Ok(Self {
            query: Query {
                encoder: encoder_query(&config.encoder, config.refines_grid(), counting)?,
                lines,
                fusion: product(&[fusion_inputs(config)?, config.hidden_dim])?,
                decoder: sum_of(layers)?,
            },
            per_set: sum([lines, product(&[latent, config.hidden_dim])?])?,
            refinement: Refinement {
                grid: grid_refinement(&config.encoder, grid_refiner, counting)?,
                lines: line_refinement(&config.latent, line_refiner, counting)?,
            },
        })
    }

    /// Multiply-adds of a baked file, which holds what was refined.
    ///
    /// # Errors
    /// As [`Flops::of_model`].
    pub fn of_baked(spec: &Spec, counting: Counting) -> Result<Self> {
        let grids = spec.grids.iter().map(|g| product(&[counting.grid(g.axes.len()), g.channels]));
        let lines = sum_of(spec.lines.iter().map(|l| product(&[counting.line(), l.features])))?;
        let layers = spec.layers.iter().map(|l| product(&[l.inputs, l.outputs]));
        let after_grids = spec.input.width - spec.spatial_width();
        let first = spec.layers.first().map_or(0, |layer| layer.outputs);
        Ok(Self {
            query: Query { encoder: sum_of(grids)?, lines, fusion: 0, decoder: sum_of(layers)? },
            per_set: sum([lines, product(&[after_grids, first])?])?,
            refinement: Refinement::default(),
        })
    }

    /// Multiply-adds of `queries` queries, each with parameters of its own, without refinement.
    ///
    /// # Errors
    /// The number exceeds 64 bits.
    pub fn of_queries(&self, queries: u64) -> Result<u64> {
        times(queries, self.query.total()?)
    }

    /// The same, the refinement included.
    ///
    /// # Errors
    /// The number exceeds 64 bits.
    pub fn with_refinement(&self, queries: u64) -> Result<u64> {
        sum([self.of_queries(queries)?, self.refinement.total()?])
    }
}

/// Interpolation at one point: in the refined grid (or planes), or in all grids as they are.
pub(super) fn encoder_query(
    config: &EncoderConfig,
    refined: bool,
    counting: Counting,
) -> Result<u64> {
    let channels = config.channels(refined).ok_or_else(too_large)?;
    product(&[planes(config), counting.grid(axes(config)), channels])
}

fn planes(config: &EncoderConfig) -> usize {
    match config {
        EncoderConfig::TriPlane { .. } => 3,
        EncoderConfig::MultiDense { .. } | EncoderConfig::Dense { .. } | EncoderConfig::Hash(_) => {
            1
        }
    }
}

/// Axes of a grid or plane.
fn axes(config: &EncoderConfig) -> usize {
    match config {
        EncoderConfig::TriPlane { .. } => 2,
        _ => config.dims(),
    }
}

pub(super) fn grid_refinement(
    config: &EncoderConfig,
    refiner: Option<&GluConfig>,
    counting: Counting,
) -> Result<u64> {
    let Some(refiner) = refiner else { return Ok(0) };
    let resampled = match config {
        EncoderConfig::MultiDense { .. } => true,
        EncoderConfig::Dense { refine_res, .. } => refine_res.is_some(),
        EncoderConfig::TriPlane { .. } | EncoderConfig::Hash(_) => false,
    };
    let resampling = match resampled {
        true => encoder_query(config, false, counting)?,
        false => 0,
    };
    let vertices = times(planes(config) as u64, product(config.refined_res())?)?;
    times(vertices, sum([resampling, glu(refiner)?])?)
}

/// Lines are brought to their parameter's finest resolution, then to the finest of all, where all
/// lines are refined together.
fn line_refinement(
    config: &LatentConfig,
    refiner: Option<&GluConfig>,
    counting: Counting,
) -> Result<u64> {
    let Some(refiner) = refiner else { return Ok(0) };
    let longest = |d: usize| config.line_dims.iter().map(|scale| scale[d]).max().unwrap_or(0);
    let finest: Vec<usize> = (0..config.cond_dim).map(longest).collect();
    let finest_of_all = finest.iter().copied().max().unwrap_or(0);
    let mut resampled = 0;
    for (d, &n) in finest.iter().enumerate() {
        let scales = config.line_dims.iter().filter(|scale| scale[d] != n).count();
        resampled = sum([resampled, product(&[n, scales, config.features])?])?;
        if n != finest_of_all {
            let all = product(&[finest_of_all, config.scales(), config.features])?;
            resampled = sum([resampled, all])?;
        }
    }
    let resampling = times(counting.line() as u64, resampled)?;
    sum([resampling, times(finest_of_all as u64, glu(refiner)?)?])
}

/// Multiply-adds of a refiner at one vertex: three products a block.
fn glu(config: &GluConfig) -> Result<u64> {
    let blocks = product(&[config.num_layers, 3, config.feat_dim, config.hidden_dim()])?;
    match config.out_dim == config.feat_dim {
        true => Ok(blocks),
        false => sum([blocks, product(&[config.feat_dim, config.out_dim])?]),
    }
}

pub(super) fn grid_refiner_size(config: Option<&RefinerConfig>) -> Result<u64> {
    match config {
        Some(RefinerConfig::One(glu)) => glu_size(glu),
        Some(RefinerConfig::PerPlane(glu)) => times(3, glu_size(glu)?),
        None => Ok(0),
    }
}

fn glu_size(config: &GluConfig) -> Result<u64> {
    let norm = if config.use_norm { product(&[config.num_layers, config.feat_dim])? } else { 0 };
    let bias = if config.out_dim == config.feat_dim { 0 } else { config.out_dim as u64 };
    sum([glu(config)?, norm, bias])
}

pub(super) fn encoder_size(config: &EncoderConfig) -> Result<u64> {
    let grid = |shape: &[usize], features: usize| times(features as u64, product(shape)?);
    match config {
        EncoderConfig::MultiDense { grid_shapes, num_feat, .. } => {
            sum_of(grid_shapes.iter().map(|shape| grid(shape, *num_feat)))
        }
        EncoderConfig::Dense { grid_shape, num_feat, .. } => grid(grid_shape, *num_feat),
        EncoderConfig::TriPlane { plane_res, num_feat, .. } => {
            times(3, grid(plane_res, *num_feat)?)
        }
        EncoderConfig::Hash(config) => flops_baselines::hash_size(config),
    }
}

fn lines_size(config: &LatentConfig) -> Result<u64> {
    let entries = sum(config.line_dims.iter().flatten().map(|&n| n as u64))?;
    times(config.features as u64, entries)
}

fn fusion_inputs(config: &HdinrConfig) -> Result<usize> {
    config.spatial_fdim.checked_add(config.latent.width()).ok_or_else(too_large)
}

/// Inputs and outputs of the layers behind the fusion.
fn decoder_layers(config: &HdinrConfig) -> impl Iterator<Item = (usize, usize)> {
    let FeatMlpConfig { feat_dim, num_layers, out_dim, .. } = config.decoder;
    let hidden = std::iter::repeat_n((feat_dim, feat_dim), num_layers - 1);
    let projection = config.use_out_proj.then_some((config.hidden_dim, config.out_dim));
    hidden.chain([(feat_dim, out_dim)]).chain(projection)
}

/// Numbers of a layer with a bias.
pub(super) fn dense(inputs: usize, outputs: usize) -> Result<u64> {
    sum([product(&[inputs, outputs])?, outputs as u64])
}

pub(super) fn product(factors: &[usize]) -> Result<u64> {
    factors.iter().try_fold(1, |product, &factor| times(product, factor as u64))
}

pub(super) fn times(a: u64, b: u64) -> Result<u64> {
    a.checked_mul(b).ok_or_else(too_large)
}

pub(super) fn sum(terms: impl IntoIterator<Item = u64>) -> Result<u64> {
    terms.into_iter().try_fold(0_u64, |sum, term| sum.checked_add(term)).ok_or_else(too_large)
}

pub(super) fn sum_of(terms: impl IntoIterator<Item = Result<u64>>) -> Result<u64> {
    terms.into_iter().try_fold(0, |total, term| sum([total, term?]))
}

fn too_large() -> anyhow::Error {
    anyhow!("the count exceeds 64 bits: are the sizes of the model, and --queries, as meant?")
}
