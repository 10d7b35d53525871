//! From the caller's units to normalised ones, and what is to happen outside.

use super::{Outside, SamplerOptions, Units};
use crate::cpu::Position;
use crate::model::spec::{Axis, Parameter, Spec};
use crate::{Error, ErrorKind, Result};

/// How far outside `min` to `max`, in units of the whole range, still counts as the border:
/// numbers that went through 32 bits do not hit it exactly, the less so the farther the range is
/// from zero.
fn tolerance(min: f64, max: f64) -> f64 {
    let rounding = f64::from(f32::EPSILON) * min.abs().max(max.abs());
    (rounding / (max - min)).clamp(1e-6, 1e-3)
}

/// Where a point is.
#[derive(Debug, PartialEq)]
pub enum Location {
    /// To be evaluated at this normalised position.
    Inside(Position),
    /// Outside, and the policy is not to evaluate there.
    Outside,
    /// A coordinate is NaN.
    Nan,
}

/// Normalises points.
pub struct Normalizer {
    axes: Vec<Axis>,
    /// Largest distance of a normalised coordinate from 0 that still counts as inside, per axis.
    limits: Vec<f64>,
    /// Whether points outside are evaluated (clamped or faded) or reported.
    evaluates_outside: bool,
}

impl Normalizer {
    pub fn new(spec: &Spec, options: &SamplerOptions) -> Self {
        let axes: Vec<Axis> = match options.units {
            Units::Physical => spec.axes.clone(),
            Units::Normalized => {
                spec.axes.iter().map(|axis| Axis { min: -1.0, max: 1.0, ..axis.clone() }).collect()
            }
        };
        let evaluates_outside = matches!(options.outside, Outside::Clamp | Outside::Zeros);
        Self::of(axes, evaluates_outside)
    }

    fn of(axes: Vec<Axis>, evaluates_outside: bool) -> Self {
        let limits = axes.iter().map(|axis| 1.0 + 2.0 * tolerance(axis.min, axis.max)).collect();
        Self { axes, limits, evaluates_outside }
    }

    #[inline]
    pub fn locate(&self, point: [f64; 3]) -> Location {
        let mut position = [0.0; 3];
        let mut outside = false;
        let axes = self.axes.iter().zip(&self.limits);
        for ((t, x), (axis, &limit)) in position.iter_mut().zip(point).zip(axes) {
            if x.is_nan() {
                return Location::Nan;
            }
            *t = 2.0 * ((x - axis.min) / (axis.max - axis.min)) - 1.0;
            outside |= t.abs() > limit;
        }
        if outside && !self.evaluates_outside {
            return Location::Outside;
        }
        Location::Inside(position)
    }

    /// The domain, for messages.
    pub fn describe(&self) -> String {
        let axes: Vec<_> =
            self.axes.iter().map(|a| format!("{} {} to {}", a.name, a.min, a.max)).collect();
        axes.join(", ")
    }
}

/// Parameters normalised to [0, 1], and whether one of them makes all results NaN.
pub fn parameters(
    spec: &Spec,
    given: &[f64],
    options: &SamplerOptions,
) -> Result<(Vec<f64>, bool)> {
    let mut is_nan = false;
    let mut normalized = Vec::with_capacity(given.len());
    for (&value, parameter) in given.iter().zip(&spec.parameters) {
        let (min, max) = match options.units {
            Units::Physical => (parameter.min, parameter.max),
            Units::Normalized => (0.0, 1.0),
        };
        let t = (value - min) / (max - min);
        let slack = tolerance(min, max);
        if t.is_nan() {
            is_nan = true;
        } else if !(-slack..=1.0 + slack).contains(&t) {
            match options.outside_parameters {
                Outside::Clamp | Outside::Zeros => {}
                Outside::Nan => is_nan = true,
                Outside::Error => return Err(outside(parameter, value, min, max)),
            }
        }
        normalized.push(if t.is_nan() { 0.0 } else { t.clamp(0.0, 1.0) });
    }
    Ok((normalized, is_nan))
}

fn outside(parameter: &Parameter, value: f64, min: f64, max: f64) -> Error {
    let Parameter { name, unit, .. } = parameter;
    let unit = if unit.is_empty() { String::new() } else { format!(" {unit}") };
    Error::new(
        ErrorKind::OutsideDomain,
        format!("parameter {name} is {value}{unit}, expected {min} to {max}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normalizer(outside: Outside) -> Normalizer {
        let axes = vec![
            Axis { name: "x".into(), unit: "m".into(), min: 2.0, max: 6.0 },
            Axis { name: "y".into(), unit: "m".into(), min: 0.1, max: 0.2 },
        ];
        Normalizer::of(axes, outside == Outside::Clamp)
    }

    #[test]
    fn ends_normalise_exactly() {
        let n = normalizer(Outside::Error);
        assert_eq!(n.locate([2.0, 0.1, 9.0]), Location::Inside([-1.0, -1.0, 0.0]));
        assert_eq!(n.locate([6.0, 0.2, 9.0]), Location::Inside([1.0, 1.0, 0.0]));
    }

    #[test]
    fn rounding_at_the_border_is_inside() {
        let n = normalizer(Outside::Error);
        assert!(f64::from(0.1f32) > 0.1 && f64::from(0.2f32) > 0.2);
        assert!(matches!(n.locate([2.0, f64::from(0.2f32), 0.0]), Location::Inside(_)));
        assert_eq!(n.locate([2.0, 0.2001, 0.0]), Location::Outside);
        assert!(matches!(normalizer(Outside::Clamp).locate([9.0, 0.1, 0.0]), Location::Inside(_)));
    }

    #[test]
    fn nan_is_told_from_outside() {
        assert_eq!(normalizer(Outside::Error).locate([9.0, f64::NAN, 0.0]), Location::Nan);
        assert_eq!(normalizer(Outside::Nan).locate([f64::INFINITY, 0.1, 0.0]), Location::Outside);
    }
}
