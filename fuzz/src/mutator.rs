//! Changes baked files so that most of them still open: bytes changed at random would never get
//! past the sizes and checksums of the container.
//!
//! A file is taken apart into description and tensors, one of them is changed, tensors are made to
//! fit the description, and all is put together with right checksums; each step is left out now
//! and then.

mod description;

use drr::model::spec::{LayerPrecision, Spec};
use safetensors::SafeTensors;
use serde_json::Value;

use crate::common::Rng;
use crate::common::forge::{Forged, Tensor};

/// Changes bytes at random, up to a longest length.
pub type Raw<'a> = &'a mut dyn FnMut(&mut Vec<u8>, usize);

/// A file like `input`, at most `max` bytes long.
pub fn mutate(input: &[u8], max: usize, rng: &mut Rng, raw: Raw<'_>) -> Vec<u8> {
    if rng.below(10) > 0
        && let Some(pieces) = Pieces::read(input)
    {
        let bytes = pieces.changed(max, rng, raw);
        if bytes.len() <= max {
            return bytes;
        }
    }
    let mut bytes = input.to_vec();
    raw(&mut bytes, max);
    bytes
}

/// What a file holds.
struct Pieces {
    spec: String,
    tensors: Vec<Tensor>,
}

impl Pieces {
    /// Takes a file apart whose container is in order.
    fn read(bytes: &[u8]) -> Option<Self> {
        let (header, metadata) = SafeTensors::read_metadata(bytes).ok()?;
        let data = bytes.get(header + 8..)?;
        let spec = metadata.metadata().as_ref()?.get("spec")?.clone();
        let mut tensors: Vec<_> = metadata.tensors().into_iter().collect();
        tensors.sort_by_key(|(_, info)| info.data_offsets);
        let tensors = tensors.into_iter().map(|(name, info)| {
            let (start, end) = info.data_offsets;
            let dtype = format!("{:?}", info.dtype);
            Some((name, dtype, info.shape.clone(), data.get(start..end)?.to_vec()))
        });
        Some(Self { spec, tensors: tensors.collect::<Option<_>>()? })
    }

    fn changed(mut self, max: usize, rng: &mut Rng, raw: Raw<'_>) -> Vec<u8> {
        match rng.below(8) {
            0 => {
                let mut text = self.spec.into_bytes();
                raw(&mut text, max);
                self.spec = String::from_utf8_lossy(&text).into_owned();
            }
            1..=4 => self.spec = description::changed(&self.spec, rng),
            5 | 6 => {
                let n = rng.below(self.tensors.len().max(1));
                if let Some((.., bytes)) = self.tensors.get_mut(n) {
                    let length = bytes.len();
                    raw(bytes, length.max(1));
                    bytes.resize(length, 0);
                }
            }
            _ => self.change_table(rng),
        }
        if rng.below(10) > 0
            && let Ok(spec) = serde_json::from_str::<Spec>(&self.spec)
            && spec.check().is_ok()
            && let Some(tensors) = fitted(&spec, &self.tensors, max)
        {
            self.tensors = tensors;
        }
        self.file(rng)
    }

    /// Changes what the header says of a tensor.
    fn change_table(&mut self, rng: &mut Rng) {
        let n = rng.below(self.tensors.len().max(1));
        let Some((name, dtype, shape, bytes)) = self.tensors.get_mut(n) else { return };
        match rng.below(6) {
            0 => drop(self.tensors.remove(n)),
            1 => name.push('0'),
            2 | 3 => *dtype = rng.pick(&["F32", "F16", "I8", "BF16", "F64", "U8", "BOOL"]).into(),
            4 => {
                // Rows of a grid may be longer than they need to be.
                if let [vertices @ .., row] = &mut shape[..] {
                    *row += 1 + rng.below(9);
                    bytes.resize(vertices.iter().product::<usize>() * *row * 4, 1);
                }
            }
            _ => shape.insert(rng.below(shape.len() + 1), 1),
        }
    }

    fn file(self, rng: &mut Rng) -> Vec<u8> {
        let spec = serde_json::from_str(&self.spec);
        let is_json = spec.is_ok();
        let mut file = Forged::new(spec.unwrap_or(Value::Null), self.tensors);
        if !is_json {
            let sum = crate::common::plain::checksum(self.spec.as_bytes());
            file = file.with_metadata("crc32.spec", sum.into());
            file = file.with_metadata("spec", self.spec.into());
        }
        match rng.below(24) {
            0 => file = file.misaligned_by(rng.below(64)),
            1 => {
                let key =
                    rng.pick(&["format", "version", "spec", "crc32.spec", "crc32.grid.0", "x"]);
                let value = rng.pick(&["1", "2", "", "drr-baked", "00000000"]);
                file = file.with_metadata(key, value.into());
            }
            _ => {}
        }
        file.bytes()
    }
}

