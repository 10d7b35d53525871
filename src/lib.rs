//! Query a baked neural-field surrogate of a simulation ensemble, in situ.
//!
//! A baked file holds feature grids over the domain, feature lines over the simulation
//! parameters and a small decoder. [`Runtime`] opens it, a [`Sampler`] binds it to one set of
//! parameters, and [`Sampler::query`] answers *what would the field be here?* for many points.
//!
//! ```no_run
//! use drr::{OpenOptions, Points, Runtime, Sampler, SamplerOptions, ValuesMut};
//!
//! # fn main() -> Result<(), drr::Error> {
//! let runtime = Runtime::open("cloverleaf3d.drr.safetensors", &OpenOptions::default())?;
//! let sampler = Sampler::new(&runtime, &[0.24, 1.19, 1.62, 1.68, 2.49, 6.63], &SamplerOptions::default())?;
//! let points = [1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0];
//! let mut energy = [0.0f32; 2];
//! sampler.query(&Points::packed(&points, 3)?, &mut ValuesMut::packed(&mut energy, 1)?)?;
//! # Ok(())
//! # }
//! ```
//!
//! Layers, each knowing only those to its right: [`capi`] → [`sampler`] → [`cpu`], [`cuda`] →
//! [`model`]. A [`DeviceModel`] is queried on a GPU (`docs/gpu.md`).
//! `docs/architecture.md` has the map, `docs/format.md` the file.
//!
//! # Safety
//!
//! `unsafe` stands in five places: mapping a file ([`model`]), viewing its bytes as numbers
//! ([`model`]), vector instructions ([`cpu`]), what a GPU is told ([`cuda`],
//! [`sampler::device`]), and pointers that C callers hand over ([`capi`],
//! [`sampler::points`], [`sampler::results`]). Each has a `SAFETY:` line that names what it relies on.

pub mod capi;
pub mod cpu;
pub mod cuda;
mod error;
pub mod model;
pub mod sampler;

pub use cpu::Kernel;
pub use error::{Error, ErrorKind, Result};
pub use model::{Checksums, Model, Storage};
pub use sampler::device::{DeviceModel, DeviceOptions, DeviceSampler};
pub use sampler::gradient::Gradients;
pub use sampler::points::Points;
pub use sampler::results::{GradientsMut, ValuesMut};
pub use sampler::{
    Camera, DepthKind, Lattice, OpenOptions, Outside, Parameters, RenderOptions, RenderOutput,
    Runtime, Sampler, SamplerOptions, SetValuesMut, Units,
};

/// Version of this library, `MAJOR.MINOR.PATCH`.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
