//! A derivative depends on the model, the parameters and its point alone: bit by bit the same
//! whatever the batch, the threads, the arrays and what else is asked for.

mod common;

use common::gradient::{Answer, ask};
use common::random::{self, PRODUCTS, Rng};
use common::{Baked, bits, kernels};
use drr::sampler::results::{Places, PointStride};
use drr::sampler::scalar::Scalar;
use drr::{ErrorKind, Gradients, GradientsMut, Kernel, Points, Sampler, SamplerOptions, ValuesMut};

const POINTS: usize = 200;

/// A model bound to random parameters, with points to ask it at.
struct Fixture {
    baked: Baked,
    kernel: Kernel,
    parameters: Vec<f64>,
    points: Vec<f64>,
}

impl Fixture {
    /// Some models of every layout and precision.
    fn each(mut check: impl FnMut(&Self)) {
        for seed in (100..120).chain(PRODUCTS..PRODUCTS + 10) {
            for kernel in kernels() {
                let rng = &mut Rng::new(7);
                let baked = random::model(seed);
                let parameters = random::parameters(&baked.spec, rng);
                let points = random::points(&baked.spec, POINTS, rng);
                check(&Self { baked, kernel, parameters, points });
            }
        }
    }

    fn sampler(&self, threads: usize) -> Sampler {
        let runtime = self.baked.runtime(self.kernel, threads);
        Sampler::new(&runtime, &self.parameters, &SamplerOptions::default()).expect("in range")
    }

    /// Axes, values, parameters.
    fn sizes(&self) -> (usize, usize, usize) {
        let spec = &self.baked.spec;
        (spec.axes.len(), spec.outputs(), spec.parameters.len())
    }
}

fn all_bits(answer: &Answer) -> [Vec<u64>; 3] {
    [bits(&answer.values), bits(&answer.position), bits(&answer.parameters)]
}

#[test]
fn batch_size_and_position_do_not_matter() {
    Fixture::each(|fixture| {
        let (dims, outputs, parameters) = fixture.sizes();
        let sampler = fixture.sampler(1);
        let all = all_bits(&ask(&sampler, &fixture.points));
        for size in [0, 1, 5, 7, 47, 49, 97] {
            for first in [0, 1, 46, POINTS - size] {
                let range = |width: usize| first * width..(first + size) * width;
                let found = all_bits(&ask(&sampler, &fixture.points[range(dims)]));
                let widths = [outputs, outputs * dims, outputs * parameters];
                for ((found, all), width) in found.iter().zip(&all).zip(widths) {
                    assert_eq!(*found, all[range(width)], "{size} at {first}");
                }
            }
        }
    });
}

#[test]
fn threads_do_not_matter() {
    Fixture::each(|fixture| {
        let expected = all_bits(&ask(&fixture.sampler(1), &fixture.points));
        let sampler = fixture.sampler(3);
        assert_eq!(all_bits(&ask(&sampler, &fixture.points)), expected);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| assert_eq!(all_bits(&ask(&sampler, &fixture.points)), expected));
            }
        });
    });
}

#[test]
fn what_else_is_asked_for_does_not_matter() {
    Fixture::each(|fixture| {
        let (dims, outputs, parameters) = fixture.sizes();
        let sampler = fixture.sampler(1);
        let expected = ask(&sampler, &fixture.points);
        let points = Points::packed(&fixture.points, dims).expect("whole points");
        for subset in 0..8 {
            let [mut values, mut position, mut by_parameters] =
                [outputs, outputs * dims, outputs * parameters].map(|n| vec![0.0; n * POINTS]);
            let wanted = |n: usize| subset >> n & 1 == 1;
            let mut gradients = Gradients::default();
            if wanted(1) {
                gradients.position =
                    Some(GradientsMut::packed(&mut position, outputs, dims).unwrap());
            }
            if wanted(2) {
                gradients.parameters =
                    Some(GradientsMut::packed(&mut by_parameters, outputs, parameters).unwrap());
            }
            let mut room = ValuesMut::packed(&mut values, outputs).unwrap();
            let room = wanted(0).then_some(&mut room);
            sampler.query_gradient(&points, room, &mut gradients).expect("a query that fits");
            for (n, (found, expected)) in [
                (&values, &expected.values),
                (&position, &expected.position),
                (&by_parameters, &expected.parameters),
            ]
            .into_iter()
            .enumerate()
            {
                if wanted(n) {
                    assert_eq!(bits(found), bits(expected), "{subset}");
                } else {
                    assert!(found.iter().all(|&x| x == 0.0));
                }
            }
        }
    });
}

