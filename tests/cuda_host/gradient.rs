//! Derivatives by the kernels are those of the CPU.

use std::sync::Arc;

use drr::cuda::{Machine, Stream};
use drr::sampler::results::{Places, PointStride};
use drr::sampler::scalar::Scalar;
use drr::{
    DeviceSampler, ErrorKind, Gradients, GradientsMut, Kernel, Lattice, Outside, Points,
    SamplerOptions, Units,
};

use crate::common::gradient::{self, Answer};
use crate::common::random::{self, PRODUCTS, Rng};
use crate::common::{self, Baked};
use crate::machine::{Array, Host, machine, on};
use crate::{compare_some, points};

/// As for the kernels of the CPU (tests/gradient.rs).
const TOLERANCE: f64 = 2e-5;
const KINKS: f64 = 1e-3;
const STEPS: f64 = 0.02;

/// What a query that is asked for all writes; `ask` does it.
fn differentiate(
    machine: &Arc<dyn Machine>,
    sampler: &DeviceSampler,
    count: usize,
    ask: impl FnOnce(&mut drr::ValuesMut<'_>, &mut Gradients<'_>),
) -> Answer {
    let spec = sampler.model().runtime().model().spec();
    let (dims, outputs, parameters) = (spec.axes.len(), spec.outputs(), spec.parameters.len());
    let room = |numbers: usize| Array::floats(machine, &vec![f64::MIN; count * outputs * numbers]);
    let (values, position, by_parameter) = (room(1), room(dims), room(parameters));
    let mut gradients = Gradients {
        position: Some(packed(&position, [count, outputs, dims])),
        parameters: Some(packed(&by_parameter, [count, outputs, parameters])),
    };
    ask(&mut values.values(count, outputs), &mut gradients);
    let cut = |array: &Array, numbers: usize| array.numbers()[..count * outputs * numbers].to_vec();
    Answer {
        values: cut(&values, 1),
        position: cut(&position, dims),
        parameters: cut(&by_parameter, parameters),
    }
}

/// Room for derivatives without gaps.
fn packed(array: &Array, shape: [usize; 3]) -> GradientsMut<'_> {
    let [_, outputs, components] = shape;
    let places = Places::Strided(array.at(0), [8 * components as isize, 8]);
    let stride = PointStride::Each((8 * outputs * components) as isize);
    // SAFETY: the array has room for as many numbers.
    unsafe { GradientsMut::from_raw(Scalar::F64, shape, places, stride) }
}

fn ask(machine: &Arc<dyn Machine>, sampler: &DeviceSampler, points: &[f64]) -> Answer {
    let dims = sampler.model().runtime().model().spec().axes.len();
    let count = points.len() / dims;
    let at = Array::floats(machine, points);
    differentiate(machine, sampler, count, |values, gradients| {
        // SAFETY: all arrays live until the numbers are back.
        let asked = unsafe {
            sampler.query_gradient(&at.points(count, dims), Some(values), gradients, Stream(0))
        };
        asked.expect("a query that fits");
    })
}

fn compare_all(baked: &Baked, found: &Answer, expected: &Answer, what: &str) {
    crate::compare(baked, &found.values, &expected.values, what);
    let limit = if random::has_steps(&baked.spec) { STEPS } else { KINKS };
    for (by, found, expected) in [
        ("position", &found.position, &expected.position),
        ("parameters", &found.parameters, &expected.parameters),
    ] {
        compare_some(found, expected, (TOLERANCE, limit), &format!("{what}, by {by}"));
    }
}

