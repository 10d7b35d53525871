//! What baking does to a model: folding changes nothing, rounding loses as little as it must, a file
//! bakes as its run does, and what cannot be done is refused.

mod common;

use std::path::Path;

use common::case::{Case, ROUNDING, model, rms, values};
use common::scratch::Scratch;
use common::{Golden, hidden, worst};
use drr::Checksums;
use drr::model::GridPrecision;
use drr::model::spec::LayerPrecision;
use drr_train::bake::{self, Baked, Compression, Decoder, Description, Fold, Options, Source};
use drr_train::config::{Config, parse_yaml};

#[test]
fn folding_changes_nothing() {
    for case in Case::goldens() {
        let expected = values(&case.exact());
        let (path, outcome) = case.bake(&Options { fold: Fold::On, ..Options::EXACT });
        assert!(outcome.folded && outcome.measured.is_none());
        let error = worst(&values(&path), &expected);
        assert!(error < ROUNDING, "{}: {error:e}", case.name);
        // The first layer is gone, and everything adds up in one place.
        let (plain, folded) = (model(&case.exact()), model(&path));
        let (plain, folded) = (plain.spec(), folded.spec());
        assert_eq!(folded.layers, plain.layers[1..]);
        assert!(folded.grids.iter().all(|grid| grid.offset == 0));
        assert_eq!(folded.input.activation, plain.layers[0].activation);
    }
}

#[test]
fn encoders_of_every_kind_fold_and_keep_full_rank() {
    for (name, encoder) in ENCODERS {
        let scratch = Scratch::small();
        let text = common::SMALL_MODEL;
        let start = text.find("      encoder_kwargs:").expect("an encoder");
        let end = text.find("      spatial_fdim:").expect("what follows");
        let text = format!("{}{encoder}{}", &text[..start], &text[end..]);
        scratch.put("model.yaml", &text);
        scratch.train("run", &["--steps", "30"]);
        let entry = parse_yaml(&text).expect("YAML")[0].clone();
        let config = Config::from_value(&entry).expect("a configuration");
        let weights = scratch.place("run/checkpoints/step-00000030/weights.safetensors");
        let description = Description::of_config(&config);
        let trained = bake::load(&config, &weights, description).expect("weights");
        let folder = tempfile::tempdir().expect("folder");
        let case = Case { name: name.into(), trained, folder };
        let expected = values(&case.exact());
        let spread = expected.iter().fold(0.0f64, |most, v| most.max((v - expected[0]).abs()));
        assert!(spread > 0.1, "{name}: values must differ, not by {spread}");
        let rank = Some(Compression::Rank(case.full_rank()));
        let ways = [
            Options { fold: Fold::On, ..Options::EXACT },
            Options { compression: rank, ..Options::EXACT },
        ];
        for options in ways {
            let error = worst(&values(&case.bake(&options).0), &expected);
            assert!(error < ROUNDING, "{name} {options:?}: {error:e}");
        }
    }
}

/// One grid; two grids side by side.
const ENCODERS: [(&str, &str); 2] = [
    (
        "dense",
        "      encoder_kwargs:
        type: DenseFeatGrid
        param: {grid_shape: [3, 4, 5], num_feat: 4, refine_highest_res: [5, 6, 7], prerefine_feat_up_kwargs: {g: 2}}
      if_refine: true
",
    ),
    (
        "several",
        "      encoder_kwargs:
        type: MultiDenseFeatGrid
        param: {grid_shapes: [[3, 4, 5], [4, 5, 6]], num_feat: 8}
      if_refine: false
",
    ),
];

#[test]
fn folding_is_done_where_it_pays() {
    let cases = Case::goldens();
    for case in &cases {
        let (_, outcome) = case.bake(&Options { fold: Fold::Auto, ..Options::EXACT });
        // Four grids of two channels each would become four of 32.
        assert_eq!(outcome.folded, case.name != "hdinr_norefine", "{}", case.name);
    }
}

