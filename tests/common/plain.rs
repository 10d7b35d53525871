//! A second reader of the baked file, written from `docs/format.md` alone: as plain and slow as
//! that page, sharing no code with the library. Panics where a file is not as the page says.

use std::ops::Range;

use half::f16;
use serde_json::{Map, Value};

/// What happens outside the domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outside {
    Clamp,
    Zeros,
}

/// A file whose container and checksums are in order.
pub struct File {
    metadata: Map<String, Value>,
    tensors: Vec<Tensor>,
    /// The description.
    pub spec: Value,
    /// Byte of the file at which the data starts.
    pub data_start: usize,
}

/// One tensor, its numbers in 64 bits.
pub struct Tensor {
    pub name: String,
    pub dtype: String,
    pub shape: Vec<usize>,
    /// Where its bytes are, counted from the start of the data.
    pub range: Range<usize>,
    pub bytes: Vec<u8>,
    pub values: Vec<f64>,
}

impl File {
    pub fn read(file: &[u8]) -> Self {
        let length = u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
        let data_start = 8 + length;
        let mut header: Map<String, Value> =
            serde_json::from_slice(&file[8..data_start]).expect("a JSON object");
        let metadata = header["__metadata__"].as_object().expect("an object").clone();
        header.remove("__metadata__");
        let data = &file[data_start..];
        let mut tensors: Vec<_> =
            header.iter().map(|(name, info)| Tensor::read(name, info, data)).collect();
        tensors.sort_by_key(|tensor| tensor.range.start);
        let mut end = 0;
        for tensor in &tensors {
            assert_eq!(tensor.range.start, end, "{} leaves a gap", tensor.name);
            end = tensor.range.end;
        }
        assert_eq!(end, data.len(), "data after the last tensor");
        let spec = metadata["spec"].as_str().expect("text").to_owned();
        let file = Self {
            metadata,
            tensors,
            spec: serde_json::from_str(&spec).expect("a JSON object"),
            data_start,
        };
        assert_eq!(file.entry("format"), "drr-baked");
        let axes = list(&file.spec["axes"]).len();
        let is_radiance = !file.spec["radiance"].is_null();
        assert_eq!(is_radiance, file.entry("version") == "3");
        for grid in list(&file.spec["grids"]) {
            let is_new = !grid["entries"].is_null()
                || !grid["product"].is_null()
                || list(&grid["axes"]).iter().any(|axis| size(axis) >= axes);
            assert!(!is_new || file.entry("version") != "1", "{grid}");
        }
        assert!(["1", "2", "3"].contains(&file.entry("version")));
        assert_eq!(file.entry("crc32.spec"), checksum(spec.as_bytes()));
        for tensor in &file.tensors {
            let key = format!("crc32.{}", tensor.name);
            assert_eq!(file.entry(&key), checksum(&tensor.bytes), "{key}");
        }
        file
    }

    pub fn metadata(&self) -> &Map<String, Value> {
        &self.metadata
    }

    /// All tensors in the order of their bytes.
    pub fn tensors(&self) -> &[Tensor] {
        &self.tensors
    }

    pub fn tensor(&self, name: &str) -> &Tensor {
        self.tensors.iter().find(|tensor| tensor.name == name).expect(name)
    }

    /// Values at a point for some parameters, all in physical units.
    pub fn evaluate(&self, point: &[f64], parameters: &[f64], outside: Outside) -> Vec<f64> {
        let axes = list(&self.spec["axes"]).iter().zip(point);
        let x: Vec<f64> = axes.map(|(axis, &x)| 2.0 * unit(axis, x) - 1.0).collect();
        let ranges = list(&self.spec["parameters"]).iter().zip(parameters);
        let t: Vec<f64> = ranges.map(|(range, &p)| unit(range, p).clamp(0.0, 1.0)).collect();
        let values = list(&self.spec["values"]).iter().zip(self.normalised(&x, &t, outside));
        values
            .map(|(value, v)| {
                let (min, max) = (number(&value["min"]), number(&value["max"]));
                let y = v * (max - min) + min;
                if text(&value["transform"]) == "log" { y.exp() } else { y }
            })
            .collect()
    }

