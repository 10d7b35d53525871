//! Points of a regular lattice in `[-1, 1]`, and multilinear interpolation between them.

/// Appends the coordinates of lattice point `index` of `dims` (`[D, H, W]` or `[H, W]`): x first,
/// -1 at the first sample of an axis and 1 at its last, computed in double precision. Each axis
/// has at least 2 samples.
pub(super) fn push_coordinates(dims: &[usize], index: usize, coords: &mut Vec<f64>) {
    let mut rest = index;
    for &n in dims.iter().rev() {
        coords.push(2.0 * (rest % n) as f64 / (n - 1) as f64 - 1.0);
        rest /= n;
    }
}

/// `field`, of `dims` and any number of components, on a lattice of `to` with the same ends,
/// multilinearly.
pub(super) fn resample(field: &[f32], dims: &[usize], to: &[usize]) -> Vec<f32> {
    let width = field.len() / dims.iter().product::<usize>();
    let count: usize = to.iter().product();
    let (mut resampled, mut place) = (Vec::with_capacity(count * width), Vec::new());
    for index in 0..count {
        place.clear();
        push_coordinates(to, index, &mut place);
        let corners = Corners::around(&place, dims);
        resampled.extend((0..width).map(|n| corners.interpolate(|at| field[at], width, n) as f32));
    }
    resampled
}

/// Lattice points around a place, with their weights: the first `count` are used.
pub(super) struct Corners {
    points: [(usize, f64); 8],
    count: usize,
}

impl Corners {
    /// A lattice point alone.
    pub fn at(point: usize) -> Self {
        let mut points = [(0, 0.0); 8];
        points[0] = (point, 1.0);
        Self { points, count: 1 }
    }

    /// Around `coords` in `[-1, 1]`, x first, in a lattice of `dims`.
    pub fn around(coords: &[f64], dims: &[usize]) -> Self {
        let mut corners = Self::at(0);
        let mut stride = 1;
        for (&x, &size) in coords.iter().zip(dims.iter().rev()) {
            let last = (size - 1) as f64;
            let place = ((x + 1.0) * 0.5 * last).clamp(0.0, last);
            // The last point ends the last cell.
            let cell = (place as usize).min(size - 2);
            let weight = place - cell as f64;
            for n in 0..corners.count {
                let (point, share) = corners.points[n];
                corners.points[n] = (point + cell * stride, share * (1.0 - weight));
                corners.points[n + corners.count] = (point + (cell + 1) * stride, share * weight);
            }
            corners.count *= 2;
            stride *= size;
        }
        corners
    }

    /// The component `n` at the place, of a field that is `[points, width]`.
    pub fn interpolate(&self, field: impl Fn(usize) -> f32, width: usize, n: usize) -> f64 {
        let corners = self.points[..self.count].iter();
        corners.map(|&(point, weight)| weight * f64::from(field(point * width + n))).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lattice_points(dims: &[usize]) -> Vec<f64> {
        let mut coords = Vec::new();
        let count: usize = dims.iter().product();
        (0..count).for_each(|index| push_coordinates(dims, index, &mut coords));
        coords
    }

    #[test]
    fn coordinates_are_x_first() {
        let points = lattice_points(&[2, 3, 5]);
        assert_eq!(points.len(), 90);
        assert_eq!(points[..6], [-1.0, -1.0, -1.0, -0.5, -1.0, -1.0]);
        assert_eq!(points[14 * 3..15 * 3], [1.0, 1.0, -1.0]);
        let third = 2.0 / 3.0 - 1.0;
        assert_eq!(lattice_points(&[3, 4])[10..12], [third, 0.0]);
    }

    #[test]
    fn resampling_keeps_ends_and_what_is_linear() {
        let field = |dims: &[usize]| -> Vec<f32> {
            let points = lattice_points(dims);
            let value = |p: &[f64]| (p[0] + 10.0 * p[1] + 100.0 * p[2] + p[0] * p[2]) as f32;
            points.chunks(3).flat_map(|p| [value(p), -2.0 * value(p)]).collect()
        };
        let (dims, to) = ([4, 6, 9], [3, 7, 5]);
        let (found, expected) = (resample(&field(&dims), &dims, &to), field(&to));
        assert_eq!(found.len(), expected.len());
        for (a, b) in found.iter().zip(&expected) {
            assert!((a - b).abs() < 1e-4, "{a}, expected {b}");
        }
        assert_eq!(resample(&field(&dims), &dims, &dims), field(&dims), "the same lattice");
        // Between two samples, by hand.
        assert_eq!(resample(&[0.0, 3.0, 5.0, 5.0], &[2, 2], &[2, 3])[1..3], [1.5, 3.0]);
    }
}
