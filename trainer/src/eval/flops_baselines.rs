//! What the models to compare with cost, counted as in [`flops`](super::flops): interpolation as
//! `encoder` and `lines`, everything else as `decoder`. Nothing is done once for a model.

use anyhow::Result;

use super::flops::{Counting, Flops, Query, Refinement, Sizes, dense, product, sum, sum_of, times};
use crate::config::{
    ADAPTER, BaselineConfig, DECODER, Encoding, ExplorableConfig, FaInrConfig, HashConfig,
    KPlanesConfig, MANAGER, SirenConfig,
};

/// Experts of FA-INR that answer a point.
const CHOSEN: u64 = 2;

/// Trainable numbers.
pub fn sizes(config: &BaselineConfig) -> Result<Sizes> {
    match config {
        BaselineConfig::KPlanes(config) => of_kplanes(config),
        BaselineConfig::Explorable(config) => of_explorable(config),
        BaselineConfig::FaInr(config) => of_fa_inr(config),
        BaselineConfig::Siren(config) => {
            let layers = siren(config).into_iter().map(|(inputs, outputs)| dense(inputs, outputs));
            Ok(Sizes { decoder: sum_of(layers)?, ..Sizes::default() })
        }
        BaselineConfig::Encoded(config) => {
            let encoder = match &config.encoding {
                Encoding::Hash(hash) => hash_size(hash)?,
                Encoding::Frequency { .. } => 0,
            };
            let decoder = numbers(&pairs(&config.widths()))?;
            Ok(Sizes { encoder, decoder, ..Sizes::default() })
        }
    }
}

/// Multiply-adds.
pub fn flops(config: &BaselineConfig, counting: Counting) -> Result<Flops> {
    let (encoder, line_features, decoder) = match config {
        BaselineConfig::KPlanes(config) => {
            let pairs = product(&[config.resolution.len(), config.resolution.len() - 1])? / 2;
            let each = product(&[counting.grid(2), config.features, config.scales.len()])?;
            (times(pairs, each)?, 0, layers(&decoder_of(config.width(), 1))?)
        }
        BaselineConfig::Explorable(config) => {
            let corners = counting.grid(3) + 3 * counting.grid(2);
            let inputs = config.features + config.line_features;
            let lines = product(&[config.lines.len(), config.line_features])?;
            let decoder = layers(&decoder_of(inputs, config.out_dim))?;
            (product(&[corners, config.features])?, lines, decoder)
        }
        BaselineConfig::FaInr(config) => {
            let manager = product(&[counting.grid(3), MANAGER])?;
            let lines = product(&[config.cond_dim, config.line_features])?;
            (manager, lines, fa_inr_layers(config)?)
        }
        BaselineConfig::Siren(config) => (0, 0, layers(&siren(config))?),
        BaselineConfig::Encoded(config) => {
            let encoder = match &config.encoding {
                Encoding::Hash(hash) => product(&[counting.grid(hash.dims), hash.width()])?,
                Encoding::Frequency { .. } => 0,
            };
            (encoder, 0, layers(&pairs(&config.widths()))?)
        }
    };
    let lines = times(counting.line() as u64, line_features)?;
    let query = Query { encoder, lines, fusion: 0, decoder };
    Ok(Flops { query, per_set: lines, refinement: Refinement::default() })
}

/// The manager's choice, two experts, and what follows. Keys and values are transformed once for
/// all points that are asked together.
fn fa_inr_layers(config: &FaInrConfig) -> Result<u64> {
    let (features, top) = (config.features, config.top);
    let choice = product(&[MANAGER, config.experts])?;
    let encoder = layers(&config.encoder())?;
    let query = product(&[features, features])?;
    let scores = product(&[config.entries, features])?;
    let adapter = [(features + config.line_features, ADAPTER), (ADAPTER, features)];
    let adapter = times(top as u64, layers(&adapter)?)?;
    let mix = product(&[top, features])?;
    let expert = sum([encoder, query, scores, adapter, mix])?;
    sum([choice, times(CHOSEN, expert)?, layers(&fa_inr_decoder(config))?])
}

