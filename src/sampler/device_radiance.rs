//! Radiance fields on a device: densities and colours at points, pictures. What they are is in
//! [`radiance`](super::radiance); the arithmetic is in [`cuda`](crate::cuda).

use super::device::DeviceSampler;
use super::device_arguments as arguments;
use super::points::Points;
use super::radiance::{
    Camera, DepthKind, RenderOptions, RenderOutput, check_picture, check_room, pixels,
    radiance_field,
};
use super::results::ValuesMut;
use crate::Result;
use crate::cuda::Stream;
use crate::cuda::arguments as raw;
use crate::model::spec::Spec;

/// Rays as kernels are told of them: where given ones begin, and the rest.
type Asked = (raw::Points, raw::Rays);

impl DeviceSampler {
    /// # Errors
    /// As [`Sampler::check_radiance`](super::Sampler::check_radiance).
    pub fn check_radiance(&self) -> Result<()> {
        radiance_field(self.spec(), self.options().units).map(drop)
    }

    /// Queues densities and colours, as [`Sampler::radiance`](super::Sampler::radiance) has them, in 32
    /// bits. A direction that is zero counts as one that is NaN. Neither allocates nor waits; can be
    /// part of a CUDA graph.
    ///
    /// # Safety
    /// As for [`DeviceSampler::query`], for the directions too.
    ///
    /// # Errors
    /// As [`DeviceSampler::query`]; `InvalidArgument` if the model is no radiance field or the
    /// sampler's units are normalised; `Unsupported` if the layers that make colours are too wide for
    /// the memory that a block of the device has.
    pub unsafe fn radiance(
        &self,
        points: &Points<'_>,
        directions: &Points<'_>,
        values: &mut ValuesMut<'_>,
        stream: Stream,
    ) -> Result<()> {
        self.check_radiance()?;
        self.model().runtime().check_rays((points, "points"), directions)?;
        check_room("values", values, points.len(), 4)?;
        let asked = raw::Radiance {
            query: self.asked(arguments::points(points), arguments::results(values)?, points.len()),
            directions: arguments::points(directions),
            ..Default::default()
        };
        // SAFETY: the caller's promise.
        unsafe { self.resident().radiance(&asked, stream) }
    }

    /// Queues a picture, as [`Sampler::render`](super::Sampler::render) has it, in 32 bits but for
    /// where samples are. Neither allocates nor waits; can be part of a CUDA graph, which keeps the
    /// camera of the time of its capture.
    ///
    /// # Safety
    /// As for [`DeviceSampler::query`], for the depths in `options` too.
    ///
    /// # Errors
    /// As [`DeviceSampler::radiance`]; `InvalidArgument` if the camera, the options or the sizes make
    /// no sense.
    pub unsafe fn render(
        &self,
        camera: &Camera,
        size: [usize; 2],
        options: &RenderOptions<'_>,
        rgba: &mut ValuesMut<'_>,
        depth: Option<&mut ValuesMut<'_>>,
        stream: Stream,
    ) -> Result<()> {
        self.check_radiance()?;
        let count = pixels(size)?;
        camera.check()?;
        let mut rays = raw::Rays {
            focal: camera.focal,
            centre: camera.centre,
            size: size.map(|n| n as u64),
            is_camera: 1,
            ..Default::default()
        };
        rays.to_world.copy_from_slice(camera.to_world.as_flattened());
        let rays = (raw::Points::default(), rays);
        // SAFETY: the caller's promise.
        unsafe { self.draw(rays, count, options, (rgba, depth.as_deref()), stream) }
    }

    /// [`DeviceSampler::render`] for rays from anywhere, as
    /// [`Sampler::render_rays`](super::Sampler::render_rays) has them; what a direction that is zero
    /// sees is NaN.
    ///
    /// # Safety
    /// As for [`DeviceSampler::render`], for the rays too.
    ///
    /// # Errors
    /// As [`DeviceSampler::render`], and if numbers differ, or depths are to be measured along an
    /// axis, which rays do not have.
    pub unsafe fn render_rays(
        &self,
        origins: &Points<'_>,
        directions: &Points<'_>,
        options: &RenderOptions<'_>,
        rgba: &mut ValuesMut<'_>,
        depth: Option<&mut ValuesMut<'_>>,
        stream: Stream,
    ) -> Result<()> {
        self.check_radiance()?;
        self.model().runtime().check_rays((origins, "origins"), directions)?;
        options.check_no_axis()?;
        let rays = raw::Rays { directions: arguments::points(directions), ..Default::default() };
        let rays = (arguments::points(origins), rays);
        // SAFETY: the caller's promise.
        unsafe { self.draw(rays, origins.len(), options, (rgba, depth.as_deref()), stream) }
    }

    /// Queues the picture of so many rays.
    ///
    /// # Safety
    /// As for [`DeviceSampler::render`].
    unsafe fn draw(
        &self,
        (origins, rays): Asked,
        count: usize,
        options: &RenderOptions<'_>,
        (rgba, depth): (&ValuesMut<'_>, Option<&ValuesMut<'_>>),
        stream: Stream,
    ) -> Result<()> {
        let spec = self.spec();
        let field = radiance_field(spec, self.options().units)?;
        let step = options.check(spec, field, count)?;
        check_picture(count, rgba, depth)?;
        let scene_depth = options.scene_depth.as_ref().map(arguments::points);
        let rays = raw::Rays {
            scene_depth: scene_depth.unwrap_or_default(),
            has_scene_depth: scene_depth.is_some().into(),
            step,
            near: options.near,
            far: options.far,
            stop: options.stop,
            max: [0, 1, 2].map(|k| spec.axes.get(k).map_or(0.0, |axis| axis.max)),
            along_axis: (options.depth == DepthKind::AlongAxis).into(),
            ..rays
        };
        let asked = raw::Render {
            query: self.asked(origins, arguments::results(rgba)?, count),
            rays,
            depth: depth.map(arguments::results).transpose()?.unwrap_or_default(),
            background: options.background,
            is_opaque: (options.output == RenderOutput::Opaque).into(),
            has_depth: depth.is_some().into(),
            ..Default::default()
        };
        // SAFETY: the caller's promise.
        unsafe { self.resident().render(&asked, stream) }
    }

    fn spec(&self) -> &Spec {
        self.model().runtime().model().spec()
    }
}
