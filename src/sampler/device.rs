//! Queries on a device: units and policies as on the CPU, points and results in the device's memory.
//! The arithmetic is in [`cuda`](crate::cuda).

use std::ffi::c_void;
use std::sync::{Arc, Mutex};

use super::parameters::{Parameters, Ranges, check_count};
use super::points::Points;
use super::policy::Normalizer;
use super::results::{Places, PointStride, ValuesMut};
use super::scalar::Scalar;
use super::{Lattice, Outside, Runtime, Sampler, SamplerOptions, Units};
use crate::cuda::arguments::{self as raw, Binding, MAX_SEPARATE};
use crate::cuda::gpu::Gpu;
use crate::cuda::{Choice, Kernel, Lane, Machine, Memory, Resident, Stream};
use crate::model::spec::{LayerPrecision, Spec};
use crate::{Error, ErrorKind, Result};

/// Points of the self-check.
const CHECKED: usize = 256;

/// Largest difference from the CPU, in units of the largest value, that is rounding: to 32 bits,
/// and of weights and hidden values to the 11 significant bits of tensor cores.
const ROUNDING: f64 = 1e-4;
const ROUNDING_TO_HALVES: f64 = 1e-2;

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
    resident: Resident,
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
        let resident = Resident::new(machine, runtime.model(), &ranges.raw(), options.kernel)
            .map_err(|error| error.context(machine.name()))?;
        let mut model =
            Arc::new(Self { runtime: runtime.clone(), resident, lanes: Mutex::default() });
        if let Err(error) = model.check() {
            let is_portable = model.kernel() == Kernel::Portable;
            // Nobody else has it: the samplers of the check are gone.
            let alone = Arc::get_mut(&mut model).filter(|_| !is_portable);
            match (options.kernel, error.kind(), alone) {
                (Choice::Auto, ErrorKind::Device, Some(alone)) => {
                    log::warn!("{error}; the portable kernel answers instead");
                    alone.resident.be_portable();
                    model.check()?;
                }
                _ => return Err(error),
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

    /// Bytes of the device's memory that it takes, without its samplers.
    pub fn memory_bytes(&self) -> usize {
        self.resident.bytes()
    }

    pub(super) fn machine(&self) -> &Arc<dyn Machine> {
        self.resident.machine()
    }

    fn spec(&self) -> &Spec {
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
            frame: frame(self.spec(), options)?,
            points: raw_points(points),
            table: parameters.raw(),
            results: raw_results(values)?,
            count: points.len() as u64,
            ..Default::default()
        };
        // SAFETY: the caller's promise.
        unsafe { self.resident.query(&query, stream) }
    }

    /// Compares some points with the CPU.
    fn check(self: &Arc<Self>) -> Result<()> {
        let spec = self.spec();
        let (dims, outputs) = (spec.axes.len(), spec.outputs());
        let options = SamplerOptions { units: Units::Normalized, ..Default::default() };
        // Irrational steps, so that cells and their sides are all met.
        let points: Vec<f64> = (0..CHECKED * dims)
            .map(|n| 2.1 * ((n as f64 + 0.5) * 0.618_033_988_749_895).fract() - 1.05)
            .collect();
        let parameters: Vec<f64> = (1..=spec.parameters.len())
            .map(|n| (n as f64 * std::f64::consts::SQRT_2).fract())
            .collect();
        let mut expected = vec![0.0f64; CHECKED * outputs];
        Sampler::new(&self.runtime, &parameters, &options)?.query(
            &Points::packed(&points, dims)?,
            &mut ValuesMut::packed(&mut expected, outputs)?,
        )?;
        let mut found = vec![0.0; CHECKED * outputs];
        DeviceSampler::new(self, &parameters, &options)?.query_host(
            &Points::packed(&points, dims)?,
            &mut ValuesMut::packed(&mut found, outputs)?,
        )?;
        let scale = expected.iter().fold(1e-3, |most: f64, value| most.max(value.abs()));
        let error = |n: usize| {
            let error = (expected[n] - found[n]).abs() / scale;
            // NaN is the worst of all.
            if error.is_nan() { f64::INFINITY } else { error }
        };
        let mut order: Vec<usize> = (0..expected.len()).collect();
        order.sort_by(|&a, &b| error(a).total_cmp(&error(b)));
        let worst = order[order.len() - 1];
        let rounding = match self.kernel() {
            Kernel::Portable => ROUNDING,
            Kernel::Tensor64 | Kernel::Tensor128 | Kernel::Tensor256 => ROUNDING_TO_HALVES,
        };
        if error(order[last_compared(spec, order.len())]) <= rounding {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Device,
            format!(
                "{}: value {} at {:?} (normalised) is {} by the {} kernel, on the CPU {}: this \
                 device computes something else, please report it",
                self.resident.machine().name(),
                worst % outputs,
                &points[worst / outputs * dims..][..dims],
                found[worst],
                self.kernel().name(),
                expected[worst],
            ),
        ))
    }
}

