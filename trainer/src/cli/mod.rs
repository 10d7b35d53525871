//! The command line: one module per verb, each a few calls into the library.

mod bake;
mod compare;
mod entry;
mod eval;
mod eval_scene;
mod flops;
mod importance;
mod info;
mod jobs;
mod query;
mod query_asked;
mod query_picture;
mod query_place;
mod render;
mod train;

use std::fmt::Display;
use std::io::{ErrorKind, Write};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};

use crate::libtorch;
use crate::progress::{Interrupted, catch_interrupts, say};

/// Train, bake and query neural-field surrogates of simulation ensembles.
///
/// The usual way: `train` learns a model from an ensemble of fields into a run's folder, `eval`
/// judges it on the held-out members, `bake` turns it into one small file, and any program asks
/// that file through libdrr (or here by `query`). `flops` tells beforehand what a model costs.
#[derive(Parser)]
#[command(name = "drr-train", version, max_term_width = 100, after_help = EXAMPLES)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

const EXAMPLES: &str = "\
Examples:
  drr-train train --config examples/cloverleaf3d/model.yaml --data data/cloverleaf3d-32 --out run
  drr-train eval run
  drr-train bake run --grid f16 -o energy.drr.safetensors
  drr-train info energy.drr.safetensors
  drr-train query energy.drr.safetensors --grid 32,32,32 \\
      --params State_1_Density_1=0.24,State_1_Energy_1=1.19,... -o energy.npy

`drr-train VERB --help` has more. Results go to standard output, progress to standard error.
Exit status: 0 success, 1 error, 2 wrong usage, 130 interrupted.";

#[derive(Subcommand)]
enum Verb {
    Train(train::Arguments),
    Eval(eval::Arguments),
    Bake(bake::Arguments),
    Query(query::Arguments),
    Render(render::Arguments),
    Info(info::InfoArguments),
    Validate(info::ValidateArguments),
    Flops(flops::Arguments),
    Importance(importance::Arguments),
    Jobs(jobs::Arguments),
    Compare(compare::Arguments),
}

/// The program.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let run = || {
        catch_interrupts()?;
        match arguments.verb {
            Verb::Train(arguments) => train::run(arguments),
            Verb::Eval(arguments) => eval::run(arguments),
            Verb::Bake(arguments) => bake::run(arguments),
            Verb::Query(arguments) => query::run(arguments),
            Verb::Render(arguments) => render::run(arguments),
            Verb::Info(arguments) => info::info(arguments),
            Verb::Validate(arguments) => info::validate(arguments),
            Verb::Flops(arguments) => flops::run(arguments),
            Verb::Importance(arguments) => importance::run(arguments),
            Verb::Jobs(arguments) => jobs::run(arguments),
            Verb::Compare(arguments) => compare::run(arguments),
        }
    };
    match libtorch::catch(run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is::<Interrupted>() => ExitCode::from(130),
        Err(error) => {
            say(&format!("drr-train: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Prints a result on a line of standard output. A reader that has seen enough is no error.
fn print(result: impl Display) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match writeln!(out, "{result}").and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written.context("cannot write to standard output"),
    }
}
