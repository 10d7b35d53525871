//! The table: for the terminal, as CSV, as Markdown, as HTML.

use anyhow::Result;

use super::cost::Cost;
use crate::cli::jobs::job::Outcome;
use crate::eval::html::escape;

/// A model at a budget.
pub struct Row {
    /// Name of its run.
    pub run: String,
    /// The model.
    pub title: String,
    /// What training and judging it gave.
    pub outcome: Outcome,
    /// What it costs.
    pub cost: Cost,
}

/// Which numbers of a column are good.
#[derive(Clone, Copy, PartialEq)]
enum Best {
    Most,
    Least,
    None,
}

struct Column {
    heading: &'static str,
    key: &'static str,
    best: Best,
    value: fn(&Row) -> Option<f64>,
    show: fn(f64) -> String,
}

const COLUMNS: [Column; 14] = [
    Column {
        heading: "steps",
        key: "steps",
        best: Best::None,
        value: |row| row.outcome.steps.map(|n| n as f64),
        show: |n| format!("{n:.0}"),
    },
    Column {
        heading: "train [s]",
        key: "train_seconds",
        best: Best::None,
        value: |row| row.outcome.seconds,
        show: |n| format!("{n:.0}"),
    },
    Column {
        heading: "PSNR [dB]",
        key: "psnr",
        best: Best::Most,
        value: |row| row.outcome.judged("psnr_mean"),
        show: |n| format!("{n:.2}"),
    },
    Column {
        heading: "rel. L2",
        key: "rel_l2",
        best: Best::Least,
        value: |row| row.outcome.judged("rel_l2"),
        show: |n| format!("{n:.5}"),
    },
    Column {
        heading: "SSIM",
        key: "ssim",
        best: Best::Most,
        value: |row| row.outcome.judged("ssim"),
        show: |n| format!("{n:.4}"),
    },
    Column {
        heading: "PSNR seen [dB]",
        key: "psnr_train",
        best: Best::Most,
        value: |row| row.outcome.quality["train"]["psnr_mean"].as_f64(),
        show: |n| format!("{n:.2}"),
    },
    Column {
        heading: "T mult-adds",
        key: "multiply_adds_1e9_queries",
        best: Best::Least,
        value: |row| row.cost.multiply_adds,
        show: |n| significant(n * 1e-12),
    },
    Column {
        heading: "libtorch [s]",
        key: "libtorch_seconds_1e9_queries",
        best: Best::Least,
        value: |row| row.cost.libtorch_s,
        show: significant,
    },
    Column {
        heading: "libdrr [s]",
        key: "libdrr_seconds_1e9_queries",
        best: Best::Least,
        value: |row| row.cost.libdrr_s,
        show: significant,
    },
    Column {
        heading: "field, libtorch [s]",
        key: "libtorch_seconds_field",
        best: Best::Least,
        value: |row| row.cost.libtorch_field_s,
        show: significant,
    },
    Column {
        heading: "field, libdrr [s]",
        key: "libdrr_seconds_field",
        best: Best::Least,
        value: |row| row.cost.libdrr_field_s,
        show: significant,
    },
    Column {
        heading: "parameters",
        key: "parameters",
        best: Best::Least,
        value: |row| row.cost.parameters.or(row.outcome.parameters).map(|n| n as f64),
        show: |n| format!("{n:.0}"),
    },
    Column {
        heading: "file [MB]",
        key: "file_bytes",
        best: Best::Least,
        value: |row| row.cost.bytes.map(|n| n as f64),
        show: |n| format!("{:.2}", n * 1e-6),
    },
    Column {
        heading: "baked",
        key: "baked",
        best: Best::None,
        value: |row| row.cost.bytes.map(|_| f64::from(u8::from(row.cost.is_baked))),
        show: |n| if n > 0.5 { "yes".to_owned() } else { "no".to_owned() },
    },
];

/// What the columns mean.
pub const LEGEND: &str = "\
PSNR and SSIM: means over held-out members, relative L2 error: of all of them as one; PSNR also of up \
to 16 training members (seen). Mult-adds as in the paper (4 a feature of a grid), and seconds: of 10^9 \
queries at random points with one set of parameters; libtorch: the functions that PyTorch has, in pieces \
of 16,384 points, refinement done before; libdrr: the baked file (16-bit grids), all cores. Field: seconds \
of all points of one field in their order (of large ones some rows are measured). File: baked, or the \
weights of a model that cannot be.";

/// Three or four digits.
fn significant(n: f64) -> String {
    match n {
        n if n >= 1000.0 => format!("{n:.0}"),
        n if n >= 100.0 => format!("{n:.1}"),
        n if n >= 1.0 => format!("{n:.2}"),
        n => format!("{n:.3}"),
    }
}

/// A budget's rows with their heading.
pub struct Section<'a> {
    /// Short: what files are called.
    pub name: String,
    /// For people.
    pub title: String,
    pub rows: &'a [Row],
}

