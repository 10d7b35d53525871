//! Lattice points drawn in blocks: neighbours share the vertices that must be refined for them.

use super::draws::Draws;

/// Appends `count` points of a lattice of shape `dims`, slowest dimension first, to `points`: all
/// samples of blocks of `side` samples along each axis, the last block cut short.
///
/// Blocks stand anywhere and go on at the opposite face where they leave the lattice, so that every
/// point is drawn equally often.
pub(super) fn draw(
    dims: &[usize],
    side: usize,
    count: usize,
    draws: &mut Draws,
    points: &mut Vec<u32>,
) {
    let wanted = points.len() + count;
    while points.len() < wanted {
        let mut block = vec![0];
        for &n in dims {
            let first = draws.below(n as u64) as usize;
            let along = (0..side.min(n)).map(|i| (first + i) % n);
            block =
                block.iter().flat_map(|row| along.clone().map(move |at| row * n + at)).collect();
        }
        points.extend(block.iter().map(|&point| point as u32));
    }
    points.truncate(wanted);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(dims: &[usize], side: usize, count: usize) -> Vec<u32> {
        let mut points = vec![7];
        draw(dims, side, count, &mut Draws::new(1, 2), &mut points);
        assert_eq!(points.remove(0), 7, "what was there stays");
        points
    }

    #[test]
    fn a_block_is_a_box_that_may_go_on_at_the_opposite_face() {
        let dims = [5, 6, 7];
        for block in drawn(&dims, 3, 27 * 40).chunks(27) {
            for (axis, stride) in [42, 7, 1].into_iter().enumerate() {
                let n = dims[axis];
                let mut at: Vec<_> = block.iter().map(|&p| p as usize / stride % n).collect();
                at.sort_unstable();
                at.dedup();
                let first = (0..n).find(|first| (0..3).all(|i| at.contains(&((first + i) % n))));
                assert!(at.len() == 3 && first.is_some(), "{at:?}");
            }
            let mut points = block.to_vec();
            points.sort_unstable();
            points.dedup();
            assert_eq!(points.len(), 27, "each point once");
        }
    }

    #[test]
    fn every_point_is_drawn_equally_often() {
        let mut counts = [0u32; 20];
        drawn(&[4, 5], 3, 9 * 20_000).iter().for_each(|&point| counts[point as usize] += 1);
        // Mean 9,000; five standard errors of a sum of 20,000 draws.
        assert!(counts.iter().all(|&n| (9000 - 360..9000 + 360).contains(&n)), "{counts:?}");
    }

    #[test]
    fn blocks_are_cut_to_the_lattice_and_to_the_number_wanted() {
        let mut all = drawn(&[2, 3], 100, 6);
        all.sort_unstable();
        assert_eq!(all, [0, 1, 2, 3, 4, 5]);
        assert_eq!(drawn(&[8, 8], 2, 7).len(), 7);
        assert!(drawn(&[8, 8], 2, 0).is_empty());
    }
}
