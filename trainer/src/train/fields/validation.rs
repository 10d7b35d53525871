//! How well a model in training does on members that it does not learn from.

use anyhow::Result;
use tch::{Device, Kind, Tensor};

use crate::data::{Ensemble, Share, sample};
use crate::models::Network;

/// Points of each member that are looked at, if it has more.
const POINTS: usize = 1 << 16;

/// Points computed at once.
const CHUNK: usize = 1 << 13;

/// Members that are set aside, at fixed points; those that are this process' own.
pub struct Validation {
    chunks: Vec<Chunk>,
    conditions: Tensor,
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
    /// If a field cannot be read.
    pub fn new(ensemble: &Ensemble, share: Share, device: Device) -> Result<Option<Self>> {
        let members: Vec<usize> = ensemble.validation().collect();
        if members.is_empty() {
            return Ok(None);
        }
        let mut points = sample(ensemble.points(), POINTS);
        points = match &ensemble.subdomain {
            Some(subdomain) => points.into_iter().filter(|&point| subdomain.owns(point)).collect(),
            None => points[share.range(points.len())].to_vec(),
        };
        let chunks = points
            .chunks(CHUNK)
            .map(|points| Ok(Chunk::new(ensemble, &members, points)?.to_device(device)));
        let conditions: Vec<f32> =
            members.iter().flat_map(|&m| ensemble.members[m].normalized.clone()).collect();
        let conditions = Tensor::from_slice(&conditions).view([members.len() as i64, -1]);
        Ok(Some(Self {
            chunks: chunks.collect::<Result<_>>()?,
            conditions: conditions.to_device(device),
        }))
    }

    /// Of each member the sum of squared errors, and of how many values.
    pub fn look(&self, model: &Network) -> Vec<[f64; 2]> {
        let members = self.conditions.size()[0];
        let errors = Tensor::zeros([members], (Kind::Double, self.conditions.device()));
        let mut count = 0;
        tch::no_grad(|| {
            for chunk in &self.chunks {
                let at = model.at(&chunk.points);
                // A member at a time, since memory is for batches of training.
                for member in 0..members {
                    let values = at.values(&self.conditions.narrow(0, member, 1));
                    let difference = values - chunk.targets.narrow(0, member, 1);
                    let mut error = errors.narrow(0, member, 1);
                    error +=
                        difference.square().sum_dim_intlist(&[1i64, 2][..], false, Kind::Double);
                }
                count += chunk.targets.numel() as i64 / members;
            }
        });
        let errors = Vec::<f64>::try_from(&errors).unwrap_or_default();
        errors.into_iter().map(|error| [error, count as f64]).collect()
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
