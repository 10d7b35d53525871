//! Changes the description in a baked file: any entry to anything, or sizes together with what
//! depends on them.

use drr::model::spec::{Grid, Layer, LayerPrecision, Spec};
use serde_json::{Value, json};

use crate::common::Rng;
use crate::common::random::{self, Layout};

/// Another description.
pub fn changed(text: &str, rng: &mut Rng) -> String {
    let Ok(mut value) = serde_json::from_str::<Value>(text) else { return text.to_owned() };
    let spec = serde_json::from_value::<Spec>(value.clone());
    let spec = spec.ok().filter(|spec| spec.check().is_ok());
    match (spec, rng.below(32)) {
        (_, 0) => value = json!(random::spec(rng.pick(&Layout::ALL), rng)),
        (Some(mut spec), 1..20) => {
            reshape(&mut spec, rng);
            value = json!(spec);
        }
        _ => {
            let mut places = Vec::new();
            list_places(&value, String::new(), &mut places);
            let place = &places[rng.below(places.len())];
            if let Some(entry) = value.pointer_mut(place) {
                replace(entry, rng);
            }
        }
    }
    value.to_string()
}

/// Changes one size and what has to go with it.
fn reshape(spec: &mut Spec, rng: &mut Rng) {
    let size = rng.pick(&[1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 31, 33, 48, 49, 64, 65, 130, 300]);
    match rng.below(14) {
        12 | 13 => reshape_radiance(spec, size, rng),
        0 => {
            let n = rng.below(spec.grids.len().max(1));
            if let Some(grid) = spec.grids.get_mut(n) {
                let axis = rng.below(grid.shape.len().max(1));
                grid.shape.iter_mut().skip(axis).take(1).for_each(|length| *length = size);
            }
        }
        1 => {
            let n = rng.below(spec.lines.len().max(1));
            spec.lines.iter_mut().skip(n).take(1).for_each(|line| line.vertices = size);
        }
        2 => set_width(spec, rng.below(spec.layers.len() + 1), size),
        3 => {
            let n = rng.below(spec.layers.len() + 1);
            let width = if n == 0 { spec.input.width } else { spec.layers[n - 1].outputs };
            let activation = rng.pick(&drr::model::spec::Activation::ALL);
            let precision = LayerPrecision::F32;
            spec.layers.insert(n, Layer { inputs: width, outputs: width, activation, precision });
        }
        4 => {
            let n = rng.below(spec.layers.len().max(1));
            if let Some(layer) = spec.layers.get_mut(n) {
                let low = rng.pick(&[0.0, -1.0, -3e38, 1e-30]);
                let step = rng.pick(&[0.01, 1.0, 1.2e-38, 3e38]);
                layer.precision = rng.pick(&[
                    LayerPrecision::F32,
                    LayerPrecision::Bf16,
                    LayerPrecision::I8 { low, step },
                ]);
            }
        }
        5 => {
            if let Some(mut grid) = spec.grids.get(rng.below(spec.grids.len().max(1))).cloned() {
                grid.axes.rotate_left(1);
                grid.offset = rng.below(spec.input.width.saturating_sub(grid.channels).max(1));
                spec.grids.push(grid);
            }
        }
        6 => {
            let n = rng.below(spec.grids.len().max(1));
            if let Some(grid) = spec.grids.get_mut(n) {
                grid.offset = rng.below(spec.input.width.max(1));
                grid.channels = 1 + rng.below(spec.input.width.saturating_sub(grid.offset).max(1));
            }
        }
        7 => {
            // An axis or parameter more, which nothing depends on.
            if rng.below(2) == 0 {
                spec.axes.extend(spec.axes.first().cloned());
            } else {
                spec.parameters.extend(spec.parameters.first().cloned());
            }
        }
        8 => spec.input.bias = !spec.input.bias,
        n => {
            let known = spec.axes.len() + spec.parameters.len();
            let grid = rng.below(spec.grids.len().max(1));
            if let Some(grid) = spec.grids.get_mut(grid) {
                extend(grid, n, known, rng);
            }
        }
    }
}

/// Changes a size of a radiance field and what has to go with it.
fn reshape_radiance(spec: &mut Spec, size: usize, rng: &mut Rng) {
    let features = spec.values.len().saturating_sub(1);
    let Some(radiance) = &mut spec.radiance else { return };
    match rng.below(5) {
        0 => {
            radiance.harmonics = rng.below(6);
            let inputs = radiance.harmonic_inputs() + features;
            radiance.layers.iter_mut().take(1).for_each(|layer| layer.inputs = inputs);
        }
        1 => {
            let cells = [0; 3].map(|_: usize| 1 + rng.below(20));
            radiance.occupancy = rng.pick(&[None, Some(cells), Some([size, 1, 3])]);
        }
        2 => radiance.step *= rng.pick(&[0.1, 0.9, 3.0, 1e9, -1.0]),
        3 => {
            let n = rng.below(radiance.layers.len().max(1));
            if let [before, after, ..] = &mut radiance.layers[n..] {
                (before.outputs, after.inputs) = (size, size);
            }
        }
        _ => {
            let n = rng.below(radiance.layers.len().max(1));
            let precision = rng.pick(&[
                LayerPrecision::F32,
                LayerPrecision::Bf16,
                LayerPrecision::I8 { low: -1.0, step: 0.01 },
            ]);
            radiance
                .layers
                .iter_mut()
                .skip(n)
                .take(1)
                .for_each(|layer| layer.precision = precision);
        }
    }
}

