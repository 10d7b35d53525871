//! A model in the memory of a machine, and the shapes of its launches.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::arguments::{
    Bind, Binding, Gradient, MAX_PARAMETERS, Model as RawModel, Query, Range, Tensor,
};
use super::image::{Image, has_input_slopes, widest};
use super::pictures::Pictures;
use super::tensor::{self, Plan};
use super::{Kernel, Limits, Machine, Memory, Shape, Stream};
use crate::model::Model;
use crate::model::spec::Spec;
use crate::{Error, ErrorKind, Result};

/// Threads of a block.
pub(super) const THREADS: u32 = 128;

/// Points that a block may have at a time, best first.
pub(super) const TILES: [u32; 4] = [64, 32, 16, 8];

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

/// What is uploaded with a model, from what is known of it elsewhere.
pub struct Parts {
    /// The ranges of its parameters.
    pub ranges: Vec<Range>,
    /// Of a radiance field, for each block of 8 x 8 x 8 cells, x fastest, whether anything may be in
    /// it; empty if it does not say where it is empty.
    pub blocks: Vec<u8>,
}

/// A model in the memory of a machine.
pub struct Resident {
    pub(super) machine: Arc<dyn Machine>,
    memory: Memory,
    pub(super) model: RawModel,
    tile: u32,
    shared: usize,
    /// The same for derivatives, if a block has room for them.
    tape: Result<(u32, usize)>,
    /// Whether grids reach inputs that change with a parameter.
    has_input_slopes: bool,
    /// What pictures need, if it is a radiance field and a block has room for its colours.
    pub(super) pictures: Result<Pictures>,
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
    parameters: u64,
    inputs: u64,
    bias: u64,
    is_nan: u64,
    input_slopes: u64,
    bias_slopes: u64,
    bytes: usize,
}

impl BindingLayout {
    /// The scratch space comes first: two vectors of 64 bits.
    fn new(spec: &Spec) -> Self {
        let first = spec.layers.first().map_or(0, |layer| layer.outputs);
        let [spatial, first, count] =
            [spec.spatial_width(), first, spec.parameters.len()].map(|size| size as u64);
        let parameters = 2 * 8 * spec.input.width as u64;
        let inputs = parameters + 8 * count;
        let bias = inputs + 4 * spatial;
        let is_nan = bias + 4 * first;
        let input_slopes = is_nan + 4;
        let bias_slopes = input_slopes + 4 * count * spatial;
        let bytes = (bias_slopes + 4 * count * first) as usize;
        Self { parameters, inputs, bias, is_nan, input_slopes, bias_slopes, bytes }
    }
}

impl Resident {
    /// Copies a model to a machine.
    ///
    /// # Errors
    /// `OutOfMemory`; `Unsupported` if a layer or the number of parameters is beyond what the
    /// kernels take; what the driver says.
    pub fn new(
        machine: &Arc<dyn Machine>,
        model: &Model,
        parts: &Parts,
        choice: Choice,
    ) -> Result<Self> {
        let spec = model.spec();
        let vectors = 2 * widest(spec);
        let (tile, shared) = tile_of(machine.limits(), |tile| tile_bytes(tile, vectors))?;
        let tape =
            tile_of(machine.limits(), |tile| tile_bytes(tile, vectors) + tape_bytes(tile, spec))
                .map_err(|error| error.context("derivatives"));
        let has_input_slopes = has_input_slopes(spec);
        if spec.parameters.len() > MAX_PARAMETERS {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!(
                    "a model of {} parameters, a device takes up to {MAX_PARAMETERS}",
                    spec.parameters.len()
                ),
            ));
        }
        let mut image = Image::new(model, parts)?;
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
        let pictures = Pictures::new(spec, image.field, machine.limits());
        let model = RawModel { base: memory.address(), ..image.model };
        let binding = BindingLayout::new(spec);
        let uses_tensor_cores = AtomicBool::new(false);
        Ok(Self {
            machine: machine.clone(),
            memory,
            model,
            tile,
            shared,
            tape,
            has_input_slopes,
            pictures,
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
        let at = |offset| memory.address() + offset;
        let layout = self.binding;
        let binding = Binding {
            inputs: at(layout.inputs),
            bias: at(layout.bias),
            is_nan: at(layout.is_nan),
            input_slopes: at(layout.input_slopes),
            bias_slopes: at(layout.bias_slopes),
            parameters: at(layout.parameters),
        };
        Ok((memory, binding))
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
        let shape = Shape { blocks: self.blocks(query.count, points), threads, shared };
        // SAFETY: the caller's promise; the model lives as long as `self`.
        unsafe { self.machine.query(kernel, &query, shape, stream) }
    }

    /// Queues a query for values and derivatives, by the portable kernel; its model and tile, and what
    /// the parameters change, are filled in here.
    ///
    /// # Safety
    /// As for [`Resident::query`].
    ///
    /// # Errors
    /// `Unsupported` if a block has no room for the model's layers; what the driver says.
    pub unsafe fn gradient(&self, gradient: &Gradient, stream: Stream) -> Result<()> {
        let (tile, shared) = self.tape.clone()?;
        let count = gradient.query.count;
        if count == 0 {
            return Ok(());
        }
        let query = Query { model: self.model, tile, ..gradient.query };
        let has_input_slopes = self.has_input_slopes.into();
        let gradient = Gradient { query, has_input_slopes, ..*gradient };
        let shape = Shape { blocks: self.blocks(count, tile.into()), threads: THREADS, shared };
        // SAFETY: the caller's promise; the model lives as long as `self`.
        unsafe { self.machine.gradient(&gradient, shape, stream) }
    }

    /// Blocks for so many points, of which one has `points` at a time.
    pub(super) fn blocks(&self, count: u64, points: u64) -> u32 {
        let most = u64::from(self.machine.limits().processors) * 8;
        count.div_ceil(points).min(most) as u32
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

/// Points that a block has at a time, and the shared memory for that, of which `bytes` says how much
/// so many points need.
pub(super) fn tile_of(limits: Limits, bytes: impl Fn(u32) -> usize) -> Result<(u32, usize)> {
    let with_company = TILES.into_iter().find(|&tile| 2 * bytes(tile) <= limits.shared);
    let alone = || TILES.into_iter().find(|&tile| bytes(tile) <= limits.shared);
    let tile = with_company.or_else(alone).ok_or_else(|| {
        Error::new(
            ErrorKind::Unsupported,
            format!(
                "the model's vectors need {} bytes of shared memory, the device has {}: query it \
                 on the CPU",
                bytes(TILES[TILES.len() - 1]),
                limits.shared
            ),
        )
    })?;
    Ok((tile, bytes(tile)))
}

/// `Memory` of tile.h: per point three coordinates; eight corners, each a start and a weight; a
/// mark; vectors of so many numbers.
pub(super) fn tile_bytes(tile: u32, numbers: usize) -> usize {
    tile as usize * (3 * 8 + 8 * (8 + 4) + 4 + numbers * 4)
}

/// `Tape` of gradient.cu: per point a scale, a derivative and a fraction for each axis; the slopes
/// of all levels; the values; derivatives by the parameters. And sums of each thread.
fn tape_bytes(tile: u32, spec: &Spec) -> usize {
    let levels =
        spec.layers.iter().map(|layer| layer.outputs).sum::<usize>() + spec.spatial_width();
    let numbers = levels + spec.outputs() + spec.parameters.len();
    tile as usize * (3 * (8 + 8 + 4) + numbers * 4) + 3 * THREADS as usize * 4
}
