//! Evaluates a model on a GPU: the model's memory there, launches, the driver. Knows nothing of
//! physical units beyond what kernels are told, or of policies.
//!
//! Kernels are written once (`kernels/`) for GPUs and for the host; a [`Machine`] is what runs them:
//! a GPU ([`gpu`]) or, in tests, the host. NVIDIA's driver is opened at run time; nothing here needs
//! it, or CUDA, to be built.

pub mod arguments;
#[cfg(feature = "cuda")]
mod driver;
#[cfg(feature = "cuda")]
mod foreign;
#[cfg(feature = "cuda")]
pub mod gpu;
#[cfg(not(feature = "cuda"))]
#[path = "no_gpu.rs"]
pub mod gpu;
mod image;
mod lane;
mod pictures;
mod resident;
mod tensor;

use std::sync::Arc;

use crate::Result;
use arguments::{Bind, Gradient, Query, Radiance, Render};
pub use lane::{Lane, Pinned};
pub use resident::{Choice, Parts, Resident};

/// A queue of work of a machine: a `CUstream` or `cudaStream_t`, 0 for the default one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stream(pub u64);

/// Kernels for queries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kernel {
    /// For every model and GPU, in 32 bits.
    Portable,
    /// For tensor cores, in 16 bits with sums in 32; for vectors of up to 64 numbers.
    Tensor64,
    /// The same for 128.
    Tensor128,
    /// The same for 256.
    Tensor256,
}

impl Kernel {
    /// Name for people: `portable` or `tensor`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            Self::Tensor64 | Self::Tensor128 | Self::Tensor256 => "tensor",
        }
    }
}

/// What a launch asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Blocks of the launch.
    pub blocks: u32,
    /// Threads of a block.
    pub threads: u32,
    /// Bytes of shared memory of a block.
    pub shared: usize,
}

/// What a machine has.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of shared memory that a block can have.
    pub shared: usize,
    /// Blocks that run at the same time, each on a processor of its own.
    pub processors: u32,
    /// Whether the kernels for tensor cores run.
    pub has_tensor_cores: bool,
}

/// What runs kernels. Addresses are those of the machine's memory.
pub trait Machine: Send + Sync {
    /// Name and number, for messages.
    fn name(&self) -> String;

    /// What it has.
    fn limits(&self) -> Limits;

    /// Memory, aligned to 256 bytes.
    ///
    /// # Errors
    /// `OutOfMemory`, or what the driver says.
    fn allocate(&self, bytes: usize) -> Result<u64>;

    /// Gives memory back.
    ///
    /// # Safety
    /// `address` came from [`Machine::allocate`], and no work that uses it may be under way.
    unsafe fn free(&self, address: u64);

    /// Copies bytes there, and waits for that.
    ///
    /// # Safety
    /// The memory is the caller's, and nothing under way uses it.
    ///
    /// # Errors
    /// What the driver says.
    unsafe fn upload(&self, address: u64, bytes: &[u8]) -> Result<()>;

    /// Copies bytes from there, and waits for that.
    ///
    /// # Safety
    /// As for [`Machine::upload`].
    ///
    /// # Errors
    /// What the driver says.
    unsafe fn download(&self, address: u64, bytes: &mut [u8]) -> Result<()>;

    /// Memory of the host that the machine copies from and to by itself.
    ///
    /// # Errors
    /// `OutOfMemory`, or what the driver says.
    fn allocate_pinned(&self, bytes: usize) -> Result<*mut u8>;

    /// Gives it back.
    ///
    /// # Safety
    /// `start` came from [`Machine::allocate_pinned`], and nothing under way uses it.
    unsafe fn free_pinned(&self, start: *mut u8);

    /// A new stream; it waits for the default one.
    ///
    /// # Errors
    /// What the driver says.
    fn open_stream(&self) -> Result<Stream>;

    /// Ends one.
    ///
    /// # Safety
    /// `stream` came from [`Machine::open_stream`], and has nothing to do.
    unsafe fn close_stream(&self, stream: Stream);

    /// Queues a copy from pinned memory.
    ///
    /// # Safety
    /// Both have as many bytes, and are left alone until the stream got to the end of this.
    ///
    /// # Errors
    /// What the driver says.
    unsafe fn queue_upload(
        &self,
        address: u64,
        from: *const u8,
        bytes: usize,
        stream: Stream,
    ) -> Result<()>;

    /// Queues a copy to pinned memory.
    ///
    /// # Safety
    /// As for [`Machine::queue_upload`].
    ///
    /// # Errors
    /// What the driver says.
    unsafe fn queue_download(
        &self,
        to: *mut u8,
        address: u64,
        bytes: usize,
        stream: Stream,
    ) -> Result<()>;

    /// Queues a query.
    ///
    /// # Safety
    /// All addresses must be what `arguments.h` says, until the stream got to the end of it.
    ///
    /// # Errors
    /// What the driver says.
    unsafe fn query(
        &self,
        kernel: Kernel,
        query: &Query,
        shape: Shape,
        stream: Stream,
    ) -> Result<()>;

    /// Queues a query for derivatives.
    ///
    /// # Safety
    /// As for [`Machine::query`].
    ///
    /// # Errors
    /// What the driver says.
    unsafe fn gradient(&self, gradient: &Gradient, shape: Shape, stream: Stream) -> Result<()>;

    /// Queues a query for densities and colours, with a thread for each point of a tile at least.
    ///
    /// # Safety
    /// As for [`Machine::query`].
    ///
    /// # Errors
    /// What the driver says.
    unsafe fn radiance(&self, radiance: &Radiance, shape: Shape, stream: Stream) -> Result<()>;

    /// Queues a picture, with a thread for each point of a tile at least.
    ///
    /// # Safety
    /// As for [`Machine::query`].
    ///
    /// # Errors
    /// What the driver says.
    unsafe fn render(&self, render: &Render, shape: Shape, stream: Stream) -> Result<()>;

    /// Queues the binding of parameters, in one block of so many threads.
    ///
    /// # Safety
    /// As for [`Machine::query`].
    ///
    /// # Errors
    /// What the driver says.
    unsafe fn bind(&self, bind: &Bind, threads: u32, stream: Stream) -> Result<()>;

    /// Waits until a stream has nothing to do.
    ///
    /// # Errors
    /// What the driver says, also of work that failed there.
    fn synchronize(&self, stream: Stream) -> Result<()>;
}

/// Memory of a machine, given back when dropped.
pub struct Memory {
    machine: Arc<dyn Machine>,
    address: u64,
    bytes: usize,
}

impl Memory {
    /// # Errors
    /// Those of [`Machine::allocate`].
    pub fn new(machine: &Arc<dyn Machine>, bytes: usize) -> Result<Self> {
        Ok(Self { machine: machine.clone(), address: machine.allocate(bytes)?, bytes })
    }

    /// Where it begins.
    pub fn address(&self) -> u64 {
        self.address
    }

    /// Its size.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: from `allocate`; who owns it promised to be done with it.
        unsafe { self.machine.free(self.address) };
    }
}
