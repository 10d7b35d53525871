//! The baked file: open, check, describe, write. No arithmetic on its numbers.
//!
//! Everything that a query relies on is checked here, once: sizes, offsets, ranges, checksums. A
//! [`Model`] that exists is consistent. `docs/format.md` describes the file.

mod file;
pub mod spec;
mod storage;
mod writer;

use std::path::Path;

use half::f16;
use safetensors::Dtype;

use crate::{Error, Result};
use file::Container;
use spec::Spec;
pub use storage::{ALIGNMENT, Storage};
use storage::{Bytes, floats, view};
pub use writer::{GridPrecision, GridWriter, SmallTensors, Writer};

/// Whether tensors are compared with their checksums when a file is opened. The description and
/// all sizes are always checked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Checksums {
    /// Read the whole file once and refuse it if a bit is wrong.
    #[default]
    Verify,
    /// Trust the numbers: opening does not touch the grids. For files verified before.
    Skip,
}

/// An open, checked, immutable baked model.
pub struct Model {
    bytes: Bytes,
    spec: Spec,
    spec_json: String,
    grids: Vec<GridTensor>,
    input_bias: Option<Vec<f32>>,
    lines: Vec<Vec<f32>>,
    layers: Vec<LayerTensors>,
}

/// Vertex features of one grid, channel-last; rows of [`GridData::row`] numbers, of which the
/// first `channels` count.
#[derive(Clone, Copy)]
pub struct GridData<'a> {
    /// Numbers from one vertex to the next.
    pub row: usize,
    /// All rows, `[D, H, W, row]` flattened.
    pub values: GridValues<'a>,
}

/// The stored precision of a grid.
#[derive(Clone, Copy)]
pub enum GridValues<'a> {
    /// 32-bit.
    F32(&'a [f32]),
    /// 16-bit.
    F16(&'a [f16]),
}

/// A dense layer's numbers.
pub struct LayerTensors {
    /// `[outputs, inputs]`, row-major.
    pub weight: Vec<f32>,
    /// `[outputs]`
    pub bias: Vec<f32>,
}

struct GridTensor {
    range: std::ops::Range<usize>,
    row: usize,
    precision: GridPrecision,
}

impl Model {
    /// Opens and checks a baked file.
    ///
    /// # Errors
    /// `Io` if it cannot be read, `Format` with the name of what is wrong, `Version` if a newer
    /// library wrote it.
    pub fn open(path: impl AsRef<Path>, storage: Storage, checksums: Checksums) -> Result<Self> {
        let path = path.as_ref();
        Bytes::open(path, storage)
            .and_then(|bytes| Self::from_storage(bytes, checksums))
            .map_err(|error| error.context(path.display()))
    }

    /// Opens a baked file that is already in memory; the bytes are copied.
    ///
    /// # Errors
    /// As [`Model::open`].
    pub fn from_bytes(bytes: &[u8], checksums: Checksums) -> Result<Self> {
        Self::from_storage(Bytes::copy_of(&[bytes])?, checksums)
    }

    fn from_storage(bytes: Bytes, checksums: Checksums) -> Result<Self> {
        let bytes = realigned(bytes)?;
        let container = Container::parse(bytes.as_slice())?;
        let spec = container.spec()?;
        spec.check()?;
        container.check_names(&expected_tensors(&spec))?;
        if checksums == Checksums::Verify {
            container.check_sums()?;
        }
        let grids = spec
            .grids
            .iter()
            .enumerate()
            .map(|(n, grid)| grid_tensor(&container, n, grid))
            .collect::<Result<_>>()?;
        let read = |name: String, shape: &[usize]| -> Result<Vec<f32>> {
            let values = floats(container.f32(&name, shape)?);
            match values.iter().position(|value| !value.is_finite()) {
                Some(at) => Err(Error::format(format!("{name}[{at}] is {}", values[at]))),
                None => Ok(values),
            }
        };
        let input_bias =
            spec.input.bias.then(|| read("input.bias".into(), &[spec.input.width])).transpose()?;
        let lines = (spec.lines.iter().enumerate())
            .map(|(n, line)| read(format!("line.{n}"), &[line.vertices, line.features]))
            .collect::<Result<_>>()?;
        let layers = (spec.layers.iter().enumerate())
            .map(|(n, layer)| {
                Ok(LayerTensors {
                    weight: read(format!("layer.{n}.weight"), &[layer.outputs, layer.inputs])?,
                    bias: read(format!("layer.{n}.bias"), &[layer.outputs])?,
                })
            })
            .collect::<Result<_>>()?;
        let spec_json = container.spec_json().to_owned();
        Ok(Self { spec, spec_json, grids, input_bias, lines, layers, bytes })
    }

    /// The description.
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// The description as the JSON text that stands in the file.
    pub fn spec_json(&self) -> &str {
        &self.spec_json
    }

    /// Size of the file in bytes.
    pub fn file_bytes(&self) -> usize {
        self.bytes.as_slice().len()
    }

    /// Features of grid `n` (see [`Spec::grids`]).
    pub fn grid(&self, n: usize) -> GridData<'_> {
        let tensor = &self.grids[n];
        let bytes = &self.bytes.as_slice()[tensor.range.clone()];
        // `grid_tensor` made sure that these bytes are aligned, so that both views exist.
        let values = match tensor.precision {
            GridPrecision::F32 => GridValues::F32(view(bytes).unwrap_or_default()),
            GridPrecision::F16 => GridValues::F16(view(bytes).unwrap_or_default()),
        };
        GridData { row: tensor.row, values }
    }

    /// Stored precision of grid `n`.
    pub fn grid_precision(&self, n: usize) -> GridPrecision {
        self.grids[n].precision
    }

    /// What the input vector starts as, if not zeros; `[input.width]`.
    pub fn input_bias(&self) -> Option<&[f32]> {
        self.input_bias.as_deref()
    }

    /// Features of line `n`, `[vertices, features]`.
    pub fn line(&self, n: usize) -> &[f32] {
        &self.lines[n]
    }

    /// Weights of the dense layers.
    pub fn layers(&self) -> &[LayerTensors] {
        &self.layers
    }
}

