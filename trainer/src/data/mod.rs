//! Ensembles of simulation fields: reading, checking, normalising, drawing batches.
//!
//! Everything is in host memory; tensors are made elsewhere.
//!
//! - `ensemble`: the result, made of what is in `member`; `load` makes it: `table` and `reference` list
//!   its members, `field` reads their values, `info` is `field.yaml`
//! - `places`: where the values are, on a `lattice` (its points, and interpolation between them) or
//!   at points whose `coordinates` a file has
//! - `statistics`: of values, from which they are normalised
//! - `batch`: what a training step sees; `pairs` moves its points and parameters, `importance`
//!   draws some more often, `draws` are random numbers
//! - `formats`: one way to ask every file that knows its own shape: `npy`, `npz`, `vtk`, `vti`,
//!   `netcdf`, `hdf5`, `images`; `raw` files do not; all decode by `dtype`
//! - `pickle` (and `pickle_numpy`): Python's objects in the reference's files

mod batch;
mod coordinates;
mod draws;
pub mod dtype;
mod ensemble;
mod field;
pub mod formats;
mod hdf5;
mod images;
mod importance;
mod info;
mod lattice;
mod load;
mod member;
mod netcdf;
pub mod npy;
mod npz;
mod pairs;
mod pickle;
mod pickle_numpy;
mod places;
mod raw;
mod reference;
mod statistics;
mod table;
mod vti;
mod vtk;

pub use batch::{Batch, BatchPlan};
pub use ensemble::{Axis, Ensemble, LoadOptions};
pub use importance::Importance;
pub use member::{Member, Normalization, Parameter, Split, Value};
pub use pairs::{Noise, Pairs};
pub use pickle::read_index_lists;
pub use places::{Places, Points};
