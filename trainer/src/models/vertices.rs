//! Which vertices of a grid a batch of points touches, and how their features interpolate.
//!
//! Refining only those vertices gives the same values and gradients as refining all of them.

use tch::{Kind, Tensor};

/// Fractions below this count as zero, so that points meant to lie on a vertex touch it alone.
/// Coordinates are 64-bit: far above their rounding, far below anything a 32-bit model resolves.
const SNAP: f64 = 1e-9;

/// The vertices that points touch, each once, and each point's corners among them.
pub struct Touched {
    /// Row-major indices of touched vertices, `[touched]`.
    pub vertices: Tensor,
    /// Positions in `vertices`, `[points * corners]`.
    local: Tensor,
    /// `[points, corners]`, 0 outside the grid.
    weights: Tensor,
}

impl Touched {
    /// Corners of `points`, `[points, dims]` in [-1, 1], first coordinate along the last
    /// dimension of `shape`. Vertices outside the grid count as zero, as in the reference.
    pub fn new(points: &Tensor, shape: &[usize], kind: Kind) -> Self {
        let points = points.to_kind(Kind::Double);
        let (mut index, mut weight) = corners_along(&points.select(1, 0), shape[shape.len() - 1]);
        let mut stride = shape[shape.len() - 1] as i64;
        for (axis, &size) in shape.iter().rev().enumerate().skip(1) {
            let (i, w) = corners_along(&points.select(1, axis as i64), size);
            index = (index.unsqueeze(1) + (i * stride).unsqueeze(2)).flatten(1, 2);
            weight = (weight.unsqueeze(1) * w.unsqueeze(2)).flatten(1, 2);
            stride *= size as i64;
        }
        // A corner without weight may be any vertex: take one that is touched anyway.
        let heaviest = index.gather(1, &weight.argmax(1, true), false);
        let index = index.where_self(&weight.gt(0.0), &heaviest).flatten(0, 1);
        // Sorting the corners costs no more however many vertices the grid has.
        let (vertices, local, _) = index.internal_unique2(true, true, false);
        Self { vertices, local, weights: weight.to_kind(kind) }
    }

    /// Interpolates features of the touched vertices, `[touched, channels]`, at the points:
    /// `[points, channels]`.
    pub fn interpolate(&self, features: &Tensor) -> Tensor {
        interpolate(features, &self.local, &self.weights)
    }
}

/// Sums of rows of `features`, `[rows, channels]`, at the corners of points: `[points, channels]`.
/// `rows` is `[points * corners]`, `weights` `[points, corners]`.
pub fn interpolate(features: &Tensor, rows: &Tensor, weights: &Tensor) -> Tensor {
    const SUM: i64 = 0;
    let (count, corners) = (rows.numel() as i64, weights.size()[1]);
    let starts = Tensor::arange_start_step(0, count, corners, (Kind::Int64, features.device()));
    let weights = Some(weights.flatten(0, 1));
    // Multiplies and adds without writing the corners' features to memory.
    let (points, ..) = Tensor::embedding_bag(
        &features.contiguous(),
        rows,
        &starts,
        false,
        SUM,
        false,
        weights.as_ref(),
        false,
    );
    points
}

/// The two vertices around each coordinate, `[points, 2]`, and their weights; 0 outside.
fn corners_along(x: &Tensor, size: usize) -> (Tensor, Tensor) {
    let last = (size - 1) as f64;
    let p = (x + 1.0) * (0.5 * last);
    let nearest = p.round();
    let p = nearest.where_self(&(&p - &nearest).abs().lt(SNAP), &p);
    let floor = p.floor();
    let fraction = &p - &floor;
    let index = Tensor::stack(&[floor.shallow_clone(), &floor + 1.0], 1);
    let weight = Tensor::stack(&[fraction.neg() + 1.0, fraction], 1);
    let inside = index.ge(0.0).logical_and(&index.le(last));
    let weight = weight * inside;
    (index.clamp(0.0, last).to_kind(Kind::Int64), weight)
}
