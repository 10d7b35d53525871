//! What a process holds of a model that several have cut up: of grids the vertices around its block of
//! the domain, of tensors the numbers of those.

use std::ops::Range;

use tch::Tensor;

/// The vertices of a grid that a process holds. All lists are slowest axis first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Vertices of the grid along each axis.
    of: Vec<usize>,
    /// Those that are held.
    ranges: Vec<Range<usize>>,
}

/// A box of a tensor's numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// Shape of the whole tensor.
    whole: Vec<i64>,
    /// What of each dimension is in the box.
    ranges: Vec<Range<i64>>,
    /// Leading dimensions that are stored as one.
    flat: usize,
}

impl Held {
    /// All vertices of a grid.
    pub fn all(shape: &[usize]) -> Self {
        Self { of: shape.to_vec(), ranges: shape.iter().map(|&n| 0..n).collect() }
    }

    /// Those between which values within `bounds`, in [-1, 1] along each axis, are interpolated.
    pub fn within(shape: &[usize], bounds: &[(f64, f64)]) -> Self {
        let range = |(&vertices, &(low, high)): (&usize, &(f64, f64))| {
            let last = vertices.saturating_sub(1);
            let at = |x: f64| (x + 1.0) * 0.5 * last as f64;
            let start = (at(low).floor().max(0.0) as usize).min(last.saturating_sub(1));
            let end = (at(high).ceil() as usize).clamp(start + 1, last.max(start + 1));
            start..(end + 1).min(vertices)
        };
        let ranges = shape.iter().zip(bounds).map(range).collect();
        Self { of: shape.to_vec(), ranges }
    }

    /// Whether nothing is missing.
    pub fn is_all(&self) -> bool {
        *self == Self::all(&self.of)
    }

    /// Vertices along each axis.
    pub fn shape(&self) -> Vec<usize> {
        self.ranges.iter().map(Range::len).collect()
    }

    /// Between which of the vertices, in [-1, 1] along each axis of the whole grid.
    pub fn bounds(&self) -> Vec<(f64, f64)> {
        let bound = |(range, &of): (&Range<usize>, &usize)| {
            let at = |vertex: usize| 2.0 * vertex as f64 / (of.max(2) - 1) as f64 - 1.0;
            (at(range.start), at(range.end - 1))
        };
        self.ranges.iter().zip(&self.of).map(bound).collect()
    }

    /// Along axis `axis`: the first vertex that is held, how many are, and of how many.
    pub fn along(&self, axis: usize) -> (i64, i64, i64) {
        let range = &self.ranges[axis];
        (range.start as i64, range.len() as i64, self.of[axis] as i64)
    }

    /// Places of the whole grid, `[points, dims]` in [-1, 1] with x first, as places of what is held.
    pub fn local(&self, points: &Tensor) -> Tensor {
        if self.is_all() {
            return points.shallow_clone();
        }
        let scale = |axis: usize| {
            let (start, count, of) = self.along(axis);
            let steps = (count.max(2) - 1) as f64;
            let scale = (of - 1) as f64 / steps;
            (scale, scale - 2.0 * start as f64 / steps - 1.0)
        };
        let (scales, shifts): (Vec<f64>, Vec<f64>) = (0..self.of.len()).rev().map(scale).unzip();
        let tensor = |numbers: &[f64]| Tensor::from_slice(numbers).to_device(points.device());
        (points * tensor(&scales) + tensor(&shifts)).to_kind(points.kind())
    }

    /// What is held of a tensor `[before.., ..vertices]`.
    pub fn window(&self, before: &[i64]) -> Window {
        let whole = before.iter().copied().chain(self.of.iter().map(|&n| n as i64));
        let ranges = before.iter().map(|&n| 0..n).chain(self.vertices());
        Window { whole: whole.collect(), ranges: ranges.collect(), flat: 1 }
    }

    /// What is held of a tensor `[vertices, after]` whose vertices are in row-major order.
    pub fn rows(&self, after: i64) -> Window {
        let whole = self.of.iter().map(|&n| n as i64).chain([after]).collect();
        let ranges = self.vertices().chain(std::iter::once(0..after)).collect();
        Window { whole, ranges, flat: self.of.len() }
    }

    fn vertices(&self) -> impl Iterator<Item = Range<i64>> + '_ {
        self.ranges.iter().map(|range| range.start as i64..range.end as i64)
    }
}

impl Window {
    /// Another box of the same tensor, from the ends of its ranges.
    pub fn other(&self, ends: &[i64]) -> Self {
        let ranges = ends.chunks_exact(2).map(|ends| ends[0]..ends[1]).collect();
        Self { ranges, ..self.clone() }
    }

