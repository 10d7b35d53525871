//! What other programs write is read as they meant it, and what is damaged is an error: files of
//! NumPy, VTK, NetCDF, HDF5 and Pillow.

#[path = "common/written.rs"]
mod written;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use drr_train::data::formats::Format;
use serde_json::Value;
use tempfile::TempDir;
use written::write_fields;

/// One array in one file.
struct Case {
    path: PathBuf,
    variable: Option<String>,
    shape: Vec<usize>,
    values: Vec<f32>,
}

/// The files, written once for all tests; `None` where they cannot be.
fn cases() -> Option<&'static [Case]> {
    static CASES: OnceLock<Option<(TempDir, Vec<Case>)>> = OnceLock::new();
    let cases = CASES.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a folder");
        write_fields(folder.path()).then(|| {
            let cases = read_manifest(folder.path());
            (folder, cases)
        })
    });
    cases.as_ref().map(|(_, cases)| cases.as_slice())
}

fn read_manifest(folder: &Path) -> Vec<Case> {
    let text = std::fs::read(folder.join("manifest.json")).expect("a manifest");
    let entries: Vec<Value> = serde_json::from_slice(&text).expect("JSON");
    let case = |entry: &Value| {
        let name = |key: &str| entry[key].as_str().expect("text");
        let bytes = std::fs::read(folder.join(name("values"))).expect("values");
        let shape = entry["shape"].as_array().expect("a list").iter();
        Case {
            path: folder.join(name("file")),
            variable: entry["variable"].as_str().map(str::to_owned),
            shape: shape.map(|n| n.as_u64().expect("a length") as usize).collect(),
            values: bytes.as_chunks().0.iter().map(|&b| f32::from_le_bytes(b)).collect(),
        }
    };
    entries.iter().map(case).collect()
}

fn same(a: f32, b: f32, slack: f32) -> bool {
    (a - b).abs() <= slack || (a.is_nan() && b.is_nan())
}

#[test]
fn what_other_programs_write_is_read_exactly() {
    let Some(cases) = cases() else { return };
    assert!(cases.len() > 200, "{} cases", cases.len());
    for Case { path, variable, shape, values } in cases {
        let place = format!("{} {variable:?}", path.display());
        let format = Format::of(path).expect("a format");
        let read = format.read(path, variable.as_deref());
        let array = read.unwrap_or_else(|error| panic!("{place}: {error:#}"));
        assert_eq!(&array.shape, shape, "{place}");
        let shape_alone = format.read_shape(path, variable.as_deref());
        assert_eq!(&shape_alone.unwrap_or_else(|e| panic!("{place}: {e:#}")), shape, "{place}");
        // Decoders of JPEG may round differently.
        let slack = if place.contains(".jpg") { 1.0 } else { 0.0 };
        let pairs = array.data.iter().zip(values);
        let wrong = pairs.filter(|(a, b)| !same(**a, **b, slack)).count();
        assert_eq!((array.data.len(), wrong), (values.len(), 0), "{place}");
    }
}

#[test]
fn arrays_that_are_not_named_or_not_there_are_listed() {
    let Some(cases) = cases() else { return };
    for Case { path, variable, .. } in cases {
        let format = Format::of(path).expect("a format");
        let Some(name) = variable else { continue };
        // With a name to choose by, a wrong one is an error that shows what there is.
        let wrong = format!("{name}x");
        for error in [
            format.read(path, Some(&wrong)).err().map(|error| format!("{error:#}")),
            format.read_shape(path, Some(&wrong)).err().map(|error| format!("{error:#}")),
        ] {
            let error = error.unwrap_or_else(|| panic!("{} has no {wrong}", path.display()));
            let bare = name.trim_start_matches('/');
            assert!(error.contains(&format!("did you mean `{bare}`?")), "{error}");
        }
        if let Err(error) = format.read(path, None) {
            let error = format!("{error:#}");
            assert!(error.contains("name one as `variable` in field.yaml"), "{error}");
        }
    }
}

/// What a reader says of a file; a panic fails the test.
fn read(path: &Path, variable: Option<&str>, what: &str) -> Result<(), String> {
    let format = Format::of(path).expect("a format");
    let result = catch_unwind(AssertUnwindSafe(|| {
        let shape = format.read_shape(path, variable).map(|_| ());
        let values = format.read(path, variable).map(|array| {
            let count = array.shape.iter().product::<usize>();
            assert_eq!(array.data.len(), count, "values for the shape {:?}", array.shape);
        });
        shape.and(values).map_err(|error| format!("{error:#}"))
    }));
    result.unwrap_or_else(|_| panic!("panicked: {what}"))
}

