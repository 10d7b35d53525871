//! What batches of fields are made of: configuration and defaults put together.

use std::sync::Arc;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::config::{Activation, Config, DatasetConfig, DatasetKind, ModelConfig, Normalize};
use crate::data::{
    BatchPlan, Ensemble, Importance, Noise, Normalization, Pairs, Rotation, Share, VirtualMembers,
};
use crate::train::subject::put;

/// Members of a batch if nothing says otherwise.
const BATCH_MEMBERS: usize = 8;

/// Points of a batch if nothing says otherwise.
const BATCH_POINTS: usize = 4096;

/// Side of the blocks of points where neighbours share vertices, if nothing says otherwise.
const BLOCK: usize = 2;

/// What batches are made of.
#[derive(Debug, Clone)]
pub struct FieldSettings {
    /// Steps that the configuration's epochs are; `None` if it says nothing of them.
    pub steps: Option<u64>,
    /// Members that are set aside for validation.
    validation: usize,
    /// Members in a batch.
    batch_members: usize,
    /// Points of each member in a batch.
    batch_points: usize,
    /// Whether the members of a batch are seen at the same points: spatial features are computed
    /// once for all of them then.
    shared_points: bool,
    /// Points of a batch come in blocks of so many samples along each axis.
    block: usize,
    /// Which members are seen at a time, where not all are in memory.
    rotation: Option<Rotation>,
    /// Which points of each batch this process computes.
    pub share: Share,
    /// Variational Pairs.
    pub pairs: Pairs,
    /// Members where no simulation was.
    pub virtual_members: Option<Arc<VirtualMembers>>,
    /// What the user should know.
    pub notes: Vec<String>,
    /// Keys of the data set that a run has to remember.
    stored: Vec<(&'static str, f64)>,
}

impl FieldSettings {
    /// # Errors
    /// If the configuration asks for something that training cannot do.
    pub fn new(config: &Config, ensemble: &Ensemble) -> Result<Self> {
        let (dataset, train) = (&config.dataset, &config.train);
        check_reach(config)?;
        let mut notes = Vec::new();
        let available = ensemble.train().count();
        // A single field is all there is.
        let all = if dataset.kind == DatasetKind::Field { 1 } else { BATCH_MEMBERS };
        let asked = dataset.cond_batch.unwrap_or(all);
        let batch_members = asked.min(available);
        if batch_members < asked {
            notes.push(format!("batches of {batch_members} members: there are no {asked}"));
        }
        let log2 = dataset.spatial_log2batch.or(dataset.log2batch);
        let batch_points =
            dataset.batch_points.or(log2.map(|log2| 1 << log2)).unwrap_or(BATCH_POINTS);
        let points = ensemble.points();
        let epochs = train.maxsteps.filter(|&epochs| epochs > 0);
        let per_epoch = dataset.steps_per_epoch(available, points);
        let steps = epochs.zip(per_epoch).map(|(epochs, per_epoch)| {
            (epochs as u64)
                .checked_mul(per_epoch as u64)
                .context("train.maxsteps: so many steps cannot be counted")
        });
        Ok(Self {
            steps: steps.transpose()?,
            validation: dataset.validation,
            batch_members,
            batch_points,
            shared_points: dataset.shared_points,
            block: dataset.block.unwrap_or_else(|| default_block(&config.model, points)),
            rotation: None,
            share: Share::default(),
            stored: stored(dataset, ensemble),
            pairs: Pairs::new(dataset, ensemble)?,
            virtual_members: None,
            notes,
        })
    }

    /// Decides which members are in memory when, where not all are, now that the number of steps is
    /// known; returns what the user should know.
    pub fn rotate(&mut self, steps: u64, ensemble: &Ensemble) -> Option<String> {
        let window = ensemble.fields.window()?;
        let available = ensemble.train().count();
        let values = available as f64 * ensemble.points() as f64;
        let drawn = self.batch_members as f64 * self.batch_points as f64;
        let rotation = Rotation::new(window, available, values, drawn, steps);
        self.rotation = Some(rotation);
        let seen = rotation.seen(steps);
        (seen < available as u64).then(|| {
            format!(
                "in {steps} steps training sees {seen} of {available} members: more steps, or more \
                 memory (--cache GIB), would show it all of them"
            )
        })
    }

    /// Which members and points each step sees.
    pub fn plan(&self, seed: u64, importance: Arc<Importance>) -> BatchPlan {
        BatchPlan {
            seed,
            members_per_batch: self.batch_members,
            points_per_batch: self.batch_points,
            shared_points: self.shared_points,
            block: self.block,
            rotation: self.rotation,
            pairs: self.pairs.clone(),
            virtual_members: self.virtual_members.clone(),
            importance,
            share: self.share,
        }
    }

    /// For people.
    pub fn describe_batch(&self) -> String {
        format!("{} members x {} points", self.batch_members, self.batch_points)
    }

    /// Puts every default into `entry`.
    pub fn resolve(&self, entry: &mut Value) {
        let mut put = |key: &str, value: Value| put(entry, "dataset.param", key, value);
        put("cond_batch", json!(self.batch_members));
        put("batch_points", json!(self.batch_points));
        put("shared_points", json!(self.shared_points));
        put("block", json!(self.block));
        let noise = |noise: &Option<Noise>, of: fn(&Noise) -> &Vec<f64>| {
            noise.as_ref().map_or(json!(0.0), |noise| json!(of(noise)))
        };
        for (key, pair) in [("x", &self.pairs.space), ("cond", &self.pairs.parameters)] {
            let (std, limit) = (noise(pair, |n| &n.deviations), noise(pair, |n| &n.limits));
            put(&format!("{key}_noise_std"), std);
            put(&format!("{key}_noise_threshold"), limit);
        }
        put("cond_noise_idw_knn", json!(self.pairs.neighbors));
        put("noise_interp_value", json!(self.pairs.interpolate));
        put("validation", json!(self.validation));
        for (key, number) in &self.stored {
            put(key, json!(number));
        }
        // It is in the numbers of the noise.
        if let Some(Value::Object(dataset)) = entry.pointer_mut("/dataset/param") {
            dataset.remove("pairs");
        }
    }
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
    let vertices = model.encoder().map(|encoder| encoder.refined_res().iter().product::<usize>());
    let shares = vertices.is_some_and(|vertices| points / 2 >= vertices);
    if model.refines_grid() && shares { BLOCK } else { 1 }
}