    /// Steps 2 to 4 of the page: from normalised coordinates and parameters to results.
    fn normalised(&self, x: &[f64], t: &[f64], outside: Outside) -> Vec<f64> {
        let input = &self.spec["input"];
        let mut v = vec![0.0; size(&input["width"])];
        if input["bias"].as_bool().expect("a boolean") {
            v.copy_from_slice(&self.tensor("input.bias").values);
        }
        let grids = list(&self.spec["grids"]);
        for (n, grid) in grids.iter().enumerate() {
            let mut features = self.features(n, x, t, outside);
            let is_factor =
                |other: &&Value| !grid["product"].is_null() && other["product"] == grid["product"];
            if grids[..n].iter().any(|before| is_factor(&before)) {
                continue; // Part of a product that was added with its first grid.
            }
            for (other, _) in grids.iter().enumerate().skip(n + 1).filter(|(_, g)| is_factor(g)) {
                let factor = self.features(other, x, t, outside);
                assert_eq!(factor.len(), features.len());
                features.iter_mut().zip(factor).for_each(|(product, x)| *product *= x);
            }
            add(&mut v, size(&grid["offset"]), &features);
        }
        for (n, line) in list(&self.spec["lines"]).iter().enumerate() {
            let vertices = size(&line["vertices"]);
            let p = position(t[size(&line["parameter"])], vertices, Outside::Clamp);
            let tensor = self.tensor(&format!("line.{n}"));
            assert_eq!(tensor.shape, [vertices, size(&line["features"])]);
            let features = interpolate(tensor, &[p], &[vertices], None);
            add(&mut v, size(&line["offset"]), &features);
        }
        v.iter_mut().for_each(|x| *x = activation(text(&input["activation"]), *x));
        let is_spatial =
            |grid: &&Value| list(&grid["axes"]).iter().any(|axis| size(axis) < x.len());
        let ends = grids.iter().filter(is_spatial);
        let ends = ends.map(|grid| size(&grid["offset"]) + size(&grid["channels"]));
        let mut rounded = ends.max().expect("a grid");
        for (n, layer) in list(&self.spec["layers"]).iter().enumerate() {
            v[..rounded].iter_mut().for_each(|x| *x = round(&layer["precision"], *x));
            v = self.layer(&format!("layer.{n}"), layer, &v);
            rounded = v.len();
        }
        v
    }

    /// What a layer makes of inputs that are rounded already.
    pub(super) fn layer(&self, name: &str, layer: &Value, v: &[f64]) -> Vec<f64> {
        let weight = self.tensor(&format!("{name}.weight"));
        let bias = self.tensor(&format!("{name}.bias"));
        assert_eq!(weight.shape, [size(&layer["outputs"]), size(&layer["inputs"])]);
        let mut numbers = weight.values.clone();
        if weight.dtype == "I8" {
            let scale = &self.tensor(&format!("{name}.scale")).values;
            let rows = numbers.chunks_mut(weight.shape[1]).zip(scale);
            rows.for_each(|(row, scale)| row.iter_mut().for_each(|w| *w *= scale));
        }
        let rows = numbers.chunks(weight.shape[1]).zip(&bias.values);
        rows.map(|(row, b)| {
            let sum: f64 = row.iter().zip(v).map(|(w, x)| w * x).sum();
            activation(text(&layer["activation"]), sum + b)
        })
        .collect()
    }
}

