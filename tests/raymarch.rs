//! `examples/raymarch` draws the surrogate: something, and something else for other parameters.
#![cfg(target_os = "linux")]

mod common;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use common::programs::{Program, is_installed, root};

const FLAGS: [&str; 9] = [
    "-std=c++17",
    "-O2",
    "-fopenmp",
    "-Wall",
    "-Wextra",
    "-Wpedantic",
    "-Wconversion",
    "-Wshadow",
    "-Werror",
];

fn explosion() -> PathBuf {
    root().join("data/euler/explosion.drr.safetensors")
}

fn run(program: &Program, model: &Path, picture: &str, parameters: &[&str]) -> Output {
    Command::new(program.path("program"))
        .arg(model)
        .arg(program.path(picture))
        .arg("48")
        .args(parameters)
        .env_remove("LD_LIBRARY_PATH")
        .output()
        .expect("the program")
}

/// The picture's bytes, three for each of 48 x 36 pixels.
fn draw(program: &Program, picture: &str, parameters: &[&str]) -> Vec<u8> {
    let output = run(program, &explosion(), picture, parameters);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let bytes = std::fs::read(program.path(picture)).expect("a picture");
    let pixels = bytes.strip_prefix(b"P6\n48 36\n255\n").expect("a header");
    assert_eq!(pixels.len(), 3 * 48 * 36);
    pixels.to_vec()
}

#[test]
fn rays_show_the_surrogate() {
    if !is_installed("c++") {
        return;
    }
    let include = format!("-I{}", root().join("bindings/cpp").display());
    let flags = [&FLAGS[..], &[&include]].concat();
    let program = Program::compile("c++", &flags, &["examples/raymarch/raymarch.cpp"]);
    let early = draw(&program, "early.ppm", &["14", "2.5", "5"]);
    assert_eq!(early, draw(&program, "again.ppm", &["14", "2.5", "5"]));
    let late = draw(&program, "late.ppm", &["26", "4", "5"]);

    // Before the air moves there is nothing to see; the front is orange, what follows it blue.
    let orange =
        |pixels: &[u8]| pixels.chunks(3).filter(|p| p[0] > p[2].saturating_add(40)).count();
    let blue = |pixels: &[u8]| pixels.chunks(3).filter(|p| p[2] > p[0].saturating_add(40)).count();
    assert!(orange(&early) > 20 && orange(&late) > 20 && blue(&late) > 20);
    let changed = early.iter().zip(&late).filter(|(a, b)| a.abs_diff(**b) > 30).count();
    assert!(changed > early.len() / 20, "{changed} bytes differ");

    let refused = run(&program, &program.path("model.plane"), "none.ppm", &[]);
    assert_eq!(refused.status.code(), Some(1));
    let text = String::from_utf8_lossy(&refused.stderr);
    assert!(text.contains("2 axes, expected 3"), "{text}");
}
