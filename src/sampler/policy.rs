//! From the caller's units to normalised ones, and what is to happen outside.

use super::{Outside, SamplerOptions, Units};
use crate::cpu::{Positions, TILE};
use crate::model::spec::{Axis, Spec};

/// So few points are located without the rest of the tile.
const FEW: usize = 8;

/// How far outside `min` to `max`, in units of the whole range, still counts as the border:
/// numbers that went through 32 bits do not hit it exactly, the less so the farther the range is
/// from zero.
pub fn tolerance(min: f64, max: f64) -> f64 {
    let rounding = f64::from(f32::EPSILON) * min.abs().max(max.abs());
    (rounding / (max - min)).clamp(1e-6, 1e-3)
}

/// What becomes of the points of a tile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Location {
    /// To be evaluated.
    Inside,
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

    /// Ends of each axis, and the largest distance of a normalised coordinate from 0 that still
    /// counts as inside.
    pub fn axes(&self) -> impl Iterator<Item = (f64, f64, f64)> {
        self.axes.iter().zip(&self.limits).map(|(axis, &limit)| (axis.min, axis.max, limit))
    }

    /// Normalises the coordinates in `positions` in place, and says what becomes of each point.
    /// Coordinates that are not to be evaluated become harmless ones.
    pub fn locate(&self, positions: &mut Positions, locations: &mut [Location; TILE]) {
        if positions.len <= FEW {
            self.locate_first::<FEW>(positions, locations);
        } else {
            self.locate_first::<TILE>(positions, locations);
        }
    }

    #[inline(always)]
    fn locate_first<const N: usize>(
        &self,
        positions: &mut Positions,
        locations: &mut [Location; TILE],
    ) {
        let (mut outside, mut nan) = ([false; N], [false; N]);
        for ((axis, &limit), x) in self.axes.iter().zip(&self.limits).zip(&mut positions.axes) {
            let length = axis.max - axis.min;
            for i in 0..N {
                let t = 2.0 * ((x[i] - axis.min) / length) - 1.0;
                nan[i] |= t.is_nan();
                outside[i] |= t.abs() > limit;
                x[i] = if t.is_nan() { 0.0 } else { t };
            }
        }
        for i in 0..N {
            locations[i] = match (nan[i], outside[i] && !self.evaluates_outside) {
                (true, _) => Location::Nan,
                (false, true) => Location::Outside,
                (false, false) => Location::Inside,
            };
        }
    }

    /// Moves coordinates that count as inside, but are beyond the border by rounding, onto it.
    pub fn to_border(&self, positions: &mut Positions) {
        for (&limit, x) in self.limits.iter().zip(&mut positions.axes) {
            for x in x {
                if x.abs() <= limit {
                    *x = x.clamp(-1.0, 1.0);
                }
            }
        }
    }

    /// The domain, for messages.
    pub fn describe(&self) -> String {
        let axes: Vec<_> =
            self.axes.iter().map(|a| format!("{} {} to {}", a.name, a.min, a.max)).collect();
        axes.join(", ")
    }
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

    fn locate(normalizer: &Normalizer, point: [f64; 3]) -> (Location, [f64; 3]) {
        let mut positions = Positions { len: 1, axes: point.map(|x| [x; TILE]) };
        let mut locations = [Location::Nan; TILE];
        normalizer.locate(&mut positions, &mut locations);
        (locations[0], positions.axes.map(|x| x[0]))
    }

    #[test]
    fn ends_normalise_exactly() {
        let n = normalizer(Outside::Error);
        assert_eq!(locate(&n, [2.0, 0.1, 9.0]), (Location::Inside, [-1.0, -1.0, 9.0]));
        assert_eq!(locate(&n, [6.0, 0.2, 9.0]), (Location::Inside, [1.0, 1.0, 9.0]));
    }

    #[test]
    fn rounding_at_the_border_is_inside() {
        let n = normalizer(Outside::Error);
        assert!(f64::from(0.1f32) > 0.1 && f64::from(0.2f32) > 0.2);
        assert_eq!(locate(&n, [2.0, f64::from(0.2f32), 0.0]).0, Location::Inside);
        assert_eq!(locate(&n, [2.0, 0.2001, 0.0]).0, Location::Outside);
        assert_eq!(locate(&normalizer(Outside::Clamp), [9.0, 0.1, 0.0]).0, Location::Inside);
    }

    #[test]
    fn nan_is_told_from_outside() {
        assert_eq!(locate(&normalizer(Outside::Error), [9.0, f64::NAN, 0.0]).0, Location::Nan);
        let far = locate(&normalizer(Outside::Nan), [f64::INFINITY, 0.1, 0.0]);
        assert_eq!(far.0, Location::Outside);
    }
}
