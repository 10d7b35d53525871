//! A trained model, baked in many ways, and what the files answer.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use drr::{
    Checksums, Kernel, Model, Points, Runtime, Sampler, SamplerOptions, Storage, Units, ValuesMut,
};
use drr_train::bake::{self, Description, Options, Outcome, Source};
use tempfile::TempDir;

use super::{Golden, hidden};

/// Stored numbers are rounded to 32 bits; results are in [0, 1].
pub const ROUNDING: f64 = 3e-6;

/// A model and a folder for its files.
pub struct Case {
    pub name: String,
    pub trained: Box<dyn Source>,
    pub folder: TempDir,
}

impl Case {
    pub fn golden(golden: &Golden) -> Self {
        let description = Description::of_config(&golden.config);
        let trained = bake::load(&golden.config, &golden.weights(), description);
        let folder = tempfile::tempdir().expect("folder");
        Self { name: golden.name.clone(), trained: trained.expect("weights"), folder }
    }

    pub fn goldens() -> Vec<Self> {
        Golden::all("hdinr_").iter().map(Self::golden).collect()
    }

    pub fn named(name: &str) -> Option<Self> {
        Golden::all("hdinr_").iter().find(|golden| golden.name == name).map(Self::golden)
    }

    pub fn bake(&self, options: &Options) -> (PathBuf, Outcome) {
        let name = format!("{options:?}").replace(|c: char| !c.is_alphanumeric(), "");
        let path = self.folder.path().join(name);
        let outcome = bake::bake(&*self.trained, options, None, &path, &hidden)
            .unwrap_or_else(|error| panic!("{} {options:?}: {error:#}", self.name));
        (path, outcome)
    }

    pub fn exact(&self) -> PathBuf {
        self.bake(&Options::EXACT).0
    }

    /// The largest rank that makes sense.
    pub fn full_rank(&self) -> usize {
        let form = model(&self.exact());
        let spec = form.spec();
        let channels = spec.grids.iter().map(|grid| grid.channels).max().expect("a grid");
        channels.min(spec.layers[0].outputs)
    }
}

pub fn model(path: &Path) -> Model {
    Model::open(path, Storage::Mapped, Checksums::Verify).expect("a baked file")
}

/// Values at some hundred points for three sets of parameters, in 64 bits.
pub fn values(path: &Path) -> Vec<f64> {
    let runtime: Arc<Runtime> = Runtime::new(model(path), Kernel::Reference, 0).expect("a runtime");
    let spec = runtime.model().spec();
    let (axes, outputs) = (spec.axes.len(), spec.outputs());
    let points: Vec<f64> =
        (0..240 * axes).map(|i| 2.0 * (i as f64 * 0.618_034).fract() - 1.0).collect();
    let options = SamplerOptions { units: Units::Normalized, ..Default::default() };
    let mut all = Vec::new();
    for set in 0..3 {
        let parameters: Vec<f64> = (0..spec.parameters.len())
            .map(|p| (0.2 + 0.37 * (set * 5 + p) as f64).fract())
            .collect();
        let sampler = Sampler::new(&runtime, &parameters, &options).expect("a sampler");
        let mut values = vec![0.0f64; points.len() / axes * outputs];
        let points = Points::packed(&points, axes).expect("points");
        let mut room = ValuesMut::packed(&mut values, outputs).expect("room");
        sampler.query(&points, &mut room).expect("values");
        all.extend(values);
    }
    all
}

pub fn rms(a: &[f64], b: &[f64]) -> f64 {
    let squares = a.iter().zip(b).map(|(a, b)| (a - b).powi(2));
    (squares.sum::<f64>() / a.len() as f64).sqrt()
}
