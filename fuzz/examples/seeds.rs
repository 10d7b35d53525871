//! Writes the seeds that come from the tests: random models, YAML, pickles, and scripts of random
//! bytes. `cargo run --example seeds`; all other seeds stay as they are.

use std::path::{Path, PathBuf};

use drr_fuzz::common::{Rng, radiance, random};
use drr_fuzz::data::npy;
use drr_fuzz::ensembles::{ARRAY, LISTS, OURS, REFERENCE, SEPARATOR};

fn main() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds");
    models(&folder.join("model"));
    configurations(&folder.join("config"));
    ensembles(&folder.join("data"));
    scripts(&folder.join("capi"));
}

fn put(folder: &Path, name: &str, bytes: &[u8]) {
    std::fs::create_dir_all(folder).expect("a folder");
    std::fs::write(folder.join(name), bytes).expect("room for a file");
}

/// Small models of each layout, precision of grids and, from 30 on, of layers.
fn models(folder: &Path) {
    const LARGEST: usize = 6000;
    for (n, seed) in (random::PRODUCTS..random::PRODUCTS + 90).enumerate() {
        let model = random::model(seed);
        if model.bytes.len() <= LARGEST && n % 3 == 0 {
            put(folder, &format!("product_{n}"), &model.bytes);
        }
    }
    for seed in 0..radiance::MODELS {
        let model = radiance::model(seed);
        if model.bytes.len() <= LARGEST && seed % 3 == 0 {
            put(folder, &format!("radiance_{seed}"), &model.bytes);
        }
    }
    for first in [0, 5, 10, 30, 35, 40] {
        for layout in 0..5 {
            let seeds = (first + layout..150).step_by(45);
            let smallest = seeds.map(random::model).min_by_key(|model| model.bytes.len());
            let model = smallest.expect("some models");
            if model.bytes.len() <= LARGEST {
                put(folder, &format!("{}", first + layout), &model.bytes);
            }
        }
    }
}

fn configurations(folder: &Path) {
    let example = "../examples/cloverleaf3d/model.yaml";
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join(example);
    put(folder, "example", &std::fs::read(example).expect("the example"));
    let tests = source("tests/config.rs");
    let is_yaml =
        |text: &&str| text.contains("\n") && text.contains("param:") && !text.contains(';');
    for (n, text) in tests.split('"').filter(is_yaml).enumerate() {
        put(folder, &format!("tests_{n}"), [text, OVERRIDES].concat().as_bytes());
    }
}

fn ensembles(folder: &Path) {
    let with = |kind: &[u8], files: &[&[u8]]| [kind, &files.join(SEPARATOR)].concat();
    let table = [0.0, 0.0, 0.0, 1.0, 0.5, 0.25, 2.0, 1.0, 1.0];
    let table = array("table", &[3, 3], &table);
    put(folder, "array", &with(&[ARRAY], &[&table]));
    let column_first = b"\x93NUMPY\x02\0\x46\0\0\0{'descr': '>i4', 'fortran_order': True, \
        'shape': (2, 1, 3), }         \n";
    let column_first = [&column_first[..], &[7; 24]].concat();
    put(folder, "array_fortran", &with(&[ARRAY], &[&column_first]));
    let tests = source("src/data/pickle_tests.rs");
    let pickles = tests.split(": &str = \"").skip(1).filter_map(|rest| rest.split('"').next());
    let pickles: Vec<_> = pickles.map(pickled).collect();
    for (n, pickle) in pickles.iter().enumerate() {
        put(folder, &format!("pickle_{n}"), &with(&[LISTS], &[pickle]));
    }
    let (csv, info) = (TABLE.as_bytes(), FIELD.as_bytes());
    let field: Vec<f64> = (0..8).map(|i| 3.0 + f64::from(i)).collect();
    let field = array("field", &[2, 2, 2], &field);
    put(folder, "ours", &with(&[OURS, b'3', b' '], &[csv, info, &field]));
    put(folder, "ours_plain", &with(&[OURS, b'3', b'l'], &[b"file,p\na.raw,1\nb.raw,2\n"]));
    let info = b"parameters: {p1: {unit: K, min: 10, max: 50}}\n";
    put(folder, "reference", &with(&[REFERENCE, b'3', b' '], &[&table, &pickles[0], info]));
}

/// Random calls: any bytes are a script.
fn scripts(folder: &Path) {
    for seed in 0..24 {
        let rng = &mut Rng::new(seed);
        let bytes: Vec<u8> = (0..600).map(|_| rng.bits() as u8).collect();
        put(folder, &format!("random_{seed:02}"), &bytes);
    }
}

/// A file of the trainer.
fn source(path: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../trainer");
    std::fs::read_to_string(folder.join(path)).expect(path)
}

/// The bytes of an `.npy` file.
fn array(name: &str, shape: &[usize], values: &[f64]) -> Vec<u8> {
    let path: PathBuf = std::env::temp_dir().join(format!("drr-seed-{name}.npy"));
    npy::write(&path, shape, values).expect("room for a file");
    let bytes = std::fs::read(&path).expect("the file");
    std::fs::remove_file(path).expect("the file");
    bytes
}

/// The bytes of an `.npy` file with one object, of which the pickle is given in hexadecimal.
fn pickled(digits: &str) -> Vec<u8> {
    let mut bytes = b"\x93NUMPY\x01\0\x46\0".to_vec();
    bytes.extend(b"{'descr': '|O', 'fortran_order': False, 'shape': (), }               \n");
    let digits: Vec<u8> = digits.bytes().filter(u8::is_ascii_hexdigit).collect();
    let byte = |pair: &[u8]| std::str::from_utf8(pair).map(|pair| u8::from_str_radix(pair, 16));
    bytes.extend(digits.chunks(2).map(|pair| byte(pair).expect("ASCII").expect("a byte")));
    bytes
}

/// Comments to YAML, overrides to the target.
const OVERRIDES: &str = "\
#=train.steps=5
#=dataset.param.dims=[2, 3]
#=model.param.encoder_kwargs.param.grid_shapes.0.1=1e1
#=optim=
";

const TABLE: &str = "\
file,split,density,heat
a.raw,train,1,10
b.raw,test,2.5e0,20
c.npy,train,3,40
";

const FIELD: &str = "\
dims: [2, 2, 2]
values: [{name: energy, unit: J}]
axes: [{name: x, unit: cm, min: 0, max: 6}, {name: y}, {name: z, min: -1, max: 3}]
parameters: {density: {unit: g, min: 0, max: 4}, heat: {max: 50}}
";
