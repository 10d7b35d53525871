//! Queries for more than one set of parameters: the same field as samplers give, whatever the
//! batch, the threads and the layout of the arrays; what lies outside is reported.

mod common;

use std::sync::Arc;

use common::random::{self, PRODUCTS, Rng};
use common::{Baked, bits, kernels, query};
use drr::sampler::results::{Places, PointStride};
use drr::sampler::scalar::Scalar;
use drr::{
    ErrorKind, Kernel, Outside, Parameters, Points, Result, Runtime, Sampler, SamplerOptions,
    SetValuesMut, Units, ValuesMut,
};

/// As in `tests/parity.rs`: two ways to the same numbers in 32 bits.
const TOLERANCE: f64 = 3e-6;

/// As in `tests/parity.rs`: what a step of a rounded input may be worth, and how often.
const STEP: f64 = 0.1;
const STEPS: f64 = 0.1;

/// An open model, points and rows of parameters in range.
struct Fixture {
    baked: Baked,
    runtime: Arc<Runtime>,
    points: Vec<f64>,
    rows: Vec<Vec<f64>>,
    dims: usize,
    outputs: usize,
}

impl Fixture {
    fn new(seed: u64, kernel: Kernel, points: usize, rows: usize) -> Self {
        let baked = random::model(seed);
        let rng = &mut Rng::new(seed + 7);
        Self {
            runtime: baked.runtime(kernel, 1),
            points: random::points(&baked.spec, points, rng),
            rows: (0..rows).map(|_| random::parameters(&baked.spec, rng)).collect(),
            dims: baked.spec.axes.len(),
            outputs: baked.spec.outputs(),
            baked,
        }
    }

    /// Some models of every layout and precision, all kernels.
    fn each(points: usize, rows: usize, mut check: impl FnMut(u64, &Self)) {
        for seed in (300..345).chain(PRODUCTS..PRODUCTS + 40) {
            kernels().for_each(|kernel| check(seed, &Self::new(seed, kernel, points, rows)));
        }
    }

    fn with_threads(&self, threads: usize) -> Arc<Runtime> {
        self.baked.runtime(self.runtime.kernel(), threads)
    }

    /// The same in normalised units, so that errors are those of the kernels.
    fn normalized(mut self) -> Self {
        let spec = &self.baked.spec;
        for (x, axis) in self.points.iter_mut().zip(spec.axes.iter().cycle()) {
            *x = 2.0 * (*x - axis.min) / (axis.max - axis.min) - 1.0;
        }
        for (p, range) in self.rows.iter_mut().flat_map(|row| row.iter_mut().zip(&spec.parameters))
        {
            *p = (*p - range.min) / (range.max - range.min);
        }
        self
    }

    /// The points from `first` on.
    fn part(&self, first: usize, count: usize) -> &[f64] {
        &self.points[first * self.dims..(first + count) * self.dims]
    }

    /// What a sampler for a row gives at all points.
    fn bound(&self, row: usize, options: &SamplerOptions) -> Vec<f64> {
        let sampler = Sampler::new(&self.runtime, &self.rows[row], options).expect("valid");
        query(&sampler, &self.points)
    }

    /// A row for each of so many points, taking turns.
    fn rows_in_turn(&self, count: usize) -> Vec<f64> {
        (0..count).flat_map(|i| self.rows[i % self.rows.len()].clone()).collect()
    }
}

/// Values at packed points, each with its own packed row of parameters.
fn query_each(
    runtime: &Runtime,
    rows: &[f64],
    points: &[f64],
    options: &SamplerOptions,
) -> Result<Vec<f64>> {
    let spec = runtime.model().spec();
    let count = points.len() / spec.axes.len();
    let mut values = vec![f64::MIN; count * spec.outputs()];
    let parameters = Parameters::packed(rows, count, spec.parameters.len())?;
    let points = Points::packed(points, spec.axes.len())?;
    let mut out = ValuesMut::packed(&mut values, spec.outputs())?;
    let result = runtime.query(&parameters, options, &points, &mut out);
    if result.is_err() {
        assert!(values.iter().all(|&value| value == f64::MIN), "written in spite of an error");
    }
    result.map(|()| values)
}

