//! Points per second of each kernel on a random model of the size of published ones, without
//! competitors: what to run while working on a kernel.
//!
//!     cargo bench --bench query [-- GRID LAYERS VERTICES [planes]]
//!
//! with GRID `f32`, `f16` or `i8`, LAYERS `f32`, `bf16` or `i8`, and vertices per axis (128); with
//! `planes` instead of a volume, products of planes over all pairs of coordinates and the parameter
//! at four scales, the last of so many vertices, as K-Planes has them.

use std::sync::Arc;
use std::time::Instant;

use drr::model::spec::{Activation, LayerPrecision, Spec};
use drr::model::{GridPrecision, SmallTensors, Writer};
use drr::{
    Checksums, Gradients, GradientsMut, Kernel, Lattice, Model, Parameters, Points, Runtime,
    Sampler, SamplerOptions, SetValuesMut, Storage, ValuesMut,
};
use serde_json::{Value, json};

const WIDTH: usize = 128;
const POINTS: usize = 1 << 16;
const REPETITIONS: usize = 15;
const SETS: usize = 16;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let argument = |n: usize, default: &str| arguments.get(n).map_or(default, |a| a).to_owned();
    let grid = match &*argument(0, "f16") {
        "f32" => GridPrecision::F32,
        "i8" => GridPrecision::I8,
        _ => GridPrecision::F16,
    };
    let layers = match &*argument(1, "bf16") {
        "f32" => LayerPrecision::F32,
        "i8" => LayerPrecision::I8 { low: 0.0, step: 0.01 },
        _ => LayerPrecision::Bf16,
    };
    let vertices: usize = argument(2, "128").parse().expect("vertices per axis");
    let path = std::env::temp_dir().join(format!("drr-bench-{}", std::process::id()));
    let grids = match &*argument(3, "volume") {
        "planes" => planes(vertices),
        _ => {
            let shape = [vertices; 3];
            json!([{"axes": [0, 1, 2], "shape": shape, "channels": WIDTH, "offset": 0}])
        }
    };
    write(&path, grids, grid, layers);
    for storage in [Storage::Mapped, Storage::HugePages] {
        let kernels: Vec<Kernel> = match std::env::var_os("DRR_CPU") {
            Some(_) => vec![Kernel::choose().expect("a kernel of this machine")],
            None => Kernel::ALL.into_iter().filter(|k| k.is_supported()).skip(1).collect(),
        };
        for kernel in kernels {
            let model = Model::open(&path, storage, Checksums::Skip).expect("the file");
            let runtime = Runtime::new(model, kernel, 1).expect("a kernel of this machine");
            let [random, ordered] = [random(), ordered()].map(|points| {
                rate(&runtime, |sampler, out| {
                    let points = Points::packed(&points, 3).expect("whole points");
                    sampler.query(&points, out).expect("a query");
                })
            });
            let lattice = rate(&runtime, |sampler, out| {
                sampler.query_lattice(&LATTICE, out).expect("a query");
            });
            let points = self::random();
            let derived = rate(&runtime, |sampler, out| derive(sampler, &points, out));
            println!(
                "{storage:?} {kernel:?}: random {:.2} (best {:.2}), in order {:.2} ({:.2}), lattice \
                 {:.2} ({:.2}), random with derivatives {:.2} ({:.2}) M points/s",
                random[0],
                random[1],
                ordered[0],
                ordered[1],
                lattice[0],
                lattice[1],
                derived[0],
                derived[1]
            );
            let (own, sets, latency) = (rate_own(&runtime), rate_sets(&runtime), latency(&runtime));
            println!(
                "    in order with own parameters {:.2} ({:.2}), for {SETS} sets {:.2} ({:.2}) M \
                 points/s; one warm point {:.2} ({:.2}) us",
                own[0], own[1], sets[0], sets[1], latency[0], latency[1]
            );
        }
    }
    std::fs::remove_file(path).expect("the file");
}

