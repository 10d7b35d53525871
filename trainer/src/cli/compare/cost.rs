//! What a trained model costs: counted, and measured on this machine.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use drr::model::GridPrecision;
use drr::{Lattice, OpenOptions, Runtime, Sampler, SamplerOptions, Units, ValuesMut};
use tch::{Device, Kind, Tensor};

use crate::bake::{self, Decoder, Fold, Options};
use crate::cli::bake::bake_with;
use crate::eval::flops::{Counting, Flops, Sizes};
use crate::models::Network;
use crate::models::frozen::Frozen;
use crate::progress::{Progress, is_interrupted};
use crate::train::run::Run;

/// Queries that costs are given for, as in the paper.
pub const QUERIES: f64 = 1e9;

/// Points that are asked at a time: some models keep much for each.
const POINTS: usize = 1 << 14;

/// Points of a field that are measured, about; the rest takes as long.
const FIELD: usize = 1 << 19;

/// Times that are measured in libtorch at least, of which the median counts.
const LEAST: usize = 5;

/// How long is measured at most, but for [`LEAST`].
const LONG: Duration = Duration::from_millis(800);

/// Costs of [`QUERIES`] queries and of the model.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cost {
    /// Multiply-adds as the paper counts, refinement included.
    pub multiply_adds: Option<f64>,
    /// Trainable numbers.
    pub parameters: Option<u64>,
    /// Bytes of the baked file, or of the weights of a model that cannot be baked.
    pub bytes: Option<u64>,
    /// Whether there is a baked file.
    pub is_baked: bool,
    /// Seconds in libtorch, with refinement done before.
    pub libtorch_s: Option<f64>,
    /// Seconds in libdrr, from the baked file, on all cores.
    pub libdrr_s: Option<f64>,
    /// Seconds in libtorch for all points of one field in their order; of data on a lattice.
    pub libtorch_field_s: Option<f64>,
    /// The same in libdrr.
    pub libdrr_field_s: Option<f64>,
}

/// The cost of the model of a run, which is baked into `baked` if it can be.
///
/// # Errors
/// If the run cannot be read, or the user interrupts.
pub fn measure(run: &Run, baked: &Path, device: Device, progress: &Progress) -> Result<Cost> {
    let config = run.config()?;
    let weights = run.model_checkpoint()?.model();
    let flops = Flops::of_model(&config.model, Counting::Paper)?;
    let mut cost = Cost {
        multiply_adds: Some(flops.with_refinement(QUERIES as u64)? as f64),
        parameters: Some(Sizes::of_model(&config.model)?.total()?),
        ..Cost::default()
    };
    let model = config.model.of_ensemble()?;
    let (dims, parameters) = (model.dims(), model.parameters());
    let data = run.data()?;
    let field = data.points.is_none().then(|| Rows::of(&data.dims));
    if bake::obstacle(&config.model).is_none() {
        let options = Options {
            fold: Fold::Auto,
            compression: None,
            grid: GridPrecision::F16,
            decoder: Decoder::F32,
        };
        let bytes = bake_with(&config, &weights, data.description, &options, baked)?;
        (cost.bytes, cost.is_baked) = (Some(bytes), true);
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let runtime = Runtime::open(baked, &OpenOptions { threads, ..Default::default() })?;
        cost.libdrr_s = Some(libdrr(&runtime, dims, parameters, progress)?);
        let of_field = |field: &Rows| field.libdrr(&runtime, parameters);
        cost.libdrr_field_s = field.as_ref().map(of_field).transpose()?;
    } else {
        cost.bytes = Some(std::fs::metadata(&weights)?.len());
    }
    let network = Network::load_on(&config.model, &weights, device)?;
    let eager = Eager::new(&network, parameters, device);
    cost.libtorch_s = Some(eager.queries(dims));
    cost.libtorch_field_s = field.map(|field| eager.field(&field));
    Ok(cost)
}

/// A model in the functions of PyTorch.
struct Eager<'a> {
    network: &'a Network,
    frozen: Option<Frozen<'a>>,
    conditions: Tensor,
    device: Device,
}

impl<'a> Eager<'a> {
    fn new(network: &'a Network, parameters: usize, device: Device) -> Self {
        let conditions = Tensor::rand([1, parameters as i64], (Kind::Float, device));
        Self { network, frozen: network.encoded().map(Frozen::new), conditions, device }
    }

