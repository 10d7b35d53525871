//! Derivatives are those of the values that a query gives: the reference's by finite differences,
//! all other kernels' by the reference.

mod common;

use common::gradient::{ask, differences};
use common::random::{self, PRODUCTS, Rng};
use common::{Baked, bits, kernels, query};
use drr::model::spec::Transform;
use drr::{Kernel, Outside, SamplerOptions, Units};

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

#[test]
fn nan_gives_nan_and_spoils_no_neighbour() {
    for seed in (200..220).chain(PRODUCTS..PRODUCTS + 20) {
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