/// Values and derivatives by all coordinates and parameters.
fn derive(sampler: &Sampler, points: &[f32], out: &mut ValuesMut<'_>) {
    let (mut position, mut parameters) = (vec![0.0f32; 3 * POINTS], vec![0.0f32; POINTS]);
    let mut gradients = Gradients {
        position: Some(GradientsMut::packed(&mut position, 1, 3).expect("room")),
        parameters: Some(GradientsMut::packed(&mut parameters, 1, 1).expect("room")),
    };
    let points = Points::packed(points, 3).expect("whole points");
    sampler.query_gradient(&points, Some(out), &mut gradients).expect("a query");
}

/// Median and best of a sampler's queries.
fn rate(runtime: &Arc<Runtime>, query: impl Fn(&Sampler, &mut ValuesMut<'_>)) -> [f64; 2] {
    let sampler = Sampler::new(runtime, &[0.3], &SamplerOptions::default()).expect("in range");
    let mut values = vec![0.0f32; POINTS];
    measure(|| {
        let mut out = ValuesMut::packed(&mut values, 1).expect("room");
        query(&sampler, &mut out);
    })
}

/// As [`rate`], each point for a parameter of its own.
fn rate_own(runtime: &Runtime) -> [f64; 2] {
    let mut rng = Rng(8);
    let parameters: Vec<f32> = (0..POINTS).map(|_| rng.next()).collect();
    let (coordinates, mut values) = (ordered(), vec![0.0f32; POINTS]);
    let points = Points::packed(&coordinates, 3).expect("whole points");
    let parameters = Parameters::packed(&parameters, POINTS, 1).expect("one per point");
    measure(|| {
        let mut out = ValuesMut::packed(&mut values, 1).expect("room");
        runtime.query(&parameters, &SamplerOptions::default(), &points, &mut out).expect("a query");
    })
}

/// As [`rate`], fewer points, each for many parameters.
fn rate_sets(runtime: &Runtime) -> [f64; 2] {
    let parameters: Vec<f32> = (0..SETS).map(|n| n as f32 / SETS as f32).collect();
    let (coordinates, mut values) = (ordered(), vec![0.0f32; POINTS]);
    let points = Points::packed(&coordinates[..3 * POINTS / SETS], 3).expect("whole points");
    let parameters = Parameters::packed(&parameters, SETS, 1).expect("one per set");
    measure(|| {
        let mut out = SetValuesMut::packed(&mut values, SETS, 1).expect("room");
        let options = SamplerOptions::default();
        runtime.query_sets(&parameters, &options, &points, &mut out).expect("a query");
    })
}

/// Millions of values per second of a query for [`POINTS`] of them.
fn measure(mut query: impl FnMut()) -> [f64; 2] {
    let mut seconds: Vec<f64> = (0..REPETITIONS)
        .map(|_| {
            let start = Instant::now();
            query();
            start.elapsed().as_secs_f64()
        })
        .collect();
    seconds.sort_by(f64::total_cmp);
    [seconds[REPETITIONS / 2], seconds[0]].map(|seconds| POINTS as f64 / seconds / 1e6)
}

/// Microseconds that a query of one point takes when it is asked again and again.
fn latency(runtime: &Arc<Runtime>) -> [f64; 2] {
    const CALLS: usize = 1000;
    let sampler = Sampler::new(runtime, &[0.3], &SamplerOptions::default()).expect("in range");
    let (point, mut value) = ([0.3f32, 0.6, 0.7], [0.0f32]);
    let mut micros: Vec<f64> = (0..101)
        .map(|_| {
            let start = Instant::now();
            for _ in 0..CALLS {
                let points = Points::packed(std::hint::black_box(&point), 3).expect("a point");
                let mut out = ValuesMut::packed(&mut value, 1).expect("room");
                sampler.query(&points, &mut out).expect("a query");
            }
            start.elapsed().as_secs_f64() / CALLS as f64 * 1e6
        })
        .collect();
    micros.sort_by(f64::total_cmp);
    [micros[50], micros[0]]
}

/// SplitMix64, from 0 to 1.
struct Rng(u64);

impl Rng {
    fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 40) as f32 / (1 << 24) as f32
    }
}

