//! Every encoder family, refined and plain, trains on an ensemble, bakes, and answers queries as the
//! model in training would.

mod common;

use common::drr_train_ok;
use common::scratch::Scratch;
use drr_train::config::{Config, load_entry};
use drr_train::data::npy;
use drr_train::models::{Network, Parameters};
use tch::{Device, Kind, Tensor};

const GLU: &str =
    "feat_dim: 12, out_dim: 12, num_layers: 2, hidden_mult: 2, block_activation: SiLU";

/// Name, encoder, its refiner, and channels without and with refinement.
fn families() -> [(&'static str, &'static str, String, [usize; 2]); 3] {
    let one = format!("{{type: GLUFeatMLP, param: {{{GLU}}}}}");
    let three = format!(
        "{{type: ModelList, param: {{num_models: 3, model_class: GLUFeatMLP, model_kwargs: \
         {{{GLU}}}}}}}"
    );
    [
        (
            "multi-dense",
            "{type: MultiDenseFeatGrid, param: {grid_shapes: [[2, 3, 4], [3, 4, 5]], num_feat: 3, \
             refine_highest_res: [5, 6, 7], prerefine_feat_up_kwargs: {g: 1}}}",
            one.clone(),
            [6, 12],
        ),
        (
            "dense",
            "{type: DenseFeatGrid, param: {grid_shape: [4, 5, 6], num_feat: 6, \
             prerefine_feat_up_kwargs: {g: 1}}}",
            one,
            [6, 12],
        ),
        (
            "tri-plane",
            "{type: TriPlane, param: {plane_res: [5, 6], num_feat: 6, \
             prerefine_feat_up_kwargs: {g: 1}}}",
            three,
            [6, 12],
        ),
    ]
}

/// A model with this encoder, in the form of the reference's files.
fn entry(encoder: &str, refiner: Option<&str>, features: usize) -> String {
    let refine =
        refiner.map(|refiner| format!("if_refine: true, spatial_trans_kwargs: {refiner},"));
    format!(
        "- model: {{type: HDINRBase, param: {{out_dim: 1, default_act: ReLU, out_act: Sigmoid,
  hidden_dim: 16, spatial_fdim: {features}, encoder_kwargs: {encoder}, {}
  decoder_kwargs: {{type: FeatMLP, param: {{feat_dim: 16, num_layers: 2, out_dim: 1}}}},
  latent_kwargs: {{type: MultiCondLatentLines, param: {{cond_dim: 2, line_dims_list: [[2, 2], [4, 4]],
    latent_shape: [2]}}}}}}}}
",
        refine.unwrap_or_default()
    )
}

#[test]
fn every_family_trains_bakes_and_answers() {
    for (name, encoder, refiner, [plain, refined]) in families() {
        for (refiner, features) in [(None, plain), (Some(refiner.as_str()), refined)] {
            let place = format!("{name}, refined: {}", refiner.is_some());
            let scratch = Scratch::small();
            scratch.put("model.yaml", entry(encoder, refiner, features));
            scratch.train("run", &["--steps", "250", "--set", "dataset.param.block=2"]);
            let first = scratch.text("run/metrics.csv");
            let first: f64 = (first.lines().nth(1).and_then(|row| row.split(',').nth(1)))
                .and_then(|loss| loss.parse().ok())
                .expect("a loss");
            let last = scratch.last_loss("run", 10);
            assert!(last < first / 5.0, "{place}: from {first:e} to {last:e} only");

            scratch.bake("run", "model.drr");
            let difference = difference(&scratch);
            assert!(difference < 2e-6, "{place}: {difference:e}");
        }
    }
}

/// Largest difference between the baked file and the model that it was made from, normalised.
fn difference(scratch: &Scratch) -> f64 {
    tch::manual_seed(9);
    let points = Tensor::rand([300, 3], (Kind::Double, Device::Cpu)) * 2.0 - 1.0;
    let parameters = [0.3, 0.8];
    let entry = load_entry(&scratch.place("run/config.yaml"), 0).expect("a configuration");
    let config = Config::from_value(&entry).expect("a configuration");
    let weights = scratch.place("run/checkpoints/step-00000250/weights.safetensors");
    let stored = Parameters::from_checkpoint(&weights, Device::Cpu, Kind::Double).expect("weights");
    let model = Network::build(&config.model, stored);
    let conditions = Tensor::from_slice(&parameters).view([1, 2]);
    let truth = model.expect("a model").forward(&points, &conditions);

    let flat = Vec::<f64>::try_from(&points.view(-1)).expect("numbers");
    let flat: Vec<f32> = flat.iter().map(|&x| x as f32).collect();
    npy::write(&scratch.place("points.npy"), &[300, 3], &flat).expect("points");
    let (file, at, out) =
        (scratch.path("model.drr"), scratch.path("points.npy"), scratch.path("out.npy"));
    let query = [
        "query",
        &file,
        "--points",
        &at,
        "--params",
        "density=0.3,heat=0.8",
        "--normalized",
        "-o",
        &out,
    ];
    drr_train_ok(&query);
    let values = npy::read::<f32>(&scratch.place("out.npy")).expect("values").data;
    let truth = Vec::<f64>::try_from(&truth.view(-1)).expect("numbers");
    let differences = values.iter().zip(&truth).map(|(a, b)| (f64::from(*a) - b).abs());
    differences.fold(0.0, f64::max)
}
