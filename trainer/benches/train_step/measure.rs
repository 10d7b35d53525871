//! One measurement, in a process of its own: its memory is then its own, too.

use std::process::Command;
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
    /// drr-train: members share points, points come in blocks of this side, products in 16 bits or
    /// not.
    Ours { shared: bool, block: usize, half: bool },
    /// PyTorch's eager functions, with the system's allocator as it is or as drr-train sets it, under
    /// autocast to 16 bits or not.
    Eager { kept: bool, half: bool },
}

/// The ways that are compared on CPUs, drr-train's default first.
pub const ON_CPU: [(&str, Way); 5] = [
    ("drr-train", Way::Ours { shared: true, block: 2, half: false }),
    ("drr-train, block=1", Way::Ours { shared: true, block: 1, half: false }),
    ("drr-train, block=1, shared_points=false", Way::Ours { shared: false, block: 1, half: false }),
    ("eager", Way::Eager { kept: false, half: false }),
    ("eager, freed memory kept", Way::Eager { kept: true, half: false }),
];

/// The ways that are compared on GPUs.
pub const ON_GPU: [(&str, Way); 5] = [
    ("drr-train, bf16", Way::Ours { shared: true, block: 2, half: true }),
    ("drr-train, f32", Way::Ours { shared: true, block: 2, half: false }),
    ("drr-train, bf16, shared_points=false", Way::Ours { shared: false, block: 2, half: true }),
    ("eager, autocast", Way::Eager { kept: false, half: true }),
    ("eager, f32", Way::Eager { kept: false, half: false }),
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

/// Steps on `device` for at least `seconds`, after one that is not counted.
///
/// # Errors
/// If the workload cannot be made.
pub fn measure(workload: &Workload, way: Way, device: Device, seconds: f64) -> Result<Measured> {
    if !matches!(way, Way::Eager { kept: false, .. }) {
        keep_freed_memory();
    }
    let threads = tch::get_num_threads().max(1) as usize;
    let peak = Peak::new(Arithmetic::F32).measure(threads);
    let config = workload.config()?;
    let ensemble = workload.ensemble();
    let mut model = Hdinr::new(&config, device, 1)?;
    let before = peak_memory(device)?;
    let betas = (0.9, 0.999);
    let optim = OptimConfig {
        lr: 1e-4,
        eps: 1e-15,
        betas,
        weight_decay: 0.0,
        decoupled: false,
        groups: Vec::new(),
    };
    let mut adam = Adam::new(&model.parameters, &optim)?;
    let (shared, block, half) = match way {
        Way::Ours { shared, block, half } => (shared, block, half),
        Way::Eager { half, .. } => (false, 1, half),
    };
    if half && matches!(way, Way::Ours { .. }) {
        model.compute_in(Kind::BFloat16);
    }
    let plan = workload.plan(shared, block);
    let eager = Eager::new(&model, &config);
    let mut step = |n: u64| -> Result<Duration> {
        let start = Instant::now();
        let [points, conditions, targets] = tensors(&plan.batch(n, &ensemble)?, shared, device);
        adam.zero_grad();
        let rest = match way {
            Way::Ours { .. } => {
                model.forward(&points, &conditions).mse_loss(&targets, Reduction::Mean).backward();
                Duration::ZERO
            }
            Way::Eager { .. } => {
                let given = [&points, &conditions, &targets];
                tch::autocast(half, || eager_step(&eager, workload.slabs, given))
            }
        };
        adam.step(|lr| lr);
        synchronize(device);
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
    Ok(Measured { seconds, memory: peak_memory(device)? - before, peak })
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
    synchronize(slab.device());
    let refining = start.elapsed();
    let whole = slab.detach().repeat([slabs as i64, 1]).set_requires_grad(true);
    let values = eager.query(&whole, points, conditions);
    values.mse_loss(targets, Reduction::Mean).backward();
    refining * (slabs as u32 - 1)
}

/// Waits for a GPU.
fn synchronize(device: Device) {
    if let Device::Cuda(ordinal) = device {
        tch::Cuda::synchronize(ordinal as i64);
    }
}

/// Largest memory of this process so far, in bytes: resident, or on the GPU.
fn peak_memory(device: Device) -> Result<f64> {
    if device != Device::Cpu {
        return memory_on_gpu();
    }
    let status = std::fs::read_to_string("/proc/self/status")
        .context("peak memory is read from /proc/self/status, which is not there")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<f64>().ok());
    Ok(kib.context("/proc/self/status has no VmHWM")? * 1024.0)
}

/// What the driver says of this process: libtorch keeps what it once had, so that this is its peak.
fn memory_on_gpu() -> Result<f64> {
    let query = ["--query-compute-apps=pid,used_memory", "--format=csv,noheader,nounits"];
    let output =
        Command::new("nvidia-smi").args(query).output().context("cannot run nvidia-smi")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let own = std::process::id().to_string();
    let rows = text.lines().filter_map(|line| line.split_once(','));
    // In containers processes have other numbers: a process that is alone is this one.
    let mut mib = rows.clone().find(|(pid, _)| pid.trim() == own).map(|(_, mib)| mib);
    if mib.is_none() && rows.clone().count() == 1 {
        mib = rows.clone().next().map(|(_, mib)| mib);
    }
    let mib = mib.and_then(|mib| mib.trim().parse::<f64>().ok());
    Ok(mib.map_or(f64::NAN, |mib| mib * f64::from(1 << 20)))
}
