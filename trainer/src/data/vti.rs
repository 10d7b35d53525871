//! VTK XML image data (`.vti`): arrays as text, base64 or raw, appended or not, compressed by zlib
//! or lz4 or not.
//!
//! Written here because the crate for it, vtkio, unwraps what it reads in many places. The parts of a parallel
//! file (`.pvti`) are files of this kind, but members are one file each.

use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use flate2::read::ZlibDecoder;
use roxmltree::{Document, Node};

use super::dtype::{self, ByteOrder, Dtype};
use super::formats::{choose, shaped, volume};
use super::npy::Array;
use super::vtk::numbers;

/// What stands in front of the appended data, and these.
struct Parts<'a> {
    /// A document of its own, the element `AppendedData` empty.
    xml: String,
    appended: &'a [u8],
}

/// How a file stores binary numbers.
struct Storage<'a> {
    order: ByteOrder,
    /// Bytes of the counts in front of each array.
    header: usize,
    compressor: Option<&'a str>,
}

/// A sequence of bytes, as they are or as base64.
enum Stream<'a> {
    Raw(&'a [u8]),
    /// The text, and bytes that were decoded together with those before them.
    Base64(&'a [u8], Vec<u8>),
}

/// Reads the array of points or cells called `name`, or the only one: `[D, H, W]` or
/// `[D, H, W, components]`.
///
/// # Errors
/// The file cannot be read, is damaged, in several pieces or no image, has no such array, or
/// several and no name is given.
pub fn read(path: &Path, name: Option<&str>) -> Result<Array<f32>> {
    with(path, name, |array, shape, root, appended| {
        let data = values(array, volume(&shape)?, root, appended)
            .with_context(|| format!("the array {}", array.attribute("Name").unwrap_or("")))?;
        Ok(Array { shape, data })
    })
}

/// The shape of what [`read`] reads.
///
/// # Errors
/// As [`read`].
pub fn read_shape(path: &Path, name: Option<&str>) -> Result<Vec<usize>> {
    with(path, name, |_, shape, _, _| Ok(shape))
}

fn with<R>(
    path: &Path,
    name: Option<&str>,
    then: impl FnOnce(Node, Vec<usize>, Node, &[u8]) -> Result<R>,
) -> Result<R> {
    let shown = path.display();
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {shown}"))?;
    let found = || {
        let parts = split(&bytes)?;
        let document = Document::parse(&parts.xml).context("it is no well-formed XML")?;
        let root = document.root_element();
        let (array, shape) = find(root, name)?;
        then(array, shape, root, parts.appended)
    };
    found().with_context(|| format!("{shown} is no usable .vti file"))
}

/// Takes the appended data, which may be anything but XML, out of the file.
fn split(bytes: &[u8]) -> Result<Parts<'_>> {
    const TAG: &[u8] = b"<AppendedData";
    if !bytes.trim_ascii_end().ends_with(b"</VTKFile>") {
        bail!("it does not end as a VTK XML file does: is it all of it?");
    }
    let (xml, appended) = match bytes.windows(TAG.len()).position(|window| window == TAG) {
        None => (std::str::from_utf8(bytes)?.to_owned(), &bytes[..0]),
        Some(at) => {
            let length = bytes[at..].iter().position(|&byte| byte == b'>');
            let end = at + length.ok_or_else(|| anyhow!("it ends within a tag"))?;
            let tag = std::str::from_utf8(&bytes[..end])?.trim_end_matches('/');
            let data = bytes[end + 1..].trim_ascii_start();
            let data = data.strip_prefix(b"_").ok_or_else(|| {
                anyhow!("its appended data do not begin with an underscore, as they have to")
            })?;
            (format!("{tag}/></VTKFile>"), data)
        }
    };
    Ok(Parts { xml, appended })
}

/// The array that is meant and the shape that it has.
fn find<'a>(root: Node<'a, 'a>, name: Option<&str>) -> Result<(Node<'a, 'a>, Vec<usize>)> {
    let kind = root.attribute("type").unwrap_or("");
    if !root.has_tag_name("VTKFile") || kind != "ImageData" {
        bail!(
            "it is <{} type=\"{kind}\">, expected <VTKFile type=\"ImageData\">, a regular lattice",
            root.tag_name().name()
        );
    }
    let pieces: Vec<_> = root.descendants().filter(|node| node.has_tag_name("Piece")).collect();
    let [piece] = pieces.as_slice() else {
        bail!("it has {} pieces, expected one", pieces.len());
    };
    let (points, cells) = extent(piece.attribute("Extent").unwrap_or(""))?;
    let mut arrays = Vec::new();
    for (tag, dims) in [("PointData", points), ("CellData", cells)] {
        let groups = piece.children().filter(|node| node.has_tag_name(tag));
        for array in groups.flat_map(|group| group.children()) {
            if array.has_tag_name("DataArray") {
                arrays.push((array.attribute("Name").unwrap_or("").to_owned(), array, dims));
            }
        }
    }
    let names: Vec<String> = arrays.iter().map(|(name, ..)| name.clone()).collect();
    let name = choose(&names, name, "arrays")?;
    let found = arrays.into_iter().find(|(known, ..)| *known == name);
    let (_, array, dims) = found.ok_or_else(|| anyhow!("there is no array {name}"))?;
    let components = array.attribute("NumberOfComponents").unwrap_or("1");
    let components = components
        .trim()
        .parse()
        .map_err(|_| anyhow!("the array {name} has `{components}` components"))?;
    Ok((array, shaped(&dims, components)))
}

