//! Models to compare with, put in the form of a baked file where that is possible: planes and
//! volumes that are multiplied, hash grids, networks of coordinates.

use anyhow::{Context, Result, bail};
use drr::model::spec::{Activation, Grid, Line};
use tch::{Device, Kind, Tensor};

use super::Description;
use super::form::{Dense, tensor};
use super::plain::{Parts, Plain};
use crate::config::{
    BaselineConfig, EncodedConfig, Encoding, ExplorableConfig, HashConfig, KPlanesConfig,
    SirenConfig,
};
use crate::models::baselines::{FREQUENCY, PLANES};
use crate::models::layers::encoding_coefficients;
use crate::models::{Baseline, Parameters};

/// Dimensions that a grid of a file may have.
const MOST_DIMS: usize = 3;

/// Why a model cannot be baked, if so.
pub fn obstacle(config: &BaselineConfig) -> Option<String> {
    match config {
        BaselineConfig::FaInr(_) => Some(
            "FA-INR chooses experts and entries of their memories anew at every point, which is no \
             grid"
                .to_owned(),
        ),
        BaselineConfig::Encoded(EncodedConfig { encoding: Encoding::Hash(hash), .. })
            if hash.dims > MOST_DIMS =>
        {
            Some(format!(
                "its hash grid has {} dimensions, grids of a file have at most {MOST_DIMS}; hash the \
                 coordinates alone (HDINRBase with encoder type HashGrid)",
                hash.dims
            ))
        }
        _ => None,
    }
}

/// A checkpoint's model.
///
/// # Errors
/// If there is an [`obstacle`], or the checkpoint does not fit the configuration.
pub fn plain(
    config: &BaselineConfig,
    parameters: Parameters,
    description: Description,
) -> Result<Plain> {
    if let Some(obstacle) = obstacle(config) {
        bail!(
            "the model cannot be baked: {obstacle}; `drr-train query --config C.yaml --weights \
             W.safetensors --normalized` evaluates it"
        );
    }
    let model = Baseline::build(config, parameters)?;
    let weights = Weights(&model.parameters);
    let parts = match config {
        BaselineConfig::KPlanes(config) => kplanes(config, &weights)?,
        BaselineConfig::Explorable(config) => explorable(config, &weights)?,
        BaselineConfig::Siren(config) => siren(config, &weights)?,
        BaselineConfig::Encoded(config) => encoded(config, &weights)?,
        BaselineConfig::FaInr(_) => unreachable!("there is an obstacle"),
    };
    Plain::new(parts, description)
}

/// Tensors by their names.
struct Weights<'a>(&'a Parameters);

impl Weights<'_> {
    fn get(&self, name: &str) -> Result<Tensor> {
        let found = self.0.all().find(|(known, _)| *known == name);
        let (_, tensor) = found.with_context(|| format!("the model has no {name}"))?;
        Ok(tensor.detach())
    }

    fn dense(&self, name: &str) -> Result<Dense> {
        let weight = self.get(&format!("{name}.weight"))?.to_kind(Kind::Double);
        let bias = self.get(&format!("{name}.bias"))?.to_kind(Kind::Double);
        Ok(Dense { weight, bias })
    }

    /// Layers with ReLU between them, and `last` behind.
    fn layers(&self, names: &[String], last: Activation) -> Result<Vec<(Dense, Activation)>> {
        let activation = |n: usize| if n + 1 == names.len() { last } else { Activation::ReLU };
        let layers = names.iter().enumerate();
        layers.map(|(n, name)| Ok((self.dense(name)?, activation(n)))).collect()
    }
}

