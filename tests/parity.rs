//! Every kernel computes the same field: the reference kernel what `docs/format.md` says, and all
//! others what the reference kernel does, up to rounding.

mod common;

use common::plain::{self, File};
use common::random::{self, Rng};
use common::{Baked, kernels, query};
use drr::model::GridPrecision;
use drr::model::spec::{Activation, MAX_ITEMS, MAX_WIDTH, Spec, Transform};
use drr::{Kernel, Outside, SamplerOptions, Units};
use serde_json::{Value, json};

/// Largest error of a 32-bit kernel, relative to the largest result of the model (at least 1).
///
/// A dense layer of n inputs sums n rounded products, in error by about 2^-24 sqrt(n) of the
/// sum's scale when roundings are independent: 1e-6 for the widest vector here. Interpolation and
/// the activations add a few 1e-7, and weights scaled to keep the size of values pass errors on
/// at about their size, some of which cancel: a few 1e-6 at the end, 6e-7 as measured. A wrong
/// vertex, a lost channel or a product in 16 bits is wrong by 1e-3 or more.
const TOLERANCE: f64 = 3e-6;

/// Where inputs of layers are rounded, two kernels may round to different sides: then some results
/// differ by what a step of an input is worth, most do not.
const STEP: f64 = 0.1;

/// Part of the results that may differ by a step.
const STEPS: f64 = 0.1;

fn largest(values: &[f64]) -> f64 {
    values.iter().fold(1.0, |largest, value| largest.max(value.abs()))
}

#[test]
fn the_random_models_cover_what_they_promise() {
    let models: Vec<_> = random::models().collect();
    let any = |what: &dyn Fn(&Baked) -> bool| models.iter().any(what);
    for dims in 1..=3 {
        assert!(any(&|m| m.spec.axes.len() == dims), "{dims} axes");
    }
    for layers in 0..=6 {
        assert!(any(&|m| m.spec.layers.len() == layers), "{layers} layers");
    }
    for outputs in 1..=5 {
        assert!(any(&|m| m.spec.outputs() == outputs), "{outputs} outputs");
    }
    for activation in Activation::ALL {
        assert!(any(&|m| m.spec.input.activation == activation), "input {activation:?}");
        assert!(
            any(&|m| m.spec.layers.iter().any(|layer| layer.activation == activation)),
            "layer {activation:?}"
        );
    }
    for precision in GridPrecision::ALL {
        for channels in [1, 7, 200] {
            let has = |m: &Baked| m.spec.grids.iter().any(|grid| grid.channels == channels);
            assert!(any(&|m| m.precision == precision && has(m)), "{precision:?} x {channels}");
        }
    }
    for name in ["f32", "bf16", "i8"] {
        let has = |m: &Baked| m.spec.layers.iter().any(|layer| layer.precision.name() == name);
        assert!(any(&has), "a layer in {name}");
    }
    for transform in [Transform::Linear, Transform::Log] {
        assert!(any(&|m| m.spec.values.iter().any(|value| value.transform == transform)));
    }
    for vertices in [1, 2, 17] {
        let has = |m: &Baked| m.spec.lines.iter().any(|line| line.vertices == vertices);
        assert!(any(&has), "a line of {vertices}");
    }
    assert!(any(&|m| m.spec.grids.iter().any(|grid| grid.shape.contains(&1))), "one vertex");
    assert!(any(&|m| m.spec.parameters.is_empty()), "no parameters");
    assert!(any(&|m| m.spec.spatial_width() < m.spec.input.width), "inputs of parameters alone");
}

#[test]
fn the_format_description_is_up_to_date() {
    let page = include_str!("../docs/format.md");
    let example = page.split("```json\n").nth(1).and_then(|rest| rest.split("```").next());
    let spec: Spec = serde_json::from_str(example.expect("an example")).expect("a description");
    spec.check().expect("a consistent description");
    for activation in Activation::ALL {
        let name = serde_json::to_value(activation).expect("text");
        let row = format!("\n| `{}` |", name.as_str().expect("text"));
        assert!(page.contains(&row), "{activation:?}");
    }
    for limit in [MAX_WIDTH, MAX_ITEMS] {
        assert!(page.contains(&format!("to {limit}")), "{limit}");
    }
    assert!(page.contains("`123456789` gives `cbf43926`"));
    assert_eq!(plain::checksum(b"123456789"), "cbf43926");
}

