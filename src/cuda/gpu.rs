//! A GPU as a machine: the kernels are loaded and queued by NVIDIA's driver.

use std::ffi::{CStr, CString, c_void};
use std::sync::{Arc, Mutex, Weak};

use cudarc::driver::result;
use cudarc::driver::sys::{self, CUdevice_attribute, CUfunction_attribute};

use super::arguments::{Bind, Gradient, Query, Radiance, Render};
pub use super::driver::count;
use super::driver::{Context, TOO_OLD, caught, driver, no_device};
pub use super::foreign::Foreign;
use super::{Kernel, Limits, Machine, Shape, Stream};
use crate::{Error, ErrorKind, Result};

/// The kernels, made by tools/ptx.py.
const PORTABLE: &str = include_str!("ptx/portable.ptx");
const GRADIENT: &str = include_str!("ptx/gradient.ptx");
const RADIANCE: &str = include_str!("ptx/radiance.ptx");
const TENSOR: &str = include_str!("ptx/tensor.ptx");

/// The oldest architectures that they run on, times ten.
const OLDEST: i32 = 70;
const OLDEST_WITH_TENSOR_CORES: i32 = 80;

/// A GPU with the kernels on it.
pub struct Gpu {
    // Kept for the functions, which are theirs.
    _modules: Vec<Module>,
    bind: sys::CUfunction,
    gradient: sys::CUfunction,
    radiance: sys::CUfunction,
    render: sys::CUfunction,
    queries: Vec<(Kernel, sys::CUfunction)>,
    context: Arc<Context>,
    limits: Limits,
}

// SAFETY: the driver's handles may be used by any thread.
unsafe impl Send for Gpu {}
// SAFETY: as above.
unsafe impl Sync for Gpu {}

impl Gpu {
    /// The GPU of this number, in a context of the caller (a `CUcontext`, which outlives what is
    /// returned) or, if that is NULL, in its primary one, that of the CUDA runtime.
    ///
    /// # Errors
    /// `NoDevice` if there is no such one, `InvalidArgument` if the context is another device's,
    /// `Unsupported` if the GPU or its driver is too old.
    ///
    /// # Safety
    /// `context` must be NULL or a live context.
    pub unsafe fn open(ordinal: u32, context: *mut c_void) -> Result<Arc<dyn Machine>> {
        let devices = count()?;
        if ordinal >= devices {
            driver()?;
            return Err(no_device(format!("device {ordinal} asked for, there are {devices}")));
        }
        if !context.is_null() {
            // SAFETY: the caller's promise.
            let context = unsafe { Context::of_caller(ordinal, context.cast())? };
            return Ok(Arc::new(Self::load(context)?));
        }
        // Models in primary contexts share their kernels. Those of callers may end and others begin
        // at the same address.
        static OPEN: Mutex<Vec<(u32, Weak<Gpu>)>> = Mutex::new(Vec::new());
        let mut open = OPEN.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        open.retain(|(_, gpu)| gpu.strong_count() > 0);
        let found = open.iter().find(|(other, _)| *other == ordinal);
        if let Some(gpu) = found.and_then(|(_, gpu)| gpu.upgrade()) {
            return Ok(gpu);
        }
        let gpu = Arc::new(Self::load(Context::primary(ordinal)?)?);
        open.push((ordinal, Arc::downgrade(&gpu)));
        Ok(gpu)
    }

