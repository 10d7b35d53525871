//! Types of numbers in files, and bytes to numbers.
//!
//! Every reader of binary numbers decodes here, whatever its format calls the types.

use anyhow::{Result, bail};
use half::f16;

use super::npy::Element;
use crate::config::hint;

/// A type of numbers in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dtype {
    /// IEEE half precision.
    F16,
    /// IEEE single precision.
    F32,
    /// IEEE double precision.
    F64,
    /// Signed, 8 bits.
    I8,
    /// Signed, 16 bits.
    I16,
    /// Signed, 32 bits.
    I32,
    /// Signed, 64 bits.
    I64,
    /// Unsigned, 8 bits.
    U8,
    /// Unsigned, 16 bits.
    U16,
    /// Unsigned, 32 bits.
    U32,
    /// Unsigned, 64 bits.
    U64,
}

/// Which byte of a number comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ByteOrder {
    /// The lowest.
    Little,
    /// The highest.
    Big,
}

impl Dtype {
    /// All types, with NumPy's names for them.
    const NAMES: [(&'static str, Self); 11] = [
        ("float16", Self::F16),
        ("float32", Self::F32),
        ("float64", Self::F64),
        ("int8", Self::I8),
        ("int16", Self::I16),
        ("int32", Self::I32),
        ("int64", Self::I64),
        ("uint8", Self::U8),
        ("uint16", Self::U16),
        ("uint32", Self::U32),
        ("uint64", Self::U64),
    ];

    /// The type with this name in NumPy (`float32`).
    ///
    /// # Errors
    /// There is none; the nearest name is given.
    pub fn named(name: &str) -> Result<Self> {
        match Self::NAMES.iter().find(|(known, _)| *known == name) {
            Some((_, dtype)) => Ok(*dtype),
            None => {
                let known = Self::NAMES.map(|(known, _)| known);
                bail!("unknown type of numbers `{name}`; {}", hint(name, &known))
            }
        }
    }

    /// Its name in NumPy.
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, dtype)| *dtype == self).map_or("", |(name, _)| name)
    }

    /// The type by kind (`f`, `i` or `u`) and size in bytes, if there is one.
    pub fn of(kind: char, size: usize) -> Option<Self> {
        Some(match (kind, size) {
            ('f', 2) => Self::F16,
            ('f', 4) => Self::F32,
            ('f', 8) => Self::F64,
            ('i', 1) => Self::I8,
            ('i', 2) => Self::I16,
            ('i', 4) => Self::I32,
            ('i', 8) => Self::I64,
            ('u', 1) => Self::U8,
            ('u', 2) => Self::U16,
            ('u', 4) => Self::U32,
            ('u', 8) => Self::U64,
            _ => return None,
        })
    }

    /// Bytes of a number.
    pub fn size(self) -> usize {
        match self {
            Self::I8 | Self::U8 => 1,
            Self::F16 | Self::I16 | Self::U16 => 2,
            Self::F32 | Self::I32 | Self::U32 => 4,
            Self::F64 | Self::I64 | Self::U64 => 8,
        }
    }
}

/// The numbers in `bytes`, each as the nearest `T`; bytes beyond the last whole number are left.
pub fn decode<T: Element>(bytes: &[u8], dtype: Dtype, order: ByteOrder) -> Vec<T> {
    match dtype {
        Dtype::F16 => convert(bytes, order, |b| f16::from_le_bytes(b).to_f64()),
        Dtype::F32 => convert(bytes, order, |b| f32::from_le_bytes(b).into()),
        Dtype::F64 => convert(bytes, order, f64::from_le_bytes),
        Dtype::I8 => convert(bytes, order, |b| i8::from_le_bytes(b).into()),
        Dtype::I16 => convert(bytes, order, |b| i16::from_le_bytes(b).into()),
        Dtype::I32 => convert(bytes, order, |b| i32::from_le_bytes(b).into()),
        Dtype::I64 => convert(bytes, order, |b| i64::from_le_bytes(b) as f64),
        Dtype::U8 => convert(bytes, order, |b| u8::from_le_bytes(b).into()),
        Dtype::U16 => convert(bytes, order, |b| u16::from_le_bytes(b).into()),
        Dtype::U32 => convert(bytes, order, |b| u32::from_le_bytes(b).into()),
        Dtype::U64 => convert(bytes, order, |b| u64::from_le_bytes(b) as f64),
    }
}

fn convert<T: Element, const N: usize>(
    bytes: &[u8],
    order: ByteOrder,
    number: impl Fn([u8; N]) -> f64,
) -> Vec<T> {
    let ordered = |mut chunk: [u8; N]| {
        if order == ByteOrder::Big {
            chunk.reverse();
        }
        chunk
    };
    bytes.as_chunks().0.iter().map(|&chunk| T::from_f64(number(ordered(chunk)))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_decodes_in_both_byte_orders() {
        let check = |dtype: Dtype, bytes: &[u8], value: f64| {
            assert_eq!(bytes.len(), dtype.size(), "{dtype:?}");
            assert_eq!(decode::<f64>(bytes, dtype, ByteOrder::Little), [value], "{dtype:?}");
            let turned: Vec<u8> = bytes.iter().rev().copied().collect();
            assert_eq!(decode::<f64>(&turned, dtype, ByteOrder::Big), [value], "{dtype:?}");
            assert_eq!(Dtype::named(dtype.name()).unwrap(), dtype);
        };
        check(Dtype::F16, &f16::from_f64(1.5).to_le_bytes(), 1.5);
        check(Dtype::F32, &(-2.5_f32).to_le_bytes(), -2.5);
        check(Dtype::F64, &0.1_f64.to_le_bytes(), 0.1);
        check(Dtype::I8, &(-3_i8).to_le_bytes(), -3.0);
        check(Dtype::I16, &(-300_i16).to_le_bytes(), -300.0);
        check(Dtype::I32, &(-70_000_i32).to_le_bytes(), -70_000.0);
        check(Dtype::I64, &(-(1_i64 << 40)).to_le_bytes(), -((1_i64 << 40) as f64));
        check(Dtype::U8, &[200], 200.0);
        check(Dtype::U16, &60_000_u16.to_le_bytes(), 60_000.0);
        check(Dtype::U32, &4_000_000_000_u32.to_le_bytes(), 4e9);
        check(Dtype::U64, &(1_u64 << 63).to_le_bytes(), (1_u64 << 63) as f64);
    }

    #[test]
    fn names_are_those_of_numpy() {
        let error = Dtype::named("float").unwrap_err().to_string();
        assert!(error.contains("`float`; did you mean `float"), "{error}");
        assert_eq!(Dtype::of('u', 4), Some(Dtype::U32));
        assert_eq!(Dtype::of('f', 16), None);
    }
}
