//! Disks and memory end: the library reports it and goes on. Each test runs itself again in a
//! process with a limit.
#![cfg(target_os = "linux")]

mod common;

use std::ffi::OsStr;
use std::io::Write;
use std::path::Path;
use std::process::Command;

use common::forge::assemble;
use common::plain::checksum;
use common::small_tensors;
use drr::model::spec::Spec;
use drr::model::{GridPrecision, Writer};
use drr::{Checksums, ErrorKind, Model, Storage};
use serde_json::{Value, json};

/// Set in the limited process, to the folder that it works in.
const FOLDER: &str = "DRR_TEST_FOLDER";

/// Runs the test of this name in a shell that has set `limit`, and passes on how it ends.
fn run_again(test: &str, limit: &str, folder: &Path) {
    let program = std::env::current_exe().expect("this program");
    let script = format!("{limit} && exec \"$0\" --exact \"$1\" --test-threads 1");
    let output = Command::new("sh")
        .args([OsStr::new("-c"), script.as_ref(), program.as_os_str(), test.as_ref()])
        .env(FOLDER, folder)
        .output()
        .expect("a shell");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("1 passed"), "{text}");
}

/// One grid of `vertices` numbers, nothing else.
fn spec(vertices: usize) -> Spec {
    serde_json::from_value(json!({
        "axes": [{"name": "x", "unit": "", "min": 0.0, "max": 1.0}],
        "parameters": [],
        "values": [{"name": "v", "unit": "", "min": 0.0, "max": 1.0, "transform": "linear"}],
        "grids": [{"axes": [0], "shape": [vertices], "channels": 1, "offset": 0}],
        "lines": [],
        "input": {"width": 1, "bias": false, "activation": "identity"},
        "layers": [],
    }))
    .expect("a description")
}

#[test]
fn a_full_disk_is_an_error_and_leaves_the_old_file() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        return fill_the_disk(Path::new(&folder));
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("model");
    std::fs::write(&path, "old").expect("room for a file");
    // Files may grow to 64 KiB or 128 KiB (shells differ); ignored, the signal becomes an error
    // like that of a full disk.
    let limit = "trap '' XFSZ && ulimit -f 128";
    run_again("a_full_disk_is_an_error_and_leaves_the_old_file", limit, folder.path());
    assert_eq!(std::fs::read(&path).expect("the old file"), b"old");
    assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 1);
}

fn fill_the_disk(folder: &Path) {
    // 256 KiB fail when the file is completed, 4 MiB when a buffer is emptied on the way.
    for vertices in [4 << 10, 64 << 10] {
        let spec = spec(vertices);
        let write = || {
            let mut writer =
                Writer::create(folder.join("model"), spec.clone(), GridPrecision::F32)?;
            let mut grid = writer.grid()?;
            for _ in 0..vertices / 1024 {
                grid.push(&[0.5; 1024])?;
            }
            grid.finish()?;
            writer.finish(&small_tensors(&spec, &mut common::Rng::new(1)))
        };
        let error = write().expect_err("no room");
        assert_eq!(error.kind(), ErrorKind::Io);
        assert!(error.to_string().contains("model"), "{error}");
    }
}

#[test]
fn a_lack_of_memory_is_an_error() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        return run_out_of_memory(Path::new(&folder));
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    // A third of a gigabyte that takes no room: written by somebody else, so not aligned.
    let spec = serde_json::to_string(&spec(LARGE / 4)).expect("JSON");
    let header = json!({
        "grid.0": {"dtype": "F32", "shape": [LARGE / 4, 1], "data_offsets": [0, LARGE]},
        "__metadata__": {
            "format": "drr-baked",
            "version": "1",
            "crc32.spec": checksum(spec.as_bytes()),
            "spec": spec,
        },
    });
    for (name, misalignment) in [("aligned", 0), ("misaligned", 8)] {
        let header = assemble(&Value::to_string(&header), misalignment, &[]);
        let mut file = std::fs::File::create(folder.path().join(name)).expect("room for a file");
        file.write_all(&header).expect("room for a header");
        file.set_len((header.len() + LARGE) as u64).expect("room for a hole");
    }
    // Enough to hold the file once and for the program, not for a second copy.
    run_again("a_lack_of_memory_is_an_error", "ulimit -v 600000", folder.path());
}

const LARGE: usize = 320 << 20;

fn run_out_of_memory(folder: &Path) {
    let open = |name: &str, storage| Model::open(folder.join(name), storage, Checksums::Skip);
    for storage in [Storage::Mapped, Storage::Copied] {
        assert!(open("aligned", storage).is_ok(), "{storage:?}: the file is held once");
    }
    // Held as it is and again with its data aligned.
    for (name, storage) in [("misaligned", Storage::Mapped), ("misaligned", Storage::Copied)] {
        let error = open(name, storage).err().expect("no room for a copy");
        assert_eq!(error.kind(), ErrorKind::OutOfMemory, "{error}");
    }
}
