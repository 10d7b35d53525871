//! How an entry is trained and evaluated: optimiser, schedule, training, evaluation.
//!
//! Reads and bounds the values; what they lead to is decided by the training.

use std::path::PathBuf;

use anyhow::{Result, bail};

use super::section::{Section, optional_positive};

/// Adam.
#[derive(Debug, Clone, PartialEq)]
pub struct OptimConfig {
    /// Learning rate at the first step.
    pub lr: f64,
    /// Term in the denominator.
    pub eps: f64,
    /// Decay of the two moments.
    pub betas: (f64, f64),
}

/// Cosine decay of the learning rate, over all steps.
#[derive(Debug, Clone, PartialEq)]
pub struct SchedulerConfig {
    /// Learning rate at the last step.
    pub eta_min: f64,
}

/// How long to train and what to report.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainConfig {
    /// Length of the training in *epochs*, as the reference counts; see
    /// [`DatasetConfig::steps_per_epoch`](super::DatasetConfig::steps_per_epoch).
    pub maxsteps: Option<usize>,
    /// Ours: length of the training in steps; goes before `maxsteps`.
    pub steps: Option<usize>,
    /// Ours: seed of everything random.
    pub seed: usize,
    /// Ours: where to train: `cpu`, `cuda`, `cuda:N` or `auto`.
    pub device: String,
    /// Ours: steps between lines of the metrics.
    pub report_steps: Option<usize>,
    /// Ours: steps between checkpoints.
    pub checkpoint_steps: Option<usize>,
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

impl OptimConfig {
    pub(super) fn read(mut s: Section) -> Result<Self> {
        s.refuse(&["groups"])?;
        let (kind, mut param) = s.into_typed(Some("Adam"))?;
        if kind != "Adam" {
            bail!("optim.type: given {kind}, only Adam is supported");
        }
        let [beta1, beta2] = param.take_or("betas", [0.9, 0.999])?;
        let config = Self {
            lr: param.take_or("lr", 1e-3)?,
            eps: param.take_or("eps", 1e-15)?,
            betas: (beta1, beta2),
        };
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

impl SchedulerConfig {
    pub(super) fn read(s: Section, lr: f64) -> Result<Self> {
        let (kind, mut param) = s.into_typed(Some("cos"))?;
        if kind != "cos" {
            bail!("scheduler.type: given {kind}, only cos is supported");
        }
        let eta_min = param.take_or("eta_min", lr * 0.01)?;
        if eta_min < 0.0 {
            bail!("{}: given {eta_min}, expected 0 or more", param.at("eta_min"));
        }
        param.finish()?;
        Ok(Self { eta_min })
    }
}

impl TrainConfig {
    pub(super) fn read(mut s: Section, notes: &mut Vec<String>) -> Result<Self> {
        s.ignore(&["grad_scalar"], "has no effect: training is in single precision", notes);
        s.ignore(&["num_workers"], "not needed: the data are in memory", notes);
        let config = Self {
            maxsteps: s.take("maxsteps")?,
            steps: s.take("steps")?,
            seed: s.take_or("seed", 0)?,
            device: s.take_or("device", "auto".to_owned())?,
            report_steps: optional_positive(&mut s, "report_steps")?,
            checkpoint_steps: optional_positive(&mut s, "checkpoint_steps")?,
            reportsteps: s.take("reportsteps")?,
            teststeps: s.take("teststeps")?,
            testname: s.take("testname")?,
            disable_scheduler: s.take_or("disable_scheduler", false)?,
            train_scheme: s.take("train_scheme")?,
            eval_batch_size: optional_positive(&mut s, "eval_batch_size")?,
            nerfacc_scene: s.take("nerfacc_scene")?,
            nerfacc_data_root: s.take("nerfacc_data_root")?,
        };
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
