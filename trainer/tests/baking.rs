//! What baking does to a model: folding and full rank change nothing, the rest loses what it says.

mod common;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use common::models;
use common::scratch::Scratch;
use common::{Golden, hidden, worst};
use drr::model::spec::LayerPrecision;
use drr::model::{GridPrecision, GridValues};
use drr::{
    Checksums, Kernel, Model, Points, Runtime, Sampler, SamplerOptions, Storage, Units, ValuesMut,
};
use drr_train::bake::{
    Baked, Compression, Decoder, Description, Fold, Options, Outcome, Source, Trained, bake,
};
use drr_train::config::{Config, parse_yaml};
use tempfile::TempDir;

/// Stored numbers are rounded to 32 bits; results are in [0, 1].
const ROUNDING: f64 = 3e-6;

/// A model and a folder for its files.
struct Case {
    name: String,
    trained: Trained,
    folder: TempDir,
}

impl Case {
    fn golden(golden: &Golden) -> Self {
        let description = Description::of_config(&golden.config);
        let trained = Trained::load(&golden.config.model, &golden.weights(), description);
        let folder = tempfile::tempdir().expect("folder");
        Self { name: golden.name.clone(), trained: trained.expect("weights"), folder }
    }

    fn goldens() -> Vec<Self> {
        Golden::all("hdinr_").iter().map(Self::golden).collect()
    }

    fn named(name: &str) -> Option<Self> {
        Golden::all("hdinr_").iter().find(|golden| golden.name == name).map(Self::golden)
    }

    fn bake(&self, options: &Options) -> (PathBuf, Outcome) {
        let name = format!("{options:?}").replace(|c: char| !c.is_alphanumeric(), "");
        let path = self.folder.path().join(name);
        let outcome = bake(&self.trained, options, None, &path, &hidden)
            .unwrap_or_else(|error| panic!("{} {options:?}: {error:#}", self.name));
        (path, outcome)
    }

    fn exact(&self) -> PathBuf {
        self.bake(&Options::EXACT).0
    }

    /// The largest rank that makes sense.
    fn full_rank(&self) -> usize {
        let form = model(&self.exact());
        let spec = form.spec();
        let channels = spec.grids.iter().map(|grid| grid.channels).max().expect("a grid");
        channels.min(spec.layers[0].outputs)
    }
}

fn model(path: &Path) -> Model {
    Model::open(path, Storage::Mapped, Checksums::Verify).expect("a baked file")
}

/// Values at some hundred points for three sets of parameters, in 64 bits.
fn values(path: &Path) -> Vec<f64> {
    let runtime: Arc<Runtime> = Runtime::new(model(path), Kernel::Reference, 0).expect("a runtime");
    let spec = runtime.model().spec();
    let (axes, outputs) = (spec.axes.len(), spec.outputs());
    let points: Vec<f64> =
        (0..240 * axes).map(|i| 2.0 * (i as f64 * 0.618_034).fract() - 1.0).collect();
    let options = SamplerOptions { units: Units::Normalized, ..Default::default() };
    let mut all = Vec::new();
    for set in 0..3 {
        let parameters: Vec<f64> = (0..spec.parameters.len())
            .map(|p| (0.2 + 0.37 * (set * 5 + p) as f64).fract())
            .collect();
        let sampler = Sampler::new(&runtime, &parameters, &options).expect("a sampler");
        let mut values = vec![0.0f64; points.len() / axes * outputs];
        let points = Points::packed(&points, axes).expect("points");
        let mut room = ValuesMut::packed(&mut values, outputs).expect("room");
        sampler.query(&points, &mut room).expect("values");
        all.extend(values);
    }
    all
}

fn rms(a: &[f64], b: &[f64]) -> f64 {
    let squares = a.iter().zip(b).map(|(a, b)| (a - b).powi(2));
    (squares.sum::<f64>() / a.len() as f64).sqrt()
}

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
        let trained = Trained::load(&config.model, &weights, description).expect("weights");
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

