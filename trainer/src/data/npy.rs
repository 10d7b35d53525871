//! NumPy's `.npy`: numeric arrays of any rank, read and written in C order.
//!
//! Object arrays are left to `pickle`. The header is parsed here, with every size checked, because
//! files come from anywhere: a damaged one is an error, never a panic or a huge allocation.

use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};

use super::dtype::{self, ByteOrder, Dtype};
use crate::files::write_atomically;

/// An array with its shape, the last axis varying fastest.
#[derive(Debug, Clone, PartialEq)]
pub struct Array<T> {
    /// Length of each axis; empty for a single number.
    pub shape: Vec<usize>,
    /// The values, as many as the product of `shape`.
    pub data: Vec<T>,
}

/// A number that arrays are read as and written from.
pub trait Element: Copy + Default {
    /// NumPy's name of the type.
    const DESCR: &'static str;
    /// Nearest value of this type.
    fn from_f64(value: f64) -> Self;
    /// Appends the bytes, lowest first.
    fn put(self, out: &mut Vec<u8>);
}

/// What a header says.
struct Header {
    descr: String,
    fortran: bool,
    shape: Vec<usize>,
    /// Where the data begin.
    start: usize,
}

const MAGIC: &[u8] = b"\x93NUMPY";

/// Longest header that is accepted; NumPy's own are about 100 bytes.
const LONGEST_HEADER: usize = 1 << 16;

/// Bytes at the beginning of a file that hold the header, if it is accepted.
pub(super) const HEADER_LIMIT: u64 = LONGEST_HEADER as u64 + 12;

impl Element for u8 {
    const DESCR: &'static str = "|u1";
    fn from_f64(value: f64) -> Self {
        value as u8
    }
    fn put(self, out: &mut Vec<u8>) {
        out.push(self);
    }
}

impl Element for u16 {
    const DESCR: &'static str = "<u2";
    fn from_f64(value: f64) -> Self {
        value as u16
    }
    fn put(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_le_bytes());
    }
}

impl Element for f32 {
    const DESCR: &'static str = "<f4";
    fn from_f64(value: f64) -> Self {
        value as f32
    }
    fn put(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_le_bytes());
    }
}

impl Element for f64 {
    const DESCR: &'static str = "<f8";
    fn from_f64(value: f64) -> Self {
        value
    }
    fn put(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_le_bytes());
    }
}

/// Reads an array of any [`Dtype`] and byte order, converted to `T`.
///
/// An array in Fortran order is brought into C order.
///
/// # Errors
/// The file cannot be read, is no `.npy` file, has another type, or more or fewer bytes than its
/// header says. The path is named.
pub fn read<T: Element>(path: &Path) -> Result<Array<T>> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    parse(&bytes).with_context(|| format!("{} is no usable .npy file", path.display()))
}

/// The shape of the array in a file, from its header alone.
///
/// # Errors
/// As [`read`].
pub fn read_shape(path: &Path) -> Result<Vec<usize>> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(HEADER_LIMIT).read_to_end(&mut bytes))
        .with_context(|| format!("cannot read {}", path.display()))?;
    parse_shape(&bytes).with_context(|| format!("{} is no usable .npy file", path.display()))
}

/// The shape in the header that `bytes` begin with.
pub(super) fn parse_shape(bytes: &[u8]) -> Result<Vec<usize>> {
    Ok(Header::parse(bytes)?.shape)
}

/// Writes an array, replacing the file at once: readers see the old one or the whole new one.
///
/// # Errors
/// `data` does not fill `shape`, or the file cannot be written.
pub fn write<T: Element>(path: &Path, shape: &[usize], data: &[T]) -> Result<()> {
    if data.len() != count(shape)? {
        bail!("cannot write {}: {} values for the shape {shape:?}", path.display(), data.len());
    }
    let mut bytes = header_bytes(T::DESCR, shape);
    bytes.reserve(size_of_val(data));
    data.iter().for_each(|value| value.put(&mut bytes));
    write_atomically(path, &bytes)
}

/// The pickle inside a `.npy` file that holds one object.
pub(super) fn object_payload(bytes: &[u8]) -> Result<&[u8]> {
    let header = Header::parse(bytes)?;
    if header.descr != "|O" || !header.shape.is_empty() {
        bail!(
            "it holds an array `{}` of shape {:?}, expected one object (a dict saved by numpy.save)",
            header.descr,
            header.shape
        );
    }
    Ok(&bytes[header.start..])
}

