//! The tile kernel, written once for all instruction sets: gather and interpolate vertex
//! features, then the dense layers, for up to [`TILE`](super::TILE) points that stay in cache.
//!
//! Points are rows. Vectors run over channels in the gather and over outputs in the layers, so
//! that no transposition is needed and any number of points is handled alike.

use super::activation::apply_but_relu;
use super::lanes::{Feature, LANES, Lanes};
use super::packed::{Format, PackedLayer};
use super::product::{InstructionSet, Prefetch, Rows};
use super::stage::{Corners, Staged};
use super::{Binding, Scratch, runs};
use crate::model::spec::{Activation, Spec};
use crate::model::{GridValues, Model, Scaling};

/// What is to be evaluated.
pub struct Job<'a> {
    pub model: &'a Model,
    pub layers: &'a [PackedLayer],
    pub binding: &'a Binding,
}

/// Values of the tile that was staged first, `[points, outputs]`; the cache lines of the next one
/// are fetched meanwhile.
#[inline(always)]
pub fn evaluate<I: InstructionSet>(job: &Job<'_>, scratch: &mut Scratch, values: &mut [f64]) {
    let spec = job.model.spec();
    let Scratch { staged: [tile, next], front, back, features, pairs, .. } = scratch;
    let rows = tile.len;
    let vectors = <I::Lanes as Lanes>::VECTORS;
    let mut prefetch = Prefetch::new(next, job.layers, rows, vectors);
    let (mut from, mut to) = (front, back);
    let mut format = job.layers.first().map_or(Format::PLAIN, |layer| layer.format);
    let mut stride = format.stride(job.binding.inputs32.len() * LANES);
    let mut inputs = Rows { words: &mut from[..rows * stride], stride, format };
    match tile.run {
        None => {
            gather::<I::Lanes>(job, spec.input.activation, tile, features, &mut inputs);
        }
        Some(_) => runs::gather::<I::Lanes>(job, tile, features, pairs, &mut inputs),
    }
    for (n, layer) in job.layers.iter().enumerate() {
        let bias = if n == 0 { &job.binding.bias32 } else { &layer.bias };
        let next_format = job.layers.get(n + 1).map_or(Format::PLAIN, |layer| layer.format);
        let next_stride = next_format.stride(layer.outputs);
        let x = Rows { words: &mut from[..rows * stride], stride, format };
        let words = &mut to[..rows * next_stride];
        let mut y = Rows { words, stride: next_stride, format: next_format };
        let activation = layer.activation;
        I::dense(layer, activation, bias, &x, &mut y, &mut prefetch);
        std::mem::swap(&mut from, &mut to);
        (stride, format) = (next_stride, next_format);
    }
    prefetch.finish::<I::Lanes>();
    write_values(from, stride, spec.outputs(), values);
}

/// The first `outputs` numbers of each row in 64 bits.
#[inline(always)]
pub fn write_values(rows: &[u32], stride: usize, outputs: usize, values: &mut [f64]) {
    for (row, values) in rows.chunks_exact(stride).zip(values.chunks_exact_mut(outputs)) {
        for (value, &x) in values.iter_mut().zip(row) {
            *value = f64::from(f32::from_bits(x));
        }
    }
}

/// Input vectors of all points: what the parameters give plus what each grid adds, activated and
/// in the format of the first layer.
#[inline(always)]
pub fn gather<L: Lanes>(
    job: &Job<'_>,
    activation: Activation,
    tile: &Staged,
    features: &mut [[f32; LANES]],
    inputs: &mut Rows<'_>,
) {
    let spec = job.model.spec();
    let start = &job.binding.inputs32;
    let grids: Vec<_> = (0..spec.grids.len()).map(|n| job.model.grid(n)).collect();
    let covered = is_covered(spec);
    for (i, row) in inputs.words.chunks_exact_mut(inputs.stride).enumerate() {
        if !covered {
            features.copy_from_slice(start);
        }
        for (n, (grid, data)) in spec.grids.iter().zip(&grids).enumerate() {
            let base =
                if covered && n == 0 { Base::Of(start.as_flattened()) } else { Base::InPlace };
            let features = &mut features.as_flattened_mut()[grid.offset..][..grid.channels];
            match data.values {
                GridValues::F32(values) => {
                    corners::<L, _>(values, None, (&tile.grids[n], i, 0), base, features);
                }
                GridValues::F16(values) => {
                    corners::<L, _>(values, None, (&tile.grids[n], i, 0), base, features);
                }
                GridValues::I8(values, scaling) => {
                    corners::<L, _>(values, Some(scaling), (&tile.grids[n], i, 0), base, features);
                }
            }
        }
        let least = apply_but_relu::<L>(activation, features);
        inputs.format.store(features, features.len(), least, std::iter::once(row), 0);
    }
    inputs.clear_after(start.len());
}

