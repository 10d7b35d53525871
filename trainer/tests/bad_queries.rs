//! Baked files that are damaged and queries that do not fit: the program says why, with status 1,
//! and leaves an earlier result alone.

mod common;

use common::scratch::Scratch;
use common::{drr_train, drr_train_fails, drr_train_ok};
use drr_train::data::npy;

/// Parameters that fit the tiny ensemble.
const PARAMETERS: [&str; 2] = ["--params", "density=0.5,heat=20"];

/// Asks `model.drr` for `out.npy`, which must fail with all of the texts and write nothing.
fn refused(scratch: &Scratch, arguments: &[&str], texts: &[&str]) {
    let (model, out) = (scratch.path("model.drr"), scratch.path("out.npy"));
    let mut all = vec!["query", &model];
    all.extend(arguments);
    if !arguments.contains(&"-o") {
        all.extend(["-o", &out]);
    }
    let message = drr_train_fails(&all);
    for text in texts {
        assert!(message.contains(text), "{arguments:?}: no `{text}` in: {message}");
    }
    assert!(!scratch.has("out.npy"), "{arguments:?} wrote a result");
}

/// [`refused`] with good parameters.
fn refused_points(scratch: &Scratch, arguments: &[&str], texts: &[&str]) {
    refused(scratch, &[&PARAMETERS[..], arguments].concat(), texts);
}

/// [`refused`] with good points.
fn refused_parameters(scratch: &Scratch, arguments: &[&str], texts: &[&str]) {
    refused(scratch, &[&["--grid", "2,2,2"], arguments].concat(), texts);
}

#[test]
fn what_is_no_baked_file_is_refused_by_every_verb() {
    let scratch = Scratch::small();
    let cases = [
        ("absent", "No such file"),
        ("ens", "Is a directory"),
        ("ens/m0.raw", "not a complete safetensors file of 840 bytes"),
    ];
    for (name, text) in cases {
        let file = scratch.path(name);
        let out = scratch.path("out.npy");
        let query = ["query", &file, "--grid", "2,2,2", "--params", "a=1", "-o", &out];
        for arguments in [&["info", &file][..], &["validate", &file], &query] {
            let message = drr_train_fails(arguments);
            assert!(message.contains(name) && message.contains(text), "{arguments:?}: {message}");
        }
    }
}

#[test]
fn a_truncated_file_is_refused_by_every_verb() {
    let scratch = Scratch::with_model();
    let whole = scratch.bytes("model.drr");
    let (cut, out) = (scratch.path("cut.drr"), scratch.path("out.npy"));
    for length in [5, whole.len() / 2, whole.len() - 1] {
        scratch.put("cut.drr", &whole[..length]);
        let mut query = vec!["query", &cut, "--grid", "2,2,2", "-o", &out];
        query.extend(PARAMETERS);
        for arguments in [&["info", &cut][..], &["validate", &cut], &query] {
            let message = drr_train_fails(arguments);
            assert!(message.contains("cut.drr: not a complete"), "{length}: {message}");
            assert!(message.contains(&format!("{length} bytes")), "{length}: {message}");
        }
    }
}

#[test]
fn a_flipped_bit_is_found_and_what_it_hit_is_named() {
    let scratch = Scratch::with_model();
    let whole = scratch.bytes("model.drr");
    let flipped = scratch.path("flipped.drr");
    let find = |text: &str| {
        let place = whole.windows(text.len()).position(|window| window == text.as_bytes());
        place.unwrap_or_else(|| panic!("the file has no {text}"))
    };
    // The grid comes first in the data, the last layer's bias last (the first layer is folded).
    let header = u64::from_le_bytes(whole[..8].try_into().expect("8 bytes")) as usize + 8;
    let cases = [
        (find("drr-baked"), "drr-baked"),
        (find("density"), "spec"),
        (header + 100, "grid.0"),
        (whole.len() - 2, "layer.1.bias"),
    ];
    for (place, name) in cases {
        let mut bytes = whole.clone();
        bytes[place] ^= 4;
        scratch.put("flipped.drr", bytes);
        let message = drr_train_fails(&["validate", &flipped]);
        assert!(message.contains("flipped.drr") && message.contains(name), "{name}: {message}");
        let out = scratch.path("out.npy");
        let mut query = vec!["query", &flipped, "--grid", "2,2,2", "-o", &out];
        query.extend(PARAMETERS);
        drr_train_fails(&query);
        assert!(!scratch.has("out.npy"), "{name}");
        // `info` reads the description alone: it may succeed, but not crash.
        let info = drr_train(&["info", &flipped]);
        assert!(matches!(info.status.code(), Some(0 | 1)), "{name}: {info:?}");
        assert!(!String::from_utf8_lossy(&info.stderr).contains("panicked"), "{name}: {info:?}");
    }
}

