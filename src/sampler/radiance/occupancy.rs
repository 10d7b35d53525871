//! Which cells of the domain hold anything, and how far a ray can go without a look at them.

use crate::model::Model;

/// Cells of a block along each axis.
const BLOCK: usize = 8;

/// Blocks of cells that hold nothing at all are passed at once: what is known of them, made when a
/// picture is first asked for.
pub struct Blocks {
    /// Per axis, x first.
    shape: [usize; 3],
    is_occupied: Vec<bool>,
}

/// The occupancy of a radiance field.
#[derive(Clone, Copy)]
pub struct Occupancy<'a> {
    bits: &'a [u8],
    /// Cells per axis, x first.
    shape: [usize; 3],
    blocks: &'a Blocks,
}

impl Blocks {
    /// Looks at all cells; nothing of a model that does not say where it is empty.
    pub fn new(model: &Model) -> Self {
        let Some((bits, shape)) = cells(model) else {
            return Self { shape: [0; 3], is_occupied: Vec::new() };
        };
        let blocks = shape.map(|size| size.div_ceil(BLOCK));
        let mut is_occupied = vec![false; blocks.iter().product()];
        for (byte, &eight) in bits.iter().enumerate().filter(|&(_, &eight)| eight != 0) {
            for bit in (0..8).filter(|bit| eight >> bit & 1 == 1) {
                let cell = 8 * byte + bit;
                let at = [cell % shape[0], cell / shape[0] % shape[1], cell / shape[0] / shape[1]];
                is_occupied[number(at.map(|k| k / BLOCK), blocks)] = true;
            }
        }
        Self { shape: blocks, is_occupied }
    }

    /// For each block, x fastest, 1 if anything may be in it.
    pub fn bytes(&self) -> Vec<u8> {
        self.is_occupied.iter().map(|&is_occupied| is_occupied.into()).collect()
    }
}

impl<'a> Occupancy<'a> {
    /// None if all of the domain may hold something.
    pub fn new(model: &'a Model, blocks: &'a Blocks) -> Option<Self> {
        cells(model).map(|(bits, shape)| Self { bits, shape, blocks })
    }

    /// How far a ray that moves by `slope` per unit of length can go from `x`, normalised, without
    /// meeting anything; none if something may be there.
    pub fn clearance(&self, x: [f64; 3], slope: [f64; 3]) -> Option<f64> {
        let cell: [usize; 3] = std::array::from_fn(|k| {
            let size = self.shape[k];
            // In range where rounding put it on the border or beyond.
            (((x[k] + 1.0) * 0.5 * size as f64) as usize).min(size - 1)
        });
        let block = cell.map(|k| k / BLOCK);
        let size = if !self.blocks.is_occupied[number(block, self.blocks.shape)] {
            BLOCK
        } else if !self.is_occupied(cell) {
            1
        } else {
            return None;
        };
        let mut least = f64::INFINITY;
        for k in 0..3 {
            let low = cell[k] / size * size;
            let wall = match slope[k] {
                0.0 => continue,
                slope if slope > 0.0 => low + size,
                _ => low,
            };
            let wall = 2.0 * (wall as f64 / self.shape[k] as f64) - 1.0;
            least = least.min((wall - x[k]) / slope[k]);
        }
        Some(least)
    }

    fn is_occupied(&self, cell: [usize; 3]) -> bool {
        let number = number(cell, self.shape);
        self.bits[number / 8] >> (number % 8) & 1 == 1
    }
}

/// All cells, and how many there are per axis, x first.
fn cells(model: &Model) -> Option<(&[u8], [usize; 3])> {
    let [z, y, x] = model.spec().radiance.as_ref()?.occupancy?;
    Some((model.occupancy()?, [x, y, z]))
}

/// x fastest.
fn number([x, y, z]: [usize; 3], shape: [usize; 3]) -> usize {
    (z * shape[1] + y) * shape[0] + x
}
