//! Where the features of vertices come from: a trained model, or a file that was baked before.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use drr::model::spec::LayerPrecision;
use drr::model::{Checksums, GridData, GridPrecision, GridValues, Model, Scaling, Storage};
use drr::{Kernel, Runtime};
use serde_json::{Map, Value};
use tch::Tensor;

use super::form::{Dense, Form, tensor};
use super::radiance::Head;

/// A model whose vertices can be visited.
pub trait Source {
    /// The model as it is: nothing is done to its features.
    ///
    /// # Errors
    /// If its description is inconsistent.
    fn form(&self) -> Result<Form>;

    /// Features of vertices `start` to `start + count` of grid `n` in row-major order,
    /// `[count, channels]`, 64-bit.
    fn features(&self, n: usize, start: usize, count: usize) -> Tensor;

    /// What visiting a vertex is, for progress bars.
    fn verb(&self) -> &'static str;

    /// The file, if it is one.
    fn as_file(&self) -> Option<&Baked>;
}

/// A baked file, open.
#[derive(Clone)]
pub struct Baked {
    runtime: Arc<Runtime>,
    provenance: Map<String, Value>,
}

impl Baked {
    /// Opens a file to bake it again.
    ///
    /// # Errors
    /// If it is no valid baked file, or its decoder was rounded already.
    pub fn open(path: &Path, checksums: Checksums) -> Result<Self> {
        let model = Model::open(path, Storage::Mapped, checksums)?;
        let rounded = |layer: &drr::model::spec::Layer| layer.precision != LayerPrecision::F32;
        ensure!(
            !model.spec().layers.iter().any(rounded),
            "{}: its layers are rounded already; bake the file that it was made from, or the run",
            path.display()
        );
        let mut provenance = model.spec().provenance.clone();
        // What an earlier bake lost is no loss of the next one.
        if let Some(before) = provenance.remove("compression") {
            provenance.insert("compression_before".into(), before);
        }
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let runtime = Runtime::new(model, Kernel::choose()?, threads)
            .with_context(|| format!("cannot open {}", path.display()))?;
        Ok(Self { runtime, provenance })
    }

    /// What answers queries for it.
    pub fn runtime(&self) -> &Arc<Runtime> {
        &self.runtime
    }

    /// The open file.
    pub fn model(&self) -> &Model {
        self.runtime.model()
    }

    /// Sets an entry of what the next file says about its origin.
    pub fn set_provenance(&mut self, key: &str, value: Value) {
        self.provenance.insert(key.into(), value);
    }

    /// Adds the features of a vertex of grid `n`, times `weight`, to `sums`.
    pub fn add_features(&self, n: usize, vertex: usize, weight: f64, sums: &mut [f64]) {
        add_row(&self.model().grid(n), vertex, weight, sums);
    }

    /// Precision of the grids, the least one.
    pub fn precision(&self) -> GridPrecision {
        let grids = (0..self.model().spec().grids.len()).map(|n| self.model().grid_precision(n));
        grids.min_by_key(|precision| precision.bytes()).unwrap_or(GridPrecision::F32)
    }
}

impl Source for Baked {
    fn form(&self) -> Result<Form> {
        let model = self.model();
        let mut spec = model.spec().clone();
        spec.provenance = self.provenance.clone();
        let lines = (spec.lines.iter().enumerate())
            .map(|(n, line)| tensor(model.line(n), &[line.vertices, line.features]))
            .collect();
        let layers = (spec.layers.iter().zip(model.layers()))
            .map(|(layer, numbers)| Dense {
                weight: tensor(&numbers.weight, &[layer.outputs, layer.inputs]),
                bias: tensor(&numbers.bias, &[layer.outputs]),
            })
            .collect();
        let input_bias = model.input_bias().map(|bias| tensor(bias, &[bias.len()]));
        let maps = spec.grids.iter().map(|_| None).collect();
        let head = Head::of_file(model);
        Ok(Form { spec, maps, lines, input_bias, layers, head })
    }

    fn features(&self, n: usize, start: usize, count: usize) -> Tensor {
        let channels = self.model().spec().grids[n].channels;
        let data = self.model().grid(n);
        let mut features = vec![0.0f64; count * channels];
        for (vertex, row) in features.chunks_exact_mut(channels).enumerate() {
            add_row(&data, start + vertex, 1.0, row);
        }
        Tensor::from_slice(&features).view([count as i64, channels as i64])
    }

    fn verb(&self) -> &'static str {
        "reading"
    }

    fn as_file(&self) -> Option<&Baked> {
        Some(self)
    }
}

/// Adds a vertex's features times `weight` to `sums`, `[channels]`.
fn add_row(data: &GridData<'_>, vertex: usize, weight: f64, sums: &mut [f64]) {
    let row = vertex * data.row..vertex * data.row + sums.len();
    match data.values {
        GridValues::F32(values) => {
            let row = sums.iter_mut().zip(&values[row]);
            row.for_each(|(sum, &x)| *sum += weight * f64::from(x));
        }
        GridValues::F16(values) => {
            let row = sums.iter_mut().zip(&values[row]);
            row.for_each(|(sum, &x)| *sum += weight * x.to_f64());
        }
        GridValues::I8(values, Scaling { scale, zero }) => {
            let row = sums.iter_mut().zip(&values[row]).zip(scale.iter().zip(zero));
            row.for_each(|((sum, &q), (&scale, &zero))| {
                *sum += weight * (f64::from(zero) + f64::from(scale) * f64::from(q));
            });
        }
    }
}