#[test]
fn points_that_do_not_fit_are_refused() {
    let scratch = Scratch::with_model();
    let put = |name: &str, shape: &[usize]| {
        let data = vec![1.0f32; shape.iter().product()];
        npy::write(&scratch.place(name), shape, &data).expect("room for a file");
        scratch.path(name)
    };
    let (flat, narrow) = (put("flat.npy", &[3]), put("narrow.npy", &[4, 2]));
    let cases: [(&[&str], &[&str]); 8] = [
        (&["--points", "absent.npy"], &["cannot read absent.npy"]),
        (&["--points", &scratch.path("model.drr")], &["model.drr", ".npy file"]),
        (&["--points", &flat], &["flat.npy: shape [3], expected [points, 3]"]),
        (&["--points", &narrow], &["narrow.npy: points of 2 coordinates, the file has 3 axes"]),
        (&["--grid", "4,4"], &["--grid [4, 4]: expected 3 sizes", "slowest dimension first"]),
        (&["--grid", "4,0,4"], &["--grid [4, 0, 4]: expected 3 sizes of 1 or more"]),
        (&["--grid", "100000,100000,100000"], &["100000, 100000, 100000, 1]", "memory"]),
        (&["--grid", "3000000000,3000000000,3000000000"], &["--grid", "memory"]),
    ];
    for (arguments, texts) in cases {
        refused_points(&scratch, arguments, texts);
    }
}

#[test]
fn parameters_that_do_not_fit_are_refused() {
    let scratch = Scratch::with_model();
    let table = |name: &str, shape: &[usize]| {
        let data = vec![0.5f64; shape.iter().product()];
        npy::write(&scratch.place(name), shape, &data).expect("room for a file");
        scratch.path(name)
    };
    let (flat, wide) = (table("flat.npy", &[2]), table("wide.npy", &[1, 3]));
    let cases: [(&[&str], &[&str]); 10] = [
        (&[], &["--params", "density, heat missing"]),
        (&["--params", "density=0.5"], &["heat missing"]),
        (&["--params", "densty=0.5,heat=20"], &["densty", "did you mean `density`?"]),
        (&["--params", "zzz=0.5,heat=20"], &["zzz", "known here: density, heat"]),
        (&["--params", "density=0.5,heat=hot"], &["heat=hot: not a number"]),
        (&["--params", "density=0.5,heat"], &["heat: expected name=value"]),
        (&["--params", "heat=1,density=0.5,heat=2"], &["heat is given twice"]),
        (&["--params-npy", "absent.npy"], &["cannot read absent.npy"]),
        (&["--params-npy", &flat], &["flat.npy: shape [2], expected [sets, 2]"]),
        (&["--params-npy", &wide], &["wide.npy: 3 parameters per set, the file has 2"]),
    ];
    for (arguments, texts) in cases {
        refused_parameters(&scratch, arguments, texts);
    }
}

#[test]
fn results_that_cannot_be_written_are_refused_before_the_work() {
    let scratch = Scratch::with_model();
    let sets = scratch.path("sets.npy");
    npy::write(&scratch.place("sets.npy"), &[2, 2], &[0.5, 20.0, 0.6, 30.0]).expect("a table");
    let points = scratch.path("points.npy");
    npy::write(&scratch.place("points.npy"), &[1, 3], &[1.0, 12.0, 0.0]).expect("points");
    let grid = ["--grid", "2,2,2"];
    let (vtk, none, inside) =
        (scratch.path("out.vtk"), scratch.path("out"), scratch.path("absent/out.npy"));
    let (picture, below) = (scratch.path("out.png"), scratch.path("model.drr/out.npy"));
    let ending = "expected a name that ends in .npy, .raw, .vti or .png";
    for (output, text) in [
        (&vtk, ending),
        (&none, ending),
        (&inside, "there is no folder"),
        (&below, "there is no folder"),
    ] {
        refused_points(&scratch, &[&grid[..], &["-o", output]].concat(), &[text]);
    }
    refused_points(
        &scratch,
        &["--points", &points, "-o", &picture],
        &["pictures and volumes are of a --grid"],
    );
    refused_parameters(&scratch, &["--params-npy", &sets, "-o", &picture], &["one set"]);
    let volume = scratch.path("out.vti");
    refused_parameters(&scratch, &["--params-npy", &sets, "-o", &volume], &["one set"]);
    for (at, text) in [
        ("z=1", "has size 2 along z, expected 1"),
        ("w=1", "no such axis"),
        ("z", "expected axis=x"),
        ("z=far", "not a number"),
    ] {
        refused_points(&scratch, &["--grid", "2,2,2", "--at", at, "-o", &volume], &[text]);
    }
    assert!(!scratch.has("out.png"));

    // As to what the program is given, and not what it finds: wrong usage.
    let model = scratch.path("model.drr");
    for wrong in [
        &["query", &model, "-o", &picture][..],
        &["query", &model, "--grid", "1,1,1", "--points", &points, "-o", &picture],
        &["query", &model, "--grid", "1,1,1"],
    ] {
        let output = drr_train(wrong);
        assert_eq!(output.status.code(), Some(2), "{wrong:?}");
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(text.contains("--output") || text.contains("--grid"), "{wrong:?}: {text}");
    }
}

