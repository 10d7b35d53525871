//! The networks of the benchmark: sizes of published configurations, random weights. Both forms of
//! one function are made here: the original, which competitors evaluate, and the folded one, which
//! is baked. Nothing is measured here.

use std::path::{Path, PathBuf};

use anyhow::Result;
use drr::model::spec::{
    Activation, Axis, Grid, Input, Layer, Line, Parameter, Spec, Transform, Value,
};
use drr::model::{GridPrecision, SmallTensors, Writer};
use tch::{Device, Kind, Tensor};

use crate::machine::arithmetic::Arithmetic;
use crate::subject::{VARIANTS, Variant};

/// Vertices that are folded and written at a time.
const CHUNK: i64 = 1 << 14;

/// Sizes of a network.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// Name in tables and on the command line.
    pub name: &'static str,
    /// Vertices of the refined grid, `[D, H, W]`.
    pub shape: [usize; 3],
    /// Features per vertex before folding.
    pub channels: usize,
    /// Simulation parameters.
    pub parameters: usize,
    /// Vertices of the refined lines.
    pub line_vertices: usize,
    /// Features per line, all scales together.
    pub line_features: usize,
    /// Width of the hidden layers, and of the folded grid.
    pub hidden: usize,
    /// Layers after the fusion, the last gives the value.
    pub layers: usize,
}

/// The reference's configurations of these names, after refinement.
pub const SIZES: [Size; 3] = [
    Size {
        name: "clover_600",
        shape: [128; 3],
        channels: 96,
        parameters: 6,
        line_vertices: 16,
        line_features: 4 * 2,
        hidden: 128,
        layers: 3,
    },
    Size {
        name: "nyx",
        shape: [128; 3],
        channels: 128,
        parameters: 3,
        line_vertices: 16,
        line_features: 4 * 4,
        hidden: 128,
        layers: 3,
    },
    Size {
        name: "mpas_graph",
        shape: [160, 160, 60],
        channels: 160,
        parameters: 4,
        line_vertices: 32,
        line_features: 4 * 4,
        hidden: 128,
        layers: 2,
    },
];

/// Small enough for a check without measuring; no two sizes are equal, nor multiples of a vector.
pub const TINY: Size = Size {
    name: "tiny",
    shape: [6, 9, 7],
    channels: 11,
    parameters: 2,
    line_vertices: 5,
    line_features: 3,
    hidden: 24,
    layers: 3,
};

impl Size {
    /// Vertices of the grid.
    pub fn vertices(&self) -> usize {
        self.shape.iter().product()
    }

    /// Length of the latent vector of one set of parameters.
    pub fn latent(&self) -> usize {
        self.parameters * self.line_features
    }

    /// Inputs and outputs of each layer of the original network, the fusion first.
    pub fn layer_sizes(&self) -> Vec<[usize; 2]> {
        let mut sizes = vec![[self.channels + self.latent(), self.hidden]];
        sizes.resize(self.layers, [self.hidden, self.hidden]);
        sizes.push([self.hidden, 1]);
        sizes
    }

    /// Floating-point operations per point of the layers that remain after folding: a
    /// multiplication and an addition per weight. Interpolation is left out.
    pub fn decoder_flops(&self) -> f64 {
        let weights: usize = self.layer_sizes()[1..].iter().map(|[m, n]| m * n).sum();
        2.0 * weights as f64
    }

    /// One set of parameters, in [0, 1].
    pub fn parameter_values(&self) -> Vec<f64> {
        (0..self.parameters).map(|i| (0.17 + 0.29 * i as f64).fract()).collect()
    }
}

/// The original network, with the numbers that competitors need.
pub struct Network {
    /// Its sizes.
    pub size: Size,
    /// Refined features, `[vertices, channels]`.
    pub grid: Tensor,
    /// Refined lines, `[parameters, line_vertices, line_features]`.
    lines: Tensor,
    /// Weight `[outputs, inputs]` and bias of each layer, the fusion first.
    pub layers: Vec<(Tensor, Tensor)>,
}

