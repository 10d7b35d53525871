//! A trained model as a source of vertices: refines them in 64 bits, a chunk at a time.

use std::path::Path;

use anyhow::{Result, bail};
use drr::model::spec::{self, Spec};
use tch::{Device, Kind, Tensor};

use super::Description;
use super::form::{Dense, Form};
use super::radiance::{self, Head};
use super::source::{Baked, Source};
use crate::config::{Activation, HdinrConfig, InrConfig, RadianceConfig, RaysConfig};
use crate::models::encoder::{Part, Table};
use crate::models::layers::{FusedMlp, Linear};
use crate::models::radiance::{Field, GridField, Networks};
use crate::models::{Encoder, Hdinr, Inr, Lines, Parameters, Radiance};
use crate::train::radiance::step_length;

/// A trained model in 64 bits, ready to be baked.
pub struct Trained {
    description: Description,
    encoder: Encoder,
    lines: Option<Lines>,
    layers: Vec<(Dense, Activation)>,
    features: usize,
    /// Of a radiance field, with its description.
    head: Option<(Head, spec::Radiance)>,
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
        let mut layers = vec![(dense(model.fusion), model.fusion_activation)];
        let decoder = model.decoder.layers.into_iter();
        layers.extend(decoder.map(|(linear, activation)| (dense(linear), activation)));
        layers.extend(model.out_proj.map(|linear| (dense(linear), Activation::Identity)));
        append_activation(&mut layers, model.out_activation);
        Ok(Self {
            description,
            encoder: model.encoder,
            lines: Some(model.lines),
            layers,
            features: model.spatial_features,
            head: None,
        })
    }

    /// The model of a field, or the encoder alone if the checkpoint holds no decoder.
    ///
    /// # Errors
    /// As [`Trained::hdinr`].
    pub fn inr(
        config: &InrConfig,
        parameters: Parameters,
        description: Description,
    ) -> Result<Self> {
        let Inr { encoder, features, decoder, .. } = Inr::build(config, parameters)?;
        let layers = decoder.map_or(Vec::new(), |decoder| fused(decoder, Activation::Identity));
        Ok(Self { description, encoder, lines: None, layers, features, head: None })
    }

    /// A radiance field, or its encoder alone if the checkpoint holds no networks.
    ///
    /// # Errors
    /// As [`Trained::hdinr`].
    pub fn radiance(
        config: &RadianceConfig,
        rays: &RaysConfig,
        parameters: Parameters,
        weights: &Path,
        mut description: Description,
    ) -> Result<Self> {
        let Field::Grid(GridField { encoder, features, networks }) =
            Radiance::build(config, parameters)?.field
        else {
            bail!("the model cannot be baked: it has no grids")
        };
        radiance::place(&mut description, &config.aabb)?;
        let Some(Networks { density, colour, bands }) = networks else {
            let layers = Vec::new();
            return Ok(Self { description, encoder, lines: None, layers, features, head: None });
        };
        let layers = fused(density, Activation::Identity);
        let (colours, activations): (Vec<_>, Vec<_>) =
            fused(colour, Activation::Sigmoid).into_iter().unzip();
        let cells = radiance::cells_beside(weights, rays)?;
        let head = Head { layers: colours, cells };
        let inputs = head.layers[0].weight.size()[1] as usize;
        description.values = radiance::values(inputs - bands * bands);
        let radiance = head.describe(&activations, bands, step_length(config, rays));
        let head = Some((head, radiance));
        Ok(Self { description, encoder, lines: None, layers, features, head })
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
        let layer = |(dense, activation): &(Dense, Activation)| dense.describe(*activation);
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
            radiance: self.head.as_ref().map(|(_, radiance)| radiance.clone()),
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
        let head = self.head.as_ref().map(|(head, _)| head.shallow_clone());
        Ok(Form { spec, maps, lines, input_bias: None, layers, head })
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

/// A layer's numbers; those that it lacks are zeros.
fn dense(linear: Linear) -> Dense {
    let Linear { weight, bias } = linear;
    let zeros = || Tensor::zeros([weight.size()[0]], (Kind::Double, Device::Cpu));
    let bias = bias.unwrap_or_else(zeros);
    Dense { weight, bias }
}

/// Layers with ReLU between them, and `last` behind.
fn fused(network: FusedMlp, last: Activation) -> Vec<(Dense, Activation)> {
    let count = network.layers.len();
    let layers = network.layers.into_iter().enumerate();
    let activation = |n| if n + 1 == count { last } else { Activation::ReLU };
    layers.map(|(n, linear)| (dense(linear), activation(n))).collect()
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
