//! How well a model in training does on members that it does not learn from.

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use crate::data::{Ensemble, sample};
use crate::eval::metrics::psnr;
use crate::models::Network;

/// Points of each member that are looked at, if it has more.
const POINTS: usize = 1 << 16;

/// Points computed at once.
const CHUNK: usize = 1 << 13;

/// Members that are set aside, at fixed points, and what was found so far.
pub struct Validation {
    /// Steps between looks.
    pub every: u64,
    /// Looks without a better model after which training stops.
    pub patience: Option<u64>,
    /// The course so far.
    pub course: Course,
    chunks: Vec<Chunk>,
    conditions: Tensor,
    /// Range of the training data, in normalised values.
    span: f64,
}

/// The best model so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Course {
    /// Step of the best model, 0 if there is none yet.
    pub best_step: u64,
    /// Its mean PSNR, in dB.
    pub best_psnr: f64,
    /// Looks since then.
    pub looks_since: u64,
}

struct Chunk {
    /// `[points, dims]`
    points: Tensor,
    /// `[members, points, values]`
    targets: Tensor,
}

impl Validation {
    /// `None` if no member is set aside.
    ///
    /// # Errors
    /// If there is a patience that nothing can end.
    pub fn new(
        ensemble: &Ensemble,
        device: Device,
        every: u64,
        patience: Option<u64>,
    ) -> Result<Option<Self>> {
        let members: Vec<usize> = ensemble.validation().collect();
        if members.is_empty() {
            ensure!(
                patience.is_none(),
                "train.patience needs members to judge by: dataset.param.validation=N sets N of the \
                 training members aside, or `validation` in the column `split` of params.csv"
            );
            return Ok(None);
        }
        let points = sample(ensemble.points(), POINTS);
        let chunks = points
            .chunks(CHUNK)
            .map(|points| Ok(Chunk::new(ensemble, &members, points)?.to_device(device)));
        let conditions: Vec<f32> =
            members.iter().flat_map(|&m| ensemble.members[m].normalized.clone()).collect();
        let conditions = Tensor::from_slice(&conditions).view([members.len() as i64, -1]);
        Ok(Some(Self {
            every,
            patience,
            course: Course::default(),
            chunks: chunks.collect::<Result<_>>()?,
            span: ensemble.normalization.span(),
            conditions: conditions.to_device(device),
        }))
    }

    /// Mean PSNR over the members.
    pub fn look(&self, model: &Network) -> f64 {
        let members = self.conditions.size()[0];
        let errors = Tensor::zeros([members], (Kind::Double, self.conditions.device()));
        let mut points = 0;
        tch::no_grad(|| {
            for chunk in &self.chunks {
                let at = model.at(&chunk.points);
                // A member at a time, since memory is for batches of training.
                for member in 0..members {
                    let values = at.values(&self.conditions.narrow(0, member, 1));
                    let difference = values - chunk.targets.narrow(0, member, 1);
                    let mut error = errors.narrow(0, member, 1);
                    error += difference.square().mean_dim(&[1i64, 2][..], false, Kind::Double)
                        * chunk.points.size()[0];
                }
                points += chunk.points.size()[0];
            }
        });
        let errors = Vec::<f64>::try_from(&(errors / points)).unwrap_or_default();
        errors.iter().map(|&error| psnr(error / self.span.powi(2))).sum::<f64>()
            / errors.len() as f64
    }
}

impl Course {
    /// Takes note of a model; whether it is the best so far.
    pub fn note(&mut self, step: u64, psnr: f64) -> bool {
        let first = self.best_step == 0 && psnr.is_finite();
        if first || psnr > self.best_psnr {
            *self = Self { best_step: step, best_psnr: psnr, looks_since: 0 };
            return true;
        }
        self.looks_since += 1;
        false
    }
}

impl Chunk {
    fn new(ensemble: &Ensemble, members: &[usize], points: &[usize]) -> Result<Self> {
        let (places, width) = (&ensemble.places, ensemble.values.len());
        let mut coords = Vec::new();
        points.iter().for_each(|&point| places.push(point, &mut coords));
        let mut targets = Vec::with_capacity(members.len() * points.len() * width);
        for &member in members {
            let field = ensemble.fields.get(member)?;
            for &point in points {
                targets.extend((point * width..(point + 1) * width).map(|i| field.at(i)));
            }
        }
        let (count, width) = (points.len() as i64, width as i64);
        Ok(Self {
            points: Tensor::from_slice(&coords).view([count, places.axes() as i64]),
            targets: Tensor::from_slice(&targets).view([members.len() as i64, count, width]),
        })
    }

    fn to_device(&self, device: Device) -> Self {
        Self { points: self.points.to_device(device), targets: self.targets.to_device(device) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_course_knows_the_best_and_how_long_ago_it_was() {
        let mut course = Course::default();
        let news: Vec<bool> = [30.0, 29.0, f64::NAN, 31.0, 31.0, 30.0]
            .into_iter()
            .zip(1..)
            .map(|(psnr, look)| course.note(look * 100, psnr))
            .collect();
        assert_eq!(news, [true, false, false, true, false, false]);
        assert_eq!(course, Course { best_step: 400, best_psnr: 31.0, looks_since: 2 });
        // Everything is better than nothing, but for a model that is lost.
        let mut first = Course::default();
        assert!(!first.note(1, f64::NAN));
        assert!(first.note(2, -1.0));
    }
}
