//! Files of a training in situ: baked models, and runs from which it can go on.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::json;

use super::failure::{Failure, Kind, Outcome};
use super::{InSitu, aside, rescale};
use crate::bake::{self, Description, Outcome as Baked, Source};
use crate::data::{Normalization, Sharing};
use crate::models::Parameters;
use crate::progress::Progress;
use crate::train::fields::Fields;
use crate::train::learner::Learner;
use crate::train::ranks::Ranks;
use crate::train::record::DataRecord;
use crate::train::run::Run;
use crate::train::subject::Subject;

/// What baked files and runs call the data.
const NAME: &str = "in situ";

impl InSitu {
    /// Bakes the model as it is; what was at `path` before stays if that fails.
    ///
    /// # Errors
    /// [`Kind::NotReady`] while it is not known what values are learned; if the model cannot be
    /// baked in this way, or the file not be written.
    pub fn bake(&mut self, path: &Path, options: &bake::Options) -> Outcome<Baked> {
        self.check_scaled()?;
        let record = self.record()?;
        let Self { learner, config, threads, .. } = self;
        let mut description = record.description;
        description.provenance.insert("steps".into(), json!(learner.step));
        let tool = format!("drr-train {}", drr::VERSION);
        description.provenance.insert("tool".into(), json!(tool));
        aside(*threads, move || {
            let source = source(learner, config, description)?;
            Ok(bake::bake(&*source, options, None, path, &|_, _| Progress::hidden())?)
        })
    }

    /// As [`bake`](Self::bake), to memory, by way of a folder in the system's folder for temporary
    /// files (`TMPDIR`), which is gone afterwards.
    ///
    /// # Errors
    /// As [`bake`](Self::bake).
    pub fn bake_to_memory(&mut self, options: &bake::Options) -> Outcome<Vec<u8>> {
        self.check_scaled()?;
        let folder = tempfile::Builder::new().prefix("drr-train-").tempdir();
        let folder = folder.context("cannot make a folder for temporary files (TMPDIR)")?;
        let path = folder.path().join("model");
        self.bake(&path, options)?;
        Ok(std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?)
    }

    /// Stores a checkpoint in a run's folder, which is made if it is not there: `drr-train bake`
    /// and others take it. Its last two checkpoints are kept.
    ///
    /// # Errors
    /// As [`bake`](Self::bake), and for a folder that holds something else.
    pub fn save(&mut self, folder: &Path) -> Outcome<()> {
        self.check_scaled()?;
        let record = self.record()?;
        let run = self.run(folder)?;
        let mut entry = self.entry.clone();
        self.settings.resolve(&mut entry);
        self.learner.subject.resolve(&mut entry);
        if !self.has_steps {
            entry["train"]["steps"] = serde_json::Value::Null;
        }
        run.write_config(&entry)?;
        run.write_data(&record)?;
        let mut state = self.learner.state(self.learner.seconds);
        let schedule = &self.settings.schedule;
        let falls = !self.has_steps && schedule.begin != u64::MAX;
        state.falling = falls.then_some((schedule.begin, schedule.steps));
        let learner = &mut self.learner;
        aside(self.threads, move || {
            let Some(tensors) = learner.tensors(&Ranks::default()) else { return Ok(()) };
            Ok(run.checkpoints().store(&state, &tensors)?)
        })
    }

    /// Goes on from the last checkpoint in a run's folder: weights, optimiser, steps, and what values
    /// become 0 and 1. Members stay those that are here. If this fails, everything stays.
    ///
    /// # Errors
    /// If the folder is no run, damaged, or of another model or other data.
    pub fn restore(&mut self, folder: &Path) -> Outcome<()> {
        let run = Run::open(folder)?;
        let (config, record) = (run.config().map_err(damaged)?, run.data().map_err(damaged)?);
        let same = config.model == self.config.model;
        let differs = || format!("{} was trained with another `model`", folder.display());
        ensure_argument(same, differs)?;
        let checkpoint = run.last_checkpoint()?;
        let state = checkpoint.state().map_err(damaged)?;
        let mut ensemble = self.learner.subject.ensemble().clone();
        let scale = scale_of(&record.description, ensemble.normalization)
            .ok_or_else(|| damaged(anyhow::anyhow!("{} names no values", folder.display())))?;
        if !self.is_scaled {
            rescale(&mut ensemble, scale);
        }
        record
            .description
            .check_scales(&Description::of(&ensemble))
            .with_context(|| format!("{} was trained on other data", folder.display()))?;
        let Self { config, settings, threads, device, .. } = &*self;
        let learner = aside(*threads, || {
            let fields =
                Box::new(Fields::of(config, ensemble, *device, None, &Sharing::default())?);
            let learner = Learner::restore(fields, settings, *device, &checkpoint);
            let learner =
                learner.with_context(|| format!("cannot go on from {}", folder.display()));
            learner.map_err(damaged)
        })?;
        self.learner = learner;
        self.is_scaled = true;
        if !self.has_steps {
            let schedule = &mut self.settings.schedule;
            (schedule.begin, schedule.steps) = state.falling.unwrap_or((u64::MAX, 1));
        }
        Ok(())
    }

    /// What runs and files say of the data.
    fn record(&self) -> Outcome<DataRecord> {
        let ensemble = self.learner.subject.ensemble();
        let mut record = DataRecord::new(ensemble, &self.config.dataset)?;
        let data = record.description.provenance.entry("data").or_insert_with(|| json!({}));
        data["name"] = json!(NAME);
        data["members_seen"] = json!(self.members.seen());
        Ok(record)
    }

    /// The run in a folder, which is made if it is not there.
    fn run(&self, folder: &Path) -> Outcome<Run> {
        if !folder.join("config.yaml").is_file() {
            return Ok(Run::create(folder)?);
        }
        let run = Run::open(folder)?;
        let same = run.config()?.model == self.config.model;
        ensure_argument(same, || format!("{} is a run of another `model`", folder.display()))?;
        Ok(run)
    }
}

/// The model that is used, for baking.
fn source(
    learner: &Learner<Fields>,
    config: &crate::config::Config,
    description: Description,
) -> Result<Box<dyn Source>> {
    let tensors = learner.model(&Ranks::default()).unwrap_or_default().into_iter();
    let tensors = tensors.map(|(name, tensor)| (name, tensor.detach()));
    let parameters = Parameters::of_tensors_for_baking(tensors);
    bake::of_fields(config.model.of_ensemble()?, parameters, description)
}

/// By what the values of a run are normalised.
fn scale_of(description: &Description, like: Normalization) -> Option<Normalization> {
    let value = description.values.first()?;
    let (min, max) = (value.min, value.max);
    let range = description.provenance.get("data").map(|data| &data["range"]);
    let end = |n: usize| range.and_then(|range| range.get(n)).and_then(serde_json::Value::as_f64);
    Some(Normalization { min, max, range: end(0).zip(end(1)).unwrap_or((min, max)), ..like })
}

fn ensure_argument(holds: bool, message: impl FnOnce() -> String) -> Outcome<()> {
    if holds { Ok(()) } else { Err(Failure::argument(message())) }
}

/// What went wrong with a stored training: the system's fault, or the files'.
fn damaged(error: anyhow::Error) -> Failure {
    let failure = Failure::from(error);
    match failure.kind {
        Kind::InvalidArgument => failure.of_kind(Kind::Format),
        _ => failure,
    }
}
