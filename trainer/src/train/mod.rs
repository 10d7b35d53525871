//! The training loop: batches, Adam with cosine decay, checkpoints, metrics; stops when asked and
//! goes on exactly where it stopped.

pub mod adam;
mod metrics;
mod record;
pub mod run;
mod settings;

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use tch::{Device, Kind, Reduction, Tensor};

use crate::config::{Config, DatasetConfig};
use crate::data::{Batch, BatchPlan, Ensemble, Importance, LoadOptions};
use crate::device;
use crate::eval::metrics::psnr;
use crate::eval::pictures;
use crate::models::{Hdinr, Parameters};
use crate::progress::{Interrupted, Progress, is_interrupted, say};
use adam::{Adam, cosine};
use metrics::{Metrics, Row};
use record::DataRecord;
use run::{Checkpoint, Run};
pub use settings::Settings;

/// What is trained on, and how.
struct Task {
    settings: Settings,
    ensemble: Ensemble,
    plan: BatchPlan,
}

/// A training in progress.
struct Trainer {
    run: Run,
    settings: Settings,
    ensemble: Ensemble,
    plan: BatchPlan,
    device: Device,
    model: Hdinr,
    adam: Adam,
    metrics: Metrics,
    /// Steps that are done.
    step: u64,
    /// Seconds that training took before this session.
    seconds_before: f64,
    /// Start of this session.
    began: Instant,
}

/// Starts a run in the new folder `out`.
///
/// # Errors
/// For unusable configuration or data, an unwritable folder, a loss that is not finite, or
/// [`Interrupted`] (after a checkpoint).
pub fn start(entry: &Value, out: &Path) -> Result<()> {
    let config = Config::from_value(entry)?;
    let task = prepare(&config)?;
    let data = DataRecord::new(&task.ensemble, &config.dataset)?;
    // Whatever can be wrong is found before the folder is made: it must be empty the next time.
    let device = device::parse(&task.settings.device)?;
    let model = Hdinr::new(config.model.of_ensemble()?, device, task.settings.seed)?;
    let run = Run::create(out)?;
    run.write_config(&task.settings.resolved(entry.clone()))?;
    run.write_data(&data)?;
    let metrics = Metrics::create(&run.path("metrics.csv"))?;
    let adam = Adam::new(&model.parameters, &task.settings.optim);
    let mut trainer = Trainer::new(run, task, device, model, adam, metrics);
    trainer.announce(&config)?;
    trainer.train()
}

/// Goes on with the run in `folder` from its last checkpoint; on `data` and `device`, if given,
/// instead of those that the run remembers.
///
/// # Errors
/// As [`start`], and if there is no run or no checkpoint, or it is damaged.
pub fn resume(folder: &Path, data: Option<PathBuf>, device: Option<String>) -> Result<()> {
    let run = Run::open(folder)?;
    let mut config = run.config()?;
    config.dataset.data = data.or(config.dataset.data);
    config.train.device = device.unwrap_or(config.train.device);
    // Where not all members are in memory, batches are others: what the run began with goes on.
    config.dataset.cache_gib = config.dataset.cache_gib.or(Some(f64::INFINITY));
    let checkpoint = run.last_checkpoint()?;
    let task = prepare(&config)
        .with_context(|| format!("cannot use what {} names", run.path("config.yaml").display()))?;
    run.check_data(&task.ensemble, &config)?;
    let device = device::parse(&task.settings.device)?;
    let (model, adam, seconds_before) = restore(&checkpoint, &config, &task.settings, device)
        .with_context(|| {
            format!(
                "cannot go on from {} (if it is damaged, remove it: the checkpoint before it is \
                 used then)",
                checkpoint.folder().display()
            )
        })?;
    let step = checkpoint.steps;
    let metrics = Metrics::resume(&run.path("metrics.csv"), step)?;
    let mut trainer = Trainer::new(run, task, device, model, adam, metrics);
    trainer.step = step;
    trainer.seconds_before = seconds_before;
    trainer.say(&format!("going on after step {step}"))?;
    trainer.train()
}

