//! A model as it is going to be written: its description, its small tensors in 64 bits, and what
//! is done to the features of each vertex on the way. Knows nothing of files.

use anyhow::Result;
use drr::model::SmallTensors;
use drr::model::spec::{Activation, Layer, LayerPrecision, Spec};
use tch::{Kind, Tensor};

use super::radiance::Head;
use crate::models::layers::activate;

/// A model in 64 bits; the features of its vertices come from a [`Source`](super::source::Source).
pub struct Form {
    /// The description.
    pub spec: Spec,
    /// Per grid, what makes a stored vertex of one of the source; `None`: nothing.
    pub maps: Vec<Option<Affine>>,
    /// `[vertices, features]` each.
    pub lines: Vec<Tensor>,
    /// `[input.width]`, there if the description says so.
    pub input_bias: Option<Tensor>,
    /// The dense layers; their activations and precisions are in the description.
    pub layers: Vec<Dense>,
    /// Of a radiance field.
    pub head: Option<Head>,
}

/// `weight x + bias`.
pub struct Affine {
    /// `[channels, features of the source]`
    pub weight: Tensor,
    /// `[channels]`
    pub bias: Tensor,
}

/// A dense layer's numbers.
pub struct Dense {
    /// `[outputs, inputs]`
    pub weight: Tensor,
    /// `[outputs]`
    pub bias: Tensor,
}

impl Clone for Form {
    fn clone(&self) -> Self {
        Self {
            spec: self.spec.clone(),
            maps: self.maps.iter().map(|map| map.as_ref().map(Affine::shallow_clone)).collect(),
            lines: self.lines.iter().map(Tensor::shallow_clone).collect(),
            input_bias: self.input_bias.as_ref().map(Tensor::shallow_clone),
            layers: self.layers.iter().map(Dense::shallow_clone).collect(),
            head: self.head.as_ref().map(Head::shallow_clone),
        }
    }
}

impl Form {
    /// Features as they are stored in grid `n`, `[vertices, channels]`, from those of the source.
    pub fn stored(&self, n: usize, features: Tensor) -> Tensor {
        match &self.maps[n] {
            Some(map) => map.apply(&features),
            None => features,
        }
    }

    /// The small tensors in the 32 bits that a file holds.
    pub fn small_tensors(&self) -> Result<SmallTensors> {
        let layer = |layer: &Dense| Ok((numbers(&layer.weight)?, numbers(&layer.bias)?));
        Ok(SmallTensors {
            input_bias: self.input_bias.as_ref().map(numbers).transpose()?,
            lines: self.lines.iter().map(numbers).collect::<Result<_>>()?,
            layers: self.layers.iter().map(layer).collect::<Result<_>>()?,
            radiance: self.head.as_ref().map(Head::small_tensors).transpose()?,
        })
    }

    /// Adds bias and lines at `parameters` (in [0, 1]) to the input vectors of some points,
    /// `[points, width]`.
    pub fn add_conditional(&self, inputs: &mut Tensor, parameters: &[f64]) {
        if let Some(bias) = &self.input_bias {
            *inputs += bias;
        }
        for (line, features) in self.spec.lines.iter().zip(&self.lines) {
            let s = parameters[line.parameter].clamp(0.0, 1.0) * (line.vertices - 1) as f64;
            let lower = s as i64;
            let upper = (lower + 1).min(line.vertices as i64 - 1);
            let (a, b) = (features.get(lower), features.get(upper));
            let value = &a + (b - &a) * (s - lower as f64);
            let mut span = inputs.narrow(1, line.offset as i64, line.features as i64);
            span += value;
        }
    }

    /// What layer `n` gives for `x`, `[points, inputs]`, before its activation and with everything
    /// rounded as its precision asks. Elements of the first layer's inputs that no grid reaches
    /// are not rounded.
    pub fn product(&self, n: usize, x: &Tensor) -> Tensor {
        let Dense { weight, bias } = &self.layers[n];
        let precision = self.spec.layers[n].precision;
        let inputs = x.size()[1];
        let rounded = if n == 0 { self.spec.spatial_width() as i64 } else { inputs };
        let parts = [
            round_inputs(precision, &x.narrow(1, 0, rounded)),
            x.narrow(1, rounded, inputs - rounded),
        ];
        Tensor::cat(&parts, 1).linear(&round_weight(precision, weight), Some(bias))
    }

    /// The activation that follows layer `n`.
    pub fn activation(&self, n: usize) -> Activation {
        self.spec.layers[n].activation
    }

    /// The result, `[points, outputs]`, of layers `first` and later for what goes into them.
    pub fn decode(&self, first: usize, x: &Tensor) -> Tensor {
        let mut x = x.shallow_clone();
        for n in first..self.layers.len() {
            x = activate(self.activation(n), &self.product(n, &x));
        }
        x
    }
}

impl Affine {
    /// `[rows, features]` to `[rows, channels]`.
    pub fn apply(&self, features: &Tensor) -> Tensor {
        features.linear(&self.weight, Some(&self.bias))
    }

    fn shallow_clone(&self) -> Self {
        Self { weight: self.weight.shallow_clone(), bias: self.bias.shallow_clone() }
    }
}

impl Dense {
    /// What a description says of it, in 32 bits.
    pub fn describe(&self, activation: Activation) -> Layer {
        let size = self.weight.size();
        let (inputs, outputs) = (size[1] as usize, size[0] as usize);
        Layer { inputs, outputs, activation, precision: LayerPrecision::F32 }
    }

    /// A copy of the same tensors.
    pub fn shallow_clone(&self) -> Self {
        Self { weight: self.weight.shallow_clone(), bias: self.bias.shallow_clone() }
    }
}

/// What a layer of this precision takes its inputs for.
fn round_inputs(precision: LayerPrecision, x: &Tensor) -> Tensor {
    match precision {
        LayerPrecision::F32 => x.shallow_clone(),
        LayerPrecision::Bf16 => x.to_kind(Kind::BFloat16).to_kind(Kind::Double),
        LayerPrecision::I8 { low, step } => {
            ((x - low) / step).round().clamp(0.0, 255.0) * step + low
        }
    }
}

/// The weights that a file of this precision holds.
fn round_weight(precision: LayerPrecision, weight: &Tensor) -> Tensor {
    match precision {
        LayerPrecision::F32 => weight.shallow_clone(),
        LayerPrecision::Bf16 => weight.to_kind(Kind::BFloat16).to_kind(Kind::Double),
        LayerPrecision::I8 { .. } => {
            let scale = weight.abs().amax([1i64], true) / 127.0;
            // A row of zeros has no scale.
            let safe = scale.where_self(&scale.gt(0.0), &scale.ones_like());
            (weight / &safe).round() * safe
        }
    }
}

/// A tensor's numbers in 32 bits, row-major.
pub fn numbers(tensor: &Tensor) -> Result<Vec<f32>> {
    let flat = tensor.to_kind(Kind::Float).contiguous().view(-1);
    Ok(Vec::<f32>::try_from(&flat)?)
}

/// A tensor of 64-bit numbers, row-major.
pub fn tensor(numbers: &[f32], shape: &[usize]) -> Tensor {
    let shape: Vec<i64> = shape.iter().map(|&n| n as i64).collect();
    Tensor::from_slice(numbers).to_kind(Kind::Double).view(&shape[..])
}
