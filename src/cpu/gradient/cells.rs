//! Slopes of the interpolation: how fast the features of a grid change along each axis, and with
//! each parameter that indexes it, within the cell around a point.
//!
//! On a vertex that is the cell above, on the last vertex the cell below. Where nothing changes
//! (one vertex, outside with [`Padding::Border`]) slopes are zero.

// The loops index several arrays alike.
#![allow(clippy::needless_range_loop)]

use crate::cpu::lanes::{Feature, LANES, Lanes};
use crate::cpu::{Padding, TILE};
use crate::model::spec::Grid;
use crate::model::{GridData, GridValues, Scaling};

/// The cells around the points of a tile, in one grid.
pub struct Cells {
    /// Number of the first value of each corner's row; bit j of a corner's number says whether it
    /// is the upper one along the grid's dimension j.
    starts: [[usize; TILE]; 8],
    /// Where in its cell a point lies, from 0 to 1, per dimension of the grid.
    fractions: [[f32; TILE]; 3],
    /// Cells per unit of a normalised coordinate or parameter, or 0 where features do not change
    /// with it.
    scales: [[f64; TILE]; 3],
    /// What the features of each corner are multiplied by: 0 for vertices outside, else 1.
    inside: [[f32; TILE]; 8],
    /// Whether some vertex is outside.
    fades: bool,
}

/// Where the points of a tile are.
pub struct Places<'a> {
    /// Number of the model's axes: what indexes a grid from there on is a parameter.
    pub axes: usize,
    pub positions: &'a [[f64; TILE]; 3],
    /// Of all points; outside of 0 to 1, nothing changes with them.
    pub parameters: &'a [f64],
    pub len: usize,
    pub padding: Padding,
}

/// What is added up for one point.
pub struct Sums<'a> {
    /// By each coordinate, unless not wanted.
    pub position: Option<&'a mut [f64]>,
    /// By each parameter, unless not wanted.
    pub parameters: Option<&'a mut [f64]>,
}

/// The cell of a point along one dimension.
struct Cell {
    vertices: [usize; 2],
    inside: [f32; 2],
    fraction: f32,
    scale: f64,
}

impl Cell {
    #[inline(always)]
    fn new(places: &Places<'_>, i: usize, axis: usize, size: usize) -> Self {
        if size == 1 {
            return Self { vertices: [0; 2], inside: [1.0; 2], fraction: 0.0, scale: 0.0 };
        }
        let last = (size - 1) as f64;
        match axis.checked_sub(places.axes) {
            None => {
                let p = (places.positions[axis][i] + 1.0) * 0.5 * last;
                Self::at(p, 0.5 * last, size, places.padding)
            }
            Some(n) => Self::at(places.parameters[n] * last, last, size, Padding::Border),
        }
    }

    /// At `p` vertices from the first, `scale` to a unit.
    #[inline(always)]
    fn at(p: f64, scale: f64, size: usize, padding: Padding) -> Self {
        let last = (size - 1) as f64;
        if padding == Padding::Zeros && !(0.0..=last).contains(&p) {
            return Self::outside(p, scale, size);
        }
        let nearest = p.max(0.0).min(last);
        // At most 2^31 - 2: see the limits of the file format.
        let lower = (nearest as usize).min(size - 2);
        Self {
            vertices: [lower, lower + 1],
            inside: [1.0; 2],
            fraction: (nearest - lower as f64) as f32,
            scale: if nearest == p { scale } else { 0.0 },
        }
    }

    /// Between the border and a vertex beyond it, whose features are zero, or farther away.
    #[inline(always)]
    fn outside(p: f64, scale: f64, size: usize) -> Self {
        let last = (size - 1) as f64;
        if (-1.0..0.0).contains(&p) {
            let fraction = (p + 1.0) as f32;
            return Self { vertices: [0; 2], inside: [0.0, 1.0], fraction, scale };
        }
        if p > last && p < last + 1.0 {
            let fraction = (p - last) as f32;
            return Self { vertices: [size - 1; 2], inside: [1.0, 0.0], fraction, scale };
        }
        Self { vertices: [0; 2], inside: [0.0; 2], fraction: 0.0, scale: 0.0 }
    }
}

