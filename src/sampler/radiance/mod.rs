//! Radiance fields: densities and colours at points, pictures along rays. What is computed is
//! written down in docs/format.md; [`rays`] says where rays are, [`march`] goes along them,
//! [`occupancy`] knows where there is nothing.

mod march;
mod occupancy;
mod query;
mod rays;

use rayon::prelude::*;

use super::{Points, Runtime, Sampler, Units, ValuesMut};
use crate::model::check_step;
use crate::model::spec::{Radiance, Spec};
use crate::{Error, Result};
pub use march::RenderScratch;
pub use occupancy::Blocks;
use rays::{Bounds, Rays};

/// A pinhole camera: x right, y up, looks along -z (OpenGL's and NeRF's convention).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Camera {
    /// From the camera's coordinates to the domain's: rotation, then the camera's position, as
    /// rows of four.
    pub to_world: [[f64; 4]; 3],
    /// Focal lengths in pixels, horizontal and vertical; positive.
    pub focal: [f64; 2],
    /// Where the camera's axis meets the picture, in pixels from its upper left corner: the middle
    /// of pixel (i, j) is at (i + 1/2, j + 1/2).
    pub centre: [f64; 2],
}

/// What is written for each pixel.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RenderOutput {
    /// Colours multiplied by opacity, and opacity: to be put over something.
    #[default]
    Premultiplied,
    /// Colours over the background, and 1.
    Opaque,
}

/// How the distance of something from a camera is measured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum DepthKind {
    /// Along the ray, from the camera.
    #[default]
    AlongRay,
    /// Along the camera's axis, as depth buffers have it: how far in front of the camera's plane.
    AlongAxis,
}

/// How a picture is made.
#[derive(Debug, Clone, Copy)]
pub struct RenderOptions<'a> {
    /// Distance of samples along a ray; none for the file's.
    pub step: Option<f64>,
    /// Where rays begin and end, along the ray.
    pub near: f64,
    /// As `near`.
    pub far: f64,
    /// A ray ends when less than this part of the light passes, above 0.
    pub stop: f64,
    /// Red, green, blue of what is behind, for opaque output.
    pub background: [f64; 3],
    /// What is written.
    pub output: RenderOutput,
    /// How depths are measured, those given and those written.
    pub depth: DepthKind,
    /// Where the rays end at something else, one depth for each, row by row: points of one
    /// coordinate.
    pub scene_depth: Option<Points<'a>>,
}

impl Default for RenderOptions<'_> {
    fn default() -> Self {
        Self {
            step: None,
            near: 0.0,
            far: f64::INFINITY,
            stop: 1e-4,
            background: [0.0; 3],
            output: RenderOutput::default(),
            depth: DepthKind::default(),
            scene_depth: None,
        }
    }
}

impl Sampler {
    /// # Errors
    /// `InvalidArgument` unless there are densities and colours to ask for: of a radiance field, in
    /// physical units.
    pub fn check_radiance(&self) -> Result<()> {
        self.radiance_field().map(drop)
    }

    /// Densities and colours at points, seen along directions of any length: four values for each,
    /// density, red, green, blue. All are 0 outside the domain; the occupancy does not matter. A
    /// NaN in a point makes all values NaN, one in a direction the colours.
    ///
    /// # Errors
    /// `InvalidArgument` if the model is no radiance field, the sampler's units are normalised,
    /// numbers differ, or a direction is zero. Nothing is written then.
    pub fn radiance(
        &self,
        points: &Points<'_>,
        directions: &Points<'_>,
        values: &mut ValuesMut<'_>,
    ) -> Result<()> {
        self.radiance_field()?;
        self.check_rays((points, "points"), directions)?;
        check_room("values", values, points.len(), 4)?;
        let values = &*values;
        self.runtime.each_range(points.len(), |worker, range| {
            // SAFETY: the ranges are disjoint and each is visited once.
            unsafe { worker.radiance(self, points, directions, values, range) };
        });
        Ok(())
    }

    /// A picture of `width` times `height` pixels, row by row from the top: red, green, blue and
    /// opacity for each; and how far away what is seen is, the mean over what a ray meets, or where
    /// the ray ends if it meets nothing (infinity by default).
    ///
    /// # Errors
    /// `InvalidArgument` if the model is no radiance field, the sampler's units are normalised, or
    /// the camera, the options or the sizes make no sense. Nothing is written then.
    pub fn render(
        &self,
        camera: &Camera,
        [width, height]: [usize; 2],
        options: &RenderOptions<'_>,
        rgba: &mut ValuesMut<'_>,
        depth: Option<&mut ValuesMut<'_>>,
    ) -> Result<()> {
        self.radiance_field()?;
        let pixels = pixels([width, height])?;
        camera.check()?;
        self.draw(&Rays::Camera { camera, size: [width, height] }, pixels, options, rgba, depth)
    }

