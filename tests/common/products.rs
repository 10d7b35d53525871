//! Random models with what version 2 of the format has: products of grids, dimensions along
//! parameters, hashed vertices.

use drr::model::GridPrecision;
use drr::model::spec::{Activation, Grid, Input, Line, Spec};

use super::Baked;
use super::random::{self, Rng};

/// Random model `seed`; precisions take turns.
pub fn model(seed: u64) -> Baked {
    let mut rng = Rng::new(seed + 77_000);
    let mut spec = spec(seed % 7 == 6, &mut rng);
    if seed / 3 % 4 == 3 {
        random::shorten(&mut spec, &mut rng);
    }
    Baked::write(spec, GridPrecision::ALL[seed as usize % 3], &mut rng)
}

/// A random description, with or without layers.
pub fn spec(is_bare: bool, rng: &mut Rng) -> Spec {
    let (axes, parameters) = (1 + rng.below(3), rng.below(4));
    let mut end = if is_bare { 1 + rng.below(5) } else { 2 + rng.below(40) };
    let mut grids = Vec::new();
    for term in 0..1 + rng.below(4) {
        let (offset, channels) = random::span(end, rng);
        let product = (rng.below(4) > 0).then(|| 10 * term + rng.below(10));
        let count = if product.is_some() { 1 + rng.below(4) } else { 1 };
        for factor in 0..count {
            // One grid at least is along an axis.
            let first = (term == 0 && factor == 0).then(|| rng.below(axes));
            grids.push(grid(first, 0..axes + parameters, (offset, channels, product), rng));
        }
    }
    let spatial = end;
    if parameters > 0 && rng.below(2) == 0 {
        // A product of parameters alone: anywhere, or behind what differs from point to point.
        let (offset, channels) = match rng.below(3) {
            1 if !is_bare => (spatial, 1 + rng.below(20)),
            2 if !is_bare => (rng.below(spatial), spatial),
            _ => random::span(spatial, rng),
        };
        end = end.max(offset + channels);
        for _ in 0..1 + rng.below(3) {
            let about = (offset, channels, Some(1000));
            grids.push(grid(None, axes..axes + parameters, about, rng));
        }
    }
    // Factors need not stand beside each other.
    for n in 1..grids.len() {
        grids.swap(n, rng.below(n + 1));
    }
    let lines = (0..parameters.min(rng.below(3))).map(|parameter| {
        let (offset, features) = random::span(end, rng);
        Line { parameter, vertices: 1 + rng.below(9), features, offset }
    });
    let lines: Vec<_> = lines.collect();
    let activation = rng.pick(&Activation::ALL);
    let input = Input { width: end, bias: rng.below(3) == 0, activation };
    let layers = if is_bare { Vec::new() } else { random::layers(end, rng) };
    let outputs = layers.last().map_or(end, |layer| layer.outputs);
    Spec {
        axes: (0..axes).map(|n| random::axis(["x", "y", "z"][n], rng)).collect(),
        parameters: (0..parameters).map(|n| random::parameter(n, rng)).collect(),
        values: (0..outputs).map(|n| random::value(n, rng)).collect(),
        grids,
        lines,
        input,
        layers,
        radiance: None,
        provenance: serde_json::Map::new(),
    }
}

/// A grid of up to three dimensions among some, the one that is given with them.
fn grid(
    first: Option<usize>,
    from: std::ops::Range<usize>,
    (offset, channels, product): (usize, usize, Option<usize>),
    rng: &mut Rng,
) -> Grid {
    let mut left: Vec<usize> = from.filter(|&axis| Some(axis) != first).collect();
    let mut axes: Vec<usize> = first.into_iter().collect();
    while axes.is_empty() || axes.len() < 3 && !left.is_empty() && rng.below(3) > 0 {
        axes.push(left.swap_remove(rng.below(left.len())));
    }
    let turns = rng.below(axes.len());
    axes.rotate_left(turns);
    let shape: Vec<usize> = axes.iter().map(|_| rng.pick(&[1, 2, 3, 4, 5])).collect();
    let vertices: usize = shape.iter().product();
    let entries = (vertices > 1 && rng.below(3) == 0)
        .then(|| 1 << rng.below(1 + (vertices - 1).ilog2() as usize));
    Grid { axes, shape, channels, offset, entries, product }
}
