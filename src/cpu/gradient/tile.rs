//! Derivatives in 32 bits, written once for all instruction sets: the forward pass is that of
//! `cpu::tile`, but keeps how each activation changes; the backward pass goes through the layers'
//! transposed weights, once per output, up to the input vector.

use super::activation::derivative;
use super::cells::{Places, Sums};
use super::{Backward, Derivatives, Direction, Forward, Level, Pass, Tape};
use crate::cpu::activation::apply;
use crate::cpu::lanes::{LANES, Lanes};
use crate::cpu::packed::Format;
use crate::cpu::product::{Bias, InstructionSet, Prefetch, Rows};
use crate::cpu::products::{Kind, gather as products};
use crate::cpu::tile::{Parameters, Starts, gather, write_values};
use crate::model::spec::{Activation, LayerPrecision};

/// Runs a pass.
#[inline(always)]
pub fn run<I: InstructionSet>(pass: Pass<'_, '_>) {
    match pass {
        Pass::Forward(pass) => forward::<I>(pass),
        Pass::Backward(pass) => backward::<I>(pass),
    }
}

/// Values of the tile that was staged first, as [`tile::evaluate`](crate::cpu::tile::evaluate) has
/// them, bit by bit: the operations are the same, only the sums of a layer are kept before its
/// activation.
#[inline(always)]
fn forward<I: InstructionSet>(pass: Forward<'_>) {
    let Forward { model, layers, products, binding, positions, padding, scratch, tape, values } =
        pass;
    let spec = model.spec();
    let [staged, next] = &scratch.staged;
    let Tape { levels, cells, others, numbers, len, .. } = tape;
    *len = staged.len;
    let places = Places {
        axes: spec.axes.len(),
        positions: &positions.axes,
        parameters: &binding.parameters,
        len: *len,
        padding,
    };
    for (n, (grid, cells)) in spec.grids.iter().zip(cells).enumerate() {
        cells.fill((grid, model.grid(n).row), &places);
    }
    let vectors = <I::Lanes as Lanes>::VECTORS;
    let mut prefetch = Prefetch::new(next, layers, *len, vectors);
    let plain = Activation::Identity;
    let mut sums = levels[0].rows(*len);
    let start = Starts::Same(&binding.inputs32);
    if let Some(products) = products {
        let at = (staged, Parameters::Bound(binding));
        let working = &mut scratch.products;
        products::gather::<I>((products, model, plain), at, start, working, &mut sums);
        others.fill::<I>((model, products, binding), staged, working);
    } else {
        gather::<I>((model, plain), staged, start, &mut scratch.features, &mut sums);
    }
    let mut stride = 0;
    for n in 0..levels.len() {
        let before = n.checked_sub(1).map(|n| spec.layers[n].activation);
        let activation = before.unwrap_or(spec.input.activation);
        let layer = layers.get(n);
        let format = layer.map_or(Format::PLAIN, |layer| layer.format);
        stride = format.stride(levels[n].width);
        let mut x = Rows { words: &mut scratch.front[..*len * stride], stride, format };
        let precision = spec.layers.get(n).map_or(LayerPrecision::F32, |layer| layer.precision);
        activate::<I::Lanes>((activation, precision), &mut levels[n].rows(*len), &mut x, numbers);
        let Some(layer) = layer else { break };
        let bias = Bias::same(if n == 0 { &binding.bias32 } else { &layer.bias });
        let mut sums = levels[n + 1].rows(*len);
        I::dense(layer, plain, bias, &x, &mut sums, &mut prefetch);
    }
    prefetch.finish::<I::Lanes>();
    write_values(&scratch.front[..*len * stride], stride, spec.outputs(), values);
}

/// Activates `sums` and stores the results in `x`, as the next layer takes them with inputs of
/// some precision. What stays in `sums` is how each result changes with its sum: the rounding of
/// the results counts as no change, but those beyond what 8 bits reach are held at the end.
#[inline(always)]
fn activate<L: Lanes>(
    (activation, precision): (Activation, LayerPrecision),
    sums: &mut Rows<'_>,
    x: &mut Rows<'_>,
    numbers: &mut [[f32; LANES]],
) {
    let vectors = sums.stride / LANES;
    let (results, slopes) = numbers.split_at_mut(vectors);
    let slopes = &mut slopes[..vectors];
    let rows = sums.words.chunks_exact_mut(sums.stride).zip(x.words.chunks_exact_mut(x.stride));
    for (sums, words) in rows {
        load(sums, results);
        slopes.copy_from_slice(results);
        apply::<L>(activation, results);
        let any = L::splat(f32::NEG_INFINITY);
        x.format.store(results, vectors, any, std::iter::once(words), 0);
        derivative::<L>(activation, slopes);
        if let LayerPrecision::I8 { low, step } = precision {
            hold::<L>(low as f32, (low + 255.0 * step) as f32, results, slopes);
        }
        for (sums, slopes) in sums.as_chunks_mut().0.iter_mut().zip(&*slopes) {
            L::load(slopes).store_bits(sums);
        }
    }
    x.clear_after(vectors);
}

/// Clears the slopes of results outside `low` to `high`.
#[inline(always)]
fn hold<L: Lanes>(low: f32, high: f32, results: &[[f32; LANES]], slopes: &mut [[f32; LANES]]) {
    let (low, high, zero) = (L::splat(low), L::splat(high), L::splat(0.0));
    for (result, slope) in results.iter().zip(slopes) {
        let result = L::load(result);
        let above = low.sub(result).if_positive(zero, L::load(slope));
        result.sub(high).if_positive(zero, above).store(slope);
    }
}

