//! In place of the driver where the feature `cuda` is off.

use std::ffi::c_void;
use std::sync::Arc;

use super::Machine;
use crate::{Error, ErrorKind, Result};

/// None.
///
/// # Errors
/// Never.
pub fn count() -> Result<u32> {
    Ok(0)
}

/// As [`Gpu::open`] of builds with CUDA, where it opens one.
pub struct Gpu;

impl Gpu {
    /// # Errors
    /// Always `Unsupported`.
    ///
    /// # Safety
    /// None is needed.
    pub unsafe fn open(_: u32, _: *mut c_void) -> Result<Arc<dyn Machine>> {
        Err(Error::new(
            ErrorKind::Unsupported,
            "this build of drr is without CUDA (feature `cuda`)",
        ))
    }
}
