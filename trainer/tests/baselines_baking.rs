//! Models to compare with, baked and asked through the runtime, give what the trainer and the reference
//! give.

mod common;

use std::path::Path;

use common::ensemble::TinyEnsemble;
use common::scratch::Scratch;
use common::{Golden, drr_train_fails, drr_train_ok, worst};
use drr::{
    Checksums, Kernel, Model, Outside, Points, Runtime, Sampler, SamplerOptions, Storage, Units,
    ValuesMut,
};
use drr_train::data::npy;

const F32: f64 = 1e-5;

/// Those of the reference that can be baked, and what they take for points outside.
const GOLDENS: [(&str, Option<Outside>); 3] = [
    ("base_kplane", Some(Outside::Clamp)),
    ("base_inr_fg", Some(Outside::Zeros)),
    // It extrapolates, which no file does.
    ("base_siren", None),
];

/// Models of five inputs, three of them coordinates, that the reference does not have.
const OURS: [(&str, &str); 5] = [
    (
        "hash_and_lines",
        "HDINRBase, param: {out_dim: 1, hidden_dim: 16, spatial_fdim: 6, out_act: Sigmoid, \
         encoder_kwargs: {type: HashGrid, param: {n_input_dims: 3, n_levels: 3, \
         log2_hashmap_size: 6, base_resolution: 2, max_resolution: 8}}, decoder_kwargs: {type: \
         FeatMLP, param: {feat_dim: 16, num_layers: 2, out_dim: 1}}, latent_kwargs: {type: \
         MultiCondLatentLines, param: {cond_dim: 2, line_dims_list: [[3, 3]], latent_shape: [4]}}}",
    ),
    (
        "frequency",
        "EncodedMLP, param: {cond_dims: 2, hidden_dim: 16, out_act: Tanh, encoding: {type: \
         Frequency, param: {num_freqs: 3, cond_freqs: 2}}}",
    ),
    (
        // An even and an odd number of vertices of parameters, and one; scales that are summed.
        "kplanes",
        "KPlaneField, param: {grid_config: {grid_dimensions: 2, input_coordinate_dim: 5, \
         output_coordinate_dim: 4, resolution: [4,5,3,4,5]}, multiscale_res: [1, 2], \
         concat_features_across_scales: false, neutral_parameters: true}",
    ),
    ("siren", "Siren, param: {in_dim: 5, feat_dim: 16, num_layers: 2, out_dim: 1}"),
    (
        "explorable",
        "INR_FG, param: {grid_shape: [4,5,3,5,4,6,3,2], num_feat_3d: 8, num_feat_2d: 8, \
         num_feat_1d: 4, out_features: 1}",
    ),
];

/// Values of a file at `[members, points, dims]` for `[members, parameters]`.
fn values(
    file: &Path,
    kernel: Kernel,
    outside: Outside,
    (points, parameters): (&[f64], &[f64]),
    members: usize,
) -> Vec<f64> {
    let model = Model::open(file, Storage::Mapped, Checksums::Verify).expect("a file");
    let runtime = Runtime::new(model, kernel, 1).expect("a runtime");
    let spec = runtime.model().spec();
    let (dims, outputs) = (spec.axes.len(), spec.outputs());
    let options = SamplerOptions { units: Units::Normalized, outside, ..Default::default() };
    let mut all = Vec::new();
    let width = parameters.len() / members;
    for (member, points) in points.chunks(points.len() / members).enumerate() {
        let parameters = &parameters[member * width..(member + 1) * width];
        let sampler = Sampler::new(&runtime, parameters, &options).expect("a sampler");
        let mut values = vec![0.0f64; points.len() / dims * outputs];
        let room = &mut ValuesMut::packed(&mut values, outputs).expect("room");
        sampler.query(&Points::packed(points, dims).expect("points"), room).expect("values");
        all.extend(values);
    }
    all
}

fn kernels() -> Vec<Kernel> {
    [Kernel::Reference, Kernel::Scalar, Kernel::choose().expect("a kernel")].to_vec()
}

#[test]
fn files_give_what_the_reference_gives() {
    let scratch = Scratch::new();
    for (name, outside) in GOLDENS {
        for golden in Golden::all(name) {
            let (config, weights) = (golden.folder.join("config.yaml"), golden.weights());
            let [config, weights] = [&config, &weights].map(|path| path.to_str().expect("UTF-8"));
            let file = scratch.path(name);
            drr_train_ok(&[
                "bake",
                "--config",
                config,
                "--weights",
                weights,
                "--grid",
                "f32",
                "-o",
                &file,
            ]);
            let members = golden.io["x"].size()[0] as usize;
            let parameters = golden.io.get("cond").map_or(Vec::new(), |_| golden.numbers("cond"));
            let inside = Some(("x", "y64", Outside::Clamp));
            let beyond = outside.map(|outside| ("x_outside", "y64_outside", outside));
            for (x, y, outside) in inside.into_iter().chain(beyond) {
                let points = golden.numbers(x);
                for kernel in kernels() {
                    let asked = (&points[..], &parameters[..]);
                    let found = values(file.as_ref(), kernel, outside, asked, members);
                    let error = worst(&found, &golden.numbers(y));
                    let most = golden.tolerance(F32);
                    assert!(error <= most, "{name} {y} {kernel:?}: {error:e} > {most:e}");
                }
            }
        }
    }
}

