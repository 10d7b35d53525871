//! Named tensors of a model under the reference's names: made new, or taken from a checkpoint.
//!
//! A model asks for each of its tensors by name while it is built; what a checkpoint holds beyond
//! that, or lacks, is an error that names it.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Result, bail, ensure};
use tch::{Device, Kind, Tensor};

use super::checkpoint::Checkpoint;
use super::window::{Held, Window};

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
    /// The block of the domain for which tensors are wanted; of grids, what lies around it is held.
    bounds: Option<Vec<(f64, f64)>>,
}

struct Entry {
    tensor: Tensor,
    trainable: bool,
    /// What it is of a tensor that several processes have cut up.
    window: Option<Window>,
}

impl Parameters {
    /// New 32-bit tensors, drawn from torch's generator (see `tch::manual_seed`).
    pub fn new(device: Device) -> Self {
        let (kind, table_kind) = (Kind::Float, Some(Kind::Float));
        let (tensors, checkpoint, bounds) = (BTreeMap::new(), None, None);
        Self { device, kind, table_kind, tensors, checkpoint, bounds }
    }

    /// Tensors from a checkpoint in safetensors form, converted to `kind`.
    ///
    /// # Errors
    /// If the file cannot be read or is none.
    pub fn from_checkpoint(path: &Path, device: Device, kind: Kind) -> Result<Self> {
        let checkpoint = Some(Checkpoint::open(path)?);
        let table_kind = Some(kind);
        Ok(Self { table_kind, kind, checkpoint, ..Self::new(device) })
    }

    /// As [`for_baking`](Self::for_baking), of tensors in memory, which may be shared.
    pub fn of_tensors_for_baking(tensors: impl IntoIterator<Item = (String, Tensor)>) -> Self {
        let (device, kind, checkpoint) = (Device::Cpu, Kind::Double, Checkpoint::of(tensors));
        let checkpoint = Some(checkpoint);
        Self { table_kind: None, kind, checkpoint, ..Self::new(device) }
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

    /// Of grids from now on what a block of the domain needs, `bounds` in [-1, 1] along each axis,
    /// slowest first.
    pub fn within(self, bounds: Vec<(f64, f64)>) -> Self {
        Self { bounds: Some(bounds), ..self }
    }

    /// What of a grid over the whole domain is held, slowest axis first.
    pub fn held(&self, shape: &[usize]) -> Held {
        match &self.bounds {
            Some(bounds) if bounds.len() == shape.len() => Held::within(shape, bounds),
            _ => Held::all(shape),
        }
    }

    /// A trainable tensor.
    pub fn trainable(&mut self, name: String, shape: &[i64], init: Init) -> Result<Tensor> {
        self.trainable_of(Some(self.kind), name, shape, init, None)
    }

    /// A trainable tensor that may be large: see [`Parameters::for_baking`].
    pub fn trainable_table(&mut self, name: String, shape: &[i64], init: Init) -> Result<Tensor> {
        self.trainable_of(self.table_kind, name, shape, init, None)
    }

    /// As [`trainable_table`](Self::trainable_table), what is held of it. A new one is drawn whole, so
    /// that it is the same however the domain is cut up.
    pub fn trainable_window(&mut self, name: String, window: Window, init: Init) -> Result<Tensor> {
        self.trainable_of(self.table_kind, name, &window.whole(), init, Some(window))
    }

    fn trainable_of(
        &mut self,
        kind: Option<Kind>,
        name: String,
        shape: &[i64],
        init: Init,
        window: Option<Window>,
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
        // Cut up in all processes, though some may hold all of it.
        let window = window.filter(|_| self.bounds.is_some());
        let tensor = window.as_ref().map_or(tensor.shallow_clone(), |window| window.cut(&tensor));
        let tensor = kind.map_or(tensor.shallow_clone(), |kind| tensor.to_kind(kind));
        self.add(name, tensor, true, window)
    }

    /// A buffer that training leaves alone; `value` where the checkpoint has none.
    pub fn buffer(&mut self, name: String, value: Tensor) -> Result<Tensor> {
        let tensor = self.take(&name, &value.size())?.unwrap_or(value);
        self.add(name, tensor.to_kind(self.kind), false, None)
    }

    /// As [`buffer`](Self::buffer), what is held of it; `value` is that.
    pub fn buffer_window(&mut self, name: String, window: Window, value: Tensor) -> Result<Tensor> {
        let whole = self.take(&name, &window.whole())?;
        let tensor = whole.map_or(value, |whole| window.cut(&whole)).to_kind(self.kind);
        self.add(name, tensor, false, Some(window).filter(|_| self.bounds.is_some()))
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

    /// What a tensor is of one that several processes have cut up, if it is.
    pub fn window(&self, name: &str) -> Option<&Window> {
        self.tensors.get(name)?.window.as_ref()
    }

    /// Number of trainable numbers, of all processes that have cut them up.
    pub fn count(&self) -> usize {
        let entries = self.tensors.values().filter(|entry| entry.trainable);
        let numbers = entries.map(|entry| match &entry.window {
            Some(window) => window.whole().iter().product::<i64>() as usize,
            None => entry.tensor.numel(),
        });
        numbers.sum()
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

    fn add(
        &mut self,
        name: String,
        tensor: Tensor,
        trainable: bool,
        window: Option<Window>,
    ) -> Result<Tensor> {
        let tensor = tensor.to_device(self.device).set_requires_grad(trainable);
        let entry = Entry { tensor: tensor.shallow_clone(), trainable, window };
        ensure!(self.tensors.insert(name.clone(), entry).is_none(), "{name} was asked for twice");
        Ok(tensor)
    }
}
