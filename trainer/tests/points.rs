//! Data at scattered points: they train, judge, bake and answer as lattices do, whatever program
//! wrote the coordinates, and mistakes in them are explained.

mod common;
#[path = "common/written.rs"]
mod written;

use std::path::Path;

use common::drr_train_ok;
use common::ensemble::{HELD_OUT, MEMBERS, TinyEnsemble};
use common::scratch::{Scratch, is_png};
use drr_train::config::DatasetConfig;
use drr_train::data::{Ensemble, LoadOptions, npy};

/// Coordinates of this lattice are short binary fractions, so that they survive rounding.
const DIMS: [usize; 3] = [5, 3, 9];

/// The box of [`TinyEnsemble`], x first.
const BOX: [(f64, f64); 3] = [(0.0, 6.0), (10.0, 20.0), (-1.0, 3.0)];

fn lattice() -> TinyEnsemble {
    TinyEnsemble { dims: DIMS.to_vec(), ..Default::default() }
}

/// Coordinates in [-1, 1] of the points of the lattice, x first.
fn unit_coordinates() -> Vec<[f64; 3]> {
    let [depth, height, width] = DIMS;
    let place = |i: usize, n: usize| 2.0 * i as f64 / (n - 1) as f64 - 1.0;
    let points = (0..depth * height * width).map(|index| {
        let (x, y, z) = (index % width, index / width % height, index / width / height);
        [place(x, width), place(y, height), place(z, depth)]
    });
    points.collect()
}

fn physical(point: [f64; 3]) -> [f64; 3] {
    let mut axes =
        point.into_iter().zip(BOX).map(|(u, (min, max))| min + (u + 1.0) / 2.0 * (max - min));
    std::array::from_fn(|_| axes.next().expect("three"))
}

fn write_points(path: &Path, points: &[[f64; 3]]) {
    npy::write(path, &[points.len(), 3], &points.concat()).expect("coordinates");
}

/// The folder `points` with the same values as `ens`, in the same order, as scattered points.
fn scattered() -> Scratch {
    let scratch = Scratch::small();
    lattice().write(&scratch, "ens");
    lattice().write(&scratch, "points");
    let points: Vec<_> = unit_coordinates().into_iter().map(physical).collect();
    write_points(&scratch.place("points/mesh.npy"), &points);
    scratch.put(
        "points/field.yaml",
        "coords: mesh.npy\nvalues: [{name: energy, unit: J}]\n\
         axes: [{name: x, unit: cm}, {name: y, min: 10}, {name: z, unit: km}]\n",
    );
    scratch
}

fn train(scratch: &Scratch, data: &str, run: &str, more: &[&str]) {
    let data = scratch.path(data);
    scratch.train(run, &[&["--data", &data][..], more].concat());
}

#[test]
fn a_lattice_as_points_trains_to_the_same_weights() {
    let scratch = scattered();
    // Points have no neighbours that blocks of them could be drawn with.
    let alone = ["--steps", "12", "--set", "dataset.param.block=1"];
    train(&scratch, "ens", "lattice", &alone);
    train(&scratch, "points", "scattered", &["--steps", "12"]);
    assert!(scratch.weights("lattice") == scratch.weights("scattered"), "the weights differ");
    let log = scratch.text("scattered/log.txt");
    assert!(log.contains("members of 135 scattered points, 2 parameters"), "{log}");

    let (ours, theirs) = (scratch.eval("scattered"), scratch.eval("lattice"));
    for split in ["train", "test"] {
        for score in ["psnr", "psnr_mean", "rel_l2", "max_error", "fields"] {
            assert_eq!(ours[split][score], theirs[split][score], "{split} {score}");
        }
        assert!(ours[split]["ssim"].is_null() && theirs[split]["ssim"].is_number());
    }

    // The reference's form: normalised, last axis first, and of any shape.
    lattice().write_as_reference(&scratch, "reference");
    let flipped: Vec<f64> =
        unit_coordinates().into_iter().flat_map(|[x, y, z]| [z, y, x]).collect();
    let coordinates = scratch.place("reference/coords.npy");
    npy::write(&coordinates, &[5, 3, 9, 3], &flipped).expect("coordinates");
    let path = format!("dataset.param.coord_path={}", scratch.path("reference/coords.npy"));
    let kind = "dataset.type=HDCurviFieldDataset";
    let more = ["--steps", "12", "--set", kind, "--set", &path, "--dims", "135"];
    train(&scratch, "reference", "theirs", &more);
    assert!(scratch.weights("theirs") == scratch.weights("scattered"), "the weights differ");
}

