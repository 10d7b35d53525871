//! What a training in situ is asked for: the configuration, and the data as the host describes them.

use std::sync::Arc;

use anyhow::{Result, bail, ensure};
use drr::model::spec::{Axis, Value as ValueSpec, check_ranges};
use serde_json::{Value as Json, json};

use super::judge::padded;
use super::members::{Keep, check_inside};
use crate::config::{Config, DatasetKind, Decay, PairsChoice, parse_entry};
use crate::data::given::Span;
use crate::data::{Ensemble, Fields, Normalization, Parameter, Places, Subdomain, Value};
use crate::train::settings::Settings;
use crate::train::subject::put;

/// The fields that will come.
#[derive(Debug, Clone)]
pub struct Data {
    /// Points of the lattice along each axis, slowest first; empty: `dataset.param.dims`.
    pub points: Vec<usize>,
    /// x first; of as many axes as the lattice has, or empty: x, y, z from -1 to 1.
    pub axes: Vec<Axis>,
    /// The simulation's inputs and their ranges.
    pub parameters: Vec<Parameter>,
    /// The components of the field.
    pub values: Vec<Value>,
    /// Least and greatest value, if they are known.
    pub range: Option<(f64, f64)>,
}

/// How to train.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Text of the configuration.
    pub config: String,
    /// Which entry of it.
    pub entry: usize,
    /// Seed of everything random; that of the configuration if `None`.
    pub seed: Option<u64>,
    /// Threads that libtorch may use; 0: what it would use anyway.
    pub threads: u32,
    /// `cpu`, `cuda`, `cuda:N` or `auto`; if `None`, as the configuration says, else `cpu`.
    pub device: Option<String>,
    /// Which members are kept.
    pub keep: Keep,
    /// The lattice points whose values this process gives; all of them if `None`.
    pub own: Option<Span>,
}

/// Both, understood.
pub struct Asked {
    /// The configuration with everything in it that was said beside it.
    pub entry: Json,
    pub config: Config,
    pub settings: Settings,
    /// Without members, and not normalised yet.
    pub ensemble: Ensemble,
    /// The lattice points whose values this process gives.
    pub own: Span,
    /// Whether learning rates fall by `train.steps`.
    pub has_steps: bool,
}

impl Asked {
    /// # Errors
    /// For a configuration that cannot be trained in situ, and data that do not fit it.
    pub fn new(data: &Data, options: &Options) -> Result<Self> {
        let mut entry = parse_entry(&options.config, options.entry, "the configuration")?;
        if let Some(seed) = options.seed {
            put(&mut entry, "train", "seed", json!(seed));
        }
        let device = match (&options.device, entry["train"]["device"].as_str()) {
            (Some(device), _) => device.clone(),
            (None, Some(device)) => device.to_owned(),
            (None, None) => "cpu".to_owned(),
        };
        put(&mut entry, "train", "device", json!(device));
        let log = Config::from_value(&entry)?.dataset.use_logdata;
        if let Some((low, high)) = data.range {
            ensure!(
                !log || low > 0.0,
                "values from {low} to {high} are expected, but {low} has no logarithm \
                 (dataset.param.use_logdata)"
            );
            for (key, value) in [("data_min", low), ("data_max", high)] {
                put(&mut entry, "dataset.param", key, json!(if log { value.ln() } else { value }));
            }
        }
        let config = Config::from_value(&entry)?;
        check_supported(&config)?;
        let mut ensemble = ensemble(data, &config)?;
        let lattice = padded(ensemble.places.lattice().unwrap_or(&[]));
        let own = options.own.unwrap_or(Span { offset: [0; 3], extent: lattice });
        check_inside(&own, lattice)?;
        if own.extent != lattice {
            ensemble.subdomain = Some(Arc::new(subdomain(&own, &ensemble.places)));
            let is_moving = config.dataset.x_noise_std.is_some()
                || matches!(config.dataset.pairs, Some(PairsChoice::Space | PairsChoice::Both));
            ensure!(
                !is_moving,
                "Variational Pairs in space need values of neighbours, and each process has its own \
                 block alone: choose pairs `parameters` or `none` (dataset.param.pairs)"
            );
        }
        let mut settings = Settings::new(&config, None)?;
        let has_steps = config.train.steps.is_some();
        if !has_steps {
            settings.schedule.begin = u64::MAX;
        }
        Ok(Self { entry, config, settings, ensemble, own, has_steps })
    }
}

