//! NVIDIA's driver, opened when it is first asked for, and its contexts.
//!
//! The caller's current context is put back after every call. cudarc panics where the driver lacks
//! a function, which is taken for an error here.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;

use cudarc::driver::result::{self, DriverError};
use cudarc::driver::sys::{self, CUresult};

use crate::{Error, ErrorKind, Result};

/// The PTX says which version it needs.
pub(super) const TOO_OLD: &str = "is too old (CUDA 12.4 or later is needed)";

/// Number of GPUs that the driver shows; 0 without a driver.
///
/// # Errors
/// What a driver says that is there and does not work.
pub fn count() -> Result<u32> {
    match driver() {
        Ok(()) => caught("cuDeviceGetCount", result::device::get_count).map(|n| n.max(0) as u32),
        Err(error) if error.kind() == ErrorKind::NoDevice => Ok(0),
        Err(error) => Err(error),
    }
}

/// Opens the driver, once.
pub(super) fn driver() -> Result<()> {
    static DRIVER: OnceLock<Result<()>> = OnceLock::new();
    let open = || {
        // SAFETY: opens the library of the driver, whose initialisers are trusted.
        if !unsafe { sys::is_culib_present() } {
            return Err(no_device("no NVIDIA driver on this machine (libcuda was not found)"));
        }
        caught("cuInit", result::init)
    };
    DRIVER.get_or_init(open).clone()
}

pub(super) fn no_device(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::NoDevice, message)
}

/// Calls the driver; whatever goes wrong is an error that names the call.
pub(super) fn caught<T>(what: &str, call: impl FnOnce() -> Result<T, DriverError>) -> Result<T> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(result) => result.map_err(|error| reason(what, error)),
        Err(_) => {
            Err(Error::new(ErrorKind::Unsupported, format!("{what}: this NVIDIA driver {TOO_OLD}")))
        }
    }
}

fn reason(what: &str, error: DriverError) -> Error {
    let kind = match error.0 {
        CUresult::CUDA_ERROR_OUT_OF_MEMORY => ErrorKind::OutOfMemory,
        CUresult::CUDA_ERROR_NO_DEVICE => ErrorKind::NoDevice,
        CUresult::CUDA_ERROR_INVALID_VALUE | CUresult::CUDA_ERROR_INVALID_CONTEXT => {
            ErrorKind::InvalidArgument
        }
        CUresult::CUDA_ERROR_NO_BINARY_FOR_GPU
        | CUresult::CUDA_ERROR_UNSUPPORTED_PTX_VERSION
        | CUresult::CUDA_ERROR_SYSTEM_DRIVER_MISMATCH => ErrorKind::Unsupported,
        _ => ErrorKind::Device,
    };
    let words = catch_unwind(AssertUnwindSafe(|| {
        error.error_string().map(|text| text.to_string_lossy().into_owned()).ok()
    }));
    let words = words.ok().flatten().unwrap_or_else(|| format!("{:?}", error.0));
    Error::new(kind, format!("{what}: {words}"))
}

/// A context of a device: its primary one, kept alive, or one of the caller's.
pub(super) struct Context {
    pub(super) device: sys::CUdevice,
    ordinal: u32,
    context: sys::CUcontext,
    is_primary: bool,
}

// SAFETY: the driver's handles may be used by any thread.
unsafe impl Send for Context {}
// SAFETY: as above.
unsafe impl Sync for Context {}

impl Context {
    pub(super) fn primary(ordinal: u32) -> Result<Self> {
        let device = caught("cuDeviceGet", || result::device::get(ordinal as i32))?;
        // SAFETY: the device exists.
        let context =
            caught("cuDevicePrimaryCtxRetain", || unsafe { result::primary_ctx::retain(device) })?;
        Ok(Self { device, ordinal, context, is_primary: true })
    }

    /// # Safety
    /// The context must be alive.
    pub(super) unsafe fn of_caller(ordinal: u32, context: sys::CUcontext) -> Result<Self> {
        let device = caught("cuDeviceGet", || result::device::get(ordinal as i32))?;
        let given = Self { device, ordinal, context, is_primary: false };
        let current = given.enter()?;
        let mut of_context = 0;
        // SAFETY: asks for the device of the context just made current.
        caught("cuCtxGetDevice", || unsafe { sys::cuCtxGetDevice(&mut of_context).result() })?;
        drop(current);
        if of_context != device {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                format!("the context is not one of {}", given.name()),
            ));
        }
        Ok(given)
    }

    /// The context that memory is in; NULL (memory of pools is in none): the device's primary one.
    pub(super) fn of_memory(ordinal: u32, context: sys::CUcontext) -> Result<Self> {
        if context.is_null() {
            return Self::primary(ordinal);
        }
        let device = caught("cuDeviceGet", || result::device::get(ordinal as i32))?;
        Ok(Self { device, ordinal, context, is_primary: false })
    }

    pub(super) fn name(&self) -> String {
        let name = caught("cuDeviceGetName", || result::device::get_name(self.device));
        format!("cuda:{} ({})", self.ordinal, name.unwrap_or_else(|_| "unknown".into()))
    }

    /// Makes it current until the guard is dropped.
    pub(super) fn enter(&self) -> Result<Current> {
        // SAFETY: the context is retained.
        caught("cuCtxPushCurrent", || unsafe { sys::cuCtxPushCurrent_v2(self.context).result() })?;
        Ok(Current)
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        if !self.is_primary {
            return;
        }
        // SAFETY: retained by `primary`.
        let released = caught("cuDevicePrimaryCtxRelease", || unsafe {
            result::primary_ctx::release(self.device)
        });
        released.unwrap_or_else(|error| log::warn!("{error}"));
    }
}

/// The caller's context comes back when this is dropped.
pub(super) struct Current;

impl Drop for Current {
    fn drop(&mut self) {
        let mut ours = std::ptr::null_mut();
        // SAFETY: pushed by `enter`.
        let popped =
            caught("cuCtxPopCurrent", || unsafe { sys::cuCtxPopCurrent_v2(&mut ours).result() });
        popped.unwrap_or_else(|error| log::warn!("{error}"));
    }
}
