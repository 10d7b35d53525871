//! Derivatives are those of the values that a query gives: the reference's by finite differences,
//! all other kernels' by the reference, and on faces the side that docs/derivatives.md names.

mod common;

use common::gradient::{Answer, ask, differences, try_ask};
use common::random::{self, Rng};
use common::{Baked, bits, kernels, query};
use drr::model::spec::{LayerPrecision, Transform};
use drr::model::{GridPrecision, GridValues};
use drr::{ErrorKind, Kernel, Outside, Sampler, SamplerOptions, Units};
use serde_json::json;

/// Largest error of a 32-bit kernel, relative to the largest derivative of the model: as that of
/// values (tests/parity.rs), but errors pass through as many operations again: 8e-6 as measured.
const TOLERANCE: f64 = 2e-5;

/// Part of the derivatives that may be those of the other side of a kink, where sums of 32 bits
/// and of 64 have different signs.
const KINKS: f64 = 1e-3;

/// Where inputs of layers are rounded, two kernels may round to different sides: largest error
/// then, and the part of the derivatives that may differ.
const STEP: f64 = 0.05;
const STEPS: f64 = 0.02;

const POLICIES: [Outside; 2] = [Outside::Clamp, Outside::Zeros];

fn normalized(outside: Outside) -> SamplerOptions {
    SamplerOptions { outside, units: Units::Normalized, ..Default::default() }
}

fn largest(values: &[f64]) -> f64 {
    values.iter().fold(1e-3, |largest, value| largest.max(value.abs()))
}

/// Normalised points, packed: inside, on vertices and borders, and some outside.
fn positions(baked: &Baked, count: usize, rng: &mut Rng) -> Vec<f64> {
    let points = random::points(&baked.spec, count, rng);
    let axes = baked.spec.axes.iter().cycle();
    points.iter().zip(axes).map(|(x, a)| 2.0 * (x - a.min) / (a.max - a.min) - 1.0).collect()
}

#[test]
fn values_are_those_of_a_plain_query() {
    for (seed, baked) in random::models().enumerate() {
        let rng = &mut Rng::new(3000 + seed as u64);
        let parameters = random::parameters(&baked.spec, rng);
        let points = random::points(&baked.spec, 100, rng);
        for kernel in kernels() {
            for outside in POLICIES {
                let options = SamplerOptions { outside, ..Default::default() };
                let sampler = baked.sampler(kernel, &parameters, &options);
                let found = ask(&sampler, &points).values;
                assert_eq!(bits(&found), bits(&query(&sampler, &points)), "{seed} {kernel:?}");
            }
        }
    }
}

#[test]
fn every_kernel_agrees_with_the_reference() {
    for (seed, baked) in random::models().enumerate() {
        let rng = &mut Rng::new(4000 + seed as u64);
        let count = baked.spec.parameters.len();
        let parameters: Vec<f64> = (0..count)
            .map(|_| {
                let inside = rng.uniform(0.0, 1.0);
                rng.pick(&[0.0, 1.0, inside, inside])
            })
            .collect();
        let points = positions(&baked, 200, rng);
        let has_steps = random::has_steps(&baked.spec);
        for outside in POLICIES {
            let answer =
                |kernel| ask(&baked.sampler(kernel, &parameters, &normalized(outside)), &points);
            let expected = answer(Kernel::Reference);
            for kernel in kernels().skip(1) {
                let found = answer(kernel);
                for (what, found, expected) in [
                    ("position", &found.position, &expected.position),
                    ("parameters", &found.parameters, &expected.parameters),
                ] {
                    let scale = largest(expected);
                    let pairs = found.iter().zip(expected);
                    let errors: Vec<f64> = pairs.map(|(a, b)| (a - b).abs() / scale).collect();
                    let wrong =
                        errors.iter().filter(|error| error.is_nan() || **error > TOLERANCE).count();
                    let part = wrong as f64 / errors.len().max(1) as f64;
                    let worst = errors.iter().copied().fold(0.0, f64::max);
                    let limit = if has_steps { STEPS } else { KINKS };
                    assert!(
                        part <= limit && (!has_steps || worst <= STEP),
                        "model {seed} {kernel:?} {outside:?} {what}: {part} differ, by {worst}"
                    );
                }
            }
        }
    }
}

