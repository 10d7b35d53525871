//! Quality of a predicted field: mean squared error, PSNR, SSIM, relative L2.

/// How well one field was predicted. Values are such that the range of the training data is 1, except
/// for the relative L2 error, which is of physical values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Score {
    /// Mean squared error.
    pub mse: f64,
    /// Structural similarity, data range 1; mean over components. None of scattered points, which
    /// have no neighbours that a window could hold.
    pub ssim: Option<f64>,
    /// Learned perceptual distance, of pictures if there are weights for it.
    pub lpips: Option<f64>,
    /// How far the power of each scale is from that of the truth, in dB, mean over scales and
    /// components; none of scattered points and of very large fields.
    pub spectrum: Option<f64>,
    /// Sum of squared differences of physical values.
    pub squared_error: f64,
    /// Sum of squares of the true physical values.
    pub squared_norm: f64,
    /// Largest difference of physical values.
    pub max_error: f64,
}

impl Score {
    /// `-10 log10(mse)`: the data range is 1.
    pub fn psnr(&self) -> f64 {
        psnr(self.mse)
    }

    /// `|prediction - truth| / |truth|`, both as vectors of physical values.
    pub fn relative_l2(&self) -> f64 {
        relative(self.squared_error, self.squared_norm)
    }
}

/// Scores of several fields together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Summary {
    /// Number of fields.
    pub fields: usize,
    /// PSNR of the mean squared error over all fields.
    pub psnr: f64,
    /// Mean of the fields' PSNR.
    pub psnr_mean: f64,
    /// Mean of the fields' SSIM, if they have one.
    pub ssim: Option<f64>,
    /// Mean of the fields' learned perceptual distances, if they have one.
    pub lpips: Option<f64>,
    /// Mean of the fields' spectrum errors in dB, if they have one.
    pub spectrum: Option<f64>,
    /// Relative L2 error over all fields as one vector.
    pub rel_l2: f64,
    /// Largest difference of physical values in any field.
    pub max_error: f64,
}

impl Summary {
    /// Of at least one field; `None` without any.
    pub fn of(scores: &[Score]) -> Option<Self> {
        let fields = scores.len();
        if fields == 0 {
            return None;
        }
        let mean = |f: fn(&Score) -> f64| scores.iter().map(f).sum::<f64>() / fields as f64;
        let sum = |f: fn(&Score) -> f64| scores.iter().map(f).sum::<f64>();
        let optional = |f: fn(&Score) -> Option<f64>| {
            scores.iter().map(f).sum::<Option<f64>>().map(|sum| sum / fields as f64)
        };
        Some(Self {
            fields,
            psnr: psnr(mean(|s| s.mse)),
            psnr_mean: mean(Score::psnr),
            ssim: optional(|s| s.ssim),
            lpips: optional(|s| s.lpips),
            spectrum: optional(|s| s.spectrum),
            rel_l2: relative(sum(|s| s.squared_error), sum(|s| s.squared_norm)),
            max_error: scores.iter().map(|s| s.max_error).fold(0.0, larger),
        })
    }
}

/// PSNR in dB for values of range 1; a perfect prediction counts as 1e-20.
pub fn psnr(mse: f64) -> f64 {
    // Not `max`, which would make a perfect prediction of one that is NaN.
    let mse = if mse < 1e-20 { 1e-20 } else { mse };
    -10.0 * mse.log10()
}

/// The larger of two magnitudes; NaN if either is, unlike `f64::max`.
pub fn larger(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() { f64::NAN } else { a.max(b) }
}

fn relative(squared_error: f64, squared_norm: f64) -> f64 {
    (squared_error / squared_norm.max(f64::MIN_POSITIVE)).sqrt()
}

/// Mean squared difference.
pub fn mean_squared_error(a: &[f32], b: &[f32]) -> f64 {
    let squares = a.iter().zip(b).map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2));
    squares.sum::<f64>() / a.len().max(1) as f64
}

