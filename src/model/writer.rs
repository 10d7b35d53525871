//! Writes a baked file, grids row by row, so that grids larger than memory can be baked.
//!
//! The file appears under its name only when it is complete and synced: an interrupted or failed
//! bake leaves what was there before.

use std::fs::File;
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use half::bf16;
use safetensors::Dtype;
use serde_json::json;

use super::Scaling;
use super::file::{FORMAT, checksum_key};
use super::grid_writer::{GridWriter, quantize};
use super::layout::{self, GridPrecision};
use super::spec::Spec;
use crate::{Error, ErrorKind, Result};

/// Tensor data starts on a multiple of this.
const DATA_ALIGNMENT: usize = 256;

/// A baked file in the making: grids first, in order, then the small tensors by
/// [`Writer::finish`].
pub struct Writer {
    path: PathBuf,
    temporary: PathBuf,
    out: BufWriter<File>,
    spec: Spec,
    precision: GridPrecision,
    entries: Vec<Entry>,
    scalings: Vec<Scaling>,
    data_start: u64,
    next: usize,
}

struct Entry {
    name: String,
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: usize,
    crc: u32,
}

/// The small tensors of a model, in the order of its [`Spec`].
#[derive(Default)]
pub struct SmallTensors {
    /// `[input.width]`, if `spec.input.bias`.
    pub input_bias: Option<Vec<f32>>,
    /// `[vertices, features]` each.
    pub lines: Vec<Vec<f32>>,
    /// Weight `[outputs, inputs]` and bias `[outputs]` each; rounded to the layer's precision.
    pub layers: Vec<(Vec<f32>, Vec<f32>)>,
    /// If `spec.radiance`.
    pub radiance: Option<SmallRadiance>,
}

/// The small tensors of a radiance field.
#[derive(Default)]
pub struct SmallRadiance {
    /// As [`SmallTensors::layers`].
    pub layers: Vec<(Vec<f32>, Vec<f32>)>,
    /// Which cells hold anything, `[D, H, W]` with x fastest, if `spec.radiance.occupancy`.
    pub occupancy: Option<Vec<bool>>,
}

impl Writer {
    /// Starts a file at `path` (through a temporary file beside it).
    ///
    /// # Errors
    /// `Format` if `spec` is inconsistent, `Io` if the folder cannot be written.
    pub fn create(path: impl AsRef<Path>, spec: Spec, precision: GridPrecision) -> Result<Self> {
        spec.check()?;
        let path = path.as_ref().to_owned();
        if path.exists() && !path.is_file() && !path.is_dir() {
            return Err(Error::argument(format!(
                "cannot write {}: it is no regular file, and would be replaced",
                path.display()
            )));
        }
        let temporary = temporary_name(&path)?;
        let entries = entries(&spec, precision);
        let file = File::create(&temporary).map_err(|error| {
            Error::from(error).context(format!("cannot write {}", path.display()))
        })?;
        let out = BufWriter::with_capacity(1 << 20, file);
        let scalings = Vec::new();
        let mut writer = Self {
            path,
            temporary,
            out,
            spec,
            precision,
            entries,
            scalings,
            data_start: 0,
            next: 0,
        };
        // Checksums have a fixed width: the final header is as long as this provisional one.
        let header = writer.header()?;
        writer.data_start = header.len() as u64;
        writer.write(&header)?;
        Ok(writer)
    }

