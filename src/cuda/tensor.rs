//! The kernel for tensor cores: which models it takes, and what it needs in shared memory.

use half::f16;

use super::arguments::Tensor;
use super::{Kernel, Limits};
use crate::model::{GridPrecision, Model};

/// Threads of a block: four warps.
pub const THREADS: u32 = 128;

/// Points that a warp has at a time.
pub const ROWS: usize = 32;

/// Channels that a lane reads at a time, and what is left free behind each row so that rows begin
/// in different banks.
const CHUNK: usize = 8;

/// Variants of the kernel, and the longest vector of each.
const VARIANTS: [(Kernel, usize); 3] =
    [(Kernel::Tensor64, 64), (Kernel::Tensor128, 128), (Kernel::Tensor256, 256)];

/// A model prepared for the kernel.
pub struct Plan {
    /// Weights of all layers as they will lie in shared memory.
    pub weights: Vec<u8>,
    /// Sizes; where the weights are is not known yet.
    pub arguments: Tensor,
    /// The variant for its longest vector.
    pub kernel: Kernel,
    /// Bytes of shared memory of a block.
    pub shared: usize,
}

impl Plan {
    /// # Errors
    /// Why the kernel cannot evaluate the model on such a machine.
    pub fn new(model: &Model, limits: Limits) -> Result<Self, String> {
        if !limits.has_tensor_cores {
            return Err("no tensor cores for it (compute capability 8.0)".into());
        }
        let spec = model.spec();
        if spec.layers.is_empty() {
            return Err("a model without layers".into());
        }
        if spec.version() > 1 {
            return Err("products of grids, grids along parameters or hashed grids".into());
        }
        check_grids(model)?;
        let longest = spec.layers.iter().map(|layer| layer.outputs);
        let longest = longest.fold(spec.spatial_width(), usize::max).next_multiple_of(16);
        let variant = VARIANTS.into_iter().find(|&(_, most)| longest <= most);
        let (kernel, _) = variant.ok_or_else(|| {
            format!("a vector of {longest} numbers, it takes up to {}", VARIANTS[2].1)
        })?;
        let weights = pack(model)?;
        // The last layer's results are 32-bit numbers in the same rows.
        let results = 2 * spec.outputs().next_multiple_of(CHUNK);
        let stride = (longest + CHUNK).max(results);
        let corners = spec.grids.len() * 8 * ROWS * (size_of::<u32>() + size_of::<f32>());
        let warp_bytes = ROWS * stride * size_of::<f16>() + corners;
        let shared = weights.len() + THREADS as usize / 32 * warp_bytes;
        if shared > limits.shared {
            return Err(format!(
                "{shared} bytes of shared memory needed, a block has {}",
                limits.shared
            ));
        }
        let arguments = Tensor {
            weights: 0,
            bytes: weights.len() as u32,
            warp_bytes: warp_bytes as u32,
            stride: stride as u32,
            unused: 0,
        };
        Ok(Self { weights, arguments, kernel, shared })
    }
}

fn check_grids(model: &Model) -> Result<(), String> {
    for (n, grid) in model.spec().grids.iter().enumerate() {
        if !grid.offset.is_multiple_of(CHUNK) || !grid.channels.is_multiple_of(CHUNK) {
            return Err(format!(
                "grid {n} has channels {} to {}, not multiples of {CHUNK}",
                grid.offset,
                grid.offset + grid.channels
            ));
        }
        let precision = model.grid_precision(n);
        let alignment = if precision == GridPrecision::I8 { 8 } else { 16 };
        if !(model.grid(n).row * precision.bytes()).is_multiple_of(alignment) {
            return Err(format!("rows of grid {n} are no multiple of {alignment} bytes"));
        }
        if grid.vertices().is_none_or(|count| u32::try_from(count).is_err()) {
            return Err(format!("grid {n} has more vertices than it counts to"));
        }
    }
    Ok(())
}

/// Per layer `[outputs, up to a multiple of 8][inputs, up to one of 16, and 8]`; zeros around.
fn pack(model: &Model) -> Result<Vec<u8>, String> {
    let spec = model.spec();
    let mut packed = Vec::new();
    for (n, (layer, tensors)) in spec.layers.iter().zip(model.layers()).enumerate() {
        let inputs = if n == 0 { spec.spatial_width() } else { layer.inputs };
        let mut row = vec![f16::ZERO; inputs.next_multiple_of(16) + CHUNK];
        for output in 0..layer.outputs.next_multiple_of(CHUNK) {
            row.fill(f16::ZERO);
            if output < layer.outputs {
                let weights = &tensors.weight[output * layer.inputs..][..inputs];
                for (half, &weight) in row.iter_mut().zip(weights) {
                    *half = f16::from_f32(weight);
                }
            }
            if let Some(input) = row.iter().position(|half| !half.is_finite()) {
                return Err(format!("layer {n} has a weight that 16 bits do not hold, at {input}"));
            }
            packed.extend(row.iter().flat_map(|half| half.to_ne_bytes()));
        }
    }
    Ok(packed)
}
