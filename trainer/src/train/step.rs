//! One step of the optimiser, and how long it takes.

use std::time::{Duration, Instant};

use anyhow::Result;
use tch::{Device, Kind, Reduction, Tensor};

use super::precision::LossScale;
use super::{Learner, Task, budget};
use crate::data::Batch;
use crate::models::Network;

/// Steps that are timed at least, behind the first one, which is slow.
const LEAST: usize = 3;

/// Part of the time for training that timing may take.
const SHARE: f64 = 0.02;

impl Learner {
    /// One step; the loss stays on the device so that a GPU is not waited for.
    ///
    /// # Errors
    /// If data cannot be read.
    pub fn one_step(&mut self, task: &Task, device: Device) -> Result<Tensor> {
        let parts = task.settings.accumulate;
        let step = self.step;
        self.adam.zero_grad();
        let mut total = Tensor::zeros([], (Kind::Float, device));
        for part in 0..parts {
            let batch = task.plan.batch(step * parts + part, &task.ensemble)?;
            total += self.backward(task, device, &batch, 1.0 / parts as f64);
        }
        self.apply(|lr| task.settings.schedule.rate(step, lr));
        Ok(total)
    }

    /// Adds the gradients of `share` times a batch's loss to those of the weights; returns that loss.
    fn backward(&self, task: &Task, device: Device, batch: &Batch, share: f64) -> Tensor {
        let Task { ensemble, plan, max_memory, .. } = task;
        let dims = ensemble.places.axes() as i64;
        let members = batch.members.len() as i64;
        let tensor = |values: &[f32], shape: &[i64]| {
            Tensor::from_slice(values).view(shape).to_device(device)
        };
        let points = Tensor::from_slice(&batch.coords).to_device(device);
        let points = if plan.shared_points {
            points.view([-1, dims])
        } else {
            points.view([members, -1, dims])
        };
        let conditions = tensor(&batch.conds, &[members, ensemble.parameters.len() as i64]);
        let targets = tensor(&batch.targets, &[members, -1, ensemble.values.len() as i64]);
        let Learner { model, loss_scale, .. } = self;
        let factor = share * loss_scale.as_ref().map_or(1.0, LossScale::factor);
        if let (Some(bytes), Network::Hdinr(model)) = (*max_memory, model) {
            return budget::backward(model, [&points, &conditions, &targets], factor, bytes)
                * share;
        }
        let loss = model.forward(&points, &conditions).mse_loss(&targets, Reduction::Mean);
        (&loss * factor).backward();
        loss.detach() * share
    }

    /// One step with the gradients that the weights have; left out where they overflowed because
    /// the loss was scaled too much.
    fn apply(&mut self, rate: impl Fn(f64) -> f64) {
        self.step += 1;
        if let Some(scale) = &mut self.loss_scale {
            let finite = self.adam.scale_gradients(scale.inverse());
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
}

/// How many steps fit into some time, this one's included: a few are made with `learner`, which is
/// of no use afterwards. Where not all members are in memory, reading them is not seen.
///
/// # Errors
/// If data cannot be read.
pub fn affordable(
    mut learner: Learner,
    task: &Task,
    device: Device,
    time: Duration,
) -> Result<usize> {
    let began = Instant::now();
    let finished = |learner: &mut Learner| -> Result<f64> {
        let began = Instant::now();
        let loss = learner.one_step(task, device)?;
        // A GPU has finished when its result is here.
        let _ = loss.double_value(&[]);
        Ok(began.elapsed().as_secs_f64())
    };
    finished(&mut learner)?;
    let mut times = Vec::new();
    while times.len() < LEAST || began.elapsed() < time.mul_f64(SHARE) {
        times.push(finished(&mut learner)?);
    }
    let each = times.iter().sum::<f64>() / times.len() as f64;
    let left = time.saturating_sub(began.elapsed()).as_secs_f64();
    Ok((left / each).max(1.0) as usize)
}
