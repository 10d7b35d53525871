//! What an evaluation found: for the terminal, as CSV and as JSON.

use std::fmt::Write;
use std::path::Path;

use anyhow::Result;
use serde_json::{Map, Value, json};

use super::metrics::{Score, Summary};
use crate::data::{Ensemble, Split};
use crate::files::write_atomically;

/// Scores of members, by split.
pub struct Report {
    rows: Vec<Row>,
}

struct Row {
    split: Split,
    member: String,
    score: Score,
}

impl Report {
    /// `members` and their `scores`, in the same order.
    pub fn new(ensemble: &Ensemble, members: &[usize], scores: &[Score]) -> Self {
        let row = |(&member, &score): (&usize, &Score)| {
            let member = &ensemble.members[member];
            Row { split: member.split, member: member.name.clone(), score }
        };
        Self { rows: members.iter().zip(scores).map(row).collect() }
    }

    /// Summary of a split; `None` if it has no members.
    pub fn summary(&self, split: Split) -> Option<Summary> {
        let scores: Vec<_> =
            self.rows.iter().filter(|row| row.split == split).map(|row| row.score).collect();
        Summary::of(&scores)
    }

    /// `{"train": {"psnr", "psnr_mean", "ssim", "rel_l2", "fields"}, "test": {...}}`; null for a
    /// split without members.
    pub fn json(&self) -> Value {
        let summaries = Split::ALL.into_iter().map(|split| {
            let value = self.summary(split).map(|s| {
                json!({
                    "psnr": s.psnr, "psnr_mean": s.psnr_mean, "ssim": s.ssim, "rel_l2": s.rel_l2,
                    "fields": s.fields,
                })
            });
            (split.name().to_owned(), value.unwrap_or_default())
        });
        Value::Object(summaries.collect::<Map<_, _>>())
    }

    /// A table for people: the summaries, then each held-out field.
    pub fn text(&self) -> String {
        let mut text =
            String::from("split  fields   PSNR (of mean MSE)  mean PSNR    SSIM   rel. L2\n");
        for split in Split::ALL {
            if let Some(s) = self.summary(split) {
                let name = split.name();
                let Summary { fields, psnr, psnr_mean, ssim, rel_l2 } = s;
                let _ = writeln!(
                    text,
                    "{name:5}  {fields:6}   {psnr:15.2} dB  {psnr_mean:6.2} dB  {ssim:6.4}  {rel_l2:8.5}"
                );
            }
        }
        if self.summary(Split::Test).is_some() {
            text.push_str("\nheld-out member             PSNR      SSIM   rel. L2\n");
        }
        for Row { member, score, .. } in self.rows.iter().filter(|row| row.split == Split::Test) {
            let (psnr, l2) = (score.psnr(), score.relative_l2());
            let _ = writeln!(text, "{member:24}  {psnr:5.2} dB  {:6.4}  {l2:8.5}", score.ssim);
        }
        text
    }

    /// Writes every field's scores as CSV.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write_csv(&self, path: &Path) -> Result<()> {
        let mut csv = csv::Writer::from_writer(Vec::new());
        csv.write_record(["split", "member", "mse", "psnr", "ssim", "rel_l2"])?;
        for Row { split, member, score } in &self.rows {
            let numbers = [score.mse, score.psnr(), score.ssim, score.relative_l2()];
            let mut record = vec![split.name().to_owned(), member.clone()];
            record.extend(numbers.map(|number| number.to_string()));
            csv.write_record(&record)?;
        }
        write_atomically(path, &csv.into_inner()?)
    }
}
