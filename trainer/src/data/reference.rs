//! The reference's form of an ensemble: `cond.npy`, `cond_split.npy` and a folder of fields.
//!
//! A row of `cond.npy` is the index of a file in the sorted folder, then parameters in `[0, 1]`.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};

use super::formats::Format;
use super::info::FieldInfo;
use super::load::Listing;
use super::member::{Member, Split};
use super::{npy, pickle};
use crate::config::DatasetConfig;

const TABLE: &str = "cond.npy";
const SPLIT: &str = "cond_split.npy";
const SPLIT_KEYS: [&str; 2] = ["cond_idx", "cond_idx_unseen"];

/// Files without header that count as fields, besides those whose format is known by their
/// extension; all others in the folder are passed over.
const HEADERLESS: [&str; 4] = ["raw", "bin", "dat", "f32"];

/// Reads the table and the split, and finds each row's file; that of `coordinates` is none.
///
/// # Errors
/// Anything missing, indices out of range or twice, parameters outside `[0, 1]`; named by file
/// and row.
pub(super) fn read(
    folder: &Path,
    config: &DatasetConfig,
    info: &FieldInfo,
    coordinates: Option<&Path>,
) -> Result<Listing> {
    let by_command = config.data.is_some();
    let table = find(folder, TABLE, config.cond_path.as_deref(), by_command)?;
    let split = find(folder, SPLIT, config.cond_split_path.as_deref(), by_command)
        .context("which members are for training, which are held out?")?;
    let files = fields(&data_folder(folder, coordinates)?, coordinates)?;
    let rows = read_table(&table)?;
    let splits = read_split(&split, rows.len())?;
    let width = rows[0].len() - 1;
    let mut listing = Listing {
        parameters: (0..width)
            .map(|i| info.parameter(&format!("p{i}"), (0.0, 1.0)))
            .collect::<Result<_>>()?,
        members: Vec::new(),
        notes: Vec::new(),
    };
    let mut seen = HashMap::new();
    for (row, values) in rows.iter().enumerate() {
        let Some(&split) = splits.get(&row) else {
            continue;
        };
        let place = || format!("{} row {row}", table.display());
        let file = file_of(values[0], &files).with_context(place)?;
        if let Some(first) = seen.insert(file.clone(), row) {
            bail!("{}: {} is in row {first} already", place(), file.display());
        }
        let pairs = listing.parameters.iter().zip(&values[1..]);
        let physical = pairs.map(|(p, &value)| p.denormalize(value)).collect();
        listing.members.push(Member::new(file, split, physical));
    }
    let unused = rows.len() - listing.members.len();
    if unused > 0 {
        let note = format!("{unused} rows of {TABLE} are in neither list of {SPLIT}: not used");
        listing.notes.push(note);
    }
    Ok(listing)
}

/// The table or the split: what the configuration names, unless the command line names a folder
/// that has it.
fn find(folder: &Path, name: &str, configured: Option<&Path>, by_command: bool) -> Result<PathBuf> {
    let inside = folder.join(name);
    let place = match configured {
        Some(configured) if !(by_command && inside.is_file()) => configured.to_path_buf(),
        _ => inside,
    };
    if !place.is_file() {
        bail!("{} has no params.csv, and there is no {}", folder.display(), place.display());
    }
    Ok(place)
}

/// The folder itself if it has fields, else the only folder in it that has.
fn data_folder(folder: &Path, coordinates: Option<&Path>) -> Result<PathBuf> {
    if !fields(folder, coordinates)?.is_empty() {
        return Ok(folder.to_path_buf());
    }
    let mut with_fields = Vec::new();
    for inner in list(folder, Path::is_dir)? {
        if !fields(&inner, coordinates)?.is_empty() {
            with_fields.push(inner);
        }
    }
    match with_fields.as_slice() {
        [only] => Ok(only.clone()),
        [] => bail!(
            "no field files in {} or the folders in it (looked for .{})",
            folder.display(),
            HEADERLESS.into_iter().chain(Format::extensions()).collect::<Vec<_>>().join(", .")
        ),
        several => bail!(
            "several folders in {} have field files ({}): give the one meant with --data or data_dir",
            folder.display(),
            several.iter().map(|p| p.display().to_string()).collect::<Vec<_>>().join(", ")
        ),
    }
}

