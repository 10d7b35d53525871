//! The sensible ways to bake a model side by side: size, error, loss and speed of each.

use std::fmt::Write;
use std::path::Path;

use anyhow::Result;
use drr::model::GridPrecision;
use serde_json::{Value, json};

use super::calibrate::Decoder;
use super::judge::Judge;
use super::measure::Loss;
use super::passes::Bars;
use super::source::Source;
use super::workbench::{Change, Recipe, Workbench};
use super::{Options, Outcome, check_output, components, finish, fold};

/// Ranks that are tried, as far as the model has so many components.
const RANKS: [usize; 4] = [4, 8, 16, 32];

/// What was found.
pub struct Report {
    f32_bytes: u64,
    rows: Vec<Row>,
}

struct Row {
    recipe: Recipe,
    bytes: u64,
    loss: Loss,
    speed: f64,
    best: bool,
}

/// Bakes `source` in every sensible way into temporary files and measures them; then bakes what is
/// `wanted`, if anything. Temporary files are made beside that, or else where the system has them.
///
/// # Errors
/// As [`bake`](super::bake).
pub fn report(
    source: &dyn Source,
    judge: Option<Judge>,
    wanted: Option<(&Options, &Path)>,
    bars: Bars<'_>,
) -> Result<(Report, Option<Outcome>)> {
    tch::no_grad(|| {
        let form = source.form()?;
        let folded = match wanted {
            Some((options, output)) => {
                check_output(output, &form)?;
                options.folds(&form)?
            }
            None => false,
        };
        let elsewhere = std::env::temp_dir().join("report");
        let beside = wanted.map_or(&*elsewhere, |(_, output)| output);
        let bench = Workbench::new(source, judge, beside, bars)?;
        let recipes = recipes(&bench)?;
        let mut rows = Vec::with_capacity(recipes.len());
        for recipe in recipes {
            let path = bench.make(&recipe, "candidate")?;
            let bytes = std::fs::metadata(&path)?.len();
            let (loss, speed) = (bench.loss(&path)?, bench.speed(&path)?);
            rows.push(Row { recipe, bytes, loss, speed, best: false });
        }
        mark_best(&mut rows);
        let report = Report { f32_bytes: bench.f32_bytes(), rows };
        let bake = |(options, output)| finish(&bench, options, folded, output);
        Ok((report, wanted.map(bake).transpose()?))
    })
}

/// Everything exact first; then folded where that pays, in falling precision; then ranks.
fn recipes(bench: &Workbench<'_>) -> Result<Vec<Recipe>> {
    const F32: GridPrecision = GridPrecision::F32;
    const F16: GridPrecision = GridPrecision::F16;
    const I8: GridPrecision = GridPrecision::I8;
    let form = bench.form();
    let folds = fold::obstacle(form).is_none() && fold::pays(form);
    let change = if folds { Change::Fold } else { Change::Nothing };
    let mut all = vec![
        (Change::Nothing, F32, Decoder::F32),
        (change, F32, Decoder::F32),
        (change, F16, Decoder::F32),
        (change, F16, Decoder::Bf16),
        (change, I8, Decoder::Bf16),
        (change, I8, Decoder::I8),
    ];
    if components::obstacle(form).is_none() {
        let full = bench.components()?.full_rank();
        for change in RANKS.into_iter().filter(|&rank| rank < full).map(Change::Rank) {
            let pairs = [(F16, Decoder::Bf16), (I8, Decoder::Bf16), (I8, Decoder::I8)];
            all.extend(pairs.map(|(grid, decoder)| (change, grid, decoder)));
        }
    }
    if form.layers.is_empty() {
        all.iter_mut().for_each(|(_, _, decoder)| *decoder = Decoder::F32);
    }
    let recipes = all.into_iter().map(|(change, grid, decoder)| Recipe { change, grid, decoder });
    let mut recipes: Vec<_> = recipes.collect();
    recipes.dedup();
    Ok(recipes)
}

/// Speeds this close to each other are the same: they are measured.
const SAME_SPEED: f64 = 0.95;

/// Marks the rows that no other row beats: none is at least as good in size, loss and speed, and
/// better in one of them.
fn mark_best(rows: &mut [Row]) {
    let numbers: Vec<_> = (rows.iter())
        .map(|row| (row.bytes, row.loss.psnr_loss.unwrap_or(row.loss.rms_error), row.speed))
        .collect();
    let beats = |a: &(u64, f64, f64), b: &(u64, f64, f64)| {
        let as_good = a.0 <= b.0 && a.1 <= b.1 && a.2 >= b.2 * SAME_SPEED;
        as_good && (a.0 < b.0 || a.1 < b.1 || a.2 * SAME_SPEED > b.2)
    };
    for (row, own) in rows.iter_mut().zip(&numbers) {
        row.best = !numbers.iter().any(|other| beats(other, own));
    }
}

impl Row {
    fn change(&self) -> String {
        match self.recipe.change {
            Change::Nothing => "unfolded".into(),
            Change::Fold => "folded".into(),
            Change::Rank(rank) => format!("rank {rank}"),
        }
    }

    fn grid(&self) -> String {
        self.recipe.grid.name().to_lowercase()
    }
}

impl Report {
    /// A table for people.
    pub fn text(&self) -> String {
        let mut text = String::from(
            "  form      grids  decoder       size  of f32   max error   rms error  PSNR loss  Mpoints/s\n",
        );
        for row in &self.rows {
            let (change, grid, decoder) = (row.change(), row.grid(), row.recipe.decoder.name());
            let Loss { max_error, rms_error, psnr_loss } = row.loss;
            let loss = match psnr_loss {
                Some(loss) => format!("{loss:+.3} dB"),
                None => format!("{:.1} dB*", row.loss.psnr_of_difference()),
            };
            let _ = writeln!(
                text,
                "{} {change:9} {grid:5}  {decoder:7} {:7.3} MB  {:5.1}%   {max_error:9.2e}   \
                 {rms_error:9.2e}  {loss:>9}  {:9.2}",
                if row.best { "*" } else { " " },
                row.bytes as f64 * 1e-6,
                row.bytes as f64 / self.f32_bytes as f64 * 100.0,
                row.speed * 1e-6,
            );
        }
        text.push_str("* worth a look: no other file is as small, as exact and as fast\n");
        if self.rows.iter().any(|row| row.loss.psnr_loss.is_none()) {
            text.push_str("PSNR without data: of the difference from the unfolded f32 file\n");
        }
        text.push_str("errors in units of the value range; points on one thread\n");
        text
    }

    /// The same as JSON: a list of rows.
    pub fn json(&self) -> Value {
        let row = |row: &Row| {
            json!({
                "form": row.change(), "grids": row.grid(), "decoder": row.recipe.decoder.name(),
                "bytes": row.bytes, "f32_bytes": self.f32_bytes, "max_error": row.loss.max_error,
                "rms_error": row.loss.rms_error, "psnr_loss_db": row.loss.psnr_loss,
                "points_per_s": row.speed, "best": row.best,
            })
        };
        self.rows.iter().map(row).collect()
    }
}