    /// The next grid, to be filled vertex by vertex in row-major order, or entry by entry. A grid that is not finished
    /// is begun again by the next call.
    ///
    /// # Errors
    /// `InvalidArgument` if all grids were written or their precision needs ranges; `Io`.
    pub fn grid(&mut self) -> Result<GridWriter<'_>> {
        if self.precision == GridPrecision::I8 {
            return Err(Error::argument("8-bit grids need the ranges of their channels"));
        }
        self.next_grid(None)
    }

    /// The next grid, 8-bit: `ranges` are the smallest and largest feature of each channel, to
    /// which others are clamped.
    ///
    /// # Errors
    /// `InvalidArgument` if all grids were written, the precision is another or the ranges are not
    /// one per channel, finite and in order; `Io`.
    pub fn grid_in_ranges(&mut self, ranges: &[(f64, f64)]) -> Result<GridWriter<'_>> {
        let channels = self.spec.grids.get(self.next).map_or(0, |grid| grid.channels);
        let ordered = |&(min, max): &(f64, f64)| {
            f64::from(f32::MIN) <= min && min <= max && max <= f64::from(f32::MAX)
        };
        let fits = ranges.len() == channels && ranges.iter().all(ordered);
        if self.precision != GridPrecision::I8 || !fits {
            return Err(Error::argument(format!(
                "{} ranges given for a {} grid of {channels} channels, expected one per channel of \
                 an I8 grid, finite and in order",
                ranges.len(),
                self.precision.name(),
            )));
        }
        let scale: Vec<f32> =
            ranges.iter().map(|&(min, max)| ((max - min) / 255.0) as f32).collect();
        // From -128 for the smallest to 127 for the largest.
        let zero = ranges.iter().zip(&scale);
        let zero = zero.map(|(&(min, _), &scale)| (min + 128.0 * f64::from(scale)) as f32);
        let zero = zero.collect();
        self.next_grid(Some(Scaling { scale, zero }))
    }

    fn next_grid(&mut self, scaling: Option<Scaling>) -> Result<GridWriter<'_>> {
        let entry = self.next;
        let grid = self
            .spec
            .grids
            .get(entry)
            .ok_or_else(|| Error::argument(format!("all {entry} grids are written")))?;
        let channels = grid.channels;
        let left = grid.rows().unwrap_or(0);
        let before: usize = self.entries[..entry].iter().map(|entry| entry.bytes).sum();
        let start = SeekFrom::Start(self.data_start + before as u64);
        self.out.seek(start).map_err(|error| self.io(error))?;
        Ok(GridWriter::new(self, channels, left, scaling))
    }

    /// Of the grids.
    pub(super) fn precision(&self) -> GridPrecision {
        self.precision
    }

    /// Name of the tensor that is written.
    pub(super) fn tensor(&self) -> &str {
        &self.entries[self.next].name
    }

    /// Ends the grid that is written.
    pub(super) fn close_grid(&mut self, crc: u32, scaling: Option<Scaling>) {
        self.entries[self.next].crc = crc;
        self.scalings.extend(scaling);
        self.next += 1;
    }

    /// Writes the small tensors, completes the header, syncs and moves the file into place.
    ///
    /// # Errors
    /// `InvalidArgument` if a grid is missing or a tensor has the wrong size or is not finite,
    /// `Io` if the disk is full; nothing is left behind then.
    pub fn finish(mut self, tensors: &SmallTensors) -> Result<u64> {
        if self.next != self.spec.grids.len() {
            return Err(Error::argument(format!(
                "{} of {} grids were written",
                self.next,
                self.spec.grids.len()
            )));
        }
        let SmallTensors { lines, input_bias, layers, radiance } = tensors;
        self.check_counts(tensors)?;
        for Scaling { scale, zero } in std::mem::take(&mut self.scalings) {
            self.small(&scale)?;
            self.small(&zero)?;
        }
        for values in lines.iter().chain(input_bias) {
            self.small(values)?;
        }
        let head = radiance.iter().flat_map(|radiance| &radiance.layers);
        for (weight, bias) in layers.iter().chain(head) {
            match self.entries[self.next].dtype {
                Dtype::I8 => self.small_i8(weight)?,
                _ => self.small(weight)?,
            }
            self.small(bias)?;
        }
        if let Some(cells) = radiance.as_ref().and_then(|radiance| radiance.occupancy.as_ref()) {
            self.small_bits(cells)?;
        }
        let header = self.header()?;
        let complete = |writer: &mut Self| -> std::io::Result<u64> {
            let size = writer.out.stream_position()?;
            writer.out.seek(SeekFrom::Start(0))?;
            writer.out.write_all(&header)?;
            writer.out.flush()?;
            writer.out.get_ref().sync_all()?;
            std::fs::rename(&writer.temporary, &writer.path)?;
            sync_folder(&writer.path);
            Ok(size)
        };
        complete(&mut self).map_err(|error| self.io(error))
    }

    fn check_counts(&self, tensors: &SmallTensors) -> Result<()> {
        let SmallTensors { lines, input_bias, layers, radiance } = tensors;
        let given = [lines.len(), usize::from(input_bias.is_some()), layers.len()];
        let spec = &self.spec;
        let expected = [spec.lines.len(), usize::from(spec.input.bias), spec.layers.len()];
        if given != expected {
            return Err(Error::argument(format!(
                "lines, input biases and layers given: {given:?}, expected {expected:?}"
            )));
        }
        let given = radiance.as_ref().map(|r| (r.layers.len(), r.occupancy.is_some()));
        let expected = spec.radiance.as_ref().map(|r| (r.layers.len(), r.occupancy.is_some()));
        if given != expected {
            return Err(Error::argument(format!(
                "layers of a radiance field, and whether there is an occupancy, given: {given:?}, \
                 expected {expected:?}"
            )));
        }
        Ok(())
    }

    fn small(&mut self, values: &[f32]) -> Result<()> {
        let dtype = self.check_small(values)?;
        let bytes: Vec<u8> = match dtype {
            Dtype::BF16 => {
                values.iter().flat_map(|&value| bf16::from_f32(value).to_le_bytes()).collect()
            }
            _ => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
        };
        self.write_small(&bytes)
    }

    /// A weight in 8 bits, and its scales.
    fn small_i8(&mut self, weight: &[f32]) -> Result<()> {
        self.check_small(weight)?;
        let inputs = self.entries[self.next].shape[1];
        let largest = |row: &[f32]| row.iter().fold(0.0f32, |most, w| most.max(w.abs()));
        let rows = weight.chunks_exact(inputs);
        let scales: Vec<f32> = rows.clone().map(|row| largest(row) / 127.0).collect();
        let rounded = rows.zip(&scales).flat_map(|(row, &scale)| {
            row.iter().map(move |&w| (quantize(f64::from(w), 0.0, scale, -127.0)).cast_unsigned())
        });
        let rounded: Vec<u8> = rounded.collect();
        self.write_small(&rounded)?;
        self.small(&scales)
    }

    /// One bit each, eight to a byte.
    fn small_bits(&mut self, bits: &[bool]) -> Result<()> {
        let cells = self.spec.radiance.as_ref().and_then(|radiance| radiance.occupancy);
        if Some(bits.len()) != cells.map(|cells| cells.iter().product()) {
            return Err(Error::argument(format!(
                "{} has {} cells, expected {cells:?}",
                self.entries[self.next].name,
                bits.len()
            )));
        }
        let byte = |eight: &[bool]| {
            eight.iter().enumerate().fold(0, |byte, (k, &bit)| byte | u8::from(bit) << k)
        };
        let bytes: Vec<u8> = bits.chunks(8).map(byte).collect();
        self.write_small(&bytes)
    }

    /// The type of the next small tensor, if `values` are as many as it needs, and finite.
    fn check_small(&self, values: &[f32]) -> Result<Dtype> {
        let entry = &self.entries[self.next];
        if values.len() != entry.shape.iter().product::<usize>() {
            return Err(Error::argument(format!(
                "{} has {} numbers, expected {:?}",
                entry.name,
                values.len(),
                entry.shape
            )));
        }
        let held = |&value: &f32| match entry.dtype {
            Dtype::BF16 => bf16::from_f32(value).is_finite(),
            _ => value.is_finite(),
        };
        match values.iter().position(|value| !held(value)) {
            Some(at) => Err(Error::argument(format!("{}[{at}] is {}", entry.name, values[at]))),
            None => Ok(entry.dtype),
        }
    }

    fn write_small(&mut self, bytes: &[u8]) -> Result<()> {
        self.entries[self.next].crc = crc32fast::hash(bytes);
        self.next += 1;
        self.write(bytes)
    }

    fn header(&self) -> Result<Vec<u8>> {
        let bug = |error| Error::new(ErrorKind::Internal, format!("description: {error}"));
        let spec = serde_json::to_string(&self.spec).map_err(bug)?;
        let mut metadata = serde_json::Map::new();
        metadata.insert("format".into(), FORMAT.into());
        metadata.insert("version".into(), self.spec.version().to_string().into());
        let spec_crc = crc32fast::hash(spec.as_bytes());
        metadata.insert(checksum_key("spec"), format!("{spec_crc:08x}").into());
        metadata.insert("spec".into(), spec.into());
        let mut header = serde_json::Map::new();
        let mut start = 0;
        for entry in &self.entries {
            metadata.insert(checksum_key(&entry.name), format!("{:08x}", entry.crc).into());
            let offsets = [start, start + entry.bytes];
            header.insert(
                entry.name.clone(),
                json!({"dtype": entry.dtype, "shape": entry.shape, "data_offsets": offsets}),
            );
            start = offsets[1];
        }
        header.insert("__metadata__".into(), metadata.into());
        let text = serde_json::to_vec(&header).map_err(bug)?;
        Ok(align_header(&text))
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.out.write_all(bytes).map_err(|error| self.io(error))
    }

    fn io(&self, error: std::io::Error) -> Error {
        Error::from(error).context(format!("cannot write {}", self.path.display()))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // After a successful `finish` the temporary name is gone and this does nothing.
        let _ = std::fs::remove_file(&self.temporary);
    }
}

