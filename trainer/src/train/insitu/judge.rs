//! How well the model does on a field, or a block of it, in the caller's memory.

use tch::Tensor;

use super::failure::Outcome;
use crate::data::Ensemble;
use crate::data::given::Block;
use crate::eval::metrics::psnr;
use crate::models::Network;
use crate::train::ranks::Ranks;

/// Points computed at once.
const CHUNK: usize = 1 << 13;

/// What differs between the model and a field.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quality {
    /// Of the range of the values that the model was trained on (of their logarithms, where these are
    /// learned), in dB.
    pub psnr: f64,
    /// Root of the mean squared difference, in units of the values.
    pub rms_error: f64,
    /// Largest difference, in units of the values.
    pub max_error: f64,
    /// Points that were compared.
    pub points: u64,
}

/// Sums over what was compared.
#[derive(Default)]
pub struct Sums {
    normalized: f64,
    physical: f64,
    max: f64,
    points: f64,
}

/// Compares `model` at `parameters`, in [0, 1], with a block inside the lattice.
pub fn judge(
    model: &Network,
    ensemble: &Ensemble,
    parameters: &[f32],
    block: &Block,
) -> Outcome<Sums> {
    let (axes, width) = (ensemble.places.axes(), ensemble.values.len());
    let lattice = ensemble.places.lattice().unwrap_or(&[]);
    let [_, h, w] = padded(lattice);
    let device = model.parameters().all().next().map(|(_, tensor)| tensor.device());
    let device = device.unwrap_or(tch::Device::Cpu);
    let condition = Tensor::from_slice(parameters).view([1, -1]).to_device(device);
    let (span, total) = (block.span(), block.span().points());
    let mut sums = Sums { points: total as f64, ..Sums::default() };
    for start in (0..total).step_by(CHUNK) {
        let chunk: Vec<_> =
            (start..total.min(start + CHUNK)).map(|index| span.place(index)).collect();
        let mut coords = Vec::new();
        chunk.iter().for_each(|[z, y, x]| ensemble.places.push((z * h + y) * w + x, &mut coords));
        let points = Tensor::from_slice(&coords).view([-1, axes as i64]).to_device(device);
        let values = tch::no_grad(|| model.at(&points).values(&condition));
        let flat = values.to_device(tch::Device::Cpu).to_kind(tch::Kind::Float).contiguous();
        let found = Vec::<f32>::try_from(&flat.view(-1)).map_err(anyhow::Error::from)?;
        for (n, &value) in found.iter().enumerate() {
            let truth = block.get(chunk[n / width], n % width).unwrap_or(f32::NAN);
            sums.add(ensemble, value, truth);
        }
    }
    Ok(sums)
}

impl Sums {
    /// For all: of what all of them compared, values of `ensemble`.
    pub fn quality(self, ranks: &Ranks, ensemble: &Ensemble) -> Quality {
        let Self { normalized, physical, max, points } = self;
        let largest = ranks.all(&[max]).concat().into_iter();
        // A difference that is no number stays.
        let max_error = largest.fold(0.0, |a: f64, b| if b > a || b.is_nan() { b } else { a });
        let [normalized, physical, points] = ranks.sums([normalized, physical, points]);
        let count = points * ensemble.values.len() as f64;
        Quality {
            psnr: psnr(normalized / count / ensemble.normalization.span().powi(2)),
            rms_error: (physical / count).sqrt(),
            max_error,
            points: points as u64,
        }
    }

    fn add(&mut self, ensemble: &Ensemble, value: f32, truth: f32) {
        let scaled = ensemble.normalization.scaled(truth);
        self.normalized += (f64::from(value) - f64::from(scaled)).powi(2);
        let error = (ensemble.denormalize(value) - f64::from(truth)).abs();
        self.physical += error * error;
        // A difference that is no number stays.
        if error > self.max || error.is_nan() {
            self.max = error;
        }
    }
}

/// A shape with one layer where it is a plane.
pub fn padded(dims: &[usize]) -> [usize; 3] {
    match *dims {
        [d, h, w] => [d, h, w],
        [h, w] => [1, h, w],
        _ => [1; 3],
    }
}
