//! How far a baked file is from the unfolded 32-bit model, asked through the runtime as users will.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;
use drr::{
    Checksums, Kernel, Model, Points, Runtime, Sampler, SamplerOptions, Storage, Units, ValuesMut,
};

use super::judge::Judge;
use super::sample::Sample;
use crate::progress::Progress;

/// Sets of parameters, and points of each, at which errors are measured.
const SETS: usize = 32;
const POINTS: usize = 4096;

/// Queries of which the median is the speed.
const REPEATS: usize = 5;

/// What a file lost. Errors are in units of the value range.
#[derive(Debug, Clone, Copy)]
pub struct Loss {
    /// Largest absolute difference on the sample.
    pub max_error: f64,
    /// Root of the mean squared difference on the sample.
    pub rms_error: f64,
    /// PSNR against the true data: the unfolded model's minus the file's, in dB, mean over
    /// members; `None` without data.
    pub psnr_loss: Option<f64>,
}

impl Loss {
    /// PSNR of the file against the unfolded model, in dB.
    pub fn psnr_of_difference(&self) -> f64 {
        crate::eval::metrics::psnr(self.rms_error * self.rms_error)
    }
}

/// Compares files with one reference.
pub struct Meter {
    sample: Sample,
    /// The reference's values at the sample, per set.
    expected: Vec<Vec<f32>>,
    judge: Option<(Judge, f64)>,
}

impl Meter {
    /// Asks the reference once.
    ///
    /// # Errors
    /// If the data of `judge` do not fit, or the user interrupts.
    pub fn new(
        reference: &Arc<Runtime>,
        judge: Option<Judge>,
        progress: &Progress,
    ) -> Result<Self> {
        let sample = Sample::new(reference.model().spec(), SETS, POINTS);
        let expected = values(reference, &sample, progress)?;
        let judge = match judge {
            Some(judge) => {
                let psnr = judge.psnr(reference, progress)?;
                Some((judge, psnr))
            }
            None => None,
        };
        Ok(Self { sample, expected, judge })
    }

    /// Errors of `path` at the sample alone.
    ///
    /// # Errors
    /// If it cannot be opened, or the user interrupts.
    pub fn errors(&self, path: &Path, progress: &Progress) -> Result<Loss> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        self.errors_of(&open(path, threads)?, progress)
    }

    /// All that a file lost.
    ///
    /// # Errors
    /// As [`Meter::errors`].
    pub fn loss(&self, path: &Path, progress: &Progress) -> Result<Loss> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let runtime = open(path, threads)?;
        let psnr_loss = match &self.judge {
            Some((judge, psnr)) => Some(psnr - judge.psnr(&runtime, progress)?),
            None => None,
        };
        Ok(Loss { psnr_loss, ..self.errors_of(&runtime, progress)? })
    }

    fn errors_of(&self, runtime: &Arc<Runtime>, progress: &Progress) -> Result<Loss> {
        let given = values(runtime, &self.sample, progress)?;
        let pairs = given.iter().flatten().zip(self.expected.iter().flatten());
        let (mut most, mut squares, mut count) = (0.0f64, 0.0, 0.0);
        for (&given, &expected) in pairs {
            let error = (f64::from(given) - f64::from(expected)).abs();
            // Not `max`, which would overlook NaN.
            most = if error <= most { most } else { error };
            squares += error * error;
            count += 1.0;
        }
        Ok(Loss { max_error: most, rms_error: (squares / count).sqrt(), psnr_loss: None })
    }

    /// Points per second of a file at scattered points, on one thread.
    ///
    /// # Errors
    /// As [`Meter::errors`].
    pub fn speed(&self, path: &Path, progress: &Progress) -> Result<f64> {
        let runtime = open(path, 1)?;
        // Vertices are half of the sample; shifted, they are no easier than other points.
        let shifted = |&x: &f64| x * 0.997 + 0.001;
        let points: Vec<f64> = self.sample.points.iter().flatten().map(shifted).collect();
        points_per_second(&runtime, &self.sample.sets[0], &points, progress)
    }
}

/// How many points are answered in a second, with the threads that `runtime` has: `points` in
/// [-1, 1] for one set of `parameters` in [0, 1]; the median of some queries.
///
/// # Errors
/// If they do not fit the model, or the user interrupts.
pub fn points_per_second(
    runtime: &Arc<Runtime>,
    parameters: &[f64],
    points: &[f64],
    progress: &Progress,
) -> Result<f64> {
    let spec = runtime.model().spec();
    let (axes, outputs) = (spec.axes.len(), spec.outputs());
    let sampler = sampler(runtime, parameters)?;
    let mut values = vec![0.0f32; points.len() / axes * outputs];
    let mut seconds = Vec::with_capacity(REPEATS);
    // The first query also brings the file into memory.
    for repeat in 0..=REPEATS {
        progress.check_interrupt()?;
        let begin = Instant::now();
        let points = Points::packed(points, axes)?;
        sampler.query(&points, &mut ValuesMut::packed(&mut values, outputs)?)?;
        if repeat > 0 {
            seconds.push(begin.elapsed().as_secs_f64());
        }
    }
    seconds.sort_by(f64::total_cmp);
    Ok((points.len() / axes) as f64 / seconds[REPEATS / 2].max(1e-9))
}

/// A sampler in normalised units.
pub fn sampler(runtime: &Arc<Runtime>, parameters: &[f64]) -> Result<Sampler> {
    let options = SamplerOptions { units: Units::Normalized, ..Default::default() };
    Ok(Sampler::new(runtime, parameters, &options)?)
}

fn open(path: &Path, threads: usize) -> Result<Arc<Runtime>> {
    // It was written a moment ago: no need to read it all to compare checksums.
    let model = Model::open(path, Storage::Mapped, Checksums::Skip)?;
    Ok(Runtime::new(model, Kernel::choose()?, threads)?)
}

fn values(runtime: &Arc<Runtime>, sample: &Sample, progress: &Progress) -> Result<Vec<Vec<f32>>> {
    let spec = runtime.model().spec();
    let (axes, outputs) = (spec.axes.len(), spec.outputs());
    (sample.sets.iter().zip(&sample.points))
        .map(|(parameters, points)| {
            progress.check_interrupt()?;
            let mut values = vec![0.0f32; points.len() / axes * outputs];
            let points = Points::packed(points, axes)?;
            let mut room = ValuesMut::packed(&mut values, outputs)?;
            sampler(runtime, parameters)?.query(&points, &mut room)?;
            Ok(values)
        })
        .collect()
}
