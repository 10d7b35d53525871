//! C programs compiled against `include/drr.h` and linked with the shared library do what the
//! header says, at every kernel, and under valgrind where there is one.
#![cfg(target_os = "linux")]

mod common;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use common::{Baked, Rng, kernels};
use drr::cpu::KERNEL_VARIABLE;
use drr::model::GridPrecision;
use serde_json::json;
use tempfile::TempDir;

const WARNINGS: [&str; 4] = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"];

/// The folder of the shared library that was built with this test.
fn library() -> PathBuf {
    let program = std::env::current_exe().expect("this program");
    let folder = program.parent().expect("its folder");
    assert!(folder.join("libdrr.so").exists(), "no libdrr.so in {}", folder.display());
    folder.to_owned()
}

/// The model that the C programs expect.
fn model() -> Baked {
    let axis = |name| json!({"name": name, "unit": "", "min": 0.0, "max": 1.0});
    let value = |unit, transform| {
        let (min, max) = (-1.0, 2.0);
        json!({"name": "v", "unit": unit, "min": min, "max": max, "transform": transform})
    };
    let spec = serde_json::from_value(json!({
        "axes": [axis("x"), axis("y"), axis("z")],
        "parameters": [axis("p"), axis("q")],
        "values": [value("m", "linear"), value("K", "log")],
        "grids": [{"axes": [0, 1, 2], "shape": [3, 5, 4], "channels": 13, "offset": 0}],
        "lines": [
            {"parameter": 0, "vertices": 4, "features": 3, "offset": 13},
            {"parameter": 1, "vertices": 5, "features": 3, "offset": 16},
        ],
        "input": {"width": 19, "bias": false, "activation": "identity"},
        "layers": [
            {"inputs": 19, "outputs": 21, "activation": "relu"},
            {"inputs": 21, "outputs": 2, "activation": "sigmoid"},
        ],
    }));
    Baked::write(spec.expect("a description"), GridPrecision::F16, &mut Rng::new(1))
}

/// A C program of this folder, compiled, with a model to run on.
struct Program {
    folder: TempDir,
}

impl Program {
    fn compile(source: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(folder.path().join("model"), model().bytes).expect("room for a file");
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let output = Command::new("cc")
            .args(["-std=c11", "-g", "-pthread"])
            .args(WARNINGS)
            .arg("-I")
            .arg(root.join("include"))
            .arg(root.join("tests").join(source))
            .arg("-L")
            .arg(library())
            .args(["-ldrr", "-lm", "-o"])
            .arg(folder.path().join("program"))
            .arg(format!("-Wl,-rpath,{}", library().display()))
            .output();
        succeeds(&output.expect("a C compiler"), source);
        Self { folder }
    }

    fn run(&self, tool: &[&str], arguments: &[&str], kernel: &str) {
        let words = tool.iter().map(Path::new).map(Path::to_owned);
        let words: Vec<_> = words.chain([self.folder.path().join("program")]).collect();
        let output = Command::new(&words[0])
            .args(&words[1..])
            .arg(self.folder.path().join("model"))
            .args(arguments)
            .env(KERNEL_VARIABLE, kernel)
            // Cargo's would find another build of the library first.
            .env_remove("LD_LIBRARY_PATH")
            .output();
        succeeds(&output.expect("the program"), &format!("{tool:?} {kernel}"));
    }
}

/// Success, and nothing printed.
fn succeeds(output: &Output, what: &str) {
    let (out, err) = (&output.stdout, &output.stderr);
    let text = [String::from_utf8_lossy(out), String::from_utf8_lossy(err)].concat();
    assert!(output.status.success() && text.is_empty(), "{what}: {}\n{text}", output.status);
}

fn is_installed(program: &str) -> bool {
    let found = Command::new(program).arg("--version").output().is_ok();
    if !found {
        eprintln!("skipped: no {program}");
    }
    found
}

/// Wrong reads and writes and lost memory are failures. Not what is *possibly* lost: the lists
/// that rayon's threads share for ever are linked by tagged pointers, which valgrind cannot follow.
const VALGRIND: [&str; 6] = [
    "valgrind",
    "-q",
    "--error-exitcode=9",
    "--leak-check=full",
    "--show-leak-kinds=definite,indirect",
    "--errors-for-leak-kinds=definite,indirect",
];

#[test]
fn the_c_abi_works_as_its_header_says() {
    let program = Program::compile("capi_use.c");
    for kernel in kernels() {
        program.run(&[], &[], kernel.name());
    }
    if is_installed("valgrind") {
        program.run(&VALGRIND, &[], "scalar");
    }
}

#[test]
fn misuse_of_the_c_abi_is_an_error() {
    let program = Program::compile("capi_misuse.c");
    for kernel in kernels() {
        program.run(&[], &[], kernel.name());
    }
    if is_installed("valgrind") {
        program.run(&VALGRIND, &["checked"], "scalar");
    }
}

#[test]
fn the_header_is_clean_c_and_cpp() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let include = Path::new(env!("CARGO_MANIFEST_DIR")).join("include");
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
        succeeds(&output.expect(compiler), standard);
    }
}
