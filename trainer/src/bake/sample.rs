//! Where a model is looked at to measure or calibrate it: points spread evenly over the domain,
//! each for one of several sets of parameters spread evenly over their ranges.

use drr::model::spec::{Grid, Spec};
use tch::Tensor;

use super::form::Form;
use super::source::Baked;

/// Points, each with a set of parameters.
pub struct Sample {
    /// Parameters in [0, 1], per set.
    pub sets: Vec<Vec<f64>>,
    /// Coordinates in [-1, 1] per set, `[points, axes]` flattened, x first.
    pub points: Vec<Vec<f64>>,
}

/// The features of an unfolded model at a sample.
pub struct Observed {
    sets: Vec<Vec<f64>>,
    /// Per grid, `[sets * points, channels]`.
    features: Vec<Tensor>,
}

impl Sample {
    /// `sets` sets of parameters with `points` points each; all points for one set if there are no
    /// parameters. Half of the points are vertices of the finest grid, where the rounding of
    /// stored numbers does not average out.
    pub fn new(spec: &Spec, sets: usize, points: usize) -> Self {
        let parameters = spec.parameters.len();
        let (sets, points) = if parameters == 0 { (1, sets * points) } else { (sets, points) };
        let finest: Vec<usize> =
            (0..spec.axes.len()).map(|axis| vertices_along(&spec.grids, axis)).collect();
        let places = Spread::new(finest.len());
        let parameters = Spread::new(parameters);
        let points_of = |set: usize| {
            let mut coordinates = Vec::with_capacity(points * finest.len());
            for i in 0..points {
                let place = places.point(set * points + i).into_iter().zip(&finest);
                coordinates.extend(place.map(|(t, &vertices)| {
                    let last = vertices.saturating_sub(1).max(1) as f64;
                    let t = if i % 2 == 0 { t } else { (t * last).round() / last };
                    2.0 * t - 1.0
                }));
            }
            coordinates
        };
        Self {
            sets: (0..sets).map(|set| parameters.point(set)).collect(),
            points: (0..sets).map(points_of).collect(),
        }
    }
}

/// Vertices of the finest grid along an axis.
fn vertices_along(grids: &[Grid], axis: usize) -> usize {
    let along = |grid: &Grid| {
        let place = grid.axes.iter().position(|&a| a == axis)?;
        grid.shape.iter().rev().nth(place).copied()
    };
    grids.iter().filter_map(along).max().unwrap_or(1)
}

/// Points that fill the unit cube evenly however many are taken: multiples of the square roots of
/// the primes, modulo 1 (Richtmyer 1951).
struct Spread {
    steps: Vec<f64>,
}

impl Spread {
    fn new(dims: usize) -> Self {
        let is_prime = |n: &u32| (2..*n).take_while(|d| d * d <= *n).all(|d| !n.is_multiple_of(d));
        let primes = (2..).filter(is_prime).take(dims);
        Self { steps: primes.map(|prime| f64::from(prime).sqrt()).collect() }
    }

    fn point(&self, n: usize) -> Vec<f64> {
        self.steps.iter().map(|step| (0.5 + step * (n + 1) as f64).fract()).collect()
    }
}

impl Observed {
    /// Interpolates the features of `model` at `sample`, in 64 bits.
    pub fn new(model: &Baked, sample: &Sample) -> Self {
        let spec = model.model().spec();
        let (axes, points) = (spec.axes.len(), sample.points.iter().map(Vec::len).sum::<usize>());
        let count = points / axes;
        let features = |(n, grid): (usize, &Grid)| {
            let mut features = vec![0.0f64; count * grid.channels];
            let mut rows = features.chunks_exact_mut(grid.channels);
            for (parameters, points) in sample.sets.iter().zip(&sample.points) {
                for point in points.chunks_exact(axes) {
                    // Coordinates and parameters on one scale, as a grid's dimensions count them.
                    let parameters = parameters.iter().map(|t| 2.0 * t - 1.0);
                    let place: Vec<f64> = point.iter().copied().chain(parameters).collect();
                    let Some(sums) = rows.next() else { break };
                    for (row, weight) in corners(grid, &place) {
                        model.add_features(n, row, weight, sums);
                    }
                }
            }
            Tensor::from_slice(&features).view([count as i64, grid.channels as i64])
        };
        let features = spec.grids.iter().enumerate().map(features).collect();
        Self { sets: sample.sets.clone(), features }
    }

