//! Many threads share one model and one sampler: each gets what it would get alone, and none races
//! with another.
#![cfg(target_os = "linux")]

mod common;

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Output};

use common::kernels;
use common::programs::{Program, VALGRIND, has_valgrind, root, silent};
use drr::cpu::KERNEL_VARIABLE;

const SOURCE: &str = "tests/capi_threads.c";

const FLAGS: [&str; 7] =
    ["-std=c11", "-g", "-pthread", "-Wall", "-Wextra", "-Wpedantic", "-Werror"];

#[test]
fn all_threads_get_what_one_gets() {
    let program = Program::compile("cc", &FLAGS, &[SOURCE]);
    for kernel in kernels() {
        program.run(&[], &[], kernel.name());
    }
    if has_valgrind() {
        program.run(&VALGRIND, &["4", "2"], "scalar");
    }
}

#[test]
fn a_forked_process_asks_without_its_parents_threads() {
    let program = Program::compile("cc", &FLAGS, &[SOURCE]);
    program.run(&[], &["1", "1", "forked"], "scalar");
}

/// A static library and the runtime of ThreadSanitizer, which `make test-tsan` names.
fn watched_library() -> Option<[OsString; 2]> {
    let named = ["DRR_TSAN_LIBRARY", "DRR_TSAN_RUNTIME"].map(std::env::var_os);
    let [Some(library), Some(runtime)] = named else {
        eprintln!("skipped: ThreadSanitizer (make test-tsan)");
        return None;
    };
    Some([library, runtime])
}

/// The runtime is that of the Rust compiler, as those of other compilers lack what it calls.
fn compile_watched([library, runtime]: [OsString; 2]) -> Program {
    let program = Program::none();
    let flags = [&FLAGS[..], &["-fsanitize=thread", "-c", "-o", "program.o"]].concat();
    program.command("clang", &flags, &[SOURCE]);
    let link = Command::new("clang")
        .args(["-no-pie", "-rdynamic"])
        .arg(program.path("program.o"))
        .arg(library)
        .arg("-Wl,--whole-archive")
        .arg(runtime)
        .arg("-Wl,--no-whole-archive")
        .args(["-lstdc++", "-lgcc_s", "-lpthread", "-ldl", "-lm", "-lrt", "-lresolv"])
        .arg("-o")
        .arg(program.path("program"))
        .output();
    silent(&link.expect("clang"), "link with ThreadSanitizer");
    program
}

fn watch(program: &Program, arguments: &[&str], kernel: &str) -> Output {
    let suppressions = root().join("tests/tsan.supp");
    let options = format!("exitcode=66 suppressions={}", suppressions.display());
    // Its memory must be where it expects it.
    Command::new("setarch")
        .args([Path::new("-R"), &program.path("program"), &program.path("model")])
        .args(arguments)
        .env(KERNEL_VARIABLE, kernel)
        .env("TSAN_OPTIONS", options)
        .output()
        .expect("setarch")
}

#[test]
fn no_thread_races_with_another() {
    let Some(library) = watched_library() else { return };
    let program = compile_watched(library);
    for kernel in kernels() {
        silent(&watch(&program, &["16", "4", "watched"], kernel.name()), kernel.name());
    }
    let output = watch(&program, &["2", "100", "race"], "scalar");
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(66), "a race was not found: {text}");
    assert!(text.contains("data race") && text.contains("drr_sampler_query_f64"), "{text}");
}
