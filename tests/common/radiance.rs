//! Random radiance fields, and rays through and past them.

use drr::Camera;
use drr::model::spec::{Activation, Layer, LayerPrecision, Radiance, Spec, Transform, Value};
use drr::model::{GridPrecision, SmallRadiance, SmallTensors, Writer};
use serde_json::json;

use super::random::{self, Layout, Rng};
use super::{Baked, products};

/// How many random radiance fields the tests go through.
pub const MODELS: u64 = 40;

/// Random radiance field `seed`; layouts, bands of harmonics and precisions take turns.
pub fn model(seed: u64) -> Baked {
    let mut rng = Rng::new(seed + 33_000);
    let mut spec = volume(seed, &mut rng);
    let diagonal = spec.axes.iter().fold(0.0, |d: f64, axis| d.hypot(axis.max - axis.min));
    for (n, value) in spec.values.iter_mut().enumerate() {
        *value = if n == 0 { density(diagonal, &mut rng) } else { feature(n, &mut rng) };
    }
    let features = spec.values.len() - 1;
    let harmonics = (seed % 5) as usize;
    let harmonics = if features + harmonics == 0 { 1 } else { harmonics };
    let layers = head(harmonics * harmonics + features, &mut rng);
    let occupancy =
        (rng.below(4) > 0).then(|| [0; 3].map(|_: usize| rng.pick(&[1, 2, 3, 5, 8, 9, 17])));
    let step = diagonal / rng.uniform(10.0, 60.0);
    spec.radiance = Some(Radiance { harmonics, layers, occupancy, step });
    if seed / 5 % 3 == 2 {
        random::shorten(&mut spec, &mut rng);
    }
    Baked::write(spec, GridPrecision::ALL[seed as usize / 3 % 3], &mut rng)
}

/// The same with a head whose layers are too wide for some devices.
pub fn wide(seed: u64) -> Baked {
    let (mut rng, Baked { mut spec, precision, .. }) = (Rng::new(seed), model(seed));
    if let Some(field) = &mut spec.radiance {
        field.layers.truncate(1);
        field.layers[0].outputs = 512;
        let activation = Activation::Sigmoid;
        let precision = LayerPrecision::F32;
        field.layers.push(Layer { inputs: 512, outputs: 3, activation, precision });
    }
    Baked::write(spec, precision, &mut rng)
}

/// A random description of a model with three axes.
fn volume(seed: u64, rng: &mut Rng) -> Spec {
    loop {
        let spec = match seed % 6 {
            5 => products::spec(false, rng),
            n => random::spec(Layout::ALL[n as usize], rng),
        };
        if spec.axes.len() == 3 {
            return spec;
        }
    }
}

fn density(diagonal: f64, rng: &mut Rng) -> Value {
    let transform = rng.pick(&[Transform::Linear, Transform::Log, Transform::Log]);
    let most = rng.uniform(1.0, 30.0) / diagonal;
    let [min, max] = match transform {
        // Some are negative.
        Transform::Linear => [-0.3 * most, most],
        Transform::Log => [most.ln() - 4.0, most.ln()],
    };
    Value { name: "density".into(), unit: "1/cm".into(), min, max, transform }
}

fn feature(n: usize, rng: &mut Rng) -> Value {
    let min = rng.uniform(-2.0, 0.0);
    let max = min + rng.uniform(0.5, 3.0);
    let transform = Transform::Linear;
    Value { name: format!("f{n}"), unit: String::new(), min, max, transform }
}

fn head(width: usize, rng: &mut Rng) -> Vec<Layer> {
    let count = 1 + rng.below(3);
    let mut inputs = width;
    (0..count)
        .map(|n| {
            let is_last = n + 1 == count;
            let outputs = if is_last { 3 } else { rng.pick(&[3, 4, 7, 16, 17, 33, 64]) };
            let some = rng.pick(&[Activation::ReLU, Activation::SiLU, Activation::Sine]);
            let activation = if is_last { Activation::Sigmoid } else { some };
            let layer = Layer { inputs, outputs, activation, precision: LayerPrecision::F32 };
            inputs = outputs;
            layer
        })
        .collect()
}