    /// Number of points.
    pub fn len(&self) -> usize {
        self.features.first().map_or(0, |features| features.size()[0] as usize)
    }

    /// Input vectors of `form`, a form of the observed model, at the sample, `[points, width]`,
    /// before their activation. Interpolation commutes with what a form does to vertices.
    pub fn inputs(&self, form: &Form) -> Tensor {
        let (count, width) = (self.len() as i64, form.spec.input.width as i64);
        let inputs = Tensor::zeros([count, width], (tch::Kind::Double, tch::Device::Cpu));
        for term in form.spec.terms() {
            let grid = &form.spec.grids[term[0]];
            let factors = term.iter().map(|&n| form.stored(n, self.features[n].shallow_clone()));
            let Some(product) = factors.reduce(|a, b| a * b) else { continue };
            let mut span = inputs.narrow(1, grid.offset as i64, grid.channels as i64);
            span += product;
        }
        let points = count / self.sets.len() as i64;
        for (set, parameters) in self.sets.iter().enumerate() {
            let mut rows = inputs.narrow(0, set as i64 * points, points);
            form.add_conditional(&mut rows, parameters);
        }
        inputs
    }
}

/// Rows of the vertices around a place in [-1, 1], and their weights.
fn corners(grid: &Grid, place: &[f64]) -> Vec<(usize, f64)> {
    let mut corners = vec![(0, 1.0)];
    let dimensions = grid.axes.iter().enumerate().rev().zip(&grid.shape);
    for ((k, &axis), &size) in dimensions {
        let position = (place[axis] + 1.0) / 2.0 * (size - 1) as f64;
        let lower = (position as usize).min(size - 1);
        let upper = (lower + 1).min(size - 1);
        let fraction = position - lower as f64;
        let at = |row: usize, index: usize| match grid.entries {
            Some(_) => row ^ Grid::hash(k, index as u32) as usize,
            None => row * size + index,
        };
        corners = (corners.into_iter())
            .flat_map(|(row, weight)| {
                [(at(row, lower), weight * (1.0 - fraction)), (at(row, upper), weight * fraction)]
            })
            .filter(|&(_, weight)| weight > 0.0)
            .collect();
    }
    if let Some(entries) = grid.entries {
        corners.iter_mut().for_each(|(row, _)| *row %= entries);
    }
    corners
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_fill_the_cube_evenly() {
        let spread = Spread::new(12);
        for axis in 0..12 {
            let mut bins = [0; 10];
            (0..1000).for_each(|n| bins[(spread.point(n)[axis] * 10.0) as usize] += 1);
            assert!(bins.iter().all(|count| (90..=110).contains(count)), "{axis}: {bins:?}");
            // And so do pairs.
            let other = (axis + 1) % 12;
            let mut bins = [0; 16];
            for n in 0..1600 {
                let point = spread.point(n);
                bins[(point[axis] * 4.0) as usize * 4 + (point[other] * 4.0) as usize] += 1;
            }
            assert!(bins.iter().all(|count| (65..=135).contains(count)), "{axis}: {bins:?}");
        }
    }

    #[test]
    fn corners_interpolate_a_linear_function_exactly() {
        let (axes, shape) = (vec![2, 0], vec![4, 5]);
        let grid = Grid { axes, shape, channels: 1, offset: 0, entries: None, product: None };
        // The first axis moves along the last dimension: z along 5 vertices, x along 4.
        let value = |vertex: usize| 10.0 * (vertex / 5) as f64 + (vertex % 5) as f64;
        for (x, z) in [(-1.0, -1.0), (1.0, 1.0), (0.25, -0.7), (-0.4, 1.0)] {
            let sum: f64 = corners(&grid, &[x, 9.0, z]).iter().map(|&(v, w)| w * value(v)).sum();
            let expected = 10.0 * (x + 1.0) / 2.0 * 3.0 + (z + 1.0) / 2.0 * 4.0;
            assert!((sum - expected).abs() < 1e-12, "{sum} {expected}");
        }
    }
}