impl Section<'_> {
    /// For the terminal.
    pub fn text(&self) -> String {
        let mut lines = vec![self.title.clone()];
        let cells = self.cells();
        let widths: Vec<usize> = (0..=COLUMNS.len())
            .map(|k| cells.iter().map(|row| row[k].0.chars().count()).max().unwrap_or(0))
            .collect();
        for row in &cells {
            let padded = row.iter().zip(&widths).enumerate().map(|(k, ((cell, _), &width))| {
                let pad = " ".repeat(width - cell.chars().count());
                if k == 0 { format!("{cell}{pad}") } else { format!("{pad}{cell}") }
            });
            lines.push(padded.collect::<Vec<_>>().join("  ").trim_end().to_owned());
        }
        for row in self.rows {
            lines.extend(row.outcome.error.as_ref().map(|error| format!("{}: {error}", row.run)));
        }
        lines.join("\n")
    }

    /// For documents; the best of each column is bold.
    pub fn markdown(&self) -> String {
        let mut lines = vec![format!("### {}", self.title), String::new()];
        for (n, row) in self.cells().iter().enumerate() {
            let cells = row.iter().map(|(cell, best)| match best {
                true => format!("**{cell}**"),
                false => cell.replace('|', "\\|"),
            });
            lines.push(format!("| {} |", cells.collect::<Vec<_>>().join(" | ")));
            if n == 0 {
                lines.push(format!("| --- |{}", " ---: |".repeat(COLUMNS.len())));
            }
        }
        lines.join("\n") + "\n"
    }

    /// For the page.
    pub fn html(&self) -> String {
        let mut html = String::from("<table>");
        for (n, row) in self.cells().iter().enumerate() {
            html += "<tr>";
            for (cell, best) in row {
                let cell = escape(cell);
                html += &match (n, best) {
                    (0, _) => format!("<th>{cell}"),
                    (_, true) => format!("<td><b>{cell}</b>"),
                    (_, false) => format!("<td>{cell}"),
                };
            }
            html += "\n";
        }
        html + "</table>\n"
    }

    /// A heading, then a row for each model; whether a cell is the best of its column.
    fn cells(&self) -> Vec<Vec<(String, bool)>> {
        let heading = std::iter::once("model").chain(COLUMNS.iter().map(|column| column.heading));
        let mut all = vec![heading.map(|text| (text.to_owned(), false)).collect::<Vec<_>>()];
        let best: Vec<Option<f64>> = COLUMNS.iter().map(|column| self.best(column)).collect();
        for row in self.rows {
            let mut cells = vec![(row.title.clone(), false)];
            for (column, best) in COLUMNS.iter().zip(&best) {
                cells.push(match (column.value)(row) {
                    Some(value) => ((column.show)(value), Some(value) == *best),
                    None => ("-".to_owned(), false),
                });
            }
            all.push(cells);
        }
        all
    }

    /// The best number of a column, if there is something to choose from.
    fn best(&self, column: &Column) -> Option<f64> {
        let values: Vec<f64> = self.rows.iter().filter_map(column.value).collect();
        match column.best {
            _ if values.len() < 2 => None,
            Best::Most => values.into_iter().reduce(f64::max),
            Best::Least => values.into_iter().reduce(f64::min),
            Best::None => None,
        }
    }
}

/// All sections as CSV, numbers in full.
///
/// # Errors
/// If memory is short.
pub fn csv(sections: &[Section<'_>]) -> Result<Vec<u8>> {
    let mut csv = csv::Writer::from_writer(Vec::new());
    let keys = COLUMNS.iter().map(|column| column.key);
    csv.write_record(["budget", "run", "model"].into_iter().chain(keys).chain(["error"]))?;
    for section in sections {
        for row in section.rows {
            let mut record = vec![section.name.clone(), row.run.clone(), row.title.clone()];
            let text = |number: Option<f64>| number.map_or(String::new(), |n| n.to_string());
            record.extend(COLUMNS.iter().map(|column| text((column.value)(row))));
            record.push(row.outcome.error.clone().unwrap_or_default());
            csv.write_record(&record)?;
        }
    }
    Ok(csv.into_inner()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn row(title: &str, psnr: f64, seconds: Option<f64>) -> Row {
        let quality = json!({"test": {"psnr_mean": psnr, "ssim": null}});
        let outcome = Outcome { steps: Some(7), quality, ..Outcome::default() };
        let cost = Cost { libtorch_s: seconds, ..Cost::default() };
        Row { run: format!("run-{title}"), title: title.to_owned(), outcome, cost }
    }

    #[test]
    fn the_best_of_each_column_stands_out() {
        let rows = [row("a|b", 30.0, Some(1500.0)), row("c", 40.25, None)];
        let section = Section { name: "7steps".into(), title: "7 steps".into(), rows: &rows };
        let markdown = section.markdown();
        assert!(markdown.contains("| a\\|b | 7 | - | 30.00 |"), "{markdown}");
        // One time alone is no best one.
        assert!(markdown.contains("| **40.25** |") && markdown.contains("| 1500 |"), "{markdown}");
        assert!(section.html().contains("<td><b>40.25</b>"));
        assert!(section.text().lines().all(|line| !line.ends_with(' ')));
        let csv = String::from_utf8(csv(&[section]).unwrap()).unwrap();
        assert!(csv.lines().nth(1).unwrap().starts_with("7steps,run-a|b,a|b,7,,30,"), "{csv}");
    }

    #[test]
    fn numbers_have_few_digits() {
        let shown = [12345.6, 123.45, 1.2345, 0.012345].map(significant);
        assert_eq!(shown, ["12346", "123.5", "1.23", "0.012"]);
    }
}
