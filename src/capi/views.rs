//! Points, parameters, options and results as C callers describe them, turned into what the sampler
//! takes. Whatever can be found out without following an address is checked here.

use std::borrow::Cow;
use std::ffi::c_void;
use std::fmt::Display;

use super::sized::read;
use super::structs::{
    DRR_STRIDE_SAME, drr_gradients, drr_lattice, drr_parameters, drr_points, drr_sampler_options,
    drr_values, scalar,
};
use super::{check_array, slice};
use crate::sampler::results::{Places, PointStride};
use crate::sampler::scalar::{Float, Scalar};
use crate::{
    Error, GradientsMut, Lattice, Parameters, Points, Result, SamplerOptions, SetValuesMut,
    ValuesMut,
};

/// How to answer; NULL for the defaults.
///
/// # Safety
/// As for [`read`].
pub(super) unsafe fn sampler_options(
    options: *const drr_sampler_options,
) -> Result<SamplerOptions> {
    // SAFETY: the caller's promise.
    unsafe { read(options) }?.map_or(Ok(SamplerOptions::default()), SamplerOptions::try_from)
}

/// Coordinates without gaps.
///
/// # Safety
/// `points` must be readable for `count * dims` numbers.
pub(super) unsafe fn packed_points<'a, T: Float + 'a>(
    count: u64,
    points: *const T,
    dims: usize,
) -> Result<Points<'a>> {
    // SAFETY: the caller's promise.
    Points::packed(unsafe { slice(points, count.saturating_mul(dims as u64), "points")? }, dims)
}

/// Coordinates in any layout.
///
/// # Safety
/// The struct must say the truth.
pub(super) unsafe fn points<'a>(given: &drr_points, dims: usize) -> Result<Points<'a>> {
    let (count, scalar) = (count_of(given.count), scalar(given.scalar)?);
    scalar.check_input("coordinates")?;
    let mut axes = [(std::ptr::null(), 0); 3];
    for (k, axis) in axes.iter_mut().enumerate().take(dims) {
        let stride = input_stride(given.stride[k], scalar.bytes() as i64, count, "points.stride")?;
        check_address(given.axis[k], count, format_args!("points.axis[{k}]"), "points")?;
        *axis = (given.axis[k].cast(), stride);
    }
    // SAFETY: the caller's promise: readable at these places.
    Ok(unsafe { Points::from_raw(scalar, count, dims, axes) })
}

/// Points of a lattice; their number is one that can be counted.
pub(super) fn lattice(given: &drr_lattice) -> Result<Lattice> {
    let drr_lattice { dims, origin, spacing, .. } = *given;
    let lattice = Lattice { origin, spacing, dims: dims.map(count_of) };
    match lattice.points() {
        Some(_) => Ok(lattice),
        None => Err(Error::argument(format!("lattice.dims is {dims:?}: too many points"))),
    }
}

/// Parameters in any layout, `columns` per row.
///
/// # Safety
/// The struct must say the truth.
pub(super) unsafe fn parameters<'a>(
    given: &drr_parameters,
    columns: usize,
) -> Result<Parameters<'a>> {
    let scalar = scalar(given.scalar)?;
    scalar.check_input("parameters")?;
    let (rows, number) = (count_of(given.count), scalar.bytes() as i64);
    let by_column = if given.parameter_stride == 0 { number } else { given.parameter_stride };
    if given.row_stride == 0 && by_column != number {
        return Err(Error::argument(format!(
            "parameters.row_stride is 0 (no gaps), but parameters.parameter_stride is {by_column}: \
             give both"
        )));
    }
    let column_stride = stride(by_column, columns, "parameters.parameter_stride")?;
    let gapless = number * columns as i64;
    let row_stride = input_stride(given.row_stride, gapless, rows, "parameters.row_stride")?;
    if columns > 0 {
        check_address(given.data, rows, "parameters.data", "rows")?;
    }
    let base = given.data.cast();
    // SAFETY: the caller's promise: readable at these places.
    Ok(unsafe { Parameters::from_raw(scalar, rows, columns, base, row_stride, column_stride) })
}

