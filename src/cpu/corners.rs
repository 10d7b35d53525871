//! For the reference: which vertices a place lies between, and their weights. Multilinear
//! interpolation with vertices at the ends (`align_corners = true`): vertex i of n stands at
//! -1 + 2 i / (n - 1) on an axis, at i / (n - 1) on a parameter.

use super::Padding;
use crate::model::spec::Grid;

/// Where a model is evaluated, in normalised units.
pub struct Place<'a> {
    /// Number of the model's axes: what indexes a grid from there on is a parameter.
    pub axes: usize,
    /// From -1 to 1, or outside.
    pub position: [f64; 3],
    /// What grids give outside.
    pub padding: Padding,
    /// From 0 to 1; others count as the ends.
    pub parameters: &'a [f64],
}

/// The corners of the cell around one place.
pub struct Corners {
    /// Row of each corner's vertex in the grid's tensor.
    pub vertices: [usize; 8],
    /// Weight of each corner.
    pub weights: [f64; 8],
    /// How many corners there are: 2 to the number of dimensions.
    pub count: usize,
}

/// The two vertices along one dimension and their weights.
struct Bracket {
    vertices: [usize; 2],
    weights: [f64; 2],
}

impl Corners {
    /// Corners of `place` in `grid`. Vertices are always inside the grid.
    #[inline]
    pub fn new(grid: &Grid, place: &Place<'_>) -> Self {
        let brackets = (grid.axes.iter().zip(grid.shape.iter().rev()))
            .map(|(&axis, &size)| (Bracket::new(place, axis, size), size));
        Self::of(grid, brackets)
    }

    /// As [`Corners::new`], but with the weights by which features change along the grid's
    /// dimension `k`, per unit of its coordinate or parameter.
    pub fn slope(grid: &Grid, place: &Place<'_>, k: usize) -> Self {
        let brackets =
            grid.axes.iter().zip(grid.shape.iter().rev()).enumerate().map(|(j, (&axis, &size))| {
                let new = if j == k { Bracket::slope } else { Bracket::new };
                (new(place, axis, size), size)
            });
        Self::of(grid, brackets)
    }

    /// From the bracket along each of a grid's dimensions, and the number of vertices there.
    fn of(grid: &Grid, brackets: impl Iterator<Item = (Bracket, usize)>) -> Self {
        let mut corners = Self { vertices: [0; 8], weights: [1.0; 8], count: 1 };
        // The last dimension of the tensor is the fastest and moves with the first of `axes`.
        let mut stride = 1;
        for (k, (bracket, size)) in brackets.enumerate() {
            let lower = corners.count;
            for c in 0..lower {
                let step = |before: usize, vertex: usize| match grid.entries {
                    Some(_) => before ^ Grid::hash(k, vertex as u32) as usize,
                    None => before + vertex * stride,
                };
                let before = corners.vertices[c];
                corners.vertices[lower + c] = step(before, bracket.vertices[1]);
                corners.weights[lower + c] = corners.weights[c] * bracket.weights[1];
                corners.vertices[c] = step(before, bracket.vertices[0]);
                corners.weights[c] *= bracket.weights[0];
            }
            corners.count = 2 * lower;
            stride = if grid.entries.is_some() { 0 } else { stride * size };
        }
        if let Some(entries) = grid.entries {
            corners.vertices.iter_mut().for_each(|vertex| *vertex %= entries);
        }
        corners
    }
}

impl Bracket {
    #[inline]
    fn new(place: &Place<'_>, axis: usize, size: usize) -> Self {
        if size == 1 {
            // Constant along this dimension, even at infinity: `p` would be 0 times infinity.
            return Self { vertices: [0, 0], weights: [1.0, 0.0] };
        }
        let last = (size - 1) as f64;
        match axis.checked_sub(place.axes) {
            None => Self::at((place.position[axis] + 1.0) * 0.5 * last, size, place.padding),
            Some(n) => Self::at(place.parameters[n] * last, size, Padding::Border),
        }
    }

