//! Training: a run is started or gone on with here; the loop is in `trainer`, its steps in `step`.
//!
//! - `settings`: how a run is trained; `schedule`: its learning rates; `record`: what its data are
//! - `adam`: the optimiser; `average`: averaged weights; `precision`: 16 bits; `budget`: less memory
//! - `validation`: members set aside; `checkpoints`; `metrics` and `events`: curves; `run`: the folder

pub mod adam;
mod average;
pub mod budget;
pub mod checkpoints;
mod events;
pub mod metrics;
mod precision;
mod record;
pub mod run;
mod schedule;
mod settings;
mod step;
mod trainer;
mod validation;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tch::{Device, Kind};

use crate::config::{Config, DatasetConfig, Precision};
use crate::data::{BatchPlan, Ensemble, Importance, LoadOptions};
use crate::device;
use crate::models::{Network, Parameters};
use crate::progress::{Progress, say};
use adam::Adam;
use average::Average;
use checkpoints::Checkpoint;
use events::Events;
use metrics::Metrics;
use precision::LossScale;
use record::DataRecord;
use run::Run;
pub use settings::Settings;
use trainer::Trainer;
use validation::Validation;

/// What a machine lends to a training; results depend on it only by rounding.
#[derive(Debug, Clone, Default)]
pub struct Resources {
    /// Where to train: `cpu`, `cuda`, `cuda:N`, `auto`; as the configuration says if `None`.
    pub device: Option<String>,
    /// Folder of the PyTorch whose CUDA half is used; looked for if `None`.
    pub torch: Option<PathBuf>,
    /// Bytes for what a step keeps on its way; all of it if `None`.
    pub max_memory: Option<usize>,
}

/// What is trained on, and how.
struct Task {
    settings: Settings,
    ensemble: Ensemble,
    plan: BatchPlan,
    /// Bytes for what a step keeps on its way; all of it if `None`.
    max_memory: Option<usize>,
}

/// What changes from step to step.
struct Learner {
    model: Network,
    adam: Adam,
    loss_scale: Option<LossScale>,
    average: Option<Average>,
    validation: Option<Validation>,
    /// Steps that are done.
    step: u64,
    /// Seconds that they took.
    seconds: f64,
}

/// Starts a run in the new folder `out`.
///
/// # Errors
/// For unusable configuration or data, an unwritable folder, a loss that is not finite, or
/// [`Interrupted`](crate::progress::Interrupted) (after a checkpoint).
pub fn start(entry: &Value, out: &Path, resources: &Resources) -> Result<()> {
    let mut config = Config::from_value(entry)?;
    resources.apply(&mut config);
    let mut task = prepare(&config, resources)?;
    let data = DataRecord::new(&task.ensemble, &config.dataset)?;
    // Whatever can be wrong is found before the folder is made: it must be empty the next time.
    let device = device::parse(&task.settings.device, resources.torch.as_deref())?;
    let learner = |task: &Task| {
        let model = Network::new(&config.model, device, task.settings.seed)?;
        Learner::new(model, task, device)
    };
    let mut fresh = learner(&task)?;
    if let Some(minutes) = config.train.minutes {
        Run::check_free(out)?;
        say(&format!("timing a few steps, to see how many fit into {minutes} minutes"));
        let steps =
            step::affordable(fresh, &task, device, Duration::from_secs_f64(minutes * 60.0))?;
        task = task.of_steps(&config, steps)?;
        fresh = learner(&task)?;
    }
    let run = Run::create(out)?;
    run.write_config(&task.settings.resolved(entry.clone()))?;
    run.write_data(&data)?;
    let metrics = Metrics::create(&run.path("metrics.csv"))?;
    let events = Events::create(run.folder(), 0)?;
    let mut trainer = Trainer::new(run, task, device, fresh, metrics, events);
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
    let task = prepare(&config, resources)
        .with_context(|| format!("cannot use what {} names", run.path("config.yaml").display()))?;
    run.check_data(&task.ensemble, &config)?;
    let device = device::parse(&task.settings.device, resources.torch.as_deref())?;
    let learner = Learner::restore(&checkpoint, &config, &task, device).with_context(|| {
        format!(
            "cannot go on from {} (if it is damaged, remove it: the checkpoint before it is used \
             then)",
            checkpoint.folder().display()
        )
    })?;
    let step = learner.step;
    let metrics = Metrics::resume(&run.path("metrics.csv"), step)?;
    let events = Events::create(run.folder(), step)?;
    let mut trainer = Trainer::new(run, task, device, learner, metrics, events);
    trainer.say(&format!("going on after step {step}"))?;
    trainer.train()
}

