//! Importance sampling: members and points whose values are rare in the data are drawn more often,
//! by the inverse of their frequency in a histogram (as for the reference's
//! `impsmp_cond_path` and `impsmp_coord_path`).
//!
//! ```text
//! FOLDER/members.npy        f64 [training members], in the order of the ensemble
//! FOLDER/points/NAME.npy    f32 [groups], of each training member; a group is a run of points
//! ```
//!
//! Weights of any sum are taken; what is drawn is in proportion to them.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::draws::Draws;
use super::ensemble::Ensemble;
use super::member::Split;
use super::npy;
use crate::config::DatasetConfig;

/// Most groups of points of a member; more points share groups.
const MOST_GROUPS: usize = 1 << 24;

/// What is drawn more often than the rest; everything equally by default.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Importance {
    /// Of the training members, in order.
    pub(super) members: Option<Weights>,
    /// Of each member's points, by its index; empty for those held out.
    pub(super) points: Option<Vec<Weights>>,
}

/// Numbers of items drawn in proportion to weights.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Weights {
    /// Sums of the weights of all groups up to each.
    sums: Vec<f64>,
    items: usize,
    /// Items in each group, but for the last.
    group: usize,
}

/// Frequencies of values in equal bins of their range, `[0, 1]`; what lies outside is in the first or
/// the last.
struct Histogram(Vec<f64>);

impl Importance {
    /// The weights that `config` names.
    ///
    /// # Errors
    /// If a file is missing or damaged, has weights of another number, or such as cannot be drawn
    /// by; it is named.
    pub fn load(config: &DatasetConfig, ensemble: &Ensemble) -> Result<Self> {
        let read = |path: &Path, items| -> Result<Weights> {
            let weights = npy::read::<f64>(path).context(
                "these weights cannot be used; `drr-train importance` computes and stores them",
            )?;
            Weights::new(&weights.data, items)
                .with_context(|| format!("the weights {} cannot be used", path.display()))
        };
        let of_member = |index: usize, folder: &Path| match ensemble.members[index].split {
            Split::Train => read(&points_file(folder, ensemble, index), ensemble.points()),
            Split::Validation | Split::Test => Ok(Weights::default()),
        };
        let members = config.impsmp_cond_path.as_deref();
        let points = config.impsmp_coord_path.as_deref();
        Ok(Self {
            members: members.map(|path| read(path, ensemble.train().count())).transpose()?,
            points: points
                .map(|path| (0..ensemble.members.len()).map(|m| of_member(m, path)).collect())
                .transpose()?,
        })
    }

    /// What is drawn by it, if anything is.
    pub fn describe(&self) -> Option<String> {
        let what = match (&self.members, &self.points) {
            (None, None) => return None,
            (Some(_), None) => "members",
            (None, Some(_)) => "points",
            (Some(_), Some(_)) => "members and points",
        };
        Some(format!("batches: {what} drawn by importance"))
    }

    /// Computes the weights of `ensemble` by histograms of `bins` bins and writes them into
    /// `folder`, which is made. `written` is told after each file.
    ///
    /// # Errors
    /// If a field cannot be read or a file not be written, or `written` fails.
    pub fn write(
        ensemble: &Ensemble,
        bins: usize,
        folder: &Path,
        mut written: impl FnMut() -> Result<()>,
    ) -> Result<()> {
        let points = folder.join("points");
        std::fs::create_dir_all(&points)
            .with_context(|| format!("cannot make {}", points.display()))?;
        for member in ensemble.train() {
            let weights = point_weights(ensemble, member, bins)?;
            npy::write(&points_file(&points, ensemble, member), &[weights.len()], &weights)?;
            written()?;
        }
        let weights = member_weights(ensemble, bins)?;
        npy::write(&folder.join("members.npy"), &[weights.len()], &weights)
    }
}

fn points_file(folder: &Path, ensemble: &Ensemble, member: usize) -> PathBuf {
    folder.join(format!("{}.npy", ensemble.members[member].name))
}