/// Physical and normalised, whatever is outside; NaN among the points, parameters at ends and beyond.
#[test]
fn random_models_give_the_references_derivatives() {
    let Some(machine) = machine() else { return };
    for seed in (0..75).chain(PRODUCTS..PRODUCTS + 60) {
        let (mut rng, baked) = (Rng::new(seed), random::model(seed));
        let model = on(&machine, &baked);
        let count = [0, 1, 7, 8, 9, 31, 64, 65, 200][seed as usize % 9];
        let options = crate::POLICIES[seed as usize % 4];
        let at = points(&baked, count, &mut rng);
        let mut parameters = random::parameters(&baked.spec, &mut rng);
        let sampler = DeviceSampler::new(&model, &parameters, &options).unwrap();
        for round in ["", ", bound again"] {
            let reference = baked.sampler(Kernel::Reference, &parameters, &options);
            let expected = gradient::ask(&reference, &at);
            let found = ask(&machine, &sampler, &at);
            compare_all(&baked, &found, &expected, &format!("model {seed}{round}"));
            parameters = random::parameters(&baked.spec, &mut rng);
            // SAFETY: nothing else is under way.
            unsafe { sampler.set_parameters(&parameters, Stream(0)).unwrap() };
        }
    }
}

/// On vertices, on borders and beyond them by rounding, where a side has to be chosen.
#[test]
fn sides_are_those_of_the_reference() {
    let Some(machine) = machine() else { return };
    for seed in (0..30).chain(PRODUCTS..PRODUCTS + 30) {
        let baked = random::model(seed);
        if random::has_steps(&baked.spec) {
            continue;
        }
        let (model, dims) = (on(&machine, &baked), baked.spec.axes.len());
        let sizes: Vec<usize> =
            baked.spec.grids.iter().flat_map(|grid| grid.shape.clone()).collect();
        let mut at = Vec::new();
        for &size in sizes.iter().filter(|&&size| size > 1).take(6) {
            for n in 0..size {
                let x = 2.0 * n as f64 / (size - 1) as f64 - 1.0;
                at.extend(std::iter::repeat_n(x, dims));
            }
        }
        for x in [-1.0 - 1e-9, 1.0 + 1e-9, -1.3, 1.01, 5.0, f64::INFINITY] {
            at.extend(std::iter::repeat_n(x, dims));
        }
        for outside in [Outside::Clamp, Outside::Zeros, Outside::Nan] {
            let options =
                SamplerOptions { outside, units: Units::Normalized, ..Default::default() };
            for t in [0.0, 0.5, 1.0, 1.5] {
                let parameters = vec![t; baked.spec.parameters.len()];
                let sampler = DeviceSampler::new(&model, &parameters, &options).unwrap();
                let reference = baked.sampler(Kernel::Reference, &parameters, &options);
                let (found, expected) =
                    (ask(&machine, &sampler, &at), gradient::ask(&reference, &at));
                compare_all(&baked, &found, &expected, &format!("model {seed} {outside:?} {t}"));
            }
        }
    }
}

