//! NetCDF, classic (versions 1, 2 and 5) and 4: a variable by name.
//!
//! Read by `netcdf-reader`: it is pure Rust, so that nothing has to be installed, checks what it
//! reads, and is tested against the C library. The wrappers of the C library build it, and HDF5
//! with it, with CMake, or need both on the machine.

use std::path::Path;

use anyhow::{Context, Result, bail};
use netcdf_reader::{NcFile, NcGroup, NcVariable};

use super::formats::{check_plausible, choose, volume};
use super::npy::{Array, Element};

/// Most groups that are searched for variables.
const MOST_GROUPS: usize = 1 << 12;

/// Reads the variable called `name` (in a group: `group/name`), or the only one that is no
/// coordinate. Packed values are unpacked; values that are missing (`_FillValue` and the like)
/// become NaN.
///
/// # Errors
/// The file cannot be read or is damaged, has no such variable, or several and no name is given,
/// or holds something else than numbers in it.
pub fn read<T: Element>(path: &Path, name: Option<&str>) -> Result<Array<T>> {
    let shown = path.display();
    let file = open(path)?;
    let (name, shape) = find(&file, name).with_context(|| shown.to_string())?;
    check_plausible(path, &shape).with_context(|| shown.to_string())?;
    let values = file
        .read_variable_unpacked_masked(&name)
        .with_context(|| format!("{shown}: the variable {name} is not usable"))?;
    let data: Vec<T> = values.iter().map(|&value| T::from_f64(value)).collect();
    if data.len() != volume(&shape)? {
        bail!("{shown}: {name} has {} values, its shape is {shape:?}", data.len());
    }
    Ok(Array { shape, data })
}

/// The shape of what [`read`] reads.
///
/// # Errors
/// As [`read`].
pub fn read_shape(path: &Path, name: Option<&str>) -> Result<Vec<usize>> {
    let (_, shape) = find(&open(path)?, name).with_context(|| path.display().to_string())?;
    Ok(shape)
}

fn open(path: &Path) -> Result<NcFile> {
    let shown = path.display();
    // Mapped by the library; a folder or a missing file is said to be one.
    std::fs::File::open(path).with_context(|| format!("cannot read {shown}"))?;
    NcFile::open(path).with_context(|| format!("{shown} is no usable NetCDF file"))
}

/// The variable that is meant, with its path, and its shape.
fn find(file: &NcFile, name: Option<&str>) -> Result<(String, Vec<usize>)> {
    let mut variables = Vec::new();
    let mut groups = vec![(String::new(), file.root_group()?)];
    let mut searched = 0;
    while let Some((path, group)) = groups.pop() {
        searched += 1;
        if searched > MOST_GROUPS {
            bail!("it has more than {MOST_GROUPS} groups");
        }
        variables.extend(group.variables.iter().map(|v| (format!("{path}{}", v.name()), v)));
        groups.extend(inner(&path, group));
    }
    let candidates: Vec<String> = variables
        .iter()
        .filter(|(_, variable)| name.is_some() || is_field(variable))
        .map(|(path, _)| path.clone())
        .collect();
    let wanted = name.map(|name| name.trim_start_matches('/'));
    let name = choose(&candidates, wanted, "variables")?;
    let found = variables.iter().find(|(path, _)| *path == name);
    let shape = found.map(|(_, variable)| variable.shape()).unwrap_or_default();
    let shape = shape.into_iter().map(usize::try_from).collect::<Result<_, _>>()?;
    Ok((name, shape))
}

fn inner<'a>(
    path: &str,
    group: &'a NcGroup,
) -> impl Iterator<Item = (String, &'a NcGroup)> + use<'a> {
    let path = path.to_owned();
    group.groups.iter().map(move |group| (format!("{path}{}/", group.name), group))
}

/// Whether a variable may be meant where none is named: coordinates and single rows are not.
fn is_field(variable: &NcVariable) -> bool {
    variable.ndim() >= 2 && !variable.is_coordinate_variable()
}
