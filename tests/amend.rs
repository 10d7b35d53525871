//! Amending a baked file changes what it says about its origin and nothing else.

mod common;

use common::random;
use drr::model::amend;
use drr::{Checksums, Model, Storage};
use serde_json::{Map, Value};

fn named(size: u64) -> Map<String, Value> {
    Map::from_iter([("bytes".to_owned(), size.into()), ("text".to_owned(), "x".repeat(900).into())])
}

#[test]
fn only_the_provenance_changes_and_the_size_is_known() {
    let folder = tempfile::tempdir().expect("a folder");
    let (from, to) = (folder.path().join("from"), folder.path().join("to"));
    for seed in 0..15 {
        let bytes = random::model(seed).bytes;
        std::fs::write(&from, &bytes).expect("room");
        let size = amend(&from, &to, named).expect("a copy");
        let amended = std::fs::read(&to).expect("a file");
        assert_eq!(amended.len() as u64, size);
        let open = |bytes: &[u8]| Model::from_bytes(bytes, Checksums::Verify).expect("a model");
        let (old, new) = (open(&bytes), open(&amended));
        assert_eq!(new.spec().provenance, named(size));
        let mut spec = new.spec().clone();
        spec.provenance = old.spec().provenance.clone();
        assert_eq!(&spec, old.spec());
        let data = |bytes: &[u8]| {
            let header = u64::from_le_bytes(*bytes.first_chunk().expect("a length")) as usize;
            bytes[8 + header..].to_vec()
        };
        assert!(data(&bytes) == data(&amended), "the tensors");
        // Tensor data stay aligned.
        assert_eq!((amended.len() - data(&amended).len()) % 256, 0);
        Model::open(&to, Storage::Mapped, Checksums::Verify).expect("a file");
    }
}

#[test]
fn what_is_no_baked_file_is_refused_and_nothing_is_left() {
    let folder = tempfile::tempdir().expect("a folder");
    let (from, to) = (folder.path().join("from"), folder.path().join("to"));
    let metadata = br#"{"__metadata__":{}}"#;
    let headless = [&(metadata.len() as u64).to_le_bytes()[..], metadata].concat();
    let longer = [&u64::MAX.to_le_bytes()[..], metadata].concat();
    for bytes in [&b""[..], b"text that is no model", &longer, &headless] {
        std::fs::write(&from, bytes).expect("room");
        amend(&from, &to, named).expect_err("no model");
    }
    amend(folder.path().join("nothing"), &to, named).expect_err("no file");
    std::fs::write(&from, random::model(1).bytes).expect("room");
    amend(&from, folder.path().join("nowhere/to"), named).expect_err("no folder");
    std::fs::create_dir(&to).expect("room");
    std::fs::write(to.join("in the way"), "").expect("room");
    amend(&from, &to, named).expect_err("a folder");
    let mut left: Vec<_> = (std::fs::read_dir(folder.path()).expect("a folder"))
        .map(|entry| entry.expect("an entry").file_name())
        .collect();
    left.sort();
    assert_eq!(left, ["from", "to"]);
}
