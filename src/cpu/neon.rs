//! The tile kernel on NEON.

use std::arch::aarch64::*;
use std::arch::asm;

use half::f16;

use super::gradient::{self, Pass};
use super::head::{self, HeadScratch};
use super::lanes::{LANES, Lanes, Single};
use super::packed::PackedLayer;
use super::product::{self, Bias, InstructionSet, Prefetch, Rows};
use super::products::gather;
use super::stage::Corners;
use super::{Scratch, tile};
use crate::model::GridData;
use crate::model::spec::Activation;

// All targets with a standard library have it: there is nothing to detect.
const _: () = assert!(cfg!(target_feature = "neon"));

/// [`tile::evaluate`] on NEON.
pub fn evaluate(job: &tile::Job<'_>, scratch: &mut Scratch, values: &mut [f64]) {
    tile::evaluate::<Neon>(job, scratch, values);
}

/// [`gradient::tile::run`] on NEON.
pub fn derive(pass: Pass<'_, '_>) {
    gradient::tile::run::<Neon>(pass);
}

/// [`head::evaluate`] on NEON.
pub fn colours(job: &head::Job<'_>, scratch: &mut HeadScratch, colours: &mut [f64]) {
    head::evaluate::<Neon>(job, scratch, colours);
}

/// Its operations are safe to call: see the assertion above.
#[derive(Clone, Copy)]
struct Neon([float32x4_t; 4]);

impl InstructionSet for Neon {
    type Lanes = Self;

    fn dense(
        layer: &PackedLayer,
        activation: Activation,
        bias: Bias<'_>,
        x: &Rows<'_>,
        y: &mut Rows<'_>,
        prefetch: &mut Prefetch<'_>,
    ) {
        product::dense::<Single<Self>>(layer, activation, bias, x, y, prefetch);
    }

    fn interpolate(at: &Corners, data: GridData<'_>, i: usize, features: &mut [f32]) {
        gather::interpolate::<Self>(at, data, i, features);
    }
}

/// An operation on all quarters.
macro_rules! each {
    ($operation:ident($($argument:expr),+)) => {
        // SAFETY: see `Neon`.
        unsafe {
            [
                $operation($($argument[0]),+),
                $operation($($argument[1]),+),
                $operation($($argument[2]),+),
                $operation($($argument[3]),+),
            ]
        }
    };
}

impl Lanes for Neon {
    /// Of 32 registers, 6 points take 24, the weights 4 and the inputs what is left.
    const VECTORS: usize = 1;

    #[inline(always)]
    fn splat(x: f32) -> Self {
        // SAFETY: see `Neon`.
        Self([unsafe { vdupq_n_f32(x) }; 4])
    }

    #[inline(always)]
    fn load(x: &[f32; LANES]) -> Self {
        let x = x.as_ptr();
        // SAFETY: see `Neon`; sixteen numbers are there.
        Self(unsafe {
            [vld1q_f32(x), vld1q_f32(x.add(4)), vld1q_f32(x.add(8)), vld1q_f32(x.add(12))]
        })
    }

    #[inline(always)]
    fn load_bits(x: &[u32; LANES]) -> Self {
        let x = x.as_ptr();
        // SAFETY: see `Neon`; sixteen numbers are there.
        let bits = unsafe {
            [vld1q_u32(x), vld1q_u32(x.add(4)), vld1q_u32(x.add(8)), vld1q_u32(x.add(12))]
        };
        Self(each!(vreinterpretq_f32_u32(bits)))
    }

    #[inline(always)]
    fn load_f16(x: &[f16; LANES]) -> Self {
        let x = x.as_ptr().cast::<u16>();
        // SAFETY: see `Neon`; sixteen numbers are there, each a transparent u16.
        let bits =
            unsafe { [vld1_u16(x), vld1_u16(x.add(4)), vld1_u16(x.add(8)), vld1_u16(x.add(12))] };
        Self(each!(widen(bits)))
    }

    #[inline(always)]
    fn load_i8(x: &[i8; LANES]) -> Self {
        // SAFETY: see `Neon`; sixteen numbers are there.
        let quarters = unsafe {
            let all = vld1q_s8(x.as_ptr());
            let (low, high) = (vmovl_s8(vget_low_s8(all)), vmovl_high_s8(all));
            [
                vmovl_s16(vget_low_s16(low)),
                vmovl_high_s16(low),
                vmovl_s16(vget_low_s16(high)),
                vmovl_high_s16(high),
            ]
        };
        Self(each!(vcvtq_f32_s32(quarters)))
    }

    #[inline(always)]
    fn store(self, x: &mut [f32; LANES]) {
        for (x, quarter) in x.as_chunks_mut::<4>().0.iter_mut().zip(self.0) {
            // SAFETY: see `Neon`; there is room for four numbers.
            unsafe { vst1q_f32(x.as_mut_ptr(), quarter) }
        }
    }

