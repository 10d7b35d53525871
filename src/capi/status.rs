//! Status codes, the reason of the last failure, versions.

#![allow(non_camel_case_types)]

use std::cell::{Cell, RefCell};
use std::ffi::{CStr, CString, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::{Error, ErrorKind, Result};

/// Result of a function. Numbers are fixed for ever.
#[repr(u32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum drr_status {
    /// Success.
    DRR_OK = 0,
    /// An argument is NULL, of the wrong size or out of its range.
    DRR_ERROR_INVALID_ARGUMENT = 1,
    /// The operating system refused: no such file, no permission, ...
    DRR_ERROR_IO = 2,
    /// Not a valid baked model: truncated, damaged or inconsistent.
    DRR_ERROR_FORMAT = 3,
    /// A baked model of a version that this library does not know.
    DRR_ERROR_VERSION = 4,
    /// A point or parameter lies outside, and the sampler was told to fail then.
    DRR_ERROR_OUTSIDE_DOMAIN = 5,
    /// This machine or build lacks what was asked for.
    DRR_ERROR_UNSUPPORTED = 6,
    /// Memory could not be had.
    DRR_ERROR_OUT_OF_MEMORY = 7,
    /// There is no such device, or no driver for one.
    DRR_ERROR_NO_DEVICE = 8,
    /// A device or its driver failed.
    DRR_ERROR_DEVICE = 9,
    /// A bug in drr; please report it.
    DRR_ERROR_INTERNAL = 99,
}

use drr_status::*;

/// Number that changes when a program must be compiled again to use a newer library.
pub const DRR_ABI_VERSION: u32 = 1;

thread_local! {
    static LAST_ERROR: RefCell<CString> = RefCell::default();
    static LAST_OS_ERROR: Cell<i32> = const { Cell::new(0) };
}

/// Runs the body of an entry: no panic leaves it, failures are remembered.
pub(super) fn guard(body: impl FnOnce() -> Result<()>) -> drr_status {
    #[cfg(test)]
    let body = super::panics::forced_in(body);
    // What the body may have left half done is dropped with it or was never shared.
    let result = catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|panic| {
        let reason = panic.downcast_ref::<&str>().map(|s| (*s).to_owned());
        let reason = reason.or_else(|| panic.downcast_ref::<String>().cloned());
        let reason = reason.unwrap_or_else(|| "unknown".into());
        Err(Error::new(ErrorKind::Internal, format!("bug in drr, please report: {reason}")))
    });
    match result {
        Ok(()) => DRR_OK,
        Err(error) => {
            remember(&error);
            status_of(error.kind())
        }
    }
}

fn status_of(kind: ErrorKind) -> drr_status {
    match kind {
        ErrorKind::InvalidArgument => DRR_ERROR_INVALID_ARGUMENT,
        ErrorKind::Io => DRR_ERROR_IO,
        ErrorKind::Format => DRR_ERROR_FORMAT,
        ErrorKind::Version => DRR_ERROR_VERSION,
        ErrorKind::OutsideDomain => DRR_ERROR_OUTSIDE_DOMAIN,
        ErrorKind::Unsupported => DRR_ERROR_UNSUPPORTED,
        ErrorKind::OutOfMemory => DRR_ERROR_OUT_OF_MEMORY,
        ErrorKind::NoDevice => DRR_ERROR_NO_DEVICE,
        ErrorKind::Device => DRR_ERROR_DEVICE,
        ErrorKind::Internal => DRR_ERROR_INTERNAL,
    }
}

fn remember(error: &Error) {
    let message = CString::new(error.to_string().replace('\0', " ")).unwrap_or_default();
    // While a thread ends its storage may be gone; then there is nobody left to ask.
    let _ = LAST_ERROR.try_with(|last| last.replace(message));
    let _ = LAST_OS_ERROR.try_with(|last| last.set(error.os_error().unwrap_or(0)));
}

/// Why the last failed call *of this thread* failed: what was given, what was expected, which
/// file or tensor. Successful calls leave it as it is.
///
/// @return UTF-8, never NULL, empty if nothing failed yet; owned by the library, valid until the
///         next failing call of this thread
#[unsafe(no_mangle)]
pub extern "C" fn drr_last_error() -> *const c_char {
    LAST_ERROR.try_with(|last| last.borrow().as_ptr()).unwrap_or(c"".as_ptr())
}

/// The operating system's number for why the last failed call *of this thread* failed: `errno`, or
/// what `GetLastError` gives on Windows. Successful calls leave it as it is.
///
/// @return the number, for instance `ENOENT` beside `DRR_ERROR_IO`; 0 if the system had no part in it
#[unsafe(no_mangle)]
pub extern "C" fn drr_last_os_error() -> i32 {
    LAST_OS_ERROR.try_with(Cell::get).unwrap_or(0)
}

/// Name of a status, for instance `DRR_ERROR_IO`; `unknown status` for numbers that are none.
///
/// @param status  any number
/// @return static, never NULL
#[unsafe(no_mangle)]
pub extern "C" fn drr_status_name(status: u32) -> *const c_char {
    let name: &CStr = match status {
        0 => c"DRR_OK",
        1 => c"DRR_ERROR_INVALID_ARGUMENT",
        2 => c"DRR_ERROR_IO",
        3 => c"DRR_ERROR_FORMAT",
        4 => c"DRR_ERROR_VERSION",
        5 => c"DRR_ERROR_OUTSIDE_DOMAIN",
        6 => c"DRR_ERROR_UNSUPPORTED",
        7 => c"DRR_ERROR_OUT_OF_MEMORY",
        8 => c"DRR_ERROR_NO_DEVICE",
        9 => c"DRR_ERROR_DEVICE",
        99 => c"DRR_ERROR_INTERNAL",
        _ => c"unknown status",
    };
    name.as_ptr()
}

/// Version of the loaded library.
///
/// @return `MAJOR.MINOR.PATCH`; static, never NULL
#[unsafe(no_mangle)]
pub extern "C" fn drr_version() -> *const c_char {
    const TEXT: &CStr =
        match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
            Ok(text) => text,
            Err(_) => c"",
        };
    TEXT.as_ptr()
}

/// `DRR_ABI_VERSION` of the loaded library: compare it with the header's.
///
/// @return the number
#[unsafe(no_mangle)]
pub extern "C" fn drr_abi_version() -> u32 {
    DRR_ABI_VERSION
}

#[cfg(test)]
mod tests {
    use super::*;

    fn last() -> String {
        // SAFETY: never NULL and NUL-terminated.
        unsafe { CStr::from_ptr(drr_last_error()) }.to_string_lossy().into_owned()
    }

    #[test]
    fn panics_become_a_status() {
        assert_eq!(guard(|| panic!("a {} of mine", "bug")), DRR_ERROR_INTERNAL);
        assert!(last().contains("a bug of mine"));
    }

    #[test]
    fn success_keeps_the_last_reason() {
        assert_eq!(guard(|| Err(Error::argument("first"))), DRR_ERROR_INVALID_ARGUMENT);
        assert_eq!(guard(|| Ok(())), DRR_OK);
        assert_eq!(last(), "first");
    }

    #[test]
    fn every_status_has_its_name() {
        for status in
            [DRR_OK, DRR_ERROR_IO, DRR_ERROR_NO_DEVICE, DRR_ERROR_DEVICE, DRR_ERROR_INTERNAL]
        {
            // SAFETY: static strings.
            let name = unsafe { CStr::from_ptr(drr_status_name(status as u32)) };
            assert_eq!(name.to_str().unwrap(), format!("{status:?}"));
        }
    }
}
