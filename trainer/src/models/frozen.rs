//! A model with its refiner's work done, as PyTorch would ask it many times: plain grids, lines and
//! decoder in libtorch. What libdrr evaluates, in the functions that training uses.

use tch::{Kind, Tensor};

use super::baselines::sampling::{Beyond, sample};
use super::encoder::Part;
use super::network::Encoded;

/// Vertices that are refined at a time.
const CHUNK: i64 = 1 << 14;

/// A model that is not trained any more.
pub struct Frozen<'a> {
    model: Encoded<'a>,
    /// Per part of the encoder `[1, channels, ...shape]`, if it is refined.
    grids: Vec<Option<Tensor>>,
}

impl<'a> Frozen<'a> {
    /// Refines all vertices.
    pub fn new(model: Encoded<'a>) -> Self {
        let parts = model.encoder().parts().iter();
        let grids = parts.map(|part| part.is_refined().then(|| refined(part))).collect();
        Self { model, grids }
    }

    /// Normalised values `[1, points, out]` at `points`, `[points, dims]` in [-1, 1], for one set of
    /// parameters, `[1, parameters]`.
    pub fn forward(&self, points: &Tensor, conditions: &Tensor) -> Tensor {
        let kind = self.model.compute();
        let parts = self.model.encoder().parts().iter().zip(&self.grids);
        let features = parts.map(|(part, grid)| match grid {
            Some(grid) => sample(grid, &part.own_coordinates(points).to_kind(kind), Beyond::Zeros),
            None => part.forward(points, kind),
        });
        let features = features.reduce(|a, b| a + b).expect("an encoder has parts");
        self.model.decode(&features.unsqueeze(0), conditions)
    }
}

/// The refined grid of a part.
fn refined(part: &Part) -> Tensor {
    tch::no_grad(|| {
        let vertices: i64 = part.shape.iter().map(|&n| n as i64).product();
        let device = part.tables()[0].rows.device();
        let rows: Vec<Tensor> = (0..vertices)
            .step_by(CHUNK as usize)
            .map(|start| {
                let end = (start + CHUNK).min(vertices);
                part.vertex_features(&Tensor::arange_start(start, end, (Kind::Int64, device)))
            })
            .collect();
        let shape: Vec<i64> = part.shape.iter().map(|&n| n as i64).chain([-1]).collect();
        let grid = Tensor::cat(&rows, 0).view(&shape[..]);
        let dims = part.shape.len() as i64;
        // Channels before the vertices' axes, as `grid_sample` wants them.
        let order: Vec<i64> = std::iter::once(dims).chain(0..dims).collect();
        grid.permute(&order[..]).unsqueeze(0).contiguous()
    })
}
