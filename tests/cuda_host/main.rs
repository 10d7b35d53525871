//! The CUDA kernels without a GPU: their sources, compiled for the host (tests/cuda), give what the
//! CPU gives, in every form of query. Skipped where there is no C++ compiler.
//!
//! With DRR_TEST_DEVICE=0 the same tests run on that GPU, but for those that need the host's.

#[path = "../common/mod.rs"]
mod common;
mod gradient;
mod machine;
mod radiance;

use common::random::{self, PRODUCTS, Rng};
use common::{Baked, query};
use drr::cuda::arguments::layouts;
use drr::cuda::{Choice, Kernel as CudaKernel, Limits, Stream};
use drr::model::GridPrecision;
use drr::sampler::results::{Places, PointStride};
use drr::sampler::scalar::Scalar;
use drr::{
    DeviceModel, DeviceOptions, DeviceSampler, Error, ErrorKind, Kernel, Lattice, Outside,
    Parameters, Points, Sampler, SamplerOptions, Units, ValuesMut,
};
use machine::{Array, Host, ask, library, machine, on, on_by};

/// Largest error, relative to the largest result (at least 1); tests/parity.rs says why.
const TOLERANCE: f64 = 3e-6;

/// Largest error of what was multiplied in 16 bits, relative to the result or to the range of the
/// values. Halves have 11 bits, so weights and hidden values are wrong by 2^-12 of themselves on
/// average; a few layers and the sums' cancellation make some 1e-3 of that.
const HALVES: f64 = 1e-2;

/// Part of the results that may differ by a step where inputs of layers are rounded.
const STEPS: f64 = 0.1;

fn packed(values: &mut [f64], outputs: usize) -> ValuesMut<'_> {
    ValuesMut::packed(values, outputs).expect("whole points")
}

/// Equal up to rounding, relative to the largest, but for some part; NaN where the other is NaN.
fn compare_some(found: &[f64], expected: &[f64], (tolerance, most): (f64, f64), what: &str) {
    assert_eq!(found.len(), expected.len());
    let finite = expected.iter().filter(|x| x.is_finite());
    let largest = finite.fold(1e-3, |largest: f64, x| largest.max(x.abs()));
    let mut wrong = Vec::new();
    for (n, (a, b)) in found.iter().zip(expected).enumerate() {
        assert_eq!(a.is_nan(), b.is_nan(), "{what}: number {n} is {a}, expected {b}");
        if !a.is_nan() && a != b && (a - b).abs() > tolerance * largest {
            wrong.push((n, a, b));
        }
    }
    let most = most * found.len() as f64;
    assert!(wrong.len() as f64 <= most, "{what}: of {} differ {wrong:?}", found.len());
}

/// Equal up to rounding, NaN where the other is NaN.
fn compare(baked: &Baked, found: &[f64], expected: &[f64], what: &str) {
    assert_eq!(found.len(), expected.len());
    let largest = expected.iter().filter(|x| x.is_finite()).fold(1.0, |l: f64, x| l.max(x.abs()));
    let mut wrong = 0;
    for (n, (a, b)) in found.iter().zip(expected).enumerate() {
        assert_eq!(a.is_nan(), b.is_nan(), "{what}: value {n} is {a}, expected {b}");
        wrong += usize::from(!a.is_nan() && a != b && (a - b).abs() > TOLERANCE * largest);
    }
    let most = if random::has_steps(&baked.spec) { STEPS * found.len() as f64 } else { 0.0 };
    assert!(wrong as f64 <= most, "{what}: {wrong} of {} values differ", found.len());
}

const POLICIES: [SamplerOptions; 4] = {
    let clamp = SamplerOptions {
        units: Units::Physical,
        outside: Outside::Clamp,
        outside_parameters: Outside::Clamp,
    };
    [
        clamp,
        SamplerOptions { outside: Outside::Zeros, outside_parameters: Outside::Nan, ..clamp },
        SamplerOptions { outside: Outside::Nan, ..clamp },
        SamplerOptions { units: Units::Normalized, ..clamp },
    ]
};

/// Physical points, or the same numbers taken for normalised ones.
fn points(baked: &Baked, count: usize, rng: &mut Rng) -> Vec<f64> {
    let mut points = random::points(&baked.spec, count, rng);
    if let Some(x) = points.get_mut(1) {
        *x = f64::NAN;
    }
    points
}

