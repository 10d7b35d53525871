//! Where a derivative has two sides, and outside the domain, it is what docs/derivatives.md says.

mod common;

use common::gradient::{Answer, UNTOUCHED, ask, try_ask};
use common::{Baked, Rng, kernels};
use drr::model::spec::LayerPrecision;
use drr::model::{GridPrecision, GridValues};
use drr::{ErrorKind, Kernel, Outside, Sampler, SamplerOptions, Units};
use serde_json::json;

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
    let options = SamplerOptions { units: Units::Normalized, ..Default::default() };
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
        assert!(written.copied().all(|number| number == UNTOUCHED));
    }
}
