//! The tile kernel, written once for all instruction sets: gather and interpolate vertex
//! features, then the dense layers, for up to [`TILE`](super::TILE) points that stay in cache.
//!
//! Points are rows. Vectors run over channels in the gather and over outputs in the layers, so
//! that no transposition is needed and any number of points is handled alike.

use super::activation::apply_but_relu;
use super::lanes::{Feature, LANES, Lanes};
use super::packed::{Format, PackedLayer};
use super::product::{Bias, InstructionSet, Prefetch, Rows};
use super::products::{Products, gather as products};
use super::stage::{Corners, Staged};
use super::varying::{Own, Varying};
use super::{Binding, Scratch, runs};
use crate::model::spec::{Activation, Spec};
use crate::model::{GridData, GridValues, Model, Scaling};

/// Models of so few grids are evaluated without asking for memory.
const FEW_GRIDS: usize = 8;

/// What is to be evaluated.
pub struct Job<'a> {
    pub model: &'a Model,
    pub layers: &'a [PackedLayer],
    pub products: Option<&'a Products>,
    pub parameters: Parameters<'a>,
}

/// Whose parameters the points of a tile are evaluated for.
#[derive(Clone, Copy)]
pub enum Parameters<'a> {
    /// Those of one binding, for all points.
    Bound(&'a Binding),
    /// Those of several bindings, all points for one after the other; at most
    /// [`TILE`](super::TILE) rows in all. What was gathered stays, for other bindings.
    Sets(&'a [&'a Binding]),
    /// Each point's own, which were staged with it.
    Each(&'a Varying),
}

/// Values of the tile that was staged first, `[rows, outputs]`; the cache lines of the next one
/// are fetched meanwhile.
#[inline(always)]
pub fn evaluate<I: InstructionSet>(job: &Job<'_>, scratch: &mut Scratch, values: &mut [f64]) {
    let &Job { model, layers, products, parameters } = job;
    let spec = model.spec();
    let Scratch { staged: [tile, next], front, back, features, pairs, sets, varying, .. } = scratch;
    let (from, to) = (&mut front[..], &mut back[..]);
    let vectors = <I::Lanes as Lanes>::VECTORS;
    // What waits was asked for when the tile was evaluated before.
    let mut prefetch = match sets.is_gathered {
        true => Prefetch::none(),
        false => Prefetch::new(next, layers, tile.len, vectors),
    };
    let mut rows = tile.len;
    let (first_bias, starts) = match parameters {
        Parameters::Bound(Binding { inputs32, bias32, .. }) => {
            (Bias::same(bias32), Starts::Same(inputs32))
        }
        Parameters::Sets(bindings) => {
            rows *= bindings.len();
            sets.starts(bindings, tile.len)
        }
        Parameters::Each(each) => {
            let working = [&mut *from, &mut *to];
            each.starts::<I>((model, products), tile, working, varying, &mut prefetch)
        }
    };
    let format = layers.first().map_or(Format::PLAIN, |layer| layer.format);
    let stride = format.stride(spec.spatial_width());
    let mut inputs = Rows { words: &mut from[..rows * stride], stride, format };
    let activation = spec.input.activation;
    match (tile.run, parameters, products) {
        (Some(_), Parameters::Bound(binding), _) => {
            runs::gather::<I::Lanes>((model, binding), tile, features, pairs, &mut inputs);
        }
        (_, _, Some(products)) => {
            let (what, at) = ((products, model, activation), (&*tile, parameters));
            let scratch = &mut scratch.products;
            products::gather::<I>(what, at, starts, scratch, &mut inputs);
        }
        _ => gather::<I>((model, activation), tile, starts, features, &mut inputs),
    }
    let (results, stride) =
        run_layers::<I>(layers, first_bias, (rows, stride), (from, to), &mut prefetch);
    prefetch.finish::<I::Lanes>();
    write_values(results, stride, spec.outputs(), values);
}

