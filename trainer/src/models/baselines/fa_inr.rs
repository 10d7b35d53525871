//! FA-INR (Li et al. 2025): a grid chooses two of some experts for each point. An expert encodes
//! the point by a network with sines, asks a memory of keys and values for what is most alike, and
//! adapts that to the simulation parameters; a small network decodes the weighted sum.

use anyhow::Result;
use tch::{Kind, Tensor};

use super::sampling::{Beyond, Line, product_of_lines, sample};
use super::siren::FREQUENCY;
use super::{LinearInit, Mlp, linear};
use crate::config::{ADAPTER, FaInrConfig, MANAGER};
use crate::models::Parameters;
use crate::models::layers::Linear;
use crate::models::parameters::Init;

/// Experts that answer a point.
const CHOSEN: i64 = 2;

/// Frequencies of the encoding.
const FREQUENCIES: i32 = 10;

pub struct FaInr {
    manager: Manager,
    experts: Vec<Expert>,
    norm: Norm,
    lines: Vec<Line>,
    decoder: Mlp,
    features: i64,
    top: i64,
}

/// Chooses experts.
struct Manager {
    grid: Tensor,
    linear: Linear,
}

struct Expert {
    /// Weights `[inputs, outputs]` and biases.
    encoder: Vec<(Tensor, Tensor)>,
    keys: Tensor,
    values: Tensor,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    adapter: Mlp,
    adapter_norm: Norm,
}

/// `LayerNorm`
struct Norm {
    weight: Tensor,
    bias: Tensor,
}

impl Norm {
    fn new(p: &mut Parameters, name: &str, width: usize) -> Result<Self> {
        let shape = [width as i64];
        let weight = p.trainable(format!("{name}.weight"), &shape, Init::Ones)?;
        let bias = p.trainable(format!("{name}.bias"), &shape, Init::Uniform(0.0, 0.0))?;
        Ok(Self { weight, bias })
    }

    fn forward(&self, x: &Tensor) -> Tensor {
        let width = self.weight.size();
        x.layer_norm(width, Some(&self.weight), Some(&self.bias), 1e-5, false)
    }
}

impl FaInr {
    pub fn new(p: &mut Parameters, config: &FaInrConfig) -> Result<Self> {
        let (res, width) = (config.manager_res as i64, MANAGER);
        // The reference's is made by `torch.rand`.
        let shape = [1, width as i64, res, res, res];
        let grid = p.trainable_table("manager_net.grid".into(), &shape, Init::Uniform(0.0, 1.0))?;
        let linear = linear(p, "manager_net.linear", width, config.experts, LinearInit::Torch)?;
        let experts = (0..config.experts).map(|e| Expert::new(p, config, e));
        let experts = experts.collect::<Result<_>>()?;
        let count = config.cond_dim as f64;
        let range = Init::Uniform(0.01_f64.powf(1.0 / count), 0.02_f64.powf(1.0 / count));
        let lines = (0..config.cond_dim).map(|n| {
            Line::new(p, format!("lines.{n}"), [config.line_features, config.line_size], range)
        });
        let lines = lines.collect::<Result<_>>()?;
        let names = [0, 2, 4, 6].map(|n| format!("mlp.{n}"));
        let hidden = config.decoder_dim;
        let widths = [config.features, hidden, hidden, hidden, config.out_dim];
        Ok(Self {
            manager: Manager { grid, linear },
            experts,
            norm: Norm::new(p, "layer_norm", config.features)?,
            lines,
            decoder: Mlp::new(p, &names, &widths, LinearInit::Xavier)?,
            features: config.features as i64,
            top: config.top as i64,
        })
    }

    /// What the parameters give, `[sets, features]`.
    pub fn lines(&self, conditions: &Tensor) -> Tensor {
        product_of_lines(&self.lines, conditions)
    }

    /// `[points, out]` at `[points, 3]` with what their parameters give.
    pub fn forward(&self, points: &Tensor, lines: &Tensor) -> Tensor {
        let chances =
            self.manager.linear.forward(&sample(&self.manager.grid, points, Beyond::Zeros));
        let (chances, chosen) = chances.softmax(-1, None::<Kind>).topk(CHOSEN, -1, true, true);
        let chances = &chances / chances.sum_dim_intlist(-1, true, None::<Kind>);
        let encoded = encode(points);
        let mut sums =
            Tensor::zeros([points.size()[0], self.features], (points.kind(), points.device()));
        for rank in 0..CHOSEN {
            for (e, expert) in self.experts.iter().enumerate() {
                let own = chosen.select(1, rank).eq(e as i64).nonzero().squeeze_dim(1);
                if own.size()[0] == 0 {
                    continue;
                }
                let answer =
                    self.ask(expert, &encoded.index_select(0, &own), &lines.index_select(0, &own));
                let chance = chances.select(1, rank).index_select(0, &own).unsqueeze(1);
                sums = sums.index_add(0, &own, &(answer * chance));
            }
        }
        self.decoder.forward(&sums).sigmoid()
    }

