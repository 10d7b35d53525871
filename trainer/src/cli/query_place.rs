//! Where `drr-train query` asks: points from a file, or a grid over the domain.

use anyhow::{Context, Result, bail, ensure};
use drr::Lattice;
use drr::model::spec::Axis;

use super::query::Arguments;
use super::query_asked::{Asked, Bound};
use crate::config::hint;
use crate::data::npy;
use crate::progress::Progress;

/// Points that are asked for at once, so that progress shows and Ctrl-C works.
const PIECE: usize = 1 << 18;

/// The points of a query, in the sampler's units.
pub enum Place {
    /// `[points, dims]`, x first.
    Points(Vec<f64>),
    Grid(Lattice),
}

impl Place {
    /// # Errors
    /// If the file of points or the size of the grid does not fit the model.
    pub fn new(arguments: &Arguments, asked: &Asked) -> Result<Self> {
        let dims = asked.axes.len();
        let Some(path) = &arguments.points else { return Self::grid(arguments, asked) };
        let array = npy::read::<f64>(path)?;
        let [_, columns] = array.shape[..] else {
            bail!("{}: shape {:?}, expected [points, {dims}]", path.display(), array.shape);
        };
        ensure!(
            columns == dims,
            "{}: points of {columns} coordinates, the file has {dims} axes",
            path.display()
        );
        Ok(Self::Points(array.data))
    }

    fn grid(arguments: &Arguments, asked: &Asked) -> Result<Self> {
        let dims = asked.axes.len();
        let shape = arguments.grid.clone().unwrap_or_default();
        ensure!(
            shape.len() == dims && shape.iter().all(|&n| n > 0),
            "--grid {shape:?}: expected {dims} sizes of 1 or more, slowest dimension first"
        );
        let ends = |axis: &Axis| match arguments.normalized {
            true => (-1.0, 1.0),
            false => (axis.min, axis.max),
        };
        let mut lattice = spanning(asked.axes.iter().map(ends), &shape);
        stand_at(&mut lattice, &arguments.at, &asked.axes)?;
        let count = lattice.points().and_then(|count| count.checked_mul(asked.values.len()));
        count.with_context(|| format!("--grid {shape:?}: so many points fit no memory"))?;
        Ok(Self::Grid(lattice))
    }

    /// Number of points.
    pub fn count(&self, asked: &Asked) -> usize {
        match self {
            Self::Points(coordinates) => coordinates.len() / asked.axes.len(),
            Self::Grid(lattice) => lattice.points().unwrap_or(0),
        }
    }

    /// `[points]`, or the grid's sizes, slowest first.
    pub fn shape(&self, asked: &Asked) -> Vec<usize> {
        match self {
            Self::Points(_) => vec![self.count(asked)],
            Self::Grid(lattice) => lattice.dims[..asked.axes.len()].iter().rev().copied().collect(),
        }
    }

    /// The grid, if it is one.
    pub fn lattice(&self) -> Option<&Lattice> {
        match self {
            Self::Points(_) => None,
            Self::Grid(lattice) => Some(lattice),
        }
    }

    /// Values of one parameter set, `[points, outputs]`.
    ///
    /// # Errors
    /// Those of the library, or if the user interrupts.
    pub fn query(
        &self,
        asked: &Asked,
        bound: &Bound<'_>,
        values: &mut [f32],
        progress: &Progress,
    ) -> Result<()> {
        let (dims, outputs) = (asked.axes.len(), asked.values.len());
        let mut first = 0;
        let mut rest = values;
        while !rest.is_empty() {
            progress.check_interrupt()?;
            let left = rest.len() / outputs;
            let answer = |count: usize, values: &mut [f32]| match self {
                Self::Points(coordinates) => {
                    let points = &coordinates[first * dims..(first + count) * dims];
                    bound.query(points, dims, values)
                }
                Self::Grid(lattice) => {
                    bound.query_lattice(&piece(lattice, first).0, (dims, outputs), values)
                }
            };
            let count = match self {
                Self::Points(_) => PIECE.min(left),
                Self::Grid(lattice) => piece(lattice, first).1,
            };
            let (values, after) = rest.split_at_mut(count * outputs);
            answer(count, values).map_err(|error| match first {
                0 => error,
                _ => error.context(format!("counted from point {first}")),
            })?;
            progress.advance(count as u64);
            first += count;
            rest = after;
        }
        Ok(())
    }
}

/// Lets a lattice that has size 1 along some axes stand where `positions`, `axis=x`, say.
pub(super) fn stand_at(lattice: &mut Lattice, positions: &[String], axes: &[Axis]) -> Result<()> {
    let names: Vec<&str> = axes.iter().map(|axis| axis.name.as_str()).collect();
    for position in positions {
        let (name, x) = position
            .rsplit_once('=')
            .with_context(|| format!("--at {position}: expected axis=x"))?;
        let k = (names.iter().position(|known| *known == name.trim()))
            .with_context(|| format!("--at {name}: no such axis; {}", hint(name, &names)))?;
        let x: f64 = x.trim().parse().with_context(|| format!("--at {position}: not a number"))?;
        ensure!(
            lattice.dims[k] == 1,
            "--at {position}: the grid has size {} along {name}, expected 1",
            lattice.dims[k]
        );
        lattice.origin[k] = x;
    }
    Ok(())
}

/// The part of a lattice that starts at point `first`, where a part before ended, and its number
/// of points: whole planes if they are small, else rows of one plane.
fn piece(lattice: &Lattice, first: usize) -> (Lattice, usize) {
    let [nx, ny, nz] = lattice.dims;
    let (row, plane) = (first / nx % ny, first / nx / ny);
    let mut part = *lattice;
    if nx * ny <= PIECE {
        part.dims[2] = (PIECE / (nx * ny)).min(nz - plane);
    } else {
        part.dims[2] = 1;
        part.dims[1] = (PIECE / nx).max(1).min(ny - row);
        part.origin[1] += row as f64 * lattice.spacing[1];
    }
    part.origin[2] += plane as f64 * lattice.spacing[2];
    (part, part.dims.iter().product())
}

/// A lattice of `shape`, slowest dimension first, from one end of each axis to the other; a single
/// sample sits in the middle.
pub(super) fn spanning(ends: impl Iterator<Item = (f64, f64)>, shape: &[usize]) -> Lattice {
    let mut lattice = Lattice { origin: [0.0; 3], spacing: [0.0; 3], dims: [1; 3] };
    for (k, ((min, max), &size)) in ends.zip(shape.iter().rev()).enumerate() {
        lattice.dims[k] = size;
        lattice.origin[k] = if size == 1 { min + 0.5 * (max - min) } else { min };
        lattice.spacing[k] = (max - min) / size.saturating_sub(1).max(1) as f64;
    }
    lattice
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_cover_a_lattice_in_order() {
        for dims in [[5, 4, 3], [1 << 17, 5, 2], [1 << 19, 2, 2], [700, 800, 3], [1, 1, 1]] {
            let lattice = Lattice { origin: [0.0; 3], spacing: [1.0; 3], dims };
            let mut first = 0;
            while first < lattice.points().unwrap() {
                let (part, count) = piece(&lattice, first);
                assert!(count > 0 && (count <= PIECE || part.dims[1..] == [1, 1]), "{part:?}");
                let index = [0, first / dims[0] % dims[1], first / dims[0] / dims[1]];
                assert_eq!(first % dims[0], 0);
                assert_eq!(part.origin, index.map(|i| i as f64));
                first += count;
            }
            assert_eq!(first, lattice.points().unwrap());
        }
    }
}
