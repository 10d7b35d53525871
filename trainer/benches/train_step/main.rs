//! Training steps, measured: drr-train, the same network as PyTorch's eager functions compute it, and
//! what this machine's arithmetic allows.
//!
//! `make bench-training` runs it. Modules: `workload` (networks and data), `eager` (the competitor),
//! `measure` (one measurement, in a process of its own), `machine` (the limit).

mod eager;
#[path = "../machine/mod.rs"]
// Bandwidth is measured by another benchmark.
#[allow(dead_code)]
mod machine;
mod measure;
mod workload;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use drr_train::config::ModelConfig;
use drr_train::eval::flops::{Counting, Flops};

use measure::{Measured, ON_CPU, ON_GPU, Way, measure};
use workload::{WORKLOADS, Workload};

/// Measures training steps per second and memory of drr-train and of PyTorch's eager functions on the
/// same network, in turns, each in a process of its own.
#[derive(Parser)]
#[command(name = "train_step", max_term_width = 100)]
struct Arguments {
    /// Rounds; the medians count
    #[arg(long, value_name = "N", default_value_t = 5)]
    rounds: usize,
    /// Seconds of each measurement
    #[arg(long, value_name = "S", default_value_t = 8.0)]
    seconds: f64,
    /// Threads of libtorch
    #[arg(long, value_name = "N", default_value_t = 1)]
    threads: usize,
    /// cpu, or cuda:N with the CUDA half of an installed PyTorch
    #[arg(long, value_name = "D", default_value = "cpu")]
    device: String,
    /// Folder of that PyTorch [default: that of python3]
    #[arg(long, value_name = "DIR")]
    torch: Option<PathBuf>,
    /// Only this network
    #[arg(long, value_name = "NAME", value_parser = WORKLOADS.map(|workload| workload.name))]
    model: Option<String>,
    /// A single measurement, as JSON: index of the way
    #[arg(long, hide = true, requires = "model")]
    way: Option<usize>,
    /// What cargo passes to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("train_step: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    ensure!(arguments.rounds > 0, "--rounds 0: expected 1 or more");
    if let (Some(way), Some(model)) = (arguments.way, &arguments.model) {
        let (_, way) = ways(arguments).get(way).context("no such way")?;
        let device = drr_train::device::parse(&arguments.device, arguments.torch.as_deref())?;
        let measured = measure(Workload::named(model)?, *way, device, arguments.seconds)?;
        println!("{}", serde_json::to_string(&measured)?);
        return Ok(());
    }
    let wanted =
        |workload: &&Workload| arguments.model.as_ref().is_none_or(|model| model == workload.name);
    WORKLOADS.iter().filter(wanted).try_for_each(|workload| contest(workload, arguments))
}

/// What is compared.
fn ways(arguments: &Arguments) -> &'static [(&'static str, Way)] {
    if arguments.device == "cpu" { &ON_CPU } else { &ON_GPU }
}

/// All ways on one workload, as a table.
fn contest(workload: &Workload, arguments: &Arguments) -> Result<()> {
    let ways = ways(arguments);
    let mut all = vec![Vec::new(); ways.len()];
    for round in 0..arguments.rounds {
        for (way, measured) in all.iter_mut().enumerate() {
            eprint!("\r{}: round {} of {}  ", workload.name, round + 1, arguments.rounds);
            measured.push(in_process(workload, way, arguments)?);
        }
    }
    eprintln!();
    let of = |way: &[Measured], f: fn(&Measured) -> f64| median(way.iter().map(f).collect());
    let peak = median(all.iter().flatten().map(|measured| measured.peak).collect());
    let eager_work = dense_operations(workload)?;
    println!(
        "\n{}: {} members x {} points of {}^3 samples on {}, {} thread(s); peak of the CPU {:.0} \
         GFLOP/s; a dense step is {:.1} GFLOP",
        workload.name,
        workload.members,
        workload.points,
        workload.side,
        arguments.device,
        arguments.threads,
        peak * 1e-9,
        eager_work * 1e-9
    );
    println!(
        "{:42} {:>8} {:>15} {:>8} {:>10} {:>20}",
        "", "steps/s", "least to most", "M pt/s", "memory", "dense work / peak"
    );
    let default = 1.0 / of(&all[0], |m| m.seconds);
    for ((name, _), measured) in ways.iter().zip(&all) {
        let mut rates: Vec<f64> = measured.iter().map(|m| 1.0 / m.seconds).collect();
        rates.sort_by(f64::total_cmp);
        let rate = median(rates.clone());
        let estimated = name.starts_with("eager") && workload.slabs > 1;
        println!(
            "{name:42} {rate:8.3} {:>15} {:8.3} {:>10} {:>20}{}",
            format!("{:.3}-{:.3}", rates[0], rates[rates.len() - 1]),
            rate * (workload.members * workload.points) as f64 * 1e-6,
            format!(
                "{}{:.2} GiB",
                if estimated { ">" } else { "" },
                of(measured, |m| m.memory) / GIB
            ),
            format!("{:.2}", rate * eager_work / peak),
            if name.starts_with("eager") {
                format!("   drr-train: {:.1} x", default / rate)
            } else {
                String::new()
            },
        );
    }
    if workload.slabs > 1 {
        println!(
            "eager refines 1/{} of the vertices, whose time counts for all: their memory would not fit",
            workload.slabs
        );
    }
    Ok(())
}

const GIB: f64 = (1u64 << 30) as f64;

fn in_process(workload: &Workload, way: usize, arguments: &Arguments) -> Result<Measured> {
    let threads = arguments.threads.to_string();
    let output = Command::new(std::env::current_exe()?)
        .args(["--model", workload.name, "--way", &way.to_string()])
        .args(["--seconds", &arguments.seconds.to_string(), "--device", &arguments.device])
        .args(arguments.torch.iter().flat_map(|torch| [Path::new("--torch"), torch]))
        .env("OMP_NUM_THREADS", &threads)
        .output()?;
    ensure!(
        output.status.success(),
        "{}, {}: {}",
        workload.name,
        ways(arguments)[way].0,
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).context("a measurement was not understood")
}

/// Operations of a step that refines all vertices: forward, and twice that backward.
fn dense_operations(workload: &Workload) -> Result<f64> {
    let flops = Flops::of_model(&ModelConfig::Hdinr(workload.config()?), Counting::Corners)?;
    let points = (workload.members * workload.points) as f64;
    let forward = flops.refinement.total()? as f64 + points * flops.query.total()? as f64;
    Ok(6.0 * forward)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let n = values.len();
    (values[(n - 1) / 2] + values[n / 2]) / 2.0
}