#[test]
fn points_are_judged_drawn_baked_and_described() {
    let scratch = scattered();
    train(&scratch, "points", "run", &["--steps", "300"]);
    let text = drr_train_ok(&["eval", &scratch.path("run")]);
    assert!(text.contains("n/a") && text.contains("report.html"), "{text}");
    assert!(is_png(&scratch.place("run/eval/points-m2.png")), "{:?}", scratch.list("run/eval"));
    let page = scratch.text("run/eval/report.html");
    assert!(page.contains("data:image/png") && page.contains("<td>n/a"));
    let quality = scratch.eval("run");
    assert!(quality["train"]["psnr"].as_f64().expect("a number") > 25.0, "{quality}");

    scratch.bake("run", "model.drr");
    let description = drr_train_ok(&["info", &scratch.path("model.drr")]);
    assert!(
        description.contains("scattered points") && description.contains("135"),
        "{description}"
    );
    let spec = &scratch.info("model.drr")["spec"];
    for (axis, (min, max)) in BOX.into_iter().enumerate() {
        let axis = &spec["axes"][axis];
        assert_eq!((axis["min"].as_f64(), axis["max"].as_f64()), (Some(min), Some(max)));
    }

    // What a program asks at the points, in their units, is what was judged.
    let (model, points, out) =
        (scratch.path("model.drr"), scratch.path("points/mesh.npy"), scratch.path("out.npy"));
    let params = lattice().assignments(HELD_OUT[0]);
    drr_train_ok(&["query", &model, "--points", &points, "--params", &params, "-o", &out]);
    let answer = npy::read::<f64>(&scratch.place("out.npy")).expect("values");
    let truth = lattice().field(HELD_OUT[0]);
    let squares = answer.data.iter().zip(&truth).map(|(a, t)| (a - f64::from(*t)).powi(2));
    let norm: f64 = truth.iter().map(|t| f64::from(*t).powi(2)).sum();
    let relative = (squares.sum::<f64>() / norm).sqrt();
    let rows = scratch.text("run/eval/members.csv");
    let row = rows.lines().find(|row| row.starts_with("test,m2")).expect("a row");
    let judged: f64 = row.split(',').nth(5).expect("rel_l2").parse().expect("a number");
    assert!((relative / judged - 1.0).abs() < 0.02, "{relative}, judged {judged}");
    assert_eq!(row.split(',').nth(4), Some(""), "no SSIM: {row}");
}

#[test]
fn fewer_points_are_trained_on_and_all_are_judged() {
    let scratch = scattered();
    train(&scratch, "points", "run", &["--set", "dataset.param.dim_scale_factor=0.5"]);
    let log = scratch.text("run/log.txt");
    assert!(log.contains("135 scattered points are reduced to 67 scattered points"), "{log}");
    let quality = scratch.eval("run");
    assert!(quality["full_resolution"]["test"]["psnr"].is_number(), "{quality}");
    let rows = scratch.text("run/eval/members.csv");
    assert!(rows.contains(",67\n") && rows.contains(",135\n"), "{rows}");
}

#[test]
fn runs_notice_other_points() {
    let scratch = scattered();
    train(&scratch, "points", "run", &[]);
    let mut points: Vec<_> = unit_coordinates().into_iter().map(physical).collect();
    points.swap(1, 2);
    write_points(&scratch.place("points/mesh.npy"), &points);
    let message = common::drr_train_fails(&["eval", &scratch.path("run")]);
    assert!(message.contains("given other points: their coordinates differ"), "{message}");
}