/// Samples of a field that [`ssim`] looks at together, about: memory for some times as many numbers.
const BAND: usize = 1 << 22;

/// Edge of the window of [`ssim`].
const WINDOW: usize = 11;

/// Structural similarity (Wang et al. 2004) of two fields of shape `dims`, data range 1, whose values
/// are asked for by number: Gaussian window of 11 samples and sigma 1.5 along each axis, only where it
/// fits, K1 = 0.01, K2 = 0.03. An axis shorter than the window is left out of the window.
///
/// Fields are taken in bands along the first axis, so that memory does not grow with it.
pub fn ssim(a: impl Fn(usize) -> f64, b: impl Fn(usize) -> f64, dims: &[usize]) -> f64 {
    ssim_in_bands(a, b, dims, BAND)
}

fn ssim_in_bands(
    a: impl Fn(usize) -> f64,
    b: impl Fn(usize) -> f64,
    dims: &[usize],
    band: usize,
) -> f64 {
    let (rows, rest) = dims.split_first().map_or((1, dims), |(&rows, rest)| (rows, rest));
    let row: usize = rest.iter().product();
    // A band holds the window whenever the field does.
    let beyond = if rows < WINDOW { 0 } else { WINDOW - 1 };
    let (places, step) = (rows - beyond, (band / row.max(1)).max(1));
    let (mut sum, mut count) = (0.0, 0);
    for first in (0..places).step_by(step) {
        let last = (first + step).min(places) + beyond;
        let values = |of: &dyn Fn(usize) -> f64| (first * row..last * row).map(of).collect();
        let (a, b): (Vec<f64>, Vec<f64>) = (values(&a), values(&b));
        let shape: Vec<usize> = std::iter::once(last - first).chain(rest.iter().copied()).collect();
        let similar = similarities(&a, &b, &shape);
        sum += similar.iter().sum::<f64>();
        count += similar.len();
    }
    sum / count.max(1) as f64
}

/// Similarity at each place of the window.
fn similarities(a: &[f64], b: &[f64], dims: &[usize]) -> Vec<f64> {
    const C1: f64 = 0.01 * 0.01;
    const C2: f64 = 0.03 * 0.03;
    let product =
        |x: &[f64], y: &[f64]| -> Vec<f64> { x.iter().zip(y).map(|(x, y)| x * y).collect() };
    let blur = |values: &[f64]| blur(values, dims);
    let (mean_a, mean_b) = (blur(a), blur(b));
    let (aa, bb, ab) = (blur(&product(a, a)), blur(&product(b, b)), blur(&product(a, b)));
    let local = |i: usize| {
        let (ma, mb) = (mean_a[i], mean_b[i]);
        let (va, vb, cov) = (aa[i] - ma * ma, bb[i] - mb * mb, ab[i] - ma * mb);
        (2.0 * ma * mb + C1) / (ma * ma + mb * mb + C1) * (2.0 * cov + C2) / (va + vb + C2)
    };
    (0..mean_a.len()).map(local).collect()
}

