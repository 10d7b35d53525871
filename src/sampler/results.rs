//! Where results go in the caller's arrays: values and derivatives, any layout, f32, f64 or f16.

use std::borrow::Cow;
use std::marker::PhantomData;

use super::scalar::{Number, Scalar};
use crate::{Error, Result};

/// Where the results of the first point go.
pub enum Places<'a> {
    /// The address of the first number, and the bytes from value to value and, of derivatives,
    /// from component to component.
    Strided(*mut u8, [isize; 2]),
    /// An address for each number, `[outputs][components]`.
    Separate(Cow<'a, [*mut u8]>),
}

/// How the results of other points follow those of the first.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum PointStride {
    /// Bytes from each point to the next.
    Each(isize),
    /// Those of a lattice of `dims` points, x fastest: bytes from neighbour to neighbour on each
    /// axis.
    Lattice {
        /// Points per axis.
        dims: [usize; 3],
        /// Bytes per axis.
        strides: [isize; 3],
    },
}

impl PointStride {
    /// Bytes from the first point to point `i`.
    #[inline]
    fn offset(self, i: usize) -> isize {
        match self {
            Self::Each(stride) => i as isize * stride,
            Self::Lattice { dims: [nx, ny, _], strides } => {
                let (row, x) = (i / nx, i % nx);
                let index = [x, row % ny, row / ny];
                (0..3).map(|axis| index[axis] as isize * strides[axis]).sum()
            }
        }
    }
}

/// Numbers of the shape `[points, outputs, components]` in the caller's memory.
struct Numbers<'a> {
    scalar: Scalar,
    shape: [usize; 3],
    places: Places<'a>,
    points: PointStride,
    /// Bytes that everything is further on.
    shift: isize,
    memory: PhantomData<&'a mut [u8]>,
}

// SAFETY: an exclusive view, like `&mut [f32]`; it is written for disjoint points from several
// threads.
unsafe impl Send for Numbers<'_> {}
// SAFETY: as above.
unsafe impl Sync for Numbers<'_> {}

impl<'a> Numbers<'a> {
    /// Without gaps.
    fn packed<T: Number>(numbers: &'a mut [T], shape: [usize; 3]) -> Self {
        let [_, outputs, components] = shape;
        let size = size_of::<T>();
        let by = [components, 1].map(|numbers| (numbers * size) as isize);
        let places = Places::Strided(numbers.as_mut_ptr().cast(), by);
        let points = PointStride::Each((outputs * components * size) as isize);
        Self { scalar: T::SCALAR, shape, places, points, shift: 0, memory: PhantomData }
    }

    /// The address of number (`k`, `c`) of the point at `offset` from the first.
    #[inline]
    fn place(&self, offset: isize, k: usize, c: usize) -> *mut u8 {
        let first = match &self.places {
            Places::Strided(first, [value, component]) => {
                first.wrapping_offset(k as isize * value + c as isize * component)
            }
            Places::Separate(firsts) => firsts[k * self.shape[2] + c],
        };
        first.wrapping_offset(self.shift + offset)
    }
}

/// Where the values of a query go, in the caller's memory.
pub struct ValuesMut<'a>(Numbers<'a>);

impl<'a> ValuesMut<'a> {
    /// Values one point after the other, `[points][outputs]`.
    ///
    /// # Errors
    /// `InvalidArgument` if the length is no multiple of `outputs`.
    pub fn packed<T: Number>(values: &'a mut [T], outputs: usize) -> Result<Self> {
        if outputs == 0 || !values.len().is_multiple_of(outputs) {
            return Err(Error::argument(format!(
                "room for {} values is no whole number of points with {outputs} each",
                values.len()
            )));
        }
        let len = values.len() / outputs;
        Ok(Self(Numbers::packed(values, [len, outputs, 1])))
    }