fn entries(spec: &Spec, precision: GridPrecision) -> Vec<Entry> {
    let dtype = match precision {
        GridPrecision::F32 => Dtype::F32,
        GridPrecision::F16 => Dtype::F16,
        GridPrecision::I8 => Dtype::I8,
    };
    let grids = spec.grids.iter().enumerate().map(|(n, grid)| {
        let shape = [&grid.tensor_shape()[..], &[precision.row(grid.channels)]].concat();
        let bytes = shape.iter().product::<usize>() * precision.bytes();
        Entry { name: layout::grid(n), dtype, shape, bytes, crc: 0 }
    });
    let small = layout::small(spec, &vec![precision; spec.grids.len()]).into_iter().map(|tensor| {
        let bytes = tensor.bytes();
        Entry { name: tensor.name, dtype: tensor.dtype, shape: tensor.shape, bytes, crc: 0 }
    });
    grids.chain(small).collect()
}

/// The header `text` with its length before it, padded so that tensor data follow aligned.
pub(super) fn align_header(text: &[u8]) -> Vec<u8> {
    let length = (8 + text.len()).next_multiple_of(DATA_ALIGNMENT);
    let mut bytes = ((length - 8) as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(text);
    bytes.resize(length, b' ');
    bytes
}

/// The new name of `path` must survive a power cut too, where folders can be synced.
pub(super) fn sync_folder(path: &Path) {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    if let Ok(folder) = File::open(folder.unwrap_or(Path::new("."))) {
        let _ = folder.sync_all();
    }
}

/// Beside `path`, and unique.
pub(super) fn temporary_name(path: &Path) -> Result<PathBuf> {
    let name = path.file_name().ok_or_else(|| {
        Error::argument(format!("cannot write {}: expected the name of a file", path.display()))
    })?;
    // Unique among the writers of this process too: several may bake to the same name.
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let (process, n) = (std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let name = format!(".{}.{process}.{n}.tmp", name.to_string_lossy());
    Ok(path.with_file_name(name))
}
