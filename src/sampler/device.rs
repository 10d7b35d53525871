//! Queries on a device: units and policies as on the CPU, points and results in the device's memory.
//! The arithmetic is in [`cuda`](crate::cuda).

use std::ffi::c_void;
use std::sync::{Arc, Mutex};

use super::device_arguments as arguments;
use super::parameters::{Parameters, Ranges, check_count};
use super::points::Points;
use super::results::ValuesMut;
use super::{Lattice, Runtime, SamplerOptions};
use crate::Result;
use crate::cuda::arguments::{self as raw, Binding};
use crate::cuda::gpu::Gpu;
use crate::cuda::{Choice, Kernel, Lane, Machine, Memory, Parts, Resident, Stream};
use crate::model::spec::Spec;

/// How a model is used on a device.
#[derive(Debug, Clone, Copy, Default)]
pub struct DeviceOptions {
    /// Which kernel answers.
    pub kernel: Choice,
}

/// A model in the memory of a device, checked there against the CPU. Shared by its samplers; any
/// number of threads may use it.
pub struct DeviceModel {
    runtime: Arc<Runtime>,
    pub(super) resident: Resident,
    /// What queries for arrays of the host go through, as far as they are not in use.
    pub(super) lanes: Mutex<Vec<[Lane; 2]>>,
}

/// A model on a device bound to one set of parameters.
///
/// Its results stand in the order of the stream that it is given. Binding it to other parameters is
/// a part of that order too, so that one sampler belongs to one stream at a time.
pub struct DeviceSampler {
    model: Arc<DeviceModel>,
    options: SamplerOptions,
    frame: raw::Frame,
    memory: Memory,
    binding: Binding,
}

impl DeviceModel {
    /// Copies an open model to the GPU of this number (as the CUDA driver counts).
    ///
    /// # Errors
    /// `NoDevice` if there is no such GPU or no driver, `OutOfMemory`, `Unsupported` if the GPU is
    /// too old or the model's layers too wide, `Device` if results there are not those of the CPU.
    pub fn new(runtime: &Arc<Runtime>, ordinal: u32, options: &DeviceOptions) -> Result<Arc<Self>> {
        // SAFETY: no context is given.
        unsafe { Self::in_context(runtime, ordinal, std::ptr::null_mut(), options) }
    }

    /// [`DeviceModel::new`] in a context of the caller (a `CUcontext`).
    ///
    /// # Safety
    /// `context` is NULL or a live context that outlives the model and its samplers.
    ///
    /// # Errors
    /// As [`DeviceModel::new`]; `InvalidArgument` if the context is another device's.
    pub unsafe fn in_context(
        runtime: &Arc<Runtime>,
        ordinal: u32,
        context: *mut c_void,
        options: &DeviceOptions,
    ) -> Result<Arc<Self>> {
        // SAFETY: the caller's promise.
        Self::on(runtime, &unsafe { Gpu::open(ordinal, context)? }, options)
    }

    /// Copies an open model to any machine that runs the kernels.
    ///
    /// # Errors
    /// As [`DeviceModel::new`].
    pub fn on(
        runtime: &Arc<Runtime>,
        machine: &Arc<dyn Machine>,
        options: &DeviceOptions,
    ) -> Result<Arc<Self>> {
        let ranges = Ranges::new(runtime.model().spec(), &SamplerOptions::default())?;
        let parts = Parts { ranges: arguments::ranges(&ranges), blocks: runtime.blocks().bytes() };
        let resident = Resident::new(machine, runtime.model(), &parts, options.kernel)
            .map_err(|error| error.context(machine.name()))?;
        let model = Arc::new(Self { runtime: runtime.clone(), resident, lanes: Mutex::default() });
        // The portable kernel always has a part: parameters of single points.
        model.check()?;
        model.check_colours()?;
        if model.resident.has_tensor_cores() {
            model.resident.use_tensor_cores(true);
            match model.check() {
                Err(error) if options.kernel == Choice::Auto => {
                    log::warn!("{error}; the portable kernel answers instead");
                    model.resident.use_tensor_cores(false);
                }
                result => result?,
            }
        }
        let (bytes, kernel) = (model.memory_bytes(), model.kernel().name());
        log::info!("{}: {bytes} bytes, kernel {kernel}, checked", machine.name());
        Ok(model)
    }

