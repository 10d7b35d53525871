//! Radiance fields on a GPU.

#![allow(non_camel_case_types)]

use std::ffi::c_void;

use super::device::drr_device_sampler;
use super::radiance::{Picture, picture};
use super::radiance_structs::{drr_camera, drr_radiance_options, pixels};
use super::sized::required;
use super::structs::{drr_points, drr_values};
use super::views::{self, Rows};
use super::{drr_status, handle, status::guard};
use crate::cuda::Stream;
use crate::{DeviceSampler, Result};

/// Density and colour at points in the GPU's memory, each seen along a direction: as
/// `drr_radiance_query` has them, in 32 bits also where tensor cores answer other queries. A
/// direction of length 0 makes the colour NaN. Queued on `stream`: neither waits nor allocates, and may
/// be captured into a CUDA graph.
///
/// @param sampler     a sampler of a radiance field on a GPU, in physical units; no freeing it until
///                    the stream got to the end of this
/// @param points      where; all addresses are those of the GPU
/// @param directions  a direction for each, away from the eye, of any length but 0
///                    (`DRR_STRIDE_SAME`: one for all)
/// @param values      where the results go: density, red, green, blue
/// @param stream      a `CUstream` or `cudaStream_t`, NULL for the default one
/// @return as `drr_device_sampler_query`, or `DRR_ERROR_UNSUPPORTED` if the layers that make colours
///         are too wide for the shared memory of a block
#[unsafe(no_mangle)]
pub unsafe extern "C" fn drr_device_radiance_query(
    sampler: *const drr_device_sampler,
    points: *const drr_points,
    directions: *const drr_points,
    values: *const drr_values,
    stream: *mut c_void,
) -> drr_status {
    guard(|| {
        // SAFETY: the caller's promise, see the comments of the function and the structs.
        unsafe {
            let sampler = radiance_sampler(sampler)?;
            let points = views::points(&required(points)?, 3)?;
            let directions = views::points(&required(directions)?, 3)?;
            let mut values = views::values(&required(values)?, Rows::Points(points.len()), 4)?;
            sampler.radiance(&points, &directions, &mut values, Stream(stream as u64))
        }
    })
}

/// A picture of a radiance field as a camera sees it, in the GPU's memory: as
/// `drr_radiance_render` has it, in 32 bits. Queued on `stream`: neither waits nor allocates; captured
/// into a CUDA graph it keeps the camera and the options.
///
/// @param sampler  a sampler of a radiance field on a GPU, in physical units; no freeing it until the
///                 stream got to the end of this
/// @param camera   where it is seen from; read during the call only
/// @param width    pixels; 0 is fine
/// @param height   the same
/// @param options  NULL for the defaults; `scene_depth` is an address of the GPU
/// @param rgba     receives `[height][width][4]`, the upper row first: red, green, blue and opacity;
///                 an address of the GPU
/// @param depth    NULL, or receives `[height][width]`: how far away what is seen is; an address of
///                 the GPU
/// @param stream   a `CUstream` or `cudaStream_t`, NULL for the default one
/// @return as `drr_device_radiance_query`
#[unsafe(no_mangle)]
#[allow(clippy::too_many_arguments)]
pub unsafe extern "C" fn drr_device_radiance_render(
    sampler: *const drr_device_sampler,
    camera: *const drr_camera,
    width: u64,
    height: u64,
    options: *const drr_radiance_options,
    rgba: *mut f32,
    depth: *mut f32,
    stream: *mut c_void,
) -> drr_status {
    guard(|| {
        // SAFETY: the caller's promise, see the comments of the function and the structs.
        unsafe {
            let sampler = radiance_sampler(sampler)?;
            let camera = required(camera)?.into();
            let count = pixels(width, height)?;
            let Picture { options, mut rgba, mut depth } = picture(count, options, rgba, depth)?;
            let size = [width, height].map(views::count_of);
            let stream = Stream(stream as u64);
            sampler.render(&camera, size, &options, &mut rgba, depth.as_mut(), stream)
        }
    })
}

/// `drr_device_radiance_render` for rays of any kind: two eyes, fisheyes, panoramas, scattered ones.
///
/// @param sampler     a sampler of a radiance field on a GPU, in physical units
/// @param origins     where the rays begin (`DRR_STRIDE_SAME`: one point for all); all addresses are
///                    those of the GPU
/// @param directions  where they go, one for each, of any length but 0: that, as a NaN in a ray,
///                    makes its results NaN
/// @param options     NULL for the defaults; not `DRR_DEPTH_ALONG_AXIS`
/// @param rgba        receives `[count][4]`
/// @param depth       NULL, or receives `[count]`
/// @param stream      a `CUstream` or `cudaStream_t`, NULL for the default one
/// @return as `drr_device_radiance_render`
#[unsafe(no_mangle)]
pub unsafe extern "C" fn drr_device_radiance_render_rays(
    sampler: *const drr_device_sampler,
    origins: *const drr_points,
    directions: *const drr_points,
    options: *const drr_radiance_options,
    rgba: *mut f32,
    depth: *mut f32,
    stream: *mut c_void,
) -> drr_status {
    guard(|| {
        // SAFETY: the caller's promise, see the comments of the function and the structs.
        unsafe {
            let sampler = radiance_sampler(sampler)?;
            let origins = views::points(&required(origins)?, 3)?;
            let directions = views::points(&required(directions)?, 3)?;
            let count = origins.len() as u64;
            let Picture { options, mut rgba, mut depth } = picture(count, options, rgba, depth)?;
            let stream = Stream(stream as u64);
            let depth = depth.as_mut();
            sampler.render_rays(&origins, &directions, &options, &mut rgba, depth, stream)
        }
    })
}

/// A sampler that has densities and colours: known before arrays are looked at.
///
/// # Safety
/// As for [`handle`].
unsafe fn radiance_sampler<'a>(sampler: *const drr_device_sampler) -> Result<&'a DeviceSampler> {
    // SAFETY: the caller's promise.
    let sampler = unsafe { &handle(sampler)?.sampler };
    sampler.check_radiance()?;
    Ok(sampler)
}
