//! Memory of a GPU that the host program owns: found by its address, and read.

use std::ops::Range;

use cudarc::driver::result;
use cudarc::driver::sys::{self, CUpointer_attribute as Attribute, CUresult};

use super::driver::{Context, caught, driver};
use crate::{Error, ErrorKind, Result};

/// `CUmemorytype` of what is on the host.
const ON_THE_HOST: u32 = sys::CUmemorytype::CU_MEMORYTYPE_HOST as u32;

/// Memory that the driver knows, in the context that it belongs to.
pub struct Foreign {
    context: Context,
    /// The allocation around the address, where the driver tells.
    allocation: Option<Range<u64>>,
}

impl Foreign {
    /// The memory at an address.
    ///
    /// # Errors
    /// `NoDevice` without a driver or a GPU, `InvalidArgument` if the address is none of a GPU's
    /// memory, or what the driver says.
    pub fn at(address: u64) -> Result<Self> {
        driver()?;
        let mut kind = 0u32;
        // SAFETY: this attribute is a number of 32 bits.
        let known =
            unsafe { attribute(&mut kind, Attribute::CU_POINTER_ATTRIBUTE_MEMORY_TYPE, address) };
        known.map_err(|error| match error.kind() {
            ErrorKind::InvalidArgument => no_memory(address, "the driver does not know it", &error),
            _ => error,
        })?;
        if kind == ON_THE_HOST {
            return Err(no_memory(address, "it is memory of the host that CUDA knows", &""));
        }
        let mut ordinal = 0i32;
        // SAFETY: this attribute is a number of 32 bits.
        unsafe {
            attribute(&mut ordinal, Attribute::CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL, address)?
        };
        let mut context: sys::CUcontext = std::ptr::null_mut();
        // SAFETY: this attribute is a context.
        unsafe { attribute(&mut context, Attribute::CU_POINTER_ATTRIBUTE_CONTEXT, address)? };
        let context = Context::of_memory(ordinal.max(0) as u32, context)?;
        let allocation = allocation(&context, address)?;
        Ok(Self { context, allocation })
    }

    /// Its GPU, for messages.
    pub fn name(&self) -> String {
        self.context.name()
    }

    /// Copies bytes from there, and waits for that. Work that was queued in the legacy default
    /// stream, or in streams that wait for it, is done before.
    ///
    /// # Errors
    /// `InvalidArgument` if they are not all in the allocation, or what the driver says.
    ///
    /// # Safety
    /// Nothing under way may write the memory, or give it back.
    pub unsafe fn read(&self, address: u64, bytes: &mut [u8]) -> Result<()> {
        let end = address.checked_add(bytes.len() as u64);
        if let Some(allocation) = &self.allocation
            && (address < allocation.start || end.is_none_or(|end| end > allocation.end))
        {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                format!(
                    "{} bytes at {address:#x} are asked for, which are not all within the allocation of \
                     {} bytes at {:#x} on {}",
                    bytes.len(),
                    allocation.end - allocation.start,
                    allocation.start,
                    self.name()
                ),
            ));
        }
        let _current = self.context.enter()?;
        // SAFETY: the caller's promise; where they are was checked as far as the driver tells.
        caught("cuMemcpyDtoH", || unsafe { result::memcpy_dtoh_sync(bytes, address) })
            .map_err(|error| error.context(format!("{} bytes from {}", bytes.len(), self.name())))
    }
}

fn no_memory(address: u64, why: &str, cause: &dyn std::fmt::Display) -> Error {
    let cause = cause.to_string();
    let cause = if cause.is_empty() { cause } else { format!(" ({cause})") };
    Error::new(
        ErrorKind::InvalidArgument,
        format!("{address:#x} is no address of a GPU's memory: {why}{cause}"),
    )
}

/// What the driver knows of an address.
///
/// # Safety
/// `to` must have the type of the attribute.
unsafe fn attribute<T>(to: &mut T, which: Attribute, address: u64) -> Result<()> {
    // SAFETY: the caller's promise; the driver only looks the address up.
    caught("cuPointerGetAttribute", || unsafe {
        sys::cuPointerGetAttribute(std::ptr::from_mut(to).cast(), which, address).result()
    })
}

/// The bytes that were allocated around an address; some kinds of memory have no such answer.
fn allocation(context: &Context, address: u64) -> Result<Option<Range<u64>>> {
    let _current = context.enter()?;
    let (mut start, mut bytes) = (0, 0);
    // SAFETY: the driver only looks the address up.
    let found = caught("cuMemGetAddressRange", || unsafe {
        match sys::cuMemGetAddressRange_v2(&mut start, &mut bytes, address) {
            CUresult::CUDA_SUCCESS => Ok(true),
            CUresult::CUDA_ERROR_NOT_FOUND
            | CUresult::CUDA_ERROR_INVALID_VALUE
            | CUresult::CUDA_ERROR_NOT_SUPPORTED => Ok(false),
            other => other.result().map(|()| false),
        }
    })?;
    Ok(found.then(|| start..start.saturating_add(bytes as u64)))
}
