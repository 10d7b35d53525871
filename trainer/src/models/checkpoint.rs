//! A safetensors file of weights, read tensor by tensor, so that memory holds each once.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use memmap2::Mmap;
use safetensors::tensor::TensorInfo;
use safetensors::{Dtype, SafeTensors};
use serde_json::{Value, json};
use tch::{Device, Kind, Tensor};

use crate::files::atomically;

/// Bytes read at once.
const PIECE: usize = 1 << 22;

/// A checkpoint and the tensors that were not taken from it yet.
pub struct Checkpoint {
    left: BTreeMap<String, Stored>,
    /// Where files have their tensors.
    data: Option<(File, u64)>,
}

/// A tensor of a checkpoint.
enum Stored {
    InFile(TensorInfo),
    InMemory(Tensor),
}

impl Checkpoint {
    /// # Errors
    /// If the file cannot be read or is not a complete safetensors file.
    pub fn open(path: &Path) -> Result<Self> {
        let open = || -> Result<Self> {
            let file = File::open(path)?;
            // SAFETY: the map is read-only and only its header is looked at, here; a checkpoint
            // that is truncated meanwhile would end the program, not corrupt it.
            let map = unsafe { Mmap::map(&file) }?;
            let (header, metadata) = SafeTensors::read_metadata(&map)
                .map_err(|error| anyhow!("not a complete safetensors file: {error}"))?;
            let tensors = metadata.tensors();
            let stored = |info: &TensorInfo| Stored::InFile(info.clone());
            let left = tensors.into_iter().map(|(name, info)| (name, stored(info))).collect();
            drop(map);
            Ok(Self { left, data: Some((file, header as u64 + 8)) })
        };
        open().with_context(|| format!("cannot read {}", path.display()))
    }

    /// Of tensors in memory.
    pub fn of(tensors: impl IntoIterator<Item = (String, Tensor)>) -> Self {
        let stored = |(name, tensor)| (name, Stored::InMemory(tensor));
        Self { left: tensors.into_iter().map(stored).collect(), data: None }
    }

    /// Names of the tensors that are left.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.left.keys().map(String::as_str)
    }

    /// Reads a tensor, on the CPU, in the type that the file has.
    ///
    /// # Errors
    /// If it cannot be read or has a type other than 16-, 32- and 64-bit floating point, 64-bit
    /// integer or boolean.
    pub fn take(&mut self, name: &str) -> Result<Option<Tensor>> {
        let (info, file, data_start) = match (self.left.remove(name), &self.data) {
            (Some(Stored::InFile(info)), Some((file, start))) => (info, file, start),
            (Some(Stored::InMemory(tensor)), _) => return Ok(Some(tensor)),
            _ => return Ok(None),
        };
        let kind = match info.dtype {
            Dtype::F16 => Kind::Half,
            Dtype::BF16 => Kind::BFloat16,
            Dtype::F32 => Kind::Float,
            Dtype::F64 => Kind::Double,
            Dtype::I64 => Kind::Int64,
            Dtype::BOOL => Kind::Bool,
            other => bail!("tensors of type {other:?} ({name}) are not supported"),
        };
        let shape: Vec<i64> = info.shape.iter().map(|&n| n as i64).collect();
        let tensor = Tensor::f_empty(&shape, (kind, Device::Cpu))?;
        let flat = tensor.view(-1);
        let (start, end) = info.data_offsets;
        let size = kind.elt_size_in_bytes();
        let mut piece = vec![0; PIECE.min(end - start)];
        for from in (start..end).step_by(PIECE) {
            let bytes = &mut piece[..PIECE.min(end - from)];
            file.read_exact_at(bytes, data_start + from as u64)?;
            let count = (bytes.len() / size) as i64;
            let numbers = Tensor::f_from_data_size(bytes, &[count], kind)?;
            flat.narrow(0, ((from - start) / size) as i64, count).f_copy_(&numbers)?;
        }
        Ok(Some(tensor))
    }
}

/// Reads all tensors of a safetensors file.
///
/// # Errors
/// As [`Checkpoint::open`] and [`Checkpoint::take`].
pub fn read_safetensors(path: &Path) -> Result<BTreeMap<String, Tensor>> {
    let mut checkpoint = Checkpoint::open(path)?;
    let names: Vec<String> = checkpoint.names().map(str::to_owned).collect();
    let mut read = |name: String| Ok(checkpoint.take(&name)?.map(|tensor| (name, tensor)));
    let tensors = names.into_iter().map(&mut read).collect::<Result<Vec<_>>>();
    let tensors = tensors.with_context(|| format!("cannot read {}", path.display()))?;
    Ok(tensors.into_iter().flatten().collect())
}

/// A tensor that is stored: here, or made when it is written.
pub enum Lazy<'a> {
    /// One that is here.
    Here(Tensor),
    /// One of this shape that is made of what several processes have.
    Made(Vec<i64>, Box<dyn Fn() -> Tensor + 'a>),
}

/// Tensors that are here, by name.
pub fn here<'t>(
    tensors: impl IntoIterator<Item = (&'t str, &'t Tensor)>,
) -> Vec<(String, Lazy<'static>)> {
    let here =
        |(name, tensor): (&str, &Tensor)| (name.to_owned(), Lazy::Here(tensor.shallow_clone()));
    tensors.into_iter().map(here).collect()
}

impl Lazy<'_> {
    /// The tensor.
    pub fn get(&self) -> Tensor {
        match self {
            Self::Here(tensor) => tensor.shallow_clone(),
            Self::Made(_, make) => make(),
        }
    }

    fn size(&self) -> Vec<i64> {
        match self {
            Self::Here(tensor) => tensor.size(),
            Self::Made(shape, _) => shape.clone(),
        }
    }
}

/// Writes tensors under their names as a safetensors file of 32-bit numbers, atomically, one after the
/// other: none but the one that is being written is in memory twice.
///
/// # Errors
/// As [`atomically`].
pub fn write_safetensors(path: &Path, tensors: &[(String, Lazy<'_>)]) -> Result<()> {
    let mut ordered: Vec<_> = tensors.iter().collect();
    ordered.sort_by_key(|(name, _)| name);
    let header = header(&ordered);
    atomically(path, |file| {
        let mut write = |bytes: &[u8]| {
            file.write_all(bytes).with_context(|| format!("cannot write {}", path.display()))
        };
        write(&(header.len() as u64).to_le_bytes())?;
        write(header.as_bytes())?;
        for (_, tensor) in ordered {
            let tensor = tensor.get().detach().to_device(Device::Cpu);
            let flat = tensor.to_kind(Kind::Float).contiguous();
            let mut numbers = vec![0f32; flat.numel()];
            flat.copy_data(&mut numbers, flat.numel());
            for piece in numbers.chunks(PIECE) {
                write(&piece.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>())?;
            }
        }
        Ok(())
    })
}

/// What a safetensors file begins with, behind its length.
fn header(tensors: &[&(String, Lazy<'_>)]) -> String {
    let mut entries = serde_json::Map::new();
    entries.insert("__metadata__".to_owned(), json!({"format": "pt"}));
    let mut end = 0;
    for (name, tensor) in tensors {
        let (shape, begin) = (tensor.size(), end);
        end += shape.iter().product::<i64>() * size_of::<f32>() as i64;
        let entry = json!({"dtype": "F32", "shape": shape, "data_offsets": [begin, end]});
        entries.insert(name.clone(), entry);
    }
    let mut header = Value::Object(entries).to_string();
    // Numbers are aligned.
    while !header.len().is_multiple_of(8) {
        header.push(' ');
    }
    header
}
