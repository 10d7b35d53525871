//! A model as kernels read it: one block of memory with tables, layers and grids, and the offsets
//! in it. Where the block lies is not known yet.

use super::arguments::{self as raw, BF16, PLAIN, STEPS};
use super::resident::Parts;
use crate::model::spec::{Activation, Layer, LayerPrecision, Spec, Transform};
use crate::model::{GridData, GridValues, LayerTensors, Model};
use crate::{Error, ErrorKind, Result};

/// Grids and tables begin at multiples of it.
const ALIGNMENT: usize = 256;

/// A model laid out for a device.
pub struct Image<'a> {
    /// Without an address yet.
    pub model: raw::Model,
    /// Of a radiance field; else empty.
    pub field: raw::Field,
    /// Bytes of the whole block.
    pub size: usize,
    /// What goes where, in order and without overlaps.
    parts: Vec<(usize, Part<'a>)>,
}

enum Part<'a> {
    Own(Vec<u8>),
    Model(&'a [u8]),
}

impl<'a> Image<'a> {
    /// Lays `model` out. Grids are not copied.
    ///
    /// # Errors
    /// `Unsupported` if an index of it does not fit what kernels count with.
    pub fn new(model: &'a Model, parts: &Parts) -> Result<Self> {
        let spec = model.spec();
        let mut image = Self {
            model: raw::Model::default(),
            field: raw::Field::default(),
            size: 0,
            parts: Vec::new(),
        };
        let (grids, own_count) = image.grids(model)?;
        let lines =
            (0..spec.lines.len()).map(|n| image.line(model, n)).collect::<Result<Vec<_>>>()?;
        let layers = image.layers(&spec.layers, model.layers())?;
        image.field = image.radiance(model, &parts.blocks)?;
        let values: Vec<_> = (spec.values.iter())
            .map(|value| raw::Value {
                range: value.max - value.min,
                min: value.min,
                is_log: (value.transform == Transform::Log).into(),
                unused: 0,
            })
            .collect();
        let zeros = vec![0.0; spec.input.width];
        let input_bias = image.floats(model.input_bias().unwrap_or(&zeros));
        image.model = raw::Model {
            base: 0,
            grids: image.table(&grids),
            lines: image.table(&lines),
            layers: image.table(&layers),
            values: image.table(&values),
            ranges: image.table(&parts.ranges),
            input_bias,
            grid_count: small(grids.len())? - own_count,
            line_count: small(lines.len())?,
            layer_count: small(layers.len())?,
            dims: small(spec.axes.len())?,
            parameters: small(spec.parameters.len())?,
            outputs: small(spec.outputs())?,
            width: small(spec.input.width)?,
            spatial: small(spec.spatial_width())?,
            activation: activation(spec.input.activation),
            widest: small(widest(spec))?,
            own_count,
            grids_change: changing_grids(model).into(),
        };
        Ok(image)
    }

    /// What goes where: offsets and bytes.
    pub fn parts(&self) -> impl Iterator<Item = (usize, &[u8])> {
        self.parts.iter().map(|(offset, part)| match part {
            Part::Own(bytes) => (*offset, bytes.as_slice()),
            Part::Model(bytes) => (*offset, *bytes),
        })
    }

    /// Adds bytes of somebody else's; where they are.
    pub fn add(&mut self, bytes: Vec<u8>) -> u64 {
        self.place(Part::Own(bytes))
    }

    fn place(&mut self, part: Part<'a>) -> u64 {
        let offset = self.size.next_multiple_of(ALIGNMENT);
        let bytes = match &part {
            Part::Own(bytes) => bytes.len(),
            Part::Model(bytes) => bytes.len(),
        };
        self.size = offset + bytes;
        self.parts.push((offset, part));
        offset as u64
    }

    fn floats(&mut self, values: &[f32]) -> u64 {
        self.place(Part::Own(values.iter().flat_map(|value| value.to_ne_bytes()).collect()))
    }

