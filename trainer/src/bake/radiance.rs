//! What a radiance field has behind its grids: the layers that make colours, and the cells that hold
//! anything.

use std::path::Path;

use anyhow::{Result, bail};
use drr::model::SmallRadiance;
use drr::model::spec::{self, Transform, Value};
use tch::Tensor;

use super::Description;
use super::form::{Dense, numbers, tensor};
use crate::config::{Activation, RaysConfig};
use crate::models::checkpoint::read_safetensors;
use crate::train::radiance::occupancy_of;

/// Layers behind the values of a radiance field, and its cells; the rest is in the description.
pub struct Head {
    /// From harmonics of the direction and features to colours.
    pub layers: Vec<Dense>,
    /// Which cells hold anything, x fastest; `None`: all of them may.
    pub cells: Option<Vec<bool>>,
}

impl Head {
    /// What the description says of it.
    pub fn describe(
        &self,
        activations: &[Activation],
        harmonics: usize,
        step: f64,
    ) -> spec::Radiance {
        let layer = |(dense, activation): (&Dense, &Activation)| dense.describe(*activation);
        let edge = |cells: &Vec<bool>| (cells.len() as f64).cbrt().round() as usize;
        spec::Radiance {
            harmonics,
            layers: self.layers.iter().zip(activations).map(layer).collect(),
            occupancy: self.cells.as_ref().map(|cells| [edge(cells); 3]),
            step,
        }
    }

    /// That of an open file.
    pub fn of_file(model: &drr::model::Model) -> Option<Self> {
        let radiance = model.spec().radiance.as_ref()?;
        let layers = (radiance.layers.iter().zip(model.radiance_layers()))
            .map(|(layer, numbers)| Dense {
                weight: tensor(&numbers.weight, &[layer.outputs, layer.inputs]),
                bias: tensor(&numbers.bias, &[layer.outputs]),
            })
            .collect();
        let count = radiance.occupancy.map_or(0, |cells| cells.iter().product());
        let cells = model
            .occupancy()
            .map(|bytes| (0..count).map(|n| bytes[n / 8] >> (n % 8) & 1 == 1).collect());
        Some(Self { layers, cells })
    }

    /// As the writer takes it.
    pub fn small_tensors(&self) -> Result<SmallRadiance> {
        let layer = |layer: &Dense| Ok((numbers(&layer.weight)?, numbers(&layer.bias)?));
        Ok(SmallRadiance {
            layers: self.layers.iter().map(layer).collect::<Result<_>>()?,
            occupancy: self.cells.clone(),
        })
    }

    /// A copy of the same tensors.
    pub fn shallow_clone(&self) -> Self {
        let layers = self.layers.iter().map(Dense::shallow_clone).collect();
        Self { layers, cells: self.cells.clone() }
    }
}

/// The cells that a checkpoint stores beside its weights, if it does.
///
/// # Errors
/// If they are damaged.
pub fn cells_beside(weights: &Path, rays: &RaysConfig) -> Result<Option<Vec<bool>>> {
    let path = crate::train::checkpoints::extra_beside(weights);
    if !path.is_file() {
        return Ok(None);
    }
    let extra: Vec<(String, Tensor)> = read_safetensors(&path)?.into_iter().collect();
    Ok(Some(occupancy_of(&extra, rays)?.cells().to_vec()))
}

/// Density, then features: `exp(v - 1)` and as they are.
pub fn values(features: usize) -> Vec<Value> {
    let density = Value {
        name: "density".to_owned(),
        unit: String::new(),
        min: -1.0,
        max: 0.0,
        transform: Transform::Log,
    };
    let feature = |n: usize| Value {
        name: format!("feature{n}"),
        unit: String::new(),
        min: 0.0,
        max: 1.0,
        transform: Transform::Linear,
    };
    std::iter::once(density).chain((0..features).map(feature)).collect()
}

/// Puts the box of a configuration where a description lacks it.
pub fn place(description: &mut Description, aabb: &[f64; 6]) -> Result<()> {
    if description.axes.len() != 3 {
        bail!("a radiance field over {} axes, expected 3", description.axes.len());
    }
    for (k, axis) in description.axes.iter_mut().enumerate() {
        (axis.min, axis.max) = (aabb[k], aabb[k + 3]);
    }
    Ok(())
}