    /// At `p` vertices from the first.
    #[inline]
    fn at(p: f64, size: usize, padding: Padding) -> Self {
        let last = (size - 1) as f64;
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
    fn slope(place: &Place<'_>, axis: usize, size: usize) -> Self {
        let none = Self { vertices: [0, 0], weights: [0.0, 0.0] };
        if size == 1 {
            return none;
        }
        let last = (size - 1) as f64;
        let (p, per_unit, padding) = match axis.checked_sub(place.axes) {
            None => ((place.position[axis] + 1.0) * (0.5 * last), 0.5 * last, place.padding),
            Some(n) => (place.parameters[n] * last, last, Padding::Border),
        };
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
        Grid { axes, shape: shape.to_vec(), channels: 1, offset: 0, entries: None, product: None }
    }

    fn place(position: [f64; 3], padding: Padding) -> Place<'static> {
        Place { axes: 3, position, padding, parameters: &[] }
    }

    fn sum(corners: &Corners) -> f64 {
        corners.weights[..corners.count].iter().sum()
    }

    #[test]
    fn the_first_axis_moves_along_the_last_dimension() {
        let corners = Corners::new(&grid(&[3, 4, 5]), &place([1.0, -1.0, -1.0], Padding::Border));
        let heaviest = (0..8).max_by(|&a, &b| corners.weights[a].total_cmp(&corners.weights[b]));
        assert_eq!(corners.vertices[heaviest.unwrap()], 4);
    }

    #[test]
    fn weights_sum_to_one_inside_and_clamp_outside() {
        let g = grid(&[3, 4, 5]);
        for x in [-1.0, -0.3, 0.0, 0.999, 1.0, 7.0, f64::INFINITY, f64::NEG_INFINITY] {
            let corners = Corners::new(&g, &place([x, -x, x], Padding::Border));
            assert!((sum(&corners) - 1.0).abs() < 1e-15, "{x}");
            assert!(corners.vertices.iter().all(|&v| v < 60));
        }
    }

    #[test]
    fn zero_padding_fades_within_one_cell() {
        let g = grid(&[4]);
        let at = |x| sum(&Corners::new(&g, &place([x, 0.0, 0.0], Padding::Zeros)));
        assert_eq!(at(1.0), 1.0);
        assert!((at(4.0 / 3.0) - 0.5).abs() < 1e-12);
        assert_eq!(at(5.0 / 3.0 + 1e-9), 0.0);
        assert_eq!(at(f64::INFINITY), 0.0);
        assert_eq!(at(f64::NEG_INFINITY), 0.0);
    }

    #[test]
    fn vertices_are_hashed_as_the_format_says() {
        let hashed = Grid { entries: Some(64), ..grid(&[7, 7, 7]) };
        let corners = Corners::new(&hashed, &place([1.0, -1.0, 0.0], Padding::Border));
        let heaviest = (0..8).max_by(|&a, &b| corners.weights[a].total_cmp(&corners.weights[b]));
        // Vertex (6, 0, 3), x first.
        let expected = (6 ^ (3u64 * 805_459_861)) % 64;
        assert_eq!(corners.vertices[heaviest.unwrap()] as u64, expected);
        assert!(corners.vertices.iter().all(|&row| row < 64));
    }

    #[test]
    fn a_parameter_goes_from_0_to_1_and_stops_there() {
        let g = Grid { axes: vec![3], ..grid(&[5]) };
        for (t, expected) in [(0.0, 0.0), (0.3, 1.2), (1.0, 4.0), (-2.0, 0.0), (1.5, 4.0)] {
            let place = Place { parameters: &[t], ..place([0.7; 3], Padding::Zeros) };
            let corners = Corners::new(&g, &place);
            let at: f64 = (0..2).map(|c| corners.weights[c] * corners.vertices[c] as f64).sum();
            assert!((at - expected).abs() < 1e-15, "{t}: {at}");
        }
    }

    #[test]
    fn a_single_vertex_is_constant() {
        for x in [-1.0, 0.2, 7.0, f64::INFINITY] {
            for padding in [Padding::Border, Padding::Zeros] {
                let corners = Corners::new(&grid(&[1]), &place([x, 0.0, 0.0], padding));
                assert_eq!((sum(&corners), corners.vertices[0], corners.vertices[1]), (1.0, 0, 0));
            }
        }
    }
}
