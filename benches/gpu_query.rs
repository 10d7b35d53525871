//! Queries on a GPU, measured: points per second of models of published sizes, with random weights.
//!
//!     cargo bench --bench gpu_query [-- --device N] [--points LOG2,...] [--tiny] [--json FILE]
//!
//! `tests/gpu/run.sh` runs it and, beside it, the same networks in PyTorch (`tests/gpu/peers.py`).
//! Points and results stay in the GPU's memory; times are those of a stream that is waited for,
//! medians of several rounds. The rates of arithmetic count the layers, a multiplication and an
//! addition per weight; those of memory count eight corners per point, as if none was ever shared.

#[path = "../tests/common/mod.rs"]
mod common;

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use common::Rng;
use drr::cuda::gpu::Gpu;
use drr::cuda::{Choice, Machine, Memory, Stream};
use drr::model::spec::{
    Activation, Axis, Grid, Input, Layer, Line, Parameter, Spec, Transform, Value,
};
use drr::model::{GridPrecision, Writer};
use drr::sampler::results::{Places, PointStride};
use drr::sampler::scalar::Scalar;
use drr::{
    DeviceModel, DeviceOptions, DeviceSampler, Error, Lattice, OpenOptions, Points, Runtime,
    SamplerOptions, Storage, Units, ValuesMut,
};
use serde_json::json;

const ROUNDS: usize = 7;

/// A published configuration after folding: the grid has the width of the hidden layers.
struct Size {
    name: &'static str,
    shape: [usize; 3],
    hidden: usize,
    /// Layers after the first, which is folded into the grid.
    layers: usize,
    parameters: usize,
}

const SIZES: [Size; 3] = [
    Size { name: "clover_600", shape: [128; 3], hidden: 128, layers: 3, parameters: 6 },
    Size { name: "nyx", shape: [128; 3], hidden: 128, layers: 3, parameters: 3 },
    Size { name: "mpas_graph", shape: [160, 160, 60], hidden: 128, layers: 2, parameters: 4 },
];

const TINY: [Size; 1] =
    [Size { name: "tiny", shape: [6, 9, 7], hidden: 24, layers: 3, parameters: 2 }];

impl Size {
    fn spec(&self) -> Spec {
        let axis = |name: &str| Axis { name: name.into(), unit: String::new(), min: 0.0, max: 1.0 };
        let parameter =
            |n| Parameter { name: format!("p{n}"), unit: String::new(), min: 0.0, max: 1.0 };
        let layer = |n| {
            let is_last = n + 1 == self.layers;
            Layer {
                inputs: self.hidden,
                outputs: if is_last { 1 } else { self.hidden },
                activation: if is_last { Activation::Sigmoid } else { Activation::ReLU },
                precision: Default::default(),
            }
        };
        Spec {
            axes: ["x", "y", "z"].map(axis).into(),
            parameters: (0..self.parameters).map(parameter).collect(),
            values: vec![Value {
                name: "v".into(),
                unit: String::new(),
                min: 0.0,
                max: 1.0,
                transform: Transform::Linear,
            }],
            grids: vec![Grid {
                axes: vec![0, 1, 2],
                shape: self.shape.into(),
                channels: self.hidden,
                offset: 0,
                entries: None,
                product: None,
            }],
            lines: (0..self.parameters)
                .map(|parameter| Line { parameter, vertices: 16, features: self.hidden, offset: 0 })
                .collect(),
            input: Input { width: self.hidden, bias: true, activation: Activation::ReLU },
            layers: (0..self.layers).map(layer).collect(),
            radiance: None,
            provenance: Default::default(),
        }
    }

    fn write(&self, path: &Path) -> Result<(), Error> {
        let (spec, mut rng) = (self.spec(), Rng::new(1));
        let tensors = common::small_tensors(&spec, &mut rng);
        let mut writer = Writer::create(path, spec, GridPrecision::F16)?;
        let mut grid = writer.grid()?;
        // A few thousand rows again and again: their numbers do not matter, their places do.
        let rows: Vec<Vec<f32>> = (0..4096)
            .map(|_| rng.list(self.hidden, 1.0).into_iter().map(|x| x as f32).collect())
            .collect();
        for n in 0..self.shape.iter().product() {
            let row: Vec<f64> = rows[n % rows.len()].iter().map(|&x| x.into()).collect();
            grid.push(&row)?;
        }
        grid.finish()?;
        writer.finish(&tensors).map(drop)
    }

    /// Multiplications and additions of the layers, per point.
    fn flops(&self) -> f64 {
        2.0 * (self.hidden * (self.layers - 1) * self.hidden + self.hidden) as f64
    }

    /// Bytes of eight corners.
    fn bytes(&self) -> f64 {
        8.0 * 2.0 * self.hidden as f64
    }
}

