//! One measurement, in a process of its own: its memory is then its own, too.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use drr_train::config::OptimConfig;
use drr_train::memory::keep_freed_memory;
use drr_train::models::Hdinr;
use drr_train::train::adam::Adam;
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Reduction, Tensor};

use crate::eager::Eager;
use crate::machine::arithmetic::Arithmetic;
use crate::machine::peak::Peak;
use crate::workload::{Workload, tensors};

/// A way to do a training step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// drr-train: members share points, points come in blocks of this side.
    Ours { shared: bool, block: usize },
    /// PyTorch's eager functions, with the system's allocator as it is or as drr-train sets it.
    Eager { kept: bool },
}

/// The ways that are compared, drr-train's default first.
pub const WAYS: [(&str, Way); 5] = [
    ("drr-train", Way::Ours { shared: true, block: 2 }),
    ("drr-train, block=1", Way::Ours { shared: true, block: 1 }),
    ("drr-train, block=1, shared_points=false", Way::Ours { shared: false, block: 1 }),
    ("eager", Way::Eager { kept: false }),
    ("eager, freed memory kept", Way::Eager { kept: true }),
];

/// What was measured.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Measured {
    /// Seconds of a step.
    pub seconds: f64,
    /// Peak memory of the process in bytes, without that of the ensemble.
    pub memory: f64,
    /// Operations per second that this machine can do, measured just before.
    pub peak: f64,
}

/// Steps for at least `seconds`, after one that is not counted.
///
/// # Errors
/// If the workload cannot be made.
pub fn measure(workload: &Workload, way: Way, seconds: f64) -> Result<Measured> {
    if !matches!(way, Way::Eager { kept: false }) {
        keep_freed_memory();
    }
    let threads = tch::get_num_threads().max(1) as usize;
    let peak = Peak::new(Arithmetic::F32).measure(threads);
    let config = workload.config()?;
    let ensemble = workload.ensemble();
    let model = Hdinr::new(&config, Device::Cpu, 1)?;
    let before = peak_memory()?;
    let betas = (0.9, 0.999);
    let optim = OptimConfig { lr: 1e-4, eps: 1e-15, betas, weight_decay: 0.0, groups: Vec::new() };
    let mut adam = Adam::new(&model.parameters, &optim)?;
    let (shared, block) = match way {
        Way::Ours { shared, block } => (shared, block),
        Way::Eager { .. } => (false, 1),
    };
    let plan = workload.plan(shared, block);
    let eager = Eager::new(&model, &config);
    let mut step = |n: u64| -> Result<Duration> {
        let start = Instant::now();
        let [points, conditions, targets] = tensors(&plan.batch(n, &ensemble)?, shared);
        adam.zero_grad();
        let rest = match way {
            Way::Ours { .. } => {
                model.forward(&points, &conditions).mse_loss(&targets, Reduction::Mean).backward();
                Duration::ZERO
            }
            Way::Eager { .. } => {
                eager_step(&eager, workload.slabs, [&points, &conditions, &targets])
            }
        };
        adam.step(|lr| lr);
        Ok(start.elapsed() + rest)
    };
    step(0)?;
    let (mut steps, mut total) = (0u64, Duration::ZERO);
    let start = Instant::now();
    while steps == 0 || start.elapsed().as_secs_f64() < seconds {
        steps += 1;
        total += step(steps)?;
    }
    let seconds = total.as_secs_f64() / steps as f64;
    Ok(Measured { seconds, memory: peak_memory()? - before, peak })
}

/// Forward and backward; returns the time of the vertices that were left out.
fn eager_step(
    eager: &Eager,
    slabs: usize,
    [points, conditions, targets]: [&Tensor; 3],
) -> Duration {
    if slabs == 1 {
        let refined = eager.refine(1);
        let values = eager.query(&refined, points, conditions);
        values.mse_loss(targets, Reduction::Mean).backward();
        return Duration::ZERO;
    }
    // One slab's cost stands for that of the others; the interpolation has the whole grid.
    let start = Instant::now();
    let slab = eager.refine(slabs);
    slab.sum(Kind::Float).backward();
    let refining = start.elapsed();
    let whole = slab.detach().repeat([slabs as i64, 1]).set_requires_grad(true);
    let values = eager.query(&whole, points, conditions);
    values.mse_loss(targets, Reduction::Mean).backward();
    refining * (slabs as u32 - 1)
}

/// Largest resident memory of this process so far, in bytes.
fn peak_memory() -> Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")
        .context("peak memory is read from /proc/self/status, which is not there")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<f64>().ok());
    Ok(kib.context("/proc/self/status has no VmHWM")? * 1024.0)
}
