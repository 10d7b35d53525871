//! A baked file answers the same however it is asked: grids and points, units, precisions, forms.

mod common;

use std::path::Path;

use common::ensemble::{HELD_OUT, TinyEnsemble};
use common::scratch::{Scratch, is_png};
use common::{drr_train_fails, drr_train_ok, program, worst};
use drr_train::data::npy;
use serde_json::Value;

/// Minima and maxima that a baked file's description gives under `what`.
fn ranges(info: &Value, what: &str) -> Vec<(f64, f64)> {
    let number = |value: &Value| value.as_f64().expect("a number");
    let items = info["spec"][what].as_array().expect("a list");
    items.iter().map(|item| (number(&item["min"]), number(&item["max"]))).collect()
}

/// Asks the baked `file`; the result is `name`.
fn ask(scratch: &Scratch, file: &str, arguments: &[&str], name: &str) {
    let (file, out) = (scratch.path(file), scratch.path(name));
    let mut all = vec!["query", &file, "-o", &out];
    all.extend(arguments);
    drr_train_ok(&all);
}

/// Asks `model.drr` for numbers.
fn answer(scratch: &Scratch, arguments: &[&str]) -> npy::Array<f64> {
    ask(scratch, "model.drr", arguments, "answer.npy");
    npy::read(&scratch.place("answer.npy")).expect("an answer")
}

/// Writes an array; its path.
fn put<T: npy::Element>(scratch: &Scratch, name: &str, shape: &[usize], data: &[T]) -> String {
    npy::write(&scratch.place(name), shape, data).expect("room for a file");
    scratch.path(name)
}

const PARAMETERS: [&str; 2] = ["--params", "density=0.5,heat=20"];

/// Some points inside the domain.
const POINTS: [[f64; 3]; 4] =
    [[0.0, 10.0, -1.0], [6.0, 20.0, 3.0], [2.5, 18.25, 0.125], [4.75, 11.5, 2.75]];

#[test]
fn a_grid_is_its_points_x_fastest_from_border_to_border() {
    let scratch = Scratch::with_model();
    let axes = ranges(&scratch.info("model.drr"), "axes");
    assert_eq!(axes, [(0.0, 6.0), (10.0, 20.0), (-1.0, 3.0)], "as field.yaml says");
    let along = |axis: usize, i: usize, size: usize| {
        let (min, max) = axes[axis];
        min + i as f64 / (size - 1) as f64 * (max - min)
    };
    let mut points = Vec::new();
    for z in 0..2 {
        for y in 0..3 {
            for x in 0..4 {
                points.extend([along(0, x, 4), along(1, y, 3), along(2, z, 2)]);
            }
        }
    }
    let path = put(&scratch, "points.npy", &[24, 3], &points);
    let by_point = answer(&scratch, &[&PARAMETERS[..], &["--points", &path]].concat());
    let by_grid = answer(&scratch, &[&PARAMETERS[..], &["--grid", "2,3,4"]].concat());
    assert_eq!((&by_point.shape[..], &by_grid.shape[..]), (&[1, 24, 1][..], &[1, 2, 3, 4, 1][..]));
    assert_eq!(by_point.data, by_grid.data);

    // A grid of one sample along an axis sits in its middle.
    let middle = put(&scratch, "points.npy", &[1, 3], &[3.0, 15.0, 1.0]);
    let by_point = answer(&scratch, &[&PARAMETERS[..], &["--points", &middle]].concat());
    let by_grid = answer(&scratch, &[&PARAMETERS[..], &["--grid", "1,1,1"]].concat());
    assert_eq!(by_point.data, by_grid.data);
}

#[test]
fn answers_at_samples_are_the_data_in_their_order() {
    let (scratch, ensemble) = (Scratch::baked(500), TinyEnsemble::default());
    let m = HELD_OUT[1];
    let parameters = ensemble.assignments(m);
    let answer = answer(&scratch, &["--grid", "5,6,7", "--params", &parameters]);
    assert_eq!(answer.shape, [1, 5, 6, 7, 1]);
    let truth: Vec<f64> = ensemble.field(m).into_iter().map(f64::from).collect();
    let squared: f64 = answer.data.iter().zip(&truth).map(|(a, t)| (a - t).powi(2)).sum();
    let error = (squared / truth.len() as f64).sqrt();
    assert!(error < 0.4, "root mean square {error} of values from 1 to 9");
}

