//! How an entry is trained and evaluated: optimiser, schedule, training, evaluation.
//!
//! Reads and bounds the values; what they lead to is decided by the training.

use std::path::PathBuf;

use anyhow::{Result, bail};
use serde_json::Value;

use super::model::ModelConfig;
use super::radiance::{RadianceConfig, RadianceFieldConfig};
use super::section::{Section, hint, optional_positive};

/// Precision of the matrix products of training.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Precision {
    /// 32 bits.
    #[default]
    F32,
    /// 16 bits with the exponents of 32.
    Bf16,
    /// 16 bits; the loss is scaled.
    F16,
}

/// Adam or AdamW.
#[derive(Debug, Clone, PartialEq)]
pub struct OptimConfig {
    /// Learning rate at the first step.
    pub lr: f64,
    /// Term in the denominator.
    pub eps: f64,
    /// Decay of the two moments.
    pub betas: (f64, f64),
    /// What weights lose of themselves in a step of learning rate 1 (`AdamW`), or what of them is
    /// added to their gradients (`Adam`); 0: nothing.
    pub weight_decay: f64,
    /// Whether it is the former.
    pub decoupled: bool,
    /// Parts of the model, such as `decoder`, with learning rates of their own.
    pub groups: Vec<(String, f64)>,
}

/// What the reference's radiance fields are trained with.
const GAMMA: f64 = 0.33;

/// As [`GAMMA`], in parts of all steps.
const MILESTONES: [f64; 4] = [1.0 / 2.0, 3.0 / 4.0, 5.0 / 6.0, 9.0 / 10.0];

/// The learning rate over the steps.
#[derive(Debug, Clone, PartialEq)]
pub struct SchedulerConfig {
    /// How it falls.
    pub decay: Decay,
    /// Ours: steps over which the rates grow from nothing.
    pub warmup_steps: usize,
}

/// How learning rates fall.
#[derive(Debug, Clone, PartialEq)]
pub enum Decay {
    /// `cos`: a cosine over all steps.
    Cosine {
        /// Learning rate at the last step.
        eta_min: f64,
    },
    /// `steps`, ours, as the reference's radiance fields have it.
    Steps {
        /// Factor on the rate at each milestone.
        gamma: f64,
        /// Parts of all steps.
        milestones: Vec<f64>,
    },
}

/// How long to train and what to report.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainConfig {
    /// Length of the training in *epochs*, as the reference counts; see
    /// [`DatasetConfig::steps_per_epoch`](super::DatasetConfig::steps_per_epoch).
    pub maxsteps: Option<usize>,
    /// Ours: length of the training in steps; goes before `maxsteps`.
    pub steps: Option<usize>,
    /// Ours: length of the training in minutes: as many steps as fit, which is found out before the
    /// first one; goes before `steps`.
    pub minutes: Option<f64>,
    /// Ours: seed of everything random.
    pub seed: usize,
    /// Ours: where to train: `cpu`, `cuda`, `cuda:N` or `auto`.
    pub device: String,
    /// Ours: steps between lines of the metrics.
    pub report_steps: Option<usize>,
    /// Ours: steps between checkpoints.
    pub checkpoint_steps: Option<usize>,
    /// Ours: batches whose gradients make one step.
    pub accumulate: Option<usize>,
    /// Ours: precision of the matrix products.
    pub precision: Precision,
    /// Ours: decay of the average of the weights over the steps, below 1; no average if absent.
    pub ema: Option<f64>,
    /// Ours: steps between looks at the members that are set aside.
    pub validate_steps: Option<usize>,
    /// Ours: looks without a better model after which training stops.
    pub patience: Option<usize>,
    /// Epochs between reports.
    pub reportsteps: Option<usize>,
    /// Epochs between evaluations.
    pub teststeps: Option<usize>,
    /// Name of the run.
    pub testname: Option<String>,
    /// Whether the learning rate stays as it is.
    pub disable_scheduler: bool,
    /// The reference's training loop, such as `hdinr_ddp`.
    pub train_scheme: Option<String>,
    /// Points evaluated at once.
    pub eval_batch_size: Option<usize>,
    /// Scene of a radiance field.
    pub nerfacc_scene: Option<String>,
    /// Folder of the scenes.
    pub nerfacc_data_root: Option<PathBuf>,
}

/// What to evaluate.
#[derive(Debug, Clone, PartialEq)]
pub struct TestConfig {
    /// Checkpoints to evaluate; negative numbers count from the last.
    pub test_ckpt_indices: Vec<i64>,
    /// Where results go, relative to the run.
    pub test_output_dir: String,
}

