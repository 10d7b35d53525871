//! What a trained model costs: counted, and measured on this machine.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use drr::model::GridPrecision;
use drr::{OpenOptions, Runtime};
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
    if bake::obstacle(&config.model).is_none() {
        let options = Options {
            fold: Fold::Auto,
            compression: None,
            grid: GridPrecision::F16,
            decoder: Decoder::F32,
        };
        let bytes = bake_with(&config, &weights, run.data()?.description, &options, baked)?;
        (cost.bytes, cost.is_baked) = (Some(bytes), true);
        cost.libdrr_s = Some(libdrr(baked, dims, parameters, progress)?);
    } else {
        cost.bytes = Some(std::fs::metadata(&weights)?.len());
    }
    let network = Network::load_on(&config.model, &weights, device)?;
    cost.libtorch_s = Some(libtorch(&network, dims, parameters, device));
    Ok(cost)
}

/// Seconds in the functions of PyTorch.
fn libtorch(network: &Network, dims: usize, parameters: usize, device: Device) -> f64 {
    let options = (Kind::Double, Device::Cpu);
    let points = Tensor::rand([POINTS as i64, dims as i64], options) * 2.0 - 1.0;
    let points = points.to_device(device);
    let conditions = Tensor::rand([1, parameters as i64], (Kind::Float, device));
    let frozen = network.encoded().map(Frozen::new);
    tch::no_grad(|| {
        median_time(|| {
            let values = match &frozen {
                Some(model) => model.forward(&points, &conditions),
                None => network.forward(&points, &conditions),
            };
            // A GPU has finished when a result is here.
            let _ = values.get(0).get(0).get(0).double_value(&[]);
        })
    }) / POINTS as f64
        * QUERIES
}

/// Seconds of the library, on all cores.
fn libdrr(file: &Path, dims: usize, parameters: usize, progress: &Progress) -> Result<f64> {
    // Enough for all cores; they share pieces of a query.
    const MANY: usize = 1 << 18;
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let runtime = Runtime::open(file, &OpenOptions { threads, ..Default::default() })?;
    let numbers = Tensor::rand([(MANY * dims) as i64], (Kind::Double, Device::Cpu)) * 2.0 - 1.0;
    let points = Vec::<f64>::try_from(&numbers)?;
    Ok(QUERIES / bake::points_per_second(&runtime, &vec![0.4; parameters], &points, progress)?)
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
