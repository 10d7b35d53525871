//! Dense layers over the rows of a tile.

use super::TILE;
use super::activation::{apply, apply_but_relu};
use super::lanes::{LANES, Lanes, Portable, Product, Single, Words};
use super::packed::{Format, PackedLayer};
use super::products::gather;
use super::stage::{Corners, LINE, Staged};
use crate::model::GridData;
use crate::model::spec::Activation;

/// Points of a register block.
const ROWS: usize = 6;

/// Most vectors of outputs of a register block.
const MAX_VECTORS: usize = 4;

/// What an instruction set has.
pub trait InstructionSet {
    /// 32-bit arithmetic.
    type Lanes: Lanes;

    /// [`dense`] in the layer's arithmetic, compiled once with the instructions: it is most of the
    /// code, and takes most of the time to compile.
    fn dense(
        layer: &PackedLayer,
        activation: Activation,
        bias: Bias<'_>,
        x: &Rows<'_>,
        y: &mut Rows<'_>,
        prefetch: &mut Prefetch<'_>,
    );

    /// [`gather::interpolate`](super::products::gather::interpolate), compiled once with the
    /// instructions.
    fn interpolate(at: &Corners, data: GridData<'_>, i: usize, features: &mut [f32]);
}

impl InstructionSet for Portable {
    type Lanes = Self;

    fn dense(
        layer: &PackedLayer,
        activation: Activation,
        bias: Bias<'_>,
        x: &Rows<'_>,
        y: &mut Rows<'_>,
        prefetch: &mut Prefetch<'_>,
    ) {
        dense::<Single<Self>>(layer, activation, bias, x, y, prefetch);
    }

    fn interpolate(at: &Corners, data: GridData<'_>, i: usize, features: &mut [f32]) {
        gather::interpolate::<Self>(at, data, i, features);
    }
}

/// Cache lines that the next tile will need, asked for a few at a time while this one is computed.
pub struct Prefetch<'a> {
    lines: Lines<'a>,
    /// How many per register block.
    pace: usize,
}

/// The first of `unit` cache lines each.
#[derive(Clone, Copy)]
struct Lines<'a> {
    first: &'a [*const u8],
    unit: usize,
    /// One at a step of a block, not a whole unit.
    is_spread: bool,
}

impl Lines<'_> {
    /// Steps of a block that ask for all of them, one each or one for each unit.
    #[inline(always)]
    fn steps(&self) -> usize {
        if self.is_spread { self.first.len() * self.unit } else { self.first.len() }
    }

    #[inline(always)]
    fn line(&self, n: usize) -> *const u8 {
        // The unit is 1 or 4.
        let shift = if self.unit > 1 { 2 } else { 0 };
        self.first[n >> shift].wrapping_add((n & (self.unit - 1)) * LINE)
    }
}

impl<'a> Prefetch<'a> {
    /// Spreads the lines of `next` over the blocks of a tile of `rows` points.
    pub fn new(next: &'a Staged, layers: &[PackedLayer], rows: usize, vectors: usize) -> Self {
        let wide = layers.iter().filter(|layer| !layer.is_narrow());
        let panels: usize = wide.map(|layer| layer.vectors().div_ceil(vectors)).sum();
        let pace = next.lines.len().div_ceil((panels * rows.div_ceil(ROWS)).max(1));
        let lines = Lines { first: &next.lines, unit: next.unit, is_spread: next.is_spread };
        Self { lines, pace }
    }

    /// Nothing to fetch.
    pub fn none() -> Self {
        Self { lines: Lines { first: &[], unit: 1, is_spread: false }, pace: 0 }
    }

    /// The next ones, for a block of so many steps.
    #[inline(always)]
    fn take(&mut self, steps: usize) -> Lines<'a> {
        let most = if self.lines.is_spread { steps / self.lines.unit } else { steps };
        let count = self.pace.min(most).min(self.lines.first.len());
        let (first, rest) = self.lines.first.split_at(count);
        self.lines.first = rest;
        Lines { first, ..self.lines }
    }

    /// Asks for what is left.
    #[inline(always)]
    pub fn finish<L: Lanes>(self) {
        self.lines.first.iter().for_each(|&line| fetch::<L>(line, self.lines.unit));
    }
}

