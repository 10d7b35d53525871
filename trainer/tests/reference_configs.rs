//! Configurations of the reference implementation train as they are, but for sizes that would take
//! too long here.

mod common;

use common::ensemble::TinyEnsemble;
use common::scratch::{Scratch, borrowed};
use common::{drr_train, drr_train_ok, shared};
use drr_train::data::npy;
use serde_json::Value;

/// Overrides that make the grids of a published model small.
fn shrink(arguments: &mut Vec<String>, grids: &[usize]) {
    let cubes: Vec<_> = grids.iter().map(|n| format!("[{n},{n},{n}]")).collect();
    let encoder = "model.param.encoder_kwargs.param";
    for assignment in [
        format!("{encoder}.grid_shapes=[{}]", cubes.join(",")),
        format!("{encoder}.refine_highest_res=[8,8,8]"),
        "dataset.param.dims=[5,6,7]".to_owned(),
        "dataset.param.spatial_log2batch=5".to_owned(),
    ] {
        arguments.extend(["--set".to_owned(), assignment]);
    }
}

/// Trains an entry of a reference file for two steps, bakes it, and gives what was said and the
/// description in the baked file.
fn train(file: &str, entry: usize, parameters: usize, grids: &[usize]) -> Option<(String, Value)> {
    let config = shared(&format!("reference-configs/{file}"))?;
    let scratch = Scratch::new();
    TinyEnsemble { parameters, ..Default::default() }.write_as_reference(&scratch, "ens");
    let (entry, data, run) = (entry.to_string(), scratch.path("ens"), scratch.path("run"));
    let config = config.to_str().expect("UTF-8");
    let arguments = ["train", "--config", config, "--config-id", &entry, "--data", &data];
    let mut arguments: Vec<String> = arguments.map(str::to_owned).to_vec();
    arguments.extend(["--out", &run, "--steps", "2", "--device", "cpu"].map(str::to_owned));
    shrink(&mut arguments, grids);
    if file.starts_with("mpas") {
        let coordinates: Vec<f64> = (0..3 * 210).map(|n| (n as f64 * 0.618).sin()).collect();
        npy::write(&scratch.place("coords.npy"), &[5, 6, 7, 3], &coordinates).expect("coordinates");
        let path = format!("dataset.param.coord_path={}", scratch.path("coords.npy"));
        arguments.extend(["--set".to_owned(), path]);
    }
    let output = drr_train(&borrowed(&arguments));
    let said = String::from_utf8(output.stderr).expect("UTF-8");
    assert!(output.status.success(), "{file} entry {entry}: {said}");
    scratch.bake("run", "model.drr");
    let quality: Value =
        serde_json::from_str(&drr_train_ok(&["eval", &run, "--json"])).expect("JSON");
    assert!(quality["test"]["psnr"].is_number(), "{quality}");
    Some((said, scratch.info("model.drr")["spec"].clone()))
}

#[test]
fn the_cloverleaf_model_trains_and_says_what_it_leaves_out() {
    let Some((said, spec)) = train("clover_600/drrnet.yaml", 0, 6, &[4, 5, 6, 8]) else { return };
    let pairs = "Variational Pairs: noise of up to 7.81e-3 on coordinates, up to 1.67e-3 on \
                 parameters; values interpolated there";
    for text in [pairs, "train.grad_scalar"] {
        assert!(said.contains(text), "no `{text}` in: {said}");
    }
    // The published sizes of everything but the grids; the fusion is folded into them.
    assert_eq!(spec["grids"][0]["channels"], 128);
    assert_eq!(spec["input"]["activation"], "relu");
    assert_eq!(spec["layers"].as_array().map(Vec::len), Some(3));
    assert_eq!(spec["parameters"].as_array().map(Vec::len), Some(6));
    assert_eq!(spec["layers"][0]["inputs"], 128);
    assert_eq!(spec["values"][0]["max"], 41.920379638671875);
}

#[test]
fn the_mpas_model_trains_at_scattered_points() {
    let Some((said, spec)) = train("mpas_graph/drrnet.yaml", 0, 4, &[4, 5]) else { return };
    assert!(said.contains("members of 210 scattered points, 4 parameters"), "{said}");
    assert_eq!(spec["parameters"].as_array().map(Vec::len), Some(4));
    assert_eq!(spec["values"][0]["max"], 30.346237182617188);
    assert_eq!((&spec["axes"][2]["min"], &spec["axes"][2]["max"]), (&(-1.0).into(), &1.0.into()));
}

#[test]
fn the_nyx_model_trains_on_logarithms() {
    let Some((said, spec)) = train("nyx/drrnet.yaml", 0, 3, &[4, 5, 6, 8]) else { return };
    assert!(said.contains("Variational Pairs") && said.contains("(logarithm)"), "{said}");
    assert_eq!(spec["values"][0]["transform"], "log");
    assert_eq!(spec["parameters"].as_array().map(Vec::len), Some(3));
}
