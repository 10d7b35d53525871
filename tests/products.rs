//! What version 2 of the format adds: products of grids, dimensions along parameters, hashed
//! vertices. Random models of this kind go through `parity.rs`, `gradient.rs` and others; here are
//! cases that can be computed by hand, and what the random models must cover.

mod common;

use common::gradient::ask;
use common::random::{self, PRODUCTS, Rng};
use common::{Baked, bits, kernels, query};
use drr::model::spec::{Grid, Spec};
use drr::model::{GridPrecision, SmallTensors, Writer};
use drr::{
    Checksums, Kernel, Model, Outside, Parameters, Points, Runtime, Sampler, SamplerOptions,
    SetValuesMut, Units, ValuesMut,
};
use serde_json::{Value, json};

fn normalized(outside: Outside) -> SamplerOptions {
    SamplerOptions { outside, units: Units::Normalized, ..Default::default() }
}

#[test]
fn the_random_models_cover_what_they_promise() {
    let models: Vec<_> = random::models().collect();
    let any = |what: &dyn Fn(&Baked) -> bool| models.iter().any(what);
    let factors = |m: &Baked, wanted: &dyn Fn(&Spec, &[&Grid]) -> bool| {
        let grids =
            |term: &Vec<usize>| -> Vec<_> { term.iter().map(|&n| &m.spec.grids[n]).collect() };
        m.spec.terms().iter().any(|term| wanted(&m.spec, &grids(term)))
    };
    let mixed = |s: &Spec, g: &Grid| s.has_coordinates(g) && s.has_parameters(g);
    for precision in GridPrecision::ALL {
        let any = |what: &dyn Fn(&Baked) -> bool| any(&|m| m.precision == precision && what(m));
        for count in 1..=4 {
            let has = |_: &Spec, f: &[&Grid]| f.len() == count && f[0].product.is_some();
            assert!(any(&|m| factors(m, &has)), "{count} factors, {precision:?}");
        }
        for dims in 1..=3 {
            let hashed = |g: &&Grid| g.entries.is_some() && g.axes.len() == dims;
            assert!(any(&|m| m.spec.grids.iter().any(|g| hashed(&g))), "{dims} {precision:?}");
            let has = |m: &Baked| m.spec.grids.iter().any(|g| mixed(&m.spec, g) && hashed(&g));
            assert!(dims == 1 || any(&has), "hashed along both, {dims} {precision:?}");
        }
        // All kinds of factors in one product.
        let all = |s: &Spec, f: &[&Grid]| {
            f.iter().any(|g| !s.has_parameters(g))
                && f.iter().any(|g| !s.has_coordinates(g))
                && f.iter().any(|g| mixed(s, g))
        };
        assert!(any(&|m| factors(m, &all)), "all kinds of factors, {precision:?}");
        let alone = |s: &Spec, f: &[&Grid]| f.len() > 1 && f.iter().all(|g| !s.has_coordinates(g));
        assert!(any(&|m| factors(m, &alone)), "parameters alone, {precision:?}");
    }
    assert!(any(&|m| m.spec.grids.iter().any(|g| g.entries == Some(1))));
    // More vertices along coordinates than entries: nothing is bound.
    let spread = |s: &Spec, g: &Grid| {
        let sizes = g.axes.iter().zip(g.shape.iter().rev());
        let along = sizes.filter(|&(&axis, _)| axis < s.axes.len()).map(|(_, &size)| size);
        mixed(s, g) && g.entries.is_some_and(|entries| entries < along.product())
    };
    assert!(any(&|m| m.spec.grids.iter().any(|g| spread(&m.spec, g))));
    // Products of parameters behind what points reach, before that, and across.
    for wanted in [(true, false), (false, true), (true, true)] {
        let has = |m: &Baked| {
            let spatial = m.spec.spatial_width();
            let reach = |s: &Spec, f: &[&Grid]| {
                let (offset, end) = (f[0].offset, f[0].offset + f[0].channels);
                f.iter().all(|g| !s.has_coordinates(g))
                    && (offset < spatial, end > spatial) == wanted
            };
            factors(m, &reach)
        };
        assert!(any(&has), "{wanted:?}");
    }
    let bare = |m: &Baked| m.spec.layers.is_empty() && m.spec.version() == 2;
    assert!(any(&bare) && any(&|m| random::has_steps(&m.spec) && m.spec.version() == 2));
}

