//! Plain structs of the C ABI. Each starts with its size, so that it can grow: callers built
//! against an older header pass a smaller struct, callers of a newer one may pass a larger struct
//! as long as what this library does not know is zero.

#![allow(non_camel_case_types)]

use std::ffi::{c_char, c_void};

use crate::sampler::scalar::Scalar;
use crate::sized_structs;
use crate::{Checksums, Error, OpenOptions, Outside, Result, SamplerOptions, Storage, Units};

/// Type of the numbers in an array.
#[repr(u32)]
pub enum drr_scalar {
    /// 32-bit floating point.
    DRR_F32 = 0,
    /// 64-bit floating point.
    DRR_F64 = 1,
    /// 16-bit floating point (IEEE 754 binary16), for results only: rounded to nearest, ties to
    /// even; magnitudes of 65520 and more give infinity.
    DRR_F16 = 2,
}

/// Where an open file's bytes live.
#[repr(u32)]
pub enum drr_storage {
    /// Mapped and shared with other processes. The file must not be truncated or rewritten in
    /// place while it is open; replacing it by rename is fine.
    DRR_STORAGE_MAPPED = 0,
    /// Read into private memory.
    DRR_STORAGE_COPIED = 1,
    /// Read into private memory in huge pages where the system has them to give: faster for points
    /// in random order on large grids.
    DRR_STORAGE_HUGE_PAGES = 2,
}

/// Whether numbers are compared with their checksums when a file is opened.
#[repr(u32)]
pub enum drr_checksums {
    /// Read the whole file once; refuse it if a bit is wrong.
    DRR_CHECKSUMS_VERIFY = 0,
    /// Trust the numbers: opening does not touch the grids.
    DRR_CHECKSUMS_SKIP = 1,
}

/// What coordinates, parameters and results are measured in.
#[repr(u32)]
pub enum drr_units {
    /// The file's physical units.
    DRR_UNITS_PHYSICAL = 0,
    /// Coordinates in [-1, 1], parameters in [0, 1], results before de-normalisation.
    DRR_UNITS_NORMALIZED = 1,
}

/// What a point or parameter outside its range gives. NaN always gives NaN.
#[repr(u32)]
pub enum drr_outside {
    /// The value at the nearest point of the border.
    DRR_OUTSIDE_CLAMP = 0,
    /// Vertex features outside are zero and fade out within one cell. For points only.
    DRR_OUTSIDE_ZEROS = 1,
    /// NaN.
    DRR_OUTSIDE_NAN = 2,
    /// `DRR_ERROR_OUTSIDE_DOMAIN`; nothing is written.
    DRR_OUTSIDE_ERROR = 3,
}

/// How the values of a field were spread for training between their `min` and `max`.
#[repr(u32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum drr_transform {
    /// Evenly: errors are alike everywhere.
    DRR_TRANSFORM_LINEAR = 0,
    /// By their logarithms: *relative* errors are alike everywhere.
    DRR_TRANSFORM_LOG = 1,
}

/// As a stride of points or parameters: one number, or one row, is that of all.
pub const DRR_STRIDE_SAME: i64 = i64::MIN;

/// How a file is opened. All zero (but `struct_size`) is the default.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct drr_open_options {
    /// `sizeof(drr_open_options)`
    pub struct_size: u32,
    /// A `drr_storage`; ignored by `drr_model_open_memory`.
    pub storage: u32,
    /// A `drr_checksums`.
    pub checksums: u32,
    /// Threads that a query may use: 0 or 1 for the caller's alone, more (at most 1024) for a
    /// private pool. A forked process has none of its parent's pool: the caller does all there.
    pub threads: u32,
}

/// How a sampler answers. All zero (but `struct_size`) is the default.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct drr_sampler_options {
    /// `sizeof(drr_sampler_options)`
    pub struct_size: u32,
    /// A `drr_units`, of points, parameters and values.
    pub units: u32,
    /// A `drr_outside`, for points.
    pub outside: u32,
    /// A `drr_outside`, for parameters (not `DRR_OUTSIDE_ZEROS`).
    pub outside_parameters: u32,
}