#[test]
fn layouts_are_those_of_the_kernels() {
    let Some(library) = library() else { return };
    // SAFETY: an array of tests/cuda/host.cpp that is as long as our list.
    let found = unsafe {
        let list: libloading::Symbol<*const [usize; 2]> =
            library.get(b"drr_host_layouts").expect("exported");
        std::slice::from_raw_parts(*list, layouts().len())
    };
    assert_eq!(found, layouts());
}

#[test]
fn random_models_give_what_the_reference_gives() {
    let Some(machine) = machine() else { return };
    for seed in (0..75).chain(PRODUCTS..PRODUCTS + 60) {
        let (mut rng, baked) = (Rng::new(seed), random::model(seed));
        let model = on(&machine, &baked);
        // Around the sizes of tiles, and more than all blocks have at a time now and then.
        let count = [0, 1, 2, 7, 8, 9, 31, 64, 65, 130][seed as usize % 10];
        let options = POLICIES[seed as usize % 4];
        let at = points(&baked, count, &mut rng);
        let mut parameters = random::parameters(&baked.spec, &mut rng);
        let sampler = DeviceSampler::new(&model, &parameters, &options).unwrap();
        let found = ask(&machine, &sampler, &at);
        let reference = baked.sampler(Kernel::Reference, &parameters, &options);
        compare(&baked, &found, &query(&reference, &at), &format!("model {seed}"));

        // Other parameters, by the same sampler.
        parameters = random::parameters(&baked.spec, &mut rng);
        // SAFETY: nothing else is under way.
        unsafe { sampler.set_parameters(&parameters, Stream(0)).unwrap() };
        let found = ask(&machine, &sampler, &at);
        let reference = baked.sampler(Kernel::Reference, &parameters, &options);
        compare(&baked, &found, &query(&reference, &at), &format!("model {seed}, bound again"));
    }
}

#[test]
fn every_point_can_have_its_own_parameters() {
    let Some(machine) = machine() else { return };
    for seed in (0..60).step_by(2).chain(PRODUCTS..PRODUCTS + 40) {
        let (mut rng, baked) = (Rng::new(seed), random::model(seed));
        let model = on(&machine, &baked);
        let (dims, outputs) = (baked.spec.axes.len(), baked.spec.outputs());
        let (count, columns) = (37, baked.spec.parameters.len());
        let options = POLICIES[seed as usize / 2 % 4];
        let at = points(&baked, count, &mut rng);
        let mut rows: Vec<f64> =
            (0..count).flat_map(|_| random::parameters(&baked.spec, &mut rng)).collect();
        for (n, x) in rows.iter_mut().enumerate() {
            *x = [*x, *x, f64::NAN, 1e9, *x][(n + n / 3) % 5];
        }
        let [at_there, rows_there, values] = [&at, &rows, &vec![f64::MIN; count * outputs]]
            .map(|numbers| Array::floats(&machine, numbers));
        // SAFETY: the arrays live until the numbers are back.
        unsafe {
            let (base, row) = (rows_there.at(0).cast_const(), 8 * columns as isize);
            let table = Parameters::from_raw(Scalar::F64, count, columns, base, row, 8);
            let mut room = values.values(count, outputs);
            let points = at_there.points(count, dims);
            model.query(&table, &options, &points, &mut room, Stream(0)).unwrap();
        }
        let (at, table) = (
            Points::packed(&at, dims).unwrap(),
            Parameters::packed(&rows, count, columns).unwrap(),
        );
        let mut expected = vec![f64::MIN; count * outputs];
        let runtime = baked.runtime(Kernel::Reference, 1);
        runtime.query(&table, &options, &at, &mut packed(&mut expected, outputs)).unwrap();
        compare(&baked, &values.numbers(), &expected, &format!("model {seed}"));
    }
}