/// Products of planes, a product for each scale. What the reference gives to a plane's axis of a
/// parameter is the parameter in [0, 1] as a position in [-1, 1]: only the axis' upper half counts.
fn kplanes(config: &KPlanesConfig, weights: &Weights<'_>) -> Result<Parts> {
    let inputs = config.resolution.len();
    let mut grids = Vec::new();
    for scale in 0..config.scales.len() {
        let offset = if config.concatenates { scale * config.features } else { 0 };
        let pairs = (0..inputs).flat_map(|i| (i + 1..inputs).map(move |j| [i, j]));
        for (n, axes) in pairs.enumerate() {
            // [1, features, vertices of j, vertices of i]
            let mut plane = weights.get(&format!("grids.{scale}.{n}"))?.squeeze_dim(0);
            for (&axis, dim) in axes.iter().zip([2, 1]) {
                if axis >= config.dims {
                    plane = upper_half(&plane, dim);
                }
            }
            grids.push(grid(&plane, axes.to_vec(), offset, Some(scale)));
        }
    }
    let names = [0, 2, 4, 6].map(|n| format!("decoder.{n}"));
    let layers = weights.layers(&names, Activation::Identity)?;
    Ok(Parts { grids, layers, ..Parts::default() })
}

/// A volume times three planes, and the product of the parameters' lines.
fn explorable(config: &ExplorableConfig, weights: &Weights<'_>) -> Result<Parts> {
    const SPACE: Option<usize> = Some(0);
    const LINES: Option<usize> = Some(1);
    let volume = weights.get("dg.feature_grid_3d")?.squeeze_dim(0);
    let mut grids = vec![grid(&volume, vec![0, 1, 2], 0, SPACE)];
    for (n, (_, axes)) in PLANES.iter().enumerate() {
        let plane = weights.get(&format!("dg.planes.{n}"))?.squeeze_dim(0);
        grids.push(grid(&plane, axes.map(|axis| axis as usize).to_vec(), 0, SPACE));
    }
    for n in 0..config.lines.len() {
        let line = weights.get(&format!("dg.lines.{n}"))?;
        grids.push(grid(&line, vec![3 + n], config.features, LINES));
    }
    let names = [1, 2, 3, 4].map(|n| format!("fc{n}"));
    let layers = weights.layers(&names, Activation::Sigmoid)?;
    Ok(Parts { grids, layers, ..Parts::default() })
}

/// The inputs themselves, then layers.
fn siren(config: &SirenConfig, weights: &Weights<'_>) -> Result<Parts> {
    let dims = config.in_dim.min(3);
    let mut parts = inputs(dims, config.in_dim - dims);
    for n in 0..=config.layers {
        let Dense { weight, bias } = weights.dense(&format!("net.{n}.linear"))?;
        let dense = Dense { weight: weight * FREQUENCY, bias: bias * FREQUENCY };
        parts.layers.push((dense, Activation::Sine));
    }
    let last = weights.dense(&format!("net.{}", config.layers + 1))?;
    parts.layers.push((last, Activation::Identity));
    Ok(parts)
}

fn encoded(config: &EncodedConfig, weights: &Weights<'_>) -> Result<Parts> {
    let mut parts = match &config.encoding {
        Encoding::Hash(hash) => Parts { grids: hashed(hash, weights)?, ..Parts::default() },
        Encoding::Frequency { spatial, conditional } => {
            let mut parts = inputs(config.dims, config.cond_dim);
            let frequencies = [(config.dims, *spatial), (config.cond_dim, *conditional)];
            parts.layers.push((waves(frequencies), Activation::Sine));
            parts
        }
    };
    let count = config.widths().len() - 1;
    for n in 0..count {
        let activation = if n + 1 == count { config.out_act } else { config.activation };
        parts.layers.push((weights.dense(&format!("net.{n}"))?, activation));
    }
    Ok(parts)
}

/// The levels of a hash grid over coordinates and parameters, side by side.
fn hashed(config: &HashConfig, weights: &Weights<'_>) -> Result<Vec<(Grid, Tensor)>> {
    let level = |(n, level): (usize, &crate::config::HashLevel)| {
        let grid = Grid {
            axes: (0..config.dims).collect(),
            shape: vec![level.vertices; config.dims],
            channels: config.features,
            offset: n * config.features,
            entries: level.hashed.then_some(level.entries),
            product: None,
        };
        Ok((grid, weights.get(&format!("encoding.levels.{n}"))?))
    };
    config.levels().iter().enumerate().map(level).collect()
}

