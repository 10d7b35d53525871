//! What is trained: a network and an ensemble of its size.

use std::sync::Arc;

use anyhow::{Context, Result};
use drr_train::config::{Config, HdinrConfig, ModelConfig, parse_yaml};
use drr_train::data::{
    Batch, BatchPlan, Ensemble, Field, Fields, Importance, Member, Normalization, Pairs, Parameter,
    Places, Share, Split, Value,
};

/// A network with the size of its data and batches.
#[derive(Clone, Copy)]
pub struct Workload {
    /// Its name on the command line and in tables.
    pub name: &'static str,
    /// Which entry of `models.yaml` it is.
    pub entry: usize,
    /// Samples of a member along each axis.
    pub side: usize,
    /// Members of a batch.
    pub members: usize,
    /// Points of each member in a batch.
    pub points: usize,
    /// Dense refinement is measured on one in so many vertices: all of them need more memory than
    /// machines have.
    pub slabs: usize,
}

/// The workloads that are measured.
pub const WORKLOADS: [Workload; 2] = [
    Workload { name: "example-64", entry: 0, side: 64, members: 8, points: 4096, slabs: 1 },
    Workload { name: "clover-128", entry: 1, side: 128, members: 32, points: 4096, slabs: 32 },
];

impl Workload {
    /// The workload of this name.
    ///
    /// # Errors
    /// If there is none.
    pub fn named(name: &str) -> Result<&'static Self> {
        let found = WORKLOADS.iter().find(|workload| workload.name == name);
        found.with_context(|| format!("no workload `{name}`"))
    }

    /// The network.
    ///
    /// # Errors
    /// If `models.yaml` is damaged.
    pub fn config(&self) -> Result<HdinrConfig> {
        let entries = parse_yaml(include_str!("models.yaml"))?;
        match Config::from_value(&entries[self.entry])?.model {
            ModelConfig::Hdinr(config) => Ok(config),
            _ => anyhow::bail!("models.yaml: expected HDINRBase"),
        }
    }

    /// As many members as a batch has: waves that depend on the parameters. Values do not change
    /// what a step costs.
    pub fn ensemble(&self) -> Ensemble {
        let (n, parameters) = (self.side, 6);
        let names = ["x", "y", "z"];
        let parameter =
            |p: usize| Parameter { name: format!("p{p}"), unit: String::new(), min: 0.0, max: 1.0 };
        let of =
            |m: usize, p: usize| ((m * (2 * p + 3)) % self.members) as f64 / self.members as f64;
        let member = |m: usize| {
            let parameters: Vec<f64> = (0..parameters).map(|p| of(m, p)).collect();
            Member {
                name: m.to_string(),
                file: m.to_string().into(),
                split: Split::Train,
                normalized: parameters.iter().map(|&p| p as f32).collect(),
                parameters,
            }
        };
        let field = |m: usize| {
            let value = |i: usize| {
                let phase = (i % n) as f64 * 0.1 + (i / n % n) as f64 * of(m, 0) * 0.1;
                (0.5 + 0.4 * (phase + (i / n / n) as f64 * of(m, 1) * 0.1).sin()) as f32
            };
            (0..n * n * n).map(value).collect::<Vec<f32>>()
        };
        Ensemble {
            axes: names
                .map(|name| drr_train::data::Axis {
                    name: name.into(),
                    unit: String::new(),
                    min: 0.0,
                    max: 1.0,
                })
                .to_vec(),
            places: Places::Lattice(vec![n; 3]),
            parameters: (0..parameters).map(parameter).collect(),
            values: vec![Value { name: "v".into(), unit: String::new() }],
            members: (0..self.members).map(member).collect(),
            normalization: Normalization::min_max(0.0, 1.0, false),
            fields: Fields::of((0..self.members).map(|m| Field::Floats(field(m)))),
            cache_gib: None,
            subdomain: None,
            notes: Vec::new(),
        }
    }

    /// How batches are drawn: at points that members share, in blocks, or each for itself.
    pub fn plan(&self, shared_points: bool, block: usize) -> BatchPlan {
        BatchPlan {
            seed: 1,
            members_per_batch: self.members,
            points_per_batch: self.points,
            shared_points,
            block,
            rotation: None,
            pairs: Pairs::NONE,
            virtual_members: None,
            importance: Arc::new(Importance::default()),
            share: Share::default(),
        }
    }
}

/// The tensors of a batch: points `[points, 3]` or `[members, points, 3]`, parameters, targets
/// `[members, points, 1]`.
pub fn tensors(batch: &Batch, shared_points: bool, device: tch::Device) -> [tch::Tensor; 3] {
    let members = batch.members.len() as i64;
    let points = tch::Tensor::from_slice(&batch.coords);
    let points = match shared_points {
        true => points.view([-1, 3]),
        false => points.view([members, -1, 3]),
    };
    let conditions = tch::Tensor::from_slice(&batch.conds).view([members, -1]);
    let targets = tch::Tensor::from_slice(&batch.targets).view([members, -1, 1]);
    [points, conditions, targets].map(|tensor| tensor.to_device(device))
}
