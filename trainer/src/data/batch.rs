//! Training batches: which members and points a step sees, with coordinates and targets.
//!
//! A batch depends on the seed and the step alone, so that a resumed training goes on exactly.

use anyhow::{Result, anyhow, bail};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::ensemble::Ensemble;

/// How batches are drawn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchPlan {
    /// Seed of all batches.
    pub seed: u64,
    /// Members in a batch; no more than there are training members.
    pub members_per_batch: usize,
    /// Points of each member in a batch.
    pub points_per_batch: usize,
    /// Whether all members of a batch are seen at the same points.
    pub shared_points: bool,
}

/// One batch. Arrays are row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// Indices into [`Ensemble::members`].
    pub members: Vec<usize>,
    /// Indices of lattice points: `[points]` if shared, else `[members, points]`.
    pub points: Vec<u32>,
    /// Coordinates of `points` in `[-1, 1]`, x, y (, z) for each.
    pub coords: Vec<f64>,
    /// Normalised values, `[members, points, values]`.
    pub targets: Vec<f32>,
    /// Normalised parameters, `[members, parameters]`.
    pub conds: Vec<f32>,
}

/// Streams of the generator: steps count from 0, epochs from here.
const EPOCHS: u64 = 1 << 63;

impl BatchPlan {
    /// Checks that batches can be drawn from `ensemble`; returns what will differ from the plan.
    ///
    /// # Errors
    /// Empty batches, batches beyond memory, no training members, or more lattice points than
    /// indices.
    pub fn check(&self, ensemble: &Ensemble) -> Result<Vec<String>> {
        let available = ensemble.train().count();
        if self.members_per_batch == 0 || self.points_per_batch == 0 {
            bail!(
                "a batch of {} members x {} points is empty",
                self.members_per_batch,
                self.points_per_batch
            );
        }
        if available == 0 {
            bail!("no training members to draw batches from");
        }
        let numbers = available
            .min(self.members_per_batch)
            .checked_mul(self.points_per_batch)
            .and_then(|points| points.checked_mul(ensemble.dims.len() + ensemble.values.len()));
        if !numbers.is_some_and(fits_memory) {
            bail!(
                "a batch of {} members x {} points does not fit into memory: lower --batch-points",
                self.members_per_batch,
                self.points_per_batch
            );
        }
        u32::try_from(ensemble.points()).map_err(|_| {
            anyhow!("a lattice of {:?} has more points than a batch can index, 2^32", ensemble.dims)
        })?;
        let mut notes = Vec::new();
        if self.members_per_batch > available {
            notes.push(format!(
                "batches have {available} members, all there are for training, instead of {}",
                self.members_per_batch
            ));
        }
        Ok(notes)
    }

    /// The batch of `step`.
    ///
    /// Members come from shuffled rounds through all training members, so that each is seen
    /// equally often (one that ends a round and begins the next may stand in a batch twice);
    /// points are drawn independently. `ensemble` must have passed
    /// [`check`](Self::check); one without training members gives an empty batch.
    pub fn batch(&self, step: u64, ensemble: &Ensemble) -> Batch {
        let members = self.members(step, ensemble);
        let lists = if self.shared_points { 1 } else { members.len() };
        let mut rng = self.stream(step);
        let total = ensemble.points() as u64;
        let points: Vec<u32> =
            (0..lists * self.points_per_batch).map(|_| below(&mut rng, total) as u32).collect();
        let mut coords = Vec::with_capacity(points.len() * ensemble.dims.len());
        for &point in &points {
            push_coordinates(&ensemble.dims, point as usize, &mut coords);
        }
        let conds = members.iter().flat_map(|&member| &ensemble.members[member].normalized);
        Batch {
            targets: self.targets(&members, &points, ensemble),
            conds: conds.copied().collect(),
            members,
            points,
            coords,
        }
    }

    /// Values that a step of this plan compares: members times points.
    pub fn points_per_step(&self, ensemble: &Ensemble) -> usize {
        self.members_per_batch.min(ensemble.train().count()) * self.points_per_batch
    }

