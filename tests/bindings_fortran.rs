//! `bindings/fortran/drr.f90` does what it says, copies no arrays, and frees what it opened.
#![cfg(target_os = "linux")]

mod common;

use common::kernels;
use common::programs::{Program, VALGRIND, has_valgrind, is_installed};

const WRAPPER: &str = "bindings/fortran/drr.f90";

const WARNINGS: [&str; 5] = ["-std=f2008", "-pedantic", "-Wall", "-Wextra", "-Werror"];

/// Nothing if there is no compiler.
fn compile(source: &str, more: &[&str]) -> Option<Program> {
    is_installed("gfortran").then(|| {
        // The tests compare numbers that are equal bit by bit.
        let flags = [&["-g", "-Wno-compare-reals"], &WARNINGS[..], more].concat();
        Program::compile("gfortran", &flags, &[WRAPPER, source])
    })
}

/// The compiler knows of no copies in the wrapper, and the running program reports none.
#[test]
fn the_wrapper_agrees_with_the_c_abi_and_copies_nothing() {
    let Some(program) = compile("tests/fortran/bindings.f90", &["-fcheck=all"]) else { return };
    program.command("gfortran", &["-c", "-Warray-temporaries", "-Werror"], &[WRAPPER]);
    for kernel in kernels() {
        program.run(&[], &[], kernel.name());
    }
    if has_valgrind() {
        program.run(&VALGRIND, &[], "scalar");
    }
}

#[test]
fn the_wrapper_stands_optimisation() {
    for level in ["-O2", "-O3"] {
        let Some(program) = compile("tests/fortran/bindings.f90", &[level]) else { return };
        program.run(&[], &["components"], "scalar");
    }
}

#[test]
fn a_failure_that_nobody_asks_for_stops_the_program() {
    let Some(program) = compile("tests/fortran/bindings.f90", &[]) else { return };
    let output = program.output(&[], &["stop"], "scalar");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(text.contains("DRR_ERROR_IO") && text.contains("no-such-file"), "{text}");
}

#[test]
fn the_example_prints_what_it_opened() {
    let Some(program) = compile("examples/fortran/query.f90", &["-fcheck=all"]) else { return };
    let output = program.output(&[], &[], "scalar");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    for expected in ["axis      x", "parameter q", "value     v", "K", "centre", "lattice"] {
        assert!(text.contains(expected), "no {expected:?} in\n{text}");
    }
}
