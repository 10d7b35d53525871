//! `EncodedMLP`: coordinates and parameters encoded together, and a network of few layers.

use anyhow::Result;
use tch::Tensor;

use crate::config::{Activation, EncodedConfig, Encoding};
use crate::models::Parameters;
use crate::models::hash::HashGrid;
use crate::models::layers::{Linear, activate, encoding_coefficients, positional_encoding};

pub struct Encoded {
    encoder: Encoder,
    pub layers: Vec<(Linear, Activation)>,
}

enum Encoder {
    Hash(HashGrid),
    /// The factors of coordinates and of parameters, `[frequencies]` each.
    Frequency([Tensor; 2]),
}

impl Encoded {
    pub fn new(p: &mut Parameters, config: &EncodedConfig) -> Result<Self> {
        let encoder = match &config.encoding {
            Encoding::Hash(hash) => Encoder::Hash(HashGrid::new(p, "encoding", hash)?),
            Encoding::Frequency { spatial, conditional } => {
                let mut coefficients = |name: &str, frequencies| {
                    p.buffer(format!("encoding.{name}"), encoding_coefficients(frequencies))
                };
                let spatial = coefficients("coeff", *spatial)?;
                Encoder::Frequency([spatial, coefficients("cond_coeff", *conditional)?])
            }
        };
        let widths = config.widths();
        let layers = widths.windows(2).enumerate().map(|(n, w)| {
            let last = n + 2 == widths.len();
            let activation = if last { config.out_act } else { config.activation };
            Ok((Linear::new(p, &format!("net.{n}"), w[0], w[1], true)?, activation))
        });
        Ok(Self { encoder, layers: layers.collect::<Result<_>>()? })
    }

    /// `[points, out]` at `[points, dims]` with `[points, parameters]`, of which there may be none.
    /// Hash grids take parameters in [0, 1] for [-1, 1], their whole range.
    pub fn forward(&self, points: &Tensor, conditions: &Tensor) -> Tensor {
        let features = match &self.encoder {
            Encoder::Hash(grid) => {
                grid.sample(&Tensor::cat(&[points, &(conditions * 2.0 - 1.0)], 1))
            }
            Encoder::Frequency([spatial, conditional]) => Tensor::cat(
                &[
                    positional_encoding(points, spatial),
                    positional_encoding(conditions, conditional),
                ],
                1,
            ),
        };
        self.layers.iter().fold(features, |x, (layer, act)| activate(*act, &layer.forward(&x)))
    }
}