#[test]
fn biases_take_back_what_rounding_shifts() {
    for case in Case::goldens() {
        let expected = values(&case.exact());
        let options = Options { decoder: Decoder::I8, ..Options::EXACT };
        let rounded = case.bake(&options).0;
        let (rounded_model, exact_model) = (model(&rounded), model(&case.exact()));
        let layers = rounded_model.layers().iter().zip(exact_model.layers());
        assert!(layers.into_iter().all(|(rounded, exact)| rounded.bias != exact.bias));
        let found = values(&rounded);
        let shift = found.iter().zip(&expected).map(|(a, b)| a - b).sum::<f64>();
        let shift = (shift / found.len() as f64).abs();
        assert!(shift < 0.6 * rms(&found, &expected), "{}: {shift}", case.name);
    }
}

#[test]
fn rounding_loses_as_little_as_its_steps_allow() {
    // Largest and root mean squared error, each some 1.5 times what was measured.
    let allowed = [
        (GridPrecision::F16, Decoder::Bf16, Fold::On, 0.02, 0.0035),
        (GridPrecision::I8, Decoder::F32, Fold::On, 0.015, 0.003),
        (GridPrecision::I8, Decoder::I8, Fold::On, 0.04, 0.008),
        (GridPrecision::F32, Decoder::I8, Fold::Off, 0.04, 0.008),
    ];
    for case in Case::goldens() {
        let expected = values(&case.exact());
        for (grid, decoder, fold, most, mean) in allowed {
            let options = Options { fold, grid, decoder, compression: None };
            let (path, outcome) = case.bake(&options);
            let found = values(&path);
            let errors = (worst(&found, &expected), rms(&found, &expected));
            let what = format!("{} {grid:?} {decoder:?}: {errors:?}", case.name);
            println!("{what}");
            assert!(errors.0 < most && errors.1 < mean, "{what}");
            assert!(errors.1 > 1e-6, "{what}: nothing was rounded");
            let loss = outcome.measured.expect("a loss").loss;
            assert!(loss.psnr_loss.is_none() && loss.rms_error <= loss.max_error, "{loss:?}");
            assert!((0.5..2.0).contains(&(loss.rms_error / errors.1)), "{what}: {loss:?}");
        }
    }
}

#[test]
fn layers_have_the_precision_that_was_asked_for() {
    let Some(case) = Case::named("hdinr_nyx_like") else { return };
    let names = |decoder| -> Vec<&str> {
        let options = Options { decoder, ..Options::EXACT };
        let model = model(&case.bake(&options).0);
        model.spec().layers.iter().map(|layer| layer.precision.name()).collect()
    };
    assert_eq!(names(Decoder::F32), ["f32"; 4]);
    assert_eq!(names(Decoder::Bf16), ["bf16"; 4]);
    // The first sees features of unequal ranges, the last has one output.
    assert_eq!(names(Decoder::I8), ["bf16", "i8", "i8", "bf16"]);
}

#[test]
fn eight_bit_layers_cover_what_they_see_and_no_more() {
    let Some(case) = Case::named("hdinr_clover_like") else { return };
    let compression = Some(Compression::Rank(8));
    let options = Options { compression, decoder: Decoder::I8, ..Options::EXACT };
    let model = model(&case.bake(&options).0);
    let range = |n: usize| match model.spec().layers[n].precision {
        LayerPrecision::I8 { low, step } => (low, low + 255.0 * step),
        other => panic!("{other:?}"),
    };
    // Components are scaled to [-1, 1]; half of the sample are vertices.
    let (low, high) = range(0);
    assert!((-1.001..-0.7).contains(&low) && (0.7..1.001).contains(&high), "{low} {high}");
    // After a ReLU nothing is negative.
    let (low, high) = range(1);
    assert!(low == 0.0 && high > 0.1, "{low} {high}");
}

