//! The ensemble: its members, their parameters and their fields, all in memory and normalised.
//!
//! Where members come from is decided by `table` and `reference`; how a field is read, by `field`.

use std::collections::HashSet;
use std::path::{Component, Path};

use anyhow::{Context, Result, bail};
pub use drr::model::spec::Axis;

use super::field::{self, Layout};
use super::info::FieldInfo;
use super::member::{Member, Normalization, Parameter, Split, Value};
use super::{lattice, reference, table};
use crate::config::{DatasetConfig, DatasetKind, HdinrConfig};

/// What the model expects of the data.
#[derive(Debug, Clone, Copy)]
pub struct LoadOptions {
    /// Dimensions of its grid, 2 or 3.
    pub model_dims: usize,
    /// Values that it gives a point.
    pub components: usize,
}

impl LoadOptions {
    /// Of a model for ensembles.
    pub fn of(model: &HdinrConfig) -> Self {
        Self { model_dims: model.encoder.dims(), components: model.out_dim }
    }
}

/// An ensemble of fields on one regular lattice.
#[derive(Debug, Clone)]
pub struct Ensemble {
    /// Spatial axes in coordinate order: x, y, then z.
    pub axes: Vec<Axis>,
    /// Shape of the lattice in index order: `[D, H, W]` or `[H, W]`; at least 2 samples each.
    pub dims: Vec<usize>,
    /// The simulation inputs.
    pub parameters: Vec<Parameter>,
    /// The components of the field.
    pub values: Vec<Value>,
    /// The members, in the order of the table that lists them.
    pub members: Vec<Member>,
    /// How values were normalised.
    pub normalization: Normalization,
    /// The normalised field of each member, `[D, H, W, values]`. Training members lie in `[0, 1]`
    /// (up to a range given in the configuration); held-out ones may leave it.
    pub fields: Vec<Vec<f32>>,
    /// What was assumed or left out.
    pub notes: Vec<String>,
}

/// What lists the members gives, before any field is read.
pub(super) struct Listing {
    pub parameters: Vec<Parameter>,
    pub members: Vec<Member>,
    pub notes: Vec<String>,
}

impl Ensemble {
    /// Reads an ensemble.
    ///
    /// The folder is `config.data`, else `config.data_dir`. With a `params.csv` in it, that table
    /// lists the members; else `cond.npy` and `cond_split.npy` do, as for the reference.
    ///
    /// # Errors
    /// Anything missing, damaged, inconsistent or not supported; file, row or key are named.
    pub fn load(config: &DatasetConfig, options: &LoadOptions) -> Result<Self> {
        check_supported(config)?;
        let folder = find_folder(config)?;
        let mut info = FieldInfo::read(folder)?;
        let mut listing = match table::exists(folder) {
            true => table::read(folder, &info)?,
            false => reference::read(folder, config, &info)?,
        };
        distinguish(&mut listing.members, folder);
        info.check_names_used(&names(&listing.parameters))?;
        normalize_parameters(&mut listing)?;
        set_aside(&mut listing.members, config.validation)?;
        let Some(first) = listing.members.first() else {
            bail!("the ensemble has no members");
        };
        let (dims, reading) = (info.dims.take(), info.reading.clone());
        let layout = Layout::resolve(&first.file, config, options.model_dims, dims, &reading)?;
        layout.check_components(options.components)?;
        let axes = info.axes(layout.dims.len())?;
        let values = info.values(layout.components)?;
        let mut ensemble = Self {
            axes,
            values,
            normalization: Normalization { min: 0.0, max: 1.0, log: config.use_logdata },
            fields: Vec::with_capacity(listing.members.len()),
            parameters: listing.parameters,
            members: listing.members,
            notes: listing.notes,
            dims: scaled(&layout.dims, config.dim_scale_factor)?,
        };
        if ensemble.train().next().is_none() {
            bail!("no training members: all {} are held out", ensemble.members.len());
        }
        for member in &ensemble.members {
            let mut values = field::read(&member.file, &layout, &reading)?;
            if ensemble.dims != layout.dims {
                values = lattice::resample(&values, &layout.dims, &ensemble.dims);
            }
            if config.use_logdata {
                field::take_logarithms(&member.file, &mut values)?;
            }
            ensemble.fields.push(values);
        }
        if ensemble.dims != layout.dims {
            ensemble.notes.push(format!(
                "fields of {:?} are reduced to {:?} (dim_scale_factor)",
                layout.dims, ensemble.dims
            ));
        }
        ensemble.normalize_fields(config)?;
        Ok(ensemble)
    }

