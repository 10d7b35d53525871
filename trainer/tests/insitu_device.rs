//! Blocks in the memory of a GPU, with a driver made for tests (tests/cuda/driver.cpp): the same training
//! as from the host, whatever the driver says is a status, and so is no driver.
#![cfg(target_os = "linux")]

mod common;

use std::path::PathBuf;
use std::process::Command;

use common::programs::{WARNINGS, is_installed, libraries, root, silent};
use drr_train::capi::drr_train_status;
use tempfile::TempDir;

/// A folder with a program, and a driver.
struct Program {
    folder: TempDir,
}

impl Program {
    /// Compiles sources of this repository; `None` without a compiler.
    fn new(compiler: &str, flags: &[&str], sources: &[&str]) -> Option<Self> {
        if !is_installed("c++") || !is_installed(compiler) {
            return None;
        }
        let program = Self { folder: tempfile::tempdir().expect("a temporary folder") };
        let mut command = Command::new(compiler);
        command.current_dir(program.folder.path()).args(flags).args(WARNINGS);
        command.args(["-g", "-o"]).arg(program.path("program"));
        for include in ["include", "bindings/cpp", "trainer/tests/insitu"] {
            command.arg("-I").arg(root().join(include));
        }
        command.args(sources.iter().map(|source| root().join(source)));
        command.arg("-L").arg(libraries()).args(["-ldrr_train", "-ldrr", "-lm", "-ldl"]);
        command.arg(format!("-Wl,-rpath,{}", libraries().display()));
        silent(&command.output().expect(compiler), &format!("{command:?}"));
        let mut command = Command::new("c++");
        command.args(["-std=c++17", "-O1", "-shared", "-fPIC", "-fvisibility=default", "-I"]);
        command.arg(root().join("tests/cuda")).arg(root().join("tests/cuda/driver.cpp"));
        command.arg("-o").arg(program.path("libcuda.so"));
        silent(&command.output().expect("c++"), "the driver made for tests");
        Some(program)
    }

    fn c() -> Option<Self> {
        Self::new("cc", &["-std=c11", "-D_GNU_SOURCE"], &["trainer/tests/insitu/device.c"])
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs it; it succeeds and prints nothing.
    fn run(&self, words: &[&str], variables: &[(&str, &str)], has_driver: bool) {
        let mut command = Command::new(self.path("program"));
        command.arg(self.folder.path()).args(words).current_dir(self.folder.path());
        command.env_remove("LD_LIBRARY_PATH").env("OMP_NUM_THREADS", "1");
        if has_driver {
            command.env("LD_LIBRARY_PATH", self.folder.path());
        }
        command.envs(variables.iter().copied());
        silent(&command.output().expect("the program"), &format!("{words:?} {variables:?}"));
    }
}

#[test]
fn blocks_on_a_gpu_teach_what_those_of_the_host_do() {
    let Some(program) = Program::c() else { return };
    program.run(&["whole"], &[], true);
}

#[test]
fn whatever_the_driver_says_is_a_status() {
    let Some(program) = Program::c() else { return };
    use drr_train_status::*;
    let says = |variable: (&str, &str), expected: drr_train_status, text: &str| {
        let status = (expected as u32).to_string();
        program.run(&["fails", &status, text], &[variable], true);
    };
    // Memory in no context is that of the device's primary one; how large it is need not be known.
    says(("FAKE_CUDA_POOL", "1"), DRR_TRAIN_OK, "");
    for (call, error, expected, text) in [
        ("cuInit:1", 100, DRR_TRAIN_ERROR_NO_DEVICE, "cuInit: fake error; copy the block"),
        ("cuPointerGetAttribute:1", 999, DRR_TRAIN_ERROR_NO_DEVICE, "cuPointerGetAttribute"),
        ("cuPointerGetAttribute:3", 1, DRR_TRAIN_ERROR_INVALID_ARGUMENT, "cuPointerGetAttribute"),
        ("cuDeviceGet:1", 101, DRR_TRAIN_ERROR_NO_DEVICE, "cuDeviceGet"),
        ("cuCtxPushCurrent_v2:2", 709, DRR_TRAIN_ERROR_NO_DEVICE, "cuCtxPushCurrent"),
        ("cuMemGetAddressRange_v2:1", 500, DRR_TRAIN_OK, ""),
        ("cuMemGetAddressRange_v2:1", 719, DRR_TRAIN_ERROR_NO_DEVICE, "cuMemGetAddressRange"),
        ("cuMemcpyDtoH_v2:1", 700, DRR_TRAIN_ERROR_NO_DEVICE, "bytes from cuda:0 (Fake GPU)"),
    ] {
        says(("FAKE_CUDA_FAIL", &format!("{call}:{error}")), expected, text);
    }
}

#[test]
fn without_a_driver_there_is_no_device() {
    let Some(program) = Program::c() else { return };
    // A machine with a GPU has one.
    if drr::cuda::gpu::count().is_ok_and(|count| count > 0) {
        return;
    }
    program.run(&["none"], &[], false);
}

#[test]
fn the_cpp_wrapper_does_the_same() {
    let flags = ["-std=c++17", "-Wconversion", "-Wshadow"];
    let source = "trainer/tests/insitu/device.cpp";
    let Some(program) = Program::new("c++", &flags, &[source]) else { return };
    program.run(&[], &[], true);
}

#[test]
fn the_fortran_module_does_the_same() {
    let flags = ["-std=f2008", "-fcheck=all", "-Wno-compare-reals"];
    let sources = ["bindings/fortran/drr_train.f90", "trainer/tests/insitu/device.f90"];
    let Some(program) = Program::new("gfortran", &flags, &sources) else { return };
    program.run(&[], &[], true);
}
