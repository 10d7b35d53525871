//! The baked file: open, check, describe, write. No arithmetic on its numbers.
//!
//! Everything that a query relies on is checked here, once: sizes, offsets, ranges, checksums. A
//! [`Model`] that exists is consistent. `docs/format.md` describes the file.

mod amend;
mod file;
mod grid;
mod grid_writer;
mod layout;
mod radiance;
pub mod spec;
mod storage;
mod writer;

use std::path::Path;

use half::{bf16, f16};

use crate::{Error, Result};
pub use amend::amend;
use file::Container;
pub use grid_writer::GridWriter;
pub use layout::GridPrecision;
pub(crate) use radiance::check_step;
use spec::{LayerPrecision, Spec};
pub use storage::{ALIGNMENT, Storage};
use storage::{Bytes, floats, view};
pub use writer::{SmallRadiance, SmallTensors, Writer};

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
    terms: Vec<Vec<usize>>,
    grids: Vec<GridTensor>,
    input_bias: Option<Vec<f32>>,
    lines: Vec<Vec<f32>>,
    layers: Vec<LayerTensors>,
    radiance_layers: Vec<LayerTensors>,
    /// Where the occupied cells of a radiance field are.
    occupancy: Option<std::ops::Range<usize>>,
}

/// Vertex features of one grid, channel-last; rows of [`GridData::row`] numbers, of which the
/// first `channels` count.
#[derive(Clone, Copy)]
pub struct GridData<'a> {
    /// Numbers from one vertex to the next.
    pub row: usize,
    /// All rows, `[D, H, W, row]` or `[entries, row]` flattened.
    pub values: GridValues<'a>,
}

