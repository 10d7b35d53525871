//! `metrics.csv`: one row per report.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::files::write_atomically;

const HEADER: &str = "step,loss,psnr,steps_per_s,points_per_s,seconds,lr,validation_psnr\n";

/// What a report says.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Row {
    /// Steps done.
    pub step: u64,
    /// Mean squared error since the last report.
    pub loss: f64,
    /// The same as PSNR, of the range of the training data.
    pub psnr: f64,
    /// Steps per second since the last report.
    #[serde(rename = "steps_per_s")]
    pub rate: f64,
    /// Points (members times points of a batch) per second.
    pub points_per_s: f64,
    /// Seconds of training in all.
    pub seconds: f64,
    /// Learning rate of the next step.
    pub lr: f64,
    /// Mean PSNR of the members that are set aside, where the model was looked at.
    pub validation_psnr: Option<f64>,
}

/// The open file and what it holds.
pub struct Metrics {
    path: PathBuf,
    rows: Vec<Row>,
}

impl Metrics {
    /// A new file.
    pub fn create(path: &Path) -> Result<Self> {
        write_atomically(path, HEADER.as_bytes())?;
        Ok(Self { path: path.to_owned(), rows: Vec::new() })
    }

    /// The file of a run that goes on after `step`: later rows are dropped.
    pub fn resume(path: &Path, step: u64) -> Result<Self> {
        let rows = read(path)?;
        let mut metrics = Self::create(path)?;
        for row in rows.iter().take_while(|row| row.step <= step) {
            metrics.add(row)?;
        }
        Ok(metrics)
    }

    /// Appends a row.
    pub fn add(&mut self, row: &Row) -> Result<()> {
        self.rows.push(*row);
        let mut line = csv::WriterBuilder::new().has_headers(false).from_writer(Vec::new());
        line.serialize(row)?;
        let bytes = line.into_inner()?;
        let append = || OpenOptions::new().append(true).open(&self.path)?.write_all(&bytes);
        append().with_context(|| format!("cannot write {}", self.path.display()))
    }

    /// `(step, loss)` of all rows.
    pub fn losses(&self) -> Vec<(u64, f64)> {
        self.rows.iter().map(|row| (row.step, row.loss)).collect()
    }
}

/// All rows up to the first damaged one.
///
/// # Errors
/// If the file cannot be read.
pub fn read(path: &Path) -> Result<Vec<Row>> {
    let text = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let rows = csv::Reader::from_reader(&text[..]).into_deserialize::<Row>();
    Ok(rows.map_while(Result::ok).collect())
}
