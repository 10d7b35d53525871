//! The C# binding, compiled by mono's compiler, does what its comments say.
#![cfg(target_os = "linux")]

mod common;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use common::gradient::{Answer, ask};
use common::programs::{is_installed, library, root, silent};
use common::radiance::scene;
use common::{Baked, Rng, query};
use drr::cpu::{KERNEL_VARIABLE, Kernel};
use drr::model::GridPrecision;
use drr::{Gradients, GradientsMut, Lattice, Sampler, SamplerOptions, ValuesMut};
use serde_json::json;
use tempfile::TempDir;

/// As the C# test has it.
const MODEL: &str = "modèle-数-𝛼.drr.safetensors";

/// What the C ABI is.
const LISTS: [&str; 3] = ["include/drr.h", "tests/struct_layout.txt", "tests/exported_symbols.txt"];

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

/// As the C# test has it.
const LATTICE: Lattice =
    Lattice { origin: [0.5, -0.75, 5.9], spacing: [2.25, 1.125, -0.25], dims: [5, 4, 3] };

/// Values on the lattice by the query for them alone, and derivatives.
fn on_the_lattice(sampler: &Sampler) -> Answer {
    let count = 5 * 4 * 3;
    let [mut values, mut position, mut parameters] = [2, 6, 4].map(|each| vec![0.0; count * each]);
    let mut to = ValuesMut::packed(&mut values, 2).expect("whole points");
    sampler.query_lattice(&LATTICE, &mut to).expect("values");
    let mut gradients = Gradients {
        position: Some(GradientsMut::packed(&mut position, 2, 3).expect("whole points")),
        parameters: Some(GradientsMut::packed(&mut parameters, 2, 2).expect("whole points")),
    };
    sampler.query_lattice_gradient(&LATTICE, None, &mut gradients).expect("derivatives");
    Answer { values, position, parameters }
}

/// A folder with a model, points inside its domain, and what is to be found there and on a lattice.
fn folder(kernel: Kernel) -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (baked, mut rng) = (model(), Rng::new(2));
    let ranges = [(0.1, 9.9), (-0.9, 2.9), (5.01, 5.99)];
    let points: Vec<f64> =
        (0..200).flat_map(|_| ranges.map(|(min, max)| rng.uniform(min, max))).collect();
    let sampler = baked.sampler(kernel, &[0.3, 0.8], &SamplerOptions::default());
    let (at_points, on_lattice) = (ask(&sampler, &points), on_the_lattice(&sampler));
    assert_eq!(at_points.values, query(&sampler, &points));
    let answers = [at_points, on_lattice];
    let numbers = answers.iter().flat_map(|a| [&a.values, &a.position, &a.parameters]);
    let numbers = std::iter::once(&points).chain(numbers).flatten();
    let bytes: Vec<u8> = numbers.flat_map(|number| number.to_le_bytes()).collect();
    std::fs::write(folder.path().join("expected"), bytes).expect("room for a file");
    std::fs::write(folder.path().join(MODEL), baked.bytes).expect("room for a file");
    let star = folder.path().join(format!("{MODEL}.radiance"));
    std::fs::write(star, scene().bytes).expect("room for a file");
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
        // Allocations are counted by how often this is full.
        .env("MONO_GC_PARAMS", "nursery-size=512k")
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
    for (kernel, flags) in
        [(Kernel::Scalar, [].as_slice()), (Kernel::best(), &["-define:DRR_SPAN"])]
    {
        let folder = folder(kernel);
        let program = compile(&folder, "tests/csharp/*.cs", flags);
        let [header, layout, symbols] = LISTS.map(|list| root().join(list));
        let output = run(&program, kernel, &[folder.path(), &header, &layout, &symbols]);
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
    let changed = |list: &str, from: &str, to: &str| {
        let text = std::fs::read_to_string(root().join(list)).expect(list);
        let wrong = text.replace(from, to);
        assert_ne!(wrong, text);
        let path = folder.path().join(Path::new(list).file_name().expect("a name"));
        std::fs::write(&path, wrong).expect("room for a file");
        path
    };
    let header = changed(LISTS[0], "DRR_OUTSIDE_NAN = 2", "DRR_OUTSIDE_NAN = 1");
    let layout = changed(LISTS[1], "    32 8 parameter_stride\n", "    24 8 parameter_stride\n");
    let symbols = changed(LISTS[2], "drr_version\n", "drr_version\ndrr_wersion\n");
    let expected = folder.path().join("expected");
    let mut bytes = std::fs::read(&expected).expect("points and values");
    // The last value, derivatives by position and parameter, and the same on the lattice.
    for numbers in [3 + 2, 3 + 2 + 6, 3 + 2 + 6 + 4] {
        bytes[numbers * 200 * 8 - 8] ^= 1;
    }
    for numbers in [2, 2 + 6, 2 + 6 + 4] {
        bytes[15 * 200 * 8 + numbers * 60 * 8 - 8] ^= 1;
    }
    std::fs::write(expected, bytes).expect("room for a file");

    let output = run(&program, Kernel::Scalar, &[folder.path(), &header, &layout, &symbols]);
    let text = text(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    for test in [
        "enums",
        "layouts",
        "symbols",
        "values",
        "arrays",
        "separate",
        "lattice",
        "lattice gradient",
        "within",
        "gradient",
        "threads",
    ] {
        let start = format!("{test}: ");
        assert!(text.lines().any(|line| line.starts_with(&start)), "{test}\n{text}");
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
