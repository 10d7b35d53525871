//! The NumPy side of a pickle: what its few functions make, and integers out of its arrays.
//!
//! Only what integer and object arrays need; other types parse but give no integers.

use anyhow::{Result, anyhow, bail};

use super::pickle::{Machine, Object, Ref, signed};

/// A function or class that a pickle may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Callable {
    /// `numpy._core.multiarray._reconstruct`: an empty array, filled by its state.
    Reconstruct,
    /// `numpy._core.multiarray.scalar`
    Scalar,
    /// `numpy._core.numeric._frombuffer`: an array at once, protocol 5.
    FromBuffer,
    /// `numpy.ndarray`, only as an argument.
    NdArray,
    /// `numpy.dtype`
    Dtype,
    /// `_codecs.encode`: how protocol 2 writes bytes.
    Encode,
    /// `bytes`, only without arguments: how protocol 2 writes none.
    EmptyBytes,
}

/// The element type of an array.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Dtype {
    /// `i`, `u`, `O`, ...
    kind: char,
    /// Bytes of an element.
    size: usize,
    big_endian: bool,
}

/// A NumPy array; its elements stay where the pickle has them.
#[derive(Debug, Clone)]
pub(super) struct Array {
    shape: Vec<i64>,
    dtype: Option<Dtype>,
    /// Bytes, or a list for an object array.
    data: Option<Ref>,
}

impl Callable {
    pub(super) fn find(module: &str, name: &str) -> Option<Self> {
        // NumPy 2 renamed `core` to `_core`.
        let module = module.replace("numpy._core.", "numpy.core.");
        Some(match (module.as_str(), name) {
            ("numpy.core.multiarray", "_reconstruct") => Self::Reconstruct,
            ("numpy.core.multiarray", "scalar") => Self::Scalar,
            ("numpy.core.numeric", "_frombuffer") => Self::FromBuffer,
            ("numpy", "ndarray") => Self::NdArray,
            ("numpy", "dtype") => Self::Dtype,
            ("_codecs", "encode") => Self::Encode,
            ("__builtin__" | "builtins", "bytes") => Self::EmptyBytes,
            _ => return None,
        })
    }
}

impl Dtype {
    /// Parses `i8`, `<i4`, `O8`, ...
    fn parse(text: &str) -> Option<Self> {
        let big_endian = text.starts_with('>');
        let mut rest = text.trim_start_matches(['<', '>', '|', '=']).chars();
        let kind = rest.next()?;
        let size = match (rest.as_str(), kind) {
            ("", 'O') => 8,
            (digits, _) => digits.parse().ok().filter(|size| (1..=16).contains(size))?,
        };
        Some(Self { kind, size, big_endian })
    }

    /// One element, if it is an integer that `i64` holds.
    fn integer(self, element: &[u8]) -> Option<i64> {
        let mut bytes = element.to_vec();
        if self.big_endian {
            bytes.reverse();
        }
        if self.kind == 'u' {
            bytes.push(0);
            while bytes.len() > 8 && bytes.last() == Some(&0) {
                bytes.pop();
            }
            if bytes.len() == 8 && bytes[7] >= 0x80 {
                return None;
            }
        }
        signed(&bytes)
    }
}

