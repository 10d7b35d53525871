//! The tile kernel on AVX2 + FMA + F16C.

use std::arch::x86_64::*;

use half::f16;

use super::gradient::{self, Pass};
use super::head::{self, HeadScratch};
use super::lanes::{LANES, Lanes, Portable, Single};
use super::packed::PackedLayer;
use super::product::{self, Bias, InstructionSet, Prefetch, Rows};
use super::products::gather;
use super::stage::Corners;
use super::{Scratch, stage, tile};
use crate::model::GridData;
use crate::model::spec::Activation;

/// Whether this machine has the instructions.
pub fn is_supported() -> bool {
    is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("fma")
        && is_x86_feature_detected!("f16c")
}

/// [`stage::stage`] compiled for these instructions.
pub fn stage(job: &stage::Job<'_>, staged: &mut stage::Staged) {
    // SAFETY: an `Engine` for this kernel exists only where `is_supported`.
    unsafe { stage_with_features(job, staged) }
}

#[target_feature(enable = "avx2,fma,f16c")]
fn stage_with_features(job: &stage::Job<'_>, staged: &mut stage::Staged) {
    stage::stage(job, staged);
}

/// [`tile::evaluate`] compiled for these instructions.
pub fn evaluate(job: &tile::Job<'_>, scratch: &mut Scratch, values: &mut [f64]) {
    // SAFETY: an `Engine` for this kernel exists only where `is_supported`.
    unsafe { evaluate_with_features(job, scratch, values) }
}

#[target_feature(enable = "avx2,fma,f16c")]
fn evaluate_with_features(job: &tile::Job<'_>, scratch: &mut Scratch, values: &mut [f64]) {
    tile::evaluate::<Avx2>(job, scratch, values);
}

/// [`gradient::tile::run`] compiled for these instructions.
pub fn derive(pass: Pass<'_, '_>) {
    // SAFETY: an `Engine` for this kernel exists only where `is_supported`.
    unsafe { derive_with_features(pass) }
}

#[target_feature(enable = "avx2,fma,f16c")]
fn derive_with_features(pass: Pass<'_, '_>) {
    gradient::tile::run::<Avx2>(pass);
}

/// [`head::evaluate`] compiled for these instructions.
pub fn colours(job: &head::Job<'_>, scratch: &mut HeadScratch, colours: &mut [f64]) {
    // SAFETY: an `Engine` for this kernel exists only where `is_supported`.
    unsafe { colours_with_features(job, scratch, colours) }
}

#[target_feature(enable = "avx2,fma,f16c")]
fn colours_with_features(job: &head::Job<'_>, scratch: &mut HeadScratch, colours: &mut [f64]) {
    head::evaluate::<Avx2>(job, scratch, colours);
}

/// Private to this module: exists only inside the functions above, that is, where the
/// instructions do.
#[derive(Clone, Copy)]
struct Avx2([__m256; 2]);

impl InstructionSet for Avx2 {
    type Lanes = Self;

    #[inline(always)]
    fn dense(
        layer: &PackedLayer,
        activation: Activation,
        bias: Bias<'_>,
        x: &Rows<'_>,
        y: &mut Rows<'_>,
        prefetch: &mut Prefetch<'_>,
    ) {
        // SAFETY: see `Avx2`.
        unsafe { dense_with_features(layer, activation, bias, x, y, prefetch) }
    }

    #[inline(always)]
    fn interpolate(at: &Corners, data: GridData<'_>, i: usize, features: &mut [f32]) {
        // SAFETY: see `Avx2`.
        unsafe { interpolate_with_features(at, data, i, features) }
    }
}

#[target_feature(enable = "avx2,fma,f16c")]
fn interpolate_with_features(at: &Corners, data: GridData<'_>, i: usize, features: &mut [f32]) {
    gather::interpolate::<Avx2>(at, data, i, features);
}

#[target_feature(enable = "avx2,fma,f16c")]
fn dense_with_features(
    layer: &PackedLayer,
    activation: Activation,
    bias: Bias<'_>,
    x: &Rows<'_>,
    y: &mut Rows<'_>,
    prefetch: &mut Prefetch<'_>,
) {
    product::dense::<Single<Avx2>>(layer, activation, bias, x, y, prefetch);
}

/// An operation on both halves. No closures: they would be compiled without the instructions.
macro_rules! both {
    ($operation:ident($($argument:expr),+)) => {
        // SAFETY: see `Avx2`.
        Avx2(unsafe { [$operation($($argument.0[0]),+), $operation($($argument.0[1]),+)] })
    };
}

impl Lanes for Avx2 {
    const VECTORS: usize = 1;

    #[inline(always)]
    fn splat(x: f32) -> Self {
        // SAFETY: see `Avx2`.
        Self([unsafe { _mm256_set1_ps(x) }; 2])
    }

