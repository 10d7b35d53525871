//! The JSON description inside a baked file: what the tensors mean and how they connect.
//!
//! A model is one *input vector* per point, to which grids, products of grids and lines each
//! **add** their interpolated features at an offset, followed by dense layers. Concatenation is
//! offsets side by side; a sum (tri-planes, a folded first layer) is offsets that coincide.
//! Everything here is checked by [`Spec::check`] before anything is computed with it.

use std::collections::HashMap;

use serde::{Deserialize, Deserializer, Serialize};

pub use super::grid::{Grid, HASH_FACTORS};
pub use super::radiance::{MAX_HARMONICS, MAX_SAMPLES, Radiance};
use crate::{Error, Result};

/// Widest input vector or layer that a file may ask for; bounds the scratch memory of a query.
pub const MAX_WIDTH: usize = 1 << 16;

/// Most grids, lines, parameters or layers that a file may hold.
pub const MAX_ITEMS: usize = 1 << 12;

/// Description of a baked model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The domain's axes, x first; one to three.
    pub axes: Vec<Axis>,
    /// The simulation parameters that a query binds, in order.
    pub parameters: Vec<Parameter>,
    /// The field's components, one per output of the last layer.
    pub values: Vec<Value>,
    /// Feature grids over the domain and the parameters.
    pub grids: Vec<Grid>,
    /// Feature lines over one parameter each.
    pub lines: Vec<Line>,
    /// The vector that grids and lines add up to.
    pub input: Input,
    /// Dense layers from the input vector to the values; none means that the input vector *is*
    /// the value (a bare encoder).
    pub layers: Vec<Layer>,
    /// Of a radiance field: how its values become densities and colours.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub radiance: Option<Radiance>,
    /// Where the model comes from: tool, configuration, data, measured quality. Free form.
    #[serde(default)]
    pub provenance: serde_json::Map<String, serde_json::Value>,
}

/// One axis of the domain; `min` and `max` are the positions of the first and last vertex, which
/// normalise to -1 and 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Axis {
    /// Name for people, for instance `x`.
    pub name: String,
    /// Unit, empty if none.
    pub unit: String,
    /// Physical position of normalised -1.
    pub min: f64,
    /// Physical position of normalised 1.
    pub max: f64,
}

/// One simulation parameter; `min` and `max` normalise to 0 and 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parameter {
    /// Name, as in the table that the ensemble came with.
    pub name: String,
    /// Unit, empty if none.
    pub unit: String,
    /// Physical value of normalised 0.
    pub min: f64,
    /// Physical value of normalised 1.
    pub max: f64,
}

/// One component of the field. Physical value: `t(v (max - min) + min)` with `t` the inverse of
/// `transform`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Value {
    /// Name, for instance `energy`.
    pub name: String,
    /// Unit, empty if none.
    pub unit: String,
    /// Transformed value of normalised 0.
    pub min: f64,
    /// Transformed value of normalised 1.
    pub max: f64,
    /// What was done to the physical values before they were normalised.
    pub transform: Transform,
}

/// Transform of physical values before normalisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transform {
    /// None.
    Linear,
    /// Natural logarithm; queries return `exp`.
    Log,
}

/// A feature line over one parameter, tensor `line.N` of shape `[vertices, features]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// Index of the parameter.
    pub parameter: usize,
    /// Vertices, the first at normalised 0, the last at 1.
    pub vertices: usize,
    /// Features per vertex.
    pub features: usize,
    /// Where in the input vector its features are added.
    pub offset: usize,
}

/// The input vector: starts as tensor `input.bias` (zeros without one), grids and lines add to
/// it, `activation` is applied last.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// Length of the vector.
    pub width: usize,
    /// Whether the file has a tensor `input.bias` of shape `[width]`.
    pub bias: bool,
    /// Applied to the complete input vector.
    pub activation: Activation,
}