impl File {
    /// The features of a grid, without padding.
    fn features(&self, n: usize, x: &[f64], t: &[f64], outside: Outside) -> Vec<f64> {
        let grid = &self.spec["grids"][n];
        let shape: Vec<usize> = list(&grid["shape"]).iter().map(size).collect();
        let p: Vec<f64> = (list(&grid["axes"]).iter().rev().zip(&shape))
            .map(|(axis, &n)| match size(axis) {
                axis if axis < x.len() => position((x[axis] + 1.0) / 2.0, n, outside),
                axis => position(t[axis - x.len()], n, Outside::Clamp),
            })
            .collect();
        let tensor = self.tensor(&format!("grid.{n}"));
        let entries = grid["entries"].as_u64();
        match entries {
            Some(entries) => assert_eq!(tensor.shape[..tensor.shape.len() - 1], [entries as usize]),
            None => assert_eq!(tensor.shape[..shape.len()], shape),
        }
        let mut features = interpolate(tensor, &p, &shape, entries);
        if tensor.dtype == "I8" {
            let list = |what| &self.tensor(&format!("grid.{n}.{what}")).values;
            let sum: f64 = weights(&p, &shape).iter().sum();
            for (c, (scale, zero)) in list("scale").iter().zip(list("zero")).enumerate() {
                features[c] = scale * features[c] + sum * zero;
            }
        }
        features.truncate(size(&grid["channels"]));
        features
    }
}

impl Tensor {
    fn read(name: &str, info: &Value, data: &[u8]) -> Self {
        let offsets: Vec<usize> = list(&info["data_offsets"]).iter().map(size).collect();
        let range = offsets[0]..offsets[1];
        let bytes = data[range.clone()].to_vec();
        let dtype = text(&info["dtype"]).to_owned();
        let values: Vec<f64> = match dtype.as_str() {
            "F32" => bytes
                .chunks(4)
                .map(|b| f32::from_le_bytes(b.try_into().unwrap()))
                .map(f64::from)
                .collect(),
            "F16" => bytes
                .chunks(2)
                .map(|b| f16::from_le_bytes(b.try_into().unwrap()))
                .map(f64::from)
                .collect(),
            "BF16" => bytes
                .chunks(2)
                .map(|b| u32::from(u16::from_le_bytes(b.try_into().unwrap())) << 16)
                .map(|bits| f64::from(f32::from_bits(bits)))
                .collect(),
            "U8" => bytes.iter().map(|&b| f64::from(b)).collect(),
            "I8" => bytes.iter().map(|&b| f64::from(b as i8)).collect(),
            other => panic!("{name} is {other}"),
        };
        let shape: Vec<usize> = list(&info["shape"]).iter().map(size).collect();
        assert_eq!(values.len(), shape.iter().product::<usize>(), "{name}");
        Self { name: name.into(), dtype, shape, range, bytes, values }
    }
}

/// CRC-32 bit by bit.
pub fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 }
        })
    })
}

/// A checksum as it stands in the metadata.
pub fn checksum(bytes: &[u8]) -> String {
    format!("{:08x}", crc32(bytes))
}

impl File {
    fn entry(&self, key: &str) -> &str {
        text(&self.metadata[key])
    }
}

/// Sum over *all* vertices, most of which have no weight. `p` has one position per dimension.
fn interpolate(tensor: &Tensor, p: &[f64], shape: &[usize], entries: Option<u64>) -> Vec<f64> {
    let row = tensor.shape[tensor.shape.len() - 1];
    let mut sums = vec![0.0; row];
    for (vertex, weight) in weights(p, shape).into_iter().enumerate() {
        if weight > 0.0 {
            let place = entries.map_or(vertex, |entries| hash(vertex, shape, entries));
            let features = &tensor.values[place * row..][..row];
            sums.iter_mut().zip(features).for_each(|(sum, f)| *sum += weight * f);
        }
    }
    sums
}

/// The row of a vertex, given by its row-major number, among so many `entries`.
fn hash(mut vertex: usize, shape: &[usize], entries: u64) -> usize {
    let mut hash = 0;
    // The last of `shape` belongs to the first axis.
    for (n, factor) in shape.iter().rev().zip([1, 2_654_435_761, 805_459_861]) {
        hash ^= (vertex % n) as u64 * factor % (1 << 32);
        vertex /= n;
    }
    (hash % entries) as usize
}

