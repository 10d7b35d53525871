//! Programs in C, C++ and Fortran that train in situ: compiled against the headers, linked with both
//! shared libraries, and silent.
#![cfg(target_os = "linux")]

mod common;

use std::path::Path;
use std::process::Command;

use common::programs::{WARNINGS, is_installed, libraries, root, silent};
use common::ranks::MPI;
use tempfile::TempDir;

/// OpenMP, so that programs see whether their settings stay.
const C: [&str; 4] = ["-std=c11", "-D_GNU_SOURCE", "-g", "-fopenmp"];

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

/// The example that learns a run while it is simulated, with little time: it must learn something, and
/// say what it did.
#[test]
fn a_solver_teaches_a_surrogate() {
    if !["mpifort", "mpirun"].into_iter().all(is_installed) {
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let compile = |name: &str, sources: &[&str], library: &str| {
        let mut command = Command::new("mpifort");
        command.current_dir(folder.path()).args(["-std=f2008", "-O2"]).args(WARNINGS);
        command.args(["-Wno-compare-reals", "-Wno-unused-dummy-argument", "-o", name]);
        command.args(sources.iter().map(|source| root().join(source)));
        command.arg("-L").arg(libraries()).arg(library);
        command.arg(format!("-Wl,-rpath,{}", libraries().display()));
        silent(&command.output().expect("mpifort"), name);
    };
    let solver = ["arguments", "fluxes", "block", "euler", "explosion"]
        .map(|n| format!("examples/euler/{n}.f90"));
    let mut sources = vec!["bindings/fortran/drr_train.f90", "bindings/fortran/drr_train_mpi.f90"];
    sources.extend(solver.iter().map(String::as_str));
    sources.push("examples/learn/learn.f90");
    compile("learn", &sources, "-ldrr_train");
    compile("replay", &["bindings/fortran/drr.f90", "examples/learn/replay.f90"], "-ldrr");

    let program = |command: &mut Command| {
        let output = command
            .current_dir(folder.path())
            .env_remove("LD_LIBRARY_PATH")
            .env("OMP_NUM_THREADS", "1")
            .envs(MPI.map(|name| (format!("OMPI_{name}"), "1")))
            .output()
            .expect("a program");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}\n{text}{said}", output.status);
        text
    };
    let config = root().join("examples/learn/model.yaml");
    let arguments = ["-n", "2", "./learn"];
    let mut command = Command::new("mpirun");
    command.args(arguments).arg(config).args(["run.drr", "0.03", "9", "1"]);
    let text = program(&mut command);
    for part in ["simulated ", " with 2 ranks", "trained ", " on 64 of ", "baked run.drr of "] {
        assert!(text.contains(part), "no `{part}` in {text}");
    }
    let text = program(Command::new("./replay").args(["run.drr", "run.drr.times", "run.drr.raw"]));
    assert_eq!(text.lines().count(), 9 + 1, "{text}");
    let last = text.lines().last().expect("a summary");
    let psnr = last.split(" psnr ").nth(1).and_then(|rest| rest.split(' ').next());
    let psnr: f64 = psnr.and_then(|text| text.trim().parse().ok()).expect("a number");
    // Air at rest everywhere has 25 dB.
    assert!(psnr > 30.0, "{text}");
    let text = program(Command::new("./replay").arg("run.drr"));
    let pressures: Vec<f64> =
        text.lines().filter_map(|line| line.split_whitespace().nth(1)?.parse().ok()).collect();
    assert!(pressures.len() == 200 && pressures.iter().all(|p| (0.0..1.0).contains(p)), "{text}");
}
