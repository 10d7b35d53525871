//! The programs of `examples/tutorial` that MPI runs: ranks share one copy of a file, and get what one
//! process gets.
#![cfg(target_os = "linux")]

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

use common::bits;
use common::programs::{Program, is_installed, root};
use drr::{Lattice, OpenOptions, Runtime, Sampler, SamplerOptions, ValuesMut};

const SOLVER: [&str; 3] =
    ["examples/euler/fluxes.f90", "examples/euler/block.f90", "examples/euler/euler.f90"];

const CASE: [&str; 5] = [
    "bindings/fortran/drr.f90",
    "examples/euler/explosion.f90",
    "examples/euler/far_field.f90",
    "examples/euler/vtk.f90",
    "examples/tutorial/8_euler.f90",
];

/// Nothing if MPI is not installed.
fn compile(compiler: &str, flags: &[&str], sources: &[&str]) -> Option<Program> {
    let installed = is_installed(compiler) && is_installed("mpirun");
    installed.then(|| Program::compile(compiler, flags, sources))
}

/// The surrogate that the last program asks.
fn explosion() -> PathBuf {
    root().join("data/euler/explosion.drr.safetensors")
}

/// What the program prints on so many ranks, in its folder.
fn run(program: &Program, ranks: usize, arguments: &[PathBuf]) -> String {
    let mut command = Command::new("mpirun");
    command.args(["-n", &ranks.to_string()]).arg(program.path("program")).args(arguments);
    // Open MPI starts neither as root nor more ranks than cores of its own accord, and spins.
    for name in [
        "ALLOW_RUN_AS_ROOT",
        "ALLOW_RUN_AS_ROOT_CONFIRM",
        "MCA_rmaps_base_oversubscribe",
        "MCA_mpi_yield_when_idle",
    ] {
        command.env(format!("OMPI_{name}"), "1");
    }
    command.current_dir(program.path("")).env_remove("LD_LIBRARY_PATH");
    let output = command.output().expect("mpirun");
    let [out, err] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
    assert!(output.status.success(), "{ranks} ranks: {}\n{out}{err}", output.status);
    out.into_owned()
}

/// The lattice of `7_ranks.c` as one process asks it: `points` along each axis, with the middle of the
/// parameters' ranges.
fn lattice(model: &Path, points: usize) -> Vec<f32> {
    let runtime = Runtime::open(model, &OpenOptions::default()).expect("a model");
    let spec = runtime.model().spec();
    let mut lattice = Lattice { origin: [0.0; 3], spacing: [0.0; 3], dims: [1; 3] };
    for (k, axis) in spec.axes.iter().enumerate() {
        lattice.dims[k] = points;
        lattice.origin[k] = axis.min;
        lattice.spacing[k] = (axis.max - axis.min) / points as f64;
    }
    let middle: Vec<f64> = spec.parameters.iter().map(|p| (p.min + p.max) / 2.0).collect();
    let sampler = Sampler::new(&runtime, &middle, &SamplerOptions::default()).expect("a sampler");
    let mut values = vec![0f32; lattice.points().expect("a count") * spec.outputs()];
    let mut out = ValuesMut::packed(&mut values, spec.outputs()).expect("whole points");
    sampler.query_lattice(&lattice, &mut out).expect("a query");
    values
}

/// The numbers of the line that starts with this word.
fn numbers(text: &str, word: &str) -> Vec<f64> {
    let line = text.lines().find(|line| line.split_whitespace().next() == Some(word));
    let line = line.unwrap_or_else(|| panic!("no line {word} in\n{text}"));
    line.split_whitespace().skip(1).map(|n| n.parse().expect("a number")).collect()
}

fn blocks() -> Option<Program> {
    compile(
        "mpicc",
        &["-std=c11", "-g", "-Wall", "-Wextra", "-Werror"],
        &["examples/tutorial/7_ranks.c"],
    )
}

#[test]
fn blocks_of_ranks_are_those_of_one_process() {
    let Some(program) = blocks() else { return };
    for model in ["model", "model.plane"].map(|name| program.path(name)) {
        let expected = lattice(&model, 64);
        for ranks in [1, 2, 3, 6] {
            let file = program.path("field.raw");
            run(&program, ranks, &[model.clone(), file.clone()]);
            let bytes = std::fs::read(&file).expect("a file");
            let (values, rest) = bytes.as_chunks();
            let values: Vec<f64> = values.iter().map(|&b| f32::from_le_bytes(b).into()).collect();
            let wanted: Vec<f64> = expected.iter().map(|&value| value.into()).collect();
            assert!(rest.is_empty() && bits(&values) == bits(&wanted), "{ranks} ranks");
        }
    }
}

#[test]
fn ranks_share_one_copy_of_the_file() {
    let Some(program) = blocks() else { return };
    let text = run(&program, 4, &[explosion()]);
    let [mapped, shared, part] = numbers(&text, "all")[..] else { panic!("{text}") };
    let [file] = numbers(&text, "file")[..] else { panic!("{text}") };
    // Each has all of it, together they have it once. The parts are rounded.
    assert!(mapped >= 4.0 * file && shared == mapped && part <= file + 8.0, "{text}");
}

fn fortran(sources: &[&str]) -> Option<Program> {
    let flags = ["-std=f2008", "-pedantic", "-Wall", "-Wextra", "-Werror", "-O3"];
    compile("mpifort", &[&flags[..], &["-Wno-unused-dummy-argument"]].concat(), sources)
}

#[test]
fn the_solver_solves_shock_tubes() {
    let Some(program) = fortran(&[&SOLVER[..], &["tests/fortran/shock_tube.f90"]].concat()) else {
        return;
    };
    for ranks in [1, 2] {
        assert_eq!(run(&program, ranks, &[]), "");
    }
}

#[test]
fn a_far_field_surrogate_does_what_ignorance_cannot() {
    let Some(program) = fortran(&[&SOLVER[..], &CASE].concat()) else { return };
    let field = || std::fs::read(program.path("euler.vtk")).expect("a file");
    let text = run(&program, 2, &[explosion()]);
    let two = field();
    run(&program, 1, &[explosion()]);
    assert!(two == field(), "one rank gives another field than two");

    for time in ["12.0", "18.0", "24.0", "30.0", "36.0"] {
        let [surrogate, open, still] = numbers(&text, time)[..] else { panic!("{text}") };
        assert!(surrogate < 0.1 && open > 0.9 && still > 0.9, "{text}");
    }
    let peak = |name| numbers(&text, name)[0];
    assert!((peak("surrogate") / peak("truth") - 1.0).abs() < 0.1, "{text}");
}