#[test]
fn files_have_the_oldest_version_that_can_say_it() {
    for (baked, expected) in
        (0..20).map(|n| (random::model(n), "1")).chain((PRODUCTS..PRODUCTS + 20).map(|n| {
            let baked = random::model(n);
            let is_new = |g: &Grid| {
                let beyond = g.axes.iter().any(|&axis| axis >= baked.spec.axes.len());
                g.entries.is_some() || g.product.is_some() || beyond
            };
            let version = if baked.spec.grids.iter().any(is_new) { "2" } else { "1" };
            (baked, version)
        }))
    {
        let file = common::plain::File::read(&baked.bytes);
        assert_eq!(file.metadata()["version"], expected);
        let text = file.metadata()["spec"].as_str().expect("text");
        assert!(!text.contains("null") && (expected == "2" || !text.contains("entries")), "{text}");
    }
}

/// A model of 2 axes and 2 parameters without layers, whose grids hold what `features` gives for
/// the number of a grid and the position of a vertex, 0 to 1 per dimension in the order of `axes`.
fn bare(grids: Value, width: usize, features: impl Fn(usize, &[f64]) -> Vec<f64>) -> Baked {
    let range = |name: &str, min: f64| json!({"name": name, "unit": "", "min": min, "max": 1.0});
    let value = json!({"name": "v", "unit": "", "min": 0.0, "max": 1.0, "transform": "linear"});
    let spec: Spec = serde_json::from_value(json!({
        "axes": [range("x", -1.0), range("y", -1.0)],
        "parameters": [range("p", 0.0), range("q", 0.0)],
        "values": vec![value; width],
        "grids": grids,
        "lines": [],
        "input": {"width": width, "bias": false, "activation": "identity"},
        "layers": [],
    }))
    .expect("a description");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("model");
    let mut writer = Writer::create(&path, spec.clone(), GridPrecision::F32).expect("a valid spec");
    for (n, grid) in spec.grids.iter().enumerate() {
        let mut out = writer.grid().expect("a grid to write");
        for row in 0..grid.rows().expect("a small grid") {
            // Of hashed grids, the number of the entry.
            let mut place = vec![row as f64];
            if grid.entries.is_none() {
                let mut rest = row;
                place.clear();
                for &size in grid.shape.iter().rev() {
                    place.push((rest % size) as f64 / (size as f64 - 1.0).max(1.0));
                    rest /= size;
                }
            }
            out.push(&features(n, &place)).expect("finite features");
        }
        out.finish().expect("a complete grid");
    }
    writer.finish(&SmallTensors::default()).expect("a complete model");
    let bytes = std::fs::read(&path).expect("the finished file");
    Baked { spec, precision: GridPrecision::F32, bytes }
}

fn assert_near(found: f64, expected: f64, what: &str) {
    let limit = 1e-6 * expected.abs().max(1.0);
    assert!((found - expected).abs() < limit, "{what}: {found}, expected {expected}");
}

/// K-Planes over x, y and a parameter: (1 + 2 x y)(2 - x p)(1 + y + p), where x and y go from 0 to
/// 1; and p (1 + q) of parameters alone.
fn planes() -> Baked {
    let grids = json!([
        {"axes": [0, 1], "shape": [2, 2], "channels": 1, "offset": 0, "product": 7},
        {"axes": [0, 2], "shape": [2, 2], "channels": 1, "offset": 0, "product": 7},
        {"axes": [3], "shape": [2], "channels": 1, "offset": 1, "product": 0},
        {"axes": [2, 1], "shape": [5, 3], "channels": 1, "offset": 0, "product": 7},
        {"axes": [2], "shape": [4], "channels": 1, "offset": 1, "product": 0},
    ]);
    bare(grids, 2, |n, at| {
        vec![match n {
            0 => 1.0 + 2.0 * at[0] * at[1],
            1 => 2.0 - at[0] * at[1],
            2 => 1.0 + at[0],
            // The parameter first.
            3 => 1.0 + at[1] + at[0],
            _ => at[0],
        }]
    })
}