#[test]
fn a_file_bakes_to_what_its_run_bakes_to() {
    for case in Case::goldens() {
        let exact = case.exact();
        let file = Baked::open(&exact, Checksums::Verify).expect("a baked file");
        let again = case.folder.path().join("again");
        let ways = [
            Options { grid: GridPrecision::I8, fold: Fold::Auto, ..Options::EXACT },
            Options {
                compression: Some(Compression::Rank(2)),
                grid: GridPrecision::I8,
                decoder: Decoder::I8,
                fold: Fold::Auto,
            },
            Options { decoder: Decoder::Bf16, ..Options::EXACT },
            Options::EXACT,
        ];
        for options in ways {
            bake::bake(&file, &options, None, &again, &hidden).expect("bake");
            let bytes = |path: &Path| std::fs::read(path).expect("a file");
            assert!(bytes(&again) == bytes(&case.bake(&options).0), "{} {options:?}", case.name);
        }
        // In one pass features are folded before they are rounded, from a file after.
        let options = Options { fold: Fold::On, ..Options::EXACT };
        bake::bake(&file, &options, None, &again, &hidden).expect("bake");
        let error = worst(&values(&again), &values(&case.bake(&options).0));
        assert!(error < ROUNDING, "{}: {error:e}", case.name);
    }
}

#[test]
fn what_cannot_be_baked_is_refused_with_the_reason() {
    let Some(case) = Case::named("hdinr_clover_like") else { return };
    let refused = |source: &dyn Source, options: &Options, text: &str| {
        let path = case.folder.path().join("refused");
        let error = bake::bake(source, options, None, &path, &hidden).expect_err(text);
        let message = format!("{error:#}");
        assert!(message.contains(text), "{message}");
        assert!(!path.exists(), "{message}");
    };
    let rank = |rank| Options { compression: Some(Compression::Rank(rank)), ..Options::EXACT };
    let max_error =
        |limit| Options { compression: Some(Compression::MaxError(limit)), ..Options::EXACT };
    let coarse = Options { decoder: Decoder::I8, grid: GridPrecision::I8, ..max_error(1e-6) };
    refused(&*case.trained, &rank(33), "--rank 33: expected 1 to 32");
    refused(&*case.trained, &rank(0), "--rank 0: expected 1 to 32");
    refused(&*case.trained, &max_error(0.0), "--max-error 0: expected a positive number");
    refused(&*case.trained, &max_error(f64::NAN), "--max-error NaN: expected a positive number");
    refused(&*case.trained, &coarse, "with all 32 components the largest error is");
    refused(&*case.trained, &Options { fold: Fold::On, ..rank(4) }, "--rank with --fold on");

    let open = |options: &Options| Baked::open(&case.bake(options).0, Checksums::Verify);
    let folded = open(&Options { fold: Fold::On, ..Options::EXACT }).expect("a file");
    let again = Options { fold: Fold::On, ..Options::EXACT };
    refused(&folded, &again, "--fold on: its first layer is folded already");
    refused(&folded, &rank(4), "--rank: the grids cannot be compressed: its first layer is folded");
    let error = open(&Options { decoder: Decoder::Bf16, ..Options::EXACT }).err();
    let message = format!("{:#}", error.expect("an error"));
    assert!(message.contains("its layers are rounded already"), "{message}");

    for golden in Golden::all("drr_") {
        let encoder = Case::golden(&golden).trained;
        refused(&*encoder, &again, "--fold on: the model has no layers");
        refused(&*encoder, &rank(4), "--rank: the grids cannot be compressed: the model has no");
        let decoder = Options { decoder: Decoder::I8, ..Options::EXACT };
        refused(&*encoder, &decoder, "--decoder i8: the model has no layers");
    }
    let left = std::fs::read_dir(case.folder.path()).expect("a folder");
    let hidden = |name: &std::ffi::OsStr| name.to_string_lossy().starts_with('.');
    assert!(!left.map(|entry| entry.expect("entry").file_name()).any(|name| hidden(&name)));
}

#[test]
fn eight_bit_grids_of_bare_encoders_answer_nearly_the_same() {
    for golden in Golden::all("drr_") {
        let case = Case::golden(&golden);
        let expected = values(&case.exact());
        let (low, high) = expected
            .iter()
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), &v| (l.min(v), h.max(v)));
        let options = Options { grid: GridPrecision::I8, ..Options::EXACT };
        let (path, outcome) = case.bake(&options);
        let error = worst(&values(&path), &expected);
        // Three planes add up.
        assert!(error > 0.0 && error < 3.0 * (high - low) / 255.0, "{}: {error}", case.name);
        assert!(outcome.measured.is_some() && !outcome.folded);
    }
}