impl Precision {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::F32, Self::Bf16, Self::F16];

    /// Its name in a configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::F16 => "f16",
        }
    }

    fn read(s: &mut Section) -> Result<Self> {
        let Some(name) = s.take::<String>("precision")? else { return Ok(Self::default()) };
        match Self::ALL.into_iter().find(|precision| precision.name() == name) {
            Some(precision) => Ok(precision),
            None => bail!(
                "{}: given `{name}`; {}",
                s.at("precision"),
                hint(&name, &Self::ALL.map(Self::name))
            ),
        }
    }
}

impl OptimConfig {
    /// What is not said of the optimiser of a model. Radiance fields of the reference have numbers of
    /// their own, which stand in its programs instead of its configurations.
    pub(super) fn default_for(model: &ModelConfig, train: &TrainConfig) -> Self {
        let (lr, eps, weight_decay) = match model {
            ModelConfig::Radiance(RadianceConfig {
                field: RadianceFieldConfig::Vanilla(_),
                ..
            }) => (5e-4, 1e-8, 0.0),
            ModelConfig::Radiance(_) => {
                let strong =
                    matches!(train.nerfacc_scene.as_deref(), Some("materials" | "ficus" | "drums"));
                (1e-2, 1e-15, if strong { 1e-5 } else { 1e-6 })
            }
            _ => (1e-3, 1e-15, 0.0),
        };
        let (betas, decoupled) = ((0.9, 0.999), false);
        Self { lr, eps, betas, weight_decay, decoupled, groups: Vec::new() }
    }

    pub(super) fn read(mut s: Section, defaults: &Self) -> Result<Self> {
        let groups = read_groups(&mut s)?;
        let (kind, mut param) = s.into_typed(Some("Adam"))?;
        // Weights decay beside the gradient's way (Loshchilov and Hutter 2019), as in
        // `torch.optim.AdamW`; there by default by 0.01.
        let (decoupled, decay) = match kind.as_str() {
            "Adam" => (false, defaults.weight_decay),
            "AdamW" => (true, 0.01),
            _ => bail!("optim.type: given {kind}, only Adam and AdamW are supported"),
        };
        let (beta1, beta2) = defaults.betas;
        let [beta1, beta2] = param.take_or("betas", [beta1, beta2])?;
        let config = Self {
            lr: param.take_or("lr", defaults.lr)?,
            eps: param.take_or("eps", defaults.eps)?,
            betas: (beta1, beta2),
            weight_decay: param.take_or("weight_decay", decay)?,
            decoupled,
            groups,
        };
        if config.weight_decay < 0.0 {
            bail!(
                "{}: given {}, expected 0 or more",
                param.at("weight_decay"),
                config.weight_decay
            );
        }
        if config.lr <= 0.0 {
            bail!("{}: given {}, expected more than 0", param.at("lr"), config.lr);
        }
        if config.eps < 0.0 {
            bail!("{}: given {}, expected 0 or more", param.at("eps"), config.eps);
        }
        if [beta1, beta2].iter().any(|beta| !(0.0..1.0).contains(beta)) {
            bail!("{}: given [{beta1}, {beta2}], expected 0 <= beta < 1", param.at("betas"));
        }
        param.finish()?;
        Ok(config)
    }
}

impl Decay {
    /// What is not said of the rates of a model: a hundredth of the first at the end, or for radiance
    /// fields what the reference's programs say.
    pub(super) fn default_for(model: &ModelConfig, lr: f64) -> Self {
        match model {
            ModelConfig::Radiance(_) => {
                Self::Steps { gamma: GAMMA, milestones: MILESTONES.to_vec() }
            }
            _ => Self::Cosine { eta_min: lr * 0.01 },
        }
    }

    /// Its name in a configuration.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Cosine { .. } => "cos",
            Self::Steps { .. } => "steps",
        }
    }
}

impl SchedulerConfig {
    pub(super) fn read(s: Section, lr: f64, default: Decay) -> Result<Self> {
        let warmup = if matches!(default, Decay::Steps { .. }) { 100 } else { 0 };
        let (kind, mut param) = s.into_typed(Some(default.name()))?;
        let decay = match kind.as_str() {
            "cos" => {
                let eta_min = param.take_or("eta_min", lr * 0.01)?;
                if eta_min < 0.0 {
                    bail!("{}: given {eta_min}, expected 0 or more", param.at("eta_min"));
                }
                Decay::Cosine { eta_min }
            }
            "steps" => {
                let gamma = param.take_or("gamma", GAMMA)?;
                let milestones = param.take::<Vec<f64>>("milestones")?;
                let milestones = milestones.unwrap_or_else(|| MILESTONES.to_vec());
                let inside = |part: &f64| (0.0..=1.0).contains(part);
                if !(0.0..=1.0).contains(&gamma) || !milestones.iter().all(inside) {
                    bail!(
                        "{}: given gamma {gamma} and milestones {milestones:?}, expected numbers \
                         from 0 to 1",
                        param.path()
                    );
                }
                Decay::Steps { gamma, milestones }
            }
            _ => bail!("scheduler.type: given {kind}, only cos and steps are supported"),
        };
        let warmup_steps = param.take_or("warmup_steps", warmup)?;
        param.finish()?;
        Ok(Self { decay, warmup_steps })
    }
}

