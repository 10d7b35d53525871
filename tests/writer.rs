//! The writer: a file appears only when it is complete, mistakes are errors, and what was given
//! is what a plain reader of the documented format finds.

mod common;

use std::path::Path;

use common::plain::File;
use common::random::{self, Layout, Rng};
use common::small_tensors;
use drr::model::spec::Spec;
use drr::model::{GridPrecision, SmallTensors, Writer};
use drr::{Checksums, ErrorKind, Model, Result, Storage};
use half::f16;

fn spec() -> Spec {
    random::spec(Layout::Concatenated, &mut Rng::new(23))
}

/// Writes a model whose features are all `feature`.
fn write(path: &Path, spec: &Spec, precision: GridPrecision, feature: f64) -> Result<u64> {
    let mut writer = Writer::create(path, spec.clone(), precision)?;
    for n in 0..spec.grids.len() {
        fill(&mut writer, spec, n, feature)?;
    }
    writer.finish(&small_tensors(spec, &mut Rng::new(5)))
}

fn fill(writer: &mut Writer, spec: &Spec, n: usize, feature: f64) -> Result<()> {
    let mut grid = writer.grid()?;
    grid.push(&vec![feature; spec.grids[n].vertices().unwrap() * spec.grids[n].channels])?;
    grid.finish()
}

/// Names of what is in a folder.
fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = (std::fs::read_dir(folder).expect("a folder"))
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"))
        .collect();
    names.sort();
    names
}

#[test]
fn the_file_appears_when_it_is_complete() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("model");
    let spec = spec();
    std::fs::write(&path, "old").expect("room for a file");
    let mut writer = Writer::create(&path, spec.clone(), GridPrecision::F16).expect("a folder");
    for n in 0..spec.grids.len() {
        fill(&mut writer, &spec, n, 0.5).expect("room for a grid");
        assert_eq!(std::fs::read(&path).expect("the old file"), b"old");
    }
    let size = writer.finish(&small_tensors(&spec, &mut Rng::new(5))).expect("a complete model");
    assert_eq!(names(folder.path()), ["model"]);
    assert_eq!(std::fs::metadata(&path).expect("the new file").len(), size);
    Model::open(&path, Storage::Mapped, Checksums::Verify).expect("a valid file");
}

#[test]
fn an_abandoned_or_failed_writer_leaves_no_trace() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("model");
    let spec = spec();
    let untouched = || {
        assert_eq!(names(folder.path()), ["model"]);
        assert_eq!(std::fs::read(&path).expect("the old file"), b"old");
    };
    std::fs::write(&path, "old").expect("room for a file");
    let create = || Writer::create(&path, spec.clone(), GridPrecision::F32).expect("a folder");
    drop(create());
    untouched();
    let mut writer = create();
    fill(&mut writer, &spec, 0, 0.5).expect("room for a grid");
    drop(writer);
    untouched();
    let error = create().finish(&SmallTensors::default()).expect_err("no grids");
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    untouched();
    let mut writer = create();
    for n in 0..spec.grids.len() {
        fill(&mut writer, &spec, n, 0.5).expect("room for a grid");
    }
    let error = writer.finish(&SmallTensors::default()).expect_err("no small tensors");
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    untouched();
}

#[test]
fn a_grid_that_was_given_up_can_be_written_again() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("model");
    let spec = spec();
    let mut writer = Writer::create(&path, spec.clone(), GridPrecision::F32).expect("a folder");
    for n in 0..spec.grids.len() {
        writer.grid().expect("a grid").push(&vec![9.0; spec.grids[n].channels]).expect("finite");
        fill(&mut writer, &spec, n, 0.25).expect("room for a grid");
    }
    writer.finish(&small_tensors(&spec, &mut Rng::new(5))).expect("a complete model");
    let again = folder.path().join("again");
    write(&again, &spec, GridPrecision::F32, 0.25).expect("a complete model");
    assert!(std::fs::read(path).unwrap() == std::fs::read(again).unwrap());
}

#[test]
fn writers_of_the_same_name_do_not_disturb_each_other() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("model");
    let spec = spec();
    let create = || Writer::create(&path, spec.clone(), GridPrecision::F32).expect("a folder");
    let (mut first, mut second) = (create(), create());
    for n in 0..spec.grids.len() {
        fill(&mut first, &spec, n, 0.25).expect("room for a grid");
        fill(&mut second, &spec, n, 0.75).expect("room for a grid");
    }
    for (writer, feature) in [(second, 0.75), (first, 0.25)] {
        writer.finish(&small_tensors(&spec, &mut Rng::new(5))).expect("a complete model");
        let file = File::read(&std::fs::read(&path).expect("a file"));
        assert_eq!(file.tensor("grid.0").values[0], feature);
    }
    assert_eq!(names(folder.path()), ["model"]);
}

