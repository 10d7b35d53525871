//! The programs of `examples/tutorial` compile without a warning and say what they promise.
#![cfg(target_os = "linux")]

mod common;

use std::process::Command;

use common::programs::Program;

const FLAGS: [&str; 6] = ["-std=c11", "-g", "-Wall", "-Wextra", "-Wpedantic", "-Werror"];

fn compile(name: &str, more: &[&str]) -> Program {
    let flags = [&FLAGS, more].concat();
    Program::compile("cc", &flags, &[&format!("examples/tutorial/{name}.c")])
}

/// What a program prints about one of the models.
fn run(program: &Program, model: &str, arguments: &[&str], threads: &str) -> String {
    let output = Command::new(program.path("program"))
        .arg(program.path(model))
        .args(arguments)
        .env("OMP_NUM_THREADS", threads)
        .env_remove("LD_LIBRARY_PATH")
        .output()
        .expect("the program");
    let [out, err] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
    assert!(output.status.success() && err.is_empty(), "{model}: {}\n{out}{err}", output.status);
    out.into_owned()
}

/// What both models print.
fn on_both(name: &str) -> [String; 2] {
    let program = compile(name, &[]);
    ["model", "model.plane"].map(|model| run(&program, model, &[], "1"))
}

/// The last number of each line, if it is a value of the models: from -1 to 2, or e to that.
fn last_numbers(text: &str) -> Vec<f64> {
    let words = text.lines().map(|line| line.split_whitespace().last().unwrap_or_default());
    let numbers: Vec<f64> = words.map(|word| word.parse().expect("a number")).collect();
    assert!(numbers.iter().all(|number| (-1.0..=7.4).contains(number)), "{text}");
    numbers
}

#[test]
fn a_model_is_described() {
    let [space, plane] = on_both("1_describe");
    for text in [&space, &plane] {
        assert!(text.contains("axes\n    x                0 to 1"), "{text}");
        assert!(text.contains("values\n    v                -1 to 2"), "{text}");
    }
    assert_eq!((space.lines().count(), plane.lines().count()), (11, 8));
}

#[test]
fn points_are_read_where_they_are() {
    for text in on_both("2_points") {
        assert!(text.starts_with("mean at 1000 particles: "), "{text}");
        last_numbers(&text);
    }
}

#[test]
fn lattices_become_vtk_files() {
    let program = compile("3_lattice_to_vtk", &[]);
    for (model, points, size) in
        [("model", 48 * 48 * 48, "48 48 48"), ("model.plane", 2304, "48 48 1")]
    {
        let file = program.path("field.vtk");
        run(&program, model, &[file.to_str().expect("UTF-8")], "1");
        let bytes = std::fs::read(file).expect("a file");
        let outputs = if model == "model" { 2 } else { 1 };
        let (header, data) = bytes.split_at(bytes.len() - 4 * points * outputs);
        let header = String::from_utf8(header.to_vec()).expect("a header of text");
        assert!(header.starts_with("# vtk DataFile Version 3.0\n"), "{header}");
        assert!(header.contains(&format!("DIMENSIONS {size}\n")), "{header}");
        assert!(header.ends_with("LOOKUP_TABLE default\n"), "{header}");
        let inside = |bytes: &[u8; 4]| (-1.0..=7.4).contains(&f32::from_be_bytes(*bytes));
        assert!(data.as_chunks().0.iter().all(inside));
    }
}

#[test]
fn derivatives_are_named() {
    let [space, plane] = on_both("4_derivatives");
    let by = |text: &str, name: &str| text.matches(&format!("    by {name}: ")).count();
    assert_eq!(["x", "y", "z", "p", "q"].map(|name| by(&space, name)), [2; 5], "{space}");
    assert_eq!(["x", "y", "z", "p", "q"].map(|name| by(&plane, name)), [1, 1, 0, 1, 0], "{plane}");
}

#[test]
fn a_sweep_moves_the_first_parameter() {
    for text in on_both("5_sweep") {
        let numbers = last_numbers(&text);
        assert_eq!(numbers.len(), 21, "{text}");
        assert!(numbers.iter().any(|&number| number != numbers[0]), "{text}");
        assert!(text.starts_with("p = 0 ") && text.contains("\np = 1 "), "{text}");
    }
}

#[test]
fn threads_agree() {
    let program = compile("6_threads", &["-fopenmp"]);
    let mean = |threads| last_numbers(&run(&program, "model", &[], threads))[0];
    // Sums of different order.
    assert!((mean("1") - mean("3")).abs() < 1e-6);
}
