//! Parameters that differ from point to point: what a [`Binding`](super::Binding) holds for one set
//! of them is computed for every point of a tile, in 32 bits.

use std::ops::Range;

use super::activation::apply;
use super::lanes::{LANES, Lanes};
use super::packed::{Format, PackedLayer, to_vectors};
use super::product::{Bias, InstructionSet, Prefetch, Rows};
use super::products::gather::add_row_from;
use super::products::{Kind, Products};
use super::stage::{Corners, Staged};
use super::tile::Starts;
use super::{Kernel, TILE};
use crate::model::spec::{Activation, Layer, LayerPrecision};
use crate::model::{LayerTensors, Model};

/// What a model adds to its input vector and to its first layer, depending on the parameters.
pub struct Varying {
    /// Of the inputs that grids reach.
    spatial: Lines,
    /// Of the inputs that they do not, which depend on the parameters alone.
    conditional: Lines,
    /// From the latter to the first layer's bias; none where there are none.
    layer: Option<PackedLayer>,
    /// The first layer's bias where there are none, padded.
    bias: Vec<[f32; LANES]>,
}

/// A part of the input vector without what grids over the domain add.
struct Lines {
    /// What it starts as, padded to whole vectors.
    start: Vec<[f32; LANES]>,
    pieces: Vec<Piece>,
    /// Of the terms of [`Products::conditional`] instead of lines.
    terms: Vec<Piece>,
}

/// The features of a line, or of a product of grids, that go to such a part.
struct Piece {
    source: usize,
    /// The first of them.
    first: usize,
    count: usize,
    /// Where the first one goes.
    offset: usize,
}

impl Piece {
    /// What goes to `span` of features that are added at `offset` of the input vector; None if
    /// nothing does.
    fn new(source: usize, offset: usize, features: usize, span: &Range<usize>) -> Option<Self> {
        let (from, to) = (offset.max(span.start), (offset + features).min(span.end));
        let (count, first) = (to.checked_sub(from)?, from - offset);
        (count > 0).then(|| Self { source, first, count, offset: from - span.start })
    }
}

/// What is known of the points of a tile and their own parameters.
pub struct Own<'a> {
    varying: &'a Varying,
    model: &'a Model,
    products: Option<&'a Products>,
    /// Per line of the model.
    brackets: &'a [Bracket],
    /// Per grid of the model, as far as it depends on parameters.
    pub corners: &'a [Corners],
    /// Room for two products of grids.
    rows: &'a mut [[f32; LANES]],
}

impl Own<'_> {
    /// What the inputs of point `i` start from, in `sums`.
    #[inline(always)]
    pub fn start<'s, I: InstructionSet>(
        &mut self,
        i: usize,
        sums: &'s mut [[f32; LANES]],
    ) -> &'s [[f32; LANES]] {
        let varying = self.varying;
        varying.spatial.sum::<I>(self, i, sums);
        sums
    }
}

/// Between which vertices of a line the points of a tile lie.
pub struct Bracket {
    /// Number of the first feature of each vertex.
    starts: [[usize; TILE]; 2],
    /// Weight of the second vertex.
    fraction: [f32; TILE],
}

/// Working memory for the points of a tile.
#[derive(Default)]
pub struct VaryingScratch {
    /// Per line of the model.
    brackets: Vec<Bracket>,
    /// Per grid of the model, as far as it depends on parameters.
    corners: Vec<Corners>,
    /// Two products of grids.
    rows: Vec<[f32; LANES]>,
    /// What the inputs of one point start from.
    sums: Vec<[f32; LANES]>,
    /// The first layer's bias, per point.
    bias: Vec<[f32; LANES]>,
}

