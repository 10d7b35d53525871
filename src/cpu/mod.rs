//! Evaluates a model on the CPU: one tile of points at a time, from gather to values, by a kernel
//! for the instruction set of the machine. Knows nothing of physical units or of policies.
//!
//! A point's result does not depend on where it stands in a batch or tile, on the batch's size or
//! on threads: each kernel does the same operations in the same order for every point.

pub mod activation;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod bracket;
mod corners;
pub mod gradient;
mod harmonics;
mod head;
mod lanes;
#[cfg(target_arch = "aarch64")]
mod neon;
mod packed;
mod product;
mod products;
mod reference;
mod runs;
mod stage;
mod tile;
mod varying;

use std::sync::OnceLock;

pub use harmonics::{HARMONICS, harmonics};
use head::Head;
pub use head::HeadScratch;
use lanes::{LANES, Portable};
use packed::{PackedLayer, to_vectors};
use products::{Bound, Products, ProductsScratch};
pub use stage::Run;
use tile::{Parameters, SetsScratch};
use varying::{Varying, VaryingScratch};

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
    /// 32-bit, NEON: every 64-bit ARM machine.
    Neon,
    /// 32-bit, AVX2 + FMA + F16C.
    Avx2,
    /// 32-bit, AVX-512.
    Avx512,
    /// AVX-512 with BF16 and VNNI: layers of a shorter precision are multiplied in it.
    Avx512Bf16,
}

impl Kernel {
    /// All kernels, slowest first.
    pub const ALL: [Self; 6] =
        [Self::Reference, Self::Scalar, Self::Neon, Self::Avx2, Self::Avx512, Self::Avx512Bf16];

