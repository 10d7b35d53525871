//! The block of a lattice that is one process' own, of several that have cut it up.
//!
//! Points belong to the block in which they lie. Between two blocks the border is half way between
//! the samples on both sides, so that moved points find the samples around them in the block's own
//! and one layer of its neighbours' (the *halo*).

use std::ops::Range;
use std::str::FromStr;

use anyhow::{Result, bail, ensure};

use super::share::Share;

/// Samples that a block has at least along each axis.
const LEAST: usize = 2;

/// Into how many blocks each axis of a lattice is cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cuts {
    /// So that the blocks have little surface.
    Auto,
    /// Blocks along each axis, slowest first.
    Along(Vec<usize>),
}

/// One block of a lattice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subdomain {
    /// Samples of the lattice along each axis, slowest first.
    dims: Vec<usize>,
    /// Those of the block.
    own: Vec<Range<usize>>,
    /// Those that the block's values may depend on: with a halo.
    held: Vec<Range<usize>>,
}

impl FromStr for Cuts {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "auto" {
            return Ok(Self::Auto);
        }
        let counts = text.split(',').map(|count| count.trim().parse().ok().filter(|&n| n > 0));
        let counts: Option<Vec<usize>> = counts.collect();
        counts.map(Self::Along).ok_or_else(|| {
            "expected auto, or the number of blocks along each axis, slowest first, such as 4,2,1"
                .to_owned()
        })
    }
}

impl Cuts {
    /// The block of one of several processes.
    ///
    /// # Errors
    /// If there are not as many blocks as processes, or the lattice has too few samples for them.
    pub fn subdomain(&self, share: Share, dims: &[usize]) -> Result<Subdomain> {
        let along = match self {
            Self::Auto => fewest_cut(share.ranks, dims),
            Self::Along(along) => Some(along.clone()),
        };
        let given = match &along {
            Some(along) => format!("{along:?} blocks"),
            None => format!("{} blocks", share.ranks),
        };
        let fits = |along: &Vec<usize>| {
            along.len() == dims.len() && along.iter().zip(dims).all(|(&b, &n)| n / b >= LEAST)
        };
        let Some(along) = along.filter(fits) else {
            bail!(
                "--decompose: given {given} for fields of {dims:?}, expected a number for each axis \
                 that leaves each block {LEAST} samples or more along it"
            );
        };
        let blocks: usize = along.iter().product();
        ensure!(
            blocks == share.ranks,
            "--decompose: given {given}, which is one for each of {blocks} processes; there are {} \
             (mpirun -n {blocks} starts as many)",
            share.ranks
        );
        let mut rest = share.rank;
        let mut own: Vec<Range<usize>> = (along.iter().zip(dims).rev())
            .map(|(&count, &samples)| {
                let along = Share { rank: rest % count, ranks: count };
                rest /= count;
                along.range(samples)
            })
            .collect();
        own.reverse();
        Ok(Subdomain::new(dims, own))
    }
}

/// Blocks along each axis, as many as `ranks`, with the least surface between them; `None` if the
/// lattice has too few samples.
fn fewest_cut(ranks: usize, dims: &[usize]) -> Option<Vec<usize>> {
    let Some((&samples, rest)) = dims.split_first() else {
        return (ranks == 1).then(Vec::new);
    };
    let across = |along: &[usize]| -> f64 {
        let cut = along.iter().zip(dims).map(|(&b, &n)| (b - 1) as f64 / n as f64);
        cut.sum()
    };
    let counts = (1..=ranks).filter(|&b| ranks.is_multiple_of(b) && samples / b >= LEAST);
    let choices = counts.filter_map(|b| {
        let mut along = fewest_cut(ranks / b, rest)?;
        along.insert(0, b);
        Some(along)
    });
    // Slow axes first, where that is the same: blocks are whole runs of memory then.
    choices.reduce(|a, b| if across(&b) <= across(&a) { b } else { a })
}

