//! Named tensors of a model under the reference's names: made new, or taken from a checkpoint.
//!
//! A model asks for each of its tensors by name while it is built; what a checkpoint holds beyond
//! that, or lacks, is an error that names it.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Result, bail, ensure};
use tch::{Device, Kind, Tensor};

use super::checkpoint::Checkpoint;

/// How a new trainable tensor starts.
#[derive(Debug, Clone, Copy)]
pub enum Init {
    /// Uniform between two bounds.
    Uniform(f64, f64),
    /// All ones.
    Ones,
    /// Normal around 0, of this standard deviation.
    Normal(f64),
}

/// The tensors of one model.
pub struct Parameters {
    device: Device,
    kind: Kind,
    /// Kind of [`Parameters::trainable_table`]; that of the file if `None`.
    table_kind: Option<Kind>,
    tensors: BTreeMap<String, Entry>,
    checkpoint: Option<Checkpoint>,
}

struct Entry {
    tensor: Tensor,
    trainable: bool,
}

impl Parameters {
    /// New 32-bit tensors, drawn from torch's generator (see `tch::manual_seed`).
    pub fn new(device: Device) -> Self {
        let (kind, table_kind) = (Kind::Float, Some(Kind::Float));
        Self { device, kind, table_kind, tensors: BTreeMap::new(), checkpoint: None }
    }

    /// Tensors from a checkpoint in safetensors form, converted to `kind`.
    ///
    /// # Errors
    /// If the file cannot be read or is none.
    pub fn from_checkpoint(path: &Path, device: Device, kind: Kind) -> Result<Self> {
        let checkpoint = Some(Checkpoint::open(path)?);
        let table_kind = Some(kind);
        Ok(Self { device, kind, table_kind, tensors: BTreeMap::new(), checkpoint })
    }

    /// As [`for_baking`](Self::for_baking), of tensors in memory, which may be shared.
    pub fn of_tensors_for_baking(tensors: impl IntoIterator<Item = (String, Tensor)>) -> Self {
        let (device, kind, checkpoint) = (Device::Cpu, Kind::Double, Checkpoint::of(tensors));
        let checkpoint = Some(checkpoint);
        Self { device, kind, table_kind: None, tensors: BTreeMap::new(), checkpoint }
    }

    /// Tensors from a checkpoint in 64 bits on the CPU, but for tables, which may be large: they
    /// stay as the file has them.
    ///
    /// # Errors
    /// As [`Parameters::from_checkpoint`].
    pub fn for_baking(path: &Path) -> Result<Self> {
        let all = Self::from_checkpoint(path, Device::Cpu, Kind::Double)?;
        Ok(Self { table_kind: None, ..all })
    }

    /// A trainable tensor.
    pub fn trainable(&mut self, name: String, shape: &[i64], init: Init) -> Result<Tensor> {
        self.trainable_of(Some(self.kind), name, shape, init)
    }

    /// A trainable tensor that may be large: see [`Parameters::for_baking`].
    pub fn trainable_table(&mut self, name: String, shape: &[i64], init: Init) -> Result<Tensor> {
        self.trainable_of(self.table_kind, name, shape, init)
    }

    fn trainable_of(
        &mut self,
        kind: Option<Kind>,
        name: String,
        shape: &[i64],
        init: Init,
    ) -> Result<Tensor> {
        let tensor = match self.take(&name, shape)? {
            Some(tensor) => tensor,
            None if self.checkpoint.is_some() => {
                bail!("the checkpoint lacks {name} {shape:?}: was it made with this configuration?")
            }
            None => match init {
                Init::Uniform(low, high) => {
                    Tensor::empty(shape, (Kind::Float, Device::Cpu)).uniform_(low, high)
                }
                Init::Normal(deviation) => {
                    Tensor::empty(shape, (Kind::Float, Device::Cpu)).normal_(0.0, deviation)
                }
                Init::Ones => Tensor::ones(shape, (Kind::Float, Device::Cpu)),
            },
        };
        let tensor = kind.map_or(tensor.shallow_clone(), |kind| tensor.to_kind(kind));
        self.add(name, tensor, true)
    }

    /// A buffer that training leaves alone; `value` where the checkpoint has none.
    pub fn buffer(&mut self, name: String, value: Tensor) -> Result<Tensor> {
        let tensor = self.take(&name, &value.size())?.unwrap_or(value);
        self.add(name, tensor.to_kind(self.kind), false)
    }

    /// A buffer that the reference stores and nothing here reads: kept, so that checkpoints have
    /// the same names.
    pub fn unused_buffer(&mut self, name: String, value: Tensor) -> Result<()> {
        self.buffer(name, value).map(|_| ())
    }

    /// A tensor that the reference stores, if the checkpoint has it, and nothing here reads.
    pub fn unread(&mut self, name: &str) -> Result<()> {
        match &mut self.checkpoint {
            Some(checkpoint) => checkpoint.take(name).map(|_| ()),
            None => Ok(()),
        }
    }

    /// Whether tensors come from a checkpoint that has none whose name begins with `prefix`.
    pub fn lacks(&self, prefix: &str) -> bool {
        let names = self.checkpoint.as_ref().map(|checkpoint| checkpoint.names());
        names.is_some_and(|mut names| !names.any(|name| name.starts_with(prefix)))
    }

    /// Ends building.
    ///
    /// # Errors
    /// If the checkpoint holds tensors that the model does not have.
    pub fn finish(&mut self) -> Result<()> {
        let Some(checkpoint) = self.checkpoint.take() else { return Ok(()) };
        // `torch.save` writes a linear layer of the decoder a second time, as part of a sequence.
        let unknown: Vec<_> = checkpoint.names().filter(|name| !name.contains(".fwd.0.")).collect();
        ensure!(
            unknown.is_empty(),
            "the checkpoint holds tensors that this configuration does not have: {}",
            unknown.join(", ")
        );
        Ok(())
    }

    /// All tensors by name.
    pub fn all(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.tensors.iter().map(|(name, entry)| (name.as_str(), &entry.tensor))
    }

    /// Trainable tensors by name.
    pub fn trainables(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        let trainable = self.tensors.iter().filter(|(_, entry)| entry.trainable);
        trainable.map(|(name, entry)| (name.as_str(), &entry.tensor))
    }

    /// Number of trainable numbers.
    pub fn count(&self) -> usize {
        self.trainables().map(|(_, tensor)| tensor.numel()).sum()
    }

    /// Kind of the tensors.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    fn take(&mut self, name: &str, shape: &[i64]) -> Result<Option<Tensor>> {
        let found = match &mut self.checkpoint {
            Some(checkpoint) => checkpoint.take(name)?,
            None => None,
        };
        if let Some(tensor) = &found {
            ensure!(
                tensor.size() == shape,
                "the checkpoint's {name} has shape {:?}, the configuration asks for {shape:?}",
                tensor.size()
            );
        }
        Ok(found)
    }

    fn add(&mut self, name: String, tensor: Tensor, trainable: bool) -> Result<Tensor> {
        let tensor = tensor.to_device(self.device).set_requires_grad(trainable);
        let entry = Entry { tensor: tensor.shallow_clone(), trainable };
        ensure!(self.tensors.insert(name.clone(), entry).is_none(), "{name} was asked for twice");
        Ok(tensor)
    }
}
