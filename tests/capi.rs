//! C programs compiled against `include/drr.h` and linked with the shared library do what the
//! header says, at every kernel, and under valgrind where there is one.
#![cfg(target_os = "linux")]

mod common;

use std::process::Command;

use common::kernels;
use common::programs::{Program, VALGRIND, has_valgrind, is_installed, is_sanitized, root, silent};

const WARNINGS: [&str; 4] = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"];

fn compile(source: &str) -> Program {
    let flags = [&["-std=c11", "-g", "-pthread"], &WARNINGS[..]].concat();
    Program::compile("cc", &flags, &[source])
}

/// Every kernel alone, the simplest one under valgrind.
fn run(program: &Program, arguments: &[&str]) {
    for kernel in kernels() {
        program.run(&[], arguments, kernel.name());
    }
    if has_valgrind() {
        program.run(&VALGRIND, arguments, "scalar");
    }
}

#[test]
fn the_c_abi_works_as_its_header_says() {
    run(&compile("tests/capi_use.c"), &[]);
}

#[test]
fn layouts_are_read_and_written_as_described() {
    run(&compile("tests/capi_layouts.c"), &[]);
}

#[test]
fn impossible_arguments_are_errors() {
    run(&compile("tests/capi_arguments.c"), &[]);
}

#[test]
fn radiance_fields_are_seen() {
    run(&compile("tests/capi_radiance.c"), &[]);
}

#[test]
fn misuse_of_the_c_abi_is_an_error() {
    let program = compile("tests/capi_misuse.c");
    // What is freed must not be looked at then, not even to find out that it is.
    let arguments = if is_sanitized() { &["checked"][..] } else { &[] };
    for kernel in kernels() {
        program.run(&[], arguments, kernel.name());
    }
    if has_valgrind() {
        program.run(&VALGRIND, &["checked"], "scalar");
    }
}

#[test]
fn what_comes_and_goes_leaves_nothing_behind() {
    let program = compile("tests/capi_often.c");
    let kernel = kernels().last().expect("a kernel").name();
    // AddressSanitizer keeps what was freed for a while.
    if !is_sanitized() {
        program.run(&[], &[], kernel);
    }
    if has_valgrind() {
        program.run(&VALGRIND, &["20", "checked"], "scalar");
    }
}

#[test]
fn the_header_is_clean_c_and_cpp() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let include = root().join("include");
    for (compiler, standard, name) in
        [("cc", "c11", "twice.c"), ("g++", "c++11", "twice.cpp"), ("g++", "c++17", "twice.cpp")]
    {
        if !is_installed(compiler) {
            continue;
        }
        let source = folder.path().join(name);
        let text = "#include <drr.h>\n#include <drr.h>\nint main(void) { return DRR_OK; }\n";
        std::fs::write(&source, text).expect("room for a file");
        let output = Command::new(compiler)
            .arg(format!("-std={standard}"))
            .args(WARNINGS)
            .args(["-fsyntax-only", "-I"])
            .args([&include, &source])
            .output();
        silent(&output.expect(compiler), standard);
    }
}
