//! Where along a ray its samples are.

use super::occupancy::Occupancy;
use crate::data::Ray;

/// How rays are marched through a box.
pub struct March<'a> {
    /// Lower corner, then upper corner.
    pub aabb: [f64; 6],
    /// Distance of samples.
    pub step: f64,
    /// Cells that are empty have no samples; `None`: all are full.
    pub occupancy: Option<&'a Occupancy>,
}

/// The samples of some rays, ray by ray.
#[derive(Debug, Default, PartialEq)]
pub struct Samples {
    /// Along the ray.
    pub distances: Vec<f64>,
    /// Whose sample it is.
    pub rays: Vec<i64>,
    /// First sample of each ray, that of the next one if it has none.
    pub starts: Vec<i64>,
}

impl March<'_> {
    /// The samples of `rays`: at t0 + (k + offset) step for k = 0, 1, ... while inside the box, where
    /// t0 is where the ray enters it (0 if it starts inside), and the cell is not empty.
    pub fn samples(&self, rays: &[Ray], offsets: &[f64]) -> Samples {
        let mut samples = Samples::default();
        for (n, (ray, &offset)) in rays.iter().zip(offsets).enumerate() {
            samples.starts.push(samples.distances.len() as i64);
            let Some((enter, leave)) = self.span(ray) else { continue };
            let mut k = 0.0;
            loop {
                let t = enter + (k + offset) * self.step;
                if t >= leave {
                    break;
                }
                let empty_until = self.occupancy.and_then(|cells| cells.empty_until(self, ray, t));
                match empty_until {
                    None => {
                        samples.distances.push(t);
                        samples.rays.push(n as i64);
                        k += 1.0;
                    }
                    // On to the first sample behind the cell, at least one further.
                    Some(end) => {
                        k = (((end - enter) / self.step - offset).ceil()).max(k + 1.0);
                    }
                }
            }
        }
        let last = samples.distances.len() as i64;
        // A ray without samples at the end points behind all: nothing reads there.
        samples.starts.iter_mut().for_each(|start| *start = (*start).min((last - 1).max(0)));
        samples
    }

    /// Samples that a ray has at most.
    pub fn most_samples(&self) -> usize {
        let edge = self.aabb[3] - self.aabb[0];
        (edge * 3.0f64.sqrt() / self.step).ceil() as usize
    }

    /// Where a ray is inside the box, if it is.
    fn span(&self, ray: &Ray) -> Option<(f64, f64)> {
        if ray.origin.iter().chain(&ray.direction).any(|number| !number.is_finite()) {
            return None;
        }
        let (mut enter, mut leave) = (0.0f64, f64::INFINITY);
        for k in 0..3 {
            let (origin, direction) = (ray.origin[k], ray.direction[k]);
            if direction == 0.0 {
                if !(self.aabb[k]..=self.aabb[k + 3]).contains(&origin) {
                    return None;
                }
                continue;
            }
            let a = (self.aabb[k] - origin) / direction;
            let b = (self.aabb[k + 3] - origin) / direction;
            enter = enter.max(a.min(b));
            leave = leave.min(a.max(b));
        }
        (enter < leave).then_some((enter, leave))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AABB: [f64; 6] = [-1.0, -1.0, -1.0, 1.0, 1.0, 1.0];

    fn ray(origin: [f64; 3], direction: [f64; 3]) -> Ray {
        Ray { origin, direction }
    }

    #[test]
    fn samples_stand_in_the_middle_of_steps() {
        let march = March { aabb: AABB, step: 0.5, occupancy: None };
        let rays = [
            ray([-3.0, 0.0, 0.0], [1.0, 0.0, 0.0]),
            ray([-3.0, 2.0, 0.0], [1.0, 0.0, 0.0]),
            ray([0.0, 0.0, 0.5], [0.0, 0.0, 1.0]),
        ];
        let samples = march.samples(&rays, &[0.5; 3]);
        assert_eq!(samples.distances, [2.25, 2.75, 3.25, 3.75, 0.25]);
        assert_eq!(samples.rays, [0, 0, 0, 0, 2]);
        assert_eq!(samples.starts, [0, 4, 4]);
        let none = march.samples(&[ray([f64::NAN; 3], [1.0, 0.0, 0.0])], &[0.5]);
        assert!(none.distances.is_empty());
    }

    #[test]
    fn empty_cells_are_passed_over_on_the_same_steps() {
        let mut occupancy = Occupancy::new(5);
        occupancy.fill(|[x, y, z]| (x + 2 * y + z) % 3 == 0);
        let rays: Vec<Ray> = (0..200)
            .map(|n| {
                let a = f64::from(n) * 0.7;
                let direction = [a.cos() * 0.8, a.sin() * 0.8, if n % 2 == 0 { 0.6 } else { -0.6 }];
                ray(std::array::from_fn(|k| -2.0 * direction[k] + 0.1 * a.sin()), direction)
            })
            .collect();
        let offsets: Vec<f64> = (0..200).map(|n| f64::from(n) / 200.0).collect();
        let all = March { aabb: AABB, step: 0.013, occupancy: None };
        let some = March { occupancy: Some(&occupancy), ..all };
        let (every, kept) = (all.samples(&rays, &offsets), some.samples(&rays, &offsets));
        let expected: Vec<(i64, f64)> = (every.rays.iter().zip(&every.distances))
            .filter(|&(&n, &t)| {
                let ray = &rays[n as usize];
                let place: [f64; 3] = std::array::from_fn(|k| ray.origin[k] + t * ray.direction[k]);
                occupancy.is_full(place.map(|x| ((x + 1.0) * 2.5) as usize))
            })
            .map(|(&n, &t)| (n, t))
            .collect();
        let kept: Vec<(i64, f64)> = kept.rays.iter().copied().zip(kept.distances).collect();
        assert!(!kept.is_empty() && kept.len() < every.distances.len());
        assert_eq!(kept, expected);
    }
}