#[test]
fn a_product_of_planes_is_computed_as_by_hand() {
    let baked = planes();
    let rng = &mut Rng::new(8);
    for kernel in kernels() {
        for _ in 0..50 {
            let [x, y, p, q] = [(); 4].map(|()| rng.uniform(0.0, 1.0));
            let sampler = baked.sampler(kernel, &[p, q], &normalized(Outside::Clamp));
            let found = ask(&sampler, &[2.0 * x - 1.0, 2.0 * y - 1.0]);
            let [a, b, c] = [1.0 + 2.0 * x * y, 2.0 - x * p, 1.0 + y + p];
            assert_near(found.values[0], a * b * c, "value");
            assert_near(found.values[1], p * (1.0 + q), "of parameters");
            // A normalised coordinate is 2 long.
            assert_near(2.0 * found.position[0], 2.0 * y * b * c - p * a * c, "by x");
            assert_near(2.0 * found.position[1], 2.0 * x * b * c + a * b, "by y");
            assert_near(found.parameters[0], -x * a * c + a * b, "by p");
            assert_near(found.parameters[1], 0.0, "by q");
            assert_eq!(found.position[2..], [0.0; 2]);
            assert_near(found.parameters[2], 1.0 + q, "of parameters, by p");
            assert_near(found.parameters[3], p, "of parameters, by q");
        }
    }
}

#[test]
fn outside_each_factor_does_as_the_policy_says() {
    let baked = planes();
    for kernel in kernels() {
        let at = |outside, x: f64, p: f64| {
            ask(&baked.sampler(kernel, &[p, 0.5], &normalized(outside)), &[x, 0.0])
        };
        // Parameters count as the ends, where nothing changes with them.
        for (beyond, end) in [(-0.5, 0.0), (7.0, 1.0)] {
            let (found, expected) = (at(Outside::Clamp, 0.2, beyond), at(Outside::Clamp, 0.2, end));
            assert_eq!(bits(&found.values), bits(&expected.values));
            assert_eq!([found.parameters[0], found.parameters[2]], [0.0; 2]);
            assert!(expected.parameters[0] != 0.0 && expected.parameters[2] != 0.0);
        }
        // Both planes along x fade, over a cell of length 2 each.
        let border = at(Outside::Clamp, 1.0, 0.3).values[0];
        assert_near(at(Outside::Zeros, 1.5, 0.3).values[0], border * 0.75 * 0.75, "fading");
        assert_near(at(Outside::Zeros, 1.5, 0.3).position[0], -border * 0.75, "its slope");
        assert_eq!(at(Outside::Zeros, 3.5, 0.3).values[0], 0.0);
        assert_near(at(Outside::Clamp, 9.0, 0.3).values[0], border, "clamped");
        assert!(at(Outside::Nan, 1.5, 0.3).values.iter().all(|value| value.is_nan()));
    }
}

#[test]
fn on_a_vertex_of_a_parameter_the_slope_is_that_of_the_cell_above() {
    let table = [0.0, 3.0, 2.0, 6.0, 1.0];
    let grids = json!([
        {"axes": [0, 2], "shape": [5, 2], "channels": 1, "offset": 0},
        {"axes": [1, 2], "shape": [2, 2], "channels": 1, "offset": 0, "product": 1},
        {"axes": [2], "shape": [5], "channels": 1, "offset": 0, "product": 1},
        {"axes": [2], "shape": [5], "channels": 1, "offset": 1},
    ]);
    let along = |t: f64| table[(4.0 * t).round() as usize];
    let baked = bare(grids, 2, |n, at| {
        vec![match n {
            0 => along(at[1]),
            1 => 1.0,
            2 | 3 => along(at[0]),
            _ => unreachable!(),
        }]
    });
    for kernel in kernels() {
        for i in 0..5 {
            let sampler =
                baked.sampler(kernel, &[i as f64 / 4.0, 0.0], &normalized(Outside::Clamp));
            let found = ask(&sampler, &[0.3, 0.3]);
            let cell = i.min(3);
            let slope = 4.0 * (table[cell + 1] - table[cell]);
            assert_near(found.values[0], 2.0 * table[i], "value");
            assert_near(found.parameters[0], 2.0 * slope, "in grids with a coordinate");
            assert_near(found.parameters[2], slope, "alone");
        }
    }
}

