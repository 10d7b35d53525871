//! Status codes, the reason of the last failure, versions.

#![allow(non_camel_case_types)]

use std::cell::RefCell;
use std::ffi::{CStr, CString, c_char};

use crate::libtorch::{Quiet, quietly};
use crate::train::insitu::failure::{Failure, Kind, Outcome};

/// Result of a function. Numbers are fixed for ever; those below 20 mean what they mean in
/// `drr_status`.
#[repr(u32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum drr_train_status {
    /// Success.
    DRR_TRAIN_OK = 0,
    /// An argument or the configuration is NULL, of the wrong size, out of its range or unknown.
    DRR_TRAIN_ERROR_INVALID_ARGUMENT = 1,
    /// The operating system refused: no such file, no permission, a full disk, ...
    DRR_TRAIN_ERROR_IO = 2,
    /// A stored training is damaged.
    DRR_TRAIN_ERROR_FORMAT = 3,
    /// This machine or build lacks what was asked for.
    DRR_TRAIN_ERROR_UNSUPPORTED = 6,
    /// Memory could not be had.
    DRR_TRAIN_ERROR_OUT_OF_MEMORY = 7,
    /// There is no such device, or libtorch has no part for it.
    DRR_TRAIN_ERROR_NO_DEVICE = 8,
    /// Something has to come first: a complete member before steps, the range of the values before an
    /// evaluation or a file.
    DRR_TRAIN_ERROR_NOT_READY = 20,
    /// The loss is not finite: the model is lost.
    DRR_TRAIN_ERROR_DIVERGED = 21,
    /// The session is in another call: of another thread, or around a callback.
    DRR_TRAIN_ERROR_BUSY = 22,
    /// libtorch failed.
    DRR_TRAIN_ERROR_LIBTORCH = 23,
    /// `drr_train_bake_model` only: libdrr refused the model; `drr_last_error` has the reason.
    DRR_TRAIN_ERROR_MODEL = 24,
    /// The processes that train together do not reach each other, or another one could not do its part
    /// (its own `drr_train_last_error` says why).
    DRR_TRAIN_ERROR_COMMUNICATION = 25,
    /// A bug in drr; please report it.
    DRR_TRAIN_ERROR_INTERNAL = 99,
}

use drr_train_status::*;

/// Number that changes when a program must be compiled again to use a newer library.
pub const DRR_TRAIN_ABI_VERSION: u32 = 1;

thread_local! {
    static LAST_ERROR: RefCell<CString> = RefCell::default();
}

/// Runs the body of an entry: no panic leaves it or prints, failures are remembered.
pub(super) fn guard(body: impl FnOnce() -> Outcome<()>) -> drr_train_status {
    let result = quietly(Quiet::Everything, body)
        .unwrap_or_else(|panic| Err(Failure::of_panic(panic.as_ref())));
    match result {
        Ok(()) => DRR_TRAIN_OK,
        Err(failure) => remember(&failure.message, status_of(failure.kind)),
    }
}

/// Remembers why something failed.
pub(super) fn remember(message: &str, status: drr_train_status) -> drr_train_status {
    let message = CString::new(message.replace('\0', " ")).unwrap_or_default();
    // While a thread ends its storage may be gone; then there is nobody left to ask.
    let _ = LAST_ERROR.try_with(|last| last.replace(message));
    status
}

fn status_of(kind: Kind) -> drr_train_status {
    match kind {
        Kind::InvalidArgument => DRR_TRAIN_ERROR_INVALID_ARGUMENT,
        Kind::Io => DRR_TRAIN_ERROR_IO,
        Kind::Format => DRR_TRAIN_ERROR_FORMAT,
        Kind::Unsupported => DRR_TRAIN_ERROR_UNSUPPORTED,
        Kind::OutOfMemory => DRR_TRAIN_ERROR_OUT_OF_MEMORY,
        Kind::NoDevice => DRR_TRAIN_ERROR_NO_DEVICE,
        Kind::NotReady => DRR_TRAIN_ERROR_NOT_READY,
        Kind::Diverged => DRR_TRAIN_ERROR_DIVERGED,
        Kind::Busy => DRR_TRAIN_ERROR_BUSY,
        Kind::Libtorch => DRR_TRAIN_ERROR_LIBTORCH,
        Kind::Communication => DRR_TRAIN_ERROR_COMMUNICATION,
        Kind::Internal => DRR_TRAIN_ERROR_INTERNAL,
    }
}