impl Varying {
    /// Prepares `model`, whose layers were packed, for `kernel`.
    pub fn new(
        (model, products): (&Model, Option<&Products>),
        kernel: Kernel,
        layers: &[PackedLayer],
    ) -> Self {
        let spec = model.spec();
        let (spatial, width) = (spec.spatial_width(), spec.input.width);
        let conditional = width - spatial;
        let layer = (spec.layers.first().zip(model.layers().first()))
            .filter(|_| conditional > 0)
            .map(|(layer, tensors)| {
                let rows = tensors.weight.chunks_exact(width);
                let weight = rows.flat_map(|row| row[spatial..].iter().copied()).collect();
                let layer = Layer {
                    inputs: conditional,
                    activation: Activation::Identity,
                    precision: LayerPrecision::F32,
                    ..layer.clone()
                };
                let tensors = LayerTensors { weight, bias: tensors.bias.clone(), quantized: None };
                PackedLayer::new(&layer, &tensors, conditional, kernel.vectors(), false)
            });
        let bias = layers.first().zip(model.layers().first()).map(|(packed, tensors)| {
            let mut bias = packed.bias.clone();
            let sums = bias.as_flattened_mut().iter_mut();
            sums.zip(&tensors.bias).for_each(|(sum, bias)| *sum += bias);
            bias
        });
        Self {
            spatial: Lines::new(model, products, 0..spatial),
            conditional: Lines::new(model, products, spatial..width),
            layer,
            bias: bias.unwrap_or_default(),
        }
    }

    /// Inputs that depend on the parameters alone, in whole vectors.
    pub fn conditional_width(&self) -> usize {
        self.conditional.start.len() * LANES
    }

    /// Bytes that the copies of numbers of the model take.
    pub fn bytes(&self) -> usize {
        let numbers = [&self.spatial.start, &self.conditional.start, &self.bias];
        self.layer.as_ref().map_or(0, PackedLayer::bytes)
            + numbers.map(|vectors| size_of_val(&vectors[..])).iter().sum::<usize>()
    }

    /// The first layer's bias and the starts of the points of a tile. `working` is memory for a tile
    /// of inputs and outputs.
    #[inline(always)]
    pub fn starts<'a, I: InstructionSet>(
        &'a self,
        (model, products): (&'a Model, Option<&'a Products>),
        tile: &Staged,
        working: [&mut [u32]; 2],
        scratch: &'a mut VaryingScratch,
        prefetch: &mut Prefetch<'_>,
    ) -> (Bias<'a>, Starts<'a>) {
        let VaryingScratch { brackets, corners, rows, sums, bias } = scratch;
        let lines = &model.spec().lines;
        brackets.resize_with(lines.len(), Bracket::default);
        for (line, bracket) in lines.iter().zip(&mut *brackets) {
            let parameters = &tile.parameters[line.parameter][..tile.len];
            bracket.fill(parameters, line.vertices, line.features);
        }
        if let Some(products) = products {
            let depends = |kind| kind != Kind::Fixed;
            products.fill_corners(model, tile, &tile.parameters, depends, corners);
            rows.resize(2 * products.longest(), [0.0; LANES]);
        }
        sums.resize(self.spatial.start.len(), [0.0; LANES]);
        let mut own = Own { varying: self, model, products, brackets, corners, rows };
        let bias = self.first_bias::<I>(&mut own, tile.len, working, bias, prefetch);
        (bias, Starts::Each { own, sums })
    }

    /// The first layer's bias of `rows` points.
    #[inline(always)]
    fn first_bias<'a, I: InstructionSet>(
        &'a self,
        own: &mut Own<'_>,
        rows: usize,
        [x, y]: [&mut [u32]; 2],
        bias: &'a mut Vec<[f32; LANES]>,
        prefetch: &mut Prefetch<'_>,
    ) -> Bias<'a> {
        let Some(layer) = &self.layer else { return Bias::same(&self.bias) };
        let format = Format::PLAIN;
        let strides = [self.conditional_width(), layer.outputs].map(|width| format.stride(width));
        let mut x = Rows { words: &mut x[..rows * strides[0]], stride: strides[0], format };
        let mut y = Rows { words: &mut y[..rows * strides[1]], stride: strides[1], format };
        let vectors = self.conditional.start.len();
        bias.resize(vectors.max(TILE * layer.vectors()), [0.0; LANES]);
        for (i, row) in x.words.chunks_exact_mut(strides[0]).enumerate() {
            let sums = &mut bias[..vectors];
            self.conditional.sum::<I>(own, i, sums);
            apply::<I::Lanes>(own.model.spec().input.activation, sums);
            let any = I::Lanes::splat(f32::NEG_INFINITY);
            format.store(sums, vectors, any, std::iter::once(row), 0);
        }
        x.clear_after(vectors);
        let (plain, own) = (Activation::Identity, Bias::same(&self.bias));
        I::dense(layer, plain, own, &x, &mut y, prefetch);
        let stride = layer.vectors();
        for (bias, row) in bias.chunks_exact_mut(stride).zip(y.words.chunks_exact(strides[1])) {
            for (bias, words) in bias.iter_mut().zip(row.as_chunks::<LANES>().0) {
                I::Lanes::load_bits(words).store(bias);
            }
        }
        Bias::of_rows(bias, stride)
    }
}