/// Values at packed points for packed rows of parameters, `[sets][points][outputs]`.
fn query_sets(
    runtime: &Runtime,
    rows: &[Vec<f64>],
    points: &[f64],
    options: &SamplerOptions,
) -> Result<Vec<f64>> {
    let spec = runtime.model().spec();
    let count = points.len() / spec.axes.len();
    let mut values = vec![f64::MIN; rows.len() * count * spec.outputs()];
    let table = rows.concat();
    let parameters = Parameters::packed(&table, rows.len(), spec.parameters.len())?;
    let points = Points::packed(points, spec.axes.len())?;
    let mut out = SetValuesMut::packed(&mut values, rows.len(), spec.outputs())?;
    let result = runtime.query_sets(&parameters, options, &points, &mut out);
    if result.is_err() {
        assert!(values.iter().all(|&value| value == f64::MIN), "written in spite of an error");
    }
    result.map(|()| values)
}

#[test]
fn own_parameters_give_what_samplers_give() {
    const POINTS: usize = 230;
    for (seed, kernel) in (300..345).flat_map(|seed| kernels().map(move |kernel| (seed, kernel))) {
        let fixture = Fixture::new(seed, kernel, POINTS, 5).normalized();
        let rows = fixture.rows_in_turn(POINTS);
        for outside in [Outside::Clamp, Outside::Zeros, Outside::Nan] {
            let options =
                SamplerOptions { outside, units: Units::Normalized, ..Default::default() };
            let found = query_each(&fixture.runtime, &rows, &fixture.points, &options);
            let bound: Vec<_> = (0..5).map(|row| fixture.bound(row, &options)).collect();
            let sizes = bound.iter().flatten().filter(|value| !value.is_nan());
            let scale = sizes.fold(1.0, |scale: f64, value| scale.max(value.abs()));
            let mut steps = 0;
            let found = found.expect("valid");
            for (n, found) in found.iter().enumerate() {
                let expected = bound[n / fixture.outputs % 5][n];
                if kernel == Kernel::Reference || expected.is_nan() {
                    assert_eq!(found.to_bits(), expected.to_bits(), "model {seed}");
                    continue;
                }
                let error = (found - expected).abs() / scale;
                steps += usize::from(error > TOLERANCE);
                let may_step = random::has_steps(&fixture.baked.spec) && error <= STEP;
                assert!(
                    error <= TOLERANCE || may_step,
                    "model {seed} {kernel:?} {outside:?} value {n}: {found}, expected {expected}"
                );
            }
            assert!(steps as f64 <= STEPS * found.len() as f64, "model {seed}: {steps} differ");
        }
    }
}

#[test]
fn own_parameters_are_invariant_to_batches_and_threads() {
    const POINTS: usize = 400;
    Fixture::each(POINTS, 7, |seed, fixture| {
        let options = SamplerOptions::default();
        let Fixture { outputs, runtime, .. } = fixture;
        let rows = fixture.rows_in_turn(POINTS);
        let columns = fixture.baked.spec.parameters.len();
        let all = query_each(runtime, &rows, &fixture.points, &options).expect("valid");
        for size in [0, 1, 7, 8, 9, 47, 48, 49, 97] {
            for first in [0, 1, 5, POINTS - size] {
                let rows = &rows[first * columns..(first + size) * columns];
                let points = fixture.part(first, size);
                let found = query_each(runtime, rows, points, &options).expect("valid");
                let expected = &all[first * outputs..(first + size) * outputs];
                assert_eq!(bits(&found), bits(expected), "model {seed}: {size} at {first}");
            }
        }
        let shared = fixture.with_threads(3);
        let found = query_each(&shared, &rows, &fixture.points, &options).expect("valid");
        assert_eq!(bits(&found), bits(&all), "model {seed}");
    });
}

#[test]
fn sets_give_bit_by_bit_what_samplers_give() {
    Fixture::each(200, 9, |seed, fixture| {
        let Fixture { outputs, .. } = *fixture;
        for outside in [Outside::Clamp, Outside::Zeros, Outside::Nan] {
            let options = SamplerOptions { outside, ..Default::default() };
            let bound: Vec<_> = (0..9).map(|row| fixture.bound(row, &options)).collect();
            for count in [0, 1, 2, 5, 8, 23, 24, 25, 47, 48, 49, 200] {
                for sets in [1, 2, 9] {
                    let (rows, points) = (&fixture.rows[..sets], fixture.part(0, count));
                    let found = query_sets(&fixture.runtime, rows, points, &options);
                    let expected: Vec<f64> = (bound[..sets].iter())
                        .flat_map(|values| values[..count * outputs].to_vec())
                        .collect();
                    assert_eq!(
                        bits(&found.expect("valid")),
                        bits(&expected),
                        "model {seed}: {sets} sets at {count} points"
                    );
                }
            }
        }
    });
}