#[inline(always)]
fn fetch<L: Lanes>(line: *const u8, unit: usize) {
    L::prefetch(line);
    if unit > 1 {
        L::prefetch(line.wrapping_add(LINE));
        L::prefetch(line.wrapping_add(2 * LINE));
        L::prefetch(line.wrapping_add(3 * LINE));
    }
}

/// Rows of numbers, `stride` words from one to the next. What a row has beyond its numbers is
/// finite or zero, since weights of zero multiply it.
pub struct Rows<'a> {
    pub words: &'a mut [u32],
    pub stride: usize,
    pub format: Format,
}

/// What is added to the sums of a layer.
#[derive(Clone, Copy)]
pub struct Bias<'a> {
    vectors: &'a [[f32; LANES]],
    /// Vectors from one row to the next; 0 where all rows have the same.
    stride: usize,
}

impl<'a> Bias<'a> {
    /// The same for all rows.
    pub fn same(vectors: &'a [[f32; LANES]]) -> Self {
        Self { vectors, stride: 0 }
    }

    /// Each row's own, `stride` vectors.
    pub fn of_rows(vectors: &'a [[f32; LANES]], stride: usize) -> Self {
        Self { vectors, stride }
    }

    /// Without the first rows and, of each, the first vectors.
    #[inline(always)]
    fn from(self, row: usize, vector: usize) -> Self {
        Self { vectors: &self.vectors[row * self.stride + vector..], ..self }
    }

    /// The first `V` vectors of a row.
    #[inline(always)]
    fn of_row<const V: usize>(self, row: usize) -> &'a [[f32; LANES]; V] {
        first_of(&self.vectors[row * self.stride..])
    }
}

#[inline(always)]
fn first_of<const V: usize>(vectors: &[[f32; LANES]]) -> &[[f32; LANES]; V] {
    vectors.first_chunk().expect("a layer has a scale and a bias for each of its outputs")
}

/// What turns sums of a block into those of the layer.
#[derive(Clone, Copy)]
struct Added<'a> {
    scale: &'a [[f32; LANES]],
    bias: Bias<'a>,
}

/// `y = activation(x W^T scale + bias)` for each row of `x`.
#[inline(always)]
pub fn dense<P: Product>(
    layer: &PackedLayer,
    activation: Activation,
    bias: Bias<'_>,
    x: &Rows<'_>,
    y: &mut Rows<'_>,
    prefetch: &mut Prefetch<'_>,
) {
    if layer.is_narrow() {
        return narrow::<P>(layer, activation, bias, x, y);
    }
    let rows = x.words.len() / x.stride;
    let mut weights = &layer.weights[..];
    let mut sums = [[0.0; LANES]; ROWS * MAX_VECTORS];
    // One row and one vector of outputs would wait for each sum: narrow panels are taken together.
    let are_beside = rows < ROWS && L::<P>::VECTORS == 1;
    let most = if are_beside { MAX_VECTORS } else { L::<P>::VECTORS };
    let mut first = 0;
    while first < layer.vectors() {
        let vectors = most.min(layer.vectors() - first);
        let (panel, rest) = weights.split_at(layer.words * vectors);
        weights = rest;
        let mut row = 0;
        while row < rows {
            let count = if rows - row >= ROWS { ROWS } else { 1 };
            let inputs = &x.words[row * x.stride..];
            let added = Added { scale: &layer.scale[first..], bias: bias.from(row, first) };
            if are_beside {
                any_panels::<P>(vectors, panel, added, &inputs[..layer.words], &mut sums);
            } else {
                let lines = prefetch.take(layer.words);
                any_block::<P>((count, vectors), panel, added, inputs, x.stride, lines, &mut sums);
            }
            let sums = &mut sums[..count * vectors];
            let least = apply_but_relu::<L<P>>(activation, sums);
            let outputs = y.words[row * y.stride..].chunks_exact_mut(y.stride);
            y.format.store(sums, vectors, least, outputs, first);
            row += count;
        }
        first += vectors;
    }
    y.clear_after(layer.vectors());
}

type L<P> = <P as Product>::Lanes;

