//! A rectangle of a model as a picture, row by row: it may be larger than memory.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use drr::Lattice;
use drr::model::spec::Value;

use super::query::Arguments;
use super::query_asked::{Asked, Bound};
use super::query_place::stand_at;
use crate::eval::colours::{NAMES, full_light};
use crate::eval::pictures::{shade, viridis};
use crate::files::atomically;
use crate::progress::Progress;

/// Points that are asked at a time.
const PIECE: usize = 1 << 18;

/// Most pixels along an edge: what PNG files and 32-bit programs can count.
const LARGEST: usize = i32::MAX as usize;

/// How values become bytes.
enum Paint {
    /// Red, green, blue and perhaps opacity, times this.
    Colours { channels: usize, scale: f32 },
    /// The first value, from one end of its range to the other.
    Map { range: (f64, f64) },
}

/// Width and height, as in `640x480`.
///
/// # Errors
/// Anything else.
pub fn parse_size(text: &str) -> Result<[usize; 2], String> {
    let parts = text.split_once(['x', 'X']).map(|(w, h)| (w.trim().parse(), h.trim().parse()));
    match parts {
        Some((Ok(w), Ok(h))) if (1..=LARGEST).contains(&w) && (1..=LARGEST).contains(&h) => {
            Ok([w, h])
        }
        _ => Err(format!("expected WIDTHxHEIGHT in pixels, as in 640x480, up to {LARGEST}")),
    }
}

/// Writes the picture that the arguments describe; returns its size.
///
/// # Errors
/// If they do not fit the model, the disk is full, or the user interrupts.
pub fn write(
    arguments: &Arguments,
    asked: &Asked,
    bound: &Bound<'_>,
    [width, height]: [usize; 2],
) -> Result<()> {
    let path = &arguments.output;
    ensure!(
        path.extension().is_some_and(|extension| extension == "png"),
        "{}: a --size of pixels is written as .png",
        path.display()
    );
    let lattice = place(arguments, asked, [width, height])?;
    let paint = Paint::of(&asked.values, arguments.normalized);
    let progress = Progress::new("drawing", "pixels", (width * height) as u64);
    atomically(path, |file| {
        let rows = Rows { lattice, asked, bound, paint };
        rows.write(file, path, [width, height], &progress)
    })?;
    progress.finish();
    Ok(())
}

struct Rows<'a> {
    lattice: Lattice,
    asked: &'a Asked,
    bound: &'a Bound<'a>,
    paint: Paint,
}

impl Rows<'_> {
    fn write(
        &self,
        file: &mut File,
        path: &Path,
        [width, height]: [usize; 2],
        progress: &Progress,
    ) -> Result<()> {
        let broken = || format!("cannot write {}", path.display());
        let mut encoder =
            png::Encoder::new(BufWriter::new(file), u32::try_from(width)?, u32::try_from(height)?);
        encoder.set_color(self.paint.color());
        let mut writer = encoder.write_header().with_context(broken)?;
        let mut stream = writer.stream_writer().with_context(broken)?;
        let (dims, outputs) = (self.asked.axes.len(), self.asked.values.len());
        let together = (PIECE / width).max(1);
        let (mut values, mut bytes) = (Vec::new(), Vec::new());
        for first in (0..height).step_by(together) {
            progress.check_interrupt()?;
            let count = together.min(height - first);
            let mut part = self.lattice;
            part.dims[1] = count;
            part.origin[1] += first as f64 * part.spacing[1];
            values.clear();
            values.resize(count * width * outputs, 0.0f32);
            self.bound.query_lattice(&part, (dims, outputs), &mut values)?;
            bytes.clear();
            values.chunks_exact(outputs).for_each(|value| self.paint.push(value, &mut bytes));
            stream.write_all(&bytes).with_context(broken)?;
            progress.advance((count * width) as u64);
        }
        stream.finish().with_context(broken)?;
        writer.finish().with_context(broken)
    }
}

/// The points of the pixels, the upper left one first.
fn place(arguments: &Arguments, asked: &Asked, [width, height]: [usize; 2]) -> Result<Lattice> {
    ensure!(asked.axes.len() >= 2, "a picture is of a model with two or three axes");
    let ends = |k: usize| match arguments.normalized {
        true => (-1.0, 1.0),
        false => (asked.axes[k].min, asked.axes[k].max),
    };
    let [x0, y0, x1, y1] = match arguments.rect.as_deref() {
        Some(&[x0, y0, x1, y1]) => [x0, y0, x1, y1],
        Some(other) => bail!("--rect {other:?}: expected four numbers, x0,y0,x1,y1"),
        None => {
            let ((x0, x1), (y0, y1)) = (ends(0), ends(1));
            // Rows of pictures go down, y of fields goes up.
            match asked.axes[1].unit.as_str() {
                "px" => [x0, y0, x1, y1],
                _ => [x0, y1, x1, y0],
            }
        }
    };
    ensure!(
        [x0, y0, x1, y1].iter().all(|number| number.is_finite()),
        "--rect: expected four finite numbers"
    );
    let mut lattice =
        Lattice { origin: [x0, y0, 0.0], spacing: [0.0; 3], dims: [width, height, 1] };
    let spacing = |a: f64, b: f64, n: usize| (b - a) / (n - 1).max(1) as f64;
    lattice.spacing = [spacing(x0, x1, width), spacing(y0, y1, height), 0.0];
    if asked.axes.len() == 3 {
        let (low, high) = ends(2);
        lattice.origin[2] = low + 0.5 * (high - low);
    }
    stand_at(&mut lattice, &arguments.at, &asked.axes)?;
    Ok(lattice)
}

impl Paint {
    fn of(values: &[Value], normalized: bool) -> Self {
        let names: Vec<&str> = values.iter().map(|value| value.name.as_str()).collect();
        if names.len() >= 3 && NAMES.starts_with(&names) {
            let light = if normalized { 1.0 } else { full_light(values[0].max) };
            let scale = (255.0 / light) as f32;
            return Self::Colours { channels: names.len(), scale };
        }
        let Value { min, max, transform, .. } = &values[0];
        let physical = |v: f64| match transform {
            drr::model::spec::Transform::Linear => v,
            drr::model::spec::Transform::Log => v.exp(),
        };
        let range = if normalized { (0.0, 1.0) } else { (physical(*min), physical(*max)) };
        Self::Map { range }
    }

    fn color(&self) -> png::ColorType {
        match self {
            Self::Colours { channels: 4, .. } => png::ColorType::Rgba,
            Self::Colours { .. } | Self::Map { .. } => png::ColorType::Rgb,
        }
    }

    fn push(&self, values: &[f32], bytes: &mut Vec<u8>) {
        match self {
            Self::Colours { channels, scale } => {
                // NaN becomes 0.
                let byte = |v: &f32| (v * scale).round().clamp(0.0, 255.0) as u8;
                bytes.extend(values[..*channels].iter().map(byte));
            }
            Self::Map { range } => {
                let colour = shade(f64::from(values[0]), *range, viridis);
                bytes.extend([colour.0, colour.1, colour.2]);
            }
        }
    }
}
