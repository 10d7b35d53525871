//! Where the values of a field are, the same for all members: on a regular lattice, or at points
//! that follow none (curvilinear and unstructured meshes, observations).
//!
//! Coordinates are in `[-1, 1]`, x first. What they are in physical units is said by the axes.

use std::fmt;
use std::sync::Arc;

use anyhow::{Result, bail};

use super::draws::Draws;
use super::lattice::{push_coordinates, resample};

/// The places of a field's values, in the order of the files.
#[derive(Debug, Clone, PartialEq)]
pub enum Places {
    /// A regular lattice of this shape in index order: `[D, H, W]` or `[H, W]`; at least 2 samples
    /// each.
    Lattice(Vec<usize>),
    /// Scattered points.
    Points(Arc<Points>),
}

/// Points that follow no lattice.
#[derive(Debug, Clone, PartialEq)]
pub struct Points {
    axes: usize,
    /// `[points, axes]`.
    coords: Vec<f32>,
}

impl Points {
    /// Of coordinates in `[-1, 1]`, `[points, axes]`.
    pub fn new(axes: usize, coords: Vec<f32>) -> Self {
        Self { axes, coords }
    }

    /// CRC-32 of the coordinates: tells whether others are given in their place.
    pub fn checksum(&self) -> u32 {
        let mut checksum = crc32fast::Hasher::new();
        self.coords.iter().for_each(|x| checksum.update(&x.to_le_bytes()));
        checksum.finalize()
    }

    fn count(&self) -> usize {
        self.coords.len() / self.axes
    }

    fn point(&self, index: usize) -> &[f32] {
        &self.coords[index * self.axes..][..self.axes]
    }
}

impl Places {
    /// Number of axes.
    pub fn axes(&self) -> usize {
        match self {
            Self::Lattice(dims) => dims.len(),
            Self::Points(points) => points.axes,
        }
    }

    /// Number of places.
    pub fn count(&self) -> usize {
        match self {
            Self::Lattice(dims) => dims.iter().product(),
            Self::Points(points) => points.count(),
        }
    }

    /// The shape of a field without its components: `[D, H, W]`, `[H, W]` or `[points]`.
    pub fn shape(&self) -> Vec<usize> {
        match self {
            Self::Lattice(dims) => dims.clone(),
            Self::Points(points) => vec![points.count()],
        }
    }

    /// The shape of the lattice, if it is one.
    pub fn lattice(&self) -> Option<&[usize]> {
        match self {
            Self::Lattice(dims) => Some(dims),
            Self::Points(_) => None,
        }
    }

    /// Appends the coordinates of the place `index`.
    pub fn push(&self, index: usize, coords: &mut Vec<f64>) {
        match self {
            Self::Lattice(dims) => push_coordinates(dims, index, coords),
            Self::Points(points) => {
                coords.extend(points.point(index).iter().map(|&x| f64::from(x)))
            }
        }
    }

    /// The fewer places that a factor above 0 up to 1 leaves: a lattice becomes coarser, as
    /// `torch.nn.functional.interpolate` shapes it; of points that share of them stays.
    ///
    /// # Errors
    /// If less than a lattice or no point is left.
    pub(super) fn reduced(&self, factor: f64) -> Result<Self> {
        match self {
            _ if factor == 1.0 => Ok(self.clone()),
            Self::Lattice(dims) => {
                let scaled: Vec<_> = dims.iter().map(|&n| (n as f64 * factor) as usize).collect();
                if scaled.iter().any(|&n| n < 2) {
                    bail!(
                        "dataset.param.dim_scale_factor: given {factor}, which makes {scaled:?} of \
                         fields of {dims:?}; each axis needs 2 samples"
                    );
                }
                Ok(Self::Lattice(scaled))
            }
            Self::Points(points) => {
                let kept = (points.count() as f64 * factor) as usize;
                if kept == 0 {
                    bail!(
                        "dataset.param.dim_scale_factor: given {factor}, which leaves none of {} \
                         points",
                        points.count()
                    );
                }
                let kept = kept_points(points.count(), kept);
                let coords = kept.flat_map(|index| points.point(index).iter().copied()).collect();
                Ok(Self::Points(Arc::new(Points::new(points.axes, coords))))
            }
        }
    }

