//! Kinds of arithmetic that have a peak of their own.

use drr::model::spec::LayerPrecision;

/// What is multiplied and added; decides which peak of the machine is the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arithmetic {
    /// 32-bit floating point.
    F32,
    /// bf16 products, sums in 32-bit floating point.
    Bf16,
    /// 8-bit integer products, sums in 32-bit integers.
    Int8,
}

impl Arithmetic {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::F32, Self::Bf16, Self::Int8];

    /// Name in tables and files.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::Int8 => "int8",
        }
    }

    /// As what a layer is baked whose inputs, not negative, are at most `largest`. With 8 bits, the
    /// last layer is one of bf16: it has a hundredth of the weights, and its rounding would go
    /// straight into the values.
    pub fn precision(self, largest: f64, last: bool) -> LayerPrecision {
        match self {
            Self::F32 => LayerPrecision::F32,
            Self::Int8 if !last => LayerPrecision::I8 { low: 0.0, step: largest / 255.0 },
            Self::Bf16 | Self::Int8 => LayerPrecision::Bf16,
        }
    }
}
