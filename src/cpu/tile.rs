//! The tile kernel, written once for all instruction sets: gather and interpolate vertex
//! features, then the dense layers, for up to [`TILE`](super::TILE) points that stay in cache.
//!
//! Points are rows. Vectors run over channels in the gather and over outputs in the layers, so
//! that no transposition is needed and any number of points is handled alike.

use super::activation::apply;
use super::corners::Corners;
use super::lanes::{LANES, Lanes};
use super::{Binding, Padding, Position, Scratch};
use crate::model::spec::{Activation, Grid, Layer};
use crate::model::{GridData, GridValues, LayerTensors, Model};

/// Outputs that a block of the matrix product computes at once.
const PANEL: usize = 2 * LANES;

/// Points of such a block: with two vectors each and the operands, as many as 16 registers hold.
const ROWS: usize = 6;

/// What is to be evaluated.
pub struct Job<'a> {
    pub model: &'a Model,
    pub layers: &'a [PackedLayer],
    pub binding: &'a Binding,
    pub positions: &'a [Position],
    pub padding: Padding,
}

/// A dense layer with its weights in panels of [`PANEL`] outputs: `[panel][input][PANEL]`.
pub struct PackedLayer {
    inputs: usize,
    panels: Vec<f32>,
    bias: Vec<f32>,
    activation: Activation,
}

impl PackedLayer {
    /// Packs the first `used` inputs of a layer; the others are folded into its bias elsewhere.
    pub fn new(layer: &Layer, tensors: &LayerTensors, used: usize) -> Self {
        let padded_outputs = padded(layer.outputs);
        let mut panels = vec![0.0; padded_outputs * used];
        for (out, row) in tensors.weight.chunks_exact(layer.inputs).enumerate() {
            let panel = &mut panels[out / PANEL * PANEL * used..];
            for (k, &weight) in row[..used].iter().enumerate() {
                panel[k * PANEL + out % PANEL] = weight;
            }
        }
        let mut bias = tensors.bias.clone();
        bias.resize(padded_outputs, 0.0);
        Self { inputs: used, panels, bias, activation: layer.activation }
    }

    pub fn padded_outputs(&self) -> usize {
        self.bias.len()
    }

    pub fn bytes(&self) -> usize {
        size_of_val(&self.panels[..]) + size_of_val(&self.bias[..])
    }
}

/// `width` rounded up to whole panels.
pub fn padded(width: usize) -> usize {
    width.next_multiple_of(PANEL)
}

/// `values` in 32 bits, zeros appended up to whole panels.
pub fn to_padded(values: &[f64]) -> Vec<f32> {
    let mut out: Vec<f32> = values.iter().map(|&v| v as f32).collect();
    out.resize(padded(values.len()), 0.0);
    out
}

/// Values at the job's positions, `[positions, outputs]`.
#[inline(always)]
pub fn evaluate<L: Lanes>(job: &Job<'_>, scratch: &mut Scratch, values: &mut [f64]) {
    let spec = job.model.spec();
    let rows = job.positions.len();
    let (mut from, mut to) = (&mut scratch.front, &mut scratch.back);
    let mut width = job.binding.inputs32.len();
    gather::<L>(job, &mut from[..rows * width]);
    apply(spec.input.activation, &mut from[..rows * width]);
    for (n, layer) in job.layers.iter().enumerate() {
        let bias = if n == 0 { &job.binding.bias32 } else { &layer.bias };
        let next = layer.padded_outputs();
        product::<L>(layer, bias, &from[..rows * width], width, &mut to[..rows * next]);
        apply(layer.activation, &mut to[..rows * next]);
        std::mem::swap(&mut from, &mut to);
        width = next;
    }
    let outputs = spec.outputs();
    for (row, values) in from.chunks_exact(width).zip(values.chunks_exact_mut(outputs)) {
        for (value, &x) in values.iter_mut().zip(row) {
            *value = f64::from(x);
        }
    }
}

/// Input vectors of all points: what the parameters give plus what each grid adds.
#[inline(always)]
fn gather<L: Lanes>(job: &Job<'_>, inputs: &mut [f32]) {
    let start = &job.binding.inputs32;
    for row in inputs.chunks_exact_mut(start.len()) {
        row.copy_from_slice(start);
    }
    for (n, grid) in job.model.spec().grids.iter().enumerate() {
        let data = job.model.grid(n);
        for (position, row) in job.positions.iter().zip(inputs.chunks_exact_mut(start.len())) {
            let corners = Corners::new(grid, position, job.padding);
            let features = &mut row[grid.offset..grid.offset + grid.channels];
            add_features::<L>(grid, data, &corners, features);
        }
    }
}