#[test]
fn physical_and_normalised_queries_agree() {
    let scratch = Scratch::with_model();
    let info = scratch.info("model.drr");
    let scale = |value: f64, (min, max): (f64, f64)| (value - min) / (max - min);
    let axes = ranges(&info, "axes");
    let normalised: Vec<f64> = POINTS
        .iter()
        .flat_map(|point| point.iter().zip(&axes).map(|(&x, &axis)| 2.0 * scale(x, axis) - 1.0))
        .collect();
    let physical = put(&scratch, "physical.npy", &[4, 3], POINTS.as_flattened());
    let normalised = put(&scratch, "normalised.npy", &[4, 3], &normalised);
    let parameters = ranges(&info, "parameters");
    let parameters = [0, 1].map(|d| {
        ["density", "heat"][d].to_owned() + "=" + &scale([0.5, 20.0][d], parameters[d]).to_string()
    });
    let parameters = parameters.join(",");
    let expected = answer(&scratch, &[&PARAMETERS[..], &["--points", &physical]].concat()).data;
    let given =
        answer(&scratch, &["--normalized", "--params", &parameters, "--points", &normalised]).data;
    let (min, max) = ranges(&info, "values")[0];
    let given: Vec<f64> = given.iter().map(|value| value * (max - min) + min).collect();
    assert!(worst(&given, &expected) < 1e-5, "{given:?}, {expected:?}");

    let grid = answer(&scratch, &["--normalized", "--params", &parameters, "--grid", "2,2,2"]).data;
    let physical = answer(&scratch, &[&PARAMETERS[..], &["--grid", "2,2,2"]].concat()).data;
    let grid: Vec<f64> = grid.iter().map(|value| value * (max - min) + min).collect();
    assert!(worst(&grid, &physical) < 1e-5, "{grid:?}, {physical:?}");
}

#[test]
fn several_sets_are_answered_one_after_the_other() {
    let scratch = Scratch::with_model();
    let points = put(&scratch, "points.npy", &[4, 3], POINTS.as_flattened());
    let sets = [[0.5, 20.0], [0.9, 45.0], [0.2, 10.0]];
    let table = put(&scratch, "sets.npy", &[3, 2], sets.as_flattened());
    let together = answer(&scratch, &["--params-npy", &table, "--points", &points]);
    assert_eq!(together.shape, [3, 4, 1]);
    for (set, [density, heat]) in sets.iter().enumerate() {
        let named = format!("heat={heat}, density={density}");
        let alone = answer(&scratch, &["--params", &named, "--points", &points]);
        assert_eq!(alone.data, together.data[set * 4..][..4], "{named}");
    }
    let grid = answer(&scratch, &["--params-npy", &table, "--grid", "2,3,4"]);
    assert_eq!(grid.shape, [3, 2, 3, 4, 1]);
    let none = put(&scratch, "none.npy", &[0, 2], &[0.0f64; 0]);
    assert_eq!(answer(&scratch, &["--params-npy", &none, "--grid", "2,3,4"]).shape[0], 0);
}

#[test]
fn no_points_give_no_values() {
    let scratch = Scratch::with_model();
    let points = put(&scratch, "points.npy", &[0, 3], &[0.0f64; 0]);
    let sets = put(&scratch, "sets.npy", &[2, 2], &[0.5, 20.0, 0.6, 30.0]);
    let empty = answer(&scratch, &["--params-npy", &sets, "--points", &points]);
    assert_eq!(empty, npy::Array { shape: vec![2, 0, 1], data: Vec::new() });
}

#[test]
fn points_come_in_either_precision() {
    let scratch = Scratch::with_model();
    let single: Vec<f32> = POINTS.as_flattened().iter().map(|&x| x as f32).collect();
    let double = put(&scratch, "double.npy", &[4, 3], POINTS.as_flattened());
    let single = put(&scratch, "single.npy", &[4, 3], &single);
    let of = |points: &str| answer(&scratch, &[&PARAMETERS[..], &["--points", points]].concat());
    // These points are the same in both.
    assert_eq!(of(&double), of(&single));
}