/// Weighted means under the window wherever it fits.
fn blur(values: &[f64], dims: &[usize]) -> Vec<f64> {
    let window: [f64; WINDOW] = std::array::from_fn(|i| {
        let distance = (i as f64 - 5.0) / 1.5;
        (-0.5 * distance * distance).exp()
    });
    let total: f64 = window.iter().sum();
    let mut values = values.to_vec();
    let mut dims = dims.to_vec();
    for axis in 0..dims.len() {
        let size = dims[axis];
        if size < WINDOW {
            continue;
        }
        let inner: usize = dims[axis + 1..].iter().product();
        let valid = size - WINDOW + 1;
        let mut next = Vec::with_capacity(values.len() / size * valid);
        for block in values.chunks_exact(size * inner) {
            for start in 0..valid {
                next.extend((0..inner).map(|i| {
                    let weighted =
                        window.iter().enumerate().map(|(k, w)| w * block[(start + k) * inner + i]);
                    weighted.sum::<f64>() / total
                }));
            }
        }
        values = next;
        dims[axis] = valid;
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of values that lie in memory.
    fn ssim(a: &[f64], b: &[f64], dims: &[usize]) -> f64 {
        super::ssim(|i| a[i], |i| b[i], dims)
    }

    #[test]
    fn bands_do_not_matter() {
        for dims in [[40, 13, 12], [11, 30, 20], [12, 5, 30], [7, 20, 20], [500, 1, 1], [1, 1, 300]]
        {
            let count = dims.iter().product();
            let (a, b) = (wave(count, 0.0), wave(count, 0.4));
            let of = |band| ssim_in_bands(|i| a[i], |i| b[i], &dims, band);
            let whole = of(usize::MAX);
            assert!(whole < 1.0, "{dims:?}");
            for band in [1, 300, 1000, 2001] {
                assert!((of(band) - whole).abs() < 1e-12, "{dims:?}, {band}");
            }
        }
        assert_eq!(ssim(&[], &[], &[0, 20]), 0.0);
    }

    fn wave(n: usize, phase: f64) -> Vec<f64> {
        (0..n).map(|i| 0.5 + 0.4 * (i as f64 * 0.37 + phase).sin()).collect()
    }

    #[test]
    fn errors_that_are_no_numbers_are_not_lost() {
        let errors = |middle: f64| [1.0, middle, 3.0, 2.0].into_iter().fold(0.0, larger);
        assert_eq!((errors(0.5), errors(9.0), errors(f64::INFINITY)), (3.0, 9.0, f64::INFINITY));
        assert!(errors(f64::NAN).is_nan());
    }

    #[test]
    fn equal_fields_are_perfectly_similar() {
        let a = wave(12 * 13 * 14, 0.0);
        assert!((ssim(&a, &a, &[12, 13, 14]) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn one_window_by_hand() {
        // A single position of the window in one dimension: weighted moments written out.
        let (a, b) = (wave(11, 0.0), wave(11, 0.3));
        let w: Vec<f64> =
            (0..11).map(|i| (-((i as f64 - 5.0) / 1.5).powi(2) / 2.0).exp()).collect();
        let total: f64 = w.iter().sum();
        let m = |f: &dyn Fn(usize) -> f64| (0..11).map(|i| w[i] * f(i)).sum::<f64>() / total;
        let (ma, mb) = (m(&|i| a[i]), m(&|i| b[i]));
        let va = m(&|i| (a[i] - ma).powi(2));
        let vb = m(&|i| (b[i] - mb).powi(2));
        let cov = m(&|i| (a[i] - ma) * (b[i] - mb));
        let expected = (2.0 * ma * mb + 1e-4) * (2.0 * cov + 9e-4)
            / ((ma * ma + mb * mb + 1e-4) * (va + vb + 9e-4));
        assert!((ssim(&a, &b, &[11]) - expected).abs() < 1e-12);
    }

    #[test]
    fn axes_shorter_than_the_window_are_left_out() {
        let (a, b) = (wave(3 * 20, 0.0), wave(3 * 20, 0.2));
        let rows = (0..3).map(|r| ssim(&a[r * 20..][..20], &b[r * 20..][..20], &[20]));
        let mean = rows.sum::<f64>() / 3.0;
        assert!((ssim(&a, &b, &[3, 20]) - mean).abs() < 1e-12);
    }

    #[test]
    fn summaries_tell_the_mean_of_errors_from_the_mean_of_psnr() {
        let score = |mse| Score {
            mse,
            ssim: Some(0.5),
            lpips: None,
            spectrum: Some(0.25),
            squared_error: mse,
            squared_norm: 1.0,
            max_error: mse,
        };
        let summary = Summary::of(&[score(1e-2), score(1e-4)]).unwrap();
        assert!((summary.psnr - psnr(0.00505)).abs() < 1e-12);
        assert!((summary.psnr_mean - 30.0).abs() < 1e-9);
        assert!(Summary::of(&[]).is_none());
    }
}