/// A block of the lattice, of which nothing else is there.
fn subdomain(own: &Span, places: &Places) -> Subdomain {
    let dims = places.lattice().unwrap_or(&[]);
    let ranges = (0..3).map(|k| own.offset[k]..own.offset[k] + own.extent[k]);
    Subdomain::new(dims, ranges.skip(3 - dims.len()).collect()).without_halo()
}

/// The fields, none of which has come yet.
fn ensemble(data: &Data, config: &Config) -> Result<Ensemble> {
    let model = config.model.of_ensemble()?;
    let points = match (&data.points[..], &config.dataset.dims) {
        ([], Some(dims)) => dims.clone(),
        ([], None) => bail!("no points of the lattice are given, nor dataset.param.dims"),
        (points, _) => points.to_vec(),
    };
    let dims = model.dims();
    ensure!(
        points.len() == dims && points.iter().all(|&n| n >= 2),
        "a lattice of {:?} points (x first) is given, the model has {dims} axes; each needs 2 points",
        points.iter().rev().collect::<Vec<_>>()
    );
    let default =
        |&name: &&str| Axis { name: name.into(), unit: String::new(), min: -1.0, max: 1.0 };
    let axes = match data.axes.is_empty() {
        true => ["x", "y", "z"][..dims].iter().map(default).collect(),
        false => data.axes.clone(),
    };
    ensure!(axes.len() == dims, "{} axes are given, the model has {dims}", axes.len());
    let (given, wanted) = (data.values.len(), model.out_dim());
    ensure!(
        given == wanted,
        "{given} values a point are given, the model has {wanted} (model.param.out_dim)"
    );
    for parameter in &data.parameters {
        ensure!(
            parameter.min < parameter.max,
            "parameter {} has the range {} to {}, expected a least and a greater value",
            parameter.name,
            parameter.min,
            parameter.max
        );
    }
    let normalization = Normalization::min_max(0.0, 1.0, config.dataset.use_logdata);
    let ensemble = Ensemble {
        axes,
        places: Places::Lattice(points),
        parameters: data.parameters.clone(),
        values: data.values.clone(),
        members: Vec::new(),
        normalization,
        fields: Fields::of([]),
        cache_gib: None,
        subdomain: None,
        notes: Vec::new(),
    };
    ensemble.check_parameters(model.parameters())?;
    let description = crate::bake::Description::of(&ensemble);
    let values: &[ValueSpec] = &description.values;
    check_ranges(&description.axes, &description.parameters, values)?;
    Ok(ensemble)
}

/// Refuses what needs all data beforehand, or files.
fn check_supported(config: &Config) -> Result<()> {
    let (dataset, train) = (&config.dataset, &config.train);
    config.model.of_ensemble()?;
    let refused = [
        (
            dataset.kind == DatasetKind::HdCurviField,
            "dataset.type HDCurviFieldDataset: fields in situ are on lattices",
        ),
        (
            dataset.validation > 0,
            "dataset.param.validation: judge members by an evaluation instead",
        ),
        (dataset.cache_gib.is_some(), "dataset.param.cache_gib: bound the members that are kept"),
        (dataset.dim_scale_factor != 1.0, "dataset.param.dim_scale_factor: give fewer points"),
        (
            dataset.impsmp_coord_path.is_some() || dataset.impsmp_cond_path.is_some(),
            "importance sampling (dataset.param.impsmp_...): its weights need all data beforehand",
        ),
        (
            dataset.virtual_members.is_some(),
            "dataset.param.virtual_members: kriging needs all members beforehand",
        ),
        (train.minutes.is_some(), "train.minutes: steps can be asked for by time instead"),
        (train.patience.is_some(), "train.patience: no members are set aside"),
        (
            train.steps.is_none() && train.maxsteps.is_some_and(|epochs| epochs > 0),
            "train.maxsteps: it counts epochs of data that are complete; give train.steps, or neither",
        ),
        (
            train.steps.is_none() && matches!(config.scheduler.decay, Decay::Steps { .. }),
            "scheduler.type steps without train.steps: its milestones are parts of all steps",
        ),
    ];
    match refused.iter().find(|(is_asked, _)| *is_asked) {
        Some((_, what)) => bail!("not for training in situ: {what}"),
        None => Ok(()),
    }
}
