//! Which points of a batch a process computes, of several that share the batch.

use std::ops::Range;

use anyhow::{Result, bail};

use super::places::Places;
use super::subdomain::{Cuts, Subdomain};

/// One of several processes that share batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// Which of them, from 0.
    pub rank: usize,
    /// How many there are.
    pub ranks: usize,
}

/// How several processes share batches and data.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sharing {
    /// What of each batch one computes; of points that neighbours share, if there are no `cuts`.
    pub share: Share,
    /// How fields are cut up, so that each has a block of them.
    pub cuts: Option<Cuts>,
}

impl Sharing {
    /// The block of this process, if fields are cut up.
    ///
    /// # Errors
    /// If they cannot be.
    pub fn subdomain(&self, places: &Places) -> Result<Option<Subdomain>> {
        match (&self.cuts, places) {
            (None, _) => Ok(None),
            (Some(cuts), Places::Lattice(dims)) => cuts.subdomain(self.share, dims).map(Some),
            (Some(_), Places::Points(_)) => bail!(
                "--decompose cuts lattices up, the data are {places}: without it, processes share the                  points of each batch"
            ),
        }
    }
}

impl Default for Share {
    /// All of the batch.
    fn default() -> Self {
        Self { rank: 0, ranks: 1 }
    }
}

impl Share {
    /// Those of `count` things in a row that are its own.
    pub fn range(self, count: usize) -> Range<usize> {
        let end = |rank| (count as u128 * rank as u128 / self.ranks as u128) as usize;
        end(self.rank)..end(self.rank + 1)
    }

    /// Leaves the points that are its own in each of `lists` lists of equal lengths, `coords` being
    /// those of `points`. Neighbours stay together, so that processes refine few vertices twice.
    pub(super) fn keep(self, lists: usize, points: &mut Vec<u32>, coords: &mut Vec<f64>) {
        if self.ranks == 1 || points.is_empty() {
            return;
        }
        let (count, axes) = (points.len() / lists, coords.len() / points.len());
        let own = self.range(count);
        let mut kept = Vec::with_capacity(lists * own.len());
        for list in 0..lists {
            let mut order: Vec<usize> = (list * count..(list + 1) * count).collect();
            order.sort_by_cached_key(|&n| curve(&coords[n * axes..][..axes]));
            kept.extend_from_slice(&order[own.clone()]);
        }
        *coords = kept.iter().flat_map(|&n| coords[n * axes..][..axes].to_vec()).collect();
        *points = kept.iter().map(|&n| points[n]).collect();
    }
}

/// Where a place in `[-1, 1]` lies on Morton's curve, along which neighbours are mostly near each
/// other.
fn curve(place: &[f64]) -> u64 {
    // Finer than the vertices of grids are.
    const BITS: u32 = 10;
    let cell = |x: f64| ((x + 1.0) * 0.5 * f64::from(1 << BITS)) as u64;
    let cells = place.iter().map(|&x| cell(x).min((1 << BITS) - 1));
    let spread = |(axis, cell): (usize, u64)| {
        (0..BITS).map(|bit| (cell >> bit & 1) << (bit as usize * place.len() + axis)).sum::<u64>()
    };
    cells.enumerate().map(spread).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_even_and_all_there_is() {
        for (count, ranks) in [(0, 3), (10, 1), (10, 3), (4096, 7), (3, 3)] {
            let ranges: Vec<_> =
                (0..ranks).map(|rank| Share { rank, ranks }.range(count)).collect();
            assert_eq!((ranges[0].start, ranges[ranks - 1].end), (0, count));
            assert!(ranges.windows(2).all(|pair| pair[0].end == pair[1].start));
            let lengths: Vec<_> = ranges.iter().map(Range::len).collect();
            assert!(lengths.iter().max() <= lengths.iter().min().map(|n| n + 1).as_ref());
        }
    }

    #[test]
    fn every_point_is_kept_once_with_its_place() {
        // Two lists of eight corners of a square lattice, and some of them twice.
        let points: Vec<u32> = (0..32).map(|n| n * 7 % 16).collect();
        let place =
            |point: u32| [f64::from(point % 4) / 2.0 - 0.9, f64::from(point / 4) / 2.0 - 0.9];
        let coords: Vec<f64> = points.iter().flat_map(|&point| place(point)).collect();
        let mut all = [Vec::new(), Vec::new()];
        for rank in 0..4 {
            let (mut points, mut coords) = (points.clone(), coords.clone());
            Share { rank, ranks: 4 }.keep(2, &mut points, &mut coords);
            assert_eq!((points.len(), coords.len()), (8, 16));
            for (n, (&point, at)) in points.iter().zip(coords.chunks(2)).enumerate() {
                assert_eq!(at, place(point));
                all[n / 4].push(point);
            }
            // A quarter of the square.
            let high = |axis: usize| coords.iter().skip(axis).step_by(2).any(|&x| x > 0.0);
            let low = |axis: usize| coords.iter().skip(axis).step_by(2).any(|&x| x < 0.0);
            assert!((0..2).all(|axis| high(axis) != low(axis)), "{coords:?}");
        }
        for (found, list) in all.iter_mut().zip(points.chunks(16)) {
            let mut list = list.to_vec();
            found.sort_unstable();
            list.sort_unstable();
            assert_eq!(*found, list);
        }
    }

    #[test]
    fn one_process_keeps_all_as_it_is() {
        let (mut points, mut coords) = (vec![3, 1, 2], vec![0.3, 0.1, 0.2]);
        Share::default().keep(1, &mut points, &mut coords);
        assert_eq!((points, coords), (vec![3, 1, 2], vec![0.3, 0.1, 0.2]));
    }
}
