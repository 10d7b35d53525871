//! How a run is trained: configuration and defaults put together, and how to write them back so
//! that the stored configuration repeats the run.

use std::sync::Arc;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::schedule::Schedule;
use crate::config::{
    Activation, Config, DatasetConfig, ModelConfig, Normalize, OptimConfig, Precision,
};
use crate::data::{BatchPlan, Ensemble, Importance, Noise, Normalization, Pairs, Rotation};

/// Members of a batch if nothing says otherwise.
const BATCH_MEMBERS: usize = 8;

/// Points of a batch if nothing says otherwise.
const BATCH_POINTS: usize = 4096;

/// Side of the blocks of points where neighbours share vertices, if nothing says otherwise.
const BLOCK: usize = 2;

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
    /// Members that are set aside for validation.
    pub validation: usize,
    /// Steps between looks at them.
    pub validate_steps: u64,
    /// Looks without a better model after which training stops.
    pub patience: Option<u64>,
    /// Members in a batch.
    pub batch_members: usize,
    /// Points of each member in a batch.
    pub batch_points: usize,
    /// Whether the members of a batch are seen at the same points: spatial features are computed
    /// once for all of them then.
    pub shared_points: bool,
    /// Points of a batch come in blocks of so many samples along each axis.
    pub block: usize,
    /// Which members are seen at a time, where not all are in memory.
    pub rotation: Option<Rotation>,
    /// Variational Pairs.
    pub pairs: Pairs,
    /// Seed of everything random.
    pub seed: u64,
    /// As given: `cpu`, `cuda:1`, `auto`.
    pub device: String,
    /// Steps between rows of the metrics.
    pub report_steps: u64,
    /// Steps between checkpoints.
    pub checkpoint_steps: u64,
    /// What the user should know.
    pub notes: Vec<String>,
    /// Keys of the data set that a run has to remember.
    stored: Vec<(&'static str, f64)>,
}

/// Refuses a last activation whose values are never below 0 for data that are.
fn check_reach(config: &Config) -> Result<()> {
    match (config.dataset.normalize, config.model.of_ensemble()?.out_act()) {
        (Normalize::Standard, Some(act @ (Activation::Sigmoid | Activation::ReLU))) => bail!(
            "model.param.out_act: given {act:?}, whose values are never negative; data normalised by \
             mean and standard deviation are: choose out_act=Identity, or dataset.param.normalize=minmax"
        ),
        _ => Ok(()),
    }
}

/// What decides which members are in memory, where not all are, and what took reading all of them.
fn stored(dataset: &DatasetConfig, ensemble: &Ensemble) -> Vec<(&'static str, f64)> {
    let Some(gib) = ensemble.cache_gib else { return Vec::new() };
    let Normalization { min, max, range, .. } = ensemble.normalization;
    let mut stored = vec![("cache_gib", gib), ("data_min", range.0), ("data_max", range.1)];
    if dataset.normalize == Normalize::Standard && dataset.data_std.is_none() {
        stored.extend([("data_mean", min), ("data_std", max - min)]);
    }
    stored
}

/// Blocks pay where the vertices that are refined are fewer than the points of the data: neighbours
/// share them then.
fn default_block(model: &ModelConfig, points: usize) -> usize {
    let refines = match model {
        ModelConfig::Hdinr(config) => config.refines_grid(),
        ModelConfig::Encoder(config) => config.refines_grid(),
        ModelConfig::Baseline(_) => false,
    };
    let vertices = model.encoder().map(|encoder| encoder.refined_res().iter().product::<usize>());
    let shares = vertices.is_some_and(|vertices| points / 2 >= vertices);
    if refines && shares { BLOCK } else { 1 }
}

impl Settings {
    /// # Errors
    /// If the configuration asks for something that training cannot do.
    pub fn new(config: &Config, ensemble: &Ensemble) -> Result<Self> {
        let (dataset, train) = (&config.dataset, &config.train);
        check_reach(config)?;
        let mut notes = Vec::new();
        let available = ensemble.train().count();
        let asked = dataset.cond_batch.unwrap_or(BATCH_MEMBERS);
        let batch_members = asked.min(available);
        if batch_members < asked {
            notes.push(format!("batches of {batch_members} members: there are no {asked}"));
        }
        let batch_points = (dataset.batch_points)
            .or(dataset.spatial_log2batch.map(|log2| 1 << log2))
            .unwrap_or(BATCH_POINTS);
        let points = ensemble.points();
        let epochs = train.maxsteps.filter(|&epochs| epochs > 0);
        let per_epoch = dataset.steps_per_epoch(available, points);
        let steps = match (train.steps, epochs, per_epoch) {
            (Some(steps), ..) => steps as u64,
            (None, Some(epochs), Some(per_epoch)) => (epochs as u64)
                .checked_mul(per_epoch as u64)
                .context("train.maxsteps: so many steps cannot be counted")?,
            _ => STEPS,
        };
        if steps == 0 {
            bail!("train.steps: given 0, expected 1 or more");
        }
        let report_steps = train.report_steps.map_or((steps / 200).clamp(1, 50), |n| n as u64);
        let checkpoint_steps = train.checkpoint_steps.map_or(500, |n| n as u64);
        let rotation = ensemble.fields.window().map(|window| {
            let values = available as f64 * points as f64;
            let drawn = batch_members as f64 * batch_points as f64;
            Rotation::new(window, available, values, drawn, steps)
        });
        if let Some(rotation) = rotation
            && rotation.seen(steps) < available as u64
        {
            notes.push(format!(
                "in {steps} steps training sees {} of {available} members: more steps, or more memory \
                 (--cache GIB), would show it all of them",
                rotation.seen(steps)
            ));
        }
        Ok(Self {
            steps,
            optim: config.optim.clone(),
            schedule: Schedule {
                steps,
                eta_min: (!train.disable_scheduler).then_some(config.scheduler.eta_min),
                warmup: config.scheduler.warmup_steps as u64,
            },
            accumulate: train.accumulate.unwrap_or(1) as u64,
            precision: train.precision,
            ema: train.ema,
            validation: dataset.validation,
            validate_steps: train.validate_steps.map_or(checkpoint_steps, |n| n as u64),
            patience: train.patience.map(|n| n as u64),
            batch_members,
            batch_points,
            shared_points: dataset.shared_points,
            block: dataset.block.unwrap_or_else(|| default_block(&config.model, points)),
            rotation,
            stored: stored(dataset, ensemble),
            pairs: Pairs::new(dataset, ensemble)?,
            seed: train.seed as u64,
            device: train.device.clone(),
            report_steps,
            checkpoint_steps,
            notes,
        })
    }

