//! Quality of a model on the members of an ensemble: of a baked one, asked through the runtime that
//! users query, or of one that cannot be baked; tables and pictures of it. What a model costs
//! (`flops`) is counted, not measured.

pub mod colours;
pub mod curves;
pub mod flops;
mod flops_baselines;
mod flops_single;
pub mod html;
pub mod lpips;
pub mod metrics;
pub mod pictures;
pub mod report;
pub mod scatter;
pub mod scene;
pub mod spectrum;
pub mod vti;

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use drr::{Points, Runtime, Sampler, SamplerOptions, Units, ValuesMut};

use crate::data::Ensemble;
use crate::models::Network;
use crate::progress::Progress;
use lpips::Lpips;
use metrics::{Score, larger, mean_squared_error, ssim};
use spectrum::spectrum_error;

/// Points that are asked at once.
const PIECE: usize = 1 << 20;

/// Samples of a field whose spectrum is computed, at most: it takes some forty bytes for each.
const MOST_OF_SPECTRUM: usize = 1 << 27;

/// What is judged.
pub enum Judged {
    /// A baked file.
    Baked(Arc<Runtime>),
    /// A model that cannot be baked.
    Network(Network),
}

impl Judged {
    /// One member's prediction, normalised, `[places, out]`.
    ///
    /// # Errors
    /// Those of the library.
    pub fn predict(&self, ensemble: &Ensemble, member: usize) -> Result<Vec<f32>> {
        let member = &ensemble.members[member];
        let parameters: Vec<f64> = member.normalized.iter().map(|&p| f64::from(p)).collect();
        let options = SamplerOptions { units: Units::Normalized, ..Default::default() };
        let dims = ensemble.places.axes();
        type Ask<'a> = Box<dyn Fn(&[f64], &mut [f32]) -> drr::Result<()> + 'a>;
        let ask: Ask<'_> = match self {
            Self::Baked(runtime) => {
                let sampler = Sampler::new(runtime, &parameters, &options)?;
                Box::new(move |points, values| {
                    let room = &mut ValuesMut::packed(values, ensemble.values.len())?;
                    sampler.query(&Points::packed(points, dims)?, room)
                })
            }
            Self::Network(network) => Box::new(|points, values| {
                network.predict(points, dims, &parameters, values);
                Ok(())
            }),
        };
        let outputs = ensemble.values.len();
        let (places, mut points) = (&ensemble.places, Vec::new());
        let mut values = vec![0.0f32; places.count() * outputs];
        for (piece, values) in values.chunks_mut(PIECE * outputs).enumerate() {
            points.clear();
            let first = piece * PIECE;
            let last = first + values.len() / outputs;
            (first..last).for_each(|index| places.push(index, &mut points));
            ask(&points, values)?;
        }
        Ok(values)
    }

    /// # Errors
    /// If the model does not fit the ensemble. One that cannot be baked was made for it.
    fn check(&self, ensemble: &Ensemble) -> Result<()> {
        let Self::Baked(runtime) = self else { return Ok(()) };
        let spec = runtime.model().spec();
        let model = (spec.axes.len(), spec.parameters.len(), spec.outputs());
        let data = (ensemble.places.axes(), ensemble.parameters.len(), ensemble.values.len());
        ensure!(
            model == data,
            "the model has (axes, parameters, values) {model:?}, the data have {data:?}"
        );
        Ok(())
    }
}

/// Score of one member; with `lpips`, of pictures, also their perceptual distance.
///
/// # Errors
/// If its field cannot be read, or is too small for `lpips`.
fn score(
    ensemble: &Ensemble,
    member: usize,
    prediction: &[f32],
    lpips: Option<&Lpips>,
) -> Result<Score> {
    let field = ensemble.field(member)?;
    let truth: &[f32] = &field.floats();
    let outputs = ensemble.values.len();
    let normalization = &ensemble.normalization;
    let (mut similarity, mut scales) = (None, None);
    if let Some(dims) = ensemble.places.lattice() {
        let places = ensemble.places.count();
        let (mut ssims, mut spectra) = (0.0, Some(0.0).filter(|_| places <= MOST_OF_SPECTRUM));
        for k in 0..outputs {
            let component = |values: &[f32], place: usize| {
                normalization.in_range(values[place * outputs + k].into())
            };
            let (of_prediction, of_truth) =
                (|place| component(prediction, place), |place| component(truth, place));
            ssims += ssim(of_prediction, of_truth, dims);
            if let Some(sum) = &mut spectra {
                let all = |of: &dyn Fn(usize) -> f64| (0..places).map(of).collect::<Vec<f64>>();
                *sum += spectrum_error(&all(&of_prediction), &all(&of_truth), dims)?;
            }
        }
        similarity = Some(ssims / outputs as f64);
        scales = spectra.map(|sum| sum / outputs as f64);
    }
    let perceived = match lpips {
        Some(lpips) => Some(colours::distance(lpips, ensemble, truth, prediction)?),
        None => None,
    };
    let physical = |&v: &f32| ensemble.denormalize(v);
    let pairs = prediction.iter().map(physical).zip(truth.iter().map(physical));
    let (mut squared_error, mut squared_norm, mut max_error) = (0.0, 0.0, 0.0);
    for (p, t) in pairs {
        max_error = larger(max_error, (p - t).abs());
        squared_error += (p - t) * (p - t);
        squared_norm += t * t;
    }
    let mse = mean_squared_error(prediction, truth) / normalization.span().powi(2);
    Ok(Score {
        mse,
        ssim: similarity,
        lpips: perceived,
        spectrum: scales,
        squared_error,
        squared_norm,
        max_error,
    })
}

/// Scores of `members`, in order; with `lpips`, of pictures, also their perceptual distances.
///
/// # Errors
/// If the model does not fit the ensemble, `lpips` does not fit its values, or the user interrupts.
pub fn evaluate(
    judged: &Judged,
    ensemble: &Ensemble,
    members: &[usize],
    lpips: Option<&Lpips>,
    progress: &Progress,
) -> Result<Vec<Score>> {
    judged.check(ensemble)?;
    members
        .iter()
        .map(|&member| {
            progress.check_interrupt()?;
            let prediction = (judged.predict(ensemble, member))
                .with_context(|| format!("member {}", ensemble.members[member].name))?;
            progress.advance(1);
            score(ensemble, member, &prediction, lpips)
        })
        .collect()
}
