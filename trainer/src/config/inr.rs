//! `DRRINR`: one field or image, without simulation parameters.

use anyhow::{Result, ensure};

use super::section::{Section, positive};
use super::spatial::SpatialConfig;

/// A `DRRINR`: grids, and a network of few layers without biases from their features to values.
#[derive(Debug, Clone, PartialEq)]
pub struct InrConfig {
    /// The grids and their refiner.
    pub spatial: SpatialConfig,
    /// Values per point.
    pub out_dim: usize,
    /// Width of the hidden layers.
    pub hidden_dim: usize,
    /// Number of the hidden layers, each followed by ReLU.
    pub hidden_layers: usize,
}

impl InrConfig {
    pub(super) fn read(mut s: Section) -> Result<Self> {
        let spatial = SpatialConfig::read(&mut s)?;
        let hidden = |s: &mut Section, key: &'static str, default| match s.peek(key) {
            Some(_) => positive(s, key),
            None => Ok(default),
        };
        let config = Self {
            spatial,
            out_dim: positive(&mut s, "out_dim")?,
            hidden_dim: hidden(&mut s, "decoder_hidden_dim", 64)?,
            hidden_layers: hidden(&mut s, "decoder_n_hidden_layers", 2)?,
        };
        check_layers(&s, config.hidden_layers)?;
        s.finish()?;
        Ok(config)
    }

    /// Numbers that go in and out of the layers of the decoder.
    pub fn widths(&self) -> Vec<usize> {
        fused_widths(self.spatial.features, (self.hidden_layers, self.hidden_dim), self.out_dim)
    }
}

/// Refuses networks that nobody means.
pub(super) fn check_layers(s: &Section, count: usize) -> Result<()> {
    const MOST: usize = 1 << 10;
    ensure!(count <= MOST, "{}: given {count} layers, expected up to {MOST}", s.path());
    Ok(())
}

/// Numbers between the layers of a network with `hidden` layers of a width.
pub(super) fn fused_widths(
    inputs: usize,
    (hidden, width): (usize, usize),
    outputs: usize,
) -> Vec<usize> {
    let mut widths = vec![inputs];
    widths.extend(std::iter::repeat_n(width, hidden));
    widths.push(outputs);
    widths
}