    /// Which members and points each step sees.
    pub fn plan(&self, importance: Importance) -> BatchPlan {
        BatchPlan {
            seed: self.seed,
            members_per_batch: self.batch_members,
            points_per_batch: self.batch_points,
            shared_points: self.shared_points,
            block: self.block,
            rotation: self.rotation,
            pairs: self.pairs.clone(),
            importance: Arc::new(importance),
        }
    }

    /// `entry` with every default spelled out.
    pub fn resolved(&self, mut entry: Value) -> Value {
        let OptimConfig { lr, eps, betas, weight_decay, .. } = &self.optim;
        let mut param = json!({"lr": lr, "eps": eps, "betas": betas});
        entry["optim"] = match *weight_decay > 0.0 {
            true => {
                param["weight_decay"] = json!(weight_decay);
                json!({"type": "AdamW", "param": param})
            }
            false => json!({"type": "Adam", "param": param}),
        };
        if !self.optim.groups.is_empty() {
            let groups = self.optim.groups.iter();
            let groups = groups.map(|(part, lr)| json!({"params": part, "lr": lr}));
            entry["optim"]["groups"] = groups.collect();
        }
        let mut decay = json!({"warmup_steps": self.schedule.warmup});
        if let Some(eta_min) = self.schedule.eta_min {
            decay["eta_min"] = json!(eta_min);
        }
        entry["scheduler"] = json!({"type": "cos", "param": decay});
        let mut put = |section: &str, key: &str, value: Value| {
            let mut target = &mut entry;
            for part in section.split('.') {
                if target[part].is_null() {
                    target[part] = json!({});
                }
                target = &mut target[part];
            }
            target[key] = value;
        };
        put("dataset.param", "cond_batch", json!(self.batch_members));
        put("dataset.param", "batch_points", json!(self.batch_points));
        put("dataset.param", "shared_points", json!(self.shared_points));
        put("dataset.param", "block", json!(self.block));
        let noise = |noise: &Option<Noise>, of: fn(&Noise) -> &Vec<f64>| {
            noise.as_ref().map_or(json!(0.0), |noise| json!(of(noise)))
        };
        for (key, pair) in [("x", &self.pairs.space), ("cond", &self.pairs.parameters)] {
            let (std, limit) = (noise(pair, |n| &n.deviations), noise(pair, |n| &n.limits));
            put("dataset.param", &format!("{key}_noise_std"), std);
            put("dataset.param", &format!("{key}_noise_threshold"), limit);
        }
        put("dataset.param", "cond_noise_idw_knn", json!(self.pairs.neighbors));
        put("dataset.param", "noise_interp_value", json!(self.pairs.interpolate));
        put("dataset.param", "validation", json!(self.validation));
        for (key, number) in &self.stored {
            put("dataset.param", key, json!(number));
        }
        put("train", "steps", json!(self.steps));
        put("train", "accumulate", json!(self.accumulate));
        put("train", "precision", json!(self.precision.name()));
        if let Some(ema) = self.ema {
            put("train", "ema", json!(ema));
        }
        put("train", "validate_steps", json!(self.validate_steps));
        if let Some(patience) = self.patience {
            put("train", "patience", json!(patience));
        }
        put("train", "seed", json!(self.seed));
        put("train", "device", json!(self.device));
        put("train", "report_steps", json!(self.report_steps));
        put("train", "checkpoint_steps", json!(self.checkpoint_steps));
        if let Some(Value::Object(train)) = entry.get_mut("train") {
            train.remove("minutes");
        }
        // It is in the numbers of the noise.
        if let Some(Value::Object(dataset)) = entry.pointer_mut("/dataset/param") {
            dataset.remove("pairs");
        }
        entry
    }
}
