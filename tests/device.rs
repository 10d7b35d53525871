//! Models on a GPU by the C ABI, with a driver made for tests (tests/cuda/driver.cpp): every kind of
//! call, every call of the driver failing, and no driver at all.
#![cfg(target_os = "linux")]

mod common;

use std::process::Output;

use common::programs::{Program, is_installed, is_sanitized, library, root, silent};
use drr::capi::drr_status;

/// The program of a source, and a driver in a folder with it.
fn program(source: &str) -> Option<Program> {
    let bindings = root().join("bindings/cpp");
    let bindings = bindings.to_str().expect("a path in UTF-8");
    let (compiler, standard) =
        if source.ends_with(".c") { ("cc", "-std=c11") } else { ("c++", "-std=c++17") };
    let flags = [standard, "-Wall", "-Wextra", "-Werror", "-O1", "-I", bindings];
    with_driver(|program| program.link(compiler, &flags, &[source]))
}

/// What `link` makes, and a driver in a folder with it.
fn with_driver(link: impl FnOnce(&Program)) -> Option<Program> {
    if !is_installed("c++") || is_sanitized() {
        eprintln!(
            "skipped: the driver made for tests (no c++, or a sanitizer, which knows no fibers)"
        );
        return None;
    }
    let program = Program::none();
    link(&program);
    let mut command = std::process::Command::new("c++");
    command.args(["-std=c++17", "-O1", "-shared", "-fPIC", "-fvisibility=default"]);
    command.arg("-I").arg(root().join("tests/cuda")).arg(root().join("tests/cuda/driver.cpp"));
    command.arg("-o").arg(program.path("libcuda.so"));
    silent(&command.output().expect("c++"), "the driver made for tests");
    Some(program)
}

fn run(program: &Program, words: &[&str], variables: &[(&str, &str)], has_driver: bool) -> Output {
    let mut command = std::process::Command::new(program.path("program"));
    command.arg(program.path("model")).args(words).envs(variables.iter().copied());
    command.env("DRR_CPU", "scalar").env_remove("LD_LIBRARY_PATH");
    if has_driver {
        command.env("LD_LIBRARY_PATH", program.path(""));
    }
    command.output().expect("the program")
}

#[test]
fn models_are_queried_on_a_device() {
    let Some(program) = program("tests/cuda/device.c") else { return };
    silent(&run(&program, &["whole"], &[], true), "whole");
}

#[test]
fn radiance_fields_are_seen_on_a_device() {
    let Some(program) = program("tests/cuda/radiance.c") else { return };
    silent(&run(&program, &[], &[], true), "radiance");
}

#[test]
fn models_share_their_kernels() {
    let Some(program) = program("tests/cuda/device.c") else { return };
    silent(&run(&program, &["shared"], &[], true), "shared");
}

#[test]
fn the_cpp_wrapper_does_the_same() {
    let Some(program) = program("tests/cuda/device.cpp") else { return };
    silent(&run(&program, &[], &[], true), "C++");
}

/// With the compiler's checks of arrays.
#[test]
fn the_fortran_wrapper_does_the_same() {
    if !is_installed("gfortran") {
        eprintln!("skipped: Fortran on a device (no gfortran)");
        return;
    }
    let sources =
        ["bindings/fortran/drr.f90", "bindings/fortran/drr_cuda.f90", "tests/fortran/device.f90"];
    let flags = ["-std=f2008", "-pedantic", "-Wall", "-Wextra", "-Werror", "-fcheck=all", "-g"];
    let flags = [&flags[..], &["-Wno-compare-reals"]].concat();
    let Some(program) = with_driver(|program| program.link("gfortran", &flags, &sources)) else {
        return;
    };
    silent(&run(&program, &[], &[], true), "Fortran");
}

#[test]
fn the_csharp_binding_does_the_same() {
    if !["mcs", "mono"].into_iter().all(is_installed) {
        eprintln!("skipped: C# on a device (no mono)");
        return;
    }
    let Some(program) = with_driver(|_| ()) else { return };
    let path = program.path("program.exe");
    let mut command = std::process::Command::new("mcs");
    command.args(["-unsafe", "-langversion:7", "-warn:4", "-warnaserror"]);
    command.arg(format!("-out:{}", path.display()));
    command.arg(root().join("tests/cuda/Device.cs")).arg(root().join("bindings/csharp/*.cs"));
    silent(&command.output().expect("a C# compiler"), "Device.cs");
    let mut folders = program.path("").into_os_string();
    folders.push(":");
    folders.push(library());
    let mut command = std::process::Command::new("mono");
    command.arg("--debug").arg(path).arg(program.path("model"));
    command.env("LD_LIBRARY_PATH", folders).env("DRR_CPU", "scalar");
    silent(&command.output().expect("mono"), "C#");
}

/// What an example prints.
fn printed(program: &Program) -> String {
    let output = run(program, &[], &[], true);
    let [out, err] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
    assert!(output.status.success() && err.is_empty(), "{}\n{out}{err}", output.status);
    out.into_owned()
}

