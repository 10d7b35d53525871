//! Members that come in blocks, and which of those that are complete stay.

use anyhow::{Result, ensure};

use super::failure::{Failure, Kind, Outcome};
use crate::data::Draws;
use crate::data::given::{Block, Release, Span, Values};

/// Which complete members are kept to learn from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Keep {
    /// All of them.
    #[default]
    All,
    /// So many, each of those that came being among them with the same probability (Vitter 1985,
    /// algorithm R).
    Reservoir(usize),
    /// The last so many.
    Latest(usize),
}

/// What becomes of the memory of a block.
pub enum Memory {
    /// It is copied; nobody looks at it any more.
    Copied,
    /// It is looked at until the member goes, which is said then if asked for.
    Borrowed(Option<Release>),
}

/// Where a complete member goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Behind the others.
    Last,
    /// In the place of another.
    Of(usize),
    /// Behind the others, of which the first goes.
    LastWithoutFirst,
    /// Nowhere.
    Nowhere,
}

/// Members on their way.
pub struct Members {
    keep: Keep,
    seed: u64,
    /// `[z, y, x]`
    dims: [usize; 3],
    width: usize,
    seen: u64,
    /// Those of them that were forgotten.
    forgotten: u64,
    pending: Vec<Pending>,
}

/// A member of which blocks are missing.
struct Pending {
    parameters: Vec<f64>,
    spans: Vec<Span>,
    values: Values,
    left: usize,
}

/// Streams of the generator by which a reservoir decides; members count from 1.
const RESERVOIR: u64 = 5 << 60;

impl Keep {
    /// Where the member `seen`, counted from 1, goes.
    pub fn place(self, seen: u64, seed: u64) -> Place {
        let full = |capacity: usize| seen > capacity as u64;
        match self {
            Self::Reservoir(capacity) if full(capacity) => {
                let drawn = Draws::new(seed, RESERVOIR + seen).below(seen);
                match usize::try_from(drawn) {
                    Ok(place) if place < capacity => Place::Of(place),
                    _ => Place::Nowhere,
                }
            }
            Self::Latest(capacity) if full(capacity) => Place::LastWithoutFirst,
            _ => Place::Last,
        }
    }
}

impl Members {
    /// None yet.
    pub fn new(keep: Keep, seed: u64, dims: [usize; 3], width: usize) -> Self {
        Self { keep, seed, dims, width, seen: 0, forgotten: 0, pending: Vec::new() }
    }

    /// Complete members so far.
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// Members of which blocks are missing.
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Bytes of the copies in them.
    pub fn copied_bytes(&self) -> usize {
        self.pending.iter().map(|pending| pending.values.copied_bytes()).sum()
    }

    /// Takes a block, copied or as it is; the member's values if it is complete now.
    ///
    /// # Errors
    /// If the block leaves the lattice, overlaps another one of the member, or cannot be copied.
    pub fn add(
        &mut self,
        parameters: &[f64],
        block: Block,
        memory: Memory,
    ) -> Outcome<Option<Values>> {
        let span = *block.span();
        check_inside(&span, self.dims)?;
        let bits = |values: &[f64]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
        let wanted = bits(parameters);
        let found = self.pending.iter().position(|pending| bits(&pending.parameters) == wanted);
        let index = found.unwrap_or(self.pending.len());
        if let Some(pending) = self.pending.get(index)
            && let Some(other) = pending.spans.iter().find(|other| other.overlaps(&span))
        {
            return Err(Failure::argument(format!(
                "the block {} overlaps the block {} of the same member, which is not complete yet \
                 ({} points are missing)",
                shown(&span),
                shown(other),
                pending.left
            )));
        }
        let mut fresh = Pending {
            parameters: parameters.to_vec(),
            spans: Vec::new(),
            values: Values::none(self.dims, self.width),
            left: self.dims.iter().product(),
        };
        let pending = self.pending.get_mut(index).unwrap_or(&mut fresh);
        match memory {
            Memory::Copied => pending.values.copy(&block)?,
            Memory::Borrowed(release) => pending.values.lend(block.with_release(release)),
        }
        pending.spans.push(span);
        pending.left -= span.points();
        if found.is_none() {
            self.pending.push(fresh);
        }
        if self.pending[index].left > 0 {
            return Ok(None);
        }
        Ok(Some(self.pending.remove(index).values))
    }

    /// Counts a complete member; where it goes.
    pub fn place(&mut self) -> Place {
        self.seen += 1;
        self.keep.place(self.seen - self.forgotten, self.seed)
    }

    /// Begins anew with the policy: none of those that came are there any more.
    pub fn forget(&mut self) {
        self.forgotten = self.seen;
    }

    /// Forgets the blocks of members that are not complete; how many members those were.
    pub fn forget_pending(&mut self) -> usize {
        std::mem::take(&mut self.pending).len()
    }
}

/// Checks that a box has points, all of them in a lattice.
///
/// # Errors
/// If it does not.
pub fn check_inside(span: &Span, dims: [usize; 3]) -> Result<()> {
    for k in 0..3 {
        let (offset, extent) = (span.offset[k], span.extent[k]);
        let end = offset.checked_add(extent);
        ensure!(
            extent > 0 && end.is_some_and(|end| end <= dims[k]),
            Failure::new(
                Kind::InvalidArgument,
                format!(
                    "the block {} does not fit: axis {} has {} points",
                    shown(span),
                    ["x", "y", "z"][2 - k],
                    dims[k]
                )
            )
        );
    }
    Ok(())
}

/// For people, x first.
pub fn shown(span: &Span) -> String {
    let reversed = |[z, y, x]: [usize; 3]| [x, y, z];
    format!("of {:?} points from {:?} (x first)", reversed(span.extent), reversed(span.offset))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers of the members that are kept of `count`.
    fn kept(keep: Keep, seed: u64, count: u64) -> Vec<u64> {
        let mut kept = Vec::new();
        for seen in 1..=count {
            match keep.place(seen, seed) {
                Place::Last => kept.push(seen),
                Place::Of(place) => kept[place] = seen,
                Place::LastWithoutFirst => {
                    kept.remove(0);
                    kept.push(seen);
                }
                Place::Nowhere => {}
            }
        }
        kept
    }

    #[test]
    fn what_is_kept_follows_the_policy() {
        assert_eq!(kept(Keep::All, 1, 5), [1, 2, 3, 4, 5]);
        assert_eq!(kept(Keep::Latest(3), 1, 5), [3, 4, 5]);
        assert_eq!(kept(Keep::Reservoir(5), 1, 5), [1, 2, 3, 4, 5]);
        let reservoir = kept(Keep::Reservoir(5), 1, 100);
        assert_eq!(reservoir, kept(Keep::Reservoir(5), 1, 100), "the same again");
        assert_ne!(reservoir, kept(Keep::Reservoir(5), 2, 100), "another seed");
        assert_eq!(reservoir.len(), 5);
    }

    #[test]
    fn every_member_stays_in_a_reservoir_equally_often() {
        let (capacity, count, seeds) = (4, 20u64, 4000);
        let mut times = [0u32; 20];
        for seed in 0..seeds {
            let kept = kept(Keep::Reservoir(capacity), seed, count);
            kept.iter().for_each(|&member| times[member as usize - 1] += 1);
        }
        // Each with probability 0.2: 800 times, standard deviation 25.
        assert!(times.iter().all(|&n| (675..925).contains(&n)), "{times:?}");
    }
}