#[test]
fn places_that_cannot_be_written_are_errors() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let spec = spec();
    let fails = |path: &Path| {
        write(path, &spec, GridPrecision::F32, 0.5).expect_err("a place that cannot be written")
    };
    let file = folder.path().join("file");
    std::fs::write(&file, "").expect("room for a file");
    for path in [folder.path().join("missing/model"), file.join("model")] {
        let error = fails(&path);
        assert_eq!(error.kind(), ErrorKind::Io);
        assert!(error.to_string().contains(&path.display().to_string()), "{error}");
    }
    assert_eq!(fails(Path::new("/")).kind(), ErrorKind::InvalidArgument);
    // The name is taken by a folder: seen at the end only.
    let taken = folder.path().join("taken");
    std::fs::create_dir(&taken).expect("room for a folder");
    assert_eq!(fails(&taken).kind(), ErrorKind::Io);
    assert_eq!(names(folder.path()), ["file", "taken"]);
}

#[test]
fn an_inconsistent_description_is_refused_before_anything_is_written() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut spec = spec();
    spec.grids[0].offset = usize::MAX;
    let result = Writer::create(folder.path().join("model"), spec, GridPrecision::F32);
    assert_eq!(result.err().expect("an offset outside").kind(), ErrorKind::Format);
    assert!(names(folder.path()).is_empty());
}

#[test]
fn wrong_numbers_of_features_are_errors() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let spec = spec();
    let grid = &spec.grids[0];
    let (channels, vertices) = (grid.channels, grid.vertices().unwrap());
    let mut writer =
        Writer::create(folder.path().join("model"), spec.clone(), GridPrecision::F16).unwrap();
    let refused = |result: Result<()>| {
        assert_eq!(result.expect_err("a mistake").kind(), ErrorKind::InvalidArgument);
    };
    let mut grid = writer.grid().expect("a grid");
    refused(grid.push(&vec![0.0; channels + 1]));
    refused(grid.push(&vec![0.0; channels * (vertices + 1)]));
    grid.push(&[]).expect("nothing to write");
    grid.push(&vec![0.0; channels * (vertices - 1)]).expect("all but one");
    refused(grid.push(&vec![0.0; channels * 2]));
    refused(grid.finish());
    fill(&mut writer, &spec, 0, 0.5).expect("a second attempt");
    for n in 1..spec.grids.len() {
        fill(&mut writer, &spec, n, 0.5).expect("the others");
    }
    let one_too_many = writer.grid().err().expect("no such grid");
    assert_eq!(one_too_many.kind(), ErrorKind::InvalidArgument);
}

#[test]
fn features_that_the_precision_cannot_hold_are_errors() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("model");
    let mut largest = f64::from(f16::MAX);
    for (precision, just_too_large) in [(GridPrecision::F16, 65520.0), (GridPrecision::F32, 3.5e38)]
    {
        write(&path, &spec(), precision, -largest).expect("the largest number");
        for feature in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, just_too_large, 1e300] {
            let error = write(&path, &spec(), precision, feature).expect_err("not to be held");
            assert_eq!(error.kind(), ErrorKind::InvalidArgument);
            assert!(error.to_string().contains("grid.0"), "{error}");
        }
        largest = f64::from(f32::MAX);
    }
}

#[test]
fn small_tensors_that_do_not_fit_are_errors() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("model");
    let mut spec = spec();
    spec.input.bias = true;
    let width = spec.input.width;
    let finish = |edit: &dyn Fn(&mut SmallTensors)| {
        let mut writer = Writer::create(&path, spec.clone(), GridPrecision::F32).unwrap();
        for n in 0..spec.grids.len() {
            fill(&mut writer, &spec, n, 0.5).expect("room for a grid");
        }
        let mut tensors = small_tensors(&spec, &mut Rng::new(5));
        edit(&mut tensors);
        writer.finish(&tensors)
    };
    finish(&|_| {}).expect("tensors that fit");
    std::fs::remove_file(&path).expect("the file");
    let edits: [&dyn Fn(&mut SmallTensors); 10] = [
        &|t| t.input_bias = None,
        &|t| t.input_bias = Some(vec![0.0; width + 1]),
        &|t| t.input_bias = Some(vec![f32::NAN; width]),
        &|t| t.lines.push(vec![0.0]),
        &|t| t.lines[0].push(0.0),
        &|t| t.lines[0][0] = f32::INFINITY,
        // Right in number and size, but not what they are for.
        &|t| t.lines.extend(t.input_bias.take()),
        &|t| t.layers.clear(),
        &|t| t.layers[0].0[1] = f32::NAN,
        &|t| t.layers[0].1.push(0.0),
    ];
    for (n, edit) in edits.iter().enumerate() {
        let error = finish(edit).err().unwrap_or_else(|| panic!("edit {n} unnoticed"));
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "edit {n}: {error}");
        assert!(names(folder.path()).is_empty());
    }
}