#[test]
fn any_number_of_sets_is_the_same() {
    for (seed, kernel) in [(301, Kernel::best()), (303, Kernel::Scalar), (305, Kernel::best())] {
        let fixture = Fixture::new(seed, kernel, 150, 200);
        let options = SamplerOptions::default();
        let bound: Vec<_> = (0..200).map(|row| fixture.bound(row, &options)).collect();
        for threads in [1, 2, 5] {
            let runtime = fixture.with_threads(threads);
            for (count, sets) in [(1, 200), (3, 129), (20, 65), (48, 64), (150, 200)] {
                let rows = &fixture.rows[..sets];
                let points = fixture.part(0, count);
                let found = query_sets(&runtime, rows, points, &options).expect("valid");
                let sets = found.chunks(count * fixture.outputs).zip(&bound).enumerate();
                for (set, (found, bound)) in sets {
                    assert_eq!(bits(found), bits(&bound[..found.len()]), "model {seed} set {set}");
                }
            }
        }
        let Fixture { runtime, rows, points, .. } = &fixture;
        assert!(query_sets(runtime, &[], points, &options).expect("no sets").is_empty());
        assert!(query_sets(runtime, rows, &[], &options).expect("no points").is_empty());
    }
}

/// Numbers in memory, `[i][k]` at `first + i * strides[0] + k * strides[1]`; all other bytes are
/// 0xff, which are NaN in every type.
struct Layout {
    bytes: Vec<u8>,
    scalar: Scalar,
    first: usize,
    strides: [isize; 2],
}

impl Layout {
    fn new(values: &[f64], columns: usize, scalar: Scalar, strides: [isize; 2]) -> Self {
        let rows = values.len().checked_div(columns).unwrap_or(0);
        let reach = |count: usize, stride: isize| (count as isize - 1).max(0) * stride;
        let ends = [reach(rows, strides[0]), reach(columns, strides[1])];
        let first = 3 + ends.iter().map(|&end| (-end).max(0) as usize).sum::<usize>();
        let size = first + ends.iter().map(|&end| end.max(0) as usize).sum::<usize>() + 16;
        let mut bytes = vec![0xff; size];
        for (n, &value) in values.iter().enumerate() {
            let [i, k] = [n / columns, n % columns].map(|n| n as isize);
            let at = first.checked_add_signed(i * strides[0] + k * strides[1]).expect("inside");
            match scalar {
                Scalar::F32 => bytes[at..at + 4].copy_from_slice(&(value as f32).to_le_bytes()),
                _ => bytes[at..at + 8].copy_from_slice(&value.to_le_bytes()),
            }
        }
        Self { bytes, scalar, first, strides }
    }

    fn parameters(&self, rows: usize, columns: usize) -> Parameters<'_> {
        let (base, [row, column]) = (self.bytes[self.first..].as_ptr(), self.strides);
        // SAFETY: `new` put a number at each of these places.
        unsafe { Parameters::from_raw(self.scalar, rows, columns, base, row, column) }
    }
}

#[test]
fn the_layout_of_parameters_does_not_matter() {
    const POINTS: usize = 100;
    Fixture::each(POINTS, 6, |seed, fixture| {
        let Fixture { runtime, dims, outputs, .. } = fixture;
        let columns = fixture.baked.spec.parameters.len();
        let options = SamplerOptions::default();
        // Numbers that both types hold.
        let rows: Vec<f64> =
            fixture.rows_in_turn(POINTS).iter().map(|&p| f64::from(p as f32)).collect();
        let expected = query_each(runtime, &rows, &fixture.points, &options).expect("valid");
        let points = Points::packed(&fixture.points, *dims).expect("whole points");
        let mut values = vec![0.0; expected.len()];
        let plane = 8 * POINTS as isize + 3;
        for (scalar, strides) in [
            (Scalar::F64, [48, 8]),
            (Scalar::F64, [8, plane]),
            (Scalar::F64, [-33, 9]),
            (Scalar::F32, [4 * columns as isize, 4]),
            (Scalar::F32, [13, -plane * 2]),
            (Scalar::F32, [-31, -5]),
        ] {
            let layout = Layout::new(&rows, columns, scalar, strides);
            let parameters = layout.parameters(POINTS, columns);
            let mut out = ValuesMut::packed(&mut values, *outputs).expect("whole points");
            runtime.query(&parameters, &options, &points, &mut out).expect("valid");
            assert_eq!(bits(&values), bits(&expected), "model {seed} {scalar:?} {strides:?}");
        }
        // One row for all points.
        let layout = Layout::new(&rows[..columns], columns, Scalar::F64, [0, 8]);
        let mut out = ValuesMut::packed(&mut values, *outputs).expect("whole points");
        let parameters = layout.parameters(POINTS, columns);
        runtime.query(&parameters, &options, &points, &mut out).expect("valid");
        let repeated =
            query_each(runtime, &rows[..columns].repeat(POINTS), &fixture.points, &options);
        assert_eq!(bits(&values), bits(&repeated.expect("valid")));
    });
}

