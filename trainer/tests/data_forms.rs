//! Whatever form the data have, and whatever shape the model: they train, judge, bake and answer.

mod common;

use common::drr_train_ok;
use common::ensemble::{HELD_OUT, MEMBERS, TinyEnsemble};
use common::scratch::Scratch;
use drr_train::data::npy;
use serde_json::Value;

/// Physical values that `model.drr` gives at all samples of the held-out members.
fn ask(scratch: &Scratch, ensemble: &TinyEnsemble) -> npy::Array<f64> {
    let grid: Vec<_> = ensemble.dims.iter().map(usize::to_string).collect();
    let (model, out) = (scratch.path("model.drr"), scratch.path("answer.npy"));
    let (grid, sets) = (grid.join(","), scratch.path("sets.npy"));
    let parameters: Vec<f64> =
        HELD_OUT.iter().flat_map(|&m| ensemble.physical_parameters(m)).collect();
    npy::write(&scratch.place("sets.npy"), &[HELD_OUT.len(), ensemble.parameters], &parameters)
        .expect("parameters");
    drr_train_ok(&["query", &model, "--grid", &grid, "--params-npy", &sets, "-o", &out]);
    npy::read(&scratch.place("answer.npy")).expect("an answer")
}

/// `|answer - truth| / |truth|` over the members.
fn relative_error<'a>(pairs: impl Iterator<Item = (&'a f64, f64)>) -> f64 {
    let (error, norm) = pairs.fold((0.0, 0.0), |(error, norm), (answer, truth)| {
        (error + (answer - truth).powi(2), norm + truth * truth)
    });
    (error / norm).sqrt()
}

/// The baked file must be as good on the training members as the network was in the end, when
/// the learning rate is next to nothing.
fn check_loss(scratch: &Scratch, quality: &Value, name: &str) {
    let loss = scratch.last_loss("run", 30);
    let judged = 10f64.powf(-0.1 * number(&quality["train"]["psnr"]));
    assert!((0.7..1.4).contains(&(judged / loss)), "{name}: {judged:e}, in training {loss:e}");
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("no number: {value}"))
}

#[test]
fn both_forms_of_an_ensemble_train_to_the_same_weights() {
    let scratch = Scratch::small();
    TinyEnsemble::default().write_as_reference(&scratch, "reference");
    let dims = ["--dims", "5,6,7", "--steps", "15"];
    scratch.train("ours", &dims);
    let reference = scratch.path("reference");
    let (config, theirs) = (scratch.path("ours/config.yaml"), scratch.path("theirs"));
    drr_train_ok(&["train", "--config", &config, "--data", &reference, "--out", &theirs]);
    assert!(scratch.weights("ours") == scratch.weights("theirs"), "the weights differ");

    // The reference names its files one by one.
    let mut arguments = vec!["train", "--config", &config, "--set", "dataset.param.data="];
    let paths = [
        format!("dataset.param.data_dir={reference}"),
        format!("dataset.param.cond_path={reference}/cond.npy"),
        format!("dataset.param.cond_split_path={reference}/cond_split.npy"),
    ];
    paths.iter().for_each(|path| arguments.extend(["--set", path]));
    let named = scratch.path("named");
    arguments.extend(["--out", &named]);
    drr_train_ok(&arguments);
    assert!(scratch.weights("named") == scratch.weights("theirs"), "the weights differ");
    assert_eq!(scratch.eval("named"), scratch.eval("theirs"));
}

#[test]
fn units_of_the_reference_form_come_from_field_yaml() {
    let scratch = Scratch::small();
    TinyEnsemble::default().write_as_reference(&scratch, "reference");
    scratch.put(
        "reference/field.yaml",
        "dims: [5, 6, 7]\nparameters: {p1: {unit: K, min: 10, max: 50}}\n",
    );
    scratch.train("ours", &[]);
    let (config, theirs) = (scratch.path("ours/config.yaml"), scratch.path("theirs"));
    drr_train_ok(&[
        "train",
        "--config",
        &config,
        "--data",
        &scratch.path("reference"),
        "--out",
        &theirs,
    ]);
    assert!(scratch.weights("ours") == scratch.weights("theirs"), "the weights differ");
    scratch.bake("theirs", "model.drr");
    let heat = &scratch.info("model.drr")["spec"]["parameters"][1];
    assert_eq!((&heat["name"], &heat["unit"]), (&"p1".into(), &"K".into()));
    assert_eq!((number(&heat["min"]), number(&heat["max"])), (10.0, 50.0));
}

