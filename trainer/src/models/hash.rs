//! The multi-resolution hash grid of instant-NGP (Müller et al. 2022) over any number of inputs.
//!
//! Vertices stand at the ends, as in all grids here; the coordinates of tiny-cuda-nn are half a
//! cell apart from these, so its tables mean something else.

use anyhow::Result;
use tch::{Kind, Tensor};

use super::Parameters;
use super::parameters::Init;
use super::vertices::interpolate;
use crate::config::{HashConfig, HashLevel};

/// Section 4 of the paper; the first axis has 1. As in tiny-cuda-nn beyond three axes.
const PRIMES: [i64; HashConfig::MAX_DIMS] =
    [1, 2_654_435_761, 805_459_861, 3_674_653_429, 2_097_192_037, 1_434_869_437, 2_165_219_737];

/// Section 3 of the paper.
const INIT: Init = Init::Uniform(-1e-4, 1e-4);

/// Tables of features, one for each level.
pub struct HashGrid {
    levels: Vec<(HashLevel, Tensor)>,
}

impl HashGrid {
    /// Tables `NAME.levels.N`, `[entries, features]`.
    ///
    /// # Errors
    /// If a checkpoint does not fit the configuration.
    pub fn new(p: &mut Parameters, name: &str, config: &HashConfig) -> Result<Self> {
        let levels = config.levels().into_iter().enumerate().map(|(n, level)| {
            let shape = [level.entries as i64, config.features as i64];
            Ok((level, p.trainable_table(format!("{name}.levels.{n}"), &shape, INIT)?))
        });
        Ok(Self { levels: levels.collect::<Result<_>>()? })
    }

    /// The levels, coarsest first, with their tables.
    pub fn levels(&self) -> &[(HashLevel, Tensor)] {
        &self.levels
    }

    /// Features `[points, levels * features]` at `[points, dims]` in [-1, 1]; beyond, those of the
    /// border.
    pub fn sample(&self, points: &Tensor) -> Tensor {
        let points = points.to_kind(Kind::Double);
        let features = self.levels.iter().map(|(level, table)| {
            let (rows, weights) = corners(&points, level);
            interpolate(table, &rows.flatten(0, 1), &weights.to_kind(table.kind()))
        });
        Tensor::cat(&features.collect::<Vec<_>>(), 1)
    }
}

/// Rows of the table and weights of the corners around each point, `[points, corners]` both.
fn corners(points: &Tensor, level: &HashLevel) -> (Tensor, Tensor) {
    let (count, dims) = points.size2().expect("points by coordinates");
    let options = (Kind::Int64, points.device());
    let mut rows = Tensor::zeros([count, 1], options);
    let mut weights = Tensor::ones([count, 1], (Kind::Double, points.device()));
    let mut stride = 1;
    for axis in 0..dims {
        let cells = (level.vertices - 1) as f64;
        let position = ((points.select(1, axis) + 1.0) * (0.5 * cells)).clamp(0.0, cells);
        let lower = position.floor().clamp(0.0, cells - 1.0);
        let fraction = &position - &lower;
        let lower = lower.to_kind(Kind::Int64);
        let ends = Tensor::stack(&[lower.shallow_clone(), &lower + 1], 1).unsqueeze(1);
        let weight = Tensor::stack(&[fraction.neg() + 1.0, fraction], 1).unsqueeze(1);
        weights = (weights.unsqueeze(2) * weight).flatten(1, 2);
        rows = match level.hashed {
            true => {
                let product = (ends * PRIMES[axis as usize]).bitwise_and(0xffff_ffff_i64);
                rows.unsqueeze(2).bitwise_xor_tensor(&product)
            }
            false => rows.unsqueeze(2) + ends * stride,
        }
        .flatten(1, 2);
        stride *= level.vertices as i64;
    }
    // Tables of hashed levels have powers of two.
    if level.hashed {
        rows = rows.bitwise_and(level.entries as i64 - 1);
    }
    (rows, weights)
}
