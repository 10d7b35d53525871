//! Peak arithmetic: multiply-adds on registers alone, with enough independent sums to hide their
//! latency, on the widest vectors that the CPU has.

use std::hint::black_box;

use super::arithmetic::Arithmetic;
use super::in_parallel;

/// Independent sums: two units with a latency of four or five need at least ten.
const SUMS: usize = 16;

/// Steps per measurement, some 100 ms: a system gives short work more than its share.
const STEPS: u64 = 40_000_000;

/// Does a number of steps and returns something, so that they are not optimised away.
type Loop = unsafe fn(u64) -> f32;

/// What this CPU does best in a precision.
#[derive(Clone, Copy)]
pub struct Peak {
    /// Instruction that is counted, for people.
    pub instruction: &'static str,
    /// Operations per step of the loop: a multiplication and an addition count as two.
    operations: f64,
    work: Loop,
}

impl Peak {
    /// The fastest loop for `arithmetic` on this CPU. One that lacks instructions for a precision
    /// computes it in 32-bit floating point.
    pub fn new(arithmetic: Arithmetic) -> Self {
        let lanes = |lanes: usize| (2 * lanes * SUMS) as f64;
        #[cfg(target_arch = "x86_64")]
        {
            use std::arch::is_x86_feature_detected as has;
            let wide = has!("avx512f");
            match arithmetic {
                Arithmetic::Int8 if wide && has!("avx512vnni") => {
                    let instruction = "AVX-512 vpdpbusd";
                    return Self { instruction, operations: lanes(64), work: x86::vpdpbusd };
                }
                Arithmetic::Int8 if has!("avx2") => {
                    let instruction = "AVX2 vpmaddubsw, vpmaddwd, vpaddd";
                    return Self { instruction, operations: lanes(32), work: x86::vpmaddubsw };
                }
                Arithmetic::Bf16 if wide && has!("avx512bf16") => {
                    let instruction = "AVX-512 vdpbf16ps";
                    return Self { instruction, operations: lanes(32), work: x86::vdpbf16ps };
                }
                _ if wide => {
                    let instruction = "AVX-512 vfmadd";
                    return Self { instruction, operations: lanes(16), work: x86::vfmadd512 };
                }
                _ if has!("avx2") && has!("fma") => {
                    let instruction = "AVX2 vfmadd";
                    return Self { instruction, operations: lanes(8), work: x86::vfmadd256 };
                }
                _ => {}
            }
        }
        // Elsewhere, there is one loop for all precisions.
        #[cfg(not(target_arch = "x86_64"))]
        let _ = arithmetic;
        #[cfg(target_arch = "aarch64")]
        return Self { instruction: "NEON fmla", operations: lanes(4), work: aarch64::fmla };
        #[cfg(not(target_arch = "aarch64"))]
        Self { instruction: "portable", operations: lanes(4), work: portable }
    }

    /// Operations per second of `threads` threads together, measured once.
    pub fn measure(&self, threads: usize) -> f64 {
        let time = in_parallel(threads, |_| {
            // SAFETY: `new` chose a loop whose instructions this CPU has.
            black_box(unsafe { (self.work)(STEPS) });
        });
        self.operations * STEPS as f64 * threads as f64 / time.as_secs_f64()
    }
}

/// Four lanes that every 64-bit machine has.
#[cfg(not(target_arch = "aarch64"))]
fn portable(steps: u64) -> f32 {
    let (x, y) = black_box(([0.5f32; 4], [1e-9f32; 4]));
    let mut sums = [[0.0f32; 4]; SUMS];
    for _ in 0..steps {
        for sum in &mut sums {
            for ((sum, x), y) in sum.iter_mut().zip(&x).zip(&y) {
                *sum += x * y;
            }
        }
        // The products are the same each time, which the compiler must not know.
        black_box(&mut sums);
    }
    sums.iter().flatten().sum()
}

#[cfg(target_arch = "aarch64")]
mod aarch64 {
    use std::arch::aarch64::*;
    use std::hint::black_box;

    use super::SUMS;

    #[target_feature(enable = "neon")]
    pub fn fmla(steps: u64) -> f32 {
        let (x, y) = black_box((vdupq_n_f32(0.5), vdupq_n_f32(1e-9)));
        let mut sums = [vdupq_n_f32(0.0); SUMS];
        for _ in 0..steps {
            for sum in &mut sums {
                *sum = vfmaq_f32(*sum, x, y);
            }
        }
        sums.into_iter().map(|sum| vaddvq_f32(sum)).sum()
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;
    use std::hint::black_box;

    use super::SUMS;

    #[target_feature(enable = "avx512f")]
    pub fn vfmadd512(steps: u64) -> f32 {
        let (x, y) = black_box((_mm512_set1_ps(0.5), _mm512_set1_ps(1e-9)));
        let mut sums = [_mm512_setzero_ps(); SUMS];
        for _ in 0..steps {
            for sum in &mut sums {
                *sum = _mm512_fmadd_ps(x, y, *sum);
            }
        }
        sums.into_iter().map(|sum| _mm512_reduce_add_ps(sum)).sum()
    }

    #[target_feature(enable = "avx512f,avx512bf16")]
    pub fn vdpbf16ps(steps: u64) -> f32 {
        let (x, y) = black_box((_mm512_set1_ps(0.5), _mm512_set1_ps(1e-9)));
        let (x, y) = (_mm512_cvtne2ps_pbh(x, x), _mm512_cvtne2ps_pbh(y, y));
        let mut sums = [_mm512_setzero_ps(); SUMS];
        for _ in 0..steps {
            for sum in &mut sums {
                *sum = _mm512_dpbf16_ps(*sum, x, y);
            }
        }
        sums.into_iter().map(|sum| _mm512_reduce_add_ps(sum)).sum()
    }

    #[target_feature(enable = "avx512f,avx512vnni")]
    pub fn vpdpbusd(steps: u64) -> f32 {
        let (x, y) = black_box((_mm512_set1_epi8(3), _mm512_set1_epi8(-2)));
        let mut sums = [_mm512_setzero_si512(); SUMS];
        for _ in 0..steps {
            for sum in &mut sums {
                *sum = _mm512_dpbusd_epi32(*sum, x, y);
            }
        }
        sums.into_iter().map(|sum| _mm512_reduce_add_epi32(sum) as f32).sum()
    }

    #[target_feature(enable = "avx2,fma")]
    pub fn vfmadd256(steps: u64) -> f32 {
        let (x, y) = black_box((_mm256_set1_ps(0.5), _mm256_set1_ps(1e-9)));
        // Twelve sums and the operands are what fits sixteen registers; the others take turns.
        let mut sums = [_mm256_setzero_ps(); SUMS / 2];
        for _ in 0..2 * steps {
            for sum in &mut sums {
                *sum = _mm256_fmadd_ps(x, y, *sum);
            }
        }
        sums.into_iter().map(|sum| _mm256_cvtss_f32(sum)).sum()
    }

    #[target_feature(enable = "avx2")]
    pub fn vpmaddubsw(steps: u64) -> f32 {
        let (mut x, y) = black_box((_mm256_set1_epi8(3), _mm256_set1_epi8(-2)));
        let ones = _mm256_set1_epi16(1);
        let mut sums = [_mm256_setzero_si256(); SUMS / 2];
        for _ in 0..2 * steps {
            // Products of constants would be computed once.
            x = black_box(x);
            for sum in &mut sums {
                let pairs = _mm256_maddubs_epi16(x, y);
                *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(pairs, ones));
            }
        }
        sums.into_iter().map(|sum| _mm256_extract_epi32::<0>(sum) as f32).sum()
    }
}
