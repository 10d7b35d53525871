//! What is measured: drr itself, in every precision that it offers, through its public interface.
//! A new precision is one entry of [`VARIANTS`].

use std::path::Path;

use anyhow::Result;
use drr::model::GridPrecision;
use drr::{Checksums, OpenOptions, Points, Runtime, Sampler, SamplerOptions, Storage, ValuesMut};

use crate::difference::Difference;
use crate::machine::arithmetic::Arithmetic;

/// A way to bake a model.
#[derive(Debug)]
pub struct Variant {
    /// Name in tables and files.
    pub name: &'static str,
    /// Stored precision of the grid.
    pub grid: GridPrecision,
    /// Arithmetic of the decoder.
    pub arithmetic: Arithmetic,
    /// Allowed from the original network in 32 bits, of values between 0 and 1: some three times
    /// what rounding makes of random weights, and less than most lost inputs of a layer do.
    pub tolerance: Difference,
}

/// All that are measured. The first is the one that competitors' limit is taken from.
pub const VARIANTS: [Variant; 4] = [
    Variant {
        name: "f32",
        grid: GridPrecision::F32,
        arithmetic: Arithmetic::F32,
        tolerance: Difference { largest: 2e-5, rms: 2e-6 },
    },
    Variant {
        name: "f16",
        grid: GridPrecision::F16,
        arithmetic: Arithmetic::F32,
        tolerance: Difference { largest: 5e-4, rms: 6e-5 },
    },
    Variant {
        name: "bf16",
        grid: GridPrecision::F16,
        arithmetic: Arithmetic::Bf16,
        tolerance: Difference { largest: 1e-2, rms: 2e-3 },
    },
    Variant {
        name: "int8",
        grid: GridPrecision::I8,
        arithmetic: Arithmetic::Int8,
        tolerance: Difference { largest: 3e-2, rms: 4e-3 },
    },
];

/// Name of a storage in tables and files.
pub fn storage_name(storage: Storage) -> &'static str {
    match storage {
        Storage::Mapped => "mapped",
        Storage::Copied => "copied",
        Storage::HugePages => "huge",
    }
}

/// A baked file, open and bound to parameters.
pub struct Subject(Sampler);

impl Subject {
    /// Opens `path`. The file was just written: checksums are not compared.
    ///
    /// # Errors
    /// Those of the library.
    pub fn open(path: &Path, storage: Storage, threads: usize, parameters: &[f64]) -> Result<Self> {
        let options = OpenOptions { storage, checksums: Checksums::Skip, threads };
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