/// With roundings taken out, derivatives are limits of differences.
#[test]
fn the_reference_agrees_with_finite_differences() {
    let (mut compared, mut kinks) = (0, 0);
    for (seed, baked) in random::models().enumerate() {
        if random::has_steps(&baked.spec) {
            continue;
        }
        let rng = &mut Rng::new(5000 + seed as u64);
        for (units, outside) in [
            (Units::Normalized, Outside::Clamp),
            (Units::Normalized, Outside::Zeros),
            (Units::Physical, Outside::Clamp),
        ] {
            let options = SamplerOptions { units, outside, ..Default::default() };
            let point: Vec<f64> = (baked.spec.axes.iter())
                .map(|a| match units {
                    Units::Normalized => rng.uniform(-1.6, 1.6),
                    Units::Physical => rng.uniform(a.min, a.max),
                })
                .collect();
            let parameters: Vec<f64> = (baked.spec.parameters.iter())
                .map(|p| match units {
                    Units::Normalized => rng.uniform(-0.1, 1.1),
                    Units::Physical => rng.uniform(p.min, p.max),
                })
                .collect();
            let sampler = baked.sampler(Kernel::Reference, &parameters, &options);
            let found = ask(&sampler, &point);
            let expected = differences(&baked, &options, &point, &parameters);
            for (found, expected) in
                [(found.position, expected.position), (found.parameters, expected.parameters)]
            {
                let scale = largest(&found).max(1.0);
                for (found, expected) in found.iter().zip(expected) {
                    compared += 1;
                    // None: some kink is too near.
                    let Some(expected) = expected else {
                        kinks += 1;
                        continue;
                    };
                    let error = (found - expected).abs();
                    assert!(
                        error <= 1e-6 * scale,
                        "model {seed} {units:?} {outside:?}: {found}, expected {expected}"
                    );
                }
            }
        }
    }
    assert!(compared > 1000 && kinks * 50 < compared, "{kinks} kinks in {compared}");
}

/// A model of one axis from 2 to 4 and one parameter from 10 to 20, whose value is the sum of a
/// grid's and a line's feature, from `value.min` on in units of `value.max - value.min`.
struct Sum {
    baked: Baked,
    grid: Vec<f64>,
    line: Vec<f64>,
}

impl Sum {
    fn new(transform: &str) -> Self {
        let spec = json!({
            "axes": [{"name": "x", "unit": "m", "min": 2.0, "max": 4.0}],
            "parameters": [{"name": "p", "unit": "s", "min": 10.0, "max": 20.0}],
            "values": [{"name": "v", "unit": "J", "min": -1.0, "max": 2.0, "transform": transform}],
            "grids": [{"axes": [0], "shape": [5], "channels": 1, "offset": 0}],
            "lines": [{"parameter": 0, "vertices": 6, "features": 1, "offset": 0}],
            "input": {"width": 1, "bias": false, "activation": "identity"},
            "layers": [],
        });
        let spec = serde_json::from_value(spec).expect("a description");
        let baked = Baked::write(spec, GridPrecision::F32, &mut Rng::new(1));
        let model = baked.model();
        let data = model.grid(0);
        let GridValues::F32(values) = data.values else { panic!("32 bits were written") };
        let grid = values.iter().step_by(data.row).map(|&v| f64::from(v)).collect();
        let line = model.line(0).iter().map(|&v| f64::from(v)).collect();
        Self { baked, grid, line }
    }