    fn table<T: Raw>(&mut self, rows: &[T]) -> u64 {
        // SAFETY: structs of numbers without padding (`Raw`), read as bytes.
        let bytes =
            unsafe { std::slice::from_raw_parts(rows.as_ptr().cast::<u8>(), size_of_val(rows)) };
        self.place(Part::Own(bytes.to_vec()))
    }

    /// The grids of the model's terms, those of parameters alone behind all others, and how many
    /// those are.
    fn grids(&mut self, model: &'a Model) -> Result<(Vec<raw::Grid>, u32)> {
        let (spatial, own): (Vec<_>, Vec<_>) =
            model.terms().iter().partition(|term| is_spatial(model.spec(), term));
        let mut grids = Vec::new();
        for term in spatial.into_iter().chain(own.iter().copied()) {
            for (place, &n) in term.iter().enumerate() {
                let role = match place {
                    _ if term.len() == 1 => raw::ALONE,
                    0 => raw::FIRST,
                    _ if place + 1 == term.len() => raw::LAST,
                    _ => raw::BETWEEN,
                };
                grids.push(raw::Grid { role, ..self.grid(model, n)? });
            }
        }
        Ok((grids, small(own.into_iter().map(Vec::len).sum())?))
    }

    fn grid(&mut self, model: &'a Model, n: usize) -> Result<raw::Grid> {
        let grid = &model.spec().grids[n];
        let GridData { row, values } = model.grid(n);
        let (scalar, bytes, scaling) = match values {
            GridValues::F32(values) => (raw::F32, bytes_of(values), None),
            GridValues::F16(values) => (raw::F16, bytes_of(values), None),
            GridValues::I8(values, scaling) => (raw::I8, bytes_of(values), Some(scaling)),
        };
        let scaling = scaling.map(|s| [self.floats(&s.scale), self.floats(&s.zero)]);
        let [scale, zero] = scaling.unwrap_or_default();
        let (mut axes, mut sizes) = ([0; 3], [1; 3]);
        for (k, (&axis, &size)) in grid.axes.iter().zip(grid.shape.iter().rev()).enumerate() {
            (axes[k], sizes[k]) = (small(axis)?, small(size)?);
        }
        Ok(raw::Grid {
            data: self.place(Part::Model(bytes)),
            scale,
            zero,
            axes,
            sizes,
            dims: small(grid.axes.len())?,
            channels: small(grid.channels)?,
            row: small(row)?,
            offset: small(grid.offset)?,
            scalar,
            entries: small(grid.entries.unwrap_or(0))?,
            ..Default::default()
        })
    }

    /// As a grid of one axis, which is the parameter.
    fn line(&mut self, model: &Model, n: usize) -> Result<raw::Grid> {
        let line = &model.spec().lines[n];
        Ok(raw::Grid {
            data: self.floats(model.line(n)),
            axes: [small(line.parameter)?, 0, 0],
            sizes: [small(line.vertices)?, 1, 1],
            dims: 1,
            channels: small(line.features)?,
            row: small(line.features)?,
            offset: small(line.offset)?,
            ..Default::default()
        })
    }

    /// What a radiance field has beside its model.
    fn radiance(&mut self, model: &'a Model, blocks: &[u8]) -> Result<raw::Field> {
        let Some(radiance) = &model.spec().radiance else { return Ok(raw::Field::default()) };
        let layers = self.layers(&radiance.layers, model.radiance_layers())?;
        let mut field = raw::Field {
            layers: self.table(&layers),
            layer_count: small(layers.len())?,
            harmonics: small(radiance.harmonic_inputs())?,
            ..Default::default()
        };
        if let (Some([z, y, x]), Some(cells)) = (radiance.occupancy, model.occupancy()) {
            field.shape = [small(x)?, small(y)?, small(z)?];
            field.cells = self.place(Part::Model(cells));
            field.blocks = self.place(Part::Own(blocks.to_vec()));
        }
        Ok(field)
    }