    #[inline(always)]
    fn store_bits(self, x: &mut [u32; LANES]) {
        for (x, quarter) in x.as_chunks_mut::<4>().0.iter_mut().zip(self.0) {
            // SAFETY: see `Neon`; there is room for four numbers.
            unsafe { vst1q_u32(x.as_mut_ptr(), vreinterpretq_u32_f32(quarter)) }
        }
    }

    #[inline(always)]
    fn store_bf16(self, x: &mut [u32; LANES / 2]) {
        let bits = each!(shorten(self.0));
        for (x, pair) in x.as_chunks_mut::<4>().0.iter_mut().zip(bits.as_chunks::<2>().0) {
            // SAFETY: see `Neon`; there is room for four words.
            unsafe {
                let eight = vcombine_u16(vshrn_n_u32::<16>(pair[0]), vshrn_n_u32::<16>(pair[1]));
                vst1q_u32(x.as_mut_ptr(), vreinterpretq_u32_u16(eight));
            }
        }
    }

    #[inline(always)]
    fn store_u8(self, x: &mut [u32; LANES / 4]) {
        let [a, b, c, d] = each!(whole(self.0));
        // SAFETY: see `Neon`; there is room for four words.
        unsafe {
            let (low, high) = (vcombine_u16(a, b), vcombine_u16(c, d));
            let bytes = vcombine_u8(vmovn_u16(low), vmovn_u16(high));
            vst1q_u32(x.as_mut_ptr(), vreinterpretq_u32_u8(bytes));
        }
    }

    #[inline(always)]
    fn mul_add(self, a: Self, b: Self) -> Self {
        Self(each!(vfmaq_f32(b.0, self.0, a.0)))
    }

    #[inline(always)]
    fn add(self, b: Self) -> Self {
        Self(each!(vaddq_f32(self.0, b.0)))
    }

    #[inline(always)]
    fn sub(self, b: Self) -> Self {
        Self(each!(vsubq_f32(self.0, b.0)))
    }

    #[inline(always)]
    fn mul(self, b: Self) -> Self {
        Self(each!(vmulq_f32(self.0, b.0)))
    }

    #[inline(always)]
    fn div(self, b: Self) -> Self {
        Self(each!(vdivq_f32(self.0, b.0)))
    }

    #[inline(always)]
    fn max(self, b: Self) -> Self {
        Self(each!(vmaxq_f32(self.0, b.0)))
    }

    #[inline(always)]
    fn min(self, b: Self) -> Self {
        Self(each!(vminq_f32(self.0, b.0)))
    }

    #[inline(always)]
    fn if_positive(self, a: Self, b: Self) -> Self {
        let positive = each!(vcgtzq_f32(self.0));
        Self(each!(vbslq_f32(positive, a.0, b.0)))
    }

    #[inline(always)]
    fn exp2_whole(self) -> Self {
        Self(each!(exp2_whole(self.0)))
    }

    #[inline(always)]
    fn sum(self) -> f32 {
        let [a, b, c, d] = self.0;
        // SAFETY: see `Neon`.
        unsafe { vaddvq_f32(vaddq_f32(vaddq_f32(a, c), vaddq_f32(b, d))) }
    }

    #[inline(always)]
    fn round(self) -> Self {
        Self(each!(vrndnq_f32(self.0)))
    }

    #[inline(always)]
    fn prefetch(address: *const u8) {
        // SAFETY: a hint: any address may be given.
        unsafe {
            asm!(
                "prfm pldl2keep, [{}]",
                in(reg) address,
                options(readonly, nostack, preserves_flags),
            );
        }
    }
}

