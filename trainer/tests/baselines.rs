//! The models to compare with give what the reference gives, and cost what the paper says.

mod common;

use std::collections::BTreeSet;

use common::scratch::Scratch;
use common::{Golden, drr_train, drr_train_fails, drr_train_ok, shared, worst};
use drr_train::config::{BaselineConfig, Config, ModelConfig, load_entry};
use drr_train::data::npy;
use drr_train::eval::flops::Sizes;
use drr_train::models::{Baseline, Parameters};
use serde_json::Value;
use tch::{Device, Kind, Tensor};

const F32: f64 = 1e-5;

/// Scores of the memory of FA-INR that are nearer to each other than this may change places.
const MARGIN: f64 = 1e-4;

fn names_of(parameters: &Parameters) -> BTreeSet<String> {
    parameters.trainables().map(|(name, _)| name.to_owned()).collect()
}

fn baseline(golden: &Golden) -> &BaselineConfig {
    match &golden.config.model {
        ModelConfig::Baseline(config) => config,
        _ => panic!("{} is no baseline", golden.name),
    }
}

/// The members' parameters; none where the model has none.
fn conditions(golden: &Golden) -> Tensor {
    match golden.io.get("cond") {
        Some(conditions) => conditions.shallow_clone(),
        None => Tensor::zeros([golden.io["x"].size()[0], 0], (Kind::Float, Device::Cpu)),
    }
}

/// Numbers of points whose choices are not a matter of rounding.
fn settled(golden: &Golden, margin: &str, numbers: Vec<f64>) -> Vec<f64> {
    let Some(margins) = golden.io.get(margin) else { return numbers };
    let flat = margins.to_kind(Kind::Double).view(-1);
    let margins = Vec::<f64>::try_from(&flat).expect("numbers");
    let outputs = numbers.len() / margins.len();
    let kept = numbers.chunks_exact(outputs).zip(margins).filter(|(_, margin)| *margin > MARGIN);
    kept.flat_map(|(numbers, _)| numbers.to_vec()).collect()
}

#[test]
fn they_give_what_the_reference_gives() {
    for golden in Golden::all("base_") {
        let conditions = conditions(&golden);
        for (kind, tolerance) in [(Kind::Double, 1e-9), (Kind::Float, golden.tolerance(F32))] {
            let parameters = Parameters::from_checkpoint(&golden.weights(), Device::Cpu, kind);
            let model = Baseline::build(baseline(&golden), parameters.expect("weights"));
            let model = model.expect("a model");
            for (x, y, margin) in
                [("x", "y64", "margin"), ("x_outside", "y64_outside", "margin_outside")]
            {
                let ours = model.forward(&golden.io[x], &conditions);
                let flat = ours.to_kind(Kind::Double).contiguous().view(-1);
                let ours = Vec::<f64>::try_from(&flat).expect("numbers");
                let expected = settled(&golden, margin, golden.numbers(y));
                let ours = settled(&golden, margin, ours);
                assert!(!ours.is_empty());
                let error = worst(&ours, &expected);
                assert!(
                    error <= tolerance,
                    "{} {kind:?} {y}: {error:e} > {tolerance:e}",
                    golden.name
                );
            }
        }
    }
}

#[test]
fn points_can_be_shared_by_members() {
    for golden in Golden::all("base_") {
        let parameters = Parameters::from_checkpoint(&golden.weights(), Device::Cpu, Kind::Double)
            .expect("weights");
        let model = Baseline::build(baseline(&golden), parameters).expect("a model");
        let (points, conditions) = (golden.io["x"].select(0, 0), conditions(&golden));
        let shared = model.forward(&points, &conditions);
        let copies = points.unsqueeze(0).repeat([conditions.size()[0], 1, 1]);
        let error = (shared - model.forward(&copies, &conditions)).abs().max().double_value(&[]);
        assert!(error < 1e-12, "{}", golden.name);
    }
}

/// Models whose choices may leave a part unused are drawn so often until each part was used.
const DRAWS: usize = 20;

