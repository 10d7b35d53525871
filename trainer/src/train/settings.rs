//! How a run is trained, whatever it learns: configuration and defaults put together, and how to
//! write them back so that the stored configuration repeats the run.

use anyhow::{Result, bail};
use serde_json::{Value, json};

use super::schedule::Schedule;
use super::subject::put;
use crate::config::{Config, Decay, OptimConfig, Precision};

/// Steps of a run if nothing says otherwise.
const STEPS: u64 = 2000;

/// Everything that decides how training goes, but for model and data.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Steps of the whole run.
    pub steps: u64,
    /// Adam.
    pub optim: OptimConfig,
    /// Learning rates of the steps.
    pub schedule: Schedule,
    /// Batches whose gradients make one step.
    pub accumulate: u64,
    /// Precision of the matrix products.
    pub precision: Precision,
    /// Decay of the average of the weights; `None`: no average.
    pub ema: Option<f64>,
    /// Steps between looks at what is set aside.
    pub validate_steps: u64,
    /// Looks without a better model after which training stops.
    pub patience: Option<u64>,
    /// Seed of everything random.
    pub seed: u64,
    /// As given: `cpu`, `cuda:1`, `auto`.
    pub device: String,
    /// Steps between rows of the metrics.
    pub report_steps: u64,
    /// Steps between checkpoints.
    pub checkpoint_steps: u64,
}

impl Settings {
    /// `steps` is what the data make of the configuration's epochs.
    ///
    /// # Errors
    /// If the configuration asks for something that training cannot do.
    pub fn new(config: &Config, steps: Option<u64>) -> Result<Self> {
        let train = &config.train;
        let steps = train.steps.map(|steps| steps as u64).or(steps).unwrap_or(STEPS);
        if steps == 0 {
            bail!("train.steps: given 0, expected 1 or more");
        }
        let report_steps = train.report_steps.map_or((steps / 200).clamp(1, 50), |n| n as u64);
        let checkpoint_steps = train.checkpoint_steps.map_or(500, |n| n as u64);
        let decay = (!train.disable_scheduler).then(|| config.scheduler.decay.clone());
        Ok(Self {
            steps,
            optim: config.optim.clone(),
            schedule: Schedule {
                begin: 0,
                steps,
                decay,
                warmup: config.scheduler.warmup_steps as u64,
            },
            accumulate: train.accumulate.unwrap_or(1) as u64,
            precision: train.precision,
            ema: train.ema,
            validate_steps: train.validate_steps.map_or(checkpoint_steps, |n| n as u64),
            patience: train.patience.map(|n| n as u64),
            seed: train.seed as u64,
            device: train.device.clone(),
            report_steps,
            checkpoint_steps,
        })
    }

    /// Puts every default into `entry`.
    pub fn resolve(&self, entry: &mut Value) {
        let OptimConfig { lr, eps, betas, weight_decay, decoupled, .. } = &self.optim;
        let param = json!({"lr": lr, "eps": eps, "betas": betas, "weight_decay": weight_decay});
        let kind = if *decoupled { "AdamW" } else { "Adam" };
        entry["optim"] = json!({"type": kind, "param": param});
        if !self.optim.groups.is_empty() {
            let groups = self.optim.groups.iter();
            let groups = groups.map(|(part, lr)| json!({"params": part, "lr": lr}));
            entry["optim"]["groups"] = groups.collect();
        }
        let mut param = json!({"warmup_steps": self.schedule.warmup});
        match &self.schedule.decay {
            Some(Decay::Cosine { eta_min }) => param["eta_min"] = json!(eta_min),
            Some(Decay::Steps { gamma, milestones }) => {
                param["gamma"] = json!(gamma);
                param["milestones"] = json!(milestones);
            }
            None => {}
        }
        let kind = self.schedule.decay.as_ref().map_or("cos", Decay::name);
        entry["scheduler"] = json!({"type": kind, "param": param});
        let mut put = |key: &str, value: Value| put(entry, "train", key, value);
        put("steps", json!(self.steps));
        put("accumulate", json!(self.accumulate));
        put("precision", json!(self.precision.name()));
        if let Some(ema) = self.ema {
            put("ema", json!(ema));
        }
        put("validate_steps", json!(self.validate_steps));
        if let Some(patience) = self.patience {
            put("patience", json!(patience));
        }
        put("seed", json!(self.seed));
        put("device", json!(self.device));
        put("report_steps", json!(self.report_steps));
        put("checkpoint_steps", json!(self.checkpoint_steps));
        if let Some(Value::Object(train)) = entry.get_mut("train") {
            train.remove("minutes");
        }
    }
}
