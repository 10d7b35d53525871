//! What changes from step to step: the model, the optimiser's state, what was found so far.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tch::{Device, Kind, Tensor};

use super::adam::Adam;
use super::average::Average;
use super::checkpoints::{Checkpoint, State, Stored, Tensors};
use super::course::Course;
use super::precision::LossScale;
use super::ranks::Ranks;
use super::ranks::cut::{Collector, Held};
use super::settings::Settings;
use super::subject::{Loss, Subject};
use crate::config::Precision;
use crate::models::Parameters;

/// Steps that are timed at least, behind the first one, which is slow.
const LEAST: usize = 3;

/// Part of the time for training that timing may take.
const SHARE: f64 = 0.02;

/// A training's state.
pub struct Learner<S: Subject + ?Sized = dyn Subject> {
    /// The model and what it learns from.
    pub subject: Box<S>,
    /// The optimiser.
    pub adam: Adam,
    /// Of 16-bit floating point with few exponents.
    pub loss_scale: Option<LossScale>,
    /// Averaged weights, if asked for.
    pub average: Option<Average>,
    /// What was found on what is set aside, if anything is.
    pub course: Option<Course>,
    /// Steps that are done.
    pub step: u64,
    /// Seconds that they took.
    pub seconds: f64,
}

impl<S: Subject + ?Sized> Learner<S> {
    /// Before the first step: `subject` gets a new model.
    ///
    /// # Errors
    /// If `settings` ask for something that it cannot do.
    pub fn new(mut subject: Box<S>, settings: &Settings, device: Device) -> Result<Self> {
        tch::manual_seed(settings.seed as i64);
        let kind = kind_of(settings);
        subject.build(Parameters::new(device), kind)?;
        Self::of(subject, settings, kind)
    }

    /// As a checkpoint has it.
    ///
    /// # Errors
    /// As [`new`](Self::new), and if the checkpoint is damaged or does not fit.
    pub fn restore(
        mut subject: Box<S>,
        settings: &Settings,
        device: Device,
        checkpoint: &Checkpoint,
    ) -> Result<Self> {
        let kind = kind_of(settings);
        let parameters = Parameters::from_checkpoint(&checkpoint.weights(), device, Kind::Float)?;
        subject.build(parameters, kind)?;
        subject.restore(checkpoint.extra()?)?;
        let mut learner = Self::of(subject, settings, kind)?;
        let state = checkpoint.state()?;
        let optimizer_steps = state.optimizer_steps.unwrap_or(state.steps);
        learner.adam.restore(optimizer_steps, checkpoint.optimizer()?)?;
        if let Some(average) = &mut learner.average {
            average.restore(checkpoint.averaged()?)?;
        }
        if let (Some(scale), Some(stored)) = (&mut learner.loss_scale, state.loss_scale) {
            scale.restore(stored);
        }
        if let (Some(course), Some(stored)) = (&mut learner.course, state.validation) {
            *course = stored;
        }
        (learner.step, learner.seconds) = (state.steps, state.seconds);
        Ok(learner)
    }

    fn of(mut subject: Box<S>, settings: &Settings, kind: Kind) -> Result<Self> {
        subject.prepare(settings)?;
        let course = subject.has_validation().then(Course::default);
        ensure!(
            course.is_some() || settings.patience.is_none(),
            "train.patience needs members to judge by: dataset.param.validation=N sets N of the \
             training members aside, or `validation` in the column `split` of params.csv"
        );
        let parameters = subject.parameters();
        Ok(Self {
            adam: Adam::new(parameters, &settings.optim)?,
            loss_scale: LossScale::new(kind),
            average: settings.ema.map(|decay| Average::new(parameters, decay)),
            course,
            subject,
            step: 0,
            seconds: 0.0,
        })
    }

    /// One step of all processes; the loss, of this one's share, stays on the device so that a GPU is
    /// not waited for.
    ///
    /// # Errors
    /// If data cannot be read.
    pub fn one_step(&mut self, settings: &Settings, ranks: &Ranks) -> Result<Loss> {
        let parts = settings.accumulate;
        let share = 1.0 / parts as f64;
        let factor = share * self.loss_scale.as_ref().map_or(1.0, LossScale::factor);
        let step = self.step;
        self.adam.zero_grad();
        let mut sums: Option<[Tensor; 2]> = None;
        for part in 0..parts {
            let Loss { value, squared_error } =
                self.subject.backward(step * parts + part, factor)?;
            let [value, squared_error] = [value * share, squared_error * share];
            sums = Some(match sums {
                Some([sum, squares]) => [sum + value, squares + squared_error],
                None => [value, squared_error],
            });
        }
        ranks.sum_gradients(&self.adam);
        self.apply(ranks, |lr| settings.schedule.rate(step, lr));
        let [value, squared_error] = sums.unwrap_or_default();
        Ok(Loss { value, squared_error })
    }

