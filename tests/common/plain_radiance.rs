//! What docs/format.md says of radiance fields, as plain and slow as that page: one sample after
//! the other, each with its own cell.

use serde_json::Value;

use super::plain::{File, Outside, list, number, round, size};

/// How a ray is followed.
#[derive(Debug, Clone, Copy)]
pub struct Way {
    pub step: f64,
    pub near: f64,
    pub far: f64,
    pub stop: f64,
}

/// What is seen along a ray.
#[derive(Debug, Clone, Copy)]
pub struct Seen {
    /// Without background.
    pub colour: [f64; 3],
    pub opacity: f64,
    pub depth: f64,
    /// Samples that counted.
    pub samples: usize,
}

impl File {
    fn radiance(&self) -> &Value {
        &self.spec["radiance"]
    }

    /// Distance of samples that the file names.
    pub fn step(&self) -> f64 {
        number(&self.radiance()["step"])
    }

    /// Density and colour at a point that is seen along a unit direction.
    pub fn density_and_colour(
        &self,
        point: [f64; 3],
        direction: [f64; 3],
        parameters: &[f64],
    ) -> [f64; 4] {
        let outside = self.normalized(point).iter().any(|x| x.abs() > 1.0);
        if outside {
            return [0.0; 4];
        }
        let values = self.evaluate(&point, parameters, Outside::Clamp);
        let bands = size(&self.radiance()["harmonics"]);
        let mut v = harmonics(direction)[..bands * bands].to_vec();
        v.extend(&values[1..]);
        for (n, layer) in list(&self.radiance()["layers"]).iter().enumerate() {
            v.iter_mut().for_each(|x| *x = round(&layer["precision"], *x));
            v = self.layer(&format!("radiance.layer.{n}"), layer, &v);
        }
        [values[0].max(0.0), v[0], v[1], v[2]]
    }

    /// What is seen along a ray; the direction has length 1.
    pub fn look(&self, o: [f64; 3], d: [f64; 3], way: &Way, parameters: &[f64]) -> Seen {
        let (mut enter, mut leave) = (f64::NEG_INFINITY, f64::INFINITY);
        for (axis, (o, d)) in list(&self.spec["axes"]).iter().zip(o.into_iter().zip(d)) {
            let (min, max) = (number(&axis["min"]), number(&axis["max"]));
            if d == 0.0 {
                let is_between = (min..=max).contains(&o);
                leave = if is_between { leave } else { f64::NEG_INFINITY };
                continue;
            }
            let (a, b) = ((min - o) / d, (max - o) / d);
            enter = f64::max(enter, a.min(b));
            leave = f64::min(leave, a.max(b));
        }
        let (first, last) = (way.near.max(enter), way.far.min(leave));
        let (mut clear, mut colour, mut depth, mut samples) = (1.0, [0.0; 3], 0.0, 0);
        for k in 0.. {
            let s = first + (f64::from(k) + 0.5) * way.step;
            if s >= last || clear < way.stop {
                break;
            }
            let point = [0, 1, 2].map(|k| o[k] + s * d[k]);
            if !self.is_occupied(point) {
                continue;
            }
            samples += 1;
            let [density, seen @ ..] = self.density_and_colour(point, d, parameters);
            let opacity = 1.0 - (-density * way.step).exp();
            let weight = clear * opacity;
            clear *= 1.0 - opacity;
            (0..3).for_each(|k| colour[k] += weight * seen[k]);
            depth += weight * s;
        }
        let opacity = 1.0 - clear;
        let depth = if opacity == 0.0 { way.far } else { depth / opacity };
        Seen { colour, opacity, depth, samples }
    }

    fn normalized(&self, point: [f64; 3]) -> [f64; 3] {
        [0, 1, 2].map(|k| {
            let axis = &self.spec["axes"][k];
            let (min, max) = (number(&axis["min"]), number(&axis["max"]));
            2.0 * (point[k] - min) / (max - min) - 1.0
        })
    }

    fn is_occupied(&self, point: [f64; 3]) -> bool {
        let shape = &self.radiance()["occupancy"];
        if shape.is_null() {
            return true;
        }
        let shape: Vec<usize> = list(shape).iter().rev().map(size).collect();
        let x = self.normalized(point);
        let cell: Vec<usize> = (0..3)
            .map(|k| {
                let floor = ((x[k] + 1.0) / 2.0 * shape[k] as f64).floor();
                floor.clamp(0.0, (shape[k] - 1) as f64) as usize
            })
            .collect();
        let n = (cell[2] * shape[1] + cell[1]) * shape[0] + cell[0];
        let tensor = self.tensor("radiance.occupancy");
        assert_eq!(tensor.shape, [shape.iter().product::<usize>().div_ceil(8)]);
        tensor.bytes[n / 8] >> (n % 8) & 1 == 1
    }
}

/// The table of docs/format.md, from the formulas of the harmonics: with their factors as roots,
/// which the page has as numbers.
fn harmonics([x, y, z]: [f64; 3]) -> [f64; 16] {
    let root = |square: f64| (square / std::f64::consts::PI).sqrt();
    [
        0.5 * root(1.0),
        -root(0.75) * y,
        root(0.75) * z,
        -root(0.75) * x,
        0.5 * root(15.0) * x * y,
        -0.5 * root(15.0) * y * z,
        0.25 * root(5.0) * (3.0 * z * z - 1.0),
        -0.5 * root(15.0) * x * z,
        0.25 * root(15.0) * (x * x - y * y),
        -0.25 * root(17.5) * y * (3.0 * x * x - y * y),
        0.5 * root(105.0) * x * y * z,
        -0.25 * root(10.5) * y * (5.0 * z * z - 1.0),
        0.25 * root(7.0) * z * (5.0 * z * z - 3.0),
        -0.25 * root(10.5) * x * (5.0 * z * z - 1.0),
        0.25 * root(105.0) * z * (x * x - y * y),
        -0.25 * root(17.5) * x * (x * x - 3.0 * y * y),
    ]
}
