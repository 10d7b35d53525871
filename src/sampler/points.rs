//! Views of the points in the caller's arrays: any layout, f32 or f64.

use std::marker::PhantomData;

use super::scalar::{Float, Scalar};
use crate::cpu::{Positions, TILE};
use crate::{Error, Result};

/// Coordinates of `len` points in the caller's memory, one base and stride per axis.
#[derive(Debug, Clone, Copy)]
pub struct Points<'a> {
    scalar: Scalar,
    len: usize,
    axes: [Strided; 3],
    dims: usize,
    memory: PhantomData<&'a [u8]>,
}

#[derive(Debug, Clone, Copy)]
struct Strided {
    base: *const u8,
    stride: isize,
}

// SAFETY: a shared, read-only view, like `&[f32]`.
unsafe impl Send for Points<'_> {}
// SAFETY: as above.
unsafe impl Sync for Points<'_> {}

impl<'a> Points<'a> {
    /// Points one after the other, `[points][dims]`, x first.
    ///
    /// # Errors
    /// `InvalidArgument` if the length is no multiple of `dims` or `dims` not 1 to 3.
    pub fn packed<T: Float>(coordinates: &'a [T], dims: usize) -> Result<Self> {
        check_dims(dims)?;
        if !coordinates.len().is_multiple_of(dims) {
            return Err(Error::argument(format!(
                "{} coordinates are no whole number of points with {dims} each",
                coordinates.len()
            )));
        }
        let size = size_of::<T>();
        let bases = std::array::from_fn(|axis| {
            let base = coordinates.as_ptr().cast::<u8>().wrapping_add(axis.min(dims - 1) * size);
            (base, (dims * size) as isize)
        });
        // SAFETY: `coordinates` holds `dims` numbers per point and is borrowed for 'a.
        Ok(unsafe { Self::from_raw(T::SCALAR, coordinates.len() / dims, dims, bases) })
    }

    /// One array per axis, x first, all of the same length.
    ///
    /// # Errors
    /// `InvalidArgument` if lengths differ or there are not 1 to 3 arrays.
    pub fn separate<T: Float>(axes: &[&'a [T]]) -> Result<Self> {
        check_dims(axes.len())?;
        let len = axes[0].len();
        if let Some(other) = axes.iter().find(|axis| axis.len() != len) {
            return Err(Error::argument(format!(
                "coordinate arrays of {len} and {} points, expected equal lengths",
                other.len()
            )));
        }
        let bases = std::array::from_fn(|axis| {
            (axes[axis.min(axes.len() - 1)].as_ptr().cast(), size_of::<T>() as isize)
        });
        // SAFETY: every array holds `len` numbers and is borrowed for 'a.
        Ok(unsafe { Self::from_raw(T::SCALAR, len, axes.len(), bases) })
    }

    /// Any layout: per axis the address of the first point's coordinate and the bytes from one
    /// point to the next.
    ///
    /// # Safety
    /// For each of the first `dims` axes and each `i < len`, `base + i * stride` must be readable
    /// as a number of type `scalar` (of any alignment) for 'a. `dims` must be 1 to 3.
    pub unsafe fn from_raw(
        scalar: Scalar,
        len: usize,
        dims: usize,
        axes: [(*const u8, isize); 3],
    ) -> Self {
        let axes = axes.map(|(base, stride)| Strided { base, stride });
        Self { scalar, len, axes, dims, memory: PhantomData }
    }

    /// Number of points.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Type of the coordinates.
    pub fn scalar(&self) -> Scalar {
        self.scalar
    }

    /// Coordinates per point.
    pub fn dims(&self) -> usize {
        self.dims
    }

    /// Per axis the address of the first coordinate and the bytes to the next.
    pub(super) fn axes(&self) -> [(*const u8, isize); 3] {
        self.axes.map(|axis| (axis.base, axis.stride))
    }

    /// Coordinate `axis` of point `i`.
    pub(super) fn at(&self, i: usize, axis: usize) -> f64 {
        assert!(i < self.len && axis < self.dims);
        let Strided { base, stride } = self.axes[axis];
        // SAFETY: `from_raw`'s condition covers this address.
        unsafe { self.scalar.read(base.wrapping_offset(i as isize * stride)) }
    }

    /// Reads the coordinates of the points `start..`, as many as there are up to a whole tile.
    pub(super) fn read(&self, start: usize, positions: &mut Positions) {
        assert!(start <= self.len);
        positions.len = (self.len - start).min(TILE);
        for (axis, x) in self.axes[..self.dims].iter().zip(&mut positions.axes) {
            let base = axis.base.wrapping_offset(start as isize * axis.stride);
            let at = |i: usize| base.wrapping_offset(i as isize * axis.stride);
            for (i, x) in x[..positions.len].iter_mut().enumerate() {
                // SAFETY: `start + i < len`, so `from_raw`'s condition covers this address.
                *x = unsafe { self.scalar.read(at(i)) };
            }
        }
    }
}

fn check_dims(dims: usize) -> Result<()> {
    if (1..=3).contains(&dims) {
        return Ok(());
    }
    Err(Error::argument(format!("points of {dims} coordinates, expected 1 to 3")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(points: &Points<'_>, i: usize) -> [f64; 3] {
        let mut positions = Positions { len: 0, axes: [[0.0; TILE]; 3] };
        points.read(i, &mut positions);
        assert_eq!(positions.len, points.len() - i);
        positions.axes.map(|x| x[0])
    }

    #[test]
    fn layouts_give_the_same_points() {
        let packed = [1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0];
        let (x, y, z) = ([1.0f64, 4.0], [2.0, 5.0], [3.0, 6.0]);
        let a = Points::packed(&packed, 3).unwrap();
        let b = Points::separate(&[&x, &y, &z]).unwrap();
        assert_eq!((a.len(), b.len()), (2, 2));
        for i in 0..2 {
            assert_eq!(get(&a, i), get(&b, i));
        }
        assert_eq!(get(&Points::packed(&packed, 2).unwrap(), 2), [5.0, 6.0, 0.0]);
    }

    #[test]
    fn wrong_lengths_are_errors() {
        assert!(Points::packed(&[0.0f32; 5], 3).is_err());
        assert!(Points::packed(&[0.0f32; 4], 4).is_err());
        assert!(Points::separate(&[&[0.0f32; 2][..], &[0.0; 3]]).is_err());
    }
}