/// Dense layers over the rows of the first buffer, back and forth between both; returns what comes
/// out of the last, and the words from row to row. Rows are in the first layer's format.
#[inline(always)]
pub fn run_layers<'a, I: InstructionSet>(
    layers: &[PackedLayer],
    first_bias: Bias<'_>,
    (rows, mut stride): (usize, usize),
    (mut from, mut to): (&'a mut [u32], &'a mut [u32]),
    prefetch: &mut Prefetch<'_>,
) -> (&'a [u32], usize) {
    let mut format = layers.first().map_or(Format::PLAIN, |layer| layer.format);
    for (n, layer) in layers.iter().enumerate() {
        let bias = if n == 0 { first_bias } else { Bias::same(&layer.bias) };
        let next_format = layers.get(n + 1).map_or(Format::PLAIN, |layer| layer.format);
        let next_stride = next_format.stride(layer.outputs);
        let x = Rows { words: &mut from[..rows * stride], stride, format };
        let words = &mut to[..rows * next_stride];
        let mut y = Rows { words, stride: next_stride, format: next_format };
        I::dense(layer, layer.activation, bias, &x, &mut y, prefetch);
        std::mem::swap(&mut from, &mut to);
        (stride, format) = (next_stride, next_format);
    }
    (from, stride)
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

/// What is kept of a tile that is evaluated for several bindings, piece by piece.
#[derive(Default)]
pub struct SetsScratch {
    /// What grids add is there.
    pub is_gathered: bool,
    /// The first layer's bias per row.
    bias: Vec<[f32; LANES]>,
}

impl SetsScratch {
    /// The first layer's bias and the starts of so many points for each binding.
    fn starts<'a>(
        &'a mut self,
        bindings: &'a [&'a Binding],
        points: usize,
    ) -> (Bias<'a>, Starts<'a>) {
        let starts = Starts::Sets { bindings, is_complete: self.is_gathered };
        self.is_gathered = true;
        if let [Binding { bias32, .. }] = bindings {
            return (Bias::same(bias32), starts);
        }
        self.bias.clear();
        for Binding { bias32, .. } in bindings {
            (0..points).for_each(|_| self.bias.extend_from_slice(bias32));
        }
        let stride = self.bias.len() / (points * bindings.len());
        (Bias::of_rows(&self.bias, stride), starts)
    }
}

/// What the input vectors of a tile start from, apart from what grids add.
pub enum Starts<'a> {
    /// All from the same.
    Same(&'a [[f32; LANES]]),
    /// All points from that of one binding after the other.
    Sets {
        bindings: &'a [&'a Binding],
        /// What grids add was kept before.
        is_complete: bool,
    },
    /// Each from its own.
    Each { own: Own<'a>, sums: &'a mut [[f32; LANES]] },
}

/// Input vectors of all rows: what grids add and what that is added to, activated and in the
/// format of the first layer. `features` has room for one point; for several bindings, what grids
/// add to each point of a tile is kept behind that.
#[inline(always)]
pub fn gather<I: InstructionSet>(
    (model, activation): (&Model, Activation),
    tile: &Staged,
    mut starts: Starts<'_>,
    features: &mut [[f32; LANES]],
    inputs: &mut Rows<'_>,
) {
    let count = model.spec().grids.len();
    // Asking for memory takes as long as a good part of a point.
    let mut few = [model.grid(0); FEW_GRIDS];
    let many: Vec<_>;
    let data = if count <= FEW_GRIDS {
        for (n, data) in few.iter_mut().enumerate().take(count) {
            *data = model.grid(n);
        }
        &few[..count]
    } else {
        many = (0..count).map(|n| model.grid(n)).collect();
        &many
    };
    let grids = Grids { spec: model.spec(), data };
    let (sets, is_known) = match starts {
        Starts::Sets { bindings, is_complete } => (bindings.len(), is_complete),
        Starts::Same(_) | Starts::Each { .. } => (1, false),
    };
    let width = model.spec().spatial_width().div_ceil(LANES);
    let mut rows = inputs.words.chunks_exact_mut(inputs.stride);
    for set in 0..sets {
        for (i, row) in rows.by_ref().take(tile.len).enumerate() {
            let (start, is_kept) = match &mut starts {
                Starts::Same(start) => (*start, false),
                Starts::Sets { bindings, .. } => (&bindings[set].inputs32[..], true),
                Starts::Each { own, sums } => (own.start::<I>(i, sums), false),
            };
            let place = if is_kept { (1 + i) * width } else { 0 };
            if set == 0 && !is_known {
                let start = if is_kept { None } else { Some(start) };
                grids.add::<I::Lanes>(tile, i, start, &mut features[place..][..width]);
            }
            let (sums, kept) = features.split_at_mut(width);
            if is_kept {
                add::<I::Lanes>(&kept[i * width..][..width], start, sums);
            }
            let least = apply_but_relu::<I::Lanes>(activation, sums);
            inputs.format.store(sums, width, least, std::iter::once(row), 0);
        }
    }
    inputs.clear_after(width);
}

