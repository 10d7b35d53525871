//! A file that is not a complete, undamaged, consistent model is an error that says why: never a
//! panic, never an answer.

mod common;

use common::forge::{Forged, assemble};
use common::random::Rng;
use common::{Baked, kernels, query};
use drr::model::GridPrecision;
use drr::model::spec::Spec;
use drr::{Checksums, ErrorKind, Model, Outside, Runtime, Sampler, SamplerOptions, Storage};
use serde_json::{Value, json};

/// A model with one of everything.
fn small() -> Baked {
    let spec = json!({
        "axes": [
            {"name": "x", "unit": "m", "min": 0.0, "max": 1.0},
            {"name": "y", "unit": "m", "min": 0.0, "max": 2.0},
        ],
        "parameters": [{"name": "p", "unit": "", "min": 0.0, "max": 1.0}],
        "values": [{"name": "v", "unit": "", "min": 0.0, "max": 1.0, "transform": "log"}],
        "grids": [
            {"axes": [0, 1], "shape": [3, 4], "channels": 3, "offset": 0},
            {"axes": [1], "shape": [5], "channels": 1, "offset": 2},
        ],
        "lines": [{"parameter": 0, "vertices": 3, "features": 2, "offset": 3}],
        "input": {"width": 5, "bias": true, "activation": "relu"},
        "layers": [
            {"inputs": 5, "outputs": 6, "activation": "silu"},
            {"inputs": 6, "outputs": 1, "activation": "identity"},
        ],
        "provenance": {"psnr": 40.5},
    });
    let spec: Spec = serde_json::from_value(spec).expect("a description");
    Baked::write(spec, GridPrecision::F16, &mut Rng::new(1))
}

/// What opening `bytes` fails with; the message must name `what`.
#[track_caller]
fn refused(bytes: &[u8], kind: ErrorKind, what: &str) {
    for checksums in [Checksums::Verify, Checksums::Skip] {
        let error = Model::from_bytes(bytes, checksums).err().unwrap_or_else(|| {
            panic!("opened although wrong: {what} ({checksums:?})");
        });
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(what), "no `{what}` in: {error}");
    }
}

/// Asks a model in every way, if it opens at all. Its numbers may be wrong, but there must be as
/// many as asked for.
fn survives(bytes: &[u8]) {
    let Ok(model) = Model::from_bytes(bytes, Checksums::Skip) else { return };
    let dims = model.spec().axes.len();
    let parameters = vec![0.3; model.spec().parameters.len()];
    let mut model = Some(model);
    for kernel in kernels() {
        let model =
            model.take().or_else(|| Model::from_bytes(bytes, Checksums::Skip).ok()).expect("again");
        let runtime = Runtime::new(model, kernel, 1).expect("a kernel of this machine");
        for outside in [Outside::Clamp, Outside::Zeros] {
            let options = SamplerOptions { outside, ..Default::default() };
            let sampler = Sampler::new(&runtime, &parameters, &options).expect("in range");
            query(&sampler, &[0.1, -3.0, 0.9, f64::INFINITY, 0.5, 1.0].repeat(dims));
        }
    }
}

#[test]
fn a_truncated_or_longer_file_is_an_error() {
    let mut bytes = small().bytes;
    for length in 0..bytes.len() {
        refused(&bytes[..length], ErrorKind::Format, "not a complete safetensors file");
    }
    bytes.push(0);
    refused(&bytes, ErrorKind::Format, "not a complete safetensors file");
}

#[test]
fn every_flipped_bit_is_an_error_and_harmless() {
    let mut bytes = small().bytes;
    for byte in 0..bytes.len() {
        for bit in 0..8 {
            bytes[byte] ^= 1 << bit;
            let result = Model::from_bytes(&bytes, Checksums::Verify);
            let error = result.err().unwrap_or_else(|| panic!("byte {byte} bit {bit} unnoticed"));
            assert!(matches!(error.kind(), ErrorKind::Format | ErrorKind::Version), "{error}");
            survives(&bytes);
            bytes[byte] ^= 1 << bit;
        }
    }
}

#[test]
fn random_damage_is_an_error_and_harmless() {
    let good = small().bytes;
    let rng = &mut Rng::new(3);
    for _ in 0..2000 {
        let mut bytes = good.clone();
        let start = rng.below(bytes.len());
        let end = bytes.len().min(start + 1 + rng.below(40));
        bytes[start..end].iter_mut().for_each(|byte| *byte = rng.bits() as u8);
        assert!(bytes == good || Model::from_bytes(&bytes, Checksums::Verify).is_err());
        survives(&bytes);
    }
}

