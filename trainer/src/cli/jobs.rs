//! `drr-train jobs`

pub(super) mod job;
pub(super) mod slots;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::print;
use crate::files::write_atomically;
use crate::progress::{Interrupted, is_interrupted, say};
use job::{Job, Outcome};
use slots::Slot;

/// Train and judge many configurations, several at a time.
///
/// Every entry of every file becomes a run of its own in the folder OUT, for every seed; each is
/// trained, judged on held-out members and listed in a table, which OUT/jobs.csv holds, too. What a
/// run says goes to OUT/RUN.log. A run that fails does not stop the others.
///
/// Ctrl-C stops all runs with checkpoints. The same command again goes on: finished runs are not
/// repeated. A run that is there goes on as it began, whatever options are given then.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// Configuration file, or some entries of it; may be repeated
    #[arg(long, value_name = "FILE.yaml[:N,N...]", required = true)]
    config: Vec<String>,
    /// Folder of the runs; made if it is not there
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Folder of the data [default: from the configurations]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Steps of each run [default: from the configurations]
    #[arg(long, value_name = "N")]
    steps: Option<u64>,
    /// Seeds, each of which makes a run of every entry
    #[arg(long, value_name = "S,S...", value_delimiter = ',', default_value = "0")]
    seeds: Vec<u64>,
    /// Devices, each of which has one run at a time: cuda:0,cuda:1; a device that is named twice
    /// has two. On the CPU, runs share the cores, or have OMP_NUM_THREADS threads each
    #[arg(long, value_name = "D,D...", value_delimiter = ',', default_value = "cpu")]
    devices: Vec<String>,
    /// Override anything in all configurations; may be repeated
    #[arg(long, value_name = "a.b=c")]
    set: Vec<String>,
    /// Train only, do not judge
    #[arg(long)]
    no_eval: bool,
}

const EXAMPLES: &str = "\
Examples:
  drr-train jobs --config drrnet.yaml --config baselines.yaml:0,2 --data ensemble --out runs \\
      --devices cuda:0,cuda:1
  drr-train jobs --config model.yaml --data ensemble --out runs --seeds 0,1,2 --devices cpu,cpu";

/// # Errors
/// If there is nothing to do, a run failed, or the user interrupts.
pub fn run(arguments: Arguments) -> Result<()> {
    let jobs = jobs(&arguments)?;
    std::fs::create_dir_all(&arguments.out)
        .with_context(|| format!("cannot make {}", arguments.out.display()))?;
    let slots = Slot::on(&arguments.devices)?;
    say(&format!("{} runs, {} at a time, in {}", jobs.len(), slots.len(), arguments.out.display()));
    let outcomes = slots::work(&jobs, &slots);
    write_atomically(&arguments.out.join("jobs.csv"), &table_csv(&jobs, &outcomes)?)?;
    print(table(&jobs, &outcomes).trim_end())?;
    if is_interrupted() {
        bail!(Interrupted);
    }
    let failed = outcomes.iter().filter(|outcome| outcome.error.is_some()).count();
    ensure!(failed == 0, "{failed} of {} runs failed; OUT/RUN.log says why", jobs.len());
    Ok(())
}

/// Every entry with every seed.
fn jobs(arguments: &Arguments) -> Result<Vec<Job>> {
    let mut jobs: Vec<Job> = Vec::new();
    for given in &arguments.config {
        let (path, ids) = entries(given)?;
        for id in ids {
            for &seed in &arguments.seeds {
                let stem = path.file_stem().unwrap_or_default().to_string_lossy();
                let mut name = format!("{stem}-{id}");
                if arguments.seeds.len() > 1 {
                    name += &format!("-seed{seed}");
                }
                ensure!(
                    jobs.iter().all(|job| job.name != name),
                    "two runs would be called {name}: rename one of the files, or name each entry once"
                );
                let mut options = vec!["--config-id".to_owned(), id.to_string()];
                options.extend(["--seed".to_owned(), seed.to_string()]);
                if let Some(data) = &arguments.data {
                    options.extend(["--data".to_owned(), data.to_string_lossy().into_owned()]);
                }
                if let Some(steps) = arguments.steps {
                    options.extend(["--steps".to_owned(), steps.to_string()]);
                }
                let sets = arguments.set.iter().flat_map(|set| ["--set".to_owned(), set.clone()]);
                options.extend(sets);
                let folder = arguments.out.join(&name);
                let (config, judge) = (path.clone(), (!arguments.no_eval).then(Vec::new));
                jobs.push(Job { name, config, options, folder, judge });
            }
        }
    }
    ensure!(!jobs.is_empty(), "nothing to do: the configurations have no entries");
    Ok(jobs)
}

