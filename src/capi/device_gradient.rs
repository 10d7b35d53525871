//! Values and derivatives on a GPU.

#![allow(non_camel_case_types)]

use std::ffi::c_void;

use super::device::drr_device_sampler;
use super::gradient::results;
use super::sized::required;
use super::structs::{drr_gradients, drr_lattice, drr_points, drr_values};
use super::views::{self, Rows};
use super::{drr_status, handle, status::guard};
use crate::cuda::Stream;

/// Values and derivatives at points in the GPU's memory, in any layout: as
/// `drr_sampler_query_gradient` has them, in 32 bits also where tensor cores answer other queries.
/// Queued on `stream`: neither waits nor allocates, and may be captured into a CUDA graph.
///
/// @param sampler              a sampler on a GPU; no freeing it until the stream got to the end of
///                             this
/// @param points               where the coordinates are; all addresses are those of the GPU
/// @param values               NULL, or where the values go
/// @param position_gradients   NULL, or where the derivatives by the model's coordinates go
/// @param parameter_gradients  NULL, or where the derivatives by its parameters go
/// @param stream               a `CUstream` or `cudaStream_t`, NULL for the default one
/// @return as `drr_device_sampler_query`, or `DRR_ERROR_UNSUPPORTED` if the model's layers are too
///         wide and many for the shared memory of a block
#[unsafe(no_mangle)]
pub unsafe extern "C" fn drr_device_sampler_query_gradient(
    sampler: *const drr_device_sampler,
    points: *const drr_points,
    values: *const drr_values,
    position_gradients: *const drr_gradients,
    parameter_gradients: *const drr_gradients,
    stream: *mut c_void,
) -> drr_status {
    guard(|| {
        // SAFETY: the caller's promise, see the comments of the function and the structs.
        unsafe {
            let sampler = &handle(sampler)?.sampler;
            let spec = sampler.model().runtime().model().spec();
            let points = views::points(&required(points)?, spec.axes.len())?;
            let gradients = [position_gradients, parameter_gradients];
            let rows = Rows::Points(points.len());
            let (mut values, mut gradients) = results(spec, rows, values, gradients)?;
            let stream = Stream(stream as u64);
            sampler.query_gradient(&points, values.as_mut(), &mut gradients, stream)
        }
    })
}

/// Values and derivatives at the points of a regular lattice, without an array of coordinates.
/// Otherwise as `drr_device_sampler_query_gradient`.
///
/// @param sampler              a sampler on a GPU
/// @param lattice              the points
/// @param values               NULL, or where the values go; all addresses are those of the GPU
/// @param position_gradients   NULL, or where the derivatives by the model's coordinates go
/// @param parameter_gradients  NULL, or where the derivatives by its parameters go
/// @param stream               a `CUstream` or `cudaStream_t`, NULL for the default one
/// @return as `drr_device_sampler_query_gradient`
#[unsafe(no_mangle)]
pub unsafe extern "C" fn drr_device_sampler_query_lattice_gradient(
    sampler: *const drr_device_sampler,
    lattice: *const drr_lattice,
    values: *const drr_values,
    position_gradients: *const drr_gradients,
    parameter_gradients: *const drr_gradients,
    stream: *mut c_void,
) -> drr_status {
    guard(|| {
        // SAFETY: the caller's promise, see the comments of the function and the structs.
        unsafe {
            let sampler = &handle(sampler)?.sampler;
            let spec = sampler.model().runtime().model().spec();
            let lattice = views::lattice(&required(lattice)?)?;
            let gradients = [position_gradients, parameter_gradients];
            let rows = Rows::Lattice(lattice.dims);
            let (mut values, mut gradients) = results(spec, rows, values, gradients)?;
            let stream = Stream(stream as u64);
            sampler.query_lattice_gradient(&lattice, values.as_mut(), &mut gradients, stream)
        }
    })
}
