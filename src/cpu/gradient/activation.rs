//! Derivatives of the activation functions: [`derivative64`] for reference, [`derivative`] over
//! vectors for the kernels.

use crate::cpu::activation::{SINE_LIMIT, exp, is_far, remainder, tails};
use crate::cpu::lanes::{LANES, Lanes};
use crate::model::spec::Activation;

/// 1 / sqrt(2 pi)
const NORMAL: f64 = 0.398_942_280_401_432_7;

/// Derivative of `activation` at `x` in 64 bits; of ReLU at 0: 0.
pub fn derivative64(activation: Activation, x: f64) -> f64 {
    match activation {
        Activation::Identity => 1.0,
        Activation::ReLU => f64::from(u8::from(x > 0.0)),
        Activation::ELU => x.min(0.0).exp(),
        Activation::SiLU => {
            let sigmoid = 1.0 / (1.0 + (-x).exp());
            sigmoid + x * sigmoid * (1.0 - sigmoid)
        }
        Activation::GELU => {
            let below = 0.5 * (1.0 + libm::erf(x * std::f64::consts::FRAC_1_SQRT_2));
            below + x * NORMAL * (-0.5 * x * x).exp()
        }
        Activation::Sigmoid => {
            let sigmoid = 1.0 / (1.0 + (-x).exp());
            sigmoid * (1.0 - sigmoid)
        }
        Activation::Tanh => 1.0 - x.tanh() * x.tanh(),
        Activation::Sine => x.cos(),
    }
}

/// Replaces every element by the derivative of `activation` there, with an absolute error of a few
/// 1e-7.
#[inline(always)]
pub fn derivative<L: Lanes>(activation: Activation, values: &mut [[f32; LANES]]) {
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
        Activation::Identity => values.as_flattened_mut().fill(1.0),
        Activation::ReLU => map!(x => x.if_positive(one, zero)),
        Activation::ELU => map!(x => exp(x.min(zero))),
        Activation::SiLU => map!(x => silu(x)),
        Activation::GELU => map!(x => gelu(x)),
        Activation::Sigmoid => map!(x => bell(x)),
        Activation::Tanh => map!(x => L::splat(4.0).mul(bell(x.add(x)))),
        Activation::Sine => map!(x => cosine(x)),
    }
}

/// The derivative of `s(x) = 1 / (1 + exp(-x))`, which is even: exp(-|x|) / (1 + exp(-|x|))^2,
/// without the cancellation of s (1 - s).
#[inline(always)]
fn bell<L: Lanes>(x: L) -> L {
    let e = exp(x.min(L::splat(0.0).sub(x)));
    let sum = L::splat(1.0).add(e);
    e.div(sum.mul(sum))
}

/// s + x s', with x so far from 0 that s' counts no more replaced by a nearer one: `exp` does not
/// underflow to 0.
#[inline(always)]
fn silu<L: Lanes>(x: L) -> L {
    let one = L::splat(1.0);
    let sigmoid = one.div(one.add(exp(L::splat(0.0).sub(x))));
    near(x).mul_add(bell(x), sigmoid)
}

/// The normal distribution's cumulative function plus x times its density.
#[inline(always)]
fn gelu<L: Lanes>(x: L) -> L {
    let half = L::splat(0.5).mul(tails(x));
    let below = x.if_positive(L::splat(1.0).sub(half), half);
    let x = near(x);
    let density = L::splat(NORMAL as f32).mul(exp(x.mul(x).mul(L::splat(-0.5))));
    x.mul_add(density, below)
}

#[inline(always)]
fn near<L: Lanes>(x: L) -> L {
    x.max(L::splat(-100.0)).min(L::splat(100.0))
}

/// `cos(x)`: a Taylor polynomial of degree 12 for the remainder (error below 1e-7).
#[inline(always)]
fn cosine<L: Lanes>(x: L) -> L {
    let remainder = remainder(x);
    let square = remainder.r.mul(remainder.r);
    let mut p = L::splat(1.0 / 479_001_600.0);
    for c in [-1.0 / 3_628_800.0, 1.0 / 40_320.0, -1.0 / 720.0, 1.0 / 24.0, -0.5, 1.0] {
        p = p.mul_add(square, L::splat(c));
    }
    let result = p.mul(remainder.sign);
    if !is_far(x) {
        return result;
    }
    let (mut inputs, mut results) = ([0.0; LANES], [0.0; LANES]);
    x.store(&mut inputs);
    result.store(&mut results);
    for (x, y) in inputs.iter().zip(&mut results) {
        if x.abs() > SINE_LIMIT {
            *y = f64::from(*x).cos() as f32;
        }
    }
    L::load(&results)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::activation::apply64;
    use crate::cpu::lanes::Portable;

    fn derivatives(activation: Activation, inputs: &[f32]) -> Vec<f32> {
        let mut values = vec![[0.0; LANES]; inputs.len().div_ceil(LANES)];
        values.as_flattened_mut()[..inputs.len()].copy_from_slice(inputs);
        derivative::<Portable>(activation, &mut values);
        values.as_flattened()[..inputs.len()].to_vec()
    }

    #[test]
    fn derivatives_are_limits_of_differences() {
        for activation in Activation::ALL {
            for i in (-300..300).filter(|&i| i != 0) {
                let (x, h) = (f64::from(i) * 0.031, 1e-5);
                let difference =
                    (apply64(activation, x + h) - apply64(activation, x - h)) / (2.0 * h);
                let found = derivative64(activation, x);
                assert!((found - difference).abs() < 1e-9, "{activation:?}'({x}) = {found}");
            }
        }
    }

    #[test]
    fn vectors_agree_with_64_bits() {
        let extremes = [0.0, -1e30, 1e30, f32::MAX, f32::MIN, 8192.5, -3e6, 88.5, -103.0];
        let inputs: Vec<f32> = (-4000..4000).map(|i| i as f32 * 0.01).chain(extremes).collect();
        for activation in Activation::ALL {
            for (&x, &y) in inputs.iter().zip(&derivatives(activation, &inputs)) {
                let expected = derivative64(activation, f64::from(x));
                let error = (f64::from(y) - expected).abs();
                assert!(error < 5e-7, "{activation:?}'({x}) = {y}, expected {expected}");
            }
        }
    }

    #[test]
    fn kinks_have_the_documented_derivative() {
        for zero in [0.0, -0.0] {
            assert_eq!(derivative64(Activation::ReLU, f64::from(zero)), 0.0);
            assert_eq!(derivatives(Activation::ReLU, &[zero])[0], 0.0);
            assert_eq!(derivative64(Activation::ELU, f64::from(zero)), 1.0);
            assert!((derivatives(Activation::ELU, &[zero])[0] - 1.0).abs() < 1e-7);
        }
    }
}
