//! Values and their derivatives with respect to positions and parameters.
//!
//! Reverse mode: a forward pass that remembers, then for each output one pass backwards, which
//! gives the derivatives with respect to all coordinates and parameters together. Both know only
//! normalised units, like all of [`cpu`](crate::cpu). docs/derivatives.md says which side is taken
//! where a derivative has two.

mod activation;
mod cells;
mod parameters;
mod products;
mod reference;
pub mod tile;

#[cfg(target_arch = "aarch64")]
use super::neon;
use super::packed::{Format, PackedLayer};
use super::product::Rows;
use super::products::Products;
use super::{Binding, Engine, Kernel, LANES, Padding, Portable, Positions, Scratch, TILE};
#[cfg(target_arch = "x86_64")]
use super::{avx2, avx512};
use crate::model::spec::{Activation, Layer, LayerPrecision};
use crate::model::{LayerTensors, Model};
use crate::{Error, ErrorKind, Result};
use cells::Cells;
use parameters::Direction;
pub use parameters::ParameterSlopes;
use products::Others;

/// What a forward pass remembers of a tile; one per thread.
pub struct Tape {
    /// Number of points.
    len: usize,
    /// Of the input vector and of each layer.
    levels: Vec<Level>,
    /// Per grid.
    cells: Vec<Cells>,
    /// Of grids that are multiplied.
    others: Others,
    /// Room for two of the widest rows.
    numbers: Vec<[f32; LANES]>,
    /// What the reference kernel remembers instead.
    reference: Vec<reference::Point>,
}

/// How each result of an activation changes with what went in, `[points, stride]`.
struct Level {
    width: usize,
    /// Words from one point to the next: whole vectors.
    stride: usize,
    words: Vec<u32>,
}

impl Level {
    fn new(width: usize) -> Result<Self> {
        let stride = Format::PLAIN.stride(width);
        let mut words = Vec::new();
        room(&mut words, TILE * stride, 0, "numbers")?;
        Ok(Self { width, stride, words })
    }

    fn rows(&mut self, len: usize) -> Rows<'_> {
        let words = &mut self.words[..len * self.stride];
        Rows { words, stride: self.stride, format: Format::PLAIN }
    }
}

/// Makes `list` as long.
///
/// # Errors
/// `OutOfMemory`
fn room<T: Clone>(list: &mut Vec<T>, len: usize, value: T, what: &str) -> Result<()> {
    list.try_reserve_exact(len).map_err(|error| {
        let message = format!("derivatives of {} {what}: {error}", len / TILE);
        Error::new(ErrorKind::OutOfMemory, message)
    })?;
    list.resize(len, value);
    Ok(())
}

/// Where the derivatives of one output at the points of a tile are written.
pub struct Derivatives<'a> {
    /// With respect to normalised coordinates, `[points, axes]`, unless not wanted.
    pub position: Option<&'a mut [f64]>,
    /// With respect to normalised parameters, `[points, parameters]`, unless not wanted.
    pub parameters: Option<&'a mut [f64]>,
}

/// One of the two passes, for [`tile::run`].
pub enum Pass<'a, 'b> {
    /// From positions to values.
    Forward(Forward<'a>),
    /// From an output to positions and parameters.
    Backward(Backward<'a, 'b>),
}

/// What [`Engine::evaluate_for_derivatives`] hands to a kernel.
pub struct Forward<'a> {
    model: &'a Model,
    layers: &'a [PackedLayer],
    products: Option<&'a Products>,
    binding: &'a Binding,
    positions: &'a Positions,
    padding: Padding,
    scratch: &'a mut Scratch,
    tape: &'a mut Tape,
    values: &'a mut [f64],
}

/// What [`Engine::differentiate`] hands to a kernel.
pub struct Backward<'a, 'b> {
    model: &'a Model,
    transposed: &'a [PackedLayer],
    products: Option<&'a Products>,
    parameters: &'a ParameterSlopes,
    output: usize,
    scratch: &'a mut Scratch,
    tape: &'a mut Tape,
    derivatives: &'a mut Derivatives<'b>,
}