impl Rows<'_> {
    /// Zeros behind the first `vectors` vectors of numbers of each row.
    #[inline(always)]
    pub fn clear_after(&mut self, vectors: usize) {
        let used = self.format.words(vectors);
        if used < self.stride {
            self.words.chunks_exact_mut(self.stride).for_each(|row| row[used..].fill(0));
        }
    }
}

/// [`block`] for a number of points and vectors of outputs.
#[inline(always)]
fn any_block<P: Product>(
    shape: (usize, usize),
    panel: &[Words],
    added: Added<'_>,
    x: &[u32],
    stride: usize,
    prefetch: Lines<'_>,
    sums: &mut [[f32; LANES]],
) {
    if L::<P>::VECTORS == 1 {
        return match shape {
            (ROWS, _) => block::<P, ROWS, 1>(panel, added, x, stride, prefetch, sums),
            _ => block::<P, 1, 1>(panel, added, x, stride, prefetch, sums),
        };
    }
    match shape {
        (ROWS, 4) => block::<P, ROWS, 4>(panel, added, x, stride, prefetch, sums),
        (ROWS, 3) => block::<P, ROWS, 3>(panel, added, x, stride, prefetch, sums),
        (ROWS, 2) => block::<P, ROWS, 2>(panel, added, x, stride, prefetch, sums),
        (ROWS, _) => block::<P, ROWS, 1>(panel, added, x, stride, prefetch, sums),
        (_, 4) => block::<P, 1, 4>(panel, added, x, stride, prefetch, sums),
        (_, 3) => block::<P, 1, 3>(panel, added, x, stride, prefetch, sums),
        (_, 2) => block::<P, 1, 2>(panel, added, x, stride, prefetch, sums),
        _ => block::<P, 1, 1>(panel, added, x, stride, prefetch, sums),
    }
}

/// One panel of `V` vectors of outputs for `N` points; the sums stay in registers.
#[inline(always)]
fn block<P: Product, const N: usize, const V: usize>(
    panel: &[Words],
    added: Added<'_>,
    x: &[u32],
    stride: usize,
    prefetch: Lines<'_>,
    sums: &mut [[f32; LANES]],
) {
    let panel = panel.as_chunks::<V>().0;
    let rows: [&[u32]; N] = std::array::from_fn(|r| &x[r * stride..][..panel.len()]);
    let biases: [&[[f32; LANES]; V]; N] = std::array::from_fn(|r| added.bias.of_row(r));
    let mut accumulators = [[P::start(&biases[0][0]); V]; N];
    for (accumulators, biases) in accumulators.iter_mut().zip(biases) {
        for (sum, bias) in accumulators.iter_mut().zip(biases) {
            *sum = P::start(bias);
        }
    }
    let (fetched, rest) = panel.split_at(prefetch.steps());
    if prefetch.is_spread {
        for (k, weights) in fetched.iter().enumerate() {
            L::<P>::prefetch(prefetch.line(k));
            step::<P, N, V>(&mut accumulators, weights, &rows, k);
        }
    } else {
        for (k, (weights, &line)) in fetched.iter().zip(prefetch.first).enumerate() {
            fetch::<L<P>>(line, prefetch.unit);
            step::<P, N, V>(&mut accumulators, weights, &rows, k);
        }
    }
    for (k, weights) in (fetched.len()..).zip(rest) {
        step::<P, N, V>(&mut accumulators, weights, &rows, k);
    }
    let scales: &[[f32; LANES]; V] = first_of(added.scale);
    for (r, sums) in sums.as_chunks_mut::<V>().0.iter_mut().enumerate().take(N) {
        for v in 0..V {
            P::result(accumulators[r][v], &scales[v], &biases[r][v]).store(&mut sums[v]);
        }
    }
}

/// [`panels`] for a number of them.
#[inline(always)]
fn any_panels<P: Product>(
    count: usize,
    weights: &[Words],
    added: Added<'_>,
    x: &[u32],
    sums: &mut [[f32; LANES]],
) {
    match count {
        4 => panels::<P, 4>(weights, added, x, sums),
        3 => panels::<P, 3>(weights, added, x, sums),
        2 => panels::<P, 2>(weights, added, x, sums),
        _ => panels::<P, 1>(weights, added, x, sums),
    }
}

