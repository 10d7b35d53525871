//! Regular lattices of points: volumes and slices without an array of coordinates.

use super::results::ValuesMut;
use super::{Sampler, Source};
use crate::cpu::{Positions, Run, TILE};
use crate::{Error, Result};

/// Points `origin + i * spacing`, i from 0 to below `dims` on each axis, x fastest.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Lattice {
    /// The first point, in the sampler's units, x first; axes that the model lacks are ignored.
    pub origin: [f64; 3],
    /// Distance of neighbouring points; may be negative, or 0 where there is one.
    pub spacing: [f64; 3],
    /// Points per axis, x first; 1 on axes that the model lacks.
    pub dims: [usize; 3],
}

impl Lattice {
    /// Number of points, unless it cannot be counted.
    pub fn points(&self) -> Option<usize> {
        let count = self.dims.iter().try_fold(1usize, |n, &size| n.checked_mul(size))?;
        isize::try_from(count).is_ok().then_some(count)
    }

    /// # Errors
    /// `InvalidArgument` unless it is one for a model of so many axes.
    pub(super) fn check(&self, axes: usize) -> Result<()> {
        let Self { dims, origin, spacing } = self;
        if dims[axes..].iter().any(|&size| size != 1) {
            return Err(Error::argument(format!(
                "a lattice of {dims:?} points, the model has {axes} axes: expected 1 on others"
            )));
        }
        if self.points().is_none() {
            return Err(Error::argument(format!("a lattice of {dims:?} points: too many")));
        }
        if origin[..axes].iter().chain(&spacing[..axes]).any(|x| !x.is_finite()) {
            return Err(Error::argument(format!(
                "a lattice from {origin:?} in steps of {spacing:?}: expected finite numbers"
            )));
        }
        Ok(())
    }

    /// The axis that neighbouring points differ by.
    fn run_axis(&self) -> usize {
        self.dims.iter().position(|&size| size > 1).unwrap_or(0)
    }

    /// Writes the coordinates of the points `start..`, as many as there are up to a whole tile.
    pub(super) fn read(&self, start: usize, positions: &mut Positions) {
        let count = self.points().unwrap_or(0);
        positions.len = count.saturating_sub(start).min(TILE);
        let [nx, ny, _] = self.dims;
        let mut index = [start % nx, start / nx % ny, start / nx / ny];
        for i in 0..positions.len {
            for (axis, x) in positions.axes.iter_mut().enumerate() {
                x[i] = self.origin[axis] + index[axis] as f64 * self.spacing[axis];
            }
            index[0] += 1;
            if index[0] == nx {
                index[0] = 0;
                index[1] += 1;
            }
            if index[1] == ny {
                index[1] = 0;
                index[2] += 1;
            }
        }
    }

    /// How the points from `start` on follow one another.
    pub(super) fn run(&self, start: usize) -> Run {
        let axis = self.run_axis();
        let length = self.dims[axis].max(1);
        Run { axis, length, begun: start % length }
    }
}

impl Sampler {
    /// Values at the points of a lattice, x fastest. Faster than the same points given one by one,
    /// and equal to them up to rounding.
    ///
    /// # Errors
    /// As [`Sampler::query`].
    pub fn query_lattice(&self, lattice: &Lattice, values: &mut ValuesMut<'_>) -> Result<()> {
        lattice.check(self.runtime().model().spec().axes.len())?;
        self.answer(&Source::Lattice(lattice), values)
    }
}