/// Random cells: none, some, half or all of them.
pub fn cells(shape: [usize; 3], rng: &mut Rng) -> Vec<bool> {
    let part = rng.pick(&[0.0, 0.2, 0.2, 0.5, 0.5, 1.0]);
    (0..shape.iter().product()).map(|_| rng.uniform(0.0, 1.0) < part).collect()
}

/// Origins and directions of rays, packed: through the domain, past it, from within, along an axis.
pub fn rays(spec: &Spec, count: usize, rng: &mut Rng) -> [Vec<f64>; 2] {
    let [mut origins, mut directions] = [Vec::new(), Vec::new()];
    for _ in 0..count {
        let mut place = |reach: f64| {
            [0, 1, 2].map(|k| {
                let axis = &spec.axes[k];
                axis.min + (axis.max - axis.min) * rng.uniform(-reach, 1.0 + reach)
            })
        };
        let (from, to) = (place(2.0), place(0.0));
        let mut direction = [0, 1, 2].map(|k| to[k] - from[k]);
        let mut origin = from;
        match rng.below(8) {
            0 => origin = to,                       // From within.
            1 => direction = direction.map(|x| -x), // Away from it.
            2 => {
                // Along an axis, through a point of the domain.
                let axis = rng.below(3);
                for k in (0..3).filter(|&k| k != axis) {
                    (origin[k], direction[k]) = (to[k], 0.0);
                }
            }
            3 => direction[rng.below(3)] = 0.0,
            _ => {}
        }
        let scale = rng.pick(&[1.0, 1e-3, 1e6]);
        origins.extend(origin);
        directions.extend(direction.map(|x| x * scale));
    }
    [origins, directions]
}

