//! `bindings/fortran/drr.f90` does what it says, copies no arrays, and frees what it opened.
#![cfg(target_os = "linux")]

mod common;

use std::process::Command;

use common::kernels;
use common::programs::{Program, VALGRIND, has_valgrind, is_installed};

const WRAPPER: &str = "bindings/fortran/drr.f90";

/// A Fortran compiler, and how it is made to find fault.
struct Compiler {
    program: &'static str,
    flags: &'static [&'static str],
    /// Has the program watch itself while it runs.
    checks: &'static [&'static str],
}

const GFORTRAN: Compiler = Compiler {
    program: "gfortran",
    // The tests compare numbers that are equal bit by bit.
    flags: &["-std=f2008", "-pedantic", "-Wall", "-Wextra", "-Werror", "-Wno-compare-reals", "-g"],
    checks: &["-fcheck=all"],
};

/// LLVM's; `-pedantic` would warn of every array that a caller has not declared a target.
const fn flang(program: &'static str) -> Compiler {
    Compiler { program, flags: &["-std=f2018", "-Werror", "-g"], checks: &[] }
}

/// The names that LLVM 20 and later, LLVM up to 19 and Debian give it.
const FLANGS: [Compiler; 3] = [flang("flang"), flang("flang-new"), flang("flang-new-19")];

impl Compiler {
    /// Those of this machine.
    fn all() -> Vec<Self> {
        let flang = FLANGS
            .into_iter()
            .find(|flang| Command::new(flang.program).arg("--version").output().is_ok());
        if flang.is_none() {
            eprintln!("skipped: no flang");
        }
        let gfortran = is_installed(GFORTRAN.program).then_some(GFORTRAN);
        gfortran.into_iter().chain(flang).collect()
    }

    fn is_gfortran(&self) -> bool {
        self.program == GFORTRAN.program
    }

    fn compile(&self, source: &str, more: &[&str]) -> Program {
        let program = Program::none();
        self.link(&program, source, more);
        program
    }

    fn link(&self, program: &Program, source: &str, more: &[&str]) {
        program.link(self.program, &[self.flags, more].concat(), &[WRAPPER, source]);
    }
}

#[test]
fn the_wrapper_agrees_with_the_c_abi() {
    for compiler in Compiler::all() {
        let program = compiler.compile("tests/fortran/bindings.f90", compiler.checks);
        for kernel in kernels() {
            program.run(&[], &[], kernel.name());
        }
        if has_valgrind() {
            program.run(&VALGRIND, &[], "scalar");
        }
    }
}

/// The library is given the addresses of the caller's arrays. gfortran also knows of no copies in
/// the wrapper, and the program that it compiled reports none.
#[test]
fn arrays_are_used_in_place() {
    for compiler in Compiler::all() {
        let program = Program::none();
        program.command(
            "cc",
            &["-D_GNU_SOURCE", "-Wall", "-Werror", "-c"],
            &["tests/fortran/spy.c"],
        );
        let flags = [compiler.checks, &["spy.o"]].concat();
        compiler.link(&program, "tests/fortran/in_place.f90", &flags);
        program.run(&[], if compiler.is_gfortran() { &[] } else { &["components"] }, "scalar");
        if compiler.is_gfortran() {
            let flags = ["-c", "-Warray-temporaries", "-Werror"];
            program.command(compiler.program, &flags, &[WRAPPER]);
        }
    }
}

#[test]
fn the_wrapper_stands_optimisation() {
    for compiler in Compiler::all() {
        for level in ["-O2", "-O3"] {
            let program = compiler.compile("tests/fortran/bindings.f90", &[level]);
            program.run(&[], &["components"], "scalar");
        }
    }
}

#[test]
fn a_failure_that_nobody_asks_for_stops_the_program() {
    for compiler in Compiler::all() {
        let program = compiler.compile("tests/fortran/bindings.f90", &[]);
        let output = program.output(&[], &["stop"], "scalar");
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success());
        assert!(text.contains("DRR_ERROR_IO") && text.contains("no-such-file"), "{text}");
    }
}

#[test]
fn the_example_prints_what_it_opened() {
    for compiler in Compiler::all() {
        let program = compiler.compile("examples/fortran/query.f90", compiler.checks);
        let output = program.output(&[], &[], "scalar");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
        for expected in ["axis      x", "parameter q", "value     v", "K", "centre", "lattice"] {
            assert!(text.contains(expected), "no {expected:?} in\n{text}");
        }
    }
}
