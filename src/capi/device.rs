//! Models in the memory of a GPU, and queries of arrays there.

#![allow(non_camel_case_types)]

use std::ffi::{CString, c_void};
use std::sync::Arc;

use super::device_structs::{device_kernel, drr_device_info, drr_device_options};
use super::model::drr_model;
use super::sized::{read, required, write};
use super::structs::{drr_lattice, drr_parameters, drr_points, drr_sampler_options, drr_values};
use super::views::{self, Rows, sampler_options};
use super::{Handle, check_pointer, drr_status, give, handle, slice, status::guard, take_back};
use crate::cuda::{Stream, gpu};
use crate::{DeviceModel, DeviceOptions, DeviceSampler, Lattice, Points, Result, ValuesMut};

/// A model in the memory of a GPU. Immutable: any number of threads may use it at the same time.
/// Keeps what it needs of its model alive.
pub struct drr_device_model {
    model: Arc<DeviceModel>,
    ordinal: u32,
    device: CString,
    kernel: CString,
}

impl Handle for drr_device_model {
    const TAG: u64 = u64::from_le_bytes(*b"drrdevmo");
    const NAME: &'static str = "drr_device_model";
}

/// A model on a GPU bound to one set of simulation parameters. Belongs to one stream at a time. Keeps
/// its model there alive.
pub struct drr_device_sampler {
    pub(super) sampler: DeviceSampler,
}

impl Handle for drr_device_sampler {
    const TAG: u64 = u64::from_le_bytes(*b"drrdevsa");
    const NAME: &'static str = "drr_device_sampler";
}

/// Number of GPUs that NVIDIA's driver shows. The driver is opened when it is first needed.
///
/// @param count  receives the number; 0 on machines without a driver and in builds without CUDA
/// @return `DRR_OK`, `DRR_ERROR_INVALID_ARGUMENT`, or `DRR_ERROR_DEVICE` if there is a driver that
///         does not work
#[unsafe(no_mangle)]
pub unsafe extern "C" fn drr_device_count(count: *mut u32) -> drr_status {
    guard(|| {
        // SAFETY: the caller's promise, see the comment of the function.
        unsafe {
            check_pointer(count, "count")?;
            count.write(0);
            count.write(gpu::count()?);
        }
        Ok(())
    })
}

/// Copies an open model to a GPU and compares some hundred values there with those of the CPU. Waits
/// for both. The calling thread's current context is the same afterwards.
///
/// @param model         an open model; may be closed afterwards
/// @param ordinal       number of the GPU, as CUDA counts
/// @param options       NULL for the defaults
/// @param device_model  receives the handle, to be closed by `drr_device_model_close`; NULL on
///                      failure
/// @return `DRR_OK`, `DRR_ERROR_INVALID_ARGUMENT`, `DRR_ERROR_NO_DEVICE`,
///         `DRR_ERROR_OUT_OF_MEMORY`, `DRR_ERROR_UNSUPPORTED` if the GPU, its driver or this build
///         cannot run the model, or `DRR_ERROR_DEVICE` if it fails or its values are not those of
///         the CPU; the message names the worst point
#[unsafe(no_mangle)]
pub unsafe extern "C" fn drr_model_to_device(
    model: *const drr_model,
    ordinal: u32,
    options: *const drr_device_options,
    device_model: *mut *mut drr_device_model,
) -> drr_status {
    guard(|| {
        // SAFETY: the caller's promise, see the comment of the function.
        unsafe {
            check_pointer(device_model, "device_model")?;
            device_model.write(std::ptr::null_mut());
            let runtime = &handle(model)?.runtime;
            let given = read(options)?;
            let kernel = device_kernel(given.map_or(0, |given| given.kernel))?;
            let context = given.map_or(std::ptr::null_mut(), |given| given.context);
            let options = DeviceOptions { kernel };
            let model = DeviceModel::in_context(runtime, ordinal, context, &options)?;
            let text = |text: &str| CString::new(text.replace('\0', " ")).unwrap_or_default();
            let (device, kernel) = (text(&model.device()), text(model.kernel().name()));
            give(device_model, drr_device_model { model, ordinal, device, kernel });
        }
        Ok(())
    })
}