#[test]
fn what_is_no_model_is_told_from_what_cannot_be_read() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("file");
    let open = |path: &std::path::Path, storage| {
        let error = Model::open(path, storage, Checksums::Verify).err().expect("no model");
        assert!(error.to_string().contains(&path.display().to_string()), "{error}");
        error.kind()
    };
    for storage in [Storage::Mapped, Storage::Copied] {
        assert_eq!(open(&folder.path().join("missing"), storage), ErrorKind::Io);
        assert_eq!(open(folder.path(), storage), ErrorKind::Io);
        for content in [&b""[..], b"{}", b"a text file that is longer than eight bytes"] {
            std::fs::write(&path, content).expect("room for a file");
            assert_eq!(open(&path, storage), ErrorKind::Format);
        }
    }
}

#[test]
fn other_safetensors_files_are_told_apart() {
    let good = Forged::from(&small().bytes);
    let weights = r#"{"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}"#;
    refused(&assemble(weights, 0, &[0; 4]), ErrorKind::Format, "not a baked model");
    refused(
        &good.clone().with_metadata("format", json!("pt")).bytes(),
        ErrorKind::Format,
        "not a baked model",
    );
    for version in [json!("4"), json!("0"), json!("1.0"), json!(""), json!("newest"), Value::Null] {
        let bytes = good.clone().with_metadata("version", version).bytes();
        refused(&bytes, ErrorKind::Version, "format version");
    }
}

#[test]
fn a_newer_version_is_told_whatever_else_changed() {
    let newer = Forged::from(&small().bytes)
        .with_metadata("version", json!("4"))
        .with_metadata("spec", Value::Null)
        .with_tensor("something.new", "BF16", &[2], vec![0; 4]);
    refused(&newer.bytes(), ErrorKind::Version, "is 4");
}

#[test]
fn headers_with_impossible_sizes_are_errors() {
    let good = small().bytes;
    let what = "not a complete safetensors file";
    for length in [0, 1, good.len() as u64 - 7, 1 << 31, 1 << 32, 1 << 63, u64::MAX - 7, u64::MAX] {
        let mut bytes = good.clone();
        bytes[..8].copy_from_slice(&length.to_le_bytes());
        refused(&bytes, ErrorKind::Format, what);
    }
    let header = Value::from(Forged::from(&good).header());
    let data = Forged::from(&good).data();
    assert!(Model::from_bytes(&assemble(&header.to_string(), 0, &data), Checksums::Verify).is_ok());
    let huge = 1u64 << 32;
    for (pointer, value) in [
        ("/grid.0/shape", json!([huge, huge, 32])),
        ("/grid.0/shape", json!([huge, huge / 2, 1])),
        ("/grid.0/shape", json!([u64::MAX, u64::MAX, u64::MAX])),
        ("/grid.0/shape", json!([3, 4])),
        ("/grid.0/shape", json!([3.0, 4, 32])),
        ("/grid.0/data_offsets", json!([0, u64::MAX])),
        ("/grid.0/data_offsets", json!([768, 0])),
        ("/grid.0/data_offsets", json!([4, 772])),
        ("/line.0/data_offsets", json!([u64::MAX, 23])),
        ("/line.0/dtype", json!("F33")),
        ("/__metadata__/version", json!(1)),
        ("", json!([])),
    ] {
        let mut header = header.clone();
        *header.pointer_mut(pointer).expect(pointer) = value;
        refused(&assemble(&header.to_string(), 0, &data), ErrorKind::Format, what);
    }
    refused(&assemble("\u{7f}\u{0}", 0, &data), ErrorKind::Format, what);
    refused(&assemble("{}", 0, &[]), ErrorKind::Format, "not a baked model");
}

