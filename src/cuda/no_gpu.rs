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

fn unsupported() -> Error {
    Error::new(ErrorKind::Unsupported, "this build of drr is without CUDA (feature `cuda`)")
}

/// Memory of a GPU that the host program owns, where a build has CUDA.
pub struct Foreign;

impl Foreign {
    /// # Errors
    /// Always `Unsupported`.
    pub fn at(_: u64) -> Result<Self> {
        Err(unsupported())
    }

    /// None's.
    pub fn name(&self) -> String {
        String::new()
    }

    /// # Errors
    /// Always `Unsupported`.
    ///
    /// # Safety
    /// None is needed.
    pub unsafe fn read(&self, _: u64, _: &mut [u8]) -> Result<()> {
        Err(unsupported())
    }
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
        Err(unsupported())
    }
}
