//! The ensemble: its members, their parameters and their normalised fields.
//!
//! How it comes from files is in `load`.

use std::sync::Arc;

use anyhow::{Context, Result, bail};
pub use drr::model::spec::Axis;

use super::fields::Fields;
use super::member::{Member, Normalization, Parameter, Split, Value};
use super::places::Places;
use super::samples::Field;
use super::subdomain::Subdomain;
use crate::config::{DatasetConfig, EnsembleModel, Normalize};

/// What the model expects of the data.
#[derive(Debug, Clone, Copy)]
pub struct LoadOptions {
    /// Dimensions of its grid, 2 or 3.
    pub model_dims: usize,
    /// Values that it gives a point.
    pub components: usize,
}

impl LoadOptions {
    /// Of a model of fields.
    pub fn of(model: EnsembleModel<'_>) -> Self {
        Self { model_dims: model.dims(), components: model.out_dim() }
    }
}

/// An ensemble of fields at the same places.
#[derive(Debug, Clone)]
pub struct Ensemble {
    /// Spatial axes in coordinate order: x, y, then z.
    pub axes: Vec<Axis>,
    /// Where the values of all members are.
    pub places: Places,
    /// The simulation inputs.
    pub parameters: Vec<Parameter>,
    /// The components of the field.
    pub values: Vec<Value>,
    /// The members, in the order of the table that lists them.
    pub members: Vec<Member>,
    /// How values were normalised.
    pub normalization: Normalization,
    /// The normalised field of each member. By the range of the values,
    /// training members lie in `[0, 1]` (up to a range given in the configuration); held-out ones may
    /// leave it.
    pub fields: Fields,
    /// GiB that fields may take, where not all of them are in memory.
    pub cache_gib: Option<f64>,
    /// The block that this process has of all fields, where several have cut them up.
    pub subdomain: Option<Arc<Subdomain>>,
    /// What was assumed or left out.
    pub notes: Vec<String>,
}

impl Ensemble {
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
            normalize: Normalize::MinMax,
            data_min: Some(self.normalization.min),
            data_max: Some(self.normalization.max),
            ..config.clone()
        };
        let mut full = Self::load(&config, options)?;
        full.normalization.range = self.normalization.range;
        Ok(full)
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

    /// Number of places.
    pub fn points(&self) -> usize {
        self.places.count()
    }

    /// The normalised field of a member, `[places, values]`.
    ///
    /// # Errors
    /// If it is not in memory and its file cannot be read.
    pub fn field(&self, member: usize) -> Result<Arc<Field>> {
        self.fields.get(member).with_context(|| format!("member {}", self.members[member].name))
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
}

pub(super) fn names(parameters: &[Parameter]) -> Vec<&str> {
    parameters.iter().map(|p| p.name.as_str()).collect()
}

#[cfg(test)]
pub(super) mod testing {
    use super::*;

    /// Gives the ensemble other fields, each made from what it was.
    pub fn change_fields(ensemble: &mut Ensemble, change: impl Fn(usize, &mut Vec<f32>)) {
        let changed = (0..ensemble.members.len()).map(|m| {
            let mut values = ensemble.field(m).unwrap().floats().into_owned();
            change(m, &mut values);
            Field::Floats(values)
        });
        ensemble.fields = Fields::of(changed.collect::<Vec<_>>());
    }

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
        let field = |m| Field::Floats((0..60).map(|i| (100 * m + i) as f32).collect());
        let value = |name: &str| Value { name: name.to_owned(), unit: String::new() };
        let parameter =
            Parameter { name: "p".into(), unit: String::new(), min: 0.0, max: count as f64 };
        Ensemble {
            axes: Vec::new(),
            places: Places::Lattice(vec![2, 3, 5]),
            parameters: vec![parameter],
            values: vec![value("u"), value("v")],
            members: (0..=count).map(member).collect(),
            normalization: Normalization::min_max(0.0, 1.0, false),
            fields: Fields::of((0..=count).map(field)),
            cache_gib: None,
            subdomain: None,
            notes: Vec::new(),
        }
    }
}