/// New models have the tensors of the reference's checkpoints, as many numbers as are counted, and
/// gradients for all of them.
#[test]
fn new_models_can_be_trained() {
    for golden in Golden::all("base_") {
        let config = baseline(&golden);
        let model = Baseline::build(config, Parameters::new(Device::Cpu)).expect("a model");
        let sizes = Sizes::of_model(&golden.config.model).expect("a count");
        assert_eq!(
            model.parameters.count() as u64,
            sizes.total().expect("64 bits"),
            "{}",
            golden.name
        );
        let stored = drr_train::models::checkpoint::read_safetensors(&golden.weights());
        let stored = stored.expect("weights");
        let names = stored.keys().map(String::as_str).filter(|name| *name != "aabb");
        assert_eq!(
            model.parameters.all().map(|(name, _)| name).collect::<Vec<_>>(),
            names.collect::<Vec<_>>()
        );
        let mut idle: BTreeSet<String> = names_of(&model.parameters);
        for _ in 0..DRAWS {
            let model = Baseline::build(config, Parameters::new(Device::Cpu)).expect("a model");
            let values = model.forward(&golden.io["x"], &conditions(&golden));
            assert!(values.isfinite().all().int64_value(&[]) == 1, "{}", golden.name);
            values.square().mean(Kind::Float).backward();
            let used = model.parameters.trainables().filter(|(_, tensor)| tensor.grad().defined());
            used.for_each(|(name, _)| _ = idle.remove(name));
            if idle.is_empty() {
                break;
            }
        }
        assert!(idle.is_empty(), "{}: {idle:?} have no gradients", golden.name);
    }
}

/// The tables of the paper: multiply-adds of 10^9 queries, and parameters.
#[test]
fn the_papers_figures_come_from_the_papers_configurations() {
    for (file, entry, tera, mega) in [
        ("nyx/baselines.yaml", "0", 57.0, Some(12.1)),
        ("nyx/baselines.yaml", "1", 39.6, Some(14.7)),
        ("nyx/baselines.yaml", "2", 2569.2, Some(9.5)),
        ("clover_600/baselines.yaml", "2", 422.1, Some(1.0)),
    ] {
        let Some(config) = shared(&format!("reference-configs/{file}")) else { return };
        let config = config.to_str().expect("UTF-8");
        let text = drr_train_ok(&["flops", "--json", "--config", config, "--config-id", entry]);
        let counts: Value = serde_json::from_str(&text).expect("JSON");
        let number = |value: &Value| value.as_f64().expect("a number");
        let paper = &counts["multiply_adds_as_in_the_paper"]["queries_and_refinement_total"];
        let ours = number(paper) * 1e-12;
        assert!((ours / tera - 1.0_f64).abs() < 0.01, "{file} {entry}: {ours} T, {tera} T");
        if let Some(mega) = mega {
            let ours = number(&counts["parameters_total"]) * 1e-6;
            assert!((ours - mega).abs() <= 0.0501, "{file} {entry}: {ours} M, {mega} M");
        }
    }
}

#[test]
fn weights_are_queried_without_baking() {
    let scratch = Scratch::new();
    for golden in Golden::all("base_").into_iter().chain(Golden::all("hdinr_clover")) {
        let (config, weights) = (golden.folder.join("config.yaml"), golden.weights());
        let [config, weights] = [&config, &weights].map(|path| path.to_str().expect("UTF-8"));
        let points = golden.io["x"].select(0, 0).to_kind(Kind::Double).contiguous();
        let size: Vec<usize> = points.size().iter().map(|&n| n as usize).collect();
        let numbers = Vec::<f64>::try_from(&points.view(-1)).expect("numbers");
        let (at, sets, out) =
            (scratch.path("points.npy"), scratch.path("sets.npy"), scratch.path("out.npy"));
        npy::write(at.as_ref(), &size, &numbers).expect("room for a file");
        let all = conditions(&golden).to_kind(Kind::Double);
        let shape: Vec<usize> = all.size().iter().map(|&n| n as usize).collect();
        let rows = Vec::<f64>::try_from(&all.contiguous().view(-1)).expect("numbers");
        npy::write(sets.as_ref(), &shape, &rows).expect("room for a file");
        let query = ["query", "--config", config, "--weights", weights, "--normalized"];
        let place = ["--points", &at, "--params-npy", &sets, "-o", &out];
        drr_train_ok(&[&query[..], &place].concat());
        let found = npy::read::<f64>(out.as_ref()).expect("an answer");
        let outputs = golden.io["y64"].size()[2] as usize;
        assert_eq!(found.shape, [shape[0], size[0], outputs]);
        // Of the first member; the others have other points in the golden case.
        let expected = golden.io["y64"].select(0, 0).contiguous().view(-1);
        let expected = Vec::<f64>::try_from(&expected).expect("numbers");
        let first = &found.data[..expected.len()];
        let cut = |numbers: &[f64]| {
            let margins = golden.io.get("margin").map(|margins| margins.select(0, 0).contiguous());
            let margins = margins.map(|margins| Vec::<f64>::try_from(&margins).expect("numbers"));
            let kept = numbers.iter().enumerate();
            let kept = kept.filter(|(n, _)| margins.as_ref().is_none_or(|m| m[*n] > MARGIN));
            kept.map(|(_, &x)| x).collect::<Vec<_>>()
        };
        let error = worst(&cut(first), &cut(&expected));
        assert!(error <= golden.tolerance(F32), "{}: {error:e}", golden.name);

        let error = drr_train_fails(&[&query[..5], &place[..]].concat());
        assert!(error.contains("--normalized"), "{error}");
    }
    let output = drr_train(&["query", "--points", "p.npy", "-o", "o.npy", "--config", "c.yaml"]);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && error.contains("--weights"), "{error}");
}

