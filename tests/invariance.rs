//! A result depends on the model, the parameters and its point alone: bit by bit the same
//! whatever the batch, the threads, the layout of the arrays and the storage of the file.

mod common;

use std::sync::Arc;

use common::random::{self, PRODUCTS, Rng};
use common::{Baked, bits, kernels, query};
use drr::sampler::results::{Places, PointStride};
use drr::sampler::scalar::Scalar;
use drr::{Checksums, Kernel, Model, Points, Runtime, Sampler, SamplerOptions, Storage, ValuesMut};
use half::f16;

const POINTS: usize = 1000;

/// Some models of every layout and precision.
fn models() -> impl Iterator<Item = Baked> {
    (100..135).chain(PRODUCTS..PRODUCTS + 15).map(random::model)
}

/// A model bound to random parameters, with points to ask it at.
struct Fixture {
    runtime: Arc<Runtime>,
    parameters: Vec<f64>,
    points: Vec<f64>,
    dims: usize,
    outputs: usize,
}

impl Fixture {
    fn new(baked: &Baked, kernel: Kernel) -> Self {
        let rng = &mut Rng::new(7);
        Self {
            runtime: baked.runtime(kernel, 1),
            parameters: random::parameters(&baked.spec, rng),
            points: random::points(&baked.spec, POINTS, rng),
            dims: baked.spec.axes.len(),
            outputs: baked.spec.outputs(),
        }
    }

    fn each(mut check: impl FnMut(&Baked, &Self)) {
        for baked in models() {
            for kernel in kernels() {
                check(&baked, &Self::new(&baked, kernel));
            }
        }
    }

    fn sampler(&self) -> Sampler {
        self.sampler_of(&self.runtime)
    }

    fn sampler_of(&self, runtime: &Arc<Runtime>) -> Sampler {
        Sampler::new(runtime, &self.parameters, &SamplerOptions::default()).expect("in range")
    }
}

#[test]
fn batch_size_and_position_do_not_matter() {
    Fixture::each(|_, fixture| {
        let sampler = fixture.sampler();
        let all = query(&sampler, &fixture.points);
        for size in [0, 1, 5, 6, 7, 47, 48, 49, 97] {
            for first in [0, 1, 3, 5, 46, POINTS - size] {
                let range = |width: usize| first * width..(first + size) * width;
                let found = query(&sampler, &fixture.points[range(fixture.dims)]);
                assert_eq!(bits(&found), bits(&all[range(fixture.outputs)]), "{size} at {first}");
            }
        }
    });
}

#[test]
fn threads_do_not_matter() {
    Fixture::each(|baked, fixture| {
        let expected = bits(&query(&fixture.sampler(), &fixture.points));
        for threads in [2, 3] {
            let runtime = baked.runtime(fixture.runtime.kernel(), threads);
            let sampler = fixture.sampler_of(&runtime);
            assert_eq!(bits(&query(&sampler, &fixture.points)), expected, "{threads} threads");
        }
    });
}

#[test]
fn many_tasks_per_thread_do_not_matter() {
    let baked = random::model(101);
    let fixture = Fixture::new(&baked, Kernel::best());
    let points = fixture.points.repeat(20);
    let expected = query(&fixture.sampler(), &fixture.points).repeat(20);
    let sampler = fixture.sampler_of(&baked.runtime(Kernel::best(), 3));
    assert_eq!(bits(&query(&sampler, &points)), bits(&expected));
}

#[test]
fn one_sampler_answers_several_threads_at_once() {
    let baked = random::model(102);
    for threads in [1, 2] {
        let mut fixture = Fixture::new(&baked, Kernel::best());
        fixture.runtime = baked.runtime(Kernel::best(), threads);
        let sampler = fixture.sampler();
        let expected = bits(&query(&sampler, &fixture.points));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..20 {
                        assert_eq!(bits(&query(&sampler, &fixture.points)), expected);
                    }
                });
            }
        });
    }
}

#[test]
fn storage_does_not_matter() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("model");
    Fixture::each(|baked, fixture| {
        std::fs::write(&path, &baked.bytes).expect("room for a file");
        let expected = bits(&query(&fixture.sampler(), &fixture.points));
        for storage in [Storage::Mapped, Storage::Copied] {
            for checksums in [Checksums::Verify, Checksums::Skip] {
                let model = Model::open(&path, storage, checksums).expect("a valid file");
                let runtime = Runtime::new(model, fixture.runtime.kernel(), 1).expect("supported");
                let found = query(&fixture.sampler_of(&runtime), &fixture.points);
                assert_eq!(bits(&found), expected, "{storage:?} {checksums:?}");
            }
        }
    });
}

fn shifted(offset: usize, bytes: isize) -> usize {
    offset.checked_add_signed(bytes).expect("a place in the array")
}

/// Points in a layout: bytes, scalar, and offset and stride per axis.
struct PointLayout {
    bytes: Vec<u8>,
    scalar: Scalar,
    axes: [(usize, isize); 3],
}

impl PointLayout {
    /// Coordinate `k` of point `i` at `offset(k) + i * stride`; gaps hold NaN bytes.
    fn new<const N: usize>(
        points: &[f64],
        scalar: Scalar,
        encode: impl Fn(f64) -> [u8; N],
        axes: [(usize, isize); 3],
        dims: usize,
    ) -> Self {
        let size = 64 * (points.len() / dims + 2) + 3 * N * points.len();
        let mut bytes = vec![0xff; size];
        for (i, point) in points.chunks(dims).enumerate() {
            for (x, (offset, stride)) in point.iter().zip(axes) {
                let at = shifted(offset, i as isize * stride);
                bytes[at..at + N].copy_from_slice(&encode(*x));
            }
        }
        Self { bytes, scalar, axes }
    }