#[test]
fn mistakes_in_coordinates_are_explained() {
    let scratch = scattered();
    let data = scratch.path("points");
    let good: Vec<_> = unit_coordinates().into_iter().map(physical).collect();
    let refused_on = |data: &str, texts: &[&str], more: &[&str]| {
        let message = scratch.train_fails(&[&["--data", data][..], more].concat());
        for text in texts {
            assert!(message.contains(text), "no `{text}` in: {message}");
        }
    };
    let refused = |texts: &[&str], more: &[&str]| refused_on(&data, texts, more);
    let mesh = scratch.place("points/mesh.npy");
    write_points(&mesh, &good[..100]);
    refused(&["m0.raw has 540 bytes", "the shape [100] of float32 needs 400", "coords"], &[]);
    refused(&["says [5, 3, 9], but there are coordinates of 100 points"], &["--dims", "5,3,9"]);
    let mut bad = good.clone();
    bad[7][1] = f64::NAN;
    write_points(&mesh, &bad);
    refused(&["mesh.npy", "1 of 405 numbers are not finite", "(NaN) is column 1 of point 7"], &[]);
    bad[7][1] = 9.0;
    write_points(&mesh, &bad);
    refused(
        &["mesh.npy", "1 points are outside the box", "point 7: y = 9, expected 10 to 20"],
        &[],
    );
    let flat: Vec<[f64; 3]> = good.iter().map(|[x, y, _]| [*x, *y, 2.0]).collect();
    write_points(&mesh, &flat);
    refused(&["axis z: all points lie between 2 and 2"], &[]);
    npy::write(&mesh, &[405], &good.concat()).expect("coordinates");
    refused(&["mesh.npy", "shape [405], expected [points, 3]"], &[]);
    std::fs::remove_file(&mesh).expect("removed");
    refused(&["there is no file of coordinates", "mesh.npy", "coords in field.yaml"], &[]);
    scratch.put("points/mesh.npy", b"no array");
    refused(&["mesh.npy", "does not begin as a .npy file"], &[]);
    scratch.replace("points/field.yaml", "mesh.npy", "mesh.txt");
    scratch.put("points/mesh.txt", "1 2 3");
    refused(&["mesh.txt", "a file that knows its shape: .npy"], &[]);

    write_points(&mesh, &good);
    scratch.replace("points/field.yaml", "mesh.txt", "mesh.npy");
    refused(&["need a lattice", "135 scattered points"], &["--pairs", "space"]);
    train(&scratch, "points", "pairs", &["--pairs", "parameters"]);
    let moved = ["--set", "dataset.param.x_noise_std=0.01"];
    train(&scratch, "points", "moved", &moved);
    assert!(scratch.text("moved/log.txt").contains("values as they were before"));
    refused(&["leaves none of 135 points"], &["--set", "dataset.param.dim_scale_factor=0.001"]);

    let ens = scratch.path("ens");
    let kind = "dataset.type=HDCurviFieldDataset";
    let missing = ["needs the coordinates", "coord_path", "`coords: FILE`"];
    refused_on(&ens, &missing, &["--set", kind]);
    let path = format!("dataset.param.coord_path={}", mesh.display());
    let outside = ["coordinates", "outside the box", "in [-1, 1], last axis first"];
    refused_on(&ens, &outside, &["--set", kind, "--set", &path]);
    let lattice = ["coord_path", "set dataset.type=HDCurviFieldDataset"];
    refused_on(&ens, &lattice, &["--set", &path]);
}

#[test]
fn coordinates_of_other_programs_are_read_in_double_precision() {
    let scratch = Scratch::new();
    std::fs::create_dir(scratch.place("written")).expect("a folder");
    if !written::write_fields(&scratch.place("written")) {
        return;
    }
    let expected: Vec<f32> = scratch
        .bytes("written/points_expected.f32")
        .as_chunks()
        .0
        .iter()
        .map(|&b| f32::from_le_bytes(b))
        .collect();
    let table = "file,split,p\npoints_a.nc,train,0\npoints_b.nc,test,1\n";
    scratch.put("written/params.csv", table);
    for (file, variable, system) in [
        ("points.npy", "", "cartesian"),
        ("points_shaped.npy", "", "cartesian"),
        ("points.npz", "places", "cartesian"),
        ("points.nc", "places", "cartesian"),
        ("points.h5", "mesh/places", "cartesian"),
        ("points_sphere.h5", "mesh/places", "spherical"),
    ] {
        let variable = if variable.is_empty() {
            String::new()
        } else {
            format!("coords_variable: {variable}\n")
        };
        let text =
            format!("coords: {file}\n{variable}coordinate_system: {system}\nvariable: wind\n");
        scratch.put("written/field.yaml", text);
        let config = DatasetConfig { data: Some(scratch.place("written")), ..Default::default() };
        let ensemble = Ensemble::load(&config, &LoadOptions { model_dims: 3, components: 2 });
        let ensemble = ensemble.unwrap_or_else(|error| panic!("{file}: {error:#}"));
        let mut coords = Vec::new();
        (0..ensemble.points()).for_each(|n| ensemble.places.push(n, &mut coords));
        assert_eq!(coords.len(), expected.len(), "{file}");
        for (a, b) in coords.iter().zip(&expected) {
            assert!((a - f64::from(*b)).abs() < 1e-6, "{file}: {a}, expected {b}");
        }
        assert_eq!(ensemble.members.len(), 2.min(MEMBERS));
        assert!(
            (ensemble.denormalize(ensemble.field(1).expect("a field").at(3)) - 13.0).abs() < 1e-5,
            "{file}"
        );
    }
}
