//! The tile kernel on AVX2 + FMA + F16C.

use std::arch::x86_64::*;

use half::f16;

use super::lanes::{LANES, Lanes};
use super::{Scratch, tile};

/// Whether this machine has the instructions.
pub fn is_supported() -> bool {
    is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("fma")
        && is_x86_feature_detected!("f16c")
}

/// [`tile::evaluate`] compiled for these instructions.
pub fn evaluate(job: &tile::Job<'_>, scratch: &mut Scratch, values: &mut [f64]) {
    // SAFETY: an `Engine` for this kernel exists only where `is_supported`.
    unsafe { with_features(job, scratch, values) }
}

#[target_feature(enable = "avx2,fma,f16c")]
fn with_features(job: &tile::Job<'_>, scratch: &mut Scratch, values: &mut [f64]) {
    tile::evaluate::<Avx2>(job, scratch, values);
}

/// Private to this module: exists only inside `with_features`, that is, where the instructions do.
#[derive(Clone, Copy)]
struct Avx2(__m256);

impl Lanes for Avx2 {
    #[inline(always)]
    fn splat(x: f32) -> Self {
        // SAFETY: see `Avx2`.
        Self(unsafe { _mm256_set1_ps(x) })
    }

    #[inline(always)]
    fn load(x: &[f32; LANES]) -> Self {
        // SAFETY: see `Avx2`; eight numbers are there.
        Self(unsafe { _mm256_loadu_ps(x.as_ptr()) })
    }

    #[inline(always)]
    fn load_f16(x: &[f16; LANES]) -> Self {
        // SAFETY: see `Avx2`; eight numbers are there.
        Self(unsafe { _mm256_cvtph_ps(_mm_loadu_si128(x.as_ptr().cast())) })
    }

    #[inline(always)]
    fn store(self, x: &mut [f32; LANES]) {
        // SAFETY: see `Avx2`; there is room for eight numbers.
        unsafe { _mm256_storeu_ps(x.as_mut_ptr(), self.0) }
    }

    #[inline(always)]
    fn mul_add(self, a: Self, b: Self) -> Self {
        // SAFETY: see `Avx2`.
        Self(unsafe { _mm256_fmadd_ps(self.0, a.0, b.0) })
    }
}