    /// `[points, features]` from encoded points and what their parameters give.
    fn ask(&self, expert: &Expert, encoded: &Tensor, lines: &Tensor) -> Tensor {
        let x = expert.encode(encoded);
        let query = self.norm.forward(&x).matmul(&expert.query.transpose(0, 1));
        let keys = expert.keys.matmul(&expert.key.transpose(0, 1));
        let values = expert.values.matmul(&expert.value.transpose(0, 1));
        let (scores, best) = query.matmul(&keys.transpose(0, 1)).topk(self.top, -1, true, true);
        let points = x.size()[0];
        let values = values.index_select(0, &best.reshape([-1])).view([points, self.top, -1]);
        let lines = lines.unsqueeze(1).expand([points, self.top, lines.size()[1]], false);
        let adapted = expert.adapter.forward(&Tensor::cat(&[&values, &lines], -1));
        let adapted = values + expert.adapter_norm.forward(&adapted);
        let weights = (scores / (self.features as f64).sqrt()).softmax(-1, None::<Kind>);
        (weights.unsqueeze(-1) * adapted).sum_dim_intlist(1, false, None::<Kind>) + x
    }
}

impl Expert {
    fn new(p: &mut Parameters, config: &FaInrConfig, e: usize) -> Result<Self> {
        let features = config.features;
        let encoder = config.encoder().into_iter().enumerate().map(|(n, (inputs, outputs))| {
            // Sines as SIREN starts them.
            let bound = match n {
                0 => 1.0 / inputs as f64,
                _ => (6.0 / inputs as f64).sqrt() / FREQUENCY,
            };
            let (inputs, outputs) = (inputs as i64, outputs as i64);
            let init = Init::Uniform(-bound, bound);
            let name = format!("encoder_mlp_list.{e}");
            let weight =
                p.trainable(format!("{name}.weights_list.{n}"), &[inputs, outputs], init)?;
            let zero = Init::Uniform(0.0, 0.0);
            let bias = p.trainable(format!("{name}.biases_list.{n}"), &[outputs], zero)?;
            Ok((weight, bias))
        });
        let encoder = encoder.collect::<Result<_>>()?;
        let memory = [config.entries as i64, features as i64];
        // Kaiming's bound for ReLU, over the length of a key.
        let bound = (6.0 / features as f64).sqrt();
        let init = Init::Uniform(-bound, bound);
        let keys = p.trainable_table(format!("memory_keys_list.{e}"), &memory, init)?;
        let init = Init::Uniform(-0.001, 0.001);
        let values = p.trainable_table(format!("memory_values_list.{e}"), &memory, init)?;
        let name = format!("cross_attn_experts.{e}");
        let mut square = |which: &str| {
            let bound = 1.0 / (features as f64).sqrt();
            let shape = [features as i64; 2];
            p.trainable(format!("{name}.{which}.weight"), &shape, Init::Uniform(-bound, bound))
        };
        let (query, key, value) = (square("W_q")?, square("W_k")?, square("W_v")?);
        let names = [0, 2].map(|n| format!("{name}.value_adapter.{n}"));
        let widths = [features + config.line_features, ADAPTER, features];
        let adapter = Mlp::new(p, &names, &widths, LinearInit::Xavier)?;
        let adapter_norm = Norm::new(p, &format!("{name}.value_adapter.3"), features)?;
        Ok(Self { encoder, keys, values, query, key, value, adapter, adapter_norm })
    }

    fn encode(&self, encoded: &Tensor) -> Tensor {
        let mut x = encoded.shallow_clone();
        for (n, (weight, bias)) in self.encoder.iter().enumerate() {
            x = x.matmul(weight) + bias;
            if n + 1 < self.encoder.len() {
                x = (x * FREQUENCY).sin();
            }
        }
        x
    }
}

/// Coordinates, then for each frequency and axis sine and cosine of `2^k pi x`.
fn encode(points: &Tensor) -> Tensor {
    let mut columns = vec![points.shallow_clone()];
    for k in 0..FREQUENCIES {
        for axis in 0..points.size()[1] {
            let angle = points.narrow(1, axis, 1) * (2.0_f64.powi(k) * std::f64::consts::PI);
            columns.extend([angle.sin(), angle.cos()]);
        }
    }
    Tensor::cat(&columns, 1)
}