#[test]
fn hashed_vertices_are_where_the_format_says() {
    // Far more vertices than any table has; each entry holds its number.
    let size = 1u64 << 30;
    let grids = json!([
        {"axes": [1, 3, 0], "shape": [size, 2, size], "channels": 1, "offset": 0, "entries": 4096},
    ]);
    let baked = bare(grids, 1, |_, at| at.to_vec());
    let last = (size - 1) as f64;
    let rng = &mut Rng::new(5);
    for kernel in kernels() {
        for _ in 0..50 {
            let [x, y, q] = [size, size, 2].map(|size| rng.below(size as usize) as u64);
            let terms = [y, q * 2_654_435_761, x * 805_459_861].map(|term| term % (1 << 32));
            let hash = terms[0] ^ terms[1] ^ terms[2];
            let at = [x, y].map(|index| 2.0 * index as f64 / last - 1.0);
            let sampler = baked.sampler(kernel, &[0.3, q as f64], &normalized(Outside::Clamp));
            // The coordinate is off its vertex by rounding, which such a table magnifies.
            let error = (query(&sampler, &at)[0] - (hash % 4096) as f64).abs();
            assert!(error < 1e-2, "{kernel:?} ({x}, {y}, {q}): off by {error}");
        }
    }
}

#[test]
fn many_sets_of_large_bound_grids_are_those_of_samplers() {
    // A binding takes 16 MiB: the sets are bound in parts.
    let grids = json!([
        {"axes": [0, 1, 2], "shape": [2, 1024, 1024], "channels": 4, "offset": 0},
    ]);
    let baked = bare(grids, 4, |_, at| {
        vec![at[0], at[1] * at[2], (40.0 * at[0]).sin() + at[2], at[0] - at[1]]
    });
    let (points, options) = (vec![0.3, 0.1, -0.7, 0.9], normalized(Outside::Clamp));
    let runtime = baked.runtime(Kernel::best(), 1);
    let rows: Vec<f64> = (0..6).flat_map(|n| [n as f64 / 5.0, 0.0]).collect();
    let mut found = vec![0.0; 6 * 2 * 4];
    let mut out = SetValuesMut::packed(&mut found, 6, 4).expect("sets");
    let parameters = Parameters::packed(&rows, 6, 2).expect("rows");
    let where_ = Points::packed(&points, 2).expect("points");
    runtime.query_sets(&parameters, &options, &where_, &mut out).expect("sets that fit");
    for (row, found) in rows.chunks(2).zip(found.chunks(8)) {
        let sampler = Sampler::new(&runtime, row, &options).expect("in range");
        assert_eq!(bits(found), bits(&query(&sampler, &points)));
    }
}

#[test]
fn no_points_give_no_values() {
    let baked = planes();
    for kernel in kernels() {
        let runtime: std::sync::Arc<Runtime> = baked.runtime(kernel, 2);
        let sampler =
            Sampler::new(&runtime, &[0.1, 0.2], &normalized(Outside::Clamp)).expect("fits");
        assert!(query(&sampler, &[]).is_empty() && ask(&sampler, &[]).position.is_empty());
        let mut values: [f64; 0] = [];
        let mut out = ValuesMut::packed(&mut values, 2).expect("no points");
        let none: [f64; 0] = [];
        let points = Points::packed(&none, 2).expect("no points");
        let rows = Parameters::packed(&none, 0, 2).expect("no rows");
        runtime
            .query(&rows, &normalized(Outside::Clamp), &points, &mut out)
            .expect("nothing to do");
    }
    assert!(Model::from_bytes(&baked.bytes, Checksums::Verify).is_ok());
}