    /// One step with the gradients that the weights have; left out where they overflowed because
    /// the loss was scaled too much.
    fn apply(&mut self, ranks: &Ranks, rate: impl Fn(f64) -> f64) {
        self.step += 1;
        if let Some(scale) = &mut self.loss_scale {
            // Of what is cut up each knows its own part.
            let finite = !ranks.any(!self.adam.scale_gradients(scale.inverse()));
            let skipped = !finite && !scale.is_least();
            scale.update(finite);
            if skipped {
                return;
            }
        }
        self.adam.step(rate);
        if let Some(average) = &mut self.average {
            average.update(self.adam.steps());
        }
    }

    /// For all: mean PSNR of the model that would be used on what is set aside.
    pub fn look(&mut self, ranks: &Ranks) -> f64 {
        let Self { subject, average, .. } = self;
        let mut sums = match average {
            Some(average) => average.swapped(|| subject.look()),
            None => subject.look(),
        };
        ranks.sum(sums.as_flattened_mut());
        let found = sums.iter().map(|[error, count]| subject.psnr(error / count));
        found.sum::<f64>() / sums.len() as f64
    }

    /// Where it stands, after so many seconds of training.
    pub fn state(&self, seconds: f64) -> State {
        State {
            steps: self.step,
            seconds,
            optimizer_steps: Some(self.adam.steps()),
            loss_scale: self.loss_scale.as_ref().map(LossScale::state),
            validation: self.course,
            falling: None,
        }
    }

    /// For all: hands everything that [`restore`](Self::restore) takes to `write` in the first process.
    ///
    /// # Errors
    /// Those of `write`.
    pub fn store(
        &self,
        ranks: &Ranks<'_>,
        write: impl FnOnce(&Tensors<'_>) -> Result<()>,
    ) -> Result<()> {
        let Self { subject, adam, average, .. } = self;
        let weights = self.held(subject.parameters().all());
        let averaged = average.as_ref().map(|average| self.held(average.all()));
        let moments = adam.state();
        let optimizer = self.held(moments.iter().map(|(name, tensor)| (name.as_str(), tensor)));
        let all = weights.iter().chain(averaged.iter().flatten()).chain(&optimizer);
        let collector = Collector::new(ranks, all);
        let tensors = Tensors {
            weights: collector.stored(&weights),
            averaged: averaged.as_ref().map(|averaged| collector.stored(averaged)),
            optimizer: collector.stored(&optimizer),
            extra: subject.extra(),
        };
        collector.serve(|| write(&tensors)).map(|_| ())
    }

    /// For all: what `work` makes in the first process of the model that is used, by name, averaged
    /// weights where there are any; `None` in others.
    ///
    /// # Errors
    /// Those of `work`.
    pub fn model<T>(
        &self,
        ranks: &Ranks<'_>,
        work: impl FnOnce(&Stored<'_>) -> Result<T>,
    ) -> Result<Option<T>> {
        let held = match &self.average {
            Some(average) => self.held(average.all()),
            None => self.held(self.subject.parameters().all()),
        };
        let collector = Collector::new(ranks, held.iter());
        let stored = collector.stored(&held);
        collector.serve(|| work(&stored))
    }

    /// Tensors with what they are of whole ones. Moments are called `mean.` and `square.` of what they
    /// belong to.
    fn held<'t>(&self, tensors: impl Iterator<Item = (&'t str, &'t Tensor)>) -> Vec<Held> {
        let parameters = self.subject.parameters();
        let window = |name: &str| {
            let of = name.split_once('.').map(|(_, of)| of);
            parameters.window(name).or_else(|| parameters.window(of?)).cloned()
        };
        let held = |(name, tensor): (&str, &Tensor)| Held {
            name: name.to_owned(),
            tensor: tensor.shallow_clone(),
            window: window(name),
        };
        tensors.map(held).collect()
    }

    /// How many steps fit into some time, this one's included: a few are made, and the model is of
    /// no use afterwards. Where not all members are in memory, reading them is not seen.
    ///
    /// # Errors
    /// If data cannot be read.
    pub fn affordable(
        mut self,
        settings: &Settings,
        ranks: &Ranks,
        time: Duration,
    ) -> Result<(u64, Box<S>)> {
        let began = Instant::now();
        let mut finished = || -> Result<f64> {
            let began = Instant::now();
            let loss = self.one_step(settings, ranks)?;
            // A GPU has finished when its result is here.
            let _ = loss.value.double_value(&[]);
            Ok(began.elapsed().as_secs_f64())
        };
        finished()?;
        let mut times = Vec::new();
        let goes_on = |times: &[f64]| times.len() < LEAST || began.elapsed() < time.mul_f64(SHARE);
        // The first process' clock counts.
        while ranks.of_first(f64::from(u8::from(goes_on(&times)))) > 0.0 {
            times.push(finished()?);
        }
        let each = times.iter().sum::<f64>() / times.len() as f64;
        let left = time.saturating_sub(began.elapsed()).as_secs_f64();
        Ok((ranks.of_first((left / each).max(1.0).floor()) as u64, self.subject))
    }
}

/// Kind of the matrix products.
fn kind_of(settings: &Settings) -> Kind {
    match settings.precision {
        Precision::F32 => Kind::Float,
        Precision::Bf16 => Kind::BFloat16,
        Precision::F16 => Kind::Half,
    }
}
