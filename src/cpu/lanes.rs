//! Eight numbers at once: the vector operations that the tile kernel is written in.

use half::f16;

/// Numbers per vector.
pub const LANES: usize = 8;

/// A vector of eight 32-bit numbers on some instruction set.
pub trait Lanes: Copy {
    /// All lanes `x`.
    fn splat(x: f32) -> Self;
    /// From memory, any alignment.
    fn load(x: &[f32; LANES]) -> Self;
    /// From 16-bit numbers in memory, any alignment.
    fn load_f16(x: &[f16; LANES]) -> Self;
    /// To memory, any alignment.
    fn store(self, x: &mut [f32; LANES]);
    /// `self * a + b`, rounded once or twice, always in the same way.
    fn mul_add(self, a: Self, b: Self) -> Self;
}

/// Any machine: the compiler makes of it what the target's baseline has.
#[derive(Clone, Copy)]
pub struct Portable([f32; LANES]);

impl Lanes for Portable {
    #[inline(always)]
    fn splat(x: f32) -> Self {
        Self([x; LANES])
    }

    #[inline(always)]
    fn load(x: &[f32; LANES]) -> Self {
        Self(*x)
    }

    #[inline(always)]
    fn load_f16(x: &[f16; LANES]) -> Self {
        Self(x.map(f16::to_f32))
    }

    #[inline(always)]
    fn store(self, x: &mut [f32; LANES]) {
        *x = self.0;
    }

    #[inline(always)]
    fn mul_add(self, a: Self, b: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] * a.0[i] + b.0[i]))
    }
}