#[test]
fn planes_that_add_up_fold_and_share_their_components() {
    let folder = tempfile::tempdir().expect("folder");
    let (exact, other) = (folder.path().join("exact"), folder.path().join("other"));
    models::write_planes(&exact);
    let expected = values(&exact);
    let file = Baked::open(&exact, Checksums::Verify).expect("a file");
    let rank = |rank| Options { compression: Some(Compression::Rank(rank)), ..Options::EXACT };
    let offsets = |path: &Path| -> Vec<_> {
        let model = model(path);
        model.spec().grids.iter().map(|grid| (grid.offset, grid.channels)).collect()
    };
    for (options, spans) in [
        (Options { fold: Fold::On, ..Options::EXACT }, [(0, 7), (0, 7), (0, 7), (0, 7)]),
        // Six features of each plane, two of the other grid.
        (rank(6), [(0, 6), (0, 6), (0, 6), (6, 2)]),
    ] {
        bake(&file, &options, None, &other, &hidden).expect("bake");
        assert_eq!(offsets(&other), spans);
        let error = worst(&values(&other), &expected);
        assert!(error < ROUNDING, "{options:?}: {error:e}");
    }
    // Their sum, too, fills [-1, 1] at most.
    bake(&file, &rank(3), None, &other, &hidden).expect("bake");
    let model = model(&other);
    for c in 0..3 {
        let widest: f32 = (0..3)
            .map(|n| {
                let GridValues::F32(values) = model.grid(n).values else { panic!("32 bits") };
                let rows = values.chunks_exact(model.grid(n).row);
                rows.fold(0.0f32, |most, row| most.max(row[c].abs()))
            })
            .sum();
        assert!((widest - 1.0).abs() < 1e-4, "component {c}: {widest}");
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
fn full_rank_loses_nothing_and_each_component_counts() {
    for case in Case::goldens() {
        let expected = values(&case.exact());
        let full = case.full_rank();
        let errors: Vec<f64> = (1..=full)
            .filter(|rank| rank.is_power_of_two() || *rank == full)
            .map(|rank| {
                let compression = Some(Compression::Rank(rank));
                let (path, outcome) = case.bake(&Options { compression, ..Options::EXACT });
                assert_eq!(outcome.rank, Some(rank));
                let channels: Vec<_> =
                    model(&path).spec().grids.iter().map(|grid| grid.channels).collect();
                assert!(channels.iter().all(|&channels| channels == rank), "{channels:?}");
                rms(&values(&path), &expected)
            })
            .collect();
        // The components are those that matter most to first order, for errors that are not small.
        assert!(errors.windows(2).all(|pair| pair[1] < 1.1 * pair[0]), "{}: {errors:?}", case.name);
        let half = errors[errors.len() - 2];
        assert!(full == 2 || half < 0.5 * errors[0], "{}: {errors:?}", case.name);
        assert!(errors[errors.len() - 1] < ROUNDING, "{}: {errors:?}", case.name);
    }
}

#[test]
fn components_fill_their_range_and_8_bits_resolve_it() {
    let Some(case) = Case::named("hdinr_clover_like") else { return };
    let compression = Some(Compression::Rank(8));
    let floats = model(&case.bake(&Options { compression, ..Options::EXACT }).0);
    let bytes = Options { compression, grid: GridPrecision::I8, ..Options::EXACT };
    let bytes = model(&case.bake(&bytes).0);
    let (floats, bytes) = (floats.grid(0), bytes.grid(0));
    let (GridValues::F32(floats_), GridValues::I8(bytes_, scaling)) = (floats.values, bytes.values)
    else {
        panic!("the precisions that were asked for")
    };
    let (mut least, mut most) = ([f32::INFINITY; 8], [f32::NEG_INFINITY; 8]);
    let rows = floats_.chunks_exact(floats.row).zip(bytes_.chunks_exact(bytes.row));
    for (float, byte) in rows {
        for c in 0..8 {
            let value = scaling.zero[c] + scaling.scale[c] * f32::from(byte[c]);
            assert!((value - float[c]).abs() <= scaling.scale[c] * 0.5001, "{value} {}", float[c]);
            (least[c], most[c]) = (least[c].min(float[c]), most[c].max(float[c]));
        }
    }
    let near = |a: f32, b: f32| (a - b).abs() < 1e-5;
    assert!(least.iter().all(|&x| near(x, -1.0)) && most.iter().all(|&x| near(x, 1.0)));
    assert!(scaling.scale.iter().all(|&scale| near(scale, 2.0 / 255.0)));
}

/// Mean over all vertices of what the first layer sums up of a model's only grid.
fn mean_sums(path: &Path) -> Vec<f64> {
    let model = model(path);
    let (grid, layer) = (&model.spec().grids[0], &model.spec().layers[0]);
    let GridValues::F32(values) = model.grid(0).values else { panic!("32 bits") };
    let rows = values.chunks_exact(model.grid(0).row);
    let count = rows.len() as f64;
    let mut mean = vec![0.0; grid.channels];
    for row in rows {
        mean.iter_mut().zip(row).for_each(|(sum, &x)| *sum += f64::from(x) / count);
    }
    let dense = &model.layers()[0];
    let sum = |(row, &bias): (&[f32], &f32)| {
        row.iter().zip(&mean).map(|(&w, x)| f64::from(w) * x).sum::<f64>() + f64::from(bias)
    };
    dense.weight.chunks_exact(layer.inputs).zip(&dense.bias).map(sum).collect()
}

#[test]
fn components_that_are_dropped_count_as_their_mean() {
    let Some(case) = Case::named("hdinr_clover_like") else { return };
    let expected = mean_sums(&case.exact());
    for rank in [1, 5, 32] {
        let compression = Some(Compression::Rank(rank));
        let path = case.bake(&Options { compression, ..Options::EXACT }).0;
        let error = worst(&mean_sums(&path), &expected);
        assert!(error < 1e-4, "rank {rank}: {error:e}");
    }
}

#[test]
fn components_are_those_that_the_result_sees() {
    let folder = tempfile::tempdir().expect("folder");
    let (exact, other) = (folder.path().join("exact"), folder.path().join("other"));
    models::write_blind(&exact);
    let file = Baked::open(&exact, Checksums::Verify).expect("a file");
    let options = Options { compression: Some(Compression::Rank(1)), ..Options::EXACT };
    bake(&file, &options, None, &other, &hidden).expect("bake");
    let error = worst(&values(&other), &values(&exact));
    assert!(error < 0.05, "{error}: the larger feature was kept, which nothing depends on");
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
            bake(&file, &options, None, &again, &hidden).expect("bake");
            let bytes = |path: &Path| std::fs::read(path).expect("a file");
            assert!(bytes(&again) == bytes(&case.bake(&options).0), "{} {options:?}", case.name);
        }
        // In one pass features are folded before they are rounded, from a file after.
        let options = Options { fold: Fold::On, ..Options::EXACT };
        bake(&file, &options, None, &again, &hidden).expect("bake");
        let error = worst(&values(&again), &values(&case.bake(&options).0));
        assert!(error < ROUNDING, "{}: {error:e}", case.name);
    }
}