impl Subdomain {
    /// The block of these samples of a lattice of `dims`, with a halo.
    pub fn new(dims: &[usize], own: Vec<Range<usize>>) -> Self {
        let halo = |(range, &samples): (&Range<usize>, &usize)| {
            range.start.saturating_sub(1)..(range.end + 1).min(samples)
        };
        let held = own.iter().zip(dims).map(halo).collect();
        Self { dims: dims.to_vec(), own, held }
    }

    /// The same block of a lattice of which nothing else is there.
    pub fn without_halo(self) -> Self {
        Self { held: self.own.clone(), ..self }
    }

    /// Where the block is, in `[-1, 1]`, along each axis, slowest first.
    pub fn bounds(&self) -> Vec<(f64, f64)> {
        (0..self.dims.len()).map(|axis| self.bounds_along(axis)).collect()
    }

    fn bounds_along(&self, axis: usize) -> (f64, f64) {
        let samples = self.dims[axis];
        let border = |sample: usize| match sample {
            0 => -1.0,
            n if n == samples => 1.0,
            n => (2 * n - 1) as f64 / (samples - 1) as f64 - 1.0,
        };
        (border(self.own[axis].start), border(self.own[axis].end))
    }

    /// Whether a place in `[-1, 1]`, x first, is the block's.
    pub fn contains(&self, place: &[f64]) -> bool {
        place.iter().rev().enumerate().all(|(axis, &x)| {
            let ((low, high), own) = (self.bounds_along(axis), &self.own[axis]);
            (own.start == 0 || low <= x) && (own.end == self.dims[axis] || x < high)
        })
    }

    /// Whether a sample of the lattice is the block's.
    pub fn owns(&self, sample: usize) -> bool {
        let mut rest = sample;
        let mut axes = self.dims.iter().zip(&self.own).rev();
        axes.all(|(&samples, own)| {
            let at = rest % samples;
            rest /= samples;
            own.contains(&at)
        })
    }

    /// Number of samples that are held.
    pub fn count(&self) -> usize {
        self.held.iter().map(Range::len).product()
    }

    /// Where a sample of the lattice is among those that are held; it must be one of them.
    #[inline]
    pub fn local(&self, sample: usize) -> usize {
        let (mut rest, mut local, mut stride) = (sample, 0, 1);
        for (&samples, held) in self.dims.iter().zip(&self.held).rev() {
            local += (rest % samples - held.start) * stride;
            stride *= held.len();
            rest /= samples;
        }
        local
    }

    /// Calls `see` with every run of samples that are held: from which one of the lattice on, how
    /// many.
    pub fn runs(&self, mut see: impl FnMut(usize, usize)) {
        let Some((fastest, slow)) = self.held.split_last() else { return };
        let rows: usize = slow.iter().map(Range::len).product();
        for row in 0..rows {
            let (mut rest, mut start, mut stride) = (row, fastest.start, self.dims[slow.len()]);
            for (held, &samples) in slow.iter().zip(&self.dims).rev() {
                start += (held.start + rest % held.len()) * stride;
                rest /= held.len();
                stride *= samples;
            }
            see(start, fastest.len());
        }
    }

    /// Leaves the points that are its own, `coords` being those of `points`.
    pub(super) fn keep(&self, points: &mut Vec<u32>, coords: &mut Vec<f64>) {
        let axes = self.dims.len();
        let own: Vec<usize> =
            (0..points.len()).filter(|n| self.contains(&coords[n * axes..][..axes])).collect();
        *coords = own.iter().flat_map(|n| coords[n * axes..][..axes].to_vec()).collect();
        *points = own.iter().map(|&n| points[n]).collect();
    }
}

