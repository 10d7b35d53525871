//! Programs in C, C++ and Fortran that train in situ: compiled against the headers, linked with both
//! shared libraries, and silent.
#![cfg(target_os = "linux")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

const WARNINGS: [&str; 4] = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"];

/// OpenMP, so that programs see whether their settings stay.
const C: [&str; 4] = ["-std=c11", "-D_GNU_SOURCE", "-g", "-fopenmp"];

/// The folder of this repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The folder of the shared libraries that were built with this test.
fn libraries() -> PathBuf {
    let program = std::env::current_exe().expect("this program");
    program.parent().expect("its folder").to_owned()
}

fn is_installed(program: &str) -> bool {
    let found = Command::new(program).arg("--version").output().is_ok();
    if !found {
        eprintln!("skipped: no {program}");
    }
    found
}

/// Success, and nothing printed.
fn silent(output: &Output, what: &str) {
    let text = [&output.stdout[..], &output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    assert!(output.status.success() && text.is_empty(), "{what}: {}\n{text}", output.status);
}

/// Compiles sources, with names in this repository, and runs the program in a folder of its own, whose
/// name is its only argument.
fn run(compiler: &str, flags: &[&str], sources: &[&Path]) -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let program = folder.path().join("program");
    let mut command = Command::new(compiler);
    command.current_dir(folder.path()).args(flags).arg("-o").arg(&program);
    for include in ["include", "bindings/cpp", "trainer/tests/insitu"] {
        command.arg("-I").arg(root().join(include));
    }
    command.args(sources.iter().map(|source| root().join(source)));
    command.arg("-L").arg(libraries()).args(["-ldrr_train", "-ldrr", "-lm"]);
    command.arg(format!("-Wl,-rpath,{}", libraries().display()));
    silent(&command.output().expect(compiler), &format!("{command:?}"));
    let output = Command::new(&program)
        .arg(folder.path())
        .current_dir(folder.path())
        // Cargo's would find other builds of the libraries first.
        .env_remove("LD_LIBRARY_PATH")
        .env("OMP_NUM_THREADS", "1")
        .output();
    silent(&output.expect("the program"), &format!("{sources:?}"));
    folder
}

fn run_c(source: &str) -> TempDir {
    run("cc", &[&C[..], &WARNINGS].concat(), &[Path::new(source)])
}

#[test]
fn training_works_as_the_header_says() {
    let folder = run_c("trainer/tests/insitu/use.c");
    assert!(folder.path().join("run/config.yaml").is_file());
}

#[test]
fn impossible_arguments_are_errors() {
    run_c("trainer/tests/insitu/arguments.c");
}

#[test]
fn sessions_do_not_disturb_each_other() {
    run_c("trainer/tests/insitu/threads.c");
}

#[test]
fn the_program_of_the_documentation_works() {
    let text = std::fs::read_to_string(root().join("docs/insitu-training.md")).expect("the page");
    let (_, rest) = text.split_once("```c\n").expect("a program in C");
    let (program, _) = rest.split_once("```").expect("its end");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let source = folder.path().join("example.c");
    std::fs::write(&source, program).expect("room for a file");
    let made = run("cc", &[&["-std=c11"], &WARNINGS[..]].concat(), &[&source]);
    assert!(made.path().join("heat.drr.safetensors").is_file());
}

#[test]
fn the_cpp_wrapper_agrees_with_the_c_abi() {
    for (compiler, standard) in
        [("g++", "-std=c++17"), ("g++", "-std=c++20"), ("clang++", "-std=c++17")]
    {
        if is_installed(compiler) {
            let more = ["-Wconversion", "-Wshadow"];
            let flags = [&[standard, "-g"], &WARNINGS[..], &more].concat();
            run(compiler, &flags, &[Path::new("trainer/tests/insitu/bindings.cpp")]);
        }
    }
}

#[test]
fn the_fortran_module_agrees_with_the_c_abi() {
    if !is_installed("gfortran") {
        return;
    }
    let flags = ["-std=f2008", "-fcheck=all", "-g", "-Wno-compare-reals"];
    let sources = [
        "bindings/fortran/drr.f90",
        "bindings/fortran/drr_train.f90",
        "trainer/tests/insitu/bindings.f90",
    ];
    run("gfortran", &[&flags, &WARNINGS[..]].concat(), &sources.map(Path::new));
}

#[test]
fn the_header_is_clean_c_and_cpp() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (compiler, standard, name) in
        [("cc", "c11", "twice.c"), ("g++", "c++11", "twice.cpp"), ("g++", "c++17", "twice.cpp")]
    {
        if !is_installed(compiler) {
            continue;
        }
        let source = folder.path().join(name);
        let text = "#include <drr_train.h>\n#include <drr_train.h>\n\
                    int main(void) { return DRR_TRAIN_OK; }\n";
        std::fs::write(&source, text).expect("room for a file");
        let output = Command::new(compiler)
            .arg(format!("-std={standard}"))
            .args(WARNINGS)
            .args(["-fsyntax-only", "-I"])
            .args([&root().join("include"), &source])
            .output();
        silent(&output.expect(compiler), standard);
    }
}
