//! Dense layers as the kernels want them: weights in panels, inputs as words of one, two or four
//! numbers.

use half::bf16;

use super::lanes::{LANES, Lanes, Words};
use crate::model::LayerTensors;
use crate::model::spec::{Activation, Layer, LayerPrecision};

/// Layers of so few outputs are computed along their inputs, one output at a time: beside each
/// other, they would leave most of a vector empty.
const NARROW: usize = 4;

/// What multiplies: an instruction set's [`Product`](super::lanes::Product).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arithmetic {
    /// 32-bit floating point.
    Single,
    /// Pairs of bfloat16.
    Bf16,
    /// Four unsigned inputs and four signed weights of 8 bits.
    Int8,
}

impl Arithmetic {
    /// Numbers per word.
    pub fn group(self) -> usize {
        match self {
            Self::Single => 1,
            Self::Bf16 => 2,
            Self::Int8 => 4,
        }
    }
}

/// How the numbers that go into a layer are rounded and stored.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Format {
    arithmetic: Arithmetic,
    precision: LayerPrecision,
}

impl Format {
    /// 32-bit numbers as they are.
    pub const PLAIN: Self = Self { arithmetic: Arithmetic::Single, precision: LayerPrecision::F32 };

    /// Words that `vectors` vectors of numbers take.
    #[inline]
    pub fn words(self, vectors: usize) -> usize {
        vectors * LANES / self.arithmetic.group()
    }

    /// Words from one row of `width` numbers to the next: whole vectors.
    #[inline]
    pub fn stride(self, width: usize) -> usize {
        self.words(width.div_ceil(LANES)).next_multiple_of(LANES)
    }

    /// Stores rows of `vectors` vectors of numbers each, but `least` where they are smaller, as
    /// vectors `first` and following of the rows of `words`.
    #[inline(always)]
    pub fn store<'a, L: Lanes>(
        self,
        numbers: &[[f32; LANES]],
        vectors: usize,
        least: L,
        words: impl Iterator<Item = &'a mut [u32]>,
        first: usize,
    ) {
        let rows = numbers.chunks_exact(vectors).zip(words);
        // No closures: they would be compiled without the kernel's instructions.
        macro_rules! each {
            ($width:expr, $x:ident, $to:ident => $store:expr) => {
                for (numbers, words) in rows {
                    let words = words[first * $width..].as_chunks_mut::<{ $width }>().0;
                    for (number, $to) in numbers.iter().zip(words) {
                        let $x = L::load(number).max(least);
                        $store;
                    }
                }
            };
        }
        match (self.precision, self.arithmetic) {
            (LayerPrecision::F32, _) => each!(LANES, x, to => x.store_bits(to)),
            (LayerPrecision::Bf16, Arithmetic::Single) => each!(LANES, x, to => {
                let mut halves = [0; LANES / 2];
                x.store_bf16(&mut halves);
                for (words, pair) in to.as_chunks_mut::<2>().0.iter_mut().zip(halves) {
                    *words = [pair << 16, pair & 0xffff_0000];
                }
            }),
            (LayerPrecision::Bf16, _) => each!(LANES / 2, x, to => x.store_bf16(to)),
            (LayerPrecision::I8 { low, step }, arithmetic) => {
                let (low, step) = (L::splat(low as f32), step as f32);
                let (inverse, step) = (L::splat(1.0 / step), L::splat(step));
                let (bottom, top) = (L::splat(0.0), L::splat(255.0));
                macro_rules! whole {
                    ($x:ident) => {
                        $x.sub(low).mul(inverse).max(bottom).min(top).round()
                    };
                }
                if arithmetic == Arithmetic::Single {
                    each!(LANES, x, to => whole!(x).mul_add(step, low).store_bits(to));
                } else {
                    each!(LANES / 4, x, to => whole!(x).store_u8(to));
                }
            }
        }
    }
}

/// A dense layer ready for a kernel.
pub struct PackedLayer {
    /// How its inputs are stored.
    pub format: Format,
    pub activation: Activation,
    /// Words of a row of inputs that count.
    pub words: usize,
    pub outputs: usize,
    /// `[panel][word][vectors of the panel]`, or `[output][vectors of words]` if narrow.
    pub weights: Vec<Words>,
    /// What the sums are multiplied by, padded to whole vectors.
    pub scale: Vec<[f32; LANES]>,
    /// What is added to them then; without the first layer's own bias, which depends on the
    /// parameters.
    pub bias: Vec<[f32; LANES]>,
}

