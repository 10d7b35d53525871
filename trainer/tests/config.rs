//! The reference's configurations load unchanged, or are refused by name; mistakes are explained.

mod common;

use std::path::{Path, PathBuf};

use common::shared;
use drr_train::config::{
    Activation, Config, DatasetKind, Decay, EncoderConfig, ModelConfig, RefinerConfig,
    apply_override, load_entry, parse_yaml, to_yaml,
};
use serde_json::Value;

/// A file with everything that the reference's files do: a list, anchors, merge keys, exponents.
const SAMPLE: &str = r"
- &setting_0
  optim: &optim
    type: 'Adam'
    param:
      lr: 1.e-4
      eps: 1.e-15
      betas: [0.9, 0.999]
  scheduler:
    type: 'cos'
    param:
      eta_min: 1.e-6
  model: &model
    type: 'HDINRBase'
    param: &param
      out_dim: 1
      default_act: 'ReLU'
      out_act: Sigmoid
      hidden_dim: 16
      decoder_kwargs:
        type: 'FeatMLP'
        param: {feat_dim: 16, num_layers: 3, out_dim: 1, activation: 'ReLU'}
      encoder_kwargs:
        type: 'MultiDenseFeatGrid'
        param:
          grid_shapes:
          - [4, 4, 4]
          - [6, 7, 8]
          num_feat: 2
          refine_highest_res: [9, 9, 9]
          prerefine_feat_up_kwargs:
            g: 3
      if_refine: True
      spatial_fdim: 24
      spatial_trans_kwargs:
        type: GLUFeatMLP
        param: {feat_dim: 24, out_dim: 24, num_layers: 2, hidden_mult: 2.67, block_activation: ReLU}
      cond_trans_kwargs:
        type: 'GLUFeatMLP'
        param: {feat_dim: 8, out_dim: 8, num_layers: 1, use_norm: true, skip_connection: true}
      latent_kwargs:
        type: 'MultiCondLatentLines'
        param:
          cond_dim: 2
          line_dims_list: [[2, 2], [4, 4]]
          latent_shape: [2]
          latent_init_kwargs: {a: -0.01, b: 0.01}
      verbose: False
  dataset:
    type: HDFieldDataset
    param:
      # data_dir:
      cond_batch: 4
      spatial_log2batch: 3
      data_min: 0.5
      data_max: 2
      dims: [8, 8, 8]
      x_noise_std: 0.0046875
      cond_noise_std: [0.001, 0.002]
      noise_interp_value: True
  train: &train
    maxsteps: 50
    disable_scheduler: False
    train_scheme: hdinr_ddp
    grad_scalar: True
    num_workers: 4

- <<: *setting_0
  model:
    <<: *model
    param:
      <<: *param
      if_refine: False
      spatial_fdim: 4
      out_act: None
  train:
    <<: *train
    maxsteps: 7
";

fn sample(id: usize) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sample.yaml");
    std::fs::write(&path, SAMPLE).unwrap();
    load_entry(&path, id).unwrap()
}

/// Reads entry 0 of the sample after `overrides`.
fn with(overrides: &[&str]) -> anyhow::Result<Config> {
    let mut entry = sample(0);
    for assignment in overrides {
        apply_override(&mut entry, assignment)?;
    }
    Config::from_value(&entry)
}

fn refused(overrides: &[&str]) -> String {
    format!("{:#}", with(overrides).expect_err(&overrides.join(" ")))
}

fn yaml_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for item in std::fs::read_dir(folder).unwrap() {
        let path = item.unwrap().path();
        if path.is_dir() {
            yaml_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "yaml") {
            found.push(path);
        }
    }
}

/// Reads every entry of every file under `folder`; returns how many there are.
fn read_all(folder: &Path) -> usize {
    let mut files = Vec::new();
    yaml_files(folder, &mut files);
    let mut loaded = 0;
    for file in files {
        let document = parse_yaml(&std::fs::read_to_string(&file).unwrap()).unwrap();
        for id in 0..document.as_array().unwrap().len() {
            let entry = load_entry(&file, id).unwrap();
            let shown = format!("{} entry {id}", file.display());
            if let Err(error) = Config::from_value(&entry) {
                panic!("{shown}: {error:#}");
            }
            loaded += 1;
            assert_eq!(parse_yaml(&to_yaml(&entry).unwrap()).unwrap(), entry, "{shown}");
        }
    }
    loaded
}

#[test]
fn every_reference_entry_loads() {
    let Some(folder) = shared("reference-configs") else { return };
    assert_eq!(read_all(&folder), 60);
}

