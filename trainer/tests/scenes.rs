//! Radiance fields learn a scene from its pictures; the library sees what the trainer sees.

mod common;

use common::scratch::Scratch;
use common::{drr_train_fails, drr_train_ok};
use drr::{OpenOptions, RenderOptions, Runtime, Sampler, SamplerOptions, ValuesMut};
use drr_train::config::{Config, ModelConfig, load_entry};
use drr_train::data::{Camera, Ray, Views};
use drr_train::eval::scene::of_library;
use drr_train::models::checkpoint::read_safetensors;
use drr_train::models::{Parameters, Radiance};
use drr_train::render::render;
use drr_train::train::radiance::{march, occupancy_of};
use image::{Rgba, RgbaImage};
use serde_json::{Value, json};
use tch::{Device, Kind};

const SIZE: usize = 24;

/// Until cells that hold nothing are known: what was found in them before decays slowly.
const STEPS: u64 = 320;

const NGP: &str = "
- model:
    type: NGPRadianceField
    param: {num_dim: 3, aabb: [-1.5, -1.5, -1.5, 1.5, 1.5, 1.5], n_levels: 4,
            log2_hashmap_size: 12, base_resolution: 8, max_resolution: 32}
  rays: {step: 0.06, occupancy: 12, samples: 4096, rays: 256}
";

const REFINED: &str = "
- model:
    type: DRRGridRadianceField
    param:
      aabb: [-1.5, -1.5, -1.5, 1.5, 1.5, 1.5]
      spatial_fdim: 8
      encoder_kwargs:
        type: DRRGrid
        param:
          if_refine: true
          grid_type: MultiDenseFeatGrid
          grid_kwargs: {grid_shapes: [[5, 5, 5], [10, 10, 10]], num_feat: 4}
          refiner_kwargs:
            type: GLUFeatMLP
            param: {feat_dim: 8, out_dim: 8, num_layers: 1, hidden_mult: 2}
  rays: {step: 0.06, occupancy: 12, samples: 4096, rays: 256}
";

const NERF: &str = "
- model: {type: VanillaNeRFRadianceField, param: {net_depth: 3, net_width: 24, skip_layer: 2}}
  rays: {step: 0.15, occupancy: 8, samples: 2048, rays: 128, background: random}
";

/// A ball of radius 0.8 whose colours are its normals.
fn ball(ray: &Ray) -> Rgba<u8> {
    let (o, d) = (ray.origin, ray.direction);
    let b: f64 = (0..3).map(|k| o[k] * d[k]).sum();
    let c: f64 = o.iter().map(|x| x * x).sum::<f64>() - 0.64;
    if b * b < c {
        return Rgba([0; 4]);
    }
    let t = -b - (b * b - c).sqrt();
    let colour = |k: usize| (((o[k] + t * d[k]) / 0.8 * 0.5 + 0.5) * 255.0) as u8;
    Rgba([colour(0), colour(1), colour(2), 255])
}

/// Writes pictures of the ball from all around.
fn write_scene(scratch: &Scratch) {
    for (split, count) in [("train", 16), ("test", 3)] {
        let mut frames = Vec::new();
        for n in 0..count {
            let turn = f64::from(n) * 2.4;
            let z = if split == "train" { 3.0 * (f64::from(n) / 8.0 - 1.0) } else { 1.0 };
            let radius = (16.0 - z * z).sqrt();
            let position = [radius * turn.cos(), radius * turn.sin(), z];
            let focal = 0.5 * SIZE as f64 / (0.5f64 * 0.69).tan();
            let camera = Camera::looking_at(position, [0.0; 3], focal, [SIZE; 2]);
            let picture = RgbaImage::from_fn(SIZE as u32, SIZE as u32, |x, y| {
                ball(&camera.ray(f64::from(x) + 0.5, f64::from(y) + 0.5))
            });
            let name = format!("{split}/r_{n}");
            std::fs::create_dir_all(scratch.place(&format!("ball/{split}"))).expect("a folder");
            picture.save(scratch.place(&format!("ball/{name}.png"))).expect("room");
            let mut matrix: Vec<Vec<f64>> = camera.to_world.iter().map(|r| r.to_vec()).collect();
            matrix.push(vec![0.0, 0.0, 0.0, 1.0]);
            frames.push(json!({"file_path": format!("./{name}"), "transform_matrix": matrix}));
        }
        let transforms = json!({"camera_angle_x": 0.69, "frames": frames});
        scratch.put(&format!("ball/transforms_{split}.json"), transforms.to_string());
    }
}

