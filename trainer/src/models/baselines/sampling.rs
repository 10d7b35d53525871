//! Interpolation in grids, planes and lines as PyTorch has it, for models that sample them whole.

use anyhow::Result;
use tch::Tensor;

use crate::models::Parameters;
use crate::models::parameters::Init;

/// What is beyond the border of a grid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beyond {
    /// Features fade to zero within one cell.
    Zeros = 0,
    /// As on the border.
    Border = 1,
}

/// Features `[points, F]` of a grid `[1, F, (D,) H, W]` at `[points, dims]` in [-1, 1], the first
/// coordinate along the last axis.
pub fn sample(grid: &Tensor, at: &Tensor, beyond: Beyond) -> Tensor {
    let (points, dims) = at.size2().expect("points by coordinates");
    let shape = [&[1, points][..], &vec![1; dims as usize - 1], &[dims]].concat();
    let at = at.reshape(&shape[..]);
    let (bilinear, beyond) = (0, beyond as i64);
    let features = match dims {
        2 => grid.grid_sampler_2d(&at, bilinear, beyond, true),
        _ => grid.grid_sampler_3d(&at, bilinear, beyond, true),
    };
    features.reshape([grid.size()[1], points]).transpose(0, 1)
}

/// A feature for each of some vertices over a parameter.
pub struct Line(Tensor);

impl Line {
    /// `[features, vertices]`
    pub fn new(p: &mut Parameters, name: String, shape: [usize; 2], init: Init) -> Result<Self> {
        Ok(Self(p.trainable(name, &shape.map(|n| n as i64), init)?))
    }

    /// Features `[sets, F]` at positions `[sets]` in [0, 1]; outside, those of the ends.
    pub fn sample(&self, t: &Tensor) -> Tensor {
        let last = self.0.size()[1] - 1;
        let position = t.clamp(0.0, 1.0) * last as f64;
        let lower = position.floor().clamp(0.0, (last - 1).max(0) as f64);
        let fraction = (&position - &lower).unsqueeze(0);
        let lower = lower.to_kind(tch::Kind::Int64);
        let upper = (&lower + 1).clamp(0, last);
        let [a, b] = [lower, upper].map(|index| self.0.index_select(1, &index));
        (&a + (b - &a) * fraction).transpose(0, 1)
    }
}

/// The product of the features of all parameters' lines, `[sets, F]`, at `[sets, parameters]`.
pub fn product_of_lines(lines: &[Line], conditions: &Tensor) -> Tensor {
    let features =
        lines.iter().enumerate().map(|(n, line)| line.sample(&conditions.select(1, n as i64)));
    features.reduce(|a, b| a * b).expect("a parameter at least")
}
