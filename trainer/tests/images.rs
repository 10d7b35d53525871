//! Single fields and pictures: the reference's entries train, bake, and are drawn again.

mod common;

use std::path::Path;

use common::scratch::Scratch;
use common::{drr_train, drr_train_fails, drr_train_ok, shared};
use image::{Rgb, RgbImage};
use serde_json::Value;
use tch::{Device, Kind, Tensor};

const WIDTH: u32 = 40;
const HEIGHT: u32 = 36;

/// Neither side nor colour is like another.
fn picture() -> RgbImage {
    RgbImage::from_fn(WIDTH, HEIGHT, |x, y| {
        let (u, v) = (f64::from(x) / f64::from(WIDTH), f64::from(y) / f64::from(HEIGHT));
        let wave = |turns: f64| (127.0 + 120.0 * (turns * 6.0).sin()) as u8;
        Rgb([wave(u), wave(v * 0.7), wave(u * v)])
    })
}

/// An entry of the reference's image files, small.
fn entry(grid_type: &str, grid: &str, features: usize, refine: bool) -> String {
    let refiner = format!(
        "refiner_kwargs: {{type: GLUFeatMLP, param: {{feat_dim: {features}, out_dim: {features}, \
         num_layers: 1, hidden_mult: 2, block_activation: ReLU}}}}"
    );
    let refiner = if refine { refiner.as_str() } else { "" };
    format!(
        "
- model:
    type: DRRINR
    param:
      out_dim: 3
      decoder_hidden_dim: 32
      spatial_fdim: {features}
      encoder_kwargs:
        type: DRRGrid
        param:
          if_refine: {refine}
          grid_type: {grid_type}
          grid_kwargs: {{{grid}}}
          {refiner}
  dataset: {{type: FieldDataset, param: {{log2batch: 9}}}}
  train: {{train_scheme: inr_ddp}}
"
    )
}

const HASH: &str = "
- model:
    type: DRRINR
    param:
      out_dim: 3
      spatial_fdim: 8
      encoder_kwargs:
        type: HashGrid
        param: {n_input_dims: 2, n_levels: 4, n_features_per_level: 2, log2_hashmap_size: 8,
                base_resolution: 4, max_resolution: 32}
  dataset: {type: FieldDataset, param: {log2batch: 9}}
";

const SIREN: &str = "
- model: {type: Siren, param: {in_dim: 2, feat_dim: 32, num_layers: 1, out_dim: 3}}
  optim: {type: Adam, param: {lr: 2.e-3}}
  dataset: {type: FieldDataset, param: {log2batch: 9}}
";

/// Trains `config` on the picture, bakes it to `model.drr` and gives what `eval` found.
fn trained(scratch: &Scratch, config: &str, more: &[&str]) -> Value {
    scratch.put("image.yaml", config);
    picture().save(scratch.place("picture.png")).expect("room for a picture");
    let (config, data) = (scratch.path("image.yaml"), scratch.path("picture.png"));
    let run = scratch.path("run");
    let mut arguments = vec!["train", "--config", &config, "--data", &data, "--out", &run];
    arguments.extend(["--device", "cpu", "--seed", "1"]);
    if !more.contains(&"--steps") {
        arguments.extend(["--steps", "250"]);
    }
    if !config_sets_rate(scratch) {
        arguments.extend(["--lr", "0.01"]);
    }
    arguments.extend(more);
    drr_train_ok(&arguments);
    let quality = drr_train_ok(&["eval", &run, "--json"]);
    scratch.bake("run", "model.drr");
    serde_json::from_str(&quality).expect("JSON")
}

fn config_sets_rate(scratch: &Scratch) -> bool {
    scratch.text("image.yaml").contains("lr:")
}

fn drawn(path: &Path) -> RgbImage {
    image::open(path).expect("a picture").to_rgb8()
}

/// Largest mean difference of any colour.
fn difference(a: &RgbImage, b: &RgbImage) -> f64 {
    assert_eq!(a.dimensions(), b.dimensions());
    let mut sums = [0.0; 3];
    for (a, b) in a.pixels().zip(b.pixels()) {
        (0..3).for_each(|k| sums[k] += (f64::from(a[k]) - f64::from(b[k])).abs());
    }
    sums.into_iter().fold(0.0, f64::max) / f64::from(a.width() * a.height())
}