/// The points that results belong to.
#[derive(Clone, Copy)]
pub(super) enum Rows {
    /// So many, one after the other.
    Points(usize),
    /// Those of a lattice, which can be counted.
    Lattice([usize; 3]),
}

impl Rows {
    fn count(self) -> usize {
        match self {
            Self::Points(count) => count,
            Self::Lattice(dims) => dims.iter().product(),
        }
    }
}

/// Values without gaps. No slice of them: it would claim that the caller's memory is initialised.
///
/// # Safety
/// `values` must be writable for `count * outputs` numbers.
pub(super) unsafe fn packed_values<'a, T: Float>(
    count: u64,
    values: *mut T,
    outputs: usize,
) -> Result<ValuesMut<'a>> {
    check_array(values, count.saturating_mul(outputs as u64), "values")?;
    let size = size_of::<T>() as isize;
    let places = Places::Strided(values.cast(), [size, 0]);
    let by_point = PointStride::Each(size * outputs as isize);
    // SAFETY: the caller's promise.
    Ok(unsafe { ValuesMut::from_raw(T::SCALAR, [count as usize, outputs], places, by_point) })
}

/// Derivatives without gaps, if they are wanted; again no slice.
///
/// # Safety
/// `gradients` must be NULL or writable for `count * outputs * components` numbers.
pub(super) unsafe fn packed_gradients<'a, T: Float>(
    gradients: *mut T,
    name: &str,
    shape: [usize; 3],
) -> Result<Option<GradientsMut<'a>>> {
    if gradients.is_null() {
        return Ok(None);
    }
    let [count, outputs, components] = shape;
    let each = outputs * components;
    check_array(gradients, (count as u64).saturating_mul(each as u64), name)?;
    let [by_point, by_value, number] =
        [each, components, 1].map(|numbers| (numbers * size_of::<T>()) as isize);
    let places = Places::Strided(gradients.cast(), [by_value, number]);
    // SAFETY: the caller's promise.
    Ok(Some(unsafe {
        GradientsMut::from_raw(T::SCALAR, shape, places, PointStride::Each(by_point))
    }))
}

/// Values in any layout.
///
/// # Safety
/// The struct must say the truth.
pub(super) unsafe fn values<'a>(
    given: &drr_values,
    rows: Rows,
    outputs: usize,
) -> Result<ValuesMut<'a>> {
    let count = rows.count();
    // SAFETY: the caller's promise.
    let (places, points) = unsafe { Layout::of_values(given)?.places(rows, outputs, 1)? };
    // SAFETY: the caller's promise: writable at these places.
    Ok(unsafe { ValuesMut::from_raw(scalar(given.scalar)?, [count, outputs], places, points) })
}

/// Values for several sets, each `set_stride` further on.
///
/// # Safety
/// The struct and the stride must say the truth.
pub(super) unsafe fn set_values<'a>(
    given: &drr_values,
    set_stride: i64,
    sets: usize,
    count: usize,
    outputs: usize,
) -> Result<SetValuesMut<'a>> {
    if set_stride == 0 && sets > 1 && given.point_stride != 0 {
        return Err(Error::argument(format!(
            "set_stride is 0 (no gaps), but values.point_stride is {}: give both",
            given.point_stride
        )));
    }
    let together = if given.separate.is_null() { outputs } else { 1 };
    let bytes = scalar(given.scalar)?.bytes() as i64 * together as i64;
    let gapless = i64::try_from(count).ok().and_then(|count| count.checked_mul(bytes));
    let by_set = if set_stride == 0 { gapless.unwrap_or(i64::MAX) } else { set_stride };
    let by_set = stride(by_set, sets, "set_stride")?;
    let rows = Rows::Points(if sets == 0 { 0 } else { count });
    // SAFETY: the caller's promise: writable at these places.
    Ok(unsafe { SetValuesMut::from_raw(sets, values(given, rows, outputs)?, by_set) })
}