#[test]
fn lattices_need_no_coordinates() {
    let Some(machine) = machine() else { return };
    for seed in (0..30).chain(PRODUCTS..PRODUCTS + 15) {
        let (mut rng, baked) = (Rng::new(seed), random::model(seed));
        let model = on(&machine, &baked);
        let (dims, outputs) = (baked.spec.axes.len(), baked.spec.outputs());
        let parameters = random::parameters(&baked.spec, &mut rng);
        let options = SamplerOptions { units: Units::Normalized, ..Default::default() };
        let lattice = Lattice {
            origin: [-1.1, 0.9, -0.3],
            spacing: [0.2, -0.31, 0.0],
            dims: std::array::from_fn(|axis| if axis < dims { [11, 4, 3][axis] } else { 1 }),
        };
        let count = lattice.points().unwrap();
        let sampler = DeviceSampler::new(&model, &parameters, &options).unwrap();
        let values = Array::floats(&machine, &vec![f64::MIN; count * outputs]);
        // SAFETY: the array lives until the numbers are back.
        unsafe {
            let mut room = values.values(count, outputs);
            sampler.query_lattice(&lattice, &mut room, Stream(0)).unwrap();
        }
        let found = values.numbers();
        let mut expected = vec![0.0; count * outputs];
        let reference = baked.sampler(Kernel::Reference, &parameters, &options);
        reference.query_lattice(&lattice, &mut packed(&mut expected, outputs)).unwrap();
        compare(&baked, &found, &expected, &format!("model {seed}"));

        // As a part of a larger array whose axes are the other way around.
        let [nx, ny, nz] = lattice.dims;
        let by_axis = [(ny + 2) * (nz + 1), nz + 1, 1].map(|step| (8 * step * outputs) as isize);
        let larger = vec![f64::MIN; nx * (ny + 2) * (nz + 1) * outputs];
        let larger = Array::floats(&machine, &larger);
        let places = Places::Strided(larger.at(0), [8, 0]);
        let stride = PointStride::Lattice { dims: lattice.dims, strides: by_axis };
        // SAFETY: the array, which is large enough, lives until the numbers are back.
        unsafe {
            let shape = [count, outputs];
            let mut room = ValuesMut::from_raw(Scalar::F64, shape, places, stride);
            sampler.query_lattice(&lattice, &mut room, Stream(0)).unwrap();
        }
        let mut larger = larger.numbers();
        for (n, found) in found.chunks_exact(outputs).enumerate() {
            let [x, y, z] = [n % nx, n / nx % ny, n / nx / ny];
            let at = ((x * (ny + 2) + y) * (nz + 1) + z) * outputs;
            assert_eq!(common::bits(&larger[at..][..outputs]), common::bits(found));
            larger[at..][..outputs].fill(f64::MIN);
        }
        assert!(larger.iter().all(|&x| x == f64::MIN), "model {seed}: beside the lattice");
    }
}

/// Points backwards in records of odd size, results apart and at odd addresses: those of packed
/// arrays, rounded to the type.
#[test]
fn any_layout_gives_the_same_values() {
    let Some(machine) = machine() else { return };
    let baked = common::programs::model();
    let model = on(&machine, &baked);
    let (dims, outputs, count) = (3, 2, 21);
    let at: Vec<f32> =
        (random::points(&baked.spec, count, &mut Rng::new(5)).iter()).map(|&x| x as f32).collect();
    let sampler = DeviceSampler::new(&model, &[0.5, 0.5], &SamplerOptions::default()).unwrap();
    let wide: Vec<f64> = at.iter().map(|&x| x.into()).collect();
    let expected = ask(&machine, &sampler, &wide);
    let record = 4 * dims + 3;
    let mut records = vec![0u8; count * record];
    for (i, point) in at.chunks_exact(dims).enumerate() {
        let start = (count - 1 - i) * record;
        let bytes: Vec<u8> = point.iter().flat_map(|x| x.to_ne_bytes()).collect();
        records[start..start + 4 * dims].copy_from_slice(&bytes);
    }
    let records = Array::of(&machine, &records, 1);
    let last = (count - 1) * record;
    let axes = [0, 1, 2].map(|k| (records.at(last + 4 * k).cast_const(), -(record as isize)));
    for (scalar, bytes) in [(Scalar::F32, 4), (Scalar::F64, 8), (Scalar::F16, 2)] {
        let untouched = vec![0xaau8; 2 * bytes * count];
        let apart = [0, 1].map(|_| Array::of(&machine, &untouched, 1));
        let places = Places::Separate(apart.iter().map(|array| array.at(0)).collect());
        let stride = PointStride::Each(2 * bytes as isize);
        // SAFETY: the arrays live until the numbers are back; every second number of each is written.
        unsafe {
            let points = Points::from_raw(Scalar::F32, count, dims, axes);
            let mut room = ValuesMut::from_raw(scalar, [count, outputs], places, stride);
            sampler.query(&points, &mut room, Stream(0)).unwrap();
        }
        let apart = apart.map(|array| array.bytes());
        for (n, &expected) in expected.iter().enumerate() {
            let (i, k) = (n / outputs, n % outputs);
            let found = &apart[k][2 * bytes * i..][..2 * bytes];
            assert_eq!(found[bytes..], [0xaa; 8][..bytes], "between results");
            let rounded = match scalar {
                Scalar::F32 => (expected as f32).to_ne_bytes().to_vec(),
                Scalar::F64 => expected.to_ne_bytes().to_vec(),
                Scalar::F16 => half::f16::from_f64(expected).to_ne_bytes().to_vec(),
            };
            assert!(expected.is_nan() || found[..bytes] == rounded, "{scalar:?} {n}: {expected}");
        }
    }
}

