//! A trained model as a source of vertices: refines them in 64 bits, a chunk at a time.

use anyhow::{Result, bail};
use drr::model::spec::{self, LayerPrecision, Spec};
use tch::{Device, Kind, Tensor};

use super::Description;
use super::form::{Dense, Form};
use super::source::{Baked, Source};
use crate::config::{Activation, EncoderOnlyConfig, HdinrConfig};
use crate::models::encoder::{Part, Table};
use crate::models::layers::Linear;
use crate::models::{Encoder, EncoderOnly, Hdinr, Lines, Parameters};

/// A trained model in 64 bits, ready to be baked.
pub struct Trained {
    description: Description,
    encoder: Encoder,
    lines: Option<Lines>,
    layers: Vec<(Dense, Activation)>,
    features: usize,
}

impl Trained {
    /// The model of an ensemble.
    ///
    /// # Errors
    /// If the checkpoint does not fit the configuration.
    pub fn hdinr(
        config: &HdinrConfig,
        parameters: Parameters,
        description: Description,
    ) -> Result<Self> {
        let model = Hdinr::build(config, parameters)?;
        let dense = |linear: Linear, activation| {
            let outputs = linear.weight.size()[0];
            let bias = linear
                .bias
                .unwrap_or_else(|| Tensor::zeros([outputs], (Kind::Double, Device::Cpu)));
            (Dense { weight: linear.weight, bias }, activation)
        };
        let mut layers = vec![dense(model.fusion, model.fusion_activation)];
        layers.extend(model.decoder.layers.into_iter().map(|(linear, act)| dense(linear, act)));
        layers.extend(model.out_proj.map(|linear| dense(linear, Activation::Identity)));
        append_activation(&mut layers, model.out_activation);
        Ok(Self {
            description,
            encoder: model.encoder,
            lines: Some(model.lines),
            layers,
            features: model.spatial_features,
        })
    }

    /// A bare encoder.
    ///
    /// # Errors
    /// As [`Trained::hdinr`].
    pub fn encoder(
        config: &EncoderOnlyConfig,
        parameters: Parameters,
        description: Description,
    ) -> Result<Self> {
        let EncoderOnly { encoder, features, .. } = EncoderOnly::build(config, parameters)?;
        Ok(Self { description, encoder, lines: None, layers: Vec::new(), features })
    }

    /// The part of grid `n`, and which of the part's own grids it is (0 for a refined one).
    fn part(&self, n: usize) -> (&Part, usize) {
        let grids = |part| part_shapes(part).len();
        let all = self.encoder.parts().iter();
        let mut all = all.flat_map(|part| (0..grids(part)).map(move |grid| (part, grid)));
        all.nth(n).unwrap_or_else(|| unreachable!("`form` counts the grids in the same way"))
    }

    /// The description without lines.
    fn spec(&self) -> Result<Spec> {
        let mut grids = Vec::new();
        for part in self.encoder.parts() {
            let mut offset = 0;
            let shapes = part_shapes(part);
            let channels = self.features / shapes.len();
            for (shape, entries) in shapes {
                let (axes, product) = (part.axes.clone(), None);
                grids.push(spec::Grid { axes, shape, channels, offset, entries, product });
                offset += channels;
            }
        }
        let layer = |(dense, activation): &(Dense, Activation)| {
            let size = dense.weight.size();
            spec::Layer {
                inputs: size[1] as usize,
                outputs: size[0] as usize,
                activation: *activation,
                precision: LayerPrecision::F32,
            }
        };
        let layers: Vec<_> = self.layers.iter().map(layer).collect();
        let width = layers.first().map_or(self.features, |layer| layer.inputs);
        let outputs = layers.last().map_or(self.features, |layer| layer.outputs);
        let description = &self.description;
        Ok(Spec {
            axes: description.axes.clone(),
            parameters: description.parameters.clone(),
            values: description.values_for(outputs)?,
            grids,
            lines: Vec::new(),
            input: spec::Input { width, bias: false, activation: Activation::Identity },
            layers,
            radiance: None,
            provenance: description.provenance.clone(),
        })
    }
}

impl Source for Trained {
    fn form(&self) -> Result<Form> {
        let mut spec = self.spec()?;
        let mut offset = self.features;
        let mut lines = Vec::new();
        for line in self.lines.as_ref().map(Lines::sampled).unwrap_or_default() {
            let [vertices, features] = line.features.size()[..] else {
                bail!("a line of {:?}, expected two dimensions", line.features.size());
            };
            let (vertices, features) = (vertices as usize, features as usize);
            let parameter = line.parameter;
            spec.lines.push(spec::Line { parameter, vertices, features, offset });
            lines.push(line.features);
            offset += features;
        }
        let layers = (self.layers.iter())
            .map(|(dense, _)| Dense {
                weight: dense.weight.shallow_clone(),
                bias: dense.bias.shallow_clone(),
            })
            .collect();
        let maps = spec.grids.iter().map(|_| None).collect();
        Ok(Form { spec, maps, lines, input_bias: None, layers })
    }

    fn features(&self, n: usize, start: usize, count: usize) -> Tensor {
        let (part, grid) = self.part(n);
        let (start, count) = (start as i64, count as i64);
        if part.is_refined() {
            let options = (Kind::Int64, Device::Cpu);
            return part.vertex_features(&Tensor::arange_start(start, start + count, options));
        }
        part.tables()[grid].rows.narrow(0, start, count).to_kind(Kind::Double)
    }

    fn verb(&self) -> &'static str {
        "refining"
    }

    fn as_file(&self) -> Option<&Baked> {
        None
    }
}

/// Shapes of the grids that a part bakes into, one if refined, else each of its own, and the rows that
/// vertices share.
fn part_shapes(part: &Part) -> Vec<(Vec<usize>, Option<usize>)> {
    if part.is_refined() {
        return vec![(part.shape.clone(), None)];
    }
    let shape = |table: Table| {
        let rows = table.rows.size()[0] as usize;
        (table.shape, table.hashed.then_some(rows))
    };
    part.tables().into_iter().map(shape).collect()
}

/// Lets `activation` follow the layers: in the last one's place if that has none, else after an
/// identity layer.
fn append_activation(layers: &mut Vec<(Dense, Activation)>, activation: Activation) {
    let Some((last, last_activation)) = layers.last_mut() else { return };
    if *last_activation == Activation::Identity {
        *last_activation = activation;
        return;
    }
    if activation == Activation::Identity {
        return;
    }
    let outputs = last.weight.size()[0];
    let options = (Kind::Double, Device::Cpu);
    let (weight, bias) = (Tensor::eye(outputs, options), Tensor::zeros([outputs], options));
    layers.push((Dense { weight, bias }, activation));
}
