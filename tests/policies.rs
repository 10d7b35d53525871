//! What a query does at and beyond the ends of axes and parameters, and in which units.

mod common;

use common::random::{self, PRODUCTS, Rng};
use common::{Baked, bits, kernels, query};
use drr::model::spec::Transform;
use drr::{ErrorKind, Kernel, Outside, Points, Sampler, SamplerOptions, Units, ValuesMut};

/// Some models, each with parameters in range.
fn models() -> impl Iterator<Item = (Baked, Vec<f64>)> {
    (200..220).chain(PRODUCTS..PRODUCTS + 15).map(|seed| {
        let baked = random::model(seed);
        let parameters = random::parameters(&baked.spec, &mut Rng::new(seed));
        (baked, parameters)
    })
}

fn outside(outside: Outside) -> SamplerOptions {
    SamplerOptions { outside, ..Default::default() }
}

/// Points well inside, packed.
fn inside(baked: &Baked, count: usize, rng: &mut Rng) -> Vec<f64> {
    let axes = baked.spec.axes.iter().cycle().take(count * baked.spec.axes.len());
    axes.map(|axis| rng.uniform(axis.min, axis.max)).collect()
}

#[test]
fn nan_in_gives_nan_out_at_that_point_only() {
    const BAD: [usize; 4] = [0, 7, 50, 96];
    for (baked, parameters) in models() {
        let (dims, outputs) = (baked.spec.axes.len(), baked.spec.outputs());
        let points = inside(&baked, 97, &mut Rng::new(1));
        for kernel in kernels() {
            for policy in [Outside::Clamp, Outside::Zeros, Outside::Nan, Outside::Error] {
                let sampler = baked.sampler(kernel, &parameters, &outside(policy));
                let good = query(&sampler, &points);
                assert!(good.iter().all(|value| !value.is_nan()));
                for axis in 0..dims {
                    let mut spoilt = points.clone();
                    BAD.iter().for_each(|i| spoilt[i * dims + axis] = f64::NAN);
                    for (n, (value, good)) in query(&sampler, &spoilt).iter().zip(&good).enumerate()
                    {
                        if BAD.contains(&(n / outputs)) {
                            assert!(value.is_nan(), "{kernel:?} {policy:?} point {}", n / outputs);
                        } else {
                            assert_eq!(value.to_bits(), good.to_bits());
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn clamping_gives_the_value_at_the_nearest_border() {
    for (baked, parameters) in models() {
        let rng = &mut Rng::new(2);
        let mut beyond = inside(&baked, 60, rng);
        let mut nearest = beyond.clone();
        for (n, axis) in baked.spec.axes.iter().cycle().enumerate().take(beyond.len()) {
            let width = axis.max - axis.min;
            (beyond[n], nearest[n]) = match rng.below(6) {
                0 => (axis.max + rng.uniform(0.0, 3.0) * width, axis.max),
                1 => (axis.min - rng.uniform(0.0, 3.0) * width, axis.min),
                2 => (f64::INFINITY, axis.max),
                3 => (f64::NEG_INFINITY, axis.min),
                _ => (beyond[n], beyond[n]),
            };
        }
        for kernel in kernels() {
            let sampler = baked.sampler(kernel, &parameters, &outside(Outside::Clamp));
            assert_eq!(bits(&query(&sampler, &beyond)), bits(&query(&sampler, &nearest)));
        }
    }
}

#[test]
fn the_nan_policy_spares_points_inside() {
    for (baked, parameters) in models() {
        let points = random::points(&baked.spec, 200, &mut Rng::new(3));
        let clamp = baked.sampler(Kernel::best(), &parameters, &outside(Outside::Clamp));
        let nan = baked.sampler(Kernel::best(), &parameters, &outside(Outside::Nan));
        let (clamped, found) = (query(&clamp, &points), query(&nan, &points));
        let (dims, outputs) = (baked.spec.axes.len(), baked.spec.outputs());
        let mut outsiders = 0;
        for (i, point) in points.chunks(dims).enumerate() {
            let range = i * outputs..(i + 1) * outputs;
            let is_inside = (point.iter().zip(&baked.spec.axes)).all(|(x, axis)| {
                let slack = 1e-6 * (axis.max - axis.min);
                (axis.min - slack..=axis.max + slack).contains(x)
            });
            if is_inside {
                assert_eq!(bits(&found[range.clone()]), bits(&clamped[range]));
            } else {
                assert!(found[range].iter().all(|value| value.is_nan()), "{point:?}");
                outsiders += 1;
            }
        }
        assert!(outsiders > 20 && outsiders < 180);
    }
}

#[test]
fn the_error_policy_names_the_first_point_and_writes_nothing() {
    for (baked, parameters) in models() {
        let (dims, outputs) = (baked.spec.axes.len(), baked.spec.outputs());
        let mut points = inside(&baked, 300, &mut Rng::new(4));
        points[123 * dims] = baked.spec.axes[0].max + 1.0;
        points[124 * dims] = f64::INFINITY;
        for threads in [1, 2] {
            let runtime = baked.runtime(Kernel::best(), threads);
            let sampler = Sampler::new(&runtime, &parameters, &outside(Outside::Error)).unwrap();
            let mut values = vec![-7.0; 300 * outputs];
            let error = sampler
                .query(
                    &Points::packed(&points, dims).unwrap(),
                    &mut ValuesMut::packed(&mut values, outputs).unwrap(),
                )
                .unwrap_err();
            assert_eq!(error.kind(), ErrorKind::OutsideDomain);
            assert!(error.to_string().contains("point 123 "), "{error}");
            assert!(values.iter().all(|&value| value == -7.0));
        }
    }
}

#[test]
fn a_border_rounded_to_32_bits_is_inside() {
    for (baked, parameters) in models() {
        let ends = baked.spec.axes.iter().map(|axis| f64::from(axis.max as f32));
        let point: Vec<f64> = ends.collect();
        let sampler = baked.sampler(Kernel::best(), &parameters, &outside(Outside::Nan));
        assert!(query(&sampler, &point).iter().all(|value| !value.is_nan()));
    }
}

#[test]
fn parameters_outside_follow_their_own_policy() {
    for (baked, parameters) in models().filter(|(_, parameters)| !parameters.is_empty()) {
        let runtime = baked.runtime(Kernel::best(), 1);
        let points = inside(&baked, 9, &mut Rng::new(5));
        let bind = |parameters: &[f64], outside_parameters| {
            let options = SamplerOptions { outside_parameters, ..Default::default() };
            Sampler::new(&runtime, parameters, &options)
        };
        let ask = |parameters: &[f64], policy| query(&bind(parameters, policy).unwrap(), &points);
        for n in 0..parameters.len() {
            let range = &baked.spec.parameters[n];
            for (value, end) in [
                (range.max + 0.5, range.max),
                (range.min - 0.5, range.min),
                (f64::INFINITY, range.max),
                (f64::NEG_INFINITY, range.min),
            ] {
                let with = |value| {
                    let mut changed = parameters.clone();
                    changed[n] = value;
                    changed
                };
                let at_the_end = ask(&with(end), Outside::Clamp);
                assert_eq!(bits(&ask(&with(value), Outside::Clamp)), bits(&at_the_end));
                assert!(ask(&with(value), Outside::Nan).iter().all(|value| value.is_nan()));
                assert_eq!(bits(&ask(&with(end), Outside::Nan)), bits(&at_the_end));
                let error = bind(&with(value), Outside::Error).err().expect("outside");
                assert_eq!(error.kind(), ErrorKind::OutsideDomain);
                assert!(error.to_string().contains(&range.name), "{error}");
                assert!(bind(&with(end), Outside::Error).is_ok());
                let nan = ask(&with(f64::NAN), Outside::Error);
                assert!(nan.iter().all(|value| value.is_nan()));
            }
        }
        let error = bind(&parameters, Outside::Zeros).err().expect("not for parameters");
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    }
}

#[test]
fn a_wrong_number_of_parameters_is_an_error() {
    for (baked, mut parameters) in models() {
        parameters.push(0.5);
        let runtime = baked.runtime(Kernel::best(), 1);
        let error = Sampler::new(&runtime, &parameters, &SamplerOptions::default()).err();
        assert_eq!(error.expect("one too many").kind(), ErrorKind::InvalidArgument);
    }
}

#[test]
fn arrays_that_do_not_fit_the_model_are_errors() {
    for (baked, parameters) in models() {
        let (dims, outputs) = (baked.spec.axes.len(), baked.spec.outputs());
        let sampler = baked.sampler(Kernel::best(), &parameters, &SamplerOptions::default());
        let refused = |dims: usize, outputs: usize, room: usize| {
            let points = vec![0.5; 12 * dims];
            let mut values = vec![-7.0; room * outputs];
            let result = sampler.query(
                &Points::packed(&points, dims).unwrap(),
                &mut ValuesMut::packed(&mut values, outputs).unwrap(),
            );
            let error = result.expect_err("sizes that do not fit");
            error.kind() == ErrorKind::InvalidArgument && values.iter().all(|&v| v == -7.0)
        };
        assert!(refused(dims % 3 + 1, outputs, 12));
        assert!(refused(dims, outputs + 1, 12));
        assert!(refused(dims, outputs, 11));
        assert!(refused(dims, outputs, 13));
    }
}

#[test]
fn normalised_and_physical_units_are_the_same_field() {
    for (baked, parameters) in models() {
        let spec = &baked.spec;
        let points = inside(&baked, 100, &mut Rng::new(6));
        let physical = baked.sampler(Kernel::Reference, &parameters, &SamplerOptions::default());
        let expected = query(&physical, &points);

        let axes = spec.axes.iter().cycle();
        let positions: Vec<f64> = (points.iter().zip(axes))
            .map(|(x, axis)| 2.0 * (x - axis.min) / (axis.max - axis.min) - 1.0)
            .collect();
        let unit: Vec<f64> = (parameters.iter().zip(&spec.parameters))
            .map(|(p, range)| (p - range.min) / (range.max - range.min))
            .collect();
        let options = SamplerOptions { units: Units::Normalized, ..Default::default() };
        let found = query(&baked.sampler(Kernel::Reference, &unit, &options), &positions);
        for ((v, expected), value) in found.iter().zip(&expected).zip(spec.values.iter().cycle()) {
            let y = v * (value.max - value.min) + value.min;
            let y = if value.transform == Transform::Log { y.exp() } else { y };
            // Positions differ by roundings of 1e-16, in a field whose slopes are below 1e3.
            assert!((y - expected).abs() <= 1e-12 * expected.abs().max(1.0), "{y}, {expected}");
        }
    }
}
