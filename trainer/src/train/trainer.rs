//! The training loop: batches, steps of the optimiser, checkpoints, metrics; stops when asked and
//! goes on exactly where it stopped.

use std::time::Instant;

use anyhow::{Result, bail, ensure};
use tch::{Device, Kind, Tensor};

use super::checkpoints::{State, Tensors};
use super::events::Events;
use super::metrics::{Metrics, Row};
use super::precision::LossScale;
use super::run::Run;
use super::{Learner, Task};
use crate::config::Config;
use crate::device;
use crate::eval::metrics::psnr;
use crate::eval::pictures;
use crate::progress::{Interrupted, Progress, is_interrupted, say};

/// A training in progress.
pub struct Trainer {
    run: Run,
    task: Task,
    device: Device,
    learner: Learner,
    metrics: Metrics,
    events: Events,
    /// Start of this session.
    began: Instant,
}

impl Trainer {
    /// Ready to go on with what `learner` has learned.
    pub fn new(
        run: Run,
        task: Task,
        device: Device,
        learner: Learner,
        metrics: Metrics,
        events: Events,
    ) -> Self {
        Self { run, task, device, learner, metrics, events, began: Instant::now() }
    }

    /// Trains to the end.
    ///
    /// # Errors
    /// For an unwritable folder, a loss that is not finite, or [`Interrupted`] (after a
    /// checkpoint).
    pub fn train(&mut self) -> Result<()> {
        let steps = self.task.settings.steps;
        let progress = Progress::new("training", "steps", steps);
        progress.start_at(self.learner.step);
        let mut interval = Interval::new(self.learner.step);
        while self.learner.step < steps && !self.is_exhausted() {
            let loss = self.learner.one_step(&self.task, self.device)?;
            let step = self.learner.step;
            interval.add(&loss);
            progress.advance(1);
            // Asked once: a wish that comes a moment later is seen after the next step.
            let stop = is_interrupted() && step < steps;
            let found = match self.is_time_to_look() {
                true => Some(interval.paused(|| self.look())?),
                false => None,
            };
            let last = step == steps || self.is_exhausted();
            let save = step.is_multiple_of(self.task.settings.checkpoint_steps) || stop || last;
            let report = step.is_multiple_of(self.task.settings.report_steps);
            // Reporting checks the loss: no checkpoint of a model that is lost.
            if save || report || found.is_some() {
                self.report(&mut interval, found, &progress)?;
            }
            if save {
                self.save()?;
            }
            if stop {
                progress.finish();
                self.say(&format!(
                    "stopped after step {step} of {steps}; `drr-train train --resume {}` goes on",
                    self.run.folder().display()
                ))?;
                bail!(Interrupted);
            }
        }
        progress.finish();
        self.finish()
    }

    /// Says what is going to be done.
    ///
    /// # Errors
    /// If the log cannot be written.
    pub fn announce(&self, config: &Config) -> Result<()> {
        let Task { settings: s, ensemble: e, plan, .. } = &self.task;
        for note in config.notes.iter().chain(&e.notes).chain(&s.notes) {
            self.say(&format!("note: {note}"))?;
        }
        let aside = match e.validation().count() {
            0 => String::new(),
            count => format!(", {count} for validation"),
        };
        self.say(&format!(
            "data: {} training and {} held-out members of {}{aside}, {} parameters, values {:.4} \
             to {:.4}{}",
            e.train().count(),
            e.test().count(),
            e.places,
            e.parameters.len(),
            e.normalization.range.0,
            e.normalization.range.1,
            if e.normalization.log { " (logarithm)" } else { "" }
        ))?;
        if let Some(line) = e.normalization.describe() {
            self.say(&line)?;
        }
        for line in s.pairs.describe().into_iter().chain(plan.importance.describe()) {
            self.say(&line)?;
        }
        self.say(&format!(
            "model: {} trainable numbers; {} steps of {} members x {} points{} on {}; run in {}",
            self.learner.model.parameters().count(),
            s.steps,
            s.batch_members,
            s.batch_points,
            if s.accumulate > 1 { format!(" x {} batches", s.accumulate) } else { String::new() },
            device::name(self.device),
            self.run.folder().display()
        ))
    }

    /// Prints a line and logs it.
    ///
    /// # Errors
    /// If the log cannot be written.
    pub fn say(&self, line: &str) -> Result<()> {
        say(line);
        self.run.log(line)
    }

