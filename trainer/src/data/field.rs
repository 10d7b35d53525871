//! One member's field: its shape and its values, as the file has them.
//!
//! Scaling to `[0, 1]` needs all members and is done by the ensemble.

use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};

use super::dtype::Dtype;
use super::formats::{Format, Reading, volume};
use super::raw;
use super::samples::Field;
use crate::config::DatasetConfig;

/// The shape that every member has.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Layout {
    /// `[D, H, W]` or `[H, W]`; `[points]` where they are scattered.
    pub dims: Vec<usize>,
    /// Values a point.
    pub components: usize,
    scattered: bool,
}

/// The shape that somebody says the data have, and where it is said.
pub(super) struct GivenShape(Option<(Vec<usize>, &'static str)>);

impl GivenShape {
    /// The configuration goes before `field.yaml`.
    pub fn new(config: &DatasetConfig, from_info: Option<Vec<usize>>) -> Self {
        let given = [
            (config.dims.clone(), "--dims or the configuration's dataset"),
            (from_info, "dims in field.yaml"),
        ];
        Self(given.into_iter().find_map(|(dims, origin)| dims.map(|dims| (dims, origin))))
    }
}

impl Layout {
    /// Finds the shape on a lattice: what is given, then the `first` file. `rank` is that of the
    /// model's grid.
    pub fn resolve(
        first: &Path,
        rank: usize,
        GivenShape(known): GivenShape,
        reading: &Reading,
    ) -> Result<Self> {
        if let Some((dims, _)) = &known {
            check_dims(dims, rank)?;
        }
        let layout = match (Format::of(first), known) {
            (Some(format), known) => {
                let shape = format.read_shape(first, reading.variable.as_deref())?;
                Self::of_shape(first, &shape, known, rank)?
            }
            (None, Some((dims, _))) => Self { dims, components: 1, scattered: false },
            (None, None) => Self::guess(first, rank, reading)?,
        };
        check_dims(&layout.dims, rank)?;
        layout.length()?;
        Ok(layout)
    }

    /// The shape at `count` scattered points: the `first` file says how many values each has.
    pub fn of_points(
        first: &Path,
        count: usize,
        GivenShape(known): GivenShape,
        reading: &Reading,
    ) -> Result<Self> {
        if let Some((dims, origin)) = known
            && volume(&dims)? != count
        {
            bail!("{origin} says {dims:?}, but there are coordinates of {count} points");
        }
        let layout = Self { dims: vec![count], components: 1, scattered: true };
        let Some(format) = Format::of(first) else { return Ok(layout) };
        let shape = format.read_shape(first, reading.variable.as_deref())?;
        let Some(components) = layout.components_of(&shape) else {
            bail!(
                "{}: its shape is {shape:?}, but there are coordinates of {count} points; expected \
                 one row for each point, perhaps with several values",
                first.display()
            )
        };
        Ok(Self { components, ..layout })
    }

    /// Values a point of an array, if it is a field at these places.
    fn components_of(&self, shape: &[usize]) -> Option<usize> {
        if !self.scattered {
            let (dims, components) = parts(shape, self.dims.len())?;
            return (dims == self.dims).then_some(components);
        }
        let count = self.dims[0];
        match shape.split_last() {
            _ if volume(shape).ok() == Some(count) => Some(1),
            Some((&components, points)) if volume(points).ok() == Some(count) => Some(components),
            _ => None,
        }
    }

    /// The shape that a file has.
    fn of_shape(
        path: &Path,
        shape: &[usize],
        known: Option<(Vec<usize>, &str)>,
        rank: usize,
    ) -> Result<Self> {
        let Some((dims, components)) = parts(shape, rank) else {
            bail!(
                "{}: an array of shape {shape:?} is no field of {rank} dimensions",
                path.display()
            )
        };
        if let Some((wanted, origin)) = known
            && wanted != dims
        {
            bail!("{}: its shape is {dims:?}, but {origin} says {wanted:?}", path.display());
        }
        Ok(Self { dims: dims.to_vec(), components, scattered: false })
    }

    /// A cube (or square) of as many values as the file has.
    fn guess(path: &Path, rank: usize, reading: &Reading) -> Result<Self> {
        let bytes = std::fs::metadata(path)
            .with_context(|| format!("cannot read {}", path.display()))?
            .len();
        let size = reading.dtype.size() as u64;
        let count = bytes / size;
        let side = (count as f64).powf(1.0 / rank as f64).round() as u64;
        let volume = u32::try_from(rank).ok().and_then(|rank| side.checked_pow(rank));
        if bytes == 0 || bytes % size != 0 || volume != Some(count) {
            bail!(
                "the shape of {} is unknown: its {bytes} bytes are no {} {}; give --dims, or \
                 dims in the configuration's dataset or in field.yaml",
                path.display(),
                reading.dtype.name(),
                if rank == 2 { "square" } else { "cube" }
            );
        }
        Ok(Self { dims: vec![usize::try_from(side)?; rank], components: 1, scattered: false })
    }

    /// Checks that a model of `components` values a point fits.
    pub fn check_components(&self, components: usize) -> Result<()> {
        if self.components != components {
            bail!(
                "the data have {} values a point, the model gives {components} (out_dim); raw \
                 files have one, others as many as their last axis is long",
                self.components
            );
        }
        Ok(())
    }

    /// Values of a member.
    fn length(&self) -> Result<usize> {
        self.dims
            .iter()
            .try_fold(self.components, |product, &n| product.checked_mul(n))
            .ok_or_else(|| anyhow!("the shape {:?} is impossible", self.dims))
    }
}

fn check_dims(dims: &[usize], rank: usize) -> Result<()> {
    if dims.len() != rank {
        bail!("the data have the shape {dims:?}, but the model's grid has {rank} dimensions");
    }
    if dims.iter().any(|&n| n < 2) {
        bail!("the shape {dims:?} has an axis with fewer than 2 samples");
    }
    Ok(())
}

/// Shape and components of an array that is a field of `rank` dimensions: its last axis may be that
/// of the components, and axes of length 1 in front (one time of a series, the one layer of a
/// picture) are no dimensions.
fn parts(shape: &[usize], rank: usize) -> Option<(&[usize], usize)> {
    let ones = shape.iter().take_while(|&&n| n == 1).count();
    let (dims, rest) =
        shape[ones.min(shape.len().saturating_sub(rank))..].split_at_checked(rank)?;
    match rest {
        [] => Some((dims, 1)),
        [components] if *components > 0 => Some((dims, *components)),
        _ => None,
    }
}

/// Reads a field of the given shape.
///
/// # Errors
/// Another shape, or values that are not finite.
pub(super) fn read(path: &Path, layout: &Layout, reading: &Reading) -> Result<Field> {
    let values = match Format::of(path) {
        Some(format) => read_array(path, format, layout, reading)?,
        None => raw::read(path, &layout.dims, reading)?,
    };
    if values.len() != layout.length()? {
        bail!("{} has one value a point, other members have {}", path.display(), layout.components);
    }
    Ok(values)
}

/// Bytes of a value in memory, of a file that [`read`] reads.
pub(super) fn value_bytes(path: &Path, reading: &Reading) -> Result<usize> {
    match (Format::of(path), reading.dtype) {
        (Some(format), _) => format.value_bytes(path),
        (None, Dtype::U8) => Ok(size_of::<u8>()),
        (None, Dtype::U16) => Ok(size_of::<u16>()),
        (None, _) => Ok(size_of::<f32>()),
    }
}

/// The natural logarithms of the field in `path`.
///
/// # Errors
/// Values that are not positive.
pub(super) fn logarithms(path: &Path, field: Field) -> Result<Field> {
    if let Some(at) = field.iter().position(|value| value <= 0.0) {
        bail!(
            "{}: the value {} at index {at} has no logarithm (use_logdata)",
            path.display(),
            field.at(at)
        );
    }
    Ok(field.map(|value| f64::from(value).ln() as f32))
}

fn read_array(path: &Path, format: Format, layout: &Layout, reading: &Reading) -> Result<Field> {
    let (shape, field) = format.read_field(path, reading.variable.as_deref())?;
    if layout.components_of(&shape) != Some(layout.components) {
        bail!(
            "{}: its shape is {shape:?}, other members have {:?} with {} values a point",
            path.display(),
            layout.dims,
            layout.components
        );
    }
    if let Field::Floats(values) = &field {
        raw::check_finite(path, values)?;
    }
    Ok(field)
}

#[cfg(test)]
mod tests {
    use super::parts;

    #[test]
    fn axes_in_front_of_length_1_are_no_dimensions() {
        for (shape, rank, found) in [
            (&[5, 6, 7][..], 3, Some((&[5, 6, 7][..], 1))),
            (&[5, 6, 7, 3], 3, Some((&[5, 6, 7], 3))),
            (&[1, 5, 6, 7], 3, Some((&[5, 6, 7], 1))),
            (&[1, 1, 6, 7, 2], 2, Some((&[6, 7], 2))),
            (&[1, 6, 7], 3, Some((&[1, 6, 7], 1))),
            (&[2, 5, 6, 7, 3], 3, None),
            (&[6, 7, 0], 2, None),
            (&[6], 2, None),
        ] {
            assert_eq!(parts(shape, rank), found, "{shape:?} in {rank}");
        }
    }
}