/// What does not fit is named.
#[test]
fn wrong_sizes_are_errors() {
    let read = |text: &str| {
        let scratch = Scratch::new();
        scratch.put("model.yaml", text);
        let entry = load_entry(scratch.path("model.yaml").as_ref(), 0).expect("YAML");
        Config::from_value(&entry).expect_err("a mistake").to_string()
    };
    for (model, text) in [
        (
            "KPlaneField, param: {grid_config: {grid_dimensions: 3, input_coordinate_dim: 4, output_coordinate_dim: 2, resolution: [2,2,2,2]}}",
            "grid_dimensions: given 3",
        ),
        (
            "KPlaneField, param: {grid_config: {grid_dimensions: 2, input_coordinate_dim: 4, output_coordinate_dim: 2, resolution: [2,2,2]}}",
            "resolution: 3 sizes, expected input_coordinate_dim, 4",
        ),
        (
            "INR_FG, param: {grid_shape: [2,2,2,2,2,2], num_feat_3d: 2, num_feat_2d: 2, num_feat_1d: 2, out_features: 1}",
            "no sizes for parameters",
        ),
        (
            "INR_FG, param: {grid_shape: [2,2,2,2,2,2,2], num_feat_3d: 2, num_feat_2d: 3, num_feat_1d: 2, out_features: 1}",
            "num_feat_2d: given 3, expected num_feat_3d, 2",
        ),
        (
            "KVMemoryModel, param: {cond_dims: 2, cond_hidden_dims: 3, key_dim: 8, feature_dim_3d: 16, num_hidden_layers: 1, n_experts: 2}",
            "key_dim: given 8, expected feature_dim_3d, 16",
        ),
        (
            "KVMemoryModel, param: {cond_dims: 2, cond_hidden_dims: 3, key_dim: 16, feature_dim_3d: 16, num_entries: 4, top_K: 5, num_hidden_layers: 1, n_experts: 2}",
            "top_K (5) up to num_entries (4)",
        ),
        (
            "Siren, param: {in_dim: 2, feat_dim: 8, num_layers: 1, out_dim: 1, first_omega_0: 10}",
            "first_omega_0: only 30",
        ),
        ("Siren, param: {in_dim: 2, feat_dim: 8, num_layers: 1, out_dim: 1, omega: 10}", "omega"),
        ("EncodedMLP, param: {hidden_dim: 8}", "encoding"),
        ("EncodedMLP, param: {hidden_dim: 8, encoding: {type: Hash}}", "did you mean `HashGrid`?"),
        (
            "EncodedMLP, param: {hidden_dim: 8, cond_dims: 6, encoding: {type: HashGrid}}",
            "a hash grid over 9 numbers, expected 2 to 7",
        ),
        (
            "EncodedMLP, param: {hidden_dim: 8, encoding: {type: Frequency, param: {num_freqs: 40}}}",
            "num_freqs (40)",
        ),
    ] {
        let error = read(&format!("- model: {{type: {model}}}"));
        assert!(error.contains(text), "{error}\nexpected {text}");
    }
}
