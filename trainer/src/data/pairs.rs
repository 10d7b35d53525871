//! Variational Pairs, the paper's augmentation: points and parameters of a batch are moved by
//! clipped Gaussian noise, and what is to be learned there is interpolated from the data.
//!
//! In space between lattice points, multilinearly; over the parameters between the nearest
//! members, each weighted by the inverse square of its distance.

use anyhow::{Result, bail};

use super::draws::Draws;
use super::ensemble::Ensemble;
use super::lattice::Corners;
use super::places::Places;
use crate::config::{DatasetConfig, PairsChoice};

/// Where the published configurations cut noise off, in standard deviations.
const LIMIT: f64 = 1.0 / 0.6;

/// Added to distances, so that a member hit exactly does not divide by zero.
const NEAREST: f64 = 1e-8;

/// Power of the distance by which members are weighted.
const POWER: i32 = 2;

/// Which noise is put on a batch, and what becomes of its targets.
#[derive(Debug, Clone, PartialEq)]
pub struct Pairs {
    /// On coordinates, where the domain is `[-1, 1]`: one of each axis, slowest first.
    pub space: Option<Noise>,
    /// On parameters, normalised to `[0, 1]`: one of each.
    pub parameters: Option<Noise>,
    /// Whether the target is that of the place where the noise leads to, not where it began.
    pub interpolate: bool,
    /// Members that a target is interpolated between; all if there are fewer.
    pub neighbors: usize,
}

/// Gaussian noise of mean 0, cut off on both sides.
#[derive(Debug, Clone, PartialEq)]
pub struct Noise {
    /// Standard deviations, of the uncut noise.
    pub deviations: Vec<f64>,
    /// Largest magnitudes.
    pub limits: Vec<f64>,
}

/// Members that a target is interpolated between, with weights that sum to 1.
pub(super) type Blend = Vec<(usize, f64)>;

impl Pairs {
    /// Every target as it is in the data.
    pub const NONE: Self = Self { space: None, parameters: None, interpolate: false, neighbors: 8 };

    /// What the configuration asks for.
    ///
    /// # Errors
    /// If it gives another number of deviations than there are axes or parameters, or asks for
    /// values between points that follow no lattice.
    pub fn new(config: &DatasetConfig, ensemble: &Ensemble) -> Result<Self> {
        let pairs = Self::read(config, ensemble)?;
        if pairs.space.is_some() && pairs.interpolate && ensemble.places.lattice().is_none() {
            bail!(
                "Variational Pairs in space need a lattice to interpolate on, the data are {}: choose \
                 `--pairs parameters` or `none`, or x_noise_std with noise_interp_value: false, \
                 which moves points and keeps their values",
                ensemble.places
            );
        }
        Ok(pairs)
    }

    fn read(config: &DatasetConfig, ensemble: &Ensemble) -> Result<Self> {
        let (places, parameters) = (&ensemble.places, ensemble.parameters.len());
        let space = || {
            let (std, limit) = (&config.x_noise_std, &config.x_noise_threshold);
            Noise::read("x_noise", std, limit, places.axes())
        };
        let conditions = || {
            let (std, limit) = (&config.cond_noise_std, &config.cond_noise_threshold);
            Noise::read("cond_noise", std, limit, parameters)
        };
        let Some(choice) = config.pairs else {
            let interpolate = config.noise_interp_value;
            let (space, parameters) = (space()?, conditions()?);
            return Ok(Self { space, parameters, interpolate, neighbors: config.neighbors });
        };
        let mut pairs = Self { interpolate: true, neighbors: config.neighbors, ..Self::NONE };
        if matches!(choice, PairsChoice::Space | PairsChoice::Both) {
            // Up to half way to the next point, if there is one to say.
            let half = |n: &usize| 1.0 / (n - 1) as f64;
            let half = match places {
                Places::Lattice(dims) => dims.iter().map(half).collect(),
                Places::Points(_) => vec![0.0; places.axes()],
            };
            pairs.space = space()?.or_else(|| Some(Noise::within(half)));
        }
        if matches!(choice, PairsChoice::Parameters | PairsChoice::Both) {
            // As published for CloverLeaf3D's 600 members.
            let share = 1.0 / ensemble.train().count() as f64;
            pairs.parameters =
                conditions()?.or_else(|| Some(Noise::within(vec![share; parameters])));
        }
        Ok(pairs)
    }

