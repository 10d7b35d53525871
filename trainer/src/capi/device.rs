//! Blocks in the memory of a GPU: copied to the host, without gaps, by NVIDIA's driver.

use drr::ErrorKind;
use drr::cuda::gpu::Foreign;

use crate::data::given::Layout;
use crate::train::insitu::failure::{Failure, Kind, Outcome};

/// More is not copied at once, except for a row: as much is needed beside the block.
const AT_ONCE: usize = 64 << 20;

/// Bytes that are copied for one that is wanted, at most, but within rows.
const SPARSE: usize = 2;

/// What a block is copied with: parts that lie together there.
#[derive(Debug, PartialEq)]
struct Plan {
    /// Points along z, y, x and values, and the bytes from one to the next, those furthest apart first.
    axes: [(usize, isize); 4],
    /// Bytes from one to the next of the copy, in the same order.
    packed: [usize; 4],
    /// The first of these are gone through, the others copied at once.
    outer: usize,
    /// Bytes of that.
    part: usize,
    /// Bytes that a part begins before its first value.
    before: usize,
}

/// The block's values without gaps, and where they are.
///
/// # Safety
/// As for [`Foreign::read`], of all that the layout reaches from `address`.
pub(super) unsafe fn on_the_host(layout: &Layout, address: u64) -> Outcome<(Vec<u8>, Layout)> {
    let number = if layout.is_double { 8 } else { 4 };
    let [d, h, w] = layout.span.extent;
    let row = w * layout.width * number;
    let gapless = Layout {
        strides: [h * row, row, row / w].map(|n| n as isize),
        by_value: number as isize,
        ..*layout
    };
    let plan = plan(layout, &gapless, number);
    let memory = Foreign::at(address).map_err(failure)?;
    let (mut values, mut part) = (room(d * h * row)?, room(plan.part)?);
    let mut done = Ok(());
    plan.each_part(|there, here| {
        if done.is_err() {
            return;
        }
        let from = address.wrapping_add_signed(there as i64).wrapping_sub(plan.before as u64);
        // SAFETY: the caller's promise.
        done = unsafe { memory.read(from, &mut part) };
        plan.each_of_part(|there, to| {
            let from = (plan.before as isize + there) as usize;
            values[here + to..][..number].copy_from_slice(&part[from..][..number]);
        });
    });
    done.map_err(failure)?;
    Ok((values, gapless))
}

/// What copies fewest bytes in few calls.
fn plan(layout: &Layout, gapless: &Layout, number: usize) -> Plan {
    let along =
        |k: usize| ((layout.span.extent[k], layout.strides[k]), gapless.strides[k] as usize);
    let mut axes = [along(0), along(1), along(2), ((layout.width, layout.by_value), number)];
    axes.sort_by_key(|((count, stride), _)| {
        // One step is none.
        std::cmp::Reverse(if *count > 1 { stride.unsigned_abs() } else { 0 })
    });
    let (packed, axes) = (axes.map(|(_, packed)| packed), axes.map(|(axis, _)| axis));
    let reach = |from: usize| -> usize {
        axes[from..]
            .iter()
            .map(|(count, stride)| (count - 1) * stride.unsigned_abs())
            .sum::<usize>()
            + number
    };
    let wanted =
        |from: usize| axes[from..].iter().map(|(count, _)| count).product::<usize>() * number;
    let is_good = |&from: &usize| reach(from) <= AT_ONCE && reach(from) / SPARSE <= wanted(from);
    // At last the axis along which there are steps, and they are shortest.
    let last = axes.iter().rposition(|(count, _)| *count > 1).unwrap_or(0);
    let outer = (0..last).find(is_good).unwrap_or(last);
    let backwards = axes[outer..].iter().filter(|(_, stride)| *stride < 0);
    let before = backwards.map(|(count, stride)| (count - 1) * stride.unsigned_abs()).sum();
    Plan { axes, packed, outer, part: reach(outer), before }
}

impl Plan {
    /// Calls `see` with where each part is: there from the first value, and in the copy.
    fn each_part(&self, see: impl FnMut(isize, usize)) {
        self.each(0..self.outer, see);
    }

    /// Calls `see` with where each value of a part is, from its first: there, and in the copy.
    fn each_of_part(&self, see: impl FnMut(isize, usize)) {
        self.each(self.outer..4, see);
    }

    fn each(&self, axes: std::ops::Range<usize>, mut see: impl FnMut(isize, usize)) {
        let counts = self.axes.map(|(count, _)| count);
        let total: usize = counts[axes.clone()].iter().product();
        for index in 0..total {
            let (mut rest, mut there, mut here) = (index, 0, 0);
            for k in axes.clone().rev() {
                let at = rest % counts[k];
                rest /= counts[k];
                there += at as isize * self.axes[k].1;
                here += at * self.packed[k];
            }
            see(there, here);
        }
    }
}