/// Baked files of one network; they go away with this.
pub struct Baked {
    files: Vec<(&'static str, PathBuf)>,
}

impl Network {
    /// Random weights, the same each time.
    pub fn new(size: Size) -> Self {
        tch::manual_seed(2026);
        // Weights that keep the size of what goes through (He et al. 2015): values then vary over
        // the domain, and comparing results means something.
        let layers = size.layer_sizes().into_iter().map(|[inputs, outputs]| {
            let bound = (6.0 / inputs as f64).sqrt();
            (uniform(&[outputs, inputs], bound), uniform(&[outputs], 0.1))
        });
        let layers = layers.collect();
        let lines = [size.parameters, size.line_vertices, size.line_features];
        let lines = uniform(&lines, 1.0);
        let grid = uniform(&[size.vertices(), size.channels], 1.0);
        Self { size, grid, lines, layers }
    }

    /// What the lines give at the parameters, `[latent]`.
    pub fn latent(&self) -> Tensor {
        let last = self.size.line_vertices - 1;
        let parts: Vec<_> = (self.size.parameter_values().iter().enumerate())
            .map(|(d, t)| {
                let p = t * last as f64;
                let i = (p as usize).min(last - 1) as i64;
                let line = self.lines.get(d as i64);
                line.get(i).lerp(&line.get(i + 1), p - i as f64)
            })
            .collect();
        Tensor::cat(&parts, 0)
    }

    /// The weights of all layers in order as raw little-endian numbers, weight before bias.
    pub fn weight_bytes(&self) -> Vec<u8> {
        let tensors = self.layers.iter().flat_map(|(weight, bias)| [weight, bias]);
        tensors.flat_map(numbers).flat_map(f32::to_le_bytes).collect()
    }

    /// Writes the folded network into `folder`, once for each of [`VARIANTS`]: grid and lines
    /// multiplied by their part of the fusion's weight, so that looking up does the fusion, too.
    /// `largest` are the largest inputs of the layers that remain.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn bake(&self, folder: &Path, largest: &[f64]) -> Result<Baked> {
        let mut baked = Baked { files: Vec::new() };
        let mut writers = Vec::new();
        for variant in &VARIANTS {
            let path = folder.join(format!("{}-{}.drr.safetensors", self.size.name, variant.name));
            let spec = self.folded_spec(variant.arithmetic, largest);
            writers.push(Writer::create(&path, spec, variant.grid)?);
            baked.files.push((variant.name, path));
        }
        let ranges = self.folded_ranges();
        let grids = writers.iter_mut().zip(&VARIANTS).map(|(writer, variant)| match variant.grid {
            GridPrecision::I8 => writer.grid_in_ranges(&ranges),
            _ => writer.grid(),
        });
        let mut grids = grids.collect::<Result<Vec<_>, _>>()?;
        let mut features = vec![0.0; CHUNK as usize * self.size.hidden];
        for chunk in self.folded_chunks() {
            let count = chunk.numel();
            chunk.to_kind(Kind::Double).copy_data(&mut features, count);
            for grid in &mut grids {
                grid.push(&features[..count])?;
            }
        }
        for grid in grids {
            grid.finish()?;
        }
        let tensors = self.folded_tensors();
        for writer in writers {
            writer.finish(&tensors)?;
        }
        Ok(baked)
    }

    /// The folded grid, some vertices after the other, `[n, hidden]`.
    fn folded_chunks(&self) -> impl Iterator<Item = Tensor> {
        let weight = self.layers[0].0.narrow(1, 0, self.size.channels as i64);
        let vertices = self.size.vertices() as i64;
        (0..vertices).step_by(CHUNK as usize).map(move |start| {
            let rows = self.grid.narrow(0, start, CHUNK.min(vertices - start));
            rows.linear(&weight, None::<&Tensor>)
        })
    }

