//! Asking models for more than one set of parameters at once.

#![allow(non_camel_case_types)]

use super::model::drr_model;
use super::sized::required;
use super::structs::{drr_parameters, drr_points, drr_sampler_options, drr_values};
use super::views::{self, Rows, packed_points, packed_values, sampler_options};
use super::{drr_status, handle, slice, status::guard};
use crate::sampler::scalar::Float;
use crate::{Parameters, Result, Runtime, SamplerOptions};

/// Values at points of which each has parameters of its own: a query of many times, say, or of
/// particles that carry them.
///
/// @param model       an open model
/// @param parameters  where the parameters are: row `i` is that of point `i`
/// @param options     NULL for the defaults: physical units, clamp outside
/// @param points      where the coordinates are
/// @param values      where the results go
/// @return `DRR_OK`, `DRR_ERROR_INVALID_ARGUMENT`, or `DRR_ERROR_OUTSIDE_DOMAIN` by policy, naming
///         the first such point; on failure nothing is written
#[unsafe(no_mangle)]
pub unsafe extern "C" fn drr_model_query(
    model: *const drr_model,
    parameters: *const drr_parameters,
    options: *const drr_sampler_options,
    points: *const drr_points,
    values: *const drr_values,
) -> drr_status {
    guard(|| {
        // SAFETY: the caller's promise, see the comments of the function and the structs.
        unsafe {
            let runtime = &handle(model)?.runtime;
            let spec = runtime.model().spec();
            let options = sampler_options(options)?;
            let parameters = views::parameters(&required(parameters)?, spec.parameters.len())?;
            let points = views::points(&required(points)?, spec.axes.len())?;
            let rows = Rows::Points(points.len());
            let mut values = views::values(&required(values)?, rows, spec.outputs())?;
            runtime.query(&parameters, &options, &points, &mut values)
        }
    })
}

/// `drr_model_query` for 32-bit arrays without gaps, with the default options.
///
/// @param model       an open model
/// @param count       number of points; 0 is fine
/// @param points      `[count][dims]`, x first
/// @param parameters  `[count][parameters]`, in the model's order and units
/// @param values      receives `[count][outputs]`; must not overlap the others
/// @return as `drr_model_query`
#[unsafe(no_mangle)]
pub unsafe extern "C" fn drr_model_query_f32(
    model: *const drr_model,
    count: u64,
    points: *const f32,
    parameters: *const f32,
    values: *mut f32,
) -> drr_status {
    // SAFETY: the caller's promise, see the comment of the function.
    guard(|| unsafe { query_packed(model, count, points, parameters, values) })
}

/// `drr_model_query_f32` for 64-bit arrays.
///
/// @param model       an open model
/// @param count       number of points; 0 is fine
/// @param points      `[count][dims]`, x first
/// @param parameters  `[count][parameters]`, in the model's order and units
/// @param values      receives `[count][outputs]`; must not overlap the others
/// @return as `drr_model_query`
#[unsafe(no_mangle)]
pub unsafe extern "C" fn drr_model_query_f64(
    model: *const drr_model,
    count: u64,
    points: *const f64,
    parameters: *const f64,
    values: *mut f64,
) -> drr_status {
    // SAFETY: the caller's promise, see the comment of the function.
    guard(|| unsafe { query_packed(model, count, points, parameters, values) })
}

/// Values at the same points for many sets of parameters, bit by bit those of a sampler for each.
/// Faster than samplers: what does not depend on the parameters is computed once, and sets share
/// the work where points are few.
///
/// @param model       an open model
/// @param parameters  where the parameters are: a row for each set; no rows is fine
/// @param options     NULL for the defaults: physical units, clamp outside
/// @param points      where the coordinates are
/// @param values      where the results of the first set go
/// @param set_stride  bytes from the results of one set to those of the next, may be negative; 0
///                    means without gaps (`[sets][points][outputs]`, or `[sets][points]` in
///                    separate arrays), as those of a set must be then (`point_stride` 0)
/// @return `DRR_OK`, `DRR_ERROR_INVALID_ARGUMENT`, or `DRR_ERROR_OUTSIDE_DOMAIN` by policy, naming
///         the first such set or point; on failure nothing is written
#[unsafe(no_mangle)]
pub unsafe extern "C" fn drr_model_query_sets(
    model: *const drr_model,
    parameters: *const drr_parameters,
    options: *const drr_sampler_options,
    points: *const drr_points,
    values: *const drr_values,
    set_stride: i64,
) -> drr_status {
    guard(|| {
        // SAFETY: the caller's promise, see the comments of the function and the structs.
        unsafe {
            let runtime = &handle(model)?.runtime;
            let spec = runtime.model().spec();
            let options = sampler_options(options)?;
            let parameters = views::parameters(&required(parameters)?, spec.parameters.len())?;
            let points = views::points(&required(points)?, spec.axes.len())?;
            let (sets, count) = (parameters.rows(), points.len());
            let values = required(values)?;
            let mut values = views::set_values(&values, set_stride, sets, count, spec.outputs())?;
            runtime.query_sets(&parameters, &options, &points, &mut values)
        }
    })
}

unsafe fn query_packed<T: Float>(
    model: *const drr_model,
    count: u64,
    points: *const T,
    parameters: *const T,
    values: *mut T,
) -> Result<()> {
    // SAFETY: the caller's promise.
    unsafe {
        let runtime: &Runtime = &handle(model)?.runtime;
        let spec = runtime.model().spec();
        let points = packed_points(count, points, spec.axes.len())?;
        let columns = spec.parameters.len();
        let parameters = slice(parameters, count.saturating_mul(columns as u64), "parameters")?;
        let parameters = Parameters::packed(parameters, points.len(), columns)?;
        let mut values = packed_values(count, values, spec.outputs())?;
        runtime.query(&parameters, &SamplerOptions::default(), &points, &mut values)
    }
}
