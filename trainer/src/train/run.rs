//! The folder of a run: everything needed to understand it, to go on with it and to bake it.
//!
//! ```text
//! RUN/config.yaml       resolved configuration: `drr-train train --config` of it repeats the run
//! RUN/data.json         axes, parameters, values and members of the data
//! RUN/log.txt           what was said
//! RUN/metrics.csv       step, loss, psnr, steps_per_s, points_per_s, seconds, lr, validation_psnr
//! RUN/events.out.*      the same for TensorBoard
//! RUN/loss.png          the loss curve
//! RUN/checkpoints/step-00001000/{weights,optimizer}.safetensors, state.json; averaged.safetensors
//!                       where weights are averaged
//! RUN/checkpoints/best/ the best model by validation, where members are set aside for it
//! RUN/eval/             written by `drr-train eval`
//! ```

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::checkpoints::{Checkpoint, Checkpoints};
use super::metrics::{self, Row};
use super::record::DataRecord;
use crate::config::{self, Config};
use crate::data::Ensemble;
use crate::files::write_atomically;

/// A run's folder.
pub struct Run {
    folder: PathBuf,
}

impl Run {
    /// A new run in `folder`, which is made; anything but an empty folder is refused.
    ///
    /// # Errors
    /// If the folder holds something or cannot be written.
    pub fn create(folder: &Path) -> Result<Self> {
        Self::check_free(folder)?;
        fs::create_dir_all(folder.join("checkpoints"))
            .with_context(|| format!("cannot make the run's folder {}", folder.display()))?;
        Ok(Self { folder: folder.to_owned() })
    }

    /// A run that another process makes, and writes.
    pub fn follow(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    /// # Errors
    /// If the folder holds something.
    pub fn check_free(folder: &Path) -> Result<()> {
        let occupied = fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some());
        ensure!(
            !occupied,
            "{} is not empty: `--resume` goes on with a run, or choose another folder",
            folder.display()
        );
        Ok(())
    }

    /// An existing run.
    ///
    /// # Errors
    /// If `folder` is none.
    pub fn open(folder: &Path) -> Result<Self> {
        ensure!(
            folder.join("config.yaml").is_file(),
            "{} is not a run: it has no config.yaml (`drr-train train --out {0}` makes one)",
            folder.display()
        );
        Ok(Self { folder: folder.to_owned() })
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Path of something in the run.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Stores the resolved configuration.
    pub fn write_config(&self, entry: &Value) -> Result<()> {
        let text = format!(
            "# Resolved configuration of this run; `drr-train train --config THIS --out NEW` \
             repeats it.\n{}",
            config::to_yaml(entry)?
        );
        write_atomically(&self.path("config.yaml"), text.as_bytes())
    }

    /// The resolved configuration.
    pub fn config(&self) -> Result<Config> {
        Config::from_value(&config::load_entry(&self.path("config.yaml"), 0)?)
    }

    /// What was reported of the training so far.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn metrics(&self) -> Result<Vec<Row>> {
        metrics::read(&self.path("metrics.csv"))
    }

    /// Stores what the data are.
    pub fn write_data(&self, data: &DataRecord) -> Result<()> {
        write_atomically(&self.path("data.json"), &serde_json::to_vec_pretty(data)?)
    }

    /// What the data are.
    pub fn data(&self) -> Result<DataRecord> {
        let path = self.path("data.json");
        let text = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        serde_json::from_slice(&text).with_context(|| format!("{} is damaged", path.display()))
    }

    /// Checks that `ensemble` is what the run was trained on.
    ///
    /// # Errors
    /// The first difference.
    pub fn check_data(&self, ensemble: &Ensemble, config: &Config) -> Result<()> {
        self.check_record(&DataRecord::new(ensemble, &config.dataset)?)
    }

    /// As [`check_data`](Self::check_data), from what a run would remember of the data.
    ///
    /// # Errors
    /// The first difference.
    pub fn check_record(&self, record: &DataRecord) -> Result<()> {
        self.data()?.check(record).with_context(|| {
            format!("these are not the data of the run (see {})", self.path("data.json").display())
        })
    }

    /// Appends a line to the log.
    pub fn log(&self, line: &str) -> Result<()> {
        let path = self.path("log.txt");
        let append = || -> std::io::Result<()> {
            let mut file = fs::OpenOptions::new().create(true).append(true).open(&path)?;
            writeln!(file, "{line}")
        };
        append().with_context(|| format!("cannot write {}", path.display()))
    }

    /// Its checkpoints.
    pub fn checkpoints(&self) -> Checkpoints {
        Checkpoints::new(self.path("checkpoints"))
    }

    /// The last checkpoint, from which training goes on.
    ///
    /// # Errors
    /// If there is none.
    pub fn last_checkpoint(&self) -> Result<Checkpoint> {
        match self.checkpoints().last()? {
            Some(checkpoint) => Ok(checkpoint),
            None => bail!(
                "{0} has no checkpoint yet: `drr-train train --config {0}/config.yaml --out NEW` \
                 starts again",
                self.folder.display()
            ),
        }
    }

    /// The checkpoint whose model is used: the best by validation, without validation the last.
    ///
    /// # Errors
    /// If there is none.
    pub fn model_checkpoint(&self) -> Result<Checkpoint> {
        match self.checkpoints().best()? {
            Some(best) => Ok(best),
            None => self.last_checkpoint(),
        }
    }
}
