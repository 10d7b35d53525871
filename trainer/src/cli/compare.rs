//! `drr-train compare`

mod budget;
mod cost;
mod entrants;
mod page;
mod table;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use super::jobs::job::Job;
use super::jobs::slots::{self, Slot};
use super::{jobs, print};
use crate::device;
use crate::eval::curves::{self, Course};
use crate::files::write_atomically;
use crate::progress::{Interrupted, Progress, is_interrupted, say};
use crate::train::run::Run;
use budget::Budget;
use cost::Cost;
use entrants::Entrant;
use table::{LEGEND, Row, Section};

/// Training members that each model is judged on, the first ones: more tell little more.
const SEEN: usize = 16;

/// Train models on the same batches and compare what they give and what they cost.
///
/// The models are entries of configurations: DRR-Net, K-Planes, Explorable-INR, FA-INR, SIREN, hash
/// grids and others. Data and batches of the first one are taken for all; each keeps its own
/// optimiser. Each is trained within the same budget, judged on held-out members, baked if it can
/// be, and asked: how long 10^9 queries take in libtorch, with PyTorch's functions, and from the
/// baked file in libdrr, is measured on this machine; keep it free of other work.
///
/// OUT/compare.csv, compare.md and compare.html have the tables, the page also courses of training
/// and slices. Ctrl-C stops with checkpoints; the same command again goes on.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// Configuration file, or some entries of it; may be repeated
    #[arg(long, value_name = "FILE.yaml[:N,N...]", required = true)]
    config: Vec<String>,
    /// Folder of the results; made if it is not there
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Folder of the data [default: from the first model's configuration]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// How long each model is trained, for instance 2000steps or 5min; may be repeated, for a table
    /// each
    #[arg(long, value_name = "Nsteps|Mmin", required = true)]
    budget: Vec<Budget>,
    /// Seed of everything random
    #[arg(long, value_name = "S", default_value_t = 0)]
    seed: u64,
    /// Where to train and to measure: cpu, cuda:N or auto
    #[arg(long, value_name = "D", default_value = "auto")]
    device: String,
    /// Override anything in all configurations; may be repeated
    #[arg(long, value_name = "a.b=c")]
    set: Vec<String>,
}

const EXAMPLES: &str = "\
Examples:
  drr-train compare --config configs/cloverleaf64-compare.yaml --data ensemble --out compared \\
      --budget 5min
  drr-train compare --config nyx/drrnet.yaml:0 --config nyx/baselines.yaml --data nyx --out out \\
      --budget 2000steps --budget 30min --device cuda:0
  drr-train compare --config configs/cloverleaf64-ablation.yaml --data ensemble --out ablation \\
      --budget 2000steps";

/// # Errors
/// If a configuration is wrong, a run failed, or the user interrupts.
pub fn run(arguments: Arguments) -> Result<()> {
    let out = &arguments.out;
    let mut entries = Vec::new();
    for given in &arguments.config {
        let (path, ids) = jobs::entries(given)?;
        entries.extend(ids.into_iter().map(|id| (path.clone(), id)));
    }
    let (data, set) = (arguments.data.as_deref(), &arguments.set);
    let entrants = entrants::gather(&entries, data, set, &out.join("configs"))?;
    let device = device::parse(&arguments.device, None)?;
    let slots = Slot::on(std::slice::from_ref(&arguments.device))?;
    let mut all = Vec::new();
    for budget in &arguments.budget {
        say(&format!("{} models, {}, in {}", entrants.len(), budget.title(), out.display()));
        let jobs = jobs_of(&arguments, &entrants, budget)?;
        let outcomes = slots::work(&jobs, &slots);
        let rows = jobs.iter().zip(&entrants).zip(outcomes);
        let rows = rows.map(|((job, entrant), outcome)| Row {
            run: job.name.clone(),
            title: entrant.title.clone(),
            outcome,
            cost: Cost::default(),
        });
        all.push((budget, rows.collect::<Vec<_>>()));
        if is_interrupted() {
            bail!(Interrupted);
        }
    }
    measure(&mut all, out, device)?;
    let sections = all.iter().map(|(budget, rows)| Section {
        name: budget.to_string(),
        title: budget.title(),
        rows,
    });
    let sections: Vec<Section<'_>> = sections.collect();
    write(&sections, out)?;
    for section in &sections {
        print(format!("{}\n", section.text()))?;
    }
    print(LEGEND)?;
    for name in ["compare.csv", "compare.md", "compare.html"] {
        print(format!("written: {}", out.join(name).display()))?;
    }
    let rows = all.iter().flat_map(|(_, rows)| rows);
    let failed = rows.clone().filter(|row| row.outcome.error.is_some()).count();
    ensure!(failed == 0, "{failed} of {} runs failed; RUN.log beside each says why", rows.count());
    Ok(())
}