/// 16-bit numbers in 32 bits. By the instruction: its intrinsic takes a type that older compilers
/// do not have.
#[inline]
#[target_feature(enable = "neon")]
fn widen(x: uint16x4_t) -> float32x4_t {
    let wide;
    // SAFETY: a conversion between registers.
    unsafe {
        asm!(
            "fcvtl {:v}.4s, {:v}.4h",
            lateout(vreg) wide,
            in(vreg) x,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    wide
}

/// The bits of numbers rounded to bfloat16 in the upper halves, ties to even, by adding just under
/// half; NaN stays NaN.
#[inline]
#[target_feature(enable = "neon")]
fn shorten(x: float32x4_t) -> uint32x4_t {
    let bits = vreinterpretq_u32_f32(x);
    let even = vandq_u32(vshrq_n_u32::<16>(bits), vdupq_n_u32(1));
    let rounded = vaddq_u32(bits, vaddq_u32(even, vdupq_n_u32(0x7fff)));
    let quiet = vorrq_u32(bits, vdupq_n_u32(0x0040_0000));
    vbslq_u32(vceqq_f32(x, x), rounded, quiet)
}

/// Whole numbers from 0 to 255 as such.
#[inline]
#[target_feature(enable = "neon")]
fn whole(x: float32x4_t) -> uint16x4_t {
    vmovn_u32(vcvtq_u32_f32(x))
}

#[inline]
#[target_feature(enable = "neon")]
fn exp2_whole(n: float32x4_t) -> float32x4_t {
    let exponent = vaddq_s32(vcvtq_s32_f32(n), vdupq_n_s32(127));
    vreinterpretq_f32_s32(vshlq_n_s32::<23>(exponent))
}

#[cfg(test)]
mod tests {
    use super::super::lanes::Portable;
    use super::*;

    /// Numbers of all sizes and signs, the corner cases of roundings, and NaN.
    fn numbers() -> Vec<[f32; LANES]> {
        let bits = (0..1 << 12).map(|i: u32| f32::from_bits(i.wrapping_mul(0x4f1b_bcdd)));
        let ties = (0..=u16::MAX).map(|high| f32::from_bits(u32::from(high) << 16 | 0x8000));
        let halves = (-600..600).map(|i| i as f32 * 0.5);
        let all: Vec<_> = bits.chain(ties).chain(halves).chain([0.0, -0.0, f32::NAN]).collect();
        all.as_chunks().0.to_vec()
    }

    fn stored<L: Lanes>(x: L) -> [f32; LANES] {
        let mut all = [0.0; LANES];
        x.store(&mut all);
        all
    }

    fn assert_same(found: [f32; LANES], expected: [f32; LANES], of: &[f32; LANES]) {
        for (found, expected) in found.into_iter().zip(expected) {
            let same = found == expected || found.is_nan() && expected.is_nan();
            assert!(same, "{found}, expected {expected}, in {of:?}");
        }
    }

    #[test]
    fn lanes_are_loaded_and_stored_in_order() {
        let x: [f32; LANES] = std::array::from_fn(|i| i as f32 - 7.5);
        assert_eq!(stored(Neon::load(&x)), x);
        assert_eq!(stored(Neon::load_bits(&x.map(f32::to_bits))), x);
        assert_eq!(stored(Neon::load_f16(&x.map(f16::from_f32))), x);
        let mut bits = [0; LANES];
        Neon::load(&x).store_bits(&mut bits);
        assert_eq!(bits, x.map(f32::to_bits));
        let integers = std::array::from_fn(|i| (i as i8 - 8) * 16);
        assert_eq!(stored(Neon::load_i8(&integers)), integers.map(f32::from));
        assert_eq!(Neon::load(&x).sum(), 0.0);
        assert_eq!(stored(Neon::load_some(&x[..3])), stored(Portable::load_some(&x[..3])));
    }

    #[test]
    fn every_finite_16_bit_number_is_widened_exactly() {
        let all: Vec<_> = (0..=u16::MAX).map(f16::from_bits).collect();
        for sixteen in all.as_chunks().0 {
            for (found, x) in stored(Neon::load_f16(sixteen)).into_iter().zip(sixteen) {
                assert!(!x.is_finite() || found.to_bits() == x.to_f32().to_bits(), "{x:?}");
            }
        }
    }

    #[test]
    fn short_numbers_are_those_of_any_machine() {
        for x in &numbers() {
            let (mut found, mut expected) = ([0; LANES / 2], [0; LANES / 2]);
            Neon::load(x).store_bf16(&mut found);
            Portable::load(x).store_bf16(&mut expected);
            assert_eq!(found, expected, "{x:?}");
        }
        for first in (0..=255 - 15u8).step_by(15) {
            let x = std::array::from_fn(|i| f32::from(first + i as u8));
            let (mut found, mut expected) = ([0; LANES / 4], [0; LANES / 4]);
            Neon::load(&x).store_u8(&mut found);
            Portable::load(&x).store_u8(&mut expected);
            assert_eq!(found, expected, "{x:?}");
        }
    }

    #[test]
    fn operations_are_those_of_any_machine() {
        let numbers = numbers();
        let some = [1.5, -2.25, 0.0, 3.0].repeat(LANES / 4);
        let (&b, _) = some.split_first_chunk().expect("sixteen");
        for x in &numbers {
            macro_rules! check {
                ($operation:ident) => {
                    assert_same(
                        stored(Neon::load(x).$operation(Neon::load(&b))),
                        stored(Portable::load(x).$operation(Portable::load(&b))),
                        x,
                    )
                };
            }
            check!(add);
            check!(sub);
            check!(mul);
            check!(div);
            check!(max);
            check!(min);
            let (found, expected) = (Neon::load(x), Portable::load(x));
            let found = found.if_positive(Neon::splat(2.0), Neon::load(&b));
            let expected = expected.if_positive(Portable::splat(2.0), Portable::load(&b));
            assert_same(stored(found), stored(expected), x);
            let exact = std::array::from_fn(|i| x[i].mul_add(b[i], -1.0));
            let found = Neon::load(x).mul_add(Neon::load(&b), Neon::splat(-1.0));
            assert_same(stored(found), exact, x);
        }
        for n in -126..=127 {
            assert_eq!(stored(Neon::splat(n as f32).exp2_whole())[5], (n as f32).exp2());
        }
        for halves in -9..=9 {
            let x = halves as f32 * 0.5;
            assert_eq!(stored(Neon::splat(x).round())[9], x.round_ties_even());
        }
    }
}