/// Pieces: fewer and more points than one has, of each type, and a lattice.
#[test]
fn arrays_of_the_host_go_there_and_back() {
    let Some(machine) = machine() else { return };
    let baked = random::model(10);
    let model = on(&machine, &baked);
    let (dims, outputs) = (baked.spec.axes.len(), baked.spec.outputs());
    let mut rng = Rng::new(3);
    let parameters = random::parameters(&baked.spec, &mut rng);
    let sampler = DeviceSampler::new(&model, &parameters, &SamplerOptions::default()).unwrap();
    let piece = (1 << 20) / 8 / dims.max(outputs);
    for count in [0, 1, 100, piece, piece + 1, 2 * piece + 17] {
        // Most points are the same few, so that the test takes seconds.
        let few = points(&baked, count.min(200), &mut rng);
        let at: Vec<f64> = few.iter().copied().cycle().take(count * dims).collect();
        let mut found = vec![f64::MIN; count * outputs];
        let room = &mut packed(&mut found, outputs);
        sampler.query_host(&Points::packed(&at, dims).unwrap(), room).unwrap();
        let expected = ask(&machine, &sampler, &few);
        for (n, found) in found.chunks_exact(outputs.max(1)).enumerate() {
            let n = n % 200;
            let same = found.iter().zip(&expected[n * outputs..][..outputs]);
            assert!(same.clone().all(|(a, b)| a == b || a.is_nan() && b.is_nan()), "{count}: {n}");
        }
        let at: Vec<f32> = at.iter().map(|&x| x as f32).collect();
        let mut single = vec![f32::MIN; count * outputs];
        let room = &mut ValuesMut::packed(&mut single, outputs).unwrap();
        sampler.query_host(&Points::packed(&at, dims).unwrap(), room).unwrap();
        assert!(single.iter().all(|&x| x != f32::MIN), "{count}: all are written");
    }
    let lattice = Lattice {
        origin: [0.1; 3],
        spacing: [0.01; 3],
        dims: std::array::from_fn(|axis| if axis < dims { [1 << 10, 70, 1][axis] } else { 1 }),
    };
    let count = lattice.points().unwrap();
    let (mut found, mut expected) = (vec![0.0; count * outputs], vec![1.0; count * outputs]);
    sampler.query_lattice_host(&lattice, &mut packed(&mut found, outputs)).unwrap();
    let reference = Sampler::new(model.runtime(), &parameters, &SamplerOptions::default()).unwrap();
    reference.query_lattice(&lattice, &mut packed(&mut expected, outputs)).unwrap();
    compare(&baked, &found, &expected, "lattice");
}

