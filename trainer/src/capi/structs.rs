//! Plain structs of the C ABI. Each but `drr_train_range` starts with its size, so that it can grow:
//! callers built against an older header pass a smaller struct, callers of a newer one may pass a
//! larger struct as long as what this library does not know is zero.

#![allow(non_camel_case_types)]

use std::ffi::{c_char, c_void};

use super::communicator::drr_train_communicator;
use crate::train::insitu::failure::{Failure, Kind};

/// Which members are kept to learn from.
#[repr(u32)]
pub enum drr_train_keep {
    /// All of them.
    DRR_TRAIN_KEEP_ALL = 0,
    /// `capacity` of them, each of those that came with the same probability (reservoir sampling,
    /// Vitter's algorithm R; which ones depends on the seed alone).
    DRR_TRAIN_KEEP_RESERVOIR = 1,
    /// The last `capacity`.
    DRR_TRAIN_KEEP_LATEST = 2,
}

/// What becomes of the memory of a block.
#[repr(u32)]
pub enum drr_train_memory {
    /// It is copied, as 32-bit numbers, during the call.
    DRR_TRAIN_COPY = 0,
    /// It is looked at where it is. See `drr_train_block`.
    DRR_TRAIN_BORROW = 1,
}

/// Where a block's memory is.
#[repr(u32)]
pub enum drr_train_location {
    /// Memory of the host.
    DRR_TRAIN_HOST = 0,
    /// Memory of a GPU, by its address there: of `cudaMalloc`, `cuMemAlloc`, OpenACC, ... It is copied
    /// (`DRR_TRAIN_COPY`) by NVIDIA's driver during the call, in the context that it belongs to; the
    /// current context stays. The copy comes after what was queued in the legacy default stream and in
    /// streams that wait for that one; work in others (non-blocking streams, per-thread default ones)
    /// has to be waited for before the call. It may be written again when the call returns. All that
    /// the block's strides reach must be in one allocation, which is checked where the driver tells.
    DRR_TRAIN_DEVICE = 1,
}

/// Whether the first layer is folded into the grids: exact, up to rounding, and faster.
#[repr(u32)]
pub enum drr_train_fold {
    /// If that saves arithmetic and the grids grow by no more than half.
    DRR_TRAIN_FOLD_AUTO = 0,
    /// In any case.
    DRR_TRAIN_FOLD_ON = 1,
    /// Not.
    DRR_TRAIN_FOLD_OFF = 2,
}

/// Precision of grids.
#[repr(u32)]
pub enum drr_train_grid {
    /// 16-bit floating point: relative error 5e-4 per feature.
    DRR_TRAIN_GRID_F16 = 0,
    /// 32-bit floating point.
    DRR_TRAIN_GRID_F32 = 1,
    /// 8-bit: 1/255 of each channel's range.
    DRR_TRAIN_GRID_I8 = 2,
}

/// Precision of the layers, and of what goes into them.
#[repr(u32)]
pub enum drr_train_decoder {
    /// 32-bit floating point.
    DRR_TRAIN_DECODER_F32 = 0,
    /// bfloat16: relative error 4e-3 per number.
    DRR_TRAIN_DECODER_BF16 = 1,
    /// 8-bit, fitted to what the layers see.
    DRR_TRAIN_DECODER_I8 = 2,
}

/// An axis, a parameter or a component of the values. It is all zero where nothing is said.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct drr_train_range {
    /// UTF-8; NULL: `x`, `y`, `z`, or `p0`, `p1`, ..., or `value` (`value0`, `value1`, ...).
    pub name: *const c_char,
    /// UTF-8; NULL: none.
    pub unit: *const c_char,
    /// Position of the first lattice point of an axis, or least value of a parameter, in physical
    /// units; ignored for components of the values.
    pub min: f64,
    /// Position of the last lattice point, or greatest value; above `min`. Both 0: an axis from -1 to 1,
    /// a parameter from 0 to 1.
    pub max: f64,
}

