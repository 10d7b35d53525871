//! Panics forced inside every entry come back as a status.

use std::cell::Cell;
use std::ffi::CStr;
use std::ptr::{null, null_mut};

use super::*;
use crate::Result;

thread_local! {
    static IS_FORCED: Cell<bool> = const { Cell::new(false) };
}

/// `body`, or a panic in its place while the test below runs.
pub(super) fn forced_in(body: impl FnOnce() -> Result<()>) -> impl FnOnce() -> Result<()> {
    || {
        assert!(!IS_FORCED.get(), "forced");
        body()
    }
}

/// All entries that return a status, called with nothing.
fn entries() -> Vec<(&'static str, drr_status)> {
    macro_rules! call {
        ($($name:ident($($argument:expr),*)),* $(,)?) => {
            // SAFETY: NULL for every pointer is an error that each entry finds.
            vec![$((stringify!($name), unsafe { $name($($argument),*) })),*]
        };
    }
    call![
        drr_model_open(null(), null(), null_mut()),
        drr_model_open_memory(null(), 0, null(), null_mut()),
        drr_model_get_info(null(), null_mut()),
        drr_model_get_axis(null(), 0, null_mut()),
        drr_model_get_parameter(null(), 0, null_mut()),
        drr_model_get_value(null(), 0, null_mut()),
        drr_model_query(null(), null(), null(), null(), null()),
        drr_model_query_f32(null(), 0, null(), null(), null_mut()),
        drr_model_query_f64(null(), 0, null(), null(), null_mut()),
        drr_model_query_sets(null(), null(), null(), null(), null(), 0),
        drr_sampler_create(null(), null(), 0, null(), null_mut()),
        drr_sampler_query(null(), null(), null()),
        drr_sampler_query_f32(null(), 0, null(), null_mut()),
        drr_sampler_query_f64(null(), 0, null(), null_mut()),
        drr_sampler_query_lattice(null(), null(), null()),
        drr_sampler_query_lattice_gradient(null(), null(), null(), null(), null()),
        drr_sampler_query_gradient(null(), null(), null(), null(), null()),
        drr_sampler_query_gradient_f32(null(), 0, null(), null_mut(), null_mut(), null_mut()),
        drr_sampler_query_gradient_f64(null(), 0, null(), null_mut(), null_mut(), null_mut()),
        drr_radiance_query(null(), null(), null(), null()),
        drr_radiance_render(null(), null(), 0, 0, null(), null_mut(), null_mut()),
        drr_radiance_render_rays(null(), null(), null(), null(), null_mut(), null_mut()),
        drr_device_count(null_mut()),
        drr_model_to_device(null(), 0, null(), null_mut()),
        drr_device_model_get_info(null(), null_mut()),
        drr_device_model_query(null(), null(), null(), null(), null(), null_mut()),
        drr_device_sampler_create(null(), null(), 0, null(), null_mut()),
        drr_device_sampler_set_parameters(null(), null(), 0, null_mut()),
        drr_device_sampler_query(null(), null(), null(), null_mut()),
        drr_device_sampler_query_lattice(null(), null(), null(), null_mut()),
        drr_device_sampler_query_gradient(null(), null(), null(), null(), null(), null_mut()),
        drr_device_sampler_query_lattice_gradient(
            null(),
            null(),
            null(),
            null(),
            null(),
            null_mut()
        ),
        drr_device_radiance_query(null(), null(), null(), null(), null_mut()),
        drr_device_radiance_render(
            null(),
            null(),
            0,
            0,
            null(),
            null_mut(),
            null_mut(),
            null_mut()
        ),
        drr_device_radiance_render_rays(
            null(),
            null(),
            null(),
            null(),
            null_mut(),
            null_mut(),
            null_mut()
        ),
        drr_device_sampler_query_host(null(), null(), null()),
        drr_device_sampler_query_lattice_host(null(), null(), null()),
        drr_set_log_callback(None, 9, null_mut()),
    ]
}

/// Entries of the committed list that return no status and have their own tests.
const OTHERS: [&str; 9] = [
    "drr_abi_version",
    "drr_device_model_close",
    "drr_device_sampler_free",
    "drr_last_error",
    "drr_last_os_error",
    "drr_model_close",
    "drr_sampler_free",
    "drr_status_name",
    "drr_version",
];

#[test]
fn panics_in_any_entry_are_internal_errors() {
    IS_FORCED.set(true);
    let called = entries();
    // These have no status; that they return is all they promise.
    // SAFETY: NULL is fine.
    unsafe {
        drr_model_close(null_mut());
        drr_sampler_free(null_mut());
        drr_device_model_close(null_mut());
        drr_device_sampler_free(null_mut());
    }
    IS_FORCED.set(false);
    for (name, status) in &called {
        assert_eq!(*status, drr_status::DRR_ERROR_INTERNAL, "{name}");
    }
    // SAFETY: never NULL and NUL-terminated.
    let reason = unsafe { CStr::from_ptr(drr_last_error()) };
    assert_eq!(reason.to_str(), Ok("bug in drr, please report: forced"));

    let list = include_str!("../../tests/exported_symbols.txt");
    let mut names: Vec<_> = called.iter().map(|(name, _)| *name).chain(OTHERS).collect();
    names.sort_unstable();
    assert_eq!(names, list.lines().collect::<Vec<_>>());
}

#[test]
fn nothing_but_null_is_an_error_in_every_entry() {
    for (name, status) in entries() {
        assert_eq!(status, drr_status::DRR_ERROR_INVALID_ARGUMENT, "{name}");
    }
}