/// A model that tensor cores take: grids of multiples of 8 channels, one after the other or at the
/// same place; layers of any width up to `most`.
fn model_for_tensor_cores(seed: u64, most: usize) -> Baked {
    let mut rng = Rng::new(1000 + seed);
    let mut spec = random::spec(random::Layout::Bare, &mut rng);
    let dims = spec.axes.len();
    let mut end = 0;
    spec.grids = (0..1 + rng.below(3))
        .map(|_| {
            let axes: Vec<usize> = (0..1 + rng.below(dims)).collect();
            let shape = axes.iter().map(|_| 1 + rng.below(5)).collect();
            let channels = 8 * (1 + rng.below(most / 24));
            let offset = if rng.below(2) == 0 { end } else { 0 };
            end = end.max(offset + channels);
            drr::model::spec::Grid { axes, shape, channels, offset, entries: None, product: None }
        })
        .collect();
    spec.input.width = end + rng.below(9);
    let width = spec.input.width;
    for line in &mut spec.lines {
        line.features = line.features.min(width);
        line.offset = rng.below(1 + width - line.features);
    }
    let mut inputs = width;
    // Weights of more layers would not fit into a block's memory.
    let layers = if most > 128 { 2 } else { 4 };
    spec.layers = (0..1 + rng.below(layers))
        .map(|_| {
            let outputs = 1 + rng.below(most);
            let activation = rng.pick(&drr::model::spec::Activation::ALL);
            let precision = Default::default();
            let layer = drr::model::spec::Layer { inputs, outputs, activation, precision };
            inputs = outputs;
            layer
        })
        .collect();
    spec.layers.last_mut().expect("a layer").outputs = 1 + rng.below(5);
    if seed % 4 == 3 {
        random::shorten(&mut spec, &mut rng);
    }
    spec.values = (0..spec.outputs()).map(|n| spec.values[n % spec.values.len()].clone()).collect();
    for (n, value) in spec.values.iter_mut().enumerate() {
        value.name = format!("v{n}");
        // A logarithm makes relative errors of absolute ones.
        value.transform = drr::model::spec::Transform::Linear;
    }
    Baked::write(spec, GridPrecision::ALL[seed as usize % 3], &mut rng)
}

#[test]
fn tensor_cores_give_what_the_reference_gives_in_halves() {
    let Some(machine) = machine() else { return };
    let mut used = std::collections::HashSet::new();
    for seed in 0..48 {
        let baked = model_for_tensor_cores(seed, [64, 128, 250][seed as usize % 3]);
        let mut rng = Rng::new(seed);
        let model = match on_by(&machine, &baked, Choice::Tensor) {
            Ok(model) => model,
            // Blocks of smaller GPUs (100 KiB, as of compute capability 8.6) do not hold all weights.
            Err(error) if error.to_string().contains("bytes of shared memory needed") => {
                assert!(std::env::var_os("DRR_TEST_DEVICE").is_some(), "model {seed}: {error}");
                continue;
            }
            Err(error) => panic!("model {seed}: {error}"),
        };
        used.insert(format!("{:?}", model.kernel()));
        let options = POLICIES[seed as usize % 4];
        let at = points(&baked, [0, 1, 31, 32, 33, 300][seed as usize % 6], &mut rng);
        let parameters = random::parameters(&baked.spec, &mut rng);
        let sampler = DeviceSampler::new(&model, &parameters, &options).unwrap();
        let found = ask(&machine, &sampler, &at);
        let expected = query(&baked.sampler(Kernel::Reference, &parameters, &options), &at);
        let ranges = baked.spec.values.iter().map(|value| value.max - value.min);
        let size = if options.units == Units::Physical { ranges.fold(1.0, f64::max) } else { 1.0 };
        let mut wrong = Vec::new();
        for (n, (a, b)) in found.iter().zip(&expected).enumerate() {
            assert_eq!(a.is_nan(), b.is_nan(), "model {seed}: value {n} is {a}, expected {b}");
            let error = (a - b).abs() / (size * b.abs().max(1.0));
            if !a.is_nan() && error > HALVES {
                wrong.push((n, a, b));
            }
        }
        let part = if random::has_steps(&baked.spec) { STEPS } else { 0.0 };
        let most = part * found.len() as f64;
        assert!(wrong.len() as f64 <= most, "model {seed}: of {} differ {wrong:?}", found.len());
    }
    assert_eq!(used.len(), 3, "{used:?}");
}

/// If tensor cores give something else, the portable kernel answers; unless they were asked for. It is
/// checked too, since single points' parameters are for it.
#[test]
fn wrong_tensor_cores_are_found_out() {
    use CudaKernel::{Tensor64, Tensor128, Tensor256};
    let Some(host) = Host::new() else { return };
    let broken = Host { is_broken: &[Tensor64, Tensor128, Tensor256], ..host };
    let machine = broken.machine().1;
    let baked = model_for_tensor_cores(1, 64);
    let model = on_by(&machine, &baked, Choice::Auto).unwrap();
    assert_eq!(model.kernel(), CudaKernel::Portable);
    let error = refusal(on_by(&machine, &baked, Choice::Tensor));
    assert_eq!(error.kind(), ErrorKind::Device, "{error}");
    assert!(error.to_string().contains("by the tensor kernel"), "{error}");
    let broken = Host { is_broken: &[CudaKernel::Portable], ..Host::new().unwrap() };
    let error = refusal(on_by(&broken.machine().1, &baked, Choice::Auto));
    assert_eq!(error.kind(), ErrorKind::Device, "{error}");
    assert!(error.to_string().contains("by the portable kernel"), "{error}");
    // Models that it does not take are refused with a reason.
    let error = refusal(on_by(&machine, &random::model(4), Choice::Tensor));
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
}

