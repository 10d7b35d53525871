//! The points that are asked: all over the domain in random order, or a lattice in memory order.
//! Coordinates are in [-1, 1], x first, packed.

use crate::machine::random::Random;

/// The order in which points are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Uniformly random: every point touches vertices that are in no cache.
    Random,
    /// A regular lattice, x fastest, z slowest.
    Lattice,
}

impl Order {
    /// Name in tables and files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Random => "random",
            Self::Lattice => "lattice",
        }
    }

    /// `count` points, `[count, 3]`; a lattice has a power of two of them.
    pub fn points(self, count: usize) -> Vec<f32> {
        match self {
            Self::Random => {
                let mut random = Random(count as u64);
                (0..3 * count).map(|_| random.coordinate()).collect()
            }
            Self::Lattice => lattice(lattice_shape(count)),
        }
    }
}

/// Points along x, y, z of the lattice of `count` points, a power of two.
pub fn lattice_shape(count: usize) -> [usize; 3] {
    let bits = count.ilog2();
    [bits + 2, bits + 1, bits].map(|bits| 1 << (bits / 3))
}

/// Position of lattice point `i` of `n` along an axis: the middle of its cell, so that points do not
/// fall onto vertices, where interpolation would be trivial.
pub fn lattice_coordinate(i: usize, n: usize) -> f32 {
    (2 * i + 1) as f32 / n as f32 - 1.0
}

fn lattice([nx, ny, nz]: [usize; 3]) -> Vec<f32> {
    let mut points = Vec::with_capacity(3 * nx * ny * nz);
    for z in 0..nz {
        for y in 0..ny {
            for x in 0..nx {
                points.extend([(x, nx), (y, ny), (z, nz)].map(|(i, n)| lattice_coordinate(i, n)));
            }
        }
    }
    points
}
