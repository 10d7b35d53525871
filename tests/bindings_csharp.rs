//! The C# binding, compiled by mono's compiler, does what its comments say.
#![cfg(target_os = "linux")]

mod common;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use common::programs::{is_installed, library, root, silent};
use common::{Baked, Rng, query};
use drr::SamplerOptions;
use drr::cpu::{KERNEL_VARIABLE, Kernel};
use drr::model::GridPrecision;
use serde_json::json;
use tempfile::TempDir;

/// As the C# test has it.
const MODEL: &str = "modèle-数-𝛼.drr.safetensors";

const WARNINGS: [&str; 4] = ["-unsafe", "-langversion:7", "-warn:4", "-warnaserror"];

fn has_mono() -> bool {
    ["mcs", "mono"].into_iter().all(is_installed)
}

/// A model with names and axes that the C# test knows.
fn model() -> Baked {
    let range = |name, unit, min, max| json!({"name": name, "unit": unit, "min": min, "max": max});
    let value = |name, unit, transform| {
        let (min, max) = (-1.0, 2.0);
        json!({"name": name, "unit": unit, "min": min, "max": max, "transform": transform})
    };
    let spec = serde_json::from_value(json!({
        "axes": [
            range("x", "cm", 0.0, 10.0), range("y", "cm", -1.0, 3.0), range("z", "", 5.0, 6.0),
        ],
        "parameters": [range("p", "s", 0.0, 1.0), range("größe", "", 0.0, 1.0)],
        "values": [value("温度", "m³", "linear"), value("v𝛼", "", "log")],
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

/// A folder with a model, points inside its domain, and the values there.
fn folder(kernel: Kernel) -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (baked, mut rng) = (model(), Rng::new(2));
    let ranges = [(0.1, 9.9), (-0.9, 2.9), (5.01, 5.99)];
    let points: Vec<f64> =
        (0..200).flat_map(|_| ranges.map(|(min, max)| rng.uniform(min, max))).collect();
    let sampler = baked.sampler(kernel, &[0.3, 0.8], &SamplerOptions::default());
    let numbers = [points.as_slice(), &query(&sampler, &points)].concat();
    let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
    std::fs::write(folder.path().join("expected"), bytes).expect("room for a file");
    std::fs::write(folder.path().join(MODEL), baked.bytes).expect("room for a file");
    folder
}

/// Compiles C# sources and the binding into a program of the folder. Without a comment on a public
/// item there is none.
fn compile(folder: &TempDir, sources: &str, flags: &[&str]) -> PathBuf {
    let program = folder.path().join("program.exe");
    let output = Command::new("mcs")
        .args(WARNINGS)
        .args(flags)
        .arg(format!("-out:{}", program.display()))
        .arg(format!("-doc:{}", folder.path().join("drr.xml").display()))
        .arg(root().join(sources))
        .arg(root().join("bindings/csharp/*.cs"))
        .output();
    silent(&output.expect("a C# compiler"), sources);
    program
}

fn run(program: &Path, kernel: Kernel, arguments: &[&Path]) -> Output {
    let output = Command::new("mono")
        .arg("--debug")
        .arg(program)
        .args(arguments)
        .env("LD_LIBRARY_PATH", library())
        .env(KERNEL_VARIABLE, kernel.name())
        .output();
    output.expect("mono")
}

fn text(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes)).concat()
}

#[test]
fn the_binding_does_what_its_comments_say() {
    if !has_mono() {
        return;
    }
    let layout = root().join("tests/struct_layout.txt");
    for (kernel, flags) in
        [(Kernel::Scalar, [].as_slice()), (Kernel::best(), &["-define:DRR_SPAN"])]
    {
        let folder = folder(kernel);
        let program = compile(&folder, "tests/csharp/*.cs", flags);
        let output = run(&program, kernel, &[folder.path(), &layout]);
        silent(&output, kernel.name());
    }
}

#[test]
fn the_test_itself_finds_mistakes() {
    if !has_mono() {
        return;
    }
    let folder = folder(Kernel::Scalar);
    let program = compile(&folder, "tests/csharp/*.cs", &[]);
    let layout = std::fs::read_to_string(root().join("tests/struct_layout.txt")).expect("layouts");
    let wrong = folder.path().join("layout");
    let last = layout.replace("    32 8 parameter_stride\n", "    24 8 parameter_stride\n");
    assert_ne!(last, layout);
    std::fs::write(&wrong, last).expect("room for a file");
    let expected = folder.path().join("expected");
    let mut bytes = std::fs::read(&expected).expect("points and values");
    *bytes.last_mut().expect("a value") ^= 1;
    std::fs::write(expected, bytes).expect("room for a file");

    let output = run(&program, Kernel::Scalar, &[folder.path(), &wrong]);
    let text = text(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    for test in ["layouts: ", "values: ", "threads: "] {
        assert!(text.lines().any(|line| line.starts_with(test)), "{test}{text}");
    }
}

#[test]
fn the_example_draws_a_slice() {
    if !has_mono() {
        return;
    }
    let folder = folder(Kernel::Scalar);
    let program = compile(&folder, "examples/csharp/Slice.cs", &[]);
    let (model, picture) = (folder.path().join(MODEL), folder.path().join("slice.pgm"));
    let output = run(&program, Kernel::Scalar, &[&model, &picture, Path::new("p=0.25")]);
    let text = text(&output);
    assert!(output.status.success() && text.starts_with("温度: "), "{text}");
    let bytes = std::fs::read(&picture).expect("a picture");
    let head = b"P5 256 256 255\n";
    assert!(bytes.starts_with(head) && bytes.len() == head.len() + 256 * 256);
    let pixels = &bytes[head.len()..];
    assert!(pixels.contains(&0) && pixels.contains(&255));

    let output = run(&program, Kernel::Scalar, &[&folder.path().join("none"), &picture]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("slice: "));
}
