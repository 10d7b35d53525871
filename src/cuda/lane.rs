//! What arrays of the host go through on their way to a machine and back: a stream of its own,
//! memory of the host that it copies from and to by itself, and as much of its own.

use std::sync::Arc;

use super::{Machine, Memory, Stream};
use crate::Result;

/// One way; two of them overlap copies and work.
pub struct Lane {
    machine: Arc<dyn Machine>,
    stream: Stream,
    /// Room for coordinates, there and here.
    pub input: (Memory, Pinned),
    /// Room for results, there and here.
    pub output: (Memory, Pinned),
}

impl Lane {
    /// # Errors
    /// `OutOfMemory`, or what the driver says.
    pub fn new(machine: &Arc<dyn Machine>, input: usize, output: usize) -> Result<Self> {
        let input = (Memory::new(machine, input)?, Pinned::new(machine, input)?);
        let output = (Memory::new(machine, output)?, Pinned::new(machine, output)?);
        Ok(Self { machine: machine.clone(), stream: machine.open_stream()?, input, output })
    }

    /// Its queue of work.
    pub fn stream(&self) -> Stream {
        self.stream
    }

    /// Queues the copy of the first `bytes` of coordinates.
    ///
    /// # Errors
    /// What the driver says.
    pub fn upload(&self, bytes: usize) -> Result<()> {
        let (there, here) = &self.input;
        assert!(bytes <= here.bytes);
        // SAFETY: both have as many bytes, and live until the stream is waited for.
        unsafe { self.machine.queue_upload(there.address(), here.start, bytes, self.stream) }
    }

    /// Queues the copy of the first `bytes` of results.
    ///
    /// # Errors
    /// What the driver says.
    pub fn download(&mut self, bytes: usize) -> Result<()> {
        let (there, here) = &self.output;
        assert!(bytes <= here.bytes);
        // SAFETY: both have as many bytes, and live until the stream is waited for.
        unsafe { self.machine.queue_download(here.start, there.address(), bytes, self.stream) }
    }

    /// Waits for all that was queued.
    ///
    /// # Errors
    /// What the driver says, also of work that failed.
    pub fn finish(&self) -> Result<()> {
        self.machine.synchronize(self.stream)
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        // Whatever fails was reported where it was waited for.
        let _ = self.machine.synchronize(self.stream);
        // SAFETY: ours, and idle.
        unsafe { self.machine.close_stream(self.stream) };
    }
}

/// Memory of the host that a machine reaches by itself.
pub struct Pinned {
    machine: Arc<dyn Machine>,
    start: *mut u8,
    bytes: usize,
}

// SAFETY: owned memory, like a `Box<[u8]>`.
unsafe impl Send for Pinned {}

impl Pinned {
    fn new(machine: &Arc<dyn Machine>, bytes: usize) -> Result<Self> {
        let start = machine.allocate_pinned(bytes)?;
        // SAFETY: a new block of this size.
        unsafe { start.write_bytes(0, bytes) };
        Ok(Self { machine: machine.clone(), start, bytes })
    }

    /// Its bytes, while nothing is queued.
    pub fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: initialised by `new`, and ours alone.
        unsafe { std::slice::from_raw_parts_mut(self.start, self.bytes) }
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        // SAFETY: from `allocate_pinned`; its lane was waited for.
        unsafe { self.machine.free_pinned(self.start) };
    }
}
