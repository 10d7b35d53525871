//! One run: trained and judged by processes of their own, whose words go to a log.

use std::fs::{self, File, OpenOptions};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::slots::Slot;
use crate::progress::is_interrupted;
use crate::train::run::Run;

/// How often it is seen whether a process has ended.
const POLL: Duration = Duration::from_millis(50);

/// A run to be made.
pub struct Job {
    /// Its name, and that of its folder.
    pub name: String,
    /// File of its configuration.
    pub config: PathBuf,
    /// Arguments of `train` beside configuration and folder.
    pub options: Vec<String>,
    /// Where it goes.
    pub folder: PathBuf,
    /// Arguments of `eval` beside the folder; `None`: it is not judged.
    pub judge: Option<Vec<String>>,
}

/// What came of a run.
#[derive(Default)]
pub struct Outcome {
    /// Steps that were done.
    pub steps: Option<u64>,
    /// Seconds that they took.
    pub seconds: Option<f64>,
    /// Trainable numbers.
    pub parameters: Option<u64>,
    /// What `eval` says of training and of held-out members; null if nothing.
    pub quality: Value,
    /// Why it is not finished.
    pub error: Option<String>,
}

impl Outcome {
    /// What `eval` says of held-out members; of a single field, of itself.
    pub fn judged(&self, key: &str) -> Option<f64> {
        let [test, train] = ["test", "train"].map(|split| &self.quality[split]);
        if test.is_null() { train[key].as_f64() } else { test[key].as_f64() }
    }

    /// What that is said of.
    pub fn judges(&self) -> &'static str {
        if self.quality["test"].is_null() { "the field" } else { "what was held out" }
    }
}

impl Job {
    /// Trains and judges, or goes on where it was left.
    pub fn work(&self, slot: &Slot) -> Outcome {
        let error = self.make(slot).err().map(|error| format!("{error:#}"));
        let mut outcome = self.read().unwrap_or_default();
        outcome.error = error;
        outcome
    }

    fn make(&self, slot: &Slot) -> Result<()> {
        let run = Run::open(&self.folder).ok();
        let begun = run.as_ref().is_some_and(|run| run.last_checkpoint().is_ok());
        let folder = self.folder.to_string_lossy();
        let mut train = vec!["train", "--device", &slot.device];
        let config = self.config.to_string_lossy();
        if begun {
            train.extend(["--resume", &folder]);
        } else {
            if run.is_some() {
                // It stopped before its first checkpoint: nothing to go on from.
                fs::remove_dir_all(&self.folder)
                    .with_context(|| format!("cannot remove {}", self.folder.display()))?;
            }
            train.extend(["--config", &config, "--out", &folder]);
            train.extend(self.options.iter().map(String::as_str));
        }
        self.run(&train, slot)?;
        if let Some(options) = &self.judge {
            let options = options.iter().map(String::as_str);
            let eval: Vec<&str> = ["eval", &folder].into_iter().chain(options).collect();
            self.run(&eval, slot)?;
        }
        Ok(())
    }

    /// Runs this program; an error with the last line that it wrote if it fails.
    fn run(&self, arguments: &[&str], slot: &Slot) -> Result<()> {
        let path = self.folder.with_extension("log");
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .with_context(|| format!("cannot write {}", path.display()))?;
        // In a group of its own, so that Ctrl-C reaches it through this process alone: a second one
        // would end it at once.
        let mut child = Command::new(std::env::current_exe()?)
            .args(arguments)
            .env("OMP_NUM_THREADS", slot.threads.to_string())
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(File::try_clone(&log)?)
            .stderr(log)
            .spawn()?;
        let mut told = false;
        let status = loop {
            if let Some(status) = child.try_wait()? {
                break status;
            }
            if is_interrupted() && !told {
                interrupt(&child);
                told = true;
            }
            thread::sleep(POLL);
        };
        match status.code() {
            Some(0) => Ok(()),
            Some(130) => bail!("interrupted"),
            _ => bail!("{}", last_line(&path).unwrap_or_else(|| status.to_string())),
        }
    }

    /// What the folder says.
    fn read(&self) -> Option<Outcome> {
        let run = Run::open(&self.folder).ok()?;
        let state = run.last_checkpoint().ok()?.state().ok()?;
        let summary = fs::read(run.path("eval/summary.json")).ok();
        let summary: Option<Value> = summary.and_then(|text| serde_json::from_slice(&text).ok());
        let sizes = run.config().ok().and_then(|config| {
            crate::eval::flops::Sizes::of_model(&config.model).ok()?.total().ok()
        });
        Some(Outcome {
            steps: Some(state.steps),
            seconds: Some(state.seconds),
            parameters: sizes,
            quality: summary.map_or(Value::Null, |summary| summary["quality"].clone()),
            error: None,
        })
    }
}

/// Asks a process to stop at the next good place.
fn interrupt(child: &Child) {
    if let Ok(pid) = libc::pid_t::try_from(child.id()) {
        // SAFETY: sends a signal to a child that has not been waited for, so that the number is its.
        unsafe { libc::kill(pid, libc::SIGINT) };
    }
}

fn last_line(path: &Path) -> Option<String> {
    let text = fs::read(path).ok()?;
    let text = String::from_utf8_lossy(&text);
    let line = text.lines().rfind(|line| !line.trim().is_empty())?;
    Some(line.trim_start_matches("drr-train: ").to_owned())
}
