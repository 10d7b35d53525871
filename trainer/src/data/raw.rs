//! Headerless files: numbers of one type, x fastest.
//!
//! The shape comes from elsewhere; here it only decides how long the file must be.

use std::path::Path;

use anyhow::{Context, Result, bail};

use super::dtype;
use super::formats::Reading;

/// Reads the values of a lattice of shape `dims` (`[D, H, W]` or `[H, W]`), which are of the type
/// and byte order of `reading`.
///
/// # Errors
/// The file cannot be read, is empty or of another length, or holds values that are not finite.
pub fn read(path: &Path, dims: &[usize], reading: &Reading) -> Result<Vec<f32>> {
    let shown = path.display();
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {shown}"))?;
    if bytes.is_empty() {
        bail!("{shown} is empty");
    }
    let dtype = reading.dtype;
    let expected = dims.iter().try_fold(dtype.size(), |product, &n| product.checked_mul(n));
    if expected != Some(bytes.len()) {
        let needed = expected.map_or("more than memory holds".to_owned(), |n| n.to_string());
        bail!(
            "{shown} has {} bytes, but the shape {dims:?} of {} needs {needed}; does --dims (or \
             dims in the configuration or field.yaml, or the points in coords) match the data, and \
             dtype in field.yaml?",
            bytes.len(),
            dtype.name()
        );
    }
    let values = dtype::decode(&bytes, dtype, reading.order);
    check_finite(path, &values)?;
    Ok(values)
}

/// Refuses NaN and infinity: one such value would spoil the whole training.
pub(super) fn check_finite(path: &Path, values: &[f32]) -> Result<()> {
    let Some(first) = values.iter().position(|value| !value.is_finite()) else {
        return Ok(());
    };
    let count = values.iter().filter(|value| !value.is_finite()).count();
    bail!(
        "{}: {count} of {} values are not finite, the first ({}) at index {first}",
        path.display(),
        values.len(),
        values[first]
    )
}

#[cfg(test)]
mod tests {
    use super::super::dtype::{ByteOrder, Dtype};
    use super::*;

    fn reading(values: &[f32], cut: usize, dims: &[usize]) -> Result<Vec<f32>> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("m.raw");
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        std::fs::write(&path, &bytes[..bytes.len() - cut])?;
        read(&path, dims, &Reading::default())
    }

    #[test]
    fn values_come_in_file_order() {
        assert_eq!(reading(&[1.0, 2.0, 3.0, 4.0], 0, &[2, 2]).unwrap(), [1.0, 2.0, 3.0, 4.0]);
    }

    #[test]
    fn other_types_and_byte_orders_are_converted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.dat");
        let bytes: Vec<u8> = [-300_i16, 7].iter().flat_map(|n| n.to_be_bytes()).collect();
        std::fs::write(&path, bytes).unwrap();
        let integers = Reading { dtype: Dtype::I16, order: ByteOrder::Big, ..Reading::default() };
        assert_eq!(read(&path, &[2], &integers).unwrap(), [-300.0, 7.0]);
        let doubles = Reading { dtype: Dtype::F64, ..Reading::default() };
        let error = read(&path, &[2], &doubles).unwrap_err().to_string();
        assert!(error.contains("4 bytes") && error.contains("float64 needs 16"), "{error}");
    }

    #[test]
    fn lengths_must_match() {
        for (cut, dims, given) in [(0, [2, 3], "16 bytes"), (1, [2, 2], "15 bytes")] {
            let error = reading(&[0.0; 4], cut, &dims).unwrap_err().to_string();
            assert!(error.contains(given) && error.contains("--dims"), "{error}");
        }
        assert!(reading(&[], 0, &[2]).unwrap_err().to_string().contains("is empty"));
        let error = reading(&[0.0], 0, &[usize::MAX, 2]).unwrap_err().to_string();
        assert!(error.contains("more than memory holds"), "{error}");
    }

    #[test]
    fn values_must_be_finite() {
        let values = [0.0, f32::INFINITY, 1.0, f32::NAN];
        let error = reading(&values, 0, &[4]).unwrap_err().to_string();
        assert!(error.contains("2 of 4 values are not finite, the first (inf) at index 1"));
    }
}
