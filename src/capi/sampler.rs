//! Binding models to parameters and asking them.

#![allow(non_camel_case_types)]

use super::model::drr_model;
use super::sized::required;
use super::structs::{drr_lattice, drr_points, drr_sampler_options, drr_values};
use super::views::{self, Rows, packed_points, packed_values, sampler_options};
use super::{Handle, check_pointer, drr_status, give, handle, slice, status::guard, take_back};
use crate::sampler::scalar::Float;
use crate::{Result, Sampler};

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
            check_pointer(sampler, "sampler")?;
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
            let points = views::points(&required(points)?, spec.axes.len())?;
            let rows = Rows::Points(points.len());
            let mut values = views::values(&required(values)?, rows, spec.outputs())?;
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
/// @param values   where the results go; without gaps `[nz][ny][nx][outputs]`
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
            let lattice = views::lattice(&required(lattice)?)?;
            let outputs = sampler.runtime().model().spec().outputs();
            let rows = Rows::Lattice(lattice.dims);
            sampler.query_lattice(&lattice, &mut views::values(&required(values)?, rows, outputs)?)
        }
    })
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
