//! `drr-train flops` counts what models do, and gives the paper's figures for the paper's models.

mod common;

use std::path::Path;

use common::scratch::Scratch;
use common::{SMALL_MODEL, drr_train_fails, drr_train_ok, models, shared};
use drr_train::config::{Config, ModelConfig, load_entry};
use drr_train::eval::flops::Sizes;
use drr_train::models::{Hdinr, Inr, Parameters, Radiance};
use serde_json::{Value, json};
use tch::Device;

fn flops(arguments: &[&str]) -> Value {
    let text = drr_train_ok(&[&["flops", "--json"], arguments].concat());
    serde_json::from_str(&text).expect("JSON")
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("no number: {value}"))
}

/// The tables of the paper: multiply-adds of 10^9 queries and the refinement, and parameters.
#[test]
fn the_papers_figures_come_from_the_papers_configurations() {
    for (file, tera, mega) in
        [("nyx/drrnet.yaml", 57.2, 8.89), ("clover_600/drrnet.yaml", 52.6, 0.85)]
    {
        let Some(config) = shared(&format!("reference-configs/{file}")) else { return };
        let counts = flops(&["--config", config.to_str().expect("UTF-8")]);
        let paper = &counts["multiply_adds_as_in_the_paper"];
        let ours = number(&paper["queries_and_refinement_total"]) * 1e-12;
        assert!((ours / tera - 1.0).abs() < 0.01, "{file}: {ours} T");
        assert_eq!(format!("{ours:.1}"), tera.to_string(), "{file}: to the printed digit");
        let parameters = number(&counts["parameters_total"]) * 1e-6;
        assert_eq!(format!("{parameters:.2}"), mega.to_string(), "{file}");
    }
}

/// Every figure of the example's model, by hand.
#[test]
fn every_part_is_counted_as_by_hand() {
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/cloverleaf3d/model.yaml");
    let counts = flops(&["--config", config.to_str().expect("UTF-8"), "--queries", "1000"]);
    // 64 features in space; 6 parameters x 2 tables x 4 features; 64 hidden.
    let (encoder, lines, fusion, decoder) = (8 * 64, 2 * 48, (64 + 48) * 64, 64 * 64 * 2 + 64);
    let query = encoder + lines + fusion + decoder;
    // At 32^3 vertices 8 features are resampled, then 2 blocks of 3 products 64 x 128.
    let grid = 32768 * (8 * 8 + 2 * 3 * 64 * 128);
    // Tables of 2 entries are resampled to 4, where 2 blocks of 3 products 48 x 128 follow.
    let rows = 2 * 6 * 4 * 4 + 4 * 2 * 3 * 48 * 128;
    let done = json!({
        "query": {"encoder": encoder, "lines": lines, "fusion": fusion, "decoder": decoder},
        "query_total": query,
        "query_once_per_parameters": lines + 48 * 64,
        "refinement": {"grid": grid, "lines": rows},
        "refinement_total": grid + rows,
        "queries_total": 1000 * query,
        "queries_and_refinement_total": 1000 * query + grid + rows,
    });
    assert_eq!(counts["multiply_adds"], done);

    let paper = &counts["multiply_adds_as_in_the_paper"];
    let query = 4 * 64 + fusion + decoder;
    let refinement = 32768 * (4 * 8 + 2 * 3 * 64 * 128) + 4 * 2 * 3 * 48 * 128;
    assert_eq!(paper["query_total"], query);
    assert_eq!(paper["queries_and_refinement_total"], 1000 * query + refinement);

    let (encoder, lines) = (2 * (512 + 1728 + 4096 + 13824), 6 * (2 + 4) * 4);
    let (fusion, decoder) = (fusion + 64, decoder + 64 + 64 + 1);
    let (grid, rows) = (2 * (3 * 64 * 128 + 64), 2 * (3 * 48 * 128 + 48));
    let sizes = json!({
        "encoder": encoder, "lines": lines, "grid_refiner": grid, "line_refiner": rows,
        "fusion": fusion, "decoder": decoder,
    });
    assert_eq!(counts["parameters"], sizes);
    assert_eq!(counts["parameters_total"], encoder + lines + grid + rows + fusion + decoder);
}

#[test]
fn models_without_refiners_and_with_uneven_lines_are_counted() {
    let scratch = Scratch::new();
    scratch.put("model.yaml", SMALL_MODEL);
    let config = scratch.path("model.yaml");
    let refined = flops(&["--config", &config]);
    // Lines of [2, 3] and [5, 4] entries with 2 features: the first parameter's go to 5 entries,
    // the second one's to 4 and both to 5. There, 3 products 8 x 16.
    let resampled = 5 * 2 + (4 * 2 + 5 * 2 * 2);
    let lines = &refined["multiply_adds"]["refinement"]["lines"];
    assert_eq!(*lines, 2 * resampled + 5 * 3 * 8 * 16);

    // Without refinement there is no encoding: 4 features remain of 16.
    let set = ["model.param.if_refine=false", "model.param.spatial_fdim=4"];
    let plain = flops(&["--config", &config, "--set", set[0], "--set", set[1]]);
    let done = &plain["multiply_adds"];
    assert_eq!(done["query"]["encoder"], 8 * 4);
    assert_eq!(done["query"]["fusion"], (4 + 8) * 16);
    assert_eq!(done["refinement_total"], 0);
    assert_eq!(done["queries_total"], done["queries_and_refinement_total"]);
}