/// A dense layer: tensors `layer.N.weight` of shape `[outputs, inputs]`, `layer.N.bias` of shape
/// `[outputs]`, with `LayerPrecision::I8` also `layer.N.scale` of shape `[outputs]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layer {
    /// Length of what goes in.
    pub inputs: usize,
    /// Length of what comes out.
    pub outputs: usize,
    /// Applied to the outputs.
    pub activation: Activation,
    /// In what its weights are stored and multiplied.
    #[serde(default, skip_serializing_if = "LayerPrecision::is_f32")]
    pub precision: LayerPrecision,
}

/// What the weights of a layer are stored in, and what its inputs are rounded to before they are
/// multiplied. Inputs of the first layer that no grid reaches are not rounded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum LayerPrecision {
    /// 32-bit floating point; inputs as they are.
    #[default]
    F32,
    /// bfloat16, inputs too.
    Bf16,
    /// 8-bit integers: weight `scale[output] * q`, inputs `low + step * q` with q from 0 to 255.
    I8 {
        /// The smallest input.
        low: f64,
        /// Distance of neighbouring inputs, positive.
        step: f64,
    },
}

impl LayerPrecision {
    /// Name in tables and options.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::I8 { .. } => "i8",
        }
    }

    fn is_f32(&self) -> bool {
        *self == Self::F32
    }
}

/// Activation functions, named as in `torch.nn`, lower case in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Activation {
    /// `x`
    Identity,
    /// `max(x, 0)`
    ReLU,
    /// `x` if positive, else `exp(x) - 1`
    ELU,
    /// `x / (1 + exp(-x))`
    SiLU,
    /// `x/2 (1 + erf(x / sqrt 2))`
    GELU,
    /// `1 / (1 + exp(-x))`
    Sigmoid,
    /// Hyperbolic tangent.
    Tanh,
    /// `sin(x)`
    Sine,
}

impl Activation {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Identity,
        Self::ReLU,
        Self::ELU,
        Self::SiLU,
        Self::GELU,
        Self::Sigmoid,
        Self::Tanh,
        Self::Sine,
    ];
}

impl Spec {
    /// Length of the result per point.
    pub fn outputs(&self) -> usize {
        self.layers.last().map_or(self.input.width, |layer| layer.outputs)
    }

    /// Leading part of the input vector that differs from point to point; what follows depends on
    /// the parameters alone. Without layers, all of it.
    pub fn spatial_width(&self) -> usize {
        if self.layers.is_empty() {
            return self.input.width;
        }
        // A product reaches as far as each of its grids: those along an axis stand for all.
        let spatial = self.grids.iter().filter(|grid| self.has_coordinates(grid));
        spatial.map(|grid| grid.offset + grid.channels).max().unwrap_or(0)
    }

    /// Whether `grid` has a dimension along an axis of the domain.
    pub fn has_coordinates(&self, grid: &Grid) -> bool {
        grid.axes.iter().any(|&axis| axis < self.axes.len())
    }

    /// Whether `grid` has a dimension along a parameter.
    pub fn has_parameters(&self, grid: &Grid) -> bool {
        grid.axes.iter().any(|&axis| axis >= self.axes.len())
    }

    /// What is added to the input vector: the grids of each product, and each other grid alone, in
    /// the order of their first grids.
    pub fn terms(&self) -> Vec<Vec<usize>> {
        let mut terms: Vec<Vec<usize>> = Vec::new();
        let mut of_product = HashMap::new();
        for (n, grid) in self.grids.iter().enumerate() {
            let known = grid.product.and_then(|product| of_product.get(&product));
            match known {
                Some(&term) => {
                    let term: &mut Vec<usize> = &mut terms[term];
                    term.push(n);
                }
                None => {
                    grid.product.map(|product| of_product.insert(product, terms.len()));
                    terms.push(vec![n]);
                }
            }
        }
        terms
    }