    /// Loads the kernels.
    fn load(context: Context) -> Result<Self> {
        let context = Arc::new(context);
        let current = context.enter()?;
        let attribute = |what| {
            // SAFETY: the device exists.
            caught("cuDeviceGetAttribute", || unsafe {
                result::device::get_attribute(context.device, what)
            })
        };
        use CUdevice_attribute as Attribute;
        let major = attribute(Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)?;
        let minor = attribute(Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR)?;
        if 10 * major + minor < OLDEST {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!(
                    "{} has compute capability {major}.{minor}, expected 7.0 or later",
                    context.name()
                ),
            ));
        }
        let shared = attribute(Attribute::CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN)?;
        let processors = attribute(Attribute::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)?;
        drop(current);
        let has_tensor_cores = 10 * major + minor >= OLDEST_WITH_TENSOR_CORES;
        let portable = Module::load(&context, PORTABLE)?;
        let bind = portable.function(c"drr_bind")?;
        let mut queries = vec![(Kernel::Portable, portable.query(c"drr_query", shared)?)];
        let derivatives = Module::load(&context, GRADIENT)?;
        let gradient = derivatives.query(c"drr_gradient", shared)?;
        let pictures = Module::load(&context, RADIANCE)?;
        let radiance = pictures.query(c"drr_radiance", shared)?;
        let render = pictures.query(c"drr_render", shared)?;
        let mut modules = vec![portable, derivatives, pictures];
        if has_tensor_cores {
            let tensor = Module::load(&context, TENSOR)?;
            for (kernel, name) in [
                (Kernel::Tensor64, c"drr_tensor_64"),
                (Kernel::Tensor128, c"drr_tensor_128"),
                (Kernel::Tensor256, c"drr_tensor_256"),
            ] {
                queries.push((kernel, tensor.query(name, shared)?));
            }
            modules.push(tensor);
        }
        let limits = Limits {
            shared: shared.max(0) as usize,
            processors: processors.max(1) as u32,
            has_tensor_cores,
        };
        Ok(Self { _modules: modules, bind, gradient, radiance, render, queries, context, limits })
    }

    /// Queues a kernel of one argument.
    ///
    /// # Safety
    /// `argument` is that of the kernel, and its addresses are right.
    unsafe fn launch<T>(
        &self,
        function: sys::CUfunction,
        argument: &T,
        shape: Shape,
        stream: Stream,
    ) -> Result<()> {
        let _current = self.context.enter()?;
        let mut arguments = [std::ptr::from_ref(argument).cast::<c_void>().cast_mut()];
        let Shape { blocks, threads, shared } = shape;
        // SAFETY: the caller's promise; the driver copies the argument before it returns.
        caught("cuLaunchKernel", || unsafe {
            result::launch_kernel(
                function,
                (blocks, 1, 1),
                (threads, 1, 1),
                shared as u32,
                handle(stream),
                &mut arguments,
            )
        })
    }
}

fn handle(stream: Stream) -> sys::CUstream {
    stream.0 as sys::CUstream
}

impl Machine for Gpu {
    fn name(&self) -> String {
        self.context.name()
    }

    fn limits(&self) -> Limits {
        self.limits
    }

    fn allocate(&self, bytes: usize) -> Result<u64> {
        let _current = self.context.enter()?;
        // SAFETY: a size is all that it takes.
        caught("cuMemAlloc", || unsafe { result::malloc_sync(bytes.max(1)) })
            .map_err(|error| error.context(format!("{bytes} bytes on {}", self.name())))
    }

    unsafe fn free(&self, address: u64) {
        if let Ok(_current) = self.context.enter() {
            // SAFETY: the caller's promise.
            let freed = caught("cuMemFree", || unsafe { result::free_sync(address) });
            // A context that was destroyed took its memory along.
            freed.unwrap_or_else(|error| log::warn!("{error}"));
        }
    }

    unsafe fn upload(&self, address: u64, bytes: &[u8]) -> Result<()> {
        let _current = self.context.enter()?;
        // SAFETY: the caller's promise.
        caught("cuMemcpyHtoD", || unsafe { result::memcpy_htod_sync(address, bytes) })
    }

    unsafe fn download(&self, address: u64, bytes: &mut [u8]) -> Result<()> {
        let _current = self.context.enter()?;
        // SAFETY: the caller's promise.
        caught("cuMemcpyDtoH", || unsafe { result::memcpy_dtoh_sync(bytes, address) })
    }

    fn allocate_pinned(&self, bytes: usize) -> Result<*mut u8> {
        let _current = self.context.enter()?;
        // SAFETY: a size is all that it takes.
        caught("cuMemHostAlloc", || unsafe { result::malloc_host(bytes.max(1), 0) })
            .map(|start| start.cast())
            .map_err(|error| error.context(format!("{bytes} bytes of pinned memory")))
    }

    unsafe fn free_pinned(&self, start: *mut u8) {
        if let Ok(_current) = self.context.enter() {
            // SAFETY: the caller's promise.
            let freed = caught("cuMemFreeHost", || unsafe { result::free_host(start.cast()) });
            freed.unwrap_or_else(|error| log::warn!("{error}"));
        }
    }

    fn open_stream(&self) -> Result<Stream> {
        let _current = self.context.enter()?;
        let kind = result::stream::StreamKind::Default;
        caught("cuStreamCreate", || result::stream::create(kind))
            .map(|stream| Stream(stream as u64))
    }

    unsafe fn close_stream(&self, stream: Stream) {
        if let Ok(_current) = self.context.enter() {
            // SAFETY: the caller's promise.
            let closed =
                caught("cuStreamDestroy", || unsafe { result::stream::destroy(handle(stream)) });
            closed.unwrap_or_else(|error| log::warn!("{error}"));
        }
    }

