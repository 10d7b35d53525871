//! What the library has to say beside statuses, for a host that wants to hear it.

#![allow(non_camel_case_types)]

use std::cell::Cell;
use std::ffi::{CString, c_char, c_void};
use std::sync::RwLock;

use log::{Level, LevelFilter, Log, Metadata, Record};

use super::{drr_status, status::guard};
use crate::{Error, ErrorKind};

/// How much a message matters. Numbers are fixed for ever.
#[repr(u32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum drr_log_level {
    /// Nothing at all.
    DRR_LOG_OFF = 0,
    /// Something failed without a status that could say so.
    DRR_LOG_ERROR = 1,
    /// Works, but not as it was asked for: slower, say.
    DRR_LOG_WARN = 2,
    /// What was opened, and how it will be evaluated.
    DRR_LOG_INFO = 3,
}

use drr_log_level::*;

/// Takes a message. `level` is a `drr_log_level`; `message` is UTF-8, one line, valid during the
/// call only; `user_data` is what was given with the callback. Called by whatever thread has
/// something to say, by several at once perhaps. Must return, not throw or jump.
pub type drr_log_callback =
    Option<unsafe extern "C" fn(level: u32, message: *const c_char, user_data: *mut c_void)>;

struct Listener {
    callback: unsafe extern "C" fn(u32, *const c_char, *mut c_void),
    user_data: *mut c_void,
}

// SAFETY: the library only hands `user_data` back; that the callback may be called by any thread
// is what `drr_set_log_callback` asks of its caller.
unsafe impl Send for Listener {}
// SAFETY: as above.
unsafe impl Sync for Listener {}

static LISTENER: RwLock<Option<Listener>> = RwLock::new(None);

thread_local! {
    /// This thread is in a callback, under a lock.
    static IS_INSIDE: Cell<bool> = const { Cell::new(false) };
}

struct Forward;

impl Log for Forward {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("drr") && !IS_INSIDE.get()
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let listener = LISTENER.read().unwrap_or_else(|poisoned| poisoned.into_inner());
        let Some(Listener { callback, user_data }) = &*listener else { return };
        let level = match record.level() {
            Level::Error => DRR_LOG_ERROR,
            Level::Warn => DRR_LOG_WARN,
            Level::Info | Level::Debug | Level::Trace => DRR_LOG_INFO,
        };
        let text = record.args().to_string().replace(['\0', '\n'], " ");
        let message = CString::new(text).unwrap_or_default();
        IS_INSIDE.set(true);
        // SAFETY: a callback that its giver said may be called so, until it is replaced, which
        // waits for the lock held here.
        unsafe { callback(level as u32, message.as_ptr(), *user_data) };
        IS_INSIDE.set(false);
    }

    fn flush(&self) {}
}

/// Has messages of `level` and above sent to `callback` instead of nowhere; for the whole process.
/// The one before is not called any more when this returns, so that its `user_data` can be freed.
/// May be called at any time by any thread, but not from within a callback. A callback may call
/// the other functions; what these have to say meanwhile is dropped.
///
/// @param callback   NULL for none
/// @param level      a `drr_log_level`
/// @param user_data  handed to the callback; may be NULL
/// @return `DRR_OK`, `DRR_ERROR_INVALID_ARGUMENT` for another level or within a callback, or
///         `DRR_ERROR_UNSUPPORTED` if the program is in Rust and takes messages by itself
#[unsafe(no_mangle)]
pub unsafe extern "C" fn drr_set_log_callback(
    callback: drr_log_callback,
    level: u32,
    user_data: *mut c_void,
) -> drr_status {
    guard(|| {
        let level = [LevelFilter::Off, LevelFilter::Error, LevelFilter::Warn, LevelFilter::Info]
            .into_iter()
            .nth(level as usize)
            .ok_or_else(|| {
                Error::argument(format!("log level {level}, expected a drr_log_level: 0 to 3"))
            })?;
        if IS_INSIDE.get() {
            return Err(Error::argument("a log callback cannot replace itself"));
        }
        static FORWARD: Forward = Forward;
        let mut listener = LISTENER.write().unwrap_or_else(|poisoned| poisoned.into_inner());
        let is_ours = log::set_logger(&FORWARD).is_ok()
            || std::ptr::addr_eq(log::logger(), &raw const FORWARD);
        if !is_ours {
            let message = "another logger takes this program's messages already";
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        *listener = callback.map(|callback| Listener { callback, user_data });
        log::set_max_level(if listener.is_some() { level } else { LevelFilter::Off });
        Ok(())
    })
}