    fn finish(&self) -> Result<()> {
        let curve = self.run.path("loss.png");
        pictures::loss_curve(&curve, &self.metrics.losses())?;
        let course = self.learner.validation.as_ref().map(|validation| validation.course);
        if let Some(course) = course.filter(|course| course.best_step > 0) {
            self.say(&format!(
                "{}best model after step {}: {:.2} dB on the members set aside",
                if self.is_exhausted() { "stopped early; " } else { "" },
                course.best_step,
                course.best_psnr
            ))?;
        }
        self.say(&format!(
            "{} steps in {:.1} s; weights in {}, loss curve in {}",
            self.learner.step,
            self.seconds(),
            self.run.model_checkpoint()?.model().display(),
            curve.display()
        ))
    }

    /// Seconds of training, earlier sessions included.
    fn seconds(&self) -> f64 {
        self.learner.seconds + self.began.elapsed().as_secs_f64()
    }

    /// Whether nothing better came for so long that training ends.
    fn is_exhausted(&self) -> bool {
        let validation = self.learner.validation.as_ref();
        validation.is_some_and(|v| v.patience.is_some_and(|n| v.course.looks_since >= n))
    }

    fn is_time_to_look(&self) -> bool {
        let (step, last) = (self.learner.step, self.task.settings.steps);
        let validation = self.learner.validation.as_ref();
        validation.is_some_and(|v| step.is_multiple_of(v.every) || step == last)
    }

    /// Judges the model on the members set aside and stores it if it is the best so far.
    fn look(&mut self) -> Result<f64> {
        let psnr = self.learner.look();
        let step = self.learner.step;
        let course = self.learner.validation.as_mut().map(|validation| &mut validation.course);
        if course.is_some_and(|course| course.note(step, psnr)) {
            let (state, checkpoints) = (self.state(), self.run.checkpoints());
            match &self.learner.average {
                Some(average) => checkpoints.store_best(&state, average.all())?,
                None => checkpoints.store_best(&state, self.learner.model.parameters().all())?,
            }
        }
        Ok(psnr)
    }

    fn save(&self) -> Result<()> {
        let Learner { model, adam, average, .. } = &self.learner;
        let tensors = Tensors {
            weights: model.parameters().all().collect(),
            averaged: average.as_ref().map(|average| average.all().collect()),
            optimizer: adam.state(),
        };
        self.run.checkpoints().store(&self.state(), &tensors)
    }

    fn state(&self) -> State {
        let Learner { adam, loss_scale, validation, step, .. } = &self.learner;
        State {
            steps: *step,
            seconds: self.seconds(),
            optimizer_steps: Some(adam.steps()),
            loss_scale: loss_scale.as_ref().map(LossScale::state),
            validation: validation.as_ref().map(|validation| validation.course),
        }
    }

    fn report(
        &mut self,
        interval: &mut Interval,
        found: Option<f64>,
        progress: &Progress,
    ) -> Result<()> {
        let step = self.learner.step;
        let (steps, rate, loss) = interval.close(step);
        if steps == 0 {
            return Ok(());
        }
        ensure!(
            loss.is_finite(),
            "the loss is {loss} between steps {} and {step}: train again with a lower --lr; the \
             last batch had members {}",
            step - steps,
            self.batch_members()
        );
        let Task { settings, ensemble, plan, .. } = &self.task;
        let points = plan.points_per_step(ensemble) as f64 * settings.accumulate as f64;
        let row = Row {
            step,
            loss,
            psnr: psnr(loss / ensemble.normalization.span().powi(2)),
            rate,
            points_per_s: rate * points,
            seconds: self.seconds(),
            lr: settings.schedule.rate(step, settings.optim.lr),
            validation_psnr: found,
        };
        self.metrics.add(&row)?;
        self.events.add(&row)?;
        let validated = found.map(|psnr| format!(", {psnr:.1} dB on members set aside"));
        progress.message(&format!(
            "loss {loss:.2e} ({:.1} dB){} · {rate:.1} steps/s · {:.2} M points/s",
            row.psnr,
            validated.unwrap_or_default(),
            row.points_per_s * 1e-6
        ));
        Ok(())
    }

    fn batch_members(&self) -> String {
        let Task { settings, ensemble, plan, .. } = &self.task;
        let members = plan.members(self.learner.step * settings.accumulate - 1, ensemble);
        let names = members.iter().map(|&m| ensemble.members[m].name.as_str());
        names.collect::<Vec<_>>().join(", ")
    }
}

impl Learner {
    /// Mean PSNR of the model that would be used on the members set aside.
    fn look(&mut self) -> f64 {
        let Self { model, average, validation, .. } = self;
        let Some(validation) = validation else { return f64::NAN };
        match average {
            Some(average) => average.swapped(|| validation.look(model)),
            None => validation.look(model),
        }
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

    /// Does `work` in time that does not count.
    fn paused<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let paused = Instant::now();
        let result = work();
        self.began += paused.elapsed();
        result
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
