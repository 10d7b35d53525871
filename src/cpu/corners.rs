//! For the reference: which vertices a position lies between, and their weights. Multilinear
//! interpolation with vertices at the ends (`align_corners = true`): vertex i of n stands at -1 + 2 i / (n - 1).

use super::Padding;
use crate::model::spec::Grid;

/// The corners of the cell around one position.
pub struct Corners {
    /// Row-major vertex index of each corner.
    pub vertices: [usize; 8],
    /// Weight of each corner.
    pub weights: [f64; 8],
    /// How many corners there are: 2 to the number of axes.
    pub count: usize,
}

/// The two vertices on one axis and their weights.
struct Bracket {
    vertices: [usize; 2],
    weights: [f64; 2],
}

impl Corners {
    /// Corners of `position` in `grid`. Vertices are always inside the grid.
    #[inline]
    pub fn new(grid: &Grid, position: &[f64; 3], padding: Padding) -> Self {
        let brackets = (grid.axes.iter().zip(grid.shape.iter().rev()))
            .map(|(&axis, &size)| (Bracket::new(position[axis], size, padding), size));
        Self::of(brackets)
    }

    /// As [`Corners::new`], but with the weights by which features change along the grid's axis
    /// `k`, per unit of its coordinate.
    pub fn slope(grid: &Grid, position: &[f64; 3], padding: Padding, k: usize) -> Self {
        let brackets =
            grid.axes.iter().zip(grid.shape.iter().rev()).enumerate().map(|(j, (&axis, &size))| {
                let x = position[axis];
                let new = if j == k { Bracket::slope } else { Bracket::new };
                (new(x, size, padding), size)
            });
        Self::of(brackets)
    }

    /// From the bracket of each of a grid's axes, and the number of vertices there.
    fn of(brackets: impl Iterator<Item = (Bracket, usize)>) -> Self {
        let mut corners = Self { vertices: [0; 8], weights: [1.0; 8], count: 1 };
        // The last spatial dimension is the fastest and moves with the first axis.
        let mut stride = 1;
        for (bracket, size) in brackets {
            let lower = corners.count;
            for c in 0..lower {
                corners.vertices[lower + c] = corners.vertices[c] + bracket.vertices[1] * stride;
                corners.weights[lower + c] = corners.weights[c] * bracket.weights[1];
                corners.vertices[c] += bracket.vertices[0] * stride;
                corners.weights[c] *= bracket.weights[0];
            }
            corners.count = 2 * lower;
            stride *= size;
        }
        corners
    }
}

impl Bracket {
    #[inline]
    fn new(x: f64, size: usize, padding: Padding) -> Self {
        if size == 1 {
            // Constant along this axis, even at infinity, where `p` would be 0 times infinity.
            return Self { vertices: [0, 0], weights: [1.0, 0.0] };
        }
        let last = (size - 1) as f64;
        let p = (x + 1.0) * 0.5 * last;
        match padding {
            Padding::Border => {
                let p = p.clamp(0.0, last);
                let lower = p as usize;
                let fraction = p - lower as f64;
                let upper = (lower + 1).min(size - 1);
                Self { vertices: [lower, upper], weights: [1.0 - fraction, fraction] }
            }
            Padding::Zeros => {
                if !(p > -1.0 && p < last + 1.0) {
                    return Self { vertices: [0, 0], weights: [0.0, 0.0] };
                }
                let floor = p.floor();
                let fraction = p - floor;
                let inside = |at: f64, weight: f64| {
                    if (0.0..=last).contains(&at) { (at as usize, weight) } else { (0, 0.0) }
                };
                let (lower, w0) = inside(floor, 1.0 - fraction);
                let (upper, w1) = inside(floor + 1.0, fraction);
                Self { vertices: [lower, upper], weights: [w0, w1] }
            }
        }
    }

    /// Weights that give the slope of the cell instead: on a vertex that of the cell above, on the
    /// last vertex that of the cell below, and 0 where nothing changes.
    fn slope(x: f64, size: usize, padding: Padding) -> Self {
        let none = Self { vertices: [0, 0], weights: [0.0, 0.0] };
        if size == 1 {
            return none;
        }
        let last = (size - 1) as f64;
        let per_unit = 0.5 * last;
        let p = (x + 1.0) * per_unit;
        if (0.0..=last).contains(&p) {
            let lower = (p as usize).min(size - 2);
            return Self { vertices: [lower, lower + 1], weights: [-per_unit, per_unit] };
        }
        match padding {
            Padding::Border => none,
            // The first and the last vertex, beside one outside whose features are 0.
            Padding::Zeros if (-1.0..0.0).contains(&p) => Self { weights: [per_unit, 0.0], ..none },
            Padding::Zeros if p > last && p < last + 1.0 => {
                Self { vertices: [size - 1; 2], weights: [-per_unit, 0.0] }
            }
            Padding::Zeros => none,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid(shape: &[usize]) -> Grid {
        let axes = (0..shape.len()).collect();
        Grid { axes, shape: shape.to_vec(), channels: 1, offset: 0 }
    }

    fn sum(corners: &Corners) -> f64 {
        corners.weights[..corners.count].iter().sum()
    }

    #[test]
    fn the_first_axis_moves_along_the_last_dimension() {
        let corners = Corners::new(&grid(&[3, 4, 5]), &[1.0, -1.0, -1.0], Padding::Border);
        let heaviest = (0..8).max_by(|&a, &b| corners.weights[a].total_cmp(&corners.weights[b]));
        assert_eq!(corners.vertices[heaviest.unwrap()], 4);
    }

    #[test]
    fn weights_sum_to_one_inside_and_clamp_outside() {
        let g = grid(&[3, 4, 5]);
        for x in [-1.0, -0.3, 0.0, 0.999, 1.0, 7.0, f64::INFINITY, f64::NEG_INFINITY] {
            let corners = Corners::new(&g, &[x, -x, x], Padding::Border);
            assert!((sum(&corners) - 1.0).abs() < 1e-15, "{x}");
            assert!(corners.vertices.iter().all(|&v| v < 60));
        }
    }

    #[test]
    fn zero_padding_fades_within_one_cell() {
        let g = grid(&[4]);
        let at = |x| sum(&Corners::new(&g, &[x, 0.0, 0.0], Padding::Zeros));
        assert_eq!(at(1.0), 1.0);
        assert!((at(4.0 / 3.0) - 0.5).abs() < 1e-12);
        assert_eq!(at(5.0 / 3.0 + 1e-9), 0.0);
        assert_eq!(at(f64::INFINITY), 0.0);
        assert_eq!(at(f64::NEG_INFINITY), 0.0);
    }

    #[test]
    fn a_single_vertex_is_constant() {
        for x in [-1.0, 0.2, 7.0, f64::INFINITY] {
            for padding in [Padding::Border, Padding::Zeros] {
                let corners = Corners::new(&grid(&[1]), &[x, 0.0, 0.0], padding);
                assert_eq!((sum(&corners), corners.vertices[0], corners.vertices[1]), (1.0, 0, 0));
            }
        }
    }
}