    /// The oldest version of the file format that can say all this: 3 if it is a radiance field,
    /// 2 if a grid is hashed, part of a product or has a dimension along a parameter, else 1.
    pub fn version(&self) -> u32 {
        if self.radiance.is_some() {
            return 3;
        }
        let is_new = |grid: &Grid| {
            grid.entries.is_some() || grid.product.is_some() || self.has_parameters(grid)
        };
        if self.grids.iter().any(is_new) { 2 } else { 1 }
    }

    /// Checks that the description is consistent in itself and of sane size.
    ///
    /// # Errors
    /// [`ErrorKind::Format`](crate::ErrorKind::Format), naming the entry.
    pub fn check(&self) -> Result<()> {
        self.check_counts()?;
        check_ranges(&self.axes, &self.parameters, &self.values)?;
        self.check_grids()?;
        self.check_lines()?;
        self.check_layers()?;
        self.radiance.as_ref().map_or(Ok(()), |radiance| radiance.check(self))
    }

    fn check_counts(&self) -> Result<()> {
        if !(1..=3).contains(&self.axes.len()) {
            return Err(Error::format(format!(
                "spec has {} axes, expected 1 to 3",
                self.axes.len()
            )));
        }
        if !self.grids.iter().any(|grid| self.has_coordinates(grid)) {
            return Err(Error::format(
                "spec has no grid along an axis of the domain, expected at least one",
            ));
        }
        let counts = [
            ("parameters", self.parameters.len()),
            ("grids", self.grids.len()),
            ("lines", self.lines.len()),
            ("layers", self.layers.len()),
        ];
        match counts.into_iter().find(|(_, count)| *count > MAX_ITEMS) {
            Some((what, count)) => Err(Error::format(format!(
                "spec has {count} {what}, at most {MAX_ITEMS} are allowed"
            ))),
            None => Ok(()),
        }
    }

    fn check_grids(&self) -> Result<()> {
        check_width("the input vector", self.input.width)?;
        for (n, grid) in self.grids.iter().enumerate() {
            let distinct = (0..grid.axes.len()).all(|i| !grid.axes[..i].contains(&grid.axes[i]));
            let (axes, parameters) = (self.axes.len(), self.parameters.len());
            let known = grid.axes.iter().all(|&axis| axis < axes + parameters);
            let fits = grid.axes.len() == grid.shape.len() && (1..=3).contains(&grid.axes.len());
            if !distinct || !known || !fits {
                return Err(Error::format(format!(
                    "grid.{n} has axes {:?} and shape {:?}, expected one size for each of one to \
                     three distinct numbers below {} ({axes} axes, then {parameters} parameters)",
                    grid.axes,
                    grid.shape,
                    axes + parameters
                )));
            }
            grid.check_entries().map_err(|error| error.context(format!("grid.{n}")))?;
            let large = grid.shape.iter().any(|&size| size > i32::MAX as usize);
            if grid.shape.contains(&0) || large || grid.rows().is_none() {
                return Err(Error::format(format!(
                    "grid.{n} has shape {:?} with {} channels: empty, or too large to address",
                    grid.shape, grid.channels
                )));
            }
            self.check_span(&format!("grid.{n}"), grid.offset, grid.channels)?;
        }
        self.check_products()
    }

    fn check_products(&self) -> Result<()> {
        for term in self.terms() {
            let first = &self.grids[term[0]];
            if first.product.is_some_and(|product| product > i32::MAX as usize) {
                return Err(Error::format(format!(
                    "grid.{} belongs to product {}, expected a number up to {}",
                    term[0],
                    first.product.unwrap_or_default(),
                    i32::MAX
                )));
            }
            for &n in &term[1..] {
                let Grid { offset, channels, .. } = self.grids[n];
                if (offset, channels) != (first.offset, first.channels) {
                    return Err(Error::format(format!(
                        "grid.{n} has {channels} channels at {offset} and belongs to a product with \
                         grid.{}, which has {} at {}: expected the same",
                        term[0], first.channels, first.offset
                    )));
                }
            }
        }
        Ok(())
    }

