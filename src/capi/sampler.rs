//! Binding models to parameters and asking them.

#![allow(non_camel_case_types)]

use std::ffi::c_void;

use super::model::drr_model;
use super::structs::{
    drr_lattice, drr_points, drr_sampler_options, drr_values, read, required, scalar,
};
use super::{
    Handle, check_array, check_not_null, drr_status, give, handle, slice, status::guard, take_back,
};
use crate::sampler::points::{Float, Points, ValuesMut};
use crate::{Error, Lattice, Result, Sampler, SamplerOptions};

/// A model bound to one set of simulation parameters. Cheap to make, immutable: any number of
/// threads may query it at the same time. Keeps what it needs of its model alive.
pub struct drr_sampler {
    pub(super) sampler: Sampler,
}

impl Handle for drr_sampler {
    const TAG: u64 = u64::from_le_bytes(*b"drrsampl");
    const NAME: &'static str = "drr_sampler";
}

/// Binds a model to simulation parameters.
///
/// @param model       an open model
/// @param parameters  `count` numbers in the model's order and units (or in [0, 1] with
///                    `DRR_UNITS_NORMALIZED`); read during the call only
/// @param count       must be the model's number of parameters
/// @param options     NULL for the defaults: physical units, clamp outside
/// @param sampler     receives the handle, to be freed by `drr_sampler_free`; NULL on failure
/// @return `DRR_OK`, `DRR_ERROR_INVALID_ARGUMENT`, or `DRR_ERROR_OUTSIDE_DOMAIN` if a parameter is
///         out of its range and `outside_parameters` says so
#[unsafe(no_mangle)]
pub unsafe extern "C" fn drr_sampler_create(
    model: *const drr_model,
    parameters: *const f64,
    count: u64,
    options: *const drr_sampler_options,
    sampler: *mut *mut drr_sampler,
) -> drr_status {
    guard(|| {
        // SAFETY: the caller's promise, see the comment of the function.
        unsafe {
            check_not_null(sampler, "sampler")?;
            sampler.write(std::ptr::null_mut());
            let options = sampler_options(options)?;
            let parameters = slice(parameters, count, "parameters")?;
            let bound = Sampler::new(&handle(model)?.runtime, parameters, &options)?;
            give(sampler, drr_sampler { sampler: bound });
        }
        Ok(())
    })
}

/// Frees a sampler. No call with it may be under way in another thread.
///
/// @param sampler  NULL is fine
#[unsafe(no_mangle)]
pub unsafe extern "C" fn drr_sampler_free(sampler: *mut drr_sampler) {
    guard(|| {
        // SAFETY: the caller's promise, see the comment of the function.
        unsafe { take_back(sampler) };
        Ok(())
    });
}

/// Values at `count` points, 32-bit, both arrays without gaps.
///
/// @param sampler  a sampler
/// @param count    number of points; 0 is fine
/// @param points   `[count][dims]`, x first
/// @param values   receives `[count][outputs]`; must not overlap `points`
/// @return `DRR_OK`, `DRR_ERROR_INVALID_ARGUMENT`, or `DRR_ERROR_OUTSIDE_DOMAIN` by policy, naming
///         the first such point; on failure nothing is written
#[unsafe(no_mangle)]
pub unsafe extern "C" fn drr_sampler_query_f32(
    sampler: *const drr_sampler,
    count: u64,
    points: *const f32,
    values: *mut f32,
) -> drr_status {
    // SAFETY: the caller's promise, see the comment of the function.
    guard(|| unsafe { query_packed(sampler, count, points, values) })
}

/// `drr_sampler_query_f32` for 64-bit arrays. Arithmetic inside the model is 32-bit; coordinates
/// are used in full.
///
/// @param sampler  a sampler
/// @param count    number of points; 0 is fine
/// @param points   `[count][dims]`, x first
/// @param values   receives `[count][outputs]`; must not overlap `points`
/// @return as `drr_sampler_query_f32`
#[unsafe(no_mangle)]
pub unsafe extern "C" fn drr_sampler_query_f64(
    sampler: *const drr_sampler,
    count: u64,
    points: *const f64,
    values: *mut f64,
) -> drr_status {
    // SAFETY: the caller's promise, see the comment of the function.
    guard(|| unsafe { query_packed(sampler, count, points, values) })
}

/// Values at points in any layout: interleaved, separate arrays, parts of larger records.
///
/// @param sampler  a sampler
/// @param points   where the coordinates are
/// @param values   where the results go
/// @return as `drr_sampler_query_f32`
#[unsafe(no_mangle)]
pub unsafe extern "C" fn drr_sampler_query(
    sampler: *const drr_sampler,
    points: *const drr_points,
    values: *const drr_values,
) -> drr_status {
    guard(|| {
        // SAFETY: the caller's promise, see the comments of the function and the structs.
        unsafe {
            let sampler = &handle(sampler)?.sampler;
            let spec = sampler.runtime().model().spec();
            let points = required(points)?;
            let count = count_of(points.count);
            let points = point_view(&points, count, spec.axes.len())?;
            let mut values = value_view(&required(values)?, count, spec.outputs())?;
            sampler.query(&points, &mut values)
        }
    })
}