impl Engine {
    /// Working memory for [`Engine::evaluate_for_derivatives`].
    ///
    /// # Errors
    /// `OutOfMemory`: it takes a few bytes for every number between the layers of a tile.
    pub fn tape(&self, model: &Model) -> Result<Tape> {
        let spec = model.spec();
        let widths = spec.layers.iter().map(|layer| layer.outputs);
        let widths: Vec<usize> = [spec.spatial_width()].into_iter().chain(widths).collect();
        let widest = widths.iter().copied().max().unwrap_or_default();
        let is_reference = self.kernel == Kernel::Reference;
        let levels = if is_reference { &[] } else { &widths[..] };
        let grids = if is_reference { &[] } else { &spec.grids[..] };
        Ok(Tape {
            len: 0,
            levels: levels.iter().map(|&width| Level::new(width)).collect::<Result<_>>()?,
            cells: grids.iter().map(|_| Cells::new()).collect(),
            others: self
                .products
                .as_ref()
                .map_or(Ok(Others::default()), |products| Others::new(model, products))?,
            numbers: vec![[0.0; LANES]; 2 * widest.div_ceil(LANES)],
            reference: Vec::new(),
        })
    }

    /// As [`Engine::evaluate`], with the same values bit by bit, but remembers on `tape` what
    /// [`Engine::differentiate`] needs. `positions` are those that were staged, or nearby ones
    /// where slopes are to be taken instead.
    pub fn evaluate_for_derivatives(
        &self,
        (model, binding): (&Model, &Binding),
        (positions, padding): (&Positions, Padding),
        scratch: &mut Scratch,
        tape: &mut Tape,
        values: &mut [f64],
    ) {
        self.run(Pass::Forward(Forward {
            model,
            layers: &self.layers,
            products: self.products.as_ref(),
            binding,
            positions,
            padding,
            scratch,
            tape,
            values,
        }));
        scratch.finish();
    }

    /// Derivatives of number `output` of the values that [`Engine::evaluate_for_derivatives`]
    /// computed last, before de-normalisation.
    pub fn differentiate(
        &self,
        (model, parameters): (&Model, &ParameterSlopes),
        output: usize,
        scratch: &mut Scratch,
        tape: &mut Tape,
        derivatives: &mut Derivatives<'_>,
    ) {
        let wanted = [&mut derivatives.position, &mut derivatives.parameters];
        wanted.into_iter().flatten().for_each(|sums| sums.fill(0.0));
        let transposed = self.transposed.get_or_init(|| self.transpose(model));
        self.run(Pass::Backward(Backward {
            model,
            transposed,
            products: self.products.as_ref(),
            parameters,
            output,
            scratch,
            tape,
            derivatives,
        }));
    }

    fn run(&self, pass: Pass<'_, '_>) {
        match self.kernel {
            Kernel::Reference => reference::run(pass),
            Kernel::Scalar => tile::run::<Portable>(pass),
            #[cfg(target_arch = "aarch64")]
            Kernel::Neon => neon::derive(pass),
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx2 => avx2::derive(pass),
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx512 => avx512::derive(pass),
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx512Bf16 => avx512::derive_short(pass),
            kernel => unreachable!("{kernel:?} is not supported here, so never chosen"),
        }
    }

    /// The layers backwards: from how an output changes with a layer's sums to how it changes with
    /// the layer's inputs. In 32 bits, whatever the layer's precision.
    fn transpose(&self, model: &Model) -> Vec<PackedLayer> {
        if self.kernel == Kernel::Reference {
            return Vec::new();
        }
        let spec = model.spec();
        let layers = spec.layers.iter().zip(model.layers()).enumerate();
        layers
            .map(|(n, (layer, tensors))| {
                let used = if n == 0 { spec.spatial_width() } else { layer.inputs };
                let column = |input: usize| tensors.weight[input..].iter().step_by(layer.inputs);
                let weight = (0..used).flat_map(column).copied().collect();
                let tensors = LayerTensors { weight, bias: vec![0.0; used], quantized: None };
                let layer = Layer {
                    inputs: layer.outputs,
                    outputs: used,
                    activation: Activation::Identity,
                    precision: LayerPrecision::F32,
                };
                PackedLayer::new(&layer, &tensors, layer.inputs, self.kernel.vectors(), false)
            })
            .collect()
    }
}