#[test]
fn a_refused_query_leaves_the_earlier_result() {
    let scratch = Scratch::with_model();
    let (model, out) = (scratch.path("model.drr"), scratch.path("out.npy"));
    let query = |parameters, outside| {
        [
            "query",
            &model,
            "--grid",
            "3,2,2",
            "--params",
            parameters,
            "--outside",
            outside,
            "-o",
            &out,
        ]
    };
    drr_train_ok(&query("density=0.5,heat=20", "error"));
    let before = scratch.bytes("out.npy");
    let message = drr_train_fails(&query("density=0.5,heat=60", "error"));
    assert!(message.contains("parameter heat is 60, expected 10 to 50"), "{message}");
    assert_eq!(scratch.bytes("out.npy"), before);
    assert_eq!(scratch.list(""), ["model.drr", "out.npy"]);
    drr_train_ok(&query("density=0.5,heat=60", "clamp"));
}

#[test]
fn the_point_outside_is_named() {
    let scratch = Scratch::with_model();
    let out = scratch.path("out.npy");
    // Far enough down the list that the program has asked for others before it.
    let mut points = [1.0f32, 12.0, 0.0].repeat(300_000);
    points[270_000 * 3] = 6.5;
    npy::write(&scratch.place("points.npy"), &[300_000, 3], &points).expect("points");
    npy::write(&scratch.place("few.npy"), &[2, 3], &points[269_999 * 3..270_001 * 3]).expect("few");
    let ask = |points: &str| {
        let (model, points) = (scratch.path("model.drr"), scratch.path(points));
        let mut query =
            vec!["query", &model, "--points", &points, "--outside", "error", "-o", &out];
        query.extend(PARAMETERS);
        drr_train_fails(&query)
    };
    let message = ask("few.npy");
    assert!(message.contains("drr-train: point 1 at [6.5, 12.0, 0.0]"), "{message}");
    assert!(message.contains("x 0 to 6, y 10 to 20, z -1 to 3"), "{message}");
    let message = ask("points.npy");
    let (first, rest) = message.split_once("counted from point ").expect("where counting starts");
    assert_eq!(first, "drr-train: ");
    let (start, rest) = rest.split_once(": point ").expect("a point");
    let (index, _) = rest.split_once(" at [6.5").expect("where it is");
    let number = |text: &str| text.parse::<usize>().expect("a number");
    assert_eq!(number(start) + number(index), 270_000);
}

#[test]
fn what_cannot_be_baked_is_refused() {
    let scratch = Scratch::baked(3);
    let (config, weights) = (scratch.path("model.yaml"), scratch.path("model.drr"));
    let (out, inside) = (scratch.path("out.drr"), scratch.path("absent/out.drr"));
    let cases: [(&[&str], &[&str]); 6] = [
        (&[&scratch.path("absent")], &["absent is not a run", "config.yaml"]),
        (&[&scratch.path("ens")], &["ens is not a run", "config.yaml"]),
        (&["--config", &config, "--weights", "absent"], &["cannot read absent"]),
        (&["--config", "absent", "--weights", &weights], &["configuration file absent"]),
        (
            &["--config", &config, "--weights", &weights],
            &["model.drr", "the checkpoint lacks spatial_encoder", "this configuration"],
        ),
        (&[&scratch.path("run"), "-o", &inside], &["cannot write", "absent/out.drr"]),
    ];
    for (arguments, texts) in cases {
        let mut all = vec!["bake"];
        all.extend(arguments);
        if !arguments.contains(&"-o") {
            all.extend(["-o", &out]);
        }
        let message = drr_train_fails(&all);
        assert!(texts.iter().all(|text| message.contains(text)), "{arguments:?}: {message}");
    }
    assert_eq!(scratch.list(""), ["ens", "model.drr", "model.yaml", "run"]);
    assert_eq!(drr_train(&["bake", "--config", &config, "-o", &out]).status.code(), Some(2));
}
