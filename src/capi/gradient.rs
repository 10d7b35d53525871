//! Values and derivatives.

#![allow(non_camel_case_types)]

use super::sampler::drr_sampler;
use super::sized::{read, required};
use super::structs::{drr_gradients, drr_lattice, drr_points, drr_values};
use super::views::{self, Rows, packed_gradients, packed_points, packed_values};
use super::{drr_status, handle, status::guard};
use crate::model::spec::Spec;
use crate::sampler::scalar::Float;
use crate::{Gradients, Result, ValuesMut};

/// Values and derivatives at `count` points, 32-bit, all arrays without gaps. Arrays that are NULL
/// are not computed.
///
/// Derivatives are those of physical values by physical coordinates and parameters (J/cm for a
/// value in J and an axis in cm), or of normalised ones with `DRR_UNITS_NORMALIZED`. Values are
/// those of `drr_sampler_query_f32`, bit by bit. On the face between two cells of a grid the
/// derivative is that of the cell above, on the last vertices that of the cell below; where a
/// coordinate or parameter is clamped it is 0; where a value is NaN it is NaN. See
/// docs/derivatives.md.
///
/// @param sampler              a sampler
/// @param count                number of points; 0 is fine
/// @param points               `[count][dims]`, x first
/// @param values               NULL, or receives `[count][outputs]`
/// @param position_gradients   NULL, or receives `[count][outputs][dims]`: by each coordinate
/// @param parameter_gradients  NULL, or receives `[count][outputs][parameters]`: by each parameter
///                             that the sampler was created with
/// @return `DRR_OK`, `DRR_ERROR_INVALID_ARGUMENT`, `DRR_ERROR_OUT_OF_MEMORY`, or
///         `DRR_ERROR_OUTSIDE_DOMAIN` by policy, naming the first such point; then nothing is
///         written
#[unsafe(no_mangle)]
pub unsafe extern "C" fn drr_sampler_query_gradient_f32(
    sampler: *const drr_sampler,
    count: u64,
    points: *const f32,
    values: *mut f32,
    position_gradients: *mut f32,
    parameter_gradients: *mut f32,
) -> drr_status {
    let gradients = [position_gradients, parameter_gradients];
    // SAFETY: the caller's promise, see the comment of the function.
    guard(|| unsafe { query_packed(sampler, count, points, values, gradients) })
}

/// `drr_sampler_query_gradient_f32` for 64-bit arrays. Arithmetic inside the model is 32-bit;
/// coordinates are used in full.
///
/// @param sampler              a sampler
/// @param count                number of points; 0 is fine
/// @param points               `[count][dims]`, x first
/// @param values               NULL, or receives `[count][outputs]`
/// @param position_gradients   NULL, or receives `[count][outputs][dims]`
/// @param parameter_gradients  NULL, or receives `[count][outputs][parameters]`
/// @return as `drr_sampler_query_gradient_f32`
#[unsafe(no_mangle)]
pub unsafe extern "C" fn drr_sampler_query_gradient_f64(
    sampler: *const drr_sampler,
    count: u64,
    points: *const f64,
    values: *mut f64,
    position_gradients: *mut f64,
    parameter_gradients: *mut f64,
) -> drr_status {
    let gradients = [position_gradients, parameter_gradients];
    // SAFETY: the caller's promise, see the comment of the function.
    guard(|| unsafe { query_packed(sampler, count, points, values, gradients) })
}

