//! Memory of exactly the size that a call may touch, so that the sanitizer sees every byte beyond,
//! filled with a pattern that shows what was written.

use half::f16;

/// What memory holds before a call.
const UNTOUCHED: u8 = 0xa5;

/// Bytes that end where the caller's do.
pub struct Block {
    bytes: Box<[u8]>,
    shift: usize,
}

impl Block {
    /// `length` bytes, `shift` after an aligned address.
    pub fn new(length: usize, shift: usize) -> Self {
        Self { bytes: vec![UNTOUCHED; shift + length].into_boxed_slice(), shift }
    }

    /// An address in it, or right behind it.
    pub fn at(&mut self, offset: usize) -> *mut u8 {
        self.bytes.as_mut_ptr().wrapping_add(self.shift + offset)
    }

    /// Sets some bytes.
    pub fn put(&mut self, offset: usize, bytes: &[u8]) {
        let start = self.shift + offset;
        self.bytes[start..start + bytes.len()].copy_from_slice(bytes);
    }

    /// Takes out a number of the type, so that the bytes count as untouched again.
    pub fn take(&mut self, offset: usize, scalar: Scalar) -> Vec<u8> {
        let start = self.shift + offset;
        let number = &mut self.bytes[start..start + scalar.bytes()];
        let taken = number.to_vec();
        number.fill(UNTOUCHED);
        taken
    }

    /// Whether nothing else was written.
    pub fn is_untouched(&self) -> bool {
        self.bytes.iter().all(|&byte| byte == UNTOUCHED)
    }
}

/// A struct as callers of this or a newer library hand it over.
#[derive(Debug, Clone, Copy)]
pub enum Size {
    /// As long as the library's, and so many bytes more, which are zero.
    Longer(u8),
    /// Longer, with the last byte set.
    Unknown,
    /// Says that it is so long.
    Wrong(u32),
}

/// A copy of `value` in memory that ends where it says; `value` starts with its size.
pub fn given<T: Copy>(value: &T, size: Size) -> Block {
    let ours = size_of::<T>();
    let (length, said) = match size {
        Size::Longer(more) => (ours + usize::from(more), ours as u32 + u32::from(more)),
        Size::Unknown => (ours + 8, ours as u32 + 8),
        // No more than the size itself may be read.
        Size::Wrong(size) => (4, size),
    };
    let mut block = Block::new(length, 0);
    block.put(0, &vec![0; length]);
    // SAFETY: a plain struct without padding that matters, read as bytes.
    let bytes = unsafe { std::slice::from_raw_parts((&raw const *value).cast::<u8>(), ours) };
    block.put(0, &bytes[..ours.min(length)]);
    if let Size::Unknown = size {
        block.put(length - 1, &[1]);
    }
    block.put(0, &said.to_ne_bytes());
    block
}

/// Type of numbers, as C numbers them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scalar {
    F32 = 0,
    F64 = 1,
    F16 = 2,
}

impl Scalar {
    /// Bytes of a number.
    pub fn bytes(self) -> usize {
        [4, 8, 2][self as usize]
    }

    /// The nearest number of this type.
    pub fn encode(self, x: f64) -> Vec<u8> {
        match self {
            Self::F32 => (x as f32).to_ne_bytes().to_vec(),
            Self::F64 => x.to_ne_bytes().to_vec(),
            Self::F16 => nearest_f16(x).to_bits().to_ne_bytes().to_vec(),
        }
    }

    /// Whether bytes are the nearest number; any NaN is NaN.
    pub fn holds(self, bytes: &[u8], x: f64) -> bool {
        if !x.is_nan() {
            return bytes == self.encode(x);
        }
        match self {
            Self::F32 => f32::from_ne_bytes(bytes.try_into().expect("4 bytes")).is_nan(),
            Self::F64 => f64::from_ne_bytes(bytes.try_into().expect("8 bytes")).is_nan(),
            Self::F16 => f16::from_ne_bytes(bytes.try_into().expect("2 bytes")).is_nan(),
        }
    }
}

/// Rounded once, ties to even, by looking at the neighbours.
fn nearest_f16(x: f64) -> f16 {
    let magnitude = x.abs();
    let near = f16::from_f64(magnitude).to_bits();
    let candidates = near.saturating_sub(1)..=(near + 1).min(f16::MAX.to_bits());
    let distance = |bits: u16| (f16::from_bits(bits).to_f64() - magnitude).abs();
    let nearest =
        candidates.min_by(|&a, &b| distance(a).total_cmp(&distance(b)).then((a % 2).cmp(&(b % 2))));
    let bits = match nearest {
        Some(bits) if magnitude < 65520.0 => bits,
        _ => f16::INFINITY.to_bits(),
    };
    f16::from_bits(bits | if x.is_sign_negative() { 0x8000 } else { 0 })
}
