//! The safetensors container of a baked file: names, shapes, checksums, the JSON description.

use std::ops::Range;

use safetensors::tensor::Metadata;
use safetensors::{Dtype, SafeTensors};

use super::spec::Spec;
use crate::{Error, ErrorKind, Result};

/// Value of the metadata entry `format`.
pub const FORMAT: &str = "drr-baked";

/// Versions of the file format that this library reads; it writes the oldest that can say what is
/// to be said ([`Spec::version`]).
pub const VERSIONS: std::ops::RangeInclusive<u32> = 1..=3;

/// Metadata entry with the CRC-32 of a tensor (or of `spec`), eight hexadecimal digits.
pub fn checksum_key(name: &str) -> String {
    format!("crc32.{name}")
}

/// A parsed header over the bytes of the whole file.
pub struct Container<'a> {
    bytes: &'a [u8],
    data_start: usize,
    metadata: Metadata,
    version: u32,
}

impl<'a> Container<'a> {
    /// Parses the header; sizes are checked against the length of `bytes`.
    pub fn parse(bytes: &'a [u8]) -> Result<Self> {
        let (header, metadata) = SafeTensors::read_metadata(bytes).map_err(|error| {
            Error::format(format!(
                "not a complete safetensors file of {} bytes ({error}): truncated, damaged or of \
                 another kind",
                bytes.len()
            ))
        })?;
        let mut container = Self { bytes, data_start: header + 8, metadata, version: 0 };
        container.version = container.check_version()?;
        Ok(container)
    }

    /// The description, as text.
    pub fn spec_json(&self) -> &str {
        self.entry("spec").unwrap_or_default()
    }

    /// The description, compared with its checksum and parsed, not yet checked.
    pub fn spec(&self) -> Result<Spec> {
        let text = self.spec_json();
        self.check_sum("spec", text.as_bytes())?;
        serde_json::from_str(text)
            .map_err(|error| Error::format(format!("the description `spec` is malformed: {error}")))
    }

    /// Refuses a description with more than the file's version has, or without what makes it that
    /// version: a wrong version is found out, though no checksum covers it.
    pub fn check_features(&self, spec: &Spec) -> Result<()> {
        if self.version == 3 && spec.radiance.is_none() {
            return Err(Error::format(
                "the file says that its version is 3, but the description `spec` has no `radiance`",
            ));
        }
        if spec.version() <= self.version {
            return Ok(());
        }
        Err(Error::format(format!(
            "the description `spec` has {}, which came with version {}, but the file says that its \
             version is {}",
            match spec.version() {
                3 => "`radiance`",
                _ => "`entries`, a `product` or a grid along a parameter",
            },
            spec.version(),
            self.version
        )))
    }

    /// Refuses files that lack a tensor or hold one that nothing refers to.
    pub fn check_names(&self, expected: &[String]) -> Result<()> {
        if let Some(name) = expected.iter().find(|name| self.metadata.info(name).is_none()) {
            return Err(Error::format(format!("tensor {name} is missing")));
        }
        let known: std::collections::HashSet<_> = expected.iter().collect();
        match self.metadata.tensors().keys().find(|name| !known.contains(name)) {
            Some(name) => {
                Err(Error::format(format!("tensor {name} is not part of the description")))
            }
            None => Ok(()),
        }
    }

    /// Compares every tensor with its checksum.
    pub fn check_sums(&self) -> Result<()> {
        let mut names: Vec<_> = self.metadata.tensors().into_keys().collect();
        names.sort();
        for name in names {
            let (_, _, range) = self.tensor(&name)?;
            self.check_sum(&name, &self.bytes[range])?;
        }
        Ok(())
    }

    /// Type, shape and byte range (in the file) of a tensor.
    pub fn tensor(&self, name: &str) -> Result<(Dtype, &[usize], Range<usize>)> {
        let info = self
            .metadata
            .info(name)
            .ok_or_else(|| Error::format(format!("tensor {name} is missing")))?;
        let (start, end) = info.data_offsets;
        Ok((info.dtype, &info.shape, self.data_start + start..self.data_start + end))
    }

    /// Bytes of a tensor of the given type and shape.
    pub fn small(&self, name: &str, dtype: Dtype, shape: &[usize]) -> Result<&'a [u8]> {
        let (found, found_shape, range) = self.tensor(name)?;
        if found != dtype || found_shape != shape {
            return Err(Error::format(format!(
                "{name} is {found:?} {found_shape:?}, expected {dtype:?} {shape:?}"
            )));
        }
        Ok(&self.bytes[range])
    }

    fn check_version(&self) -> Result<u32> {
        if self.entry("format") != Some(FORMAT) {
            return Err(Error::format(
                "a safetensors file, but not a baked model (no metadata `format: drr-baked`); \
                 weights are turned into one by `drr-train bake`",
            ));
        }
        let version = self.entry("version").unwrap_or("none");
        if let Some(known) = version.parse().ok().filter(|known| VERSIONS.contains(known)) {
            return Ok(known);
        }
        Err(Error::new(
            ErrorKind::Version,
            format!(
                "format version is {version}, this library ({}) reads {} to {}",
                crate::VERSION,
                VERSIONS.start(),
                VERSIONS.end()
            ),
        ))
    }

    fn check_sum(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let key = checksum_key(name);
        let expected =
            self.entry(&key).ok_or_else(|| Error::format(format!("{key} is missing")))?;
        let found = format!("{:08x}", crc32fast::hash(bytes));
        if expected == found {
            return Ok(());
        }
        Err(Error::format(format!(
            "{name} is damaged: its checksum is {found}, the file says {expected}; fetch or bake \
             it again"
        )))
    }

    fn entry(&self, key: &str) -> Option<&str> {
        self.metadata.metadata().as_ref()?.get(key).map(String::as_str)
    }
}