#[test]
fn the_layout_of_derivatives_does_not_matter() {
    Fixture::each(|fixture| {
        let (dims, outputs, _) = fixture.sizes();
        let sampler = fixture.sampler(2);
        let expected = ask(&sampler, &fixture.points).position;
        let points = Points::packed(&fixture.points, dims).expect("whole points");
        let (plane, d, k) = (8 * POINTS as isize + 5, dims as isize, outputs as isize);
        // Offset of the first number, then bytes by point, value and component.
        let layouts = [
            (0, [8 * k * d, 8 * d, 8]),
            (3, [25 * k * d + 1, 25 * d, 25]),
            (1, [8, plane, plane * k]),
            (8 * POINTS * outputs * dims - 8, [-8 * k * d, -8 * d, -8]),
        ];
        for (scalar, size) in [(Scalar::F64, 8), (Scalar::F32, 4)] {
            for (first, strides) in layouts {
                let mut bytes = vec![0xa5u8; 30 * POINTS * outputs * dims + 1000];
                let base = bytes[first..].as_mut_ptr();
                // SAFETY: the layouts stay within `bytes`, and their numbers do not overlap.
                let view = unsafe {
                    let places = Places::Strided(base, [strides[1], strides[2]]);
                    let by_point = PointStride::Each(strides[0]);
                    GradientsMut::from_raw(scalar, [POINTS, outputs, dims], places, by_point)
                };
                let mut gradients = Gradients { position: Some(view), parameters: None };
                sampler.query_gradient(&points, None, &mut gradients).expect("a query that fits");
                for (n, number) in expected.iter().enumerate() {
                    let index = [n / dims / outputs, n / dims % outputs, n % dims];
                    let pairs = index.iter().zip(strides);
                    let offset: isize = pairs.map(|(&i, stride)| i as isize * stride).sum();
                    let at = first.checked_add_signed(offset).expect("a place in the array");
                    let found = &mut bytes[at..at + size];
                    match scalar {
                        Scalar::F64 => assert_eq!(*found, number.to_le_bytes()),
                        Scalar::F32 => assert_eq!(*found, (*number as f32).to_le_bytes()),
                        Scalar::F16 => unreachable!("derivatives have no 16-bit form"),
                    }
                    found.fill(0xa5);
                }
                assert!(bytes.iter().all(|&byte| byte == 0xa5), "a byte beside them changed");
            }
        }
    });
}

#[test]
fn arrays_that_do_not_fit_the_model_are_errors() {
    Fixture::each(|fixture| {
        let (dims, outputs, parameters) = fixture.sizes();
        let sampler = fixture.sampler(1);
        let refused = |position: [usize; 3], by_parameters: [usize; 3], dims: usize| {
            let room =
                |[len, outputs, components]: [usize; 3]| vec![-7.0; len * outputs * components];
            let (mut a, mut b) = (room(position), room(by_parameters));
            let points = vec![0.5; 12 * dims];
            let mut gradients = Gradients {
                position: Some(GradientsMut::packed(&mut a, position[1], position[2]).unwrap()),
                parameters: Some(
                    GradientsMut::packed(&mut b, by_parameters[1], by_parameters[2]).unwrap(),
                ),
            };
            let points = Points::packed(&points, dims).unwrap();
            let result = sampler.query_gradient(&points, None, &mut gradients);
            let written = a.iter().chain(&b).any(|&x| x != -7.0);
            assert!(result.is_ok() == written || result.is_ok() && dims * parameters == 0);
            result.is_err_and(|error| error.kind() == ErrorKind::InvalidArgument && !written)
        };
        let (position, parameter) = ([12, outputs, dims], [12, outputs, parameters]);
        assert!(!refused(position, parameter, dims));
        assert!(refused([11, outputs, dims], parameter, dims));
        assert!(refused([13, outputs, dims], parameter, dims));
        assert!(refused([12, outputs + 1, dims], parameter, dims));
        assert!(refused([12, outputs, dims + 1], parameter, dims));
        assert!(refused(position, [12, outputs + 1, parameters], dims));
        assert!(refused(position, [12, outputs, parameters + 1], dims));
        assert!(parameters == 0 || refused(position, [13, outputs, parameters], dims));
        assert!(refused(position, parameter, dims % 3 + 1));
    });
}

#[test]
fn views_need_whole_points() {
    assert!(GradientsMut::packed(&mut [0.0f32; 11], 2, 3).is_err());
    assert!(GradientsMut::packed(&mut [0.0f32; 12], 0, 3).is_err());
    assert!(GradientsMut::packed(&mut [0.0f32; 12], 2, 0).is_err());
    assert!(GradientsMut::packed(&mut [0.0f32; 12], usize::MAX, 3).is_err());
    let mut numbers = [0.0f32; 12];
    let view = GradientsMut::packed(&mut numbers, 2, 3).expect("two points");
    assert_eq!((view.len(), view.outputs(), view.components(), view.is_empty()), (2, 2, 3, false));
    assert!(GradientsMut::packed(&mut [0.0f32; 0], 2, 0).expect("nothing").is_empty());
}
