//! Why something failed, sorted by what a program can do about it.

use std::any::Any;
use std::fmt;
use std::io;

use anyhow::Error;

use crate::libtorch;

/// A kind of failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An argument or the configuration is not as expected.
    InvalidArgument,
    /// The operating system refused.
    Io,
    /// A stored training is damaged.
    Format,
    /// This cannot be done here.
    Unsupported,
    /// Memory could not be had.
    OutOfMemory,
    /// There is no such device.
    NoDevice,
    /// Something has to come first: members, for instance.
    NotReady,
    /// The loss is not finite: the model is lost.
    Diverged,
    /// It is in use.
    Busy,
    /// libtorch failed.
    Libtorch,
    /// The host's processes do not reach each other, or one of them could not do its part.
    Communication,
    /// A bug.
    Internal,
}

/// A failure with its reason.
#[derive(Debug)]
pub struct Failure {
    /// Its kind.
    pub kind: Kind,
    /// What was given, what was expected, what to do.
    pub message: String,
}

/// A result of training in situ.
pub type Outcome<T> = Result<T, Failure>;

impl Failure {
    /// With a reason.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// An argument that is not as expected.
    pub fn argument(message: impl Into<String>) -> Self {
        Self::new(Kind::InvalidArgument, message)
    }

    /// Of a panic: libtorch's failures are panics in its wrapper.
    pub fn of_panic(panic: &(dyn Any + Send)) -> Self {
        if let Some(failure) = panic.downcast_ref::<Self>() {
            return Self::new(failure.kind, failure.message.clone());
        }
        if let Some(said) = libtorch::said(panic) {
            let lacks = ["allocate memory", "out of memory"].iter().any(|text| said.contains(text));
            let kind = if lacks { Kind::OutOfMemory } else { Kind::Libtorch };
            return Self::new(kind, said);
        }
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
        let text = text.unwrap_or_else(|| "unknown".to_owned());
        Self::new(Kind::Internal, format!("bug in drr-train, please report: {text}"))
    }

    /// As another kind.
    pub fn of_kind(self, kind: Kind) -> Self {
        Self { kind, ..self }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let message = format!("{error:#}");
        let kind = error.chain().find_map(|cause| {
            if let Some(failure) = cause.downcast_ref::<Self>() {
                return Some(failure.kind);
            }
            if cause.is::<std::collections::TryReserveError>() {
                return Some(Kind::OutOfMemory);
            }
            if let Some(error) = cause.downcast_ref::<drr::Error>() {
                return Some(kind_of(error.kind()));
            }
            if cause.is::<tch::TchError>() {
                return Some(Kind::Libtorch);
            }
            cause.is::<io::Error>().then_some(Kind::Io)
        });
        Self { kind: kind.unwrap_or(Kind::InvalidArgument), message }
    }
}

impl From<drr::Error> for Failure {
    fn from(error: drr::Error) -> Self {
        Self::new(kind_of(error.kind()), error.to_string())
    }
}

fn kind_of(kind: drr::ErrorKind) -> Kind {
    match kind {
        drr::ErrorKind::Io => Kind::Io,
        drr::ErrorKind::OutOfMemory => Kind::OutOfMemory,
        drr::ErrorKind::Unsupported => Kind::Unsupported,
        drr::ErrorKind::Internal => Kind::Internal,
        _ => Kind::InvalidArgument,
    }
}
