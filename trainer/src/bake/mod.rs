//! Turns a trained model into a baked file: refines every vertex once, in 64 bits and in chunks,
//! and writes plain grids, lines and dense layers.

mod describe;

use std::path::Path;

use anyhow::{Context, Result, bail};
use drr::model::spec::{self, Spec};
use drr::model::{GridPrecision, GridWriter, SmallTensors, Writer};
use tch::{Device, Kind, Tensor};

pub use describe::Description;

use crate::config::{Activation, ModelConfig};
use crate::models::encoder::Part;
use crate::models::layers::Linear;
use crate::models::{Encoder, EncoderOnly, Hdinr, Lines, Parameters};
use crate::progress::Progress;

/// Vertices refined at once: the widest hidden layers of published models (512, 64-bit) take
/// 30 MiB each then, so that the peak stays far below 1 GiB whatever the grid.
const CHUNK: i64 = 8192;

/// A trained model in 64 bits, ready to be baked.
pub struct Trained {
    encoder: Encoder,
    lines: Option<Lines>,
    layers: Vec<Dense>,
    features: usize,
}

/// A dense layer and what follows it.
struct Dense {
    weight: Tensor,
    bias: Tensor,
    activation: Activation,
}

impl Trained {
    /// Loads a checkpoint for baking, on the CPU.
    ///
    /// # Errors
    /// If the file cannot be read or does not fit the configuration.
    pub fn load(config: &ModelConfig, weights: &Path) -> Result<Self> {
        let parameters = Parameters::for_baking(weights)?;
        Self::build(config, parameters)
            .with_context(|| format!("cannot load {}", weights.display()))
    }

    fn build(config: &ModelConfig, parameters: Parameters) -> Result<Self> {
        match config {
            ModelConfig::Hdinr(config) => Ok(Self::hdinr(Hdinr::build(config, parameters)?)),
            ModelConfig::Encoder(config) => {
                let EncoderOnly { encoder, features, .. } = EncoderOnly::build(config, parameters)?;
                Ok(Self { encoder, lines: None, layers: Vec::new(), features })
            }
        }
    }

    fn hdinr(model: Hdinr) -> Self {
        let dense = |linear: Linear, activation| {
            let outputs = linear.weight.size()[0];
            let bias = linear
                .bias
                .unwrap_or_else(|| Tensor::zeros([outputs], (Kind::Double, Device::Cpu)));
            Dense { weight: linear.weight, bias, activation }
        };
        let mut layers = vec![dense(model.fusion, model.fusion_activation)];
        layers.extend(model.decoder.layers.into_iter().map(|(linear, act)| dense(linear, act)));
        layers.extend(model.out_proj.map(|linear| dense(linear, Activation::Identity)));
        append_activation(&mut layers, model.out_activation);
        Self {
            encoder: model.encoder,
            lines: Some(model.lines),
            layers,
            features: model.spatial_features,
        }
    }

    /// Bakes into `path`; returns the size of the file in bytes. Whatever goes wrong, a file that
    /// was there before stays.
    ///
    /// # Errors
    /// If the description does not fit the model, a refined feature is not finite or too large for
    /// `precision`, the disk is full, or the user interrupts.
    pub fn bake(
        &self,
        description: &Description,
        precision: GridPrecision,
        path: &Path,
        progress: &Progress,
    ) -> Result<u64> {
        tch::no_grad(|| {
            let lines = self.lines.as_ref().map(Lines::sampled).unwrap_or_default();
            let mut tensors = SmallTensors::default();
            let mut spec = self.spec(description)?;
            let mut offset = self.features;
            for line in &lines {
                let [vertices, features] = line.features.size()[..] else {
                    bail!("a line of {:?}, expected two dimensions", line.features.size());
                };
                let (vertices, features) = (vertices as usize, features as usize);
                spec.lines.push(spec::Line {
                    parameter: line.parameter,
                    vertices,
                    features,
                    offset,
                });
                tensors.lines.push(numbers(&line.features)?);
                offset += features;
            }
            for layer in &self.layers {
                tensors.layers.push((numbers(&layer.weight)?, numbers(&layer.bias)?));
            }
            let mut writer = Writer::create(path, spec, precision)?;
            for part in self.encoder.parts() {
                write_part(part, &mut writer, progress)?;
            }
            Ok(writer.finish(&tensors)?)
        })
    }