fn room(bytes: usize) -> Outcome<Vec<u8>> {
    let mut room = Vec::new();
    room.try_reserve_exact(bytes).map_err(|_| {
        let message = format!("there are no {bytes} bytes for a copy of the GPU's memory");
        Failure::new(Kind::OutOfMemory, message)
    })?;
    room.resize(bytes, 0);
    Ok(room)
}

/// Why the driver could not.
fn failure(error: drr::Error) -> Failure {
    let hint = match error.kind() {
        ErrorKind::InvalidArgument => {
            "; expected what lies in one allocation of a GPU (cudaMalloc, OpenACC, ...), all that \
             block.extent and block.stride reach; memory of the host is DRR_TRAIN_HOST"
        }
        ErrorKind::NoDevice => "; copy the block to the host and give it as DRR_TRAIN_HOST",
        _ => "",
    };
    let kind = match error.kind() {
        ErrorKind::NoDevice | ErrorKind::Device => Kind::NoDevice,
        ErrorKind::InvalidArgument => Kind::InvalidArgument,
        ErrorKind::OutOfMemory => Kind::OutOfMemory,
        ErrorKind::Unsupported => Kind::Unsupported,
        _ => Kind::Internal,
    };
    Failure::new(kind, format!("block.data, which block.location says is a GPU's: {error}{hint}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::given::Span;

    fn planned(extent: [usize; 3], strides: [isize; 3], width: usize, by_value: isize) -> Plan {
        let layout = |strides, by_value| Layout {
            span: Span { offset: [0; 3], extent },
            is_double: false,
            width,
            strides,
            by_value,
        };
        let [_, h, w] = extent;
        let row = [h * w * width * 4, w * width * 4, width * 4].map(|n| n as isize);
        plan(&layout(strides, by_value), &layout(row, 4), 4)
    }

    #[test]
    fn what_lies_together_is_copied_together() {
        // Without gaps, and with a layer of ghosts.
        let whole = planned([8, 8, 8], [256, 32, 4], 1, 4);
        assert_eq!((whole.outer, whole.part, whole.before), (0, 2048, 0));
        let inner = planned([8, 8, 8], [400, 40, 4], 1, 4);
        assert_eq!((inner.outer, inner.part), (0, 7 * 400 + 7 * 40 + 8 * 4));
        // A few layers of many, from behind: two parts.
        let layers = planned([2, 8, 8], [-25600, 32, 4], 1, 4);
        assert_eq!((layers.outer, layers.part, layers.before), (1, 256, 0));
        // One number of many: a row at a time.
        let sparse = planned([4, 8, 8], [32000, 4000, -400], 1, 4);
        assert_eq!((sparse.outer, sparse.part, sparse.before), (2, 7 * 400 + 4, 7 * 400));
        // Values that are arrays of their own; z is fastest.
        let arrays = planned([8, 4, 2], [4, 32, 128], 2, 1 << 20);
        assert_eq!((arrays.outer, arrays.part), (1, 256));
        let one = planned([1, 1, 1], [0, 0, 0], 1, 4);
        assert_eq!((one.part, one.before), (4, 0));
        // Too much for once.
        let large = planned([64, 1024, 1024], [4 << 20, 4096, 4], 1, 4);
        assert_eq!((large.outer, large.part), (1, 4 << 20));
    }

    #[test]
    fn every_number_is_where_it_belongs() {
        for (strides, by_value) in
            [([160, 40, 8], 4), ([-160, 40, -8], 4), ([4, 16, 64], 1000), ([80000, -900, 100], 8)]
        {
            let plan = planned([4, 4, 5], strides, 2, by_value);
            let mut seen = std::collections::BTreeMap::new();
            plan.each_part(|from, to| {
                plan.each_of_part(|there, here| {
                    let within = plan.before as isize + there;
                    assert!(within >= 0 && within as usize + 4 <= plan.part);
                    assert!(seen.insert(to + here, from + there).is_none());
                });
            });
            for (n, (&here, &there)) in seen.iter().enumerate() {
                let [z, y, x, v] = [n / 40, n / 10 % 4, n / 2 % 5, n % 2].map(|k| k as isize);
                let expected = z * strides[0] + y * strides[1] + x * strides[2] + v * by_value;
                assert_eq!((here, there), (4 * n, expected));
            }
            assert_eq!(seen.len(), 160);
        }
    }
}