    /// The kernel that answers for bound parameters; those of single points are always the portable
    /// one's.
    pub fn kernel(&self) -> Kernel {
        self.resident.kernel()
    }

    /// The model on the CPU.
    pub fn runtime(&self) -> &Arc<Runtime> {
        &self.runtime
    }

    /// Name and number of the device, for people.
    pub fn device(&self) -> String {
        self.resident.machine().name()
    }

    /// Bytes of the device's memory that it takes, without its samplers and without what arrays of the
    /// host go through: some megabytes for each thread that asks at the same time.
    pub fn memory_bytes(&self) -> usize {
        self.resident.bytes()
    }

    pub(super) fn machine(&self) -> &Arc<dyn Machine> {
        self.resident.machine()
    }

    pub(super) fn spec(&self) -> &Spec {
        self.runtime.model().spec()
    }

    /// Queues the values at `points`, each for parameters of its own, as [`Runtime::query`] has it.
    ///
    /// # Safety
    /// As for [`DeviceSampler::query`], for the parameters too.
    ///
    /// # Errors
    /// As [`DeviceSampler::query`].
    pub unsafe fn query(
        &self,
        parameters: &Parameters<'_>,
        options: &SamplerOptions,
        points: &Points<'_>,
        values: &mut ValuesMut<'_>,
        stream: Stream,
    ) -> Result<()> {
        self.runtime.check_points(points)?;
        self.runtime.check_room(points.len(), values)?;
        parameters.check(self.spec(), points.len(), "point")?;
        let query = raw::Query {
            frame: arguments::frame(self.spec(), options)?,
            points: arguments::points(points),
            table: arguments::table(parameters),
            results: arguments::results(values)?,
            count: points.len() as u64,
            ..Default::default()
        };
        // SAFETY: the caller's promise.
        unsafe { self.resident.query(&query, stream) }
    }
}

impl DeviceSampler {
    /// Binds a model on a device to `parameters`, one per parameter of the model, in the file's
    /// order, and waits for that.
    ///
    /// # Errors
    /// `InvalidArgument` for a wrong number of parameters; `OutsideDomain` by policy; `Unsupported`
    /// for [`Outside::Error`](super::Outside::Error) of points, which a queue of work cannot answer;
    /// what the driver says.
    pub fn new(
        model: &Arc<DeviceModel>,
        parameters: &[f64],
        options: &SamplerOptions,
    ) -> Result<Self> {
        let frame = arguments::frame(model.spec(), options)?;
        let (memory, binding) = model.resident.binding()?;
        let sampler = Self { model: model.clone(), options: *options, frame, memory, binding };
        // SAFETY: nobody else has the sampler yet, and the work is waited for.
        unsafe { sampler.set_parameters(parameters, Stream::default())? };
        model.resident.machine().synchronize(Stream::default())?;
        Ok(sampler)
    }

    /// How it answers.
    pub(super) fn options(&self) -> &SamplerOptions {
        &self.options
    }

    pub(super) fn resident(&self) -> &Resident {
        &self.model.resident
    }

    /// The model on its device.
    pub fn model(&self) -> &Arc<DeviceModel> {
        &self.model
    }