    fn members(&self, step: u64, ensemble: &Ensemble) -> Vec<usize> {
        let all: Vec<usize> = ensemble.train().collect();
        if all.is_empty() {
            return all;
        }
        let size = self.members_per_batch.min(all.len());
        // Batches follow each other through the rounds, so one may span two of them, no more.
        let start = u128::from(step) * size as u128;
        let round = (start / all.len() as u128) as u64;
        let offset = (start % all.len() as u128) as usize;
        let mut drawn = self.shuffled(round, &all);
        drawn.drain(..offset);
        if drawn.len() < size {
            drawn.extend(self.shuffled(round + 1, &all));
        }
        drawn.truncate(size);
        drawn
    }

    /// Fisher-Yates.
    fn shuffled(&self, round: u64, all: &[usize]) -> Vec<usize> {
        let mut rng = self.stream(EPOCHS.wrapping_add(round));
        let mut order = all.to_vec();
        for last in (1..order.len()).rev() {
            order.swap(last, below(&mut rng, last as u64 + 1) as usize);
        }
        order
    }

    fn targets(&self, members: &[usize], points: &[u32], ensemble: &Ensemble) -> Vec<f32> {
        let (width, per_member) = (ensemble.values.len(), self.points_per_batch);
        let mut targets = Vec::with_capacity(members.len() * per_member * width);
        for (row, &member) in members.iter().enumerate() {
            let list = if self.shared_points { 0 } else { row };
            for &point in &points[list * per_member..(list + 1) * per_member] {
                let at = point as usize * width;
                targets.extend_from_slice(&ensemble.fields[member][at..at + width]);
            }
        }
        targets
    }

    fn stream(&self, stream: u64) -> ChaCha8Rng {
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&self.seed.to_le_bytes());
        let mut rng = ChaCha8Rng::from_seed(seed);
        rng.set_stream(stream);
        rng
    }
}

/// Whether this machine might have room for so many numbers of 64 bits.
fn fits_memory(numbers: usize) -> bool {
    Vec::<f64>::new().try_reserve_exact(numbers).is_ok()
}

/// The coordinates of all points of a lattice in index order, `[points, dims]`; see
/// [`push_coordinates`].
pub fn lattice_points(dims: &[usize]) -> Vec<f64> {
    let count = dims.iter().product();
    let mut coords = Vec::with_capacity(count * dims.len());
    (0..count).for_each(|index| push_coordinates(dims, index, &mut coords));
    coords
}

/// Appends the coordinates of lattice point `index` of `dims` (`[D, H, W]` or `[H, W]`): x first,
/// -1 at the first sample of an axis and 1 at its last, computed in double precision. Each axis
/// has at least 2 samples.
pub fn push_coordinates(dims: &[usize], index: usize, coords: &mut Vec<f64>) {
    let mut rest = index;
    for &n in dims.iter().rev() {
        coords.push(2.0 * (rest % n) as f64 / (n - 1) as f64 - 1.0);
        rest /= n;
    }
}

