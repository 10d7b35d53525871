//! What `drr-train query` asks: a baked file on the CPU or a GPU, or a model with its weights.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use drr::model::spec::{Axis, Parameter, Spec, Transform, Value};
use drr::{
    DeviceModel, DeviceOptions, DeviceSampler, Lattice, OpenOptions, Points, Runtime, Sampler,
    SamplerOptions, ValuesMut,
};

use crate::bake::Description;
use crate::config::{self, Config};
use crate::models::Network;

/// What can be asked, and what it is called.
pub struct Asked {
    /// x first.
    pub axes: Vec<Axis>,
    /// In the order of their values.
    pub parameters: Vec<Parameter>,
    /// The values of a point.
    pub values: Vec<Value>,
    answers: Answers,
}

enum Answers {
    Cpu(Arc<Runtime>),
    Gpu(Arc<DeviceModel>),
    Weights(Network),
}

/// The same for one set of parameters.
pub enum Bound<'a> {
    Cpu(Sampler),
    Gpu(DeviceSampler),
    Weights(&'a Network, Vec<f64>),
}

impl Asked {
    /// A baked file; `device` is `cpu`, `cuda` or `cuda:N`.
    ///
    /// # Errors
    /// If the file is none, or the device is not there or cannot run it.
    pub fn baked(file: &Path, device: &str) -> Result<Self> {
        let ordinal = ordinal(device)?;
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let runtime = Runtime::open(file, &OpenOptions { threads, ..Default::default() })?;
        let Spec { axes, parameters, values, .. } = runtime.model().spec().clone();
        let answers = match ordinal {
            None => Answers::Cpu(runtime),
            Some(ordinal) => Answers::Gpu(
                DeviceModel::new(&runtime, ordinal, &DeviceOptions::default())
                    .with_context(|| format!("--device {device}"))?,
            ),
        };
        Ok(Self { axes, parameters, values, answers })
    }

    /// The model of entry `id` of a configuration with weights, in normalised units.
    ///
    /// # Errors
    /// If they cannot be read or do not fit each other.
    pub fn weights(file: &Path, id: usize, weights: &Path) -> Result<Self> {
        let config = Config::from_value(&config::load_entry(file, id)?)?;
        let network = Network::load(&config.model, weights)?;
        let outputs = config.model.of_ensemble()?.out_dim();
        let Description { axes, parameters, .. } = Description::of_config(&config);
        let value = |name: String| Value {
            name,
            unit: String::new(),
            min: 0.0,
            max: 1.0,
            transform: Transform::Linear,
        };
        let values = match outputs {
            1 => vec![value("value".to_owned())],
            _ => (0..outputs).map(|k| value(format!("value{k}"))).collect(),
        };
        Ok(Self { axes, parameters, values, answers: Answers::Weights(network) })
    }

    /// Binds it to parameters.
    ///
    /// # Errors
    /// Those of the library.
    pub fn bind(&self, parameters: &[f64], options: &SamplerOptions) -> Result<Bound<'_>> {
        Ok(match &self.answers {
            Answers::Cpu(runtime) => Bound::Cpu(Sampler::new(runtime, parameters, options)?),
            Answers::Gpu(there) => Bound::Gpu(DeviceSampler::new(there, parameters, options)?),
            Answers::Weights(network) => {
                ensure!(
                    parameters.iter().all(|p| (0.0..=1.0).contains(p)),
                    "parameters {parameters:?}: normalised ones are from 0 to 1"
                );
                Bound::Weights(network, parameters.to_vec())
            }
        })
    }
}

impl Bound<'_> {
    /// Values at packed points, x first.
    ///
    /// # Errors
    /// Those of the library.
    pub fn query(&self, points: &[f64], dims: usize, values: &mut [f32]) -> drr::Result<()> {
        let outputs = values.len() * dims / points.len().max(1);
        let room = |values| ValuesMut::packed(values, outputs.max(1));
        match self {
            Self::Cpu(sampler) => sampler.query(&Points::packed(points, dims)?, &mut room(values)?),
            Self::Gpu(sampler) => {
                sampler.query_host(&Points::packed(points, dims)?, &mut room(values)?)
            }
            Self::Weights(network, parameters) => {
                network.predict(points, dims, parameters, values);
                Ok(())
            }
        }
    }

    /// Values at the points of a lattice.
    ///
    /// # Errors
    /// Those of the library.
    pub fn query_lattice(
        &self,
        lattice: &Lattice,
        (dims, outputs): (usize, usize),
        values: &mut [f32],
    ) -> drr::Result<()> {
        match self {
            Self::Cpu(sampler) => {
                sampler.query_lattice(lattice, &mut ValuesMut::packed(values, outputs)?)
            }
            Self::Gpu(sampler) => {
                sampler.query_lattice_host(lattice, &mut ValuesMut::packed(values, outputs)?)
            }
            Self::Weights(network, parameters) => {
                let [nx, ny, nz] = lattice.dims;
                let indices = (0..nx * ny * nz).map(|n| [n % nx, n / nx % ny, n / nx / ny]);
                let at = |k: usize, i: usize| lattice.origin[k] + i as f64 * lattice.spacing[k];
                let points: Vec<f64> =
                    indices.flat_map(|index| (0..dims).map(move |k| at(k, index[k]))).collect();
                network.predict(&points, dims, parameters, values);
                Ok(())
            }
        }
    }
}

/// The number of the GPU that `--device` names; none for the CPU.
fn ordinal(name: &str) -> Result<Option<u32>> {
    match name {
        "cpu" => Ok(None),
        "cuda" => Ok(Some(0)),
        _ => (name.strip_prefix("cuda:").and_then(|number| number.parse().ok()))
            .with_context(|| format!("--device {name}: expected cpu, cuda or cuda:N"))
            .map(Some),
    }
}