#[inline(always)]
fn add_features<L: Lanes>(grid: &Grid, data: GridData<'_>, corners: &Corners, sums: &mut [f32]) {
    match data.values {
        GridValues::F32(values) => {
            let rows = corner_rows(values, data.row, grid.channels, corners);
            interpolate::<L, f32>(&rows, corners, sums, L::load, |x| x);
        }
        GridValues::F16(values) => {
            let rows = corner_rows(values, data.row, grid.channels, corners);
            interpolate::<L, half::f16>(&rows, corners, sums, L::load_f16, half::f16::to_f32);
        }
        GridValues::I8(values, scaling) => {
            let rows = corner_rows(values, data.row, grid.channels, corners);
            for (f, sum) in sums.iter_mut().enumerate() {
                for (row, &weight) in rows.iter().zip(&corners.weights).take(corners.count) {
                    let feature = scaling.zero[f] + scaling.scale[f] * f32::from(row[f]);
                    *sum += weight as f32 * feature;
                }
            }
        }
    }
}

#[inline(always)]
fn corner_rows<'a, T>(
    values: &'a [T],
    row: usize,
    channels: usize,
    corners: &Corners,
) -> [&'a [T]; 8] {
    std::array::from_fn(|c| &values[corners.vertices[c] * row..][..channels])
}

/// Adds the weighted corners to `sums`, [`LANES`] channels at a time.
#[inline(always)]
fn interpolate<L: Lanes, T: Copy>(
    rows: &[&[T]; 8],
    corners: &Corners,
    sums: &mut [f32],
    load: impl Fn(&[T; LANES]) -> L,
    to_f32: impl Fn(T) -> f32,
) {
    let weights: [L; 8] = std::array::from_fn(|c| L::splat(corners.weights[c] as f32));
    let (chunks, tail) = sums.as_chunks_mut::<LANES>();
    let whole = chunks.len() * LANES;
    for (i, chunk) in chunks.iter_mut().enumerate() {
        let mut sum = L::load(chunk);
        for c in 0..corners.count {
            if let Some(features) = rows[c][i * LANES..].first_chunk() {
                sum = load(features).mul_add(weights[c], sum);
            }
        }
        sum.store(chunk);
    }
    for (i, sum) in tail.iter_mut().enumerate() {
        for (row, &weight) in rows.iter().zip(&corners.weights).take(corners.count) {
            *sum += to_f32(row[whole + i]) * weight as f32;
        }
    }
}

/// `y = x W^T + bias` for rows of `x` that are `width` apart.
#[inline(always)]
fn product<L: Lanes>(layer: &PackedLayer, bias: &[f32], x: &[f32], width: usize, y: &mut [f32]) {
    let stride = layer.padded_outputs();
    let size = layer.inputs * PANEL;
    for (p, bias) in bias.as_chunks::<PANEL>().0.iter().enumerate() {
        let panel = layer.panels[p * size..][..size].as_chunks::<PANEL>().0;
        let blocks = x.chunks(ROWS * width).zip(y.chunks_mut(ROWS * stride));
        for (x, y) in blocks {
            if x.len() == ROWS * width {
                block::<L, ROWS>(panel, bias, x, width, &mut y[p * PANEL..], stride);
            } else {
                for (x, y) in x.chunks(width).zip(y.chunks_mut(stride)) {
                    block::<L, 1>(panel, bias, x, width, &mut y[p * PANEL..], stride);
                }
            }
        }
    }
}

/// One panel of outputs for `N` points; the sums stay in registers.
#[inline(always)]
fn block<L: Lanes, const N: usize>(
    panel: &[[f32; PANEL]],
    bias: &[f32; PANEL],
    x: &[f32],
    width: usize,
    y: &mut [f32],
    stride: usize,
) {
    let rows: [&[f32]; N] = std::array::from_fn(|r| &x[r * width..][..panel.len()]);
    let halves = |weights: &[f32; PANEL]| -> [L; 2] {
        let (lanes, _) = weights.as_chunks::<LANES>();
        [L::load(&lanes[0]), L::load(&lanes[1])]
    };
    let mut sums = [halves(bias); N];
    for (k, weights) in panel.iter().enumerate() {
        let [low, high] = halves(weights);
        for (sum, row) in sums.iter_mut().zip(&rows) {
            let x = L::splat(row[k]);
            *sum = [x.mul_add(low, sum[0]), x.mul_add(high, sum[1])];
        }
    }
    for (r, sum) in sums.into_iter().enumerate() {
        let (lanes, _) = y[r * stride..][..PANEL].as_chunks_mut::<LANES>();
        sum[0].store(&mut lanes[0]);
        sum[1].store(&mut lanes[1]);
    }
}
