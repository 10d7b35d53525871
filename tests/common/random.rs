//! Random numbers, models and points; the same on every run and machine.

use drr::model::GridPrecision;
use drr::model::spec::{
    Activation, Axis, Grid, Input, Layer, LayerPrecision, Line, Parameter, Spec, Transform, Value,
};

use super::{Baked, products};

/// SplitMix64 (Steele, Lea, Flood 2014).
pub struct Rng(u64);

impl Rng {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, end: usize) -> usize {
        (self.bits() % end as u64) as usize
    }

    pub fn uniform(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * ((self.bits() >> 11) as f64 / (1u64 << 53) as f64)
    }

    pub fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())]
    }

    pub fn list(&mut self, count: usize, scale: f64) -> Vec<f64> {
        (0..count).map(|_| self.uniform(-scale, scale)).collect()
    }
}

/// How grids and lines share the input vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// Side by side, grids first.
    Concatenated,
    /// All at offset 0 with the same width, `input.bias` and an activation: a folded first layer.
    Folded,
    /// Planes that add up, lines behind them.
    Planes,
    /// At random offsets, with gaps.
    Overlapping,
    /// Overlapping, and no layers: the input vector is the value.
    Bare,
}

impl Layout {
    pub const ALL: [Self; 5] =
        [Self::Concatenated, Self::Folded, Self::Planes, Self::Overlapping, Self::Bare];
}

/// How many random models the tests go through.
const MODELS: u64 = 150;

/// Random models from this number on are those of [`products`].
pub const PRODUCTS: u64 = 10_000;

/// How many of those.
const PRODUCT_MODELS: u64 = 90;

/// The random models.
pub fn models() -> impl Iterator<Item = Baked> {
    (0..MODELS).chain(PRODUCTS..PRODUCTS + PRODUCT_MODELS).map(model)
}

/// Random model `seed`; layouts and precisions take turns.
pub fn model(seed: u64) -> Baked {
    if let Some(seed) = seed.checked_sub(PRODUCTS) {
        return products::model(seed);
    }
    let mut rng = Rng::new(seed);
    let layout = Layout::ALL[seed as usize % Layout::ALL.len()];
    let precision = GridPrecision::ALL[seed as usize / 5 % 3];
    let mut spec = spec(layout, &mut rng);
    if seed / 15 % 3 == 2 {
        shorten(&mut spec, &mut rng);
    }
    Baked::write(spec, precision, &mut rng)
}

const CHANNELS: [usize; 14] = [1, 2, 3, 5, 7, 8, 9, 15, 16, 17, 33, 65, 127, 200];
const WIDTHS: [usize; 14] = [1, 3, 5, 7, 8, 9, 16, 17, 31, 33, 50, 64, 70, 129];

/// Lets most layers be multiplied in fewer bits.
pub fn shorten(spec: &mut Spec, rng: &mut Rng) {
    let head = spec.radiance.iter_mut().flat_map(|radiance| &mut radiance.layers);
    for layer in spec.layers.iter_mut().chain(head) {
        layer.precision = match rng.below(5) {
            0 => LayerPrecision::F32,
            1 | 2 => LayerPrecision::Bf16,
            _ => {
                let low = if rng.below(2) == 0 { 0.0 } else { rng.uniform(-4.0, -1.0) };
                LayerPrecision::I8 { low, step: rng.uniform(0.005, 0.03) }
            }
        };
    }
}

/// Whether inputs of layers are rounded, so that results may differ by a step.
pub fn has_steps(spec: &Spec) -> bool {
    let head = spec.radiance.iter().flat_map(|radiance| &radiance.layers);
    spec.layers.iter().chain(head).any(|layer| layer.precision != LayerPrecision::F32)
}

/// A random description with the given layout.
pub fn spec(layout: Layout, rng: &mut Rng) -> Spec {
    let dims = if layout == Layout::Planes { 3 } else { 1 + rng.below(3) };
    let parameters = rng.below(4);
    let (grids, lines, width) = features(layout, dims, parameters, rng);
    let folded = layout == Layout::Folded;
    let input = Input {
        width,
        bias: folded || rng.below(3) == 0,
        activation: if folded { Activation::ReLU } else { rng.pick(&Activation::ALL) },
    };
    let layers = if layout == Layout::Bare { Vec::new() } else { layers(width, rng) };
    let outputs = layers.last().map_or(width, |layer| layer.outputs);
    Spec {
        axes: (0..dims).map(|n| axis(["x", "y", "z"][n], rng)).collect(),
        parameters: (0..parameters).map(|n| parameter(n, rng)).collect(),
        values: (0..outputs).map(|n| value(n, rng)).collect(),
        grids,
        lines,
        input,
        layers,
        radiance: None,
        provenance: serde_json::Map::new(),
    }
}

