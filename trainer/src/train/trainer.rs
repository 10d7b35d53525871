//! The training loop: batches, steps of the optimiser, checkpoints, metrics; stops when asked and
//! goes on exactly where it stopped.

use std::rc::Rc;
use std::time::Instant;

use anyhow::{Result, bail, ensure};
use tch::{Device, Kind, Tensor};

use super::checkpoints::State;
use super::events::Events;
use super::learner::Learner;
use super::metrics::{Metrics, Row};
use super::ranks::Ranks;
use super::run::Run;
use super::settings::Settings;
use super::subject::Loss;
use crate::config::Config;
use crate::device;
use crate::eval::pictures;
use crate::progress::{Interrupted, Progress, is_interrupted, say};

/// A training in progress.
pub struct Trainer {
    run: Run,
    settings: Settings,
    device: Device,
    learner: Learner,
    /// What the first process writes.
    curves: Option<Curves>,
    ranks: Rc<Ranks<'static>>,
    /// Start of this session.
    began: Instant,
}

/// What is written at each report.
pub struct Curves {
    /// For people.
    pub metrics: Metrics,
    /// For TensorBoard.
    pub events: Events,
}

impl Trainer {
    /// Ready to go on with what `learner` has learned.
    pub fn new(
        run: Run,
        settings: Settings,
        device: Device,
        learner: Learner,
        curves: Option<Curves>,
        ranks: Rc<Ranks<'static>>,
    ) -> Self {
        Self { run, settings, device, learner, curves, ranks, began: Instant::now() }
    }

