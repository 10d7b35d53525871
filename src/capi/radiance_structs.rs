//! What pictures of radiance fields are made with.

#![allow(non_camel_case_types)]

use super::check_array;
use super::structs::unknown;
use crate::sampler::scalar::Scalar;
use crate::sized_structs;
use crate::{Camera, DepthKind, Error, Points, RenderOptions, RenderOutput, Result};

/// What is written for each pixel.
#[repr(u32)]
pub enum drr_radiance_output {
    /// Colours multiplied by opacity, and opacity: to be put over something.
    DRR_RADIANCE_PREMULTIPLIED = 0,
    /// Colours over the background, and 1.
    DRR_RADIANCE_OPAQUE = 1,
}

/// How the distance of something from a camera is measured.
#[repr(u32)]
pub enum drr_depth {
    /// Along the ray, from the camera.
    DRR_DEPTH_ALONG_RAY = 0,
    /// Along the camera's axis: how far in front of the camera's plane. Linear, in the axes' units;
    /// docs/radiance.md tells how engines' depth buffers become that.
    DRR_DEPTH_ALONG_AXIS = 1,
}

/// A pinhole camera. Its own axes: x right, y up, and it looks along -z, as in OpenGL and NeRF.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct drr_camera {
    /// `sizeof(drr_camera)`
    pub struct_size: u32,
    /// Unused, 0.
    pub reserved: u32,
    /// From the camera's coordinates to the model's: three rows of four numbers, a rotation in the
    /// first three columns (the camera's right, up and backward), the camera's position in the
    /// last.
    pub to_world: [f64; 12],
    /// Focal length in pixels, horizontal; positive.
    pub focal_x: f64,
    /// The same, vertical.
    pub focal_y: f64,
    /// Where the camera's axis meets the picture, in pixels from its left border; usually half the
    /// width. The middle of pixel i is at i + 0.5.
    pub centre_x: f64,
    /// The same from its upper border.
    pub centre_y: f64,
}

/// How a picture is made. All zero (but `struct_size`) is the default.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct drr_radiance_options {
    /// `sizeof(drr_radiance_options)`
    pub struct_size: u32,
    /// A `drr_radiance_output`.
    pub output: u32,
    /// A `drr_depth`, of `scene_depth` and of the depths that are written.
    pub depth: u32,
    /// Unused, 0.
    pub reserved: u32,
    /// Distance of samples along a ray in the axes' units; 0: the one that the model was trained
    /// with. Longer ones are faster and coarser.
    pub step: f64,
    /// Where rays begin: a distance along the ray.
    pub ray_begin: f64,
    /// Where they end; 0: never.
    pub ray_end: f64,
    /// A ray ends when less than this part of the light passes what it met; 0: 1e-4.
    pub stop: f64,
    /// Red, green, blue of what is behind, for `DRR_RADIANCE_OPAQUE`.
    pub background: [f64; 3],
    /// NULL, or where rays end at something else: a depth for each, without gaps; infinity where
    /// there is nothing. Read during the call only; on a GPU it is an address there, and read until
    /// the stream got to the end of the call.
    pub scene_depth: *const f32,
}

sized_structs! {
    drr_camera: 136,
    drr_radiance_options: 80,
}

impl From<drr_camera> for Camera {
    fn from(given: drr_camera) -> Self {
        let row = |k: usize| [0, 1, 2, 3].map(|column| given.to_world[4 * k + column]);
        Self {
            to_world: [0, 1, 2].map(row),
            focal: [given.focal_x, given.focal_y],
            centre: [given.centre_x, given.centre_y],
        }
    }
}

/// The options for so many rays; none given are the defaults.
///
/// # Safety
/// The struct must say the truth.
pub(super) unsafe fn render_options<'a>(
    given: Option<drr_radiance_options>,
    rays: u64,
) -> Result<RenderOptions<'a>> {
    let Some(given) = given else { return Ok(RenderOptions::default()) };
    let output = match given.output {
        0 => RenderOutput::Premultiplied,
        1 => RenderOutput::Opaque,
        other => return Err(unknown("output", other, "drr_radiance_output")),
    };
    let depth = match given.depth {
        0 => DepthKind::AlongRay,
        1 => DepthKind::AlongAxis,
        other => return Err(unknown("depth", other, "drr_depth")),
    };
    let some = |number: f64| (number != 0.0).then_some(number);
    let defaults = RenderOptions::default();
    let scene_depth = match given.scene_depth.is_null() {
        true => None,
        false => {
            let count = check_array(given.scene_depth, rays, "scene_depth")?;
            let depths = (given.scene_depth.cast(), size_of::<f32>() as isize);
            // SAFETY: the caller's promise: so many numbers.
            Some(unsafe { Points::from_raw(Scalar::F32, count, 1, [depths; 3]) })
        }
    };
    Ok(RenderOptions {
        step: some(given.step),
        near: given.ray_begin,
        far: some(given.ray_end).unwrap_or(defaults.far),
        stop: some(given.stop).unwrap_or(defaults.stop),
        background: given.background,
        output,
        depth,
        scene_depth,
    })
}

/// Number of pixels.
///
/// # Errors
/// `InvalidArgument` if it cannot be counted.
pub(super) fn pixels(width: u64, height: u64) -> Result<u64> {
    width
        .checked_mul(height)
        .filter(|&pixels| check_array::<[f32; 4]>(std::ptr::dangling(), pixels, "rgba").is_ok())
        .ok_or_else(|| Error::argument(format!("{width} times {height} pixels: too many")))
}