/// The stored numbers of a grid.
#[derive(Clone, Copy)]
pub enum GridValues<'a> {
    /// 32-bit.
    F32(&'a [f32]),
    /// 16-bit.
    F16(&'a [f16]),
    /// 8-bit: feature c of a vertex is `zero[c] + scale[c] * q`.
    I8(&'a [i8], &'a Scaling),
}

/// What the 8-bit numbers of a grid stand for, per channel.
pub struct Scaling {
    /// Distance of neighbouring features, not negative, `[channels]`.
    pub scale: Vec<f32>,
    /// The feature that 0 stands for, `[channels]`.
    pub zero: Vec<f32>,
}

/// A dense layer's numbers.
pub struct LayerTensors {
    /// `[outputs, inputs]`, row-major, as stored (times its scale if 8-bit).
    pub weight: Vec<f32>,
    /// `[outputs]`
    pub bias: Vec<f32>,
    /// The stored numbers of an 8-bit layer.
    pub quantized: Option<QuantizedWeight>,
}

/// An 8-bit weight: `scale[output] * values[output][input]`.
pub struct QuantizedWeight {
    /// `[outputs, inputs]`, row-major.
    pub values: Vec<i8>,
    /// `[outputs]`, not negative.
    pub scale: Vec<f32>,
}

impl LayerTensors {
    /// The weight of an input for an output, in 64 bits.
    pub fn weight64(&self, output: usize, input: usize) -> f64 {
        let at = output * (self.weight.len() / self.bias.len()) + input;
        match &self.quantized {
            Some(QuantizedWeight { values, scale }) => {
                f64::from(scale[output]) * f64::from(values[at])
            }
            None => f64::from(self.weight[at]),
        }
    }

    /// The weights of the outputs, one row after the other, in 64 bits.
    pub fn rows64(&self) -> impl Iterator<Item = Vec<f64>> {
        let inputs = self.weight.len() / self.bias.len();
        (0..self.bias.len()).map(move |output| {
            let span = output * inputs..(output + 1) * inputs;
            match &self.quantized {
                Some(QuantizedWeight { values, scale }) => {
                    let scale = f64::from(scale[output]);
                    values[span].iter().map(|&q| scale * f64::from(q)).collect()
                }
                None => self.weight[span].iter().map(|&w| f64::from(w)).collect(),
            }
        })
    }
}

struct GridTensor {
    range: std::ops::Range<usize>,
    row: usize,
    precision: GridPrecision,
    scaling: Option<Scaling>,
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
        container.check_features(&spec)?;
        let grids = grid_tensors(&container, &spec)?;
        let precisions: Vec<_> = grids.iter().map(|grid| grid.precision).collect();
        let small = layout::small(&spec, &precisions);
        let names = (0..grids.len()).map(layout::grid);
        let names: Vec<_> = names.chain(small.iter().map(|tensor| tensor.name.clone())).collect();
        container.check_names(&names)?;
        if checksums == Checksums::Verify {
            container.check_sums()?;
        }
        for tensor in &small {
            container.small(&tensor.name, tensor.dtype, &tensor.shape)?;
        }
        let reader = Reader { container: &container };
        let grids = (grids.into_iter().enumerate())
            .map(|(n, grid)| reader.scaling(n, grid))
            .collect::<Result<_>>()?;
        let input_bias = spec.input.bias.then(|| reader.floats("input.bias")).transpose()?;
        let lines = (0..spec.lines.len())
            .map(|n| reader.floats(&format!("line.{n}")))
            .collect::<Result<_>>()?;
        let layers = (spec.layers.iter().enumerate())
            .map(|(n, layer)| reader.layer(&format!("layer.{n}"), layer))
            .collect::<Result<_>>()?;
        let head = spec.radiance.iter().flat_map(|radiance| &radiance.layers).enumerate();
        let radiance_layers = head
            .map(|(n, layer)| reader.layer(&format!("{}{n}", layout::RADIANCE_LAYER), layer))
            .collect::<Result<_>>()?;
        let occupancy = reader.occupancy(&spec)?;
        let spec_json = container.spec_json().to_owned();
        let terms = spec.terms();
        Ok(Self {
            spec,
            spec_json,
            terms,
            grids,
            input_bias,
            lines,
            layers,
            radiance_layers,
            occupancy,
            bytes,
        })
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

    /// [`Spec::terms`] of the description.
    pub fn terms(&self) -> &[Vec<usize>] {
        &self.terms
    }

    /// Features of grid `n` (see [`Spec::grids`]).
    pub fn grid(&self, n: usize) -> GridData<'_> {
        let tensor = &self.grids[n];
        let bytes = &self.bytes.as_slice()[tensor.range.clone()];
        // `grid_tensors` made sure that these bytes are aligned, so that both views exist.
        let values = match tensor.precision {
            GridPrecision::F32 => GridValues::F32(view(bytes).unwrap_or_default()),
            GridPrecision::F16 => GridValues::F16(view(bytes).unwrap_or_default()),
            GridPrecision::I8 => match &tensor.scaling {
                Some(scaling) => GridValues::I8(view(bytes).unwrap_or_default(), scaling),
                None => unreachable!("`scaling` reads one for every 8-bit grid"),
            },
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

    /// Number of tensors in the file.
    pub fn tensors(&self) -> usize {
        let precisions: Vec<_> = self.grids.iter().map(|grid| grid.precision).collect();
        self.grids.len() + layout::small(&self.spec, &precisions).len()
    }

    /// Weights of the dense layers.
    pub fn layers(&self) -> &[LayerTensors] {
        &self.layers
    }

    /// Weights of the layers that give a radiance field's colours; empty of other models.
    pub fn radiance_layers(&self) -> &[LayerTensors] {
        &self.radiance_layers
    }

    /// Which cells of a radiance field hold anything, x fastest, eight to a byte, the first in the
    /// lowest bit. None if it does not say, and of other models.
    pub fn occupancy(&self) -> Option<&[u8]> {
        self.occupancy.clone().map(|range| &self.bytes.as_slice()[range])
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

/// Reads the small tensors; names, types and shapes were checked.
struct Reader<'a> {
    container: &'a Container<'a>,
}

impl<'a> Reader<'a> {
    fn bytes(&self, name: &str) -> Result<&'a [u8]> {
        let (dtype, shape, _) = self.container.tensor(name)?;
        self.container.small(name, dtype, shape)
    }

    fn floats(&self, name: &str) -> Result<Vec<f32>> {
        finite(name, floats(self.bytes(name)?))
    }

    /// Numbers that must not be negative either.
    fn scales(&self, name: &str) -> Result<Vec<f32>> {
        let scales = self.floats(name)?;
        match scales.iter().position(|&scale| scale < 0.0) {
            Some(at) => Err(Error::format(format!("{name}[{at}] is {}", scales[at]))),
            None => Ok(scales),
        }
    }

    fn scaling(&self, n: usize, mut grid: GridTensor) -> Result<GridTensor> {
        if grid.precision == GridPrecision::I8 {
            let scale = self.scales(&format!("grid.{n}.scale"))?;
            let zero = self.floats(&format!("grid.{n}.zero"))?;
            grid.scaling = Some(Scaling { scale, zero });
        }
        Ok(grid)
    }

    /// Where the occupied cells of a radiance field are; what is left of the last byte is empty.
    fn occupancy(&self, spec: &Spec) -> Result<Option<std::ops::Range<usize>>> {
        let Some(cells) = spec.radiance.as_ref().and_then(|radiance| radiance.occupancy) else {
            return Ok(None);
        };
        let bytes = self.bytes(layout::OCCUPANCY)?;
        let used = cells.iter().product::<usize>() % 8;
        match bytes.last() {
            Some(last) if used > 0 && last >> used != 0 => Err(Error::format(format!(
                "{} has cells after the last of {cells:?}: expected zeros there",
                layout::OCCUPANCY
            ))),
            _ => Ok(Some(self.container.tensor(layout::OCCUPANCY)?.2)),
        }
    }

    fn layer(&self, name: &str, layer: &spec::Layer) -> Result<LayerTensors> {
        let weight = format!("{name}.weight");
        let bytes = self.bytes(&weight)?;
        let bias = self.floats(&format!("{name}.bias"))?;
        let (numbers, quantized) = match layer.precision {
            LayerPrecision::F32 => (floats(bytes), None),
            LayerPrecision::Bf16 => {
                let weights = bytes.as_chunks::<2>().0.iter();
                (weights.map(|&pair| bf16::from_le_bytes(pair).to_f32()).collect(), None)
            }
            LayerPrecision::I8 { .. } => {
                let values: Vec<i8> = bytes.iter().map(|&byte| byte.cast_signed()).collect();
                let scale = self.scales(&format!("{name}.scale"))?;
                let rows = values.chunks_exact(layer.inputs).zip(&scale);
                let numbers =
                    rows.flat_map(|(row, &s)| row.iter().map(move |&q| s * f32::from(q))).collect();
                (numbers, Some(QuantizedWeight { values, scale }))
            }
        };
        Ok(LayerTensors { weight: finite(&weight, numbers)?, bias, quantized })
    }
}

fn finite(name: &str, values: Vec<f32>) -> Result<Vec<f32>> {
    match values.iter().position(|value| !value.is_finite()) {
        Some(at) => Err(Error::format(format!("{name}[{at}] is {}", values[at]))),
        None => Ok(values),
    }
}

fn grid_tensors(container: &Container<'_>, spec: &Spec) -> Result<Vec<GridTensor>> {
    spec.grids.iter().enumerate().map(|(n, grid)| grid_tensor(container, n, grid)).collect()
}

fn grid_tensor(container: &Container<'_>, n: usize, grid: &spec::Grid) -> Result<GridTensor> {
    let name = layout::grid(n);
    let (dtype, shape, range) = container.tensor(&name)?;
    let precision = GridPrecision::of(dtype)
        .ok_or_else(|| Error::format(format!("{name} is {dtype:?}, expected F32, F16 or I8")))?;
    let (dims, row) = shape.split_at(shape.len().saturating_sub(1));
    let row = row.first().copied().unwrap_or(0);
    let expected = grid.tensor_shape();
    if dims != expected || row < grid.channels {
        return Err(Error::format(format!(
            "{name} has shape {shape:?}, expected {expected:?} and rows of at least {}",
            grid.channels
        )));
    }
    if !range.start.is_multiple_of(precision.bytes()) {
        return Err(Error::format(format!(
            "{name} starts at byte {}, not a multiple of {}",
            range.start,
            precision.bytes()
        )));
    }
    Ok(GridTensor { range, row, precision, scaling: None })
}