/// Whether the first grid reaches all spatial inputs, as one folded grid does: then the features
/// need no copy of what they start from.
pub fn is_covered(spec: &Spec) -> bool {
    spec.grids.first().is_some_and(|grid| grid.channels == spec.spatial_width())
}

/// What interpolated features are added to.
#[derive(Clone, Copy)]
pub enum Base<'a> {
    /// Nothing.
    Zero,
    /// What is in the place of the result.
    InPlace,
    /// These numbers.
    Of(&'a [f32]),
}

impl Base<'_> {
    /// From number `first` on; `sums` is the place of the result from there.
    #[inline(always)]
    pub fn load<L: Lanes>(self, first: usize, sums: &[f32]) -> L {
        let numbers = match self {
            Self::Zero => return L::splat(0.0),
            Self::InPlace => sums,
            Self::Of(numbers) => &numbers[first..],
        };
        match numbers.first_chunk() {
            Some(numbers) if sums.len() >= LANES => L::load(numbers),
            _ => L::load_some(&numbers[..sums.len()]),
        }
    }
}

/// Interpolates at point `i` between its corners, all moved by `shift` numbers, and adds `base`;
/// into `sums`, one number per channel.
#[inline(always)]
pub fn corners<L: Lanes, T: Feature>(
    values: &[T],
    scaling: Option<&Scaling>,
    (corners, i, shift): (&Corners, usize, usize),
    base: Base<'_>,
    sums: &mut [f32],
) {
    macro_rules! interpolate {
        ($count:literal) => {{
            let (mut starts, mut weights) = ([0; $count], [0.0; $count]);
            for c in 0..$count {
                starts[c] = corners.starts[c][i] + shift;
                weights[c] = corners.weights[c][i];
            }
            interpolate::<L, T, $count>(values, scaling, starts, weights, base, sums);
        }};
    }
    match corners.count {
        8 => interpolate!(8),
        4 => interpolate!(4),
        2 => interpolate!(2),
        _ => interpolate!(1),
    }
}

/// Adds weighted rows of features to `base`, [`LANES`] channels at a time. No closures with
/// vectors in here: they would be compiled without the kernel's instructions.
#[inline(always)]
fn interpolate<L: Lanes, T: Feature, const C: usize>(
    values: &[T],
    scaling: Option<&Scaling>,
    starts: [usize; C],
    corner_weights: [f32; C],
    base: Base<'_>,
    sums: &mut [f32],
) {
    let channels = sums.len();
    let mut rows = [&values[..0]; C];
    let mut weights = [L::splat(0.0); C];
    let mut total = L::splat(0.0);
    for c in 0..C {
        rows[c] = &values[starts[c]..][..channels];
        weights[c] = L::splat(corner_weights[c]);
        total = total.add(weights[c]);
    }
    for first in (0..channels / LANES * LANES).step_by(LANES) {
        let mut sum = L::splat(0.0);
        for c in 0..C {
            // SAFETY: all rows have `channels` features, at least `first + LANES`.
            let features = unsafe { &*rows[c].as_ptr().add(first).cast::<[T; LANES]>() };
            sum = T::load::<L>(features).mul_add(weights[c], sum);
        }
        let sum = unscaled(sum, scaling, total, first);
        let base = base.load::<L>(first, &sums[first..]);
        if let Some(chunk) = sums[first..].first_chunk_mut() {
            base.add(sum).store(chunk);
        }
    }
    let whole = channels / LANES * LANES;
    if whole < channels {
        let mut sum = L::splat(0.0);
        for c in 0..C {
            sum = T::load_some::<L>(&rows[c][whole..]).mul_add(weights[c], sum);
        }
        let tail = &mut sums[whole..];
        let base = base.load::<L>(whole, tail);
        let mut all = [0.0; LANES];
        base.add(unscaled(sum, scaling, total, whole)).store(&mut all);
        tail.copy_from_slice(&all[..tail.len()]);
    }
}

/// What weighted 8-bit numbers stand for, from `channel` on; `total` is the sum of the weights.
#[inline(always)]
fn unscaled<L: Lanes>(sum: L, scaling: Option<&Scaling>, total: L, channel: usize) -> L {
    let Some(Scaling { scale, zero }) = scaling else { return sum };
    match (scale[channel..].first_chunk(), zero[channel..].first_chunk()) {
        (Some(scale), Some(zero)) => sum.mul_add(L::load(scale), L::load(zero).mul(total)),
        _ => {
            let zero = L::load_some(&zero[channel..]).mul(total);
            sum.mul_add(L::load_some(&scale[channel..]), zero)
        }
    }
}
