//! The tile kernel, written once for all instruction sets: gather and interpolate vertex
//! features, then the dense layers, for up to [`TILE`](super::TILE) points that stay in cache.
//!
//! Points are rows. Vectors run over channels in the gather and over outputs in the layers, so
//! that no transposition is needed and any number of points is handled alike.

use super::activation::apply;
use super::lanes::{Feature, InstructionSet, LANES, Lanes, Single};
use super::packed::{Arithmetic, Format, PackedLayer};
use super::product::{Prefetch, Rows, dense};
use super::stage::{Corners, Staged};
use super::{Binding, Scratch};
use crate::model::spec::Grid;
use crate::model::{GridData, GridValues, Model, Scaling};

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
    let Scratch { staged: [tile, next], front, back, features, .. } = scratch;
    let rows = tile.len;
    let mut prefetch = Prefetch(&next.lines);
    let (mut from, mut to) = (front, back);
    let mut format = job.layers.first().map_or(Format::PLAIN, |layer| layer.format);
    let mut stride = format.stride(job.binding.inputs32.len() * LANES);
    let mut inputs = Rows { words: &mut from[..rows * stride], stride, format };
    gather::<I::Lanes>(job, tile, features, &mut inputs);
    for (n, layer) in job.layers.iter().enumerate() {
        let bias = if n == 0 { &job.binding.bias32 } else { &layer.bias };
        let next_format = job.layers.get(n + 1).map_or(Format::PLAIN, |layer| layer.format);
        let next_stride = next_format.stride(layer.outputs);
        let x = Rows { words: &mut from[..rows * stride], stride, format };
        let words = &mut to[..rows * next_stride];
        let mut y = Rows { words, stride: next_stride, format: next_format };
        match layer.arithmetic() {
            Arithmetic::Single => {
                dense::<Single<I::Lanes>>(layer, bias, &x, &mut y, &mut prefetch);
            }
            Arithmetic::Bf16 => dense::<I::Bf16>(layer, bias, &x, &mut y, &mut prefetch),
            Arithmetic::Int8 => dense::<I::Int8>(layer, bias, &x, &mut y, &mut prefetch),
        }
        std::mem::swap(&mut from, &mut to);
        (stride, format) = (next_stride, next_format);
    }
    prefetch.finish::<I::Lanes>();
    let outputs = spec.outputs();
    for (row, values) in from.chunks_exact(stride).zip(values.chunks_exact_mut(outputs)) {
        for (value, &x) in values.iter_mut().zip(row) {
            *value = f64::from(f32::from_bits(x));
        }
    }
}

/// Input vectors of all points: what the parameters give plus what each grid adds, activated and
/// in the format of the first layer.
#[inline(always)]
fn gather<L: Lanes>(
    job: &Job<'_>,
    tile: &Staged,
    features: &mut [[f32; LANES]],
    inputs: &mut Rows<'_>,
) {
    let spec = job.model.spec();
    let start = &job.binding.inputs32;
    for (i, row) in inputs.words.chunks_exact_mut(inputs.stride).enumerate() {
        features.copy_from_slice(start);
        for (n, grid) in spec.grids.iter().enumerate() {
            let features = &mut features.as_flattened_mut()[grid.offset..][..grid.channels];
            add_features::<L>(grid, job.model.grid(n), &tile.grids[n], i, features);
        }
        apply::<L>(spec.input.activation, features);
        for (v, features) in features.iter().enumerate() {
            inputs.format.store(L::load(features), row, v);
        }
    }
    inputs.clear_after(start.len());
}

/// Adds the interpolated features of point `i`.
#[inline(always)]
fn add_features<L: Lanes>(
    grid: &Grid,
    data: GridData<'_>,
    corners: &Corners,
    i: usize,
    sums: &mut [f32],
) {
    match data.values {
        GridValues::F32(values) => interpolate::<L, _>(grid, values, None, corners, i, sums),
        GridValues::F16(values) => interpolate::<L, _>(grid, values, None, corners, i, sums),
        GridValues::I8(values, scaling) => {
            interpolate::<L, _>(grid, values, Some(scaling), corners, i, sums);
        }
    }
}

/// Adds the weighted corners to `sums`, [`LANES`] channels at a time. No closures with vectors in
/// here: they would be compiled without the kernel's instructions.
#[inline(always)]
fn interpolate<L: Lanes, T: Feature>(
    grid: &Grid,
    values: &[T],
    scaling: Option<&Scaling>,
    corners: &Corners,
    i: usize,
    sums: &mut [f32],
) {
    let rows = corners.starts.map(|starts| &values[starts[i]..][..grid.channels]);
    let mut weights = [L::splat(0.0); 8];
    let mut total = L::splat(0.0);
    for (weight, weights) in weights.iter_mut().zip(&corners.weights).take(corners.count) {
        *weight = L::splat(weights[i]);
        total = total.add(*weight);
    }
    let (chunks, tail) = sums.as_chunks_mut::<LANES>();
    let whole = chunks.len() * LANES;
    for (n, chunk) in chunks.iter_mut().enumerate() {
        let mut sum = L::splat(0.0);
        for (row, &weight) in rows.iter().zip(&weights).take(corners.count) {
            if let Some(features) = row[n * LANES..].first_chunk() {
                sum = T::load::<L>(features).mul_add(weight, sum);
            }
        }
        L::load(chunk).add(unscaled(sum, scaling, total, n * LANES)).store(chunk);
    }
    if !tail.is_empty() {
        let mut sum = L::splat(0.0);
        for (row, &weight) in rows.iter().zip(&weights).take(corners.count) {
            sum = T::load_some::<L>(&row[whole..]).mul_add(weight, sum);
        }
        let mut all = [0.0; LANES];
        L::load_some(tail).add(unscaled(sum, scaling, total, whole)).store(&mut all);
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
