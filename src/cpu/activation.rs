//! Activation functions: [`apply64`] for reference, [`apply`] over vectors for the kernels.

use super::lanes::{LANES, Lanes};
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
pub fn apply<L: Lanes>(activation: Activation, values: &mut [[f32; LANES]]) {
    let one = L::splat(1.0);
    let zero = L::splat(0.0);
    // No closures: they would be compiled without the kernel's instructions.
    macro_rules! map {
        ($x:ident => $result:expr) => {
            for value in values {
                let $x = L::load(value);
                $result.store(value);
            }
        };
    }
    match activation {
        Activation::Identity => {}
        Activation::ReLU => map!(x => x.max(zero)),
        Activation::ELU => map!(x => x.if_positive(x, exp(x).sub(one))),
        Activation::SiLU => map!(x => x.div(one.add(exp(zero.sub(x))))),
        Activation::GELU => map!(x => gelu(x)),
        Activation::Sigmoid => map!(x => one.div(one.add(exp(zero.sub(x))))),
        Activation::Tanh => {
            map!(x => one.sub(L::splat(2.0).div(one.add(exp(x.add(x))))));
        }
        Activation::Sine => map!(x => sine(x)),
    }
}

/// As [`apply`], but ReLU is left to who goes through the numbers next: it is the larger of them
/// and the result, which is minus infinity for all other activations.
#[inline(always)]
pub fn apply_but_relu<L: Lanes>(activation: Activation, values: &mut [[f32; LANES]]) -> L {
    if activation == Activation::ReLU {
        return L::splat(0.0);
    }
    apply::<L>(activation, values);
    L::splat(f32::NEG_INFINITY)
}

/// `exp(x)`: x = n ln 2 + r with |r| <= ln 2 / 2 and ln 2 split in two for an exact remainder
/// (Cody and Waite), a Taylor polynomial of degree 7 for exp(r) (error below 1e-8), then 2^n by
/// the exponent bits. Underflows to the smallest normal number, overflows to a number near the
/// largest; NaN stays NaN.
#[inline(always)]
pub fn exp<L: Lanes>(x: L) -> L {
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    let clamped = x.max(L::splat(-87.0)).min(L::splat(88.0));
    let n = clamped.mul(L::splat(std::f32::consts::LOG2_E)).round();
    let r = n.mul_add(L::splat(-LN2_LOW), n.mul_add(L::splat(-LN2_HIGH), clamped));
    let mut p = L::splat(1.0 / 5040.0);
    for c in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        p = p.mul_add(r, L::splat(c));
    }
    // |n| <= 127 by the clamp; NaN stays NaN in `p`.
    p.mul(n.exp2_whole())
}

/// `x/2 (1 + erf(x / sqrt 2))`
#[inline(always)]
fn gelu<L: Lanes>(x: L) -> L {
    let half = x.mul(L::splat(0.5)).mul(tails(x));
    x.if_positive(x.sub(half), half)
}

/// `erfc(abs(x) / sqrt 2)`, both tails of the normal distribution beyond `abs(x)`, by Abramowitz
/// and Stegun 7.1.26 (error below 1.5e-7).
#[inline(always)]
pub fn tails<L: Lanes>(x: L) -> L {
    let zero = L::splat(0.0);
    let z = x.max(zero.sub(x)).mul(L::splat(std::f32::consts::FRAC_1_SQRT_2));
    let t = L::splat(1.0).div(z.mul_add(L::splat(0.327_591_1), L::splat(1.0)));
    let mut p = L::splat(1.061_405_4);
    for c in [-1.453_152, 1.421_413_7, -0.284_496_72, 0.254_829_6, 0.0] {
        p = p.mul_add(t, L::splat(c));
    }
    p.mul(exp(zero.sub(z.mul(z))))
}

/// Beyond this, pi in three parts is too short and sines are taken one by one.
pub const SINE_LIMIT: f32 = 8192.0;