#[test]
fn memory_is_given_back() {
    let Some(host) = Host::new() else { return };
    let (host, machine) = host.machine();
    let baked = random::model(3);
    let runtime = baked.runtime(Kernel::Scalar, 1);
    let model = DeviceModel::on(&runtime, &machine, &DeviceOptions::default()).unwrap();
    let blocks = |host: &Host| host.memory.lock().unwrap().len();
    // Two lanes of a stream and four blocks.
    assert_eq!(blocks(&host), 1 + 10, "the model, and what its check went through");
    let parameters = random::parameters(&baked.spec, &mut Rng::new(1));
    let sampler = DeviceSampler::new(&model, &parameters, &SamplerOptions::default()).unwrap();
    drop(model);
    assert_eq!(blocks(&host), 2 + 10, "a sampler keeps its model");
    drop(sampler);
    assert_eq!(blocks(&host), 0);
}

fn refusal<T>(result: Result<T, Error>) -> Error {
    result.err().expect("an error")
}

#[test]
fn what_a_device_cannot_do_is_refused() {
    let Some(host) = Host::new() else { return };
    let baked = common::programs::model();
    let runtime = baked.runtime(Kernel::Scalar, 1);

    let little = Host { room: 100, ..Host::new().unwrap() };
    let error = refusal(DeviceModel::on(&runtime, &little.machine().1, &DeviceOptions::default()));
    assert_eq!(error.kind(), ErrorKind::OutOfMemory, "{error}");

    let narrow = Host {
        limits: Limits { shared: 2000, processors: 1, has_tensor_cores: false },
        ..Host::new().unwrap()
    };
    let error = refusal(DeviceModel::on(&runtime, &narrow.machine().1, &DeviceOptions::default()));
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    assert!(error.to_string().contains("shared memory, the device has 2000"), "{error}");

    let broken = Host { is_broken: &[CudaKernel::Portable], ..Host::new().unwrap() };
    let error = refusal(DeviceModel::on(&runtime, &broken.machine().1, &DeviceOptions::default()));
    assert_eq!(error.kind(), ErrorKind::Device, "{error}");
    assert!(error.to_string().contains("on the CPU"), "{error}");

    let model = DeviceModel::on(&runtime, &host.machine().1, &DeviceOptions::default()).unwrap();
    let strict = SamplerOptions { outside: Outside::Error, ..Default::default() };
    let error = refusal(DeviceSampler::new(&model, &[0.5, 0.5], &strict));
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    let error = refusal(DeviceSampler::new(&model, &[0.5], &SamplerOptions::default()));
    assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
    let sampler = DeviceSampler::new(&model, &[0.5, 0.5], &SamplerOptions::default()).unwrap();
    let mut values = [0.0; 2];
    // SAFETY: refused before anything is read.
    let error = refusal(unsafe {
        let points = Points::packed(&[0.0; 2], 2).unwrap();
        sampler.query(&points, &mut packed(&mut values, 2), Stream(0))
    });
    assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
}

/// Bound to NaN every result is NaN.
#[test]
fn parameters_can_be_nan() {
    let Some(machine) = machine() else { return };
    let baked = common::programs::model();
    let model = on(&machine, &baked);
    let options = SamplerOptions { outside_parameters: Outside::Nan, ..Default::default() };
    for parameters in [[f64::NAN, 0.5], [0.5, 1e9]] {
        let sampler = DeviceSampler::new(&model, &parameters, &options).unwrap();
        let values = ask(&machine, &sampler, &[0.5; 3]);
        assert!(values.iter().all(|x| x.is_nan()), "{values:?}");
        let reference = Sampler::new(model.runtime(), &parameters, &options).unwrap();
        assert!(query(&reference, &[0.5; 3]).iter().all(|x| x.is_nan()));
    }
}
