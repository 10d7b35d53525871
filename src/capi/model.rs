//! Opening, describing and closing models.

#![allow(non_camel_case_types)]

use std::ffi::{CStr, CString, c_char};
use std::sync::Arc;

use super::sized::{read, write};
use super::structs::{drr_model_info, drr_open_options, drr_range_info, drr_transform};
use super::{Handle, check_pointer, drr_status, give, handle, slice, status::guard, take_back};
use crate::model::spec::{Spec, Transform, Value};
use crate::{Error, OpenOptions, Result, Runtime};

/// An open baked model. Immutable: any number of threads may use it at the same time.
pub struct drr_model {
    pub(super) runtime: Arc<Runtime>,
    kernel: CString,
    spec_json: CString,
    axes: Vec<Range>,
    parameters: Vec<Range>,
    values: Vec<Range>,
}

struct Range {
    name: CString,
    unit: CString,
    min: f64,
    max: f64,
    transform: drr_transform,
}

impl Range {
    fn new(name: &str, unit: &str, [min, max]: [f64; 2], transform: drr_transform) -> Result<Self> {
        Ok(Self { name: c_string(name)?, unit: c_string(unit)?, min, max, transform })
    }

    /// In physical values.
    fn of_value(value: &Value) -> Result<Self> {
        let Value { name, unit, min, max, transform } = value;
        match transform {
            Transform::Linear => {
                Self::new(name, unit, [*min, *max], drr_transform::DRR_TRANSFORM_LINEAR)
            }
            Transform::Log => {
                Self::new(name, unit, [min.exp(), max.exp()], drr_transform::DRR_TRANSFORM_LOG)
            }
        }
    }
}

impl Handle for drr_model {
    const TAG: u64 = u64::from_le_bytes(*b"drrmodel");
    const NAME: &'static str = "drr_model";
}

/// Opens a baked file, checks it completely and prepares it for queries.
///
/// The environment variable `DRR_CPU` (`reference`, `scalar`, `neon`, `avx2`, `avx512`,
/// `avx512bf16`) overrides the choice of kernel.
///
/// @param path     name of the file, NUL-terminated, in the system's encoding (UTF-8 on Windows)
/// @param options  NULL for the defaults
/// @param model    receives the handle, to be closed by `drr_model_close`; NULL on failure
/// @return `DRR_OK`, or `DRR_ERROR_IO`, `_FORMAT`, `_VERSION`, `_UNSUPPORTED`,
///         `_INVALID_ARGUMENT`, `_OUT_OF_MEMORY`
#[unsafe(no_mangle)]
pub unsafe extern "C" fn drr_model_open(
    path: *const c_char,
    options: *const drr_open_options,
    model: *mut *mut drr_model,
) -> drr_status {
    guard(|| {
        // SAFETY: the caller's promise, see the comment of the function.
        unsafe {
            clear(model)?;
            check_pointer(path, "path")?;
            let path = os_path(CStr::from_ptr(path))?;
            give(model, drr_model::new(Runtime::open(path, &open_options(options)?)?)?);
        }
        Ok(())
    })
}

/// Opens a baked file that is in memory already. The bytes are copied: the caller may free them
/// afterwards.
///
/// @param data     `size` bytes
/// @param size     number of bytes
/// @param options  NULL for the defaults
/// @param model    receives the handle, to be closed by `drr_model_close`; NULL on failure
/// @return as `drr_model_open`
#[unsafe(no_mangle)]
pub unsafe extern "C" fn drr_model_open_memory(
    data: *const std::ffi::c_void,
    size: u64,
    options: *const drr_open_options,
    model: *mut *mut drr_model,
) -> drr_status {
    guard(|| {
        // SAFETY: the caller's promise, see the comment of the function.
        unsafe {
            clear(model)?;
            let bytes = slice(data.cast::<u8>(), size, "data")?;
            give(model, drr_model::new(Runtime::from_bytes(bytes, &open_options(options)?)?)?);
        }
        Ok(())
    })
}

/// Closes a model. Its samplers stay valid, and keep the file and the threads until the last of
/// them is freed; strings that the model gave out do not. No call with the model may be under way
/// in another thread.
///
/// @param model  NULL is fine
#[unsafe(no_mangle)]
pub unsafe extern "C" fn drr_model_close(model: *mut drr_model) {
    guard(|| {
        // SAFETY: the caller's promise, see the comment of the function.
        unsafe { take_back(model) };
        Ok(())
    });
}

/// What the model is: counts, sizes, kernel, full description.
///
/// @param model  an open model
/// @param info   `struct_size` set by the caller; the rest is written
/// @return `DRR_OK` or `DRR_ERROR_INVALID_ARGUMENT`
#[unsafe(no_mangle)]
pub unsafe extern "C" fn drr_model_get_info(
    model: *const drr_model,
    info: *mut drr_model_info,
) -> drr_status {
    guard(|| {
        // SAFETY: the caller's promise, see the comment of the function.
        unsafe {
            let model = handle(model)?;
            write(info, model.info())
        }
    })
}

