//! Several processes that train together.

use std::process::{Command, Output};

use drr_train::models::checkpoint::read_safetensors;
use tch::Kind;

use super::scratch::Scratch;

/// Open MPI starts neither as root nor more processes than cores of its own accord, and spins.
pub const MPI: [&str; 4] = [
    "ALLOW_RUN_AS_ROOT",
    "ALLOW_RUN_AS_ROOT_CONFIRM",
    "MCA_rmaps_base_oversubscribe",
    "MCA_mpi_yield_when_idle",
];

/// The program as so many processes.
pub fn mpirun(ranks: usize, arguments: &[String]) -> Command {
    let mut command = Command::new("mpirun");
    command.args(["-n", &ranks.to_string(), env!("CARGO_BIN_EXE_drr-train")]).args(arguments);
    command.env("OMP_NUM_THREADS", "1");
    command.envs(MPI.map(|name| (format!("OMPI_{name}"), "1")));
    command
}

/// What came of it.
pub fn run(ranks: usize, arguments: &[String]) -> Output {
    mpirun(ranks, arguments).output().expect("mpirun")
}

/// What it said; it must succeed.
pub fn run_well(ranks: usize, arguments: &[String]) -> String {
    let output = run(ranks, arguments);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{ranks} ranks: {said}");
    said
}

/// Whether there is an `mpirun`.
pub fn is_there() -> bool {
    let found = Command::new("mpirun").arg("--version").output().is_ok();
    if !found {
        eprintln!("skipped: several processes (there is no mpirun)");
    }
    found
}

/// Losses of all reports.
pub fn losses(scratch: &Scratch, run: &str) -> Vec<f64> {
    let text = scratch.text(&format!("{run}/metrics.csv"));
    let loss = |row: &str| row.split(',').nth(1).and_then(|x| x.parse().ok()).expect("a loss");
    text.lines().skip(1).map(loss).collect()
}

/// Largest difference of the weights of two runs after their last steps, of the largest weight of
/// each tensor.
pub fn difference(scratch: &Scratch, runs: [&str; 2], step: u64) -> f64 {
    let [a, b] = runs.map(|run| {
        let path = format!("{run}/checkpoints/step-{step:08}/weights.safetensors");
        read_safetensors(&scratch.place(&path)).expect("weights")
    });
    assert!(a.keys().eq(b.keys()));
    let worst = a.iter().zip(b.values()).map(|((_, a), b)| {
        let largest = a.abs().max().to_kind(Kind::Double).double_value(&[]).max(1e-3);
        (a - b).abs().max().to_kind(Kind::Double).double_value(&[]) / largest
    });
    worst.fold(0.0, f64::max)
}

/// Adam makes steps of one size of gradients that are all but 0, so that rounding shows; with an
/// epsilon above it, it does not.
pub const STEADY: [&str; 2] = ["--set", "optim.param.eps=1e-4"];
