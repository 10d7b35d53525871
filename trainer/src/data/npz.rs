//! NumPy's `.npz`: named arrays in a zip archive, stored or deflated.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use anyhow::{Context, Result, bail};
use zip::ZipArchive;

use super::npy::{self, Array, Element};

type Archive = ZipArchive<BufReader<File>>;

const EXTENSION: &str = ".npy";

/// Reads the array called `name`, or the only one.
///
/// # Errors
/// The file cannot be read, is no `.npz` file or damaged (members have checksums), has no such
/// array, or several and no name is given: the names are listed.
pub fn read<T: Element>(path: &Path, name: Option<&str>) -> Result<Array<T>> {
    let (mut archive, member) = open(path, name)?;
    let bytes = read_member(&mut archive, &member, u64::MAX);
    let array = bytes.and_then(|bytes| npy::parse(&bytes));
    array.with_context(|| format!("{}: the array {member} is not usable", path.display()))
}

/// The shape of the array called `name`, or of the only one, from its header alone.
///
/// # Errors
/// As [`read`].
pub fn read_shape(path: &Path, name: Option<&str>) -> Result<Vec<usize>> {
    let (mut archive, member) = open(path, name)?;
    let shape = read_member(&mut archive, &member, npy::HEADER_LIMIT)
        .and_then(|bytes| npy::parse_shape(&bytes));
    shape.with_context(|| format!("{}: the array {member} is not usable", path.display()))
}

/// The archive, and the name in it of the array that is meant.
fn open(path: &Path, name: Option<&str>) -> Result<(Archive, String)> {
    let shown = path.display();
    let file = File::open(path).with_context(|| format!("cannot read {shown}"))?;
    let archive = ZipArchive::new(BufReader::new(file))
        .with_context(|| format!("{shown} is no usable .npz file"))?;
    let names = archive.file_names().filter_map(|member| member.strip_suffix(EXTENSION));
    let names: Vec<String> = names.map(str::to_owned).collect();
    let name = super::formats::choose(&names, name, "arrays").with_context(|| shown.to_string())?;
    Ok((archive, format!("{name}{EXTENSION}")))
}

/// The first `limit` bytes of a member; if that is all of it, its checksum is right.
fn read_member(archive: &mut Archive, member: &str, limit: u64) -> Result<Vec<u8>> {
    let entry = archive.by_name(member)?;
    let size = entry.size();
    let mut bytes = Vec::new();
    // One byte more than there should be, so that a wrong size shows.
    entry.take(limit.min(size.saturating_add(1))).read_to_end(&mut bytes)?;
    if bytes.len() as u64 != limit.min(size) {
        bail!("it has another length than the {size} bytes that the archive says");
    }
    Ok(bytes)
}