    fn at(&self, kernel: Kernel, outside: Outside, x: f64, p: f64) -> Answer {
        let outside_parameters = if outside == Outside::Zeros { Outside::Clamp } else { outside };
        let options = SamplerOptions { outside, outside_parameters, ..Default::default() };
        ask(&self.baked.sampler(kernel, &[p], &options), &[x])
    }

    fn slope_x(&self, kernel: Kernel, outside: Outside, x: f64) -> f64 {
        self.at(kernel, outside, x, 13.0).position[0]
    }

    fn slope_p(&self, kernel: Kernel, outside: Outside, p: f64) -> f64 {
        self.at(kernel, outside, 2.6, p).parameters[0]
    }

    /// Physical slope between vertices `i` and `i + 1` of the grid (0.5 m apart).
    fn cell(&self, i: usize) -> f64 {
        3.0 * (self.grid[i + 1] - self.grid[i]) / 0.5
    }
}

fn assert_near(found: f64, expected: f64, what: &str) {
    assert!((found - expected).abs() <= 1e-5, "{what}: {found}, expected {expected}");
}

#[test]
fn on_a_face_the_cell_above_and_on_the_last_the_cell_below() {
    let sum = Sum::new("linear");
    for kernel in kernels() {
        for outside in [Outside::Clamp, Outside::Zeros, Outside::Nan, Outside::Error] {
            for i in 0..5 {
                let x = 2.0 + 0.5 * i as f64;
                let on_vertex = sum.slope_x(kernel, outside, x);
                assert_near(on_vertex, sum.cell(i.min(3)), &format!("{kernel:?} vertex {i}"));
                if i < 4 {
                    let within = sum.slope_x(kernel, outside, x + 0.3);
                    assert_near(within, sum.cell(i), &format!("{kernel:?} cell {i}"));
                }
            }
            // Beyond the border by less than coordinates of 32 bits can tell.
            for (x, cell) in [(2.0 - 1e-6, 0), (4.0 + 1e-6, 3)] {
                assert_near(sum.slope_x(kernel, outside, x), sum.cell(cell), "rounded border");
            }
        }
    }
}

#[test]
fn outside_the_domain_derivatives_follow_the_policy() {
    let sum = Sum::new("linear");
    let fade = 3.0 / 0.5;
    for kernel in kernels() {
        for x in [1.9, 4.1, -1e300, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(sum.slope_x(kernel, Outside::Clamp, x), 0.0, "{kernel:?} {x}");
            assert!(sum.slope_x(kernel, Outside::Nan, x).is_nan());
        }
        for (x, expected) in [
            (1.9, fade * sum.grid[0]),
            (1.5, fade * sum.grid[0]),
            (1.4, 0.0),
            (4.1, -fade * sum.grid[4]),
            (4.5, 0.0),
            (f64::INFINITY, 0.0),
            (f64::NEG_INFINITY, 0.0),
        ] {
            let found = sum.slope_x(kernel, Outside::Zeros, x);
            assert_near(found, expected, &format!("{kernel:?} {x}"));
        }
    }
}

#[test]
fn parameters_take_the_same_sides() {
    let sum = Sum::new("linear");
    let cell = |i: usize| 3.0 * (sum.line[i + 1] - sum.line[i]) / 2.0;
    for kernel in kernels() {
        for i in 0..6 {
            // Vertices that are hit exactly: others are a matter of rounding.
            if [0, 5].contains(&i) {
                let found = sum.slope_p(kernel, Outside::Error, 10.0 + 2.0 * i as f64);
                assert_near(found, cell(i.min(4)), &format!("{kernel:?} vertex {i}"));
            }
            if i < 5 {
                let found = sum.slope_p(kernel, Outside::Error, 11.0 + 2.0 * i as f64);
                assert_near(found, cell(i), &format!("{kernel:?} cell {i}"));
            }
        }
        assert_near(sum.slope_p(kernel, Outside::Clamp, 10.0 - 1e-6), cell(0), "rounded end");
        assert_near(sum.slope_p(kernel, Outside::Clamp, 20.0 + 1e-6), cell(4), "rounded end");
        for p in [9.9, 20.1, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(sum.slope_p(kernel, Outside::Clamp, p), 0.0, "{kernel:?} {p}");
            assert!(sum.slope_p(kernel, Outside::Nan, p).is_nan());
        }
    }
    let options = normalized(Outside::Clamp);
    let at = |t: f64| {
        let parameters = [t];
        ask(&sum.baked.sampler(Kernel::Scalar, &parameters, &options), &[0.1]).parameters[0]
    };
    for i in [1, 2, 3, 4] {
        // With 5 cells, t * 5 is exact for these.
        let t = i as f64 / 5.0;
        if t * 5.0 == i as f64 {
            assert_near(at(t), 5.0 * (sum.line[i + 1] - sum.line[i]), "vertex of a line");
        }
    }
}