/// Lattices give the bits of the same points, and what is not wanted is not written.
#[test]
fn forms_of_a_query_agree() {
    let Some(machine) = machine() else { return };
    for seed in (0..12).chain(PRODUCTS..PRODUCTS + 6) {
        let (mut rng, baked) = (Rng::new(seed), random::model(seed));
        let (model, dims) = (on(&machine, &baked), baked.spec.axes.len());
        let outputs = baked.spec.outputs();
        let parameters = random::parameters(&baked.spec, &mut rng);
        let options = SamplerOptions { units: Units::Normalized, ..Default::default() };
        let sampler = DeviceSampler::new(&model, &parameters, &options).unwrap();
        let lattice = Lattice {
            origin: [-1.1, 0.9, -0.3],
            spacing: [0.2, -0.31, 0.25],
            dims: std::array::from_fn(|axis| if axis < dims { [7, 4, 3][axis] } else { 1 }),
        };
        let count = lattice.points().unwrap();
        let of_lattice = differentiate(&machine, &sampler, count, |values, gradients| {
            // SAFETY: the arrays live until the numbers are back.
            let asked = unsafe {
                sampler.query_lattice_gradient(&lattice, Some(values), gradients, Stream(0))
            };
            asked.expect("a query that fits");
        });
        let [nx, ny, _] = lattice.dims;
        let at: Vec<f64> = (0..count)
            .flat_map(|n| {
                let index = [n % nx, n / nx % ny, n / nx / ny];
                (0..dims).map(move |k| lattice.origin[k] + index[k] as f64 * lattice.spacing[k])
            })
            .collect();
        let of_points = ask(&machine, &sampler, &at);
        for (a, b) in [
            (&of_lattice.values, &of_points.values),
            (&of_lattice.position, &of_points.position),
            (&of_lattice.parameters, &of_points.parameters),
        ] {
            assert_eq!(common::bits(a), common::bits(b), "model {seed}");
        }
        // Only derivatives by position, as 32-bit numbers, a component after the other.
        let there = Array::floats(&machine, &at);
        let room = Array::of(&machine, &vec![0xaa; 4 * count * outputs * dims], 0);
        let component = 4 * (count * outputs) as isize;
        let places = Places::Strided(room.at(0), [4, component]);
        let stride = PointStride::Each(4 * outputs as isize);
        // SAFETY: the arrays live until the numbers are back.
        unsafe {
            let position =
                GradientsMut::from_raw(Scalar::F32, [count, outputs, dims], places, stride);
            let gradients = &mut Gradients { position: Some(position), parameters: None };
            let points = there.points(count, dims);
            sampler.query_gradient(&points, None, gradients, Stream(0)).unwrap();
        }
        let bytes = room.bytes();
        let found = bytes.as_chunks().0.iter().map(|&bytes| f32::from_ne_bytes(bytes));
        for (n, found) in found.take(count * outputs * dims).enumerate() {
            let (c, rest) = (n / (count * outputs), n % (count * outputs));
            let expected = of_points.position[rest * dims + c] as f32;
            assert_eq!(found.to_bits(), expected.to_bits(), "model {seed}: {n}");
        }
        // Nothing at all is fine too.
        // SAFETY: nothing is written.
        unsafe {
            let points = there.points(count, dims);
            sampler.query_gradient(&points, None, &mut Gradients::default(), Stream(0)).unwrap();
        }
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let Some(host) = Host::new() else { return };
    let (_, machine) = host.machine();
    let baked = common::programs::model();
    let (model, dims, outputs) = (on(&machine, &baked), 3, baked.spec.outputs());
    let sampler = DeviceSampler::new(&model, &[0.5, 0.5], &SamplerOptions::default()).unwrap();
    let (at, room) = ([0.0; 3], Array::floats(&machine, &[0.0; 64]));
    let points = Points::packed(&at, dims).unwrap();
    let gradients =
        &mut Gradients { position: Some(packed(&room, [1, outputs, dims + 1])), parameters: None };
    // SAFETY: refused before anything is read.
    let error = unsafe { sampler.query_gradient(&points, None, gradients, Stream(0)) }.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");

    // Values fit into shared memory, a tape does not: values are given, derivatives refused.
    let wide = random::model(10);
    let runtime = wide.runtime(Kernel::Scalar, 1);
    let widest =
        (wide.spec.layers.iter()).map(|l| l.outputs).fold(wide.spec.input.width, usize::max);
    let mut little = Host::new().unwrap();
    little.limits.shared = 8 * (3 * 8 + 8 * 12 + 4 + 2 * widest * 4);
    let (_, machine) = little.machine();
    let model = drr::DeviceModel::on(&runtime, &machine, &Default::default()).unwrap();
    let parameters = random::parameters(&wide.spec, &mut Rng::new(1));
    let sampler = DeviceSampler::new(&model, &parameters, &SamplerOptions::default()).unwrap();
    let at = vec![0.0; wide.spec.axes.len()];
    let points = Points::packed(&at, wide.spec.axes.len()).unwrap();
    // SAFETY: as above.
    let error = unsafe {
        sampler.query_gradient(&points, None, &mut Gradients::default(), Stream(0)).unwrap_err()
    };
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    assert!(error.to_string().contains("derivatives: "), "{error}");
}