#[test]
fn every_kind_of_entry_learns_the_picture_and_is_drawn_again() {
    let multi =
        "grid_shapes: [[4, 4], [8, 8], [16, 16]], num_feat: 2, refine_highest_res: [20, 24]";
    let encoded = format!("{multi}, prerefine_feat_up_kwargs: {{g: 1}}");
    let dense = "grid_shape: [14, 20], num_feat: 4";
    for (name, config) in [
        ("refined", entry("MultiDenseFeatGrid", &encoded, 12, true)),
        (
            "multi",
            entry(
                "MultiDenseFeatGrid",
                &multi.replace(", refine_highest_res: [20, 24]", ""),
                6,
                false,
            ),
        ),
        ("dense refined", entry("DenseFeatGrid", dense, 4, true)),
        ("dense", entry("DenseFeatGrid", dense, 4, false)),
        ("hash", HASH.to_owned()),
        ("siren", SIREN.to_owned()),
    ] {
        let scratch = Scratch::new();
        let quality = trained(&scratch, &config, &[]);
        let psnr = quality["train"]["psnr"].as_f64().expect("a number");
        assert!(psnr > 24.0, "{name}: {psnr} dB");
        let (file, whole) = (scratch.path("model.drr"), scratch.path("whole.png"));
        let size = format!("{WIDTH}x{HEIGHT}");
        drr_train_ok(&["query", &file, "--size", &size, "-o", &whole]);
        let again = drawn(&scratch.place("whole.png"));
        let apart = difference(&again, &picture());
        assert!(apart < 16.0, "{name}: {apart}");
        // Pixels of a part are those of the whole.
        let part = scratch.path("part.png");
        drr_train_ok(&["query", &file, "--rect", "10,5,25,16", "--size", "16x12", "-o", &part]);
        let cut = image::imageops::crop_imm(&again, 10, 5, 16, 12).to_image();
        assert!(difference(&drawn(&scratch.place("part.png")), &cut) < 0.2, "{name}");
    }
}

#[test]
fn pictures_know_their_pixels_and_colours() {
    let scratch = Scratch::new();
    trained(&scratch, HASH, &["--steps", "2"]);
    let spec = scratch.info("model.drr")["spec"].clone();
    assert_eq!(spec["axes"][0]["unit"], "px");
    assert_eq!(
        (spec["axes"][0]["max"].as_f64(), spec["axes"][1]["max"].as_f64()),
        (Some(39.0), Some(35.0))
    );
    assert_eq!(spec["values"][0]["name"], "red");
    assert_eq!(spec["parameters"], serde_json::json!([]));
}

#[test]
fn training_on_a_reduced_picture_is_judged_on_the_whole() {
    let scratch = Scratch::new();
    let more =
        ["--set", "dataset.param.dims_scale_factor=0.5", "--set", "dataset.param.pairs=space"];
    let quality = trained(&scratch, HASH, &more);
    let full = quality["full_resolution"]["train"]["psnr"].as_f64().expect("a number");
    assert!(full > 18.0, "{full}");
}

/// Weights of AlexNet's shapes, under the names that Python's lpips has for them.
fn write_alexnet(path: &Path) {
    tch::manual_seed(4);
    let random = |shape: &[i64], scale: f64| {
        Tensor::rand(shape, (Kind::Float, Device::Cpu)) * scale - 0.4 * scale
    };
    let (mut named, mut inputs) = (Vec::new(), 3);
    let layers = [(0, 64, 11), (3, 192, 5), (6, 384, 3), (8, 256, 3), (10, 256, 3)];
    for (stage, (layer, features, edge)) in layers.into_iter().enumerate() {
        let name = format!("net.slice{}.{layer}", stage + 1);
        let scale = (3.0 / (inputs * edge * edge) as f64).sqrt();
        named.push((format!("{name}.weight"), random(&[features, inputs, edge, edge], scale)));
        named.push((format!("{name}.bias"), random(&[features], 0.1)));
        let name = format!("lin{stage}.model.1.weight");
        named.push((name, random(&[1, features, 1, 1], 1.0).abs()));
        inputs = features;
    }
    named.push(("scaling_layer.shift".to_owned(), random(&[1, 3, 1, 1], 1.0)));
    Tensor::write_safetensors(&named, path).expect("room for weights");
}

