//! A model in the memory of a machine, and the shapes of its launches.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::arguments::{Bind, Binding, MAX_PARAMETERS, Model as RawModel, Query, Range, Tensor};
use super::image::{Image, widest};
use super::tensor::{self, Plan};
use super::{Kernel, Limits, Machine, Memory, Shape, Stream};
use crate::model::Model;
use crate::model::spec::Spec;
use crate::{Error, ErrorKind, Result};

/// Threads of a block.
const THREADS: u32 = 128;

/// Points that a block may have at a time, best first.
const TILES: [u32; 4] = [64, 32, 16, 8];

/// Which kernel answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Choice {
    /// The one for tensor cores where it can, else the portable one.
    #[default]
    Auto,
    /// The portable one: everything in 32 bits.
    Portable,
    /// The one for tensor cores, or an error.
    Tensor,
}

/// A model in the memory of a machine.
pub struct Resident {
    machine: Arc<dyn Machine>,
    memory: Memory,
    model: RawModel,
    tile: u32,
    shared: usize,
    tensor: Option<Tensors>,
    uses_tensor_cores: AtomicBool,
    /// Where the parts of a binding are in its memory, and the whole.
    binding: BindingLayout,
}

/// What launches of the kernel for tensor cores need.
#[derive(Clone, Copy)]
struct Tensors {
    kernel: Kernel,
    arguments: Tensor,
    shared: usize,
}

/// Offsets in the memory of a binding.
#[derive(Clone, Copy)]
struct BindingLayout {
    inputs: u64,
    bias: u64,
    is_nan: u64,
    bytes: usize,
}

impl BindingLayout {
    /// The scratch space comes first.
    fn new(spec: &Spec) -> Self {
        let first = spec.layers.first().map_or(0, |layer| layer.outputs);
        let inputs = 8 * spec.input.width as u64;
        let bias = inputs + 4 * spec.spatial_width() as u64;
        let is_nan = bias + 4 * first as u64;
        Self { inputs, bias, is_nan, bytes: is_nan as usize + 4 }
    }
}