/// A file of each kind and structure, and the array in it.
fn samples() -> Vec<&'static Case> {
    let Some(cases) = cases() else { return Vec::new() };
    let mut samples: Vec<&Case> = Vec::new();
    for case in cases {
        let new = samples.iter().all(|sample| sample.path != case.path);
        let name = case.path.file_name().expect("a name").to_string_lossy();
        // Of the many kinds of .vti, those with small headers in the usual byte order.
        if new && (!name.ends_with(".vti") || name.contains("_32_Little")) {
            samples.push(case);
        }
    }
    samples
}

#[test]
fn files_that_end_too_early_are_errors_that_name_them() {
    let scratch = tempfile::tempdir().expect("a folder");
    for Case { path, variable, .. } in samples() {
        let bytes = std::fs::read(path).expect("a file");
        let name = path.file_name().expect("a name").to_string_lossy();
        let cut = scratch.path().join(&*name);
        for length in [0, 1, 3, 8, bytes.len() / 4, bytes.len() / 2, bytes.len() * 9 / 10] {
            std::fs::write(&cut, &bytes[..length]).expect("a file");
            let what = format!("{name} cut to {length} of {} bytes", bytes.len());
            match read(&cut, variable.as_deref(), &what) {
                Err(error) => assert!(error.contains(&*name), "{what}: {error}"),
                Ok(()) => assert!(survives_cutting(&name, length, bytes.len()), "{what} is read"),
            }
        }
        let gone = scratch.path().join(format!("gone_{name}"));
        let error = read(&gone, variable.as_deref(), "nothing").expect_err("an error");
        assert!(error.contains("gone_"), "{error}");
    }
}

/// Where the array that is asked for comes before others in a file, its end may be missing.
fn survives_cutting(name: &str, length: usize, whole: usize) -> bool {
    let several = name.starts_with("all_") || name.ends_with(".nc") || name.ends_with(".h5");
    several && length >= whole / 2
}

#[test]
fn damaged_files_never_panic() {
    let scratch = tempfile::tempdir().expect("a folder");
    for Case { path, variable, .. } in samples() {
        let bytes = std::fs::read(path).expect("a file");
        let name = path.file_name().expect("a name").to_string_lossy();
        let damaged = scratch.path().join(&*name);
        // All of the beginning, where the headers are, then a sample.
        let step = (bytes.len() / 80).max(1) | 1;
        let places = (0..bytes.len().min(60)).chain((60..bytes.len()).step_by(step));
        for (round, at) in places.enumerate() {
            let mut changed = bytes.clone();
            changed[at] ^= [1, 0x80, 0xff, 0x20][round % 4];
            std::fs::write(&damaged, &changed).expect("a file");
            let what = format!("{name}, byte {at} changed");
            // Many are other fields, the rest errors.
            if let Err(error) = read(&damaged, variable.as_deref(), &what) {
                assert!(error.contains(&*name), "{what}: {error}");
            }
        }
    }
}

#[test]
fn what_is_not_read_says_so() {
    let Some(cases) = cases() else { return };
    let folder = cases[0].path.parent().expect("a folder");
    for (name, texts) in [
        ("refused_lzma.vti", &["vtkLZMADataCompressor, which is not read"][..]),
        ("refused_grid.vtk", &["RECTILINEAR_GRID, expected STRUCTURED_POINTS"]),
        ("refused_huge.h5", &["too few for the shape [4000, 4000, 4000] that it claims"]),
        ("refused_bfloat16.h5", &["exponent of 8 bits, expected IEEE's 5"]),
        ("refused_palette.tif", &["RGBPalette", "unsupported"]),
    ] {
        let error = read(&folder.join(name), None, name).expect_err("an error");
        assert!(texts.iter().all(|text| error.contains(text)), "{error}");
    }
    // A name that does not fit what is in the file.
    let scratch = tempfile::tempdir().expect("a folder");
    for (from, to) in [("grey.tif", "a.png"), ("one.npz", "a.h5"), ("one.hdf5", "a.vti")] {
        let path = scratch.path().join(to);
        std::fs::copy(folder.join(from), &path).expect("a copy");
        let error = read(&path, None, to).expect_err("an error");
        assert!(error.contains(to), "{error}");
    }
}
