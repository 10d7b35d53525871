//! Headerless files: numbers of one type, x fastest.
//!
//! The shape comes from elsewhere; here it only decides how long the file must be.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, bail};

use super::dtype::{self, Dtype};
use super::formats::Reading;
use super::npy::Element;
use super::samples::Field;

/// Reads the values of a lattice of shape `dims` (`[D, H, W]` or `[H, W]`), which are of the type
/// and byte order of `reading`.
///
/// # Errors
/// The file cannot be read, is empty or of another length, or holds values that are not finite.
pub fn read(path: &Path, dims: &[usize], reading: &Reading) -> Result<Field> {
    let shown = path.display();
    let cannot = || format!("cannot read {shown}");
    let mut file = File::open(path).with_context(cannot)?;
    let length = file.metadata().with_context(cannot)?.len();
    if length == 0 {
        bail!("{shown} is empty");
    }
    let dtype = reading.dtype;
    let expected = dims.iter().try_fold(dtype.size(), |product, &n| product.checked_mul(n));
    let Some(expected) = expected.filter(|&n| n as u64 == length) else {
        let needed = expected.map_or("more than memory holds".to_owned(), |n| n.to_string());
        bail!(
            "{shown} has {length} bytes, but the shape {dims:?} of {} needs {needed}; does --dims (or \
             dims in the configuration or field.yaml, or the points in coords) match the data, and \
             dtype in field.yaml?",
            dtype.name()
        );
    };
    let field = match dtype {
        Dtype::U8 => Field::of_bytes(read_numbers(&mut file, expected, reading)?),
        Dtype::U16 => Field::of_words(read_numbers(&mut file, expected, reading)?),
        _ => {
            let values = read_numbers(&mut file, expected, reading).with_context(cannot)?;
            check_finite(path, &values)?;
            Field::Floats(values)
        }
    };
    Ok(field)
}

/// The numbers in `length` bytes, a piece at a time: files are large.
fn read_numbers<T: Element>(file: &mut File, length: usize, reading: &Reading) -> Result<Vec<T>> {
    const PIECE: usize = 1 << 20;
    let mut numbers = Vec::with_capacity(length / reading.dtype.size());
    let mut bytes = vec![0; PIECE.min(length)];
    let mut left = length;
    while left > 0 {
        let piece = &mut bytes[..PIECE.min(left)];
        file.read_exact(piece)?;
        numbers.extend(dtype::decode::<T>(piece, reading.dtype, reading.order));
        left -= piece.len();
    }
    Ok(numbers)
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
        Ok(read(&path, dims, &Reading::default())?.into_floats())
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
        assert_eq!(read(&path, &[2], &integers).unwrap().into_floats(), [-300.0, 7.0]);
        let samples = Reading { dtype: Dtype::U16, ..integers };
        let field = read(&path, &[2], &samples).unwrap();
        assert!(matches!(field, Field::Words(..)), "as small as in the file");
        assert_eq!(field.into_floats(), [65236.0, 7.0]);
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