impl Resident {
    /// Copies a model to a machine. `ranges` are those of its parameters.
    ///
    /// # Errors
    /// `OutOfMemory`; `Unsupported` if a layer or the number of parameters is beyond what the
    /// kernels take; what the driver says.
    pub fn new(
        machine: &Arc<dyn Machine>,
        model: &Model,
        ranges: &[Range],
        choice: Choice,
    ) -> Result<Self> {
        let spec = model.spec();
        let (tile, shared) = tile_of(widest(spec), machine.limits())?;
        if spec.parameters.len() > MAX_PARAMETERS {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!(
                    "a model of {} parameters, a device takes up to {MAX_PARAMETERS}",
                    spec.parameters.len()
                ),
            ));
        }
        let mut image = Image::new(model, ranges)?;
        let tensor = plan(model, machine.limits(), choice)?.map(|plan| Tensors {
            kernel: plan.kernel,
            arguments: Tensor { weights: image.add(plan.weights), ..plan.arguments },
            shared: plan.shared,
        });
        let memory = Memory::new(machine, image.size)?;
        for (offset, bytes) in image.parts() {
            // SAFETY: the parts lie in the new block, which nobody else knows yet.
            unsafe { machine.upload(memory.address() + offset as u64, bytes)? };
        }
        let model = RawModel { base: memory.address(), ..image.model };
        let binding = BindingLayout::new(spec);
        let uses_tensor_cores = AtomicBool::new(false);
        Ok(Self {
            machine: machine.clone(),
            memory,
            model,
            tile,
            shared,
            tensor,
            uses_tensor_cores,
            binding,
        })
    }

    /// What runs it.
    pub fn machine(&self) -> &Arc<dyn Machine> {
        &self.machine
    }

    /// Bytes of the machine's memory that it takes.
    pub fn bytes(&self) -> usize {
        self.memory.bytes()
    }

    /// The kernel that answers for bound parameters: the portable one until told otherwise.
    pub fn kernel(&self) -> Kernel {
        self.tensor_in_use().map_or(Kernel::Portable, |tensor| tensor.kernel)
    }

    /// Whether there is another one, for tensor cores.
    pub fn has_tensor_cores(&self) -> bool {
        self.tensor.is_some()
    }

    /// Whether that answers from now on; decided before others get the model.
    pub fn use_tensor_cores(&self, uses: bool) {
        self.uses_tensor_cores.store(uses, Ordering::Relaxed);
    }

    fn tensor_in_use(&self) -> Option<Tensors> {
        self.tensor.filter(|_| self.uses_tensor_cores.load(Ordering::Relaxed))
    }

    /// Memory for what the model starts from for one set of parameters.
    ///
    /// # Errors
    /// Those of [`Machine::allocate`].
    pub fn binding(&self) -> Result<(Memory, Binding)> {
        let memory = Memory::new(&self.machine, self.binding.bytes)?;
        let [inputs, bias, is_nan] = [self.binding.inputs, self.binding.bias, self.binding.is_nan]
            .map(|offset| memory.address() + offset);
        Ok((memory, Binding { inputs, bias, is_nan }))
    }

    /// Queues the binding of `parameters`, normalised to [0, 1]; those outside count as the ends.
    /// `is_nan` makes all results NaN.
    ///
    /// # Safety
    /// `memory` and `binding` are from [`Resident::binding`], and live until the work is done.
    ///
    /// # Errors
    /// What the driver says.
    pub unsafe fn bind(
        &self,
        (memory, binding): (&Memory, Binding),
        parameters: &[f64],
        is_nan: bool,
        stream: Stream,
    ) -> Result<()> {
        let mut bind = Bind {
            model: self.model,
            binding,
            scratch: memory.address(),
            parameters: [0.0; MAX_PARAMETERS],
            is_nan: is_nan.into(),
            unused: 0,
        };
        bind.parameters[..parameters.len()].copy_from_slice(parameters);
        // SAFETY: the caller's promise; the model lives as long as `self`.
        unsafe { self.machine.bind(&bind, THREADS, stream) }
    }

    /// Queues a query; its model and tile are filled in here.
    ///
    /// # Safety
    /// All other addresses must be what `arguments.h` says until the work is done, and `self` must
    /// live as long.
    ///
    /// # Errors
    /// What the driver says.
    pub unsafe fn query(&self, query: &Query, stream: Stream) -> Result<()> {
        if query.count == 0 {
            return Ok(());
        }
        let mut query = Query { model: self.model, tile: self.tile, ..*query };
        let (mut kernel, mut points, mut threads) = (Kernel::Portable, self.tile.into(), THREADS);
        let mut shared = self.shared;
        if let Some(tensor) = self.tensor_in_use().filter(|_| query.table.is_given == 0) {
            (kernel, shared, threads) = (tensor.kernel, tensor.shared, tensor::THREADS);
            query.tensor = tensor.arguments;
            points = u64::from(threads) / 32 * tensor::ROWS as u64;
        }
        let most = u64::from(self.machine.limits().processors) * 8;
        let blocks = query.count.div_ceil(points).min(most) as u32;
        let shape = Shape { blocks, threads, shared };
        // SAFETY: the caller's promise; the model lives as long as `self`.
        unsafe { self.machine.query(kernel, &query, shape, stream) }
    }
}

/// The plan for tensor cores, unless the portable kernel is to be used.
fn plan(model: &Model, limits: Limits, choice: Choice) -> Result<Option<Plan>> {
    match (choice, Plan::new(model, limits)) {
        (Choice::Portable, _) => Ok(None),
        (_, Ok(plan)) => Ok(Some(plan)),
        (Choice::Auto, Err(reason)) => {
            log::info!("the portable kernel, not that for tensor cores: {reason}");
            Ok(None)
        }
        (Choice::Tensor, Err(reason)) => Err(Error::new(
            ErrorKind::Unsupported,
            format!("the kernel for tensor cores cannot evaluate the model: {reason}"),
        )),
    }
}

/// Points that a block has at a time, and the shared memory for that.
fn tile_of(widest: usize, limits: Limits) -> Result<(u32, usize)> {
    // Per point: three coordinates; eight corners, each a start and a weight; a mark; two vectors
    // (`Memory` of portable.cu).
    let bytes = |tile: u32| tile as usize * (3 * 8 + 8 * (8 + 4) + 4 + 2 * widest * 4);
    let with_company = TILES.into_iter().find(|&tile| 2 * bytes(tile) <= limits.shared);
    let alone = || TILES.into_iter().find(|&tile| bytes(tile) <= limits.shared);
    let tile = with_company.or_else(alone).ok_or_else(|| {
        Error::new(
            ErrorKind::Unsupported,
            format!(
                "a model with a vector of {widest} numbers needs {} bytes of shared memory, the \
                 device has {}: query it on the CPU",
                bytes(TILES[TILES.len() - 1]),
                limits.shared
            ),
        )
    })?;
    Ok((tile, bytes(tile)))
}