#[test]
fn logarithms_are_undone_in_derivatives_too() {
    let (linear, log) = (Sum::new("linear"), Sum::new("log"));
    for kernel in kernels() {
        let [linear, log] = [&linear, &log].map(|sum| sum.at(kernel, Outside::Clamp, 2.7, 12.0));
        let value = linear.values[0].exp();
        assert_near(log.values[0], value, "value");
        assert_near(log.position[0], value * linear.position[0], "by position");
        assert_near(log.parameters[0], value * linear.parameters[0], "by parameter");
    }
}

/// A layer of one number in, one number out, on a grid of two vertices.
fn rounded(precision: &serde_json::Value) -> Baked {
    let spec = json!({
        "axes": [{"name": "x", "unit": "", "min": -1.0, "max": 1.0}],
        "parameters": [],
        "values": [{"name": "v", "unit": "", "min": 0.0, "max": 1.0, "transform": "linear"}],
        "grids": [{"axes": [0], "shape": [2], "channels": 1, "offset": 0}],
        "lines": [],
        "input": {"width": 1, "bias": false, "activation": "identity"},
        "layers": [
            {"inputs": 1, "outputs": 1, "activation": "identity", "precision": precision},
        ],
    });
    let spec = serde_json::from_value(spec).expect("a description");
    Baked::write(spec, GridPrecision::F32, &mut Rng::new(2))
}

#[test]
fn rounding_of_inputs_counts_as_no_change_but_the_ends_hold() {
    let ends = |baked: &Baked| {
        let model = baked.model();
        let data = model.grid(0);
        let GridValues::F32(values) = data.values else { panic!("32 bits were written") };
        [values[0], values[data.row]].map(f64::from)
    };
    let [a, b] = ends(&rounded(&json!("f32")));
    // A third of the way between the vertices.
    let (low, step) = (a.min(b) + (a - b).abs() / 3.0, (a - b).abs() / 3.0 / 255.0);
    for precision in [json!("bf16"), json!({"i8": {"low": low, "step": step}})] {
        let baked = rounded(&precision);
        assert_eq!(ends(&baked), [a, b]);
        let model = baked.model();
        let weight = f64::from(model.layers()[0].weight[0]);
        let reach = match baked.spec.layers[0].precision {
            LayerPrecision::I8 { low, step } => low..low + 255.0 * step,
            _ => -9.0..9.0,
        };
        let points: Vec<f64> = (0..200).map(|i| -0.999 + 0.01 * f64::from(i)).collect();
        let inputs = points.iter().map(|x| a + (b - a) * (x + 1.0) / 2.0);
        let expected: Vec<f64> = inputs
            .map(|input| if reach.contains(&input) { weight * (b - a) / 2.0 } else { 0.0 })
            .collect();
        let held = expected.iter().filter(|&&slope| slope == 0.0).count();
        assert_eq!(held, if precision == "bf16" { 0 } else { 133 });
        for kernel in kernels() {
            let sampler = baked.sampler(kernel, &[], &SamplerOptions::default());
            let found = ask(&sampler, &points).position;
            for (found, expected) in found.iter().zip(&expected) {
                assert_near(*found, *expected, &format!("{kernel:?} {precision}"));
            }
        }
    }
}