#[test]
fn tensors_that_do_not_match_the_description_are_errors() {
    let good = Forged::from(&small().bytes);
    for name in ["grid.0", "line.0", "input.bias", "layer.0.weight", "layer.1.bias"] {
        refused(&good.clone().without_tensor(name).bytes(), ErrorKind::Format, name);
        let empty = good.clone().with_tensor(name, "F32", &[0], Vec::new());
        refused(&empty.bytes(), ErrorKind::Format, name);
        let bytes = vec![0; 3 * 4 * 32 * 8];
        let wide = good.clone().with_tensor(name, "F64", &[3, 4, 32], bytes);
        refused(&wide.bytes(), ErrorKind::Format, name);
    }
    let extra = good.clone().with_tensor("grid.2", "F32", &[1], vec![0; 4]);
    refused(&extra.bytes(), ErrorKind::Format, "grid.2");
    let narrow = good.clone().with_tensor("grid.0", "F16", &[3, 4, 2], vec![0; 48]);
    refused(&narrow.bytes(), ErrorKind::Format, "grid.0");
    let turned = good.clone().with_tensor("grid.0", "F16", &[4, 3, 3], vec![0; 72]);
    refused(&turned.bytes(), ErrorKind::Format, "grid.0");
    let turned = good.with_tensor("line.0", "F32", &[2, 3], vec![0; 24]);
    refused(&turned.bytes(), ErrorKind::Format, "line.0");
}

#[test]
fn missing_checksums_are_errors() {
    let good = Forged::from(&small().bytes);
    for name in ["grid.0", "layer.1.bias"] {
        let bytes = good.clone().with_metadata(&format!("crc32.{name}"), Value::Null).bytes();
        let error = Model::from_bytes(&bytes, Checksums::Verify).err().expect("unchecked");
        assert!(error.to_string().contains(name), "{error}");
        assert!(Model::from_bytes(&bytes, Checksums::Skip).is_ok(), "{name} is not to be checked");
    }
    refused(
        &good.clone().with_metadata("crc32.spec", Value::Null).bytes(),
        ErrorKind::Format,
        "crc32.spec",
    );
    refused(
        &good.with_metadata("crc32.spec", json!("00000000")).bytes(),
        ErrorKind::Format,
        "spec",
    );
}

#[test]
fn numbers_that_are_not_finite_are_errors() {
    let good = Forged::from(&small().bytes);
    for name in ["line.0", "input.bias", "layer.0.weight", "layer.1.bias"] {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let (_, dtype, shape, mut bytes) = good.tensor(name).clone();
            let last = bytes.len() - 4;
            bytes[last..].copy_from_slice(&bad.to_le_bytes());
            let forged = good.clone().with_tensor(name, &dtype, &shape, bytes);
            refused(&forged.bytes(), ErrorKind::Format, name);
        }
    }
}

