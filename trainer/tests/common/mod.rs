//! What the trainer's tests share: golden tensors, small models, scratch folders.
#![allow(dead_code)] // Each test file uses its own part.

pub mod case;
pub mod ensemble;
pub mod insitu;
pub mod models;
pub mod programs;
pub mod ranks;
pub mod scratch;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use drr_train::config::{Config, HdinrConfig, ModelConfig, load_entry};
use drr_train::models::checkpoint::read_safetensors;
use drr_train::progress::Progress;
use tch::{Kind, Tensor};

/// Folder of files shared with other projects, beside the checkout; `None` (and a line that says
/// so) where it is missing.
pub fn shared(what: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared").join(what);
    if path.exists() {
        return Some(path);
    }
    eprintln!("skipped: there is no {}", path.display());
    None
}

/// A golden case: configuration, weights, inputs and outputs.
pub struct Golden {
    pub name: String,
    pub folder: PathBuf,
    pub config: Config,
    pub io: BTreeMap<String, Tensor>,
}

impl Golden {
    /// All cases whose names start with `prefix`.
    pub fn all(prefix: &str) -> Vec<Self> {
        let Some(folder) = shared("goldens") else { return Vec::new() };
        let mut cases: Vec<_> = (std::fs::read_dir(folder).expect("goldens"))
            .map(|entry| entry.expect("entry").path())
            .filter(|path| path.is_dir())
            .filter(|path| {
                path.file_name().is_some_and(|n| n.to_string_lossy().starts_with(prefix))
            })
            .map(Self::load)
            .collect();
        cases.sort_by(|a, b| a.name.cmp(&b.name));
        assert!(!cases.is_empty(), "no golden case starts with {prefix}");
        cases
    }

    fn load(folder: PathBuf) -> Self {
        let name = folder.file_name().expect("name").to_string_lossy().into_owned();
        let entry = load_entry(&folder.join("config.yaml"), 0).expect("config");
        let config = Config::from_value(&entry).expect("config");
        let io = read_safetensors(&folder.join("io.safetensors")).expect("io");
        Self { name, folder, config, io }
    }

    pub fn weights(&self) -> PathBuf {
        self.folder.join("weights.safetensors")
    }

    pub fn hdinr(&self) -> &HdinrConfig {
        match &self.config.model {
            ModelConfig::Hdinr(config) => config,
            _ => panic!("{} is no HDINRBase", self.name),
        }
    }

    /// A tensor's numbers.
    pub fn numbers(&self, name: &str) -> Vec<f64> {
        let tensor = self.io[name].to_kind(Kind::Double).contiguous().view(-1);
        Vec::<f64>::try_from(&tensor).expect("numbers")
    }

    /// Largest allowed |ours - y64|: `relative` of the range, or twice the reference's own 32-bit
    /// error if that is more.
    pub fn tolerance(&self, relative: f64) -> f64 {
        let (y, y64) = (self.numbers("y"), self.numbers("y64"));
        let low = y64.iter().copied().fold(f64::INFINITY, f64::min);
        let high = y64.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        (relative * (high - low)).max(2.0 * worst(&y, &y64))
    }
}

/// No progress bars.
pub fn hidden(_: &'static str, _: u64) -> Progress {
    Progress::hidden()
}

/// Largest absolute difference; infinite if lengths differ.
pub fn worst(a: &[f64], b: &[f64]) -> f64 {
    if a.len() != b.len() {
        return f64::INFINITY;
    }
    a.iter()
        .zip(b)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, |worst, e| if e > worst || e.is_nan() { e } else { worst })
}

/// The program, on one thread: tests run beside each other, and libtorch's threads wait for one
/// another in a loop.
pub fn program() -> Command {
    on_one_thread(env!("CARGO_BIN_EXE_drr-train"))
}

/// Another command, such as a shell, that starts the program.
pub fn on_one_thread(command: &str) -> Command {
    let mut command = Command::new(command);
    command.env("OMP_NUM_THREADS", "1");
    command
}

/// Runs the program.
pub fn drr_train(arguments: &[&str]) -> Output {
    program().args(arguments).output().expect("drr-train runs")
}

/// Runs the program, which must succeed; its standard output.
pub fn drr_train_ok(arguments: &[&str]) -> String {
    let output = drr_train(arguments);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "drr-train {arguments:?}: {stderr}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// Runs the program, which must fail with status 1; its standard error.
pub fn drr_train_fails(arguments: &[&str]) -> String {
    let output = drr_train(arguments);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "drr-train {arguments:?}: {stderr}");
    assert!(!stderr.contains("panicked"), "drr-train {arguments:?}: {stderr}");
    stderr
}

/// A small model of everything: two grids, encoding, refiners, lines of unequal lengths.
pub const SMALL_MODEL: &str = "
- model:
    type: HDINRBase
    param:
      out_dim: 1
      default_act: ReLU
      out_act: Sigmoid
      hidden_dim: 16
      decoder_kwargs: {type: FeatMLP, param: {feat_dim: 16, num_layers: 2, out_dim: 1, activation: ReLU}}
      encoder_kwargs:
        type: MultiDenseFeatGrid
        param:
          grid_shapes: [[3, 4, 5], [4, 5, 6]]
          num_feat: 2
          refine_highest_res: [5, 6, 7]
          prerefine_feat_up_kwargs: {g: 2}
      if_refine: true
      spatial_fdim: 16
      spatial_trans_kwargs: {type: GLUFeatMLP, param: {feat_dim: 16, out_dim: 16, num_layers: 1, hidden_mult: 2, block_activation: ReLU}}
      cond_trans_kwargs: {type: GLUFeatMLP, param: {feat_dim: 8, out_dim: 8, num_layers: 1, hidden_mult: 2, block_activation: ReLU}}
      latent_kwargs:
        type: MultiCondLatentLines
        param: {cond_dim: 2, line_dims_list: [[2, 3], [5, 4]], latent_shape: [2]}
";