/// The files of fields in `folder`, in order. As members go by their place among them, pictures
/// and exports beside raw or `.npy` files are passed over, and other mixtures are errors.
fn fields(folder: &Path, coordinates: Option<&Path>) -> Result<Vec<PathBuf>> {
    let other = coordinates.and_then(|path| path.canonicalize().ok());
    let is_other = |path: &Path| other.is_some() && path.canonicalize().ok() == other;
    let files = list(folder, |path| is_field(path) && !is_other(path))?;
    let plain = |path: &&PathBuf| matches!(Format::of(path), None | Some(Format::Npy));
    let chosen: Vec<PathBuf> = files.iter().filter(plain).cloned().collect();
    if !chosen.is_empty() {
        return Ok(chosen);
    }
    if let Some((first, other)) = files.first().and_then(|first| {
        let other = files.iter().find(|path| Format::of(path) != Format::of(first));
        other.map(|other| (first, other))
    }) {
        bail!(
            "which files are the fields? {} and {} are both in {}: leave files of one kind there",
            first.file_name().unwrap_or_default().to_string_lossy(),
            other.file_name().unwrap_or_default().to_string_lossy(),
            folder.display()
        );
    }
    Ok(files)
}

fn is_field(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let extension = path.extension().unwrap_or_default().to_string_lossy();
    path.is_file()
        && !name.starts_with('.')
        && name != TABLE
        && name != SPLIT
        && (HEADERLESS.contains(&extension.as_ref()) || Format::of(path).is_some())
}

/// What `folder` holds and `wanted` accepts, in the order that Python's `sorted` gives.
fn list(folder: &Path, wanted: impl Fn(&Path) -> bool) -> Result<Vec<PathBuf>> {
    let read = || -> std::io::Result<Vec<PathBuf>> {
        std::fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect()
    };
    let mut paths = read().with_context(|| format!("cannot list {}", folder.display()))?;
    paths.retain(|path| wanted(path));
    paths.sort();
    Ok(paths)
}

/// The rows of `cond.npy`, at least one, all of one width of at least 2.
fn read_table(path: &Path) -> Result<Vec<Vec<f64>>> {
    let array = npy::read::<f64>(path)?;
    let width = match array.shape.as_slice() {
        &[rows, width] if rows > 0 && width > 1 => width,
        shape => bail!(
            "{}: given the shape {shape:?}, expected one row for each member: file index, \
             parameters",
            path.display()
        ),
    };
    if let Some(at) = array.data.iter().position(|value| !value.is_finite()) {
        bail!("{} row {}: column {} is {}", path.display(), at / width, at % width, array.data[at]);
    }
    Ok(array.data.chunks(width).map(<[f64]>::to_vec).collect())
}

/// The split of each row that has one.
fn read_split(path: &Path, rows: usize) -> Result<HashMap<usize, Split>> {
    let lists = pickle::read_index_lists(path, SPLIT_KEYS)?;
    let mut splits = HashMap::new();
    for ((key, list), split) in SPLIT_KEYS.iter().zip(lists).zip([Split::Train, Split::Test]) {
        for index in list {
            let row = usize::try_from(index).ok().filter(|row| *row < rows).ok_or_else(|| {
                anyhow!(
                    "{}: `{key}` has the index {index}, but {TABLE} has {rows} rows",
                    path.display()
                )
            })?;
            if splits.insert(row, split).is_some() {
                bail!("{}: row {row} is listed twice", path.display());
            }
        }
    }
    Ok(splits)
}

fn file_of(index: f64, files: &[PathBuf]) -> Result<PathBuf> {
    let whole = index.fract() == 0.0 && index >= 0.0;
    let file = files.get(index as usize).filter(|_| whole);
    file.cloned().ok_or_else(|| {
        anyhow!("column 0 is {index}, expected the index of one of {} files", files.len())
    })
}