/// Model and optimiser of a checkpoint, and the seconds that training had taken.
fn restore(
    checkpoint: &Checkpoint,
    config: &Config,
    settings: &Settings,
    device: Device,
) -> Result<(Hdinr, Adam, f64)> {
    let parameters = Parameters::from_checkpoint(&checkpoint.weights(), device, Kind::Float)?;
    let model = Hdinr::build(config.model.of_ensemble()?, parameters)?;
    let mut adam = Adam::new(&model.parameters, &settings.optim);
    let seconds = checkpoint.restore(&mut adam)?;
    Ok((model, adam, seconds))
}

fn prepare(config: &Config) -> Result<Task> {
    let model = config.model.of_ensemble()?;
    let ensemble = load_ensemble(&config.dataset, &LoadOptions::of(model))?;
    ensemble.check_parameters(model.latent.cond_dim)?;
    let settings = Settings::new(config, &ensemble)?;
    let plan = settings.plan(Importance::load(&config.dataset, &ensemble)?);
    plan.check(&ensemble)?;
    Ok(Task { settings, ensemble, plan })
}

/// The ensemble, with its progress shown.
///
/// # Errors
/// As [`Ensemble::load`]; [`Interrupted`] if the user wants to stop.
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

impl Trainer {
    /// Before the first step.
    fn new(
        run: Run,
        task: Task,
        device: Device,
        model: Hdinr,
        adam: Adam,
        metrics: Metrics,
    ) -> Self {
        let Task { settings, ensemble, plan } = task;
        let (step, seconds_before, began) = (0, 0.0, Instant::now());
        Self {
            run,
            settings,
            ensemble,
            plan,
            device,
            model,
            adam,
            metrics,
            step,
            seconds_before,
            began,
        }
    }

    fn train(&mut self) -> Result<()> {
        let steps = self.settings.steps;
        let progress = Progress::new("training", "steps", steps);
        progress.start_at(self.step);
        let mut interval = Interval::new(self.step);
        while self.step < steps {
            let loss = self.one_step()?;
            interval.add(&loss);
            progress.advance(1);
            // Asked once: a wish that comes a moment later is seen after the next step.
            let stop = is_interrupted() && self.step < steps;
            let last = self.step == steps;
            let save = self.step.is_multiple_of(self.settings.checkpoint_steps) || stop || last;
            // Reporting checks the loss: no checkpoint of a model that is lost.
            if save || self.step.is_multiple_of(self.settings.report_steps) {
                self.report(&mut interval, &progress)?;
            }
            if save {
                let seconds = self.seconds();
                self.run.checkpoint(self.step, seconds, &self.model.parameters, &self.adam)?;
            }
            if stop {
                progress.finish();
                self.say(&format!(
                    "stopped after step {} of {steps}; `drr-train train --resume {}` goes on",
                    self.step,
                    self.run.folder().display()
                ))?;
                bail!(Interrupted);
            }
        }
        progress.finish();
        self.finish()
    }

    fn finish(&self) -> Result<()> {
        let curve = self.run.path("loss.png");
        pictures::loss_curve(&curve, &self.metrics.losses())?;
        self.say(&format!(
            "{} steps in {:.1} s; weights in {}, loss curve in {}",
            self.step,
            self.seconds(),
            self.run.last_checkpoint()?.weights().display(),
            curve.display()
        ))
    }

    /// Seconds of training, earlier sessions included.
    fn seconds(&self) -> f64 {
        self.seconds_before + self.began.elapsed().as_secs_f64()
    }

    /// One optimiser step; the loss stays on the device so that a GPU is not waited for.
    fn one_step(&mut self) -> Result<Tensor> {
        let s = &self.settings;
        let lr = match s.eta_min {
            Some(eta_min) => cosine(self.step, s.steps, s.optim.lr, eta_min),
            None => s.optim.lr,
        };
        let batch = self.plan.batch(self.step, &self.ensemble)?;
        let loss = self.loss(&batch);
        self.adam.step(&loss, lr);
        self.step += 1;
        Ok(loss.detach())
    }