/// A run of a model, and its weights.
fn run(scratch: &Scratch, name: &str, model: &str) -> (String, String) {
    TinyEnsemble { parameters: 2, ..Default::default() }.write(scratch, "ens");
    let text = format!(
        "- {{model: {{type: {model}}}, optim: {{type: Adam, param: {{lr: 1.e-2}}}}, dataset: {{param: \
         {{cond_batch: 2, batch_points: 64}}}}}}"
    );
    scratch.put(&format!("{name}.yaml"), &text);
    let (config, data) = (scratch.path(&format!("{name}.yaml")), scratch.path("ens"));
    let out = scratch.path(name);
    drr_train_ok(&[
        "train", "--config", &config, "--data", &data, "--out", &out, "--steps", "40", "--device",
        "cpu",
    ]);
    (out.clone(), format!("{out}/checkpoints/step-00000040/weights.safetensors"))
}

#[test]
fn files_give_what_the_trainer_gives() {
    let scratch = Scratch::new();
    let points: Vec<f64> = (0..300).map(|i| 2.0 * (i as f64 * 0.618_034).fract() - 1.0).collect();
    let parameters = [0.0, 1.0, 0.37, 0.81, 0.5, 0.25];
    let (at, sets) = (scratch.path("points.npy"), scratch.path("sets.npy"));
    npy::write(at.as_ref(), &[100, 3], &points).expect("room for a file");
    npy::write(sets.as_ref(), &[3, 2], &parameters).expect("room for a file");
    for (name, model) in OURS {
        let (folder, weights) = run(&scratch, name, model);
        let (file, out) = (scratch.path(&format!("{name}.drr")), scratch.path("out.npy"));
        drr_train_ok(&["bake", &folder, "--grid", "f32", "-o", &file]);
        let config = format!("{folder}/config.yaml");
        drr_train_ok(&[
            "query",
            "--config",
            &config,
            "--weights",
            &weights,
            "--normalized",
            "--points",
            &at,
            "--params-npy",
            &sets,
            "-o",
            &out,
        ]);
        let expected = npy::read::<f64>(out.as_ref()).expect("an answer").data;
        let spread = expected.iter().fold(0.0f64, |most, v| most.max((v - expected[0]).abs()));
        assert!(spread > 1e-3, "{name}: values must differ, not by {spread:e}");
        let all = [&points[..]; 3].concat();
        // A file bakes again into the same.
        let again = scratch.path(&format!("{name}-again.drr"));
        drr_train_ok(&["bake", &file, "--grid", "f32", "-o", &again]);
        let [first, second] = [&file, &again].map(|file| {
            let asked = (&all[..], &parameters[..]);
            values(file.as_ref(), Kernel::Scalar, Outside::Clamp, asked, 3)
        });
        assert_eq!(first, second, "{name}");
        for kernel in kernels() {
            let asked = (&all[..], &parameters[..]);
            let found = values(file.as_ref(), kernel, Outside::Clamp, asked, 3);
            let error = worst(&found, &expected);
            let most = F32.min(1e-3 * spread);
            assert!(error < most, "{name} {kernel:?}: {error:e} > {most:e}");
        }
    }
}

/// Grids and layers may be rounded: what is lost is measured and small.
#[test]
fn rounded_files_say_what_they_lost() {
    let scratch = Scratch::new();
    for (name, model) in OURS {
        let (folder, _) = run(&scratch, name, model);
        let file = scratch.path(&format!("{name}.drr"));
        drr_train_ok(&["bake", &folder, "--grid", "i8", "--decoder", "bf16", "-o", &file]);
        let info = scratch.info(&format!("{name}.drr"));
        let loss = &info["spec"]["provenance"]["compression"];
        let error = loss["rms_error"].as_f64().expect("a loss");
        assert!(error > 0.0 && error < 0.03, "{name}: {error}");
    }
}

#[test]
fn what_cannot_be_baked_is_said_with_the_reason() {
    let scratch = Scratch::new();
    let (kplanes, _) = run(&scratch, OURS[2].0, OURS[2].1);
    let file = scratch.path("file");
    for (more, text) in [
        (["--rank", "2"], "only grids over coordinates"),
        (["--fold", "on"], "products of grids, which are not linear"),
    ] {
        let error = drr_train_fails(&[&["bake", &kplanes, "-o", &file][..], &more].concat());
        assert!(error.contains(text), "{error}");
    }
    let hash = "EncodedMLP, param: {cond_dims: 2, hidden_dim: 8, encoding: {type: HashGrid, param: \
                {n_levels: 2, log2_hashmap_size: 6, base_resolution: 2, max_resolution: 4}}}";
    let (hash, _) = run(&scratch, "hash", hash);
    let error = drr_train_fails(&["bake", &hash, "-o", &file]);
    assert!(error.contains("hash grid has 5 dimensions"), "{error}");
}