#[test]
fn values_are_written_where_they_belong_and_nowhere_else() {
    let rng = &mut Rng::new(11);
    Fixture::each(60, 7, |seed, fixture| {
        let Fixture { runtime, dims, outputs, .. } = fixture;
        let columns = fixture.baked.spec.parameters.len();
        let options = SamplerOptions::default();
        let count = rng.below(61);
        let sets = 1 + rng.below(7);
        let points = fixture.part(0, count);
        let expected = query_sets(runtime, &fixture.rows[..sets], points, &options).expect("valid");
        let table = fixture.rows[..sets].concat();
        let parameters = Parameters::packed(&table, sets, columns).expect("whole rows");
        let points = Points::packed(points, *dims).expect("whole points");
        // Which of set, point and value are next to one another, with gaps and in any direction.
        let mut order = [0, 1, 2];
        order.swap(0, rng.below(3));
        order.swap(1, 1 + rng.below(2));
        let (mut strides, mut reach) = ([0isize; 3], 8isize);
        for which in order {
            strides[which] = (reach + rng.below(20) as isize) * rng.pick(&[1, -1]);
            reach = strides[which].abs() * [sets, count.max(1), *outputs][which] as isize;
        }
        let first = reach + rng.below(9) as isize;
        let mut bytes = vec![0xa5u8; 2 * first as usize + 64];
        // SAFETY: the strides keep all values apart, and `bytes` reaches as far on both sides.
        let mut out = unsafe {
            let base = bytes[first as usize..].as_mut_ptr();
            let places = Places::Strided(base, [strides[2], 0]);
            let by_point = PointStride::Each(strides[1]);
            let one = ValuesMut::from_raw(Scalar::F64, [count, *outputs], places, by_point);
            SetValuesMut::from_raw(sets, one, strides[0])
        };
        runtime.query_sets(&parameters, &options, &points, &mut out).expect("valid");
        for (n, value) in expected.iter().enumerate() {
            let at = [n / outputs / count, n / outputs % count, n % outputs];
            let offset: isize =
                at.iter().zip(strides).map(|(&i, stride)| i as isize * stride).sum();
            let at = (first + offset) as usize;
            assert_eq!(bytes[at..at + 8], value.to_le_bytes(), "model {seed} {strides:?}");
            bytes[at..at + 8].fill(0xa5);
        }
        assert!(bytes.iter().all(|&byte| byte == 0xa5), "a byte beside the values changed");
    });
}

#[test]
fn queries_of_all_kinds_in_any_order_leave_nothing_behind() {
    for seed in 300..330 {
        let fixture = Fixture::new(seed, Kernel::best(), 130, 12);
        let columns = fixture.baked.spec.parameters.len();
        let rng = &mut Rng::new(seed);
        for _ in 0..40 {
            let count = rng.pick(&[0, 1, 2, 8, 9, 48, 49, 130]);
            let points = fixture.part(rng.below(131 - count), count);
            let outside = rng.pick(&[Outside::Clamp, Outside::Zeros, Outside::Nan]);
            let options = SamplerOptions { outside, ..Default::default() };
            let (kind, sets) = (rng.below(3), 1 + rng.below(12));
            let rows = fixture.rows_in_turn(count);
            let ask = |runtime: &Arc<Runtime>| match kind {
                0 => query(&Sampler::new(runtime, &fixture.rows[0], &options).unwrap(), points),
                1 => query_each(runtime, &rows[..count * columns], points, &options).unwrap(),
                _ => query_sets(runtime, &fixture.rows[..sets], points, &options).unwrap(),
            };
            let fresh = fixture.with_threads(1);
            assert_eq!(bits(&ask(&fixture.runtime)), bits(&ask(&fresh)), "model {seed}: {kind}");
        }
    }
}

