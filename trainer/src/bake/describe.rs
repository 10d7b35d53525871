//! What a baked file says about its data: axes, parameters, values, where it comes from.

use anyhow::{Result, bail, ensure};
use drr::model::spec::{Axis, Parameter, Transform, Value};
use serde::{Deserialize, Serialize};
use serde_json::Map;

use crate::config::{Config, DatasetConfig, ModelConfig, Normalize};
use crate::data::Ensemble;

/// The part of a baked file's description that training data know and a checkpoint does not.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Description {
    /// x first.
    pub axes: Vec<Axis>,
    /// In the order of the lines.
    pub parameters: Vec<Parameter>,
    /// Components of the field; empty if the data did not say.
    pub values: Vec<Value>,
    /// Free form.
    pub provenance: Map<String, serde_json::Value>,
}

impl Description {
    /// From the data that a model was trained on.
    pub fn of(ensemble: &Ensemble) -> Self {
        let parameters = ensemble.parameters.iter().map(|p| Parameter {
            name: p.name.clone(),
            unit: p.unit.clone(),
            min: p.min,
            // A parameter that never changes has an empty range, which a file may not have.
            max: if p.max > p.min { p.max } else { p.min + p.min.abs().max(1.0) },
        });
        let n = &ensemble.normalization;
        let transform = if n.log { Transform::Log } else { Transform::Linear };
        let values = ensemble.values.iter().map(|v| Value {
            name: v.name.clone(),
            unit: v.unit.clone(),
            min: n.min,
            max: n.max,
            transform,
        });
        Self {
            axes: ensemble.axes.clone(),
            parameters: parameters.collect(),
            values: values.collect(),
            provenance: Map::new(),
        }
    }

    /// From a configuration alone: normalised axes and parameters without names.
    pub fn of_config(config: &Config) -> Self {
        let (dims, parameters) = match &config.model {
            ModelConfig::Hdinr(model) => (model.encoder.dims(), model.latent.cond_dim),
            ModelConfig::Inr(model) => (model.spatial.encoder.dims(), 0),
            ModelConfig::Radiance(_) => (3, 0),
            ModelConfig::Baseline(model) => (model.dims(), model.inputs() - model.dims()),
        };
        let axis =
            |name: &str| Axis { name: name.into(), unit: String::new(), min: -1.0, max: 1.0 };
        let parameter =
            |d| Parameter { name: format!("p{d}"), unit: String::new(), min: 0.0, max: 1.0 };
        Self {
            axes: ["x", "y", "z"][..dims].iter().copied().map(axis).collect(),
            parameters: (0..parameters).map(parameter).collect(),
            values: values_of(&config.dataset),
            provenance: Map::new(),
        }
    }

    /// Checks that a model of these data takes the numbers of `others` for the same: axes,
    /// parameters and values have the same ranges.
    ///
    /// # Errors
    /// The first difference.
    pub fn check_scales(&self, others: &Self) -> Result<()> {
        let scales = |description: &Self| -> Vec<String> {
            let axes = (description.axes.iter())
                .map(|a| format!("axis {} from {} to {}", a.name, a.min, a.max));
            let parameters = (description.parameters.iter())
                .map(|p| format!("parameter {} from {} to {}", p.name, p.min, p.max));
            let values = (description.values.iter())
                .map(|v| format!("values from {} to {} ({:?})", v.min, v.max, v.transform));
            axes.chain(parameters).chain(values).collect()
        };
        let (own, others) = (scales(self), scales(others));
        match own.iter().zip(&others).find(|(own, other)| own != other) {
            Some((own, other)) => bail!("given {other}, expected {own}"),
            None if own.len() != others.len() => {
                bail!("given {} axes, parameters and values, expected {}", others.len(), own.len())
            }
            None => Ok(()),
        }
    }

    /// One value per output of the model.
    ///
    /// # Errors
    /// If the data have another number of components.
    pub fn values_for(&self, outputs: usize) -> Result<Vec<Value>> {
        if self.values.len() == outputs {
            return Ok(self.values.clone());
        }
        ensure!(
            self.values.len() <= 1,
            "the data have {} components, the model gives {outputs}",
            self.values.len()
        );
        let base = self.values.first().cloned().unwrap_or(Value {
            name: "value".into(),
            unit: String::new(),
            min: 0.0,
            max: 1.0,
            transform: Transform::Linear,
        });
        let numbered = |k| Value { name: format!("{}{k}", base.name), ..base.clone() };
        Ok((0..outputs).map(numbered).collect())
    }
}

fn values_of(dataset: &DatasetConfig) -> Vec<Value> {
    let range = match dataset.normalize {
        Normalize::MinMax => dataset.data_min.zip(dataset.data_max),
        Normalize::Standard => {
            dataset.data_mean.zip(dataset.data_std).map(|(mean, std)| (mean, mean + std))
        }
    };
    let Some((min, max)) = range else { return Vec::new() };
    let transform = if dataset.use_logdata { Transform::Log } else { Transform::Linear };
    vec![Value { name: "value".into(), unit: String::new(), min, max, transform }]
}
