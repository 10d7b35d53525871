//! Evaluates a model on the CPU: one tile of points at a time, from gather to values, by a kernel
//! for the instruction set of the machine. Knows nothing of physical units or of policies.
//!
//! A point's result does not depend on where it stands in a batch or tile, on the batch's size or
//! on threads: each kernel does the same operations in the same order for every point.

pub mod activation;
#[cfg(target_arch = "x86_64")]
mod avx2;
mod corners;
mod lanes;
mod reference;
mod tile;

use crate::model::Model;
use crate::{Error, ErrorKind, Result};

/// Points per tile: their inputs and hidden values stay in the first two cache levels.
pub const TILE: usize = 48;

/// Environment variable that overrides the choice of kernel.
pub const KERNEL_VARIABLE: &str = "DRR_CPU";

/// A kernel: what does the arithmetic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kernel {
    /// 64-bit floating point, one point at a time; slow, the yardstick of all others.
    Reference,
    /// 32-bit, no special instructions.
    Scalar,
    /// 32-bit, AVX2 + FMA + F16C.
    Avx2,
}

impl Kernel {
    /// All kernels, slowest first.
    pub const ALL: [Self; 3] = [Self::Reference, Self::Scalar, Self::Avx2];

    /// Name in `DRR_CPU`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Reference => "reference",
            Self::Scalar => "scalar",
            Self::Avx2 => "avx2",
        }
    }

    /// Whether this machine can run it.
    pub fn is_supported(self) -> bool {
        match self {
            Self::Reference | Self::Scalar => true,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => avx2::is_supported(),
            #[cfg(not(target_arch = "x86_64"))]
            Self::Avx2 => false,
        }
    }

    /// The fastest kernel that this machine can run.
    pub fn best() -> Self {
        Self::ALL.into_iter().rev().find(|kernel| kernel.is_supported()).unwrap_or(Self::Scalar)
    }

    /// The kernel that `DRR_CPU` names, or else the best.
    ///
    /// # Errors
    /// `Unsupported` if it names none, or one that this machine cannot run.
    pub fn choose() -> Result<Self> {
        let name = std::env::var_os(KERNEL_VARIABLE).unwrap_or_default();
        if name.is_empty() {
            return Ok(Self::best());
        }
        let name = name.to_string_lossy();
        let supported = Self::ALL.into_iter().filter(|kernel| kernel.is_supported());
        supported.clone().find(|kernel| kernel.name() == name).ok_or_else(|| {
            let names: Vec<_> = supported.map(Self::name).collect();
            Error::new(
                ErrorKind::Unsupported,
                format!("{KERNEL_VARIABLE}={name}: this machine runs {}", names.join(", ")),
            )
        })
    }
}

/// A normalised position: -1 and 1 are the first and last vertex of each axis, x first. Axes that
/// the model lacks are ignored. Must not hold NaN.
pub type Position = [f64; 3];

/// What grids give outside [-1, 1].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Padding {
    /// The value at the nearest point of the border.
    Border,
    /// Vertices outside are zero, so that features fade out within one cell.
    Zeros,
}

/// A model prepared for a kernel; immutable and shared by all samplers of the model.
pub struct Engine {
    kernel: Kernel,
    layers: Vec<tile::PackedLayer>,
    scratch_width: usize,
}

/// The part of the first layers that depends on the parameters alone.
pub struct Binding {
    /// What each spatial input starts from, `[spatial_width]`.
    inputs: Vec<f64>,
    /// Bias of the first layer with the conditional inputs folded in, `[outputs]`; empty without
    /// layers.
    bias: Vec<f64>,
    /// The same in 32 bits, padded for the kernels.
    inputs32: Vec<f32>,
    bias32: Vec<f32>,
}

impl Engine {
    /// Packs the decoder of `model` for `kernel`.
    ///
    /// # Errors
    /// `Unsupported` if this machine cannot run the kernel.
    pub fn new(model: &Model, kernel: Kernel) -> Result<Self> {
        if !kernel.is_supported() {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!("this machine cannot run the kernel {}", kernel.name()),
            ));
        }
        let spec = model.spec();
        let layers: Vec<_> = (spec.layers.iter().zip(model.layers()).enumerate())
            .map(|(n, (layer, tensors))| {
                let used = if n == 0 { spec.spatial_width() } else { layer.inputs };
                tile::PackedLayer::new(layer, tensors, used)
            })
            .collect();
        let widest = layers.iter().map(tile::PackedLayer::padded_outputs).max().unwrap_or(0);
        let scratch_width = widest.max(tile::padded(spec.spatial_width()));
        Ok(Self { kernel, layers, scratch_width })
    }

    /// The kernel in use.
    pub fn kernel(&self) -> Kernel {
        self.kernel
    }

    /// Bytes that the packed decoder takes.
    pub fn memory_bytes(&self) -> usize {
        self.layers.iter().map(tile::PackedLayer::bytes).sum()
    }

    /// Binds `parameters`, normalised to [0, 1] (values outside are clamped), one per parameter of
    /// the model.
    pub fn bind(&self, model: &Model, parameters: &[f64]) -> Binding {
        let spec = model.spec();
        let mut inputs = reference::conditional_inputs(model, parameters);
        let bias = reference::first_bias(model, &inputs);
        inputs.truncate(spec.spatial_width());
        let inputs32 = tile::to_padded(&inputs);
        let bias32 = tile::to_padded(&bias);
        Binding { inputs, bias, inputs32, bias32 }
    }

    /// Values at `positions`, written to `values`, `[positions, outputs]`, before de-normalisation.
    /// At most [`TILE`] positions; `scratch` comes from [`Engine::scratch`].
    pub fn evaluate(
        &self,
        model: &Model,
        binding: &Binding,
        positions: &[Position],
        padding: Padding,
        scratch: &mut Scratch,
        values: &mut [f64],
    ) {
        debug_assert!(positions.len() <= TILE);
        let job = tile::Job { model, layers: &self.layers, binding, positions, padding };
        match self.kernel {
            Kernel::Reference => reference::evaluate(&job, values),
            Kernel::Scalar => tile::evaluate::<lanes::Portable>(&job, scratch, values),
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx2 => avx2::evaluate(&job, scratch, values),
            #[cfg(not(target_arch = "x86_64"))]
            Kernel::Avx2 => unreachable!("not supported here, so never chosen"),
        }
    }

    /// Working memory for [`Engine::evaluate`], one per thread.
    pub fn scratch(&self) -> Scratch {
        let size = TILE * self.scratch_width;
        Scratch { front: vec![0.0; size], back: vec![0.0; size] }
    }
}

/// Two buffers of one tile between which the layers go back and forth.
pub struct Scratch {
    front: Vec<f32>,
    back: Vec<f32>,
}
