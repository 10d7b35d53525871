//! From a configuration to an ensemble: where the data are, what lists the members, how their values
//! are read and scaled.
//!
//! Where members come from is decided by `table` and `reference`; how a field is read, by `field`.

use std::collections::HashSet;
use std::path::{Component, Path};
use std::sync::Arc;

use anyhow::{Context, Result, bail};

use super::coordinates::Coordinates;
use super::ensemble::{Ensemble, LoadOptions, names};
use super::field::{self, GivenShape, Layout};
use super::info::FieldInfo;
use super::member::{Member, Normalization, Parameter};
use super::places::Places;
use super::statistics::Statistics;
use super::{reference, table};
use crate::config::{DatasetConfig, DatasetKind, Normalize};

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
        let coordinates = Coordinates::find(folder, &info, config)?;
        let mut listing = match table::exists(folder) {
            true => table::read(folder, &info)?,
            false => {
                let other = coordinates.as_ref().map(Coordinates::path);
                reference::read(folder, config, &info, other)?
            }
        };
        distinguish(&mut listing.members, folder);
        info.check_names_used(&names(&listing.parameters))?;
        normalize_parameters(&mut listing)?;
        let Some(first) = listing.members.first() else {
            bail!("the ensemble has no members");
        };
        let (shape, reading) = (GivenShape::new(config, info.dims.take()), info.reading.clone());
        let (axes, full, layout) = match coordinates {
            Some(file) => {
                let (axes, points) =
                    file.read(options.model_dims, &info.axes(options.model_dims)?)?;
                let places = Places::Points(Arc::new(points));
                let layout = Layout::of_points(&first.file, places.count(), shape, &reading)?;
                (axes, places, layout)
            }
            None => {
                let layout = Layout::resolve(&first.file, options.model_dims, shape, &reading)?;
                let axes = info.axes(layout.dims.len())?;
                let axes = axes.iter().map(|axis| axis.axis((-1.0, 1.0))).collect();
                (axes, Places::Lattice(layout.dims.clone()), layout)
            }
        };
        layout.check_components(options.components)?;
        let values = info.values(layout.components)?;
        let mut ensemble = Self {
            axes,
            values,
            normalization: Normalization::min_max(0.0, 1.0, config.use_logdata),
            fields: Vec::with_capacity(listing.members.len()),
            parameters: listing.parameters,
            members: listing.members,
            notes: listing.notes,
            places: full.reduced(config.dim_scale_factor)?,
        };
        if ensemble.train().next().is_none() {
            bail!("no training members: all {} are held out", ensemble.members.len());
        }
        for member in &ensemble.members {
            let values = field::read(&member.file, &layout, &reading)?;
            let mut values = full.reduce(values, &ensemble.places);
            if config.use_logdata {
                field::take_logarithms(&member.file, &mut values)?;
            }
            ensemble.fields.push(values);
        }
        if ensemble.places != full {
            let note = format!("{full} are reduced to {} (dim_scale_factor)", ensemble.places);
            ensemble.notes.push(match full {
                Places::Lattice(_) => format!("fields of {note}"),
                Places::Points(_) => note,
            });
        }
        ensemble.normalize_fields(config)?;
        Ok(ensemble)
    }

    /// Scales all fields by the values of the training members, or as configured.
    fn normalize_fields(&mut self, config: &DatasetConfig) -> Result<()> {
        let mut statistics = Statistics::NONE;
        self.train().for_each(|member| statistics.add(self.fields[member].iter().copied()));
        self.normalization = normalization(config, &statistics, &mut self.notes)?;
        let scale = |value: &mut f32| *value = self.normalization.normalize(*value);
        self.fields.iter_mut().flatten().for_each(scale);
        Ok(())
    }
}

/// How values are normalised whose `statistics` are those of the training members.
fn normalization(
    config: &DatasetConfig,
    statistics: &Statistics,
    notes: &mut Vec<String>,
) -> Result<Normalization> {
    let (low, high) = (statistics.low, statistics.high);
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
        notes.push(format!(
            "training data range from {low} to {high}, beyond data_min and data_max, {min} to {max}"
        ));
    }
    let by_range = Normalization::min_max(min, max, config.use_logdata);
    Ok(match config.normalize {
        Normalize::MinMax => by_range,
        Normalize::Standard => {
            let mean = config.data_mean.unwrap_or(statistics.mean);
            let deviation = config.data_std.unwrap_or(statistics.deviation());
            Normalization { min: mean, max: mean + deviation, ..by_range }
        }
    })
}

fn check_supported(config: &DatasetConfig) -> Result<()> {
    if config.kind == DatasetKind::Field {
        bail!(
            "dataset.type: {} is known to the reference, not supported yet; {} and {} are",
            config.kind,
            DatasetKind::HdField,
            DatasetKind::HdCurviField
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
