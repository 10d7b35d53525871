//! `bindings/cpp/drr.hpp` does what it says: with exceptions and without, in C++17 and C++20, in
//! every compiler that is here, and under valgrind where there is one.
#![cfg(target_os = "linux")]

mod common;

use common::programs::{Program, VALGRIND, has_valgrind, is_installed, root};

const WARNINGS: [&str; 6] =
    ["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Werror"];

/// What a program is compiled with that gets results in place of exceptions.
const RESULTS: [&str; 2] = ["-DDRR_NO_EXCEPTIONS", "-fno-exceptions"];

/// Flags for a standard, with the folder of the header.
fn flags(standard: &str, more: &[&str]) -> Vec<String> {
    let folder = root().join("bindings/cpp");
    let own = [format!("-std={standard}"), format!("-I{}", folder.display())];
    // Not all valgrinds read what clang writes by default.
    let words = ["-gdwarf-4", "-pthread"].iter().chain(&WARNINGS).chain(more);
    own.into_iter().chain(words.map(|&word| word.to_owned())).collect()
}

fn compile(compiler: &str, source: &str, standard: &str, more: &[&str]) -> Program {
    let flags = flags(standard, more);
    Program::compile(compiler, &flags.iter().map(String::as_str).collect::<Vec<_>>(), &[source])
}

#[test]
fn the_wrapper_agrees_with_the_c_abi() {
    for compiler in ["g++", "clang++"] {
        if !is_installed(compiler) {
            continue;
        }
        for (standard, mode) in [("c++17", &[][..]), ("c++20", &[]), ("c++17", &RESULTS)] {
            let program = compile(compiler, "tests/cpp/bindings.cpp", standard, mode);
            program.run(&[], &[], "scalar");
            if has_valgrind() {
                program.run(&VALGRIND, &[], "scalar");
            }
        }
        let optimised = ["-O2", RESULTS[0], RESULTS[1]];
        let program = compile(compiler, "tests/cpp/bindings.cpp", "c++20", &optimised);
        program.run(&[], &[], "scalar");
    }
}

#[test]
fn both_modes_can_be_linked_together() {
    if !is_installed("c++") {
        return;
    }
    let program = Program::none();
    let source = ["tests/cpp/modes.cpp"];
    for (object, mode) in [("with.o", &[][..]), ("without.o", &RESULTS)] {
        let flags = flags("c++17", &[mode, &["-c", "-o", object]].concat());
        let flags: Vec<_> = flags.iter().map(String::as_str).collect();
        program.command("c++", &flags, &source);
    }
    program.link("c++", &["with.o", "without.o"], &[]);
    program.run(&[], &[], "scalar");
}

/// Nothing but the guard stays defined.
#[test]
fn no_macros_leak() {
    let header = std::fs::read_to_string(root().join("bindings/cpp/drr.hpp")).expect("the header");
    let (define, undefine) = ("#define ", "#undef ");
    let names = |word| header.lines().filter_map(move |line| line.trim().strip_prefix(word));
    let left: Vec<_> =
        names(define).filter(|name| !names(undefine).any(|other| other == *name)).collect();
    assert_eq!(left, ["DRR_HPP"]);
}

#[test]
fn the_example_prints_what_it_opened() {
    if !is_installed("c++") {
        return;
    }
    let program = compile("c++", "examples/cpp/query.cpp", "c++17", &[]);
    let output = program.output(&[], &[], "scalar");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for expected in ["axis      x", "parameter q", "value     v", "K", "centre", "lattice"] {
        assert!(text.contains(expected), "no {expected:?} in\n{text}");
    }
}
