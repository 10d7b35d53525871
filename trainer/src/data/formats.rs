//! One way to ask every file that knows its own shape.
//!
//! Formats go by the extension of a file's name. A file without shape (`raw`) has any other.

use std::path::Path;

use anyhow::{Result, anyhow, bail};

use super::dtype::{ByteOrder, Dtype};
use super::npy::{self, Array};
use super::samples::Field;
use super::{hdf5, images, netcdf, npz, vti, vtk};
use crate::config::hint;

/// What has to be said about files that do not say it themselves (`field.yaml`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// Name of the array in files that have several; the only one if absent.
    pub variable: Option<String>,
    /// Type of the numbers in files without header.
    pub dtype: Dtype,
    /// Byte order of files without header.
    pub order: ByteOrder,
}

/// A format of files that know their own shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// NumPy, one array.
    Npy,
    /// NumPy, named arrays.
    Npz,
    /// Legacy VTK, structured points.
    Vtk,
    /// VTK XML image data.
    Vti,
    /// NetCDF, classic or 4.
    NetCdf,
    /// HDF5.
    Hdf5,
    /// PNG or JPEG.
    Picture,
    /// TIFF.
    Tiff,
}

impl Default for Reading {
    /// Little-endian single precision.
    fn default() -> Self {
        Self { variable: None, dtype: Dtype::F32, order: ByteOrder::Little }
    }
}

impl Format {
    /// All formats, with their extensions.
    const EXTENSIONS: [(Self, &'static [&'static str]); 8] = [
        (Self::Npy, &["npy"]),
        (Self::Npz, &["npz"]),
        (Self::Vtk, &["vtk"]),
        (Self::Vti, &["vti"]),
        (Self::NetCdf, &["nc", "nc4", "cdf"]),
        (Self::Hdf5, &["h5", "hdf5"]),
        (Self::Picture, &["png", "jpg", "jpeg"]),
        (Self::Tiff, &["tif", "tiff"]),
    ];

    /// The format of a file by its name; `None` for one without header.
    pub fn of(path: &Path) -> Option<Self> {
        let extension = path.extension()?.to_string_lossy().to_ascii_lowercase();
        let known = |(_, extensions): &&(Self, &[&str])| extensions.contains(&extension.as_str());
        Self::EXTENSIONS.iter().find(known).map(|(format, _)| *format)
    }

    /// The extensions that stand for a format, `npy` first.
    pub fn extensions() -> impl Iterator<Item = &'static str> {
        Self::EXTENSIONS.iter().flat_map(|(_, extensions)| extensions.iter().copied())
    }

    /// As [`read`](Self::read), but samples of pictures stay as small as they are.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn read_field(self, path: &Path, variable: Option<&str>) -> Result<(Vec<usize>, Field)> {
        match self {
            Self::Picture => images::read(path),
            Self::Tiff => images::read_tiff(path),
            _ => {
                let Array { shape, data } = self.read(path, variable)?;
                Ok((shape, Field::Floats(data)))
            }
        }
    }

    /// Bytes of a value of what [`read_field`](Self::read_field) reads.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn value_bytes(self, path: &Path) -> Result<usize> {
        match self {
            Self::Picture | Self::Tiff => images::sample_bytes(path, self == Self::Tiff),
            _ => Ok(size_of::<f32>()),
        }
    }

    /// As [`read`](Self::read), in double precision where the format holds it.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn read_doubles(self, path: &Path, variable: Option<&str>) -> Result<Array<f64>> {
        match self {
            Self::Npy => npy::read(path),
            Self::Npz => npz::read(path, variable),
            Self::NetCdf => netcdf::read(path, variable),
            Self::Hdf5 => hdf5::read(path, variable),
            Self::Vtk | Self::Vti | Self::Picture | Self::Tiff => {
                let Array { shape, data } = self.read(path, variable)?;
                Ok(Array { shape, data: data.into_iter().map(f64::from).collect() })
            }
        }
    }

    /// The shape of what [`read`](Self::read) reads.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn read_shape(self, path: &Path, variable: Option<&str>) -> Result<Vec<usize>> {
        match self {
            Self::Npy => npy::read_shape(path),
            Self::Npz => npz::read_shape(path, variable),
            Self::Vtk => vtk::read_shape(path, variable),
            Self::Vti => vti::read_shape(path, variable),
            Self::NetCdf => netcdf::read_shape(path, variable),
            Self::Hdf5 => hdf5::read_shape(path, variable),
            Self::Picture => images::read_shape(path),
            Self::Tiff => images::read_tiff_shape(path),
        }
    }

    /// Reads the array called `variable`, or the only one: `[D, H, W]` or `[H, W]`, perhaps with
    /// axes of length 1 in front, perhaps with the components of the field as last axis.
    ///
    /// # Errors
    /// The file cannot be read, is damaged or of another kind, has no such array, or several and
    /// no name is given. The path is named.
    pub fn read(self, path: &Path, variable: Option<&str>) -> Result<Array<f32>> {
        match self {
            Self::Npy => npy::read(path),
            Self::Npz => npz::read(path, variable),
            Self::Vtk => vtk::read(path, variable),
            Self::Vti => vti::read(path, variable),
            Self::NetCdf => netcdf::read(path, variable),
            Self::Hdf5 => hdf5::read(path, variable),
            Self::Picture | Self::Tiff => {
                let (shape, field) = self.read_field(path, variable)?;
                Ok(Array { shape, data: field.into_floats() })
            }
        }
    }
}

