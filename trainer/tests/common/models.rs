//! Baked files written number by number, for what no trained model shows.

use std::path::Path;

use drr::model::spec::{
    Activation, Axis, Grid, Input, Layer, LayerPrecision, Line, Parameter, Spec, Transform, Value,
};
use drr::model::{GridPrecision, SmallTensors, Writer};

/// Numbers between -1 and 1, the same on every machine.
struct Numbers(u32);

impl Numbers {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f64::from(self.0 >> 8) / f64::from(1 << 23) - 1.0
    }

    fn list(&mut self, count: usize, scale: f64) -> Vec<f32> {
        (0..count).map(|_| (scale * self.next()) as f32).collect()
    }
}

/// A description with normalised axes, one value and nothing else.
fn spec(width: usize, grids: Vec<Grid>, layers: Vec<Layer>) -> Spec {
    let axis = |name: &str| Axis { name: name.into(), unit: String::new(), min: -1.0, max: 1.0 };
    Spec {
        axes: ["x", "y", "z"].map(axis).to_vec(),
        parameters: Vec::new(),
        values: vec![Value {
            name: "v".into(),
            unit: String::new(),
            min: 0.0,
            max: 1.0,
            transform: Transform::Linear,
        }],
        grids,
        lines: Vec::new(),
        input: Input { width, bias: false, activation: Activation::Identity },
        layers,
        radiance: None,
        provenance: serde_json::Map::new(),
    }
}

fn grid(axes: &[usize], shape: &[usize], channels: usize, offset: usize) -> Grid {
    let (axes, shape) = (axes.to_vec(), shape.to_vec());
    Grid { axes, shape, channels, offset, entries: None, product: None }
}

fn layer(inputs: usize, outputs: usize, activation: Activation) -> Layer {
    Layer { inputs, outputs, activation, precision: LayerPrecision::F32 }
}

/// Writes `feature(vertex, channel)` into every grid.
fn write(
    path: &Path,
    spec: Spec,
    tensors: &SmallTensors,
    mut feature: impl FnMut(usize, usize) -> f64,
) {
    let mut writer = Writer::create(path, spec.clone(), GridPrecision::F32).expect("a writer");
    for grid in &spec.grids {
        let mut rows = writer.grid().expect("a grid");
        for vertex in 0..grid.vertices().expect("vertices") {
            let row: Vec<f64> = (0..grid.channels).map(|c| feature(vertex, c)).collect();
            rows.push(&row).expect("a row");
        }
        rows.finish().expect("all rows");
    }
    writer.finish(tensors).expect("a file");
}

/// Three planes of 6 features at one place and a grid of 2 beside them, a line that adds to the
/// planes and one of its own, a bias, two layers.
pub fn write_planes(path: &Path) {
    let grids = vec![
        grid(&[1, 2], &[5, 4], 6, 0),
        grid(&[0, 2], &[5, 7], 6, 0),
        grid(&[0, 1], &[4, 7], 6, 0),
        grid(&[0, 1, 2], &[2, 3, 4], 2, 6),
    ];
    let layers = vec![layer(11, 7, Activation::SiLU), layer(7, 1, Activation::Sigmoid)];
    let mut spec = spec(11, grids, layers);
    let line = |vertices, features, offset| Line { parameter: 0, vertices, features, offset };
    spec.parameters = vec![Parameter { name: "p".into(), unit: String::new(), min: 0.0, max: 1.0 }];
    spec.lines = vec![line(3, 6, 0), line(4, 3, 8)];
    spec.input.bias = true;
    let mut numbers = Numbers(7);
    let tensors = SmallTensors {
        input_bias: Some(numbers.list(11, 1.0)),
        lines: vec![numbers.list(18, 1.0), numbers.list(12, 1.0)],
        layers: vec![
            (numbers.list(77, 0.7), numbers.list(7, 0.5)),
            (numbers.list(7, 1.0), numbers.list(1, 0.5)),
        ],
        radiance: None,
    };
    // Far from zero, so that means matter.
    write(path, spec, &tensors, |_, _| numbers.next() + 0.7);
}

/// Two features of which the larger has no effect on the result.
pub fn write_blind(path: &Path) {
    let layers = vec![layer(2, 2, Activation::Identity), layer(2, 1, Activation::Identity)];
    let spec = spec(2, vec![grid(&[0, 1, 2], &[5, 6, 7], 2, 0)], layers);
    let layers = vec![(vec![1.0, 0.0, 0.0, 1.0], vec![0.0; 2]), (vec![0.0, 1.0], vec![0.0])];
    let tensors = SmallTensors { layers, ..Default::default() };
    let mut numbers = Numbers(3);
    write(path, spec, &tensors, |_, c| numbers.next() * if c == 0 { 5.0 } else { 1.0 });
}

/// A grid of 189 MB and a small decoder.
pub fn write_large(path: &Path) {
    let layers = vec![layer(16, 16, Activation::ReLU), layer(16, 1, Activation::Sigmoid)];
    let spec = spec(16, vec![grid(&[0, 1, 2], &[128, 144, 160], 16, 0)], layers);
    let mut numbers = Numbers(5);
    let layers = vec![
        (numbers.list(256, 0.5), numbers.list(16, 0.5)),
        (numbers.list(16, 1.0), numbers.list(1, 0.5)),
    ];
    let tensors = SmallTensors { layers, ..Default::default() };
    // Sixteen features, about half of them alike.
    write(path, spec, &tensors, |vertex, c| {
        ((vertex % 7919) as f64 * 1e-3 * (1 + c % 8) as f64).sin() + 0.01 * numbers.next()
    });
}