    fn query(&self, sampler: &Sampler, count: usize, dims: usize, outputs: usize) -> Vec<f64> {
        let mut values = vec![0.0; count * outputs];
        let axes = self.axes.map(|(offset, stride)| (self.bytes[offset..].as_ptr(), stride));
        // SAFETY: `new` put a number at each of these places.
        let points = unsafe { Points::from_raw(self.scalar, count, dims, axes) };
        let mut out = ValuesMut::packed(&mut values, outputs).expect("whole points");
        sampler.query(&points, &mut out).expect("a query that fits the model");
        values
    }
}

#[test]
fn the_layout_of_points_does_not_matter() {
    Fixture::each(|_, fixture| {
        let Fixture { dims, outputs, .. } = *fixture;
        let sampler = fixture.sampler();
        // Numbers that both types hold.
        let floats: Vec<f32> = fixture.points.iter().map(|&x| x as f32).collect();
        let points: Vec<f64> = floats.iter().map(|&x| f64::from(x)).collect();
        let expected = bits(&query(&sampler, &points));

        let mut values = vec![0.0f64; POINTS * outputs];
        let mut ask = |points: Points<'_>| {
            let mut out = ValuesMut::packed(&mut values, outputs).expect("whole points");
            sampler.query(&points, &mut out).expect("a query that fits the model");
            bits(&values)
        };
        assert_eq!(ask(Points::packed(&floats, dims).expect("whole points")), expected);
        let separate: Vec<Vec<f32>> =
            (0..dims).map(|k| floats[k..].iter().step_by(dims).copied().collect()).collect();
        let separate: Vec<&[f32]> = separate.iter().map(Vec::as_slice).collect();
        assert_eq!(ask(Points::separate(&separate).expect("equal lengths")), expected);

        let end = 32 * POINTS;
        let layouts = [
            PointLayout::new(
                &points,
                Scalar::F64,
                f64::to_le_bytes,
                [(0, 32), (8, 32), (16, 32)],
                dims,
            ),
            PointLayout::new(
                &points,
                Scalar::F64,
                f64::to_le_bytes,
                [(1, 25), (9, 25), (17, 25)],
                dims,
            ),
            PointLayout::new(
                &points,
                Scalar::F64,
                f64::to_le_bytes,
                [(end, -32), (end + 9, -32), (end + 20, -32)],
                dims,
            ),
            PointLayout::new(
                &points,
                Scalar::F32,
                |x| (x as f32).to_le_bytes(),
                [(7, 13), (3, 13), (13 * POINTS + 9, 4)],
                dims,
            ),
        ];
        for (n, layout) in layouts.iter().enumerate() {
            let found = layout.query(&sampler, POINTS, dims, outputs);
            assert_eq!(bits(&found), expected, "layout {n}");
        }
    });
}

/// The nearest 16-bit number, of two the even one; infinity stands for 65536.
fn nearest_f16(x: f64) -> f16 {
    let near = f16::from_f64(x.abs()).to_bits();
    let distance = |bits: u16| {
        let number = f16::from_bits(bits);
        if number.is_finite() { (number.to_f64() - x.abs()).abs() } else { 65536.0 - x.abs() }
    };
    let candidates = near.saturating_sub(1)..=(near + 1).min(f16::INFINITY.to_bits());
    let nearest = candidates
        .min_by(|&a, &b| distance(a).total_cmp(&distance(b)).then_with(|| (a % 2).cmp(&(b % 2))));
    f16::from_bits(nearest.expect("three numbers")).copysign(f16::from_f64(x))
}

#[test]
fn the_layout_of_values_does_not_matter() {
    Fixture::each(|_, fixture| {
        let Fixture { dims, outputs, .. } = *fixture;
        let sampler = fixture.sampler();
        let expected = query(&sampler, &fixture.points);
        let points = Points::packed(&fixture.points, dims).expect("whole points");
        let plane = 8 * POINTS as isize + 5;
        // Offset of the first value, bytes from point to point and from value to value.
        let layouts = [(0, 48, 8), (3, 101, 20), (1, 8, plane), (48 * (POINTS - 1) + 32, -48, -8)];
        for (scalar, size) in [(Scalar::F64, 8), (Scalar::F32, 4), (Scalar::F16, 2)] {
            for (first, point_stride, value_stride) in layouts {
                let mut bytes = vec![0xa5u8; 128 * POINTS];
                let base = bytes[first..].as_mut_ptr();
                // SAFETY: the layouts stay within `bytes`, and their numbers do not overlap.
                let mut values = unsafe {
                    let places = Places::Strided(base, [value_stride, 0]);
                    let by_point = PointStride::Each(point_stride);
                    ValuesMut::from_raw(scalar, [POINTS, outputs], places, by_point)
                };
                sampler.query(&points, &mut values).expect("a query that fits the model");
                for (n, value) in expected.iter().enumerate() {
                    let (i, k) = ((n / outputs) as isize, (n % outputs) as isize);
                    let at = shifted(first, i * point_stride + k * value_stride);
                    let number = &mut bytes[at..at + size];
                    match scalar {
                        Scalar::F64 => assert_eq!(*number, value.to_le_bytes()),
                        Scalar::F32 => assert_eq!(*number, (*value as f32).to_le_bytes()),
                        Scalar::F16 => {
                            assert_eq!(*number, nearest_f16(*value).to_le_bytes(), "{value}");
                        }
                    }
                    number.fill(0xa5);
                }
                assert!(bytes.iter().all(|&byte| byte == 0xa5), "a byte beside the values changed");
            }
        }
    });
}
