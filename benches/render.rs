//! Pictures of a radiance field of the size of published ones (a ball of random colours in a hash
//! grid of sixteen levels and 2^19 entries): what to run while working on the render.
//!
//!     cargo bench --bench render [-- WIDTH [THREADS [STEPS]]]
//!
//! with so many pixels across and down (400), threads (1), samples across the domain (512). Where there
//! is a GPU, it makes them too, in its own memory.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use drr::cuda::gpu::{self, Gpu};
use drr::cuda::{Machine, Memory, Stream};
use drr::model::spec::{LayerPrecision, Spec};
use drr::model::{GridPrecision, SmallRadiance, SmallTensors, Writer};
use drr::sampler::results::{Places, PointStride};
use drr::sampler::scalar::Scalar;
use drr::{
    Camera, Checksums, DeviceModel, DeviceOptions, DeviceSampler, Kernel, Model, RenderOptions,
    Runtime, Sampler, SamplerOptions, Storage, ValuesMut,
};
use serde_json::{Value, json};

const LEVELS: usize = 16;
const CELLS: usize = 64;
const REPETITIONS: usize = 5;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let argument = |n: usize, default: usize| {
        arguments.get(n).map_or(default, |a| a.parse().expect("a whole number"))
    };
    let (width, threads, steps) = (argument(0, 400), argument(1, 1), argument(2, 512));
    let path = std::env::temp_dir().join(format!("drr-bench-render-{}", std::process::id()));
    for precision in [LayerPrecision::F32, LayerPrecision::Bf16] {
        write(&path, precision, steps);
        let kernels: Vec<Kernel> = match std::env::var_os("DRR_CPU") {
            Some(_) => vec![Kernel::choose().expect("a kernel of this machine")],
            None => Kernel::ALL.into_iter().filter(|k| k.is_supported()).skip(2).collect(),
        };
        for kernel in kernels {
            let model = Model::open(&path, Storage::HugePages, Checksums::Skip).expect("the file");
            let runtime = Runtime::new(model, kernel, threads).expect("a kernel of this machine");
            let [seconds, best] = measure(&runtime, width);
            report(precision, &format!("{kernel:?}, {threads} threads"), width, [seconds, best]);
        }
        if gpu::count().is_ok_and(|count| count > 0) {
            let model = Model::open(&path, Storage::Mapped, Checksums::Skip).expect("the file");
            let runtime = Runtime::new(model, Kernel::best(), 1).expect("a kernel of this machine");
            // SAFETY: no context is given.
            let machine = unsafe { Gpu::open(0, std::ptr::null_mut()) }.expect("a GPU");
            let seconds = measure_there(&machine, &runtime, width).expect("a picture on the GPU");
            report(precision, &machine.name(), width, seconds);
        }
    }
    std::fs::remove_file(path).expect("the file");
}

fn report(precision: LayerPrecision, what: &str, width: usize, [seconds, best]: [f64; 2]) {
    let rays = (width * width) as f64;
    println!(
        "{} {what}, {width} x {width}: {:.2} ms (best {:.2}), {:.3} M rays/s ({:.3})",
        precision.name(),
        1e3 * seconds,
        1e3 * best,
        1e-6 * rays / seconds,
        1e-6 * rays / best
    );
}

/// Median and best time of a picture from different sides.
fn measure(runtime: &Arc<Runtime>, width: usize) -> [f64; 2] {
    let sampler = Sampler::new(runtime, &[], &SamplerOptions::default()).expect("no parameters");
    let (mut rgba, mut depth) = (vec![0.0f32; 4 * width * width], vec![0.0f32; width * width]);
    let mut times: Vec<f64> = (0..REPETITIONS)
        .map(|n| {
            let camera = camera(n, width);
            let mut rgba = ValuesMut::packed(&mut rgba, 4).expect("room");
            let mut depth = ValuesMut::packed(&mut depth, 1).expect("room");
            let start = Instant::now();
            let options = RenderOptions::default();
            sampler
                .render(&camera, [width; 2], &options, &mut rgba, Some(&mut depth))
                .expect("a picture");
            start.elapsed().as_secs_f64()
        })
        .collect();
    times.sort_by(f64::total_cmp);
    let opacity: f32 = rgba.iter().skip(3).step_by(4).sum();
    assert!(opacity > 0.2 * (width * width) as f32, "something is seen: {opacity}");
    [times[REPETITIONS / 2], times[0]]
}