fn random() -> Vec<f32> {
    let mut rng = Rng(7);
    (0..3 * POINTS).map(|_| rng.next()).collect()
}

/// A part of a volume of 128^3 points, about one in each cell.
const LATTICE: Lattice =
    Lattice { origin: [0.003; 3], spacing: [0.0077; 3], dims: [128, 128, POINTS / 16384] };

fn ordered() -> Vec<f32> {
    let at = |i: usize| (LATTICE.origin[0] + LATTICE.spacing[0] * i as f64) as f32;
    (0..POINTS).flat_map(|i| [at(i % 128), at(i / 128 % 128), at(i / 16384)]).collect()
}

fn planes(vertices: usize) -> Value {
    let size = |axis: usize, scale: usize| if axis == 3 { 16 } else { vertices >> (3 - scale) };
    let plane = |[a, b]: [usize; 2], scale: usize| {
        json!({
            "axes": [a, b],
            "shape": [size(b, scale), size(a, scale)],
            "channels": WIDTH / 4,
            "offset": scale * WIDTH / 4,
            "product": scale,
        })
    };
    let pairs = [[0, 1], [0, 2], [1, 2], [0, 3], [1, 3], [2, 3]];
    (0..4).flat_map(|scale| pairs.map(|pair| plane(pair, scale))).collect()
}

fn write(path: &std::path::Path, grids: Value, grid: GridPrecision, precision: LayerPrecision) {
    let axis = |name| json!({"name": name, "unit": "", "min": 0, "max": 1});
    let layer = |(i, o): (usize, usize)| json!({"inputs": i, "outputs": o, "activation": "relu"});
    let layers = [(WIDTH, WIDTH), (WIDTH, WIDTH), (WIDTH, 1)].map(layer);
    let mut spec: Spec = serde_json::from_value(json!({
        "axes": [axis("x"), axis("y"), axis("z")],
        "parameters": [{"name": "p", "unit": "", "min": 0, "max": 1}],
        "values": [{"name": "v", "unit": "", "min": 0, "max": 1, "transform": "linear"}],
        "grids": grids,
        "lines": [{"parameter": 0, "vertices": 16, "features": WIDTH, "offset": 0}],
        "input": {"width": WIDTH, "bias": true, "activation": "relu"},
        "layers": layers,
    }))
    .expect("a description");
    spec.layers.iter_mut().for_each(|layer| layer.precision = precision);
    spec.layers[2].activation = Activation::Sigmoid;
    let mut rng = Rng(1);
    let mut list =
        |n: usize, scale: f32| -> Vec<f32> { (0..n).map(|_| (rng.next() - 0.5) * scale).collect() };
    let mut writer = Writer::create(path, spec.clone(), grid).expect("a folder");
    for shape in &spec.grids {
        let ranges = vec![(-0.5, 0.5); shape.channels];
        let mut out = match grid {
            GridPrecision::I8 => writer.grid_in_ranges(&ranges),
            _ => writer.grid(),
        }
        .expect("a grid");
        let (rows, row) = (shape.rows().expect("a size"), shape.shape[shape.shape.len() - 1]);
        for _ in 0..rows / row {
            let features = list(row * shape.channels, 1.0).into_iter().map(f64::from);
            out.push(&features.collect::<Vec<_>>()).expect("finite features");
        }
        out.finish().expect("all vertices");
    }
    let tensors = SmallTensors {
        input_bias: Some(list(WIDTH, 1.0)),
        lines: vec![list(16 * WIDTH, 1.0)],
        layers: (spec.layers.iter())
            .map(|layer| (list(layer.inputs * layer.outputs, 0.3), list(layer.outputs, 0.1)))
            .collect(),
        radiance: None,
    };
    writer.finish(&tensors).expect("a file");
}