    /// The same members at the resolution of their files, normalised as these are.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn at_full_resolution(
        &self,
        config: &DatasetConfig,
        options: &LoadOptions,
    ) -> Result<Self> {
        let config = DatasetConfig {
            dim_scale_factor: 1.0,
            data_min: Some(self.normalization.min),
            data_max: Some(self.normalization.max),
            ..config.clone()
        };
        Self::load(&config, options)
    }

    /// What no training member is near to: parameters of held-out members below the least or above
    /// the greatest that training sees.
    pub fn extrapolations(&self) -> Vec<String> {
        let mut notes = Vec::new();
        for (p, parameter) in self.parameters.iter().enumerate() {
            let of = |member: usize| self.members[member].parameters[p];
            let least = self.train().map(of).fold(f64::INFINITY, f64::min);
            let most = self.train().map(of).fold(f64::NEG_INFINITY, f64::max);
            for member in self.test().filter(|&m| !(least..=most).contains(&of(m))) {
                notes.push(format!(
                    "held-out member {} extrapolates: {} is {}, training has {least} to {most}",
                    self.members[member].name,
                    parameter.name,
                    of(member)
                ));
            }
        }
        notes
    }

    /// Indices of the training members, in order.
    pub fn train(&self) -> impl Iterator<Item = usize> + '_ {
        self.of(Split::Train)
    }

    /// Indices of the members that are set aside for validation, in order.
    pub fn validation(&self) -> impl Iterator<Item = usize> + '_ {
        self.of(Split::Validation)
    }

    /// Indices of the held-out members, in order.
    pub fn test(&self) -> impl Iterator<Item = usize> + '_ {
        self.of(Split::Test)
    }

    /// Number of lattice points.
    pub fn points(&self) -> usize {
        self.dims.iter().product()
    }

    /// The physical value of a normalised one.
    pub fn denormalize(&self, value: f32) -> f64 {
        self.normalization.denormalize(value.into())
    }

    /// Checks that a model for `cond_dim` parameters fits.
    ///
    /// # Errors
    /// The ensemble has another number of parameters; their names are listed.
    pub fn check_parameters(&self, cond_dim: usize) -> Result<()> {
        if self.parameters.len() == cond_dim {
            return Ok(());
        }
        let names = names(&self.parameters);
        bail!(
            "the model takes {cond_dim} parameters (cond_dim), the data have {}: {}",
            names.len(),
            names.join(", ")
        )
    }

    fn of(&self, split: Split) -> impl Iterator<Item = usize> + '_ {
        let wanted = move |index: &usize| self.members[*index].split == split;
        (0..self.members.len()).filter(wanted)
    }

    /// Scales all fields by the range of the training members, or by the configured one.
    fn normalize_fields(&mut self, config: &DatasetConfig) -> Result<()> {
        let (low, high) = self
            .train()
            .flat_map(|member| &self.fields[member])
            .fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), &value| {
                (low.min(value), high.max(value))
            });
        let (low, high) = (f64::from(low), f64::from(high));
        let min = config.data_min.unwrap_or(low);
        let max = config.data_max.unwrap_or(high);
        if min >= max {
            bail!(
                "values range from {min} to {max}: nothing to learn (training data from {low} to \
                 {high}; data_min and data_max of the configuration go before them)"
            );
        }
        // The configured range is usually that of the same data with more digits.
        let slack = 1e-6 * (max - min);
        if low < min - slack || high > max + slack {
            self.notes.push(format!(
                "training data range from {low} to {high}, beyond data_min and data_max, {min} to {max}"
            ));
        }
        let scale = |value: &mut f32| *value = ((f64::from(*value) - min) / (max - min)) as f32;
        self.fields.iter_mut().flatten().for_each(scale);
        self.normalization = Normalization { min, max, ..self.normalization };
        Ok(())
    }
}