/// The sum over its values of their inverse frequency in all training members: 1 of all bins.
fn member_weights(ensemble: &Ensemble, bins: usize) -> Result<Vec<f64>> {
    let place = |value: f32| ensemble.normalization.in_range(value.into());
    let mut histogram = Histogram(vec![0.0; bins]);
    for member in ensemble.train() {
        histogram.add(ensemble.field(member)?.iter().map(place));
    }
    let rarity = |member: usize| -> Result<f64> {
        Ok(ensemble.field(member)?.iter().map(|value| histogram.rarity(place(value))).sum())
    };
    let weights: Vec<f64> = ensemble.train().map(rarity).collect::<Result<_>>()?;
    Ok(normalized(weights))
}

/// The sum over the values of each group of points of their inverse frequency in this member.
fn point_weights(ensemble: &Ensemble, member: usize, bins: usize) -> Result<Vec<f32>> {
    let field = ensemble.field(member)?;
    let place = |value: f32| ensemble.normalization.in_range(value.into());
    let mut histogram = Histogram(vec![0.0; bins]);
    histogram.add(field.iter().map(place));
    let group = ensemble.points().div_ceil(MOST_GROUPS) * ensemble.values.len();
    let mut sums = vec![0.0; field.len().div_ceil(group)];
    for (n, value) in field.iter().enumerate() {
        sums[n / group] += histogram.rarity(place(value));
    }
    Ok(normalized(sums).iter().map(|&weight| weight as f32).collect())
}

fn normalized(mut weights: Vec<f64>) -> Vec<f64> {
    let sum: f64 = weights.iter().sum();
    weights.iter_mut().for_each(|weight| *weight /= sum);
    weights
}

impl Histogram {
    fn add(&mut self, values: impl Iterator<Item = f64>) {
        for value in values {
            let bin = self.bin(value);
            self.0[bin] += 1.0;
        }
    }

    fn bin(&self, value: f64) -> usize {
        let bins = self.0.len();
        ((value * bins as f64) as usize).min(bins - 1)
    }

    /// One over the frequency of a value that was counted.
    fn rarity(&self, value: f64) -> f64 {
        1.0 / self.0[self.bin(value)]
    }
}

impl Weights {
    /// `weights` of `items` in groups of one size.
    fn new(weights: &[f64], items: usize) -> Result<Self> {
        let groups = weights.len();
        let group = items.div_ceil(groups.max(1));
        ensure!(
            groups > 0 && items.div_ceil(group) == groups,
            "given {groups} weights, expected {items}, or one for each group of them"
        );
        ensure!(
            weights.iter().all(|weight| weight.is_finite() && *weight >= 0.0),
            "all weights must be numbers of 0 or more"
        );
        let sums: Vec<f64> = (weights.iter())
            .scan(0.0, |sum, weight| {
                *sum += weight;
                Some(*sum)
            })
            .collect();
        let total = sums[groups - 1];
        ensure!(total > 0.0 && total.is_finite(), "they sum to {total}: nothing can be drawn");
        Ok(Self { sums, items, group })
    }

