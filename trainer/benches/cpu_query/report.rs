//! The table in the terminal and the same as JSON.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::difference::Difference;
use crate::limit::Limit;
use crate::rounds::Figure;

/// One line of the table.
#[derive(Debug)]
pub struct Row {
    /// Name of the model.
    pub model: &'static str,
    /// Name of the order.
    pub order: &'static str,
    /// Threads of everybody.
    pub threads: usize,
    /// Who: `drr`, `torch_eager`, ...
    pub path: &'static str,
    /// Name of the variant.
    pub precision: &'static str,
    /// Where the file's bytes are, for drr.
    pub storage: &'static str,
    /// Points per query.
    pub points: usize,
    /// Points per second.
    pub figure: Figure,
    /// Of the same function on this machine.
    pub limit: Limit,
    /// From the values of the original network.
    pub difference: Difference,
    /// Cores that other programs kept busy meanwhile.
    pub others_busy: f64,
    /// What else is to be known.
    pub remark: String,
}

impl Row {
    fn fraction(&self) -> f64 {
        self.figure.median / self.limit.rate
    }

    fn json(&self) -> Value {
        json!({
            "model": self.model,
            "order": self.order,
            "threads": self.threads,
            "precision": self.precision,
            "path": self.path,
            "storage": self.storage,
            "points": self.points,
            "points_per_s": self.figure.median,
            "points_per_s_min": self.figure.min,
            "points_per_s_max": self.figure.max,
            "limit_points_per_s": self.limit.rate,
            "bound": self.limit.bound,
            "fraction_of_limit": self.fraction(),
            "difference_max": self.difference.largest,
            "difference_rms": self.difference.rms,
            "others_busy_cores": self.others_busy,
        })
    }
}

/// Prints the head of the table.
pub fn print_head() {
    println!(
        "{:10} {:7} {:>7} {:19} {:9} {:7} {:>6}  {:>10} {:>15}  {:>9} {:10} {:>8}  {:>8} {:>8}",
        "model",
        "order",
        "threads",
        "path",
        "precision",
        "storage",
        "points",
        "M points/s",
        "min .. max",
        "limit M/s",
        "bound by",
        "of limit",
        "max diff",
        "rms diff"
    );
}

/// Prints a line.
pub fn print_row(row: &Row) {
    let millions = |rate: f64| format!("{:.3}", rate / 1e6);
    println!(
        "{:10} {:7} {:>7} {:19} {:9} {:7} {:>6}  {:>10} {:>15}  {:>9} {:10} {:>7.1}%  {:>8.1e} \
         {:>8.1e}  {}",
        row.model,
        row.order,
        row.threads,
        row.path,
        row.precision,
        row.storage,
        format!("2^{}", row.points.ilog2()),
        millions(row.figure.median),
        format!("{} .. {}", millions(row.figure.min), millions(row.figure.max)),
        millions(row.limit.rate),
        row.limit.bound,
        100.0 * row.fraction(),
        row.difference.largest,
        row.difference.rms,
        row.remark
    );
}

/// Writes all lines to `path`.
///
/// # Errors
/// If the file cannot be written.
pub fn write_rows(path: &Path, rows: &[Row]) -> Result<()> {
    write_json(path, &rows.iter().map(Row::json).collect())
}

/// Writes `value` to `path`, for people too.
///
/// # Errors
/// If the file cannot be written.
pub fn write_json(path: &Path, value: &Value) -> Result<()> {
    let text = serde_json::to_string_pretty(value)?;
    std::fs::write(path, text + "\n").with_context(|| format!("cannot write {}", path.display()))
}
