//! The tile kernel on AVX-512, alone and with its extensions for bfloat16 and 8-bit integers.

use std::arch::x86_64::*;

use half::f16;

use super::gradient::{self, Pass};
use super::head::{self, HeadScratch};
use super::lanes::{LANES, Lanes, Product, Single};
use super::packed::{Arithmetic, PackedLayer};
use super::product::{self, Bias, InstructionSet, Prefetch, Rows};
use super::products::gather;
use super::stage::Corners;
use super::{Scratch, stage, tile};
use crate::model::GridData;
use crate::model::spec::Activation;

/// Whether this machine has AVX-512 as of 2017 (F, BW, DQ, VL).
pub fn is_supported() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("fma")
        && is_x86_feature_detected!("f16c")
}

/// Whether it also multiplies bfloat16 and 8-bit integers.
pub fn has_short_products() -> bool {
    is_supported()
        && is_x86_feature_detected!("avx512bf16")
        && is_x86_feature_detected!("avx512vnni")
}

/// [`stage::stage`] compiled for these instructions.
pub fn stage(job: &stage::Job<'_>, staged: &mut stage::Staged) {
    // SAFETY: an `Engine` for this kernel exists only where `is_supported`.
    unsafe { stage_with_features(job, staged) }
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,fma,f16c")]
fn stage_with_features(job: &stage::Job<'_>, staged: &mut stage::Staged) {
    stage::stage(job, staged);
}

/// [`tile::evaluate`] in 32 bits.
pub fn evaluate(job: &tile::Job<'_>, scratch: &mut Scratch, values: &mut [f64]) {
    // SAFETY: an `Engine` for this kernel exists only where `is_supported`.
    unsafe { evaluate_single(job, scratch, values) }
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,fma,f16c")]
fn evaluate_single(job: &tile::Job<'_>, scratch: &mut Scratch, values: &mut [f64]) {
    tile::evaluate::<Avx512<false>>(job, scratch, values);
}

/// [`tile::evaluate`] with each layer in its own precision.
pub fn evaluate_short(job: &tile::Job<'_>, scratch: &mut Scratch, values: &mut [f64]) {
    // SAFETY: an `Engine` for this kernel exists only where `has_short_products`.
    unsafe { evaluate_mixed(job, scratch, values) }
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx512vnni,fma,f16c")]
fn evaluate_mixed(job: &tile::Job<'_>, scratch: &mut Scratch, values: &mut [f64]) {
    tile::evaluate::<Avx512<true>>(job, scratch, values);
}

/// [`gradient::tile::run`] in 32 bits.
pub fn derive(pass: Pass<'_, '_>) {
    // SAFETY: an `Engine` for this kernel exists only where `is_supported`.
    unsafe { derive_single(pass) }
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,fma,f16c")]
fn derive_single(pass: Pass<'_, '_>) {
    gradient::tile::run::<Avx512<false>>(pass);
}

/// [`gradient::tile::run`] forward with each layer in its own precision.
pub fn derive_short(pass: Pass<'_, '_>) {
    // SAFETY: an `Engine` for this kernel exists only where `has_short_products`.
    unsafe { derive_mixed(pass) }
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx512vnni,fma,f16c")]
fn derive_mixed(pass: Pass<'_, '_>) {
    gradient::tile::run::<Avx512<true>>(pass);
}

/// [`head::evaluate`] in 32 bits.
pub fn colours(job: &head::Job<'_>, scratch: &mut HeadScratch, colours: &mut [f64]) {
    // SAFETY: an `Engine` for this kernel exists only where `is_supported`.
    unsafe { colours_single(job, scratch, colours) }
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,fma,f16c")]
fn colours_single(job: &head::Job<'_>, scratch: &mut HeadScratch, colours: &mut [f64]) {
    head::evaluate::<Avx512<false>>(job, scratch, colours);
}

/// [`head::evaluate`] with each layer in its own precision.
pub fn colours_short(job: &head::Job<'_>, scratch: &mut HeadScratch, colours: &mut [f64]) {
    // SAFETY: an `Engine` for this kernel exists only where `has_short_products`.
    unsafe { colours_mixed(job, scratch, colours) }
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx512vnni,fma,f16c")]
fn colours_mixed(job: &head::Job<'_>, scratch: &mut HeadScratch, colours: &mut [f64]) {
    head::evaluate::<Avx512<true>>(job, scratch, colours);
}

/// Private to this module, as all types here: they exist only inside the functions above, that
/// is, where the instructions do; `SHORT` with BF16 and VNNI.
#[derive(Clone, Copy)]
struct Avx512<const SHORT: bool>(__m512);

impl InstructionSet for Avx512<false> {
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
        // SAFETY: see `Avx512`.
        unsafe { dense_single(layer, activation, bias, x, y, prefetch) }
    }

    #[inline(always)]
    fn interpolate(at: &Corners, data: GridData<'_>, i: usize, features: &mut [f32]) {
        // SAFETY: see `Avx512`.
        unsafe { interpolate_single(at, data, i, features) }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,fma,f16c")]
fn interpolate_single(at: &Corners, data: GridData<'_>, i: usize, features: &mut [f32]) {
    gather::interpolate::<Avx512<false>>(at, data, i, features);
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,fma,f16c")]
fn dense_single(
    layer: &PackedLayer,
    activation: Activation,
    bias: Bias<'_>,
    x: &Rows<'_>,
    y: &mut Rows<'_>,
    prefetch: &mut Prefetch<'_>,
) {
    product::dense::<Single<Avx512<false>>>(layer, activation, bias, x, y, prefetch);
}

impl InstructionSet for Avx512<true> {
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
        // SAFETY: see `Avx512`.
        unsafe { dense_mixed(layer, activation, bias, x, y, prefetch) }
    }

    #[inline(always)]
    fn interpolate(at: &Corners, data: GridData<'_>, i: usize, features: &mut [f32]) {
        // SAFETY: see `Avx512`.
        unsafe { interpolate_mixed(at, data, i, features) }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx512vnni,fma,f16c")]
fn interpolate_mixed(at: &Corners, data: GridData<'_>, i: usize, features: &mut [f32]) {
    gather::interpolate::<Avx512<true>>(at, data, i, features);
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx512vnni,fma,f16c")]
fn dense_mixed(
    layer: &PackedLayer,
    activation: Activation,
    bias: Bias<'_>,
    x: &Rows<'_>,
    y: &mut Rows<'_>,
    prefetch: &mut Prefetch<'_>,
) {
    match layer.arithmetic() {
        Arithmetic::Single => {
            product::dense::<Single<Avx512<true>>>(layer, activation, bias, x, y, prefetch);
        }
        Arithmetic::Bf16 => product::dense::<Bf16>(layer, activation, bias, x, y, prefetch),
        Arithmetic::Int8 => product::dense::<Int8>(layer, activation, bias, x, y, prefetch),
    }
}

impl<const SHORT: bool> Lanes for Avx512<SHORT> {
    /// Of 32 registers, 6 points take 24, the weights 4 and the inputs what is left.
    const VECTORS: usize = 4;

    #[inline(always)]
    fn splat(x: f32) -> Self {
        // SAFETY: see `Avx512`.
        Self(unsafe { _mm512_set1_ps(x) })
    }

    #[inline(always)]
    fn load(x: &[f32; LANES]) -> Self {
        // SAFETY: see `Avx512`; sixteen numbers are there.
        Self(unsafe { _mm512_loadu_ps(x.as_ptr()) })
    }

    #[inline(always)]
    fn load_bits(x: &[u32; LANES]) -> Self {
        // SAFETY: see `Avx512`; sixteen numbers are there.
        Self(unsafe { _mm512_loadu_ps(x.as_ptr().cast()) })
    }

    #[inline(always)]
    fn load_f16(x: &[f16; LANES]) -> Self {
        // SAFETY: see `Avx512`; sixteen numbers are there.
        Self(unsafe { _mm512_cvtph_ps(_mm256_loadu_si256(x.as_ptr().cast())) })
    }

    #[inline(always)]
    fn load_i8(x: &[i8; LANES]) -> Self {
        // SAFETY: see `Avx512`; sixteen numbers are there.
        Self(unsafe {
            _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(x.as_ptr().cast())))
        })
    }

    #[inline(always)]
    fn load_some(x: &[f32]) -> Self {
        // SAFETY: see `Avx512`; only lanes below `x.len()` are read.
        Self(unsafe { _mm512_maskz_loadu_ps(first(x), x.as_ptr()) })
    }

    #[inline(always)]
    fn load_some_f16(x: &[f16]) -> Self {
        // SAFETY: see `Avx512`; only lanes below `x.len()` are read.
        Self(unsafe { _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(first(x), x.as_ptr().cast())) })
    }

    #[inline(always)]
    fn load_some_i8(x: &[i8]) -> Self {
        // SAFETY: see `Avx512`; only lanes below `x.len()` are read.
        Self(unsafe {
            let bytes = _mm_maskz_loadu_epi8(first(x), x.as_ptr());
            _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(bytes))
        })
    }

    #[inline(always)]
    fn store(self, x: &mut [f32; LANES]) {
        // SAFETY: see `Avx512`; there is room for sixteen numbers.
        unsafe { _mm512_storeu_ps(x.as_mut_ptr(), self.0) }
    }

    #[inline(always)]
    fn store_bits(self, x: &mut [u32; LANES]) {
        // SAFETY: see `Avx512`; there is room for sixteen words.
        unsafe { _mm512_storeu_ps(x.as_mut_ptr().cast(), self.0) }
    }

    #[inline(always)]
    fn store_bf16(self, x: &mut [u32; LANES / 2]) {
        // SAFETY: see `Avx512`; there is room for eight words. `SHORT` is only where BF16 is.
        unsafe {
            if SHORT {
                let short = _mm512_cvtneps_pbh(self.0);
                return x.as_mut_ptr().cast::<__m256bh>().write_unaligned(short);
            }
            // The same without that extension: NaN stays NaN, the rest is rounded to even by
            // adding just under half.
            let bits = _mm512_castps_si512(self.0);
            let even = _mm512_and_si512(_mm512_srli_epi32::<16>(bits), _mm512_set1_epi32(1));
            let half = _mm512_add_epi32(even, _mm512_set1_epi32(0x7fff));
            let nan = _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(self.0, self.0);
            let quiet = _mm512_set1_epi32(0x0040_0000);
            let rounded = _mm512_add_epi32(bits, half);
            let rounded = _mm512_mask_or_epi32(rounded, nan, bits, quiet);
            let short = _mm512_cvtepi32_epi16(_mm512_srli_epi32::<16>(rounded));
            _mm256_storeu_si256(x.as_mut_ptr().cast(), short);
        }
    }

    #[inline(always)]
    fn store_u8(self, x: &mut [u32; LANES / 4]) {
        // SAFETY: see `Avx512`; there is room for four words.
        unsafe {
            let bytes = _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(self.0));
            _mm_storeu_si128(x.as_mut_ptr().cast(), bytes);
        }
    }

    #[inline(always)]
    fn mul_add(self, a: Self, b: Self) -> Self {
        // SAFETY: see `Avx512`.
        Self(unsafe { _mm512_fmadd_ps(self.0, a.0, b.0) })
    }

    #[inline(always)]
    fn add(self, b: Self) -> Self {
        // SAFETY: see `Avx512`.
        Self(unsafe { _mm512_add_ps(self.0, b.0) })
    }

    #[inline(always)]
    fn sub(self, b: Self) -> Self {
        // SAFETY: see `Avx512`.
        Self(unsafe { _mm512_sub_ps(self.0, b.0) })
    }

    #[inline(always)]
    fn mul(self, b: Self) -> Self {
        // SAFETY: see `Avx512`.
        Self(unsafe { _mm512_mul_ps(self.0, b.0) })
    }

    #[inline(always)]
    fn div(self, b: Self) -> Self {
        // SAFETY: see `Avx512`.
        Self(unsafe { _mm512_div_ps(self.0, b.0) })
    }

    #[inline(always)]
    fn max(self, b: Self) -> Self {
        // SAFETY: see `Avx512`. The second operand is the result where one is NaN.
        Self(unsafe { _mm512_max_ps(b.0, self.0) })
    }

    #[inline(always)]
    fn min(self, b: Self) -> Self {
        // SAFETY: see `Avx512`. The second operand is the result where one is NaN.
        Self(unsafe { _mm512_min_ps(b.0, self.0) })
    }

    #[inline(always)]
    fn if_positive(self, a: Self, b: Self) -> Self {
        // SAFETY: see `Avx512`.
        Self(unsafe {
            let positive = _mm512_cmp_ps_mask::<_CMP_GT_OQ>(self.0, _mm512_setzero_ps());
            _mm512_mask_blend_ps(positive, b.0, a.0)
        })
    }

    #[inline(always)]
    fn exp2_whole(self) -> Self {
        // SAFETY: see `Avx512`.
        Self(unsafe { _mm512_scalef_ps(_mm512_set1_ps(1.0), self.0) })
    }

    #[inline(always)]
    fn sum(self) -> f32 {
        // SAFETY: see `Avx512`.
        unsafe { _mm512_reduce_add_ps(self.0) }
    }

    #[inline(always)]
    fn prefetch(address: *const u8) {
        // SAFETY: a hint: any address may be given.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(address.cast()) }
    }
}

/// The mask of as many lanes as `x` has elements, fewer than sixteen.
#[inline(always)]
fn first<T>(x: &[T]) -> __mmask16 {
    debug_assert!(x.len() < LANES);
    (1u16 << (x.len() % LANES)) - 1
}

/// Pairs of bfloat16, summed in 32 bits.
struct Bf16;

impl Product for Bf16 {
    type Lanes = Avx512<true>;
    type Sums = __m512;
    type Words = __m512i;

    const SCALED: bool = false;

    #[inline(always)]
    fn start(bias: &[f32; LANES]) -> __m512 {
        // SAFETY: see `Avx512`; sixteen numbers are there.
        unsafe { _mm512_loadu_ps(bias.as_ptr()) }
    }

    #[inline(always)]
    fn splat(x: u32) -> __m512i {
        // SAFETY: see `Avx512`.
        unsafe { _mm512_set1_epi32(x.cast_signed()) }
    }

    #[inline(always)]
    fn load(x: &[u32; LANES]) -> __m512i {
        // SAFETY: see `Avx512`; sixteen words are there.
        unsafe { _mm512_loadu_si512(x.as_ptr().cast()) }
    }

    #[inline(always)]
    fn dot(sums: __m512, inputs: __m512i, weights: __m512i) -> __m512 {
        // SAFETY: see `Avx512`; both types are 512 bits of anything.
        unsafe {
            let inputs = std::mem::transmute::<__m512i, __m512bh>(inputs);
            let weights = std::mem::transmute::<__m512i, __m512bh>(weights);
            _mm512_dpbf16_ps(sums, inputs, weights)
        }
    }

    #[inline(always)]
    fn lanes(sums: __m512) -> Avx512<true> {
        Avx512(sums)
    }
}

/// Four unsigned inputs and four signed weights of 8 bits, summed in 32-bit integers.
struct Int8;

impl Product for Int8 {
    type Lanes = Avx512<true>;
    type Sums = __m512i;
    type Words = __m512i;

    const SCALED: bool = true;

    #[inline(always)]
    fn start(_bias: &[f32; LANES]) -> __m512i {
        // SAFETY: see `Avx512`.
        unsafe { _mm512_setzero_si512() }
    }

    #[inline(always)]
    fn splat(x: u32) -> __m512i {
        Bf16::splat(x)
    }

    #[inline(always)]
    fn load(x: &[u32; LANES]) -> __m512i {
        Bf16::load(x)
    }

    #[inline(always)]
    fn dot(sums: __m512i, inputs: __m512i, weights: __m512i) -> __m512i {
        // SAFETY: see `Avx512`.
        unsafe { _mm512_dpbusd_epi32(sums, inputs, weights) }
    }

    #[inline(always)]
    fn lanes(sums: __m512i) -> Avx512<true> {
        // SAFETY: see `Avx512`.
        Avx512(unsafe { _mm512_cvtepi32_ps(sums) })
    }
}
