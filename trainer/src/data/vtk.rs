//! Legacy `.vtk` files with a `STRUCTURED_POINTS` data set, ASCII or binary.
//!
//! Written here because the crate for it, vtkio, unwraps what it reads in many places. Other data sets than
//! lattices are refused by name.

use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};

use super::dtype::{self, ByteOrder, Dtype};
use super::formats::{choose, shaped, volume};
use super::npy::Array;

/// A file, as far as its headers tell.
struct Image<'a> {
    ascii: bool,
    arrays: Vec<Entry<'a>>,
}

/// One array in a file.
struct Entry<'a> {
    name: String,
    /// `[D, H, W]`, and the components if there are several.
    shape: Vec<usize>,
    /// VTK's name of the type.
    kind: &'a str,
    data: &'a [u8],
}

/// What the arrays that follow in a file belong to.
#[derive(Clone, Copy)]
struct Place {
    /// `[D, H, W]`
    dims: [usize; 3],
    /// Number of points or cells.
    tuples: usize,
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// Reads the array called `name`, or the only one: `[D, H, W]` or `[D, H, W, components]`.
///
/// # Errors
/// The file cannot be read, is damaged or no lattice, has no such array, or several and no name is
/// given.
pub fn read(path: &Path, name: Option<&str>) -> Result<Array<f32>> {
    with(path, name, |image, entry| {
        let data = match image.ascii {
            true => numbers(std::str::from_utf8(entry.data)?)?,
            false => {
                let dtype = dtype_of(entry.kind)?;
                dtype::decode(entry.data, dtype, ByteOrder::Big)
            }
        };
        Ok(Array { shape: entry.shape.clone(), data })
    })
}

/// The shape of what [`read`] reads.
///
/// # Errors
/// As [`read`].
pub fn read_shape(path: &Path, name: Option<&str>) -> Result<Vec<usize>> {
    with(path, name, |_, entry| Ok(entry.shape.clone()))
}

fn with<R>(
    path: &Path,
    name: Option<&str>,
    then: impl FnOnce(&Image, &Entry) -> Result<R>,
) -> Result<R> {
    let shown = path.display();
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {shown}"))?;
    let found = || {
        let image = parse(&bytes)?;
        let names: Vec<String> = image.arrays.iter().map(|entry| entry.name.clone()).collect();
        let name = choose(&names, name, "arrays")?;
        let entry = image.arrays.iter().find(|entry| entry.name == name);
        then(&image, entry.ok_or_else(|| anyhow!("there is no array {name}"))?)
    };
    found().with_context(|| format!("{shown} is no usable .vtk file"))
}

fn parse(bytes: &[u8]) -> Result<Image<'_>> {
    let mut cursor = Cursor { bytes, at: 0 };
    if !cursor.line()?.starts_with("# vtk DataFile Version") {
        bail!("it does not begin as a legacy .vtk file does");
    }
    // The title may be anything, in any encoding.
    cursor.skip_line();
    let ascii = match cursor.line()?.trim() {
        "ASCII" => true,
        "BINARY" => false,
        other => bail!("its third line is `{other}`, expected ASCII or BINARY"),
    };
    let mut image = Image { ascii, arrays: Vec::new() };
    let mut dims = None;
    let mut place = None;
    while let Some(line) = cursor.next_line()? {
        let words: Vec<&str> = line.split_whitespace().collect();
        match (words.as_slice(), dims, place) {
            (["DATASET", "STRUCTURED_POINTS"], ..) | (["ORIGIN" | "SPACING", ..], ..) => {}
            (["ASPECT_RATIO", ..], ..) => {}
            (["DATASET", other], ..) => {
                bail!("its data set is {other}, expected STRUCTURED_POINTS, a regular lattice")
            }
            (["DIMENSIONS", x, y, z], ..) => {
                let [x, y, z] = [whole(x)?, whole(y)?, whole(z)?];
                let cells = [z, y, x].map(|n| n.saturating_sub(1).max(1));
                dims = Some(([z, y, x], cells));
            }
            (["POINT_DATA", count], Some((points, _)), _) => place = Some(at(points, count)?),
            (["CELL_DATA", count], Some((_, cells)), _) => place = Some(at(cells, count)?),
            (["METADATA", ..], ..) => cursor.skip_paragraph(),
            (["FIELD", _, count], _, place) => {
                let count = whole(count)?;
                for _ in 0..count {
                    image.field_array(&mut cursor, place)?;
                }
            }
            (words, _, Some(place)) => image.attribute(words, &mut cursor, place)?,
            (words, ..) => bail!("`{}` is not understood there", words.join(" ")),
        }
    }
    Ok(image)
}

/// Where `count` values stand, which must be one for each of `dims`.
fn at(dims: [usize; 3], count: &str) -> Result<Place> {
    let tuples = volume(&dims)?;
    if whole(count)? != tuples {
        bail!("it has {count} values for a lattice of {dims:?}");
    }
    Ok(Place { dims, tuples })
}