#[test]
fn a_parameter_that_never_changes_is_taken_along() {
    let scratch = Scratch::small();
    // A number so large that one more is the same number.
    let table = scratch.text("ens/params.csv");
    let constant = table.lines().skip(1).map(|line| {
        let (rest, _) = line.rsplit_once(',').expect("columns");
        format!("{rest},3e20\n")
    });
    let header = "file,split,density,heat\n".to_owned();
    scratch.put("ens/params.csv", constant.fold(header, |table, line| table + &line));
    scratch.train("run", &[]);
    let log = scratch.text("run/log.txt");
    assert!(log.contains("parameter heat is 300000000000000000000 for every member"), "{log}");
    scratch.eval("run");
    scratch.bake("run", "model.drr");
    let (model, out) = (scratch.path("model.drr"), scratch.path("out.npy"));
    let query = ["query", &model, "--grid", "2,2,2", "--outside", "error", "-o", &out, "--params"];
    drr_train_ok(&[&query[..], &["density=0.5,heat=3e20"]].concat());
}

#[test]
fn simulations_may_have_folders_of_their_own() {
    let scratch = Scratch::small();
    for m in 0..MEMBERS {
        scratch.put(&format!("ens/run{m}/energy.raw"), scratch.bytes(&format!("ens/m{m}.raw")));
        scratch.replace("ens/params.csv", &format!("m{m}.raw"), &format!("run{m}/energy.raw"));
    }
    scratch.train("run", &[]);
    drr_train_ok(&["eval", &scratch.path("run")]);
    let table = scratch.text("run/eval/members.csv");
    for m in 0..MEMBERS {
        assert!(table.contains(&format!(",run{m}-energy,")), "{table}");
    }
    for m in HELD_OUT {
        assert!(scratch.has(&format!("run/eval/slice-run{m}-energy.png")));
    }
}

#[test]
fn fields_as_npy_train_as_raw_ones_do() {
    let scratch = Scratch::small();
    let ensemble = TinyEnsemble::default();
    ensemble.write_table(&scratch, "arrays", "npy");
    for m in 0..MEMBERS {
        let path = scratch.place(&format!("arrays/m{m}.npy"));
        npy::write(&path, &ensemble.dims, &ensemble.field(m)).expect("a field");
    }
    scratch.train("raw", &[]);
    let (config, run) = (scratch.path("raw/config.yaml"), scratch.path("run"));
    drr_train_ok(&["train", "--config", &config, "--data", &scratch.path("arrays"), "--out", &run]);
    assert!(scratch.weights("run") == scratch.weights("raw"), "the weights differ");
}

#[test]
fn other_formats_train_as_raw_fields_do() {
    let scratch = Scratch::small();
    let ensemble = TinyEnsemble::default();
    for m in 0..MEMBERS {
        let field = ensemble.field(m);
        let doubles = field.iter().flat_map(|&value| f64::from(value).to_be_bytes());
        scratch.put(&format!("doubles/m{m}.dat"), doubles.collect::<Vec<u8>>());
        let text = |values: Vec<f32>| values.iter().map(|v| format!("{v}\n")).collect::<String>();
        scratch.put(
            &format!("lattices/m{m}.vtk"),
            format!(
                "# vtk DataFile Version 3.0\nby hand\nASCII\nDATASET STRUCTURED_POINTS\n\
                 DIMENSIONS 7 6 5\nORIGIN 0 0 0\nSPACING 1 1 1\nPOINT_DATA 210\n\
                 SCALARS zero float\nLOOKUP_TABLE default\n{}\
                 SCALARS energy float\nLOOKUP_TABLE default\n{}",
                text(vec![0.0; 210]),
                text(field)
            ),
        );
    }
    ensemble.write_table(&scratch, "doubles", "dat");
    ensemble.write_table(&scratch, "lattices", "vtk");
    let doubles = "dims: [5, 6, 7]\ndtype: float64\nbyte_order: big\n";
    scratch.put("doubles/field.yaml", doubles);
    scratch.put("lattices/field.yaml", "variable: energy\n");
    scratch.train("raw", &[]);
    let config = scratch.path("raw/config.yaml");
    for data in ["doubles", "lattices"] {
        let (data, run) = (scratch.path(data), scratch.path(&format!("run_{data}")));
        drr_train_ok(&["train", "--config", &config, "--data", &data, "--out", &run]);
    }
    let weights = scratch.weights("raw");
    assert!(scratch.weights("run_doubles") == weights, "the weights differ");
    assert!(scratch.weights("run_lattices") == weights, "the weights differ");
}

