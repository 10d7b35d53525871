//! The C ABI called from Rust with memory of exactly the documented size: where Miri is installed,
//! `make test-miri` has it watch every read and write (it cannot run C programs).

mod common;

use std::ffi::{CStr, c_void};
use std::ptr::{null, null_mut};

use common::programs::model;
use drr::capi::*;

const STEPS: usize = 5;
const PARAMETERS: [f64; 2] = [0.25, 0.75];

fn ok(status: drr_status) {
    // SAFETY: never NULL and NUL-terminated.
    let reason = unsafe { CStr::from_ptr(drr_last_error()) };
    assert_eq!(status, drr_status::DRR_OK, "{reason:?}");
}

/// Two handles that are closed again.
struct Open {
    model: *mut drr_model,
    sampler: *mut drr_sampler,
}

impl Open {
    fn new() -> Self {
        let bytes = model().bytes;
        let (mut model, mut sampler) = (null_mut(), null_mut());
        // SAFETY: arrays of the sizes given, addresses of handles to be written.
        unsafe {
            let data = bytes.as_ptr().cast::<c_void>();
            ok(drr_model_open_memory(data, bytes.len() as u64, null(), &mut model));
            drop(bytes);
            ok(drr_sampler_create(model, PARAMETERS.as_ptr(), 2, null(), &mut sampler));
        }
        Self { model, sampler }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        // SAFETY: made by the library, used by nobody else.
        unsafe {
            drr_model_close(self.model);
            drr_sampler_free(self.sampler);
        }
    }
}

/// Points with all coordinates different, x first.
fn points() -> Vec<f64> {
    (0..3 * STEPS).map(|n| (n * 37 % 64) as f64 / 64.0).collect()
}

fn packed(open: &Open) -> Vec<f64> {
    let (points, mut values) = (points(), vec![f64::NAN; 2 * STEPS]);
    let (from, to) = (points.as_ptr(), values.as_mut_ptr());
    // SAFETY: a live sampler and arrays of the documented sizes.
    ok(unsafe { drr_sampler_query_f64(open.sampler, STEPS as u64, from, to) });
    values
}

/// The first byte of a coordinate or value in an array that holds its numbers at odd addresses.
fn odd(bytes: &mut [u8], number: usize) -> *mut c_void {
    bytes[1 + 8 * number..].as_mut_ptr().cast()
}

#[test]
fn numbers_at_any_address_backwards_and_in_separate_arrays() {
    let open = Open::new();
    let expected = packed(&open);
    let mut from = vec![0; 1 + 8 * 3 * STEPS];
    for (bytes, number) in from[1..].chunks_exact_mut(8).zip(points()) {
        bytes.copy_from_slice(&number.to_le_bytes());
    }
    let last = 3 * (STEPS - 1);
    let points = drr_points {
        struct_size: size_of::<drr_points>() as u32,
        scalar: drr_scalar::DRR_F64 as u32,
        count: STEPS as u64,
        axis: [0, 1, 2].map(|k| odd(&mut from, last + k).cast_const()),
        stride: [-24; 3],
    };
    let mut arrays = [vec![0; 1 + 8 * STEPS], vec![0; 1 + 8 * STEPS]];
    let separate = arrays.each_mut().map(|array| odd(array, 0));
    let values = drr_values {
        struct_size: size_of::<drr_values>() as u32,
        scalar: drr_scalar::DRR_F64 as u32,
        data: null_mut(),
        point_stride: 0,
        value_stride: 0,
        row_stride: 0,
        plane_stride: 0,
        separate: separate.as_ptr(),
    };
    // SAFETY: a live sampler; the structs describe the arrays above.
    ok(unsafe { drr_sampler_query(open.sampler, &points, &values) });
    for (k, array) in arrays.iter().enumerate() {
        let found: Vec<_> = array[1..].chunks_exact(8).map(|b| b.try_into().unwrap()).collect();
        for (i, bytes) in found.into_iter().enumerate() {
            assert_eq!(f64::from_le_bytes(bytes), expected[2 * (STEPS - 1 - i) + k], "{i} {k}");
        }
    }
}

#[test]
fn derivatives_and_parameters_of_each_point() {
    let open = Open::new();
    let expected = packed(&open);
    let (points, mut values) = (points(), vec![f64::NAN; 2 * STEPS]);
    let (mut by_x, mut by_p) = (vec![f64::NAN; 6 * STEPS], vec![f64::NAN; 4 * STEPS]);
    let rows = PARAMETERS.repeat(STEPS);
    // SAFETY: live handles and arrays of the documented sizes.
    unsafe {
        ok(drr_sampler_query_gradient_f64(
            open.sampler,
            STEPS as u64,
            points.as_ptr(),
            values.as_mut_ptr(),
            by_x.as_mut_ptr(),
            by_p.as_mut_ptr(),
        ));
        assert_eq!(values, expected);
        assert!(by_x.iter().chain(&by_p).all(|slope| slope.is_finite()));
        values.fill(f64::NAN);
        let (from, to) = (points.as_ptr(), values.as_mut_ptr());
        ok(drr_model_query_f64(open.model, STEPS as u64, from, rows.as_ptr(), to));
    }
    let close = values.iter().zip(&expected).all(|(a, b)| (a - b).abs() <= 1e-4 * b.abs().max(1.0));
    assert!(close, "{values:?} {expected:?}");
}
