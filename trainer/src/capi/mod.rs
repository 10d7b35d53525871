//! The C ABI for training in situ: checks what C callers hand over and calls
//! [`insitu`](crate::train::insitu); no logic of its own.
//!
//! `include/drr_train.h` is generated from this module by cbindgen; `make header` refreshes it. Every
//! entry catches panics, and a failure leaves its reason in [`drr_train_last_error`].
//!
//! # Safety
//!
//! All functions take pointers that must be what their comments say: NULL where allowed, else
//! valid for the stated number of elements. What can be checked is checked: NULL, sizes, ranges,
//! and sessions by a tag that also catches most that are freed already.

// That chapter holds for every function; their own comments are for readers of the C header.
#![allow(clippy::missing_safety_doc)]

mod blocks;
mod communicator;
mod device;
mod files;
mod log;
mod session;
mod status;
mod structs;
mod texts;

pub use communicator::*;
pub use files::*;
pub use log::*;
pub use session::*;
pub use status::*;
pub use structs::*;
