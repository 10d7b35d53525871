//! The ensemble: its members, their parameters and their fields, all in memory and normalised.
//!
//! Where members come from is decided by `table` and `reference`; how a field is read, by `field`.

use std::collections::HashSet;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result, bail};
pub use drr::model::spec::Axis;

use super::field::{self, Layout};
use super::info::FieldInfo;
use super::{reference, table};
use crate::config::{DatasetConfig, DatasetKind};

/// A simulation input; its range is what becomes `[0, 1]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// Its unit; may be empty.
    pub unit: String,
    /// Physical value that becomes 0.
    pub min: f64,
    /// Physical value that becomes 1.
    pub max: f64,
}

/// One component of the field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value {
    /// `value` unless said otherwise.
    pub name: String,
    /// Its unit; may be empty.
    pub unit: String,
}

/// What a member is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Split {
    /// Learned from.
    Train,
    /// Held out.
    Test,
}

/// One simulation.
#[derive(Debug, Clone, PartialEq)]
pub struct Member {
    /// The file's name without its extension; with its folders where names repeat.
    pub name: String,
    /// Where its field was read from.
    pub file: PathBuf,
    /// What it is for.
    pub split: Split,
    /// Its inputs in physical units, in the order of [`Ensemble::parameters`].
    pub parameters: Vec<f64>,
    /// The same in `[0, 1]`.
    pub normalized: Vec<f32>,
}

/// The map from values to `[0, 1]`, the same for all components of a field.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Normalization {
    /// Value that becomes 0; its logarithm if `log`.
    pub min: f64,
    /// Value that becomes 1; its logarithm if `log`.
    pub max: f64,
    /// Whether the natural logarithm is taken first.
    pub log: bool,
}

/// What the model expects of the data.
#[derive(Debug, Clone, Copy)]
pub struct LoadOptions {
    /// Dimensions of its grid, 2 or 3.
    pub model_dims: usize,
    /// Values that it gives a point.
    pub components: usize,
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

impl Split {
    /// Both, training first.
    pub const ALL: [Self; 2] = [Self::Train, Self::Test];

    /// Its name in `params.csv` and in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Test => "test",
        }
    }
}

impl Parameter {
    /// A physical value on the scale of `[0, 1]`; a parameter without a range gives 0.
    pub fn normalize(&self, physical: f64) -> f64 {
        match self.max > self.min {
            true => (physical - self.min) / (self.max - self.min),
            false => 0.0,
        }
    }

    /// The physical value at `normalized`.
    pub fn denormalize(&self, normalized: f64) -> f64 {
        normalized * (self.max - self.min) + self.min
    }
}

impl Normalization {
    /// The physical value of a normalised one.
    pub fn denormalize(&self, value: f64) -> f64 {
        let scaled = value * (self.max - self.min) + self.min;
        match self.log {
            true => scaled.exp(),
            false => scaled,
        }
    }
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
            dims: layout.dims.clone(),
        };
        if ensemble.train().next().is_none() {
            bail!("no training members: all {} are held out", ensemble.members.len());
        }
        for member in &ensemble.members {
            let values = field::read(&member.file, &layout, &reading, config.use_logdata)?;
            ensemble.fields.push(values);
        }
        ensemble.normalize_fields(config)?;
        Ok(ensemble)
    }

    /// Indices of the training members, in order.
    pub fn train(&self) -> impl Iterator<Item = usize> + '_ {
        self.of(Split::Train)
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
    if config.dim_scale_factor != 1.0 {
        bail!(
            "dataset.param.dim_scale_factor: {} (training on reduced resolution) is known to the \
             reference, not supported yet; `--set dataset.param.dim_scale_factor=1` trains on the \
             data as they are",
            config.dim_scale_factor
        );
    }
    Ok(())
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
        let normalized: Result<Vec<f32>> = pairs.map(|(p, &value)| unit(p, value)).collect();
        member.normalized = normalized.with_context(|| format!("member {}", member.name))?;
    }
    Ok(())
}

/// A parameter value in `[0, 1]`, exactly.
fn unit(parameter: &Parameter, value: f64) -> Result<f32> {
    // Tables of normalised parameters are often rounded to single precision.
    const SLACK: f64 = 1e-6;
    let normalized = parameter.normalize(value);
    if !(-SLACK..=1.0 + SLACK).contains(&normalized) {
        bail!(
            "parameter {} is {value}, outside its range {} to {}",
            parameter.name,
            parameter.min,
            parameter.max
        );
    }
    Ok(normalized.clamp(0.0, 1.0) as f32)
}

/// A member of which only the physical parameters are known so far.
pub(super) fn member(file: PathBuf, split: Split, parameters: Vec<f64>) -> Member {
    let name = file.file_stem().unwrap_or_default();
    Member {
        name: name.to_string_lossy().into_owned(),
        file,
        split,
        parameters,
        normalized: Vec::new(),
    }
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
