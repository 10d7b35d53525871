//! The one error type of the runtime: a kind that programs act on, a message that people read.

use std::fmt;

/// What kind of thing went wrong; each has a fixed status number in the C ABI.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// An argument is missing, of the wrong size or out of its range.
    InvalidArgument,
    /// The operating system refused: the message carries its reason.
    Io,
    /// The file is not a valid baked model: truncated, damaged or inconsistent.
    Format,
    /// The file is a baked model of a version that this library does not know.
    Version,
    /// A point or parameter lies outside, and the caller asked for that to be an error.
    OutsideDomain,
    /// This machine or build lacks what was asked for (a kernel, say).
    Unsupported,
    /// Memory could not be had.
    OutOfMemory,
    /// There is no such device, or no driver for one.
    NoDevice,
    /// A device or its driver failed.
    Device,
    /// A bug in this library.
    Internal,
}

/// An error: what was given, what was expected, what to do.
#[derive(Debug, Clone)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    os_error: Option<i32>,
}

/// Result of the runtime's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of `kind` with a message for people.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), os_error: None }
    }

    /// The kind, for programs.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The system's number for what it refused (`errno`), if it did.
    pub fn os_error(&self) -> Option<i32> {
        self.os_error
    }

    /// The same error with `context: ` before its message, for instance the file's name.
    pub fn context(mut self, context: impl fmt::Display) -> Self {
        self.message = format!("{context}: {}", self.message);
        self
    }

    pub(crate) fn argument(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidArgument, message)
    }

    pub(crate) fn format(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Format, message)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        let kind = match error.kind() {
            std::io::ErrorKind::OutOfMemory => ErrorKind::OutOfMemory,
            _ => ErrorKind::Io,
        };
        Self { os_error: error.raw_os_error(), ..Self::new(kind, error.to_string()) }
    }
}