impl TrainConfig {
    pub(super) fn read(mut s: Section, notes: &mut Vec<String>) -> Result<Self> {
        s.ignore(
            &["grad_scalar"],
            "has no effect: gradients are scaled where train.precision is f16",
            notes,
        );
        s.ignore(&["num_workers"], "not needed: the data are in memory", notes);
        let config = Self {
            maxsteps: s.take("maxsteps")?,
            steps: s.take("steps")?,
            seed: s.take_or("seed", 0)?,
            device: s.take_or("device", "auto".to_owned())?,
            report_steps: optional_positive(&mut s, "report_steps")?,
            checkpoint_steps: optional_positive(&mut s, "checkpoint_steps")?,
            accumulate: optional_positive(&mut s, "accumulate")?,
            precision: Precision::read(&mut s)?,
            ema: s.take("ema")?,
            minutes: s.take("minutes")?,
            validate_steps: optional_positive(&mut s, "validate_steps")?,
            patience: optional_positive(&mut s, "patience")?,
            reportsteps: s.take("reportsteps")?,
            teststeps: s.take("teststeps")?,
            testname: s.take("testname")?,
            disable_scheduler: s.take_or("disable_scheduler", false)?,
            train_scheme: s.take("train_scheme")?,
            eval_batch_size: optional_positive(&mut s, "eval_batch_size")?,
            nerfacc_scene: s.take("nerfacc_scene")?,
            nerfacc_data_root: s.take("nerfacc_data_root")?,
        };
        if let Some(minutes) = config.minutes.filter(|minutes| !(1e-3..=1e6).contains(minutes)) {
            bail!("{}: given {minutes}, expected 0.001 to a million", s.at("minutes"));
        }
        if let Some(ema) = config.ema.filter(|ema| !(0.0..1.0).contains(ema)) {
            bail!("{}: given {ema}, expected 0 or more and less than 1", s.at("ema"));
        }
        s.finish()?;
        Ok(config)
    }
}

impl TestConfig {
    pub(super) fn read(mut s: Section, notes: &mut Vec<String>) -> Result<Self> {
        s.ignore(&["num_neighbors"], "has no effect: evaluation has no noise", notes);
        let config = Self {
            test_ckpt_indices: s.take_or("test_ckpt_indices", vec![-1])?,
            test_output_dir: s.take_or("test_output_dir", "eval".to_owned())?,
        };
        s.finish()?;
        Ok(config)
    }
}

/// `[{params: PART, lr: RATE}, ...]`
fn read_groups(s: &mut Section) -> Result<Vec<(String, f64)>> {
    let Some(value) = s.take_value("groups") else { return Ok(Vec::new()) };
    let group = |group: &Value| {
        let part = group.get("params")?.as_str()?.to_owned();
        let lr = group.get("lr")?.as_f64().filter(|&lr| lr > 0.0)?;
        (group.as_object()?.len() == 2).then_some((part, lr))
    };
    match value.as_array().and_then(|groups| groups.iter().map(group).collect()) {
        Some(groups) => Ok(groups),
        None => bail!(
            "{}: given {value}, expected a list of {{params: PART, lr: RATE}} with rates above 0",
            s.at("groups")
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn our_own_keys_and_their_defaults() {
        let read = |value| TrainConfig::read(Section::new("train", value)?, &mut Vec::new());
        let train = read(json!({})).unwrap();
        assert_eq!((train.seed, train.device.as_str(), train.steps), (0, "auto", None));
        let train = read(json!({"steps": 9, "device": "cpu", "checkpoint_steps": 5})).unwrap();
        assert_eq!(
            (train.steps, train.checkpoint_steps, train.report_steps),
            (Some(9), Some(5), None)
        );
        let error = read(json!({"report_steps": 0})).unwrap_err().to_string();
        assert_eq!(error, "train.report_steps: given 0, expected 1 or more");
    }
}