/// The fields that will come: values on the points of a lattice, the same for all members.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct drr_train_data {
    /// `sizeof(drr_train_data)`
    pub struct_size: u32,
    /// Axes of the lattice, 2 or 3, as many as the model has.
    pub dims: u32,
    /// Points along x, y, z, 2 or more each; those beyond `dims` are ignored. All 0: as
    /// `dataset.param.dims` of the configuration says.
    pub points: [u64; 3],
    /// `dims` axes, x first; NULL: x, y, z from -1 to 1.
    pub axes: *const drr_train_range,
    /// `parameter_count` parameters, in the order of all arrays of parameters; NULL: `p0`, `p1`, ...
    /// from 0 to 1. A time step of a run is a member whose time is a parameter.
    pub parameters: *const drr_train_range,
    /// `value_count` components; NULL: `value`, or `value0`, `value1`, ...
    pub values: *const drr_train_range,
    /// Simulation parameters, as many as the model has (`cond_dim`).
    pub parameter_count: u32,
    /// Values at each point, as many as the model has (`out_dim`).
    pub value_count: u32,
    /// Least value that is expected, of all components; it is learned as 0.
    pub value_min: f64,
    /// Greatest value that is expected; it is learned as 1. Both 0: `data_min` and `data_max` of the
    /// configuration, or without these, what the first step finds in all members that were complete
    /// until then. Once fixed, the range stays: later values outside are learned as they are, below 0 or
    /// above 1 (which a model that ends in a sigmoid cannot reach). `drr_train_info` has both ranges.
    pub value_max: f64,
    /// The first of the lattice points whose values this process gives, x first; with
    /// `drr_train_options::communicator`.
    pub own_offset: [u64; 3],
    /// How many along x, y, z; all 0: all of the lattice. The blocks of all processes make up the
    /// lattice and do not overlap. In a plane the last is 0 or 1.
    pub own_extent: [u64; 3],
}

/// How to train. All zero (but `struct_size`) is the default.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct drr_train_options {
    /// `sizeof(drr_train_options)`
    pub struct_size: u32,
    /// Threads that libtorch may use in calls with this session; 0: as many as it takes by itself, all
    /// cores unless `OMP_NUM_THREADS` says otherwise. libtorch remembers the number for the whole
    /// process; OpenMP's settings of the host's threads stay as they are.
    pub threads: u32,
    /// Seed of everything random; 0: `train.seed` of the configuration, else 0.
    pub seed: u64,
    /// Members that are kept at most, with `keep`.
    pub capacity: u64,
    /// A `drr_train_keep`.
    pub keep: u32,
    /// Which entry of a configuration with several, from 0.
    pub entry: u32,
    /// `cpu`, `cuda`, `cuda:N` or `auto`; NULL: `train.device` of the configuration, else `cpu`. CUDA
    /// needs the environment variable `DRR_TORCH` to name an installed PyTorch.
    pub device: *const c_char,
    /// Processes that train together, each with a block of the lattice (`own_offset`, `own_extent` in
    /// `drr_train_data`); NULL: this one alone. Looked at during the call. Functions that are called
    /// *collective* below are then called by all of them, with the same arguments.
    pub communicator: *const drr_train_communicator,
}

/// Called when borrowed memory is not needed any more: `data` and `user_data` are those of its block.
/// Runs in the thread of the call that gives the memory up, within it; must return, not throw or
/// jump, and must not call functions with the same session.
pub type drr_train_release =
    Option<unsafe extern "C" fn(data: *const c_void, user_data: *mut c_void)>;