    /// Name in `DRR_CPU`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Reference => "reference",
            Self::Scalar => "scalar",
            Self::Neon => "neon",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
            Self::Avx512Bf16 => "avx512bf16",
        }
    }

    /// Whether this machine can run it.
    pub fn is_supported(self) -> bool {
        match self {
            Self::Reference | Self::Scalar => true,
            #[cfg(target_arch = "aarch64")]
            Self::Neon => true,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => avx2::is_supported(),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => avx512::is_supported(),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Bf16 => avx512::has_short_products(),
            // Those of other machines.
            _ => false,
        }
    }

    /// Vectors of outputs in a panel of packed weights.
    fn vectors(self) -> usize {
        match self {
            Self::Avx512 | Self::Avx512Bf16 => 4,
            Self::Reference | Self::Scalar | Self::Neon | Self::Avx2 => 1,
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

/// Normalised positions of up to [`TILE`] points: -1 and 1 are the first and last vertex of each
/// axis, x first. Axes that the model lacks are ignored. No number may be NaN, also beyond `len`.
pub struct Positions {
    /// Number of points.
    pub len: usize,
    /// One coordinate of all points after another.
    pub axes: [[f64; TILE]; 3],
}

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
    layers: Vec<PackedLayer>,
    /// None of models whose grids are only added, or for the reference.
    products: Option<Products>,
    /// Whether points in runs share what is interpolated: not in hashed grids.
    has_runs: bool,
    varying: Varying,
    /// Of radiance fields.
    head: Option<Head>,
    /// For derivatives: made when first asked for.
    transposed: OnceLock<Vec<PackedLayer>>,
}

/// What depends on the parameters alone.
pub struct Binding {
    /// As they were given.
    parameters: Vec<f64>,
    /// Grids and factors of products.
    products: Bound,
    /// What each spatial input starts from, `[spatial_width]`.
    inputs: Vec<f64>,
    /// Bias of the first layer with the conditional inputs folded in, `[outputs]`; empty without
    /// layers.
    bias: Vec<f64>,
    /// The same in 32 bits, padded for the kernels.
    inputs32: Vec<[f32; LANES]>,
    bias32: Vec<[f32; LANES]>,
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
        let short = kernel == Kernel::Avx512Bf16;
        let layers: Vec<_> = (spec.layers.iter().zip(model.layers()).enumerate())
            .map(|(n, (layer, tensors))| {
                let used = if n == 0 { spec.spatial_width() } else { layer.inputs };
                let mut packed = PackedLayer::new(layer, tensors, used, kernel.vectors(), short);
                if n > 0 {
                    packed.add_bias(&tensors.bias);
                }
                packed
            })
            .collect();
        let products = if kernel == Kernel::Reference { None } else { Products::new(model) };
        let is_dense = spec.grids.iter().all(|grid| grid.entries.is_none());
        let has_runs = products.is_none() && is_dense;
        let varying = Varying::new((model, products.as_ref()), kernel, &layers);
        let (head, transposed) = (Head::new(model, kernel), OnceLock::new());
        Ok(Self { kernel, layers, products, has_runs, varying, head, transposed })
    }

    /// The kernel in use.
    pub fn kernel(&self) -> Kernel {
        self.kernel
    }

    /// Bytes that the packed layers take.
    pub fn memory_bytes(&self) -> usize {
        let transposed = self.transposed.get().map_or(&[][..], Vec::as_slice);
        let layers = self.layers.iter().chain(transposed);
        let head = self.head.as_ref().map_or(0, Head::bytes);
        layers.map(PackedLayer::bytes).sum::<usize>() + self.varying.bytes() + head
    }

    /// Binds `parameters`, normalised to [0, 1] (values outside are clamped), one per parameter of
    /// the model.
    pub fn bind(&self, model: &Model, parameters: &[f64]) -> Binding {
        let spec = model.spec();
        let mut inputs = reference::conditional_inputs(model, parameters);
        let bias = reference::first_bias(model, &inputs);
        inputs.truncate(spec.spatial_width());
        let short = |values: &[f64]| values.iter().map(|&v| v as f32).collect::<Vec<_>>();
        let inputs32 = to_vectors(&short(&inputs));
        let mut bias32 = to_vectors(&short(&bias));
        if let Some(layer) = self.layers.first() {
            let sums = bias32.as_flattened_mut().iter_mut();
            sums.zip(layer.bias.as_flattened()).for_each(|(sum, offset)| *sum += offset);
        }
        let products = self.products.as_ref().map(|products| products.bind(model, parameters));
        Binding {
            parameters: parameters.to_vec(),
            products: products.unwrap_or_default(),
            inputs,
            bias,
            inputs32,
            bias32,
        }
    }

    /// Bytes that the grids of a [`Binding`] take.
    pub fn bound_bytes(&self, model: &Model) -> usize {
        self.products.as_ref().map_or(0, |products| products.bound_bytes(model.spec()))
    }

    /// Prepares a tile for [`Engine::evaluate`]. Of two tiles that are staged, the first is
    /// evaluated while the memory that the second needs is fetched. `run` says that the points
    /// stand in runs; their values are then the same up to rounding, and sooner there (of models whose
    /// grids are dense and only added: of others they are those of any points).
    pub fn stage(
        &self,
        model: &Model,
        positions: &Positions,
        padding: Padding,
        run: Option<Run>,
        scratch: &mut Scratch,
    ) {
        debug_assert!(positions.len <= TILE && scratch.waiting < 2);
        // What the first of two needs is not fetched: nothing is evaluated meanwhile.
        let lists = scratch.waiting > 0;
        let staged = &mut scratch.staged[scratch.waiting];
        scratch.waiting += 1;
        let (products, run) = (self.products.as_ref(), run.filter(|_| self.has_runs));
        let job = stage::Job { model, products, positions, padding, run, lists };
        match self.kernel {
            Kernel::Reference => {
                staged.reference.clear();
                let point = |i| std::array::from_fn(|axis| positions.axes[axis][i]);
                staged.reference.extend((0..positions.len).map(|i| (point(i), padding)));
            }
            Kernel::Scalar => stage::stage(&job, staged),
            #[cfg(target_arch = "aarch64")]
            Kernel::Neon => stage::stage(&job, staged),
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx2 => avx2::stage(&job, staged),
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx512 | Kernel::Avx512Bf16 => avx512::stage(&job, staged),
            kernel => unreachable!("{kernel:?} is not supported here, so never chosen"),
        }
    }

    /// Where the parameters of the tile that was staged last go, if each point has its own: one
    /// array per parameter of the model, from 0 to 1. No number may be NaN, also beyond the points,
    /// which must not stand in runs.
    pub fn stage_parameters<'a>(
        &self,
        model: &Model,
        scratch: &'a mut Scratch,
    ) -> &'a mut [[f64; TILE]] {
        let parameters = &mut scratch.staged[scratch.waiting.saturating_sub(1)].parameters;
        parameters.resize(model.spec().parameters.len(), [0.0; TILE]);
        parameters
    }

    /// Values of the tile that was staged first, written to `values`, `[points, outputs]`, before
    /// de-normalisation.
    pub fn evaluate(
        &self,
        model: &Model,
        binding: &Binding,
        scratch: &mut Scratch,
        values: &mut [f64],
    ) {
        self.run_tile(model, Parameters::Bound(binding), scratch, values);
        scratch.finish();
    }

    /// [`Engine::evaluate`] for the parameters that were staged with each point.
    pub fn evaluate_each(&self, model: &Model, scratch: &mut Scratch, values: &mut [f64]) {
        self.run_tile(model, Parameters::Each(&self.varying), scratch, values);
        scratch.finish();
    }

    /// [`Engine::evaluate`] for several bindings, `[bindings, points, outputs]`, at most [`TILE`]
    /// values of each output in all; points must not stand in runs. The tile stays for other
    /// bindings, until [`Scratch::finish`].
    pub fn evaluate_sets(
        &self,
        model: &Model,
        bindings: &[&Binding],
        scratch: &mut Scratch,
        values: &mut [f64],
    ) {
        let width = model.spec().spatial_width().div_ceil(LANES);
        scratch.features.resize((1 + TILE) * width, [0.0; LANES]);
        self.run_tile(model, Parameters::Sets(bindings), scratch, values);
    }

    fn run_tile(
        &self,
        model: &Model,
        parameters: Parameters<'_>,
        scratch: &mut Scratch,
        values: &mut [f64],
    ) {
        let products = self.products.as_ref();
        let job = tile::Job { model, layers: &self.layers, products, parameters };
        match self.kernel {
            Kernel::Reference => reference::evaluate(&job, &scratch.staged[0], values),
            Kernel::Scalar => tile::evaluate::<Portable>(&job, scratch, values),
            #[cfg(target_arch = "aarch64")]
            Kernel::Neon => neon::evaluate(&job, scratch, values),
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx2 => avx2::evaluate(&job, scratch, values),
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx512 => avx512::evaluate(&job, scratch, values),
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx512Bf16 => avx512::evaluate_short(&job, scratch, values),
            kernel => unreachable!("{kernel:?} is not supported here, so never chosen"),
        }
    }

    /// Working memory for [`Engine::stage`] and [`Engine::evaluate`], one per thread.
    pub fn scratch(&self, model: &Model) -> Scratch {
        let width = model.spec().spatial_width();
        let widths = self.layers.iter().map(|layer| layer.outputs);
        let widest = widths.fold(width.max(self.varying.conditional_width()), usize::max);
        let buffer = vec![0; TILE * widest.next_multiple_of(LANES)];
        Scratch {
            staged: [stage::Staged::new(model), stage::Staged::new(model)],
            waiting: 0,
            front: buffer.clone(),
            back: buffer,
            features: vec![[0.0; LANES]; width.div_ceil(LANES)],
            sets: SetsScratch::default(),
            varying: VaryingScratch::default(),
            products: ProductsScratch::default(),
            pairs: model.spec().grids.iter().map(|grid| runs::Pair::new(grid.channels)).collect(),
        }
    }
}

/// Two tiles that wait, and the buffers between which the layers go back and forth.
pub struct Scratch {
    staged: [stage::Staged; 2],
    /// How many of them wait.
    waiting: usize,
    front: Vec<u32>,
    back: Vec<u32>,
    /// Of a point, and of a whole tile behind that where they are needed again.
    features: Vec<[f32; LANES]>,
    pairs: Vec<runs::Pair>,
    sets: SetsScratch,
    varying: VaryingScratch,
    products: ProductsScratch,
}

impl Scratch {
    /// Forgets the tile that was staged first.
    pub fn finish(&mut self) {
        self.staged.swap(0, 1);
        self.staged[1].clear();
        self.sets.is_gathered = false;
        self.waiting -= 1;
    }
}
