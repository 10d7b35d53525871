//! Principal components: full rank loses nothing, fewer are those that matter, and as many are kept
//! as an error asks for.

mod common;

use std::path::Path;

use common::case::{Case, ROUNDING, model, rms, values};
use common::{hidden, models, worst};
use drr::Checksums;
use drr::model::{GridPrecision, GridValues};
use drr_train::bake::{Baked, Compression, Fold, Options, bake};

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