#[test]
fn malicious_descriptions_are_errors() {
    let good = Forged::from(&small().bytes);
    assert!(Model::from_bytes(&good.bytes(), Checksums::Verify).is_ok());
    let axis = json!({"name": "x", "unit": "", "min": 0.0, "max": 1.0});
    let deep = (0..200).fold(json!(1), |inner, _| json!([inner]));
    let mut missing = good.spec().clone();
    missing.remove("lines");
    let mut unknown = good.spec().clone();
    unknown.insert("hash".into(), json!([]));
    let layers = |n| Value::from(vec![json!({"inputs": 5, "outputs": 5, "activation": "relu"}); n]);
    for (pointer, value, what) in [
        ("", json!("text"), "malformed"),
        ("", missing.into(), "lines"),
        ("", unknown.into(), "hash"),
        ("/axes", json!([]), "axes"),
        ("/axes", vec![axis.clone(); 4].into(), "axes"),
        ("/axes/0/min", json!(1.0), "axis `x`"),
        ("/axes/0/max", json!(-1.0), "axis `x`"),
        ("/axes/0/max", Value::Null, "malformed"),
        ("/axes/0", json!({"name": "x", "unit": "", "min": -1.7e308, "max": 1.7e308}), "axis `x`"),
        ("/axes/0", json!({"name": "x", "min": 0.0, "max": 1.0}), "unit"),
        ("/parameters", json!([]), "line.0"),
        ("/parameters", vec![axis; 5000].into(), "parameters"),
        ("/parameters/0/max", json!(0.0), "parameter `p`"),
        ("/values", json!([]), "values"),
        ("/values/0/min", json!(2.0), "value `v`"),
        ("/values/0/transform", json!("sqrt"), "sqrt"),
        ("/grids", json!([]), "no grid along an axis"),
        ("/grids/0/axes", json!([0, 0]), "grid.0"),
        ("/grids/0/axes", json!([0, 3]), "grid.0"),
        ("/grids/0/axes", json!([0]), "grid.0"),
        ("/grids/0/axes", json!([]), "grid.0"),
        ("/grids/0/axes", json!([0, u64::MAX]), "grid.0"),
        ("/grids/0/axes", json!([0, -1]), "malformed"),
        ("/grids/0/shape", json!([0, 4]), "grid.0"),
        ("/grids/0/shape", json!([3, 4, 5]), "grid.0"),
        ("/grids/0/shape", json!([1u64 << 40, 1u64 << 40]), "too large"),
        ("/grids/0/shape", json!([u64::MAX, 2]), "too large"),
        ("/grids/0/shape", json!([1u64 << 22, 1u64 << 22]), "too large"),
        ("/grids/0/channels", json!(0), "grid.0"),
        ("/grids/0/channels", json!(6), "adds 6"),
        ("/grids/0/channels", json!(u64::MAX), "grid.0"),
        ("/grids/0/channels", json!(u64::MAX - 63), "grid.0"),
        ("/grids/0/offset", json!(3), "grid.0"),
        ("/grids/0/offset", json!(u64::MAX - 2), "grid.0"),
        ("/lines/0/parameter", json!(1), "line.0"),
        ("/lines/0/vertices", json!(0), "line.0"),
        ("/lines/0/vertices", json!(1u64 << 32), "line.0"),
        ("/lines/0/features", json!(0), "line.0"),
        ("/lines/0/features", json!(3), "line.0"),
        ("/lines/0/offset", json!(u64::MAX), "line.0"),
        ("/input/width", json!(0), "input"),
        ("/input/width", json!(65537), "input"),
        ("/input/width", json!(4), "line.0"),
        ("/input/width", json!(6), "layer.0"),
        ("/input/activation", json!("softmax"), "softmax"),
        ("/input/activation", json!("ReLU"), "ReLU"),
        ("/input", json!({"width": 5, "bias": true, "activation": "relu", "scale": 2}), "scale"),
        ("/layers", json!([]), "values"),
        ("/layers", layers(5000), "layers"),
        ("/layers/0/inputs", json!(4), "come in"),
        ("/layers/0/inputs", json!(6), "come in"),
        ("/layers/0/outputs", json!(65537), "layer.0"),
        ("/layers/0/outputs", json!(u64::MAX), "layer.0"),
        ("/layers/1/outputs", json!(0), "layer.1"),
        ("/layers/1/outputs", json!(2), "values"),
        ("/provenance", json!(3), "malformed"),
        ("/provenance/psnr", deep, "malformed"),
    ] {
        refused(&good.clone().with(pointer, value).bytes(), ErrorKind::Format, what);
    }
}