    /// The number of an item.
    pub fn draw(&self, draws: &mut Draws) -> usize {
        let last = self.sums.len() - 1;
        let place = draws.unit() * self.sums[last];
        // Of equal sums the first: a group of weight 0 adds nothing and is never drawn.
        let group = self.sums.partition_point(|&sum| sum <= place).min(last);
        let begin = group * self.group;
        let size = self.group.min(self.items - begin);
        begin + draws.below(size as u64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::ensemble::testing::{change_fields, ensemble};
    use crate::data::share::Share;
    use crate::data::{BatchPlan, Pairs};

    /// Member 0 has one rare value a point of 30, member 4 is rare as a whole.
    fn with_rare_values() -> Ensemble {
        let mut ensemble = ensemble(4);
        change_fields(&mut ensemble, |m, field| {
            field.fill(if m == 4 { 0.9 } else { 0.1 });
            if m == 0 {
                field[2 * 17..2 * 18].fill(0.55);
            }
        });
        ensemble
    }

    fn load(
        cond: Option<PathBuf>,
        coord: Option<PathBuf>,
        ensemble: &Ensemble,
    ) -> Result<Importance> {
        let config = DatasetConfig {
            impsmp_cond_path: cond,
            impsmp_coord_path: coord,
            ..DatasetConfig::default()
        };
        Importance::load(&config, ensemble)
    }

    #[test]
    fn rare_values_are_drawn_as_often_as_common_ones() {
        let (ensemble, folder) = (with_rare_values(), tempfile::tempdir().unwrap());
        let mut files = 0;
        let count = || {
            files += 1;
            Ok(())
        };
        Importance::write(&ensemble, 64, folder.path(), count).unwrap();
        assert_eq!(files, 4);
        let members = Some(folder.path().join("members.npy"));
        let importance = load(members, Some(folder.path().join("points")), &ensemble).unwrap();
        assert!(importance.describe().unwrap().contains("members and points"));
        for shared_points in [false, true] {
            let plan = BatchPlan {
                seed: 1,
                members_per_batch: 2,
                points_per_batch: 40,
                shared_points,
                block: 1,
                rotation: None,
                pairs: Pairs::NONE,
                virtual_members: None,
                importance: importance.clone().into(),
                share: Share::default(),
            };
            let mut drawn = [0; 5];
            let (mut rare, mut of_first) = (0, 0);
            for step in 0..500 {
                let batch = plan.batch(step, &ensemble).unwrap();
                assert_eq!(batch, plan.batch(step, &ensemble).unwrap());
                batch.members.iter().for_each(|&member| drawn[member] += 1);
                for (row, &member) in batch.members.iter().enumerate() {
                    if member == 0 && !shared_points {
                        let points = &batch.points[row * 40..(row + 1) * 40];
                        rare += points.iter().filter(|&&point| point == 17).count();
                        of_first += 40;
                    }
                }
            }
            // Three bins of values, each a third of the draws: one is member 4, one a point of 0.
            let share = |count: usize, all: usize| count as f64 / all as f64;
            assert!((share(drawn[4], 1000) - 1.0 / 3.0).abs() < 0.07, "{drawn:?}");
            assert!((share(drawn[0], 1000) - 0.44).abs() < 0.07, "{drawn:?}");
            assert_eq!(drawn[1], 0, "held out");
            if !shared_points {
                assert!((share(rare, of_first) - 0.5).abs() < 0.05, "{rare} of {of_first}");
            }
        }
    }

    #[test]
    fn groups_of_points_share_a_weight() {
        let weights = Weights::new(&[0.0, 1.0, 3.0], 8).unwrap();
        let mut counts = [0; 8];
        let mut draws = Draws::new(0, 0);
        (0..8000).for_each(|_| counts[weights.draw(&mut draws)] += 1);
        assert_eq!(counts[..3], [0; 3]);
        assert!(counts[3..6].iter().all(|n| (500..850).contains(n)), "{counts:?}");
        assert!(counts[6..].iter().all(|n| (2800..3200).contains(n)), "{counts:?}");
    }

    #[test]
    fn weights_that_cannot_be_drawn_by_are_refused() {
        let (ensemble, folder) = (ensemble(4), tempfile::tempdir().unwrap());
        let path = folder.path().join("members.npy");
        let refused = |weights: &[f64]| {
            npy::write(&path, &[weights.len()], weights).unwrap();
            format!("{:#}", load(Some(path.clone()), None, &ensemble).unwrap_err())
        };
        for (weights, expected) in [
            (&[1.0; 3][..], "given 3 weights, expected 4"),
            (&[1.0; 5], "given 5 weights"),
            (&[], "given 0 weights"),
            (&[1.0, -1.0, 1.0, 1.0], "0 or more"),
            (&[1.0, f64::NAN, 1.0, 1.0], "0 or more"),
            (&[0.0; 4], "sum to 0"),
        ] {
            let error = refused(weights);
            assert!(error.contains(expected) && error.contains("members.npy"), "{error}");
        }
        let error = format!("{:#}", load(None, Some(path), &ensemble).unwrap_err());
        assert!(error.contains("0.npy") && error.contains("drr-train importance"), "{error}");
    }
}
