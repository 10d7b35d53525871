//! What a device computes is compared with the CPU at some points before others get to use it.

use std::sync::Arc;

use super::device::{DeviceModel, DeviceSampler};
use super::points::Points;
use super::results::{Places, PointStride, ValuesMut};
use super::scalar::Scalar;
use super::{Sampler, SamplerOptions, Units};
use crate::cuda::{Kernel, Machine, Memory, Stream};
use crate::model::spec::LayerPrecision;
use crate::{Error, ErrorKind, Result};

/// Points that are compared.
const COUNT: usize = 256;

/// Largest difference from the CPU, in units of the largest value, that is rounding: to 32 bits,
/// and of weights and hidden values to the 11 significant bits of tensor cores.
const ROUNDING: f64 = 1e-4;
const ROUNDING_TO_HALVES: f64 = 1e-2;

/// The same of colours, which go through more layers.
const ROUNDING_OF_COLOURS: f64 = 1e-3;

impl DeviceModel {
    /// Compares values by the kernel in use.
    ///
    /// # Errors
    /// `Device` if they are not those of the CPU; what the driver says.
    pub(super) fn check(self: &Arc<Self>) -> Result<()> {
        let spec = self.spec();
        let (dims, outputs) = (spec.axes.len(), spec.outputs());
        let options = SamplerOptions { units: Units::Normalized, ..Default::default() };
        let points = spread(dims);
        let (here, there) = self.samplers(&options)?;
        let points_of = Points::packed(&points, dims)?;
        let mut expected = vec![0.0f64; COUNT * outputs];
        here.query(&points_of, &mut ValuesMut::packed(&mut expected, outputs)?)?;
        let mut found = vec![0.0; COUNT * outputs];
        there.query_host(&points_of, &mut ValuesMut::packed(&mut found, outputs)?)?;
        let rounding = match self.kernel() {
            Kernel::Portable => ROUNDING,
            Kernel::Tensor64 | Kernel::Tensor128 | Kernel::Tensor256 => ROUNDING_TO_HALVES,
        };
        let layers = &spec.layers;
        let is_plain = layers.iter().all(|layer| layer.precision == LayerPrecision::F32);
        self.compare(&Compared { points: &points, found, expected, rounding, is_plain })
    }

    /// Compares the densities and colours of a radiance field; nothing of other models, and of those
    /// whose colours the device has no room for.
    ///
    /// # Errors
    /// As [`DeviceModel::check`].
    pub(super) fn check_colours(self: &Arc<Self>) -> Result<()> {
        let spec = self.spec();
        let Some(field) = spec.radiance.as_ref().filter(|_| self.resident.has_colours()) else {
            return Ok(());
        };
        let mut points = spread(3);
        for (n, x) in points.iter_mut().enumerate() {
            let axis = &spec.axes[n % 3];
            *x = axis.min + (axis.max - axis.min) * (*x + 1.0) / 2.0;
        }
        let directions: Vec<f64> = points.iter().map(|x| (1e3 * x).sin() + 0.1).collect();
        let (here, there) = self.samplers(&SamplerOptions::default())?;
        let mut expected = vec![0.0f64; COUNT * 4];
        here.radiance(
            &Points::packed(&points, 3)?,
            &Points::packed(&directions, 3)?,
            &mut ValuesMut::packed(&mut expected, 4)?,
        )?;
        let machine = self.machine();
        let [from, to] = [&points, &directions].map(|numbers| uploaded(machine, numbers));
        let [from, to, room] = [from?, to?, Memory::new(machine, COUNT * 4 * 8)?];
        // SAFETY: new blocks of these sizes, which live until the work is waited for.
        let found = unsafe {
            let view = |memory: &Memory| {
                let first = memory.address() as *const u8;
                let axes = [0, 1, 2].map(|k| (first.wrapping_add(8 * k), 24));
                Points::from_raw(Scalar::F64, COUNT, 3, axes)
            };
            let places = Places::Strided(room.address() as *mut u8, [8, 0]);
            let stride = PointStride::Each(32);
            let mut values = ValuesMut::from_raw(Scalar::F64, [COUNT, 4], places, stride);
            there.radiance(&view(&from), &view(&to), &mut values, Stream::default())?;
            machine.synchronize(Stream::default())?;
            downloaded(machine, &room)?
        };
        let layers = spec.layers.iter().chain(&field.layers);
        let is_plain = layers.into_iter().all(|layer| layer.precision == LayerPrecision::F32);
        let rounding = ROUNDING_OF_COLOURS;
        self.compare(&Compared { points: &points, found, expected, rounding, is_plain })
    }