#[test]
fn many_threads_may_ask_one_runtime_at_the_same_time() {
    let fixture = Fixture::new(301, Kernel::best(), 60, 5);
    let options = SamplerOptions::default();
    let rows = fixture.rows_in_turn(60);
    let each = query_each(&fixture.runtime, &rows, &fixture.points, &options).expect("valid");
    let sets =
        query_sets(&fixture.runtime, &fixture.rows, &fixture.points, &options).expect("valid");
    std::thread::scope(|scope| {
        for _ in 0..40 {
            scope.spawn(|| {
                for _ in 0..20 {
                    let Fixture { runtime, points, .. } = &fixture;
                    let found = query_each(runtime, &rows, points, &options).expect("valid");
                    assert_eq!(bits(&found), bits(&each));
                    let found = query_sets(runtime, &fixture.rows, points, &options);
                    assert_eq!(bits(&found.expect("valid")), bits(&sets));
                }
            });
        }
    });
}

/// Models with parameters.
fn parametric(points: usize, rows: usize) -> impl Iterator<Item = Fixture> {
    let fixtures = (300..330).map(move |seed| Fixture::new(seed, Kernel::best(), points, rows));
    fixtures.filter(|fixture| !fixture.baked.spec.parameters.is_empty())
}

#[test]
fn own_parameters_outside_follow_their_policy_point_by_point() {
    const POINTS: usize = 120;
    let bad = [3, 50, 119];
    for fixture in parametric(POINTS, 7) {
        let Fixture { runtime, outputs, .. } = &fixture;
        let spec = &fixture.baked.spec;
        let columns = spec.parameters.len();
        let good = fixture.rows_in_turn(POINTS);
        let ask = |rows: &[f64], outside_parameters| {
            let options = SamplerOptions { outside_parameters, ..Default::default() };
            query_each(runtime, rows, &fixture.points, &options)
        };
        let expected = ask(&good, Outside::Error).expect("in range");
        for (n, range) in spec.parameters.iter().enumerate() {
            let with = |value: f64| {
                let mut rows = good.clone();
                bad.iter().for_each(|i| rows[i * columns + n] = value);
                rows
            };
            for (value, end) in [
                (range.max + 0.5, range.max),
                (range.min - 0.5, range.min),
                (f64::INFINITY, range.max),
                (f64::NEG_INFINITY, range.min),
            ] {
                let clamped = ask(&with(value), Outside::Clamp).expect("clamped");
                assert_eq!(bits(&clamped), bits(&ask(&with(end), Outside::Error).expect("inside")));
                let error = ask(&with(value), Outside::Error).expect_err("outside");
                assert_eq!(error.kind(), ErrorKind::OutsideDomain);
                let text = error.to_string();
                assert!(text.contains("point 3:") && text.contains(&range.name), "{text}");
            }
            for (value, policy) in [
                (range.max + 0.5, Outside::Nan),
                (f64::NEG_INFINITY, Outside::Nan),
                (f64::NAN, Outside::Clamp),
                (f64::NAN, Outside::Nan),
                (f64::NAN, Outside::Error),
            ] {
                let found = ask(&with(value), policy).expect("NaN");
                for (k, (found, expected)) in found.iter().zip(&expected).enumerate() {
                    match bad.contains(&(k / outputs)) {
                        true => assert!(found.is_nan(), "{policy:?} point {}", k / outputs),
                        false => assert_eq!(found.to_bits(), expected.to_bits()),
                    }
                }
            }
        }
        let error = ask(&good, Outside::Zeros).expect_err("not for parameters");
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    }
}