fn train(scratch: &Scratch, config: &str, run: &str, more: &[&str]) {
    scratch.put("scene.yaml", config);
    let (config, data) = (scratch.path("scene.yaml"), scratch.path("ball"));
    let out = scratch.path(run);
    let mut arguments = vec!["train", "--config", &config, "--data", &data, "--out", &out];
    arguments.extend(["--device", "cpu", "--seed", "3"]);
    arguments.extend(more);
    drr_train_ok(&arguments);
}

fn eval(scratch: &Scratch) -> Value {
    let quality = drr_train_ok(&["eval", &scratch.path("run"), "--json"]);
    serde_json::from_str::<Value>(&quality).expect("JSON")["test"].clone()
}

/// PSNR of an empty picture.
fn of_nothing(scratch: &Scratch) -> f64 {
    let views = Views::load(&scratch.place("ball"), "test", 1, &mut |_, _| Ok(())).expect("views");
    let colours: Vec<[f32; 3]> = views.views.iter().flat_map(|v| v.over([1.0; 3])).collect();
    let squares = colours.as_flattened().iter().map(|c| f64::from(1.0 - c).powi(2)).sum::<f64>();
    -10.0 * (squares / (3 * colours.len()) as f64).log10()
}

#[test]
fn grids_learn_the_scene_and_the_library_sees_the_same() {
    for (name, config) in [("hash", NGP), ("refined", REFINED)] {
        let scratch = Scratch::new();
        write_scene(&scratch);
        train(&scratch, config, "run", &["--steps", &STEPS.to_string()]);
        let quality = eval(&scratch);
        let (psnr, nothing) = (quality["psnr"].as_f64().expect("a number"), of_nothing(&scratch));
        assert!(psnr > nothing + 6.0, "{name}: {psnr} dB, an empty picture has {nothing}");
        for file in ["report.html", "views.csv", "summary.json", "view-r_0.png"] {
            assert!(scratch.has(&format!("run/eval/{file}")), "{name}: no {file}");
        }
        let run = scratch.path("run");
        let other = drr_train_ok(&["eval", &run, "--unbaked", "--json"]);
        let other = serde_json::from_str::<Value>(&other).expect("JSON")["test"]["psnr"].clone();
        let other = other.as_f64().expect("a number");
        assert!((psnr - other).abs() < 0.02, "{name}: {psnr} dB, without a file {other}");
        compare(&scratch, name);
    }
}

/// The baked file gives what the trainer's own way gives.
fn compare(scratch: &Scratch, name: &str) {
    scratch.bake("run", "ball.drr");
    let config =
        Config::from_value(&load_entry(&scratch.place("run/config.yaml"), 0).expect("entry"))
            .expect("a configuration");
    let ModelConfig::Radiance(radiance) = &config.model else { panic!("no radiance field") };
    let folder = scratch.place(&format!("run/checkpoints/step-{STEPS:08}"));
    let weights = folder.join("weights.safetensors");
    let parameters = Parameters::from_checkpoint(&weights, Device::Cpu, Kind::Float);
    let model = Radiance::build(radiance, parameters.expect("weights")).expect("a model");
    let extra = read_safetensors(&folder.join("extra.safetensors")).expect("cells");
    let extra: Vec<_> = extra.into_iter().collect();
    let occupancy = occupancy_of(&extra, &config.rays).expect("cells");
    assert!(occupancy.share() < 0.9, "{name}: nothing was found empty");
    let march = march(radiance, &config.rays, Some(&occupancy));

    let runtime =
        Runtime::open(scratch.place("ball.drr"), &OpenOptions::default()).expect("a file");
    let sampler = Sampler::new(&runtime, &[], &SamplerOptions::default()).expect("a sampler");
    let camera = Camera::looking_at([2.0, -3.0, 1.5], [0.1, 0.0, 0.2], 30.0, [19, 13]);
    let rays: Vec<Ray> = (0..19 * 13)
        .map(|n| camera.ray(f64::from(n % 19) + 0.5, f64::from(n / 19) + 0.5))
        .collect();
    let ours = render(&model, &march, &rays, Device::Cpu, &mut |_| Ok(())).expect("pixels");
    let mut pixels = vec![0.0f32; 19 * 13 * 4];
    let mut room = ValuesMut::packed(&mut pixels, 4).expect("room");
    let options = RenderOptions::default();
    sampler.render(&of_library(&camera), [19, 13], &options, &mut room, None).expect("a picture");
    let worst = ours.as_flattened().iter().zip(&pixels).map(|(a, b)| (a - b).abs());
    let worst = worst.fold(0.0, f32::max);
    assert!(worst < 2e-3, "{name}: {worst}");
    assert!(ours.iter().any(|pixel| pixel[3] > 0.9) && ours.iter().any(|pixel| pixel[3] < 0.1));
}

