//! Files of a training in situ: baked models, and runs from which it can go on.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::json;

use super::ensemble::rescale;
use super::failure::{Failure, Kind, Outcome};
use super::{InSitu, aside, sharing, together};
use crate::bake::{self, Description, Source};
use crate::data::Normalization;
use crate::models::Parameters;
use crate::progress::Progress;
use crate::train::checkpoints::{Named, State, Tensors};
use crate::train::fields::Fields;
use crate::train::learner::Learner;
use crate::train::record::DataRecord;
use crate::train::run::Run;
use crate::train::subject::Subject;

/// What baked files and runs call the data.
const NAME: &str = "in situ";

impl InSitu {
    /// Bakes the model as it is; what was at `path` before stays if that fails. Collective: the first
    /// process writes.
    ///
    /// # Errors
    /// [`Kind::NotReady`] while it is not known what values are learned; if the model cannot be
    /// baked in this way, or the file not be written.
    pub fn bake(&mut self, path: &Path, options: &bake::Options) -> Outcome<()> {
        let baked = self.bake_own(path, options);
        self.agree(baked)
    }

    /// As [`bake`](Self::bake), and whoever does not write does not know whether it was done.
    fn bake_own(&mut self, path: &Path, options: &bake::Options) -> Outcome<()> {
        let record = self.agree(self.check_scaled().and_then(|()| self.record()))?;
        let Self { learner, config, threads, carrier, .. } = self;
        let mut description = record.description;
        description.provenance.insert("steps".into(), json!(learner.step));
        let tool = format!("drr-train {}", drr::VERSION);
        description.provenance.insert("tool".into(), json!(tool));
        together(*threads, carrier.as_deref(), None, move |ranks, _| {
            let model = learner.model(ranks, |model| {
                Ok(model.iter().map(|(name, tensor)| (name.clone(), tensor.get())).collect())
            })?;
            let Some(model) = model else { return Ok(()) };
            let source = source(model, config, description)?;
            bake::bake(&*source, options, None, path, &|_, _| Progress::hidden())?;
            Ok(())
        })
    }

    /// As [`bake`](Self::bake), to the memory of every process, by way of a folder in the first one's
    /// folder for temporary files (`TMPDIR`), which is gone afterwards.
    ///
    /// # Errors
    /// As [`bake`](Self::bake).
    pub fn bake_to_memory(&mut self, options: &bake::Options) -> Outcome<Vec<u8>> {
        let baked = self.bake_through_file(options);
        let mut bytes = self.agree(baked)?;
        if self.carrier.is_none() {
            return Ok(bytes);
        }
        together(self.threads, self.carrier.as_deref(), None, move |ranks, _| {
            bytes.resize(ranks.of_first(bytes.len() as f64) as usize, 0);
            Ok(ranks.bytes_of_first(bytes))
        })
    }

    /// The bytes of the baked file in the first process, none in others.
    fn bake_through_file(&mut self, options: &bake::Options) -> Outcome<Vec<u8>> {
        let folder = tempfile::Builder::new().prefix("drr-train-").tempdir();
        let folder = folder.context("cannot make a folder for temporary files (TMPDIR)");
        let folder = self.agree(folder.map_err(Failure::from))?;
        let path = folder.path().join("model");
        self.bake_own(&path, options)?;
        if !self.is_first() {
            return Ok(Vec::new());
        }
        Ok(std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?)
    }

    fn is_first(&self) -> bool {
        self.carrier.as_ref().is_none_or(|carrier| carrier.rank() == 0)
    }

    /// Stores a checkpoint in a run's folder, which is made if it is not there: `drr-train bake`
    /// and others take it. Its last two checkpoints are kept. Collective: the first process writes.
    ///
    /// # Errors
    /// As [`bake`](Self::bake), and for a folder that holds something else.
    pub fn save(&mut self, folder: &Path) -> Outcome<()> {
        let record = self.agree(self.check_scaled().and_then(|()| self.record()))?;
        let run = match self.is_first() {
            true => self.stored_run(folder, &record).map(Some),
            false => Ok(None),
        };
        let run = self.agree(run)?;
        let mut state = self.learner.state(self.learner.seconds);
        let schedule = &self.settings.schedule;
        let falls = !self.has_steps && schedule.begin != u64::MAX;
        state.falling = falls.then_some((schedule.begin, schedule.steps));
        let Self { learner, threads, carrier, .. } = &mut *self;
        let stored = together(*threads, carrier.as_deref(), None, move |ranks, _| {
            let store = |tensors: &Tensors<'_>| match &run {
                Some(run) => run.checkpoints().store(&state, tensors),
                None => Ok(()),
            };
            Ok(learner.store(ranks, store)?)
        });
        self.agree(stored)
    }

    /// A run's folder with everything but checkpoints.
    fn stored_run(&self, folder: &Path, record: &DataRecord) -> Outcome<Run> {
        let run = self.run(folder)?;
        let mut entry = self.entry.clone();
        self.settings.resolve(&mut entry);
        self.learner.subject.resolve(&mut entry);
        if !self.has_steps {
            entry["train"]["steps"] = serde_json::Value::Null;
        }
        run.write_config(&entry)?;
        run.write_data(record)?;
        Ok(run)
    }

    /// Goes on from the last checkpoint in a run's folder: weights, optimiser, steps, and what values
    /// become 0 and 1. Members stay those that are here. If this fails, everything stays. Collective:
    /// every process reads.
    ///
    /// # Errors
    /// If the folder is no run, damaged, or of another model or other data.
    pub fn restore(&mut self, folder: &Path) -> Outcome<()> {
        let stored = self.stored(folder);
        let (learner, state) = self.agree(stored)?;
        self.learner = learner;
        self.is_scaled = true;
        if !self.has_steps {
            let schedule = &mut self.settings.schedule;
            (schedule.begin, schedule.steps) = state.falling.unwrap_or((u64::MAX, 1));
        }
        Ok(())
    }

    /// The training that is stored in a run's folder, with the members that are here.
    fn stored(&self, folder: &Path) -> Outcome<(Learner<Fields>, State)> {
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
        let Self { config, settings, threads, device, carrier, .. } = self;
        let sharing = sharing(carrier.as_deref());
        let learner = aside(*threads, || {
            let fields = Box::new(Fields::of(config, ensemble, *device, None, &sharing)?);
            let learner = Learner::restore(fields, settings, *device, &checkpoint);
            let learner =
                learner.with_context(|| format!("cannot go on from {}", folder.display()));
            learner.map_err(damaged)
        })?;
        Ok((learner, state))
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

/// A model, for baking.
fn source(
    model: Named,
    config: &crate::config::Config,
    description: Description,
) -> Result<Box<dyn Source>> {
    let tensors = model.into_iter().map(|(name, tensor)| (name, tensor.detach()));
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
