//! Feature lines over the simulation parameters, at one scale (`CondLatentLines`) or several
//! (`MultiCondLatentLines`), refined all together.

use anyhow::Result;
use tch::{Kind, Tensor};

use super::layers::Refiner;
use super::parameters::{Init, Parameters};
use crate::config::{GluConfig, LatentConfig};

/// The lines of a model, with their refiner if it has one and uses it.
pub struct Lines {
    /// `[scale][parameter]`, each `[vertices, features]`.
    lines: Vec<Vec<Tensor>>,
    /// Positions of each parameter's finest resolution, `[vertices]` in [0, 1].
    finest: Vec<Tensor>,
    /// Positions of the finest resolution of all.
    finest_of_all: Tensor,
    refiner: Option<Refiner>,
}

/// One line as it is sampled.
pub struct SampledLine {
    /// Index of the parameter that samples it.
    pub parameter: usize,
    /// `[vertices, features]`
    pub features: Tensor,
}

impl Lines {
    /// Builds the lines under `latent` and their refiner under `cond_refiner`. The refiner's
    /// weights exist whenever it is configured; it is used if `refine`.
    pub fn new(
        parameters: &mut Parameters,
        config: &LatentConfig,
        refiner: Option<&GluConfig>,
        refine: bool,
    ) -> Result<Self> {
        let name = "latent";
        let init = Init::Uniform(config.init_range.0, config.init_range.1);
        let mut lines = Vec::new();
        for (s, sizes) in config.line_dims.iter().enumerate() {
            let scale =
                if config.multi { format!("{name}.latent_lines_list.{s}") } else { name.into() };
            let line = |(d, &n): (usize, &usize)| {
                let shape = [n as i64, config.features as i64];
                parameters.trainable(format!("{scale}.lines.{d}"), &shape, init)
            };
            lines.push(sizes.iter().enumerate().map(line).collect::<Result<Vec<_>>>()?);
            let finest = sizes.iter().copied().max().unwrap_or(0);
            if config.multi && sizes.iter().any(|&n| n != finest) {
                parameters.unused_buffer(format!("{scale}.highest_res_x"), positions(finest))?;
            }
        }
        let finest: Vec<usize> = (0..config.cond_dim)
            .map(|d| config.line_dims.iter().map(|sizes| sizes[d]).max().unwrap_or(0))
            .collect();
        let finest_of_all = finest.iter().copied().max().unwrap_or(0);
        let uniform = finest.iter().all(|&n| n == finest_of_all);
        let buffer_name = format!("{name}.highest_res_x");
        // One scale stores these positions only where lines differ in length.
        let finest_of_all = if config.multi || !uniform {
            parameters.buffer(buffer_name, positions(finest_of_all))?
        } else {
            positions(finest_of_all)
        };
        let finest = (finest.into_iter().enumerate())
            .map(|(d, n)| match config.multi {
                true => {
                    parameters.buffer(format!("{name}.highest_res_x_per_dim.{d}"), positions(n))
                }
                false => Ok(positions(n)),
            })
            .collect::<Result<_>>()?;
        let refiner = match refiner {
            Some(glu) => Some(Refiner::new(parameters, "cond_refiner", glu, true)?),
            None => None,
        };
        Ok(Self { lines, finest, finest_of_all, refiner: refiner.filter(|_| refine) })
    }

    /// Parameter features `[members, features]` at `conditions`, `[members, parameters]` in [0, 1]
    /// (clamped).
    pub fn forward(&self, conditions: &Tensor) -> Tensor {
        let sampled: Vec<_> = (self.sampled().iter())
            .map(|line| interpolate(&line.features, &conditions.select(1, line.parameter as i64)))
            .collect();
        Tensor::cat(&sampled, 1)
    }

    /// The lines that a query samples, in the order in which their features are concatenated:
    /// parameter-major when refined, scale-major when not (as in the reference).
    pub fn sampled(&self) -> Vec<SampledLine> {
        if let Some(refiner) = &self.refiner {
            let refined = refiner.refine(&self.unified());
            let parameters = self.finest.len() as i64;
            let refined = refined.view([refined.size()[0], parameters, -1]);
            return (0..self.finest.len())
                .map(|d| SampledLine { parameter: d, features: refined.select(1, d as i64) })
                .collect();
        }
        let scale = |lines: &Vec<Tensor>| {
            let line = |(d, line): (usize, &Tensor)| SampledLine {
                parameter: d,
                features: line.shallow_clone(),
            };
            lines.iter().enumerate().map(line).collect::<Vec<_>>()
        };
        self.lines.iter().flat_map(scale).collect()
    }

    /// All lines at the finest resolution of all, `[vertices, parameters * scales * features]`.
    /// Resampled in two steps, first to each parameter's own finest: that differs from one step
    /// where resolutions do not nest.
    fn unified(&self) -> Tensor {
        let resample = |line: &Tensor, positions: &Tensor| {
            if line.size()[0] == positions.size()[0] {
                return line.shallow_clone();
            }
            interpolate(line, &positions.to_kind(line.kind()).to_device(line.device()))
        };
        let columns: Vec<_> = (self.finest.iter().enumerate())
            .map(|(d, finest)| {
                let scales: Vec<_> =
                    self.lines.iter().map(|lines| resample(&lines[d], finest)).collect();
                resample(&Tensor::cat(&scales, 1), &self.finest_of_all)
            })
            .collect();
        Tensor::cat(&columns, 1)
    }
}

/// Linear interpolation of `line`, `[vertices, features]`, at `t` in [0, 1]: `[t, features]`.
fn interpolate(line: &Tensor, t: &Tensor) -> Tensor {
    let last = line.size()[0] - 1;
    let s = t.clamp(0.0, 1.0) * last as f64;
    let floor = s.floor();
    let fraction = (s - &floor).unsqueeze(-1);
    let lower = floor.to_kind(Kind::Int64);
    let upper = (&lower + 1).clamp_max(last);
    let (a, b) = (line.index_select(0, &lower), line.index_select(0, &upper));
    &a + fraction * (b - &a)
}

fn positions(n: usize) -> Tensor {
    Tensor::linspace(0.0, 1.0, n as i64, (Kind::Float, tch::Device::Cpu))
}