/// Closes a model on a GPU. Samplers that it has stay valid. No work of its queries may be under way.
///
/// @param device_model  NULL is fine
#[unsafe(no_mangle)]
pub unsafe extern "C" fn drr_device_model_close(device_model: *mut drr_device_model) {
    guard(|| {
        // SAFETY: the caller's promise, see the comment of the function.
        unsafe { take_back(device_model) };
        Ok(())
    });
}

/// What a model takes on its GPU.
///
/// @param device_model  a model on a GPU
/// @param info          `struct_size` set by the caller; the rest is written
/// @return `DRR_OK` or `DRR_ERROR_INVALID_ARGUMENT`
#[unsafe(no_mangle)]
pub unsafe extern "C" fn drr_device_model_get_info(
    device_model: *const drr_device_model,
    info: *mut drr_device_info,
) -> drr_status {
    guard(|| {
        // SAFETY: the caller's promise, see the comments of the function and the struct.
        unsafe {
            let drr_device_model { model, ordinal, device, kernel } = handle(device_model)?;
            let known = drr_device_info {
                struct_size: 0,
                ordinal: *ordinal,
                memory_bytes: model.memory_bytes() as u64,
                device: device.as_ptr(),
                kernel: kernel.as_ptr(),
            };
            write(info, known)
        }
    })
}

/// Values at points in the GPU's memory, each for parameters of its own there. Queued on `stream`:
/// neither waits nor allocates, and may be captured into a CUDA graph.
///
/// @param device_model  a model on a GPU; no closing it until the stream got to the end of this
/// @param parameters    where the parameters are, a row per point; addresses of the GPU
/// @param options       NULL for the defaults; `DRR_OUTSIDE_ERROR` is not for GPUs
/// @param points        where the coordinates are; addresses of the GPU
/// @param values        where the results go; addresses of the GPU, `separate` itself is an array
///                      of the host
/// @param stream        a `CUstream` or `cudaStream_t`, NULL for the default one
/// @return as `drr_device_sampler_query`
#[unsafe(no_mangle)]
pub unsafe extern "C" fn drr_device_model_query(
    device_model: *const drr_device_model,
    parameters: *const drr_parameters,
    options: *const drr_sampler_options,
    points: *const drr_points,
    values: *const drr_values,
    stream: *mut c_void,
) -> drr_status {
    guard(|| {
        // SAFETY: the caller's promise, see the comments of the function and the structs.
        unsafe {
            let model = &handle(device_model)?.model;
            let spec = model.runtime().model().spec();
            let options = sampler_options(options)?;
            let parameters = views::parameters(&required(parameters)?, spec.parameters.len())?;
            let points = views::points(&required(points)?, spec.axes.len())?;
            let rows = Rows::Points(points.len());
            let mut values = views::values(&required(values)?, rows, spec.outputs())?;
            model.query(&parameters, &options, &points, &mut values, Stream(stream as u64))
        }
    })
}