impl std::fmt::Display for Subdomain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let parts: Vec<_> =
            self.own.iter().map(|own| format!("{}..{}", own.start, own.end)).collect();
        write!(f, "[{}] of {:?} samples", parts.join(", "), self.dims)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::lattice::Corners;
    use crate::data::{Draws, Places};

    fn all(cuts: &Cuts, ranks: usize, dims: &[usize]) -> Vec<Subdomain> {
        let of = |rank| cuts.subdomain(Share { rank, ranks }, dims).expect("a block");
        (0..ranks).map(of).collect()
    }

    #[test]
    fn blocks_have_little_surface() {
        let along = |ranks, dims: &[usize]| fewest_cut(ranks, dims);
        assert_eq!(along(8, &[64, 64, 64]), Some(vec![2, 2, 2]));
        assert_eq!(along(2, &[64, 64, 64]), Some(vec![2, 1, 1]), "the slowest");
        assert_eq!(along(4, &[16, 16, 256]), Some(vec![1, 1, 4]));
        assert_eq!(along(6, &[10, 40]), Some(vec![1, 6]));
        assert_eq!(along(7, &[3, 3, 3]), None, "too few samples");
        assert_eq!(along(1, &[5, 5]), Some(vec![1, 1]));
    }

    #[test]
    fn every_place_is_of_one_block_which_has_the_samples_around_it() {
        let dims = [7, 5, 9];
        let places = Places::Lattice(dims.to_vec());
        for (cuts, ranks) in [("3,2,4", 24), ("auto", 8), ("auto", 1), ("1,1,3", 3)] {
            let blocks = all(&cuts.parse().unwrap(), ranks, &dims);
            let mut draws = Draws::new(1, 2);
            let mut random = || draws.below(1 << 20) as f64 / f64::from(1 << 19) - 1.0;
            for n in 0..2000 {
                let mut place: Vec<f64> = (0..3).map(|_| random().clamp(-1.0, 1.0)).collect();
                if n < places.count() {
                    place.clear();
                    places.push(n, &mut place);
                }
                let owners: Vec<_> = blocks.iter().filter(|b| b.contains(&place)).collect();
                assert_eq!(owners.len(), 1, "{place:?}");
                if n < places.count() {
                    assert!(owners[0].owns(n));
                    assert_eq!(blocks.iter().filter(|b| b.owns(n)).count(), 1);
                }
                // Held samples count from 0 in the order of the lattice.
                let mut held = Vec::new();
                owners[0].runs(|start, count| held.extend(start..start + count));
                assert_eq!(held.len(), owners[0].count());
                let corners = Corners::around(&place, &dims);
                let index = |at: usize| {
                    assert_eq!(held[owners[0].local(at)], at);
                    at as f32
                };
                corners.interpolate(index, 1, 0);
            }
        }
    }

    #[test]
    fn points_are_kept_once_with_their_places() {
        let places = Places::Lattice(vec![4, 6]);
        let points: Vec<u32> = (0..48).map(|n| n * 7 % 24).collect();
        let mut coords = Vec::new();
        points.iter().for_each(|&point| places.push(point as usize, &mut coords));
        let mut kept = Vec::new();
        for block in all(&Cuts::Auto, 4, &[4, 6]) {
            let (mut points, mut coords) = (points.clone(), coords.clone());
            block.keep(&mut points, &mut coords);
            for (&point, at) in points.iter().zip(coords.chunks(2)) {
                let mut expected = Vec::new();
                places.push(point as usize, &mut expected);
                assert_eq!(at, expected);
            }
            kept.extend(points);
        }
        let mut expected = points;
        kept.sort_unstable();
        expected.sort_unstable();
        assert_eq!(kept, expected);
    }

    #[test]
    fn cuts_that_do_not_fit_are_refused() {
        let refused = |cuts: &str, ranks, dims: &[usize]| {
            let cuts: Cuts = cuts.parse().unwrap();
            cuts.subdomain(Share { rank: 0, ranks }, dims).unwrap_err().to_string()
        };
        assert!(refused("2,2,2", 4, &[8, 8, 8]).contains("there are 4 (mpirun -n 8"));
        assert!(refused("2,2", 4, &[8, 8, 8]).contains("a number for each axis"));
        assert!(refused("5,1,1", 5, &[8, 8, 8]).contains("2 samples or more"));
        assert!(
            refused("auto", 11, &[8, 8, 8]).contains("given 11 blocks for fields of [8, 8, 8]")
        );
        for text in ["", "2,0,1", "two", "2x1"] {
            assert!(text.parse::<Cuts>().is_err(), "{text}");
        }
    }
}
