//! The checkpoints of a run: the last ones, to go on from, and the best by validation.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use tch::Tensor;

use super::course::Course;
use crate::files::write_atomically;
use crate::models::checkpoint::{self, Lazy, here, read_safetensors, write_safetensors};

/// Checkpoints that are kept: one to go on from if the last is damaged.
const KEEP: usize = 2;

const WEIGHTS: &str = "weights.safetensors";
const AVERAGED: &str = "averaged.safetensors";
const OPTIMIZER: &str = "optimizer.safetensors";
const EXTRA: &str = "extra.safetensors";
const STATE: &str = "state.json";
const BEST: &str = "best";

/// The folder of a run's checkpoints.
pub struct Checkpoints {
    folder: PathBuf,
}

/// A complete checkpoint.
pub struct Checkpoint {
    folder: PathBuf,
    /// Steps that were done.
    pub steps: u64,
}

/// Where a training stood, but for its tensors.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct State {
    /// Steps that were done.
    pub steps: u64,
    /// Seconds that they took.
    pub seconds: f64,
    /// Steps of the optimiser, fewer where gradients overflowed.
    pub optimizer_steps: Option<u64>,
    /// Scale of the loss, and steps since it changed.
    pub loss_scale: Option<(f64, u32)>,
    /// What validation found.
    pub validation: Option<Course>,
    /// In situ, where learning rates fall: since which step, in how many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub falling: Option<(u64, u64)>,
}

/// Tensors by name.
pub type Named = Vec<(String, Tensor)>;

/// Tensors by name, some of which are made when they are asked for.
pub type Stored<'a> = Vec<(String, Lazy<'a>)>;

/// The tensors of a checkpoint by name.
pub struct Tensors<'a> {
    /// The model's weights.
    pub weights: Stored<'a>,
    /// Their averages, if they are averaged.
    pub averaged: Option<Stored<'a>>,
    /// The optimiser's moments.
    pub optimizer: Stored<'a>,
    /// What else the model needs; there may be nothing.
    pub extra: Named,
}

impl Checkpoints {
    /// Those in `folder`.
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Stores a checkpoint: complete or not at all. The last two are kept.
    ///
    /// # Errors
    /// If the disk is full, for instance; earlier checkpoints stay.
    pub fn store(&self, state: &State, tensors: &Tensors) -> Result<()> {
        self.complete(&format!("step-{:08}", state.steps), state, |folder| {
            write_safetensors(&folder.join(WEIGHTS), &tensors.weights)?;
            if let Some(averaged) = &tensors.averaged {
                write_safetensors(&folder.join(AVERAGED), averaged)?;
            }
            write_extra(folder, &tensors.extra)?;
            write_safetensors(&folder.join(OPTIMIZER), &tensors.optimizer)
        })?;
        for old in self.all()?.iter().rev().skip(KEEP) {
            // An old checkpoint that cannot be removed does no harm.
            let _ = fs::remove_dir_all(&old.folder);
        }
        Ok(())
    }

    /// Stores the weights of the best model so far.
    ///
    /// # Errors
    /// As [`store`](Self::store).
    pub fn store_best(
        &self,
        state: &State,
        weights: &Stored<'_>,
        extra: &[(String, Tensor)],
    ) -> Result<()> {
        self.complete(BEST, state, |folder| {
            write_extra(folder, extra)?;
            write_safetensors(&folder.join(WEIGHTS), weights)
        })
    }

    /// The last checkpoint, if there is one.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub fn last(&self) -> Result<Option<Checkpoint>> {
        Ok(self.all()?.pop())
    }

    /// The best model by validation, if there was any.
    ///
    /// # Errors
    /// If it is damaged.
    pub fn best(&self) -> Result<Option<Checkpoint>> {
        let folder = self.folder.join(BEST);
        if !folder.is_dir() {
            return Ok(None);
        }
        let mut checkpoint = Checkpoint { folder, steps: 0 };
        checkpoint.steps = checkpoint.state()?.steps;
        Ok(Some(checkpoint))
    }

    /// Makes the checkpoint `name` from what `write` puts into a folder.
    fn complete(
        &self,
        name: &str,
        state: &State,
        write: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<()> {
        let folder = &self.folder;
        let temporary = tempfile::Builder::new()
            .prefix(".incomplete-")
            .tempdir_in(folder)
            .with_context(|| format!("cannot write a checkpoint in {}", folder.display()))?;
        write(temporary.path())?;
        write_atomically(&temporary.path().join(STATE), &serde_json::to_vec_pretty(state)?)?;
        let complete = folder.join(name);
        // A folder cannot take the place of another in one step: the old one waits beside it.
        let old = temporary.path().with_extension("old");
        if complete.exists() {
            fs::rename(&complete, &old)?;
        }
        fs::rename(temporary.keep(), &complete)
            .and_then(|()| fs::File::open(folder)?.sync_all())
            .with_context(|| format!("cannot write {}", complete.display()))?;
        // What cannot be removed does no harm.
        let _ = fs::remove_dir_all(&old);
        Ok(())
    }

    fn all(&self) -> Result<Vec<Checkpoint>> {
        let entries = fs::read_dir(&self.folder)
            .with_context(|| format!("cannot read {}", self.folder.display()))?;
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

    /// The tensors that training goes on from.
    pub fn weights(&self) -> PathBuf {
        self.folder.join(WEIGHTS)
    }

    /// The tensors of the model that is used: the averaged ones where there are any.
    pub fn model(&self) -> PathBuf {
        let averaged = self.folder.join(AVERAGED);
        if averaged.is_file() { averaged } else { self.weights() }
    }

    /// Where training stood.
    ///
    /// # Errors
    /// If the checkpoint is damaged.
    pub fn state(&self) -> Result<State> {
        let path = self.folder.join(STATE);
        let text = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        serde_json::from_slice(&text).with_context(|| format!("{} is damaged", path.display()))
    }

    /// The averaged weights by name.
    ///
    /// # Errors
    /// If they are not there or damaged.
    pub fn averaged(&self) -> Result<checkpoint::Checkpoint> {
        checkpoint::Checkpoint::open(&self.folder.join(AVERAGED))
    }

    /// The optimiser's moments by name.
    ///
    /// # Errors
    /// If they are not there or damaged.
    pub fn optimizer(&self) -> Result<checkpoint::Checkpoint> {
        checkpoint::Checkpoint::open(&self.folder.join(OPTIMIZER))
    }

    /// What else the model needs, by name; nothing if there is nothing.
    ///
    /// # Errors
    /// If it is damaged.
    pub fn extra(&self) -> Result<Named> {
        let path = self.folder.join(EXTRA);
        if !path.is_file() {
            return Ok(Vec::new());
        }
        Ok(read_safetensors(&path)?.into_iter().collect())
    }
}

/// Where a checkpoint has what the model needs beside `weights`.
pub fn extra_beside(weights: &Path) -> PathBuf {
    weights.with_file_name(EXTRA)
}

fn write_extra(folder: &Path, extra: &[(String, Tensor)]) -> Result<()> {
    match extra.is_empty() {
        true => Ok(()),
        false => {
            let extra = extra.iter().map(|(name, tensor)| (name.as_str(), tensor));
            write_safetensors(&folder.join(EXTRA), &here(extra))
        }
    }
}
