//! `drr-train bake`

mod origin;

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::ValueEnum;
use drr::model::GridPrecision;

use super::print;
use crate::bake::{
    self, Compression, Decoder, Description, Fold, Measured, Options, Outcome, report,
};
use crate::config::Config;
use crate::progress::Progress;
use origin::Origin;

/// Turn a trained model into one small file for libdrr.
///
/// The refiner runs once at every vertex, in 64-bit arithmetic and in chunks, so that memory stays
/// far below the size of the grids. Files that were baked with 32-bit grids and layers can be baked
/// again: that needs no checkpoint.
///
/// Folding is exact, up to rounding: the first layer is applied to the vertices instead of to every
/// point. Compression and rounding lose something: how much is measured against the unfolded 32-bit
/// model, at a sample of points and parameters and on the held-out members of the run's data, printed
/// and written into the file. `--report` compares the sensible choices.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// Folder of a run, or a file baked with 32-bit layers
    #[arg(
        value_name = "RUN|FILE",
        required_unless_present_any = ["config", "weights"],
        conflicts_with_all = ["config", "weights"]
    )]
    source: Option<PathBuf>,
    /// Configuration of a reference checkpoint
    #[arg(long, value_name = "FILE.yaml", requires = "weights")]
    config: Option<PathBuf>,
    /// Which entry of the configuration
    #[arg(long, value_name = "N", default_value_t = 0)]
    config_id: usize,
    /// Reference checkpoint, safetensors
    #[arg(long, value_name = "FILE", requires = "config")]
    weights: Option<PathBuf>,
    /// Override anything in the configuration
    #[arg(long, value_name = "a.b=c", requires = "config")]
    set: Vec<String>,
    /// Precision of the grids
    #[arg(long, default_value = "f16")]
    grid: GridArgument,
    /// Precision of the layers, and of what goes into them
    #[arg(long, default_value = "f32")]
    decoder: DecoderArgument,
    /// Whether the first layer is folded into the grids
    #[arg(long, default_value = "auto")]
    fold: FoldArgument,
    /// Keep R principal components of each grid's features
    #[arg(long, value_name = "R", value_parser = rank, conflicts_with = "max_error")]
    rank: Option<usize>,
    /// Keep as few as stay within this error, in units of the value range
    #[arg(long, value_name = "E")]
    max_error: Option<f64>,
    /// Compare the sensible choices; without -o nothing is kept
    #[arg(long)]
    report: bool,
    /// Print the comparison as JSON
    #[arg(long, requires = "report")]
    json: bool,
    /// Data by which losses are judged, if not where the run has them
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The baked file
    #[arg(short, long, value_name = "OUT.drr.safetensors", required_unless_present = "report")]
    output: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum GridArgument {
    /// 32-bit: exact to rounding
    F32,
    /// 16-bit: relative error 5e-4 per feature
    F16,
    /// 8-bit: 1/255 of each channel's range
    I8,
}

#[derive(Clone, Copy, ValueEnum)]
enum DecoderArgument {
    /// 32-bit
    F32,
    /// bfloat16: relative error 4e-3 per number
    Bf16,
    /// 8-bit, fitted to what the layers see; a last layer of few outputs stays bf16
    I8,
}

#[derive(Clone, Copy, ValueEnum)]
enum FoldArgument {
    /// If that saves arithmetic and the grids grow by no more than half
    Auto,
    /// In any case
    On,
    /// Not
    Off,
}

const EXAMPLES: &str = "\
Examples:
  drr-train bake run -o energy.drr.safetensors
  drr-train bake run --report
  drr-train bake run --rank 16 --grid i8 --decoder i8 -o small.drr.safetensors
  drr-train bake run --max-error 0.01 --grid i8 -o bounded.drr.safetensors
  drr-train bake run --grid f32 --fold off -o exact.drr.safetensors
  drr-train bake exact.drr.safetensors --grid i8 -o again.drr.safetensors
  drr-train bake --config config.yaml --weights weights.safetensors -o out.drr.safetensors