fn main() -> Result<(), Error> {
    let words: Vec<String> = std::env::args().collect();
    let value = |name: &str| words.iter().position(|w| w == name).and_then(|n| words.get(n + 1));
    let device = value("--device").and_then(|n| n.parse().ok()).unwrap_or(0);
    let points = value("--points").map_or("20,22,24", String::as_str);
    let counts: Vec<usize> =
        (points.split(',').filter_map(|n| n.parse::<u32>().ok())).map(|n| 1 << n.min(28)).collect();
    let kernel = match words.iter().any(|w| w == "--portable") {
        true => Choice::Portable,
        false => Choice::Auto,
    };
    let device_options = DeviceOptions { kernel };
    let sizes: &[Size] = if words.iter().any(|w| w == "--tiny") { &TINY } else { &SIZES };
    if drr::cuda::gpu::count()? == 0 {
        println!("skipped: queries on a GPU (there is none)");
        return Ok(());
    }
    // SAFETY: no context is given.
    let machine = unsafe { Gpu::open(device, std::ptr::null_mut())? };
    println!("{}, medians of {ROUNDS} rounds", machine.name());
    println!(
        "{:<12} {:>10} {:<8} {:>10} {:>12} {:>10} {:>10}",
        "model", "points", "order", "ns/point", "Mpoints/s", "TFLOP/s", "GB/s"
    );
    let mut rows = Vec::new();
    for size in sizes {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("model");
        size.write(&path)?;
        let options = OpenOptions { storage: Storage::Mapped, ..Default::default() };
        let model = DeviceModel::on(&Runtime::open(&path, &options)?, &machine, &device_options)?;
        for &count in &counts {
            for order in ["random", "lattice"] {
                let seconds = measure(&machine, &model, count, order)?;
                let rate = count as f64 / seconds;
                let (flops, bytes) = (rate * size.flops() * 1e-12, rate * size.bytes() * 1e-9);
                println!(
                    "{:<12} {count:>10} {order:<8} {:>10.3} {:>12.1} {flops:>10.2} {bytes:>10.1}",
                    size.name,
                    1e9 / rate,
                    rate * 1e-6
                );
                rows.push(json!({
                    "model": size.name, "kernel": model.kernel().name(), "points": count, "order": order, "seconds": seconds,
                    "shape": size.shape, "hidden": size.hidden, "layers": size.layers,
                    "tflops": flops, "gbytes": bytes,
                }));
            }
        }
    }
    if let Some(path) = value("--json") {
        let all = json!({ "device": machine.name(), "rows": rows });
        std::fs::write(path, format!("{all:#}\n"))?;
    }
    Ok(())
}

/// Seconds that a query takes.
fn measure(
    machine: &Arc<dyn Machine>,
    model: &Arc<DeviceModel>,
    count: usize,
    order: &str,
) -> Result<f64, Error> {
    let parameters = vec![0.4; model.runtime().model().spec().parameters.len()];
    let options = SamplerOptions { units: Units::Normalized, ..Default::default() };
    let sampler = DeviceSampler::new(model, &parameters, &options)?;
    let values = Memory::new(machine, 4 * count)?;
    let input = Memory::new(machine, 12 * count)?;
    let mut rng = Rng::new(2);
    let numbers: Vec<u8> =
        (0..3 * count).flat_map(|_| (rng.uniform(-1.0, 1.0) as f32).to_ne_bytes()).collect();
    // SAFETY: our block of this size.
    unsafe { machine.upload(input.address(), &numbers)? };
    let side = (count as f64).cbrt().ceil() as usize;
    let lattice = Lattice {
        origin: [-1.0; 3],
        spacing: [2.0 / side as f64; 3],
        dims: [side, side, count.div_ceil(side * side).min(count / (side * side))],
    };
    let asked = if order == "random" { count } else { lattice.points().unwrap_or(0) };
    let mut times = Vec::new();
    for round in 0..=ROUNDS {
        let start = Instant::now();
        let axes = [0, 4, 8].map(|k| ((input.address() + k) as *const u8, 12));
        let places = Places::Strided(values.address() as *mut u8, [4, 0]);
        // SAFETY: both blocks have room for so many points, and are waited for.
        unsafe {
            let mut room =
                ValuesMut::from_raw(Scalar::F32, [asked, 1], places, PointStride::Each(4));
            match order {
                "random" => {
                    let points = Points::from_raw(Scalar::F32, count, 3, axes);
                    sampler.query(&points, &mut room, Stream(0))?;
                }
                _ => sampler.query_lattice(&lattice, &mut room, Stream(0))?,
            }
        }
        machine.synchronize(Stream(0))?;
        // The first one warms up.
        if round > 0 {
            times.push(start.elapsed().as_secs_f64() * count as f64 / asked as f64);
        }
    }
    times.sort_by(f64::total_cmp);
    Ok(times[ROUNDS / 2])
}