/// What a model is. Strings are UTF-8, owned by the model, valid until it is closed.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct drr_model_info {
    /// `sizeof(drr_model_info)`, set by the caller.
    pub struct_size: u32,
    /// Coordinates per point, 1 to 3.
    pub dims: u32,
    /// Simulation parameters per sampler.
    pub parameters: u32,
    /// Values per point.
    pub outputs: u32,
    /// Size of the file in bytes.
    pub file_bytes: u64,
    /// Memory that the open model takes in bytes, the file included (mapped pages are shared).
    pub memory_bytes: u64,
    /// Name of the kernel in use: `avx2`, `neon`, ...
    pub kernel: *const c_char,
    /// The whole description as JSON (see docs/format.md).
    pub spec_json: *const c_char,
    /// 1 if the model is a radiance field, which `drr_radiance_render` makes pictures of; else 0.
    pub is_radiance: u32,
    /// Unused, 0.
    pub reserved: u32,
}

/// One axis, parameter or value of a model. Strings are UTF-8, owned by the model, valid until it
/// is closed.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct drr_range_info {
    /// `sizeof(drr_range_info)`, set by the caller.
    pub struct_size: u32,
    /// A `drr_transform`; `DRR_TRANSFORM_LINEAR` for axes and parameters.
    pub transform: u32,
    /// Name, for instance `x`.
    pub name: *const c_char,
    /// Unit, empty if none.
    pub unit: *const c_char,
    /// Smallest physical value: first vertex of an axis, lower end of a parameter, smallest
    /// training value.
    pub min: f64,
    /// Largest physical value.
    pub max: f64,
}

/// Points in the caller's memory: any layout. Coordinate `k` of point `i` is at
/// `(const char *)axis[k] + i * stride[k]`, of any alignment.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct drr_points {
    /// `sizeof(drr_points)`
    pub struct_size: u32,
    /// A `drr_scalar`, not `DRR_F16`.
    pub scalar: u32,
    /// Number of points; 0 is fine, the addresses may be NULL then.
    pub count: u64,
    /// Addresses of the first point's x, y, z; those beyond the model's axes are ignored.
    pub axis: [*const c_void; 3],
    /// Bytes from one point to the next, may be negative; 0 means an array without gaps,
    /// `DRR_STRIDE_SAME` one coordinate for all points (a plane, say).
    pub stride: [i64; 3],
}

/// A regular lattice of points: `origin[k] + i * spacing[k]` for i from 0 to below `dims[k]` on each
/// axis k; x is the fastest. Axes that the model lacks: `dims` 1, the rest is ignored.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct drr_lattice {
    /// `sizeof(drr_lattice)`
    pub struct_size: u32,
    /// Unused, 0.
    pub reserved: u32,
    /// Points per axis, x first; 0 is fine.
    pub dims: [u64; 3],
    /// The first point, in the sampler's units.
    pub origin: [f64; 3],
    /// Distance of neighbouring points; may be negative.
    pub spacing: [f64; 3],
}

/// Simulation parameters in the caller's memory: a row for each point or for each set, in any
/// layout. Parameter `k` of row `i` is at
/// `(const char *)data + i * row_stride + k * parameter_stride`, of any alignment.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct drr_parameters {
    /// `sizeof(drr_parameters)`
    pub struct_size: u32,
    /// A `drr_scalar`, not `DRR_F16`.
    pub scalar: u32,
    /// Number of rows: points or sets; 0 is fine, the address may be NULL then.
    pub count: u64,
    /// Address of the first row's first parameter; in the model's order and units (or in [0, 1]
    /// with `DRR_UNITS_NORMALIZED`).
    pub data: *const c_void,
    /// Bytes from one row to the next, may be negative; 0 means that the parameters of a row
    /// follow one another without gaps, and rows too; `DRR_STRIDE_SAME` means one row for all.
    pub row_stride: i64,
    /// Bytes from one parameter of a row to the next; 0 means the size of one number.
    pub parameter_stride: i64,
}

