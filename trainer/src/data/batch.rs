//! Training batches: which members and points a step sees, with coordinates and targets.
//!
//! A batch depends on the seed and the step alone, so that a resumed training goes on exactly.

use std::sync::Arc;

use anyhow::{Result, anyhow, bail};

use super::blocks;
use super::draws::Draws;
use super::ensemble::Ensemble;
use super::importance::Importance;
use super::kriging::VirtualMembers;
use super::pairs::{Blend, Pairs};
use super::rotation::{Rotation, shuffled};
use super::samples::Field;
use super::share::Share;

/// How batches are drawn.
#[derive(Debug, Clone, PartialEq)]
pub struct BatchPlan {
    /// Seed of all batches.
    pub seed: u64,
    /// Members in a batch; no more than there are training members.
    pub members_per_batch: usize,
    /// Points of each member in a batch.
    pub points_per_batch: usize,
    /// Whether all members of a batch are seen at the same points.
    pub shared_points: bool,
    /// Points of a lattice are drawn in blocks of so many samples along each axis; 1: independently.
    pub block: usize,
    /// Which members are seen at a time, where not all are in memory.
    pub rotation: Option<Rotation>,
    /// Noise on points and parameters.
    pub pairs: Pairs,
    /// Members of a batch that stand where no simulation was.
    pub virtual_members: Option<Arc<VirtualMembers>>,
    /// How much more often some members and points are drawn than others.
    pub importance: Arc<Importance>,
    /// Which points of a batch this process computes.
    pub share: Share,
}

/// One batch. Arrays are row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// Indices into [`Ensemble::members`].
    pub members: Vec<usize>,
    /// Indices of places: `[points]` if shared, else `[members, points]`.
    pub points: Vec<u32>,
    /// Coordinates of `points` in `[-1, 1]`, x, y (, z) for each; moved, if there is noise on them.
    pub coords: Vec<f64>,
    /// Normalised values, `[members, points, values]`.
    pub targets: Vec<f32>,
    /// Normalised parameters, `[members, parameters]`; moved, if there is noise on them.
    pub conds: Vec<f32>,
}

/// Stream of the generator from which members are drawn by importance; steps count from 0.
const DRAWN_MEMBERS: u64 = 1 << 62;

