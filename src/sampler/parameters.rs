//! Simulation parameters in the caller's arrays: one row of them, or a table with a row per point
//! or per set; normalised, and what is to happen outside their ranges.

use std::marker::PhantomData;

use super::policy::{Location, tolerance};
use super::scalar::{Float, Scalar};
use super::{Outside, SamplerOptions, Units};
use crate::cpu::TILE;
use crate::model::spec::{Parameter, Spec};
use crate::{Error, ErrorKind, Result};

/// A table of parameters in the caller's memory: a row for each point or set, a column for each
/// parameter of the model.
#[derive(Clone, Copy)]
pub struct Parameters<'a> {
    scalar: Scalar,
    rows: usize,
    columns: usize,
    base: *const u8,
    row_stride: isize,
    column_stride: isize,
    memory: PhantomData<&'a [u8]>,
}

// SAFETY: a shared, read-only view, like `&[f32]`.
unsafe impl Send for Parameters<'_> {}
// SAFETY: as above.
unsafe impl Sync for Parameters<'_> {}

impl<'a> Parameters<'a> {
    /// Rows one after the other, `[rows][columns]`, in the model's order.
    ///
    /// # Errors
    /// `InvalidArgument` unless there are `rows * columns` numbers.
    pub fn packed<T: Float>(values: &'a [T], rows: usize, columns: usize) -> Result<Self> {
        if rows.checked_mul(columns) != Some(values.len()) {
            return Err(Error::argument(format!(
                "{} parameters given, expected {rows} rows of {columns}",
                values.len()
            )));
        }
        let size = size_of::<T>() as isize;
        let (base, row) = (values.as_ptr().cast(), size * columns as isize);
        // SAFETY: `values` holds as many numbers and is borrowed for 'a.
        Ok(unsafe { Self::from_raw(T::SCALAR, rows, columns, base, row, size) })
    }

    /// Any layout: address of the first row's first parameter, bytes from row to row and from
    /// parameter to parameter. Strides may be 0 or negative.
    ///
    /// # Safety
    /// For each `i < rows` and `k < columns`, `base + i * row_stride + k * column_stride` must be
    /// readable as a number of type `scalar` (of any alignment) for 'a.
    pub unsafe fn from_raw(
        scalar: Scalar,
        rows: usize,
        columns: usize,
        base: *const u8,
        row_stride: isize,
        column_stride: isize,
    ) -> Self {
        Self { scalar, rows, columns, base, row_stride, column_stride, memory: PhantomData }
    }

    /// Number of rows: points or sets.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Parameters per row.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// # Errors
    /// `InvalidArgument` unless it has a column per parameter of the model and `rows` rows, one
    /// for each of `what`.
    pub(super) fn check(&self, spec: &Spec, rows: usize, what: &str) -> Result<()> {
        self.scalar.check_input("parameters")?;
        check_count(spec, self.columns)?;
        if self.rows != rows {
            return Err(Error::argument(format!(
                "{} rows of parameters given, expected {rows}: one per {what}",
                self.rows
            )));
        }
        Ok(())
    }

    /// Type of the numbers.
    pub(super) fn scalar(&self) -> Scalar {
        self.scalar
    }

    /// Address of the first number, and the bytes from row to row and from column to column.
    pub(super) fn layout(&self) -> (*const u8, isize, isize) {
        (self.base, self.row_stride, self.column_stride)
    }

    fn get(&self, row: usize, column: usize) -> f64 {
        assert!(row < self.rows && column < self.columns);
        let row = self.base.wrapping_offset(row as isize * self.row_stride);
        // SAFETY: in range by the assertion, so `from_raw`'s condition covers this address.
        unsafe { self.scalar.read(row.wrapping_offset(column as isize * self.column_stride)) }
    }

    /// Reads a row.
    pub(super) fn row(&self, row: usize) -> Vec<f64> {
        (0..self.columns).map(|column| self.get(row, column)).collect()
    }

    /// Reads `len` rows from `start` on, one array per parameter; what lies behind stays.
    pub(super) fn read(&self, start: usize, len: usize, tile: &mut [[f64; TILE]]) {
        for (column, values) in tile.iter_mut().enumerate() {
            for (i, value) in values[..len].iter_mut().enumerate() {
                *value = self.get(start + i, column);
            }
        }
    }
}

/// # Errors
/// `InvalidArgument` unless the model has `count` parameters.
pub fn check_count(spec: &Spec, count: usize) -> Result<()> {
    if count == spec.parameters.len() {
        return Ok(());
    }
    let names: Vec<_> = spec.parameters.iter().map(|p| p.name.as_str()).collect();
    Err(Error::argument(format!(
        "{count} parameters given, the model has {}: {}",
        names.len(),
        names.join(", ")
    )))
}