/// Derivatives in any layout.
///
/// # Safety
/// The struct must say the truth.
pub(super) unsafe fn gradients<'a>(
    given: &drr_gradients,
    name: &'static str,
    rows: Rows,
    [outputs, components]: [usize; 2],
) -> Result<GradientsMut<'a>> {
    let shape = [rows.count(), outputs, components];
    let layout = Layout::of_gradients(given, name)?;
    // SAFETY: the caller's promise.
    let (places, points) = unsafe { layout.places(rows, outputs, components)? };
    // SAFETY: the caller's promise: writable at these places.
    Ok(unsafe { GradientsMut::from_raw(layout.scalar, shape, places, points) })
}

/// What `drr_values` and `drr_gradients` have in common.
struct Layout {
    /// What messages call it.
    name: &'static str,
    scalar: Scalar,
    data: *mut c_void,
    /// By point, value and component.
    strides: [i64; 3],
    /// By y and z.
    lattice_strides: [i64; 2],
    separate: *const *mut c_void,
}

const STRIDES: [&str; 3] = ["point_stride", "value_stride", "component_stride"];
const LATTICE_STRIDES: [&str; 2] = ["row_stride", "plane_stride"];

impl Layout {
    fn of_values(given: &drr_values) -> Result<Self> {
        Ok(Self {
            name: "values",
            scalar: scalar(given.scalar)?,
            data: given.data,
            strides: [given.point_stride, given.value_stride, 0],
            lattice_strides: [given.row_stride, given.plane_stride],
            separate: given.separate,
        })
    }

    fn of_gradients(given: &drr_gradients, name: &'static str) -> Result<Self> {
        Ok(Self {
            name,
            scalar: scalar(given.scalar)?,
            data: given.data,
            strides: [given.point_stride, given.value_stride, given.component_stride],
            lattice_strides: [given.row_stride, given.plane_stride],
            separate: given.separate,
        })
    }