/// Products, dimensions along parameters and hashed vertices.
#[test]
fn what_version_2_adds_is_checked() {
    let good = Forged::from(&small().bytes);
    let hashed = good.clone().with_entry("/grids/0", "entries", json!(8)).with_tensor(
        "grid.0",
        "F16",
        &[8, 8],
        vec![0; 128],
    );
    let opened = |forged: &Forged| Model::from_bytes(&forged.bytes(), Checksums::Verify).is_ok();
    assert!(opened(&hashed));
    survives(&hashed.bytes());
    for entries in [0u64, 1 << 4, 3, 6, 7, 12, 1 << 32, 1 << 63, u64::MAX] {
        let bad = hashed.clone().with("/grids/0/entries", json!(entries));
        refused(&bad.bytes(), ErrorKind::Format, &format!("{entries} entries"));
    }
    // One row of twelve vertices; then more vertices than can be counted, which need not be.
    let one = hashed.clone().with("/grids/0/entries", json!(1));
    refused(&one.bytes(), ErrorKind::Format, "expected [1]");
    assert!(opened(&one.with_tensor("grid.0", "F16", &[1, 3], vec![0; 6])));
    for shape in [json!([i32::MAX, i32::MAX]), json!([1u64 << 30, 1])] {
        let huge = hashed.clone().with("/grids/0/shape", shape);
        assert!(opened(&huge));
        survives(&huge.bytes());
    }
    for (pointer, value, what) in [
        ("/grids/0/entries", Value::Null, "malformed"),
        ("/grids/0/entries", json!(-8), "malformed"),
        ("/grids/0/entries", json!(8.5), "malformed"),
        ("/grids/0/shape", json!([1u64 << 31, 2]), "too large"),
        ("/grids/0/shape", json!([0, 4]), "grid.0"),
        ("/grids/0/shape", json!([2, 4]), "8 entries"),
        ("/grids/0/axes", json!([0, 3]), "2 axes, then 1 parameters"),
        ("/grids/0/axes", json!([2, 2]), "grid.0"),
        ("/grids/1/axes", json!([3]), "grid.1"),
    ] {
        refused(&hashed.clone().with(pointer, value).bytes(), ErrorKind::Format, what);
    }
    let along = good.clone().with("/grids/1/axes", json!([2]));
    assert!(opened(&along));
    survives(&along.bytes());
    let nowhere = along.with("/grids/0/axes", json!([2])).with("/grids/0/shape", json!([3]));
    refused(&nowhere.bytes(), ErrorKind::Format, "no grid along an axis");

    let alone = good.clone().with_entry("/grids/0", "product", json!(5));
    assert!(opened(&alone));
    let unlike = alone.clone().with_entry("/grids/1", "product", json!(5));
    refused(&unlike.bytes(), ErrorKind::Format, "product with");
    let unlike = unlike.with("/grids/0/offset", json!(2));
    refused(&unlike.bytes(), ErrorKind::Format, "3 at 2");
    assert!(opened(&alone.clone().with_entry("/grids/1", "product", json!(6))));
    for bad in [Value::Null, json!(-1), json!(0.5)] {
        let bad = alone.clone().with("/grids/0/product", bad);
        refused(&bad.bytes(), ErrorKind::Format, "malformed");
    }
    let far = alone.clone().with("/grids/0/product", json!(1u64 << 31));
    refused(&far.bytes(), ErrorKind::Format, "product 2147483648");

    let along = good.clone().with("/grids/1/axes", json!([2]));
    for new in [hashed, alone, along] {
        refused(
            &new.with_metadata("version", json!("1")).bytes(),
            ErrorKind::Format,
            "came with version 2",
        );
    }
    // Nothing of it need be there.
    assert!(opened(&good.with_metadata("version", json!("2"))));
}

#[test]
fn what_version_3_adds_is_checked() {
    let baked = (0..common::radiance::MODELS)
        .map(common::radiance::model)
        .find(|baked| {
            let radiance = baked.spec.radiance.as_ref().expect("a radiance field");
            let cells = radiance.occupancy.map_or(0, |shape| shape.iter().product());
            cells % 8 != 0 && baked.spec.values.len() > 1 && radiance.harmonics > 0
        })
        .expect("one with everything");
    let good = Forged::from(&baked.bytes);
    let opened = |forged: &Forged| Model::from_bytes(&forged.bytes(), Checksums::Verify).is_ok();
    assert!(opened(&good));
    let radiance = baked.spec.radiance.as_ref().expect("a radiance field");
    let inputs = radiance.layers[0].inputs;
    for (pointer, value, what) in [
        ("/radiance/harmonics", json!(5), "5 bands"),
        ("/radiance/harmonics", json!(-1), "malformed"),
        ("/radiance/harmonics", json!(radiance.harmonics - 1), "come in"),
        ("/radiance/layers", json!([]), "0 layers"),
        ("/radiance/layers/0/inputs", json!(inputs + 1), "radiance.layer.0 takes"),
        ("/radiance/layers/0/outputs", json!(0), "radiance.layer.0"),
        ("/radiance/layers/0/activation", json!("step"), "malformed"),
        ("/radiance/occupancy", json!([1, 2]), "malformed"),
        ("/radiance/occupancy", Value::Null, "malformed"),
        ("/radiance/occupancy", json!([0, 2, 2]), "cells"),
        ("/radiance/occupancy", json!([1u64 << 31, 1, 1]), "cells"),
        ("/radiance/occupancy", json!([1u64 << 30, 1 << 30, 1 << 30]), "cells"),
        ("/radiance/occupancy", json!([64, 64, 64]), "radiance.occupancy is U8"),
        ("/radiance/step", json!(0.0), "the step is 0"),
        ("/radiance/step", json!(-1.0), "the step is -1"),
        ("/radiance/step", json!(1e-12), "at most 1048576 times"),
        ("/radiance/step", Value::Null, "malformed"),
        ("/radiance", Value::Null, "malformed"),
        ("/values/1/transform", json!("log"), "expected the transform linear"),
        ("/axes/2/min", json!("a"), "malformed"),
    ] {
        refused(&good.clone().with(pointer, value).bytes(), ErrorKind::Format, what);
    }
    refused(
        &good.clone().with_entry("/radiance", "colour", json!(1)).bytes(),
        ErrorKind::Format,
        "malformed",
    );
    let (_, dtype, shape, bytes) = good.tensor("radiance.occupancy").clone();
    let mut beyond = bytes.clone();
    *beyond.last_mut().expect("a byte") |= 0x80;
    let beyond = good.clone().with_tensor("radiance.occupancy", &dtype, &shape, beyond);
    refused(&beyond.bytes(), ErrorKind::Format, "expected zeros there");
    let other = good.clone().with_tensor("radiance.occupancy", "I8", &shape, bytes);
    refused(&other.bytes(), ErrorKind::Format, "radiance.occupancy is I8");
    for name in ["radiance.occupancy", "radiance.layer.0.weight", "radiance.layer.0.bias"] {
        let less = good.clone().without_tensor(name);
        refused(&less.bytes(), ErrorKind::Format, &format!("{name} is missing"));
    }
    let outputs = radiance.layers[0].outputs;
    let nan = vec![0xff; 4 * outputs];
    let nan = good.clone().with_tensor("radiance.layer.0.bias", "F32", &[outputs], nan);
    refused(&nan.bytes(), ErrorKind::Format, "radiance.layer.0.bias[0] is NaN");
    for version in ["1", "2"] {
        let older = good.clone().with_metadata("version", json!(version));
        refused(&older.bytes(), ErrorKind::Format, "came with version 3");
    }
    // Two axes are too few.
    let flat = Forged::from(&small().bytes).with_entry(
        "",
        "radiance",
        json!({"harmonics": 1, "layers": [{"inputs": 1, "outputs": 3, "activation": "sigmoid"}],
               "step": 0.1}),
    );
    refused(&flat.bytes(), ErrorKind::Format, "over 2 axes");
    let plain = Forged::from(&small().bytes).with_metadata("version", json!("3"));
    refused(&plain.bytes(), ErrorKind::Format, "has no `radiance`");
}

