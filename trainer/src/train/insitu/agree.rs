//! What processes that train together have to agree on: whether each did its part, that they were
//! given the same, that their blocks make up the lattice, that they learn from the same members.

use super::asked::{Asked, Options};
use super::failure::{Failure, Kind, Outcome};
use super::members::shown;
use super::together::{Carrier, together};
use super::{InSitu, Limits};
use crate::bake::Description;
use crate::data::Statistics;
use crate::data::given::Span;
use crate::train::schedule::Schedule;

/// Collective: what this process did, if all of them did theirs.
pub fn agree<T>(threads: u32, carrier: Option<&dyn Carrier>, mine: Outcome<T>) -> Outcome<T> {
    let failed = mine.is_err();
    if carrier.is_none() || !together(threads, carrier, None, |ranks, _| Ok(ranks.any(failed)))? {
        return mine;
    }
    // Whoever failed says why.
    mine.and(Err(Failure::new(
        Kind::Communication,
        "another process of those that train together could not do its part: it has the reason",
    )))
}

/// Collective: checks that all processes were given the same, and blocks that make up the lattice.
pub fn check_same(options: &Options, carrier: Option<&dyn Carrier>, asked: &Asked) -> Outcome<()> {
    let Some(carrier) = carrier else {
        return match &asked.ensemble.subdomain {
            None => Ok(()),
            Some(_) => Err(Failure::argument(format!(
                "the block of this process, {}, is not all of the lattice, and there is no communicator \
                 that reaches processes with the rest",
                shown(&asked.own)
            ))),
        };
    };
    let description = Description::of(&asked.ensemble);
    let said = format!("{} {description:?} {:?}", asked.entry, options.keep);
    let Span { offset, extent } = asked.own;
    let mut mine = vec![f64::from(crc32fast::hash(said.as_bytes()))];
    mine.extend(offset.iter().chain(&extent).map(|&n| n as f64));
    let (sent, threads) = (mine.clone(), options.threads);
    let all = together(threads, Some(carrier), None, move |ranks, _| Ok(ranks.all(&sent)))?;
    if let Some(rank) = all.iter().position(|theirs| theirs[0] != mine[0]) {
        return Err(Failure::argument(format!(
            "process {rank} of those that train together was given another configuration, other data \
             or other options than process {}",
            carrier.rank()
        )));
    }
    let span = |numbers: &Vec<f64>| {
        let three = |from: usize| std::array::from_fn(|k| numbers[from + k] as usize);
        Span { offset: three(1), extent: three(4) }
    };
    check_blocks(&all.iter().map(span).collect::<Vec<_>>(), asked.ensemble.points())
}

/// Checks that blocks, one of each process, make up a lattice of so many points.
fn check_blocks(blocks: &[Span], points: usize) -> Outcome<()> {
    for (rank, block) in blocks.iter().enumerate() {
        if let Some(other) = blocks[..rank].iter().position(|other| other.overlaps(block)) {
            return Err(Failure::argument(format!(
                "the block of process {rank}, {}, overlaps that of process {other}, {}: each lattice \
                 point belongs to one",
                shown(block),
                shown(&blocks[other])
            )));
        }
    }
    let given: usize = blocks.iter().map(Span::points).sum();
    match given < points {
        false => Ok(()),
        true => Err(Failure::argument(format!(
            "the blocks of the {} processes have {given} of the lattice's {points} points together",
            blocks.len()
        ))),
    }
}

impl InSitu {
    /// Collective: what this process did, if all of them did theirs.
    pub(super) fn agree<T>(&self, mine: Outcome<T>) -> Outcome<T> {
        agree(self.threads, self.carrier.as_deref(), mine)
    }

    /// Collective: checks that all processes learn from the same members, and are to make the same steps.
    pub(super) fn check_same_steps(&self, limits: Limits) -> Outcome<()> {
        let Some(carrier) = self.carrier.as_deref() else { return Ok(()) };
        let mut checksum = crc32fast::Hasher::new();
        for member in &self.learner.subject.ensemble().members {
            checksum.update(member.name.as_bytes());
            member.parameters.iter().for_each(|x| checksum.update(&x.to_le_bytes()));
        }
        let members = [self.members.seen() as f64, f64::from(checksum.finalize())];
        let Schedule { begin, steps, .. } = self.settings.schedule;
        let time = limits.time.map_or(0.0, |time| time.as_secs_f64());
        let asked = [limits.steps as f64, time, begin as f64, steps as f64];
        let mine = [&members[..], &asked].concat();
        let all =
            together(self.threads, Some(carrier), None, move |ranks, _| Ok(ranks.all(&mine)))?;
        let Some(other) = all.iter().find(|theirs| theirs[..] != all[0][..]) else { return Ok(()) };
        if other[..2] == all[0][..2] {
            return Err(Failure::argument(format!(
                "the processes that train together were asked for different steps (at most {} in one, {} \
                 in another), seconds ({}, {}), or annealing",
                all[0][2], other[2], all[0][3], other[3]
            )));
        }
        Err(Failure::new(
            Kind::NotReady,
            format!(
                "the processes that train together have different members ({} were complete in one, {} \
                 in another): each gives its block of the same ones, in the same order",
                all[0][0], other[0]
            ),
        ))
    }

    /// Collective: of the values that all processes have seen.
    pub(super) fn joined_statistics(&self) -> Outcome<Statistics> {
        let mine = self.statistics.numbers();
        let all = together(self.threads, self.carrier.as_deref(), None, move |ranks, _| {
            Ok(ranks.all(&mine))
        })?;
        let mut joined = Statistics::NONE;
        for numbers in all {
            let numbers = numbers.try_into().unwrap_or(Statistics::NONE.numbers());
            joined.join(&Statistics::of_numbers(numbers));
        }
        Ok(joined)
    }
}