    /// Seconds of [`QUERIES`] at random points.
    fn queries(&self, dims: usize) -> f64 {
        let options = (Kind::Double, Device::Cpu);
        let points = Tensor::rand([POINTS as i64, dims as i64], options) * 2.0 - 1.0;
        let points = points.to_device(self.device);
        median_time(|| self.ask(&points)) / POINTS as f64 * QUERIES
    }

    /// Seconds of a field.
    fn field(&self, field: &Rows) -> f64 {
        let points = field.points().to_device(self.device);
        let pieces = points.split(POINTS as i64, 0);
        median_time(|| pieces.iter().for_each(|piece| self.ask(piece))) * field.times
    }

    fn ask(&self, points: &Tensor) {
        tch::no_grad(|| {
            let values = match &self.frozen {
                Some(model) => model.forward(points, &self.conditions),
                None => self.network.forward(points, &self.conditions),
            };
            // A GPU has finished when a result is here.
            let _ = values.get(0).get(0).get(0).double_value(&[]);
        });
    }
}

/// The first rows of a field on a lattice, as many as are measured.
struct Rows {
    /// Of the whole, x first.
    shape: Vec<usize>,
    /// Points along each axis that are measured: the last axis is cut short.
    measured: Vec<usize>,
    /// How many times as many the whole has.
    times: f64,
}

impl Rows {
    /// Of a field of this shape, slowest dimension first.
    fn of(dims: &[usize]) -> Self {
        let shape: Vec<usize> = dims.iter().rev().copied().collect();
        let (mut measured, last) = (shape.clone(), shape.len() - 1);
        let row = shape[..last].iter().product::<usize>();
        measured[last] = (FIELD / row.max(1)).clamp(1, shape[last]);
        let times = shape[last] as f64 / measured[last] as f64;
        Self { shape, measured, times }
    }

    /// Coordinates, `[points, dims]` in [-1, 1].
    fn points(&self) -> Tensor {
        let count = self.measured.iter().product::<usize>() as i64;
        let mut index = Tensor::arange(count, (Kind::Int64, Device::Cpu));
        let mut axes = Vec::new();
        for (&size, &measured) in self.shape.iter().zip(&self.measured) {
            let at = index.remainder(measured as i64).to_kind(Kind::Double);
            axes.push(at * (2.0 / (size.max(2) - 1) as f64) - 1.0);
            index = index.divide_scalar_mode(measured as i64, "floor");
        }
        Tensor::stack(&axes, 1)
    }

    /// Seconds of the library.
    fn libdrr(&self, runtime: &Arc<Runtime>, parameters: usize) -> Result<f64> {
        let options = SamplerOptions { units: Units::Normalized, ..Default::default() };
        let sampler = Sampler::new(runtime, &vec![0.4; parameters], &options)?;
        let mut lattice = Lattice { origin: [0.0; 3], spacing: [0.0; 3], dims: [1; 3] };
        for (k, (&size, &measured)) in self.shape.iter().zip(&self.measured).enumerate() {
            lattice.origin[k] = -1.0;
            lattice.spacing[k] = 2.0 / (size.max(2) - 1) as f64;
            lattice.dims[k] = measured;
        }
        let outputs = runtime.model().spec().outputs();
        let mut values = vec![0.0f32; self.measured.iter().product::<usize>() * outputs];
        let mut room = ValuesMut::packed(&mut values, outputs)?;
        // What can fail, fails here.
        sampler.query_lattice(&lattice, &mut room)?;
        Ok(self.times
            * median_time(|| {
                let _ = sampler.query_lattice(&lattice, &mut room);
            }))
    }
}

/// Seconds of the library, on all cores.
fn libdrr(
    runtime: &Arc<Runtime>,
    dims: usize,
    parameters: usize,
    progress: &Progress,
) -> Result<f64> {
    // Enough for all cores; they share pieces of a query.
    const MANY: usize = 1 << 18;
    let numbers = Tensor::rand([(MANY * dims) as i64], (Kind::Double, Device::Cpu)) * 2.0 - 1.0;
    let points = Vec::<f64>::try_from(&numbers)?;
    Ok(QUERIES / bake::points_per_second(runtime, &vec![0.4; parameters], &points, progress)?)
}

/// Median seconds of some repetitions, the first one left out.
fn median_time(mut work: impl FnMut()) -> f64 {
    work();
    let (mut times, began) = (Vec::new(), Instant::now());
    while times.len() < LEAST || (began.elapsed() < LONG && !is_interrupted()) {
        let each = Instant::now();
        work();
        times.push(each.elapsed().as_secs_f64());
    }
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