/// Tensors for a description, of the numbers that are there; `None` if they take more than `max`
/// bytes.
fn fitted(spec: &Spec, given: &[Tensor], max: usize) -> Option<Vec<Tensor>> {
    let find = |name: &str| given.iter().find(|tensor| tensor.0 == name);
    let pool: Vec<u8> = given.iter().flat_map(|tensor| tensor.3.clone()).collect();
    let mut fitted: Vec<Tensor> = Vec::new();
    let mut room = max;
    for (name, dtype, shape) in expected(spec, given) {
        let size = match dtype {
            "I8" | "U8" => 1,
            "F16" | "BF16" => 2,
            _ => 4,
        };
        let bytes = shape.iter().try_fold(size, |product: usize, &n| product.checked_mul(n))?;
        room = room.checked_sub(bytes)?;
        let from = find(&name).map(|tensor| &tensor.3[..]).filter(|from| !from.is_empty());
        let from = from.or(Some(&pool[..])).filter(|from| !from.is_empty()).unwrap_or(&[0]);
        let mut bytes: Vec<u8> = from.iter().copied().cycle().take(bytes).collect();
        if !name.starts_with("grid.") || name.ends_with(".scale") || name.ends_with(".zero") {
            make_usable(&mut bytes, dtype, name.ends_with(".scale"));
        }
        fitted.push((name, dtype.into(), shape, bytes));
    }
    Some(fitted)
}

/// Names, types and shapes of the tensors that a description asks for; grids keep their types and
/// the lengths of their rows.
fn expected(spec: &Spec, given: &[Tensor]) -> Vec<(String, &'static str, Vec<usize>)> {
    let mut all = Vec::new();
    for (n, grid) in spec.grids.iter().enumerate() {
        let name = format!("grid.{n}");
        let before = given.iter().find(|tensor| tensor.0 == name);
        let dtype = match before.map(|tensor| &tensor.1[..]) {
            Some("F16") => "F16",
            Some("I8") => "I8",
            _ => "F32",
        };
        let row = before.and_then(|tensor| tensor.2.last().copied()).unwrap_or(0);
        let shape = grid.tensor_shape().into_iter().chain([row.max(grid.channels)]).collect();
        all.push((name, dtype, shape));
        if dtype == "I8" {
            all.push((format!("grid.{n}.scale"), "F32", vec![grid.channels]));
            all.push((format!("grid.{n}.zero"), "F32", vec![grid.channels]));
        }
    }
    for (n, line) in spec.lines.iter().enumerate() {
        all.push((format!("line.{n}"), "F32", vec![line.vertices, line.features]));
    }
    if spec.input.bias {
        all.push(("input.bias".into(), "F32", vec![spec.input.width]));
    }
    let layers = spec.layers.iter().enumerate().map(|(n, layer)| (format!("layer.{n}"), layer));
    let head = spec.radiance.iter().flat_map(|radiance| &radiance.layers).enumerate();
    let head = head.map(|(n, layer)| (format!("radiance.layer.{n}"), layer));
    for (name, layer) in layers.chain(head) {
        let dtype = match layer.precision {
            LayerPrecision::F32 => "F32",
            LayerPrecision::Bf16 => "BF16",
            LayerPrecision::I8 { .. } => "I8",
        };
        all.push((format!("{name}.weight"), dtype, vec![layer.outputs, layer.inputs]));
        if dtype == "I8" {
            all.push((format!("{name}.scale"), "F32", vec![layer.outputs]));
        }
        all.push((format!("{name}.bias"), "F32", vec![layer.outputs]));
    }
    if let Some(bytes) = spec.radiance.as_ref().and_then(|radiance| radiance.occupancy_bytes()) {
        all.push(("radiance.occupancy".into(), "U8", vec![bytes]));
    }
    all
}

/// Makes numbers finite, scales not negative: else the file is refused.
fn make_usable(bytes: &mut [u8], dtype: &str, is_scale: bool) {
    match dtype {
        "F32" => {
            for chunk in bytes.as_chunks_mut::<4>().0 {
                let number = f32::from_le_bytes(*chunk);
                let number = if number.is_finite() { number } else { 0.5 };
                *chunk = (if is_scale { number.abs() } else { number }).to_le_bytes();
            }
        }
        // All bits of the exponent mean that it is not finite.
        "BF16" => bytes.as_chunks_mut::<2>().0.iter_mut().for_each(|[low, high]| {
            if *high & 0x7f == 0x7f && *low & 0x80 != 0 {
                *high &= 0xbf;
            }
        }),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use drr::{Checksums, Model};

    use super::*;
    use crate::common::random;

    /// Changes a byte, adds one or removes one.
    fn raw(rng: &mut Rng) -> impl FnMut(&mut Vec<u8>, usize) + '_ {
        |bytes, max| match (rng.below(3), bytes.len()) {
            (0, length) if length < max => bytes.insert(rng.below(length + 1), rng.bits() as u8),
            (1, length) if length > 1 => drop(bytes.remove(rng.below(length))),
            (_, length) if length > 0 => bytes[rng.below(length)] = rng.bits() as u8,
            _ => {}
        }
    }

    #[test]
    fn most_changed_files_open_and_differ() {
        const MAX: usize = 1 << 16;
        let (mut opened, mut described) = (0, std::collections::HashSet::new());
        for seed in 0..40 {
            let mut bytes = random::model(seed).bytes;
            let (rng, own) = (&mut Rng::new(seed), &mut Rng::new(seed + 1000));
            for _ in 0..25 {
                let changed = mutate(&bytes, MAX, rng, &mut raw(own));
                assert!(changed.len() <= MAX.max(bytes.len() + 1));
                if let Ok(model) = Model::from_bytes(&changed, Checksums::Verify) {
                    opened += 1;
                    described.insert(model.spec_json().to_owned());
                    bytes = changed;
                }
            }
        }
        assert!(opened > 400, "{opened} of 1000 files open");
        assert!(described.len() > 200, "{} descriptions", described.len());
    }
}