fn features(
    layout: Layout,
    dims: usize,
    parameters: usize,
    rng: &mut Rng,
) -> (Vec<Grid>, Vec<Line>, usize) {
    let mut grids = Vec::new();
    let mut lines = Vec::new();
    let mut end = 0;
    match layout {
        Layout::Concatenated => {
            for _ in 0..1 + rng.below(3) {
                grids.push(grid(dims, rng.pick(&CHANNELS), end, rng));
                end += grids[grids.len() - 1].channels;
            }
        }
        Layout::Folded => {
            end = rng.pick(&CHANNELS);
            grids.extend((0..1 + rng.below(2)).map(|_| grid(dims, end, 0, rng)));
        }
        Layout::Planes => {
            end = rng.pick(&CHANNELS);
            grids.extend([[1, 2], [0, 2], [0, 1]].map(|axes| Grid {
                axes: axes.to_vec(),
                shape: (0..2).map(|_| size(rng)).collect(),
                channels: end,
                offset: 0,
                entries: None,
                product: None,
            }));
        }
        Layout::Overlapping | Layout::Bare => {
            end = if layout == Layout::Bare { 1 + rng.below(5) } else { 2 + rng.below(60) };
            for _ in 0..1 + rng.below(4) {
                let (offset, channels) = span(end, rng);
                grids.push(grid(dims, channels, offset, rng));
            }
        }
    }
    for parameter in 0..parameters {
        let (offset, features) = match layout {
            Layout::Concatenated | Layout::Planes => (end, 1 + rng.below(9)),
            Layout::Folded => (0, end),
            Layout::Overlapping | Layout::Bare => span(end, rng),
        };
        lines.push(Line { parameter, vertices: 1 + rng.below(17), features, offset });
        end = end.max(offset + features);
    }
    (grids, lines, end)
}

/// A grid over some of the axes, in any order.
fn grid(dims: usize, channels: usize, offset: usize, rng: &mut Rng) -> Grid {
    let mut axes: Vec<usize> = (0..dims).collect();
    if rng.below(3) == 0 {
        axes.remove(rng.below(dims));
        axes.reverse();
    }
    if axes.is_empty() {
        axes.push(0);
    }
    let shape = axes.iter().map(|_| size(rng)).collect();
    Grid { axes, shape, channels, offset, entries: None, product: None }
}

fn size(rng: &mut Rng) -> usize {
    rng.pick(&[1, 2, 3, 4, 5, 7])
}

pub fn span(end: usize, rng: &mut Rng) -> (usize, usize) {
    let offset = rng.below(end);
    (offset, 1 + rng.below(end - offset))
}

pub fn layers(width: usize, rng: &mut Rng) -> Vec<Layer> {
    let count = 1 + rng.below(6);
    let mut inputs = width;
    (0..count)
        .map(|n| {
            let outputs = if n + 1 == count { 1 + rng.below(5) } else { rng.pick(&WIDTHS) };
            let activation = rng.pick(&Activation::ALL);
            let layer = Layer { inputs, outputs, activation, precision: LayerPrecision::F32 };
            inputs = outputs;
            layer
        })
        .collect()
}

pub fn axis(name: &str, rng: &mut Rng) -> Axis {
    let min = rng.uniform(-50.0, 50.0);
    Axis { name: name.into(), unit: "cm".into(), min, max: min + rng.uniform(0.1, 20.0) }
}

pub fn parameter(n: usize, rng: &mut Rng) -> Parameter {
    let min = rng.uniform(-5.0, 5.0);
    Parameter { name: format!("p{n}"), unit: String::new(), min, max: min + rng.uniform(0.1, 9.0) }
}

pub fn value(n: usize, rng: &mut Rng) -> Value {
    let min = rng.uniform(-3.0, 3.0);
    Value {
        name: format!("v{n}"),
        unit: "J".into(),
        min,
        max: min + rng.uniform(0.1, 4.0),
        transform: rng.pick(&[Transform::Linear, Transform::Log]),
    }
}

/// Physical parameters within their ranges, now and then an end of one.
pub fn parameters(spec: &Spec, rng: &mut Rng) -> Vec<f64> {
    (spec.parameters.iter())
        .map(|p| match rng.below(6) {
            0 => p.min,
            1 => p.max,
            _ => rng.uniform(p.min, p.max),
        })
        .collect()
}

/// Normalised coordinates at and beyond the border.
const FAR: [f64; 7] = [f64::NEG_INFINITY, -1e300, -40.0, 1.0, 1.0 + 1e-9, 40.0, f64::INFINITY];

/// Physical points, packed: random ones, vertices, corners, borders, and some outside, up to
/// infinity.
pub fn points(spec: &Spec, count: usize, rng: &mut Rng) -> Vec<f64> {
    let mut points = Vec::with_capacity(count * spec.axes.len());
    for _ in 0..count {
        let kind = rng.below(8);
        for (n, axis) in spec.axes.iter().enumerate() {
            let inside = rng.uniform(-1.0, 1.0);
            let x = match kind {
                0..3 => inside,
                3 => vertex(spec, n, rng),
                4 => rng.pick(&[-1.0, 1.0]),
                5 => rng.pick(&[-1.0, 1.0, inside]),
                6 => 2.0 * inside,
                _ => rng.pick(&FAR),
            };
            points.push(axis.min + (x + 1.0) * 0.5 * (axis.max - axis.min));
        }
    }
    points
}

/// The normalised position of a vertex of some grid that `axis` indexes.
fn vertex(spec: &Spec, axis: usize, rng: &mut Rng) -> f64 {
    let grid = &spec.grids[rng.below(spec.grids.len())];
    let size = grid.axes.iter().position(|&a| a == axis).map_or(2, |k| {
        // The first axis moves along the last dimension.
        grid.shape[grid.shape.len() - 1 - k]
    });
    if size == 1 { 0.0 } else { -1.0 + 2.0 * rng.below(size) as f64 / (size - 1) as f64 }
}