#[test]
fn the_largest_error_is_kept_with_the_fewest_components() {
    for name in ["hdinr_clover_like", "hdinr_nyx_like"] {
        let Some(case) = Case::named(name) else { return };
        let max_error = |compression| {
            let options = Options { compression, ..Options::EXACT };
            let (_, outcome) = case.bake(&options);
            let error = outcome.measured.expect("a loss").loss.max_error;
            (outcome.rank.expect("a rank"), error)
        };
        let middle = max_error(Some(Compression::Rank(case.full_rank() / 2))).1;
        let (rank, error) = max_error(Some(Compression::MaxError(middle)));
        assert!(error <= middle && rank <= case.full_rank() / 2, "{rank}: {error} {middle}");
        assert!(rank > 1, "{name}: a limit that means something");
        let (_, fewer) = max_error(Some(Compression::Rank(rank - 1)));
        assert!(fewer > middle, "{name}: rank {} has {fewer}, allowed {middle}", rank - 1);
    }
}

#[test]
fn what_cannot_be_baked_is_refused_with_the_reason() {
    let Some(case) = Case::named("hdinr_clover_like") else { return };
    let refused = |source: &dyn Source, options: &Options, text: &str| {
        let path = case.folder.path().join("refused");
        let error = bake(source, options, None, &path, &hidden).expect_err(text);
        let message = format!("{error:#}");
        assert!(message.contains(text), "{message}");
        assert!(!path.exists(), "{message}");
    };
    let rank = |rank| Options { compression: Some(Compression::Rank(rank)), ..Options::EXACT };
    let max_error =
        |limit| Options { compression: Some(Compression::MaxError(limit)), ..Options::EXACT };
    let coarse = Options { decoder: Decoder::I8, grid: GridPrecision::I8, ..max_error(1e-6) };
    refused(&case.trained, &rank(33), "--rank 33: expected 1 to 32");
    refused(&case.trained, &rank(0), "--rank 0: expected 1 to 32");
    refused(&case.trained, &max_error(0.0), "--max-error 0: expected a positive number");
    refused(&case.trained, &max_error(f64::NAN), "--max-error NaN: expected a positive number");
    refused(&case.trained, &coarse, "with all 32 components the largest error is");
    refused(&case.trained, &Options { fold: Fold::On, ..rank(4) }, "--rank with --fold on");

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
        refused(&encoder, &again, "--fold on: the model has no layers");
        refused(&encoder, &rank(4), "--rank: the grids cannot be compressed: the model has no");
        let decoder = Options { decoder: Decoder::I8, ..Options::EXACT };
        refused(&encoder, &decoder, "--decoder i8: the model has no layers");
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
