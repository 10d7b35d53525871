//! What changes with the simulation parameters: slopes of the lines, and what they become in the
//! first layer's bias. Computed in 64 bits, once per set of parameters.

use crate::cpu::lanes::LANES;
use crate::cpu::packed::to_vectors;
use crate::cpu::reference::conditional_inputs;
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
        for (n, line) in spec.lines.iter().enumerate() {
            let Some(slopes) = line_slopes(line, model.line(n), parameters[line.parameter]) else {
                continue;
            };
            let before = spatial.saturating_sub(line.offset).min(line.features);
            if before > 0 {
                let slopes = slopes[..before].to_vec();
                inputs.push(Direction::new(line.parameter, line.offset, slopes));
            }
            if before < line.features {
                let sums: &mut Vec<f64> = &mut conditional[line.parameter];
                sums.resize(spec.input.width - spatial, 0.0);
                let sums = &mut sums[line.offset + before - spatial..];
                sums.iter_mut().zip(&slopes[before..]).for_each(|(sum, slope)| *sum += slope);
            }
        }
        let bias = bias_slopes(model, parameters, conditional);
        Self { count: parameters.len(), inputs, bias }
    }
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
