//! Real spherical harmonics of a direction, what colours of a radiance field depend on.

/// Numbers of four bands.
pub const HARMONICS: usize = 16;

/// The four bands at a unit direction, `Y_0^0, Y_1^-1, Y_1^0, Y_1^1, Y_2^-2, ...` with the
/// Condon-Shortley phase; see docs/format.md.
pub fn harmonics([x, y, z]: [f64; 3]) -> [f64; HARMONICS] {
    let (xx, yy, zz) = (x * x, y * y, z * z);
    [
        0.282_094_791_773_878_14,
        -0.488_602_511_902_919_9 * y,
        0.488_602_511_902_919_9 * z,
        -0.488_602_511_902_919_9 * x,
        1.092_548_430_592_079_2 * x * y,
        -1.092_548_430_592_079_2 * y * z,
        0.315_391_565_252_520_05 * (3.0 * zz - 1.0),
        -1.092_548_430_592_079_2 * x * z,
        0.546_274_215_296_039_6 * (xx - yy),
        0.590_043_589_926_643_5 * y * (yy - 3.0 * xx),
        2.890_611_442_640_554 * x * y * z,
        0.457_045_799_464_465_7 * y * (1.0 - 5.0 * zz),
        0.373_176_332_590_115_4 * z * (5.0 * zz - 3.0),
        0.457_045_799_464_465_7 * x * (1.0 - 5.0 * zz),
        1.445_305_721_320_277 * z * (xx - yy),
        0.590_043_589_926_643_5 * x * (3.0 * yy - xx),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Over the sphere, products of two of them average to 0, and squares to 1 / (4 pi).
    #[test]
    fn they_are_orthonormal() {
        let (rings, steps) = (200, 64);
        let mut sums = [[0.0; HARMONICS]; HARMONICS];
        for ring in 0..rings {
            let z = -1.0 + (2.0 * f64::from(ring) + 1.0) / f64::from(rings);
            let radius = (1.0 - z * z).sqrt();
            for step in 0..steps {
                let (y, x) = (f64::from(step) / f64::from(steps) * std::f64::consts::TAU).sin_cos();
                let values = harmonics([radius * x, radius * y, z]);
                for (sums, a) in sums.iter_mut().zip(values) {
                    sums.iter_mut().zip(values).for_each(|(sum, b)| *sum += a * b);
                }
            }
        }
        let all = f64::from(rings * steps) / (4.0 * std::f64::consts::PI);
        for (i, sums) in sums.iter().enumerate() {
            for (j, sum) in sums.iter().enumerate() {
                let expected = if i == j { 1.0 } else { 0.0 };
                assert!((sum / all - expected).abs() < 1e-3, "{i} and {j}: {}", sum / all);
            }
        }
    }
}