    /// The smallest and largest feature of each channel of the folded grid.
    fn folded_ranges(&self) -> Vec<(f64, f64)> {
        let mut ranges = vec![(f64::INFINITY, f64::NEG_INFINITY); self.size.hidden];
        for chunk in self.folded_chunks() {
            let (low, high) = (numbers(&chunk.amin(0, false)), numbers(&chunk.amax(0, false)));
            for ((min, max), (low, high)) in ranges.iter_mut().zip(low.into_iter().zip(high)) {
                (*min, *max) = (min.min(low.into()), max.max(high.into()));
            }
        }
        ranges
    }

    fn folded_spec(&self, arithmetic: Arithmetic, largest: &[f64]) -> Spec {
        let Size { shape, parameters, line_vertices, hidden, .. } = self.size;
        let axis =
            |name: &str| Axis { name: name.into(), unit: String::new(), min: -1.0, max: 1.0 };
        let sizes = self.size.layer_sizes();
        let layers = sizes[1..].iter().zip(largest).enumerate();
        let layers = layers.map(|(n, (&[inputs, outputs], &largest))| {
            let last = n + 2 == sizes.len();
            let activation = if last { Activation::Sigmoid } else { Activation::ReLU };
            let precision = arithmetic.precision(largest, last);
            Layer { inputs, outputs, activation, precision }
        });
        Spec {
            axes: ["x", "y", "z"].map(axis).into(),
            parameters: (0..parameters)
                .map(|n| Parameter {
                    name: format!("p{n}"),
                    unit: String::new(),
                    min: 0.0,
                    max: 1.0,
                })
                .collect(),
            values: vec![Value {
                name: "value".into(),
                unit: String::new(),
                min: 0.0,
                max: 1.0,
                transform: Transform::Linear,
            }],
            grids: vec![Grid {
                axes: vec![0, 1, 2],
                shape: shape.into(),
                channels: hidden,
                offset: 0,
                entries: None,
                product: None,
            }],
            lines: (0..parameters)
                .map(|parameter| Line {
                    parameter,
                    vertices: line_vertices,
                    features: hidden,
                    offset: 0,
                })
                .collect(),
            input: Input { width: hidden, bias: true, activation: Activation::ReLU },
            layers: layers.collect(),
            radiance: None,
            provenance: serde_json::Map::new(),
        }
    }

    fn folded_tensors(&self) -> SmallTensors {
        let Size { channels, parameters, line_features, .. } = self.size;
        let (weight, bias) = &self.layers[0];
        let lines = (0..parameters).map(|d| {
            let start = channels + d * line_features;
            let weight = weight.narrow(1, start as i64, line_features as i64);
            numbers(&self.lines.get(d as i64).linear(&weight, None::<&Tensor>))
        });
        SmallTensors {
            input_bias: Some(numbers(bias)),
            lines: lines.collect(),
            layers: self.layers[1..].iter().map(|(w, b)| (numbers(w), numbers(b))).collect(),
            radiance: None,
        }
    }
}

impl Baked {
    /// The file of a variant.
    pub fn path(&self, variant: &Variant) -> &Path {
        let file = self.files.iter().find(|file| file.0 == variant.name);
        file.map_or(Path::new("(not baked)"), |file| &file.1)
    }
}

impl Drop for Baked {
    fn drop(&mut self) {
        for (_, path) in &self.files {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// All numbers of a tensor in row-major order.
pub fn numbers(tensor: &Tensor) -> Vec<f32> {
    let mut numbers = vec![0.0; tensor.numel()];
    tensor.contiguous().copy_data(&mut numbers, tensor.numel());
    numbers
}

fn uniform(shape: &[usize], bound: f64) -> Tensor {
    let shape: Vec<_> = shape.iter().map(|&n| n as i64).collect();
    Tensor::empty(&shape[..], (Kind::Float, Device::Cpu)).uniform_(-bound, bound)
}