/// Points and cells of an extent: first and last index along x, y and z.
fn extent(text: &str) -> Result<([usize; 3], [usize; 3])> {
    let wrong = || anyhow!("its extent is `{text}`, expected first and last index along x, y, z");
    let numbers: Option<Vec<i64>> = text.split_whitespace().map(|n| n.parse().ok()).collect();
    let [x0, x1, y0, y1, z0, z1] =
        <[i64; 6]>::try_from(numbers.ok_or_else(wrong)?).map_err(|_| wrong())?;
    let mut points = [0; 3];
    for (count, (first, last)) in points.iter_mut().zip([(z0, z1), (y0, y1), (x0, x1)]) {
        let steps = last.checked_sub(first).and_then(|steps| usize::try_from(steps).ok());
        *count = steps.and_then(|steps| steps.checked_add(1)).ok_or_else(wrong)?;
    }
    Ok((points, points.map(|n| (n - 1).max(1))))
}

/// The numbers of an array.
fn values(array: Node, count: usize, root: Node, appended: &[u8]) -> Result<Vec<f32>> {
    let dtype = dtype_of(array.attribute("type").unwrap_or(""))?;
    let storage = Storage::of(root)?;
    let text = array.text().unwrap_or("");
    let bytes = match array.attribute("format").unwrap_or("ascii") {
        "ascii" => {
            let data = numbers(text)?;
            return match data.len() == count {
                true => Ok(data),
                false => bail!("it has {} numbers, its extent needs {count}", data.len()),
            };
        }
        "binary" => storage.read(Stream::Base64(text.as_bytes(), Vec::new()), count, dtype)?,
        "appended" => {
            let offset = array.attribute("offset").and_then(|offset| offset.trim().parse().ok());
            let data = offset.and_then(|offset: usize| appended.get(offset..));
            let data = data.ok_or_else(|| anyhow!("its offset lies outside of the data"))?;
            let element = root.children().find(|node| node.has_tag_name("AppendedData"));
            let encoding = element.and_then(|node| node.attribute("encoding"));
            let stream = match encoding.unwrap_or("base64") {
                "raw" => Stream::Raw(data),
                "base64" => Stream::Base64(data, Vec::new()),
                other => bail!("appended data are encoded as `{other}`, expected raw or base64"),
            };
            storage.read(stream, count, dtype)?
        }
        other => bail!("its format is `{other}`, expected ascii, binary or appended"),
    };
    Ok(dtype::decode(&bytes, dtype, storage.order))
}

impl<'a> Storage<'a> {
    fn of(root: Node<'a, 'a>) -> Result<Self> {
        let order = match root.attribute("byte_order").unwrap_or("LittleEndian") {
            "LittleEndian" => ByteOrder::Little,
            "BigEndian" => ByteOrder::Big,
            other => bail!("byte_order is `{other}`, expected LittleEndian or BigEndian"),
        };
        let header = match root.attribute("header_type").unwrap_or("UInt32") {
            "UInt32" => 4,
            "UInt64" => 8,
            other => bail!("header_type is `{other}`, expected UInt32 or UInt64"),
        };
        let compressor = root.attribute("compressor").filter(|name| !name.is_empty());
        Ok(Self { order, header, compressor })
    }