#[test]
fn the_reference_follows_the_format_description() {
    for (seed, baked) in random::models().enumerate() {
        let rng = &mut Rng::new(1000 + seed as u64);
        let file = File::read(&baked.bytes);
        let parameters = random::parameters(&baked.spec, rng);
        let points = random::points(&baked.spec, 40, rng);
        for (outside, plain) in
            [(Outside::Clamp, plain::Outside::Clamp), (Outside::Zeros, plain::Outside::Zeros)]
        {
            let options = SamplerOptions { outside, ..Default::default() };
            let sampler = baked.sampler(Kernel::Reference, &parameters, &options);
            let found = query(&sampler, &points);
            let expected: Vec<f64> = (points.chunks(baked.spec.axes.len()))
                .flat_map(|point| file.evaluate(point, &parameters, plain))
                .collect();
            // Both compute in 64 bits: only the order of operations differs.
            let limit = 1e-13 * largest(&expected);
            for (i, (found, expected)) in found.iter().zip(&expected).enumerate() {
                let point = i / baked.spec.outputs();
                assert!(
                    (found - expected).abs() <= limit,
                    "model {seed} {outside:?} point {point}: {found}, expected {expected}"
                );
            }
        }
    }
}

#[test]
fn every_kernel_agrees_with_the_reference() {
    for (seed, baked) in random::models().enumerate() {
        let rng = &mut Rng::new(2000 + seed as u64);
        let parameters: Vec<f64> =
            baked.spec.parameters.iter().map(|_| rng.uniform(0.0, 1.0)).collect();
        let points = normalised(&baked, 300, rng);
        for outside in [Outside::Clamp, Outside::Zeros] {
            let options =
                SamplerOptions { outside, units: Units::Normalized, ..Default::default() };
            let answer = |kernel| query(&baked.sampler(kernel, &parameters, &options), &points);
            let expected = answer(Kernel::Reference);
            let scale = largest(&expected);
            for kernel in kernels().skip(1) {
                let found = answer(kernel);
                let mut steps = 0;
                for (i, (found, expected)) in found.iter().zip(&expected).enumerate() {
                    let error = (found - expected).abs();
                    let point = i / baked.spec.outputs();
                    let may_step = random::has_steps(&baked.spec) && error <= STEP * scale;
                    steps += usize::from(error > TOLERANCE * scale);
                    assert!(
                        error <= TOLERANCE * scale || may_step,
                        "model {seed} {kernel:?} {outside:?} point {point}: {found}, expected \
                         {expected}"
                    );
                }
                let part = steps as f64 / found.len() as f64;
                assert!(part <= STEPS, "model {seed} {kernel:?}: {part} of the results differ");
            }
        }
    }
}

#[test]
fn what_layers_leave_in_buffers_does_not_matter() {
    // Inputs of 8 bits that are all at their end are NaN when taken for numbers of 32 bits.
    let i8 = |step: f64| json!({"i8": {"low": -10.0, "step": step}});
    let layer = |inputs: usize, outputs: usize, precision: Value| json!({"inputs": inputs, "outputs": outputs, "activation": "identity", "precision": precision});
    let axis = json!({"name": "x", "unit": "", "min": 0.0, "max": 1.0});
    let value = json!({"name": "v", "unit": "", "min": 0.0, "max": 1.0, "transform": "linear"});
    let spec = serde_json::from_value(json!({
        "axes": [axis],
        "parameters": [],
        "values": [value, value],
        "grids": [{"axes": [0], "shape": [2], "channels": 64, "offset": 0}],
        "lines": [],
        "input": {"width": 64, "bias": false, "activation": "identity"},
        "layers": [
            layer(64, 64, i8(1e-3)),
            layer(64, 3, i8(1e-3)),
            layer(3, 2, json!("f32")),
        ],
    }));
    let spec = spec.expect("a description");
    let baked = Baked::write(spec, GridPrecision::F32, &mut Rng::new(3));
    let points: Vec<f64> = (0..100).map(|i| f64::from(i) * 0.01).collect();
    let answer = |kernel| query(&baked.sampler(kernel, &[], &SamplerOptions::default()), &points);
    let expected = answer(Kernel::Reference);
    for kernel in kernels() {
        for (found, expected) in answer(kernel).iter().zip(&expected) {
            let error = (found - expected).abs();
            assert!(error <= 1e-4 * largest(&[*expected]), "{kernel:?}: {found}, {expected}");
        }
    }
}

fn normalised(baked: &Baked, count: usize, rng: &mut Rng) -> Vec<f64> {
    let physical = random::points(&baked.spec, count, rng);
    let axes = baked.spec.axes.iter().cycle();
    physical.iter().zip(axes).map(|(x, a)| 2.0 * (x - a.min) / (a.max - a.min) - 1.0).collect()
}