#[test]
fn pictures_are_judged_as_eyes_do_and_without_a_file() {
    let scratch = Scratch::new();
    let baked = trained(&scratch, HASH, &[]);
    assert!(baked["train"]["lpips"].is_null());
    let (run, weights) = (scratch.path("run"), scratch.path("alex.safetensors"));
    write_alexnet(&scratch.place("alex.safetensors"));
    let judged = |more: &[&str]| -> Value {
        let text = drr_train_ok(&[&["eval", &run, "--json"], more].concat());
        serde_json::from_str(&text).expect("JSON")
    };
    let number = |value: &Value, key: &str| value["train"][key].as_f64().expect("a number");
    let (seen, other) = (judged(&["--lpips", &weights]), judged(&["--unbaked"]));
    let lpips = number(&seen, "lpips");
    assert!(lpips > 1e-6 && lpips.is_finite(), "{lpips}");
    assert_eq!(seen["train"]["psnr"], baked["train"]["psnr"]);
    let [ours, theirs] = [&baked, &other].map(|quality| number(quality, "psnr"));
    assert!((ours - theirs).abs() < 1e-3, "{ours} dB, without a file {theirs}");
    let text = drr_train_ok(&["eval", &run, "--lpips", &weights]);
    assert!(text.contains(&format!("LPIPS {lpips:.4}")), "{text}");
    let table = scratch.text("run/eval/members.csv");
    assert!(table.contains(&lpips.to_string()), "{table}");
    let checkpoint = scratch.path("run/checkpoints/step-00000250/weights.safetensors");
    let text = drr_train_fails(&["eval", &run, "--lpips", &checkpoint]);
    assert!(text.contains("net.slice1.0.weight is missing"), "{text}");
}

#[test]
fn memory_for_a_step_changes_nothing_but_rounding() {
    let config =
        entry("MultiDenseFeatGrid", "grid_shapes: [[6, 6], [12, 12]], num_feat: 4", 8, true);
    let weights = |more: &[&str]| {
        let scratch = Scratch::new();
        trained(&scratch, &config, &[&["--steps", "3"], more].concat());
        let path = scratch.place("run/checkpoints/step-00000003/weights.safetensors");
        drr_train::models::checkpoint::read_safetensors(&path).expect("weights")
    };
    let (plain, pieces) = (weights(&[]), weights(&["--max-memory", "0.0001"]));
    for (name, tensor) in &plain {
        let apart = (tensor - &pieces[name]).abs().max().double_value(&[]);
        assert!(apart < 1e-4, "{name}: {apart}");
    }
}

#[test]
fn mistakes_are_explained() {
    let scratch = Scratch::new();
    trained(&scratch, HASH, &["--steps", "2"]);
    let (file, out) = (scratch.path("model.drr"), scratch.path("out.png"));
    let fails = |arguments: &[&str]| drr_train_fails(arguments);
    let text = fails(&["query", &file, "--size", "4x4", "--rect", "1,2,3", "-o", &out]);
    assert!(text.contains("expected four numbers"), "{text}");
    let text = fails(&["query", &file, "--size", "4x4", "-o", &scratch.path("out.npy")]);
    assert!(text.contains("is written as .png"), "{text}");
    let wrong = drr_train(&["query", &file, "--size", "0x4", "-o", &out]);
    assert_eq!(wrong.status.code(), Some(2));
    let config = scratch.path("image.yaml");
    let train = |data: &str| {
        let run = scratch.path("other");
        fails(&["train", "--config", &config, "--data", data, "--out", &run])
    };
    assert!(train(&scratch.path("nothing.png")).contains("there is no file"));
    assert!(train(&scratch.path("run")).contains("a folder, expected the file of one field"));
    picture().save(scratch.place("grey.png")).expect("room");
    let grey = image::open(scratch.place("grey.png")).expect("a picture").to_luma8();
    grey.save(scratch.place("grey.png")).expect("room");
    assert!(train(&scratch.path("grey.png")).contains("the data have 1 values a point"));
}

#[test]
fn an_entry_of_the_reference_trains_but_for_its_size() {
    let Some(config) = shared("reference-configs/image/pearl.yaml") else { return };
    let scratch = Scratch::new();
    picture().save(scratch.place("pearl.png")).expect("room for a picture");
    for id in ["0", "4"] {
        let run = scratch.path(&format!("run{id}"));
        let data = scratch.path("pearl.png");
        let config = config.to_str().expect("UTF-8");
        let mut arguments = vec!["train", "--config", config, "--config-id", id, "--data", &data];
        arguments.extend(["--out", &run, "--steps", "1", "--device", "cpu"]);
        for small in [
            "dataset.param.dims=[36,40]",
            "dataset.param.log2batch=8",
            "model.param.encoder_kwargs.param.grid_kwargs.refine_highest_res=[24,24]",
        ] {
            if id == "0" || !small.starts_with("model") {
                arguments.extend(["--set", small]);
            }
        }
        drr_train_ok(&arguments);
    }
}
