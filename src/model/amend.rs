//! Replaces what a baked file says about its origin: for what is only known once there is a file,
//! such as measured errors.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use serde_json::{Map, Value};

use super::file::checksum_key;
use super::spec::Spec;
use super::writer::{align_header, sync_folder, temporary_name};
use crate::{Error, ErrorKind, Result};

/// Copies the baked file `from` to `to` with another `provenance`, made for the size in bytes that
/// the new file has; returns that size. The file appears under its name only when it is complete.
///
/// # Errors
/// `Format` if `from` is no baked file, `Io` if the disk is full; `to` stays as it was then.
pub fn amend(
    from: impl AsRef<Path>,
    to: impl AsRef<Path>,
    provenance: impl Fn(u64) -> Map<String, Value>,
) -> Result<u64> {
    let (from, to) = (from.as_ref(), to.as_ref());
    let mut source = File::open(from).map_err(|error| context(error, "read", from))?;
    let header = read_header(&mut source).map_err(|error| error.context(from.display()))?;
    let data_start = 8 + header.len() as u64;
    let data = source.metadata()?.len().saturating_sub(data_start);
    let mut header = Header::parse(&header).map_err(|error| error.context(from.display()))?;
    // The size depends on the text and the text may name the size: two rounds settle it.
    let mut size = data;
    let mut bytes = Vec::new();
    for _ in 0..3 {
        bytes = header.with(provenance(size))?;
        size = bytes.len() as u64 + data;
    }
    let temporary = temporary_name(to)?;
    let copy = |source: &mut File| -> std::io::Result<()> {
        let mut out = File::create(&temporary)?;
        out.write_all(&bytes)?;
        source.seek(SeekFrom::Start(data_start))?;
        std::io::copy(source, &mut out)?;
        out.sync_all()?;
        std::fs::rename(&temporary, to)
    };
    copy(&mut source).map_err(|error| {
        let _ = std::fs::remove_file(&temporary);
        context(error, "write", to)
    })?;
    sync_folder(to);
    Ok(size)
}

struct Header {
    tensors: Map<String, Value>,
    metadata: Map<String, Value>,
    spec: Spec,
}

impl Header {
    fn parse(text: &[u8]) -> Result<Self> {
        let damaged = |error| Error::format(format!("not a baked file: {error}"));
        let mut tensors: Map<String, Value> = serde_json::from_slice(text).map_err(damaged)?;
        let metadata = match tensors.remove("__metadata__") {
            Some(Value::Object(metadata)) => metadata,
            _ => return Err(Error::format("not a baked file: it has no metadata")),
        };
        let spec = metadata.get("spec").and_then(Value::as_str).unwrap_or_default();
        let spec = serde_json::from_str(spec).map_err(damaged)?;
        Ok(Self { tensors, metadata, spec })
    }

    /// The header's bytes, its length before them.
    fn with(&mut self, provenance: Map<String, Value>) -> Result<Vec<u8>> {
        let bug = |error| Error::new(ErrorKind::Internal, format!("description: {error}"));
        self.spec.provenance = provenance;
        let spec = serde_json::to_string(&self.spec).map_err(bug)?;
        let crc = format!("{:08x}", crc32fast::hash(spec.as_bytes()));
        self.metadata.insert(checksum_key("spec"), crc.into());
        self.metadata.insert("spec".into(), spec.into());
        let mut header = self.tensors.clone();
        header.insert("__metadata__".into(), self.metadata.clone().into());
        Ok(align_header(&serde_json::to_vec(&header).map_err(bug)?))
    }
}

fn read_header(file: &mut File) -> Result<Vec<u8>> {
    let mut length = [0; 8];
    file.read_exact(&mut length)?;
    let length = u64::from_le_bytes(length);
    let room = file.metadata()?.len().saturating_sub(8);
    if length > room {
        return Err(Error::format("not a baked file: its header is longer than the file"));
    }
    let mut header = Vec::new();
    file.take(length).read_to_end(&mut header)?;
    Ok(header)
}

fn context(error: std::io::Error, verb: &str, path: &Path) -> Error {
    Error::from(error).context(format!("cannot {verb} {}", path.display()))
}
