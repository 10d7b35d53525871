//! The way back with bounded memory: what the way forward computed is not kept but computed again,
//! in pieces that fit (Chen et al. 2016).
//!
//! Three stages meet in two places, the refined features of the vertices and the spatial features
//! of the points, where gradients are gathered over all pieces before they go further back.

use tch::{Kind, Tensor};

use crate::models::encoder::Part;
use crate::models::network::Encoded;
use crate::models::vertices::Touched;

/// Pieces are no smaller than this: products of fewer rows are slow.
const LEAST: i64 = 256;

/// Gradients of `factor` times the mean squared error, of the same values as the plain way up to
/// rounding, with some `bytes` for what is kept on the way; returns the mean squared error.
///
/// `points` is `[points, dims]` or `[members, points, dims]`, `targets` `[members, points, out]`.
pub fn backward(
    model: Encoded<'_>,
    [points, conditions, targets]: [&Tensor; 3],
    factor: f64,
    bytes: usize,
) -> Tensor {
    let [.., count, dims] = points.size()[..] else { unreachable!("two or three dimensions") };
    let flat = points.reshape([-1, dims]);
    let parts: Vec<_> = (model.encoder().parts().iter())
        .map(|part| Piecewise::new(model.compute(), part, &flat, bytes))
        .collect();
    let encoded = parts.iter().map(|part| part.forward(&flat)).reduce(|a, b| a + b);
    let Some(spatial) = encoded else { unreachable!("an encoder has parts") };

    let meeting = spatial.detach().set_requires_grad(true);
    let mut total = Tensor::zeros([], (targets.kind(), points.device()));
    let members = conditions.size()[0];
    let rows = fitting(bytes, members as usize * model.bytes_per_point());
    let by_set = meeting.view([-1, count, meeting.size()[1]]);
    for (start, length) in pieces(count, rows) {
        let values = model.decode(&by_set.narrow(1, start, length), conditions);
        let errors = (values - targets.narrow(1, start, length)).square();
        let share = sum(&errors) / targets.numel() as f64;
        (&share * factor).backward();
        total += share.detach();
    }
    pull(&spatial, &meeting.grad());
    parts.iter().for_each(|part| part.backward(bytes));
    total
}

/// A part of the encoder, and the vertices of it that points touch if it is refined.
struct Piecewise<'a> {
    part: &'a Part,
    /// Precision of the matrix products.
    kind: Kind,
    /// Touched vertices and their features.
    refined: Option<(Touched, Tensor)>,
}

impl<'a> Piecewise<'a> {
    fn new(kind: Kind, part: &'a Part, points: &Tensor, bytes: usize) -> Self {
        let refined = part.is_refined().then(|| {
            let touched = part.touch(points, kind);
            let features = tch::no_grad(|| {
                let pieces = vertex_pieces(part, &touched, bytes);
                let refined = pieces.map(|(_, vertices)| part.refined(&vertices, kind));
                Tensor::cat(&refined.collect::<Vec<_>>(), 0)
            });
            (touched, features.set_requires_grad(true))
        });
        Self { part, kind, refined }
    }

    fn forward(&self, points: &Tensor) -> Tensor {
        match &self.refined {
            Some((touched, features)) => touched.interpolate(features),
            None => self.part.forward(points, self.kind),
        }
    }

    /// From the features of the vertices to the weights.
    fn backward(&self, bytes: usize) {
        let Some((touched, features)) = &self.refined else { return };
        let gradient = features.grad();
        for (start, vertices) in vertex_pieces(self.part, touched, bytes) {
            let again = self.part.refined(&vertices, self.kind);
            pull(&again, &gradient.narrow(0, start, vertices.size()[0]));
        }
    }
}

/// Touched vertices in pieces, each with its start.
fn vertex_pieces<'a>(
    part: &Part,
    touched: &'a Touched,
    bytes: usize,
) -> impl Iterator<Item = (i64, Tensor)> + 'a {
    let rows = fitting(bytes, part.bytes_per_vertex());
    let piece = |(start, length)| (start, touched.vertices.narrow(0, start, length));
    pieces(touched.vertices.size()[0], rows).map(piece)
}

/// Sends the gradient of `tensor` back to what it was computed from.
fn pull(tensor: &Tensor, gradient: &Tensor) {
    sum(&(tensor * gradient)).backward();
}

/// In 32 bits at least.
fn sum(tensor: &Tensor) -> Tensor {
    match tensor.kind() {
        Kind::Half | Kind::BFloat16 => tensor.sum(Kind::Float),
        kind => tensor.sum(kind),
    }
}

/// Rows of so many bytes each that fit.
fn fitting(bytes: usize, per_row: usize) -> i64 {
    (bytes.checked_div(per_row).unwrap_or(usize::MAX) as i64).max(LEAST)
}

/// Starts and lengths of pieces of at most `rows`.
fn pieces(count: i64, rows: i64) -> impl Iterator<Item = (i64, i64)> {
    (0..count).step_by(rows as usize).map(move |start| (start, rows.min(count - start)))
}