    fn loss(&self, batch: &Batch) -> Tensor {
        let dims = self.ensemble.places.axes() as i64;
        let members = batch.members.len() as i64;
        let tensor = |values: &[f32], shape: &[i64]| {
            Tensor::from_slice(values).view(shape).to_device(self.device)
        };
        let points = Tensor::from_slice(&batch.coords).to_device(self.device);
        let points = if self.plan.shared_points {
            points.view([-1, dims])
        } else {
            points.view([members, -1, dims])
        };
        let conditions = tensor(&batch.conds, &[members, self.ensemble.parameters.len() as i64]);
        let targets = tensor(&batch.targets, &[members, -1, self.ensemble.values.len() as i64]);
        self.model.forward(&points, &conditions).mse_loss(&targets, Reduction::Mean)
    }

    fn report(&mut self, interval: &mut Interval, progress: &Progress) -> Result<()> {
        let (steps, rate, loss) = interval.close(self.step);
        if steps == 0 {
            return Ok(());
        }
        ensure!(
            loss.is_finite(),
            "the loss is {loss} between steps {} and {}: train again with a lower --lr; the last \
             batch had members {}",
            self.step - steps,
            self.step,
            self.batch_members()
        );
        let points_per_s = rate * self.plan.points_per_step(&self.ensemble) as f64;
        let psnr = psnr(loss / self.ensemble.normalization.span().powi(2));
        let seconds = self.seconds();
        self.metrics.add(&Row { step: self.step, loss, psnr, rate, points_per_s, seconds })?;
        progress.message(&format!(
            "loss {loss:.2e} ({psnr:.1} dB) · {rate:.1} steps/s · {:.2} M points/s",
            points_per_s * 1e-6
        ));
        Ok(())
    }

    fn batch_members(&self) -> String {
        let members = self.plan.members(self.step - 1, &self.ensemble);
        let names = members.iter().map(|&m| self.ensemble.members[m].name.as_str());
        names.collect::<Vec<_>>().join(", ")
    }

    fn announce(&self, config: &Config) -> Result<()> {
        for note in config.notes.iter().chain(&self.ensemble.notes).chain(&self.settings.notes) {
            self.say(&format!("note: {note}"))?;
        }
        let e = &self.ensemble;
        let (train, test) = (e.train().count(), e.test().count());
        self.say(&format!(
            "data: {train} training and {test} held-out members of {}, {} parameters, values {:.4} to {:.4}{}",
            e.places,
            e.parameters.len(),
            e.normalization.range.0,
            e.normalization.range.1,
            if e.normalization.log { " (logarithm)" } else { "" }
        ))?;
        if let Some(line) = e.normalization.describe() {
            self.say(&line)?;
        }
        let s = &self.settings;
        for line in s.pairs.describe().into_iter().chain(self.plan.importance.describe()) {
            self.say(&line)?;
        }
        self.say(&format!(
            "model: {} trainable numbers; {} steps of {} members x {} points on {}; run in {}",
            self.model.parameters.count(),
            s.steps,
            s.batch_members,
            s.batch_points,
            device::name(self.device),
            self.run.folder().display()
        ))
    }

    fn say(&self, line: &str) -> Result<()> {
        say(line);
        self.run.log(line)
    }
}

/// Mean loss and speed since the last report.
struct Interval {
    first_step: u64,
    began: Instant,
    losses: Vec<Tensor>,
}

impl Interval {
    fn new(step: u64) -> Self {
        Self { first_step: step, began: Instant::now(), losses: Vec::new() }
    }

    fn add(&mut self, loss: &Tensor) {
        self.losses.push(loss.shallow_clone());
    }

    /// Steps, steps per second and mean loss; starts anew at `step`.
    fn close(&mut self, step: u64) -> (u64, f64, f64) {
        let steps = step - self.first_step;
        let loss = match self.losses.is_empty() {
            true => f64::NAN,
            false => Tensor::stack(&self.losses, 0).mean(Kind::Double).double_value(&[]),
        };
        let rate = steps as f64 / self.began.elapsed().as_secs_f64().max(1e-9);
        *self = Self::new(step);
        (steps, rate, loss)
    }
}