    /// One array per value of a point, all of the same length.
    ///
    /// # Errors
    /// `InvalidArgument` if lengths differ or there are no arrays.
    pub fn separate<T: Number + 'a>(arrays: impl IntoIterator<Item = &'a mut [T]>) -> Result<Self> {
        let (mut lengths, mut firsts) = (Vec::new(), Vec::new());
        for array in arrays {
            lengths.push(array.len());
            firsts.push(array.as_mut_ptr().cast());
        }
        let len = lengths.first().copied();
        let Some(len) = len.filter(|len| lengths.iter().all(|other| other == len)) else {
            return Err(Error::argument(format!(
                "room for {lengths:?} values in separate arrays, expected equal lengths"
            )));
        };
        let outputs = firsts.len();
        let points = PointStride::Each(size_of::<T>() as isize);
        // SAFETY: every array holds `len` numbers, and all are borrowed for 'a at once.
        Ok(unsafe {
            Self::from_raw(T::SCALAR, [len, outputs], Places::Separate(firsts.into()), points)
        })
    }

    /// Any layout of `[points, outputs]`.
    ///
    /// # Safety
    /// The places of all numbers within the shape must be writable as numbers of type `scalar` (of
    /// any alignment) for 'a, and no two of them may overlap. A lattice must have as many points.
    pub unsafe fn from_raw(
        scalar: Scalar,
        [len, outputs]: [usize; 2],
        places: Places<'a>,
        points: PointStride,
    ) -> Self {
        let shape = [len, outputs, 1];
        Self(Numbers { scalar, shape, places, points, shift: 0, memory: PhantomData })
    }

    /// Number of points.
    pub fn len(&self) -> usize {
        self.0.shape[0]
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Values per point.
    pub fn outputs(&self) -> usize {
        self.0.shape[1]
    }

    /// Type and places of the numbers, and where those of other points are.
    pub(super) fn layout(&self) -> (Scalar, &Places<'a>, PointStride) {
        debug_assert_eq!(self.0.shift, 0, "views of sets stay on the CPU");
        (self.0.scalar, &self.0.places, self.0.points)
    }

    /// The same view, `bytes` further on.
    ///
    /// # Safety
    /// What [`ValuesMut::from_raw`] asks for must hold there too, as long as the view is used.
    pub(super) unsafe fn shifted(&self, bytes: isize) -> ValuesMut<'_> {
        let Numbers { scalar, shape, places, points, shift, .. } = &self.0;
        let places = match places {
            Places::Strided(first, strides) => Places::Strided(*first, *strides),
            Places::Separate(firsts) => Places::Separate(Cow::Borrowed(firsts)),
        };
        ValuesMut(Numbers {
            scalar: *scalar,
            shape: *shape,
            places,
            points: *points,
            shift: shift + bytes,
            memory: PhantomData,
        })
    }

    /// Writes the values of point `i`.
    ///
    /// # Safety
    /// No other thread may write point `i` at the same time.
    #[inline]
    pub(super) unsafe fn set(&self, i: usize, values: &[f64]) {
        assert!(i < self.len() && values.len() == self.outputs());
        let offset = self.0.points.offset(i);
        for (k, &value) in values.iter().enumerate() {
            // SAFETY: in range by the assertion, so `from_raw`'s condition covers this address.
            unsafe { self.0.scalar.write(self.0.place(offset, k, 0), value) };
        }
    }
}

/// Where derivatives go, in the caller's memory: for each point and each value of the model as
/// many numbers as there are *components*, that is coordinates or parameters.
pub struct GradientsMut<'a>(Numbers<'a>);

impl<'a> GradientsMut<'a> {
    /// Derivatives without gaps, `[points][outputs][components]`. With 0 components (a model
    /// without parameters) the array is empty and there may be any number of points.
    ///
    /// # Errors
    /// `InvalidArgument` if the length is no multiple of `outputs * components`.
    pub fn packed<T: Number>(
        gradients: &'a mut [T],
        outputs: usize,
        components: usize,
    ) -> Result<Self> {
        let each = outputs.checked_mul(components).filter(|_| outputs > 0);
        if each.is_none_or(|each| !gradients.len().is_multiple_of(each)) {
            return Err(Error::argument(format!(
                "room for {} derivatives is no whole number of points with {outputs} times \
                 {components} each",
                gradients.len()
            )));
        }
        let len = each.and_then(|each| gradients.len().checked_div(each)).unwrap_or(0);
        Ok(Self(Numbers::packed(gradients, [len, outputs, components])))
    }