/// `FILE` or `FILE:0,2`: the file and which of its entries.
///
/// # Errors
/// If there is no such file or entry.
pub(super) fn entries(given: &str) -> Result<(PathBuf, Vec<usize>)> {
    let numbers = |text: &str| -> Option<Vec<usize>> {
        text.split(',').map(|number| number.parse().ok()).collect()
    };
    let (path, ids) = match given.rsplit_once(':').map(|(path, ids)| (path, numbers(ids))) {
        Some((path, Some(ids))) if !Path::new(given).exists() => (path, Some(ids)),
        _ => (given, None),
    };
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?;
    let count = match crate::config::parse_yaml(&text).with_context(|| path.to_owned())? {
        Value::Array(entries) => entries.len(),
        _ => 1,
    };
    let ids = ids.unwrap_or_else(|| (0..count).collect());
    if let Some(id) = ids.iter().find(|&&id| id >= count) {
        bail!("{path} has {count} entries, numbered from 0: there is no entry {id}");
    }
    Ok((PathBuf::from(path), ids))
}

/// Columns of the table: their keys in what `eval` says, and how they are shown.
const COLUMNS: [(&str, usize); 4] =
    [("psnr_mean", 2), ("ssim", 4), ("rel_l2", 5), ("max_error", 4)];

fn table(jobs: &[Job], outcomes: &[Outcome]) -> String {
    let width = jobs.iter().map(|job| job.name.len()).max().unwrap_or(0).max(3);
    let mut text = format!(
        "{:width$}  {:>8}  {:>9}  {:>10}  {:>9}  {:>7}  {:>8}  {:>10}\n",
        "run", "steps", "time", "parameters", "PSNR [dB]", "SSIM", "rel. L2", "max. error"
    );
    for (job, outcome) in jobs.iter().zip(outcomes) {
        let count = |n: Option<u64>| n.map_or("-".to_owned(), |n| n.to_string());
        let time = outcome.seconds.map_or("-".to_owned(), |s| format!("{s:.0} s"));
        let quality: Vec<String> = COLUMNS
            .map(|(key, digits)| {
                let number = outcome.judged(key);
                number.map_or("-".to_owned(), |number| format!("{number:.digits$}"))
            })
            .to_vec();
        text += &format!(
            "{:width$}  {:>8}  {time:>9}  {:>10}  {:>9}  {:>7}  {:>8}  {:>10}",
            job.name,
            count(outcome.steps),
            count(outcome.parameters),
            quality[0],
            quality[1],
            quality[2],
            quality[3]
        );
        if let Some(error) = &outcome.error {
            text += &format!("  {error}");
        }
        text.push('\n');
    }
    text + "quality: of held-out members; of a single field, of itself\n"
}

fn table_csv(jobs: &[Job], outcomes: &[Outcome]) -> Result<Vec<u8>> {
    let mut csv = csv::Writer::from_writer(Vec::new());
    let keys = COLUMNS.map(|(key, _)| key);
    csv.write_record(
        ["run", "steps", "seconds", "parameters"].iter().chain(&keys).chain(&["error"]),
    )?;
    for (job, outcome) in jobs.iter().zip(outcomes) {
        let text = |number: Option<String>| number.unwrap_or_default();
        let mut record = vec![job.name.clone()];
        record.push(text(outcome.steps.map(|n| n.to_string())));
        record.push(text(outcome.seconds.map(|n| n.to_string())));
        record.push(text(outcome.parameters.map(|n| n.to_string())));
        record.extend(keys.map(|key| text(outcome.judged(key).map(|n| n.to_string()))));
        record.push(outcome.error.clone().unwrap_or_default());
        csv.write_record(&record)?;
    }
    Ok(csv.into_inner()?)
}
