//! What the kernels' tests run on: the host, or a GPU.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock};

use drr::cuda::arguments::{Bind, Gradient, Query, Radiance, Render};
use drr::cuda::gpu::Gpu;
use drr::cuda::{Choice, Kernel as CudaKernel, Limits, Machine, Memory, Shape, Stream};
use drr::sampler::results::{Places, PointStride};
use drr::sampler::scalar::Scalar;
use drr::{DeviceModel, DeviceOptions, DeviceSampler, Error, ErrorKind, Kernel, Points, ValuesMut};
use libloading::Library;

use crate::common::Baked;
use crate::common::programs::{is_installed, root, silent};

/// The host as a machine. Memory is what the test's process has, so that addresses are pointers.
pub struct Host {
    pub library: &'static Library,
    pub limits: Limits,
    pub memory: Mutex<HashMap<u64, Vec<u128>>>,
    /// Bytes that can be had.
    pub room: usize,
    /// Wrong on purpose.
    pub is_broken: &'static [CudaKernel],
}

/// Kernels take turns: the harness has one block at a time.
static LAUNCH: Mutex<()> = Mutex::new(());

pub fn library() -> Option<&'static Library> {
    static LIBRARY: OnceLock<Option<Library>> = OnceLock::new();
    if is_gpu() {
        return None;
    }
    LIBRARY
        .get_or_init(|| {
            if !is_installed("c++") {
                eprintln!("skipped: the kernels on the host (there is no c++)");
                return None;
            }
            let folder = tempfile::tempdir().expect("a temporary folder");
            let path = folder.path().join("libhost.so");
            let mut command = std::process::Command::new("c++");
            command.args(["-std=c++17", "-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]);
            command
                .arg("-I")
                .arg(root().join("tests/cuda"))
                .arg(root().join("tests/cuda/host.cpp"));
            command.arg("-o").arg(&path);
            silent(&command.output().expect("c++"), "the kernels on the host");
            // SAFETY: our own library, without initialisers.
            Some(unsafe { Library::new(&path) }.expect("the library just made"))
        })
        .as_ref()
}

impl Host {
    pub fn new() -> Option<Self> {
        let limits = Limits { shared: 227 << 10, processors: 2, has_tensor_cores: true };
        let memory = Mutex::default();
        Some(Self { library: library()?, limits, memory, room: usize::MAX, is_broken: &[] })
    }

    pub fn machine(self) -> (Arc<Self>, Arc<dyn Machine>) {
        let host = Arc::new(self);
        (host.clone(), host)
    }
}

impl Host {
    /// Runs a kernel of one argument.
    ///
    /// # Safety
    /// `argument` is what the function of tests/cuda/host.cpp takes, and its addresses are right.
    unsafe fn launch<T>(&self, name: &[u8], argument: &T, shape: Shape) -> Result<(), Error> {
        assert!(shape.blocks > 0 && shape.shared <= self.limits.shared, "{shape:?}");
        let _turn = LAUNCH.lock().unwrap();
        // SAFETY: the caller's promise.
        unsafe {
            let launch: libloading::Symbol<unsafe extern "C" fn(*const T, u32, u32, usize)> =
                self.library.get(name).expect("exported");
            launch(argument, shape.blocks, shape.threads, shape.shared);
        }
        Ok(())
    }
}

impl Machine for Host {
    fn name(&self) -> String {
        "host".into()
    }

    fn limits(&self) -> Limits {
        self.limits
    }

    fn allocate(&self, bytes: usize) -> Result<u64, Error> {
        let mut memory = self.memory.lock().unwrap();
        let taken: usize = memory.values().map(|block| 16 * block.len()).sum();
        if taken + bytes > self.room {
            return Err(Error::new(ErrorKind::OutOfMemory, format!("{bytes} bytes on the host")));
        }
        // All ones are NaN in every type: what is read before it is written shows up.
        let block = vec![u128::MAX; bytes.div_ceil(16) + 1];
        let address = block.as_ptr() as u64;
        memory.insert(address, block);
        Ok(address)
    }

    unsafe fn free(&self, address: u64) {
        self.memory.lock().unwrap().remove(&address).expect("an address from allocate");
    }

    unsafe fn upload(&self, address: u64, bytes: &[u8]) -> Result<(), Error> {
        // SAFETY: the caller's promise.
        unsafe { (address as *mut u8).copy_from(bytes.as_ptr(), bytes.len()) };
        Ok(())
    }

    unsafe fn download(&self, address: u64, bytes: &mut [u8]) -> Result<(), Error> {
        // SAFETY: the caller's promise.
        unsafe { (address as *const u8).copy_to(bytes.as_mut_ptr(), bytes.len()) };
        Ok(())
    }

    fn allocate_pinned(&self, bytes: usize) -> Result<*mut u8, Error> {
        self.allocate(bytes).map(|address| address as *mut u8)
    }

    unsafe fn free_pinned(&self, start: *mut u8) {
        // SAFETY: the caller's promise.
        unsafe { self.free(start as u64) };
    }

    fn open_stream(&self) -> Result<Stream, Error> {
        self.allocate(1).map(Stream)
    }

    unsafe fn close_stream(&self, stream: Stream) {
        // SAFETY: the caller's promise.
        unsafe { self.free(stream.0) };
    }

    unsafe fn queue_upload(
        &self,
        address: u64,
        from: *const u8,
        bytes: usize,
        _: Stream,
    ) -> Result<(), Error> {
        // SAFETY: the caller's promise.
        unsafe { self.upload(address, std::slice::from_raw_parts(from, bytes)) }
    }

    unsafe fn queue_download(
        &self,
        to: *mut u8,
        address: u64,
        bytes: usize,
        _: Stream,
    ) -> Result<(), Error> {
        // SAFETY: the caller's promise.
        unsafe { self.download(address, std::slice::from_raw_parts_mut(to, bytes)) }
    }

    unsafe fn query(
        &self,
        kernel: CudaKernel,
        query: &Query,
        shape: Shape,
        _: Stream,
    ) -> Result<(), Error> {
        assert!(shape.blocks > 0 && shape.shared <= self.limits.shared, "{shape:?}");
        let mut query = *query;
        if self.is_broken.contains(&kernel) {
            query.frame.axes[0].min += 1.0;
        }
        let _turn = LAUNCH.lock().unwrap();
        // SAFETY: a function of tests/cuda/host.cpp; the caller's promise.
        unsafe {
            let launch: libloading::Symbol<
                unsafe extern "C" fn(u32, *const Query, u32, u32, usize),
            > = self.library.get(b"drr_host_query").expect("exported");
            launch(kernel as u32, &query, shape.blocks, shape.threads, shape.shared);
        }
        Ok(())
    }

    unsafe fn gradient(&self, gradient: &Gradient, shape: Shape, _: Stream) -> Result<(), Error> {
        // SAFETY: the caller's promise.
        unsafe { self.launch(b"drr_host_gradient", gradient, shape) }
    }

    unsafe fn radiance(&self, radiance: &Radiance, shape: Shape, _: Stream) -> Result<(), Error> {
        // SAFETY: the caller's promise.
        unsafe { self.launch(b"drr_host_radiance", radiance, shape) }
    }

    unsafe fn render(&self, render: &Render, shape: Shape, _: Stream) -> Result<(), Error> {
        // SAFETY: the caller's promise.
        unsafe { self.launch(b"drr_host_render", render, shape) }
    }

    unsafe fn bind(&self, bind: &Bind, threads: u32, _: Stream) -> Result<(), Error> {
        let _turn = LAUNCH.lock().unwrap();
        // SAFETY: as above.
        unsafe {
            let launch: libloading::Symbol<unsafe extern "C" fn(*const Bind, u32)> =
                self.library.get(b"drr_host_bind").expect("exported");
            launch(bind, threads);
        }
        Ok(())
    }

    fn synchronize(&self, _: Stream) -> Result<(), Error> {
        Ok(())
    }
}

/// Whether the tests run on a GPU.
pub fn is_gpu() -> bool {
    std::env::var_os("DRR_TEST_DEVICE").is_some()
}

/// What the tests run on: the host, or the GPU that DRR_TEST_DEVICE names.
pub fn machine() -> Option<Arc<dyn Machine>> {
    match std::env::var("DRR_TEST_DEVICE") {
        // SAFETY: no context is given.
        Ok(number) => Some(unsafe {
            Gpu::open(number.parse().expect("a number"), std::ptr::null_mut()).expect("a GPU")
        }),
        Err(_) => Some(Host::new()?.machine().1),
    }
}

pub fn on(machine: &Arc<dyn Machine>, baked: &Baked) -> Arc<DeviceModel> {
    on_by(machine, baked, Choice::Portable).expect("room, and right values")
}

pub fn on_by(
    machine: &Arc<dyn Machine>,
    baked: &Baked,
    kernel: Choice,
) -> Result<Arc<DeviceModel>, Error> {
    let runtime = baked.runtime(Kernel::Reference, 1);
    DeviceModel::on(&runtime, machine, &DeviceOptions { kernel })
}

/// An array of 64-bit numbers in the machine's memory; it starts at `shift` bytes of it.
pub struct Array {
    machine: Arc<dyn Machine>,
    memory: Memory,
    shift: usize,
}

impl Array {
    pub fn of(machine: &Arc<dyn Machine>, bytes: &[u8], shift: usize) -> Self {
        let memory = Memory::new(machine, bytes.len() + shift).expect("room");
        // SAFETY: a new block of this size.
        unsafe { machine.upload(memory.address() + shift as u64, bytes).expect("a copy") };
        Self { machine: machine.clone(), memory, shift }
    }

    pub fn floats(machine: &Arc<dyn Machine>, values: &[f64]) -> Self {
        let bytes: Vec<u8> = values.iter().flat_map(|x| x.to_ne_bytes()).collect();
        Self::of(machine, &bytes, 0)
    }

    /// Where byte `n` is.
    pub fn at(&self, n: usize) -> *mut u8 {
        (self.memory.address() as usize + self.shift + n) as *mut u8
    }

    /// What is there when all work is done.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.memory.bytes()];
        self.machine.synchronize(Stream(0)).expect("work that does not fail");
        // SAFETY: the whole block, which nothing uses any more.
        unsafe { self.machine.download(self.memory.address(), &mut bytes).expect("a copy") };
        bytes.split_off(self.shift)
    }

    pub fn numbers(&self) -> Vec<f64> {
        self.bytes().as_chunks().0.iter().map(|&bytes| f64::from_ne_bytes(bytes)).collect()
    }

    /// As packed points.
    pub fn points(&self, count: usize, dims: usize) -> Points<'_> {
        let axes = [0, 1, 2].map(|k| (self.at(8 * k).cast_const(), 8 * dims as isize));
        // SAFETY: the array holds as many numbers.
        unsafe { Points::from_raw(Scalar::F64, count, dims, axes) }
    }

    /// As room for packed values.
    pub fn values(&self, count: usize, outputs: usize) -> ValuesMut<'_> {
        let places = Places::Strided(self.at(0), [8, 0]);
        let stride = PointStride::Each(8 * outputs as isize);
        // SAFETY: the array has room for as many numbers.
        unsafe { ValuesMut::from_raw(Scalar::F64, [count, outputs], places, stride) }
    }
}

/// Values at packed points.
pub fn ask(machine: &Arc<dyn Machine>, sampler: &DeviceSampler, points: &[f64]) -> Vec<f64> {
    let spec = sampler.model().runtime().model().spec();
    let (dims, outputs) = (spec.axes.len(), spec.outputs());
    let count = points.len() / dims;
    let at = Array::floats(machine, points);
    let values = Array::floats(machine, &vec![f64::MIN; count * outputs]);
    // SAFETY: both arrays live until the numbers are back.
    unsafe {
        let mut room = values.values(count, outputs);
        sampler.query(&at.points(count, dims), &mut room, Stream(0)).expect("a query that fits");
    }
    values.numbers()
}