/// Values of a member, in the host's memory or a GPU's: a box of lattice points, perhaps all of them.
/// Value `k` of the box's point `(i, j, l)` along x, y, z is at `(const char *)data + i * stride[0] +
/// j * stride[1] + l * stride[2] + k * value_stride`, of any alignment.
///
/// Borrowed memory must stay valid until the block is given up, which is when its member leaves (see
/// `drr_train_keep`), when it is forgotten, or when the session is freed; `release` tells. It is read in
/// calls with the session only, and must not be written meanwhile. Written between calls, the member
/// is from then on what is there; values are not checked again.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct drr_train_block {
    /// `sizeof(drr_train_block)`
    pub struct_size: u32,
    /// A `drr_scalar` of `drr.h`: `DRR_F32` or `DRR_F64`.
    pub scalar: u32,
    /// Address of the first value of the box's first point, where `location` says.
    pub data: *const c_void,
    /// The box's first point in the lattice, x first.
    pub offset: [u64; 3],
    /// Its points along x, y, z; all 0: those that this process gives, whatever `offset` says. In a
    /// plane the last is 0 or 1.
    pub extent: [u64; 3],
    /// Bytes from point to point along x, y, z, may be negative; 0 means without gaps.
    pub stride: [i64; 3],
    /// Bytes from value to value of a point; 0 means without gaps.
    pub value_stride: i64,
    /// A `drr_train_memory`.
    pub memory: u32,
    /// A `drr_train_location`.
    pub location: u32,
    /// Of borrowed memory; NULL: nothing is called.
    pub release: drr_train_release,
    /// Handed to `release`; may be NULL.
    pub user_data: *mut c_void,
}

/// Told after each step: `step` counts all steps of the session, `seconds` is all time of training.
/// Anything but 0 ends the call. Runs in the thread of the call; must return, not throw or jump, and
/// must not call functions with the same session.
pub type drr_train_progress =
    Option<unsafe extern "C" fn(step: u64, loss: f64, seconds: f64, user_data: *mut c_void) -> u32>;

/// Where a training stands.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct drr_train_info {
    /// `sizeof(drr_train_info)`, set by the caller.
    pub struct_size: u32,
    /// Unused, 0.
    pub reserved: u32,
    /// Steps that are done.
    pub steps: u64,
    /// Members that were complete so far: of which this process' part was.
    pub members_seen: u64,
    /// Those of them that are kept.
    pub members_held: u64,
    /// Members of which blocks are missing.
    pub members_pending: u64,
    /// Bytes of copied values.
    pub copied_bytes: u64,
    /// Trainable numbers of the model.
    pub trainable: u64,
    /// Loss of the last step (mean squared error of values from 0 to 1); NaN before the first.
    pub loss: f64,
    /// Seconds of training.
    pub seconds: f64,
    /// Learning rate of the next step.
    pub learning_rate: f64,
    /// Value that is learned as 0; NaN while that is not fixed.
    pub value_min: f64,
    /// Value that is learned as 1.
    pub value_max: f64,
    /// Least value of all members that were complete so far, of this process' part of them; NaN before
    /// the first.
    pub seen_min: f64,
    /// Greatest value of them.
    pub seen_max: f64,
}

/// What differs between the model and a field.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct drr_train_quality {
    /// `sizeof(drr_train_quality)`, set by the caller.
    pub struct_size: u32,
    /// Unused, 0.
    pub reserved: u32,
    /// Peak signal-to-noise ratio in dB, of the range `value_min` to `value_max` (of the logarithms,
    /// where these are learned).
    pub psnr: f64,
    /// Root of the mean squared difference, in units of the values.
    pub rms_error: f64,
    /// Largest difference, in units of the values.
    pub max_error: f64,
    /// Points that were compared.
    pub points: u64,
}

/// How a model is baked. All zero (but `struct_size`) is the default, that of `drr-train bake`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct drr_train_bake_options {
    /// `sizeof(drr_train_bake_options)`
    pub struct_size: u32,
    /// A `drr_train_grid`.
    pub grid: u32,
    /// A `drr_train_decoder`.
    pub decoder: u32,
    /// A `drr_train_fold`.
    pub fold: u32,
    /// Principal components of each grid's features that are kept; 0: all.
    pub rank: u64,
    /// Keep as few as stay within this error, in units of the value range; 0: all. Not with `rank`.
    pub max_error: f64,
}

drr::sized_structs! {
    drr_train_data: 80,
    drr_train_options: 40,
    drr_train_block: 120,
    drr_train_info: 112,
    drr_train_quality: 40,
    drr_train_bake_options: 32,
    drr_train_communicator: 48,
}

/// A number that is none of an enum's.
pub(super) fn unknown(field: &str, given: u32, name: &str) -> Failure {
    Failure::new(Kind::InvalidArgument, format!("{field} is {given}, which is no {name}"))
}
