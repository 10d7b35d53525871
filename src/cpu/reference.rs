//! The yardstick: a model evaluated in 64-bit floating point, one point at a time, as plainly as
//! it can be written. Also does what is computed once per sampler, where speed does not matter.

use super::activation::apply64;
use super::corners::{Corners, Place};
use super::stage::Staged;
use super::tile::{Job, Parameters};
use super::{Binding, Padding};
use half::bf16;

use crate::model::spec::{Grid, LayerPrecision, Spec};
use crate::model::{GridData, GridValues, Model, Scaling};

/// The input vector before any grid over the domain is added: bias plus lines and products of
/// parameters alone at `parameters`, `[input.width]`.
pub fn conditional_inputs(model: &Model, parameters: &[f64]) -> Vec<f64> {
    let spec = model.spec();
    let mut inputs = match model.input_bias() {
        Some(bias) => bias.iter().map(|&b| f64::from(b)).collect(),
        None => vec![0.0; spec.input.width],
    };
    for (n, line) in spec.lines.iter().enumerate() {
        let values = model.line(n);
        let s = parameters[line.parameter].clamp(0.0, 1.0) * (line.vertices - 1) as f64;
        let lower = s as usize;
        let upper = (lower + 1).min(line.vertices - 1);
        let fraction = s - lower as f64;
        for f in 0..line.features {
            let a = f64::from(values[lower * line.features + f]);
            let b = f64::from(values[upper * line.features + f]);
            inputs[line.offset + f] += a + fraction * (b - a);
        }
    }
    let place =
        Place { axes: spec.axes.len(), position: [0.0; 3], padding: Padding::Border, parameters };
    for term in model.terms().iter().filter(|term| !is_spatial(spec, term)) {
        add_term(model, term, &place, &mut inputs);
    }
    inputs
}

/// Whether the product of some grids differs from point to point.
pub fn is_spatial(spec: &Spec, term: &[usize]) -> bool {
    term.iter().any(|&n| spec.has_coordinates(&spec.grids[n]))
}

/// Bias of the first layer plus what the non-spatial inputs contribute to it; empty without
/// layers.
pub fn first_bias(model: &Model, inputs: &[f64]) -> Vec<f64> {
    let spec = model.spec();
    let Some(tensors) = model.layers().first() else { return Vec::new() };
    let spatial = spec.spatial_width();
    let mut conditional = inputs[spatial..].to_vec();
    conditional.iter_mut().for_each(|x| *x = apply64(spec.input.activation, *x));
    (tensors.bias.iter().enumerate())
        .map(|(output, &bias)| {
            let weights = (spatial..).map(|input| tensors.weight64(output, input));
            f64::from(bias) + dot(weights, &conditional)
        })
        .collect()
}

/// Values of a tile, `[rows, outputs]`.
pub fn evaluate(job: &Job<'_>, tile: &Staged, values: &mut [f64]) {
    let model = job.model;
    let mut rows = values.chunks_exact_mut(model.spec().outputs());
    let axes = model.spec().axes.len();
    let mut evaluate =
        |start: (&[f64], &[f64]), parameters: &[f64], point: &([f64; 3], Padding)| {
            if let Some(values) = rows.next() {
                let &(position, padding) = point;
                let place = Place { axes, position, padding, parameters };
                evaluate_point(model, start, &place, values, |_| {});
            }
        };
    let points = &tile.reference;
    match job.parameters {
        Parameters::Bound(Binding { inputs, bias, parameters, .. }) => {
            points.iter().for_each(|point| evaluate((inputs, bias), parameters, point));
        }
        Parameters::Sets(bindings) => {
            for Binding { inputs, bias, parameters, .. } in bindings {
                points.iter().for_each(|point| evaluate((inputs, bias), parameters, point));
            }
        }
        Parameters::Each(_) => {
            for (i, point) in points.iter().enumerate() {
                let parameters: Vec<f64> = tile.parameters.iter().map(|all| all[i]).collect();
                let inputs = conditional_inputs(model, &parameters);
                let bias = first_bias(model, &inputs);
                let start = (&inputs[..model.spec().spatial_width()], &bias[..]);
                evaluate(start, &parameters, point);
            }
        }
    }
}