#[inline(always)]
fn load(words: &[u32], numbers: &mut [[f32; LANES]]) {
    for (number, word) in numbers.as_flattened_mut().iter_mut().zip(words) {
        *number = f32::from_bits(*word);
    }
}

/// Derivatives of one output at the points of the tile that went forward last.
#[inline(always)]
fn backward<I: InstructionSet>(pass: Backward<'_, '_>) {
    let Backward { model, transposed, products, parameters, output, scratch, tape, derivatives } =
        pass;
    let (mut from, mut to) = (&mut scratch.front, &mut scratch.back);
    let Tape { levels, cells, others, numbers, len, .. } = tape;
    let grids_change = derivatives.position.is_some()
        || derivatives.parameters.is_some()
            && products.is_some_and(|products| products.depend_on_parameters());
    start(&mut levels[transposed.len()], *len, output, from);
    for (n, layer) in transposed.iter().enumerate().rev() {
        // `from` says how the output changes with the sums of layer n.
        let stride = levels[n + 1].stride;
        if n == 0 {
            if let Some(sums) = &mut derivatives.parameters {
                add_directions::<I::Lanes>(&parameters.bias, from, stride, parameters.count, sums);
            }
            if !grids_change && parameters.inputs.is_empty() {
                return;
            }
        }
        let slopes = levels[n].rows(*len);
        let x = Rows { words: &mut from[..*len * stride], stride, format: Format::PLAIN };
        let words = &mut to[..slopes.words.len()];
        let mut y = Rows { words, stride: slopes.stride, format: Format::PLAIN };
        let (plain, bias) = (Activation::Identity, Bias::same(&layer.bias));
        I::dense(layer, plain, bias, &x, &mut y, &mut Prefetch::none());
        let products = y.words.as_chunks_mut().0.iter_mut();
        for (product, slopes) in products.zip(slopes.words.as_chunks().0) {
            I::Lanes::load_bits(product).mul(I::Lanes::load_bits(slopes)).store_bits(product);
        }
        std::mem::swap(&mut from, &mut to);
    }
    let stride = levels[0].stride;
    if let Some(sums) = &mut derivatives.parameters {
        add_directions::<I::Lanes>(&parameters.inputs, from, stride, parameters.count, sums);
    }
    if !grids_change {
        return;
    }
    let spec = model.spec();
    let axes = spec.axes.len();
    // Without layers, all elements of the gradient but one are zero.
    let reached = match transposed {
        [] => output..output + 1,
        _ => 0..spec.spatial_width(),
    };
    for (i, words) in from.chunks_exact(stride).take(*len).enumerate() {
        let of_point = |count: usize| i * count..(i + 1) * count;
        let Derivatives { position, parameters: by_parameters } = &mut *derivatives;
        let mut sums = Sums {
            position: position.as_mut().map(|sums| &mut sums[of_point(axes)]),
            parameters: by_parameters.as_mut().map(|sums| &mut sums[of_point(parameters.count)]),
        };
        let half = numbers.len() / 2;
        let (gradient, product) = numbers.split_at_mut(half);
        load(words, gradient);
        let (gradient, product) = (gradient.as_flattened(), product.as_flattened_mut());
        for (n, grid) in spec.grids.iter().enumerate() {
            if products.is_some_and(|products| products.kind(n) == Kind::Conditional) {
                continue; // Part of `parameters`, as lines are.
            }
            let start = reached.start.max(grid.offset);
            let end = reached.end.min(grid.offset + grid.channels);
            if start < end {
                let (first, mut part) = (start - grid.offset, &gradient[start..end]);
                if let Some(others) = others.of(n, i) {
                    let product = &mut product[..part.len()];
                    let numbers = product.iter_mut().zip(part).zip(&others[first..]);
                    numbers.for_each(|((product, gradient), others)| *product = gradient * others);
                    part = product;
                }
                let data = (grid, model.grid(n), axes);
                cells[n].add_slopes::<I::Lanes>(data, i, first, part, &mut sums);
            }
        }
    }
}

/// How an output changes with the sums of the last layer: only with its own.
#[inline(always)]
fn start(last: &mut Level, len: usize, output: usize, words: &mut [u32]) {
    let slopes = last.rows(len);
    let words = &mut words[..slopes.words.len()];
    words.fill(0);
    let rows = words.chunks_exact_mut(slopes.stride);
    for (words, slopes) in rows.zip(slopes.words.chunks_exact(slopes.stride)) {
        words[output] = slopes[output];
    }
}

/// Adds to `sums`, `[points, parameters]`, the dot products of the rows of `words` and each
/// direction.
#[inline(always)]
fn add_directions<L: Lanes>(
    directions: &[Direction],
    words: &[u32],
    stride: usize,
    count: usize,
    sums: &mut [f64],
) {
    if directions.is_empty() {
        return;
    }
    for (words, sums) in words.chunks_exact(stride).zip(sums.chunks_exact_mut(count)) {
        for direction in directions {
            let words = &words[direction.offset..];
            let mut dot = L::splat(0.0);
            for (n, slopes) in direction.slopes32.iter().enumerate() {
                let words = &words[n * LANES..];
                let gradient = match words.first_chunk() {
                    Some(words) => L::load_bits(words),
                    None => {
                        let mut some = [0; LANES];
                        some[..words.len()].copy_from_slice(words);
                        L::load_bits(&some)
                    }
                };
                dot = gradient.mul_add(L::load(slopes), dot);
            }
            sums[direction.parameter] += f64::from(dot.sum());
        }
    }
}
