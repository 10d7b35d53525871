//! What each layer adds to a query of one warm point: the same loop in Rust and, over the C ABI, in
//! C, C++, Fortran and Python.
//!
//!     cargo bench --bench one_point [-- CALLS]
//!
//! All take turns, and the medians of the rounds count; languages without a compiler here are left
//! out by name. The loop itself, some nanoseconds (in Python some hundred), is in all figures.

#[path = "../../tests/common/mod.rs"]
mod common;

use std::process::{Command, Output};
use std::time::Instant;

use common::programs::{Program, is_installed, library, root};
use drr::{OpenOptions, Points, Runtime, Sampler, SamplerOptions, ValuesMut};

const ROUNDS: usize = 9;

/// What a loop needs: its language, the programs, their flags and sources. Python's is not compiled.
struct Language {
    name: &'static str,
    compiler: &'static str,
    flags: &'static [&'static str],
    sources: &'static [&'static str],
}

const LANGUAGES: [Language; 3] = [
    Language {
        name: "C",
        compiler: "cc",
        flags: &["-std=c11", "-O2"],
        sources: &["benches/one_point/one_point.c"],
    },
    Language {
        name: "C++",
        compiler: "c++",
        flags: &["-std=c++17", "-O2", "-I", concat!(env!("CARGO_MANIFEST_DIR"), "/bindings/cpp")],
        sources: &["benches/one_point/one_point.cpp"],
    },
    Language {
        name: "Fortran",
        compiler: "gfortran",
        flags: &["-O2"],
        sources: &["bindings/fortran/drr.f90", "benches/one_point/one_point.f90"],
    },
];

/// Nanoseconds per call, and the sum of what came out.
type Loop = Box<dyn Fn() -> (f64, f64)>;

fn main() {
    let calls = std::env::args().find_map(|word| word.parse().ok()).unwrap_or(1_000_000);
    let home = Program::none();
    let mut loops = vec![("Rust", in_rust(&home, calls))];
    for Language { name, compiler, flags, sources } in LANGUAGES {
        if is_installed(compiler) {
            let program = Program::compile(compiler, flags, sources);
            let text = calls.to_string();
            let run = move || answer(&program.output(&[], &[&text], kernel().name()));
            loops.push((name, Box::new(run)));
        }
    }
    match python(&home, calls / 10) {
        Some(run) => loops.push(("Python", run)),
        None => eprintln!("skipped: no python3 with numpy"),
    }
    let mut times = vec![Vec::new(); loops.len()];
    for _ in 0..ROUNDS {
        for ((name, run), times) in loops.iter().zip(&mut times) {
            let (time, sum) = run();
            assert!(sum.is_finite(), "{name}: the values have no sum");
            times.push(time);
        }
    }
    report(&loops.iter().map(|(name, _)| *name).collect::<Vec<_>>(), times);
}

fn report(names: &[&str], mut times: Vec<Vec<f64>>) {
    println!("one warm point, {} kernel, {ROUNDS} rounds in turns", kernel().name());
    println!(
        "{:<8} {:>10} {:>20} {:>12} {:>8}",
        "", "median ns", "min .. max", "over Rust", "ratio"
    );
    let mut rust = 0.0;
    for (name, times) in names.iter().zip(&mut times) {
        times.sort_by(f64::total_cmp);
        let [min, median, max] = [0, ROUNDS / 2, ROUNDS - 1].map(|n| times[n]);
        rust = if *name == "Rust" { median } else { rust };
        let range = format!("{min:.0} .. {max:.0}");
        let (more, ratio) = (median - rust, median / rust);
        println!("{name:<8} {median:>10.0} {range:>20} {more:>+12.0} {ratio:>8.2}");
    }
}

fn kernel() -> drr::Kernel {
    drr::Kernel::choose().expect("a kernel of this machine")
}

fn in_rust(home: &Program, calls: i64) -> Loop {
    let runtime = Runtime::open(home.path("model"), &OpenOptions::default()).expect("the model");
    let sampler = Sampler::new(&runtime, &[0.5, 0.5], &SamplerOptions::default());
    let sampler = sampler.expect("two parameters");
    Box::new(move || {
        let (mut point, mut values, mut sum) = ([0.5; 3], [0.0; 2], 0.0);
        let mut start = Instant::now();
        for call in -calls / 10..calls {
            if call == 0 {
                start = Instant::now();
            }
            point[0] = (call & 255) as f64 / 256.0;
            let points = Points::packed(&point, 3).expect("a point");
            let mut out = ValuesMut::packed(&mut values, 2).expect("room for two values");
            sampler.query(&points, &mut out).expect("a query");
            sum += values[0];
        }
        (start.elapsed().as_secs_f64() * 1e9 / calls as f64, sum)
    })
}

/// The package of the checkout with the library of this build, if there is a Python for it.
fn python(home: &Program, calls: i64) -> Option<Loop> {
    let python = std::env::var_os("PYTHON").unwrap_or_else(|| "python3".into());
    let model = home.path("model");
    let run = move || {
        Command::new(&python)
            .arg(root().join("benches/one_point/one_point.py"))
            .arg(&model)
            .arg(calls.to_string())
            .env("PYTHONPATH", root().join("bindings/python/src"))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("DRR_LIBRARY", library().join("libdrr.so"))
            .output()
    };
    let first = run().ok()?;
    let is_absent = String::from_utf8_lossy(&first.stderr).contains("No module named 'numpy'");
    (!is_absent).then(|| Box::new(move || answer(&run().expect("Python"))) as Loop)
}

fn answer(output: &Output) -> (f64, f64) {
    let (out, err) = (&output.stdout, &output.stderr);
    let text = [String::from_utf8_lossy(out), String::from_utf8_lossy(err)].concat();
    let numbers: Vec<f64> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    assert!(output.status.success() && numbers.len() == 2, "{text}");
    (numbers[0], numbers[1])
}