    /// Where they put noise and how much, if anywhere.
    pub fn describe(&self) -> Option<String> {
        let on = |what, noise: &Option<Noise>| {
            let most = noise.as_ref()?.limits.iter().fold(0.0f64, |a, &b| a.max(b));
            Some(format!("up to {most:.2e} on {what}"))
        };
        let noise: Vec<_> = [on("coordinates", &self.space), on("parameters", &self.parameters)]
            .into_iter()
            .flatten()
            .collect();
        let targets = match self.interpolate {
            true => "interpolated there",
            false => "as they were before",
        };
        let noise = (!noise.is_empty()).then(|| noise.join(", "))?;
        Some(format!("Variational Pairs: noise of {noise}; values {targets}"))
    }

    /// Moves points, `[points, dims]`, x first; they stay in the domain.
    pub(super) fn move_points(&self, coords: &mut [f64], draws: &mut Draws) {
        let Some(noise) = &self.space else { return };
        for point in coords.chunks_mut(noise.deviations.len()) {
            for (axis, x) in point.iter_mut().rev().enumerate() {
                *x = (*x + noise.draw(axis, draws)).clamp(-1.0, 1.0);
            }
        }
    }

    /// The parameters under which a batch sees `member`, and whose values it has there.
    pub(super) fn move_parameters(
        &self,
        member: usize,
        ensemble: &Ensemble,
        draws: &mut Draws,
    ) -> (Vec<f32>, Blend) {
        let own = &ensemble.members[member].normalized;
        let Some(noise) = &self.parameters else { return (own.clone(), vec![(member, 1.0)]) };
        let moved: Vec<f64> = (own.iter().enumerate())
            .map(|(parameter, &value)| f64::from(value) + noise.draw(parameter, draws))
            .collect();
        let blend = match self.interpolate {
            true => self.nearest(&moved, ensemble),
            false => vec![(member, 1.0)],
        };
        (moved.iter().map(|value| value.clamp(0.0, 1.0) as f32).collect(), blend)
    }

    /// The training members nearest to `place`.
    fn nearest(&self, place: &[f64], ensemble: &Ensemble) -> Blend {
        let distance = |member: usize| {
            let parameters = ensemble.members[member].normalized.iter();
            let squares = parameters.zip(place).map(|(&a, b)| (f64::from(a) - b).powi(2));
            squares.sum::<f64>().sqrt()
        };
        let mut all: Blend = ensemble.train().map(|member| (member, distance(member))).collect();
        all.sort_by(|a, b| a.1.total_cmp(&b.1));
        all.truncate(self.neighbors);
        let weights = all.iter_mut().map(|(_, d)| {
            *d = (*d + NEAREST).powi(-POWER);
            *d
        });
        let sum: f64 = weights.sum();
        all.iter_mut().for_each(|(_, weight)| *weight /= sum);
        all
    }

    /// Points between which the target at `coords` (x first) is interpolated; `point`, where
    /// it was before it moved.
    pub(super) fn corners(&self, point: usize, coords: &[f64], places: &Places) -> Corners {
        match places {
            Places::Lattice(dims) if self.space.is_some() && self.interpolate => {
                Corners::around(coords, dims)
            }
            _ => Corners::at(point),
        }
    }
}

impl Noise {
    /// Cut off at `limits`, with the published ratio to the standard deviation.
    fn within(limits: Vec<f64>) -> Self {
        Self { deviations: limits.iter().map(|limit| limit / LIMIT).collect(), limits }
    }

    /// From the keys `{key}_std` and `{key}_threshold`: a number of each axis or parameter, or one
    /// for all. No noise if there is no standard deviation but 0.
    fn read(
        key: &str,
        deviations: &Option<Vec<f64>>,
        limits: &Option<Vec<f64>>,
        count: usize,
    ) -> Result<Option<Self>> {
        let expand = |suffix: &str, numbers: &[f64]| match numbers {
            [number] => Ok(vec![*number; count]),
            numbers if numbers.len() == count => Ok(numbers.to_vec()),
            numbers => bail!(
                "dataset.param.{key}_{suffix}: given {numbers:?}, expected one number or {count}"
            ),
        };
        let Some(deviations) = deviations else { return Ok(None) };
        let deviations = expand("std", deviations)?;
        if deviations.iter().all(|&deviation| deviation == 0.0) {
            return Ok(None);
        }
        let limits = match limits {
            Some(limits) => expand("threshold", limits)?,
            None => deviations.iter().map(|deviation| deviation * LIMIT).collect(),
        };
        Ok(Some(Self { deviations, limits }))
    }

