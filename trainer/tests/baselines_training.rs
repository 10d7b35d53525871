//! The models to compare with are trained and judged like DRR-Net.

mod common;

use common::ensemble::TinyEnsemble;
use common::scratch::Scratch;
use common::{drr_train_fails, drr_train_ok};
use serde_json::Value;

const MODELS: [(&str, &str); 7] = [
    (
        "kplanes",
        "KPlaneField, param: {grid_config: {grid_dimensions: 2, input_coordinate_dim: 5, \
         output_coordinate_dim: 4, resolution: [4,4,4,3,3]}, multiscale_res: [1, 2], neutral_parameters: true}",
    ),
    (
        "explorable",
        "INR_FG, param: {grid_shape: [4,4,4,5,5,5,3,3], num_feat_3d: 8, num_feat_2d: 8, \
         num_feat_1d: 4, out_features: 1}",
    ),
    (
        "fainr",
        "KVMemoryModel, param: {cond_dims: 2, cond_hidden_dims: 3, num_entries: 16, key_dim: 8, \
         feature_dim_3d: 8, feature_dim_1d: 4, top_K: 4, num_hidden_layers: 1, mlp_encoder_dim: 16, \
         mlp_hidden_dim: 16, n_experts: 4, manager_res: 4}",
    ),
    ("siren", "Siren, param: {in_dim: 5, feat_dim: 16, num_layers: 2, out_dim: 1}"),
    (
        "hash",
        "EncodedMLP, param: {cond_dims: 2, hidden_dim: 16, out_act: Sigmoid, encoding: {type: \
         HashGrid, param: {n_levels: 3, log2_hashmap_size: 8, base_resolution: 2, max_resolution: \
         8}}}",
    ),
    (
        "frequency",
        "EncodedMLP, param: {cond_dims: 2, hidden_dim: 16, encoding: {type: Frequency, param: \
         {num_freqs: 3, cond_freqs: 2}}}",
    ),
    (
        "hash_and_lines",
        "HDINRBase, param: {out_dim: 1, hidden_dim: 16, spatial_fdim: 6, out_act: Sigmoid, \
         encoder_kwargs: {type: HashGrid, param: {n_input_dims: 3, n_levels: 3, \
         log2_hashmap_size: 6, base_resolution: 2, max_resolution: 8}}, decoder_kwargs: {type: \
         FeatMLP, param: {feat_dim: 16, num_layers: 2, out_dim: 1}}, latent_kwargs: {type: \
         MultiCondLatentLines, param: {cond_dim: 2, line_dims_list: [[3, 3]], latent_shape: [4]}}}",
    ),
];

fn begin(scratch: &Scratch, name: &str, model: &str) -> (String, String) {
    TinyEnsemble { parameters: 2, ..Default::default() }.write(scratch, "ens");
    let text = format!(
        "- {{model: {{type: {model}}}, optim: {{type: Adam, param: {{lr: 3.e-3}}}}, \
         dataset: {{param: {{cond_batch: 2, batch_points: 64}}}}}}"
    );
    scratch.put(&format!("{name}.yaml"), &text);
    (scratch.path(&format!("{name}.yaml")), scratch.path("ens"))
}

fn train(config: &str, data: &str, out: &str, more: &[&str]) {
    let command = ["train", "--config", config, "--data", data, "--out", out, "--device", "cpu"];
    drr_train_ok(&[&command[..], more].concat());
}

#[test]
fn they_learn_and_are_judged() {
    for (name, model) in MODELS {
        let scratch = Scratch::new();
        let (config, data) = begin(&scratch, name, model);
        let psnr = |steps: &str| {
            let run = scratch.path(&format!("run{steps}"));
            train(&config, &data, &run, &["--steps", steps]);
            let quality: Value =
                serde_json::from_str(&drr_train_ok(&["eval", &run, "--json"])).expect("JSON");
            quality["train"]["psnr"].as_f64().expect("a number")
        };
        let (first, later) = (psnr("2"), psnr("150"));
        assert!(later > first + 1.0, "{name}: {first} dB, {later} dB after 150 steps");
    }
}

/// Also where an expert had no point yet.
#[test]
fn they_go_on_exactly_where_they_stopped() {
    for (name, model) in MODELS {
        let scratch = Scratch::new();
        let (config, data) = begin(&scratch, name, model);
        let (whole, parts) = (scratch.path("whole"), scratch.path("parts"));
        train(&config, &data, &whole, &["--steps", "8"]);
        train(&config, &data, &parts, &["--steps", "8", "--set", "train.checkpoint_steps=3"]);
        // As if it had been killed between its last checkpoints.
        let last = scratch.place("parts").join("checkpoints/step-00000008");
        std::fs::remove_dir_all(last).expect("a checkpoint");
        drr_train_ok(&["train", "--resume", &parts, "--device", "cpu"]);
        let weights = |run: &str| {
            let path = format!("{run}/checkpoints/step-00000008/weights.safetensors");
            std::fs::read(path).expect("weights")
        };
        assert!(weights(&whole) == weights(&parts), "{name}");
    }
}

#[test]
fn what_they_cannot_do_is_refused() {
    let scratch = Scratch::new();
    let (name, model) = MODELS[2];
    let (config, data) = begin(&scratch, name, model);
    let out = scratch.path("run");
    let command = ["train", "--config", &config, "--data", &data, "--out", &out, "--steps", "1"];
    for (more, text) in [
        (&["--set", "train.precision=bf16"][..], "f32 is all"),
        (&["--max-memory", "1"], "--max-memory is for models with an encoder"),
        (&["--set", "model.param.cond_dims=3"], "parameters"),
        (&["--set", "dataset.param.normalize=standard"], "never negative"),
    ] {
        let error = drr_train_fails(&[&command[..], more].concat());
        assert!(error.contains(text), "{error}\nexpected {text}");
    }
    train(&config, &data, &out, &["--steps", "1"]);
    let error = drr_train_fails(&["bake", &out, "-o", &scratch.path("m.drr.safetensors")]);
    assert!(error.contains("cannot be baked"), "{error}");
}