#[test]
fn points_outside_get_what_was_asked_for() {
    let scratch = Scratch::with_model();
    let points = [2.0, 12.0, 0.0, f64::NAN, 12.0, 0.0, 9.0, 12.0, 0.0, 6.0, 12.0, 0.0];
    let points = put(&scratch, "points.npy", &[4, 3], &points);
    let of = |outside: &str| {
        let arguments = ["--points", &points, "--outside", outside];
        answer(&scratch, &[&PARAMETERS[..], &arguments].concat()).data
    };
    let (clamp, nan, zeros) = (of("clamp"), of("nan"), of("zeros"));
    for values in [&clamp, &nan, &zeros] {
        assert!(values[1].is_nan() && values[0] == clamp[0] && values[3] == clamp[3], "{values:?}");
    }
    assert_eq!(clamp[2], clamp[3], "the nearest point of the border");
    assert!(nan[2].is_nan(), "{nan:?}");
    assert!(zeros[2].is_finite() && zeros[2] != clamp[2], "{zeros:?}");
    let unknown = answer(&scratch, &["--params", "density=nan,heat=20", "--points", &points]).data;
    assert!(unknown.iter().all(|value| value.is_nan()), "{unknown:?}");
}

#[test]
fn a_slice_stands_where_it_is_told() {
    let scratch = Scratch::with_model();
    let volume = answer(&scratch, &[&PARAMETERS[..], &["--grid", "5,4,3"]].concat());
    let slice = answer(&scratch, &[&PARAMETERS[..], &["--grid", "1,4,3", "--at", "z=2"]].concat());
    let plane = &volume.data[3 * 12..4 * 12];
    assert!(worst(&slice.data, plane) < 1e-5, "{:?}, expected {plane:?}", slice.data);
}

#[test]
fn every_form_of_the_result_holds_the_same_numbers() {
    let scratch = Scratch::with_model();
    let grid = [&PARAMETERS[..], &["--grid", "3,4,5"]].concat();
    ask(&scratch, "model.drr", &grid, "a.npy");
    ask(&scratch, "model.drr", &grid, "a.raw");
    ask(&scratch, "model.drr", &grid, "a.png");
    let (npy, raw) = (scratch.bytes("a.npy"), scratch.bytes("a.raw"));
    assert_eq!(raw.len(), 3 * 4 * 5 * 4);
    assert_eq!(npy[npy.len() - raw.len()..], raw);
    assert!(String::from_utf8_lossy(&npy[..128]).contains("'descr': '<f4'"));
    assert!(is_png(&scratch.place("a.png")));
    ask(&scratch, "model.drr", &grid, "a.vti");
    let vti = scratch.bytes("a.vti");
    let text = String::from_utf8_lossy(&vti);
    assert!(text.contains("WholeExtent=\"0 4 0 3 0 2\" Origin=\"0 10 -1\""), "{text}");
    assert!(text.contains("Spacing=\"1.5 3.3333333333333335 2\""), "{text}");
    let start = vti.windows(2).position(|two| two == b"\n_").expect("appended data") + 2;
    assert_eq!(vti[start..start + 8], (raw.len() as u64).to_le_bytes());
    assert_eq!(vti[start + 8..start + 8 + raw.len()], raw);
    // Pictures are of anything: a row, and what is not known.
    ask(&scratch, "model.drr", &[&PARAMETERS[..], &["--grid", "1,1,9"]].concat(), "row.png");
    ask(&scratch, "model.drr", &["--params", "density=nan,heat=1", "--grid", "2,3,4"], "nan.png");
    assert!(is_png(&scratch.place("row.png")) && is_png(&scratch.place("nan.png")));
}

#[test]
fn half_precision_answers_nearly_the_same() {
    let scratch = Scratch::baked(60);
    let (run, half) = (scratch.path("run"), scratch.path("half.drr"));
    drr_train_ok(&["bake", &run, "-o", &half]);
    assert_eq!(scratch.info("half.drr")["grid_dtypes"][0], "F16", "the default");
    assert_eq!(scratch.info("model.drr")["grid_dtypes"][0], "F32");
    let grid = [&PARAMETERS[..], &["--grid", "5,6,7"]].concat();
    ask(&scratch, "half.drr", &grid, "half.npy");
    let half = npy::read::<f64>(&scratch.place("half.npy")).expect("an answer").data;
    let error = worst(&half, &answer(&scratch, &grid).data);
    let (min, max) = ranges(&scratch.info("model.drr"), "values")[0];
    assert!(error > 0.0 && error < 2e-3 * (max - min), "{error}");
}