#[test]
fn nan_gives_nan_and_spoils_no_neighbour() {
    for seed in 200..220 {
        let baked = random::model(seed);
        let parameters = random::parameters(&baked.spec, &mut Rng::new(seed));
        let (dims, outputs) = (baked.spec.axes.len(), baked.spec.outputs());
        let points = random::points(&baked.spec, 97, &mut Rng::new(1));
        for kernel in kernels() {
            let sampler = baked.sampler(kernel, &parameters, &SamplerOptions::default());
            let good = ask(&sampler, &points);
            assert!(good.position.iter().chain(&good.parameters).all(|x| x.is_finite()));
            let mut spoilt = points.clone();
            spoilt[50 * dims + dims - 1] = f64::NAN;
            let found = ask(&sampler, &spoilt);
            for (found, good, width) in [
                (&found.position, &good.position, outputs * dims),
                (&found.parameters, &good.parameters, outputs * parameters.len()),
            ] {
                for (n, (found, good)) in found.iter().zip(good).enumerate() {
                    if n / width == 50 {
                        assert!(found.is_nan(), "{kernel:?}");
                    } else {
                        assert_eq!(found.to_bits(), good.to_bits(), "{kernel:?}");
                    }
                }
            }
            if !parameters.is_empty() {
                let mut parameters = parameters.clone();
                parameters[0] = f64::NAN;
                let sampler = baked.sampler(kernel, &parameters, &SamplerOptions::default());
                let found = ask(&sampler, &points);
                assert!(found.position.iter().chain(&found.parameters).all(|x| x.is_nan()));
            }
        }
    }
}

#[test]
fn the_error_policy_writes_nothing() {
    let sum = Sum::new("linear");
    let options = SamplerOptions { outside: Outside::Error, ..Default::default() };
    for threads in [1, 2] {
        let runtime = sum.baked.runtime(Kernel::best(), threads);
        let sampler = Sampler::new(&runtime, &[13.0], &options).expect("in range");
        let mut points = vec![3.0; 200];
        points[123] = 5.0;
        let (error, answer) = try_ask(&sampler, &points);
        let error = error.expect_err("outside");
        assert_eq!(error.kind(), ErrorKind::OutsideDomain);
        assert!(error.to_string().contains("point 123 "), "{error}");
        let written = answer.values.iter().chain(&answer.position).chain(&answer.parameters);
        assert!(written.copied().all(|number| number == common::gradient::UNTOUCHED));
    }
}

#[test]
fn the_random_models_cover_what_matters_here() {
    let models: Vec<_> = random::models().collect();
    let any = |what: &dyn Fn(&Baked) -> bool| models.iter().any(what);
    let smooth = |m: &Baked| !random::has_steps(&m.spec);
    // Lines into inputs that grids reach, into others, and across.
    let reach = |m: &Baked, line: usize| {
        let (line, spatial) = (&m.spec.lines[line], m.spec.spatial_width());
        (line.offset < spatial, line.offset + line.features > spatial)
    };
    for wanted in [(true, false), (false, true), (true, true)] {
        let has = |m: &Baked| (0..m.spec.lines.len()).any(|n| reach(m, n) == wanted);
        assert!(any(&|m| smooth(m) && has(m)), "{wanted:?}");
    }
    assert!(any(&|m| m.spec.layers.is_empty() && m.spec.outputs() > 1));
    assert!(any(&|m| m.spec.parameters.is_empty()));
    assert!(any(&|m| smooth(m) && m.spec.values.iter().any(|v| v.transform == Transform::Log)));
    for narrow in [1, 3] {
        let has = |m: &Baked| m.spec.layers.iter().skip(1).any(|l| l.inputs == narrow);
        assert!(any(&has), "a layer of {narrow} inputs");
    }
}