    unsafe fn queue_upload(
        &self,
        address: u64,
        from: *const u8,
        bytes: usize,
        stream: Stream,
    ) -> Result<()> {
        let _current = self.context.enter()?;
        // SAFETY: the caller's promise.
        caught("cuMemcpyHtoDAsync", || unsafe {
            let bytes = std::slice::from_raw_parts(from, bytes);
            result::memcpy_htod_async(address, bytes, handle(stream))
        })
    }

    unsafe fn queue_download(
        &self,
        to: *mut u8,
        address: u64,
        bytes: usize,
        stream: Stream,
    ) -> Result<()> {
        let _current = self.context.enter()?;
        // SAFETY: the caller's promise.
        caught("cuMemcpyDtoHAsync", || unsafe {
            let bytes = std::slice::from_raw_parts_mut(to, bytes);
            result::memcpy_dtoh_async(bytes, address, handle(stream))
        })
    }

    unsafe fn query(
        &self,
        kernel: Kernel,
        query: &Query,
        shape: Shape,
        stream: Stream,
    ) -> Result<()> {
        let function = self.queries.iter().find(|(other, _)| *other == kernel);
        let (_, function) = function.ok_or_else(|| {
            Error::new(ErrorKind::Unsupported, format!("{} has no {kernel:?}", self.name()))
        })?;
        // SAFETY: the caller's promise.
        unsafe { self.launch(*function, query, shape, stream) }
    }

    unsafe fn gradient(&self, gradient: &Gradient, shape: Shape, stream: Stream) -> Result<()> {
        // SAFETY: the caller's promise.
        unsafe { self.launch(self.gradient, gradient, shape, stream) }
    }

    unsafe fn radiance(&self, radiance: &Radiance, shape: Shape, stream: Stream) -> Result<()> {
        // SAFETY: the caller's promise.
        unsafe { self.launch(self.radiance, radiance, shape, stream) }
    }

    unsafe fn render(&self, render: &Render, shape: Shape, stream: Stream) -> Result<()> {
        // SAFETY: the caller's promise.
        unsafe { self.launch(self.render, render, shape, stream) }
    }

    unsafe fn bind(&self, bind: &Bind, threads: u32, stream: Stream) -> Result<()> {
        let shape = Shape { blocks: 1, threads, shared: 0 };
        // SAFETY: the caller's promise.
        unsafe { self.launch(self.bind, bind, shape, stream) }
    }

    fn synchronize(&self, stream: Stream) -> Result<()> {
        let _current = self.context.enter()?;
        // SAFETY: a stream of the caller.
        caught("cuStreamSynchronize", || unsafe { result::stream::synchronize(handle(stream)) })
    }
}

/// Kernels, loaded in a context.
struct Module {
    context: Arc<Context>,
    module: sys::CUmodule,
}

impl Module {
    fn load(context: &Arc<Context>, ptx: &str) -> Result<Self> {
        let text = CString::new(ptx).unwrap_or_default();
        let _current = context.enter()?;
        // SAFETY: the text of a module that ends with a zero.
        let module = caught("cuModuleLoadData", || unsafe {
            result::module::load_data(text.as_ptr().cast())
        });
        let module = module.map_err(|error| match error.kind() {
            ErrorKind::Unsupported => error.context(format!("the kernels: the driver {TOO_OLD}")),
            _ => error,
        })?;
        Ok(Self { context: context.clone(), module })
    }

    /// A kernel whose blocks may have so many bytes of shared memory.
    fn query(&self, name: &CStr, shared: i32) -> Result<sys::CUfunction> {
        let function = self.function(name)?;
        let _current = self.context.enter()?;
        let what = CUfunction_attribute::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
        // SAFETY: the function is loaded.
        caught("cuFuncSetAttribute", || unsafe {
            result::function::set_function_attribute(function, what, shared)
        })?;
        Ok(function)
    }

    fn function(&self, name: &CStr) -> Result<sys::CUfunction> {
        let _current = self.context.enter()?;
        // SAFETY: the module is loaded.
        caught("cuModuleGetFunction", || unsafe {
            result::module::get_function(self.module, name.to_owned())
        })
    }
}

impl Drop for Module {
    fn drop(&mut self) {
        if let Ok(_current) = self.context.enter() {
            // SAFETY: loaded by `load`, and nothing that is under way uses it any more.
            let unloaded =
                caught("cuModuleUnload", || unsafe { result::module::unload(self.module) });
            unloaded.unwrap_or_else(|error| log::warn!("{error}"));
        }
    }
}
