//! Fields as what is trained on: members of an ensemble, or a single one.
//!
//! - `settings`: what batches are made of; `kriging`: members where no simulation was
//! - `validation`: members set aside; `budget`: less memory

pub mod budget;
mod kriging;
mod settings;
mod validation;

use std::sync::Arc;

use anyhow::{Result, bail};
use serde_json::Value;
use tch::{Device, Kind, Reduction, Tensor};

use super::record::DataRecord;
use super::settings::Settings;
use super::subject::{Loss, Subject};
use crate::config::{Config, DatasetConfig};
use crate::data::{BatchPlan, Ensemble, Importance, LoadOptions, Sharing};
use crate::eval::metrics::psnr;
use crate::models::{Network, Parameters};
use crate::progress::Progress;
pub use settings::FieldSettings;
use validation::Validation;

/// A model of fields and the fields.
pub struct Fields {
    config: Config,
    /// There once it is built.
    model: Option<Network>,
    ensemble: Ensemble,
    settings: FieldSettings,
    plan: BatchPlan,
    validation: Option<Validation>,
    record: DataRecord,
    /// What the user should know of members that are not all in memory.
    rotation: Option<String>,
    device: Device,
    /// Bytes for what a step keeps on its way; all of it if `None`.
    max_memory: Option<usize>,
}

impl Fields {
    /// Reads the fields that a configuration names; what this process has of them.
    ///
    /// # Errors
    /// For unusable configuration or data.
    pub fn load(
        config: &Config,
        device: Device,
        max_memory: Option<usize>,
        sharing: &Sharing,
    ) -> Result<Self> {
        let options = LoadOptions::of(config.model.of_ensemble()?);
        let ensemble = load_part(&config.dataset, &options, sharing)?;
        Self::of(config, ensemble, device, max_memory, sharing)
    }

    /// Of fields that are there already.
    ///
    /// # Errors
    /// For unusable configuration or data.
    pub fn of(
        config: &Config,
        ensemble: Ensemble,
        device: Device,
        max_memory: Option<usize>,
        sharing: &Sharing,
    ) -> Result<Self> {
        ensemble.check_parameters(config.model.of_ensemble()?.parameters())?;
        let mut settings = FieldSettings::new(config, &ensemble)?;
        settings.share = sharing.share;
        settings.virtual_members =
            kriging::virtual_members(&config.dataset, &ensemble)?.map(Arc::new);
        let seed = config.train.seed as u64;
        let importance = Importance::load(&config.dataset, &ensemble)?;
        let plan = settings.plan(seed, Arc::new(importance));
        Ok(Self {
            config: config.clone(),
            model: None,
            record: DataRecord::new(&ensemble, &config.dataset)?,
            validation: Validation::new(&ensemble, sharing.share, device)?,
            ensemble,
            settings,
            plan,
            rotation: None,
            device,
            max_memory,
        })
    }

    /// The fields.
    pub fn ensemble(&self) -> &Ensemble {
        &self.ensemble
    }

    /// Changes which fields there are, between steps.
    ///
    /// # Errors
    /// If batches cannot be drawn from them any more.
    pub fn change(&mut self, change: impl FnOnce(&mut Ensemble)) -> Result<()> {
        change(&mut self.ensemble);
        let mut settings = FieldSettings::new(&self.config, &self.ensemble)?;
        settings.share = self.settings.share;
        self.settings = settings;
        self.plan = self.settings.plan(self.plan.seed, self.plan.importance.clone());
        Ok(())
    }

    /// Checks that batches can be drawn.
    ///
    /// # Errors
    /// As [`BatchPlan::check`].
    pub fn check(&self) -> Result<()> {
        self.plan.check(&self.ensemble).map(|_| ())
    }

    /// The model, once it is built.
    pub fn model(&self) -> &Network {
        self.model.as_ref().unwrap_or_else(|| unreachable!("built before anything else"))
    }
}

impl Subject for Fields {
    fn build(&mut self, mut parameters: Parameters, kind: Kind) -> Result<()> {
        if let Some(subdomain) = &self.ensemble.subdomain {
            parameters = parameters.within(subdomain.bounds());
        }
        let mut model = Network::build(&self.config.model, parameters)?;
        if self.max_memory.is_some() && model.encoded().is_none() {
            bail!("--max-memory is for models with an encoder: make batches of others smaller");
        }
        model.compute_in(kind)?;
        self.model = Some(model);
        Ok(())
    }

    fn parameters(&self) -> &Parameters {
        self.model().parameters()
    }

    fn steps(&self) -> Result<Option<u64>> {
        Ok(self.settings.steps)
    }

    fn prepare(&mut self, settings: &Settings) -> Result<()> {
        self.rotation = self.settings.rotate(settings.steps, &self.ensemble);
        self.plan = self.settings.plan(settings.seed, self.plan.importance.clone());
        // Without members there is nothing to check yet.
        if self.ensemble.members.is_empty() { Ok(()) } else { self.check() }
    }