/// `drr_sampler_query_gradient_f32` for points and results in any layout, each with its own type.
///
/// @param sampler              a sampler
/// @param points               where the coordinates are
/// @param values               NULL, or where the values go
/// @param position_gradients   NULL, or where the derivatives by the model's coordinates go
/// @param parameter_gradients  NULL, or where the derivatives by its parameters go
/// @return as `drr_sampler_query_gradient_f32`
#[unsafe(no_mangle)]
pub unsafe extern "C" fn drr_sampler_query_gradient(
    sampler: *const drr_sampler,
    points: *const drr_points,
    values: *const drr_values,
    position_gradients: *const drr_gradients,
    parameter_gradients: *const drr_gradients,
) -> drr_status {
    guard(|| {
        // SAFETY: the caller's promise, see the comments of the function and the structs.
        unsafe {
            let sampler = &handle(sampler)?.sampler;
            let spec = sampler.runtime().model().spec();
            let points = views::points(&required(points)?, spec.axes.len())?;
            let gradients = [position_gradients, parameter_gradients];
            let rows = Rows::Points(points.len());
            let (mut values, mut gradients) = results(spec, rows, values, gradients)?;
            sampler.query_gradient(&points, values.as_mut(), &mut gradients)
        }
    })
}

/// Values and derivatives at the points of a regular lattice, without an array of coordinates; no
/// faster than the same points one by one.
///
/// @param sampler              a sampler
/// @param lattice              the points
/// @param values               NULL, or where the values go
/// @param position_gradients   NULL, or where the derivatives by the model's coordinates go
/// @param parameter_gradients  NULL, or where the derivatives by its parameters go
/// @return as `drr_sampler_query_gradient_f32`
#[unsafe(no_mangle)]
pub unsafe extern "C" fn drr_sampler_query_lattice_gradient(
    sampler: *const drr_sampler,
    lattice: *const drr_lattice,
    values: *const drr_values,
    position_gradients: *const drr_gradients,
    parameter_gradients: *const drr_gradients,
) -> drr_status {
    guard(|| {
        // SAFETY: the caller's promise, see the comments of the function and the structs.
        unsafe {
            let sampler = &handle(sampler)?.sampler;
            let spec = sampler.runtime().model().spec();
            let lattice = views::lattice(&required(lattice)?)?;
            let gradients = [position_gradients, parameter_gradients];
            let rows = Rows::Lattice(lattice.dims);
            let (mut values, mut gradients) = results(spec, rows, values, gradients)?;
            sampler.query_lattice_gradient(&lattice, values.as_mut(), &mut gradients)
        }
    })
}

/// Where everything goes that is wanted.
///
/// # Safety
/// The structs must be what their comments say.
pub(super) unsafe fn results<'a>(
    spec: &Spec,
    rows: Rows,
    values: *const drr_values,
    [position, parameters]: [*const drr_gradients; 2],
) -> Result<(Option<ValuesMut<'a>>, Gradients<'a>)> {
    // SAFETY: the caller's promise.
    unsafe {
        let view = |gradients, name, components| {
            let view = |given| views::gradients(&given, name, rows, [spec.outputs(), components]);
            read(gradients)?.map(view).transpose()
        };
        let gradients = Gradients {
            position: view(position, "position_gradients", spec.axes.len())?,
            parameters: view(parameters, "parameter_gradients", spec.parameters.len())?,
        };
        let view = |values| views::values(&values, rows, spec.outputs());
        Ok((read(values)?.map(view).transpose()?, gradients))
    }
}

unsafe fn query_packed<T: Float>(
    sampler: *const drr_sampler,
    count: u64,
    points: *const T,
    values: *mut T,
    [position, parameters]: [*mut T; 2],
) -> Result<()> {
    // SAFETY: the caller's promise.
    unsafe {
        let sampler = &handle(sampler)?.sampler;
        let spec = sampler.runtime().model().spec();
        let (dims, outputs) = (spec.axes.len(), spec.outputs());
        let points = packed_points(count, points, dims)?;
        let mut values = match values.is_null() {
            true => None,
            false => Some(packed_values(count, values, outputs)?),
        };
        let shape = |components| [points.len(), outputs, components];
        let by_parameter = shape(spec.parameters.len());
        let mut gradients = Gradients {
            position: packed_gradients(position, "position_gradients", shape(dims))?,
            parameters: packed_gradients(parameters, "parameter_gradients", by_parameter)?,
        };
        sampler.query_gradient(&points, values.as_mut(), &mut gradients)
    }
}