impl<'a> Image<'a> {
    /// An attribute of points or cells, of which `words` are the first line.
    fn attribute(
        &mut self,
        words: &[&'a str],
        cursor: &mut Cursor<'a>,
        place: Place,
    ) -> Result<()> {
        let (name, kind, components) = match words {
            ["SCALARS", name, kind] => (name, kind, 1),
            ["SCALARS", name, kind, components] => (name, kind, whole(components)?),
            ["VECTORS" | "NORMALS", name, kind] => (name, kind, 3),
            ["TENSORS", name, kind] => (name, kind, 9),
            ["TENSORS6", name, kind] => (name, kind, 6),
            ["TEXTURE_COORDINATES", name, components, kind] => (name, kind, whole(components)?),
            // Shares of one in ASCII, of 255 in binary.
            ["COLOR_SCALARS", name, components] => match self.ascii {
                true => (name, &"float", whole(components)?),
                false => (name, &"unsigned_char", whole(components)?),
            },
            ["LOOKUP_TABLE", _, size] => {
                let kind = if self.ascii { "float" } else { "unsigned_char" };
                let numbers = volume(&[whole(size)?, 4])?;
                return cursor.take(kind, numbers, self.ascii).map(|_| ());
            }
            words => bail!("`{}` is not understood", words.join(" ")),
        };
        if words.first() == Some(&"SCALARS") {
            cursor.skip_line_if("LOOKUP_TABLE");
        }
        self.push(name, kind, components, place, cursor)
    }

    /// One array of a `FIELD`; outside of points and cells it is passed over.
    fn field_array(&mut self, cursor: &mut Cursor<'a>, place: Option<Place>) -> Result<()> {
        let mut line = cursor.next_line()?;
        while line.is_some_and(|line| line.starts_with("METADATA")) {
            cursor.skip_paragraph();
            line = cursor.next_line()?;
        }
        let words: Vec<&str> = line.unwrap_or_default().split_whitespace().collect();
        let &[name, components, tuples, kind] = words.as_slice() else {
            bail!("`{}` in a FIELD, expected name, components, tuples, type", words.join(" "));
        };
        let (components, tuples) = (whole(components)?, whole(tuples)?);
        match place.filter(|place| place.tuples == tuples) {
            Some(place) => self.push(name, kind, components, place, cursor),
            None => cursor.take(kind, volume(&[components, tuples])?, self.ascii).map(|_| ()),
        }
    }

    fn push(
        &mut self,
        name: &str,
        kind: &'a str,
        components: usize,
        place: Place,
        cursor: &mut Cursor<'a>,
    ) -> Result<()> {
        let numbers = volume(&[components, place.tuples])?;
        let data = cursor
            .take(kind, numbers, self.ascii)
            .with_context(|| format!("the array {name} of {numbers} numbers"))?;
        let shape = shaped(&place.dims, components);
        self.arrays.push(Entry { name: decoded(name), shape, kind, data });
        Ok(())
    }
}

impl<'a> Cursor<'a> {
    /// The next line, which must be there.
    fn line(&mut self) -> Result<&'a str> {
        self.skip_line_start().ok_or_else(|| anyhow!("it ends too early"))?
    }

    /// The next line that is not blank, if there is one.
    fn next_line(&mut self) -> Result<Option<&'a str>> {
        while let Some(line) = self.skip_line_start() {
            let line = line?.trim();
            if !line.is_empty() {
                return Ok(Some(line));
            }
        }
        Ok(None)
    }

    fn skip_line_start(&mut self) -> Option<Result<&'a str>> {
        let line = self.raw_line()?;
        Some(std::str::from_utf8(line).context("a line of it is no text"))
    }

    fn raw_line(&mut self) -> Option<&'a [u8]> {
        let rest = &self.bytes[self.at..];
        if rest.is_empty() {
            return None;
        }
        let end = rest.iter().position(|&byte| byte == b'\n').unwrap_or(rest.len());
        self.at += (end + 1).min(rest.len());
        Some(&rest[..end])
    }

    fn skip_line(&mut self) {
        self.raw_line();
    }

    fn skip_line_if(&mut self, start: &str) {
        if self.bytes[self.at..].starts_with(start.as_bytes()) {
            self.skip_line();
        }
    }

    /// Goes behind the next blank line.
    fn skip_paragraph(&mut self) {
        while self.raw_line().is_some_and(|line| !line.trim_ascii().is_empty()) {}
    }

    /// The bytes of as many numbers, as text or in binary.
    fn take(&mut self, kind: &str, numbers: usize, ascii: bool) -> Result<&'a [u8]> {
        let rest = &self.bytes[self.at..];
        let length = match ascii {
            true => words_length(rest, numbers),
            false if kind == "bit" => Some(numbers.div_ceil(8)),
            false => numbers.checked_mul(dtype_of(kind)?.size()),
        };
        let data = length.and_then(|length| rest.get(..length));
        let data = data.ok_or_else(|| anyhow!("it ends within its data"))?;
        self.at += data.len();
        Ok(data)
    }
}

