//! Ensembles of simulation fields: reading, checking, normalising, drawing batches.
//!
//! Everything is in host memory, or read from files in turn; tensors are made elsewhere.
//!
//! - `ensemble`: the result, made of what is in `member`; `load` makes it: `table` and `reference` list
//!   its members, `field` reads their values, `info` is `field.yaml`
//! - `places`: where the values are, on a `lattice` (its points, and interpolation between them) or
//!   at points whose `coordinates` a file has
//! - `statistics`: of values, from which they are normalised
//! - `given`: values that a running simulation has in memory
//! - `fields`: those of all members, in memory, or some of them at a time where there is no `room`
//!   for all; `samples` keeps them small, `rotation` says which of them training sees
//! - `batch`: what a training step sees; `pairs` moves its points and parameters, `importance`
//!   draws some more often, `kriging` has members where no simulation was, `draws` are random numbers; processes `share` it, and each has its
//!   `subdomain` where the field is cut up
//! - `formats`: one way to ask every file that knows its own shape: `npy`, `npz`, `vtk`, `vti`,
//!   `netcdf`, `hdf5`, `images`; `raw` files do not; all decode by `dtype`
//! - `single`: an ensemble of one field; `scene`: pictures from known cameras
//! - `pickle` (and `pickle_numpy`): Python's objects in the reference's files

mod batch;
mod blocks;
mod coordinates;
mod draws;
pub mod dtype;
mod ensemble;
mod field;
mod fields;
pub mod formats;
pub mod given;
mod hdf5;
mod images;
mod importance;
mod info;
mod kriging;
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
mod room;
mod rotation;
mod samples;
pub mod scene;
mod share;
mod single;
mod statistics;
mod subdomain;
mod table;
mod vti;
mod vtk;

pub use batch::{Batch, BatchPlan};
pub use draws::{Draws, sample};
pub use ensemble::{Axis, Ensemble, LoadOptions};
pub use fields::Fields;
pub use importance::Importance;
pub use kriging::{Groups, Kriging, VirtualMembers};
pub use load::Watch;
pub use load::{normalization, scales_are_given};
pub use member::{Member, Normalization, Parameter, Split, Value};
pub use pairs::{Noise, Pairs};
pub use pickle::read_index_lists;
pub use places::{Places, Points};
pub use rotation::Rotation;
pub use samples::Field;
pub use scene::{Camera, Ray, View, Views};
pub use share::{Share, Sharing};
pub use statistics::Statistics;
pub use subdomain::{Cuts, Subdomain};
