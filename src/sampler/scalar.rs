//! Types of numbers in the caller's arrays.

use half::f16;

use crate::{Error, Result};

/// Type of the numbers in an array.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scalar {
    /// 32-bit floating point.
    F32,
    /// 64-bit floating point.
    F64,
    /// 16-bit floating point (IEEE 754 binary16), for results only: rounded to nearest, ties to
    /// even; 65520 and beyond give infinity.
    F16,
}

impl Scalar {
    /// Bytes of one number.
    pub fn bytes(self) -> isize {
        match self {
            Self::F32 => 4,
            Self::F64 => 8,
            Self::F16 => 2,
        }
    }

    /// # Errors
    /// `InvalidArgument` unless `what` (coordinates, parameters) may have this type.
    pub(crate) fn check_input(self, what: &str) -> Result<()> {
        match self {
            Self::F32 | Self::F64 => Ok(()),
            Self::F16 => Err(Error::argument(format!(
                "{what} are f16, which is for results only: expected f32 or f64"
            ))),
        }
    }

    /// Reads a number.
    ///
    /// # Safety
    /// `at` must be readable as a number of this type, of any alignment.
    #[inline(always)]
    pub(super) unsafe fn read(self, at: *const u8) -> f64 {
        // SAFETY: the caller's promise.
        unsafe {
            match self {
                Self::F32 => f64::from(at.cast::<f32>().read_unaligned()),
                Self::F64 => at.cast::<f64>().read_unaligned(),
                Self::F16 => at.cast::<f16>().read_unaligned().to_f64(),
            }
        }
    }

    /// Writes a number, rounded.
    ///
    /// # Safety
    /// `at` must be writable as a number of this type, of any alignment.
    #[inline(always)]
    pub(super) unsafe fn write(self, at: *mut u8, x: f64) {
        // SAFETY: the caller's promise.
        unsafe {
            match self {
                Self::F32 => at.cast::<f32>().write_unaligned(x as f32),
                Self::F64 => at.cast::<f64>().write_unaligned(x),
                Self::F16 => at.cast::<f16>().write_unaligned(to_f16(x)),
            }
        }
    }
}

/// Numbers that results may consist of.
pub trait Number: Copy + private::Sealed {
    /// Its tag.
    const SCALAR: Scalar;
}

/// Numbers that points and parameters may consist of.
pub trait Float: Number {}

impl Number for f16 {
    const SCALAR: Scalar = Scalar::F16;
}

impl Number for f32 {
    const SCALAR: Scalar = Scalar::F32;
}

impl Number for f64 {
    const SCALAR: Scalar = Scalar::F64;
}

impl Float for f32 {}
impl Float for f64 {}

mod private {
    pub trait Sealed {}
    impl Sealed for half::f16 {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
}

/// `x` rounded once. By way of 32 bits, where what is lost is remembered in the last bit, so that
/// it is not taken for a tie (rounding to odd).
fn to_f16(x: f64) -> f16 {
    let near = x as f32;
    let (back, bits) = (f64::from(near), near.to_bits());
    if back == x || x.is_nan() || bits % 2 == 1 {
        return f16::from_f32(near);
    }
    f16::from_f32(f32::from_bits(if back.abs() > x.abs() { bits - 1 } else { bits + 1 }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_rounded_to_16_bits_once() {
        // Every finite number, the middle between it and the next, and a little off the middle.
        for bits in 0..f16::INFINITY.to_bits() {
            let [low, high] = [bits, bits + 1].map(f16::from_bits);
            let above = if high.is_finite() { high.to_f64() } else { 65536.0 };
            let middle = (low.to_f64() + above) / 2.0;
            let even = if bits % 2 == 0 { low } else { high };
            let little = middle * 1e-13;
            for (x, expected) in [
                (low.to_f64(), low),
                (middle, even),
                (middle - little, low),
                (middle + little, high),
            ] {
                assert_eq!(to_f16(x).to_bits(), expected.to_bits(), "{x}");
                assert_eq!(to_f16(-x).to_bits(), expected.to_bits() | 0x8000, "-{x}");
            }
        }
        assert!(to_f16(f64::NAN).is_nan());
        for (x, expected) in [(f64::MAX, f16::INFINITY), (1e-300, f16::ZERO)] {
            assert_eq!(to_f16(x), expected);
        }
        assert_eq!(to_f16(f64::NEG_INFINITY), f16::NEG_INFINITY);
    }
}
