//! `drr-train flops`

use std::path::PathBuf;

use anyhow::{Result, bail};
use drr::{Checksums, Model, Storage};
use serde_json::{Value, json};

use super::print;
use crate::config::{self, Config, ModelConfig};
use crate::eval::flops::{Counting, Flops, Sizes};
use crate::train::run::Run;

/// Count what a model costs: multiply-adds of queries and of the refinement, and parameters, part
/// by part.
///
/// Nothing is trained or run: a configuration is enough, that of a run or the reference's as it
/// is. Of a baked file, the layers are those that libdrr evaluates.
///
/// A multiply-add counts as one. Counted are layers and interpolation (8 a feature in a volume, 4
/// in a plane, 2 on a line); activations, normalisation and encodings are not. Refinement happens
/// once for a model, or in a bake. Each query is taken to have parameters of its own; libdrr does
/// the part that depends on them alone once for all points that share them.
///
/// The paper's tables have all of this in one number, counted by a profiler that takes 4 for a
/// feature of any grid and nothing for lines: the last line of the table has that too.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// Folder of a run, or a baked file
    #[arg(
        value_name = "RUN|FILE",
        required_unless_present = "config",
        conflicts_with_all = ["config", "config_id", "set"]
    )]
    source: Option<PathBuf>,
    /// Configuration file
    #[arg(long, value_name = "FILE.yaml")]
    config: Option<PathBuf>,
    /// Which entry of the file
    #[arg(long, value_name = "N", default_value_t = 0)]
    config_id: usize,
    /// Override anything in the configuration; may be repeated
    #[arg(long, value_name = "a.b=c", requires = "config")]
    set: Vec<String>,
    /// Number of queries
    #[arg(
        long, value_name = "N", default_value_t = 1_000_000_000,
        value_parser = clap::value_parser!(u64).range(1..)
    )]
    queries: u64,
    /// Everything, as JSON
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  drr-train flops --config nyx/drrnet.yaml
  drr-train flops --config model.yaml --config-id 2 --set model.param.if_refine=false \\
      --set model.param.spatial_fdim=8
  drr-train flops run --queries 2097152
  drr-train flops energy.drr.safetensors --json";

/// What is counted.
struct Counts {
    name: String,
    queries: u64,
    corners: Flops,
    paper: Flops,
    sizes: Sizes,
    notes: Vec<&'static str>,
}

/// # Errors
/// If the configuration, the run or the baked file cannot be read, or the counts exceed 64 bits.
pub fn run(arguments: Arguments) -> Result<()> {
    let counts = Counts::of(&arguments)?;
    match arguments.json {
        true => print(serde_json::to_string_pretty(&counts.json()?)?),
        false => print(counts.text()?),
    }
}

impl Counts {
    fn of(arguments: &Arguments) -> Result<Self> {
        let queries = arguments.queries;
        match (&arguments.source, &arguments.config) {
            (Some(path), _) if path.is_file() => {
                let model = Model::open(path, Storage::Mapped, Checksums::Skip)?;
                Ok(Self {
                    name: path.display().to_string(),
                    queries,
                    corners: Flops::of_baked(model.spec(), Counting::Corners)?,
                    paper: Flops::of_baked(model.spec(), Counting::Paper)?,
                    sizes: Sizes::of_baked(model.spec())?,
                    notes: vec!["a baked file: refinement is done, folding included"],
                })
            }
            (Some(path), _) => {
                let config = Run::open(path)?.config()?;
                Self::of_model(path.display().to_string(), queries, &config.model)
            }
            (None, Some(path)) => {
                let mut entry = config::load_entry(path, arguments.config_id)?;
                for assignment in &arguments.set {
                    config::apply_override(&mut entry, assignment)?;
                }
                let name = format!("{}, entry {}", path.display(), arguments.config_id);
                Self::of_model(name, queries, &Config::from_value(&entry)?.model)
            }
            (None, None) => bail!("give a run, a baked file, or --config"),
        }
    }