    /// The model bound to some parameters, here and there.
    fn samplers(self: &Arc<Self>, options: &SamplerOptions) -> Result<(Sampler, DeviceSampler)> {
        let spec = self.spec();
        let parameters: Vec<f64> = (spec.parameters.iter().enumerate())
            .map(|(n, parameter)| {
                let t = ((n + 1) as f64 * std::f64::consts::SQRT_2).fract();
                match options.units {
                    Units::Normalized => t,
                    Units::Physical => parameter.min + t * (parameter.max - parameter.min),
                }
            })
            .collect();
        Ok((
            Sampler::new(self.runtime(), &parameters, options)?,
            DeviceSampler::new(self, &parameters, options)?,
        ))
    }

    fn compare(&self, compared: &Compared<'_>) -> Result<()> {
        let Compared { points, found, expected, rounding, .. } = compared;
        let scale = expected.iter().fold(1e-3, |most: f64, value| most.max(value.abs()));
        let error = |n: usize| {
            let error = (expected[n] - found[n]).abs() / scale;
            // NaN is the worst of all.
            if error.is_nan() { f64::INFINITY } else { error }
        };
        let mut order: Vec<usize> = (0..expected.len()).collect();
        order.sort_by(|&a, &b| error(a).total_cmp(&error(b)));
        let worst = order[order.len() - 1];
        if error(order[compared.last()]) <= *rounding {
            return Ok(());
        }
        let (outputs, dims) = (expected.len() / COUNT, points.len() / COUNT);
        Err(Error::new(
            ErrorKind::Device,
            format!(
                "{}: number {} at {:?} is {} by the {} kernel, on the CPU {}: this device computes \
                 something else, please report it",
                self.device(),
                worst % outputs,
                &points[worst / outputs * dims..][..dims],
                found[worst],
                self.kernel().name(),
                expected[worst],
            ),
        ))
    }
}

/// Results of both sides.
struct Compared<'a> {
    points: &'a [f64],
    found: Vec<f64>,
    expected: Vec<f64>,
    rounding: f64,
    /// No layer rounds its inputs.
    is_plain: bool,
}

impl Compared<'_> {
    /// Which of the results, in the order of their differences, must still be equal up to rounding:
    /// the last. Layers that round their inputs may take the next step where sums differ by the last
    /// bit, so that some differ by a step.
    fn last(&self) -> usize {
        let results = self.expected.len();
        if self.is_plain { results - 1 } else { results * 9 / 10 }
    }
}

/// Normalised points, some of them outside: by irrational steps, so that cells and their sides are all
/// met.
fn spread(dims: usize) -> Vec<f64> {
    (0..COUNT * dims)
        .map(|n| 2.1 * ((n as f64 + 0.5) * 0.618_033_988_749_895).fract() - 1.05)
        .collect()
}

fn uploaded(machine: &Arc<dyn Machine>, numbers: &[f64]) -> Result<Memory> {
    let bytes: Vec<u8> = numbers.iter().flat_map(|x| x.to_ne_bytes()).collect();
    let memory = Memory::new(machine, bytes.len())?;
    // SAFETY: a new block of this size.
    unsafe { machine.upload(memory.address(), &bytes)? };
    Ok(memory)
}

/// # Safety
/// Nothing under way uses the memory.
unsafe fn downloaded(machine: &Arc<dyn Machine>, memory: &Memory) -> Result<Vec<f64>> {
    let mut bytes = vec![0; memory.bytes()];
    // SAFETY: the caller's promise; all of the block.
    unsafe { machine.download(memory.address(), &mut bytes)? };
    Ok(bytes.as_chunks().0.iter().map(|&bytes| f64::from_ne_bytes(bytes)).collect())
}