    fn layers(&mut self, layers: &[Layer], tensors: &[LayerTensors]) -> Result<Vec<raw::Layer>> {
        layers.iter().zip(tensors).map(|(layer, tensors)| self.layer(layer, tensors)).collect()
    }

    fn layer(&mut self, layer: &Layer, tensors: &LayerTensors) -> Result<raw::Layer> {
        let weights: Vec<f32> = (0..layer.inputs)
            .flat_map(|input| {
                (0..layer.outputs).map(move |output| tensors.weight[output * layer.inputs + input])
            })
            .collect();
        let (precision, low, step) = match layer.precision {
            LayerPrecision::F32 => (PLAIN, 0.0, 0.0),
            LayerPrecision::Bf16 => (BF16, 0.0, 0.0),
            LayerPrecision::I8 { low, step } => (STEPS, low as f32, step as f32),
        };
        Ok(raw::Layer {
            weights: self.floats(&weights),
            bias: self.floats(&tensors.bias),
            inputs: small(layer.inputs)?,
            outputs: small(layer.outputs)?,
            activation: activation(layer.activation),
            precision,
            low,
            step,
        })
    }
}

/// Structs of numbers without padding.
///
/// # Safety
/// All bytes of a value are initialised.
unsafe trait Raw: Copy {}
// SAFETY: see arguments.rs: what would be padding is a field.
unsafe impl Raw for raw::Grid {}
// SAFETY: as above.
unsafe impl Raw for raw::Layer {}
// SAFETY: as above.
unsafe impl Raw for raw::Value {}
// SAFETY: as above.
unsafe impl Raw for raw::Range {}

fn bytes_of<T>(values: &[T]) -> &[u8] {
    // SAFETY: numbers have no padding, and any bytes are bytes.
    unsafe { std::slice::from_raw_parts(values.as_ptr().cast(), size_of_val(values)) }
}

/// Whether a product of grids differs from point to point.
fn is_spatial(spec: &Spec, term: &[usize]) -> bool {
    term.iter().any(|&n| spec.has_coordinates(&spec.grids[n]))
}

/// Whether what grids add at a point changes with a parameter.
fn changing_grids(model: &Model) -> bool {
    let spec = model.spec();
    let mut spatial = model.terms().iter().filter(|term| is_spatial(spec, term));
    spatial.any(|term| term.iter().any(|&n| spec.has_parameters(&spec.grids[n])))
}

/// Whether what is the same for all points reaches inputs that are not.
pub fn has_input_slopes(spec: &Spec) -> bool {
    let lines = spec.lines.iter().map(|line| line.offset);
    let grids = spec.grids.iter().filter(|grid| !spec.has_coordinates(grid));
    let mut offsets = lines.chain(grids.map(|grid| grid.offset));
    offsets.any(|offset| offset < spec.spatial_width())
}

/// Numbers that a vector of the model's evaluation has at most.
pub fn widest(spec: &Spec) -> usize {
    spec.layers.iter().map(|layer| layer.outputs).fold(spec.input.width, usize::max)
}

/// The same when colours are made too; none of a model without them.
pub fn widest_of_colours(spec: &Spec) -> Option<usize> {
    let layers = spec.radiance.iter().flat_map(|radiance| &radiance.layers);
    let widest = layers.map(|layer| layer.inputs.max(layer.outputs)).max()?;
    Some(widest.max(self::widest(spec)))
}

fn activation(activation: Activation) -> u32 {
    Activation::ALL.iter().position(|&a| a == activation).unwrap_or(0) as u32
}

fn small(n: usize) -> Result<u32> {
    u32::try_from(n).map_err(|_| {
        Error::new(ErrorKind::Unsupported, format!("a size of {n} is more than kernels count to"))
    })
}