#[test]
fn every_configuration_of_the_project_loads() {
    assert_eq!(read_all(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs")), 37);
}

#[test]
fn every_golden_configuration_loads() {
    let Some(folder) = shared("goldens") else { return };
    assert_eq!(read_all(&folder), 13);
}

#[test]
fn the_sample_has_the_values_that_stand_there() {
    let config = with(&[]).unwrap();
    assert_eq!(config.optim.lr, 1e-4);
    assert_eq!((config.optim.eps, config.optim.betas), (1e-15, (0.9, 0.999)));
    assert_eq!(config.scheduler.decay, Decay::Cosine { eta_min: 1e-6 });
    let ModelConfig::Hdinr(model) = &config.model else { panic!("not an HDINRBase") };
    assert_eq!((model.out_dim, model.hidden_dim, model.spatial_fdim), (1, 16, 24));
    assert_eq!((model.default_act, model.out_act), (Activation::ReLU, Some(Activation::Sigmoid)));
    assert_eq!((model.encoder.dims(), model.encoder.refined_res()), (3, &[9, 9, 9][..]));
    assert!(matches!(model.encoder, EncoderConfig::MultiDense { pe: Some(3), .. }));
    assert_eq!(model.spatial_refiner.as_ref().unwrap().glu().hidden_dim(), 64);
    assert_eq!(model.cond_refiner.as_ref().unwrap().activation, Activation::ELU);
    assert!(model.refines_grid() && model.refines_lines());
    assert_eq!((model.latent.width(), model.latent.init_range), (8, (-0.01, 0.01)));
    assert_eq!(config.dataset.kind, DatasetKind::HdField);
    assert_eq!(config.dataset.dims, Some(vec![8, 8, 8]));
    assert_eq!(config.dataset.x_noise_std, Some(vec![0.0046875]));
    assert_eq!(config.dataset.cond_noise_std, Some(vec![0.001, 0.002]));
    assert_eq!(config.dataset.steps_per_epoch(10, 512), Some(160));
    assert_eq!((config.train.maxsteps, config.train.seed), (Some(50), 0));
    assert_eq!(config.test.test_ckpt_indices, [-1]);
}

#[test]
fn what_is_left_out_is_noted_by_name() {
    let notes = with(&[]).unwrap().notes;
    assert_eq!(notes.len(), 2, "{notes:#?}");
    assert!(notes[0].contains("train.grad_scalar") && notes[1].contains("train.num_workers"));
}

#[test]
fn merge_keys_keep_what_the_entry_says_itself() {
    let config = Config::from_value(&sample(1)).unwrap();
    assert_eq!((config.train.maxsteps, config.optim.lr), (Some(7), 1e-4));
    let ModelConfig::Hdinr(model) = &config.model else { panic!("not an HDINRBase") };
    assert_eq!((model.spatial_fdim, model.hidden_dim), (4, 16));
    assert!(!model.refines_grid() && !model.refines_lines());
    assert_eq!(model.out_act, None);
}

#[test]
fn a_model_alone_has_the_defaults() {
    let mut entry = sample(0);
    entry.as_object_mut().unwrap().retain(|key, _| key == "model");
    let config = Config::from_value(&entry).unwrap();
    assert_eq!((config.optim.lr, config.scheduler.decay), (1e-3, Decay::Cosine { eta_min: 1e-5 }));
    assert_eq!(config.dataset, drr_train::config::DatasetConfig::default());
    assert!(config.notes.is_empty());
}

#[test]
fn radiance_fields_give_grid_refiner_and_box() {
    let text = "
model:
  type: DRRGridRadianceField
  param:
    num_dim: 3
    aabb: [-1.5, -1.5, -1.5, 1.5, 1.5, 1.5]
    spatial_fdim: 16
    encoder_kwargs:
      type: DRRGrid
      param:
        if_refine: True
        grid_type: TriPlane
        grid_kwargs: {plane_res: [13, 17], num_feat: 4, prerefine_feat_up_kwargs: {g: 2}}
        refiner_kwargs:
          type: ModelList
          param:
            num_models: 3
            model_class: GLUFeatMLP
            model_kwargs: {feat_dim: 16, out_dim: 16, num_layers: 2, hidden_mult: 4}
";
    let mut entry = parse_yaml(text).unwrap();
    let config = Config::from_value(&entry).unwrap();
    let ModelConfig::Radiance(model) = &config.model else { panic!("no radiance field") };
    let spatial = model.spatial().expect("grids");
    assert!(spatial.refines_grid() && matches!(spatial.refiner, Some(RefinerConfig::PerPlane(_))));
    assert_eq!(model.aabb, [-1.5, -1.5, -1.5, 1.5, 1.5, 1.5]);
    apply_override(&mut entry, "model.param.aabb=[0, 0, 0, 1, 1, 0]").unwrap();
    let error = Config::from_value(&entry).unwrap_err().to_string();
    assert!(error.contains("the box is empty along axis 2"), "{error}");
}

#[test]
fn mistyped_keys_get_the_nearest_one() {
    let cases = [
        (
            "model.param.hiden_dim=3",
            "model.param.hiden_dim: unknown key; did you mean `hidden_dim`?",
        ),
        ("modle.type=x", "modle: unknown key; did you mean `model`?"),
        ("train.maxstep=3", "train.maxstep: unknown key; did you mean `maxsteps`?"),
        ("model.type=HDINR", "did you mean `HDINRBase`?"),
        ("model.param.out_act=sigmoid", "model.param.out_act: unknown activation `sigmoid`"),
        ("dataset.type=HDField", "did you mean `HDFieldDataset`?"),
        ("model.param.latent_kwargs.type=Lines", "known here: MultiCondLatentLines"),
    ];
    for (assignment, expected) in cases {
        let message = refused(&[assignment]);
        assert!(message.contains(expected), "{assignment}: {message}");
    }
    let mut entry = sample(0);
    let param = entry["model"]["param"].as_object_mut().unwrap();
    let width = param.remove("hidden_dim").unwrap();
    param.insert("hiden_dim".into(), width);
    let message = Config::from_value(&entry).unwrap_err().to_string();
    assert!(message.contains("did you mean `hidden_dim`?"), "{message}");
}

#[test]
fn wrong_types_name_key_value_and_expectation() {
    let cases = [
        ("optim.param.lr=fast", "optim.param.lr: given \"fast\", expected a number"),
        ("optim.param.betas=[0.9]", "expected a list of 2, each item a number"),
        ("model.param.if_refine=yes", "given \"yes\", expected true or false"),
        ("model.param.hidden_dim=-1", "given -1, expected a whole number, 0 or more"),
        ("model.param=3", "model.param: given 3, expected a mapping"),
        ("dataset.param.dim_scale_factor=1.5", "more than 0, up to 1"),
        ("dataset.param.dims_scale_factor=0", "more than 0, up to 1"),
        ("dataset.param.pairs=spacial", "did you mean `space`"),
        ("dataset.param.virtual_members=1.5", "given 1.5, expected 0 to 1"),
        ("dataset.param.groups=[a]", "they are for virtual_members"),
        ("dataset.param.cond_noise_idw_knn=0", "expected 1 or more"),
        ("dataset.param.x_noise_std=loud", "expected numbers of 0 or more"),
        ("dataset.param.dims=8", "dataset.param.dims: given 8, expected a list"),
    ];
    for (assignment, expected) in cases {
        let message = refused(&[assignment]);
        assert!(message.contains(expected), "{assignment}: {message}");
    }
}

#[test]
fn sizes_that_do_not_fit_are_explained() {
    let cases = [
        ("model.param.spatial_fdim=25", "given 25, but the encoder gives 24"),
        ("model.param.spatial_trans_kwargs.param.feat_dim=12", "feat_dim 12 and out_dim 24"),
        ("model.param.cond_trans_kwargs.param.out_dim=9", "gives 8 channels"),
        ("model.param.hidden_dim=17", "feat_dim: given 16, expected hidden_dim, 17"),
        ("model.param.out_dim=3", "expected the model's out_dim, 3"),
        ("model.param.latent_kwargs.param.cond_dim=3", "scale 0 has 2 lines, expected cond_dim, 3"),
        ("model.param.latent_kwargs.param.latent_shape=[2, 2]", "given [2, 2]"),
        ("model.param.encoder_kwargs.param.grid_shapes.0=[4, 4]", "among grids of 2 dimensions"),
        ("dataset.param.data_max=0.5", "expected less than data_max"),
        ("optim.param.lr=0", "expected more than 0"),
        ("dataset.param.cond_batch=0", "expected 1 or more"),
    ];
    for (assignment, expected) in cases {
        let message = refused(&[assignment]);
        assert!(message.contains(expected), "{assignment}: {message}");
    }
    let projected = ["model.param.out_dim=3", "model.param.use_out_proj=true"];
    assert!(refused(&projected).contains("given 1, expected hidden_dim, 16, which use_out_proj"));
    let decoder = "model.param.decoder_kwargs.param.out_dim=16";
    with(&[&projected[..], &[decoder]].concat()).unwrap();
}

#[test]
fn what_would_give_another_model_is_refused() {
    let cases = [(
        "model.param.latent_kwargs.param.pre_refiner_proj_kwargs={x: 1}",
        "pre_refiner_proj_kwargs",
    )];
    for (assignment, name) in cases {
        let message = refused(&[assignment]);
        assert!(message.contains("not supported yet") && message.contains(name), "{message}");
    }
}

#[test]
fn files_and_entries_that_are_not_there_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c.yaml");
    let message = |text: &str, id| {
        std::fs::write(&path, text).unwrap();
        format!("{:#}", load_entry(&path, id).unwrap_err())
    };
    assert!(message(SAMPLE, 2).contains("has 2 entries, numbered from 0: there is no entry 2"));
    assert!(message("model: {}", 1).contains("is a single entry"));
    assert!(message("- 3", 0).contains("entry 0 of"));
    assert!(message("", 0).contains("is nothing, expected a mapping"));
    let syntax = message("model:\n  a: [1,\n", 0);
    assert!(syntax.contains("c.yaml is not valid YAML") && syntax.contains("line 2"), "{syntax}");
    assert!(message("a: 1\na: 2\n", 0).contains("duplicate"));
    let absent = load_entry(&folder.path().join("none.yaml"), 0).unwrap_err();
    assert!(format!("{absent:#}").contains("none.yaml"));
}
