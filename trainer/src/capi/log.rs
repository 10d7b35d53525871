//! What the library has to say beside statuses, for a host that wants to hear it.

use std::ffi::{CStr, c_void};

use drr::capi::{drr_last_error, drr_log_callback, drr_set_log_callback, drr_status};

use super::status::{drr_train_status, guard};
use crate::train::insitu::failure::{Failure, Kind};

/// Has messages of `level` and above sent to `callback` instead of nowhere: what of the configuration
/// has no effect, which range of values is learned, members that leave it. Everything is as for
/// `drr_set_log_callback` of `drr.h`, whose messages are others: those of the program's libdrr.
///
/// @param callback   NULL for none
/// @param level      a `drr_log_level` of `drr.h`
/// @param user_data  handed to the callback; may be NULL
/// @return `DRR_TRAIN_OK`, `DRR_TRAIN_ERROR_INVALID_ARGUMENT` for another level or within a callback,
///         or `DRR_TRAIN_ERROR_UNSUPPORTED` if the program is in Rust and takes messages by itself
#[unsafe(no_mangle)]
pub unsafe extern "C" fn drr_train_set_log_callback(
    callback: drr_log_callback,
    level: u32,
    user_data: *mut c_void,
) -> drr_train_status {
    guard(|| {
        // SAFETY: the caller's promise, see the comment of the function. The text is valid, as the
        // thread's next failure comes later.
        let (status, reason) = unsafe {
            let status = drr_set_log_callback(callback, level, user_data);
            (status, CStr::from_ptr(drr_last_error()).to_string_lossy())
        };
        let kind = match status {
            drr_status::DRR_OK => return Ok(()),
            drr_status::DRR_ERROR_UNSUPPORTED => Kind::Unsupported,
            _ => Kind::InvalidArgument,
        };
        Err(Failure::new(kind, reason))
    })
}
