//! Blocks of values in the caller's memory. Whatever can be found out without following an address is
//! checked here; what is on a GPU is copied.

use std::ffi::c_void;

use super::device;
use super::structs::{drr_train_block, unknown};
use crate::data::given::{Block, Layout, Release, Span};
use crate::train::insitu::Memory;
use crate::train::insitu::failure::{Failure, Outcome};

/// What a caller wants to hear of when memory is given up.
struct Host {
    callback: unsafe extern "C" fn(*const c_void, *mut c_void),
    data: *const c_void,
    user_data: *mut c_void,
}

// SAFETY: the library only hands the addresses back.
unsafe impl Send for Host {}
// SAFETY: as above.
unsafe impl Sync for Host {}

impl Host {
    fn tell(self) {
        // SAFETY: a callback that its giver said may be called so, once.
        unsafe { (self.callback)(self.data, self.user_data) }
    }
}

/// What becomes of the block's memory.
pub(super) fn memory(given: &drr_train_block) -> Outcome<Memory> {
    let (data, user_data) = (given.data, given.user_data);
    let host = given.release.map(|callback| Host { callback, data, user_data });
    let release = host.map(|host| -> Release { Box::new(move || host.tell()) });
    match (given.memory, release) {
        (0, _) => Ok(Memory::Copied),
        (1, _) if given.location == 1 => Err(Failure::argument(
            "block.memory is DRR_TRAIN_BORROW and block.location is DRR_TRAIN_DEVICE: memory of a GPU is not \
             borrowed, expected DRR_TRAIN_COPY",
        )),
        (1, release) => Ok(Memory::Borrowed(release)),
        (other, _) => Err(unknown("block.memory", other, "drr_train_memory")),
    }
}

/// A block of a lattice of so many points `[z, y, x]`, each of `width` values, of which this process
/// gives its `own`.
///
/// # Safety
/// The struct must say the truth for as long as the block is used; of memory of a GPU, during the call.
pub(super) unsafe fn block(
    given: &drr_train_block,
    lattice: [usize; 3],
    own: Span,
    width: usize,
) -> Outcome<Block> {
    let (is_double, number) = match given.scalar {
        0 => (false, 4),
        1 => (true, 8),
        other => {
            return Err(unknown(
                "block.scalar",
                other,
                "drr_scalar for values in memory: F32, F64",
            ));
        }
    };
    let is_on_device = match given.location {
        0 => false,
        1 => true,
        other => return Err(unknown("block.location", other, "drr_train_location")),
    };
    if given.data.is_null() {
        return Err(Failure::argument("block.data is NULL"));
    }
    let span = span(given.offset, given.extent, lattice[0] == 1).unwrap_or(own);
    let (by_value, strides) = strides(given, span.extent, width, number)?;
    let layout = Layout { span, is_double, strides, width, by_value };
    if !is_on_device {
        // SAFETY: the caller's promise.
        return Ok(unsafe { Block::new(layout, given.data.cast()) });
    }
    check_inside(&span, lattice)?;
    // SAFETY: the caller's promise.
    let (values, layout) = unsafe { device::on_the_host(&layout, given.data as u64)? };
    // SAFETY: what the layout says is in the copy, which goes with the block.
    let block = unsafe { Block::new(layout, values.as_ptr()) };
    Ok(block.with_release(Some(Box::new(move || drop(values)))))
}

/// What is copied before the training looks at it has points, all of them in the lattice.
fn check_inside(span: &Span, lattice: [usize; 3]) -> Outcome<()> {
    let fits = |k: usize| {
        span.extent[k] > 0
            && span.offset[k].checked_add(span.extent[k]).is_some_and(|end| end <= lattice[k])
    };
    if (0..3).all(fits) {
        return Ok(());
    }
    let by_x = |mut of: [usize; 3]| {
        of.reverse();
        of
    };
    Err(Failure::argument(format!(
        "block.offset {:?} and block.extent {:?} do not fit a lattice of {:?} points (x first)",
        by_x(span.offset),
        by_x(span.extent),
        by_x(lattice)
    )))
}

/// A box that is given x first; `None` if its extent is not.
pub(super) fn span(offset: [u64; 3], extent: [u64; 3], is_plane: bool) -> Option<Span> {
    let size = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
    // Of z, y, x.
    let order = [2, 1, 0];
    (extent != [0; 3]).then(|| Span {
        offset: order.map(|k| size(offset[k])),
        extent: order.map(|k| match (k, extent[k]) {
            (2, 0) if is_plane => 1,
            (_, n) => size(n),
        }),
    })
}

/// Bytes from value to value, and from point to point along z, y, x.
fn strides(
    given: &drr_train_block,
    extent: [usize; 3],
    width: usize,
    number: i64,
) -> Outcome<(isize, [isize; 3])> {
    let by_value = if given.value_stride == 0 { number } else { given.value_stride };
    if by_value != number && given.stride[0] == 0 && width > 1 {
        return Err(Failure::argument(format!(
            "block.stride[0] is 0 (no gaps), but block.value_stride is {by_value}: give both"
        )));
    }
    let too_far = || Failure::argument(format!("block.stride {:?} is too far", given.stride));
    let mut gapless = number.checked_mul(width as i64);
    let mut strides = [0; 3];
    let mut reach = by_value.checked_mul(width as i64);
    for k in 0..3 {
        let stride = match given.stride[k] {
            0 => gapless.ok_or_else(too_far)?,
            stride => stride,
        };
        let points = i64::try_from(extent[2 - k]).map_err(|_| too_far())?;
        gapless = stride.checked_mul(points);
        let along = gapless.and_then(i64::checked_abs);
        reach = reach.and_then(i64::checked_abs).zip(along).and_then(|(a, b)| a.checked_add(b));
        strides[2 - k] = isize::try_from(stride).map_err(|_| too_far())?;
    }
    reach.ok_or_else(too_far)?;
    Ok((isize::try_from(by_value).map_err(|_| too_far())?, strides))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(stride: [i64; 3], value_stride: i64) -> drr_train_block {
        drr_train_block {
            struct_size: 0,
            scalar: 0,
            data: std::ptr::null(),
            offset: [0; 3],
            extent: [0; 3],
            stride,
            value_stride,
            memory: 0,
            location: 0,
            release: None,
            user_data: std::ptr::null_mut(),
        }
    }

    #[test]
    fn strides_that_are_not_said_leave_no_gaps() {
        let of = |stride, value_stride| strides(&given(stride, value_stride), [5, 4, 3], 2, 8);
        assert_eq!(of([0; 3], 0).unwrap(), (8, [16 * 12, 48, 16]));
        assert_eq!(of([32, 0, 0], 0).unwrap(), (8, [32 * 12, 96, 32]));
        assert_eq!(of([-16, 100, 0], 0).unwrap(), (8, [400, 100, -16]));
        assert_eq!(of([8, 0, 0], 480).unwrap(), (480, [96, 24, 8]));
        assert!(of([0; 3], 480).unwrap_err().message.ends_with("give both"));
        assert!(of([i64::MAX, 0, 0], 0).unwrap_err().message.ends_with("too far"));
        assert!(of([0, 0, i64::MIN], 0).unwrap_err().message.ends_with("too far"));
    }
}