const PLANES: &str = "
- model:
    type: DRRINR
    param:
      out_dim: 1
      encoder_kwargs:
        type: DRRGrid
        param:
          grid_type: TriPlane
          grid_kwargs: {plane_res: [6, 9], num_feat: 2, prerefine_feat_up_kwargs: {g: 2}}
          if_refine: true
          refiner_kwargs:
            type: ModelList
            param:
              num_models: 3
              model_class: GLUFeatMLP
              model_kwargs: {feat_dim: 8, out_dim: 8, num_layers: 2, hidden_mult: 4}
      spatial_fdim: 8
";

#[test]
fn planes_are_counted_three_times() {
    let scratch = Scratch::new();
    scratch.put("planes.yaml", PLANES);
    let counts = flops(&["--config", &scratch.path("planes.yaml")]);
    let done = &counts["multiply_adds"];
    // Three planes, then 8 to 64, 64 to 64, 64 to 1 without biases.
    assert_eq!(done["query_total"], 3 * 4 * 8 + 8 * 64 + 64 * 64 + 64);
    assert_eq!(done["refinement_total"], 3 * 54 * 2 * 3 * 8 * 32);
}

/// What is counted is what a model has.
#[test]
fn parameters_are_those_that_models_train() {
    let scratch = Scratch::new();
    scratch.put("planes.yaml", PLANES);
    scratch.put("small.yaml", SMALL_MODEL);
    let projection = "use_out_proj: true\n      out_act: Sigmoid";
    let wide = SMALL_MODEL.replace("num_layers: 2, out_dim: 1,", "num_layers: 3, out_dim: 16,");
    scratch.put("projected.yaml", wide.replace("out_act: Sigmoid", projection));
    scratch.put("no_norm.yaml", SMALL_MODEL.replace("hidden_mult: 2,", "use_norm: false,"));
    scratch.put(
        "dense.yaml",
        SMALL_MODEL.replace("MultiDense", "Dense").replace(
            "grid_shapes: [[3, 4, 5], [4, 5, 6]]\n          num_feat: 2",
            "grid_shape: [3, 4, 5]\n          num_feat: 4",
        ),
    );
    for (name, kind) in [("ngp", "NGPRadianceField"), ("nerf", "VanillaNeRFRadianceField")] {
        let text = format!("- model: {{type: {kind}, param: {{num_dim: 3}}}}");
        scratch.put(&format!("{name}.yaml"), text);
    }
    for name in ["planes", "small", "projected", "no_norm", "dense", "ngp", "nerf"] {
        let entry = load_entry(&scratch.place(&format!("{name}.yaml")), 0).expect(name);
        let model = Config::from_value(&entry).expect(name).model;
        let parameters = match &model {
            ModelConfig::Hdinr(config) => {
                Hdinr::new(config, Device::Cpu, 0).expect(name).parameters
            }
            ModelConfig::Inr(config) => {
                Inr::build(config, Parameters::new(Device::Cpu)).expect(name).parameters
            }
            ModelConfig::Radiance(config) => {
                Radiance::build(config, Parameters::new(Device::Cpu)).expect(name).parameters
            }
            ModelConfig::Baseline(_) => unreachable!("tests/baselines.rs"),
        };
        let counted = Sizes::of_model(&model).and_then(|sizes| sizes.total()).expect(name);
        assert_eq!(counted, parameters.count() as u64, "{name}");
    }
}

#[test]
fn baked_files_are_counted_as_they_are_evaluated() {
    let scratch = Scratch::new();
    models::write_planes(&scratch.place("planes.drr"));
    let counts = flops(&[&scratch.path("planes.drr")]);
    let done = &counts["multiply_adds"];
    // Three planes of 6 features and a volume of 2; lines of 6 and 3; layers 11 -> 7 -> 1.
    let (encoder, lines, decoder) = (3 * 4 * 6 + 8 * 2, 2 * (6 + 3), 11 * 7 + 7);
    let query = json!({"encoder": encoder, "lines": lines, "fusion": 0, "decoder": decoder});
    assert_eq!(done["query"], query);
    assert_eq!(done["query_once_per_parameters"], lines + 3 * 7);
    assert_eq!(done["refinement_total"], 0);
    let grids = 6 * (5 * 4 + 5 * 7 + 4 * 7) + 2 * 24;
    assert_eq!(counts["parameters_total"], grids + 18 + 12 + decoder + 7 + 1 + 11);
}

#[test]
fn runs_and_tables_for_people() {
    let scratch = Scratch::small();
    scratch.train("run", &[]);
    let text = drr_train_ok(&["flops", &scratch.path("run"), "--queries", "1000000"]);
    let row = |what: &str| {
        let line = text.lines().find(|line| line.trim_start().starts_with(what));
        line.unwrap_or_else(|| panic!("no {what}: {text}")).split_whitespace().collect::<Vec<_>>()
    };
    assert_eq!(row("fusion")[1..], ["384", "384.0", "M"]);
    assert_eq!(row("refinement of the grid")[5..], ["329.3", "k"]);
    assert!(text.contains("1.000 M queries") && text.contains("as the paper counts"), "{text}");
}

#[test]
fn what_cannot_be_counted_is_explained() {
    let scratch = Scratch::small();
    let config = scratch.path("model.yaml");
    let most = u64::MAX.to_string();
    let message = drr_train_fails(&["flops", "--config", &config, "--queries", &most]);
    assert!(message.contains("exceeds 64 bits") && message.contains("--queries"), "{message}");
    let message = drr_train_fails(&["flops", "--config", &config, "--config-id", "1"]);
    assert!(message.contains("there is no entry 1"), "{message}");
    let message = drr_train_fails(&["flops", &config]);
    assert!(message.contains("model.yaml"), "{message}");
}
