//! Structs of the C ABI for models on GPUs.

#![allow(non_camel_case_types)]

use std::ffi::{c_char, c_void};

use super::structs::unknown;
use crate::Result;
use crate::cuda::Choice;
use crate::sized_structs;

/// Which kernel answers on a GPU.
#[repr(u32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum drr_device_kernel {
    /// The one for tensor cores where it can and its values are those of the CPU up to rounding to
    /// 16 bits (some 1e-3 of the largest), else the portable one; a message to the log says why.
    DRR_DEVICE_KERNEL_AUTO = 0,
    /// The portable one: everything in 32 bits.
    DRR_DEVICE_KERNEL_PORTABLE = 1,
    /// The one for tensor cores, or an error.
    DRR_DEVICE_KERNEL_TENSOR = 2,
}

/// How a model is used on a GPU. All zero (but `struct_size`) is the default.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct drr_device_options {
    /// `sizeof(drr_device_options)`
    pub struct_size: u32,
    /// A `drr_device_kernel`.
    pub kernel: u32,
    /// A `CUcontext` of the GPU, which must outlive the model there and its samplers; NULL for the
    /// primary one, that of the CUDA runtime.
    pub context: *mut c_void,
}

/// A model on a GPU. The strings are UTF-8, owned by the model there, valid until it is closed.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct drr_device_info {
    /// `sizeof(drr_device_info)`, set by the caller.
    pub struct_size: u32,
    /// Number of the GPU, as CUDA counts.
    pub ordinal: u32,
    /// Memory of the GPU that the model takes in bytes, without its samplers.
    pub memory_bytes: u64,
    /// Number and name of the GPU: `cuda:0 (...)`.
    pub device: *const c_char,
    /// Name of the kernel in use: `portable` or `tensor`.
    pub kernel: *const c_char,
}

sized_structs! {
    drr_device_options: 16,
    drr_device_info: 32,
}

/// The kernel that a number from C names.
pub(super) fn device_kernel(number: u32) -> Result<Choice> {
    match number {
        0 => Ok(Choice::Auto),
        1 => Ok(Choice::Portable),
        2 => Ok(Choice::Tensor),
        other => Err(unknown("kernel", other, "drr_device_kernel")),
    }
}