/// Gives a grid something of version 2: hashed vertices, a product, or a dimension along any of so
/// many coordinates and parameters.
fn extend(grid: &mut Grid, what: usize, known: usize, rng: &mut Rng) {
    match what {
        9 => grid.entries = rng.pick(&[None, Some(1), Some(2), Some(4), Some(16), Some(6)]),
        10 => grid.product = rng.pick(&[None, Some(0), Some(0), Some(1)]),
        _ => {
            let place = rng.below(grid.axes.len().max(1));
            let axis = rng.below(known.max(1));
            grid.axes.iter_mut().skip(place).take(1).for_each(|to| *to = axis);
        }
    }
}

/// Sets the width of the input vector (0) or of what comes out of layer `n` - 1.
fn set_width(spec: &mut Spec, n: usize, width: usize) {
    match n.checked_sub(1) {
        Some(before) => spec.layers[before].outputs = width,
        None => {
            let ends = spec.grids.iter().map(|grid| grid.offset + grid.channels);
            let ends = ends.chain(spec.lines.iter().map(|line| line.offset + line.features));
            spec.input.width = ends.fold(width, usize::max);
        }
    }
    let outputs = if n == 0 { spec.input.width } else { width };
    match spec.layers.get_mut(n) {
        Some(layer) => layer.inputs = outputs,
        None => {
            if let Some(value) = spec.values.first().cloned() {
                spec.values.resize(outputs, value);
            }
        }
    }
}

/// JSON pointers to all entries.
fn list_places(value: &Value, place: String, places: &mut Vec<String>) {
    match value {
        Value::Array(items) => {
            let items = items.iter().enumerate();
            items.for_each(|(n, item)| list_places(item, format!("{place}/{n}"), places));
        }
        Value::Object(entries) => {
            let escaped = |key: &str| key.replace('~', "~0").replace('/', "~1");
            let entries = entries.iter();
            entries.for_each(|(k, v)| list_places(v, format!("{place}/{}", escaped(k)), places));
        }
        _ => {}
    }
    places.push(place);
}

/// Another value, of the same type mostly.
fn replace(entry: &mut Value, rng: &mut Rng) {
    const INTEGERS: [u64; 12] =
        [0, 1, 2, 3, 7, 64, 4096, 65_536, 65_537, 1 << 31, 1 << 48, u64::MAX];
    const NUMBERS: [f64; 12] =
        [0.0, -0.0, 1.0, -1.0, 0.5, 1e-320, 5e-39, 1e38, 1e300, -1e300, 1.797e308, -3.5];
    const WORDS: [&str; 16] = [
        "identity", "relu", "elu", "silu", "gelu", "sigmoid", "tanh", "sine", "linear", "log",
        "f32", "bf16", "", "\0", "ä\n\"", "x",
    ];
    let step = if rng.below(2) == 0 { 1 } else { u64::MAX };
    *entry = match (&mut *entry, rng.below(16)) {
        (_, 0) => Value::Null,
        (Value::Number(number), 1..6) if number.is_u64() => {
            json!(number.as_u64().unwrap_or(0).wrapping_add(step))
        }
        (Value::Number(number), 6..13) if number.is_u64() => json!(rng.pick(&INTEGERS)),
        (Value::Number(_), _) => json!(rng.pick(&NUMBERS)),
        (Value::Bool(is), _) => json!(!*is),
        (Value::String(_), 1) => json!({"i8": {"low": -1.0, "step": 0.01}}),
        (Value::String(_), _) => json!(rng.pick(&WORDS)),
        (Value::Array(items), choice) => {
            let n = rng.below(items.len().max(1));
            match (items.get(n).cloned(), choice) {
                (Some(_), 1..5) => drop(items.remove(n)),
                (Some(item), _) => items.insert(n, item),
                (None, _) => items.push(json!(rng.pick(&INTEGERS))),
            }
            return;
        }
        (Value::Object(entries), choice) => {
            let key = entries.keys().nth(rng.below(entries.len().max(1))).cloned();
            match (key, choice) {
                (Some(key), 1..8) => drop(entries.remove(&key)),
                _ => drop(entries.insert("extra".into(), json!(1))),
            }
            return;
        }
        (Value::Null, _) => json!(rng.pick(&NUMBERS)),
    };
}
