//! Lattices give what the same points give one by one, in the same order, and do not depend on how
//! they are cut.

mod common;

use common::random::{self, PRODUCTS, Rng};
use common::{Baked, bits, kernels};
use drr::{
    ErrorKind, Kernel, Lattice, Outside, Parameters, Points, Runtime, Sampler, SamplerOptions,
    SetValuesMut, Units, ValuesMut,
};

/// Largest difference from points one by one, relative to the largest result: sums in another
/// order.
const TOLERANCE: f64 = 3e-6;

/// As in `parity.rs`: where inputs of layers are rounded.
const STEP: f64 = 0.1;

fn lattice_values(sampler: &Sampler, lattice: &Lattice) -> Vec<f64> {
    let outputs = sampler.runtime().model().spec().outputs();
    let mut values = vec![f64::MIN; lattice.points().expect("a count") * outputs];
    let mut out = ValuesMut::packed(&mut values, outputs).expect("whole points");
    sampler.query_lattice(lattice, &mut out).expect("a lattice that fits the model");
    values
}

/// Coordinates of all points, x fastest.
fn coordinates(lattice: &Lattice, axes: usize) -> Vec<f64> {
    let mut points = Vec::new();
    for z in 0..lattice.dims[2] {
        for y in 0..lattice.dims[1] {
            for x in 0..lattice.dims[0] {
                let index = [x, y, z];
                points.extend(
                    (0..axes).map(|axis| {
                        lattice.origin[axis] + index[axis] as f64 * lattice.spacing[axis]
                    }),
                );
            }
        }
    }
    points
}

/// A lattice in and around [-1, 1]: coarse or fine, now and then a slice, a line, a point, or
/// backwards.
fn random_lattice(axes: usize, rng: &mut Rng) -> Lattice {
    let mut lattice = Lattice { origin: [0.0; 3], spacing: [0.0; 3], dims: [1; 3] };
    for axis in 0..axes {
        let size = rng.pick(&[1, 1, 2, 3, 5, 9, 47, 48, 49, 100]);
        let size = if axis == 0 { size } else { size.min(5) };
        let length = rng.uniform(0.1, 3.0);
        let from = rng.uniform(-1.5, 0.5);
        lattice.dims[axis] = size;
        lattice.spacing[axis] = length / size as f64;
        lattice.origin[axis] = from;
        if rng.below(4) == 0 {
            lattice.origin[axis] = from + length;
            lattice.spacing[axis] *= -1.0;
        }
    }
    lattice
}

fn options(outside: Outside) -> SamplerOptions {
    SamplerOptions { outside, units: Units::Normalized, ..Default::default() }
}

fn sampler(baked: &Baked, kernel: Kernel, threads: usize, outside: Outside) -> Sampler {
    let parameters = vec![0.3; baked.spec.parameters.len()];
    Sampler::new(&baked.runtime(kernel, threads), &parameters, &options(outside)).expect("in range")
}

#[test]
fn lattices_give_what_their_points_give() {
    for seed in (0..120).chain(PRODUCTS..PRODUCTS + 40) {
        let baked = random::model(seed);
        let axes = baked.spec.axes.len();
        let lattice = random_lattice(axes, &mut Rng::new(seed + 500));
        let points = coordinates(&lattice, axes);
        for outside in [Outside::Clamp, Outside::Zeros, Outside::Nan] {
            for kernel in kernels() {
                let sampler = sampler(&baked, kernel, 1, outside);
                let expected = common::query(&sampler, &points);
                let found = lattice_values(&sampler, &lattice);
                let scale = expected.iter().filter(|x| x.is_finite());
                let scale = scale.fold(1.0f64, |scale, x| scale.max(x.abs()));
                for (i, (found, expected)) in found.iter().zip(&expected).enumerate() {
                    let error = (found - expected).abs();
                    let limit = if random::has_steps(&baked.spec) { STEP } else { TOLERANCE };
                    assert!(
                        error <= limit * scale || (found.is_nan() && expected.is_nan()),
                        "model {seed} {kernel:?} {outside:?} {lattice:?} value {i}: {found}, \
                         expected {expected}"
                    );
                }
            }
        }
    }
}