/// A layer whose sines are those of the positional encoding: per input the factors of the sines,
/// then the same with a quarter of a turn.
fn waves(frequencies: [(usize, usize); 2]) -> Dense {
    let inputs: usize = frequencies.iter().map(|(inputs, _)| inputs).sum();
    let (mut weight, mut bias, mut input) = (Vec::new(), Vec::new(), 0);
    for (count, frequencies) in frequencies {
        let factors = Vec::<f32>::try_from(&encoding_coefficients(frequencies)).unwrap_or_default();
        for _ in 0..count {
            for turn in [0.0, std::f64::consts::FRAC_PI_2] {
                for &factor in &factors {
                    let mut row = vec![0.0; inputs];
                    row[input] = f64::from(factor);
                    weight.extend(row);
                    bias.push(turn);
                }
            }
            input += 1;
        }
    }
    let weight = Tensor::from_slice(&weight).view([bias.len() as i64, inputs as i64]);
    Dense { weight, bias: Tensor::from_slice(&bias) }
}

/// Coordinates in [-1, 1] and parameters in [0, 1] as the input vector. The numbers of these grids
/// are exact in any precision.
fn inputs(dims: usize, parameters: usize) -> Parts {
    let axis = |axis: usize| {
        let grid = Grid {
            axes: vec![axis],
            shape: vec![2],
            channels: 1,
            offset: axis,
            entries: None,
            product: None,
        };
        (grid, tensor(&[-1.0, 1.0], &[2, 1]))
    };
    let line = |parameter: usize| {
        let line = Line { parameter, vertices: 2, features: 1, offset: dims + parameter };
        (line, tensor(&[0.0, 1.0], &[2, 1]))
    };
    Parts {
        grids: (0..dims).map(axis).collect(),
        lines: (0..parameters).map(line).collect(),
        layers: Vec::new(),
    }
}

/// A grid from features `[channels, ...shape]`.
fn grid(
    features: &Tensor,
    axes: Vec<usize>,
    offset: usize,
    product: Option<usize>,
) -> (Grid, Tensor) {
    let size: Vec<usize> = features.size().iter().map(|&n| n as usize).collect();
    let (channels, shape) = (size[0], size[1..].to_vec());
    let rows = features.flatten(1, -1).transpose(0, 1);
    (Grid { axes, shape, channels, offset, entries: None, product }, rows)
}

/// The part of a table between the middle and the end of a dimension; where the middle is between
/// two vertices, in steps of half their distance, so that interpolation stays the same.
fn upper_half(table: &Tensor, dim: i64) -> Tensor {
    let count = table.size()[dim as usize];
    if count % 2 == 1 {
        let middle = count / 2;
        return table.narrow(dim, middle, count - middle);
    }
    // Vertex k stands at (count - 1 + k) / 2.
    let at = Tensor::arange_start(count - 1, 2 * count - 1, (Kind::Int64, Device::Cpu));
    let lower = table.index_select(dim, &at.divide_scalar_mode(2, "floor"));
    let upper = table.index_select(dim, &(at + 1).divide_scalar_mode(2, "floor"));
    (lower + upper) * 0.5
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_interpolate_like_the_whole() {
        for count in [1, 2, 3, 4, 7, 8] {
            let numbers: Vec<f64> = (0..count).map(|n| f64::from(n * n % 5)).collect();
            let table = Tensor::from_slice(&numbers);
            let half = Vec::<f64>::try_from(&upper_half(&table, 0)).unwrap();
            let at = |table: &[f64], p: f64| {
                let lower = (p as usize).min(table.len() - 1);
                let upper = (lower + 1).min(table.len() - 1);
                table[lower] + (p - lower as f64) * (table[upper] - table[lower])
            };
            for step in 0..=60 {
                let t = f64::from(step) / 60.0;
                let whole = at(&numbers, (t + 1.0) / 2.0 * f64::from(count - 1));
                let part = at(&half, t * (half.len() - 1) as f64);
                assert!((whole - part).abs() < 1e-12, "{count} {t}: {whole} {part}");
            }
        }
    }
}
