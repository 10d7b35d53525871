//! Derivatives in 64 bits, one point at a time: the yardstick of the kernels, itself compared
//! with finite differences.

use super::activation::derivative64;
use super::parameters::{Direction, other_factors};
use super::{Backward, Derivatives, Forward, Pass};
use crate::cpu::Padding;
use crate::cpu::activation::apply64;
use crate::cpu::corners::{Corners, Place};
use crate::cpu::reference::{evaluate_point, feature, is_spatial};
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
    let Forward { model, binding, positions, scratch, tape, values, .. } = pass;
    let spec = model.spec();
    let activations = spec.layers.iter().map(|layer| layer.activation);
    let activations: Vec<_> = [spec.input.activation].into_iter().chain(activations).collect();
    tape.reference.clear();
    let points = scratch.staged[0].reference.iter().zip(values.chunks_exact_mut(spec.outputs()));
    let axes = spec.axes.len();
    for (i, (&(position, padding), values)) in points.enumerate() {
        let mut levels = Vec::with_capacity(activations.len());
        let start = (&binding.inputs[..], &binding.bias[..]);
        let place = Place { axes, position, padding, parameters: &binding.parameters };
        evaluate_point(model, start, &place, values, |sums| {
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
    let axes = model.spec().axes.len();
    for (i, point) in tape.reference.iter().enumerate() {
        let (hidden, inputs) = gradients(model, output, &point.levels);
        if let Some(sums) = &mut derivatives.parameters {
            let sums = &mut sums[i * parameters.count..][..parameters.count];
            add_directions(&parameters.bias, &hidden, sums);
            add_directions(&parameters.inputs, &inputs, sums);
        }
        let &Point { position, padding, .. } = point;
        let place = Place { axes, position, padding, parameters: &parameters.at };
        add_slopes(model, &place, &inputs, i, derivatives);
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

/// What grids change at point `i`: by the product rule, each factor of a term in turn.
fn add_slopes(
    model: &Model,
    place: &Place<'_>,
    gradient: &[f64],
    i: usize,
    derivatives: &mut Derivatives<'_>,
) {
    let spec = model.spec();
    let (axes, parameters) = (spec.axes.len(), spec.parameters.len());
    for term in model.terms().iter().filter(|term| is_spatial(spec, term)) {
        let Grid { offset, channels, .. } = spec.grids[term[0]];
        let gradient = &gradient[offset..offset + channels];
        for (&n, others) in term.iter().zip(other_factors(model, term, place)) {
            let (grid, data) = (&spec.grids[n], model.grid(n));
            for (k, &axis) in grid.axes.iter().enumerate() {
                let sum = match axis.checked_sub(axes) {
                    None => derivatives.position.as_mut().map(|all| &mut all[i * axes + axis]),
                    Some(p) => {
                        derivatives.parameters.as_mut().map(|all| &mut all[i * parameters + p])
                    }
                };
                let Some(sum) = sum else { continue };
                let corners = Corners::slope(grid, place, k);
                for c in 0..corners.count {
                    let start = corners.vertices[c] * data.row;
                    let gradient = gradient.iter().zip(&others).enumerate();
                    let dot: f64 = gradient
                        .map(|(f, (g, others))| g * others * feature(&data, start, f))
                        .sum();
                    *sum += corners.weights[c] * dot;
                }
            }
        }
    }
}
