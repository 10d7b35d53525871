//! `examples/raymarch` draws the surrogate: something, and something else for other parameters.
#![cfg(target_os = "linux")]

mod common;

use std::fs::File;
use std::io::BufReader;
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
    let file = BufReader::new(File::open(program.path(picture)).expect("a picture"));
    let mut reader = png::Decoder::new(file).read_info().expect("a PNG");
    let mut pixels = vec![0; 3 * 48 * 36];
    let info = reader.next_frame(&mut pixels).expect("pixels");
    assert_eq!((info.width, info.height, info.color_type), (48, 36, png::ColorType::Rgb));
    pixels
}

/// How to compile and link with libpng, if it is installed.
fn png_flags() -> Option<Vec<String>> {
    let output = Command::new("pkg-config").args(["--cflags", "--libs", "libpng"]).output();
    let Some(output) = output.ok().filter(|output| output.status.success()) else {
        eprintln!("skipped: no libpng (with pkg-config)");
        return None;
    };
    let text = String::from_utf8(output.stdout).expect("words");
    // They stand before the sources that need them.
    let first = "-Wl,--no-as-needed".to_owned();
    Some(std::iter::once(first).chain(text.split_whitespace().map(str::to_owned)).collect())
}

#[test]
fn rays_show_the_surrogate() {
    if !is_installed("c++") {
        return;
    }
    let Some(png) = png_flags() else { return };
    let include = format!("-I{}", root().join("bindings/cpp").display());
    let png: Vec<&str> = png.iter().map(String::as_str).collect();
    let flags = [&FLAGS[..], &[&include], &png].concat();
    let program = Program::compile("c++", &flags, &["examples/raymarch/raymarch.cpp"]);
    let early = draw(&program, "early.png", &["14", "2.5", "5"]);
    assert_eq!(early, draw(&program, "again.png", &["14", "2.5", "5"]));
    let late = draw(&program, "late.png", &["26", "4", "5"]);

    // Before the air moves there is nothing to see; the front is orange, what follows it blue.
    let orange =
        |pixels: &[u8]| pixels.chunks(3).filter(|p| p[0] > p[2].saturating_add(40)).count();
    let blue = |pixels: &[u8]| pixels.chunks(3).filter(|p| p[2] > p[0].saturating_add(40)).count();
    assert!(orange(&early) > 20 && orange(&late) > 20 && blue(&late) > 20);
    let changed = early.iter().zip(&late).filter(|(a, b)| a.abs_diff(**b) > 30).count();
    assert!(changed > early.len() / 20, "{changed} bytes differ");

    let refused = run(&program, &program.path("model.plane"), "none.png", &[]);
    assert_eq!(refused.status.code(), Some(1));
    let text = String::from_utf8_lossy(&refused.stderr);
    assert!(text.contains("2 axes, expected 3"), "{text}");

    let refused = run(&program, &explosion(), "no/such/folder.png", &[]);
    assert_eq!(refused.status.code(), Some(1));
    let text = String::from_utf8_lossy(&refused.stderr);
    assert!(text.contains("folder.png cannot be written: "), "{text}");
}