/// Which of `names` is meant: the one `wanted`, or the only one there is.
pub(super) fn choose(names: &[String], wanted: Option<&str>, what: &str) -> Result<String> {
    const SHOWN: usize = 20;
    let listed = || {
        let shown = names.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
        match names.len().checked_sub(SHOWN) {
            Some(more @ 1..) => format!("{shown} and {more} more"),
            _ => shown,
        }
    };
    match (wanted, names) {
        (Some(wanted), _) => match names.iter().find(|name| *name == wanted) {
            Some(name) => Ok(name.clone()),
            None => {
                let known: Vec<&str> = names.iter().take(SHOWN).map(String::as_str).collect();
                bail!("there is no `{wanted}` among its {what}; {}", hint(wanted, &known))
            }
        },
        (None, [only]) => Ok(only.clone()),
        (None, []) => bail!("it has no {what}"),
        (None, _) => {
            bail!("it has several {what} ({}): name one as `variable` in field.yaml", listed())
        }
    }
}

/// Refuses a `shape` that no file of this length holds, however well it is packed (deflate packs
/// 1032 bytes into one): a damaged header must not ask for all memory.
pub(super) fn check_plausible(path: &Path, shape: &[usize]) -> Result<()> {
    const RATIO: u64 = 1500;
    let length = std::fs::metadata(path)?.len();
    let values = volume(shape)?;
    if values as u64 > length.saturating_mul(RATIO) {
        bail!("it has {length} bytes, too few for the shape {shape:?} that it claims");
    }
    Ok(())
}

/// The shape of a lattice with as many values a point.
pub(super) fn shaped(dims: &[usize], components: usize) -> Vec<usize> {
    let mut shape = dims.to_vec();
    if components != 1 {
        shape.push(components);
    }
    shape
}

/// Product of the lengths; overflow is an error.
pub(super) fn volume(shape: &[usize]) -> Result<usize> {
    shape
        .iter()
        .try_fold(1_usize, |product, &n| product.checked_mul(n))
        .ok_or_else(|| anyhow!("the shape {shape:?} is impossible"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_go_by_the_extension() {
        for (name, format) in [
            ("a/b.npy", Some(Format::Npy)),
            ("b.VTI", Some(Format::Vti)),
            ("b.raw", None),
            ("npy", None),
        ] {
            assert_eq!(Format::of(Path::new(name)), format, "{name}");
        }
        assert_eq!(Format::extensions().next(), Some("npy"));
    }

    #[test]
    fn arrays_are_chosen_by_name_or_alone() {
        let names = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        let two = names(&["energy", "density"]);
        assert_eq!(choose(&two, Some("density"), "arrays").unwrap(), "density");
        assert_eq!(choose(&two[..1], None, "arrays").unwrap(), "energy");
        let error =
            |wanted, names: &[String]| choose(names, wanted, "arrays").unwrap_err().to_string();
        assert!(error(None, &two).contains("(energy, density): name one as `variable`"));
        assert!(error(Some("enrgy"), &two).contains("did you mean `energy`?"));
        assert!(error(None, &[]).contains("it has no arrays"));
        let many: Vec<String> = (0..30).map(|n| format!("a{n}")).collect();
        assert!(error(None, &many).contains("a19 and 10 more"));
    }
}
