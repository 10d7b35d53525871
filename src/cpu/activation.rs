//! Activation functions: [`apply64`] for reference, [`apply`] over slices for the kernels.
//!
//! The 32-bit functions are written without branches so that the compiler vectorises them for
//! whatever instruction set the calling kernel is compiled for; every element goes through the
//! same operations wherever it stands, so results do not depend on the position in a tile.

use crate::model::spec::Activation;

/// `activation(x)` in 64 bits.
pub fn apply64(activation: Activation, x: f64) -> f64 {
    match activation {
        Activation::Identity => x,
        // Written so that NaN stays NaN, unlike `max`.
        Activation::ReLU => {
            if x < 0.0 {
                0.0
            } else {
                x
            }
        }
        Activation::ELU => {
            if x > 0.0 {
                x
            } else {
                x.exp_m1()
            }
        }
        Activation::SiLU => x / (1.0 + (-x).exp()),
        Activation::GELU => 0.5 * x * (1.0 + libm::erf(x * std::f64::consts::FRAC_1_SQRT_2)),
        Activation::Sigmoid => 1.0 / (1.0 + (-x).exp()),
        Activation::Tanh => x.tanh(),
        Activation::Sine => x.sin(),
    }
}

/// Applies `activation` to every element, with an absolute error of a few 1e-7 relative to the
/// largest of 1 and the result.
#[inline(always)]
pub fn apply(activation: Activation, values: &mut [f32]) {
    match activation {
        Activation::Identity => {}
        Activation::ReLU => map(values, |x| if x < 0.0 { 0.0 } else { x }),
        Activation::ELU => map(values, |x| if x > 0.0 { x } else { exp(x) - 1.0 }),
        Activation::SiLU => map(values, |x| x / (1.0 + exp(-x))),
        Activation::GELU => {
            map(values, |x| 0.5 * x * (1.0 + libm::erff(x * std::f32::consts::FRAC_1_SQRT_2)))
        }
        Activation::Sigmoid => map(values, |x| 1.0 / (1.0 + exp(-x))),
        Activation::Tanh => map(values, |x| 1.0 - 2.0 / (1.0 + exp(2.0 * x))),
        Activation::Sine => map(values, f32::sin),
    }
}

#[inline(always)]
fn map(values: &mut [f32], f: impl Fn(f32) -> f32) {
    values.iter_mut().for_each(|x| *x = f(*x));
}

/// `exp(x)`: x = n ln 2 + r with |r| <= ln 2 / 2 and ln 2 split in two for an exact remainder
/// (Cody and Waite), a Taylor polynomial of degree 7 for exp(r) (error below 1e-8), then 2^n by
/// the exponent bits. Underflows to the smallest normal number, overflows to a number near the
/// largest; NaN stays NaN.
#[inline(always)]
fn exp(x: f32) -> f32 {
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    // Adding and subtracting 1.5 * 2^23 rounds to the nearest integer without a branch or a call.
    const ROUND: f32 = 12_582_912.0;
    let clamped = x.clamp(-87.0, 88.0);
    let n = (clamped * std::f32::consts::LOG2_E + ROUND) - ROUND;
    let r = (clamped - n * LN2_HIGH) - n * LN2_LOW;
    let mut p = 1.0 / 5040.0;
    for c in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        p = p * r + c;
    }
    // |n| <= 127 by the clamp. NaN becomes 0 here, and stays NaN in `p`.
    let power = f32::from_bits(((n as i32 + 127) as u32) << 23);
    p * power
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_agree_with_64_bits() {
        let inputs: Vec<f32> =
            (-4000..4000).map(|i| i as f32 * 0.01).chain([-1e30, 1e30]).collect();
        for activation in Activation::ALL {
            if activation == Activation::Sine {
                continue;
            }
            let mut values = inputs.clone();
            apply(activation, &mut values);
            for (&x, &y) in inputs.iter().zip(&values) {
                let expected = apply64(activation, f64::from(x));
                let error = (f64::from(y) - expected).abs() / expected.abs().max(1.0);
                assert!(error < 5e-7, "{activation:?}({x}) = {y}, expected {expected}");
            }
        }
    }

    #[test]
    fn sine_agrees_with_64_bits() {
        let mut values: Vec<f32> = (-1000..1000).map(|i| i as f32 * 0.1).collect();
        let inputs = values.clone();
        apply(Activation::Sine, &mut values);
        for (&x, &y) in inputs.iter().zip(&values) {
            assert!((f64::from(y) - f64::from(x).sin()).abs() < 1e-6);
        }
    }

    #[test]
    fn nan_stays_nan() {
        for activation in Activation::ALL {
            let mut values = [f32::NAN; 9];
            apply(activation, &mut values);
            assert!(values.iter().all(|y| y.is_nan()), "{activation:?}");
            assert!(apply64(activation, f64::NAN).is_nan(), "{activation:?}");
        }
    }
}