impl DeviceSampler {
    /// Binds a model on a device to `parameters`, one per parameter of the model, in the file's
    /// order, and waits for that.
    ///
    /// # Errors
    /// `InvalidArgument` for a wrong number of parameters; `OutsideDomain` by policy; `Unsupported`
    /// for [`Outside::Error`] of points, which a queue of work cannot answer; what the driver says.
    pub fn new(
        model: &Arc<DeviceModel>,
        parameters: &[f64],
        options: &SamplerOptions,
    ) -> Result<Self> {
        let frame = frame(model.spec(), options)?;
        let (memory, binding) = model.resident.binding()?;
        let sampler = Self { model: model.clone(), options: *options, frame, memory, binding };
        // SAFETY: nobody else has the sampler yet, and the work is waited for.
        unsafe { sampler.set_parameters(parameters, Stream::default())? };
        model.resident.machine().synchronize(Stream::default())?;
        Ok(sampler)
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
        unsafe { self.answer(raw_points(points), points.len(), values, stream) }
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
        unsafe { self.answer(raw_lattice(lattice), count, values, stream) }
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
        unsafe { self.queue(points, raw_results(values)?, count, stream) }
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
        let query = raw::Query {
            frame: self.frame,
            points,
            results,
            binding: self.binding,
            count: count as u64,
            ..Default::default()
        };
        // SAFETY: the caller's promise.
        unsafe { self.model.resident.query(&query, stream) }
    }
}

/// Which of so many results, in the order of their differences from the CPU, must still be equal up
/// to rounding: the last. Layers that round their inputs may take the next step where sums differ
/// by the last bit, so that some differ by a step.
fn last_compared(spec: &Spec, results: usize) -> usize {
    let is_plain = spec.layers.iter().all(|layer| layer.precision == LayerPrecision::F32);
    if is_plain { results - 1 } else { results * 9 / 10 }
}

/// How a device answers.
fn frame(spec: &Spec, options: &SamplerOptions) -> Result<raw::Frame> {
    for (name, outside) in
        [("outside", options.outside), ("outside_parameters", options.outside_parameters)]
    {
        if outside == Outside::Error {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!("{name}: error, which a queue of work cannot answer: ask for nan or clamp"),
            ));
        }
    }
    let mut axes = [raw::Axis { min: -1.0, range: 2.0, limit: 1.0 }; 3];
    for (axis, (min, max, limit)) in axes.iter_mut().zip(Normalizer::new(spec, options).axes()) {
        *axis = raw::Axis { min, range: max - min, limit };
    }
    Ok(raw::Frame {
        axes,
        fades: (options.outside == Outside::Zeros).into(),
        evaluates_outside: matches!(options.outside, Outside::Clamp | Outside::Zeros).into(),
        is_physical: (options.units == Units::Physical).into(),
        evaluates_parameters: (options.outside_parameters == Outside::Clamp).into(),
    })
}

/// Number of a type in `arguments.h`.
pub(super) fn scalar(scalar: Scalar) -> u32 {
    match scalar {
        Scalar::F32 => 0,
        Scalar::F64 => 1,
        Scalar::F16 => 2,
    }
}

/// The points of a lattice.
pub(super) fn raw_lattice(lattice: &Lattice) -> raw::Points {
    raw::Points {
        origin: lattice.origin,
        spacing: lattice.spacing,
        lattice: lattice.dims.map(|size| size as u64),
        is_lattice: 1,
        ..Default::default()
    }
}

fn raw_points(points: &Points<'_>) -> raw::Points {
    let axes = points.axes();
    raw::Points {
        axes: axes.map(|(base, _)| base as u64),
        strides: axes.map(|(_, stride)| stride as i64),
        scalar: scalar(points.scalar()),
        ..Default::default()
    }
}

fn raw_results(values: &ValuesMut<'_>) -> Result<raw::Results> {
    let (kind, places, by_point) = values.layout();
    let mut results = raw::Results { scalar: scalar(kind), ..Default::default() };
    match places {
        Places::Strided(first, [by_value, _]) => {
            (results.data, results.value_stride) = (*first as u64, *by_value as i64);
        }
        Places::Separate(firsts) if firsts.len() <= MAX_SEPARATE => {
            results.is_separate = 1;
            for (to, &first) in results.separate.iter_mut().zip(firsts.iter()) {
                *to = first as u64;
            }
        }
        Places::Separate(firsts) => {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!(
                    "{} results in arrays of their own, a device takes up to {MAX_SEPARATE}: put \
                     them into one",
                    firsts.len()
                ),
            ));
        }
    }
    match by_point {
        PointStride::Each(stride) => results.strides[0] = stride as i64,
        PointStride::Lattice { strides, .. } => {
            results.is_lattice = 1;
            results.strides = strides.map(|stride| stride as i64);
        }
    }
    Ok(results)
}

impl Parameters<'_> {
    fn raw(&self) -> raw::Table {
        let (base, row_stride, column_stride) = self.layout();
        raw::Table {
            data: base as u64,
            row_stride: row_stride as i64,
            column_stride: column_stride as i64,
            scalar: scalar(self.scalar()),
            is_given: 1,
        }
    }
}

impl Ranges<'_> {
    fn raw(&self) -> Vec<raw::Range> {
        let rows = self.limits();
        rows.map(|(min, max, slack)| raw::Range { min, range: max - min, slack }).collect()
    }
}