/// Binds a model on a GPU to simulation parameters, and waits for that.
///
/// @param device_model  a model on a GPU
/// @param parameters    `count` numbers of the host in the model's order and units (or in [0, 1]
///                      with `DRR_UNITS_NORMALIZED`); read during the call only
/// @param count         must be the model's number of parameters
/// @param options       NULL for the defaults; `DRR_OUTSIDE_ERROR` for points is not for GPUs
/// @param sampler       receives the handle, to be freed by `drr_device_sampler_free`; NULL on
///                      failure
/// @return `DRR_OK`, `DRR_ERROR_INVALID_ARGUMENT`, `DRR_ERROR_UNSUPPORTED`,
///         `DRR_ERROR_OUT_OF_MEMORY` or `DRR_ERROR_DEVICE`
#[unsafe(no_mangle)]
pub unsafe extern "C" fn drr_device_sampler_create(
    device_model: *const drr_device_model,
    parameters: *const f64,
    count: u64,
    options: *const drr_sampler_options,
    sampler: *mut *mut drr_device_sampler,
) -> drr_status {
    guard(|| {
        // SAFETY: the caller's promise, see the comment of the function.
        unsafe {
            check_pointer(sampler, "sampler")?;
            sampler.write(std::ptr::null_mut());
            let options = sampler_options(options)?;
            let parameters = slice(parameters, count, "parameters")?;
            let bound = DeviceSampler::new(&handle(device_model)?.model, parameters, &options)?;
            give(sampler, drr_device_sampler { sampler: bound });
        }
        Ok(())
    })
}

/// Frees a sampler on a GPU. No work of its queries may be under way.
///
/// @param sampler  NULL is fine
#[unsafe(no_mangle)]
pub unsafe extern "C" fn drr_device_sampler_free(sampler: *mut drr_device_sampler) {
    guard(|| {
        // SAFETY: the caller's promise, see the comment of the function.
        unsafe { take_back(sampler) };
        Ok(())
    });
}

/// Binds a sampler on a GPU to other parameters: what is queued on `stream` afterwards is answered for
/// them. Neither waits nor allocates; captured into a CUDA graph it binds to these numbers again.
///
/// @param sampler     a sampler on a GPU, with no queries under way on other streams
/// @param parameters  as for `drr_device_sampler_create`
/// @param count       must be the model's number of parameters
/// @param stream      a `CUstream` or `cudaStream_t`, NULL for the default one
/// @return `DRR_OK`, `DRR_ERROR_INVALID_ARGUMENT` or `DRR_ERROR_DEVICE`
#[unsafe(no_mangle)]
pub unsafe extern "C" fn drr_device_sampler_set_parameters(
    sampler: *const drr_device_sampler,
    parameters: *const f64,
    count: u64,
    stream: *mut c_void,
) -> drr_status {
    guard(|| {
        // SAFETY: the caller's promise, see the comment of the function.
        unsafe {
            let parameters = slice(parameters, count, "parameters")?;
            handle(sampler)?.sampler.set_parameters(parameters, Stream(stream as u64))
        }
    })
}

/// Values at points in the GPU's memory, in any layout. Queued on `stream`: neither waits nor
/// allocates, and may be captured into a CUDA graph. The calling thread's current context is the
/// same afterwards.
///
/// @param sampler  a sampler on a GPU; no freeing it until the stream got to the end of this
/// @param points   where the coordinates are; addresses of the GPU
/// @param values   where the results go; addresses of the GPU, `separate` (up to 32) itself is an
///                 array of the host
/// @param stream   a `CUstream` or `cudaStream_t`, NULL for the default one
/// @return `DRR_OK`, `DRR_ERROR_INVALID_ARGUMENT`, `DRR_ERROR_UNSUPPORTED` or `DRR_ERROR_DEVICE`;
///         errors of the GPU itself may show up later, where the stream is waited for
#[unsafe(no_mangle)]
pub unsafe extern "C" fn drr_device_sampler_query(
    sampler: *const drr_device_sampler,
    points: *const drr_points,
    values: *const drr_values,
    stream: *mut c_void,
) -> drr_status {
    guard(|| {
        // SAFETY: the caller's promise, see the comments of the function and the structs.
        unsafe {
            ask(sampler, points, values, |sampler, points, values| {
                sampler.query(points, values, Stream(stream as u64))
            })
        }
    })
}

