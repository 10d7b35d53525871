//! Values and derivatives.

#![allow(non_camel_case_types)]

use super::sampler::{
    count_of, drr_sampler, packed_points, packed_values, point_view, stride, value_view,
};
use super::structs::{drr_gradients, drr_points, drr_values, read, required, scalar};
use super::{check_array, drr_status, handle, status::guard};
use crate::model::spec::Spec;
use crate::sampler::gradient::{Gradients, GradientsMut};
use crate::sampler::points::Float;
use crate::{Error, Result};

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
            let Spec { axes, parameters, .. } = sampler.runtime().model().spec();
            let outputs = sampler.runtime().model().spec().outputs();
            let points = required(points)?;
            let count = count_of(points.count);
            let view = |gradients, name, components| -> Result<Option<GradientsMut<'_>>> {
                let given = read(gradients)?;
                given
                    .map(|given| gradient_view(&given, name, [count, outputs, components]))
                    .transpose()
            };
            let mut gradients = Gradients {
                position: view(position_gradients, "position_gradients", axes.len())?,
                parameters: view(parameter_gradients, "parameter_gradients", parameters.len())?,
            };
            let values = read(values)?;
            let mut values =
                values.map(|values| value_view(&values, count, outputs)).transpose()?;
            let points = point_view(&points, count, axes.len())?;
            sampler.query_gradient(&points, values.as_mut(), &mut gradients)
        }
    })
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
        let size = size_of::<T>() as isize;
        // No slices of the results: they would claim that the caller's memory is initialised.
        let view = |gradients: *mut T, name, components: usize| -> Result<Option<_>> {
            if gradients.is_null() {
                return Ok(None);
            }
            let each = outputs * components;
            check_array(gradients, count.saturating_mul(each as u64), name)?;
            let shape = [points.len(), outputs, components];
            let strides = [each, components, 1].map(|numbers| numbers as isize * size);
            Ok(Some(GradientsMut::from_raw(T::SCALAR, shape, gradients.cast(), strides)))
        };
        let mut gradients = Gradients {
            position: view(position, "position_gradients", dims)?,
            parameters: view(parameters, "parameter_gradients", spec.parameters.len())?,
        };
        sampler.query_gradient(&points, values.as_mut(), &mut gradients)
    }
}

unsafe fn gradient_view<'a>(
    gradients: &drr_gradients,
    name: &str,
    shape: [usize; 3],
) -> Result<GradientsMut<'a>> {
    let scalar = scalar(gradients.scalar)?;
    let [count, outputs, components] = shape;
    let each = outputs * components;
    if gradients.data.is_null() && count > 0 && each > 0 {
        return Err(Error::argument(format!("{name}.data is NULL, expected {count} points")));
    }
    let packed = [each, components, 1].map(|numbers| numbers as i64 * scalar.bytes() as i64);
    let given = match each {
        // A model without parameters: nothing is written, wherever that is.
        0 => [0; 3],
        _ => [gradients.point_stride, gradients.value_stride, gradients.component_stride],
    };
    let fields = ["point_stride", "value_stride", "component_stride"];
    let mut strides = [0; 3];
    // Strides that are 0 mean that there are no gaps, which holds only if there are none inside.
    let mut has_gaps = false;
    for k in (0..3).rev() {
        let given = if shape[k] == 1 && given[k] == 0 { packed[k] } else { given[k] };
        if given == 0 && has_gaps {
            return Err(Error::argument(format!(
                "{name}.{} is 0 (no gaps), but {} is {}: give both",
                fields[k],
                fields[k + 1],
                strides[k + 1]
            )));
        }
        let by = if given == 0 { packed[k] } else { given };
        has_gaps |= by != packed[k];
        strides[k] = stride(by, shape[k], &format!("{name}.{}", fields[k]))?;
    }
    let base = gradients.data.cast();
    // SAFETY: the caller's promise: writable at these places.
    Ok(unsafe { GradientsMut::from_raw(scalar, shape, base, strides) })
}