    fn check_lines(&self) -> Result<()> {
        for (n, line) in self.lines.iter().enumerate() {
            if line.parameter >= self.parameters.len() {
                return Err(Error::format(format!(
                    "line.{n} belongs to parameter {}, but there are {}",
                    line.parameter,
                    self.parameters.len()
                )));
            }
            if line.vertices == 0 || line.vertices > u32::MAX as usize {
                return Err(Error::format(format!("line.{n} has {} vertices", line.vertices)));
            }
            self.check_span(&format!("line.{n}"), line.offset, line.features)?;
        }
        Ok(())
    }

    fn check_layers(&self) -> Result<()> {
        let mut width = self.input.width;
        for (n, layer) in self.layers.iter().enumerate() {
            check_layer(&format!("layer.{n}"), layer, width)?;
            width = layer.outputs;
        }
        if self.values.len() != width {
            return Err(Error::format(format!(
                "spec names {} values, but the model gives {width}",
                self.values.len()
            )));
        }
        Ok(())
    }

    fn check_span(&self, what: &str, offset: usize, length: usize) -> Result<()> {
        match offset.checked_add(length) {
            Some(end) if length > 0 && end <= self.input.width => Ok(()),
            _ => Err(Error::format(format!(
                "{what} adds {length} features at {offset}, but the input vector has {}",
                self.input.width
            ))),
        }
    }
}

/// Checks names, units and ranges alone: what is known before there is a model.
///
/// # Errors
/// [`ErrorKind::Format`](crate::ErrorKind::Format), naming the entry.
pub fn check_ranges(axes: &[Axis], parameters: &[Parameter], values: &[Value]) -> Result<()> {
    let axes = axes.iter().map(|a| ("axis", &a.name, &a.unit, a.min, a.max, true));
    let parameters = parameters.iter();
    let parameters = parameters.map(|p| ("parameter", &p.name, &p.unit, p.min, p.max, true));
    let values = values.iter().map(|v| ("value", &v.name, &v.unit, v.min, v.max, false));
    for (what, name, unit, min, max, strict) in axes.chain(parameters).chain(values) {
        if name.contains('\0') || unit.contains('\0') {
            return Err(Error::format(format!(
                "{what} {name:?}, unit {unit:?}: text must not hold NUL characters"
            )));
        }
        let ordered = if strict { min < max } else { min <= max };
        if !(min.is_finite() && max.is_finite() && (max - min).is_finite() && ordered) {
            return Err(Error::format(format!(
                "{what} `{name}` has the range {min} to {max}, expected finite numbers in order"
            )));
        }
    }
    Ok(())
}

/// # Errors
/// `Format` unless `layer` takes `width` inputs and is of sane size and precision.
pub(super) fn check_layer(name: &str, layer: &Layer, width: usize) -> Result<()> {
    check_width(name, layer.outputs)?;
    if layer.inputs != width {
        return Err(Error::format(format!(
            "{name} takes {} inputs, but {width} come in",
            layer.inputs
        )));
    }
    if let LayerPrecision::I8 { low, step } = layer.precision
        && !(is_f32(low) && is_f32(step) && step >= f64::from(f32::MIN_POSITIVE))
    {
        return Err(Error::format(format!(
            "{name} takes inputs from {low} in steps of {step}, expected finite numbers and \
             positive steps"
        )));
    }
    Ok(())
}

/// A field that may be absent, but not null.
fn present<'de, D: Deserializer<'de>>(value: D) -> std::result::Result<Option<Radiance>, D::Error> {
    Radiance::deserialize(value).map(Some)
}

fn is_f32(x: f64) -> bool {
    (x as f32).is_finite()
}

/// # Errors
/// `Format` unless a vector may be so wide.
pub(super) fn check_width(what: &str, width: usize) -> Result<()> {
    if (1..=MAX_WIDTH).contains(&width) {
        return Ok(());
    }
    Err(Error::format(format!("{what} is {width} wide, expected 1 to {MAX_WIDTH}")))
}