/// `sin(x)`: a Taylor polynomial of degree 11 for the remainder (error below 6e-8).
#[inline(always)]
fn sine<L: Lanes>(x: L) -> L {
    let Remainder { r, sign } = remainder(x);
    let square = r.mul(r);
    let mut p = L::splat(-1.0 / 39_916_800.0);
    for c in [1.0 / 362_880.0, -1.0 / 5040.0, 1.0 / 120.0, -1.0 / 6.0, 1.0] {
        p = p.mul_add(square, L::splat(c));
    }
    let result = p.mul(r).mul(sign);
    if !is_far(x) {
        return result;
    }
    let (mut inputs, mut results) = ([0.0; LANES], [0.0; LANES]);
    x.store(&mut inputs);
    result.store(&mut results);
    for (x, y) in inputs.iter().zip(&mut results) {
        if x.abs() > SINE_LIMIT {
            *y = f64::from(*x).sin() as f32;
        }
    }
    L::load(&results)
}

/// What is left of a number after a whole multiple of pi was taken away.
pub struct Remainder<L> {
    /// At most pi / 2 in magnitude.
    pub r: L,
    /// -1 if the multiple is odd, else 1.
    pub sign: L,
}

/// x = n pi + r, pi split in three (Cody and Waite), the sign by the parity of n. Only for numbers
/// that are not far.
#[inline(always)]
pub fn remainder<L: Lanes>(x: L) -> Remainder<L> {
    let limit = L::splat(SINE_LIMIT);
    let clamped = x.max(L::splat(0.0).sub(limit)).min(limit);
    let n = clamped.mul(L::splat(std::f32::consts::FRAC_1_PI)).round();
    let mut r = clamped;
    for part in [3.140_625, 9.677_41e-4, -8.742_278e-8] {
        r = n.mul_add(L::splat(-part), r);
    }
    let even = n.mul_add(L::splat(0.5), L::splat(-0.25)).round();
    let sign = L::splat(1.0).sub(L::splat(2.0).mul(n.sub(even.add(even))));
    Remainder { r, sign }
}

/// Whether some number is beyond [`SINE_LIMIT`].
#[inline(always)]
pub fn is_far<L: Lanes>(x: L) -> bool {
    let zero = L::splat(0.0);
    let beyond = x.max(zero.sub(x)).sub(L::splat(SINE_LIMIT));
    beyond.if_positive(L::splat(1.0), zero).sum() != 0.0
}

#[cfg(test)]
mod tests {
    use super::super::lanes::Portable;
    use super::*;

    fn applied(activation: Activation, inputs: &[f32]) -> Vec<f32> {
        let mut values = vec![[0.0; LANES]; inputs.len().div_ceil(LANES)];
        values.as_flattened_mut()[..inputs.len()].copy_from_slice(inputs);
        apply::<Portable>(activation, &mut values);
        values.as_flattened()[..inputs.len()].to_vec()
    }

    #[test]
    fn vectors_agree_with_64_bits() {
        let inputs: Vec<f32> =
            (-4000..4000).map(|i| i as f32 * 0.01).chain([-1e30, 1e30, 8192.5, -3e6]).collect();
        for activation in Activation::ALL {
            for (&x, &y) in inputs.iter().zip(&applied(activation, &inputs)) {
                let expected = apply64(activation, f64::from(x));
                let error = (f64::from(y) - expected).abs() / expected.abs().max(1.0);
                assert!(error < 5e-7, "{activation:?}({x}) = {y}, expected {expected}");
            }
        }
    }

    #[test]
    fn sines_of_large_numbers_agree_with_64_bits() {
        let inputs: Vec<f32> = (-8200..8200).map(|i| i as f32 * 1.003).collect();
        for (&x, &y) in inputs.iter().zip(&applied(Activation::Sine, &inputs)) {
            assert!((f64::from(y) - f64::from(x).sin()).abs() < 1e-6, "sin({x}) = {y}");
        }
    }

    #[test]
    fn nan_stays_nan_and_spoils_no_neighbour() {
        for activation in Activation::ALL {
            let values = applied(activation, &[f32::NAN, 0.5, f32::NAN]);
            assert!(values[0].is_nan() && values[2].is_nan(), "{activation:?}");
            assert_eq!(values[1], applied(activation, &[0.5])[0]);
            assert!(apply64(activation, f64::NAN).is_nan(), "{activation:?}");
        }
    }
}