impl Cells {
    pub fn new() -> Self {
        Self {
            starts: [[0; TILE]; 8],
            fractions: [[0.0; TILE]; 3],
            scales: [[0.0; TILE]; 3],
            inside: [[1.0; TILE]; 8],
            fades: false,
        }
    }

    /// The cells of the points at `places` in `grid`, whose rows are `row` numbers apart.
    #[inline(always)]
    pub fn fill(&mut self, (grid, row): (&Grid, usize), places: &Places<'_>) {
        self.fades = false;
        for i in 0..places.len {
            let mut corners = 1;
            // The last spatial dimension is the fastest and moves with the first axis.
            let mut stride = row;
            (self.starts[0][i], self.inside[0][i]) = (0, 1.0);
            for (j, (&axis, &size)) in grid.axes.iter().zip(grid.shape.iter().rev()).enumerate() {
                let cell = Cell::new(places, i, axis, size);
                for c in 0..corners {
                    let (start, inside) = (self.starts[c][i], self.inside[c][i]);
                    let [lower, upper] = cell.vertices;
                    (self.starts[c][i], self.starts[corners + c][i]) = match grid.entries {
                        None => (start + lower * stride, start + upper * stride),
                        // Hashes until all dimensions are in.
                        Some(_) => (
                            start ^ Grid::hash(j, lower as u32) as usize,
                            start ^ Grid::hash(j, upper as u32) as usize,
                        ),
                    };
                    self.inside[corners + c][i] = inside * cell.inside[1];
                    self.inside[c][i] = inside * cell.inside[0];
                }
                self.fades |= cell.inside != [1.0; 2];
                (self.fractions[j][i], self.scales[j][i]) = (cell.fraction, cell.scale);
                corners *= 2;
                // Not of hashed grids, whose vertices may be more than can be counted.
                stride = if grid.entries.is_some() { row } else { stride * size };
            }
            if let Some(entries) = grid.entries {
                for starts in &mut self.starts[..corners] {
                    starts[i] = starts[i] % entries * row;
                }
            }
        }
    }