/// Length of the text of as many words, if there are so many.
fn words_length(text: &[u8], words: usize) -> Option<usize> {
    let mut at = 0;
    for _ in 0..words {
        at += text[at..].iter().position(|byte| !byte.is_ascii_whitespace())?;
        let end = text[at..].iter().position(u8::is_ascii_whitespace);
        at = end.map_or(text.len(), |end| at + end);
    }
    Some(at)
}

/// Numbers as text.
pub(super) fn numbers(text: &str) -> Result<Vec<f32>> {
    let number = |word: &str| -> Result<f32> {
        let number = word.parse::<f64>().map_err(|_| anyhow!("`{word}` is no number"))?;
        Ok(number as f32)
    };
    text.split_ascii_whitespace().map(number).collect()
}

fn whole(word: &str) -> Result<usize> {
    word.parse().map_err(|_| anyhow!("given `{word}`, expected a whole number"))
}

fn dtype_of(kind: &str) -> Result<Dtype> {
    Ok(match kind.to_ascii_lowercase().as_str() {
        "float" => Dtype::F32,
        "double" => Dtype::F64,
        "char" | "signed_char" | "vtktypeint8" => Dtype::I8,
        "short" | "vtktypeint16" => Dtype::I16,
        "int" | "vtkidtype" | "vtktypeint32" => Dtype::I32,
        // As long as on the machine that wrote them: eight bytes but on 32-bit ones and Windows.
        "long" | "vtktypeint64" => Dtype::I64,
        "unsigned_char" | "vtktypeuint8" => Dtype::U8,
        "unsigned_short" | "vtktypeuint16" => Dtype::U16,
        "unsigned_int" | "vtktypeuint32" => Dtype::U32,
        "unsigned_long" | "vtktypeuint64" => Dtype::U64,
        _ => {
            bail!("arrays of the type {kind} are not read, those of numbers of 8 bits or more are")
        }
    })
}

/// A name with its escapes (`%20`) undone.
fn decoded(name: &str) -> String {
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name.as_bytes();
    while let [first, after @ ..] = rest {
        let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) if *first == b'%' => {
                bytes.push(byte);
                rest = &after[2..];
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASCII: &str = "# vtk DataFile Version 3.0
a title
ASCII
DATASET STRUCTURED_POINTS
DIMENSIONS 3 2 1
ORIGIN 0 0 0
SPACING 1 1 1
FIELD FieldData 1
TIME 1 1 double
0.5
POINT_DATA 6
SCALARS a%20b float 1
LOOKUP_TABLE default
1 2 3
4 5 6e0
VECTORS v int
1 2 3 4 5 6 7 8 9
1 2 3 4 5 6 7 8 9
CELL_DATA 2
SCALARS c float
7 8";

    fn refused(bytes: &[u8]) -> String {
        format!("{:#}", parse(bytes).err().expect("an error"))
    }

    #[test]
    fn arrays_of_points_and_cells_are_found() {
        let image = parse(ASCII.as_bytes()).unwrap();
        let found: Vec<_> =
            image.arrays.iter().map(|e| (e.name.as_str(), e.shape.as_slice())).collect();
        let expected: [(&str, &[usize]); 3] =
            [("a b", &[1, 2, 3]), ("v", &[1, 2, 3, 3]), ("c", &[1, 1, 2])];
        assert_eq!(found, expected);
        let text = std::str::from_utf8(image.arrays[0].data).unwrap();
        assert_eq!(numbers(text).unwrap(), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    }

    #[test]
    fn what_is_no_lattice_is_refused_by_name() {
        let grid = ASCII.replace("STRUCTURED_POINTS", "STRUCTURED_GRID");
        assert!(refused(grid.as_bytes()).contains("STRUCTURED_GRID, expected STRUCTURED_POINTS"));
        assert!(refused(b"<?xml").contains("does not begin"));
        assert!(refused(&ASCII.as_bytes()[..43]).contains("not understood"));
        let few = ASCII.replace("POINT_DATA 6", "POINT_DATA 5");
        assert!(refused(few.as_bytes()).contains("5 values for a lattice of [1, 2, 3]"));
        let huge = ASCII.replace("DIMENSIONS 3 2 1", "DIMENSIONS 99999999999 99999999999 9");
        assert!(refused(huge.as_bytes()).contains("impossible"));
        assert!(refused(ASCII.trim_end_matches("8").as_bytes()).contains("ends within its data"));
    }
}
