//! Files that appear whole or not at all.

use std::fs::{File, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result};

/// Writes `bytes` to `path` through a temporary file beside it: an interruption or a full disk
/// leaves what was there before. The file is as readable as any new one (`umask`).
///
/// # Errors
/// If the folder cannot be written or the disk is full.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    atomically(path, |file| {
        file.write_all(bytes).with_context(|| format!("cannot write {}", path.display()))
    })
}

/// As [`write_atomically`], what `write` puts into the file.
///
/// # Errors
/// As [`write_atomically`], and those of `write`.
pub fn atomically(path: &Path, write: impl FnOnce(&mut File) -> Result<()>) -> Result<()> {
    let broken = || format!("cannot write {}", path.display());
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new()
        .prefix(".drr-")
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(folder)
        .with_context(broken)?;
    write(file.as_file_mut())?;
    file.as_file().sync_all().with_context(broken)?;
    file.persist(path).map_err(|error| error.error).with_context(broken)?;
    Ok(())
}
