//! What an evaluation found: for the terminal, as CSV and as JSON.

use std::fmt::Write;
use std::path::Path;

use anyhow::Result;
use serde_json::{Map, Value, json};

use super::metrics::{Score, Summary};
use crate::data::{Ensemble, Places, Split};
use crate::files::write_atomically;

/// Scores of members, by resolution and split.
#[derive(Default)]
pub struct Report {
    parts: Vec<Part>,
}

/// Scores at one resolution.
struct Part {
    places: Places,
    rows: Vec<Row>,
}

struct Row {
    /// Its index in the ensemble.
    index: usize,
    split: Split,
    member: String,
    score: Score,
}

impl Report {
    /// Adds `members` of `ensemble` and their `scores`, in the same order: first those at the
    /// resolution of the training, then, where that was reduced, those at full resolution.
    pub fn add(&mut self, ensemble: &Ensemble, members: &[usize], scores: &[Score]) {
        let row = |(&index, &score): (&usize, &Score)| {
            let member = &ensemble.members[index];
            Row { index, split: member.split, member: member.name.clone(), score }
        };
        let rows = members.iter().zip(scores).map(row).collect();
        self.parts.push(Part { places: ensemble.places.clone(), rows });
    }

    /// Scores at the highest resolution, with their members' indices.
    pub fn last_scores(&self) -> Vec<(usize, Score)> {
        let rows = self.parts.iter().next_back().map_or(&[][..], |part| &part.rows);
        rows.iter().map(|row| (row.index, row.score)).collect()
    }

    /// `{"train": {"psnr", "psnr_mean", "ssim", "rel_l2", "max_error", "spectrum_db", "lpips", "fields"},
    /// "test": {...}}`, and `"validation": {...}` if members were set aside; null for a split without
    /// members, for `ssim` and `spectrum_db` of scattered points, and for `lpips` if it was not asked for. With `"full_resolution": {"train", "test"}` if training
    /// was at a reduced one.
    pub fn json(&self) -> Value {
        let mut parts = self.parts.iter().map(Part::json);
        let mut json = parts.next().unwrap_or_default();
        if let Some(full) = parts.next() {
            json.insert("full_resolution".to_owned(), Value::Object(full));
        }
        Value::Object(json)
    }

    /// Tables for people: for each resolution the summaries, then each held-out field.
    pub fn text(&self) -> String {
        let parts: Vec<_> = (self.parts.iter())
            .map(|part| match self.parts.len() {
                1 => part.text(),
                _ => format!("fields of {}\n{}", part.places, part.text()),
            })
            .collect();
        parts.join("\n")
    }

    /// Writes every field's scores as CSV.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write_csv(&self, path: &Path) -> Result<()> {
        let mut csv = csv::Writer::from_writer(Vec::new());
        let names = [
            "split",
            "member",
            "mse",
            "psnr",
            "ssim",
            "rel_l2",
            "max_error",
            "spectrum_db",
            "lpips",
            "resolution",
        ];
        csv.write_record(names)?;
        for part in &self.parts {
            let sizes: Vec<_> = part.places.shape().iter().map(usize::to_string).collect();
            for Row { split, member, score, .. } in &part.rows {
                let s = score;
                let (mse, psnr, l2) = (Some(s.mse), Some(s.psnr()), Some(s.relative_l2()));
                let numbers = [mse, psnr, s.ssim, l2, Some(s.max_error), s.spectrum, s.lpips];
                let mut record = vec![split.name().to_owned(), member.clone()];
                let text = |number: Option<f64>| number.map_or(String::new(), |n| n.to_string());
                record.extend(numbers.map(text));
                record.push(sizes.join("x"));
                csv.write_record(&record)?;
            }
        }
        write_atomically(path, &csv.into_inner()?)
    }
}

/// A similarity as tables show it.
pub(super) fn shown(ssim: Option<f64>) -> String {
    ssim.map_or("n/a".to_owned(), |ssim| format!("{ssim:.4}"))
}

/// An error of the spectrum as tables show it.
pub(super) fn decibels(spectrum: Option<f64>) -> String {
    spectrum.map_or("n/a".to_owned(), |error| format!("{error:.2} dB"))
}

/// A perceptual distance, after the other columns of a table, where it was asked for.
fn perceived(lpips: Option<f64>) -> String {
    lpips.map_or(String::new(), |lpips| format!("  LPIPS {lpips:.4}"))
}

impl Part {
    /// Summary of a split; `None` if it has no members.
    fn summary(&self, split: Split) -> Option<Summary> {
        let scores: Vec<_> =
            self.rows.iter().filter(|row| row.split == split).map(|row| row.score).collect();
        Summary::of(&scores)
    }

    fn json(&self) -> Map<String, Value> {
        let summaries = Split::ALL.into_iter().map(|split| {
            let value = self.summary(split).map(|s| {
                json!({
                    "psnr": s.psnr, "psnr_mean": s.psnr_mean, "ssim": s.ssim, "rel_l2": s.rel_l2,
                    "max_error": s.max_error, "spectrum_db": s.spectrum, "lpips": s.lpips,
                    "fields": s.fields,
                })
            });
            (split, value.unwrap_or_default())
        });
        // Most ensembles have no members for validation.
        let there =
            |(split, value): &(Split, Value)| *split != Split::Validation || !value.is_null();
        summaries.filter(there).map(|(split, value)| (split.name().to_owned(), value)).collect()
    }

    fn text(&self) -> String {
        let mut text = String::from(
            "split       fields   PSNR (of mean MSE)  mean PSNR    SSIM   rel. L2  max. error  spectrum\n",
        );
        for split in Split::ALL {
            if let Some(s) = self.summary(split) {
                let name = split.name();
                let Summary { fields, psnr, psnr_mean, ssim, lpips, spectrum, rel_l2, max_error } =
                    s;
                let (ssim, spectrum, lpips) = (shown(ssim), decibels(spectrum), perceived(lpips));
                let _ = writeln!(
                    text,
                    "{name:10}  {fields:6}   {psnr:15.2} dB  {psnr_mean:6.2} dB  {ssim:>6}  \
                     {rel_l2:8.5}  {max_error:10.4}  {spectrum:>8}{lpips}"
                );
            }
        }
        if self.summary(Split::Test).is_some() {
            text.push_str(
                "\nheld-out member             PSNR      SSIM   rel. L2  max. error  spectrum\n",
            );
        }
        for Row { member, score, .. } in self.rows.iter().filter(|row| row.split == Split::Test) {
            let (psnr, l2, most) = (score.psnr(), score.relative_l2(), score.max_error);
            let (ssim, spectrum) = (shown(score.ssim), decibels(score.spectrum));
            let lpips = perceived(score.lpips);
            let _ = writeln!(
                text,
                "{member:24}  {psnr:5.2} dB  {ssim:>6}  {l2:8.5}  {most:10.4}  {spectrum:>8}{lpips}"
            );
        }
        text
    }
}