impl BatchPlan {
    /// Checks that batches can be drawn from `ensemble`; returns what will differ from the plan.
    ///
    /// # Errors
    /// Empty batches, batches beyond memory, no training members, or more points than indices.
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
        if self.points_per_batch < self.share.ranks {
            bail!(
                "batches of {} points are fewer than the {} processes that share them: raise \
                 --batch-points, or start fewer",
                self.points_per_batch,
                self.share.ranks
            );
        }
        let numbers = available
            .min(self.members_per_batch)
            .checked_mul(self.points_per_batch)
            .and_then(|points| points.checked_mul(ensemble.places.axes() + ensemble.values.len()));
        if !numbers.is_some_and(fits_memory) {
            bail!(
                "a batch of {} members x {} points does not fit into memory: lower --batch-points",
                self.members_per_batch,
                self.points_per_batch
            );
        }
        if let Some(rotation) = &self.rotation {
            self.check_rotation(rotation, available)?;
        }
        if ensemble.subdomain.is_some() {
            self.check_subdomain()?;
        }
        u32::try_from(ensemble.points()).map_err(|_| {
            anyhow!("{} are more points than a batch can index, 2^32", ensemble.places)
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

    /// What needs more members than there are in memory.
    fn check_rotation(&self, rotation: &Rotation, available: usize) -> Result<()> {
        let window = rotation.window;
        let advice = "give more memory (--cache GIB) or reduce the fields (dim_scale_factor)";
        if self.members_per_batch.min(available) > window {
            bail!(
                "a batch of {} members needs more than the {window} that are in memory at a time: lower \
                 --batch-members, {advice}",
                self.members_per_batch
            );
        }
        if self.pairs.parameters.is_some() && self.pairs.interpolate {
            bail!(
                "Variational Pairs on parameters interpolate between any members, of {available} {window} \
                 are in memory at a time: choose `--pairs space` or `none`, {advice}"
            );
        }
        if self.virtual_members.is_some() {
            bail!(
                "virtual_members are made of all training members, of {available} {window} are in memory \
                 at a time: leave them out, {advice}"
            );
        }
        if self.importance.points.is_some() {
            bail!(
                "importance sampling of points needs the weights of all members in memory, where their \
                 fields have no room: leave out impsmp_coord_path, {advice}"
            );
        }
        Ok(())
    }

    /// What needs values that another process may have.
    fn check_subdomain(&self) -> Result<()> {
        if !self.shared_points {
            bail!(
                "--decompose needs batches whose members are seen at the same points:                  dataset.param.shared_points=true"
            );
        }
        if self.pairs.space.is_some() && !self.pairs.interpolate {
            bail!(
                "--decompose: x_noise_std with noise_interp_value=false moves points away from their                  values, to other processes: choose `--pairs space` or none"
            );
        }
        Ok(())
    }

    /// The batch of `step`.
    ///
    /// Members come from shuffled rounds through all training members, so that each is seen
    /// equally often (one that ends a round and begins the next may stand in a batch twice);
    /// points are drawn independently or in blocks; both by [`Importance`] where there is one, points
    /// independently then. Where not all members are in memory, they come from a window that moves on
    /// through the rounds ([`Rotation`]). `ensemble` must have passed [`check`](Self::check); one
    /// without training members gives an empty batch. Of several processes each gets the points of its
    /// [`Subdomain`](super::Subdomain), or its [`Share`] of them, and all members.
    ///
    /// # Errors
    /// If a field is not in memory and cannot be read.
    pub fn batch(&self, step: u64, ensemble: &Ensemble) -> Result<Batch> {
        let members = self.members(step, ensemble);
        let mut draws = Draws::new(self.seed, step);
        let mut points = self.points(&members, ensemble, &mut draws);
        let mut coords = Vec::with_capacity(points.len() * ensemble.places.axes());
        points.iter().for_each(|&point| ensemble.places.push(point as usize, &mut coords));
        self.pairs.move_points(&mut coords, &mut draws);
        // Whatever is random is the same in all processes.
        let lists = if self.shared_points { 1 } else { members.len() };
        match &ensemble.subdomain {
            Some(subdomain) => subdomain.keep(&mut points, &mut coords),
            None => self.share.keep(lists, &mut points, &mut coords),
        }
        let (conds, blends): (Vec<_>, Vec<_>) = members
            .iter()
            .map(|&member| {
                let made = self.virtual_members.as_ref().and_then(|made| made.draw(&mut draws));
                made.unwrap_or_else(|| self.pairs.move_parameters(member, ensemble, &mut draws))
            })
            .unzip();
        Ok(Batch {
            targets: self.targets(step, &points, &coords, &blends, ensemble)?,
            conds: conds.concat(),
            members,
            points,
            coords,
        })
    }

    /// Points that are drawn for a batch of so many members, by all processes together.
    pub fn drawn_points(&self, members: usize) -> usize {
        self.points_per_batch * if self.shared_points { 1 } else { members }
    }

    /// Values that a step of this plan compares: members times points.
    pub fn points_per_step(&self, ensemble: &Ensemble) -> usize {
        self.members_per_batch.min(ensemble.train().count()) * self.points_per_batch
    }

    /// The members of the batch of `step`.
    pub fn members(&self, step: u64, ensemble: &Ensemble) -> Vec<usize> {
        let all: Vec<usize> = ensemble.train().collect();
        if all.is_empty() {
            return all;
        }
        let size = self.members_per_batch.min(all.len());
        if let Some((rotation, window, _)) = self.window(step, &all) {
            return rotation.draw(step, self.seed, &window, size.min(window.len()));
        }
        if let Some(weights) = &self.importance.members {
            let mut draws = Draws::new(self.seed, DRAWN_MEMBERS.wrapping_add(step));
            return (0..size).map(|_| all[weights.draw(&mut draws)]).collect();
        }
        // Batches follow each other through the rounds, so one may span two of them, no more.
        let start = u128::from(step) * size as u128;
        let round = (start / all.len() as u128) as u64;
        let offset = (start % all.len() as u128) as usize;
        let mut drawn = shuffled(self.seed, round, &all);
        drawn.drain(..offset);
        if drawn.len() < size {
            drawn.extend(shuffled(self.seed, round + 1, &all));
        }
        drawn.truncate(size);
        drawn
    }

    /// The members that are in memory at `step`, and the one that is next, where not all are.
    fn window(&self, step: u64, all: &[usize]) -> Option<(&Rotation, Vec<usize>, usize)> {
        let rotation = self.rotation.as_ref()?;
        let weights = self.importance.members.as_ref();
        let (window, next) = rotation.at(step, self.seed, all, weights);
        Some((rotation, window, next))
    }

    fn points(&self, members: &[usize], ensemble: &Ensemble, draws: &mut Draws) -> Vec<u32> {
        let lists = if self.shared_points { 1 } else { members.len() };
        let count = self.drawn_points(members.len());
        let total = ensemble.points() as u64;
        let Some(weights) = self.importance.points.as_ref().filter(|_| !members.is_empty()) else {
            let Some(dims) = ensemble.places.lattice().filter(|_| self.block > 1) else {
                return (0..count).map(|_| draws.below(total) as u32).collect();
            };
            let mut points = Vec::with_capacity(count);
            for _ in 0..lists {
                blocks::draw(dims, self.block, self.points_per_batch, draws, &mut points);
            }
            return points;
        };
        // Points that all members share come from the weights of each in turn.
        let member = |n: usize| match self.shared_points {
            true => members[n % members.len()],
            false => members[n / self.points_per_batch],
        };
        (0..count).map(|n| weights[member(n)].draw(draws) as u32).collect()
    }

    fn targets(
        &self,
        step: u64,
        points: &[u32],
        coords: &[f64],
        blends: &[Blend],
        ensemble: &Ensemble,
    ) -> Result<Vec<f32>> {
        let read = |&(member, weight): &(usize, f64)| Ok((ensemble.field(member)?, weight));
        let blends: Vec<Vec<(Arc<Field>, f64)>> = (blends.iter())
            .map(|blend| blend.iter().map(read).collect::<Result<_>>())
            .collect::<Result<_>>()?;
        let all: Vec<usize> = ensemble.train().collect();
        if let Some((_, window, next)) = self.window(step, &all) {
            ensemble.fields.prepare(&window, next);
        }
        let lists = if self.shared_points { 1 } else { blends.len().max(1) };
        let (width, per_member) = (ensemble.values.len(), points.len() / lists);
        let mut targets = vec![0.0; blends.len() * per_member * width];
        for (n, (&point, place)) in
            points.iter().zip(coords.chunks(ensemble.places.axes())).enumerate()
        {
            let corners = self.pairs.corners(point as usize, place, &ensemble.places);
            let rows = match self.shared_points {
                true => 0..blends.len(),
                false => n / per_member..n / per_member + 1,
            };
            for row in rows {
                let at = (row * per_member + n % per_member) * width;
                for (component, target) in targets[at..at + width].iter_mut().enumerate() {
                    let share = |(field, weight): &(Arc<Field>, f64)| {
                        weight * corners.interpolate(|at| field.at(at), width, component)
                    };
                    *target = blends[row].iter().map(share).sum::<f64>() as f32;
                }
            }
        }
        Ok(targets)
    }
}

/// Whether this machine might have room for so many numbers of 64 bits.
fn fits_memory(numbers: usize) -> bool {
    Vec::<f64>::new().try_reserve_exact(numbers).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::ensemble::testing::ensemble;
    use crate::data::{Places, Split};

    fn plan(members: usize, points: usize, shared_points: bool) -> BatchPlan {
        BatchPlan {
            seed: 7,
            members_per_batch: members,
            points_per_batch: points,
            shared_points,
            block: 1,
            rotation: None,
            pairs: Pairs::NONE,
            virtual_members: None,
            importance: Arc::default(),
            share: Share::default(),
        }
    }

    #[test]
    fn batches_depend_on_seed_and_step_only() {
        let (ensemble, plan) = (ensemble(6), plan(3, 5, false));
        let batch = plan.batch(1000, &ensemble).unwrap();
        assert_eq!(batch, plan.clone().batch(1000, &ensemble).unwrap());
        assert_ne!(batch.points, plan.batch(1001, &ensemble).unwrap().points);
        let other = BatchPlan { seed: 8, ..plan };
        assert_ne!(batch.points, other.batch(1000, &ensemble).unwrap().points);
        // Fixed for good: a resumed training must draw what it would have drawn.
        assert_eq!(batch.members, [3, 4, 5]);
        assert_eq!(batch.points[..4], [19, 8, 24, 27]);
    }

    #[test]
    fn batches_hold_what_they_say() {
        let ensemble = ensemble(4);
        for shared in [false, true] {
            let plan = plan(2, 300, shared);
            let batch = plan.batch(3, &ensemble).unwrap();
            assert_eq!(batch.points.len(), if shared { 300 } else { 600 });
            assert_eq!(batch.coords.len(), batch.points.len() * 3);
            assert_eq!((batch.targets.len(), plan.points_per_step(&ensemble)), (1200, 600));
            assert!((0..30).all(|point| batch.points.contains(&point)));
            for (i, target) in batch.targets.chunks(2).enumerate() {
                let field = ensemble.field(batch.members[i / 300]).unwrap();
                let at = batch.points[if shared { i % 300 } else { i }] as usize * 2;
                assert_eq!(target, &field.floats()[at..at + 2]);
            }
            let normalized = |m: &usize| ensemble.members[*m].normalized[0];
            let expected: Vec<_> = batch.members.iter().map(normalized).collect();
            assert_eq!(batch.conds, expected);
        }
    }

    #[test]
    fn members_are_seen_equally_often_and_never_held_out_ones() {
        let ensemble = ensemble(7);
        for size in [1, 3, 7, 50] {
            let plan = plan(size, 1, true);
            let notes = plan.check(&ensemble).unwrap();
            assert_eq!(notes.is_empty(), size <= 7, "{notes:?}");
            let mut counts = [0; 8];
            let batches: Vec<_> = (0..70).map(|step| plan.members(step, &ensemble)).collect();
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
    fn members_come_from_the_window_where_not_all_are_in_memory() {
        let ensemble = ensemble(7);
        let rotation = Some(Rotation { window: 4, steps: 2 });
        let plan = BatchPlan { rotation, ..plan(3, 5, false) };
        plan.check(&ensemble).unwrap();
        let all: Vec<usize> = ensemble.train().collect();
        let mut seen = [false; 8];
        for step in 0..14 {
            let batch = plan.batch(step, &ensemble).unwrap();
            let (_, window, _) = plan.window(step, &all).unwrap();
            assert_eq!(batch.members, plan.members(step, &ensemble));
            assert!(batch.members.iter().all(|member| window.contains(member)));
            batch.members.iter().for_each(|&member| seen[member] = true);
        }
        assert_eq!(seen.iter().filter(|&&seen| seen).count(), 7, "all for training");
        let refused = |plan: BatchPlan| plan.check(&ensemble).unwrap_err().to_string();
        let large = refused(BatchPlan { members_per_batch: 5, ..plan.clone() });
        assert!(large.contains("5 members needs more than the 4") && large.contains("--cache"));
        let config = crate::config::DatasetConfig {
            pairs: Some(crate::config::PairsChoice::Parameters),
            ..Default::default()
        };
        let pairs = Pairs::new(&config, &ensemble).unwrap();
        let mixed = refused(BatchPlan { pairs, ..plan });
        assert!(mixed.contains("`--pairs space`"), "{mixed}");
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
        assert!(plan(2, 1, false).batch(0, &ensemble).unwrap().targets.is_empty());
        ensemble.members[0].split = Split::Train;
        ensemble.places = Places::Lattice(vec![1 << 20, 1 << 20]);
        assert!(refused(plan(2, 1, false), &ensemble).contains("2^32"));
    }
}
