//! Models without refiners as sources of vertices: what was trained is what is stored.

use anyhow::{Result, bail};
use drr::model::spec::{self, Activation, LayerPrecision, Spec};
use tch::{Kind, Tensor};

use super::Description;
use super::form::{Dense, Form};
use super::source::{Baked, Source};

/// Such a model in 64 bits.
pub struct Plain {
    form: Form,
    /// Per grid `[rows, channels]`.
    grids: Vec<Tensor>,
}

/// What a model is put together from.
#[derive(Default)]
pub struct Parts {
    /// With their features, `[rows, channels]`.
    pub grids: Vec<(spec::Grid, Tensor)>,
    /// With their features, `[vertices, features]`.
    pub lines: Vec<(spec::Line, Tensor)>,
    /// Layers and what follows each.
    pub layers: Vec<(Dense, Activation)>,
}

impl Plain {
    /// # Errors
    /// If the description is not one of such a model.
    pub fn new(parts: Parts, description: Description) -> Result<Self> {
        let Some((first, _)) = parts.layers.first() else { bail!("a model without layers") };
        let width = first.weight.size()[1] as usize;
        let outputs = parts.layers.last().map_or(width, |(last, _)| last.weight.size()[0] as usize);
        let layer = |(dense, activation): &(Dense, Activation)| {
            let size = dense.weight.size();
            let (inputs, outputs) = (size[1] as usize, size[0] as usize);
            let precision = LayerPrecision::F32;
            spec::Layer { inputs, outputs, activation: *activation, precision }
        };
        let layers = parts.layers.iter().map(layer).collect();
        let (grids, tables): (Vec<_>, Vec<_>) = parts.grids.into_iter().unzip();
        let (line_specs, lines): (Vec<_>, Vec<_>) = parts.lines.into_iter().unzip();
        let spec = Spec {
            values: description.values_for(outputs)?,
            axes: description.axes,
            parameters: description.parameters,
            grids,
            lines: line_specs,
            input: spec::Input { width, bias: false, activation: Activation::Identity },
            layers,
            radiance: None,
            provenance: description.provenance,
        };
        let maps = spec.grids.iter().map(|_| None).collect();
        let layers = parts.layers.into_iter().map(|(dense, _)| dense).collect();
        Ok(Self {
            form: Form { spec, maps, lines, input_bias: None, layers, head: None },
            grids: tables,
        })
    }
}

impl Source for Plain {
    fn form(&self) -> Result<Form> {
        Ok(self.form.clone())
    }

    fn features(&self, n: usize, start: usize, count: usize) -> Tensor {
        self.grids[n].narrow(0, start as i64, count as i64).to_kind(Kind::Double)
    }

    fn verb(&self) -> &'static str {
        "writing"
    }

    fn as_file(&self) -> Option<&Baked> {
        None
    }
}
