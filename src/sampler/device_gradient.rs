//! Queries for values and derivatives on a device. What they are is in [`gradient`](super::gradient);
//! the arithmetic is in [`cuda`](crate::cuda).

use super::Lattice;
use super::device::DeviceSampler;
use super::device_arguments as arguments;
use super::gradient::Gradients;
use super::points::Points;
use super::results::ValuesMut;
use crate::Result;
use crate::cuda::Stream;
use crate::cuda::arguments as raw;

impl DeviceSampler {
    /// Queues values at `points` (unless `None`) and their derivatives, as
    /// [`Sampler::query_gradient`](super::Sampler::query_gradient) has them; in 32 bits, also where
    /// tensor cores answer other queries. Neither allocates nor waits; can be part of a CUDA graph.
    ///
    /// # Safety
    /// As for [`DeviceSampler::query`], for the room for derivatives too.
    ///
    /// # Errors
    /// As [`DeviceSampler::query`]; `Unsupported` if the model's layers are too wide and many for the
    /// memory that a block of the device has.
    pub unsafe fn query_gradient(
        &self,
        points: &Points<'_>,
        values: Option<&mut ValuesMut<'_>>,
        gradients: &mut Gradients<'_>,
        stream: Stream,
    ) -> Result<()> {
        self.model().runtime().check_points(points)?;
        // SAFETY: the caller's promise.
        unsafe {
            let at = (arguments::points(points), points.len());
            self.differentiate(at, values, gradients, stream)
        }
    }

    /// [`DeviceSampler::query_gradient`] for the points of a lattice, without an array of
    /// coordinates.
    ///
    /// # Safety
    /// As for [`DeviceSampler::query_gradient`].
    ///
    /// # Errors
    /// As [`DeviceSampler::query_gradient`].
    pub unsafe fn query_lattice_gradient(
        &self,
        lattice: &Lattice,
        values: Option<&mut ValuesMut<'_>>,
        gradients: &mut Gradients<'_>,
        stream: Stream,
    ) -> Result<()> {
        lattice.check(self.model().runtime().model().spec().axes.len())?;
        // SAFETY: the caller's promise.
        unsafe {
            let at = (arguments::lattice(lattice), lattice.points().unwrap_or(0));
            self.differentiate(at, values, gradients, stream)
        }
    }

    /// Queues a query for what is wanted.
    ///
    /// # Safety
    /// As for [`DeviceSampler::query_gradient`].
    unsafe fn differentiate(
        &self,
        (points, count): (raw::Points, usize),
        values: Option<&mut ValuesMut<'_>>,
        gradients: &mut Gradients<'_>,
        stream: Stream,
    ) -> Result<()> {
        let runtime = self.model().runtime();
        if let Some(values) = &values {
            runtime.check_room(count, values)?;
        }
        gradients.check(runtime.model().spec(), count)?;
        let Gradients { position, parameters } = gradients;
        let parameters = parameters.as_ref().filter(|parameters| parameters.components() > 0);
        let derivatives = |room| arguments::derivatives(room);
        let gradient = raw::Gradient {
            wants_values: values.is_some().into(),
            wants_position: position.is_some().into(),
            wants_parameters: parameters.is_some().into(),
            position: position.as_ref().map(derivatives).transpose()?.unwrap_or_default(),
            parameters: parameters.map(derivatives).transpose()?.unwrap_or_default(),
            ..Default::default()
        };
        let results = values.map(|values| arguments::results(values)).transpose()?;
        // SAFETY: the caller's promise.
        unsafe { self.queue_gradient(gradient, points, results.unwrap_or_default(), count, stream) }
    }
}