#[test]
fn a_plain_reader_finds_what_was_written() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("model");
    for (seed, precision) in [(1, GridPrecision::F32), (2, GridPrecision::F16)] {
        let rng = &mut Rng::new(seed);
        let mut spec = random::spec(Layout::Concatenated, rng);
        // Several megabytes, so that buffers are emptied on the way.
        let grid = &mut spec.grids[0];
        grid.shape = grid.axes.iter().map(|_| [70_001, 257, 41][grid.axes.len() - 1]).collect();
        let mut given = Vec::new();
        let mut writer = Writer::create(&path, spec.clone(), precision).expect("a folder");
        for shape in &spec.grids {
            let features = rng.list(shape.vertices().unwrap() * shape.channels, 2.0);
            let mut grid = writer.grid().expect("a grid");
            let mut rest = &features[..];
            while !rest.is_empty() {
                let (some, others) =
                    rest.split_at(rest.len().min(shape.channels * rng.below(5000)));
                grid.push(some).expect("finite features");
                rest = others;
            }
            grid.finish().expect("a complete grid");
            given.push(features);
        }
        let tensors = small_tensors(&spec, rng);
        writer.finish(&tensors).expect("a complete model");

        let bytes = std::fs::read(&path).expect("the file");
        let file = File::read(&bytes);
        assert!(file.data_start.is_multiple_of(256), "{}", file.data_start);
        assert_eq!(file.metadata()["spec"], serde_json::to_string(&spec).unwrap());
        assert_eq!(file.metadata().len(), 4 + file.tensors().len());
        for (n, (grid, given)) in spec.grids.iter().zip(&given).enumerate() {
            let tensor = file.tensor(&format!("grid.{n}"));
            let row = tensor.shape[grid.shape.len()];
            assert_eq!(
                (&tensor.shape[..grid.shape.len()], &*tensor.dtype),
                (&*grid.shape, precision.name())
            );
            assert!(tensor.range.start.is_multiple_of(64) && row < grid.channels + 32);
            for (found, given) in tensor.values.chunks(row).zip(given.chunks(grid.channels)) {
                assert!(found.iter().zip(given).all(|(&found, &x)| found == stored(x, precision)));
                assert!(found[grid.channels..].iter().all(|&padding| padding == 0.0));
            }
        }
        let is = |name: &str, given: &[f32]| {
            let found = &file.tensor(name).values;
            assert!(found.iter().copied().eq(given.iter().map(|&x| f64::from(x))), "{name}");
        };
        tensors.lines.iter().enumerate().for_each(|(n, line)| is(&format!("line.{n}"), line));
        tensors.input_bias.iter().for_each(|bias| is("input.bias", bias));
        for (n, (weight, bias)) in tensors.layers.iter().enumerate() {
            is(&format!("layer.{n}.weight"), weight);
            is(&format!("layer.{n}.bias"), bias);
        }
        let container = safetensors::SafeTensors::deserialize(&bytes).expect("a safetensors file");
        for tensor in file.tensors() {
            let found = container.tensor(&tensor.name).expect("the same tensors");
            assert_eq!((found.shape(), found.data()), (&*tensor.shape, &*tensor.bytes));
        }
        Model::open(&path, Storage::Mapped, Checksums::Verify).expect("a valid file");
    }
}

fn stored(x: f64, precision: GridPrecision) -> f64 {
    match precision {
        GridPrecision::F32 => f64::from(x as f32),
        GridPrecision::F16 => f16::from_f64(x).to_f64(),
        GridPrecision::I8 => unreachable!("depends on the range of the channel"),
    }
}

#[test]
fn a_device_is_not_replaced() {
    let error = Writer::create("/dev/null", spec(), GridPrecision::F16).err().expect("no file");
    assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
    assert!(!Path::new("/dev/null").is_file());
}