fn check_supported(config: &DatasetConfig) -> Result<()> {
    if config.kind != DatasetKind::HdField {
        bail!(
            "dataset.type: {} is known to the reference, not supported yet; {} is",
            config.kind,
            DatasetKind::HdField
        );
    }
    Ok(())
}

/// The lattice that is trained on: as `torch.nn.functional.interpolate` shapes it.
fn scaled(dims: &[usize], factor: f64) -> Result<Vec<usize>> {
    let scaled: Vec<_> = dims.iter().map(|&n| (n as f64 * factor) as usize).collect();
    if scaled.iter().any(|&n| n < 2) {
        bail!(
            "dataset.param.dim_scale_factor: given {factor}, which makes {scaled:?} of fields of \
             {dims:?}; each axis needs 2 samples"
        );
    }
    Ok(scaled)
}

fn find_folder(config: &DatasetConfig) -> Result<&Path> {
    let Some(folder) = config.data.as_ref().or(config.data_dir.as_ref()) else {
        bail!("no data: give --data DIR, or data_dir in the configuration's dataset");
    };
    if !folder.is_dir() {
        bail!("there is no folder {}", folder.display());
    }
    Ok(folder)
}

/// Makes `count` training members, evenly spread over their list, members for validation.
fn set_aside(members: &mut [Member], count: usize) -> Result<()> {
    let mut train: Vec<_> = members.iter_mut().filter(|m| m.split == Split::Train).collect();
    let available = train.len();
    if count > 0 && count >= available {
        bail!(
            "dataset.param.validation: given {count}, but there are {available} training members"
        );
    }
    for n in 0..count {
        train[(2 * n + 1) * available / (2 * count)].split = Split::Validation;
    }
    Ok(())
}

fn names(parameters: &[Parameter]) -> Vec<&str> {
    parameters.iter().map(|p| p.name.as_str()).collect()
}

/// Where simulations have folders of their own, files often have the same name in each: the
/// members go by their paths then.
fn distinguish(members: &mut [Member], folder: &Path) {
    let names: HashSet<&str> = members.iter().map(|member| member.name.as_str()).collect();
    if names.len() == members.len() {
        return;
    }
    for member in members {
        let path = member.file.strip_prefix(folder).unwrap_or(&member.file).with_extension("");
        let parts = path.components().filter_map(|part| match part {
            Component::Normal(part) => Some(part.to_string_lossy()),
            _ => None,
        });
        member.name = parts.collect::<Vec<_>>().join("-");
    }
}

/// Fills [`Member::normalized`] from the physical values.
fn normalize_parameters(listing: &mut Listing) -> Result<()> {
    for parameter in &listing.parameters {
        if parameter.min == parameter.max {
            listing.notes.push(format!(
                "parameter {} is {} for every member: it becomes 0",
                parameter.name, parameter.min
            ));
        }
    }
    for member in &mut listing.members {
        let pairs = listing.parameters.iter().zip(&member.parameters);
        let normalized: Result<Vec<f32>> = pairs.map(|(p, &value)| p.unit(value)).collect();
        member.normalized = normalized.with_context(|| format!("member {}", member.name))?;
    }
    Ok(())
}

#[cfg(test)]
pub(super) mod testing {
    use super::*;

    /// `count` training members on a 2 x 3 x 5 lattice, two values a point, and one held out; the
    /// one parameter of member m is m / count.
    pub fn ensemble(count: usize) -> Ensemble {
        let member = |m: usize| Member {
            name: m.to_string(),
            file: m.to_string().into(),
            split: if m == 1 { Split::Test } else { Split::Train },
            parameters: vec![m as f64],
            normalized: vec![m as f32 / count as f32],
        };
        let value = |name: &str| Value { name: name.to_owned(), unit: String::new() };
        let parameter =
            Parameter { name: "p".into(), unit: String::new(), min: 0.0, max: count as f64 };
        Ensemble {
            axes: Vec::new(),
            dims: vec![2, 3, 5],
            parameters: vec![parameter],
            values: vec![value("u"), value("v")],
            members: (0..=count).map(member).collect(),
            normalization: Normalization { min: 0.0, max: 1.0, log: false },
            fields: (0..=count).map(|m| (0..60).map(|i| (100 * m + i) as f32).collect()).collect(),
            notes: Vec::new(),
        }
    }
}
