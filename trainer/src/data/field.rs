//! One member's field: its shape and its values, as the file has them (or their logarithms).
//!
//! Scaling to `[0, 1]` needs all members and is done by the ensemble.

use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};

use super::{npy, raw};
use crate::config::DatasetConfig;

/// The shape that every member has.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Layout {
    /// `[D, H, W]` or `[H, W]`.
    pub dims: Vec<usize>,
    /// Values a point.
    pub components: usize,
}

impl Layout {
    /// Finds the shape: the configuration, `field.yaml`, then the `first` file.
    /// `rank` is that of the model's grid.
    pub fn resolve(
        first: &Path,
        config: &DatasetConfig,
        rank: usize,
        from_info: Option<Vec<usize>>,
    ) -> Result<Self> {
        let given = [
            (config.dims.clone(), "--dims or the configuration's dataset"),
            (from_info, "dims in field.yaml"),
        ];
        let known = given.into_iter().find_map(|(dims, origin)| dims.map(|dims| (dims, origin)));
        if let Some((dims, _)) = &known {
            check_dims(dims, rank)?;
        }
        let layout = match (is_npy(first), known) {
            (true, known) => Self::of_npy(first, known, rank)?,
            (false, Some((dims, _))) => Self { dims, components: 1 },
            (false, None) => Self::guess(first, rank)?,
        };
        check_dims(&layout.dims, rank)?;
        layout.length()?;
        Ok(layout)
    }

    /// The shape of an `.npy` file, whose last axis may be that of the components.
    fn of_npy(path: &Path, known: Option<(Vec<usize>, &str)>, rank: usize) -> Result<Self> {
        let shape = npy::read_shape(path)?;
        let (dims, components) = match shape.split_at_checked(rank) {
            Some((dims, [])) => (dims, 1),
            Some((dims, [components])) if *components > 0 => (dims, *components),
            _ => bail!(
                "{}: an array of shape {shape:?} is no field of {rank} dimensions",
                path.display()
            ),
        };
        if let Some((wanted, origin)) = known
            && wanted != dims
        {
            bail!("{}: its shape is {dims:?}, but {origin} says {wanted:?}", path.display());
        }
        Ok(Self { dims: dims.to_vec(), components })
    }

    /// A cube (or square) of as many values as the file has.
    fn guess(path: &Path, rank: usize) -> Result<Self> {
        let bytes = std::fs::metadata(path)
            .with_context(|| format!("cannot read {}", path.display()))?
            .len();
        let count = bytes / size_of::<f32>() as u64;
        let side = (count as f64).powf(1.0 / rank as f64).round() as u64;
        let volume = u32::try_from(rank).ok().and_then(|rank| side.checked_pow(rank));
        if bytes == 0 || bytes % 4 != 0 || volume != Some(count) {
            bail!(
                "the shape of {} is unknown: its {bytes} bytes are no float32 {}; give --dims, or \
                 dims in the configuration's dataset or in field.yaml",
                path.display(),
                if rank == 2 { "square" } else { "cube" }
            );
        }
        Ok(Self { dims: vec![usize::try_from(side)?; rank], components: 1 })
    }

    /// Checks that a model of `components` values a point fits.
    pub fn check_components(&self, components: usize) -> Result<()> {
        if self.components != components {
            bail!(
                "the data have {} values a point, the model gives {components} (out_dim); raw \
                 files have one, .npy files as many as their last axis is long",
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

/// Reads a field of the given shape; with `log`, the natural logarithms of its values.
///
/// # Errors
/// Another shape, values that are not finite, and with `log` values that are not positive.
pub(super) fn read(path: &Path, layout: &Layout, log: bool) -> Result<Vec<f32>> {
    let mut values = match is_npy(path) {
        true => read_npy(path, layout)?,
        false => raw::read(path, &layout.dims)?,
    };
    if values.len() != layout.length()? {
        bail!("{} has one value a point, other members have {}", path.display(), layout.components);
    }
    if log {
        if let Some(at) = values.iter().position(|&value| value <= 0.0) {
            bail!(
                "{}: the value {} at index {at} has no logarithm (use_logdata)",
                path.display(),
                values[at]
            );
        }
        for value in &mut values {
            *value = f64::from(*value).ln() as f32;
        }
    }
    Ok(values)
}

fn read_npy(path: &Path, layout: &Layout) -> Result<Vec<f32>> {
    let array = npy::read::<f32>(path)?;
    let (dims, rest) =
        array.shape.split_at_checked(layout.dims.len()).unwrap_or((&array.shape, &[]));
    let components = match rest {
        [] => 1,
        [components] => *components,
        _ => 0,
    };
    if dims != layout.dims || components != layout.components {
        bail!(
            "{}: its shape is {:?}, other members have {:?} with {} values a point",
            path.display(),
            array.shape,
            layout.dims,
            layout.components
        );
    }
    raw::check_finite(path, &array.data)?;
    Ok(array.data)
}

fn is_npy(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "npy")
}