#[test]
fn the_example_sweeps_on_the_gpu() {
    let stub = root().join("tests/cuda/stub");
    let stub = stub.to_str().expect("a path in UTF-8");
    let flags = ["-std=c11", "-O1", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-I", stub];
    let link = |program: &Program| program.link("cc", &flags, &["examples/cuda/sweep.c"]);
    let Some(program) = with_driver(link) else { return };
    let text = printed(&program);
    let lines: Vec<_> = text.lines().collect();
    assert!(lines[0].starts_with("cuda:0 (Fake GPU): ") && lines.len() == 1 + 5 + 1, "{text}");
    for line in &lines[1..6] {
        let difference = line.rsplit(' ').next().and_then(|word| word.parse::<f64>().ok());
        assert!(line.starts_with("p = ") && difference.is_some_and(|d| d < 1e-2), "{text}");
    }
    assert!(lines[6].starts_with("steepest slope "), "{text}");
}

#[test]
fn the_openacc_example_asks_on_the_gpu() {
    if !is_installed("gfortran") {
        eprintln!("skipped: OpenACC (no gfortran)");
        return;
    }
    let sources =
        ["bindings/fortran/drr.f90", "bindings/fortran/drr_cuda.f90", "examples/cuda/openacc.f90"];
    let flags = ["-std=f2018", "-fopenacc", "-foffload=disable", "-Wall", "-Wextra", "-Werror"];
    let flags = [&flags[..], &["-Wno-compare-reals"]].concat();
    let Some(program) = with_driver(|program| program.link("gfortran", &flags, &sources)) else {
        return;
    };
    let text = printed(&program);
    let mean = text.lines().last().and_then(|line| line.strip_prefix("mean of v: "));
    let mean = mean.and_then(|mean| mean.trim().parse::<f64>().ok());
    assert!(mean.is_some_and(|mean| (-1.0..=2.0).contains(&mean)), "{text}");
}

#[test]
fn without_a_driver_there_are_no_devices() {
    let Some(program) = program("tests/cuda/device.c") else { return };
    // A machine with a GPU has one.
    if drr::cuda::gpu::count().is_ok_and(|count| count > 0) {
        return;
    }
    silent(&run(&program, &["none"], &[], false), "none");
}

/// Whatever fails is a status and a message that names it, and nothing is kept.
#[test]
fn every_failure_of_the_driver_is_a_status() {
    let Some(program) = program("tests/cuda/device.c") else { return };
    use drr_status::*;
    let status = |status: drr_status| (status as u32).to_string();
    let fails = |variable: (&str, &str), expected: drr_status, text: &str| {
        let output = run(&program, &["fails", &status(expected), text], &[variable], true);
        silent(&output, &format!("{variable:?}"));
    };
    fails(("FAKE_CUDA_DEVICES", "0"), DRR_ERROR_NO_DEVICE, "device 0 asked for, there are 0");
    fails(("FAKE_CUDA_CAPABILITY", "61"), DRR_ERROR_UNSUPPORTED, "compute capability 6.1");
    for (call, error, expected, text) in [
        ("cuInit:1", 100, DRR_ERROR_NO_DEVICE, "cuInit: fake error"),
        ("cuInit:1", 999, DRR_ERROR_DEVICE, "cuInit"),
        ("cuDeviceGetCount:1", 999, DRR_ERROR_DEVICE, "cuDeviceGetCount"),
        ("cuDeviceGet:1", 101, DRR_ERROR_DEVICE, "cuDeviceGet"),
        ("cuDevicePrimaryCtxRetain:1", 2, DRR_ERROR_OUT_OF_MEMORY, "cuDevicePrimaryCtxRetain"),
        ("cuCtxPushCurrent_v2:1", 201, DRR_ERROR_INVALID_ARGUMENT, "cuCtxPushCurrent"),
        ("cuCtxPushCurrent_v2:3", 709, DRR_ERROR_DEVICE, "cuCtxPushCurrent"),
        ("cuDeviceGetAttribute:3", 1, DRR_ERROR_INVALID_ARGUMENT, "cuDeviceGetAttribute"),
        ("cuModuleLoadData:1", 222, DRR_ERROR_UNSUPPORTED, "cuModuleLoadData"),
        ("cuModuleGetFunction:2", 500, DRR_ERROR_DEVICE, "cuModuleGetFunction"),
        ("cuFuncSetAttribute:1", 1, DRR_ERROR_INVALID_ARGUMENT, "cuFuncSetAttribute"),
        ("cuMemAlloc_v2:1", 2, DRR_ERROR_OUT_OF_MEMORY, "bytes on cuda:0 (Fake GPU)"),
        ("cuMemAlloc_v2:2", 2, DRR_ERROR_OUT_OF_MEMORY, "out of memory"),
        ("cuMemcpyHtoD_v2:4", 700, DRR_ERROR_DEVICE, "cuMemcpyHtoD"),
        ("cuMemHostAlloc:3", 2, DRR_ERROR_OUT_OF_MEMORY, "bytes of pinned memory"),
        ("cuStreamCreate:2", 2, DRR_ERROR_OUT_OF_MEMORY, "cuStreamCreate"),
        ("cuMemcpyHtoDAsync_v2:1", 700, DRR_ERROR_DEVICE, "cuMemcpyHtoDAsync"),
        ("cuMemcpyDtoHAsync_v2:1", 700, DRR_ERROR_DEVICE, "cuMemcpyDtoHAsync"),
        ("cuLaunchKernel:1", 701, DRR_ERROR_DEVICE, "cuLaunchKernel"),
        ("cuLaunchKernel:2", 701, DRR_ERROR_DEVICE, "cuLaunchKernel"),
        ("cuStreamSynchronize:1", 719, DRR_ERROR_DEVICE, "cuStreamSynchronize"),
        ("cuStreamSynchronize:3", 719, DRR_ERROR_DEVICE, "cuStreamSynchronize"),
    ] {
        fails(("FAKE_CUDA_FAIL", &format!("{call}:{error}")), expected, text);
    }
}
