//! The folder of a run: everything needed to understand it, to go on with it and to bake it.
//!
//! ```text
//! RUN/config.yaml       resolved configuration: `drr-train train --config` of it repeats the run
//! RUN/data.json         axes, parameters, values and members of the data
//! RUN/log.txt           what was said
//! RUN/metrics.csv       step, loss, psnr, steps_per_s, points_per_s, seconds
//! RUN/loss.png          the loss curve
//! RUN/checkpoints/step-00001000/{weights,optimizer}.safetensors, state.json
//! RUN/eval/             written by `drr-train eval`
//! ```

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::adam::Adam;
use super::record::DataRecord;
use crate::config::{self, Config};
use crate::data::Ensemble;
use crate::files::write_atomically;
use crate::models::Parameters;
use crate::models::checkpoint::{read_safetensors, write_safetensors};

/// Checkpoints that are kept: one to go on from if the last is damaged.
const KEEP: usize = 2;

/// A run's folder.
pub struct Run {
    folder: PathBuf,
}

/// A complete checkpoint.
pub struct Checkpoint {
    folder: PathBuf,
    /// Steps that were done.
    pub steps: u64,
}

#[derive(Serialize, Deserialize)]
struct State {
    steps: u64,
    seconds: f64,
}

impl Run {
    /// A new run in `folder`, which is made; anything but an empty folder is refused.
    ///
    /// # Errors
    /// If the folder holds something or cannot be written.
    pub fn create(folder: &Path) -> Result<Self> {
        let occupied = fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some());
        ensure!(
            !occupied,
            "{} is not empty: `--resume` goes on with a run, or choose another folder",
            folder.display()
        );
        fs::create_dir_all(folder.join("checkpoints"))
            .with_context(|| format!("cannot make the run's folder {}", folder.display()))?;
        Ok(Self { folder: folder.to_owned() })
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
        self.data()?.check(&DataRecord::new(ensemble, &config.dataset)?).with_context(|| {
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

    /// Stores a checkpoint: complete or not at all. The last two are kept.
    ///
    /// # Errors
    /// If the disk is full, for instance; earlier checkpoints stay.
    pub fn checkpoint(
        &self,
        steps: u64,
        seconds: f64,
        parameters: &Parameters,
        adam: &Adam,
    ) -> Result<Checkpoint> {
        let folder = self.path("checkpoints");
        let complete = folder.join(format!("step-{steps:08}"));
        let temporary = tempfile::Builder::new()
            .prefix(".incomplete-")
            .tempdir_in(&folder)
            .with_context(|| format!("cannot write a checkpoint in {}", folder.display()))?;
        write_safetensors(&temporary.path().join("weights.safetensors"), parameters.all())?;
        let state = adam.state();
        let moments = state.iter().map(|(name, tensor)| (name.as_str(), tensor));
        write_safetensors(&temporary.path().join("optimizer.safetensors"), moments)?;
        let text = serde_json::to_vec_pretty(&State { steps, seconds })?;
        write_atomically(&temporary.path().join("state.json"), &text)?;
        if complete.exists() {
            fs::remove_dir_all(&complete)?;
        }
        fs::rename(temporary.keep(), &complete)
            .and_then(|()| fs::File::open(&folder)?.sync_all())
            .with_context(|| format!("cannot write {}", complete.display()))?;
        let all = self.checkpoints()?;
        for old in all.iter().rev().skip(KEEP) {
            // An old checkpoint that cannot be removed does no harm.
            let _ = fs::remove_dir_all(&old.folder);
        }
        Ok(Checkpoint { folder: complete, steps })
    }

    /// The last checkpoint.
    ///
    /// # Errors
    /// If there is none.
    pub fn last_checkpoint(&self) -> Result<Checkpoint> {
        match self.checkpoints()?.pop() {
            Some(checkpoint) => Ok(checkpoint),
            None => bail!(
                "{0} has no checkpoint yet: `drr-train train --config {0}/config.yaml --out NEW` \
                 starts again",
                self.folder.display()
            ),
        }
    }

    fn checkpoints(&self) -> Result<Vec<Checkpoint>> {
        let folder = self.path("checkpoints");
        let entries =
            fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
        let mut all = Vec::new();
        for entry in entries {
            let folder = entry?.path();
            let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if let Some(steps) = name.strip_prefix("step-").and_then(|steps| steps.parse().ok()) {
                all.push(Checkpoint { folder, steps });
            }
        }
        all.sort_by_key(|checkpoint| checkpoint.steps);
        Ok(all)
    }
}

impl Checkpoint {
    /// Where it is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The model's tensors.
    pub fn weights(&self) -> PathBuf {
        self.folder.join("weights.safetensors")
    }

    /// Puts the optimiser where it was; returns the seconds that training had taken.
    pub fn restore(&self, adam: &mut Adam) -> Result<f64> {
        let path = self.folder.join("state.json");
        let text = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let state: State = serde_json::from_slice(&text)
            .with_context(|| format!("{} is damaged", path.display()))?;
        let moments = read_safetensors(&self.folder.join("optimizer.safetensors"))?;
        adam.restore(state.steps, &moments)?;
        Ok(state.seconds)
    }
}