Temporary files are made beside the result, at most as large as the unfolded 32-bit file and the
result together; those of a report without -o are made in $TMPDIR.";

/// # Errors
/// See [`bake::bake`] and [`report::report`].
pub fn run(arguments: Arguments) -> Result<()> {
    let options = arguments.options();
    let origin = Origin::of(&arguments)?;
    let source = origin.source()?;
    let judge = match arguments.report || options.loses() {
        true => origin.judge(arguments.data.as_deref())?,
        false => None,
    };
    let judged = judge.as_ref().map(ToString::to_string);
    let wanted = arguments.output.as_deref().map(|output| (&options, output));
    let outcome = match (arguments.report, wanted) {
        (false, Some((options, output))) => {
            Some(bake::bake(&*source, options, judge, output, &bars)?)
        }
        _ => {
            let (report, outcome) = report::report(&*source, judge, wanted, &bars)?;
            match arguments.json {
                true => print(report.json())?,
                false => print(report.text())?,
            }
            outcome
        }
    };
    match outcome.zip(arguments.output) {
        Some((outcome, output)) if !arguments.json => {
            print(summary(&outcome, &options, judged.as_deref(), &output))
        }
        _ => Ok(()),
    }
}

/// Bakes a checkpoint, for others to measure; returns the size in bytes.
///
/// # Errors
/// See [`bake::bake`].
pub fn bake_with(
    config: &Config,
    weights: &Path,
    description: Description,
    options: &Options,
    output: &Path,
) -> Result<u64> {
    let trained = origin::trained(config, weights, description)?;
    Ok(bake::bake(&*trained, options, None, output, &bars)?.bytes)
}

fn bars(name: &'static str, vertices: u64) -> Progress {
    Progress::new(name, "vertices", vertices)
}

fn rank(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(rank) if rank > 0 => Ok(rank),
        _ => Err("expected a whole number of at least 1".into()),
    }
}

impl Arguments {
    fn options(&self) -> Options {
        let grid = match self.grid {
            GridArgument::F32 => GridPrecision::F32,
            GridArgument::F16 => GridPrecision::F16,
            GridArgument::I8 => GridPrecision::I8,
        };
        let decoder = match self.decoder {
            DecoderArgument::F32 => Decoder::F32,
            DecoderArgument::Bf16 => Decoder::Bf16,
            DecoderArgument::I8 => Decoder::I8,
        };
        let fold = match self.fold {
            FoldArgument::Auto => Fold::Auto,
            FoldArgument::On => Fold::On,
            FoldArgument::Off => Fold::Off,
        };
        let compression = self.rank.map(Compression::Rank);
        let compression = compression.or(self.max_error.map(Compression::MaxError));
        Options { fold, compression, grid, decoder }
    }
}

/// What was made, for people.
fn summary(outcome: &Outcome, options: &Options, judged: Option<&str>, output: &Path) -> String {
    let form = match outcome.rank {
        Some(rank) => format!("rank {rank}"),
        None if outcome.folded => "folded".into(),
        None => "unfolded".into(),
    };
    let mut text = format!(
        "{}: {:.2} MB, {form}, grids {}, decoder {}",
        output.display(),
        outcome.bytes as f64 * 1e-6,
        options.grid.name().to_lowercase(),
        options.decoder.name()
    );
    if let Some(Measured { loss, f32_bytes }) = outcome.measured {
        let times = f32_bytes as f64 / outcome.bytes as f64;
        text += &format!(
            "\n1/{times:.1} of the unfolded f32 file; errors against it, of the value range: \
             largest {:.1e}, RMS {:.1e}",
            loss.max_error, loss.rms_error
        );
        text += &match (loss.psnr_loss, judged) {
            (Some(decibels), Some(judged)) => {
                format!("\nPSNR loss {decibels:.3} dB on {judged}")
            }
            _ => format!("\nPSNR of the difference {:.1} dB", loss.psnr_of_difference()),
        };
    }
    text
}
