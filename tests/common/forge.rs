//! Takes a baked file apart and puts it together again otherwise: other writers' layouts,
//! mistakes and malice, always with matching checksums.

use serde_json::{Map, Value, json};

use super::plain::{File, checksum};

/// Name, dtype, shape, bytes.
pub type Tensor = (String, String, Vec<usize>, Vec<u8>);

/// A file in pieces.
#[derive(Clone)]
pub struct Forged {
    /// The description; becomes metadata `spec`.
    spec: Value,
    /// In the order of the data.
    tensors: Vec<Tensor>,
    /// Metadata entries that are added or take the place of the right ones; null removes.
    metadata: Map<String, Value>,
    /// The data starts this many bytes after a multiple of 64.
    misalignment: usize,
}

impl Forged {
    /// The pieces of a good file.
    pub fn from(bytes: &[u8]) -> Self {
        let file = File::read(bytes);
        let tensors = (file.tensors().iter())
            .map(|t| (t.name.clone(), t.dtype.clone(), t.shape.clone(), t.bytes.clone()))
            .collect();
        Self::new(file.spec, tensors)
    }

    /// A file of these pieces.
    pub fn new(spec: Value, tensors: Vec<Tensor>) -> Self {
        Self { spec, tensors, metadata: Map::new(), misalignment: 0 }
    }

    pub fn spec(&self) -> &Map<String, Value> {
        self.spec.as_object().expect("an object")
    }

    /// Another description: the entry at a JSON pointer is replaced.
    pub fn with(mut self, pointer: &str, value: Value) -> Self {
        *self.spec.pointer_mut(pointer).expect(pointer) = value;
        self
    }

    pub fn tensor(&self, name: &str) -> &Tensor {
        self.tensors.iter().find(|tensor| tensor.0 == name).expect(name)
    }

    /// A tensor at the end of the data, new or in the place of another of its name.
    pub fn with_tensor(mut self, name: &str, dtype: &str, shape: &[usize], bytes: Vec<u8>) -> Self {
        self.tensors.retain(|tensor| tensor.0 != name);
        self.tensors.push((name.into(), dtype.into(), shape.to_vec(), bytes));
        self
    }

    pub fn without_tensor(mut self, name: &str) -> Self {
        self.tensors.retain(|tensor| tensor.0 != name);
        self
    }

    pub fn with_metadata(mut self, key: &str, value: Value) -> Self {
        self.metadata.insert(key.into(), value);
        self
    }

    pub fn misaligned_by(mut self, bytes: usize) -> Self {
        self.misalignment = bytes;
        self
    }

    /// The oldest version of the format that has what the description has, as far as it makes sense.
    fn version(&self) -> &'static str {
        let axes = self.spec["axes"].as_array().map_or(0, Vec::len) as u64;
        let is_new = |grid: &Value| {
            let mut indices = grid["axes"].as_array().into_iter().flatten();
            grid.get("entries").is_some()
                || grid.get("product").is_some()
                || indices.any(|axis| axis.as_u64().is_some_and(|axis| axis >= axes))
        };
        let mut grids = self.spec["grids"].as_array().into_iter().flatten();
        match self.spec.get("radiance") {
            Some(_) => "3",
            None if grids.any(is_new) => "2",
            None => "1",
        }
    }

    /// The description with another entry in the object at a JSON pointer.
    pub fn with_entry(mut self, pointer: &str, key: &str, value: Value) -> Self {
        let object = self.spec.pointer_mut(pointer).and_then(Value::as_object_mut);
        object.expect(pointer).insert(key.into(), value);
        self
    }

    /// The header, before padding.
    pub fn header(&self) -> Map<String, Value> {
        let spec = self.spec.to_string();
        let mut metadata = Map::new();
        metadata.insert("format".into(), "drr-baked".into());
        metadata.insert("version".into(), self.version().into());
        metadata.insert("crc32.spec".into(), checksum(spec.as_bytes()).into());
        metadata.insert("spec".into(), spec.into());
        let mut header = Map::new();
        let mut start = 0;
        for (name, dtype, shape, bytes) in &self.tensors {
            metadata.insert(format!("crc32.{name}"), checksum(bytes).into());
            let end = start + bytes.len();
            let info = json!({"dtype": dtype, "shape": shape, "data_offsets": [start, end]});
            header.insert(name.clone(), info);
            start = end;
        }
        metadata.extend(self.metadata.clone());
        metadata.retain(|_, value| !value.is_null());
        header.insert("__metadata__".into(), metadata.into());
        header
    }

    /// All tensors, one after the other.
    pub fn data(&self) -> Vec<u8> {
        self.tensors.iter().flat_map(|tensor| tensor.3.clone()).collect()
    }

    /// The file.
    pub fn bytes(&self) -> Vec<u8> {
        assemble(&Value::from(self.header()).to_string(), self.misalignment, &self.data())
    }
}

/// A file of a header, padded so that the data starts `misalignment` bytes after a multiple of 64.
pub fn assemble(header: &str, misalignment: usize, data: &[u8]) -> Vec<u8> {
    let mut text = header.as_bytes().to_vec();
    while (8 + text.len()) % 64 != misalignment {
        text.push(b' ');
    }
    let mut file = (text.len() as u64).to_le_bytes().to_vec();
    file.extend(text);
    file.extend(data);
    file
}
