//! `drr-train train`

use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use super::entry::EntryArguments;
use crate::config::PairsChoice;
use crate::data::Cuts;
use crate::libtorch;
use crate::memory::keep_freed_memory;
use crate::progress::Interrupted;
use crate::train::Resources;
use crate::train::ranks::Ranks;

/// Learn a model from an ensemble.
///
/// The configuration is YAML in the form of the reference's files: a list of entries, each with
/// `model` and, optionally, `optim`, `scheduler`, `dataset` and `train`. The data are a folder
/// with `params.csv` (columns `file`, `split`, then the parameters) and the field files that it
/// names, or the reference's `cond.npy`, `cond_split.npy` and raw files. Files are raw, NumPy, VTK
/// images, NetCDF, HDF5 or pictures, by their extension; `field.yaml` beside them has `variable`,
/// `dtype` and the like, and `coords`, a file of coordinates, for values at scattered points.
///
/// The run's folder explains itself: resolved configuration, log, metrics, checkpoints, loss
/// curve. Ctrl-C stores a checkpoint and stops; `--resume` goes on to the same result.
///
/// Under `mpirun`, processes share the points of each batch, or cut the fields and the model up,
/// each having a block (`--decompose`; docs/scaling.md). That takes a program built with the feature
/// `mpi`.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// Configuration file
    #[arg(long, value_name = "FILE.yaml", required_unless_present = "resume")]
    config: Option<PathBuf>,
    #[command(flatten)]
    entry: EntryArguments,
    /// Folder of the run; made, must be new or empty
    #[arg(long, value_name = "RUN", required_unless_present = "resume")]
    out: Option<PathBuf>,
    /// Go on with a run; only --data (if they moved), --device, --torch, --max-memory and --decompose
    /// may be given with it
    #[arg(long, value_name = "RUN", conflicts_with_all = [
        "config", "config_id", "out", "steps", "minutes", "lr", "batch_members", "batch_points", "seed",
        "pairs", "cache", "dims", "set",
    ])]
    resume: Option<PathBuf>,
    /// Steps of the optimiser [default: from the configuration, else 2000]
    #[arg(long, value_name = "N")]
    steps: Option<u64>,
    /// Train for so many minutes instead: a few steps are timed to see how many fit
    #[arg(long, value_name = "M", conflicts_with = "steps")]
    minutes: Option<f64>,
    /// Learning rate at the first step [default: from the configuration, else 1e-3]
    #[arg(long, value_name = "X")]
    lr: Option<f64>,
    /// Members of the ensemble in a batch [default: from the configuration, else 8]
    #[arg(long, value_name = "N")]
    batch_members: Option<usize>,
    /// Points of each member in a batch [default: from the configuration, else 4096]
    #[arg(long, value_name = "N")]
    batch_points: Option<usize>,
    /// Seed of everything random [default: from the configuration, else 0]
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u64).range(..=i64::MAX as u64))]
    seed: Option<u64>,
    /// cpu, cuda, cuda:N or auto [default: from the configuration, else auto]
    #[arg(long, value_name = "D")]
    device: Option<String>,
    /// Folder of an installed PyTorch 2.11.0 whose CUDA half is used on GPUs [default: DRR_TORCH, else
    /// that of python3]
    #[arg(long, value_name = "DIR")]
    torch: Option<PathBuf>,
    /// Memory in GiB for what a step keeps on its way; more is computed twice instead, in some 1.2
    /// times the time [default: no limit]
    #[arg(long, value_name = "GIB", value_parser = gibibytes)]
    max_memory: Option<usize>,
    /// Variational Pairs: move points, parameters or both by noise and learn interpolated values
    /// there [default: as the noise in the configuration says]
    #[arg(long, value_name = "WHERE", value_parser = PairsChoice::ALL.map(PairsChoice::name))]
    pairs: Option<String>,
    /// GiB of memory that fields may take; if they are more, training sees some of the members at a
    /// time, in turn [default: from the configuration, else half of what the machine has left]
    #[arg(long, value_name = "GIB")]
    cache: Option<f64>,
    /// Under mpirun: cut fields and grids into blocks, one for each process, that many along each axis,
    /// slowest first (4,2,1), or as is best for as many processes (auto)
    #[arg(long, value_name = "D,H,W")]
    decompose: Option<Cuts>,
}

const EXAMPLES: &str = "\
Examples:
  drr-train train --config model.yaml --data ensemble/ --out run --steps 5000 --lr 1e-3
  drr-train train --config drrnet.yaml --config-id 0 --out run --set dataset.param.data_dir=raw/ \\
      --set dataset.param.cond_path=cond.npy --set dataset.param.cond_split_path=split.npy
  drr-train train --config model.yaml --data ensemble/ --out run --pairs space --minutes 10
  drr-train train --resume run
  mpirun -n 4 drr-train train --config model.yaml --data ensemble/ --out run
  mpirun -n 8 drr-train train --config model.yaml --data large/ --out run --decompose 2,2,2";

/// # Errors
/// See [`crate::train`].
pub fn run(arguments: Arguments) -> Result<()> {
    keep_freed_memory();
    let ranks = Rc::new(Ranks::start()?);
    let result = libtorch::catch(|| train(arguments, &ranks));
    match (&result, ranks.name()) {
        (Err(error), Some(name)) if !error.is::<Interrupted>() => {
            // What went wrong for all is said by the first.
            if !ranks.is_first() {
                std::thread::sleep(Duration::from_secs(1));
            }
            eprintln!("drr-train: {name}: {error:#}");
            ranks.abort();
        }
        _ => {}
    }
    result
}

fn train(arguments: Arguments, ranks: &Rc<Ranks<'static>>) -> Result<()> {
    let resources = Resources {
        device: arguments.device.clone(),
        torch: arguments.torch.clone(),
        max_memory: arguments.max_memory,
        ranks: ranks.clone(),
        cuts: arguments.decompose.clone(),
    };
    if let Some(folder) = &arguments.resume {
        return crate::train::resume(folder, arguments.entry.data, &resources);
    }
    let entry = entry(&arguments)?;
    let out = arguments.out.as_deref().context("--out is missing")?;
    crate::train::start(&entry, out, &resources)
}

/// A number of GiB in bytes.
fn gibibytes(text: &str) -> Result<usize, String> {
    match text.parse::<f64>() {
        Ok(gib) if gib > 0.0 && gib < 1e6 => Ok((gib * (1u64 << 30) as f64) as usize),
        _ => Err("expected a number of GiB above 0".to_owned()),
    }
}

/// The configuration with what the command line says put over it.
fn entry(arguments: &Arguments) -> Result<Value> {
    let path = arguments.config.as_deref().context("--config is missing")?;
    let text = |value: Option<u64>| value.map(|n| n.to_string());
    let minutes = match arguments.steps {
        // What is asked for here goes before what the configuration says.
        Some(_) => Some("null".to_owned()),
        None => arguments.minutes.map(|minutes| minutes.to_string()),
    };
    arguments.entry.entry(
        path,
        &[
            ("train.steps", text(arguments.steps)),
            ("train.minutes", minutes),
            ("train.seed", text(arguments.seed)),
            ("train.device", arguments.device.clone()),
            ("optim.param.lr", arguments.lr.map(|lr| format!("{lr:e}"))),
            ("dataset.param.cond_batch", arguments.batch_members.map(|n| n.to_string())),
            ("dataset.param.batch_points", arguments.batch_points.map(|n| n.to_string())),
            ("dataset.param.pairs", arguments.pairs.clone()),
            ("dataset.param.cache_gib", arguments.cache.map(|gib| gib.to_string())),
        ],
    )
}
