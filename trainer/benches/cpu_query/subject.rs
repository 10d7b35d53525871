//! What is measured: drr itself, in every precision that it offers, through its public interface.
//! A new precision is one entry of [`VARIANTS`].

use std::path::Path;

use anyhow::Result;
use drr::model::GridPrecision;
use drr::{Checksums, OpenOptions, Points, Runtime, Sampler, SamplerOptions, Storage, ValuesMut};

/// Arithmetic of the decoder; decides which peak of the machine is the limit.
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
}

/// A way to bake and to open a model.
#[derive(Debug)]
pub struct Variant {
    /// Name in tables and files.
    pub name: &'static str,
    /// Stored precision of the grid.
    pub grid: GridPrecision,
    /// Arithmetic of the decoder.
    pub arithmetic: Arithmetic,
    /// Largest difference from the original network in 32 bits, of values between 0 and 1.
    pub tolerance: f64,
}

/// All that are measured. The first is the one that competitors' limit is taken from.
pub const VARIANTS: [Variant; 2] = [
    Variant { name: "f32", grid: GridPrecision::F32, arithmetic: Arithmetic::F32, tolerance: 1e-4 },
    Variant { name: "f16", grid: GridPrecision::F16, arithmetic: Arithmetic::F32, tolerance: 2e-3 },
];

/// The precisions of grids that the variants need, each once.
pub fn grid_precisions() -> Vec<GridPrecision> {
    let mut precisions = Vec::new();
    for variant in &VARIANTS {
        if !precisions.contains(&variant.grid) {
            precisions.push(variant.grid);
        }
    }
    precisions
}

/// A baked file, open and bound to parameters.
pub struct Subject(Sampler);

impl Subject {
    /// Opens `path` as `variant` says. The file was just written: checksums are not compared.
    ///
    /// # Errors
    /// Those of the library.
    pub fn open(
        path: &Path,
        variant: &Variant,
        threads: usize,
        parameters: &[f64],
    ) -> Result<Self> {
        // What the library offers besides 32-bit decoders is asked for here.
        debug_assert_eq!(variant.arithmetic, Arithmetic::F32);
        let options = OpenOptions { storage: Storage::Mapped, checksums: Checksums::Skip, threads };
        let runtime = Runtime::open(path, &options)?;
        Ok(Self(Sampler::new(&runtime, parameters, &SamplerOptions::default())?))
    }

    /// Name of the kernel that answers.
    pub fn kernel(&self) -> &'static str {
        self.0.runtime().kernel().name()
    }

    /// Values at `points`, `[points, 3]` packed.
    ///
    /// # Errors
    /// Those of the library.
    pub fn query(&self, points: &[f32], values: &mut [f32]) -> Result<()> {
        Ok(self.0.query(&Points::packed(points, 3)?, &mut ValuesMut::packed(values, 1)?)?)
    }
}
