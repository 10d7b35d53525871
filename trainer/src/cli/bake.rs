//! `drr-train bake`

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use drr::model::GridPrecision;
use serde_json::{Value, json};

use super::print;
use crate::bake::{Description, Trained};
use crate::config::{self, Config};
use crate::progress::Progress;
use crate::train::run::Run;

/// Turn a trained model into one small file for libdrr.
///
/// The refiner runs once at every vertex, in 64-bit arithmetic and in chunks, so that memory stays
/// close to the size of the result.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// Folder of a run
    #[arg(
        required_unless_present_any = ["config", "weights"],
        conflicts_with_all = ["config", "weights"]
    )]
    run: Option<PathBuf>,
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
    dtype: Precision,
    /// The baked file
    #[arg(short, long, value_name = "OUT.drr.safetensors")]
    output: PathBuf,
}

#[derive(Clone, Copy, ValueEnum)]
enum Precision {
    /// 32-bit: exact to rounding, twice the size
    F32,
    /// 16-bit: relative error 5e-4 per feature
    F16,
}

const EXAMPLES: &str = "\
Examples:
  drr-train bake run -o energy.drr.safetensors
  drr-train bake --config config.yaml --weights weights.safetensors --dtype f32 -o out.drr.safetensors";

/// # Errors
/// See [`Trained::load`] and [`Trained::bake`].
pub fn run(arguments: Arguments) -> Result<()> {
    let precision = match arguments.dtype {
        Precision::F32 => GridPrecision::F32,
        Precision::F16 => GridPrecision::F16,
    };
    let (config, weights, description) = source(&arguments)?;
    let size = bake(&config, &weights, description, precision, &arguments.output)?;
    print(format_args!(
        "{}: {:.2} MB, grids {}",
        arguments.output.display(),
        size as f64 * 1e-6,
        precision.name()
    ))
}

/// Bakes a checkpoint and shows progress; returns the size in bytes.
///
/// # Errors
/// See [`Trained::load`] and [`Trained::bake`].
pub fn bake(
    config: &Config,
    weights: &Path,
    mut description: Description,
    precision: GridPrecision,
    output: &Path,
) -> Result<u64> {
    let checksum =
        checksum(weights).with_context(|| format!("cannot read {}", weights.display()))?;
    description.provenance.insert("tool".into(), json!(format!("drr-train {}", drr::VERSION)));
    description.provenance.insert("weights_crc32".into(), json!(format!("{checksum:08x}")));
    let trained = Trained::load(&config.model, weights)?;
    let progress = Progress::new("baking", "vertices", trained.vertices());
    let size = trained.bake(&description, precision, output, &progress)?;
    progress.finish();
    Ok(size)
}

fn source(arguments: &Arguments) -> Result<(Config, PathBuf, Description)> {
    if let Some(folder) = &arguments.run {
        let run = Run::open(folder)?;
        let checkpoint = run.last_checkpoint()?;
        let mut description = run.data()?.description;
        let config = checksum(&run.path("config.yaml"))?;
        description.provenance.insert("config_crc32".into(), json!(format!("{config:08x}")));
        description.provenance.insert("steps".into(), json!(checkpoint.steps));
        if let Some(quality) = measured(&run)? {
            description.provenance.insert("quality".into(), quality);
        }
        return Ok((run.config()?, checkpoint.weights(), description));
    }
    let (Some(path), Some(weights)) = (&arguments.config, &arguments.weights) else {
        bail!("give a run, or --config and --weights");
    };
    let mut entry = config::load_entry(path, arguments.config_id)?;
    for assignment in &arguments.set {
        config::apply_override(&mut entry, assignment)?;
    }
    let config = Config::from_value(&entry)?;
    let mut description = Description::of_config(&config);
    let hash = crc32fast::hash(serde_json::to_string(&entry)?.as_bytes());
    description.provenance.insert("config_crc32".into(), json!(format!("{hash:08x}")));
    Ok((config, weights.clone(), description))
}

/// CRC-32 of a file.
fn checksum(path: &Path) -> std::io::Result<u32> {
    let mut reader = BufReader::with_capacity(1 << 20, File::open(path)?);
    let mut crc = crc32fast::Hasher::new();
    loop {
        let bytes = reader.fill_buf()?;
        if bytes.is_empty() {
            return Ok(crc.finalize());
        }
        crc.update(bytes);
        let count = bytes.len();
        reader.consume(count);
    }
}

/// What `eval` found for the last checkpoint, if it ran.
fn measured(run: &Run) -> Result<Option<Value>> {
    let path = run.path("eval/summary.json");
    if !path.is_file() {
        return Ok(None);
    }
    let text = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let summary: Value = serde_json::from_slice(&text)
        .with_context(|| format!("{} is damaged: run `drr-train eval` again", path.display()))?;
    let current = summary["steps"].as_u64() == Some(run.last_checkpoint()?.steps);
    // `eval` bakes 32-bit grids, whatever is baked now.
    Ok(current.then(|| json!({"grids": "F32", "splits": summary["quality"]})))
}