impl PackedLayer {
    /// Packs the first `used` inputs of a layer (the others are folded into its bias elsewhere) in
    /// panels of `vectors` vectors of outputs. Layers of a shorter precision are multiplied in 32
    /// bits unless `short` says that the kernel has more.
    pub fn new(
        layer: &Layer,
        tensors: &LayerTensors,
        used: usize,
        vectors: usize,
        short: bool,
    ) -> Self {
        let arithmetic = match layer.precision {
            LayerPrecision::Bf16 if short => Arithmetic::Bf16,
            LayerPrecision::I8 { .. } if short => Arithmetic::Int8,
            _ => Arithmetic::Single,
        };
        let (words, outputs) = (used.div_ceil(arithmetic.group()), layer.outputs);
        let source = Source { layer, tensors, used, arithmetic };
        let (scale, offset) = source.scale_and_offset();
        Self {
            format: Format { arithmetic, precision: layer.precision },
            activation: layer.activation,
            words,
            outputs,
            weights: source.pack(words, vectors),
            scale: to_vectors(&scale),
            bias: to_vectors(&offset),
        }
    }

    /// Adds `bias` to what is there already.
    pub fn add_bias(&mut self, bias: &[f32]) {
        for (sum, bias) in self.bias.as_flattened_mut().iter_mut().zip(bias) {
            *sum += bias;
        }
    }

    pub fn arithmetic(&self) -> Arithmetic {
        self.format.arithmetic
    }

    /// Whether its outputs are computed one at a time.
    pub fn is_narrow(&self) -> bool {
        self.outputs <= NARROW
    }

    /// Vectors of outputs.
    pub fn vectors(&self) -> usize {
        self.bias.len()
    }

    pub fn bytes(&self) -> usize {
        size_of_val(&self.weights[..]) + 2 * size_of_val(&self.bias[..])
    }
}

struct Source<'a> {
    layer: &'a Layer,
    tensors: &'a LayerTensors,
    used: usize,
    arithmetic: Arithmetic,
}

impl Source<'_> {
    fn pack(&self, words: usize, vectors: usize) -> Vec<Words> {
        let outputs = self.layer.outputs;
        let mut packed = Vec::new();
        if outputs <= NARROW {
            for output in 0..outputs {
                for start in (0..words).step_by(LANES) {
                    packed.push(Words(std::array::from_fn(|i| self.word(output, start + i))));
                }
            }
            return packed;
        }
        let padded = outputs.next_multiple_of(LANES);
        for panel in (0..padded).step_by(vectors * LANES) {
            for word in 0..words {
                for first in (panel..padded.min(panel + vectors * LANES)).step_by(LANES) {
                    packed.push(Words(std::array::from_fn(|i| self.word(first + i, word))));
                }
            }
        }
        packed
    }

    /// The weights between an output and the inputs of a word; zero where there are none.
    fn word(&self, output: usize, word: usize) -> u32 {
        let group = self.arithmetic.group();
        let at = |k: usize| {
            let input = word * group + k;
            (output < self.layer.outputs && input < self.used)
                .then_some(output * self.layer.inputs + input)
        };
        let weight = |k| at(k).map_or(0.0, |at| self.tensors.weight[at]);
        match (self.arithmetic, &self.tensors.quantized) {
            (Arithmetic::Int8, Some(quantized)) => {
                let byte = |k| at(k).map_or(0, |at| quantized.values[at].cast_unsigned());
                u32::from_le_bytes([0, 1, 2, 3].map(byte))
            }
            (Arithmetic::Bf16, _) => {
                let [low, high] = [0, 1].map(|k| u32::from(bf16::from_f32(weight(k)).to_bits()));
                low | high << 16
            }
            _ => weight(0).to_bits(),
        }
    }

    /// With 8-bit numbers, y = sum of (low + step q) (scale w) = (scale step) (sum of q w) +
    /// scale low (sum of w).
    fn scale_and_offset(&self) -> (Vec<f32>, Vec<f32>) {
        let (LayerPrecision::I8 { low, step }, Arithmetic::Int8, Some(quantized)) =
            (self.layer.precision, self.arithmetic, &self.tensors.quantized)
        else {
            return (vec![1.0; self.layer.outputs], vec![0.0; self.layer.outputs]);
        };
        let rows = quantized.values.chunks_exact(self.layer.inputs).zip(&quantized.scale);
        rows.map(|(row, &scale)| {
            let sum: f64 = row[..self.used].iter().map(|&w| f64::from(w)).sum();
            let scale = f64::from(scale);
            ((scale * step) as f32, (scale * low * sum) as f32)
        })
        .unzip()
    }
}

/// `values`, padded with zeros to whole vectors.
pub fn to_vectors(values: &[f32]) -> Vec<[f32; LANES]> {
    let mut vectors = vec![[0.0; LANES]; values.len().div_ceil(LANES)];
    vectors.as_flattened_mut()[..values.len()].copy_from_slice(values);
    vectors
}