    /// A field of these places at those that [`reduced`](Self::reduced) gave.
    pub(super) fn reduce(&self, field: Vec<f32>, to: &Self) -> Vec<f32> {
        match (self, to) {
            (Self::Lattice(dims), Self::Lattice(fewer)) if dims != fewer => {
                resample(&field, dims, fewer)
            }
            (Self::Points(points), Self::Points(fewer)) if points.count() != fewer.count() => {
                let width = field.len() / points.count();
                let kept = kept_points(points.count(), fewer.count());
                kept.flat_map(|index| &field[index * width..][..width]).copied().collect()
            }
            _ => field,
        }
    }
}

/// `kept` of `count` points: one of each run of neighbours in the file. Always the first would
/// follow the order of the file: one layer of a mesh that lists its layers in turn.
fn kept_points(count: usize, kept: usize) -> impl Iterator<Item = usize> {
    const SEED: u64 = 0x6b65_6570;
    let mut draws = Draws::new(SEED, count as u64);
    let begin = move |n: usize| (n as u128 * count as u128 / kept as u128) as usize;
    (0..kept).map(move |n| begin(n) + draws.below((begin(n + 1) - begin(n)) as u64) as usize)
}

impl fmt::Display for Places {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lattice(dims) => write!(f, "{dims:?}"),
            Self::Points(points) => write!(f, "{} scattered points", points.count()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(count: usize) -> Places {
        let coords = (0..2 * count).map(|n| n as f32 / (2 * count) as f32).collect();
        Places::Points(Arc::new(Points::new(2, coords)))
    }

    #[test]
    fn both_kinds_tell_their_places() {
        let lattice = Places::Lattice(vec![3, 4, 5]);
        assert_eq!((lattice.axes(), lattice.count(), lattice.shape()), (3, 60, vec![3, 4, 5]));
        let points = points(4);
        assert_eq!((points.axes(), points.count(), points.shape()), (2, 4, vec![4]));
        assert_eq!((points.lattice(), lattice.lattice()), (None, Some(&[3, 4, 5][..])));
        let mut coords = Vec::new();
        points.push(3, &mut coords);
        lattice.push(59, &mut coords);
        assert_eq!(coords, [0.75, 0.875, 1.0, 1.0, 1.0]);
        assert_eq!(
            (lattice.to_string(), points.to_string()),
            ("[3, 4, 5]".into(), "4 scattered points".into())
        );
    }

    #[test]
    fn fewer_points_are_some_of_them_with_their_values() {
        let all = points(1000);
        let fewer = all.reduced(0.1).unwrap();
        assert_eq!(fewer.count(), 100);
        let field: Vec<f32> = (0..2000).map(|n| (n / 2) as f32).collect();
        let values = all.reduce(field.clone(), &fewer);
        assert_eq!(values.len(), 200);
        let mut offsets = [false; 10];
        for (n, pair) in values.chunks(2).enumerate() {
            let (mut found, mut expected) = (Vec::new(), Vec::new());
            fewer.push(n, &mut found);
            all.push(pair[0] as usize, &mut expected);
            assert_eq!((found, pair[1]), (expected, pair[0]));
            assert_eq!(pair[0] as usize / 10, n, "one of each run");
            offsets[pair[0] as usize % 10] = true;
        }
        assert!(offsets.iter().filter(|&&seen| seen).count() > 7, "not every tenth: {offsets:?}");
        assert_eq!(all.reduce(field.clone(), &all.reduced(1.0).unwrap()), field);
        let none = all.reduced(1e-4).unwrap_err().to_string();
        assert!(none.contains("none of 1000 points"), "{none}");
        assert!(
            Places::Lattice(vec![4, 4]).reduced(0.3).unwrap_err().to_string().contains("[1, 1]")
        );
    }
}