#[test]
fn baking_again_gives_the_same_file() {
    let scratch = Scratch::baked(3);
    for precision in ["f32", "f16"] {
        let files = ["a", "b"].map(|name| {
            let (run, file) = (scratch.path("run"), scratch.path(name));
            drr_train_ok(&["bake", &run, "--grid", precision, "-o", &file]);
            scratch.bytes(name)
        });
        assert!(files[0] == files[1], "{precision}");
    }
    let message = drr_train_ok(&["validate", &scratch.path("a")]);
    assert!(message.contains("valid") && message.contains("8 tensors"), "{message}");
}

#[test]
fn a_run_and_its_weights_alone_bake_to_the_same_numbers() {
    let scratch = Scratch::baked(3);
    let (config, out) = (scratch.path("run/config.yaml"), scratch.path("alone.drr"));
    let weights = scratch.path("run/checkpoints/step-00000003/weights.safetensors");
    drr_train_ok(&[
        "bake",
        "--config",
        &config,
        "--weights",
        &weights,
        "--grid",
        "f32",
        "-o",
        &out,
    ]);
    // Without data there are no units: everything is normalised.
    let info = scratch.info("alone.drr");
    assert_eq!(ranges(&info, "axes")[0], (-1.0, 1.0));
    assert_eq!(info["spec"]["parameters"][1]["name"], "p1");
    let grid = ["--normalized", "--grid", "3,4,5", "--params"];
    ask(&scratch, "alone.drr", &[&grid[..], &["p0=0.3,p1=0.6"]].concat(), "alone.npy");
    let alone = npy::read::<f64>(&scratch.place("alone.npy")).expect("an answer").data;
    assert_eq!(alone, answer(&scratch, &[&grid[..], &["density=0.3,heat=0.6"]].concat()).data);
}

/// A GPU whose memory is the host's, made for tests, gives what the CPU gives.
#[test]
fn a_device_answers_alike() {
    let scratch = Scratch::with_model();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/cuda");
    let mut compiler = std::process::Command::new("c++");
    compiler.args(["-std=c++17", "-O1", "-shared", "-fPIC", "-I"]).arg(&source);
    compiler.arg(source.join("driver.cpp")).arg("-o").arg(scratch.path("libcuda.so"));
    match compiler.output() {
        Ok(output) => assert!(output.status.success(), "{output:?}"),
        Err(error) => return eprintln!("skipped: no C++ compiler ({error})"),
    }
    let points = put(&scratch, "points.npy", &[4, 3], POINTS.as_flattened());
    let (file, out) = (scratch.path("model.drr"), scratch.path("there.npy"));
    for place in [["--points", &points], ["--grid", "5,6,7"]] {
        let expected = answer(&scratch, &[&PARAMETERS[..], &place].concat());
        for device in ["cuda", "cuda:0"] {
            let output = program()
                .args(["query", &file, "-o", &out, "--device", device])
                .args(PARAMETERS)
                .args(place)
                .env("LD_LIBRARY_PATH", scratch.path(""))
                .output()
                .expect("the program");
            assert!(output.status.success(), "{output:?}");
            let found = npy::read::<f64>(Path::new(&out)).expect("an answer");
            assert_eq!(found.shape, expected.shape);
            let largest = expected.data.iter().fold(1.0, |most: f64, x| most.max(x.abs()));
            // Tensor cores multiply in 16 bits.
            assert!(worst(&found.data, &expected.data) <= 1e-2 * largest, "{device} {place:?}");
        }
    }
    let query = |device| {
        let query = ["query", &file, "-o", &out, "--grid", "2,2,2", "--device", device];
        drr_train_fails(&[&query[..], &PARAMETERS].concat())
    };
    for name in ["gpu", "cuda:", "cuda:-1"] {
        let error = query(name);
        assert!(
            error.contains(&format!("--device {name}: expected cpu, cuda or cuda:N")),
            "{error}"
        );
    }
    if drr::cuda::gpu::count().is_ok_and(|count| count == 0) {
        let error = query("cuda:0");
        assert!(error.contains("--device cuda:0") && error.contains("no NVIDIA driver"), "{error}");
    }
}