/// All grids of a model.
struct Grids<'a> {
    spec: &'a Spec,
    data: &'a [GridData<'a>],
}

impl Grids<'_> {
    /// What all grids add up to at point `i`, and then `start`. In this order, so that the sums are
    /// the same if the start is added later; one grid alone may be added to it, as two numbers may
    /// change places.
    #[inline(always)]
    fn add<L: Lanes>(
        &self,
        tile: &Staged,
        i: usize,
        start: Option<&[[f32; LANES]]>,
        sums: &mut [[f32; LANES]],
    ) {
        let covered = is_covered(self.spec);
        if !covered {
            sums.fill([0.0; LANES]);
        }
        let alone = start.filter(|_| covered && self.data.len() == 1);
        for (n, (grid, data)) in self.spec.grids.iter().zip(self.data).enumerate() {
            let base = match alone {
                Some(start) => Base::Of(start.as_flattened()),
                None if covered && n == 0 => Base::Zero,
                None => Base::InPlace,
            };
            let sums = &mut sums.as_flattened_mut()[grid.offset..][..grid.channels];
            let corner = (&tile.grids[n], i, 0);
            match data.values {
                GridValues::F32(values) => corners::<L, _>(values, None, corner, base, sums),
                GridValues::F16(values) => corners::<L, _>(values, None, corner, base, sums),
                GridValues::I8(values, scaling) => {
                    corners::<L, _>(values, Some(scaling), corner, base, sums);
                }
            }
        }
        if let (None, Some(start)) = (alone, start) {
            for (sum, start) in sums.iter_mut().zip(start) {
                L::load(sum).add(L::load(start)).store(sum);
            }
        }
    }
}

/// `sums = a + b`
#[inline(always)]
fn add<L: Lanes>(a: &[[f32; LANES]], b: &[[f32; LANES]], sums: &mut [[f32; LANES]]) {
    for ((a, b), sum) in a.iter().zip(b).zip(sums) {
        L::load(a).add(L::load(b)).store(sum);
    }
}

/// Whether the first grid reaches all spatial inputs, as a folded one does: then nothing needs to be
/// there before it.
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
    /// The sum of `features`, from number `first` on, and what they are added to.
    #[inline(always)]
    fn add_to<L: Lanes>(self, features: L, first: usize, sums: &[f32]) -> L {
        match self {
            // Not even a zero: it would change the sign of another.
            Self::Zero => features,
            Self::InPlace | Self::Of(_) => self.load::<L>(first, sums).add(features),
        }
    }

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
        let sum = base.add_to(sum, first, &sums[first..]);
        if let Some(chunk) = sums[first..].first_chunk_mut() {
            sum.store(chunk);
        }
    }
    let whole = channels / LANES * LANES;
    if whole < channels {
        let mut sum = L::splat(0.0);
        for c in 0..C {
            sum = T::load_some::<L>(&rows[c][whole..]).mul_add(weights[c], sum);
        }
        let tail = &mut sums[whole..];
        let mut all = [0.0; LANES];
        base.add_to(unscaled(sum, scaling, total, whole), whole, tail).store(&mut all);
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