fn of_kplanes(config: &KPlanesConfig) -> Result<Sizes> {
    let planes = config.scales.iter().map(|&scale| {
        let size = config.resolution_at(scale);
        let pairs = (0..size.len()).flat_map(|i| (i + 1..size.len()).map(move |j| (i, j)));
        sum_of(pairs.map(|(i, j)| product(&[config.features, size[i], size[j]])))
    });
    let decoder = numbers(&decoder_of(config.width(), 1))?;
    Ok(Sizes { encoder: sum_of(planes)?, decoder, ..Sizes::default() })
}

fn of_explorable(config: &ExplorableConfig) -> Result<Sizes> {
    let [a, b, c] = config.planes;
    let planes = [(a, b), (a, c), (b, c)].map(|(a, b)| product(&[config.features, a, b]));
    let volume = times(config.features as u64, product(&config.volume)?)?;
    let lines = sum(config.lines.iter().map(|&size| size as u64))?;
    let inputs = config.features + config.line_features;
    Ok(Sizes {
        encoder: sum([volume, sum_of(planes)?])?,
        lines: times(config.line_features as u64, lines)?,
        decoder: numbers(&decoder_of(inputs, config.out_dim))?,
        ..Sizes::default()
    })
}

fn of_fa_inr(config: &FaInrConfig) -> Result<Sizes> {
    let (features, res) = (config.features, config.manager_res);
    let memory = times(2, product(&[config.entries, features])?)?;
    let attention = times(3, product(&[features, features])?)?;
    let adapter = [(features + config.line_features, ADAPTER), (ADAPTER, features)];
    let norm = 2 * features as u64;
    let expert = [numbers(&config.encoder())?, memory, attention, numbers(&adapter)?, norm];
    let experts = times(config.experts as u64, sum(expert)?)?;
    let choice = dense(MANAGER, config.experts)?;
    Ok(Sizes {
        encoder: product(&[MANAGER, res, res, res])?,
        lines: product(&[config.cond_dim, config.line_size, config.line_features])?,
        decoder: sum([experts, choice, norm, numbers(&fa_inr_decoder(config))?])?,
        ..Sizes::default()
    })
}

/// Trainable numbers of a hash grid.
pub(super) fn hash_size(config: &HashConfig) -> Result<u64> {
    sum_of(config.levels().iter().map(|level| product(&[level.entries, config.features])))
}

/// Inputs and outputs of layers between `widths`.
fn pairs(widths: &[usize]) -> Vec<(usize, usize)> {
    widths.windows(2).map(|pair| (pair[0], pair[1])).collect()
}

/// Inputs and outputs of the layers of K-Planes and Explorable-INR.
fn decoder_of(inputs: usize, outputs: usize) -> [(usize, usize); 4] {
    [(inputs, DECODER), (DECODER, DECODER), (DECODER, DECODER), (DECODER, outputs)]
}

fn fa_inr_decoder(config: &FaInrConfig) -> [(usize, usize); 4] {
    let hidden = config.decoder_dim;
    [(config.features, hidden), (hidden, hidden), (hidden, hidden), (hidden, config.out_dim)]
}

fn siren(config: &SirenConfig) -> Vec<(usize, usize)> {
    let hidden = std::iter::repeat_n((config.hidden_dim, config.hidden_dim), config.layers);
    let first = [(config.in_dim, config.hidden_dim)];
    first.into_iter().chain(hidden).chain([(config.hidden_dim, config.out_dim)]).collect()
}

/// Multiply-adds of layers.
fn layers(sizes: &[(usize, usize)]) -> Result<u64> {
    sum_of(sizes.iter().map(|&(inputs, outputs)| product(&[inputs, outputs])))
}

/// Numbers of layers with biases.
fn numbers(sizes: &[(usize, usize)]) -> Result<u64> {
    sum_of(sizes.iter().map(|&(inputs, outputs)| dense(inputs, outputs)))
}
