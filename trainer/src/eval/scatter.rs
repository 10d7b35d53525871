//! Fields at scattered points as pictures: seen along the last axis, a pixel has the mean of the
//! values in it.

use crate::data::Places;

/// Most pixels along a side.
const LARGEST: usize = 256;

/// Pixels of a square over the first two axes, and which points are in each.
pub struct Raster {
    side: usize,
    /// Pixel of each point.
    pixels: Vec<u32>,
}

impl Raster {
    /// For points that follow no lattice; a lattice has slices.
    pub fn of(places: &Places) -> Option<Self> {
        if places.lattice().is_some() {
            return None;
        }
        // A few points in each pixel, if there are so many.
        let side = ((places.count() as f64 / 3.0).sqrt() as usize).clamp(8, LARGEST);
        let mut point = Vec::new();
        let pixels = (0..places.count()).map(|index| {
            point.clear();
            places.push(index, &mut point);
            let along = |x: f64| (((x + 1.0) * 0.5 * side as f64) as usize).min(side - 1);
            (along(point[1]) * side + along(point[0])) as u32
        });
        Some(Self { side, pixels: pixels.collect() })
    }

    /// Height and width.
    pub fn dims(&self) -> [usize; 2] {
        [self.side; 2]
    }

    /// Means of the first of `outputs` values a point; NaN where there is no point.
    pub fn draw(&self, values: &[f32], outputs: usize) -> Vec<f32> {
        let mut sums = vec![(0.0f64, 0u32); self.side * self.side];
        for (&pixel, value) in self.pixels.iter().zip(values.iter().step_by(outputs)) {
            let (sum, count) = &mut sums[pixel as usize];
            *sum += f64::from(*value);
            *count += 1;
        }
        sums.iter().map(|&(sum, count)| (sum / f64::from(count)) as f32).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Points;

    #[test]
    fn pixels_are_means_of_what_is_in_them() {
        let coords = vec![-1.0, -1.0, 0.0, -1.0, -1.0, 0.9, 1.0, -1.0, 0.0, 0.0, 1.0, 0.0];
        let places = Places::Points(Points::new(3, coords).into());
        let raster = Raster::of(&places).unwrap();
        assert_eq!(raster.dims(), [8, 8]);
        let picture = raster.draw(&[1.0, 9.0, 2.0, 9.0, 5.0, 9.0, 7.0, 9.0], 2);
        assert_eq!((picture[0], picture[7], picture[60]), (1.5, 5.0, 7.0));
        assert_eq!(picture.iter().filter(|value| value.is_nan()).count(), 61);
        assert!(Raster::of(&Places::Lattice(vec![2, 2])).is_none());
    }
}