/// The array that the bytes of a file are.
pub(super) fn parse<T: Element>(bytes: &[u8]) -> Result<Array<T>> {
    let header = Header::parse(bytes)?;
    let data = decode(&header, &bytes[header.start..])?;
    let data = match header.fortran && header.shape.len() > 1 {
        true => c_order(&header.shape, &data),
        false => data,
    };
    Ok(Array { shape: header.shape, data })
}

fn decode<T: Element>(header: &Header, bytes: &[u8]) -> Result<Vec<T>> {
    let (order, kind) = header.descr.split_at_checked(1).unwrap_or_default();
    let mut letters = kind.chars();
    let dtype = letters
        .next()
        .zip(letters.as_str().parse().ok())
        .and_then(|(letter, size)| Dtype::of(letter, size))
        .filter(|_| matches!(order, "<" | ">" | "|" | "="))
        .ok_or_else(|| {
            anyhow!("it holds `{}`, expected floating-point numbers or integers", header.descr)
        })?;
    let expected = count(&header.shape)?
        .checked_mul(dtype.size())
        .ok_or_else(|| anyhow!("the shape {:?} is impossible", header.shape))?;
    if bytes.len() != expected {
        bail!(
            "it has {} bytes of data, but the shape {:?} of {kind} needs {expected}",
            bytes.len(),
            header.shape
        );
    }
    let order = if order == ">" { ByteOrder::Big } else { ByteOrder::Little };
    Ok(dtype::decode(bytes, dtype, order))
}

/// From first axis fastest to last axis fastest.
fn c_order<T: Element>(shape: &[usize], fortran: &[T]) -> Vec<T> {
    let mut strides = vec![1; shape.len()];
    for axis in 1..shape.len() {
        strides[axis] = strides[axis - 1] * shape[axis - 1];
    }
    let mut index = vec![0; shape.len()];
    let mut data = Vec::with_capacity(fortran.len());
    for _ in 0..fortran.len() {
        let from: usize = index.iter().zip(&strides).map(|(i, stride)| i * stride).sum();
        data.push(fortran[from]);
        for axis in (0..shape.len()).rev() {
            index[axis] += 1;
            if index[axis] < shape[axis] {
                break;
            }
            index[axis] = 0;
        }
    }
    data
}

impl Header {
    fn parse(bytes: &[u8]) -> Result<Self> {
        let rest = bytes
            .strip_prefix(MAGIC)
            .ok_or_else(|| anyhow!("it does not begin as a .npy file does"))?;
        let (start, length) = match rest {
            [1, _, a, b, ..] => (10, usize::from(u16::from_le_bytes([*a, *b]))),
            [2 | 3, _, a, b, c, d, ..] => (12, u32::from_le_bytes([*a, *b, *c, *d]) as usize),
            [version, ..] if *version > 3 => bail!("version {version} of the format is unknown"),
            _ => bail!("it ends within its header"),
        };
        if length > LONGEST_HEADER {
            bail!("its header claims {length} bytes, more than any real one");
        }
        let text =
            bytes.get(start..start + length).ok_or_else(|| anyhow!("it ends within its header"))?;
        let text = String::from_utf8_lossy(text);
        Self::from_literal(&text, start + length)
            .ok_or_else(|| anyhow!("its header is not understood: {}", text.trim_end()))
    }

    /// Reads the Python dict literal; its three keys come in any order.
    fn from_literal(text: &str, start: usize) -> Option<Self> {
        let value = |key: &str| {
            let (_, after) = text.split_once(&format!("'{key}'"))?;
            Some(after.trim_start().strip_prefix(':')?.trim_start())
        };
        let (descr, _) = value("descr")?.strip_prefix('\'')?.split_once('\'')?;
        let fortran = match value("fortran_order")? {
            text if text.starts_with("True") => true,
            text if text.starts_with("False") => false,
            _ => return None,
        };
        let (shape, _) = value("shape")?.strip_prefix('(')?.split_once(')')?;
        let shape: Option<Vec<usize>> = shape
            .split(',')
            .map(str::trim)
            .filter(|length| !length.is_empty())
            .map(|length| length.parse().ok())
            .collect();
        Some(Self { descr: descr.to_owned(), fortran, shape: shape?, start })
    }
}

/// Number of values of a shape; overflow is an error.
fn count(shape: &[usize]) -> Result<usize> {
    shape
        .iter()
        .try_fold(1_usize, |product, &n| product.checked_mul(n))
        .ok_or_else(|| anyhow!("the shape {shape:?} is impossible"))
}