    /// Vertices that a bake visits, for a progress bar.
    pub fn vertices(&self) -> u64 {
        let parts = self.encoder.parts().iter();
        parts.flat_map(part_shapes).map(|shape| shape.iter().product::<usize>() as u64).sum()
    }

    /// The description without lines.
    fn spec(&self, description: &Description) -> Result<Spec> {
        let mut grids = Vec::new();
        for part in self.encoder.parts() {
            let mut offset = 0;
            let shapes = part_shapes(part);
            let channels = self.features / shapes.len();
            for shape in shapes {
                grids.push(spec::Grid { axes: part.axes.clone(), shape, channels, offset });
                offset += channels;
            }
        }
        let layers: Vec<_> = (self.layers.iter())
            .map(|layer| {
                let size = layer.weight.size();
                let activation = layer.activation;
                let precision = spec::LayerPrecision::F32;
                spec::Layer {
                    inputs: size[1] as usize,
                    outputs: size[0] as usize,
                    activation,
                    precision,
                }
            })
            .collect();
        let width = layers.first().map_or(self.features, |layer| layer.inputs);
        let outputs = layers.last().map_or(self.features, |layer| layer.outputs);
        Ok(Spec {
            axes: description.axes.clone(),
            parameters: description.parameters.clone(),
            values: description.values_for(outputs)?,
            grids,
            lines: Vec::new(),
            input: spec::Input { width, bias: false, activation: Activation::Identity },
            layers,
            provenance: description.provenance.clone(),
        })
    }
}

/// Shapes of the grids that a part bakes into: one if refined, else each of its own.
fn part_shapes(part: &Part) -> Vec<Vec<usize>> {
    if part.is_refined() {
        return vec![part.shape.clone()];
    }
    let shape = |grid: &Tensor| grid.size()[2..].iter().map(|&n| n as usize).collect();
    part.grids().iter().map(shape).collect()
}

fn write_part(part: &Part, writer: &mut Writer, progress: &Progress) -> Result<()> {
    if part.is_refined() {
        let vertices = part.shape.iter().product::<usize>() as i64;
        return write_grid(writer.grid()?, vertices, progress, |start, count| {
            part.vertex_features(&Tensor::arange_start(
                start,
                start + count,
                (Kind::Int64, Device::Cpu),
            ))
        });
    }
    for grid in part.grids() {
        let rows = grid.flatten(2, -1).squeeze_dim(0).transpose(0, 1);
        let vertices = rows.size()[0];
        write_grid(writer.grid()?, vertices, progress, |start, count| {
            rows.narrow(0, start, count)
        })?;
    }
    Ok(())
}

fn write_grid(
    mut grid: GridWriter<'_>,
    vertices: i64,
    progress: &Progress,
    features: impl Fn(i64, i64) -> Tensor,
) -> Result<()> {
    for start in (0..vertices).step_by(CHUNK as usize) {
        progress.check_interrupt()?;
        let count = CHUNK.min(vertices - start);
        let chunk = features(start, count).to_kind(Kind::Double).contiguous().view(-1);
        grid.push(&Vec::<f64>::try_from(&chunk)?)?;
        progress.advance(count as u64);
    }
    Ok(grid.finish()?)
}

/// Lets `activation` follow the layers: in the last one's place if that has none, else after an
/// identity layer.
fn append_activation(layers: &mut Vec<Dense>, activation: Activation) {
    let Some(last) = layers.last_mut() else { return };
    if activation == Activation::Identity || last.activation == Activation::Identity {
        if last.activation == Activation::Identity {
            last.activation = activation;
        }
        return;
    }
    let outputs = last.weight.size()[0];
    let options = (Kind::Double, Device::Cpu);
    let (weight, bias) = (Tensor::eye(outputs, options), Tensor::zeros([outputs], options));
    layers.push(Dense { weight, bias, activation });
}

fn numbers(tensor: &Tensor) -> Result<Vec<f32>> {
    let flat = tensor.to_kind(Kind::Float).contiguous().view(-1);
    Ok(Vec::<f32>::try_from(&flat)?)
}