#[test]
fn slices_and_threads_do_not_matter() {
    for seed in (0..45).step_by(2).chain(PRODUCTS..PRODUCTS + 10) {
        let baked = random::model(seed);
        let axes = baked.spec.axes.len();
        for kernel in kernels() {
            let mut lattice = random_lattice(axes, &mut Rng::new(seed));
            lattice.dims[0] = 131;
            let sampler = sampler(&baked, kernel, 1, Outside::Clamp);
            let all = lattice_values(&sampler, &lattice);
            let threaded = self::sampler(&baked, kernel, 3, Outside::Clamp);
            assert_eq!(bits(&lattice_values(&threaded, &lattice)), bits(&all), "model {seed}");
            // Rows one by one, where two axes or more make rows.
            let (row, mut found) = (Lattice { dims: [131, 1, 1], ..lattice }, Vec::new());
            for z in 0..lattice.dims[2] {
                for y in 0..lattice.dims[1] {
                    let mut row = row;
                    row.origin[1] += y as f64 * lattice.spacing[1];
                    row.origin[2] += z as f64 * lattice.spacing[2];
                    found.extend(lattice_values(&sampler, &row));
                }
            }
            assert_eq!(bits(&found), bits(&all), "model {seed} {kernel:?} {lattice:?}");
        }
    }
}

/// Queries of all kinds share the buffers of a thread.
#[test]
fn queries_for_sets_do_not_matter() {
    for seed in (0..45).chain(PRODUCTS..PRODUCTS + 20) {
        let baked = random::model(seed);
        let (axes, columns) = (baked.spec.axes.len(), baked.spec.parameters.len());
        let lattice = random_lattice(axes, &mut Rng::new(seed));
        for kernel in kernels() {
            let sampler = sampler(&baked, kernel, 1, Outside::Clamp);
            let before = lattice_values(&sampler, &lattice);
            let (points, rows) = (vec![0.1; 3 * axes], vec![0.3; 2 * columns]);
            let mut values = vec![0.0; 2 * 3 * baked.spec.outputs()];
            let mut out = SetValuesMut::packed(&mut values, 2, baked.spec.outputs()).expect("sets");
            let points = Points::packed(&points, axes).expect("whole points");
            let rows = Parameters::packed(&rows, 2, columns).expect("whole rows");
            let options = options(Outside::Clamp);
            sampler
                .runtime()
                .query_sets(&rows, &options, &points, &mut out)
                .expect("sets that fit");
            let after = lattice_values(&sampler, &lattice);
            assert_eq!(bits(&after), bits(&before), "model {seed} {kernel:?}");
        }
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let baked = (0..).map(random::model).find(|m| m.spec.axes.len() == 2).expect("a plane");
    let runtime: std::sync::Arc<Runtime> = baked.runtime(Kernel::Scalar, 1);
    let parameters: Vec<f64> = baked.spec.parameters.iter().map(|p| p.min).collect();
    let sampler = |outside| {
        let options = SamplerOptions { outside, ..options(outside) };
        Sampler::new(&runtime, &vec![0.0; parameters.len()], &options).expect("in range")
    };
    let fits = Lattice { origin: [-1.0; 3], spacing: [0.5; 3], dims: [3, 2, 1] };
    let error = |outside, lattice: Lattice, room: usize| {
        let outputs = baked.spec.outputs();
        let mut values = vec![7.0; room * outputs];
        let mut out = ValuesMut::packed(&mut values, outputs).expect("whole points");
        let error = sampler(outside).query_lattice(&lattice, &mut out).expect_err("must not fit");
        assert!(values.iter().all(|&v| v == 7.0), "written before it was refused");
        error
    };
    for (lattice, room, what) in [
        (Lattice { dims: [3, 2, 2], ..fits }, 12, "2 axes"),
        (Lattice { dims: [3, 2, 0], ..fits }, 0, "2 axes"),
        (Lattice { dims: [usize::MAX, 2, 1], ..fits }, 6, "too many"),
        (Lattice { origin: [f64::NAN, 0.0, 0.0], ..fits }, 6, "finite"),
        (Lattice { spacing: [0.1, f64::INFINITY, 0.0], ..fits }, 6, "finite"),
        (fits, 5, "room for 5"),
    ] {
        let error = error(Outside::Clamp, lattice, room);
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        assert!(error.to_string().contains(what), "{error}");
    }
    let far = Lattice { spacing: [0.5, 5.0, 0.0], ..fits };
    let error = error(Outside::Error, far, 6);
    assert_eq!(error.kind(), ErrorKind::OutsideDomain);
    assert!(error.to_string().contains("point 3"), "{error}");
    let empty = Lattice { dims: [0, 4, 1], ..fits };
    assert!(lattice_values(&sampler(Outside::Error), &empty).is_empty());
    // The unused third axis is ignored, whatever it holds.
    let odd = Lattice { origin: [-1.0, -1.0, f64::NAN], ..fits };
    let plain = lattice_values(&sampler(Outside::Clamp), &fits);
    assert_eq!(bits(&lattice_values(&sampler(Outside::Clamp), &odd)), bits(&plain));
    let points = coordinates(&fits, 2);
    let packed = Points::packed(&points, 2).expect("whole points");
    assert_eq!(packed.len() * baked.spec.outputs(), plain.len());
}