/// A camera outside the domain that looks at it.
pub fn camera(baked: &Baked, size: [usize; 2], rng: &mut Rng) -> Camera {
    let axes = &baked.spec.axes;
    let centre = [0, 1, 2].map(|k| (axes[k].min + axes[k].max) / 2.0);
    let diagonal = axes.iter().fold(0.0, |d: f64, axis| d.hypot(axis.max - axis.min));
    let back = unit(&rng.list(3, 1.0));
    let cross = |a: [f64; 3], b: [f64; 3]| {
        [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
    };
    let right = unit(&cross([0.3, 0.2, 1.0], back));
    let up = cross(back, right);
    let to_world =
        [0, 1, 2].map(|k| [right[k], up[k], back[k], centre[k] + 1.2 * diagonal * back[k]]);
    let focal = size[0] as f64 * 1.3;
    let middle = size.map(|n| n as f64 / 2.0);
    Camera { to_world, focal: [focal, 0.9 * focal], centre: middle }
}

/// With length 1.
pub fn unit(d: &[f64]) -> [f64; 3] {
    let length = d.iter().map(|x| x * x).sum::<f64>().sqrt();
    [d[0] / length, d[1] / length, d[2] / length]
}

/// A small scene that can be written down: a blunt star of striped glass in a box from -1 to 1,
/// larger and bluer for a larger parameter `t`. `data/radiance/star.drr.safetensors` is this file.
///
/// Its grid holds x, y and z themselves, of which sines make cosines over one period and stripes;
/// where the cosines' sum is large, it is dense.
pub fn scene() -> Baked {
    let axis = |name| json!({"name": name, "unit": "m", "min": -1.0, "max": 1.0});
    let value = |name, min: f64, max: f64, transform| json!({"name": name, "unit": "", "min": min, "max": max, "transform": transform});
    let layer = |inputs, outputs, activation| json!({"inputs": inputs, "outputs": outputs, "activation": activation});
    let axes = ["x", "y", "z"].map(axis);
    let spec: Spec = serde_json::from_value(json!({
        "axes": axes,
        "parameters": [{"name": "t", "unit": "", "min": 0.0, "max": 1.0}],
        "values": [
            value("density", 1e-3f64.ln(), 40f64.ln(), "log"),
            value("red", 0.0, 1.0, "linear"),
            value("green", 0.0, 1.0, "linear"),
            value("blue", 0.0, 1.0, "linear"),
        ],
        "grids": [{"axes": [0, 1, 2], "shape": [2, 2, 2], "channels": 3, "offset": 0}],
        "lines": [{"parameter": 0, "vertices": 2, "features": 1, "offset": 3}],
        "input": {"width": 4, "bias": false, "activation": "identity"},
        "layers": [layer(4, 7, "sine"), layer(7, 4, "sigmoid")],
        "radiance": {
            "harmonics": 2,
            "layers": [layer(7, 3, "sigmoid")],
            "occupancy": [16, 16, 16],
            "step": 0.02,
        },
        "provenance": {"tool": "tests/common/radiance.rs"},
    }))
    .expect("a description");
    let pi = std::f32::consts::PI;
    let stripes = [[9.0, 4.0, 0.0], [0.0, 9.0, 4.0], [4.0, 0.0, 9.0]];
    let mut first = Vec::new();
    (0..3).for_each(|k| first.extend([0, 1, 2, 3].map(|i| if i == k { pi } else { 0.0 })));
    stripes.iter().for_each(|&[x, y, z]| first.extend([x, y, z, 0.0]));
    first.extend([0.0, 0.0, 0.0, pi / 2.0]);
    let first_bias = vec![pi / 2.0, pi / 2.0, pi / 2.0, 0.0, 1.0, 2.0, 0.0];
    let second = vec![
        12.0, 12.0, 12.0, 0.0, 0.0, 0.0, 3.0, //
        0.0, 0.0, 0.0, 4.0, 0.0, 0.0, -2.0, //
        0.0, 0.0, 0.0, 0.0, 4.0, 0.0, 0.0, //
        0.0, 0.0, 0.0, 0.0, 0.0, 4.0, 2.0,
    ];
    let second_bias = vec![-15.0, 0.0, 0.0, 0.0];
    // Harmonics first: brighter where one looks down, that is from above.
    let head = vec![
        0.0, 0.0, -1.5, 0.0, 4.0, -1.0, -1.0, //
        0.0, 0.0, -1.5, 0.0, -1.0, 4.0, -1.0, //
        0.0, 0.0, -1.5, 0.0, -1.0, -1.0, 4.0,
    ];
    let radiance =
        SmallRadiance { layers: vec![(head, vec![-0.5; 3])], occupancy: Some(star_cells(16)) };
    let tensors = SmallTensors {
        input_bias: None,
        lines: vec![vec![0.0, 1.0]],
        layers: vec![(first, first_bias), (second, second_bias)],
        radiance: Some(radiance),
    };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("star.drr.safetensors");
    let mut writer = Writer::create(&path, spec.clone(), GridPrecision::F32).expect("a folder");
    let mut grid = writer.grid().expect("a grid");
    for corner in 0..8 {
        let end = |k: usize| if corner >> k & 1 == 1 { 1.0 } else { -1.0 };
        grid.push(&[end(0), end(1), end(2)]).expect("room");
    }
    grid.finish().expect("a grid");
    writer.finish(&tensors).expect("a file");
    let bytes = std::fs::read(&path).expect("the file");
    Baked { spec, precision: GridPrecision::F32, bytes }
}

/// Cells in which the star may be, whatever its parameter.
fn star_cells(size: usize) -> Vec<bool> {
    let cosine = |x: f64| (std::f64::consts::PI * x).cos();
    // The largest in a cell: at one of its ends, or in the middle of the domain, where 1 is.
    let largest = |i: usize| {
        let end = |i: usize| -1.0 + 2.0 * i as f64 / size as f64;
        cosine(end(i)).max(cosine(end(i + 1)))
    };
    let cells =
        (0..size).flat_map(|k| (0..size).flat_map(move |j| (0..size).map(move |i| [i, j, k])));
    cells.map(|cell| cell.map(largest).iter().sum::<f64>() > 0.6).collect()
}