    /// [`Sampler::render`] for rays from anywhere: of lenses that are no pinholes, of two eyes.
    /// Directions may have any length; distances are in the axes' units.
    ///
    /// # Errors
    /// As [`Sampler::render`], and if a direction is zero, numbers differ, or depths are to be
    /// measured along an axis, which rays do not have.
    pub fn render_rays(
        &self,
        origins: &Points<'_>,
        directions: &Points<'_>,
        options: &RenderOptions<'_>,
        rgba: &mut ValuesMut<'_>,
        depth: Option<&mut ValuesMut<'_>>,
    ) -> Result<()> {
        self.radiance_field()?;
        self.check_rays((origins, "origins"), directions)?;
        options.check_no_axis()?;
        self.draw(&Rays::Given { origins, directions }, origins.len(), options, rgba, depth)
    }

    fn draw(
        &self,
        rays: &Rays<'_>,
        count: usize,
        options: &RenderOptions<'_>,
        rgba: &mut ValuesMut<'_>,
        depth: Option<&mut ValuesMut<'_>>,
    ) -> Result<()> {
        let spec = self.runtime.model.spec();
        let axes = &spec.axes;
        let step = options.check(spec, self.radiance_field()?, count)?;
        check_picture(count, rgba, depth.as_deref())?;
        let job = march::Job {
            sampler: self,
            rays,
            bounds: Bounds::new(axes),
            step,
            options,
            rgba,
            depth: depth.as_deref(),
        };
        self.runtime.each_item(rays.items(count), count, |worker, item| {
            // SAFETY: each item is visited once, and no two have a ray in common.
            unsafe { worker.render(&job, item) };
        });
        Ok(())
    }

    fn radiance_field(&self) -> Result<&Radiance> {
        radiance_field(self.runtime.model.spec(), self.options.units)
    }

    /// # Errors
    /// `InvalidArgument` unless there is a direction for each, and none is zero.
    fn check_rays(&self, from: (&Points<'_>, &str), directions: &Points<'_>) -> Result<()> {
        self.runtime.check_rays(from, directions)?;
        match rays::zero_direction(directions) {
            Some(i) => Err(Error::argument(format!("direction {i} is zero"))),
            None => Ok(()),
        }
    }
}

/// # Errors
/// `InvalidArgument` unless the model is a radiance field and is asked in physical units, in which
/// lengths along a ray are.
pub(super) fn radiance_field(spec: &Spec, units: Units) -> Result<&Radiance> {
    if units == Units::Normalized {
        return Err(Error::argument(
            "the sampler's units are normalised, expected physical ones: densities are per unit of \
             length",
        ));
    }
    spec.radiance.as_ref().ok_or_else(|| {
        Error::argument(
            "the model is no radiance field: it has values, but neither densities nor colours",
        )
    })
}

impl Runtime {
    /// # Errors
    /// `InvalidArgument` unless there is a direction for each.
    pub(super) fn check_rays(
        &self,
        (from, name): (&Points<'_>, &str),
        directions: &Points<'_>,
    ) -> Result<()> {
        self.check_points(from)?;
        self.check_points(directions)?;
        if from.len() == directions.len() {
            return Ok(());
        }
        Err(Error::argument(format!(
            "{} directions for {} {name}, expected as many",
            directions.len(),
            from.len()
        )))
    }

    /// Runs `task` with a worker for each of some items, on the pool if there is one and `rays` are
    /// many.
    fn each_item(
        &self,
        items: usize,
        rays: usize,
        task: impl Fn(&mut super::worker::Worker, usize) + Sync,
    ) {
        let Some(pool) = self.threads_for(rays) else {
            return self.workers.lend(self, |worker| (0..items).for_each(|n| task(worker, n)));
        };
        let each = |n| self.workers.lend(self, |worker| task(worker, n));
        // One at a time: some are long, some are empty.
        pool.install(|| (0..items).into_par_iter().with_max_len(1).for_each(each));
    }
}

impl Camera {
    /// # Errors
    /// `InvalidArgument` unless its numbers are finite, focal lengths positive, and every pixel has
    /// a direction.
    pub(super) fn check(&self) -> Result<()> {
        let numbers = self.to_world.as_flattened().iter().chain(&self.focal).chain(&self.centre);
        if let Some(number) = numbers.clone().find(|number| !number.is_finite()) {
            return Err(Error::argument(format!("a number of the camera is {number}")));
        }
        if let Some(focal) = self.focal.iter().find(|&&focal| focal <= 0.0) {
            return Err(Error::argument(format!(
                "a focal length of the camera is {focal}, expected a positive number of pixels"
            )));
        }
        let [a, b, c] = [0, 1, 2].map(|row| {
            let [x, y, z, _] = self.to_world[row];
            [x, y, z]
        });
        let determinant = a[0] * (b[1] * c[2] - b[2] * c[1]) - a[1] * (b[0] * c[2] - b[2] * c[0])
            + a[2] * (b[0] * c[1] - b[1] * c[0]);
        if determinant == 0.0 || !determinant.is_finite() {
            return Err(Error::argument(format!(
                "the determinant of the camera's rotation is {determinant}, expected 1"
            )));
        }
        Ok(())
    }
}

impl RenderOptions<'_> {
    /// The distance of samples.
    ///
    /// # Errors
    /// `InvalidArgument` unless they make sense for so many rays through a field.
    pub(super) fn check(&self, spec: &Spec, field: &Radiance, rays: usize) -> Result<f64> {
        let step = self.step.unwrap_or(field.step);
        check_step(&spec.axes, step).map_err(|error| Error::argument(error.to_string()))?;
        self.check_numbers(rays)?;
        Ok(step)
    }