/// The ranges of a model's parameters, and what parameters outside of them give.
pub struct Ranges<'a> {
    parameters: &'a [Parameter],
    units: Units,
    outside: Outside,
}

impl<'a> Ranges<'a> {
    /// # Errors
    /// `InvalidArgument` for a policy that parameters do not have.
    pub fn new(spec: &'a Spec, options: &SamplerOptions) -> Result<Self> {
        if options.outside_parameters == Outside::Zeros {
            return Err(Error::argument("outside_parameters: expected clamp, nan or error"));
        }
        let SamplerOptions { units, outside_parameters: outside, .. } = *options;
        Ok(Self { parameters: &spec.parameters, units, outside })
    }

    fn range(&self, n: usize) -> Range {
        let (min, max) = match self.units {
            Units::Physical => (self.parameters[n].min, self.parameters[n].max),
            Units::Normalized => (0.0, 1.0),
        };
        Range { min, max, slack: tolerance(min, max), clamps: self.outside == Outside::Clamp }
    }

    /// Ends of each range, and how far outside, in units of the range, still counts as the border.
    pub(super) fn limits(&self) -> impl Iterator<Item = (f64, f64, f64)> {
        (0..self.parameters.len()).map(|n| {
            let Range { min, max, slack, .. } = self.range(n);
            (min, max, slack)
        })
    }

    /// A row normalised to [0, 1], and whether one of its parameters makes all results NaN. Those
    /// that are to be clamped stay outside, which binding them takes for the nearest end.
    ///
    /// # Errors
    /// `OutsideDomain` by policy.
    pub fn normalize(&self, row: &[f64]) -> Result<(Vec<f64>, bool)> {
        let mut is_nan = false;
        let mut normalized = row.to_vec();
        for (n, t) in normalized.iter_mut().enumerate() {
            let mut location = Location::Inside;
            self.range(n).normalize(t, &mut location);
            if location == Location::Outside && self.outside == Outside::Error {
                return Err(self.error(n, row[n]));
            }
            is_nan |= location != Location::Inside;
        }
        Ok((normalized, is_nan))
    }

    /// Normalises the parameters of the first `len` points of a tile in place, and clamps them;
    /// those that are not to be evaluated change the locations of their points.
    pub fn locate(
        &self,
        len: usize,
        parameters: &mut [[f64; TILE]],
        locations: &mut [Location; TILE],
    ) {
        for (n, values) in parameters.iter_mut().enumerate() {
            let range = self.range(n);
            for (t, location) in values[..len].iter_mut().zip(&mut *locations) {
                range.normalize(t, location);
                *t = t.clamp(0.0, 1.0);
            }
        }
    }

    /// The first of the first `len` points of a tile that has a parameter outside where that is an
    /// error, and why.
    pub fn first_outside(&self, len: usize, parameters: &[[f64; TILE]]) -> Option<(usize, Error)> {
        if self.outside != Outside::Error {
            return None;
        }
        let firsts = parameters.iter().enumerate().filter_map(|(n, values)| {
            let range = self.range(n);
            let i = values[..len].iter().position(|&value| {
                let mut location = Location::Inside;
                range.normalize(&mut { value }, &mut location);
                location == Location::Outside
            });
            Some((i?, n))
        });
        let (i, n) = firsts.min()?;
        Some((i, self.error(n, parameters[n][i])))
    }

    fn error(&self, n: usize, value: f64) -> Error {
        let Range { min, max, .. } = self.range(n);
        let Parameter { name, unit, .. } = &self.parameters[n];
        let unit = if unit.is_empty() { String::new() } else { format!(" {unit}") };
        Error::new(
            ErrorKind::OutsideDomain,
            format!("parameter {name} is {value}{unit}, expected {min} to {max}"),
        )
    }
}

/// The range of one parameter.
struct Range {
    min: f64,
    max: f64,
    /// How far outside, in units of the whole range, still counts as the border.
    slack: f64,
    /// Whether numbers outside count as the nearest end.
    clamps: bool,
}

impl Range {
    /// Normalises a parameter to [0, 1]; changes `location` if it is not to be evaluated.
    #[inline]
    fn normalize(&self, value: &mut f64, location: &mut Location) {
        let t = (*value - self.min) / (self.max - self.min);
        let is_inside = (-self.slack..=1.0 + self.slack).contains(&t);
        if t.is_nan() {
            *location = Location::Nan;
        } else if !is_inside && !self.clamps {
            *location = Location::Outside;
        }
        *value = match (t.is_nan(), is_inside) {
            (true, _) => 0.0,
            (false, true) => t.clamp(0.0, 1.0),
            (false, false) => t,
        };
    }
}
