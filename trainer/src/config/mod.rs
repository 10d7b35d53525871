//! Configurations: the reference's YAML, taken as it is, and our own additions to it.
//!
//! [`load_entry`] gives the resolved entry (what a run directory stores), [`Config::from_value`]
//! its meaning. Nothing here opens data or builds networks.
//!
//! - `load`: YAML to an entry, overrides
//! - `section`: reading a mapping, unknown keys, wrong types
//! - `layers`, `encoder`, `spatial`, `model`, `inr`, `radiance`, `baselines`, `encoded`: the model
//! - `rays`: pictures of a scene and how rays through it are marched
//! - `dataset`, `run`: data, optimiser, schedule, training, evaluation

mod baselines;
mod dataset;
mod encoded;
mod encoder;
mod inr;
mod layers;
mod load;
mod model;
mod radiance;
mod rays;
mod run;
mod section;
mod spatial;

use anyhow::{Result, ensure};
use serde_json::Value;

/// An activation function, by its name in `torch.nn` (and `Sine`); the runtime's own type.
pub use drr::model::spec::Activation;

pub use baselines::{
    ADAPTER, BaselineConfig, DECODER, ENCODED, ExplorableConfig, FaInrConfig, KPlanesConfig,
    MANAGER, SirenConfig,
};
pub use dataset::{DatasetConfig, DatasetKind, Normalize, PairsChoice};
pub use encoded::{EncodedConfig, Encoding, HashConfig, HashLevel};
pub use encoder::EncoderConfig;
pub use inr::InrConfig;
pub use layers::{FeatMlpConfig, GluConfig, RefinerConfig};
pub use load::{apply_override, load_entry, parse_entry, parse_yaml, to_yaml};
pub use model::{EnsembleModel, HdinrConfig, LatentConfig, ModelConfig};
pub use radiance::{RadianceConfig, RadianceFieldConfig, RadianceGridConfig, VanillaConfig};
pub use rays::{Background, RaysConfig};
pub use run::{Decay, OptimConfig, Precision, SchedulerConfig, TestConfig, TrainConfig};
pub use section::{FromConfig, Section, hint};
pub use spatial::SpatialConfig;

/// One entry, understood.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The network.
    pub model: ModelConfig,
    /// The optimiser.
    pub optim: OptimConfig,
    /// The learning rate over time.
    pub scheduler: SchedulerConfig,
    /// The data.
    pub dataset: DatasetConfig,
    /// The training.
    pub train: TrainConfig,
    /// The evaluation.
    pub test: TestConfig,
    /// Rays through a scene; used by radiance fields alone.
    pub rays: RaysConfig,
    /// What the entry asks for and does not get; each names its keys.
    pub notes: Vec<String>,
}

impl Config {
    /// Reads a resolved entry. Only `model` has to be there.
    ///
    /// # Errors
    /// Unknown keys (with the nearest known one), wrong types, sizes that do not fit each other,
    /// and what the reference has and is not supported yet. The dotted path is always named.
    pub fn from_value(entry: &Value) -> Result<Self> {
        let mut root = Section::new("", entry.clone())?;
        let mut notes = Vec::new();
        let model = root
            .typed("model")?
            .ok_or_else(|| root.missing("model", "{type: HDINRBase, param: {...}}"))?;
        let mut part = |key| {
            let section = root.section(key)?;
            anyhow::Ok(section.unwrap_or_else(|| Section::empty(key)))
        };
        let (optim, scheduler) = (part("optim")?, part("scheduler")?);
        let (dataset, train, test) = (part("dataset")?, part("train")?, part("test")?);
        let rays = part("rays")?;
        root.finish()?;
        let model = ModelConfig::read(model)?;
        let train = TrainConfig::read(train, &mut notes)?;
        let defaults = OptimConfig::default_for(&model, &train);
        let optim = OptimConfig::read(optim, &defaults)?;
        let decay = Decay::default_for(&model, optim.lr);
        let rays = RaysConfig::read(rays)?;
        let is_scene = matches!(model, ModelConfig::Radiance(_));
        ensure!(
            is_scene || rays == RaysConfig::default(),
            "rays: given for a model of fields, it is for radiance fields"
        );
        Ok(Self {
            model,
            scheduler: SchedulerConfig::read(scheduler, optim.lr, decay)?,
            optim,
            dataset: DatasetConfig::read(dataset)?,
            rays,
            train,
            test: TestConfig::read(test, &mut notes)?,
            notes,
        })
    }
}