/// Why the last failed call *of this thread* failed: what was given, what was expected, what to do.
/// Successful calls leave it as it is.
///
/// @return UTF-8, never NULL, empty if nothing failed yet; owned by the library, valid until the
///         next failing call of this thread
#[unsafe(no_mangle)]
pub extern "C" fn drr_train_last_error() -> *const c_char {
    LAST_ERROR.try_with(|last| last.borrow().as_ptr()).unwrap_or(c"".as_ptr())
}

/// Name of a status, for instance `DRR_TRAIN_ERROR_IO`; `unknown status` for numbers that are none.
///
/// @param status  any number
/// @return static, never NULL
#[unsafe(no_mangle)]
pub extern "C" fn drr_train_status_name(status: u32) -> *const c_char {
    let name: &CStr = match status {
        0 => c"DRR_TRAIN_OK",
        1 => c"DRR_TRAIN_ERROR_INVALID_ARGUMENT",
        2 => c"DRR_TRAIN_ERROR_IO",
        3 => c"DRR_TRAIN_ERROR_FORMAT",
        6 => c"DRR_TRAIN_ERROR_UNSUPPORTED",
        7 => c"DRR_TRAIN_ERROR_OUT_OF_MEMORY",
        8 => c"DRR_TRAIN_ERROR_NO_DEVICE",
        20 => c"DRR_TRAIN_ERROR_NOT_READY",
        21 => c"DRR_TRAIN_ERROR_DIVERGED",
        22 => c"DRR_TRAIN_ERROR_BUSY",
        23 => c"DRR_TRAIN_ERROR_LIBTORCH",
        24 => c"DRR_TRAIN_ERROR_MODEL",
        25 => c"DRR_TRAIN_ERROR_COMMUNICATION",
        99 => c"DRR_TRAIN_ERROR_INTERNAL",
        _ => c"unknown status",
    };
    name.as_ptr()
}

/// Version of the loaded library.
///
/// @return `MAJOR.MINOR.PATCH`; static, never NULL
#[unsafe(no_mangle)]
pub extern "C" fn drr_train_version() -> *const c_char {
    const TEXT: &CStr =
        match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
            Ok(text) => text,
            Err(_) => c"",
        };
    TEXT.as_ptr()
}

/// `DRR_TRAIN_ABI_VERSION` of the loaded library: compare it with the header's.
///
/// @return the number
#[unsafe(no_mangle)]
pub extern "C" fn drr_train_abi_version() -> u32 {
    DRR_TRAIN_ABI_VERSION
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_and_panics_become_a_status_and_a_reason() {
        // SAFETY: never NULL and NUL-terminated.
        let last = || unsafe { CStr::from_ptr(drr_train_last_error()) }.to_string_lossy();
        assert_eq!(guard(|| panic!("a {} of mine", "bug")), DRR_TRAIN_ERROR_INTERNAL);
        assert!(last().ends_with("please report: a bug of mine"), "{}", last());
        assert_eq!(guard(|| Err(Failure::argument("first"))), DRR_TRAIN_ERROR_INVALID_ARGUMENT);
        assert_eq!(guard(|| Ok(())), DRR_TRAIN_OK);
        assert_eq!(last(), "first");
    }

    #[test]
    fn every_status_has_its_name() {
        let kinds = [
            Kind::InvalidArgument,
            Kind::Io,
            Kind::Format,
            Kind::Unsupported,
            Kind::OutOfMemory,
            Kind::NoDevice,
            Kind::NotReady,
            Kind::Diverged,
            Kind::Busy,
            Kind::Libtorch,
            Kind::Internal,
        ];
        let all = kinds.map(status_of).into_iter().chain([DRR_TRAIN_OK, DRR_TRAIN_ERROR_MODEL]);
        for status in all {
            // SAFETY: static strings.
            let name = unsafe { CStr::from_ptr(drr_train_status_name(status as u32)) };
            assert_eq!(name.to_str().unwrap(), format!("{status:?}"));
        }
    }
}