    /// The ends of its ranges.
    pub fn ends(&self) -> impl Iterator<Item = i64> + '_ {
        self.ranges.iter().flat_map(|range| [range.start, range.end])
    }

    /// Shape of the whole tensor as it is stored.
    pub fn whole(&self) -> Vec<i64> {
        self.stored(&self.whole)
    }

    /// Shape of the box as it is stored.
    pub fn shape(&self) -> Vec<i64> {
        self.stored(&self.extents())
    }

    /// The box of the whole tensor.
    pub fn cut(&self, whole: &Tensor) -> Tensor {
        self.of(&whole.reshape(&self.whole[..])).reshape(&self.shape()[..]).contiguous()
    }

    /// Puts the box, as [`cut`](Self::cut) gives it, into a whole tensor, which is contiguous.
    pub fn put(&self, part: &Tensor, whole: &Tensor) {
        let place = self.of(&whole.view(&self.whole[..]));
        place.shallow_clone().copy_(&part.reshape(&self.extents()[..]));
    }

    /// What is in both boxes, as a box of this one; `None` if nothing is.
    pub fn shared(&self, other: &Self) -> Option<Self> {
        let ranges: Vec<_> = (self.ranges.iter().zip(&other.ranges))
            .map(|(a, b)| a.start.max(b.start) - a.start..a.end.min(b.end) - a.start)
            .collect();
        let is_there = ranges.iter().all(|range| range.start < range.end);
        is_there.then(|| Self { whole: self.extents(), ranges, flat: self.flat })
    }

    fn of(&self, whole: &Tensor) -> Tensor {
        (0..).zip(&self.ranges).fold(whole.shallow_clone(), |part, (dim, range)| {
            part.narrow(dim, range.start, range.end - range.start)
        })
    }

    fn extents(&self) -> Vec<i64> {
        self.ranges.iter().map(|range| range.end - range.start).collect()
    }

    fn stored(&self, shape: &[i64]) -> Vec<i64> {
        let (leading, rest) = shape.split_at(self.flat);
        std::iter::once(leading.iter().product()).chain(rest.iter().copied()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind};

    #[test]
    fn vertices_around_a_block_are_held() {
        // The borders at 0 and 0.5 lie on vertices 4 and 6 of 9, between 3 and 4, and 5 and 6 of 8.
        let bounds = [(0.0, 0.5), (-1.0, 1.0), (0.0, 0.5)];
        let held = Held::within(&[9, 9, 8], &bounds);
        assert_eq!(held.ranges, [4..7, 0..9, 3..7]);
        assert_eq!((held.shape(), held.is_all()), (vec![3, 9, 4], false));
        assert_eq!(held.bounds()[0], (0.0, 0.5));
        assert!(Held::within(&[9, 9], &[(-1.0, 1.0); 2]).is_all());
        // Two vertices at least, where there are as many.
        for bounds in [(1.0, 1.0), (-1.0, -1.0), (0.0, 0.0)] {
            assert_eq!(Held::within(&[2], &[bounds]).ranges[0], 0..2);
            assert_eq!(Held::within(&[3], &[bounds]).ranges[0].len(), 2);
        }
        assert_eq!(Held::within(&[1], &[(-1.0, 0.0)]).ranges[0], 0..1);
    }

    #[test]
    fn places_are_found_among_what_is_held() {
        let held = Held::within(&[9, 5], &[(-0.3, 0.4), (0.5, 1.0)]);
        assert_eq!(held.ranges, [2..7, 3..5]);
        // x first: vertex (3.5, 4) of the whole is (1.5, 1) of the 5 x 2 that are held.
        let points = Tensor::from_slice(&[1.0, 2.0 * 3.5 / 8.0 - 1.0]).view([1, 2]);
        let local = Vec::<f64>::try_from(held.local(&points).view(-1)).unwrap();
        assert!((local[0] - 1.0).abs() < 1e-12 && (local[1] + 0.25).abs() < 1e-12, "{local:?}");
    }

    #[test]
    fn boxes_are_cut_out_and_put_back() {
        let held = Held::within(&[4, 6, 5], &[(-1.0, 0.0), (0.2, 1.0), (-1.0, 1.0)]);
        let all = Tensor::arange(2 * 120, (Kind::Float, Device::Cpu));
        for (window, whole) in
            [(held.window(&[1, 2]), all.view([1, 2, 4, 6, 5])), (held.rows(2), all.view([120, 2]))]
        {
            assert_eq!(window.whole(), whole.size());
            let part = window.cut(&whole);
            assert_eq!(part.size(), window.shape());
            assert_eq!(part.numel(), 2 * 3 * 3 * 5);
            let empty = whole.zeros_like();
            window.put(&part, &empty);
            assert!(window.cut(&empty) == part);
            assert_eq!(
                empty.ne(0.0).sum(Kind::Int64).int64_value(&[]),
                part.ne(0.0).sum(Kind::Int64).int64_value(&[])
            );
            let again = window.other(&window.ends().collect::<Vec<_>>());
            assert_eq!(again, window);
        }
    }

    #[test]
    fn what_two_boxes_share_is_found_in_each() {
        let [a, b, c] = [(-1.0, 0.1), (0.0, 1.0), (0.9, 1.0)]
            .map(|along| Held::within(&[9, 3], &[along, (-1.0, 1.0)]).window(&[1, 2]));
        let whole = Tensor::arange(54, (Kind::Float, Device::Cpu)).view([1, 2, 9, 3]);
        let (of_a, of_b) = (a.shared(&b).unwrap(), b.shared(&a).unwrap());
        let (in_a, in_b) = (of_a.cut(&a.cut(&whole)), of_b.cut(&b.cut(&whole)));
        assert!(in_a == in_b && in_a.size() == [1, 2, 2, 3]);
        assert!(a.shared(&c).is_none() && c.shared(&a).is_none());
        assert_eq!(a.shared(&a).unwrap().shape(), a.shape());
    }
}