/// One axis of the domain. `min` and `max` are the positions of the first and last vertex.
///
/// @param model  an open model
/// @param index  0 (x) to `dims` - 1
/// @param info   `struct_size` set by the caller; the rest is written
/// @return `DRR_OK` or `DRR_ERROR_INVALID_ARGUMENT`
#[unsafe(no_mangle)]
pub unsafe extern "C" fn drr_model_get_axis(
    model: *const drr_model,
    index: u32,
    info: *mut drr_range_info,
) -> drr_status {
    // SAFETY: the caller's promise, see the comment of the function.
    guard(|| unsafe { range(&handle(model)?.axes, "axis", index, info) })
}

/// One simulation parameter and its range.
///
/// @param model  an open model
/// @param index  0 to `parameters` - 1
/// @param info   `struct_size` set by the caller; the rest is written
/// @return `DRR_OK` or `DRR_ERROR_INVALID_ARGUMENT`
#[unsafe(no_mangle)]
pub unsafe extern "C" fn drr_model_get_parameter(
    model: *const drr_model,
    index: u32,
    info: *mut drr_range_info,
) -> drr_status {
    // SAFETY: the caller's promise, see the comment of the function.
    guard(|| unsafe { range(&handle(model)?.parameters, "parameter", index, info) })
}

/// One component of the field. `min` and `max` span the values that the model was trained on.
///
/// @param model  an open model
/// @param index  0 to `outputs` - 1
/// @param info   `struct_size` set by the caller; the rest is written
/// @return `DRR_OK` or `DRR_ERROR_INVALID_ARGUMENT`
#[unsafe(no_mangle)]
pub unsafe extern "C" fn drr_model_get_value(
    model: *const drr_model,
    index: u32,
    info: *mut drr_range_info,
) -> drr_status {
    // SAFETY: the caller's promise, see the comment of the function.
    guard(|| unsafe { range(&handle(model)?.values, "value", index, info) })
}

impl drr_model {
    fn new(runtime: Arc<Runtime>) -> Result<Self> {
        let Spec { axes, parameters, values, .. } = runtime.model().spec();
        let linear = drr_transform::DRR_TRANSFORM_LINEAR;
        let axes = axes.iter().map(|a| Range::new(&a.name, &a.unit, [a.min, a.max], linear));
        let parameters =
            parameters.iter().map(|p| Range::new(&p.name, &p.unit, [p.min, p.max], linear));
        Ok(Self {
            kernel: c_string(runtime.kernel().name())?,
            spec_json: c_string(runtime.model().spec_json())?,
            axes: axes.collect::<Result<_>>()?,
            parameters: parameters.collect::<Result<_>>()?,
            values: values.iter().map(Range::of_value).collect::<Result<_>>()?,
            runtime,
        })
    }

    fn info(&self) -> drr_model_info {
        drr_model_info {
            struct_size: 0,
            dims: self.axes.len() as u32,
            parameters: self.parameters.len() as u32,
            outputs: self.values.len() as u32,
            file_bytes: self.runtime.model().file_bytes() as u64,
            memory_bytes: self.runtime.memory_bytes() as u64,
            kernel: self.kernel.as_ptr(),
            spec_json: self.spec_json.as_ptr(),
            is_radiance: u32::from(self.runtime.model().spec().radiance.is_some()),
            reserved: 0,
        }
    }
}

unsafe fn range(ranges: &[Range], what: &str, index: u32, info: *mut drr_range_info) -> Result<()> {
    let range = ranges.get(index as usize).ok_or_else(|| {
        Error::argument(format!("{what} {index} asked for, the model has {}", ranges.len()))
    })?;
    let value = drr_range_info {
        struct_size: 0,
        transform: range.transform as u32,
        name: range.name.as_ptr(),
        unit: range.unit.as_ptr(),
        min: range.min,
        max: range.max,
    };
    // SAFETY: the caller's promise.
    unsafe { write(info, value) }
}

unsafe fn clear(model: *mut *mut drr_model) -> Result<()> {
    check_pointer(model, "model")?;
    // SAFETY: the caller's promise: writable.
    unsafe { model.write(std::ptr::null_mut()) };
    Ok(())
}

unsafe fn open_options(options: *const drr_open_options) -> Result<OpenOptions> {
    // SAFETY: the caller's promise.
    unsafe { read(options) }?.map_or(Ok(OpenOptions::default()), OpenOptions::try_from)
}

fn c_string(text: &str) -> Result<CString> {
    CString::new(text).map_err(|_| Error::format(format!("a NUL byte stands in {text:?}")))
}

#[cfg(unix)]
fn os_path(path: &CStr) -> Result<&std::path::Path> {
    use std::os::unix::ffi::OsStrExt;
    Ok(std::path::Path::new(std::ffi::OsStr::from_bytes(path.to_bytes())))
}

#[cfg(not(unix))]
fn os_path(path: &CStr) -> Result<&std::path::Path> {
    let path = path.to_str().map_err(|_| Error::argument("path is not UTF-8"))?;
    Ok(std::path::Path::new(path))
}
