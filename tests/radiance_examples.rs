//! The programs of `examples/radiance` draw what they promise.
#![cfg(target_os = "linux")]

mod common;

use std::process::{Command, Output};

use common::programs::{Program, root};

const FLAGS: [&str; 7] =
    ["-std=c11", "-O2", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror"];

fn compile(name: &str) -> Program {
    Program::compile("cc", &FLAGS, &[&format!("examples/radiance/{name}.c")])
}

fn run(program: &Program, model: &str, arguments: &[&str]) -> Output {
    Command::new(program.path("program"))
        .arg(root().join(model))
        .args(arguments)
        .current_dir(program.path(""))
        .env_remove("LD_LIBRARY_PATH")
        .output()
        .expect("the program")
}

/// Runs it on the star; a picture that it wrote, red, green and blue.
fn draw(program: &Program, arguments: &[&str], picture: &str) -> Vec<[u8; 3]> {
    let output = run(program, "data/radiance/star.drr.safetensors", arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let bytes = std::fs::read(program.path(picture)).expect("a picture");
    let start = bytes.iter().position(|&byte| byte == b'\n').expect("a header") + 1;
    let header = String::from_utf8_lossy(&bytes[..start]).into_owned();
    let sizes: Vec<usize> = header.split_whitespace().skip(1).map(|n| n.parse().unwrap()).collect();
    let pixels = bytes[start..].as_chunks::<3>().0;
    assert_eq!(pixels.len(), sizes[0] * sizes[1], "{header}");
    pixels.to_vec()
}

/// Pixels that differ clearly.
fn changes(a: &[[u8; 3]], b: &[[u8; 3]]) -> usize {
    let differ = |a: &[u8; 3], b: &[u8; 3]| a.iter().zip(b).any(|(a, b)| a.abs_diff(*b) > 24);
    a.iter().zip(b).filter(|(a, b)| differ(a, b)).count()
}

#[test]
fn the_orbit_shows_all_sides() {
    let program = compile("orbit");
    let arguments = [".", "8", "64"];
    let front = draw(&program, &arguments, "000.ppm");
    let threads = draw(&program, &[".", "8", "64", "3"], "000.ppm");
    assert_eq!(front, threads);
    let background = [237, 240, 245];
    let seen = front.iter().filter(|&&pixel| pixel != background).count();
    assert!(seen > front.len() / 8 && seen < front.len() * 3 / 4, "{seen} of {}", front.len());
    assert_eq!(front[0], background);
    let side = draw(&program, &arguments, "001.ppm");
    assert!(changes(&front, &side) > front.len() / 20);
    let refused = run(&program, "data/euler/explosion.drr.safetensors", &arguments);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("is no radiance field"));
}

#[test]
fn the_field_stands_among_other_things() {
    let program = compile("composite");
    let found = draw(&program, &["all.ppm", "96"], "all.ppm");
    // The ball is yellow and stands half in the star, whose stripes are blue and green too.
    let with = |is: fn([i32; 3]) -> bool| found.iter().filter(|p| is(p.map(i32::from))).count();
    let ball = with(|[r, g, b]| r > 80 && 2 * b < r && g > b + 30 && g < r);
    assert!(ball > 40, "{ball} pixels of the ball");
    let star = with(|[r, g, b]| (b > r + 60 && b > 200) || g > r + 60);
    assert!(star > 40, "{star} pixels of the star");
}