#[test]
fn vectors_train_and_answer_in_their_own_order() {
    let scratch = Scratch::small();
    let ensemble = TinyEnsemble::default();
    ensemble.write_table(&scratch, "ens", "npy");
    // The second component is the first one upside down.
    let field = |m: usize| -> Vec<f32> {
        ensemble.field(m).iter().flat_map(|value| [*value, 10.0 - value]).collect()
    };
    for m in 0..MEMBERS {
        let path = scratch.place(&format!("ens/m{m}.npy"));
        npy::write(&path, &[5, 6, 7, 2], &field(m)).expect("a field");
    }
    scratch.put("ens/field.yaml", "values: [{name: u, unit: m/s}, {name: v, unit: m/s}]");
    let two = ["model.param.out_dim=2", "model.param.decoder_kwargs.param.out_dim=2"];
    scratch.train("run", &["--steps", "400", "--set", two[0], "--set", two[1]]);
    let quality = scratch.eval("run");
    check_loss(&scratch, &quality, "vectors");
    scratch.bake("run", "model.drr");
    let values = &scratch.info("model.drr")["spec"]["values"];
    assert_eq!((&values[0]["name"], &values[1]["name"]), (&"u".into(), &"v".into()));

    let answer = ask(&scratch, &ensemble);
    assert_eq!(answer.shape, [2, 5, 6, 7, 2]);
    let truths = HELD_OUT.iter().flat_map(|&m| field(m)).map(f64::from);
    let error = relative_error(answer.data.iter().zip(truths));
    assert!(error < 0.15, "{error}");
    assert!((number(&quality["test"]["rel_l2"]) - error).abs() < 1e-5, "{quality}, {error}");
}

#[test]
fn logarithms_are_learned_and_values_come_back() {
    let scratch = Scratch::small();
    let ensemble = TinyEnsemble::default();
    let log = ["--set", "dataset.param.use_logdata=true", "--steps", "400"];
    scratch.train("run", &log);
    let quality = scratch.eval("run");
    check_loss(&scratch, &quality, "logarithms");
    scratch.bake("run", "model.drr");
    let value = scratch.info("model.drr")["spec"]["values"][0].clone();
    assert_eq!(value["transform"], "log");
    let training = (0..MEMBERS).filter(|m| !HELD_OUT.contains(m));
    let lowest = training.flat_map(|m| ensemble.field(m)).fold(f32::INFINITY, f32::min);
    assert!((number(&value["min"]) - f64::from(lowest).ln()).abs() < 1e-6, "{value}");

    let truths = HELD_OUT.iter().flat_map(|&m| ensemble.field(m)).map(f64::from);
    let error = relative_error(ask(&scratch, &ensemble).data.iter().zip(truths));
    assert!(error < 0.15, "{error}");
    assert!((number(&quality["test"]["rel_l2"]) - error).abs() < 1e-5, "{quality}, {error}");

    // People who look see the values, not their logarithms.
    let shown = drr_train_ok(&["info", &scratch.path("model.drr")]);
    assert!(shown.contains(&format!("{:.3}", lowest)), "{shown}");
}

#[test]
fn a_configured_range_of_values_is_the_one_that_is_baked() {
    let scratch = Scratch::small();
    let range = ["--set", "dataset.param.data_min=0", "--set", "dataset.param.data_max=16"];
    scratch.train("run", &range);
    scratch.bake("run", "model.drr");
    let value = scratch.info("model.drr")["spec"]["values"][0].clone();
    assert_eq!((number(&value["min"]), number(&value["max"])), (0.0, 16.0));
    assert_eq!((&value["name"], &value["unit"]), (&"energy".into(), &"J".into()));
    assert_eq!(value["transform"], "linear");
}

