//! Rounds the decoder to bfloat16 or 8 bits, fitted to what its layers see at a sample of points.

use drr::model::spec::LayerPrecision;
use tch::{Kind, Tensor};

use super::form::Form;
use super::sample::Observed;
use crate::config::Activation;
use crate::models::layers::activate;

/// Precision of the decoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decoder {
    /// 32-bit floating point.
    F32,
    /// bfloat16.
    Bf16,
    /// 8-bit integers.
    I8,
}

impl Decoder {
    /// All of them, the exact one first.
    pub const ALL: [Self; 3] = [Self::F32, Self::Bf16, Self::I8];

    /// Name in tables and options.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::I8 => "i8",
        }
    }
}

/// A last layer of fewer outputs than this stays bfloat16 in an 8-bit decoder: its errors go into
/// the result as they are, and it costs little.
const FEW_OUTPUTS: usize = 16;

/// Rounds the layers of `form`, a form of the observed model.
///
/// The range of a layer's 8-bit inputs is that of the inputs that the layers before it, rounded
/// themselves, give at the sample: narrower ranges have a smaller mean error, but what they clamp
/// shows in the result. Rounding shifts the mean of a layer's sums; the biases take that back.
pub fn round_decoder(form: &mut Form, decoder: Decoder, observed: &Observed) {
    if decoder == Decoder::F32 || form.layers.is_empty() {
        return;
    }
    let exact = form.clone();
    let start = activate(form.spec.input.activation, &observed.inputs(form));
    let (mut x, mut exact_x) = (start.shallow_clone(), start);
    for n in 0..form.layers.len() {
        form.spec.layers[n].precision = precision(form, n, decoder, &x);
        let sums = form.product(n, &x);
        let exact_sums = exact.product(n, &exact_x);
        let shift = (&exact_sums - &sums).mean_dim(0i64, false, Kind::Double);
        form.layers[n].bias = &form.layers[n].bias + &shift;
        x = activate(form.activation(n), &(sums + shift));
        exact_x = activate(form.activation(n), &exact_sums);
    }
}

fn precision(form: &Form, n: usize, decoder: Decoder, inputs: &Tensor) -> LayerPrecision {
    match decoder {
        Decoder::F32 => LayerPrecision::F32,
        Decoder::Bf16 => LayerPrecision::Bf16,
        Decoder::I8 if stays_bf16(form, n) => LayerPrecision::Bf16,
        Decoder::I8 => {
            let width = if n == 0 { form.spec.spatial_width() as i64 } else { inputs.size()[1] };
            range(&inputs.narrow(1, 0, width))
        }
    }
}

/// Whether a layer of an 8-bit decoder is better rounded to bfloat16: a last layer of few outputs,
/// and a first layer that sees features as they were learned, whose ranges differ while 8 bits have
/// one step for all.
fn stays_bf16(form: &Form, n: usize) -> bool {
    let is_last = n + 1 == form.layers.len();
    let learned =
        form.maps.iter().all(Option::is_none) && form.spec.input.activation == Activation::Identity;
    (is_last && form.spec.layers[n].outputs < FEW_OUTPUTS) || (n == 0 && learned)
}

/// 8 bits from the smallest to the largest input.
fn range(inputs: &Tensor) -> LayerPrecision {
    let (low, high) = (inputs.min().double_value(&[]), inputs.max().double_value(&[]));
    // Both as a file holds them; inputs that are all the same need some step.
    let low = f64::from(low as f32);
    let step = f64::from(((high - low) / 255.0) as f32);
    let step = if step >= f64::from(f32::MIN_POSITIVE) { step } else { 1.0 };
    LayerPrecision::I8 { low, step }
}