/// A number below `bound`, by multiplication: fixed here because a resumed training must draw the
/// same, also after an upgrade of the random number library.
fn below(rng: &mut ChaCha8Rng, bound: u64) -> u64 {
    ((u128::from(rng.next_u64()) * u128::from(bound)) >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Member, Normalization, Split, Value};

    /// `count` training members on a 2 x 3 x 5 lattice, two values a point, and one held out.
    fn ensemble(count: usize) -> Ensemble {
        let member = |m: usize| Member {
            name: m.to_string(),
            file: m.to_string().into(),
            split: if m == 1 { Split::Test } else { Split::Train },
            parameters: vec![m as f64],
            normalized: vec![m as f32 / count as f32],
        };
        let value = |name: &str| Value { name: name.to_owned(), unit: String::new() };
        Ensemble {
            axes: Vec::new(),
            dims: vec![2, 3, 5],
            parameters: Vec::new(),
            values: vec![value("u"), value("v")],
            members: (0..=count).map(member).collect(),
            normalization: Normalization { min: 0.0, max: 1.0, log: false },
            fields: (0..=count).map(|m| (0..60).map(|i| (100 * m + i) as f32).collect()).collect(),
            notes: Vec::new(),
        }
    }

    fn plan(members: usize, points: usize, shared_points: bool) -> BatchPlan {
        BatchPlan { seed: 7, members_per_batch: members, points_per_batch: points, shared_points }
    }

    #[test]
    fn batches_depend_on_seed_and_step_only() {
        let (ensemble, plan) = (ensemble(6), plan(3, 5, false));
        let batch = plan.batch(1000, &ensemble);
        assert_eq!(batch, plan.clone().batch(1000, &ensemble));
        assert_ne!(batch.points, plan.batch(1001, &ensemble).points);
        assert_ne!(batch.points, BatchPlan { seed: 8, ..plan }.batch(1000, &ensemble).points);
        // Fixed for good: a resumed training must draw what it would have drawn.
        assert_eq!(batch.members, [3, 4, 5]);
        assert_eq!(batch.points[..4], [19, 8, 24, 27]);
    }

    #[test]
    fn batches_hold_what_they_say() {
        let ensemble = ensemble(4);
        for shared in [false, true] {
            let plan = plan(2, 300, shared);
            let batch = plan.batch(3, &ensemble);
            assert_eq!(batch.points.len(), if shared { 300 } else { 600 });
            assert_eq!(batch.coords.len(), batch.points.len() * 3);
            assert_eq!((batch.targets.len(), plan.points_per_step(&ensemble)), (1200, 600));
            assert!((0..30).all(|point| batch.points.contains(&point)));
            for (i, target) in batch.targets.chunks(2).enumerate() {
                let field = &ensemble.fields[batch.members[i / 300]];
                let at = batch.points[if shared { i % 300 } else { i }] as usize * 2;
                assert_eq!(target, &field[at..at + 2]);
            }
            let normalized = |m: &usize| ensemble.members[*m].normalized[0];
            let expected: Vec<_> = batch.members.iter().map(normalized).collect();
            assert_eq!(batch.conds, expected);
        }
    }

    #[test]
    fn coordinates_are_x_first() {
        let points = lattice_points(&[2, 3, 5]);
        assert_eq!(points.len(), 90);
        assert_eq!(points[..6], [-1.0, -1.0, -1.0, -0.5, -1.0, -1.0]);
        assert_eq!(points[14 * 3..15 * 3], [1.0, 1.0, -1.0]);
        let third = 2.0 / 3.0 - 1.0;
        assert_eq!(lattice_points(&[3, 4])[10..12], [third, 0.0]);
    }

    #[test]
    fn members_are_seen_equally_often_and_never_held_out_ones() {
        let ensemble = ensemble(7);
        for size in [1, 3, 7, 50] {
            let plan = plan(size, 1, true);
            let notes = plan.check(&ensemble).unwrap();
            assert_eq!(notes.is_empty(), size <= 7, "{notes:?}");
            let mut counts = [0; 8];
            let batches: Vec<_> = (0..70).map(|step| plan.batch(step, &ensemble).members).collect();
            for members in &batches {
                assert_eq!(members.len(), size.min(7));
                members.iter().for_each(|&member| counts[member] += 1);
            }
            let often = 10 * size.min(7);
            assert_eq!(counts, [often, 0, often, often, often, often, often, often]);
            assert!(batches.windows(2).any(|pair| pair[0] != pair[1]), "rounds are shuffled");
        }
    }

    #[test]
    fn plans_that_cannot_work_are_refused() {
        let mut ensemble = ensemble(3);
        let refused = |plan: BatchPlan, ensemble: &Ensemble| {
            plan.check(ensemble).expect_err("an error").to_string()
        };
        assert!(refused(plan(2, 0, false), &ensemble).contains("is empty"));
        ensemble.members.iter_mut().for_each(|member| member.split = Split::Test);
        assert!(refused(plan(2, 1, false), &ensemble).contains("no training members"));
        assert!(plan(2, 1, false).batch(0, &ensemble).targets.is_empty());
        ensemble.members[0].split = Split::Train;
        ensemble.dims = vec![1 << 20, 1 << 20];
        assert!(refused(plan(2, 1, false), &ensemble).contains("2^32"));
    }
}
