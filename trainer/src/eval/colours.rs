//! Pictures of pictures: truth, prediction and difference in their own colours.

use std::path::Path;

use anyhow::{Context, Result, ensure};

use super::lpips::Lpips;
use super::pictures::encode;
use crate::data::{Ensemble, Value};
use crate::files::write_atomically;

/// Names of the values of pictures.
pub const NAMES: [&str; 4] = ["red", "green", "blue", "alpha"];

/// Edge of what is drawn; larger pictures are reduced.
const LARGEST: usize = 900;

/// Differences are drawn this much stronger.
const STRONGER: f64 = 4.0;

/// Whether the values of an ensemble are colours of a picture.
pub fn are_colours(ensemble: &Ensemble) -> bool {
    let names: Vec<&str> = ensemble.values.iter().map(|Value { name, .. }| name.as_str()).collect();
    ensemble.places.axes() == 2
        && ensemble.places.lattice().is_some()
        && names.len() >= 3
        && NAMES.starts_with(&names)
}

/// What a sample of full light is where the greatest is `most`: 1, or that of 8 or 16 bits.
pub fn full_light(most: f64) -> f64 {
    match most {
        most if most <= 1.0 => 1.0,
        most if most <= 255.0 => 255.0,
        _ => 65535.0,
    }
}

/// Learned perceptual distance of a picture and its prediction, normalised values.
///
/// # Errors
/// If they are no picture, or too small.
pub fn distance(
    lpips: &Lpips,
    ensemble: &Ensemble,
    truth: &[f32],
    prediction: &[f32],
) -> Result<f64> {
    ensure!(
        are_colours(ensemble),
        "LPIPS is of pictures, with values red, green, blue on two axes: these data are none"
    );
    let [height, width] = ensemble.places.shape()[..] else { return Ok(f64::NAN) };
    let light = full_light(ensemble.normalization.range.1);
    let outputs = ensemble.values.len();
    let pixel = |values: &[f32], n: usize| -> [f32; 3] {
        std::array::from_fn(|k| (ensemble.denormalize(values[n * outputs + k]) / light) as f32)
    };
    lpips.distance([width, height], &|n| pixel(truth, n), &|n| pixel(prediction, n))
}

/// Draws truth, prediction and their difference, stronger, side by side; normalised values.
///
/// # Errors
/// If the picture cannot be written.
pub fn comparison(
    path: &Path,
    ensemble: &Ensemble,
    truth: &[f32],
    prediction: &[f32],
) -> Result<()> {
    let [height, width] = ensemble.places.shape()[..] else { return Ok(()) };
    let by = width.max(height).div_ceil(LARGEST).max(1);
    let size = [width / by, height / by];
    let light = full_light(ensemble.normalization.range.1);
    let outputs = ensemble.values.len();
    let mean = |values: &[f32], x: usize, y: usize, k: usize| {
        let sum: f64 = (0..by * by)
            .map(|n| ((y * by + n / by) * width + x * by + n % by) * outputs + k)
            .map(|at| ensemble.denormalize(values[at]))
            .sum();
        sum / (by * by) as f64 / light
    };
    let byte = |value: f64| (value * 255.0).round().clamp(0.0, 255.0) as u8;
    let mut bytes = Vec::with_capacity(size[0] * size[1] * 9);
    for y in 0..size[1] {
        for panel in 0..3 {
            for x in 0..size[0] {
                bytes.extend((0..3).map(|k| {
                    let [t, p] = [truth, prediction].map(|values| mean(values, x, y, k));
                    byte([t, p, (t - p).abs() * STRONGER][panel])
                }));
            }
        }
    }
    let png = encode(&bytes, (u32::try_from(3 * size[0])?, u32::try_from(size[1])?))
        .with_context(|| format!("cannot encode {}", path.display()))?;
    write_atomically(path, &png)
}
