//! Derivatives in 64 bits, one point at a time: the yardstick of the kernels, itself compared
//! with finite differences.

use super::activation::derivative64;
use super::parameters::Direction;
use super::{Backward, Forward, Pass};
use crate::cpu::Padding;
use crate::cpu::activation::apply64;
use crate::cpu::corners::Corners;
use crate::cpu::reference::{evaluate_point, feature};
use crate::model::Model;
use crate::model::spec::{Grid, LayerPrecision};

/// What is remembered of a point.
pub struct Point {
    position: [f64; 3],
    padding: Padding,
    /// How each result of the input's activation and of each layer's changes with what went in.
    levels: Vec<Vec<f64>>,
}

/// Runs a pass.
pub fn run(pass: Pass<'_, '_>) {
    match pass {
        Pass::Forward(pass) => forward(pass),
        Pass::Backward(pass) => backward(pass),
    }
}

fn forward(pass: Forward<'_>) {
    let Forward { model, binding, positions, padding, scratch, tape, values, .. } = pass;
    let spec = model.spec();
    let activations = spec.layers.iter().map(|layer| layer.activation);
    let activations: Vec<_> = [spec.input.activation].into_iter().chain(activations).collect();
    tape.reference.clear();
    let points = scratch.staged[0].reference.iter().zip(values.chunks_exact_mut(spec.outputs()));
    for (i, (&point, values)) in points.enumerate() {
        let mut levels = Vec::with_capacity(activations.len());
        let start = (&binding.inputs[..], &binding.bias[..]);
        evaluate_point(model, start, point, values, |sums| {
            let n = levels.len();
            let precision = spec.layers.get(n).map_or(LayerPrecision::F32, |next| next.precision);
            let slope = |&sum| {
                let is_held = is_beyond(precision, apply64(activations[n], sum));
                if is_held { 0.0 } else { derivative64(activations[n], sum) }
            };
            levels.push(sums.iter().map(slope).collect());
        });
        let position = positions.axes.map(|x| x[i]);
        tape.reference.push(Point { position, padding, levels });
    }
}

/// Whether a layer takes all inputs near `x` for the same.
fn is_beyond(precision: LayerPrecision, x: f64) -> bool {
    match precision {
        LayerPrecision::I8 { low, step } => !(low..=low + 255.0 * step).contains(&x),
        LayerPrecision::F32 | LayerPrecision::Bf16 => false,
    }
}

fn backward(pass: Backward<'_, '_>) {
    let Backward { model, parameters, output, tape, derivatives, .. } = pass;
    let dims = model.spec().axes.len();
    for (i, point) in tape.reference.iter().enumerate() {
        let (hidden, inputs) = gradients(model, output, &point.levels);
        if let Some(sums) = &mut derivatives.parameters {
            let sums = &mut sums[i * parameters.count..][..parameters.count];
            add_directions(&parameters.bias, &hidden, sums);
            add_directions(&parameters.inputs, &inputs, sums);
        }
        if let Some(sums) = &mut derivatives.position {
            add_slopes(model, point, &inputs, &mut sums[i * dims..][..dims]);
        }
    }
}

/// How `output` changes with the sums of the first layer (nothing without layers) and with the
/// input vector before its activation.
fn gradients(model: &Model, output: usize, levels: &[Vec<f64>]) -> (Vec<f64>, Vec<f64>) {
    let mut hidden = Vec::new();
    let mut gradient = vec![0.0; levels[levels.len() - 1].len()];
    gradient[output] = levels[levels.len() - 1][output];
    for (tensors, slopes) in model.layers().iter().zip(levels).rev() {
        let mut before = vec![0.0; slopes.len()];
        for (row, change) in tensors.rows64().zip(&gradient) {
            before.iter_mut().zip(row).for_each(|(sum, weight)| *sum += weight * change);
        }
        before.iter_mut().zip(slopes).for_each(|(sum, slope)| *sum *= slope);
        hidden = std::mem::replace(&mut gradient, before);
    }
    (hidden, gradient)
}

fn add_directions(directions: &[Direction], gradient: &[f64], sums: &mut [f64]) {
    for Direction { parameter, offset, slopes, .. } in directions {
        sums[*parameter] +=
            slopes.iter().zip(&gradient[*offset..]).map(|(a, b)| a * b).sum::<f64>();
    }
}

fn add_slopes(model: &Model, point: &Point, gradient: &[f64], sums: &mut [f64]) {
    for (n, grid) in model.spec().grids.iter().enumerate() {
        let Grid { offset, channels, .. } = *grid;
        let data = model.grid(n);
        for (k, &axis) in grid.axes.iter().enumerate() {
            let corners = Corners::slope(grid, &point.position, point.padding, k);
            for c in 0..corners.count {
                let start = corners.vertices[c] * data.row;
                let gradient = gradient[offset..offset + channels].iter().enumerate();
                let dot: f64 = gradient.map(|(f, g)| g * feature(&data, start, f)).sum();
                sums[axis] += corners.weights[c] * dot;
            }
        }
    }
}
