//! What parameters make of the grids that depend on them: smaller grids over the coordinates
//! alone, and rows. In 64 bits, once per set of parameters.

use super::{Kind, Products};
use crate::cpu::Padding;
use crate::cpu::corners::{Corners, Place};
use crate::cpu::lanes::LANES;
use crate::cpu::packed::to_vectors;
use crate::cpu::reference::interpolated;
use crate::model::spec::Grid;
use crate::model::{GridData, GridValues, Model, Scaling};

/// The grids and rows of one set of parameters.
#[derive(Default)]
pub struct Bound {
    /// Per grid of the model; empty unless it is bound.
    grids: Vec<Vec<f32>>,
    /// Per term: the product of the constant factors, empty if there are none.
    pub constants: Vec<Vec<[f32; LANES]>>,
}

impl Bound {
    /// Bound grid `n`, of rows of so many numbers.
    #[inline(always)]
    pub fn grid(&self, n: usize, row: usize) -> GridData<'_> {
        GridData { row, values: GridValues::F32(&self.grids[n]) }
    }
}

impl Products {
    /// For `parameters`, normalised; those outside of 0 to 1 count as the ends.
    pub fn bind(&self, model: &Model, parameters: &[f64]) -> Bound {
        let (axes, padding) = (self.axes, Padding::Border);
        let place = Place { axes, position: [0.0; 3], padding, parameters };
        let grids = (self.kinds.iter().enumerate())
            .map(|(n, &kind)| match kind {
                Kind::Bound { row } => bound_grid(model, n, row, &place),
                Kind::Fixed | Kind::Free | Kind::Constant | Kind::Conditional => Vec::new(),
            })
            .collect();
        let constants = (self.terms.iter())
            .map(|term| {
                if term.constant.is_empty() {
                    return Vec::new();
                }
                let mut product = vec![1.0; term.channels];
                for &n in &term.constant {
                    let corners = Corners::new(&model.spec().grids[n], &place);
                    let factor = interpolated(model, n, &corners);
                    product.iter_mut().zip(factor).for_each(|(product, x)| *product *= x);
                }
                to_vectors(&product.iter().map(|&x| x as f32).collect::<Vec<_>>())
            })
            .collect();
        Bound { grids, constants }
    }
}

/// One dimension of a grid along a coordinate.
struct Dimension {
    /// Its place among the grid's axes.
    k: usize,
    size: usize,
    /// Rows from one vertex to the next, unless the grid is hashed.
    stride: usize,
}

/// A grid interpolated over its parameters; the first of its other axes moves fastest.
fn bound_grid(model: &Model, n: usize, row: usize, place: &Place<'_>) -> Vec<f32> {
    let grid = &model.spec().grids[n];
    let mut coordinates = Vec::new();
    // A grid of the parameters alone, whose corners are those of the first vertex of all other
    // dimensions.
    let mut stride = 1usize;
    for (k, (&axis, &size)) in grid.axes.iter().zip(grid.shape.iter().rev()).enumerate() {
        if axis < place.axes {
            coordinates.push(Dimension { k, size, stride });
        }
        // Strides of hashed grids do not count.
        stride = stride.wrapping_mul(size);
    }
    let corners = Corners::new(grid, &at_first_vertex(place));
    let data = model.grid(n);
    let vertices: usize = coordinates.iter().map(|dimension| dimension.size).product();
    let mut bound = vec![0.0; vertices * row];
    let mut sums = vec![0.0; grid.channels];
    for (vertex, features) in bound.chunks_exact_mut(row).enumerate() {
        sums.fill(0.0);
        for c in 0..corners.count {
            // Corners beside others along coordinates weigh nothing.
            if corners.weights[c] != 0.0 {
                let start = moved(grid, &coordinates, corners.vertices[c], vertex) * data.row;
                add(&data, start, corners.weights[c], &mut sums);
            }
        }
        features.iter_mut().zip(&sums).for_each(|(feature, &sum)| *feature = sum as f32);
    }
    bound
}

/// The same parameters, at the first vertex of each axis.
fn at_first_vertex<'a>(place: &Place<'a>) -> Place<'a> {
    Place { position: [-1.0; 3], ..*place }
}

/// The row of a vertex that stands where `first` does along the parameters, and at number `vertex`
/// of the bound grid along the coordinates.
fn moved(grid: &Grid, coordinates: &[Dimension], first: usize, mut vertex: usize) -> usize {
    let mut row = first;
    for dimension in coordinates {
        let index = vertex % dimension.size;
        vertex /= dimension.size;
        match grid.entries {
            // Exclusive or and the rest by a power of two may change places.
            Some(entries) => row ^= Grid::hash(dimension.k, index as u32) as usize % entries,
            None => row += index * dimension.stride,
        }
    }
    row
}

/// Adds weighted features of the vertex whose row begins at `start`.
fn add(data: &GridData<'_>, start: usize, weight: f64, sums: &mut [f64]) {
    match data.values {
        GridValues::F32(values) => {
            let features = sums.iter_mut().zip(&values[start..]);
            features.for_each(|(sum, &x)| *sum += weight * f64::from(x));
        }
        GridValues::F16(values) => {
            let features = sums.iter_mut().zip(&values[start..]);
            features.for_each(|(sum, x)| *sum += weight * x.to_f64());
        }
        GridValues::I8(values, Scaling { scale, zero }) => {
            let features = sums.iter_mut().zip(&values[start..]).zip(scale.iter().zip(zero));
            features.for_each(|((sum, &q), (&scale, &zero))| {
                *sum += weight * (f64::from(zero) + f64::from(scale) * f64::from(q));
            });
        }
    }
}
