//! A radiance field in the description of a model: the layers that make colours of features and
//! directions, which cells of the domain hold anything, how far apart samples are.

use serde::{Deserialize, Deserializer, Serialize};

use super::spec::{Axis, Layer, MAX_ITEMS, Spec, Transform, check_layer, check_width};
use crate::{Error, Result};

/// Most bands of spherical harmonics of the direction.
pub const MAX_HARMONICS: usize = 4;

/// Most samples across the domain's diagonal: bounds the time that a ray may take.
pub const MAX_SAMPLES: f64 = 1_048_576.0;

/// What makes a model with three axes a radiance field. Its value 0 is the density per unit of
/// length, its other values are the features that colours are made of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Radiance {
    /// Bands of spherical harmonics of the direction, 0 to [`MAX_HARMONICS`]: their square is the
    /// number of the head's first inputs; 0 if colours do not depend on the direction.
    pub harmonics: usize,
    /// The head: dense layers from harmonics and features to red, green, blue; tensors
    /// `radiance.layer.N.*` like those of [`Spec::layers`].
    pub layers: Vec<Layer>,
    /// Cells `[D, H, W]` of tensor `radiance.occupancy` over the domain; none: all of it may hold
    /// something.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub occupancy: Option<[usize; 3]>,
    /// Distance of samples along a ray that it was trained with, in the axes' units.
    pub step: f64,
}

impl Radiance {
    /// Inputs of the head that are harmonics of the direction.
    pub fn harmonic_inputs(&self) -> usize {
        self.harmonics * self.harmonics
    }

    /// Bytes of the occupancy's tensor, eight cells each; none without, or if they cannot be
    /// counted.
    pub fn occupancy_bytes(&self) -> Option<usize> {
        let cells = self.occupancy?.iter().try_fold(1usize, |n, &size| n.checked_mul(size))?;
        Some(cells.div_ceil(8))
    }

    /// # Errors
    /// `Format` unless it goes with the rest of `spec`.
    pub(super) fn check(&self, spec: &Spec) -> Result<()> {
        if spec.axes.len() != 3 {
            return Err(Error::format(format!(
                "spec has a radiance field over {} axes, expected 3",
                spec.axes.len()
            )));
        }
        let is_linear = |value: &&super::spec::Value| value.transform == Transform::Linear;
        if let Some(value) = spec.values.iter().skip(1).find(|value| !is_linear(value)) {
            return Err(Error::format(format!(
                "value `{}` is a feature of a radiance field, expected the transform linear",
                value.name
            )));
        }
        self.check_head(spec.values.len() - 1)?;
        self.check_occupancy()?;
        check_step(&spec.axes, self.step).map_err(|error| error.context("radiance"))
    }

    fn check_head(&self, features: usize) -> Result<()> {
        if self.harmonics > MAX_HARMONICS {
            return Err(Error::format(format!(
                "radiance has {} bands of harmonics, expected 0 to {MAX_HARMONICS}",
                self.harmonics
            )));
        }
        if !(1..=MAX_ITEMS).contains(&self.layers.len()) {
            return Err(Error::format(format!(
                "radiance has {} layers, expected 1 to {MAX_ITEMS}",
                self.layers.len()
            )));
        }
        let mut width = self.harmonic_inputs() + features;
        check_width("what comes into radiance.layer.0", width)?;
        for (n, layer) in self.layers.iter().enumerate() {
            check_layer(&format!("radiance.layer.{n}"), layer, width)?;
            width = layer.outputs;
        }
        if width != 3 {
            return Err(Error::format(format!(
                "radiance gives {width} numbers, expected red, green and blue"
            )));
        }
        Ok(())
    }

    fn check_occupancy(&self) -> Result<()> {
        let Some(shape) = self.occupancy else { return Ok(()) };
        let fits = shape.iter().all(|size| (1..=i32::MAX as usize).contains(size));
        if fits && self.occupancy_bytes().is_some_and(|bytes| bytes < 1 << 48) {
            return Ok(());
        }
        Err(Error::format(format!(
            "radiance.occupancy has {shape:?} cells: empty, or too large to address"
        )))
    }
}

/// Distances of samples that can be used within a box.
///
/// # Errors
/// `Format` unless `step` is positive and no more than [`MAX_SAMPLES`] are on the diagonal.
pub(crate) fn check_step(axes: &[Axis], step: f64) -> Result<()> {
    let diagonal = axes.iter().map(|axis| axis.max - axis.min).fold(0.0, f64::hypot);
    if step.is_finite() && step > 0.0 && diagonal / step <= MAX_SAMPLES {
        return Ok(());
    }
    Err(Error::format(format!(
        "the step is {step}, expected a positive number that goes into the domain's diagonal of \
         {diagonal} at most {MAX_SAMPLES} times"
    )))
}

/// A field that may be absent, but not null.
fn present<'de, D: Deserializer<'de>>(
    value: D,
) -> std::result::Result<Option<[usize; 3]>, D::Error> {
    <[usize; 3]>::deserialize(value).map(Some)
}