#[test]
fn a_grid_between_two_numbers_is_an_error() {
    let odd = Forged::from(&small().bytes)
        .with_tensor("grid.1", "F16", &[5, 1], vec![0; 10])
        .with_tensor("grid.0", "F32", &[3, 4, 3], vec![0; 144]);
    refused(&odd.bytes(), ErrorKind::Format, "grid.0 starts at byte");
}

#[test]
fn files_by_other_writers_give_the_same_results() {
    let baked = small();
    let points: Vec<f64> = Rng::new(4).list(200, 2.0);
    let answer = |bytes: &[u8], kernel| {
        let model = Model::from_bytes(bytes, Checksums::Verify).expect("a valid file");
        let runtime = Runtime::new(model, kernel, 1).expect("a kernel of this machine");
        let sampler = Sampler::new(&runtime, &[0.4], &SamplerOptions::default()).expect("in range");
        common::bits(&query(&sampler, &points))
    };
    let good = Forged::from(&baked.bytes);
    // Small tensors first, then rows without padding, one grid behind an odd number of numbers.
    let mut unpadded = good.clone();
    for (name, shape) in [("grid.1", &[5, 1][..]), ("grid.0", &[3, 4, 3])] {
        let (_, dtype, _, bytes) = unpadded.tensor(name).clone();
        let features = shape[shape.len() - 1];
        let rows = bytes.chunks(16).flat_map(|row| row[..2 * features].to_vec()).collect();
        unpadded = unpadded.with_tensor(name, &dtype, shape, rows);
    }
    for kernel in kernels() {
        let expected = answer(&baked.bytes, kernel);
        for misalignment in [0, 1, 2, 3, 8, 31, 60, 63] {
            for forged in [&good, &unpadded] {
                let bytes = forged.clone().misaligned_by(misalignment).bytes();
                assert_eq!(answer(&bytes, kernel), expected, "{misalignment}");
            }
        }
        let annotated = good.clone().with_metadata("title", json!("a model"));
        assert_eq!(answer(&annotated.bytes(), kernel), expected);
        let mut spec = good.spec().clone();
        spec.remove("provenance").expect("a model that says where it comes from");
        assert_eq!(answer(&good.clone().with("", spec.into()).bytes(), kernel), expected);
    }
}
