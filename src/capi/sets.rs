//! Asking models for more than one set of parameters at once.

#![allow(non_camel_case_types)]

use super::model::drr_model;
use super::sampler::{
    check_address, count_of, packed_points, packed_values, point_view, sampler_options, stride,
    value_view,
};
use super::structs::{
    drr_parameters, drr_points, drr_sampler_options, drr_values, required, scalar,
};
use super::{drr_status, handle, slice, status::guard};
use crate::model::spec::Spec;
use crate::sampler::points::Float;
use crate::{Error, Parameters, Result, Runtime, SamplerOptions, SetValuesMut};

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
            let parameters = parameter_view(&required(parameters)?, spec)?;
            let points = required(points)?;
            let count = count_of(points.count);
            let points = point_view(&points, count, spec.axes.len())?;
            let mut values = value_view(&required(values)?, count, spec.outputs())?;
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
///                    means without gaps (`[sets][points][outputs]`), as those of a set must be
///                    then (`point_stride` 0)
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
            let parameters = parameter_view(&required(parameters)?, spec)?;
            let points = required(points)?;
            let count = count_of(points.count);
            let points = point_view(&points, count, spec.axes.len())?;
            let values = required(values)?;
            let mut values = set_view(&values, set_stride, parameters.rows(), count, spec)?;
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

unsafe fn parameter_view<'a>(given: &drr_parameters, spec: &Spec) -> Result<Parameters<'a>> {
    let scalar = scalar(given.scalar)?;
    scalar.check_input("parameters")?;
    let (rows, columns) = (count_of(given.count), spec.parameters.len());
    let number = scalar.bytes() as i64;
    let by_column = if given.parameter_stride == 0 { number } else { given.parameter_stride };
    if given.row_stride == 0 && by_column != number {
        return Err(Error::argument(format!(
            "parameters.row_stride is 0 (no gaps), but parameters.parameter_stride is {by_column}: \
             give both"
        )));
    }
    let by_row = if given.row_stride == 0 { number * columns as i64 } else { given.row_stride };
    let column_stride = stride(by_column, columns, "parameters.parameter_stride")?;
    let row_stride = stride(by_row, rows, "parameters.row_stride")?;
    if columns > 0 {
        check_address(given.data, rows, "parameters.data", "rows")?;
    }
    let base = given.data.cast();
    // SAFETY: the caller's promise: readable at these places.
    Ok(unsafe { Parameters::from_raw(scalar, rows, columns, base, row_stride, column_stride) })
}

unsafe fn set_view<'a>(
    values: &drr_values,
    set_stride: i64,
    sets: usize,
    count: usize,
    spec: &Spec,
) -> Result<SetValuesMut<'a>> {
    if set_stride == 0 && sets > 1 && values.point_stride != 0 {
        return Err(Error::argument(format!(
            "set_stride is 0 (no gaps), but values.point_stride is {}: give both",
            values.point_stride
        )));
    }
    let bytes = scalar(values.scalar)?.bytes() as i64 * spec.outputs() as i64;
    let gapless = i64::try_from(count).ok().and_then(|count| count.checked_mul(bytes));
    let by_set = if set_stride == 0 { gapless.unwrap_or(i64::MAX) } else { set_stride };
    let by_set = stride(by_set, sets, "set_stride")?;
    // SAFETY: the caller's promise: writable at these places.
    unsafe {
        let first = value_view(values, if sets == 0 { 0 } else { count }, spec.outputs())?;
        Ok(SetValuesMut::from_raw(sets, first, by_set))
    }
}
