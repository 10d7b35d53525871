//! Training: a run is started or gone on with here; the loop is in `trainer`, its steps in `learner`.
//!
//! - `subject`: what is trained on, `fields` or `radiance`; `record`: what a run remembers of data
//! - `settings`: how a run is trained; `schedule`: its learning rates
//! - `adam`: the optimiser; `average`: averaged weights; `precision`: 16 bits
//! - `insitu`: members come by pointer while a simulation runs
//! - `ranks`: several processes that train together
//! - `checkpoints`; `course`: the best model; `metrics` and `events`: curves; `run`: the folder

pub mod adam;
mod average;
pub mod checkpoints;
mod course;
mod events;
pub mod fields;
pub mod insitu;
mod learner;
pub mod metrics;
mod precision;
pub mod radiance;
pub mod ranks;
pub mod record;
pub mod run;
mod schedule;
mod settings;
mod subject;
mod trainer;

use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tch::Device;

use crate::config::{Config, ModelConfig};
use crate::data::{Cuts, Sharing};
use crate::device;
use crate::progress::say;
use events::Events;
pub use fields::load_ensemble;
use learner::Learner;
use metrics::Metrics;
use ranks::Ranks;
use run::Run;
use settings::Settings;
use subject::Subject;
use trainer::{Curves, Trainer};

/// What a machine lends to a training; results depend on it only by rounding.
#[derive(Debug, Clone, Default)]
pub struct Resources {
    /// Where to train: `cpu`, `cuda`, `cuda:N`, `auto`; as the configuration says if `None`.
    pub device: Option<String>,
    /// Folder of the PyTorch whose CUDA half is used; looked for if `None`.
    pub torch: Option<PathBuf>,
    /// Bytes for what a step keeps on its way; all of it if `None`.
    pub max_memory: Option<usize>,
    /// The processes that train together.
    pub ranks: Rc<Ranks<'static>>,
    /// How they cut fields up, if they do.
    pub cuts: Option<Cuts>,
}

/// Starts a run in the new folder `out`.
///
/// # Errors
/// For unusable configuration or data, an unwritable folder, a loss that is not finite, or
/// [`Interrupted`](crate::progress::Interrupted) (after a checkpoint).
pub fn start(entry: &Value, out: &Path, resources: &Resources) -> Result<()> {
    let mut config = Config::from_value(entry)?;
    resources.apply(&mut config);
    let device = resources.device(&config)?;
    let ranks = &resources.ranks;
    // Whatever can be wrong is found before the folder is made: it must be empty the next time.
    let subject = subject(&config, device, resources)?;
    let mut settings = Settings::new(&config, subject.steps()?)?;
    let mut fresh = Learner::new(subject, &settings, device)?;
    if let Some(minutes) = config.train.minutes {
        if ranks.is_first() {
            Run::check_free(out)?;
        }
        say(&format!("timing a few steps, to see how many fit into {minutes} minutes"));
        let time = Duration::from_secs_f64(minutes * 60.0);
        let (steps, subject) = fresh.affordable(&settings, ranks, time)?;
        config.train.steps = Some(usize::try_from(steps)?);
        settings = Settings::new(&config, None)?;
        fresh = Learner::new(subject, &settings, device)?;
    }
    let (mut run, mut curves) = (Run::follow(out), None);
    if ranks.is_first() {
        run = Run::create(out)?;
        let mut entry = entry.clone();
        settings.resolve(&mut entry);
        fresh.subject.resolve(&mut entry);
        run.write_config(&entry)?;
        run.write_data(fresh.subject.record())?;
        let metrics = Metrics::create(&run.path("metrics.csv"))?;
        curves = Some(Curves { metrics, events: Events::create(run.folder(), 0)? });
    }
    // The same numbers are drawn everywhere; nothing is left to chance all the same.
    ranks.align(fresh.subject.parameters());
    let mut trainer = Trainer::new(run, settings, device, fresh, curves, ranks.clone());
    trainer.announce(&config)?;
    trainer.train()
}

/// Goes on with the run in `folder` from its last checkpoint; on `data`, if given, instead of those
/// that the run remembers.
///
/// # Errors
/// As [`start`], and if there is no run or no checkpoint, or it is damaged.
pub fn resume(folder: &Path, data: Option<PathBuf>, resources: &Resources) -> Result<()> {
    let run = Run::open(folder)?;
    let mut config = run.config()?;
    config.dataset.data = data.or(config.dataset.data);
    resources.apply(&mut config);
    // Where not all members are in memory, batches are others: what the run began with goes on.
    config.dataset.cache_gib = config.dataset.cache_gib.or(Some(f64::INFINITY));
    let checkpoint = run.last_checkpoint()?;
    let device = resources.device(&config)?;
    let ranks = &resources.ranks;
    let subject = subject(&config, device, resources)
        .with_context(|| format!("cannot use what {} names", run.path("config.yaml").display()))?;
    run.check_record(subject.record())?;
    let settings = Settings::new(&config, subject.steps()?)?;
    let learner = Learner::restore(subject, &settings, device, &checkpoint).with_context(|| {
        format!(
            "cannot go on from {} (if it is damaged, remove it: the checkpoint before it is \
                 used then)",
            checkpoint.folder().display()
        )
    })?;
    let step = learner.step;
    ranks.check_step(step)?;
    let mut curves = None;
    if ranks.is_first() {
        let metrics = Metrics::resume(&run.path("metrics.csv"), step)?;
        curves = Some(Curves { metrics, events: Events::create(run.folder(), step)? });
    }
    let mut trainer = Trainer::new(run, settings, device, learner, curves, ranks.clone());
    trainer.say(&format!("going on after step {step}"))?;
    trainer.train()
}

impl Resources {
    fn apply(&self, config: &mut Config) {
        if let Some(device) = &self.device {
            config.train.device.clone_from(device);
        }
    }

    fn device(&self, config: &Config) -> Result<Device> {
        let device = device::parse(&config.train.device, self.torch.as_deref())?;
        Ok(self.ranks.device(&config.train.device, device))
    }
}

/// What a configuration trains.
fn subject(config: &Config, device: Device, resources: &Resources) -> Result<Box<dyn Subject>> {
    let Resources { max_memory, ranks, cuts, .. } = resources;
    let sharing = Sharing { share: ranks.share(), cuts: cuts.clone() };
    Ok(match &config.model {
        ModelConfig::Radiance(_) => {
            ensure!(
                sharing == Sharing::default(),
                "radiance fields are trained by one process, {} were started: ensembles and single \
                 fields are what several can share, or cut up (--decompose)",
                sharing.share.ranks
            );
            Box::new(radiance::Scene::load(config, device, *max_memory)?)
        }
        _ => Box::new(fields::Fields::load(config, device, *max_memory, &sharing)?),
    })
}

/// `entry` with everything spelled out that its data set's batches depend on.
///
/// # Errors
/// For unusable configuration or data.
pub fn resolved_batches(entry: &Value) -> Result<Value> {
    let config = Config::from_value(entry)?;
    let ensemble =
        load_ensemble(&config.dataset, &crate::data::LoadOptions::of(config.model.of_ensemble()?))?;
    let settings = fields::FieldSettings::new(&config, &ensemble)?;
    let mut entry = entry.clone();
    settings.resolve(&mut entry);
    Ok(entry)
}