    /// Any layout of `[points, outputs, components]`.
    ///
    /// # Safety
    /// As for [`ValuesMut::from_raw`].
    pub unsafe fn from_raw(
        scalar: Scalar,
        shape: [usize; 3],
        places: Places<'a>,
        points: PointStride,
    ) -> Self {
        Self(Numbers { scalar, shape, places, points, shift: 0, memory: PhantomData })
    }

    /// Number of points.
    pub fn len(&self) -> usize {
        self.0.shape[0]
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Values per point.
    pub fn outputs(&self) -> usize {
        self.0.shape[1]
    }

    /// Derivatives per value.
    pub fn components(&self) -> usize {
        self.0.shape[2]
    }

    /// Type and places of the numbers, and where those of other points are.
    pub(super) fn layout(&self) -> (Scalar, &Places<'a>, PointStride) {
        (self.0.scalar, &self.0.places, self.0.points)
    }

    /// Writes the derivatives of value `k` at point `i`.
    ///
    /// # Safety
    /// No other thread may write point `i` at the same time.
    pub(super) unsafe fn set(&self, i: usize, k: usize, gradient: &[f64]) {
        assert!(i < self.len() && k < self.outputs() && gradient.len() == self.components());
        let offset = self.0.points.offset(i);
        for (c, &number) in gradient.iter().enumerate() {
            // SAFETY: in range by the assertion, so `from_raw`'s condition covers this address.
            unsafe { self.0.scalar.write(self.0.place(offset, k, c), number) };
        }
    }

    /// # Errors
    /// `InvalidArgument` unless it has this shape; without components the points do not matter.
    pub(super) fn check(&self, what: &str, shape: [usize; 3]) -> Result<()> {
        let [len, outputs, components] = shape;
        if self.0.shape == shape || components == 0 && self.0.shape[1..] == shape[1..] {
            return Ok(());
        }
        Err(Error::argument(format!(
            "room for derivatives by {what} of {} points, {} values and {} components, expected \
             {len}, {outputs} and {components}",
            self.len(),
            self.outputs(),
            self.components()
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separate_arrays_get_a_value_each() {
        let [mut u, mut v] = [[0.0f32; 3]; 2];
        let out = ValuesMut::separate([&mut u[..], &mut v]).unwrap();
        assert_eq!((out.len(), out.outputs()), (3, 2));
        for i in 0..3 {
            // SAFETY: nobody else is here.
            unsafe { out.set(i, &[i as f64, 10.0 + i as f64]) };
        }
        assert_eq!((u, v), ([0.0, 1.0, 2.0], [10.0, 11.0, 12.0]));
    }

    #[test]
    fn points_of_a_lattice_have_strides_per_axis() {
        // A 2 x 3 x 2 lattice inside 4 x 5 x 3 with z fastest.
        let strides = [15, 3, 1].map(|numbers| 8 * numbers);
        let points = PointStride::Lattice { dims: [2, 3, 2], strides };
        for (i, expected) in [(0, 0), (1, 15), (2, 3), (5, 21), (6, 1), (11, 22)] {
            assert_eq!(points.offset(i), 8 * expected, "{i}");
        }
    }

    #[test]
    fn wrong_lengths_are_errors() {
        assert!(ValuesMut::packed(&mut [0.0f32; 5], 2).is_err());
        assert!(ValuesMut::separate([&mut [0.0f32; 2][..], &mut [0.0; 3]]).is_err());
        assert!(ValuesMut::separate::<f64>([]).is_err());
        assert!(GradientsMut::packed(&mut [0.0f32; 5], 1, 2).is_err());
    }
}
