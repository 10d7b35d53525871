//! K-Planes (Fridovich-Keil et al. 2023): features of planes over all pairs of inputs, multiplied;
//! scales side by side; a small network.

use anyhow::Result;
use tch::Tensor;

use super::sampling::{Beyond, sample};
use super::{LinearInit, Mlp};
use crate::config::{DECODER, KPlanesConfig};
use crate::models::Parameters;
use crate::models::parameters::Init;

pub struct KPlanes {
    /// Per scale, in the order of [`KPlanes::pairs`].
    scales: Vec<Vec<Tensor>>,
    pairs: Vec<[i64; 2]>,
    concatenates: bool,
    decoder: Mlp,
}

impl KPlanes {
    pub fn new(p: &mut Parameters, config: &KPlanesConfig) -> Result<Self> {
        let inputs = config.resolution.len();
        let pairs: Vec<[i64; 2]> =
            (0..inputs as i64).flat_map(|i| (i + 1..inputs as i64).map(move |j| [i, j])).collect();
        let scales = config.scales.iter().enumerate().map(|(s, &scale)| {
            let size = config.resolution_at(scale);
            let planes = pairs.iter().enumerate().map(|(n, &[i, j])| {
                let shape = [config.features, size[j as usize], size[i as usize]];
                let shape = [1, shape[0] as i64, shape[1] as i64, shape[2] as i64];
                let init = match config.neutral && j as usize >= config.dims {
                    true => Init::Ones,
                    false => Init::Uniform(0.1, 0.5),
                };
                p.trainable_table(format!("grids.{s}.{n}"), &shape, init)
            });
            planes.collect::<Result<_>>()
        });
        let scales = scales.collect::<Result<_>>()?;
        // Stored by the reference, read by nobody.
        p.unread("aabb")?;
        let names = [0, 2, 4, 6].map(|n| format!("decoder.{n}"));
        let widths = [config.width(), DECODER, DECODER, DECODER, 1];
        let decoder = Mlp::new(p, &names, &widths, LinearInit::Torch)?;
        Ok(Self { scales, pairs, concatenates: config.concatenates, decoder })
    }

    /// `[points, 1]` at `[points, dims]` with `[points, parameters]`. Parameters in [0, 1] are
    /// positions in [-1, 1] like all others, as the reference has it.
    pub fn forward(&self, points: &Tensor, conditions: &Tensor) -> Tensor {
        let inputs = Tensor::cat(&[points, conditions], 1);
        let of_pair = |pair: &[i64; 2]| {
            inputs.index_select(1, &Tensor::from_slice(pair).to_device(inputs.device()))
        };
        let at: Vec<Tensor> = self.pairs.iter().map(of_pair).collect();
        let features = self.scales.iter().map(|planes| {
            let features =
                planes.iter().zip(&at).map(|(plane, at)| sample(plane, at, Beyond::Border));
            features.reduce(|a, b| a * b).expect("a plane at least")
        });
        let features: Vec<Tensor> = features.collect();
        let joined = match self.concatenates {
            true => Tensor::cat(&features, 1),
            false => features.into_iter().reduce(|a, b| a + b).expect("a scale at least"),
        };
        self.decoder.forward(&joined)
    }
}