impl Resources {
    fn apply(&self, config: &mut Config) {
        if let Some(device) = &self.device {
            config.train.device.clone_from(device);
        }
    }
}

fn prepare(config: &Config, resources: &Resources) -> Result<Task> {
    let model = config.model.of_ensemble()?;
    let ensemble = load_ensemble(&config.dataset, &LoadOptions::of(model))?;
    ensemble.check_parameters(model.parameters())?;
    Task::new(config, ensemble, resources.max_memory)
}

impl Task {
    fn new(config: &Config, ensemble: Ensemble, max_memory: Option<usize>) -> Result<Self> {
        let settings = Settings::new(config, &ensemble)?;
        let plan = settings.plan(Importance::load(&config.dataset, &ensemble)?);
        plan.check(&ensemble)?;
        Ok(Self { settings, ensemble, plan, max_memory })
    }

    /// The same with another number of steps.
    fn of_steps(self, config: &Config, steps: usize) -> Result<Self> {
        let mut config = config.clone();
        config.train.steps = Some(steps);
        Self::new(&config, self.ensemble, self.max_memory)
    }
}

/// The ensemble, with its progress shown.
///
/// # Errors
/// As [`Ensemble::load`]; [`Interrupted`] if the user wants to stop.
///
/// [`Interrupted`]: crate::progress::Interrupted
pub fn load_ensemble(config: &DatasetConfig, options: &LoadOptions) -> Result<Ensemble> {
    let mut progress = None;
    let ensemble = Ensemble::load_watched(config, options, &mut |_, all| {
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

impl Learner {
    /// Before the first step.
    fn new(mut model: Network, task: &Task, device: Device) -> Result<Self> {
        let Task { settings, ensemble, .. } = task;
        let kind = match settings.precision {
            Precision::F32 => Kind::Float,
            Precision::Bf16 => Kind::BFloat16,
            Precision::F16 => Kind::Half,
        };
        model.compute_in(kind)?;
        if let (Some(_), Network::Baseline(_)) = (task.max_memory, &model) {
            bail!("--max-memory is for DRR-Net: make batches of other models smaller");
        }
        let (every, patience) = (settings.validate_steps, settings.patience);
        Ok(Self {
            adam: Adam::new(model.parameters(), &settings.optim)?,
            loss_scale: LossScale::new(kind),
            average: settings.ema.map(|decay| Average::new(model.parameters(), decay)),
            validation: Validation::new(ensemble, device, every, patience)?,
            model,
            step: 0,
            seconds: 0.0,
        })
    }

    /// As a checkpoint has it.
    fn restore(
        checkpoint: &Checkpoint,
        config: &Config,
        task: &Task,
        device: Device,
    ) -> Result<Self> {
        let parameters = Parameters::from_checkpoint(&checkpoint.weights(), device, Kind::Float)?;
        let model = Network::build(&config.model, parameters)?;
        let mut learner = Self::new(model, task, device)?;
        let state = checkpoint.state()?;
        let optimizer_steps = state.optimizer_steps.unwrap_or(state.steps);
        learner.adam.restore(optimizer_steps, &checkpoint.optimizer()?)?;
        if let Some(average) = &mut learner.average {
            average.restore(&checkpoint.averaged()?)?;
        }
        if let (Some(scale), Some(stored)) = (&mut learner.loss_scale, state.loss_scale) {
            scale.restore(stored);
        }
        if let (Some(validation), Some(course)) = (&mut learner.validation, state.validation) {
            validation.course = course;
        }
        (learner.step, learner.seconds) = (state.steps, state.seconds);
        Ok(learner)
    }
}