#[test]
fn what_follows_the_decoder_is_baked_too() {
    let scratch = Scratch::small();
    let decoder = "model.param.decoder_kwargs.param";
    let (tanh, wide) = (format!("{decoder}.out_activation=Tanh"), format!("{decoder}.out_dim=16"));
    for (name, settings) in [
        ("an activation", [&tanh, "model.param.out_act=None"]),
        ("two activations", [&tanh, "model.param.out_act=Sigmoid"]),
        ("a last layer", [&wide, "model.param.use_out_proj=true"]),
    ] {
        let steps = ["--steps", "300", "--set", settings[0], "--set", settings[1]];
        scratch.train("run", &steps);
        check_loss(&scratch, &scratch.eval("run"), name);
        std::fs::remove_dir_all(scratch.place("run")).expect("removed");
    }
}

/// A model of fields in the plane.
fn flat_model(encoder: &str, channels: usize, refiners: bool, latent: &str) -> String {
    let glu = |width: usize| {
        format!(
            "{{type: GLUFeatMLP, param: {{feat_dim: {width}, out_dim: {width}, num_layers: 1}}}}"
        )
    };
    format!(
        "
model:
  type: HDINRBase
  param:
    out_dim: 1
    hidden_dim: 16
    default_act: ReLU
    decoder_kwargs: {{type: FeatMLP, param: {{feat_dim: 16, num_layers: 2, out_dim: 1}}}}
    encoder_kwargs: {encoder}
    spatial_fdim: {channels}
    if_refine: {refiners}
    spatial_trans_kwargs: {}
    cond_trans_kwargs: {}
    latent_kwargs: {latent}
",
        glu(channels),
        glu(8)
    )
}

const DENSE: &str = "{type: DenseFeatGrid, param: {grid_shape: [5, 6], num_feat: 4}}";
const DENSE_REFINED: &str = "{type: DenseFeatGrid, param: {grid_shape: [5, 6], num_feat: 4, \
     refine_highest_res: [7, 8], prerefine_feat_up_kwargs: {g: 2}}}";
const MULTI: &str =
    "{type: MultiDenseFeatGrid, param: {grid_shapes: [[4, 5], [6, 7]], num_feat: 4}}";
const ONE_SCALE: &str =
    "{type: CondLatentLines, param: {cond_dim: 2, line_dims: [3, 5], latent_shape: [4]}}";
const TWO_SCALES: &str = "{type: MultiCondLatentLines, param: {cond_dim: 2, \
     line_dims_list: [[2, 3], [5, 4]], latent_shape: [2]}}";

#[test]
fn fields_in_the_plane_work_with_every_encoder() {
    let models = [
        ("dense", flat_model(DENSE, 4, false, ONE_SCALE)),
        ("dense, refined where it is", flat_model(DENSE, 4, true, ONE_SCALE)),
        ("dense, refined more finely", flat_model(DENSE_REFINED, 16, true, ONE_SCALE)),
        ("several", flat_model(MULTI, 8, false, TWO_SCALES)),
        ("several, refined", flat_model(MULTI, 8, true, TWO_SCALES)),
    ];
    let ensemble = TinyEnsemble { dims: vec![6, 9], ..Default::default() };
    for (name, model) in models {
        let scratch = Scratch::new();
        ensemble.write(&scratch, "ens");
        scratch.put("model.yaml", model);
        scratch.train("run", &["--steps", "300"]);
        let run = scratch.path("run");
        let quality: Value =
            serde_json::from_str(&drr_train_ok(&["eval", &run, "--json"])).expect("JSON");
        scratch.bake("run", "model.drr");
        let answer = ask(&scratch, &ensemble);
        assert_eq!(answer.shape, [2, 6, 9, 1], "{name}");
        let truths = HELD_OUT.iter().flat_map(|&m| ensemble.field(m)).map(f64::from);
        let error = relative_error(answer.data.iter().zip(truths));
        assert!(error < 0.15, "{name}: {error}");
        let judged = number(&quality["test"]["rel_l2"]);
        assert!((judged - error).abs() < 1e-5, "{name}: {judged}, {error}");
        check_loss(&scratch, &quality, name);
        assert!(scratch.has("run/eval/slice-m2.png"), "{name}");
        let axes = &scratch.info("model.drr")["spec"]["axes"];
        assert_eq!(axes.as_array().map(Vec::len), Some(2), "{name}");
    }
}