    /// Where all numbers go.
    ///
    /// # Safety
    /// `separate` must be NULL or readable for an address per value and component.
    unsafe fn places<'a>(
        &self,
        rows: Rows,
        outputs: usize,
        components: usize,
    ) -> Result<(Places<'a>, PointStride)> {
        let (name, count, each) = (self.name, rows.count(), outputs * components);
        if each == 0 {
            // A model without parameters: nothing is written, wherever that is.
            return Ok((Places::Strided(std::ptr::null_mut(), [0; 2]), PointStride::Each(0)));
        }
        if self.separate.is_null() {
            let [by_point, by_value, by_component] = self.dense(outputs, components)?;
            check_address(self.data, count, format_args!("{name}.data"), "points")?;
            let by_value = stride(by_value, outputs, format_args!("{name}.value_stride"))?;
            let by_component =
                stride(by_component, components, format_args!("{name}.component_stride"))?;
            let places = Places::Strided(self.data.cast(), [by_value, by_component]);
            return Ok((places, self.points(by_point, rows)?));
        }
        if !self.data.is_null() || self.strides[1..] != [0, 0] {
            return Err(Error::argument(format!(
                "{name}.separate is given: expected {name}.data NULL, and 0 for strides other than \
                 those from point to point"
            )));
        }
        // SAFETY: the caller's promise.
        let firsts: &'a [*mut u8] =
            unsafe { slice(self.separate.cast(), each as u64, format_args!("{name}.separate"))? };
        for (k, &first) in firsts.iter().enumerate() {
            check_address(first.cast(), count, format_args!("{name}.separate[{k}]"), "points")?;
        }
        let number = self.scalar.bytes() as i64;
        let by_point = if self.strides[0] == 0 { number } else { self.strides[0] };
        Ok((Places::Separate(Cow::Borrowed(firsts)), self.points(by_point, rows)?))
    }

    /// Bytes by point, value and component, where 0 means that there are no gaps, which holds only
    /// if there are none inside.
    fn dense(&self, outputs: usize, components: usize) -> Result<[i64; 3]> {
        let lens = [usize::MAX, outputs, components];
        let number = self.scalar.bytes() as i64;
        let gapless = [outputs * components, components, 1].map(|numbers| numbers as i64 * number);
        let mut strides = gapless;
        let mut has_gaps = None;
        for k in (0..3).rev() {
            let given = self.strides[k];
            match has_gaps {
                Some(inner) if given == 0 && lens[k] > 1 => {
                    return Err(Error::argument(format!(
                        "{0}.{1} is 0 (no gaps), but {0}.{2} is {3}: give both",
                        self.name, STRIDES[k], STRIDES[inner], strides[inner]
                    )));
                }
                _ if given == 0 => {}
                _ => strides[k] = given,
            }
            if strides[k] != gapless[k] {
                has_gaps = Some(k);
            }
        }
        Ok(strides)
    }

    /// Bytes from point to point.
    fn points(&self, by_point: i64, rows: Rows) -> Result<PointStride> {
        let checked =
            |given, count, field| stride(given, count, format_args!("{}.{field}", self.name));
        let dims = match rows {
            Rows::Points(_) if self.lattice_strides != [0, 0] => {
                return Err(Error::argument(format!(
                    "{0}.row_stride and {0}.plane_stride are {1:?}, expected 0: these points are \
                     no lattice",
                    self.name, self.lattice_strides
                )));
            }
            Rows::Points(count) => {
                return Ok(PointStride::Each(checked(by_point, count, STRIDES[0])?));
            }
            Rows::Lattice(_) if self.lattice_strides == [0, 0] => {
                return Ok(PointStride::Each(checked(by_point, rows.count(), STRIDES[0])?));
            }
            Rows::Lattice(dims) => dims,
        };
        let mut strides = [checked(by_point, dims[0], STRIDES[0])?, 0, 0];
        for axis in 1..3 {
            let (given, field) = (self.lattice_strides[axis - 1], LATTICE_STRIDES[axis - 1]);
            // What was checked for so many points is the stride of a row or plane.
            let gapless = strides[axis - 1] as i64 * dims[axis - 1] as i64;
            strides[axis] = checked(if given == 0 { gapless } else { given }, dims[axis], field)?;
        }
        Ok(PointStride::Lattice { dims, strides })
    }
}

/// A stride of what is read: 0 means no gaps.
fn input_stride(given: i64, gapless: i64, count: usize, name: impl Display) -> Result<isize> {
    match given {
        0 => stride(gapless, count, name),
        DRR_STRIDE_SAME => Ok(0),
        _ => stride(given, count, name),
    }
}

/// A stride from C; refused if the last element could not be addressed.
fn stride(given: i64, count: usize, name: impl Display) -> Result<isize> {
    let stride = isize::try_from(given).ok().filter(|&stride| stride as i64 != DRR_STRIDE_SAME);
    let reach = isize::try_from(count).ok().and_then(|count| stride?.checked_mul(count));
    stride
        .filter(|_| reach.is_some())
        .ok_or_else(|| Error::argument(format!("{name} {given} for {count} elements is too far")))
}

/// A count from C; those that no memory holds are found by [`stride`].
pub(super) fn count_of(given: u64) -> usize {
    usize::try_from(given).unwrap_or(usize::MAX)
}

fn check_address(
    address: *const c_void,
    count: usize,
    name: impl Display,
    what: &str,
) -> Result<()> {
    if address.is_null() && count > 0 {
        return Err(Error::argument(format!("{name} is NULL, expected {count} {what}")));
    }
    Ok(())
}