/// Where results go: any layout. Value `k` of point `i` goes to
/// `(char *)data + i * point_stride + k * value_stride`, or to `(char *)separate[k] + i *
/// point_stride`, of any alignment. Results must overlap neither each other nor what is read.
///
/// Point (`i`, `j`, `l`) of a lattice goes to `i * point_stride + j * row_stride + l *
/// plane_stride` from its first, so that it may be a part of a larger array (one with ghost cells,
/// say) or have its axes in another order.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct drr_values {
    /// `sizeof(drr_values)`
    pub struct_size: u32,
    /// A `drr_scalar`.
    pub scalar: u32,
    /// Address of the first point's first value; NULL with `separate`.
    pub data: *mut c_void,
    /// Bytes from one point to the next, may be negative; 0 means that a point's values follow
    /// one another without gaps, and points too.
    pub point_stride: i64,
    /// Bytes from one value of a point to the next; 0 means the size of one number, and is all that
    /// goes with `separate`.
    pub value_stride: i64,
    /// Of a lattice, else 0: bytes from one point to its neighbour along y; 0 means that rows follow
    /// one another without gaps.
    pub row_stride: i64,
    /// Of a lattice, else 0: bytes from one point to its neighbour along z; 0 means that planes
    /// follow one another without gaps.
    pub plane_stride: i64,
    /// NULL, or an array for each value: `outputs` addresses of the first point's values; read
    /// during the call only.
    pub separate: *const *mut c_void,
}

/// Where derivatives go: any layout. The derivative of value `k` of point `i` by coordinate or
/// parameter `c` goes to
/// `(char *)data + i * point_stride + k * value_stride + c * component_stride`, or to
/// `(char *)separate[k * components + c] + i * point_stride`, of any alignment; points of a lattice
/// as in `drr_values`. Results must overlap neither each other nor what is read.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct drr_gradients {
    /// `sizeof(drr_gradients)`
    pub struct_size: u32,
    /// A `drr_scalar`.
    pub scalar: u32,
    /// Address of the first point's first derivative; may be NULL if there are none, and is with
    /// `separate`.
    pub data: *mut c_void,
    /// Bytes from one point to the next, may be negative; 0 means without gaps.
    pub point_stride: i64,
    /// Bytes from one value of a point to the next; 0 means that a value's derivatives follow one
    /// another without gaps, and values too; it is all that goes with `separate`.
    pub value_stride: i64,
    /// Bytes from one derivative of a value to the next; 0 means the size of one number, and is all
    /// that goes with `separate`.
    pub component_stride: i64,
    /// As in `drr_values`.
    pub row_stride: i64,
    /// As in `drr_values`.
    pub plane_stride: i64,
    /// NULL, or an array for each derivative: `outputs` times `components` addresses of the first
    /// point's; read during the call only.
    pub separate: *const *mut c_void,
}

sized_structs! {
    drr_open_options: 16,
    drr_sampler_options: 16,
    drr_model_info: 48,
    drr_range_info: 40,
    drr_points: 64,
    drr_lattice: 80,
    drr_values: 56,
    drr_parameters: 40,
    drr_gradients: 64,
}

impl TryFrom<drr_open_options> for OpenOptions {
    type Error = Error;

    fn try_from(options: drr_open_options) -> Result<Self> {
        let storage = match options.storage {
            0 => Storage::Mapped,
            1 => Storage::Copied,
            2 => Storage::HugePages,
            other => return Err(unknown("storage", other, "drr_storage")),
        };
        let checksums = match options.checksums {
            0 => Checksums::Verify,
            1 => Checksums::Skip,
            other => return Err(unknown("checksums", other, "drr_checksums")),
        };
        if options.threads > 1024 {
            return Err(unknown("threads", options.threads, "number up to 1024"));
        }
        Ok(Self { storage, checksums, threads: options.threads as usize })
    }
}

impl TryFrom<drr_sampler_options> for SamplerOptions {
    type Error = Error;

    fn try_from(options: drr_sampler_options) -> Result<Self> {
        let units = match options.units {
            0 => Units::Physical,
            1 => Units::Normalized,
            other => return Err(unknown("units", other, "drr_units")),
        };
        let outside = |field, number| match number {
            0 => Ok(Outside::Clamp),
            1 => Ok(Outside::Zeros),
            2 => Ok(Outside::Nan),
            3 => Ok(Outside::Error),
            other => Err(unknown(field, other, "drr_outside")),
        };
        Ok(Self {
            units,
            outside: outside("outside", options.outside)?,
            outside_parameters: outside("outside_parameters", options.outside_parameters)?,
        })
    }
}

/// The scalar type that a number from C names.
pub(super) fn scalar(number: u32) -> Result<Scalar> {
    match number {
        0 => Ok(Scalar::F32),
        1 => Ok(Scalar::F64),
        2 => Ok(Scalar::F16),
        other => Err(unknown("scalar", other, "drr_scalar")),
    }
}

pub(super) fn unknown(field: &str, number: u32, expected: &str) -> Error {
    Error::argument(format!("{field} is {number}, expected a {expected}"))
}