    #[inline(always)]
    fn load(x: &[f32; LANES]) -> Self {
        let x = x.as_ptr();
        // SAFETY: see `Avx2`; sixteen numbers are there.
        Self(unsafe { [_mm256_loadu_ps(x), _mm256_loadu_ps(x.add(8))] })
    }

    #[inline(always)]
    fn load_bits(x: &[u32; LANES]) -> Self {
        let x = x.as_ptr().cast::<f32>();
        // SAFETY: see `Avx2`; sixteen numbers are there.
        Self(unsafe { [_mm256_loadu_ps(x), _mm256_loadu_ps(x.add(8))] })
    }

    #[inline(always)]
    fn load_f16(x: &[f16; LANES]) -> Self {
        let x = x.as_ptr().cast::<__m128i>();
        // SAFETY: see `Avx2`; sixteen numbers are there.
        Self(unsafe {
            [_mm256_cvtph_ps(_mm_loadu_si128(x)), _mm256_cvtph_ps(_mm_loadu_si128(x.add(1)))]
        })
    }

    #[inline(always)]
    fn load_i8(x: &[i8; LANES]) -> Self {
        // SAFETY: see `Avx2`; sixteen numbers are there.
        Self(unsafe {
            let all = _mm_loadu_si128(x.as_ptr().cast());
            [
                _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(all)),
                _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_srli_si128::<8>(all))),
            ]
        })
    }

    #[inline(always)]
    fn store(self, x: &mut [f32; LANES]) {
        let x = x.as_mut_ptr();
        // SAFETY: see `Avx2`; there is room for sixteen numbers.
        unsafe {
            _mm256_storeu_ps(x, self.0[0]);
            _mm256_storeu_ps(x.add(8), self.0[1]);
        }
    }

    #[inline(always)]
    fn store_bits(self, x: &mut [u32; LANES]) {
        let x = x.as_mut_ptr().cast::<f32>();
        // SAFETY: see `Avx2`; there is room for sixteen numbers.
        unsafe {
            _mm256_storeu_ps(x, self.0[0]);
            _mm256_storeu_ps(x.add(8), self.0[1]);
        }
    }

    #[inline(always)]
    fn store_bf16(self, x: &mut [u32; LANES / 2]) {
        let mut all = [0.0; LANES];
        self.store(&mut all);
        Portable::load(&all).store_bf16(x);
    }

    #[inline(always)]
    fn store_u8(self, x: &mut [u32; LANES / 4]) {
        let mut all = [0.0; LANES];
        self.store(&mut all);
        Portable::load(&all).store_u8(x);
    }

    #[inline(always)]
    fn mul_add(self, a: Self, b: Self) -> Self {
        both!(_mm256_fmadd_ps(self, a, b))
    }

    #[inline(always)]
    fn add(self, b: Self) -> Self {
        both!(_mm256_add_ps(self, b))
    }

    #[inline(always)]
    fn sub(self, b: Self) -> Self {
        both!(_mm256_sub_ps(self, b))
    }

    #[inline(always)]
    fn mul(self, b: Self) -> Self {
        both!(_mm256_mul_ps(self, b))
    }

    #[inline(always)]
    fn div(self, b: Self) -> Self {
        both!(_mm256_div_ps(self, b))
    }

    #[inline(always)]
    fn max(self, b: Self) -> Self {
        // The second operand is the result where one is NaN.
        both!(_mm256_max_ps(b, self))
    }

    #[inline(always)]
    fn min(self, b: Self) -> Self {
        // The second operand is the result where one is NaN.
        both!(_mm256_min_ps(b, self))
    }

    #[inline(always)]
    fn if_positive(self, a: Self, b: Self) -> Self {
        let zero = Self::splat(0.0);
        let positive = both!(greater(self, zero));
        both!(_mm256_blendv_ps(b, a, positive))
    }

    #[inline(always)]
    fn exp2_whole(self) -> Self {
        both!(exp2_whole(self))
    }

    #[inline(always)]
    fn sum(self) -> f32 {
        let mut all = [0.0; LANES];
        self.store(&mut all);
        Portable::load(&all).sum()
    }

    #[inline(always)]
    fn prefetch(address: *const u8) {
        // SAFETY: a hint: any address may be given.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(address.cast()) }
    }
}

/// # Safety
/// See [`Avx2`].
#[inline(always)]
unsafe fn greater(a: __m256, b: __m256) -> __m256 {
    // SAFETY: the caller's promise.
    unsafe { _mm256_cmp_ps::<_CMP_GT_OQ>(a, b) }
}

/// # Safety
/// See [`Avx2`].
#[inline(always)]
unsafe fn exp2_whole(n: __m256) -> __m256 {
    // SAFETY: the caller's promise.
    unsafe {
        let exponent = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
        _mm256_castsi256_ps(_mm256_slli_epi32::<23>(exponent))
    }
}
