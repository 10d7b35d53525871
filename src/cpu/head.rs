//! The head of a radiance field: dense layers that make colours of features and of harmonics of the
//! direction, for up to [`TILE`] rows at a time, by the kernel that evaluates the model.

use super::activation::apply64;
use super::lanes::{LANES, Lanes, Portable};
use super::packed::{PackedLayer, to_vectors};
use super::product::{Bias, InstructionSet, Prefetch, Rows};
use super::{Engine, Kernel, TILE, reference, tile};
#[cfg(target_arch = "x86_64")]
use super::{avx2, avx512};
use crate::model::Model;

/// The layers, packed for a kernel.
pub struct Head {
    inputs: usize,
    layers: Vec<PackedLayer>,
}

/// Working memory of one thread.
#[derive(Default)]
pub struct HeadScratch {
    numbers: Vec<[f32; LANES]>,
    front: Vec<u32>,
    back: Vec<u32>,
}

/// Rows to be evaluated.
pub struct Job<'a> {
    pub head: &'a Head,
    /// `[rows, inputs]`
    pub inputs: &'a [f64],
}

impl Head {
    /// Packs the head of a radiance field; none of other models.
    pub fn new(model: &Model, kernel: Kernel) -> Option<Self> {
        let radiance = model.spec().radiance.as_ref()?;
        let short = kernel == Kernel::Avx512Bf16;
        let layers = radiance.layers.iter().zip(model.radiance_layers()).map(|(layer, tensors)| {
            let mut packed =
                PackedLayer::new(layer, tensors, layer.inputs, kernel.vectors(), short);
            packed.add_bias(&tensors.bias);
            packed
        });
        Some(Self { inputs: radiance.layers[0].inputs, layers: layers.collect() })
    }

    pub fn bytes(&self) -> usize {
        self.layers.iter().map(PackedLayer::bytes).sum()
    }
}

impl Engine {
    /// Working memory for [`Engine::colours`], one per thread.
    pub fn head_scratch(&self) -> HeadScratch {
        let Some(head) = &self.head else { return HeadScratch::default() };
        let outputs = head.layers.iter().map(|layer| layer.outputs);
        let widest = outputs.fold(head.inputs, usize::max).next_multiple_of(LANES);
        HeadScratch {
            numbers: to_vectors(&vec![0.0; head.inputs]),
            front: vec![0; TILE * widest],
            back: vec![0; TILE * widest],
        }
    }

    /// Red, green and blue, `[rows, 3]`, for up to [`TILE`] rows of what the head of the radiance
    /// field `model` takes, `[rows, inputs]`. A NaN may be lost where inputs are rounded.
    pub fn colours(
        &self,
        model: &Model,
        inputs: &[f64],
        scratch: &mut HeadScratch,
        colours: &mut [f64],
    ) {
        let Some(head) = &self.head else { return };
        debug_assert!(inputs.len() <= TILE * head.inputs);
        let job = Job { head, inputs };
        match self.kernel {
            Kernel::Reference => evaluate64(model, &job, colours),
            Kernel::Scalar => evaluate::<Portable>(&job, scratch, colours),
            #[cfg(target_arch = "aarch64")]
            Kernel::Neon => super::neon::colours(&job, scratch, colours),
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx2 => avx2::colours(&job, scratch, colours),
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx512 => avx512::colours(&job, scratch, colours),
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx512Bf16 => avx512::colours_short(&job, scratch, colours),
            kernel => unreachable!("{kernel:?} is not supported here, so never chosen"),
        }
    }
}

/// Colours of all rows, `[rows, 3]`.
#[inline(always)]
pub fn evaluate<I: InstructionSet>(job: &Job<'_>, scratch: &mut HeadScratch, colours: &mut [f64]) {
    let Head { inputs, layers } = job.head;
    let HeadScratch { numbers, front, back } = scratch;
    let (rows, vectors) = (job.inputs.len() / inputs, inputs.div_ceil(LANES));
    let format = layers[0].format;
    let stride = format.stride(*inputs);
    let mut x = Rows { words: &mut front[..rows * stride], stride, format };
    let any = <I::Lanes as Lanes>::splat(f32::NEG_INFINITY);
    for (row, words) in job.inputs.chunks_exact(*inputs).zip(x.words.chunks_exact_mut(stride)) {
        for (number, &x) in numbers.as_flattened_mut().iter_mut().zip(row) {
            *number = x as f32;
        }
        format.store::<I::Lanes>(numbers, vectors, any, std::iter::once(words), 0);
    }
    x.clear_after(vectors);
    let bias = Bias::same(&layers[0].bias);
    let buffers = (&mut front[..], &mut back[..]);
    let (values, stride) =
        tile::run_layers::<I>(layers, bias, (rows, stride), buffers, &mut Prefetch::none());
    tile::write_values(values, stride, 3, colours);
}

/// The same in 64 bits, one row at a time.
fn evaluate64(model: &Model, job: &Job<'_>, colours: &mut [f64]) {
    let layers = model.spec().radiance.iter().flat_map(|radiance| &radiance.layers);
    for (row, colour) in job.inputs.chunks_exact(job.head.inputs).zip(colours.chunks_exact_mut(3)) {
        let mut x = row.to_vec();
        for (layer, tensors) in layers.clone().zip(model.radiance_layers()) {
            x.iter_mut().for_each(|x| *x = reference::round64(layer.precision, *x));
            let sums = tensors.rows64().zip(&tensors.bias).map(|(weights, &bias)| {
                f64::from(bias) + weights.iter().zip(&x).map(|(w, x)| w * x).sum::<f64>()
            });
            x = sums.map(|sum| apply64(layer.activation, sum)).collect();
        }
        colour.copy_from_slice(&x);
    }
}