    /// # Errors
    /// `InvalidArgument` if depths are measured along an axis, which rays do not have.
    pub(super) fn check_no_axis(&self) -> Result<()> {
        match self.depth {
            DepthKind::AlongRay => Ok(()),
            DepthKind::AlongAxis => Err(Error::argument(
                "depths along the camera's axis asked for: rays have none, expected depths along \
                 the rays",
            )),
        }
    }

    fn check_numbers(&self, rays: usize) -> Result<()> {
        let Self { near, far, stop, .. } = *self;
        if !(near >= 0.0 && near.is_finite() && far >= 0.0) {
            return Err(Error::argument(format!(
                "rays from {near} to {far}, expected distances that are not negative"
            )));
        }
        if !(stop > 0.0 && stop <= 1.0) {
            return Err(Error::argument(format!(
                "rays end when a part of {stop} passes, expected one above 0 and up to 1"
            )));
        }
        if !self.background.iter().all(|x| x.is_finite()) {
            return Err(Error::argument(format!("the background is {:?}", self.background)));
        }
        match self.scene_depth {
            Some(depths) if depths.len() != rays => Err(Error::argument(format!(
                "{} depths of the scene for {rays} rays, expected as many",
                depths.len()
            ))),
            Some(depths) if depths.dims() != 1 => Err(Error::argument(format!(
                "depths of the scene with {} numbers each, expected 1",
                depths.dims()
            ))),
            _ => Ok(()),
        }
    }
}

/// Number of a picture's pixels.
///
/// # Errors
/// `InvalidArgument` if it cannot be counted.
pub(super) fn pixels([width, height]: [usize; 2]) -> Result<usize> {
    let pixels = width.checked_mul(height).filter(|&pixels| isize::try_from(pixels).is_ok());
    pixels.ok_or_else(|| Error::argument(format!("{width} times {height} pixels: too many")))
}

/// # Errors
/// `InvalidArgument` unless there is room for what so many rays see.
pub(super) fn check_picture(
    rays: usize,
    rgba: &ValuesMut<'_>,
    depth: Option<&ValuesMut<'_>>,
) -> Result<()> {
    check_room("rgba", rgba, rays, 4)?;
    depth.map_or(Ok(()), |depth| check_room("depth", depth, rays, 1))
}

/// # Errors
/// `InvalidArgument` unless there is room for `each` numbers of `count` rays or points.
pub(super) fn check_room(what: &str, out: &ValuesMut<'_>, count: usize, each: usize) -> Result<()> {
    if out.outputs() == each && out.len() == count {
        return Ok(());
    }
    Err(Error::argument(format!(
        "{what}: room for {} times {} numbers, expected {count} times {each}",
        out.len(),
        out.outputs()
    )))
}
