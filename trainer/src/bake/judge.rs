//! The true data, kept to see what compression does to a model's quality.

use std::sync::Arc;

use anyhow::{Result, ensure};
use drr::{Points, Runtime, ValuesMut};

use super::measure::sampler;
use crate::data::Ensemble;
use crate::eval::metrics::{mean_squared_error, psnr};
use crate::progress::Progress;

/// Most values that are compared, all members together.
const VALUES: usize = 1 << 22;

/// Held-out members (training members if there are none) at places of their values.
pub struct Judge {
    members: Vec<Member>,
    held_out: bool,
    axes: usize,
    outputs: usize,
    /// Width of the values' range, normalised.
    span: f64,
    /// Coordinates in [-1, 1], the same for all members.
    points: Vec<f64>,
}

struct Member {
    /// In [0, 1].
    parameters: Vec<f64>,
    /// Normalised, `[points, outputs]`.
    truth: Vec<f32>,
}

impl std::fmt::Display for Judge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = if self.held_out { "held-out" } else { "training" };
        write!(f, "{} {kind} members", self.members.len())
    }
}

impl Judge {
    /// All places if they are not too many, else some, spread evenly.
    ///
    /// # Errors
    /// If a field cannot be read.
    pub fn new(ensemble: &Ensemble) -> Result<Self> {
        let mut members: Vec<usize> = ensemble.test().collect();
        let held_out = !members.is_empty();
        if !held_out {
            members = ensemble.train().collect();
        }
        let (all, outputs) = (ensemble.points(), ensemble.values.len());
        let count = (VALUES / (members.len() * outputs).max(1)).clamp(1, all);
        // Multiples of the golden ratio modulo 1 are spread evenly.
        let golden = |i: usize| (i as f64 * 0.618_033_988_749_894_9).fract();
        let index = |i: usize| if count == all { i } else { (golden(i) * all as f64) as usize };
        let places = &ensemble.places;
        let mut points = Vec::with_capacity(count * places.axes());
        (0..count).for_each(|i| places.push(index(i), &mut points));
        let member = |&member: &usize| {
            let field = ensemble.field(member)?;
            let values = |i| (0..outputs).map(move |k| index(i) * outputs + k);
            let parameters = &ensemble.members[member].normalized;
            Ok(Member {
                parameters: parameters.iter().map(|&p| f64::from(p)).collect(),
                truth: (0..count).flat_map(values).map(|at| field.at(at)).collect(),
            })
        };
        let members = members.iter().map(member).collect::<Result<_>>()?;
        let span = ensemble.normalization.span();
        Ok(Self { members, held_out, axes: places.axes(), outputs, span, points })
    }

    /// Mean of the members' PSNR in dB, of the range of the training data.
    ///
    /// # Errors
    /// If the model does not fit the data, or the user interrupts.
    pub fn psnr(&self, runtime: &Arc<Runtime>, progress: &Progress) -> Result<f64> {
        let spec = runtime.model().spec();
        let model = (spec.axes.len(), spec.outputs());
        let data = (self.axes, self.outputs);
        ensure!(model == data, "the model has (axes, values) {model:?}, the data have {data:?}");
        let mut sum = 0.0;
        for Member { parameters, truth } in &self.members {
            progress.check_interrupt()?;
            let mut values = vec![0.0f32; truth.len()];
            let points = Points::packed(&self.points, self.axes)?;
            let mut room = ValuesMut::packed(&mut values, self.outputs)?;
            sampler(runtime, parameters)?.query(&points, &mut room)?;
            sum += psnr(mean_squared_error(&values, truth) / self.span.powi(2));
        }
        Ok(sum / self.members.len() as f64)
    }
}
