//! What the fuzz targets do with an input. Each function takes any bytes and returns; a panic, a
//! wrong access to memory or a lack of memory or time is a finding.
//!
//! The trainer's `config` and `data` are compiled here from their sources: they know nothing of
//! libtorch, which would cost minutes and hide their memory from the sanitizer.

#[path = "../../tests/common/mod.rs"]
pub mod common;
#[allow(missing_docs)]
#[path = "../../trainer/src/config/mod.rs"]
pub mod config;
#[path = "../../trainer/src/data/mod.rs"]
pub mod data;
#[path = "../../trainer/src/files.rs"]
pub mod files;

pub mod baked;
pub mod capi;
pub mod configurations;
pub mod ensembles;
pub mod mutator;
