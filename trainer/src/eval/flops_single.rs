//! What models of single fields and radiance fields cost, counted as in [`flops`](super::flops): small
//! networks as `decoder`.

use anyhow::Result;

use super::flops::{
    Counting, Flops, Query, Refinement, Sizes, dense, encoder_query, encoder_size, grid_refinement,
    grid_refiner_size, product, sum_of,
};
use crate::config::{
    InrConfig, RadianceConfig, RadianceFieldConfig, RadianceGridConfig, RefinerConfig,
    SpatialConfig, VanillaConfig,
};

/// Trainable numbers of a model of one field.
pub fn inr_sizes(config: &InrConfig) -> Result<Sizes> {
    sizes(&config.spatial, weights(&config.widths())?)
}

/// Multiply-adds of a model of one field.
pub fn inr_flops(config: &InrConfig, counting: Counting) -> Result<Flops> {
    flops(&config.spatial, weights(&config.widths())?, counting)
}

/// Trainable numbers of a radiance field.
pub fn radiance_sizes(config: &RadianceConfig) -> Result<Sizes> {
    match &config.field {
        RadianceFieldConfig::Grid(config) => sizes(&config.spatial, networks(config)?),
        RadianceFieldConfig::Vanilla(config) => {
            let layers = vanilla_layers(config).into_iter();
            let decoder = sum_of(layers.map(|(inputs, outputs)| dense(inputs, outputs)))?;
            Ok(Sizes { decoder, ..Sizes::default() })
        }
    }
}

/// Multiply-adds of a sample along a ray: density and colour.
pub fn radiance_flops(config: &RadianceConfig, counting: Counting) -> Result<Flops> {
    match &config.field {
        RadianceFieldConfig::Grid(config) => flops(&config.spatial, networks(config)?, counting),
        RadianceFieldConfig::Vanilla(config) => {
            let layers = vanilla_layers(config).into_iter();
            let decoder = sum_of(layers.map(|(inputs, outputs)| product(&[inputs, outputs])))?;
            let query = Query { decoder, ..Query::default() };
            Ok(Flops { query, per_set: 0, refinement: Refinement::default() })
        }
    }
}

fn sizes(config: &SpatialConfig, decoder: u64) -> Result<Sizes> {
    Ok(Sizes {
        encoder: encoder_size(&config.encoder)?,
        grid_refiner: grid_refiner_size(config.refiner.as_ref())?,
        decoder,
        ..Sizes::default()
    })
}

fn flops(config: &SpatialConfig, decoder: u64, counting: Counting) -> Result<Flops> {
    let refiner = config.used_refiner().map(RefinerConfig::glu);
    let encoder = encoder_query(&config.encoder, config.refines_grid(), counting)?;
    let grid = grid_refinement(&config.encoder, refiner, counting)?;
    Ok(Flops {
        query: Query { encoder, decoder, ..Query::default() },
        per_set: 0,
        refinement: Refinement { grid, lines: 0 },
    })
}

/// Weights, or multiply-adds, of layers without biases.
fn weights(widths: &[usize]) -> Result<u64> {
    sum_of(widths.windows(2).map(product))
}

/// Those of the networks for density and colour.
fn networks(config: &RadianceGridConfig) -> Result<u64> {
    sum_of([weights(&config.density_widths()), weights(&config.colour_widths())])
}

/// Inputs and outputs of all layers of NeRF's network.
fn vanilla_layers(config: &VanillaConfig) -> Vec<(usize, usize)> {
    let [positions, directions] = VanillaConfig::FREQUENCIES.map(VanillaConfig::encoded);
    let mut layers = Vec::new();
    let mut width = positions;
    for n in 0..config.depth {
        layers.push((width, config.width));
        let joins = n > 0 && n.is_multiple_of(config.skip);
        width = config.width + if joins { positions } else { 0 };
    }
    layers.extend([(width, 1), (width, config.width)]);
    let mut width = config.width + directions;
    for _ in 0..config.colour_depth {
        layers.push((width, config.colour_width));
        width = config.colour_width;
    }
    layers.push((width, 3));
    layers
}