    /// Queues the binding of other parameters: queries that are queued later on the stream are
    /// answered for them. Neither allocates nor waits; can be part of a CUDA graph, which keeps the
    /// parameters of the time of its capture.
    ///
    /// # Safety
    /// `stream` is 0 or a live stream of the device; queries on other streams are done; the sampler
    /// lives until the stream got to the end of this.
    ///
    /// # Errors
    /// As [`DeviceSampler::new`].
    pub unsafe fn set_parameters(&self, parameters: &[f64], stream: Stream) -> Result<()> {
        let spec = self.model.spec();
        check_count(spec, parameters.len())?;
        let (normalized, is_nan) = Ranges::new(spec, &self.options)?.normalize(parameters)?;
        // SAFETY: from `binding`, and as the caller promised.
        unsafe {
            self.model.resident.bind((&self.memory, self.binding), &normalized, is_nan, stream)
        }
    }

    /// Queues the values at `points`. A point with a NaN coordinate gives NaN. Neither allocates nor
    /// waits; can be part of a CUDA graph.
    ///
    /// # Safety
    /// The addresses of `points` and `values` are those of memory that the device can read and
    /// write, until the stream got to the end of this; so long the sampler lives. `stream` is 0 or
    /// a live stream of the device.
    ///
    /// # Errors
    /// `InvalidArgument` if sizes do not fit the model or each other; `Unsupported` for more than
    /// 32 results in arrays of their own; what the driver says. Errors of the device itself show up
    /// later, where the stream is waited for.
    pub unsafe fn query(
        &self,
        points: &Points<'_>,
        values: &mut ValuesMut<'_>,
        stream: Stream,
    ) -> Result<()> {
        self.model.runtime.check_points(points)?;
        // SAFETY: the caller's promise.
        unsafe { self.answer(arguments::points(points), points.len(), values, stream) }
    }

    /// Queues the values at the points of a lattice, without an array of coordinates.
    ///
    /// # Safety
    /// As for [`DeviceSampler::query`].
    ///
    /// # Errors
    /// As [`DeviceSampler::query`].
    pub unsafe fn query_lattice(
        &self,
        lattice: &Lattice,
        values: &mut ValuesMut<'_>,
        stream: Stream,
    ) -> Result<()> {
        lattice.check(self.model.spec().axes.len())?;
        let count = lattice.points().unwrap_or(0);
        // SAFETY: the caller's promise.
        unsafe { self.answer(arguments::lattice(lattice), count, values, stream) }
    }

    unsafe fn answer(
        &self,
        points: raw::Points,
        count: usize,
        values: &ValuesMut<'_>,
        stream: Stream,
    ) -> Result<()> {
        self.model.runtime.check_room(count, values)?;
        // SAFETY: the caller's promise.
        unsafe { self.queue(points, arguments::results(values)?, count, stream) }
    }

    /// Queues a query.
    ///
    /// # Safety
    /// All addresses must be what `arguments.h` says, and as for [`DeviceSampler::query`].
    pub(super) unsafe fn queue(
        &self,
        points: raw::Points,
        results: raw::Results,
        count: usize,
        stream: Stream,
    ) -> Result<()> {
        // SAFETY: the caller's promise.
        unsafe { self.model.resident.query(&self.asked(points, results, count), stream) }
    }

    /// [`DeviceSampler::queue`] for derivatives: `gradient` says of which, and where they go.
    ///
    /// # Safety
    /// As for [`DeviceSampler::queue`].
    pub(super) unsafe fn queue_gradient(
        &self,
        gradient: raw::Gradient,
        points: raw::Points,
        results: raw::Results,
        count: usize,
        stream: Stream,
    ) -> Result<()> {
        let query = self.asked(points, results, count);
        // SAFETY: the caller's promise.
        unsafe { self.model.resident.gradient(&raw::Gradient { query, ..gradient }, stream) }
    }

    /// What kernels are told of a query.
    pub(super) fn asked(
        &self,
        points: raw::Points,
        results: raw::Results,
        count: usize,
    ) -> raw::Query {
        raw::Query {
            frame: self.frame,
            points,
            results,
            binding: self.binding,
            count: count as u64,
            ..Default::default()
        }
    }
}
