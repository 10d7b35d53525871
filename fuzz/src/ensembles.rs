//! Files of an ensemble: arrays, pickled lists, tables, descriptions, as the trainer reads them.
//!
//! The first byte of an input says what it is, [`SEPARATOR`] stands between files.

use std::path::Path;

use tempfile::TempDir;

use crate::config::DatasetConfig;
use crate::data::formats::Format;
use crate::data::{Ensemble, LoadOptions, npy, read_index_lists};

/// What stands between the files of an ensemble.
pub const SEPARATOR: &[u8] = b"\n%%%\n";

/// `n`: an array.
pub const ARRAY: u8 = b'n';
/// `f`: a file in the format that the next byte stands for, counted from `a` in the order of
/// [`Format::extensions`].
pub const FILE: u8 = b'f';
/// `p`: a pickled dict of index lists.
pub const LISTS: u8 = b'p';
/// `o`: an ensemble in our form: `params.csv`, `field.yaml`, the member `c.npy`.
pub const OURS: u8 = b'o';
/// `r`: an ensemble in the reference's form: `cond.npy`, `cond_split.npy`, `field.yaml`.
pub const REFERENCE: u8 = b'r';

/// Reads whatever the files are.
pub fn run(input: &[u8]) {
    let [kind, rest @ ..] = input else { return };
    let folder = Folder::new();
    match *kind {
        ARRAY => arrays(&folder, rest),
        FILE => file(&folder, rest),
        LISTS => {
            let path = folder.put("cond_split.npy", rest);
            said(read_index_lists(&path, ["cond_idx", "cond_idx_unseen"]));
        }
        OURS | REFERENCE => ensemble(&folder, *kind, rest),
        _ => {}
    }
}

/// An array is the same in both widths, and when it is written and read again.
fn arrays(folder: &Folder, bytes: &[u8]) {
    let path = folder.put("a.npy", bytes);
    let shape = said(npy::read_shape(&path));
    let narrow = said(npy::read::<f32>(&path));
    let Some(array) = said(npy::read::<f64>(&path)) else { return };
    assert_eq!(shape.as_ref(), Some(&array.shape));
    assert_eq!(narrow.map(|array| array.shape).as_ref(), Some(&array.shape));
    assert_eq!(array.data.len(), array.shape.iter().product::<usize>());
    npy::write(&path, &array.shape, &array.data).expect("an array that was read");
    let again = npy::read::<f64>(&path).expect("an array that was written");
    let bits = |data: &[f64]| data.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    assert_eq!((again.shape, bits(&again.data)), (array.shape, bits(&array.data)));
}

/// What is read has the shape that was told before, whatever the name of the array.
fn file(folder: &Folder, rest: &[u8]) {
    let [place, bytes @ ..] = rest else { return };
    let place = usize::from(place.wrapping_sub(b'a'));
    let Some(extension) = Format::extensions().nth(place) else { return };
    let path = folder.put(&format!("f.{extension}"), bytes);
    let format = Format::of(&path).expect("a format");
    for variable in [None, Some("energy")] {
        let shape = said(format.read_shape(&path, variable));
        let Some(array) = said(format.read(&path, variable)) else { continue };
        assert_eq!(shape.as_ref(), Some(&array.shape));
        assert_eq!(array.data.len(), array.shape.iter().product::<usize>());
    }
}

/// The options come first, one letter each: 2 or 3 dimensions, `l` for logarithms.
fn ensemble(folder: &Folder, kind: u8, rest: &[u8]) {
    let [rank, scale, rest @ ..] = rest else { return };
    let mut files = split(rest).into_iter();
    let mut next = || files.next().unwrap_or_default();
    for (name, from) in [("a.raw", 1.0f32), ("b.raw", 2.0)] {
        let values: Vec<u8> = (0..8).flat_map(|i| (from + i as f32).to_le_bytes()).collect();
        folder.put(name, &values);
    }
    let names = match kind {
        OURS => ["params.csv", "field.yaml", "c.npy"],
        _ => ["cond.npy", "cond_split.npy", "field.yaml"],
    };
    for name in names {
        let bytes = next();
        if !bytes.is_empty() {
            folder.put(name, bytes);
        }
    }
    let config = DatasetConfig {
        data: Some(folder.path().to_owned()),
        use_logdata: *scale == b'l',
        cache_gib: Some(f64::INFINITY),
        ..DatasetConfig::default()
    };
    for components in [1, 2] {
        let model_dims = if *rank == b'2' { 2 } else { 3 };
        let options = LoadOptions { model_dims, components };
        if let Some(ensemble) = said(Ensemble::load(&config, &options)) {
            check(&ensemble, components);
        }
    }
}

/// What loads is complete and normalised.
fn check(ensemble: &Ensemble, components: usize) {
    let Ensemble { members, parameters, normalization, .. } = ensemble;
    assert_eq!(ensemble.axes.len(), ensemble.places.axes());
    assert_eq!(ensemble.values.len(), components);
    assert_eq!(ensemble.train().count() + ensemble.test().count(), members.len());
    assert!(normalization.min < normalization.max);
    for (index, member) in members.iter().enumerate() {
        let field = ensemble.field(index).expect("all are in memory");
        assert_eq!(field.len(), ensemble.points() * components);
        assert_eq!(member.parameters.len(), parameters.len());
        assert!(member.normalized.iter().all(|t| (0.0..=1.0).contains(t)), "{member:?}");
    }
    for member in ensemble.train() {
        let field = ensemble.field(member).expect("all are in memory");
        assert!(field.iter().all(|t| (0.0..=1.0).contains(&t)), "member {member}");
    }
}

fn split(mut rest: &[u8]) -> Vec<&[u8]> {
    let mut files = Vec::new();
    while let Some(at) = rest.windows(SEPARATOR.len()).position(|window| window == SEPARATOR) {
        files.push(&rest[..at]);
        rest = &rest[at + SEPARATOR.len()..];
    }
    files.push(rest);
    files
}

/// What was read; an error must be printable.
fn said<T>(result: anyhow::Result<T>) -> Option<T> {
    result.map_err(|error| drop(format!("{error:#}"))).ok()
}

/// A folder in memory, where the system has some.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        let memory = Path::new("/dev/shm");
        let place = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        Self(tempfile::tempdir_in(place).expect("a temporary folder"))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn put(&self, name: &str, bytes: &[u8]) -> std::path::PathBuf {
        let path = self.path().join(name);
        std::fs::write(&path, bytes).expect("room for a file");
        path
    }
}
