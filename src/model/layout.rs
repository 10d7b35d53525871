//! Which tensors a file holds, in which types and shapes: what the writer writes and the reader
//! expects.

use safetensors::Dtype;

use super::spec::{Layer, LayerPrecision, Spec};

/// Rows of a grid are whole multiples of this many bytes, so that vector loads of 16 bytes are
/// aligned and padding stays small.
const ROW_ALIGNMENT: usize = 16;

/// Stored precision of grids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GridPrecision {
    /// 32-bit floating point.
    F32,
    /// 16-bit floating point.
    F16,
    /// 8-bit integers with a scale and a zero per channel.
    I8,
}

impl GridPrecision {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::F32, Self::F16, Self::I8];

    /// Bytes of one number.
    pub fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 => 2,
            Self::I8 => 1,
        }
    }

    /// Numbers from one vertex to the next for `channels` features, as the writer has them.
    pub fn row(self, channels: usize) -> usize {
        channels.next_multiple_of(ROW_ALIGNMENT / self.bytes())
    }

    /// Name in safetensors headers.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "F32",
            Self::F16 => "F16",
            Self::I8 => "I8",
        }
    }

    pub(super) fn of(dtype: Dtype) -> Option<Self> {
        match dtype {
            Dtype::F32 => Some(Self::F32),
            Dtype::F16 => Some(Self::F16),
            Dtype::I8 => Some(Self::I8),
            _ => None,
        }
    }
}

/// What the names of a radiance field's layers start with.
pub const RADIANCE_LAYER: &str = "radiance.layer.";

/// Name of the tensor of a radiance field's occupied cells.
pub const OCCUPANCY: &str = "radiance.occupancy";

/// A tensor other than a grid.
pub struct Small {
    pub name: String,
    pub dtype: Dtype,
    pub shape: Vec<usize>,
}

impl Small {
    fn new(name: String, dtype: Dtype, shape: &[usize]) -> Self {
        Self { name, dtype, shape: shape.to_vec() }
    }

    fn f32(name: String, shape: &[usize]) -> Self {
        Self::new(name, Dtype::F32, shape)
    }

    /// Bytes of all its numbers.
    pub fn bytes(&self) -> usize {
        let size = match self.dtype {
            Dtype::I8 | Dtype::U8 => 1,
            Dtype::BF16 => 2,
            _ => 4,
        };
        self.shape.iter().product::<usize>() * size
    }
}

/// Name of grid `n`.
pub fn grid(n: usize) -> String {
    format!("grid.{n}")
}

/// All tensors but the grids, in the order in which the writer puts them.
pub fn small(spec: &Spec, grids: &[GridPrecision]) -> Vec<Small> {
    let mut all = Vec::new();
    for (n, grid) in spec.grids.iter().enumerate() {
        if grids[n] == GridPrecision::I8 {
            all.push(Small::f32(format!("grid.{n}.scale"), &[grid.channels]));
            all.push(Small::f32(format!("grid.{n}.zero"), &[grid.channels]));
        }
    }
    for (n, line) in spec.lines.iter().enumerate() {
        all.push(Small::f32(format!("line.{n}"), &[line.vertices, line.features]));
    }
    if spec.input.bias {
        all.push(Small::f32("input.bias".into(), &[spec.input.width]));
    }
    for (n, layer) in spec.layers.iter().enumerate() {
        push_layer(&mut all, &format!("layer.{n}"), layer);
    }
    let Some(radiance) = &spec.radiance else { return all };
    for (n, layer) in radiance.layers.iter().enumerate() {
        push_layer(&mut all, &format!("{RADIANCE_LAYER}{n}"), layer);
    }
    if let Some(bytes) = radiance.occupancy_bytes() {
        all.push(Small::new(OCCUPANCY.into(), Dtype::U8, &[bytes]));
    }
    all
}

fn push_layer(all: &mut Vec<Small>, name: &str, layer: &Layer) {
    let dtype = match layer.precision {
        LayerPrecision::F32 => Dtype::F32,
        LayerPrecision::Bf16 => Dtype::BF16,
        LayerPrecision::I8 { .. } => Dtype::I8,
    };
    let shape = [layer.outputs, layer.inputs];
    all.push(Small::new(format!("{name}.weight"), dtype, &shape));
    if dtype == Dtype::I8 {
        all.push(Small::f32(format!("{name}.scale"), &[layer.outputs]));
    }
    all.push(Small::f32(format!("{name}.bias"), &[layer.outputs]));
}