    fn of_model(name: String, queries: u64, model: &ModelConfig) -> Result<Self> {
        let mut notes = Vec::new();
        if let ModelConfig::Radiance(_) = model {
            notes.push("a query is a sample along a ray: density and colour");
        }
        Ok(Self {
            name,
            queries,
            corners: Flops::of_model(model, Counting::Corners)?,
            paper: Flops::of_model(model, Counting::Paper)?,
            sizes: Sizes::of_model(model)?,
            notes,
        })
    }

    fn json(&self) -> Result<Value> {
        let counted = |flops: &Flops| -> Result<Value> {
            Ok(json!({
                "query": flops.query,
                "query_total": flops.query.total()?,
                "query_once_per_parameters": flops.per_set,
                "refinement": flops.refinement,
                "refinement_total": flops.refinement.total()?,
                "queries_total": flops.of_queries(self.queries)?,
                "queries_and_refinement_total": flops.with_refinement(self.queries)?,
            }))
        };
        Ok(json!({
            "model": self.name,
            "queries": self.queries,
            "multiply_adds": counted(&self.corners)?,
            "multiply_adds_as_in_the_paper": counted(&self.paper)?,
            "parameters": self.sizes,
            "parameters_total": self.sizes.total()?,
            "notes": self.notes,
        }))
    }

    fn text(&self) -> Result<String> {
        let (query, refinement) = (&self.corners.query, &self.corners.refinement);
        let mut lines = vec![self.name.clone()];
        lines.extend(self.notes.iter().map(|note| format!("({note})")));
        let heading = format!("{} queries", amount(self.queries));
        lines.push(format!("{:<36}{:>14}{heading:>20}", "multiply-adds", "a query"));
        let mut row = |what: &str, each: Option<u64>, all: u64| {
            let each = each.map(|each| each.to_string()).unwrap_or_default();
            lines.push(format!("  {what:<34}{each:>14}{:>20}", amount(all)));
        };
        for (what, each) in [
            ("encoder", query.encoder),
            ("lines", query.lines),
            ("fusion", query.fusion),
            ("decoder", query.decoder),
        ] {
            // All of them together are counted below: if that fits 64 bits, so does each.
            row(what, Some(each), each.saturating_mul(self.queries));
        }
        let all = self.corners.of_queries(self.queries)?;
        row("all, without refinement", Some(query.total()?), all);
        row("of it once for equal parameters", Some(self.corners.per_set), self.corners.per_set);
        row("refinement of the grid, once", None, refinement.grid);
        row("refinement of the lines, once", None, refinement.lines);
        row("all", None, self.corners.with_refinement(self.queries)?);
        row("all, as the paper counts", None, self.paper.with_refinement(self.queries)?);
        let sizes = &self.sizes;
        lines.push("parameters".to_owned());
        for (what, count) in [
            ("encoder", sizes.encoder),
            ("lines", sizes.lines),
            ("refiner of the grid", sizes.grid_refiner),
            ("refiner of the lines", sizes.line_refiner),
            ("fusion", sizes.fusion),
            ("decoder", sizes.decoder),
            ("all", sizes.total()?),
        ] {
            lines.push(format!("  {what:<34}{count:>14}{:>20}", amount(count)));
        }
        Ok(lines.join("\n"))
    }
}

/// A count with four digits and a prefix: `57.17 T`.
fn amount(count: u64) -> String {
    const PREFIXES: [&str; 7] = ["", " k", " M", " G", " T", " P", " E"];
    let mut value = count as f64;
    let mut prefix = 0;
    // 999,950 would be written as 1000.0 k.
    while value >= 999.95 && prefix + 1 < PREFIXES.len() {
        value /= 1000.0;
        prefix += 1;
    }
    let digits = match value {
        _ if prefix == 0 => 0,
        v if v < 9.9995 => 3,
        v if v < 99.995 => 2,
        _ => 1,
    };
    format!("{value:.digits$}{}", PREFIXES[prefix])
}

#[cfg(test)]
mod tests {
    use super::amount;

    #[test]
    fn amounts_have_four_digits() {
        for (count, text) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1.000 k"),
            (55_936, "55.94 k"),
            (999_949, "999.9 k"),
            (999_950, "1.000 M"),
            (9_999_500, "10.00 M"),
            (57_173_245_952_000, "57.17 T"),
            (u64::MAX, "18.45 E"),
        ] {
            assert_eq!(amount(count), text);
        }
    }
}