/// Values at the points of a regular lattice, without an array of coordinates, in the GPU's memory.
/// Otherwise as `drr_device_sampler_query`.
///
/// @param sampler  a sampler on a GPU
/// @param lattice  the points
/// @param values   where the results go; addresses of the GPU
/// @param stream   a `CUstream` or `cudaStream_t`, NULL for the default one
/// @return as `drr_device_sampler_query`
#[unsafe(no_mangle)]
pub unsafe extern "C" fn drr_device_sampler_query_lattice(
    sampler: *const drr_device_sampler,
    lattice: *const drr_lattice,
    values: *const drr_values,
    stream: *mut c_void,
) -> drr_status {
    guard(|| {
        // SAFETY: the caller's promise, see the comments of the function and the structs.
        unsafe {
            ask_lattice(sampler, lattice, values, |sampler, lattice, values| {
                sampler.query_lattice(lattice, values, Stream(stream as u64))
            })
        }
    })
}

/// Values at points in memory of the host, in any layout, computed on the GPU; waits for them. Copies
/// there and back overlap with the work, piece by piece, so that it can be worth it for many points.
/// Any number of threads may do it at the same time.
///
/// @param sampler  a sampler on a GPU, whose stream got to the end of its `_set_parameters`
/// @param points   where the coordinates are
/// @param values   where the results go; after a failure of the GPU some may have been written
/// @return as `drr_device_sampler_query`, or `DRR_ERROR_OUT_OF_MEMORY`
#[unsafe(no_mangle)]
pub unsafe extern "C" fn drr_device_sampler_query_host(
    sampler: *const drr_device_sampler,
    points: *const drr_points,
    values: *const drr_values,
) -> drr_status {
    guard(|| {
        // SAFETY: the caller's promise, see the comments of the function and the structs.
        unsafe { ask(sampler, points, values, DeviceSampler::query_host) }
    })
}

/// Values at the points of a regular lattice, computed on the GPU, in memory of the host. Otherwise as
/// `drr_device_sampler_query_host`.
///
/// @param sampler  a sampler on a GPU
/// @param lattice  the points
/// @param values   where the results go
/// @return as `drr_device_sampler_query_host`
#[unsafe(no_mangle)]
pub unsafe extern "C" fn drr_device_sampler_query_lattice_host(
    sampler: *const drr_device_sampler,
    lattice: *const drr_lattice,
    values: *const drr_values,
) -> drr_status {
    guard(|| {
        // SAFETY: the caller's promise, see the comments of the function and the structs.
        unsafe { ask_lattice(sampler, lattice, values, DeviceSampler::query_lattice_host) }
    })
}

/// Asks for values at points as they were described.
///
/// # Safety
/// The handle and the structs must be what their comments say.
unsafe fn ask(
    sampler: *const drr_device_sampler,
    points: *const drr_points,
    values: *const drr_values,
    ask: impl FnOnce(&DeviceSampler, &Points<'_>, &mut ValuesMut<'_>) -> Result<()>,
) -> Result<()> {
    // SAFETY: the caller's promise.
    unsafe {
        let sampler = &handle(sampler)?.sampler;
        let spec = sampler.model().runtime().model().spec();
        let points = views::points(&required(points)?, spec.axes.len())?;
        let rows = Rows::Points(points.len());
        ask(sampler, &points, &mut views::values(&required(values)?, rows, spec.outputs())?)
    }
}

/// Asks for values at the points of a lattice as they were described.
///
/// # Safety
/// As for [`ask`].
unsafe fn ask_lattice(
    sampler: *const drr_device_sampler,
    lattice: *const drr_lattice,
    values: *const drr_values,
    ask: impl FnOnce(&DeviceSampler, &Lattice, &mut ValuesMut<'_>) -> Result<()>,
) -> Result<()> {
    // SAFETY: the caller's promise.
    unsafe {
        let sampler = &handle(sampler)?.sampler;
        let lattice = views::lattice(&required(lattice)?)?;
        let outputs = sampler.model().runtime().model().spec().outputs();
        let rows = Rows::Lattice(lattice.dims);
        ask(sampler, &lattice, &mut views::values(&required(values)?, rows, outputs)?)
    }
}
