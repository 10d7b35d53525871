//! Passes over all vertices of a model, a chunk at a time: memory stays far below the grids' size.

use std::path::Path;

use anyhow::Result;
use drr::model::{GridPrecision, Writer};
use tch::{Device, Kind, Tensor};

use super::form::Form;
use super::source::Source;
use crate::progress::Progress;

/// Vertices visited at once: the widest hidden layers of published models (512, 64-bit) take
/// 30 MiB each then, so that the peak stays far below 1 GiB whatever the grid.
const CHUNK: usize = 8192;

/// Makes the progress bar of a pass from its name and its length in vertices.
pub type Bars<'a> = &'a dyn Fn(&'static str, u64) -> Progress;

/// Smallest and largest feature of each channel of a grid.
pub type Ranges = Vec<(f64, f64)>;

/// Mean and covariance of the features of a grid.
pub struct Moments {
    /// `[channels]`
    pub mean: Tensor,
    /// `[channels, channels]`
    pub covariance: Tensor,
}

/// Rows of all grids: vertices, or the entries that they share.
fn vertices(form: &Form) -> usize {
    form.spec.grids.iter().filter_map(|grid| grid.rows()).sum()
}

/// Shows `visit` the features of grid `n`, `[vertices, channels]`, chunk by chunk in row-major
/// order and as `form` stores them.
fn visit(
    source: &dyn Source,
    form: &Form,
    n: usize,
    progress: &Progress,
    mut visit: impl FnMut(Tensor) -> Result<()>,
) -> Result<()> {
    let vertices = form.spec.grids[n].rows().unwrap_or(0);
    for start in (0..vertices).step_by(CHUNK) {
        progress.check_interrupt()?;
        let count = CHUNK.min(vertices - start);
        visit(form.stored(n, source.features(n, start, count)))?;
        progress.advance(count as u64);
    }
    Ok(())
}

/// Mean and covariance of every grid. Chunks are merged by their means (Chan, Golub, LeVeque), so
/// that features far from zero lose no digits.
///
/// # Errors
/// If the user interrupts.
pub fn moments(source: &dyn Source, form: &Form, bars: Bars<'_>) -> Result<Vec<Moments>> {
    let progress = bars("covariance", vertices(form) as u64);
    let all = (0..form.spec.grids.len())
        .map(|n| {
            let channels = form.spec.grids[n].channels as i64;
            let options = (Kind::Double, Device::Cpu);
            let mut mean = Tensor::zeros([channels], options);
            let mut squares = Tensor::zeros([channels, channels], options);
            let mut seen = 0.0;
            visit(source, form, n, &progress, |features| {
                let count = features.size()[0] as f64;
                let chunk_mean = features.mean_dim(0i64, false, Kind::Double);
                let centred = &features - &chunk_mean;
                let shift = &chunk_mean - &mean;
                let total = seen + count;
                squares += centred.transpose(0, 1).matmul(&centred);
                squares += shift.outer(&shift) * (seen * count / total);
                mean += shift * (count / total);
                seen = total;
                Ok(())
            })?;
            Ok(Moments { mean, covariance: squares / seen })
        })
        .collect::<Result<_>>()?;
    progress.finish();
    Ok(all)
}

/// Ranges of every grid's features.
///
/// # Errors
/// If the user interrupts.
pub fn ranges(source: &dyn Source, form: &Form, bars: Bars<'_>) -> Result<Vec<Ranges>> {
    let progress = bars("ranges", vertices(form) as u64);
    let all = (0..form.spec.grids.len())
        .map(|n| {
            let mut ranges = vec![(f64::INFINITY, f64::NEG_INFINITY); form.spec.grids[n].channels];
            visit(source, form, n, &progress, |features| {
                let least = Vec::<f64>::try_from(&features.amin([0i64], false))?;
                let most = Vec::<f64>::try_from(&features.amax([0i64], false))?;
                for (range, (least, most)) in ranges.iter_mut().zip(least.into_iter().zip(most)) {
                    *range = (range.0.min(least), range.1.max(most));
                }
                Ok(())
            })?;
            Ok(ranges)
        })
        .collect::<Result<_>>()?;
    progress.finish();
    Ok(all)
}

/// Writes a model to `path`; returns the size of the file in bytes. Whatever goes wrong, a file
/// that was there before stays.
///
/// # Errors
/// If a feature is not finite or too large for `precision`, the disk is full, or the user
/// interrupts.
pub fn write(
    source: &dyn Source,
    form: &Form,
    precision: GridPrecision,
    path: &Path,
    bars: Bars<'_>,
) -> Result<u64> {
    let small = form.small_tensors()?;
    let ranges = match precision {
        GridPrecision::I8 => Some(ranges(source, form, bars)?),
        GridPrecision::F32 | GridPrecision::F16 => None,
    };
    let progress = bars(source.verb(), vertices(form) as u64);
    let mut writer = Writer::create(path, form.spec.clone(), precision)?;
    for n in 0..form.spec.grids.len() {
        let mut grid = match &ranges {
            Some(ranges) => writer.grid_in_ranges(&ranges[n])?,
            None => writer.grid()?,
        };
        visit(source, form, n, &progress, |features| {
            let flat = features.contiguous().view(-1);
            Ok(grid.push(&Vec::<f64>::try_from(&flat)?)?)
        })?;
        grid.finish()?;
    }
    let size = writer.finish(&small)?;
    progress.finish();
    Ok(size)
}
