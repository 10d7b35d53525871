//! Which cells of a box hold anything: rays pass over the others (Müller et al. 2022, appendix C).

use anyhow::{Result, ensure};
use tch::{Device, Kind, Tensor};

use super::march::March;
use crate::data::{Draws, Ray};

/// Steps between updates.
pub const EVERY: u64 = 16;

/// Steps in which all cells are looked at; later it is some of them.
const ALL_UNTIL: u64 = 256;

/// What is left of a cell's value at each update that finds less.
const DECAY: f32 = 0.95;

/// Cells of a greater opacity are full in any case.
const THRESHOLD: f32 = 1e-2;

/// Cells along each edge of a box, and what was found in them.
pub struct Occupancy {
    edge: usize,
    /// Opacity of a sample, decaying; x fastest.
    values: Vec<f32>,
    full: Vec<bool>,
}

impl Occupancy {
    /// All cells are full, since nothing is known.
    pub fn new(edge: usize) -> Self {
        let count = edge * edge * edge;
        Self { edge, values: vec![0.0; count], full: vec![true; count] }
    }

    /// Whether each cell is full, x fastest.
    pub fn cells(&self) -> &[bool] {
        &self.full
    }

    /// Part of the cells that are full.
    pub fn share(&self) -> f64 {
        self.full.iter().filter(|&&full| full).count() as f64 / self.full.len() as f64
    }

    /// Whether the cell at `[x, y, z]` is full.
    pub fn is_full(&self, [x, y, z]: [usize; 3]) -> bool {
        self.full[(z * self.edge + y) * self.edge + x]
    }

    /// Decides for each cell `[x, y, z]`.
    #[cfg(test)]
    pub fn fill(&mut self, decide: impl Fn([usize; 3]) -> bool) {
        let edge = self.edge;
        for (n, full) in self.full.iter_mut().enumerate() {
            *full = decide([n % edge, n / edge % edge, n / edge / edge]);
        }
    }

    /// If the cell at distance `t` along `ray` is empty, where the ray leaves it.
    pub fn empty_until(&self, march: &March<'_>, ray: &Ray, t: f64) -> Option<f64> {
        let mut cell = [0; 3];
        let mut end = f64::INFINITY;
        for (k, cell) in cell.iter_mut().enumerate() {
            let (low, size) = (march.aabb[k], march.aabb[k + 3] - march.aabb[k]);
            let per_cell = size / self.edge as f64;
            let place = ray.origin[k] + t * ray.direction[k];
            let index = (((place - low) / per_cell) as usize).min(self.edge - 1);
            *cell = index;
            if ray.direction[k] != 0.0 {
                let ahead = if ray.direction[k] > 0.0 { index + 1 } else { index };
                let border = low + ahead as f64 * per_cell;
                end = end.min((border - ray.origin[k]) / ray.direction[k]);
            }
        }
        (!self.is_full(cell)).then_some(end)
    }

    /// Looks at cells after `step` steps: `density` gives densities per unit of length at positions,
    /// `[points, 3]`.
    pub fn update(
        &mut self,
        step: u64,
        aabb: &[f64; 6],
        length: f64,
        draws: &mut Draws,
        density: impl Fn(&Tensor) -> Tensor,
    ) {
        let cells = self.looked_at(step, draws);
        let edge = self.edge;
        let mut places = Vec::with_capacity(cells.len() * 3);
        for &cell in &cells {
            for (k, index) in
                [cell % edge, cell / edge % edge, cell / edge / edge].iter().enumerate()
            {
                let size = (aabb[k + 3] - aabb[k]) / edge as f64;
                places.push(aabb[k] + (*index as f64 + draws.unit()) * size);
            }
        }
        let places = Tensor::from_slice(&places).view([-1, 3]);
        let found = density(&places).to_device(Device::Cpu).to_kind(Kind::Float) * length;
        let found = Vec::<f32>::try_from(&found.contiguous()).unwrap_or_default();
        for (&cell, found) in cells.iter().zip(found) {
            self.values[cell] = (self.values[cell] * DECAY).max(found);
        }
        let sum: f64 = self.values.iter().map(|&value| f64::from(value)).sum();
        let limit = ((sum / self.values.len() as f64) as f32).min(THRESHOLD);
        for (full, &value) in self.full.iter_mut().zip(&self.values) {
            *full = value > limit;
        }
    }

    /// All cells at first, then a quarter of them at random and as many of those that are full; in
    /// order, so that neighbours are computed together.
    fn looked_at(&self, step: u64, draws: &mut Draws) -> Vec<usize> {
        let count = self.values.len();
        if step < ALL_UNTIL {
            return (0..count).collect();
        }
        let quarter = count / 4;
        let mut cells: Vec<usize> =
            (0..quarter).map(|_| draws.below(count as u64) as usize).collect();
        let full: Vec<usize> = (0..count).filter(|&cell| self.full[cell]).collect();
        match full.len() > quarter {
            true => {
                cells.extend((0..quarter).map(|_| full[draws.below(full.len() as u64) as usize]))
            }
            false => cells.extend(full),
        }
        cells.sort_unstable();
        cells.dedup();
        cells
    }

    /// Its state, for a checkpoint.
    pub fn state(&self) -> Vec<(String, Tensor)> {
        let full: Vec<u8> = self.full.iter().map(|&full| u8::from(full)).collect();
        vec![
            ("occupancy.values".to_owned(), Tensor::from_slice(&self.values)),
            ("occupancy.full".to_owned(), Tensor::from_slice(&full)),
        ]
    }

    /// As a checkpoint has it.
    ///
    /// # Errors
    /// If it is that of other cells.
    pub fn restore(&mut self, values: &Tensor, full: &Tensor) -> Result<()> {
        let values = Vec::<f32>::try_from(&values.view(-1))?;
        let full = Vec::<u8>::try_from(&full.view(-1))?;
        let count = self.values.len();
        ensure!(
            values.len() == count && full.len() == count,
            "the checkpoint's occupancy has {} cells, the configuration asks for {count}",
            values.len()
        );
        self.values = values;
        self.full = full.into_iter().map(|full| full != 0).collect();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_become_empty_where_nothing_is_and_full_again() {
        let aabb = [-1.0, -1.0, -1.0, 1.0, 1.0, 1.0];
        let mut occupancy = Occupancy::new(8);
        // A slab with z below 0.
        let slab = |places: &Tensor| places.select(1, 2).lt(0.0).to_kind(Kind::Double) * 50.0;
        let mut draws = Draws::new(1, 2);
        occupancy.update(0, &aabb, 0.01, &mut draws, slab);
        assert!((0..8).all(|z| occupancy.is_full([3, 4, z]) == (z < 4)));
        assert!((occupancy.share() - 0.5).abs() < 1e-12);
        let state = occupancy.state();
        let mut again = Occupancy::new(8);
        again.restore(&state[0].1, &state[1].1).unwrap();
        assert_eq!(again.cells(), occupancy.cells());
        assert!(Occupancy::new(4).restore(&state[0].1, &state[1].1).is_err());
        // The other half fills as soon as something is found there, also by some cells a time.
        for step in 0..200 {
            occupancy.update(1000 + step, &aabb, 0.01, &mut draws, |places| {
                places.select(1, 2).zeros_like() + 50.0
            });
        }
        assert!(occupancy.share() > 0.99);
    }
}
