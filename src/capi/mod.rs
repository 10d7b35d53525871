//! The C ABI: checks what C callers hand over and calls the layers below; no logic of its own.
//!
//! `include/drr.h` is generated from this module by cbindgen; `make header` refreshes it. Every
//! entry catches panics, and a failure leaves its reason in [`drr_last_error`].
//!
//! # Safety
//!
//! All functions take pointers that must be what their comments say: NULL where allowed, else
//! valid for the stated number of elements. What can be checked is checked: NULL, sizes, ranges,
//! and handles by a tag that also catches most handles already closed.

// That chapter holds for every function; their own comments are for readers of the C header.
#![allow(clippy::missing_safety_doc)]

mod device;
mod device_gradient;
mod device_radiance;
mod device_structs;
mod gradient;
mod log;
mod model;
#[cfg(test)]
mod panics;
mod radiance;
mod radiance_structs;
mod sampler;
mod sets;
pub mod sized;
mod status;
mod structs;
mod views;

pub use device::*;
pub use device_gradient::*;
pub use device_radiance::*;
pub use device_structs::*;
pub use gradient::*;
pub use log::*;
pub use model::*;
pub use radiance::*;
pub use radiance_structs::*;
pub use sampler::*;
pub use sets::*;
pub use status::*;
pub use structs::*;

use std::fmt::Display;

use crate::{Error, Result};

/// What C holds pointers to. C sees an opaque type; behind it stands a [`Tagged`] one.
trait Handle: Sized {
    /// Tells live handles of this type from anything else.
    const TAG: u64;

    /// Name in messages.
    const NAME: &'static str;
}

#[repr(C)]
struct Tagged<H> {
    tag: u64,
    value: H,
}

/// The handle behind a pointer from C.
///
/// # Safety
/// `pointer` must be NULL or point to at least eight readable bytes, and come from [`give`] if
/// they hold the tag.
unsafe fn handle<'a, H: Handle>(pointer: *const H) -> Result<&'a H> {
    let tagged = pointer.cast::<Tagged<H>>();
    if pointer.is_null() {
        return Err(Error::argument(format!("{} is NULL", H::NAME)));
    }
    // SAFETY: the caller's promise; the tag comes first.
    if !tagged.is_aligned() || unsafe { (&raw const (*tagged).tag).read_volatile() } != H::TAG {
        return Err(Error::argument(format!(
            "not a live {}: closed already, or a handle of another type",
            H::NAME
        )));
    }
    // SAFETY: the caller's promise.
    Ok(unsafe { &(*tagged).value })
}

/// Gives a handle to C.
///
/// # Safety
/// `out` must be writable.
unsafe fn give<H: Handle>(out: *mut *mut H, value: H) {
    let tagged = Box::into_raw(Box::new(Tagged { tag: H::TAG, value }));
    // SAFETY: the caller's promise.
    unsafe { out.write(tagged.cast()) }
}

/// Takes a handle back from C and drops it; NULL is ignored, so are dead handles.
///
/// # Safety
/// As for [`handle`], and nobody else may use it any more.
unsafe fn take_back<H: Handle>(pointer: *mut H) {
    // SAFETY: the caller's promise.
    if unsafe { handle::<H>(pointer) }.is_err() {
        return;
    }
    let tagged = pointer.cast::<Tagged<H>>();
    // SAFETY: live, so it came from `give`, and the caller gives it up. The tag is erased so that
    // a second attempt is seen as long as the memory is not used for something else; volatile,
    // because the compiler may drop writes to memory that is about to be freed.
    unsafe {
        (&raw mut (*tagged).tag).write_volatile(0);
        drop(Box::from_raw(tagged));
    }
}

/// `pointer` as a slice; NULL is fine for no elements.
///
/// # Safety
/// If not NULL, `pointer` must be readable for `count` elements.
unsafe fn slice<'a, T>(pointer: *const T, count: u64, name: impl Display) -> Result<&'a [T]> {
    match check_array(pointer, count, name)? {
        0 => Ok(&[]),
        // SAFETY: the caller's promise; not NULL, aligned and of possible size by the check.
        count => Ok(unsafe { std::slice::from_raw_parts(pointer, count) }),
    }
}

/// Number of elements, if `pointer` can be an array of so many; NULL is fine for none.
fn check_array<T>(pointer: *const T, count: u64, name: impl Display) -> Result<usize> {
    let count = usize::try_from(count)
        .ok()
        .filter(|count| count.checked_mul(size_of::<T>()).is_some_and(|n| n <= isize::MAX as usize))
        .ok_or_else(|| Error::argument(format!("{name} has {count} elements: too many")))?;
    if count > 0 {
        check_pointer(pointer, name)?;
    }
    Ok(count)
}

/// Whether something of its type can be at `pointer`.
fn check_pointer<T>(pointer: *const T, name: impl Display) -> Result<()> {
    if pointer.is_null() {
        return Err(Error::argument(format!("{name} is NULL")));
    }
    if !pointer.is_aligned() {
        let alignment = align_of::<T>();
        return Err(Error::argument(format!(
            "{name} is {pointer:p}, expected a multiple of {alignment}, as its type has it"
        )));
    }
    Ok(())
}
