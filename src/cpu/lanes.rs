//! Sixteen numbers at once: the vector operations that the tile kernel is written in.

use half::f16;

/// Numbers per vector, whatever registers an instruction set makes of it.
pub const LANES: usize = 16;

/// Sixteen 32-bit words on a cache line: packed weights.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(C, align(64))]
pub struct Words(pub [u32; LANES]);

/// A vector of sixteen 32-bit numbers on some instruction set.
///
/// Every operation does the same for each lane wherever it stands, so that results do not depend
/// on the position in a tile.
pub trait Lanes: Copy {
    /// Vectors of outputs that a block of the matrix product computes at once: as many as the
    /// registers hold for several points.
    const VECTORS: usize;

    /// All lanes `x`.
    fn splat(x: f32) -> Self;
    /// From memory, any alignment.
    fn load(x: &[f32; LANES]) -> Self;
    /// From the bits of numbers in memory, any alignment.
    fn load_bits(x: &[u32; LANES]) -> Self;
    /// From 16-bit numbers in memory, any alignment. Infinite ones may come out finite.
    fn load_f16(x: &[f16; LANES]) -> Self;
    /// From integers in memory, any alignment.
    fn load_i8(x: &[i8; LANES]) -> Self;
    /// To memory, any alignment.
    fn store(self, x: &mut [f32; LANES]);
    /// Its bits to memory, any alignment.
    fn store_bits(self, x: &mut [u32; LANES]);
    /// Rounded to bfloat16, ties to even; the lower lane in the lower half of each word.
    fn store_bf16(self, x: &mut [u32; LANES / 2]);
    /// Whole numbers from 0 to 255, four to a word, the lowest lane in the lowest byte.
    fn store_u8(self, x: &mut [u32; LANES / 4]);
    /// `self * a + b`, rounded once or twice, always in the same way.
    fn mul_add(self, a: Self, b: Self) -> Self;
    /// `self + b`
    fn add(self, b: Self) -> Self;
    /// `self - b`
    fn sub(self, b: Self) -> Self;
    /// `self * b`
    fn mul(self, b: Self) -> Self;
    /// `self / b`
    fn div(self, b: Self) -> Self;
    /// The larger; `self` where that is NaN.
    fn max(self, b: Self) -> Self;
    /// The smaller; `self` where that is NaN.
    fn min(self, b: Self) -> Self;
    /// `a` where `self` is positive, else `b`.
    fn if_positive(self, a: Self, b: Self) -> Self;
    /// 2 to the power of `self`, a whole number from -126 to 127; anything for NaN.
    fn exp2_whole(self) -> Self;
    /// All lanes added up, in a fixed order.
    fn sum(self) -> f32;

    /// The first lanes from memory, zeros behind.
    #[inline(always)]
    fn load_some(x: &[f32]) -> Self {
        Self::load(&padded(x))
    }

    /// As [`Lanes::load_some`], from 16-bit numbers.
    #[inline(always)]
    fn load_some_f16(x: &[f16]) -> Self {
        Self::load_f16(&padded(x))
    }

    /// As [`Lanes::load_some`], from integers.
    #[inline(always)]
    fn load_some_i8(x: &[i8]) -> Self {
        Self::load_i8(&padded(x))
    }

    /// Rounded to a whole number, ties to even; for numbers below 2^22. Adding and subtracting
    /// 1.5 * 2^23 shifts the fraction out.
    #[inline(always)]
    fn round(self) -> Self {
        let shift = Self::splat(12_582_912.0);
        self.add(shift).sub(shift)
    }

    /// Asks for the cache line at `address`, which may be any, to be brought near.
    #[inline(always)]
    fn prefetch(_address: *const u8) {}
}

#[inline(always)]
fn padded<T: Copy + Default>(x: &[T]) -> [T; LANES] {
    let mut all = [T::default(); LANES];
    all[..x.len()].copy_from_slice(x);
    all
}

/// A feature as it is stored.
pub trait Feature: Copy {
    /// Sixteen of them as numbers.
    fn load<L: Lanes>(x: &[Self; LANES]) -> L;
    /// Fewer than sixteen, zeros behind.
    fn load_some<L: Lanes>(x: &[Self]) -> L;
}

impl Feature for f32 {
    #[inline(always)]
    fn load<L: Lanes>(x: &[Self; LANES]) -> L {
        L::load(x)
    }