fn jobs_of(arguments: &Arguments, entrants: &[Entrant], budget: &Budget) -> Result<Vec<Job>> {
    let folder = arguments.out.join(budget.to_string());
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot make {}", folder.display()))?;
    let judge = vec!["--train-members".to_owned(), SEEN.to_string()];
    let job = |entrant: &Entrant| {
        let mut options = vec!["--seed".to_owned(), arguments.seed.to_string()];
        options.extend(budget.options());
        Job {
            name: entrant.name.clone(),
            config: entrant.config.clone(),
            options,
            folder: folder.join(&entrant.name),
            judge: Some(judge.clone()),
        }
    };
    Ok(entrants.iter().map(job).collect())
}

/// Fills in what the trained models cost.
fn measure(all: &mut [(&Budget, Vec<Row>)], out: &Path, device: tch::Device) -> Result<()> {
    let finished = |row: &Row| row.outcome.error.is_none();
    let count = all.iter().flat_map(|(_, rows)| rows).filter(|row| finished(row)).count();
    let progress = Progress::new("measuring", "models", count as u64);
    for (budget, rows) in all {
        for row in rows.iter_mut().filter(|row| finished(row)) {
            progress.check_interrupt()?;
            let folder = out.join(budget.to_string()).join(&row.run);
            let (run, baked) = (Run::open(&folder)?, folder.join("model.drr.safetensors"));
            match cost::measure(&run, &baked, device, &progress) {
                Ok(cost) => row.cost = cost,
                Err(error) if error.is::<Interrupted>() => return Err(error),
                Err(error) => row.outcome.error = Some(format!("{error:#}")),
            }
            progress.advance(1);
        }
    }
    progress.finish();
    Ok(())
}

/// Writes the tables, the courses of training and the page.
fn write(sections: &[Section<'_>], out: &Path) -> Result<()> {
    write_atomically(&out.join("compare.csv"), &table::csv(sections)?)?;
    let tables: Vec<String> = sections.iter().map(Section::markdown).collect();
    let markdown = format!("{}\n{LEGEND}\n", tables.join("\n"));
    write_atomically(&out.join("compare.md"), markdown.as_bytes())?;
    let mut pictures = Vec::new();
    for section in sections {
        let path = out.join(format!("courses-{}.png", section.name));
        let courses: Vec<Course> =
            section.rows.iter().map(|row| course(row, &out.join(&section.name))).collect();
        let texts = ["training", "seconds", "PSNR of the batches [dB]"];
        curves::draw(&path, texts, &courses)?;
        if let Ok(picture) = std::fs::read(&path) {
            pictures.push((section.name.clone(), picture));
        }
    }
    write_atomically(&out.join("compare.html"), page::html(sections, &pictures, out).as_bytes())
}

/// PSNR of the batches of a run over the seconds.
fn course(row: &Row, folder: &Path) -> Course {
    let rows = Run::open(&folder.join(&row.run)).and_then(|run| run.metrics()).unwrap_or_default();
    let points = rows.iter().map(|row| (row.seconds, row.psnr));
    Course { name: row.title.clone(), points: points.collect() }
}
