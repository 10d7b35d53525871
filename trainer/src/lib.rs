//! Train DRR-Net surrogates of simulation ensembles, bake them for the runtime, measure them.
//!
//! The binary `drr-train` is a thin shell around this library. Modules, lower ones first:
//! [`config`] and [`data`] know nothing of libtorch; [`models`] is the networks, [`render`] what rays see
//! of radiance fields, [`train`] the loop, [`bake`] writes what the runtime (crate `drr`) reads, [`eval`] asks the runtime and
//! judges it, [`cli`] is the command line, [`capi`] what programs in other languages train with.

pub mod bake;
pub mod capi;
pub mod cli;
pub mod config;
pub mod data;
pub mod device;
pub mod eval;
pub mod files;
mod libtorch;
pub mod memory;
pub mod models;
pub mod progress;
pub mod render;
pub mod train;
