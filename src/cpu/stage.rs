//! Before a tile is evaluated: between which vertices its points lie, with which weights, and
//! which cache lines that will need.
//!
//! Interpolation is multilinear with vertices at the ends (`align_corners = true`): vertex i of n
//! stands at -1 + 2 i / (n - 1). All loops run over the points of a tile, so that the compiler
//! makes vectors of them.

// The loops index several arrays alike.
#![allow(clippy::needless_range_loop)]

use super::{Padding, Positions, TILE};
use crate::model::spec::Grid;
use crate::model::{GridValues, Model};

/// Bytes of a cache line.
const LINE: usize = 64;

/// What is to be staged.
pub struct Job<'a> {
    pub model: &'a Model,
    pub positions: &'a Positions,
    pub padding: Padding,
}

/// A tile ready to be evaluated.
pub struct Staged {
    /// Number of points.
    pub len: usize,
    /// Per grid of the model.
    pub grids: Vec<Corners>,
    /// Cache lines of vertices.
    pub lines: Vec<*const u8>,
    /// What the reference kernel takes instead.
    pub reference: Vec<([f64; 3], Padding)>,
}

// SAFETY: the addresses are only ever prefetched, never read through.
unsafe impl Send for Staged {}

/// The corners of the cells around the points of a tile, in one grid.
pub struct Corners {
    /// 2 to the number of axes.
    pub count: usize,
    /// Number of the first value of each corner's row.
    pub starts: [[usize; TILE]; 8],
    pub weights: [[f32; TILE]; 8],
}

/// The two vertices of each point on one axis, and their weights.
struct Bracket {
    vertices: [[u32; TILE]; 2],
    weights: [[f32; TILE]; 2],
}

impl Staged {
    /// Room for a model's grids.
    pub fn new(model: &Model) -> Self {
        let corners = || Corners { count: 0, starts: [[0; TILE]; 8], weights: [[0.0; TILE]; 8] };
        let grids = model.spec().grids.iter().map(|_| corners()).collect();
        Self { len: 0, grids, lines: Vec::new(), reference: Vec::new() }
    }

    /// Forgets the tile.
    pub fn clear(&mut self) {
        self.lines.clear();
        self.len = 0;
    }
}

/// Fills `staged` for the job's positions.
#[inline(always)]
pub fn stage(job: &Job<'_>, staged: &mut Staged) {
    let len = job.positions.len;
    staged.len = len;
    staged.lines.clear();
    for (n, (grid, corners)) in job.model.spec().grids.iter().zip(&mut staged.grids).enumerate() {
        let data = job.model.grid(n);
        corners.fill(grid, data.row, job.positions, job.padding);
        let (base, size) = match data.values {
            GridValues::F32(values) => (values.as_ptr().cast::<u8>(), 4),
            GridValues::F16(values) => (values.as_ptr().cast(), 2),
            GridValues::I8(values, _) => (values.as_ptr().cast(), 1),
        };
        let bytes = [data.row, grid.channels].map(|numbers| numbers * size);
        corners.list_lines(len, base, size, bytes, &mut staged.lines);
    }
}

impl Corners {
    #[inline(always)]
    fn fill(&mut self, grid: &Grid, row: usize, positions: &Positions, padding: Padding) {
        self.count = 1;
        self.starts[0] = [0; TILE];
        self.weights[0] = [1.0; TILE];
        // The last spatial dimension is the fastest and moves with the first axis.
        let mut stride = row;
        for (&axis, &size) in grid.axes.iter().zip(grid.shape.iter().rev()) {
            let bracket = match padding {
                Padding::Border => Bracket::border(&positions.axes[axis], size),
                Padding::Zeros => Bracket::zeros(&positions.axes[axis], size),
            };
            let (lower, upper) = self.starts.split_at_mut(self.count);
            for (lower, upper) in lower.iter_mut().zip(upper) {
                for i in 0..TILE {
                    upper[i] = lower[i] + bracket.vertices[1][i] as usize * stride;
                    lower[i] += bracket.vertices[0][i] as usize * stride;
                }
            }
            let (lower, upper) = self.weights.split_at_mut(self.count);
            for (lower, upper) in lower.iter_mut().zip(upper) {
                for i in 0..TILE {
                    upper[i] = lower[i] * bracket.weights[1][i];
                    lower[i] *= bracket.weights[0][i];
                }
            }
            self.count *= 2;
            stride *= size;
        }
    }

    /// Appends the cache lines of all corners. Neighbours along the fastest dimension follow one
    /// another in memory, `row` bytes apart, of which `used` count.
    #[inline(always)]
    fn list_lines(
        &self,
        len: usize,
        base: *const u8,
        size: usize,
        [row, used]: [usize; 2],
        lines: &mut Vec<*const u8>,
    ) {
        let mut add = |start: usize, bytes: usize| {
            let start = base.wrapping_add(start);
            let within = start.addr() % LINE;
            let first = start.wrapping_sub(within);
            let count = (within + bytes).div_ceil(LINE);
            lines.extend((0..count).map(|n| first.wrapping_add(n * LINE)));
        };
        for i in 0..len {
            for pair in self.starts[..self.count].chunks_exact(2) {
                let (lower, upper) = (pair[0][i] * size, pair[1][i] * size);
                if upper == lower + row {
                    add(lower, row + used);
                } else {
                    add(lower, used);
                    add(upper, used);
                }
            }
        }
    }
}

impl Bracket {
    /// Positions beyond the ends count as the ends.
    #[inline(always)]
    fn border(x: &[f64; TILE], size: usize) -> Self {
        // One vertex is constant, even at infinity: `min` and `max` take the number, not the NaN
        // of 0 times infinity.
        let last = (size - 1) as f64;
        let mut bracket = Self { vertices: [[0; TILE]; 2], weights: [[0.0; TILE]; 2] };
        for i in 0..TILE {
            let p = ((x[i] + 1.0) * 0.5 * last).max(0.0).min(last);
            // At most 2^31 - 2: see the limits of the file format.
            let lower = p as i32;
            let fraction = (p - f64::from(lower)) as f32;
            bracket.vertices[0][i] = lower as u32;
            bracket.vertices[1][i] = (lower as u32 + 1).min(size as u32 - 1);
            bracket.weights[0][i] = 1.0 - fraction;
            bracket.weights[1][i] = fraction;
        }
        bracket
    }

    /// Vertices beyond the ends weigh nothing.
    #[inline(always)]
    fn zeros(x: &[f64; TILE], size: usize) -> Self {
        if size == 1 {
            return Self::border(x, size);
        }
        let last = (size - 1) as f64;
        let mut bracket = Self { vertices: [[0; TILE]; 2], weights: [[0.0; TILE]; 2] };
        for i in 0..TILE {
            // Beyond one cell outside, both vertices are.
            let p = ((x[i] + 1.0) * 0.5 * last).max(-1.0).min(last + 1.0);
            let floor = p.floor();
            let fraction = (p - floor) as f32;
            for (k, weight) in [(0, 1.0 - fraction), (1, fraction)] {
                let vertex = floor + k as f64;
                let inside = vertex >= 0.0 && vertex <= last;
                bracket.vertices[k][i] = if inside { vertex as u32 } else { 0 };
                bracket.weights[k][i] = if inside { weight } else { 0.0 };
            }
        }
        bracket
    }
}
