//! What the tests share: random models written through the library's own writer, points to ask
//! them at, a second reader written from `docs/format.md` alone ([`plain`]) and a maker of files
//! that should not exist ([`forge`]).

// Every test program uses another part of this.
#![allow(dead_code)]

pub mod forge;
pub mod gradient;
pub mod plain;
pub mod plain_radiance;
pub mod products;
pub mod programs;
pub mod radiance;
pub mod random;

use std::sync::Arc;

use drr::model::spec::{Layer, Spec};
use drr::model::{GridPrecision, SmallRadiance, SmallTensors, Writer};
use drr::{Checksums, Kernel, Model, Points, Runtime, Sampler, SamplerOptions, ValuesMut};

pub use random::Rng;

/// A baked model and the bytes of its file.
pub struct Baked {
    pub spec: Spec,
    pub precision: GridPrecision,
    pub bytes: Vec<u8>,
}

impl Baked {
    /// Random numbers for `spec`, written by the library's writer.
    pub fn write(spec: Spec, precision: GridPrecision, rng: &mut Rng) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("model.drr.safetensors");
        let mut writer = Writer::create(&path, spec.clone(), precision).expect("a valid spec");
        for shape in &spec.grids {
            let ranges: Vec<(f64, f64)> = (0..shape.channels)
                .map(|_| (rng.uniform(-1.0, -0.1), rng.uniform(-0.1, 1.0)))
                .collect();
            let grid = match precision {
                GridPrecision::I8 => writer.grid_in_ranges(&ranges),
                _ => writer.grid(),
            };
            let mut grid = grid.expect("a grid to write");
            for _ in 0..shape.rows().expect("a small grid") {
                grid.push(&rng.list(shape.channels, 1.0)).expect("finite features");
            }
            grid.finish().expect("a complete grid");
        }
        writer.finish(&small_tensors(&spec, rng)).expect("a complete model");
        let bytes = std::fs::read(&path).expect("the finished file");
        // As readers see it: the ends of ranges may lose their last bit on the way through JSON.
        let model = Model::from_bytes(&bytes, Checksums::Verify).expect("a valid file");
        Self { spec: model.spec().clone(), precision, bytes }
    }

    pub fn model(&self) -> Model {
        Model::from_bytes(&self.bytes, Checksums::Verify).expect("a valid file")
    }

    pub fn runtime(&self, kernel: Kernel, threads: usize) -> Arc<Runtime> {
        Runtime::new(self.model(), kernel, threads).expect("a kernel of this machine")
    }

    pub fn sampler(&self, kernel: Kernel, parameters: &[f64], options: &SamplerOptions) -> Sampler {
        Sampler::new(&self.runtime(kernel, 1), parameters, options).expect("valid parameters")
    }
}

/// Random small tensors; weights are scaled so that values neither grow nor fade over the layers.
pub fn small_tensors(spec: &Spec, rng: &mut Rng) -> SmallTensors {
    let floats = |values: Vec<f64>| values.into_iter().map(|v| v as f32).collect::<Vec<_>>();
    let mut list = |count, scale| floats(rng.list(count, scale));
    let layer = |list: &mut dyn FnMut(usize, f64) -> Vec<f32>, layer: &Layer| {
        let scale = 1.2 * (3.0 / layer.inputs as f64).sqrt();
        (list(layer.outputs * layer.inputs, scale), list(layer.outputs, 0.3))
    };
    let mut tensors = SmallTensors {
        input_bias: spec.input.bias.then(|| list(spec.input.width, 0.5)),
        lines: spec.lines.iter().map(|line| list(line.vertices * line.features, 1.0)).collect(),
        layers: spec.layers.iter().map(|each| layer(&mut list, each)).collect(),
        radiance: spec.radiance.as_ref().map(|radiance| SmallRadiance {
            layers: radiance.layers.iter().map(|each| layer(&mut list, each)).collect(),
            occupancy: None,
        }),
    };
    let cells = spec.radiance.as_ref().and_then(|radiance| radiance.occupancy);
    if let Some(radiance) = &mut tensors.radiance {
        radiance.occupancy = cells.map(|shape| radiance::cells(shape, rng));
    }
    tensors
}

/// Values at packed points, in 64 bits.
pub fn query(sampler: &Sampler, points: &[f64]) -> Vec<f64> {
    let spec = sampler.runtime().model().spec();
    let count = points.len() / spec.axes.len();
    let mut values = vec![f64::MIN; count * spec.outputs()];
    let points = Points::packed(points, spec.axes.len()).expect("whole points");
    let mut out = ValuesMut::packed(&mut values, spec.outputs()).expect("whole points");
    sampler.query(&points, &mut out).expect("a query that fits the model");
    values
}

/// The bits of numbers: equality that tells 0 from -0 and knows NaN.
pub fn bits(values: &[f64]) -> Vec<u64> {
    values.iter().map(|value| value.to_bits()).collect()
}

/// All kernels of this machine, the reference first.
pub fn kernels() -> impl Iterator<Item = Kernel> {
    Kernel::ALL.into_iter().filter(|kernel| kernel.is_supported())
}
