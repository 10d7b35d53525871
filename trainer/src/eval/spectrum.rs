//! How well a prediction has the scales of the truth: their power spectra, compared shell by shell.

use anyhow::Result;
use tch::{Kind, Tensor};

/// Shells with a smaller share of all power, that of the mean included, are rounding.
const FLOOR: f64 = 1e-14;

/// Power of a field of shape `dims` in shells of equal frequency: shell k has the waves of k - 1/2
/// to k + 1/2 periods on the longest axis, up to half a period a sample. Shell 0 is the
/// mean.
///
/// # Errors
/// If `values` are not as many as `dims` says.
fn spectrum(values: &[f64], dims: &[usize]) -> Result<Vec<f64>> {
    let shape: Vec<i64> = dims.iter().map(|&n| n as i64).collect();
    let waves = Tensor::from_slice(values).f_view(&shape[..])?.f_fft_rfftn(
        None::<i64>,
        None::<i64>,
        "ortho",
    )?;
    let power = waves.f_abs()?.square();
    let longest = dims.iter().copied().max().unwrap_or(1);
    let last = dims.len() - 1;
    let mut squares = Tensor::zeros([1], (Kind::Double, power.device()));
    for (axis, &n) in dims.iter().enumerate() {
        // Periods on the longest axis; the last dimension has half of the frequencies.
        let of = |i: usize| if i <= n / 2 { i as f64 } else { i as f64 - n as f64 };
        let kept = if axis == last { n / 2 + 1 } else { n };
        let along: Vec<f64> =
            (0..kept).map(|i| (of(i) * longest as f64 / n as f64).powi(2)).collect();
        squares = squares.unsqueeze(-1) + Tensor::from_slice(&along);
    }
    // A wave and its mirror image are one number, but for those that are their own.
    let n = dims[last];
    let twice: Vec<f64> =
        (0..=n / 2).map(|i| if i == 0 || 2 * i == n { 1.0 } else { 2.0 }).collect();
    let power = power * Tensor::from_slice(&twice);
    let shells = squares.sqrt().round().to_kind(Kind::Int64).flatten(0, -1);
    let sums = shells.bincount(Some(power.flatten(0, -1)), longest as i64 / 2 + 1);
    let sums = Vec::<f64>::try_from(&sums)?;
    Ok(sums[..=longest / 2].to_vec())
}

/// Mean over the shells of how far the prediction's power is from that of the truth, in dB.
///
/// # Errors
/// If the fields are not as large as `dims` says.
pub fn spectrum_error(prediction: &[f64], truth: &[f64], dims: &[usize]) -> Result<f64> {
    let (prediction, truth) = (spectrum(prediction, dims)?, spectrum(truth, dims)?);
    let floor = FLOOR * truth.iter().sum::<f64>();
    let pairs = prediction.iter().zip(&truth).skip(1).filter(|(_, truth)| **truth > floor);
    // Not `max`, which would make a power of one that is NaN.
    let decibels = |(p, t): (&f64, &f64)| {
        let p = if *p < floor { floor } else { *p };
        10.0 * (p / t).log10().abs()
    };
    let errors: Vec<f64> = pairs.map(decibels).collect();
    Ok(errors.iter().sum::<f64>() / errors.len().max(1) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::TAU;

    fn field(dims: [usize; 3], value: impl Fn([f64; 3]) -> f64) -> Vec<f64> {
        let [d, h, w] = dims;
        let at = |i: usize| [i / (h * w), i / w % h, i % w];
        let place = |i| {
            let [z, y, x] = at(i);
            [z as f64 / d as f64, y as f64 / h as f64, x as f64 / w as f64]
        };
        (0..d * h * w).map(|i| value(place(i))).collect()
    }

    #[test]
    fn waves_are_found_in_their_shells() {
        // Odd and even sizes; a period along z counts as two on an axis that is twice as long.
        for dims in [[16, 16, 16], [9, 9, 9], [8, 16, 15]] {
            let [d, _, w] = dims;
            let longest = dims.iter().copied().max().unwrap() as f64;
            let (kz, kx) = (2.0 * d as f64 / longest, 3.0 * w as f64 / longest);
            let waves = |[z, _, x]: [f64; 3]| (TAU * (kz.round() * z + kx.round() * x)).cos() + 7.0;
            let power = spectrum(&field(dims, waves), &dims).unwrap();
            let strongest = (1..power.len()).max_by(|&a, &b| power[a].total_cmp(&power[b]));
            let found = strongest.unwrap();
            let (z, x) = (kz.round() * longest / d as f64, kx.round() * longest / w as f64);
            assert_eq!(found, (z * z + x * x).sqrt().round() as usize, "{dims:?}");
            // Half the square of the amplitude for each sample, all of it there.
            let all = (dims[0] * dims[1] * dims[2]) as f64 / 2.0;
            assert!((power[found] - all).abs() < 1e-6 * all, "{dims:?}: {power:?}");
        }
    }

    #[test]
    fn errors_are_those_of_the_power() {
        let dims = [6, 8, 10];
        let truth = field(dims, |[z, y, x]| (3.0 * z + y * y - (9.0 * x).sin()).exp());
        let error = |p: &[f64]| spectrum_error(p, &truth, &dims).unwrap();
        assert_eq!(error(&truth), 0.0);
        let doubled: Vec<f64> = truth.iter().map(|v| 2.0 * v + 3.0).collect();
        assert!((error(&doubled) - 20.0 * 2f64.log10()).abs() < 1e-9);
        // Nothing of any scale is there: as far below as the floor.
        assert!(error(&[1.0; 480]) > 60.0);
        let mut lost = truth.clone();
        lost[7] = f64::NAN;
        assert!(error(&lost).is_nan());
        assert!(spectrum_error(&truth, &truth[1..], &dims).is_err());
        // A constant truth has no scales to compare.
        assert_eq!(spectrum_error(&truth, &[1.0; 480], &dims).unwrap(), 0.0);
        // Two dimensions.
        assert_eq!(spectrum_error(&truth, &truth, &[24, 20]).unwrap(), 0.0);
    }
}