/// Magic, version 1.0, and the dict literal, padded so that the data begin at a multiple of 64.
fn header_bytes(descr: &str, shape: &[usize]) -> Vec<u8> {
    let lengths: String = shape.iter().map(|n| format!("{n},")).collect();
    let mut text =
        format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({lengths}), }}");
    let before = MAGIC.len() + 4;
    while !(before + text.len() + 1).is_multiple_of(64) {
        text.push(' ');
    }
    text.push('\n');
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&[1, 0]);
    bytes.extend_from_slice(&(text.len() as u16).to_le_bytes());
    bytes.extend_from_slice(text.as_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file as NumPy writes it, with any header.
    fn file(descr: &str, fortran: &str, shape: &str, data: &[u8]) -> Vec<u8> {
        let text =
            format!("{{'shape': {shape}, 'descr': '{descr}', 'fortran_order': {fortran}}}\n");
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&[1, 0]);
        bytes.extend_from_slice(&(text.len() as u16).to_le_bytes());
        bytes.extend_from_slice(text.as_bytes());
        bytes.extend_from_slice(data);
        bytes
    }

    fn refused(bytes: &[u8]) -> String {
        format!("{:#}", parse::<f32>(bytes).expect_err("an error"))
    }

    #[test]
    fn what_is_written_reads_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npy");
        for shape in [vec![], vec![6], vec![2, 3], vec![1, 2, 3], vec![0, 4]] {
            let values = shape.iter().product::<usize>();
            let data: Vec<f64> = (0..values).map(|i| i as f64 / 3.0).collect();
            write(&path, &shape, &data).unwrap();
            assert_eq!(read::<f64>(&path).unwrap(), Array { shape: shape.clone(), data });
            assert_eq!(read_shape(&path).unwrap(), shape);
            assert_eq!(std::fs::metadata(&path).unwrap().len() as usize % 64, values * 8 % 64);
        }
        let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
        assert_eq!(left.len(), 1, "no temporary file is left: {left:?}");
    }

    #[test]
    fn types_and_byte_orders_convert() {
        let ints: Vec<u8> = [7_i32, -2].iter().flat_map(|i| i.to_be_bytes()).collect();
        assert_eq!(parse::<f32>(&file(">i4", "False", "(2,)", &ints)).unwrap().data, [7.0, -2.0]);
        let longs: Vec<u8> = [1_i64 << 40].iter().flat_map(|i| i.to_le_bytes()).collect();
        let array = parse::<f64>(&file("<i8", "False", "()", &longs)).unwrap();
        assert_eq!((array.shape.len(), array.data[0]), (0, (1_i64 << 40) as f64));
        let doubles: Vec<u8> = [0.1_f64].iter().flat_map(|f| f.to_le_bytes()).collect();
        assert_eq!(parse::<f32>(&file("<f8", "False", "(1,)", &doubles)).unwrap().data, [0.1]);
    }

    #[test]
    fn fortran_order_is_undone() {
        // [[0, 1, 2], [3, 4, 5]], stored column by column.
        let data: Vec<u8> =
            [0_f32, 3.0, 1.0, 4.0, 2.0, 5.0].iter().flat_map(|f| f.to_le_bytes()).collect();
        let array = parse::<f32>(&file("<f4", "True", "(2, 3)", &data)).unwrap();
        assert_eq!(array.data, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
    }

    #[test]
    fn damaged_and_foreign_files_are_explained() {
        assert!(refused(b"P6 image").contains("does not begin as a .npy file"));
        assert!(refused(&file("<f4", "False", "(3,)", &[0; 8])).contains("needs 12"));
        assert!(refused(&file("<f4", "False", "(1,)", &[0; 8])).contains("needs 4"));
        assert!(refused(&file("<c8", "False", "(1,)", &[0; 8])).contains("holds `<c8`"));
        assert!(refused(&file("", "False", "(1,)", &[0; 8])).contains("holds ``"));
        assert!(refused(&file("<f4", "Maybe", "(1,)", &[0; 4])).contains("not understood"));
        let huge = "(18446744073709551615, 2)";
        assert!(refused(&file("<f4", "False", huge, &[])).contains("impossible"));
    }

    #[test]
    fn garbage_never_panics() {
        let whole = file("<f4", "True", "(2, 3)", &[0; 24]);
        for length in 0..whole.len() {
            assert!(parse::<f32>(&whole[..length]).is_err());
        }
        for at in 0..whole.len() {
            for flip in [1, 16, 255] {
                let mut bytes = whole.clone();
                bytes[at] ^= flip;
                // Most are errors, some are other arrays; all return.
                drop(parse::<f32>(&bytes));
            }
        }
    }
}