    /// The bytes of `count` numbers.
    fn read(&self, mut stream: Stream, count: usize, dtype: Dtype) -> Result<Vec<u8>> {
        let expected = volume(&[count, dtype.size()])?;
        let check = |given: Option<usize>| match given {
            Some(given) if given == expected => Ok(()),
            _ => bail!(
                "it has {} bytes, but {count} numbers of its type need {expected}",
                given.map_or("no usable number of".to_owned(), |given| given.to_string())
            ),
        };
        let Some(compressor) = self.compressor else {
            check(Some(self.count(&mut stream)?))?;
            return stream.take(expected);
        };
        let blocks = self.count(&mut stream)?;
        let (size, last) = (self.count(&mut stream)?, self.count(&mut stream)?);
        // The last block is whole if no other size of it is given.
        let total = match last {
            0 => blocks.checked_mul(size),
            _ => blocks.checked_sub(1).and_then(|n| n.checked_mul(size)?.checked_add(last)),
        };
        check(total)?;
        let mut lengths = Vec::new();
        for _ in 0..blocks {
            lengths.push(self.count(&mut stream)?);
        }
        // What is compressed begins anew in base64.
        stream.forget();
        let mut bytes = Vec::new();
        for (block, length) in lengths.into_iter().enumerate() {
            let size = if block + 1 == blocks && last > 0 { last } else { size };
            let packed = stream.take(length)?;
            let before = bytes.len();
            unpack(compressor, &packed, size, &mut bytes)
                .with_context(|| format!("block {block} of {blocks} is damaged"))?;
            if bytes.len() - before != size {
                bail!("block {block} has {} bytes instead of {size}", bytes.len() - before);
            }
        }
        Ok(bytes)
    }

    /// A count from the header of an array.
    fn count(&self, stream: &mut Stream) -> Result<usize> {
        let dtype = if self.header == 4 { Dtype::U32 } else { Dtype::U64 };
        // Exact up to 2^53, beyond the length of any file.
        let count = dtype::decode::<f64>(&stream.take(self.header)?, dtype, self.order);
        count
            .first()
            .map(|&count| count as usize)
            .ok_or_else(|| anyhow!("it ends within its header"))
    }
}

/// Appends what `packed` holds; of much more than `size` bytes not all.
fn unpack(compressor: &str, packed: &[u8], size: usize, bytes: &mut Vec<u8>) -> Result<()> {
    match compressor {
        "vtkZLibDataCompressor" => {
            let limit = (size as u64).saturating_add(1);
            ZlibDecoder::new(packed).take(limit).read_to_end(bytes)?;
        }
        "vtkLZ4DataCompressor" => {
            // No byte stands for more than 255.
            if size.div_ceil(255) > packed.len() {
                bail!("{} bytes cannot hold {size}", packed.len());
            }
            bytes.extend(lz4_flex::block::decompress(packed, size)?);
        }
        other => bail!(
            "it is compressed by {other}, which is not read; vtkZLibDataCompressor (VTK's default), \
             vtkLZ4DataCompressor and no compression are"
        ),
    }
    Ok(())
}

impl Stream<'_> {
    /// The next `count` bytes.
    fn take(&mut self, count: usize) -> Result<Vec<u8>> {
        let short = || anyhow!("it ends within its data");
        match self {
            Self::Raw(rest) => {
                let (taken, after) = rest.split_at_checked(count).ok_or_else(short)?;
                *rest = after;
                Ok(taken.to_vec())
            }
            Self::Base64(text, decoded) => {
                while decoded.len() < count {
                    decoded.extend(quad(text)?.ok_or_else(short)?);
                }
                let after = decoded.split_off(count);
                Ok(std::mem::replace(decoded, after))
            }
        }
    }

    /// Drops bytes that were decoded and not asked for.
    fn forget(&mut self) {
        if let Self::Base64(_, decoded) = self {
            decoded.clear();
        }
    }
}

/// Decodes the next four digits of base64: one to three bytes. Decoders of whole texts do not take
/// padding within, which is there wherever one array's pieces were encoded one by one.
fn quad(text: &mut &[u8]) -> Result<Option<impl Iterator<Item = u8> + use<>>> {
    let (mut bits, mut digits, mut padding) = (0_u32, 0, 0);
    while digits < 4 {
        let Some((&first, rest)) = text.split_first() else {
            return match digits {
                0 => Ok(None),
                _ => bail!("it ends within its base64 data"),
            };
        };
        *text = rest;
        let digit = match first {
            b'A'..=b'Z' => first - b'A',
            b'a'..=b'z' => first - b'a' + 26,
            b'0'..=b'9' => first - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            b'=' if digits >= 2 => {
                padding += 1;
                0
            }
            _ if first.is_ascii_whitespace() => continue,
            _ => bail!("its data have the byte {first}, which is no digit of base64"),
        };
        bits = bits << 6 | u32::from(digit);
        digits += 1;
    }
    let [_, bytes @ ..] = bits.to_be_bytes();
    Ok(Some(bytes.into_iter().take(3 - padding)))
}

fn dtype_of(kind: &str) -> Result<Dtype> {
    let found = match kind.split_at_checked(kind.trim_end_matches(char::is_numeric).len()) {
        Some(("Float", bits)) => Some(('f', bits)),
        Some(("Int", bits)) => Some(('i', bits)),
        Some(("UInt", bits)) => Some(('u', bits)),
        _ => None,
    };
    found
        .and_then(|(letter, bits)| Dtype::of(letter, bits.parse::<usize>().ok()? / 8))
        .ok_or_else(|| anyhow!("its type is `{kind}`, expected a type of numbers such as Float32"))
}
