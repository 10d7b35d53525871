//! Between which two vertices along one dimension of a grid the points of a tile lie, and with which
//! weights. All loops run over the points of a tile, so that the compiler makes vectors of them.

// The loops index several arrays alike.
#![allow(clippy::needless_range_loop)]

use super::{Padding, TILE};

/// The two vertices of each of the first `N` points on one axis, and their weights.
pub struct Bracket<const N: usize> {
    pub vertices: [[u32; N]; 2],
    pub weights: [[f32; N]; 2],
}

impl<const N: usize> Bracket<N> {
    #[inline(always)]
    pub fn new(positions: &[[f64; TILE]; 3], padding: Padding, axis: usize, size: usize) -> Self {
        match padding {
            Padding::Border => Self::border(&positions[axis], size),
            Padding::Zeros => Self::zeros(&positions[axis], size),
        }
    }

    /// For parameters from 0 to 1.
    #[inline(always)]
    pub fn between(t: &[f64; TILE], size: usize) -> Self {
        let last = (size - 1) as f64;
        let mut bracket = Self { vertices: [[0; N]; 2], weights: [[0.0; N]; 2] };
        for i in 0..N {
            let p = (t[i] * last).max(0.0).min(last);
            let lower = p as i32;
            let fraction = (p - f64::from(lower)) as f32;
            bracket.vertices[0][i] = lower as u32;
            bracket.vertices[1][i] = (lower as u32 + 1).min(size as u32 - 1);
            bracket.weights[0][i] = 1.0 - fraction;
            bracket.weights[1][i] = fraction;
        }
        bracket
    }

    /// Positions beyond the ends count as the ends.
    #[inline(always)]
    fn border(x: &[f64; TILE], size: usize) -> Self {
        // One vertex is constant, even at infinity: `min` and `max` take the number, not the NaN
        // of 0 times infinity.
        let last = (size - 1) as f64;
        let mut bracket = Self { vertices: [[0; N]; 2], weights: [[0.0; N]; 2] };
        for i in 0..N {
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
        let mut bracket = Self { vertices: [[0; N]; 2], weights: [[0.0; N]; 2] };
        for i in 0..N {
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
