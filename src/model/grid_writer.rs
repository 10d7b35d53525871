//! Writes the vertices of a grid to a baked file, rounded to its precision.

use half::f16;

use super::Scaling;
use super::layout::GridPrecision;
use super::writer::Writer;
use crate::{Error, Result};

/// Appends the vertices of one grid.
pub struct GridWriter<'a> {
    writer: &'a mut Writer,
    channels: usize,
    row: usize,
    left: usize,
    scaling: Option<Scaling>,
    crc: crc32fast::Hasher,
    buffer: Vec<u8>,
}

impl<'a> GridWriter<'a> {
    pub(super) fn new(
        writer: &'a mut Writer,
        channels: usize,
        vertices: usize,
        scaling: Option<Scaling>,
    ) -> Self {
        let row = writer.precision().row(channels);
        let (crc, buffer) = (crc32fast::Hasher::new(), Vec::new());
        Self { writer, channels, row, left: vertices, scaling, crc, buffer }
    }

    /// Appends vertices (entries of a hashed grid), `[vertices, channels]` row-major, rounded to the stored precision.
    ///
    /// # Errors
    /// `InvalidArgument` for an incomplete vertex, one too many, or a number that the precision
    /// cannot hold; `Io`.
    pub fn push(&mut self, features: &[f64]) -> Result<()> {
        let vertices = features.len() / self.channels;
        if !features.len().is_multiple_of(self.channels) || vertices > self.left {
            return Err(Error::argument(format!(
                "{} features given, expected whole vertices of {} and at most {} of them",
                features.len(),
                self.channels,
                self.left
            )));
        }
        let precision = self.writer.precision();
        self.buffer.clear();
        for vertex in features.chunks_exact(self.channels) {
            for (channel, &feature) in vertex.iter().enumerate() {
                let finite = match (precision, &self.scaling) {
                    (GridPrecision::F16, _) => {
                        let value = f16::from_f64(feature);
                        self.buffer.extend_from_slice(&value.to_le_bytes());
                        value.is_finite()
                    }
                    (GridPrecision::I8, Some(Scaling { scale, zero })) => {
                        let q = quantize(feature, zero[channel], scale[channel], -128.0);
                        self.buffer.push(q.cast_unsigned());
                        feature.is_finite()
                    }
                    _ => {
                        let value = feature as f32;
                        self.buffer.extend_from_slice(&value.to_le_bytes());
                        value.is_finite()
                    }
                };
                if !finite {
                    return Err(Error::argument(format!(
                        "a feature of {} is {feature}, which {} cannot hold",
                        self.writer.tensor(),
                        precision.name()
                    )));
                }
            }
            let padding = (self.row - self.channels) * precision.bytes();
            self.buffer.resize(self.buffer.len() + padding, 0);
        }
        self.left -= vertices;
        self.crc.update(&self.buffer);
        self.writer.write(&self.buffer)
    }

    /// Closes the grid.
    ///
    /// # Errors
    /// `InvalidArgument` if vertices are missing.
    pub fn finish(self) -> Result<()> {
        if self.left > 0 {
            return Err(Error::argument(format!(
                "{} lacks {} vertices",
                self.writer.tensor(),
                self.left
            )));
        }
        self.writer.close_grid(self.crc.finalize(), self.scaling);
        Ok(())
    }
}

/// The 8-bit number for `zero + scale * q`, at least `least`.
pub(super) fn quantize(x: f64, zero: f32, scale: f32, least: f64) -> i8 {
    if scale == 0.0 {
        return 0;
    }
    ((x - f64::from(zero)) / f64::from(scale)).round_ties_even().clamp(least, 127.0) as i8
}