    fn backward(&mut self, batch: u64, factor: f64) -> Result<Loss> {
        let batch = self.plan.batch(batch, &self.ensemble)?;
        // Parts of a batch count by their points.
        let part = batch.points.len() as f64 / self.plan.drawn_points(batch.members.len()) as f64;
        if batch.points.is_empty() {
            return Ok(Loss::none(self.device));
        }
        let factor = factor * part;
        let dims = self.ensemble.places.axes() as i64;
        let members = batch.members.len() as i64;
        let tensor = |values: &[f32], shape: &[i64]| {
            Tensor::from_slice(values).view(shape).to_device(self.device)
        };
        let points = Tensor::from_slice(&batch.coords).to_device(self.device);
        let points = match self.plan.shared_points {
            true => points.view([-1, dims]),
            false => points.view([members, -1, dims]),
        };
        let conditions = tensor(&batch.conds, &[members, self.ensemble.parameters.len() as i64]);
        let targets = tensor(&batch.targets, &[members, -1, self.ensemble.values.len() as i64]);
        let loss = match (self.max_memory, self.model().encoded()) {
            (Some(bytes), Some(model)) => {
                budget::backward(model, [&points, &conditions, &targets], factor, bytes)
            }
            _ => {
                let values = self.model().forward(&points, &conditions);
                let loss = values.mse_loss(&targets, Reduction::Mean);
                (&loss * factor).backward();
                loss.detach()
            }
        };
        let value = loss * part;
        Ok(Loss { squared_error: value.shallow_clone(), value })
    }

    fn points_per_batch(&self) -> f64 {
        self.plan.points_per_step(&self.ensemble) as f64
    }

    fn psnr(&self, squared_error: f64) -> f64 {
        psnr(squared_error / self.ensemble.normalization.span().powi(2))
    }

    fn has_validation(&self) -> bool {
        self.validation.is_some()
    }

    fn look(&self) -> Vec<[f64; 2]> {
        self.validation.as_ref().map_or_else(Vec::new, |found| found.look(self.model()))
    }

    fn describe(&self) -> Vec<String> {
        let e = &self.ensemble;
        let notes = e.notes.iter().chain(&self.settings.notes).chain(&self.rotation);
        let mut lines: Vec<String> = notes.map(|note| format!("note: {note}")).collect();
        let aside = match e.validation().count() {
            0 => String::new(),
            count => format!(", {count} for validation"),
        };
        let (low, high) = e.normalization.range;
        let log = if e.normalization.log { " (logarithm)" } else { "" };
        lines.push(match e.members.len() {
            1 => format!("data: a field of {}, values {low:.4} to {high:.4}{log}", e.places),
            _ => format!(
                "data: {} training and {} held-out members of {}{aside}, {} parameters, values \
                 {low:.4} to {high:.4}{log}",
                e.train().count(),
                e.test().count(),
                e.places,
                e.parameters.len(),
            ),
        });
        lines.extend(e.subdomain.as_ref().map(|own| {
            format!(
                "decomposed into {} blocks, one a process; this one's: {own}",
                self.plan.share.ranks
            )
        }));
        lines.extend(e.normalization.describe());
        lines.extend(self.settings.pairs.describe());
        lines.extend(self.settings.virtual_members.as_ref().map(|made| {
            let lengths = made.kriging.lengths().iter().map(|length| format!("{length:.2}"));
            format!(
                "virtual members: {:.0} % of a batch, by kriging; members are alike within {}",
                100.0 * made.share,
                lengths.collect::<Vec<_>>().join(", ")
            )
        }));
        lines.extend(self.plan.importance.describe());
        lines
    }

    fn describe_batch(&self) -> String {
        self.settings.describe_batch()
    }

    fn name_batch(&self, batch: u64) -> String {
        let members = self.plan.members(batch, &self.ensemble);
        let names = members.iter().map(|&member| self.ensemble.members[member].name.as_str());
        format!("members {}", names.collect::<Vec<_>>().join(", "))
    }

    fn resolve(&self, entry: &mut Value) {
        self.settings.resolve(entry);
    }

    fn record(&self) -> &DataRecord {
        &self.record
    }
}

/// The ensemble, with its progress shown.
///
/// # Errors
/// As [`Ensemble::load`]; [`Interrupted`] if the user wants to stop.
///
/// [`Interrupted`]: crate::progress::Interrupted
pub fn load_ensemble(config: &DatasetConfig, options: &LoadOptions) -> Result<Ensemble> {
    load_part(config, options, &Sharing::default())
}

/// What a process has of it.
fn load_part(config: &DatasetConfig, options: &LoadOptions, sharing: &Sharing) -> Result<Ensemble> {
    let mut progress = None;
    let ensemble = Ensemble::load_shared(config, options, sharing, &mut |_, all| {
        let progress =
            progress.get_or_insert_with(|| Progress::new("reading", "fields", all as u64));
        progress.advance(1);
        progress.check_interrupt()
    });
    if let Some(progress) = &progress {
        progress.finish();
    }
    ensemble
}
