//! What changes with the simulation parameters alone: slopes of the lines and of products of
//! parameters, and what they become in the first layer's bias. Computed in 64 bits, once per set of
//! parameters.

use crate::cpu::Padding;
use crate::cpu::corners::{Corners, Place};
use crate::cpu::lanes::LANES;
use crate::cpu::packed::to_vectors;
use crate::cpu::reference::{conditional_inputs, interpolated, is_spatial};
use crate::model::Model;
use crate::model::spec::Line;

use super::activation::derivative64;

/// How a part of a vector changes with one parameter, normalised to [0, 1].
pub struct Direction {
    /// Index of the parameter.
    pub parameter: usize,
    /// Where in the vector the part begins.
    pub offset: usize,
    /// Change of each element of the part.
    pub slopes: Vec<f64>,
    /// The same in 32 bits, padded with zeros.
    pub slopes32: Vec<[f32; LANES]>,
}

/// Derivatives with respect to the parameters, as far as they are the same for all points.
pub struct ParameterSlopes {
    /// Number of parameters.
    pub count: usize,
    /// Normalised to [0, 1]; those that are clamped are outside.
    pub at: Vec<f64>,
    /// Of the input vector before its activation, where it differs from point to point.
    pub inputs: Vec<Direction>,
    /// Of the first layer's bias.
    pub bias: Vec<Direction>,
}

impl Direction {
    fn new(parameter: usize, offset: usize, slopes: Vec<f64>) -> Self {
        let short: Vec<f32> = slopes.iter().map(|&slope| slope as f32).collect();
        Self { parameter, offset, slopes32: to_vectors(&short), slopes }
    }
}

impl ParameterSlopes {
    /// At `parameters`, normalised to [0, 1]. Nothing changes with those outside.
    pub fn new(model: &Model, parameters: &[f64]) -> Self {
        let spec = model.spec();
        let spatial = spec.spatial_width();
        let mut inputs = Vec::new();
        // Per parameter, of the inputs that no grid reaches.
        let mut conditional = vec![Vec::new(); parameters.len()];
        let mut add = |parameter: usize, offset: usize, slopes: &[f64]| {
            let before = spatial.saturating_sub(offset).min(slopes.len());
            if before > 0 {
                inputs.push(Direction::new(parameter, offset, slopes[..before].to_vec()));
            }
            if before < slopes.len() {
                let sums: &mut Vec<f64> = &mut conditional[parameter];
                sums.resize(spec.input.width - spatial, 0.0);
                let sums = &mut sums[offset + before - spatial..];
                sums.iter_mut().zip(&slopes[before..]).for_each(|(sum, slope)| *sum += slope);
            }
        };
        for (n, line) in spec.lines.iter().enumerate() {
            if let Some(slopes) = line_slopes(line, model.line(n), parameters[line.parameter]) {
                add(line.parameter, line.offset, &slopes);
            }
        }
        for term in model.terms().iter().filter(|term| !is_spatial(spec, term)) {
            for (parameter, slopes) in term_slopes(model, term, parameters) {
                add(parameter, spec.grids[term[0]].offset, &slopes);
            }
        }
        let bias = bias_slopes(model, parameters, conditional);
        Self { count: parameters.len(), at: parameters.to_vec(), inputs, bias }
    }
}

/// How a product of grids along parameters alone changes with each dimension of each grid: the
/// parameter, and the slope of each feature.
fn term_slopes(model: &Model, term: &[usize], parameters: &[f64]) -> Vec<(usize, Vec<f64>)> {
    let spec = model.spec();
    let axes = spec.axes.len();
    let place = Place { axes, position: [0.0; 3], padding: Padding::Border, parameters };
    let others = other_factors(model, term, &place);
    let mut all = Vec::new();
    for (&n, others) in term.iter().zip(&others) {
        for (k, &axis) in spec.grids[n].axes.iter().enumerate() {
            let mut slopes = interpolated(model, n, &Corners::slope(&spec.grids[n], &place, k));
            slopes.iter_mut().zip(others).for_each(|(slope, others)| *slope *= others);
            all.push((axis - axes, slopes));
        }
    }
    all
}

/// For each of some grids, the product of the features of all others.
pub fn other_factors(model: &Model, term: &[usize], place: &Place<'_>) -> Vec<Vec<f64>> {
    let grids = &model.spec().grids;
    let features = |&n: &usize| interpolated(model, n, &Corners::new(&grids[n], place));
    let factors: Vec<_> = term.iter().map(features).collect();
    (0..term.len())
        .map(|own| {
            let mut product = vec![1.0; grids[term[0]].channels];
            for (_, factor) in factors.iter().enumerate().filter(|&(n, _)| n != own) {
                product.iter_mut().zip(factor).for_each(|(product, x)| *product *= x);
            }
            product
        })
        .collect()
}

/// Slopes of a line's features within the cell around `t`: on a vertex the cell above, on the last
/// one the cell below. None if nothing changes.
fn line_slopes(line: &Line, values: &[f32], t: f64) -> Option<Vec<f64>> {
    if line.vertices == 1 || !(0.0..=1.0).contains(&t) {
        return None;
    }
    let cells = line.vertices - 1;
    let lower = ((t * cells as f64) as usize).min(cells - 1);
    let (a, b) = values[lower * line.features..].split_at(line.features);
    let slope = |(&a, &b)| (f64::from(b) - f64::from(a)) * cells as f64;
    Some(a.iter().zip(b).map(slope).collect())
}

/// What changes of inputs that no grid reaches become in the first layer.
fn bias_slopes(model: &Model, parameters: &[f64], conditional: Vec<Vec<f64>>) -> Vec<Direction> {
    let spec = model.spec();
    let Some(tensors) = model.layers().first() else { return Vec::new() };
    if conditional.iter().all(Vec::is_empty) {
        return Vec::new();
    }
    let spatial = spec.spatial_width();
    let inputs = conditional_inputs(model, parameters);
    let activation = spec.input.activation;
    let factors = inputs[spatial..].iter().map(|&x| derivative64(activation, x));
    let factors: Vec<f64> = factors.collect();
    let rows: Vec<Vec<f64>> = tensors.rows64().map(|row| row[spatial..].to_vec()).collect();
    let with_slopes = conditional.into_iter().enumerate().filter(|(_, slopes)| !slopes.is_empty());
    with_slopes
        .map(|(parameter, slopes)| {
            let changes = slopes.iter().zip(&factors).map(|(slope, factor)| slope * factor);
            let changes: Vec<f64> = changes.collect();
            let dot = |row: &Vec<f64>| row.iter().zip(&changes).map(|(w, x)| w * x).sum();
            Direction::new(parameter, 0, rows.iter().map(dot).collect())
        })
        .collect()
}