/// The same on a GPU, which is waited for.
fn measure_there(
    machine: &Arc<dyn Machine>,
    runtime: &Arc<Runtime>,
    width: usize,
) -> drr::Result<[f64; 2]> {
    let model = DeviceModel::on(runtime, machine, &DeviceOptions::default())?;
    let sampler = DeviceSampler::new(&model, &[], &SamplerOptions::default())?;
    let pixels = width * width;
    let [colours, depths] = [Memory::new(machine, 16 * pixels)?, Memory::new(machine, 4 * pixels)?];
    let room = |memory: &Memory, each: usize| {
        let places = Places::Strided(memory.address() as *mut u8, [4, 0]);
        let stride = PointStride::Each(4 * each as isize);
        // SAFETY: the block has room for so many numbers of each pixel.
        unsafe { ValuesMut::from_raw(Scalar::F32, [pixels, each], places, stride) }
    };
    let mut times = Vec::new();
    for n in 0..=REPETITIONS {
        let (camera, options) = (camera(n, width), RenderOptions::default());
        let (mut rgba, mut depth) = (room(&colours, 4), room(&depths, 1));
        let start = Instant::now();
        // SAFETY: both blocks are there until the work is waited for.
        unsafe {
            let depth = Some(&mut depth);
            sampler.render(&camera, [width; 2], &options, &mut rgba, depth, Stream(0))?;
        }
        machine.synchronize(Stream(0))?;
        // The first one warms up.
        if n > 0 {
            times.push(start.elapsed().as_secs_f64());
        }
    }
    times.sort_by(f64::total_cmp);
    Ok([times[REPETITIONS / 2], times[0]])
}

/// From one of the sides.
fn camera(n: usize, width: usize) -> Camera {
    let (s, c) = (0.4 * n as f64).sin_cos();
    Camera {
        to_world: [[c, 0.0, s, 3.0 * s], [0.0, 1.0, 0.0, 0.0], [-s, 0.0, c, 3.0 * c]],
        focal: [1.4 * width as f64; 2],
        centre: [0.5 * width as f64; 2],
    }
}

/// A hash grid of two features per level, two small networks, and a ball.
fn write(path: &Path, precision: LayerPrecision, steps: usize) {
    let spec = spec(precision, steps);
    let mut rng = Rng(1);
    let mut writer = Writer::create(path, spec.clone(), GridPrecision::F16).expect("a folder");
    for grid in &spec.grids {
        let mut to = writer.grid().expect("a grid");
        for _ in 0..grid.rows().expect("rows") {
            let features: Vec<f64> = (0..grid.channels).map(|_| rng.next()).collect();
            to.push(&features).expect("room");
        }
        to.finish().expect("a grid");
    }
    let layer = |rng: &mut Rng, (inputs, outputs): (usize, usize)| {
        let scale = (3.0 / inputs as f64).sqrt();
        let mut list = |n| (0..n).map(|_| (rng.next() * scale) as f32).collect::<Vec<f32>>();
        (list(inputs * outputs), list(outputs))
    };
    let layers = [(2 * LEVELS, 64), (64, 16)].map(|size| layer(&mut rng, size)).to_vec();
    let head = [(31, 64), (64, 64), (64, 3)].map(|size| layer(&mut rng, size)).to_vec();
    let place = |i: usize| (i as f64 + 0.5) / CELLS as f64 * 2.0 - 1.0;
    let ball = (0..CELLS * CELLS * CELLS)
        .map(|n| [n % CELLS, n / CELLS % CELLS, n / CELLS / CELLS].map(place))
        .map(|[x, y, z]| x * x + y * y + z * z < 0.7)
        .collect();
    let radiance = Some(SmallRadiance { layers: head, occupancy: Some(ball) });
    let tensors = SmallTensors { layers, radiance, ..Default::default() };
    writer.finish(&tensors).expect("a complete model");
}

fn spec(precision: LayerPrecision, steps: usize) -> Spec {
    let axis = |name| json!({"name": name, "unit": "", "min": -1.0, "max": 1.0});
    let layer = |inputs: usize, outputs: usize, activation: &str| {
        json!({"inputs": inputs, "outputs": outputs, "activation": activation,
               "precision": precision})
    };
    // Opaque after some samples.
    let value = |k: usize| match k {
        0 => json!({"name": "density", "unit": "", "min": 2.5, "max": 3.0, "transform": "log"}),
        _ => json!({"name": "f", "unit": "", "min": 0.0, "max": 1.0, "transform": "linear"}),
    };
    let grid = |level: usize| -> Value {
        let size = (16.0 * 1.38f64.powi(level as i32)) as usize;
        let mut grid = json!({"axes": [0, 1, 2], "shape": [size, size, size], "channels": 2,
                              "offset": 2 * level});
        if size * size * size > 1 << 19 {
            grid["entries"] = json!(1 << 19);
        }
        grid
    };
    let axes = ["x", "y", "z"].map(axis);
    serde_json::from_value(json!({
        "axes": axes,
        "parameters": [],
        "values": (0..16).map(value).collect::<Vec<_>>(),
        "grids": (0..LEVELS).map(grid).collect::<Vec<_>>(),
        "lines": [],
        "input": {"width": 2 * LEVELS, "bias": false, "activation": "identity"},
        "layers": [layer(2 * LEVELS, 64, "relu"), layer(64, 16, "identity")],
        "radiance": {
            "harmonics": 4,
            "layers": [layer(31, 64, "relu"), layer(64, 64, "relu"), layer(64, 3, "sigmoid")],
            "occupancy": [CELLS, CELLS, CELLS],
            "step": 2.0 * 3f64.sqrt() / steps as f64,
        },
    }))
    .expect("a description")
}

/// SplitMix64, from -1 to 1.
struct Rng(u64);

impl Rng {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    }
}