impl Lines {
    /// The part of the input vector from `span.start` to before `span.end`.
    fn new(model: &Model, products: Option<&Products>, span: Range<usize>) -> Self {
        let start = match model.input_bias() {
            Some(bias) => to_vectors(&bias[span.clone()]),
            None => vec![[0.0; LANES]; span.len().div_ceil(LANES)],
        };
        let pieces = (model.spec().lines.iter().enumerate())
            .filter_map(|(n, line)| Piece::new(n, line.offset, line.features, &span))
            .collect();
        let terms = products.map_or(&[][..], Products::conditional).iter().enumerate();
        let terms = terms.filter_map(|(n, term)| Piece::new(n, term.offset, term.channels, &span));
        Self { start, pieces, terms: terms.collect() }
    }

    /// The part for point `i`.
    #[inline(always)]
    fn sum<I: InstructionSet>(&self, own: &mut Own<'_>, i: usize, sums: &mut [[f32; LANES]]) {
        sums.copy_from_slice(&self.start);
        for piece in &self.pieces {
            let (values, bracket) = (own.model.line(piece.source), &own.brackets[piece.source]);
            let [a, b] = [bracket.starts[0][i], bracket.starts[1][i]];
            let a = &values[a + piece.first..][..piece.count];
            let b = &values[b + piece.first..][..piece.count];
            let sums = &mut sums.as_flattened_mut()[piece.offset..][..piece.count];
            add_between::<I::Lanes>([a, b], bracket.fraction[i], sums);
        }
        let Some(products) = own.products else { return };
        for piece in &self.terms {
            let term = &products.conditional()[piece.source];
            let row = term.of_parameters::<I>(own.model, (own.corners, i), own.rows);
            let sums = &mut sums.as_flattened_mut()[piece.offset..][..piece.count];
            add_row_from::<I::Lanes>(&row[piece.first..][..piece.count], sums);
        }
    }
}

/// Adds what lies at `fraction` of the way from the first vertex's features to the second's. No
/// closures with vectors in here: they would be compiled without the kernel's instructions.
#[inline(always)]
fn add_between<L: Lanes>([a, b]: [&[f32]; 2], fraction: f32, sums: &mut [f32]) {
    let fraction = L::splat(fraction);
    let (chunks, tail) = sums.as_chunks_mut::<LANES>();
    let ((whole_a, tail_a), (whole_b, tail_b)) = (a.as_chunks(), b.as_chunks());
    for ((chunk, a), b) in chunks.iter_mut().zip(whole_a).zip(whole_b) {
        let a = L::load(a);
        L::load(chunk).add(L::load(b).sub(a).mul_add(fraction, a)).store(chunk);
    }
    if !tail.is_empty() {
        let a = L::load_some(tail_a);
        let between = L::load_some(tail_b).sub(a).mul_add(fraction, a);
        let mut all = [0.0; LANES];
        L::load_some(tail).add(between).store(&mut all);
        tail.copy_from_slice(&all[..tail.len()]);
    }
}

impl Default for Bracket {
    fn default() -> Self {
        Self { starts: [[0; TILE]; 2], fraction: [0.0; TILE] }
    }
}

impl Bracket {
    /// For positions `t` from 0 to 1.
    #[inline(always)]
    fn fill(&mut self, t: &[f64], vertices: usize, features: usize) {
        let last = (vertices - 1) as f64;
        let [lowers, uppers] = &mut self.starts;
        let starts = lowers.iter_mut().zip(uppers);
        for ((t, fraction), (lower, upper)) in t.iter().zip(&mut self.fraction).zip(starts) {
            let p = t * last;
            // At most 2^32 - 2: see the limits of the file format.
            let vertex = p as u32;
            *fraction = (p - f64::from(vertex)) as f32;
            *lower = vertex as usize * features;
            *upper = (vertex as usize + 1).min(vertices - 1) * features;
        }
    }
}