/// `V` panels of one vector of outputs for one point; the same sums as those of [`block`].
#[inline(always)]
fn panels<P: Product, const V: usize>(
    weights: &[Words],
    added: Added<'_>,
    x: &[u32],
    sums: &mut [[f32; LANES]],
) {
    let panels: [&[Words]; V] = std::array::from_fn(|v| &weights[v * x.len()..][..x.len()]);
    let biases: &[[f32; LANES]; V] = added.bias.of_row(0);
    let mut accumulators = [P::start(&biases[0]); V];
    for (sum, bias) in accumulators.iter_mut().zip(biases) {
        *sum = P::start(bias);
    }
    for (k, &x) in x.iter().enumerate() {
        let x = P::splat(x);
        for (sum, panel) in accumulators.iter_mut().zip(&panels) {
            *sum = P::dot(*sum, x, P::load(&panel[k].0));
        }
    }
    let sums = accumulators.into_iter().zip(biases).zip(added.scale).zip(sums);
    for (((accumulator, bias), scale), sum) in sums {
        P::result(accumulator, scale, bias).store(sum);
    }
}

/// One word of each point times one word of each output. No closures in here: they would be
/// compiled without the kernel's instructions.
#[inline(always)]
fn step<P: Product, const N: usize, const V: usize>(
    accumulators: &mut [[P::Sums; V]; N],
    weights: &[Words; V],
    rows: &[&[u32]; N],
    k: usize,
) {
    let mut vectors = [P::splat(0); V];
    for (vector, weights) in vectors.iter_mut().zip(weights) {
        *vector = P::load(&weights.0);
    }
    for (row, accumulators) in rows.iter().zip(accumulators) {
        // SAFETY: `block` made the rows as long as its panel, of which `k` counts the words.
        let x = P::splat(unsafe { *row.get_unchecked(k) });
        for (sum, weights) in accumulators.iter_mut().zip(vectors) {
            *sum = P::dot(*sum, x, weights);
        }
    }
}

/// A layer of few outputs: vectors run along the inputs, and in the end along the points.
#[inline(always)]
fn narrow<P: Product>(
    layer: &PackedLayer,
    activation: Activation,
    bias: Bias<'_>,
    x: &Rows<'_>,
    y: &mut Rows<'_>,
) {
    let vectors = layer.words.div_ceil(LANES);
    let rows = x.words.len() / x.stride;
    for (k, weights) in layer.weights.chunks_exact(vectors).enumerate() {
        let mut results = [[0.0; LANES]; TILE.div_ceil(LANES)];
        let all = results.as_flattened_mut();
        for (row, result) in x.words.chunks_exact(x.stride).zip(all) {
            let mut sums = P::start(&[0.0; LANES]);
            for (x, weights) in row.as_chunks::<LANES>().0.iter().zip(weights) {
                sums = P::dot(sums, P::load(x), P::load(&weights.0));
            }
            *result = P::lanes(sums).sum();
        }
        let scale = L::<P>::splat(layer.scale[0][k]);
        let mut biases = [[bias.vectors[0][k]; LANES]; TILE.div_ceil(LANES)];
        if bias.stride > 0 {
            for (row, of_row) in biases.as_flattened_mut().iter_mut().enumerate().take(rows) {
                *of_row = bias.vectors[row * bias.stride][k];
            }
        }
        let results = &mut results[..rows.div_ceil(LANES)];
        for (result, bias) in results.iter_mut().zip(&biases) {
            L::<P>::load(result).mul_add(scale, L::<P>::load(bias)).store(result);
        }
        apply::<L<P>>(activation, results);
        for (row, result) in y.words.chunks_exact_mut(y.stride).zip(results.as_flattened()) {
            row[k] = result.to_bits();
        }
    }
    if y.format != Format::PLAIN {
        for row in y.words.chunks_exact_mut(y.stride) {
            let mut numbers = [[0.0; LANES]];
            for (number, &bits) in numbers[0].iter_mut().zip(&row[..layer.outputs]) {
                *number = f32::from_bits(bits);
            }
            let any = L::<P>::splat(f32::NEG_INFINITY);
            y.format.store(&numbers, 1, any, std::iter::once(row), 0);
        }
        y.clear_after(1);
    } else {
        // What another layer left there may be no number as these are.
        y.words.chunks_exact_mut(y.stride).for_each(|row| row[layer.outputs..].fill(0));
    }
}