/// Values at the points of a regular lattice, without an array of coordinates: a volume, a slice (one
/// axis with `dims` 1) or a line. Faster than the same points one by one, and equal to them up to
/// rounding.
///
/// @param sampler  a sampler
/// @param lattice  the points
/// @param values   where the results go, point after point with x fastest: packed, `[nz][ny][nx]`
///                 and then the values of each point
/// @return as `drr_sampler_query_f32`
#[unsafe(no_mangle)]
pub unsafe extern "C" fn drr_sampler_query_lattice(
    sampler: *const drr_sampler,
    lattice: *const drr_lattice,
    values: *const drr_values,
) -> drr_status {
    guard(|| {
        // SAFETY: the caller's promise, see the comments of the function and the structs.
        unsafe {
            let sampler = &handle(sampler)?.sampler;
            let drr_lattice { dims, origin, spacing, .. } = required(lattice)?;
            let values = required(values)?;
            let dims = dims.map(count_of);
            let lattice = Lattice { origin, spacing, dims };
            let count = lattice.points().ok_or_else(|| {
                Error::argument(format!("lattice.dims is {dims:?}: too many points"))
            })?;
            let outputs = sampler.runtime().model().spec().outputs();
            sampler.query_lattice(&lattice, &mut value_view(&values, count, outputs)?)
        }
    })
}

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

unsafe fn query_packed<T: Float>(
    sampler: *const drr_sampler,
    count: u64,
    points: *const T,
    values: *mut T,
) -> Result<()> {
    // SAFETY: the caller's promise.
    unsafe {
        let sampler = &handle(sampler)?.sampler;
        let spec = sampler.runtime().model().spec();
        let points = packed_points(count, points, spec.axes.len())?;
        sampler.query(&points, &mut packed_values(count, values, spec.outputs())?)
    }
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

/// Results without gaps. No slice of them: it would claim that the caller's memory is initialised.
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
    let (base, stride) = (values.cast(), size * outputs as isize);
    // SAFETY: the caller's promise.
    Ok(unsafe { ValuesMut::from_raw(T::SCALAR, count as usize, outputs, base, stride, size) })
}

/// Coordinates in a layout from C.
///
/// # Safety
/// The struct must say the truth.
pub(super) unsafe fn point_view<'a>(
    points: &drr_points,
    count: usize,
    dims: usize,
) -> Result<Points<'a>> {
    let scalar = scalar(points.scalar)?;
    scalar.check_input("coordinates")?;
    let gapless = points.stride[..dims].iter().all(|&stride| stride == 0);
    let mut axes = [(std::ptr::null(), 0); 3];
    for (k, axis) in axes.iter_mut().enumerate().take(dims) {
        let given = if gapless { scalar.bytes() as i64 } else { points.stride[k] };
        let stride = stride(given, count, "points.stride")?;
        check_address(points.axis[k], count, &format!("points.axis[{k}]"), "points")?;
        *axis = (points.axis[k].cast(), stride);
    }
    // SAFETY: the caller's promise: readable at these places.
    Ok(unsafe { Points::from_raw(scalar, count, dims, axes) })
}

/// Results in a layout from C.
///
/// # Safety
/// The struct must say the truth.
pub(super) unsafe fn value_view<'a>(
    values: &drr_values,
    count: usize,
    outputs: usize,
) -> Result<ValuesMut<'a>> {
    let scalar = scalar(values.scalar)?;
    let number = scalar.bytes() as i64;
    let or = |given: i64, default: i64| if given == 0 { default } else { given };
    let by_value = or(values.value_stride, number);
    if values.point_stride == 0 && by_value != number {
        return Err(Error::argument(format!(
            "values.point_stride is 0 (no gaps), but values.value_stride is {by_value}: give both"
        )));
    }
    let by_point = or(values.point_stride, number * outputs as i64);
    let value_stride = stride(by_value, outputs, "values.value_stride")?;
    let point_stride = stride(by_point, count, "values.point_stride")?;
    check_address(values.data, count, "values.data", "points")?;
    let base = values.data.cast();
    // SAFETY: the caller's promise: writable at these places.
    Ok(unsafe { ValuesMut::from_raw(scalar, count, outputs, base, point_stride, value_stride) })
}

/// A stride from C; refused if the last element could not be addressed.
pub(super) fn stride(given: i64, count: usize, name: &str) -> Result<isize> {
    let stride = isize::try_from(given).ok();
    let reach = isize::try_from(count).ok().and_then(|count| stride?.checked_mul(count));
    stride
        .filter(|_| reach.is_some())
        .ok_or_else(|| Error::argument(format!("{name} {given} for {count} elements is too far")))
}

/// A count from C; those that no memory holds are found by [`stride`].
pub(super) fn count_of(given: u64) -> usize {
    usize::try_from(given).unwrap_or(usize::MAX)
}

pub(super) fn check_address(
    address: *const c_void,
    count: usize,
    name: &str,
    what: &str,
) -> Result<()> {
    if address.is_null() && count > 0 {
        return Err(Error::argument(format!("{name} is NULL, expected {count} {what}")));
    }
    Ok(())
}