/// Values at one point, for what a binding has of inputs and bias. `see` is shown what each
/// activation is applied to: the input vector, then the sums of each layer.
pub fn evaluate_point(
    model: &Model,
    (inputs, first_bias): (&[f64], &[f64]),
    place: &Place<'_>,
    values: &mut [f64],
    mut see: impl FnMut(&[f64]),
) {
    let spec = model.spec();
    let mut x = spatial_inputs(model, inputs, place);
    see(&x);
    x.iter_mut().for_each(|x| *x = apply64(spec.input.activation, *x));
    for (n, (layer, tensors)) in spec.layers.iter().zip(model.layers()).enumerate() {
        x.iter_mut().for_each(|x| *x = round64(layer.precision, *x));
        x = (tensors.rows64().enumerate())
            .map(|(out, row)| {
                let bias = if n == 0 { first_bias[out] } else { f64::from(tensors.bias[out]) };
                bias + dot(row.into_iter(), &x)
            })
            .collect();
        see(&x);
        x.iter_mut().for_each(|x| *x = apply64(layer.activation, *x));
    }
    values.copy_from_slice(&x);
}

/// The input vector before its activation.
fn spatial_inputs(model: &Model, start: &[f64], place: &Place<'_>) -> Vec<f64> {
    let mut inputs = start.to_vec();
    for term in model.terms().iter().filter(|term| is_spatial(model.spec(), term)) {
        add_term(model, term, place, &mut inputs);
    }
    inputs
}

/// Adds a grid's features, or the product of those of some grids.
fn add_term(model: &Model, term: &[usize], place: &Place<'_>, inputs: &mut [f64]) {
    let Grid { offset, channels, .. } = model.spec().grids[term[0]];
    let sums = &mut inputs[offset..][..channels];
    if let [n] = *term {
        return add_features(model, n, &Corners::new(&model.spec().grids[n], place), sums);
    }
    let mut product = vec![1.0; channels];
    for &n in term {
        let factor = interpolated(model, n, &Corners::new(&model.spec().grids[n], place));
        product.iter_mut().zip(factor).for_each(|(product, x)| *product *= x);
    }
    sums.iter_mut().zip(product).for_each(|(sum, x)| *sum += x);
}

/// Features of grid `n` between corners, `[channels]`.
pub fn interpolated(model: &Model, n: usize, corners: &Corners) -> Vec<f64> {
    let mut features = vec![0.0; model.spec().grids[n].channels];
    add_features(model, n, corners, &mut features);
    features
}

fn add_features(model: &Model, n: usize, corners: &Corners, sums: &mut [f64]) {
    let data = model.grid(n);
    for c in 0..corners.count {
        let start = corners.vertices[c] * data.row;
        for (f, sum) in sums.iter_mut().enumerate() {
            *sum += corners.weights[c] * feature(&data, start, f);
        }
    }
}

/// Feature `f` of the vertex whose row begins at `start`.
pub fn feature(data: &GridData<'_>, start: usize, f: usize) -> f64 {
    match data.values {
        GridValues::F32(values) => f64::from(values[start + f]),
        GridValues::F16(values) => values[start + f].to_f64(),
        GridValues::I8(values, Scaling { scale, zero }) => {
            f64::from(zero[f]) + f64::from(scale[f]) * f64::from(values[start + f])
        }
    }
}

/// What a layer takes an input for.
pub fn round64(precision: LayerPrecision, x: f64) -> f64 {
    match precision {
        LayerPrecision::F32 => x,
        LayerPrecision::Bf16 => bf16::from_f32(x as f32).to_f64(),
        LayerPrecision::I8 { low, step } => {
            low + step * ((x - low) / step).round_ties_even().clamp(0.0, 255.0)
        }
    }
}

/// Sum of products; weights beyond `x` do not count.
fn dot(weights: impl Iterator<Item = f64>, x: &[f64]) -> f64 {
    x.iter().zip(weights).map(|(x, w)| w * x).sum()
}