/// Files by other writers may put tensors off alignment, and memory may come from anywhere: such
/// bytes are shifted into a copy whose tensor data is aligned.
fn realigned(bytes: Bytes) -> Result<Bytes> {
    let slice = bytes.as_slice();
    let header = slice.first_chunk().map_or(0, |&length| u64::from_le_bytes(length));
    let data = usize::try_from(header).ok().and_then(|header| header.checked_add(8));
    let Some(data) = data.filter(|&data| data <= slice.len()) else {
        return Ok(bytes); // Not a file of ours: parsing it says so.
    };
    if (slice.as_ptr() as usize + data).is_multiple_of(ALIGNMENT) {
        return Ok(bytes);
    }
    let pad = ALIGNMENT - data % ALIGNMENT;
    let length = (data - 8 + pad) as u64;
    Bytes::copy_of(&[
        &length.to_le_bytes(),
        &slice[8..data],
        &[b' '; ALIGNMENT][..pad],
        &slice[data..],
    ])
}

fn expected_tensors(spec: &Spec) -> Vec<String> {
    let grids = (0..spec.grids.len()).map(|n| format!("grid.{n}"));
    let lines = (0..spec.lines.len()).map(|n| format!("line.{n}"));
    let bias = spec.input.bias.then(|| "input.bias".to_owned());
    let layers = (0..spec.layers.len())
        .flat_map(|n| [format!("layer.{n}.weight"), format!("layer.{n}.bias")]);
    grids.chain(lines).chain(bias).chain(layers).collect()
}

fn grid_tensor(container: &Container<'_>, n: usize, grid: &spec::Grid) -> Result<GridTensor> {
    let name = format!("grid.{n}");
    let (dtype, shape, range) = container.tensor(&name)?;
    let precision = match dtype {
        Dtype::F32 => GridPrecision::F32,
        Dtype::F16 => GridPrecision::F16,
        other => {
            return Err(Error::format(format!("{name} is {other:?}, expected F32 or F16")));
        }
    };
    let (dims, row) = shape.split_at(shape.len().saturating_sub(1));
    let row = row.first().copied().unwrap_or(0);
    if dims != grid.shape || row < grid.channels {
        return Err(Error::format(format!(
            "{name} has shape {shape:?}, expected {:?} and rows of at least {}",
            grid.shape, grid.channels
        )));
    }
    if !range.start.is_multiple_of(precision.bytes()) {
        return Err(Error::format(format!(
            "{name} starts at byte {}, not a multiple of {}",
            range.start,
            precision.bytes()
        )));
    }
    Ok(GridTensor { range, row, precision })
}
