//! `drr-train info` and `drr-train validate`

use std::path::PathBuf;

use anyhow::Result;
use drr::model::spec::{Spec, Transform};
use drr::{Checksums, Model, Storage};
use serde_json::json;

use super::print;

/// Show what a baked file holds: axes, parameters and values with their ranges and units, and what
/// it is made of.
#[derive(clap::Args)]
#[command(after_help = INFO_EXAMPLES)]
pub struct InfoArguments {
    /// The baked file
    file: PathBuf,
    /// Everything, as JSON
    #[arg(long)]
    json: bool,
}

/// Check a baked file completely: exit status 0 if it is good, else 1 and the reason.
#[derive(clap::Args)]
#[command(after_help = VALIDATE_EXAMPLES)]
pub struct ValidateArguments {
    /// The baked file
    file: PathBuf,
}

const INFO_EXAMPLES: &str = "\
Examples:
  drr-train info energy.drr.safetensors
  drr-train info energy.drr.safetensors --json > energy.json";

const VALIDATE_EXAMPLES: &str = "\
Example:
  drr-train validate energy.drr.safetensors && cp energy.drr.safetensors /shared/models/";

/// # Errors
/// If the file is no valid baked file.
pub fn info(arguments: InfoArguments) -> Result<()> {
    let model = Model::open(&arguments.file, Storage::Mapped, Checksums::Skip)?;
    let spec = model.spec();
    let grids: Vec<_> = (0..spec.grids.len()).map(|n| model.grid_precision(n).name()).collect();
    if arguments.json {
        let value = json!({
            "file": arguments.file, "bytes": model.file_bytes(), "grid_dtypes": grids, "spec": spec,
        });
        return print(serde_json::to_string_pretty(&value)?);
    }
    let megabytes = model.file_bytes() as f64 * 1e-6;
    let text = describe(spec, &grids);
    print(format_args!("{}: {megabytes:.2} MB\n{text}", arguments.file.display()))
}

/// # Errors
/// If the file is no valid baked file.
pub fn validate(arguments: ValidateArguments) -> Result<()> {
    let model = Model::open(&arguments.file, Storage::Mapped, Checksums::Verify)?;
    print(format_args!(
        "{}: valid, {} tensors, {} bytes",
        arguments.file.display(),
        model.tensors(),
        model.file_bytes()
    ))
}

fn describe(spec: &Spec, precisions: &[&str]) -> String {
    let mut text = String::new();
    let mut line = |line: String| text += &format!("{}\n", line.trim_end());
    let range =
        |name: &str, min: f64, max: f64, unit: &str| format!("  {name:24} {min} to {max} {unit}");
    line("axes".into());
    spec.axes.iter().for_each(|a| line(range(&a.name, a.min, a.max, &a.unit)));
    line("parameters".into());
    spec.parameters.iter().for_each(|p| line(range(&p.name, p.min, p.max, &p.unit)));
    line("values".into());
    for value in &spec.values {
        let (min, max) = match value.transform {
            Transform::Linear => (value.min, value.max),
            Transform::Log => (value.min.exp(), value.max.exp()),
        };
        line(range(&value.name, min, max, &value.unit));
    }
    line("model".into());
    for (grid, precision) in spec.grids.iter().zip(precisions) {
        let entries = grid.entries.map(|entries| format!(", {entries} entries"));
        let product = grid.product.map(|product| format!(", of product {product}"));
        line(format!(
            "  grid {:?} x {} channels, {precision}{}{}",
            grid.shape,
            grid.channels,
            entries.unwrap_or_default(),
            product.unwrap_or_default()
        ));
    }
    for l in &spec.lines {
        line(format!(
            "  line over {}: {} x {} features",
            spec.parameters[l.parameter].name, l.vertices, l.features
        ));
    }
    for layer in &spec.layers {
        line(format!("  layer {} -> {}, {:?}", layer.inputs, layer.outputs, layer.activation));
    }
    if !spec.provenance.is_empty() {
        line("provenance".into());
        spec.provenance.iter().for_each(|(key, value)| line(format!("  {key}: {value}")));
    }
    text.trim_end().to_owned()
}
