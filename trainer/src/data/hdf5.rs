//! HDF5: a data set by its path.
//!
//! Read by `hdf5-reader`, which comes with the reader of NetCDF, for the same reasons.

use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use hdf5_reader::{Dataset, Datatype, Hdf5File};

use super::dtype::{self, ByteOrder, Dtype};
use super::formats::{check_plausible, choose, volume};
use super::npy::{Array, Element};

/// Most groups that are searched for data sets.
const MOST_GROUPS: usize = 1 << 12;

/// Reads the data set at `name` (`group/energy`), or the only one of two or more dimensions.
///
/// # Errors
/// The file cannot be read or is damaged, has no such data set, or several and no path is given,
/// or holds something else than numbers in it.
pub fn read<T: Element>(path: &Path, name: Option<&str>) -> Result<Array<T>> {
    with(path, name, |dataset, shape| {
        let dtype = dtype_of(dataset.dtype())?;
        check_float(dataset, dtype)?;
        let expected = volume(&[volume(&shape)?, dtype.size()])?;
        let bytes = dataset.read_native_bytes()?;
        if bytes.len() != expected {
            bail!("it has {} bytes, the shape {shape:?} needs {expected}", bytes.len());
        }
        let order = match cfg!(target_endian = "big") {
            true => ByteOrder::Big,
            false => ByteOrder::Little,
        };
        Ok(Array { shape, data: dtype::decode(&bytes, dtype, order) })
    })
}

/// The shape of what [`read`] reads.
///
/// # Errors
/// As [`read`].
pub fn read_shape(path: &Path, name: Option<&str>) -> Result<Vec<usize>> {
    with(path, name, |_, shape| Ok(shape))
}

fn with<R>(
    path: &Path,
    name: Option<&str>,
    then: impl FnOnce(&Dataset, Vec<usize>) -> Result<R>,
) -> Result<R> {
    let shown = path.display();
    std::fs::File::open(path).with_context(|| format!("cannot read {shown}"))?;
    let file = Hdf5File::open(path).with_context(|| format!("{shown} is no usable HDF5 file"))?;
    let found = || {
        let datasets = list(&file)?;
        let names: Vec<String> = datasets
            .iter()
            .filter(|(_, dataset)| name.is_some() || dataset.ndim() >= 2)
            .map(|(path, _)| path.clone())
            .collect();
        let wanted = name.map(|name| name.trim_start_matches('/'));
        let name = choose(&names, wanted, "data sets")?;
        let dataset = datasets.iter().find(|(path, _)| *path == name).map(|(_, dataset)| dataset);
        let dataset = dataset.ok_or_else(|| anyhow!("there is no data set {name}"))?;
        let shape = dataset.shape().iter().map(|&n| usize::try_from(n));
        let shape: Vec<usize> = shape.collect::<Result<_, _>>()?;
        check_plausible(path, &shape)?;
        then(dataset, shape).with_context(|| format!("the data set {name} is not usable"))
    };
    found().with_context(|| shown.to_string())
}

/// All data sets with their paths, without a slash in front.
fn list(file: &Hdf5File) -> Result<Vec<(String, Dataset)>> {
    let mut groups = vec![(String::new(), file.root_group()?)];
    let mut datasets = Vec::new();
    // Links may lead in circles.
    let mut seen = std::collections::HashSet::new();
    while let Some((path, group)) = groups.pop() {
        if !seen.insert(group.address()) {
            continue;
        }
        if seen.len() > MOST_GROUPS {
            bail!("it has more than {MOST_GROUPS} groups");
        }
        let (inner, here) = group.members()?;
        for dataset in here {
            datasets.push((format!("{path}{}", dataset.name()), dataset));
        }
        for group in inner {
            groups.push((format!("{path}{}/", group.name()), group));
        }
    }
    Ok(datasets)
}

fn dtype_of(datatype: &Datatype) -> Result<Dtype> {
    let found = match datatype {
        Datatype::FloatingPoint { size, .. } => Dtype::of('f', usize::from(*size)),
        Datatype::FixedPoint { size, signed, .. } => {
            Dtype::of(if *signed { 'i' } else { 'u' }, usize::from(*size))
        }
        _ => None,
    };
    found.ok_or_else(|| {
        anyhow!("it holds {datatype:?}, expected integers or floats of 8 to 64 bits")
    })
}

/// Refuses floats that only have the size of IEEE ones (bfloat16): the library tells sizes alone.
fn check_float(dataset: &Dataset, dtype: Dtype) -> Result<()> {
    let exponent = match dtype {
        Dtype::F16 => 5,
        Dtype::F32 => 8,
        Dtype::F64 => 11,
        _ => return Ok(()),
    };
    // In the message of the type: class and flags (4 bytes), size (4), offset and precision of the
    // bits (2 each), place and size of the exponent (1 each).
    const EXPONENT_SIZE: usize = 13;
    match dataset.raw_datatype()?.get(EXPONENT_SIZE) {
        Some(&size) if size == exponent => Ok(()),
        Some(size) => bail!(
            "its floats of {} bytes have an exponent of {size} bits, expected IEEE's {exponent}",
            dtype.size()
        ),
        None => bail!("its type is cut short"),
    }
}