    /// Adds to `sums` how fast the dot product of `gradient` and the features of point `i` changes
    /// with each normalised coordinate and parameter. `gradient` belongs to the features from
    /// `first` on.
    #[inline(always)]
    pub fn add_slopes<L: Lanes>(
        &self,
        (grid, data, axes): (&Grid, GridData<'_>, usize),
        i: usize,
        first: usize,
        gradient: &[f32],
        sums: &mut Sums<'_>,
    ) {
        let dots = match data.values {
            GridValues::F32(values) => self.dots::<L, _>(grid, values, None, i, first, gradient),
            GridValues::F16(values) => self.dots::<L, _>(grid, values, None, i, first, gradient),
            GridValues::I8(values, scaling) => {
                self.dots::<L, _>(grid, values, Some(scaling), i, first, gradient)
            }
        };
        for (j, &axis) in grid.axes.iter().enumerate() {
            let sum = match axis.checked_sub(axes) {
                None => sums.position.as_mut().map(|sums| &mut sums[axis]),
                Some(n) => sums.parameters.as_mut().map(|sums| &mut sums[n]),
            };
            if let Some(sum) = sum {
                *sum += f64::from(dots[j].sum()) * self.scales[j][i];
            }
        }
    }

    #[inline(always)]
    fn dots<L: Lanes, T: Feature>(
        &self,
        grid: &Grid,
        values: &[T],
        scaling: Option<&Scaling>,
        i: usize,
        first: usize,
        gradient: &[f32],
    ) -> [L; 3] {
        match grid.axes.len() {
            1 => self.dots_of::<L, T, 2>(values, scaling, i, first, gradient),
            2 => self.dots_of::<L, T, 4>(values, scaling, i, first, gradient),
            _ => self.dots_of::<L, T, 8>(values, scaling, i, first, gradient),
        }
    }

    /// [`Cells::dots`] for `C` corners. No closures with vectors in here: they would be compiled
    /// without the kernel's instructions.
    #[inline(always)]
    fn dots_of<L: Lanes, T: Feature, const C: usize>(
        &self,
        values: &[T],
        scaling: Option<&Scaling>,
        i: usize,
        first: usize,
        gradient: &[f32],
    ) -> [L; 3] {
        let mut rows = [&values[..0]; C];
        for (row, starts) in rows.iter_mut().zip(&self.starts) {
            *row = &values[starts[i] + first..][..gradient.len()];
        }
        let mut fractions = [L::splat(0.0); 3];
        for (fraction, fractions) in fractions.iter_mut().zip(&self.fractions) {
            *fraction = L::splat(fractions[i]);
        }
        let mut sums = [L::splat(0.0); 3];
        for n in (0..gradient.len()).step_by(LANES) {
            let mut corners = [L::splat(0.0); C];
            for c in 0..C {
                let mut features = from::<L, T>(&rows[c][n..]);
                if let Some(Scaling { scale, zero }) = scaling {
                    let at = first + n..first + gradient.len();
                    let zero = from::<L, _>(&zero[at.clone()]);
                    features = features.mul_add(from::<L, _>(&scale[at]), zero);
                }
                if self.fades {
                    features = features.mul(L::splat(self.inside[c][i]));
                }
                corners[c] = features;
            }
            let slopes = slopes(&corners, &fractions);
            let gradient = from::<L, _>(&gradient[n..]);
            for (sum, slope) in sums.iter_mut().zip(slopes) {
                *sum = slope.mul_add(gradient, *sum);
            }
        }
        sums
    }
}

/// The first [`LANES`] numbers, or as many as there are and zeros behind.
#[inline(always)]
fn from<L: Lanes, T: Feature>(x: &[T]) -> L {
    match x.first_chunk() {
        Some(all) => T::load(all),
        None => T::load_some(x),
    }
}

/// Features within a cell, and how they change from its lower to its upper end along each axis.
#[derive(Clone, Copy)]
struct Local<L> {
    features: L,
    slopes: [L; 3],
}

/// Differences of neighbours first, then interpolation: what neighbours have in common cancels
/// before it is rounded.
#[inline(always)]
fn slopes<L: Lanes, const C: usize>(corners: &[L; C], fractions: &[L; 3]) -> [L; 3] {
    let mut all = [Local { features: L::splat(0.0), slopes: [L::splat(0.0); 3] }; 8];
    for c in 0..C {
        all[c].features = corners[c];
    }
    let [a, b, c, d, e, f, g, h] = all;
    let [x, y, z] = *fractions;
    let line = join(a, b, 0, x);
    if C == 2 {
        return line.slopes;
    }
    let plane = join(line, join(c, d, 0, x), 1, y);
    if C == 4 {
        return plane.slopes;
    }
    join(plane, join(join(e, f, 0, x), join(g, h, 0, x), 1, y), 2, z).slopes
}

/// The cell between two parts that lie beside each other on `axis`; the parts have slopes along
/// the axes before.
#[inline(always)]
fn join<L: Lanes>(lower: Local<L>, upper: Local<L>, axis: usize, fraction: L) -> Local<L> {
    let difference = upper.features.sub(lower.features);
    let mut slopes = [L::splat(0.0); 3];
    for j in 0..axis {
        let change = upper.slopes[j].sub(lower.slopes[j]);
        slopes[j] = change.mul_add(fraction, lower.slopes[j]);
    }
    slopes[axis] = difference;
    Local { features: difference.mul_add(fraction, lower.features), slopes }
}