/// The weight of every vertex of a grid of this shape (what follows the dimensions is ignored).
fn weights(p: &[f64], shape: &[usize]) -> Vec<f64> {
    let vertices = shape[..p.len()].iter().product();
    (0..vertices)
        .map(|vertex: usize| {
            let mut index = vertex;
            let mut weight = 1.0;
            for (p, n) in p.iter().zip(shape).rev() {
                weight *= (1.0 - (p - (index % n) as f64).abs()).max(0.0);
                index /= n;
            }
            weight
        })
        .collect()
}

/// What a layer of some precision takes an input for.
pub(super) fn round(precision: &Value, x: f64) -> f64 {
    if precision.is_null() || precision == "f32" {
        return x;
    }
    if precision == "bf16" {
        // The upper half of a 32-bit number that is nearest to x; ties to the even one.
        let bits = (x as f32).to_bits();
        let (down, up) = (bits & 0xffff_0000, (bits & 0xffff_0000) + 0x1_0000);
        let distance = |bits: u32| (f64::from(f32::from_bits(bits)) - x).abs();
        let is_even = down & 0x1_0000 == 0;
        let nearest = match distance(down).total_cmp(&distance(up)) {
            std::cmp::Ordering::Less => down,
            std::cmp::Ordering::Equal if is_even => down,
            _ => up,
        };
        return f64::from(f32::from_bits(nearest));
    }
    let (low, step) = (number(&precision["i8"]["low"]), number(&precision["i8"]["step"]));
    low + step * ((x - low) / step).round_ties_even().clamp(0.0, 255.0)
}

/// Position in vertices of something at `u` in [0, 1] of an axis with `n` of them.
fn position(u: f64, n: usize, outside: Outside) -> f64 {
    if n == 1 {
        return 0.0;
    }
    let last = (n - 1) as f64;
    match outside {
        Outside::Clamp => (u * last).clamp(0.0, last),
        Outside::Zeros => u * last,
    }
}

fn add(v: &mut [f64], offset: usize, features: &[f64]) {
    v[offset..].iter_mut().zip(features).for_each(|(v, f)| *v += f);
}

fn activation(name: &str, x: f64) -> f64 {
    match name {
        "identity" => x,
        "relu" => x.max(0.0),
        "elu" => {
            if x > 0.0 {
                x
            } else {
                x.exp_m1()
            }
        }
        "silu" => x / (1.0 + (-x).exp()),
        "gelu" => x / 2.0 * (1.0 + erf(x / 2.0f64.sqrt())),
        "sigmoid" => 1.0 / (1.0 + (-x).exp()),
        "tanh" => x.tanh(),
        "sine" => x.sin(),
        other => panic!("activation {other}"),
    }
}

/// Abramowitz and Stegun 7.1.6, whose terms all have the same sign.
fn erf(x: f64) -> f64 {
    if x.abs() > 6.0 {
        return x.signum();
    }
    let mut term = x;
    let mut sum = x;
    for n in 1..200 {
        term *= 2.0 * x * x / f64::from(2 * n + 1);
        sum += term;
    }
    std::f64::consts::FRAC_2_SQRT_PI * (-x * x).exp() * sum
}

fn unit(range: &Value, x: f64) -> f64 {
    let (min, max) = (number(&range["min"]), number(&range["max"]));
    (x - min) / (max - min)
}

pub(super) fn list(value: &Value) -> &[Value] {
    value.as_array().expect("an array")
}

pub(super) fn size(value: &Value) -> usize {
    value.as_u64().expect("a whole number") as usize
}

pub(super) fn number(value: &Value) -> f64 {
    value.as_f64().expect("a number")
}

fn text(value: &Value) -> &str {
    value.as_str().expect("text")
}