    #[inline(always)]
    fn load_some<L: Lanes>(x: &[Self]) -> L {
        L::load_some(x)
    }
}

impl Feature for f16 {
    #[inline(always)]
    fn load<L: Lanes>(x: &[Self; LANES]) -> L {
        L::load_f16(x)
    }

    #[inline(always)]
    fn load_some<L: Lanes>(x: &[Self]) -> L {
        L::load_some_f16(x)
    }
}

impl Feature for i8 {
    #[inline(always)]
    fn load<L: Lanes>(x: &[Self; LANES]) -> L {
        L::load_i8(x)
    }

    #[inline(always)]
    fn load_some<L: Lanes>(x: &[Self]) -> L {
        L::load_some_i8(x)
    }
}

/// How weights and inputs are multiplied: words of one or several numbers, sixteen outputs at
/// once.
pub trait Product {
    /// What sums become in the end.
    type Lanes: Lanes;
    /// Sixteen sums.
    type Sums: Copy;
    /// Sixteen words.
    type Words: Copy;

    /// Whether sums must be scaled, and a bias added, after they are numbers.
    const SCALED: bool;

    /// What sums start from: a bias, or zero if they are scaled.
    fn start(bias: &[f32; LANES]) -> Self::Sums;
    /// All words `x`.
    fn splat(x: u32) -> Self::Words;
    /// From memory.
    fn load(x: &[u32; LANES]) -> Self::Words;
    /// Adds, lane by lane, the products of the numbers in words of inputs and weights.
    fn dot(sums: Self::Sums, inputs: Self::Words, weights: Self::Words) -> Self::Sums;
    /// The sums as numbers.
    fn lanes(sums: Self::Sums) -> Self::Lanes;

    /// What the sums of a layer are, once all is added.
    #[inline(always)]
    fn result(sums: Self::Sums, scale: &[f32; LANES], bias: &[f32; LANES]) -> Self::Lanes {
        let sums = Self::lanes(sums);
        if !Self::SCALED {
            return sums;
        }
        sums.mul_add(Self::Lanes::load(scale), Self::Lanes::load(bias))
    }
}

/// The product of 32-bit numbers, on any instruction set.
pub struct Single<L>(L);

impl<L: Lanes> Product for Single<L> {
    type Lanes = L;
    type Sums = L;
    type Words = L;

    const SCALED: bool = false;

    #[inline(always)]
    fn start(bias: &[f32; LANES]) -> L {
        L::load(bias)
    }

    #[inline(always)]
    fn splat(x: u32) -> L {
        L::splat(f32::from_bits(x))
    }

    #[inline(always)]
    fn load(x: &[u32; LANES]) -> L {
        L::load_bits(x)
    }

    #[inline(always)]
    fn dot(sums: L, inputs: L, weights: L) -> L {
        inputs.mul_add(weights, sums)
    }

    #[inline(always)]
    fn lanes(sums: L) -> L {
        sums
    }
}

/// Any machine: the compiler makes of it what the target's baseline has.
#[derive(Clone, Copy)]
pub struct Portable([f32; LANES]);

/// Lane by lane. A plain loop: the closures of `map` and `from_fn` are not always inlined.
macro_rules! each {
    ($i:ident => $result:expr) => {{
        let mut all = [0.0; LANES];
        for ($i, lane) in all.iter_mut().enumerate() {
            *lane = $result;
        }
        Portable(all)
    }};
}

impl Lanes for Portable {
    const VECTORS: usize = 1;

    #[inline(always)]
    fn splat(x: f32) -> Self {
        Self([x; LANES])
    }

    #[inline(always)]
    fn load(x: &[f32; LANES]) -> Self {
        Self(*x)
    }

    #[inline(always)]
    fn load_bits(x: &[u32; LANES]) -> Self {
        each!(i => f32::from_bits(x[i]))
    }

    #[inline(always)]
    fn load_f16(x: &[f16; LANES]) -> Self {
        each!(i => widen(x[i]))
    }

    #[inline(always)]
    fn load_i8(x: &[i8; LANES]) -> Self {
        each!(i => f32::from(x[i]))
    }

    #[inline(always)]
    fn store(self, x: &mut [f32; LANES]) {
        *x = self.0;
    }

    #[inline(always)]
    fn store_bits(self, x: &mut [u32; LANES]) {
        for (bits, lane) in x.iter_mut().zip(self.0) {
            *bits = lane.to_bits();
        }
    }