#[test]
fn the_first_point_with_anything_outside_is_named() {
    const POINTS: usize = 120;
    for mut fixture in parametric(POINTS, 7) {
        let spec = fixture.baked.spec.clone();
        let axes = spec.axes.iter().cycle();
        fixture.points.iter_mut().zip(axes).for_each(|(x, a)| *x = 0.5 * (a.min + a.max));
        let options = SamplerOptions {
            outside: Outside::Error,
            outside_parameters: Outside::Error,
            ..Default::default()
        };
        for (point, row, named) in [
            (70, 90, "point 70 at "),
            (90, 70, "point 70: parameter "),
            (60, 70, "point 60 at "),
            (70, 60, "point 60: parameter "),
            (70, 70, "point 70 at "),
        ] {
            let (mut points, mut rows) = (fixture.points.clone(), fixture.rows_in_turn(POINTS));
            points[point * fixture.dims] = f64::INFINITY;
            rows[row * spec.parameters.len()] = f64::INFINITY;
            let error =
                query_each(&fixture.runtime, &rows, &points, &options).expect_err("outside");
            assert_eq!(error.kind(), ErrorKind::OutsideDomain);
            assert!(error.to_string().starts_with(named), "{error}, expected {named}");
            // Each policy alone.
            let only = SamplerOptions { outside_parameters: Outside::Clamp, ..options };
            let error = query_each(&fixture.runtime, &rows, &points, &only).expect_err("outside");
            assert!(error.to_string().starts_with(&format!("point {point} at ")), "{error}");
            let only = SamplerOptions { outside: Outside::Nan, ..options };
            let error = query_each(&fixture.runtime, &rows, &points, &only).expect_err("outside");
            assert!(error.to_string().starts_with(&format!("point {row}: ")), "{error}");
        }
    }
}

#[test]
fn sets_outside_follow_their_policy_set_by_set() {
    for fixture in parametric(50, 80) {
        let Fixture { runtime, outputs, points, rows, .. } = &fixture;
        let spec = &fixture.baked.spec;
        let ask = |rows: &[Vec<f64>], outside_parameters| {
            let options = SamplerOptions { outside_parameters, ..Default::default() };
            query_sets(runtime, rows, points, &options)
        };
        let expected = ask(rows, Outside::Error).expect("in range");
        for (n, range) in spec.parameters.iter().enumerate() {
            let with = |value: f64| {
                let mut rows = rows.clone();
                [70, 71].iter().for_each(|&set| rows[set][n] = value);
                rows
            };
            let clamped = ask(&with(range.max + 1.0), Outside::Clamp).expect("clamped");
            let at_the_end = ask(&with(range.max), Outside::Clamp).expect("in range");
            assert_eq!(bits(&clamped), bits(&at_the_end));
            let error = ask(&with(range.min - 1.0), Outside::Error).expect_err("outside");
            assert_eq!(error.kind(), ErrorKind::OutsideDomain);
            let text = error.to_string();
            assert!(text.starts_with("set 70: ") && text.contains(&range.name), "{text}");
            for (value, policy) in [
                (range.min - 1.0, Outside::Nan),
                (f64::NAN, Outside::Clamp),
                (f64::NAN, Outside::Error),
            ] {
                let found = ask(&with(value), policy).expect("NaN");
                for (k, (found, expected)) in found.iter().zip(&expected).enumerate() {
                    let set = k / (outputs * 50);
                    match set == 70 || set == 71 {
                        true => assert!(found.is_nan(), "set {set}"),
                        false => assert_eq!(found.to_bits(), expected.to_bits(), "set {set}"),
                    }
                }
            }
        }
        assert!(ask(rows, Outside::Zeros).is_err());
    }
}

#[test]
fn sets_report_points_outside_and_spoil_nothing_for_nan() {
    for mut fixture in parametric(70, 3) {
        let spec = fixture.baked.spec.clone();
        let axes = spec.axes.iter().cycle();
        fixture.points.iter_mut().zip(axes).for_each(|(x, a)| *x = 0.5 * (a.min + a.max));
        let Fixture { runtime, outputs, rows, dims, .. } = &fixture;
        let options = SamplerOptions { outside: Outside::Error, ..Default::default() };
        let good = query_sets(runtime, rows, &fixture.points, &options).expect("inside");
        let mut points = fixture.points.clone();
        points[55 * dims] = f64::NAN;
        let found = query_sets(runtime, rows, &points, &options).expect("NaN is no error");
        for (k, (found, good)) in found.iter().zip(&good).enumerate() {
            match k / outputs % 70 == 55 {
                true => assert!(found.is_nan()),
                false => assert_eq!(found.to_bits(), good.to_bits()),
            }
        }
        points[60 * dims] = spec.axes[0].max + 1.0;
        let error = query_sets(runtime, rows, &points, &options).expect_err("outside");
        assert!(error.to_string().starts_with("point 60 at "), "{error}");
    }
}