#[test]
fn nerf_learns_and_is_judged_without_a_file() {
    let scratch = Scratch::new();
    write_scene(&scratch);
    train(&scratch, NERF, "run", &["--steps", "60", "--lr", "3e-3"]);
    let quality = eval(&scratch);
    assert!(quality["psnr"].as_f64().expect("a number") > of_nothing(&scratch));
    let (run, out) = (scratch.path("run"), scratch.path("out.drr"));
    let text = drr_train_fails(&["bake", &run, "-o", &out]);
    assert!(text.contains("no grids"), "{text}");
}

#[test]
fn an_interrupted_training_goes_on_to_the_same() {
    let scratch = Scratch::new();
    write_scene(&scratch);
    train(&scratch, NGP, "whole", &["--steps", "24"]);
    train(&scratch, NGP, "half", &["--steps", "24", "--set", "train.checkpoint_steps=10"]);
    // As if it had ended there.
    std::fs::remove_dir_all(scratch.place("half/checkpoints/step-00000024")).expect("a folder");
    drr_train_ok(&["train", "--resume", &scratch.path("half")]);
    for name in ["weights", "extra", "optimizer"] {
        let path = |run: &str| format!("{run}/checkpoints/step-00000024/{name}.safetensors");
        assert_eq!(scratch.bytes(&path("whole")), scratch.bytes(&path("half")), "{name}");
    }
}

#[test]
fn a_way_around_the_scene_is_drawn() {
    let scratch = Scratch::new();
    write_scene(&scratch);
    train(&scratch, NGP, "run", &["--steps", "40"]);
    scratch.bake("run", "ball.drr");
    let (file, frames) = (scratch.path("ball.drr"), scratch.path("frames"));
    drr_train_ok(&["render", &file, "-o", &frames, "--frames", "3", "--size", "20x16"]);
    assert_eq!(scratch.list("frames"), ["frame-0000.png", "frame-0001.png", "frame-0002.png"]);
    let frame = image::open(scratch.place("frames/frame-0001.png")).expect("a picture");
    assert_eq!((frame.width(), frame.height()), (20, 16));
    // Baked again, it is the same.
    let again = scratch.path("again.drr");
    drr_train_ok(&["bake", &file, "--grid", "f32", "-o", &again]);
    let tensors = |name: &str| read_safetensors(&scratch.place(name)).map(|t| t.len()).ok();
    assert_eq!(tensors("ball.drr"), tensors("again.drr"));
    let info = scratch.info("again.drr");
    assert_eq!(info["spec"]["radiance"]["occupancy"], json!([12, 12, 12]));
}

#[test]
fn mistakes_are_explained() {
    let scratch = Scratch::new();
    write_scene(&scratch);
    scratch.put("scene.yaml", NGP);
    let fails_on = |data: &str, more: &[&str]| {
        let (config, data) = (scratch.path("scene.yaml"), scratch.path(data));
        let out = scratch.path("refused");
        let mut arguments = vec!["train", "--config", &config, "--data", &data, "--out", &out];
        arguments.extend(["--device", "cpu", "--steps", "1"]);
        arguments.extend(more);
        let text = drr_train_fails(&arguments);
        assert!(!scratch.has("refused"), "{text}");
        text
    };
    let fails = |more: &[&str]| fails_on("ball", more);
    let cases = [
        ("rays.background=grey", "rays.background: given `grey`"),
        ("rays.step=0", "rays.step: given 0"),
        ("model.param.unbounded=true", "without bounds are not supported"),
        ("model.param.aabb=[0, 0, 0, 1, 1, 0]", "the box is empty along axis 2"),
        ("train.precision=bf16", "f32 is all that radiance fields"),
        ("rays.downscale=100", "cannot be reduced by 100"),
        ("dataset.param.cond_batch=3", "radiance fields know `data` alone"),
    ];
    for (assignment, expected) in cases {
        let text = fails(&["--set", assignment]);
        assert!(text.contains(expected), "{assignment}: {text}");
    }
    assert!(fails_on("nothing", &[]).contains("transforms_train.json"));
    scratch.put("ball/train/r_3.png", b"no picture");
    assert!(fails(&[]).contains("frame 3"));
    scratch.put("ball/transforms_train.json", "{\"camera_angle_x\": 9, \"frames\": []}");
    assert!(fails(&[]).contains("it has no frames"));
}