    fn draw(&self, axis: usize, draws: &mut Draws) -> f64 {
        let limit = self.limits[axis];
        (self.deviations[axis] * draws.normal()).clamp(-limit, limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::ensemble::testing::{change_fields, ensemble};
    use crate::data::lattice::push_coordinates;
    use crate::data::{BatchPlan, Points, Share};

    fn plan(pairs: Pairs, shared_points: bool) -> BatchPlan {
        BatchPlan {
            seed: 5,
            members_per_batch: 3,
            points_per_batch: 200,
            shared_points,
            block: 1,
            rotation: None,
            pairs,
            virtual_members: None,
            importance: Default::default(),
            share: Share::default(),
        }
    }

    fn noise(deviation: f64, limit: f64, count: usize) -> Option<Noise> {
        Some(Noise { deviations: vec![deviation; count], limits: vec![limit; count] })
    }

    #[test]
    fn targets_in_space_are_those_of_the_place_that_the_noise_leads_to() {
        let mut ensemble = ensemble(4);
        // Multilinear, so that interpolation is exact; the product of all three tells axes apart.
        let value = |m: usize, [x, y, z]: [f64; 3]| m as f64 + x + 3.0 * y - 5.0 * z + x * y * z;
        change_fields(&mut ensemble, |m, field| {
            for (index, values) in field.chunks_mut(2).enumerate() {
                let mut place = Vec::new();
                push_coordinates(&[2, 3, 5], index, &mut place);
                values[0] = value(m, [place[0], place[1], place[2]]) as f32;
                values[1] = -values[0];
            }
        });
        for shared in [true, false] {
            let pairs = Pairs { space: noise(0.4, 0.6, 3), interpolate: true, ..Pairs::NONE };
            let batch = plan(pairs, shared).batch(2, &ensemble).unwrap();
            let still = plan(Pairs::NONE, shared).batch(2, &ensemble).unwrap();
            assert_eq!((&batch.points, &batch.conds), (&still.points, &still.conds));
            for (row, &member) in batch.members.iter().enumerate() {
                for n in 0..200 {
                    let list = if shared { n } else { row * 200 + n };
                    let place = &batch.coords[list * 3..list * 3 + 3];
                    let target = &batch.targets[(row * 200 + n) * 2..][..2];
                    let expected = value(member, [place[0], place[1], place[2]]);
                    assert!((f64::from(target[0]) - expected).abs() < 1e-5, "{place:?}");
                    assert_eq!(target[0], -target[1]);
                }
            }
            let moved: Vec<f64> =
                batch.coords.iter().zip(&still.coords).map(|(a, b)| a - b).collect();
            assert!(moved.iter().all(|m| m.abs() <= 0.6 + 1e-12));
            assert!(batch.coords.iter().all(|x| x.abs() <= 1.0));
            assert!(moved.iter().any(|m| (m.abs() - 0.6).abs() < 1e-12), "some are cut off");
            let inner = moved.iter().filter(|m| **m != 0.0 && m.abs() < 0.59).count();
            assert!(inner > moved.len() / 2, "most move, and not to the limit");
        }
    }

    #[test]
    fn without_interpolation_targets_stay() {
        let ensemble = ensemble(4);
        let pairs =
            Pairs { space: noise(0.1, 1.0, 3), parameters: noise(0.1, 1.0, 1), ..Pairs::NONE };
        let (moved, still) = (plan(pairs, true), plan(Pairs::NONE, true));
        let (moved, still) =
            (moved.batch(7, &ensemble).unwrap(), still.batch(7, &ensemble).unwrap());
        assert_eq!(moved.targets, still.targets);
        assert!(moved.coords != still.coords && moved.conds != still.conds);
    }

    #[test]
    fn values_between_members_are_weighted_by_inverse_squares_of_distances() {
        let ensemble = ensemble(7);
        for neighbors in [1, 3, 50] {
            let pairs = Pairs {
                parameters: noise(0.2, 0.3, 1),
                interpolate: true,
                neighbors,
                ..Pairs::NONE
            };
            let mut clipped = false;
            for step in 0..20 {
                let batch = plan(pairs.clone(), false).batch(step, &ensemble).unwrap();
                for (row, &member) in batch.members.iter().enumerate() {
                    let (own, at) = (ensemble.members[member].normalized[0], batch.conds[row]);
                    assert!((own - at).abs() <= 0.3 + 1e-6 && (0.0..=1.0).contains(&at));
                    // Where it is clipped, distances are those of the place before.
                    if at == 0.0 || at == 1.0 {
                        clipped = true;
                        continue;
                    }
                    let mut near: Vec<(f64, usize)> = (ensemble.train())
                        .map(|m| (f64::from(ensemble.members[m].normalized[0] - at).abs(), m))
                        .collect();
                    near.sort_by(|a, b| a.0.total_cmp(&b.0));
                    near.truncate(neighbors);
                    let point = batch.points[row * 200] as usize * 2;
                    let (mut sum, mut weights) = (0.0, 0.0);
                    for (distance, m) in near {
                        let weight = 1.0 / (distance * distance);
                        sum += weight * f64::from(ensemble.field(m).unwrap().at(point));
                        weights += weight;
                    }
                    let target = f64::from(batch.targets[row * 400]);
                    assert!((target - sum / weights).abs() < 1e-3 * target, "{target}");
                }
            }
            assert!(clipped);
        }
    }

    #[test]
    fn the_held_out_member_is_never_mixed_in() {
        let mut ensemble = ensemble(7);
        change_fields(&mut ensemble, |m, field| {
            if m == 1 {
                field.fill(f32::NAN);
            }
        });
        let pairs = Pairs {
            parameters: noise(0.2, 0.3, 1),
            interpolate: true,
            neighbors: 50,
            ..Pairs::NONE
        };
        let batch = plan(pairs, true).batch(0, &ensemble).unwrap();
        assert!(batch.targets.iter().all(|target| target.is_finite()));
    }

    #[test]
    fn scattered_points_have_no_values_between_them() {
        let mut ensemble = ensemble(4);
        ensemble.places = Places::Points(std::sync::Arc::new(Points::new(3, vec![0.5; 90])));
        let choose = |pairs| DatasetConfig { pairs: Some(pairs), ..Default::default() };
        for choice in [PairsChoice::Space, PairsChoice::Both] {
            let error = Pairs::new(&choose(choice), &ensemble).unwrap_err().to_string();
            let advice = ["need a lattice", "30 scattered points", "noise_interp_value: false"];
            assert!(advice.iter().all(|text| error.contains(text)), "{error}");
        }
        // Between members there are.
        let parameters = Pairs::new(&choose(PairsChoice::Parameters), &ensemble).unwrap();
        assert!(parameters.parameters.is_some() && parameters.interpolate);
        let moved = DatasetConfig { x_noise_std: Some(vec![0.1]), ..Default::default() };
        let moved = Pairs::new(&moved, &ensemble).unwrap();
        let batch = plan(moved, true).batch(0, &ensemble).unwrap();
        assert!(batch.coords.iter().any(|&x| x != 0.5));
        let point = batch.points[0] as usize * 2;
        assert_eq!(batch.targets[0], ensemble.field(batch.members[0]).unwrap().at(point));
    }

    #[test]
    fn configurations_give_noise_in_every_way() {
        let ensemble = ensemble(4);
        let pairs = |config: DatasetConfig| Pairs::new(&config, &ensemble);
        let none = pairs(DatasetConfig::default()).unwrap();
        assert_eq!((none.describe(), none), (None, Pairs::NONE));
        let zero = DatasetConfig { x_noise_std: Some(vec![0.0]), ..Default::default() };
        assert_eq!(pairs(zero).unwrap().space, None);
        let given = DatasetConfig {
            x_noise_std: Some(vec![0.1, 0.2, 0.3]),
            x_noise_threshold: Some(vec![0.5]),
            cond_noise_std: Some(vec![0.006]),
            noise_interp_value: true,
            ..Default::default()
        };
        let found = pairs(given.clone()).unwrap();
        let space = Noise { deviations: vec![0.1, 0.2, 0.3], limits: vec![0.5; 3] };
        assert_eq!(found.space, Some(space.clone()));
        assert!((found.parameters.as_ref().unwrap().limits[0] - 0.01).abs() < 1e-15);
        assert!(found.describe().unwrap().contains("interpolated there"));

        let choose = |choice| DatasetConfig { pairs: Some(choice), ..given.clone() };
        let chosen = pairs(choose(PairsChoice::Space)).unwrap();
        assert_eq!((chosen.space, chosen.parameters), (Some(space), None));
        assert_eq!(pairs(choose(PairsChoice::None)).unwrap().describe(), None);
        let alone = DatasetConfig { pairs: Some(PairsChoice::Both), ..DatasetConfig::default() };
        let alone = pairs(alone).unwrap();
        assert_eq!(alone.space.unwrap().limits, [1.0, 0.5, 0.25], "half a spacing");
        assert_eq!(alone.parameters.unwrap().limits, [0.25]);
        assert!(alone.interpolate);

        let wrong = DatasetConfig { x_noise_std: Some(vec![0.1; 2]), ..Default::default() };
        let error = pairs(wrong).unwrap_err().to_string();
        assert!(error.contains("x_noise_std") && error.contains("one number or 3"), "{error}");
    }
}