    #[inline(always)]
    fn store_bf16(self, x: &mut [u32; LANES / 2]) {
        let mut bits = [0; LANES];
        for (bits, x) in bits.iter_mut().zip(self.0) {
            *bits = shorten(x);
        }
        for (word, pair) in x.iter_mut().zip(bits.as_chunks::<2>().0) {
            *word = pair[0] >> 16 | pair[1] & 0xffff_0000;
        }
    }

    #[inline(always)]
    fn store_u8(self, x: &mut [u32; LANES / 4]) {
        let mut bytes = [0; LANES];
        for (byte, x) in bytes.iter_mut().zip(self.0) {
            *byte = x as u8;
        }
        for (word, &four) in x.iter_mut().zip(bytes.as_chunks::<4>().0) {
            *word = u32::from_le_bytes(four);
        }
    }

    #[inline(always)]
    fn mul_add(self, a: Self, b: Self) -> Self {
        each!(i => self.0[i] * a.0[i] + b.0[i])
    }

    #[inline(always)]
    fn add(self, b: Self) -> Self {
        each!(i => self.0[i] + b.0[i])
    }

    #[inline(always)]
    fn sub(self, b: Self) -> Self {
        each!(i => self.0[i] - b.0[i])
    }

    #[inline(always)]
    fn mul(self, b: Self) -> Self {
        each!(i => self.0[i] * b.0[i])
    }

    #[inline(always)]
    fn div(self, b: Self) -> Self {
        each!(i => self.0[i] / b.0[i])
    }

    #[inline(always)]
    fn max(self, b: Self) -> Self {
        each!(i => if b.0[i] > self.0[i] { b.0[i] } else { self.0[i] })
    }

    #[inline(always)]
    fn min(self, b: Self) -> Self {
        each!(i => if b.0[i] < self.0[i] { b.0[i] } else { self.0[i] })
    }

    #[inline(always)]
    fn if_positive(self, a: Self, b: Self) -> Self {
        each!(i => if self.0[i] > 0.0 { a.0[i] } else { b.0[i] })
    }

    #[inline(always)]
    fn exp2_whole(self) -> Self {
        each!(i => f32::from_bits(((self.0[i] as i32 + 127) as u32) << 23))
    }

    #[inline(always)]
    fn sum(self) -> f32 {
        let mut quarters = [0.0; 4];
        for (i, quarter) in quarters.iter_mut().enumerate() {
            *quarter = (self.0[i] + self.0[i + 8]) + (self.0[i + 4] + self.0[i + 12]);
        }
        (quarters[0] + quarters[2]) + (quarters[1] + quarters[3])
    }
}

/// A 16-bit number in 32 bits without branches: its exponent and fraction are those of a number
/// 2^112 times smaller.
#[inline(always)]
fn widen(x: f16) -> f32 {
    let bits = u32::from(x.to_bits());
    let magnitude = f32::from_bits((bits & 0x7fff) << 13) * f32::from_bits((127 + 112) << 23);
    f32::from_bits(magnitude.to_bits() | (bits & 0x8000) << 16)
}

/// The bits of `x` rounded to bfloat16, ties to even, by adding just under half; NaN stays NaN.
#[inline(always)]
fn shorten(x: f32) -> u32 {
    let bits = x.to_bits();
    let rounded = bits.wrapping_add(0x7fff + (bits >> 16 & 1));
    let chosen = if x.is_nan() { bits | 0x0040_0000 } else { rounded };
    chosen & 0xffff_0000
}

#[cfg(test)]
mod tests {
    use half::bf16;

    use super::*;

    #[test]
    fn numbers_are_shortened_as_the_crate_half_does() {
        let bits = (0..1 << 18).map(|i: u32| i.wrapping_mul(0x4f1b_bcdd));
        let ties = (0..=u16::MAX).map(|high| u32::from(high) << 16 | 0x8000);
        for x in bits.chain(ties).map(f32::from_bits) {
            let expected = bf16::from_f32(x);
            let found = bf16::from_bits((shorten(x) >> 16) as u16);
            assert!(found == expected || found.is_nan() && expected.is_nan(), "{x}");
        }
    }

    #[test]
    fn every_finite_16_bit_number_is_widened_exactly() {
        let all = (0..=u16::MAX).map(f16::from_bits).filter(|x| x.is_finite());
        for x in all {
            assert_eq!(widen(x).to_bits(), x.to_f32().to_bits(), "{x:?}");
        }
    }
}
