//! A data set that is one field or picture: an ensemble of one member, without parameters.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use super::formats::Format;
use super::load::Listing;
use super::member::{Member, Split};
use crate::config::DatasetConfig;

/// The file of the field: what `--data` names, or the configuration's `data_path`.
///
/// # Errors
/// If it is not there.
pub(super) fn file(config: &DatasetConfig) -> Result<PathBuf> {
    let Some(path) = config.data.as_ref().or(config.data_path.as_ref()) else {
        bail!("no data: give --data FILE, or data_path in the configuration's dataset");
    };
    if path.is_dir() {
        bail!("{}: a folder, expected the file of one field ({})", path.display(), config.kind);
    }
    if !path.is_file() {
        bail!("there is no file {}", path.display());
    }
    Ok(path.clone())
}

/// The only member.
pub(super) fn listing(file: &Path) -> Listing {
    let member = Member::new(file.to_owned(), Split::Train, Vec::new());
    Listing { parameters: Vec::new(), members: vec![member], notes: Vec::new() }
}

/// What the components of a picture are called; nothing for other files, which have no such names.
pub(super) fn channels(file: &Path, count: usize) -> &'static [&'static str] {
    match (is_picture(file), count) {
        (true, 3) => &["red", "green", "blue"],
        (true, 4) => &["red", "green", "blue", "alpha"],
        _ => &[],
    }
}

/// Whether a file is a picture, whose axes count pixels.
pub(super) fn is_picture(file: &Path) -> bool {
    matches!(Format::of(file), Some(Format::Picture | Format::Tiff))
}