#[test]
fn arrays_that_do_not_fit_are_errors() {
    for fixture in parametric(0, 0) {
        let Fixture { runtime, dims, outputs, .. } = &fixture;
        let columns = fixture.baked.spec.parameters.len();
        let zeros = vec![0.0; 4000];
        let refused = |rows: usize, columns: usize, dims: usize, points: usize, room: usize| {
            let mut values = vec![-7.0; 3 * room * outputs];
            let parameters = Parameters::packed(&zeros[..rows * columns], rows, columns).unwrap();
            let points = Points::packed(&zeros[..points * dims], dims).unwrap();
            let options = SamplerOptions::default();
            let mut out = ValuesMut::packed(&mut values[..room * outputs], *outputs).unwrap();
            let own = runtime.query(&parameters, &options, &points, &mut out);
            let mut out = SetValuesMut::packed(&mut values, 3, *outputs).unwrap();
            let sets = runtime.query_sets(&parameters, &options, &points, &mut out);
            let is_refused = |result: Result<()>| {
                result.is_err_and(|error| error.kind() == ErrorKind::InvalidArgument)
            };
            let results = [is_refused(own), is_refused(sets)];
            assert!(values.iter().all(|&v| v == -7.0) || results == [false; 2]);
            results
        };
        assert_eq!(refused(3, columns, *dims, 3, 3), [false, false]);
        assert_eq!(refused(3, columns + 1, *dims, 3, 3), [true, true]);
        assert_eq!(refused(3, columns - 1, *dims, 3, 3), [true, true]);
        assert_eq!(refused(4, columns, *dims, 3, 3), [true, true]);
        assert_eq!(refused(2, columns, *dims, 3, 3), [true, true]);
        assert_eq!(refused(3, columns, dims % 3 + 1, 3, 3), [true, true]);
        assert_eq!(refused(3, columns, *dims, 3, 4), [true, true]);
        assert!(Parameters::packed(&zeros[..7], 2, 3).is_err());
        assert!(Parameters::packed::<f64>(&[], usize::MAX, 2).is_err());
        assert!(SetValuesMut::packed(&mut [0.0; 7], 2, 1).is_err());
        assert!(SetValuesMut::packed(&mut [0.0; 7], 0, 1).is_err());
        assert!(SetValuesMut::packed(&mut [0.0; 6], 2, 2).is_err());
    }
}

#[test]
fn points_and_parameters_in_16_bits_are_refused() {
    for fixture in parametric(0, 1) {
        let Fixture { runtime, dims, outputs, rows, .. } = &fixture;
        let columns = fixture.baked.spec.parameters.len();
        let bytes = [0u8; 64];
        let mut values = vec![-7.0; *outputs];
        // SAFETY: all are in `bytes`.
        let (points, parameters) = unsafe {
            (
                Points::from_raw(Scalar::F16, 1, *dims, [(bytes.as_ptr(), 2); 3]),
                Parameters::from_raw(Scalar::F16, 1, columns, bytes.as_ptr(), 0, 2),
            )
        };
        let good_points = Points::packed(&[0.0; 3][..*dims], *dims).unwrap();
        let good_parameters = Parameters::packed(&rows[0], 1, columns).unwrap();
        let options = SamplerOptions::default();
        let mut ask = |parameters: &Parameters<'_>, points: &Points<'_>| {
            let mut out = ValuesMut::packed(&mut values, *outputs).unwrap();
            let own = runtime.query(parameters, &options, points, &mut out);
            let mut out = SetValuesMut::packed(&mut values, 1, *outputs).unwrap();
            let sets = runtime.query_sets(parameters, &options, points, &mut out);
            [own, sets].map(|result| result.map_err(|error| error.to_string()))
        };
        for (results, what) in [
            (ask(&good_parameters, &points), "coordinates are f16"),
            (ask(&parameters, &good_points), "parameters are f16"),
        ] {
            for result in results {
                assert!(result.expect_err("refused").contains(what));
            }
        }
        let sampler = Sampler::new(runtime, &rows[0], &options).unwrap();
        let mut out = ValuesMut::packed(&mut values, *outputs).unwrap();
        assert!(sampler.query(&points, &mut out).is_err());
        assert!(values.iter().all(|&value| value == -7.0));
    }
}
