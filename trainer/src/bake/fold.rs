//! Exact folding: interpolation is linear and so is the first layer, so the layer can be applied
//! to vertices and lines once instead of to every point.
//!
//! `act(W [grid(x); lines(p)] + b)` becomes `act(grid'(x) + lines'(p) + b)` with `grid' = W_s grid`
//! and `lines' = W_c lines`: grids and lines are stored in the space of the layer's outputs, where
//! they add up.

use drr::model::spec::{Activation, Input};
use tch::Tensor;

use super::form::{Affine, Form};

/// Folding may make the grids larger by this factor, for the time that it saves.
const GROWTH: f64 = 1.5;

/// Corners of a cell per axis of a grid, and points' multiply-adds per channel and corner.
const CORNERS: f64 = 2.0;

/// Why a model cannot be folded, if so.
pub fn obstacle(form: &Form) -> Option<&'static str> {
    if form.spec.layers.is_empty() {
        return Some("the model has no layers");
    }
    if form.spec.input.activation != Activation::Identity {
        return Some("its first layer is folded already");
    }
    if form.spec.grids.iter().any(|grid| grid.product.is_some()) {
        return Some("the first layer is behind products of grids, which are not linear");
    }
    None
}

/// Whether folding makes a query cheaper and the grids not much larger.
///
/// A point costs a multiply-add per channel and corner of each grid, and one per spatial input and
/// output of the first layer; folding saves the latter and makes every grid as wide as the layer.
pub fn pays(form: &Form) -> bool {
    let Some(layer) = form.spec.layers.first() else { return false };
    let (mut gather, mut folded_gather, mut numbers, mut folded_numbers) = (0.0, 0.0, 0.0, 0.0);
    for grid in &form.spec.grids {
        let corners = CORNERS.powi(grid.axes.len() as i32);
        let vertices = grid.rows().unwrap_or(0) as f64;
        gather += corners * grid.channels as f64;
        folded_gather += corners * layer.outputs as f64;
        numbers += vertices * grid.channels as f64;
        folded_numbers += vertices * layer.outputs as f64;
    }
    let product = (form.spec.spatial_width() * layer.outputs) as f64;
    folded_gather <= gather + product && folded_numbers <= GROWTH * numbers
}

/// The same model with its first layer folded; it must have no [`obstacle`].
pub fn fold(form: &Form) -> Form {
    let mut folded = form.clone();
    let first = folded.layers.remove(0);
    let layer = folded.spec.layers.remove(0);
    let columns = |offset: usize, count: usize| first.weight.narrow(1, offset as i64, count as i64);
    for (map, grid) in folded.maps.iter_mut().zip(&mut folded.spec.grids) {
        let weight = columns(grid.offset, grid.channels);
        *map = Some(match map.take() {
            Some(map) => Affine { bias: weight.mv(&map.bias), weight: weight.matmul(&map.weight) },
            None => Affine { bias: Tensor::zeros_like(&first.bias), weight },
        });
        (grid.channels, grid.offset) = (layer.outputs, 0);
    }
    fold_lines(&mut folded, &first.weight, 0, layer.outputs);
    let start = match folded.input_bias.take() {
        Some(bias) => first.weight.mv(&bias),
        None => Tensor::zeros_like(&first.bias),
    };
    folded.input_bias = Some(start + first.bias);
    folded.spec.input = Input { width: layer.outputs, bias: true, activation: layer.activation };
    folded
}

/// Multiplies every line by its columns of `weight`, `[outputs, width]`; the results are added at
/// `offset`.
pub fn fold_lines(form: &mut Form, weight: &Tensor, offset: usize, outputs: usize) {
    for (line, features) in form.spec.lines.iter_mut().zip(&mut form.lines) {
        let columns = weight.narrow(1, line.offset as i64, line.features as i64);
        *features = features.matmul(&columns.transpose(0, 1));
        (line.features, line.offset) = (outputs, offset);
    }
}