impl Machine<'_> {
    /// What a call of `callable` gives.
    pub(super) fn call(&mut self, callable: Callable, arguments: &[Ref]) -> Result<Object> {
        Ok(match (callable, arguments) {
            (Callable::Reconstruct, [_, _, _]) => {
                Object::Array(Array { shape: Vec::new(), dtype: None, data: None })
            }
            (Callable::FromBuffer, &[data, dtype, shape, _]) => {
                Object::Array(self.array(shape, dtype, data)?)
            }
            (Callable::Dtype, [name, ..]) => {
                let name = self.string(*name)?;
                let dtype = Dtype::parse(name);
                Object::Dtype(dtype.ok_or_else(|| anyhow!("element type {name}"))?)
            }
            (Callable::Scalar, &[dtype, data]) => {
                let (dtype, data) = (self.dtype(dtype)?, self.raw(data)?);
                let number = integers(dtype, data)?.first().copied();
                Object::Int(number.ok_or_else(|| anyhow!("a scalar without a value"))?)
            }
            (Callable::Encode, &[text, encoding]) => self.encode(text, encoding)?,
            (Callable::EmptyBytes, []) => Object::Bytes(Vec::new()),
            _ => bail!("refusing to call {callable:?} with {} arguments", arguments.len()),
        })
    }

    /// `target` after its state has been set.
    pub(super) fn built(&self, target: Ref, state: &[Ref]) -> Result<Object> {
        match (&self.objects[target], state) {
            (Object::Array(_), &[_, shape, dtype, _, data]) => {
                Ok(Object::Array(self.array(shape, dtype, data)?))
            }
            (Object::Dtype(dtype), &[_, order, ..]) => {
                Ok(Object::Dtype(Dtype { big_endian: self.string(order)? == ">", ..*dtype }))
            }
            _ => bail!("refusing to set the state of something that is no NumPy array"),
        }
    }

    fn array(&self, shape: Ref, dtype: Ref, data: Ref) -> Result<Array> {
        // NumPy has no more; and an array may not copy a long tuple again and again.
        const MOST_AXES: usize = 64;
        let shape = self.tuple(shape)?;
        if shape.len() > MOST_AXES {
            bail!("an array of {} dimensions", shape.len());
        }
        Ok(Array {
            shape: shape.iter().map(|&n| self.int(n)).collect::<Result<_>>()?,
            dtype: Some(self.dtype(dtype)?),
            data: Some(data),
        })
    }

    fn encode(&mut self, text: Ref, encoding: Ref) -> Result<Object> {
        if self.string(encoding)? != "latin1" {
            bail!("refusing to encode as anything but latin1");
        }
        let length = self.string(text)?.len();
        self.spend(length)?;
        let bytes: Option<Vec<u8>> =
            self.string(text)?.chars().map(|character| u8::try_from(character).ok()).collect();
        Ok(Object::Bytes(bytes.ok_or_else(|| anyhow!("text that latin1 cannot hold"))?))
    }

    /// The entries of a dict, or of the one dict that an object array holds.
    pub(super) fn dict(&self, root: Ref) -> Result<&[(Ref, Ref)]> {
        let inner = match &self.objects[root] {
            Object::Array(Array { data: Some(data), .. }) => match &self.objects[*data] {
                Object::List(items) if items.len() == 1 => items[0],
                _ => bail!("the array holds more than one object, expected one dict"),
            },
            _ => root,
        };
        match &self.objects[inner] {
            Object::Dict(entries) => Ok(entries),
            _ => bail!("the file holds something else than a dict"),
        }
    }

    /// The value of `key` in a dict; the last one, as in Python.
    pub(super) fn entry(&self, dict: &[(Ref, Ref)], key: &str) -> Result<Ref> {
        const SHOWN: usize = 8;
        let name = |place: Ref| self.string(place).ok();
        if let Some((_, value)) = dict.iter().rev().find(|(k, _)| name(*k) == Some(key)) {
            return Ok(*value);
        }
        let there: Vec<_> = dict.iter().filter_map(|(k, _)| name(*k)).take(SHOWN).collect();
        bail!("no `{key}` in the dict, only: {}", there.join(", "))
    }

    /// The integers of a list or of an array of one dimension.
    pub(super) fn integers(&self, place: Ref) -> Result<Vec<i64>> {
        let array = match &self.objects[place] {
            Object::List(items) | Object::Tuple(items) => {
                return items.iter().map(|&item| self.int(item)).collect();
            }
            Object::Array(array) => array,
            _ => bail!("neither an array nor a list of integers"),
        };
        let (Some(dtype), Some(data)) = (array.dtype, array.data) else {
            bail!("an array without data");
        };
        let numbers = match &self.objects[data] {
            Object::List(items) => items.iter().map(|&item| self.int(item)).collect(),
            _ => integers(dtype, self.raw(data)?),
        }?;
        match array.shape.as_slice() {
            &[length] if usize::try_from(length) == Ok(numbers.len()) => Ok(numbers),
            shape => bail!("an array of shape {shape:?} with {} values", numbers.len()),
        }
    }

    pub(super) fn string(&self, place: Ref) -> Result<&str> {
        match &self.objects[place] {
            Object::Text(text) => Ok(text),
            _ => bail!("something else where text belongs"),
        }
    }

    pub(super) fn tuple(&self, place: Ref) -> Result<&[Ref]> {
        match &self.objects[place] {
            Object::Tuple(items) => Ok(items),
            _ => bail!("something else where a tuple belongs"),
        }
    }

    fn int(&self, place: Ref) -> Result<i64> {
        match &self.objects[place] {
            Object::Int(value) => Ok(*value),
            _ => bail!("something else where an integer belongs"),
        }
    }

    fn dtype(&self, place: Ref) -> Result<Dtype> {
        match &self.objects[place] {
            Object::Dtype(dtype) => Ok(*dtype),
            _ => bail!("something else where an element type belongs"),
        }
    }

    fn raw(&self, place: Ref) -> Result<&[u8]> {
        match &self.objects[place] {
            Object::Bytes(bytes) => Ok(bytes),
            _ => bail!("something else where bytes belong"),
        }
    }
}

fn integers(dtype: Dtype, bytes: &[u8]) -> Result<Vec<i64>> {
    if !matches!(dtype.kind, 'i' | 'u') {
        bail!("elements of type {}{}, expected integers", dtype.kind, dtype.size);
    }
    let elements = bytes.chunks_exact(dtype.size);
    if !elements.remainder().is_empty() {
        bail!("{} bytes for elements of {}", bytes.len(), dtype.size);
    }
    elements
        .map(|element| dtype.integer(element))
        .collect::<Option<_>>()
        .ok_or_else(|| anyhow!("an integer beyond 64 bits"))
}
