//! Radiance fields: densities and colours at points, pictures.

#![allow(non_camel_case_types)]

use super::radiance_structs::{drr_camera, drr_radiance_options, pixels, render_options};
use super::sampler::drr_sampler;
use super::sized::{read, required};
use super::structs::{drr_points, drr_values};
use super::views::{self, Rows, packed_values};
use super::{check_pointer, drr_status, handle, status::guard};
use crate::{RenderOptions, Result, Sampler, ValuesMut};

/// Density and colour at points, each seen along a direction: four values per point, the density
/// per unit of length, then red, green, blue. All are 0 outside the domain, whatever the sampler's
/// policy is. A NaN in a point makes all of them NaN, one in a direction the colour. (The density
/// alone, the features that colours are made of, and derivatives are what other queries give.)
///
/// @param sampler     a sampler of a radiance field, in physical units
/// @param points      where
/// @param directions  a direction for each, away from the eye, of any length but 0
///                    (`DRR_STRIDE_SAME`: one for all)
/// @param values      where the results go
/// @return `DRR_OK` or `DRR_ERROR_INVALID_ARGUMENT`; then nothing is written
#[unsafe(no_mangle)]
pub unsafe extern "C" fn drr_radiance_query(
    sampler: *const drr_sampler,
    points: *const drr_points,
    directions: *const drr_points,
    values: *const drr_values,
) -> drr_status {
    guard(|| {
        // SAFETY: the caller's promise, see the comments of the function and the structs.
        unsafe {
            let sampler = radiance_sampler(sampler)?;
            let points = views::points(&required(points)?, 3)?;
            let directions = views::points(&required(directions)?, 3)?;
            let mut values = views::values(&required(values)?, Rows::Points(points.len()), 4)?;
            sampler.radiance(&points, &directions, &mut values)
        }
    })
}

/// A picture of a radiance field as a camera sees it: what lies along the ray of each pixel, added
/// up from front to back (docs/format.md has the formulas).
///
/// Does not depend on the size of the picture or on threads: a ray's result is the same whatever
/// the others are. Uses the model's threads (`drr_open_options.threads`), else the caller's alone;
/// several threads may make pictures with one sampler. A NaN among the depths makes its pixel NaN.
///
/// @param sampler  a sampler of a radiance field, in physical units
/// @param camera   where it is seen from
/// @param width    pixels; 0 is fine
/// @param height   the same
/// @param options  NULL for the defaults: all that is seen, premultiplied
/// @param rgba     receives `[height][width][4]`, the upper row first: red, green, blue and opacity
/// @param depth    NULL, or receives `[height][width]`: how far away what is seen is, the mean over
///                 what the ray meets; where it meets nothing, where the ray ends (infinity, or the
///                 smaller of `ray_end` and the scene's depth)
/// @return `DRR_OK` or `DRR_ERROR_INVALID_ARGUMENT`; then nothing is written
#[unsafe(no_mangle)]
pub unsafe extern "C" fn drr_radiance_render(
    sampler: *const drr_sampler,
    camera: *const drr_camera,
    width: u64,
    height: u64,
    options: *const drr_radiance_options,
    rgba: *mut f32,
    depth: *mut f32,
) -> drr_status {
    guard(|| {
        // SAFETY: the caller's promise, see the comments of the function and the structs.
        unsafe {
            let sampler = radiance_sampler(sampler)?;
            let camera = required(camera)?.into();
            let count = pixels(width, height)?;
            let Picture { options, mut rgba, mut depth } = picture(count, options, rgba, depth)?;
            let size = [width, height].map(views::count_of);
            sampler.render(&camera, size, &options, &mut rgba, depth.as_mut())
        }
    })
}

/// `drr_radiance_render` for rays of any kind: two eyes, fisheyes, panoramas, scattered ones.
///
/// @param sampler     a sampler of a radiance field, in physical units
/// @param origins     where the rays begin (`DRR_STRIDE_SAME`: one point for all)
/// @param directions  where they go, one for each, of any length but 0; distances are in the axes'
///                    units all the same. A NaN in a ray makes its results NaN
/// @param options     NULL for the defaults; not `DRR_DEPTH_ALONG_AXIS`
/// @param rgba        receives `[count][4]`
/// @param depth       NULL, or receives `[count]`
/// @return as `drr_radiance_render`
#[unsafe(no_mangle)]
pub unsafe extern "C" fn drr_radiance_render_rays(
    sampler: *const drr_sampler,
    origins: *const drr_points,
    directions: *const drr_points,
    options: *const drr_radiance_options,
    rgba: *mut f32,
    depth: *mut f32,
) -> drr_status {
    guard(|| {
        // SAFETY: the caller's promise, see the comments of the function and the structs.
        unsafe {
            let sampler = radiance_sampler(sampler)?;
            let origins = views::points(&required(origins)?, 3)?;
            let directions = views::points(&required(directions)?, 3)?;
            let count = origins.len() as u64;
            let Picture { options, mut rgba, mut depth } = picture(count, options, rgba, depth)?;
            sampler.render_rays(&origins, &directions, &options, &mut rgba, depth.as_mut())
        }
    })
}

/// A sampler that has densities and colours: known before arrays are looked at.
///
/// # Safety
/// As for [`handle`].
unsafe fn radiance_sampler<'a>(sampler: *const drr_sampler) -> Result<&'a Sampler> {
    // SAFETY: the caller's promise.
    let sampler = unsafe { &handle(sampler)?.sampler };
    sampler.check_radiance()?;
    Ok(sampler)
}

/// How a picture is made, and where it goes.
pub(super) struct Picture<'a> {
    pub options: RenderOptions<'a>,
    pub rgba: ValuesMut<'a>,
    pub depth: Option<ValuesMut<'a>>,
}

/// Of so many rays.
///
/// # Safety
/// `options` must say the truth; `rgba` and, unless it is NULL, `depth` must be writable for as many.
pub(super) unsafe fn picture<'a>(
    rays: u64,
    options: *const drr_radiance_options,
    rgba: *mut f32,
    depth: *mut f32,
) -> Result<Picture<'a>> {
    // SAFETY: the caller's promise.
    unsafe {
        let options = render_options(read(options)?, rays)?;
        let rgba = room(rgba, "rgba", rays, 4)?;
        let depth = match depth.is_null() {
            true => None,
            false => Some(room(depth, "depth", rays, 1)?),
        };
        Ok(Picture { options, rgba, depth })
    }
}

/// Numbers without gaps, `each` per ray.
///
/// # Safety
/// `numbers` must be writable for so many.
unsafe fn room<'a>(numbers: *mut f32, name: &str, rays: u64, each: usize) -> Result<ValuesMut<'a>> {
    if rays > 0 {
        check_pointer(numbers, name)?;
    }
    // SAFETY: the caller's promise.
    unsafe { packed_values(rays, numbers, each) }
}