    /// Trains to the end.
    ///
    /// # Errors
    /// For an unwritable folder, a loss that is not finite, or [`Interrupted`] (after a
    /// checkpoint).
    pub fn train(&mut self) -> Result<()> {
        let steps = self.settings.steps;
        let progress = Progress::new("training", "steps", steps);
        progress.start_at(self.learner.step);
        let mut interval = Interval::new(self.learner.step);
        while self.learner.step < steps && !self.is_exhausted() {
            let loss = self.learner.one_step(&self.settings, &self.ranks)?;
            let step = self.learner.step;
            interval.add(loss);
            progress.advance(1);
            // Asked once: a wish that comes a moment later is seen after the next step.
            let stop = self.ranks.any(is_interrupted()) && step < steps;
            let found = match self.is_time_to_look() {
                true => Some(interval.paused(|| self.look())?),
                false => None,
            };
            let last = step == steps || self.is_exhausted();
            let save = step.is_multiple_of(self.settings.checkpoint_steps) || stop || last;
            let report = step.is_multiple_of(self.settings.report_steps);
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
        let (s, subject) = (&self.settings, &self.learner.subject);
        for note in &config.notes {
            self.say(&format!("note: {note}"))?;
        }
        for line in subject.describe() {
            self.say(&line)?;
        }
        self.say(&format!(
            "model: {} trainable numbers; {} steps of {}{} on {}; run in {}",
            subject.parameters().count(),
            s.steps,
            subject.describe_batch(),
            if s.accumulate > 1 { format!(" x {} batches", s.accumulate) } else { String::new() },
            match self.ranks.count() {
                1 => device::name(self.device),
                count => format!("{count} processes, {} each", device::name(self.device)),
            },
            self.run.folder().display()
        ))
    }

    /// Prints a line and logs it.
    ///
    /// # Errors
    /// If the log cannot be written.
    pub fn say(&self, line: &str) -> Result<()> {
        say(line);
        if self.ranks.is_first() { self.run.log(line) } else { Ok(()) }
    }

    fn finish(&self) -> Result<()> {
        let Some(Curves { metrics, .. }) = &self.curves else { return Ok(()) };
        let curve = self.run.path("loss.png");
        pictures::loss_curve(&curve, &metrics.losses())?;
        if let Some(course) = self.learner.course.filter(|course| course.best_step > 0) {
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
        let looks = self.learner.course.map(|course| course.looks_since);
        looks.zip(self.settings.patience).is_some_and(|(looks, patience)| looks >= patience)
    }

    fn is_time_to_look(&self) -> bool {
        let (step, settings) = (self.learner.step, &self.settings);
        let due = step.is_multiple_of(settings.validate_steps) || step == settings.steps;
        self.learner.course.is_some() && due
    }

    /// Judges the model on the members set aside and stores it if it is the best so far.
    fn look(&mut self) -> Result<f64> {
        let psnr = self.learner.look(&self.ranks);
        let step = self.learner.step;
        let course = self.learner.course.as_mut();
        if course.is_some_and(|course| course.note(step, psnr)) {
            let (state, checkpoints) = (self.state(), self.run.checkpoints());
            let extra = self.learner.subject.extra();
            self.learner
                .model(&self.ranks, |model| checkpoints.store_best(&state, model, &extra))?;
        }
        Ok(psnr)
    }

    fn save(&self) -> Result<()> {
        self.ranks.align(self.learner.subject.parameters());
        let (state, checkpoints) = (self.state(), self.run.checkpoints());
        self.learner.store(&self.ranks, |tensors| checkpoints.store(&state, tensors))
    }

    fn state(&self) -> State {
        self.learner.state(self.seconds())
    }

    fn report(
        &mut self,
        interval: &mut Interval,
        found: Option<f64>,
        progress: &Progress,
    ) -> Result<()> {
        let step = self.learner.step;
        let (steps, rate, [loss, squared_error]) = interval.close(step);
        if steps == 0 {
            return Ok(());
        }
        let [loss, squared_error] = self.ranks.sums([loss, squared_error]);
        ensure!(
            loss.is_finite(),
            "the loss is {loss} between steps {} and {step}: train again with a lower --lr; the \
             last batch had {}",
            step - steps,
            self.learner.subject.name_batch(step * self.settings.accumulate - 1)
        );
        let (settings, subject) = (&self.settings, &self.learner.subject);
        let points = subject.points_per_batch() * settings.accumulate as f64;
        let row = Row {
            step,
            loss,
            psnr: subject.psnr(squared_error),
            rate,
            points_per_s: rate * points,
            seconds: self.seconds(),
            lr: settings.schedule.rate(step, settings.optim.lr),
            validation_psnr: found,
        };
        if let Some(Curves { metrics, events }) = &mut self.curves {
            metrics.add(&row)?;
            events.add(&row)?;
        }
        let validated = found.map(|psnr| format!(", {psnr:.1} dB on members set aside"));
        progress.message(&format!(
            "loss {loss:.2e} ({:.1} dB){} · {rate:.1} steps/s · {:.2} M points/s",
            row.psnr,
            validated.unwrap_or_default(),
            row.points_per_s * 1e-6
        ));
        Ok(())
    }
}

/// Mean loss and speed since the last report.
struct Interval {
    first_step: u64,
    began: Instant,
    losses: Vec<Loss>,
}

impl Interval {
    fn new(step: u64) -> Self {
        Self { first_step: step, began: Instant::now(), losses: Vec::new() }
    }

    fn add(&mut self, loss: Loss) {
        self.losses.push(loss);
    }

    /// Does `work` in time that does not count.
    fn paused<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let paused = Instant::now();
        let result = work();
        self.began += paused.elapsed();
        result
    }

    /// Steps, steps per second, mean loss and mean squared error; starts anew at `step`.
    fn close(&mut self, step: u64) -> (u64, f64, [f64; 2]) {
        let steps = step - self.first_step;
        let mean = |of: fn(&Loss) -> &Tensor| match self.losses.is_empty() {
            true => f64::NAN,
            false => {
                let losses: Vec<&Tensor> = self.losses.iter().map(of).collect();
                Tensor::stack(&losses, 0).mean(Kind::Double).double_value(&[])
            }
        };
        let losses = [mean(|loss| &loss.value), mean(|loss| &loss.squared_error)];
        let rate = steps as f64 / self.began.elapsed().as_secs_f64().max(1e-9);
        *self = Self::new(step);
        (steps, rate, losses)
    }
}
