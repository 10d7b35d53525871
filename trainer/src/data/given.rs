//! Values as a running simulation gives them, copied or left where they are. They become what is
//! learned when they are asked for, so that a scale which is found later changes no copy.

use std::fmt;
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};

use super::member::Normalization;

/// A box of lattice points `[z, y, x]`; z is 0 in a plane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Its first point.
    pub offset: [usize; 3],
    /// Points along each axis, 1 or more.
    pub extent: [usize; 3],
}

/// A part of a field in memory of others.
pub struct Block {
    layout: Layout,
    base: *const u8,
    /// Called when nobody looks at the memory any more.
    release: Option<Release>,
}

/// What is to be done when memory is not looked at any more.
pub type Release = Box<dyn FnOnce() + Send + Sync>;

/// Layout of a [`Block`].
#[derive(Debug, Clone, Copy)]
pub struct Layout {
    /// Where it is in the lattice.
    pub span: Span,
    /// Whether numbers have 64 bits instead of 32.
    pub is_double: bool,
    /// Values of each point.
    pub width: usize,
    /// Bytes from point to point along z, y, x.
    pub strides: [isize; 3],
    /// Bytes from value to value of a point.
    pub by_value: isize,
}

/// The values of one member: some in a copy, some where they are.
#[derive(Debug)]
pub struct Values {
    dims: [usize; 3],
    width: usize,
    /// `[points, values]`; empty while nothing is copied.
    copied: Vec<f32>,
    lent: Vec<Block>,
}

/// [`Values`] on the scale of a normalisation.
#[derive(Debug, Clone)]
pub struct Given {
    values: Arc<Values>,
    scale: Normalization,
}

// SAFETY: the memory is only read, by whatever thread; that it may be is what `Block::new` asks.
unsafe impl Send for Block {}
// SAFETY: as above.
unsafe impl Sync for Block {}

impl Span {
    /// Number of points.
    pub fn points(&self) -> usize {
        self.extent.iter().product()
    }

    /// Whether there are points in both.
    pub fn overlaps(&self, other: &Self) -> bool {
        (0..3).all(|k| {
            self.offset[k] < other.offset[k] + other.extent[k]
                && other.offset[k] < self.offset[k] + self.extent[k]
        })
    }

    /// Whether all points of another are in it.
    pub fn holds(&self, other: &Self) -> bool {
        (0..3).all(|k| {
            other.offset[k] >= self.offset[k]
                && other.offset[k] + other.extent[k] <= self.offset[k] + self.extent[k]
        })
    }

    /// Its point `index`, the last axis fastest.
    pub fn place(&self, index: usize) -> [usize; 3] {
        let within = unravel(self.extent, index);
        std::array::from_fn(|k| within[k] + self.offset[k])
    }

    /// Calls `see` with every point, the last axis fastest.
    pub fn each(&self, mut see: impl FnMut([usize; 3]) -> Result<()>) -> Result<()> {
        let [along_z, along_y, along_x] =
            [0, 1, 2].map(|k| self.offset[k]..self.offset[k] + self.extent[k]);
        for z in along_z {
            for y in along_y.clone() {
                for x in along_x.clone() {
                    see([z, y, x])?;
                }
            }
        }
        Ok(())
    }
}

impl Block {
    /// # Safety
    /// Until this is dropped, every number that `layout` reaches from `base` must be readable by
    /// any thread, and not be written while it is read. Alignment does not matter.
    pub unsafe fn new(layout: Layout, base: *const u8) -> Self {
        Self { layout, base, release: None }
    }

    /// Calls `release` when nobody looks at the memory any more.
    pub fn with_release(mut self, release: Option<Release>) -> Self {
        self.release = release;
        self
    }

    /// The same numbers in a lattice that begins at `origin` of this one, which no point is below.
    pub fn seen_from(mut self, origin: [usize; 3]) -> Self {
        let offset = &mut self.layout.span.offset;
        *offset = std::array::from_fn(|k| offset[k] - origin[k]);
        self
    }

    /// Where it is in the lattice.
    pub fn span(&self) -> &Span {
        &self.layout.span
    }

    /// The value at a place of the lattice, if that is in the block.
    pub fn get(&self, place: [usize; 3], component: usize) -> Option<f32> {
        let Layout { span, strides, width, by_value, .. } = &self.layout;
        if component >= *width {
            return None;
        }
        let mut at = component as isize * by_value;
        for (k, &stride) in strides.iter().enumerate() {
            let along = place[k].checked_sub(span.offset[k])?;
            if along >= span.extent[k] {
                return None;
            }
            at += along as isize * stride;
        }
        // SAFETY: what `new` was promised; the number is one of the block's.
        Some(unsafe { self.read(at) })
    }

    /// The number at `at` bytes from the first.
    ///
    /// # Safety
    /// It must be one of the block's.
    #[inline]
    unsafe fn read(&self, at: isize) -> f32 {
        let number = self.base.wrapping_offset(at);
        // SAFETY: the caller's promise, and that of `new`.
        unsafe {
            match self.layout.is_double {
                true => number.cast::<f64>().read_unaligned() as f32,
                false => number.cast::<f32>().read_unaligned(),
            }
        }
    }

    /// Calls `see` with every value: its place, which one of the point's it is, the number.
    ///
    /// # Errors
    /// The first of `see`.
    pub fn each(&self, mut see: impl FnMut([usize; 3], usize, f32) -> Result<()>) -> Result<()> {
        let Layout { span, strides, width, by_value, .. } = self.layout;
        span.each(|place| {
            let along = |k: usize| (place[k] - span.offset[k]) as isize * strides[k];
            let point = along(0) + along(1) + along(2);
            for component in 0..width {
                // SAFETY: the place is in the block.
                let value = unsafe { self.read(point + component as isize * by_value) };
                see(place, component, value)?;
            }
            Ok(())
        })
    }

    /// Checks that all values are finite, and above 0 if `log`.
    ///
    /// # Errors
    /// The first that is not.
    pub fn check(&self, log: bool) -> Result<()> {
        self.each(|[z, y, x], component, value| {
            if value.is_finite() && (!log || value > 0.0) {
                return Ok(());
            }
            let what =
                format!("value {component} of the point {:?} (x first) is {value}", [x, y, z]);
            ensure!(value.is_finite(), "{what}, expected a finite number of 32 bits");
            bail!("{what}, which has no logarithm (dataset.param.use_logdata)")
        })
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        if let Some(release) = self.release.take() {
            release();
        }
    }
}

impl fmt::Debug for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "block of {:?} from {:?}", self.span().extent, self.span().offset)
    }
}

impl Values {
    /// Nothing yet of a field on a lattice of `dims` `[z, y, x]`, `width` values a point.
    pub fn none(dims: [usize; 3], width: usize) -> Self {
        Self { dims, width, copied: Vec::new(), lent: Vec::new() }
    }

    /// Takes a block as it is.
    pub fn lend(&mut self, block: Block) {
        self.lent.push(block);
    }

    /// Copies a block.
    ///
    /// # Errors
    /// If there is no memory for it.
    pub fn copy(&mut self, block: &Block) -> Result<()> {
        if self.copied.is_empty() {
            let count = self.len();
            let bytes = count * size_of::<f32>();
            (self.copied.try_reserve_exact(count))
                .with_context(|| format!("there are no {bytes} bytes for a copy of a member"))?;
            self.copied.resize(count, 0.0);
        }
        let ([_, h, w], width) = (self.dims, self.width);
        block.each(|[z, y, x], component, value| {
            self.copied[((z * h + y) * w + x) * width + component] = value;
            Ok(())
        })
    }

    /// Number of values.
    pub fn len(&self) -> usize {
        self.dims.iter().product::<usize>() * self.width
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of the copy.
    pub fn copied_bytes(&self) -> usize {
        self.copied.len() * size_of::<f32>()
    }

    /// One of `[points, values]`; 0 where nothing was given.
    pub fn at(&self, index: usize) -> f32 {
        if !self.lent.is_empty() {
            let place = unravel(self.dims, index / self.width);
            let component = index % self.width;
            let found = self.lent.iter().find_map(|block| block.get(place, component));
            if let Some(value) = found {
                return value;
            }
        }
        self.copied.get(index).copied().unwrap_or(0.0)
    }
}

impl Given {
    /// On the scale of `scale`.
    pub fn new(values: Arc<Values>, scale: Normalization) -> Self {
        Self { values, scale }
    }

    /// As they were given.
    pub fn values(&self) -> &Arc<Values> {
        &self.values
    }

    /// Calls `see` with all values as they are learned, in order.
    pub fn each(&self, mut see: impl FnMut(f32)) {
        let Values { copied, lent, .. } = &*self.values;
        match lent.is_empty() {
            true => copied.iter().for_each(|&value| see(self.scale.scaled(value))),
            false => (0..self.values.len()).for_each(|index| see(self.at(index))),
        }
    }

    /// One value, as it is learned.
    pub fn at(&self, index: usize) -> f32 {
        self.scale.scaled(self.values.at(index))
    }
}

/// The same memory on the same scale.
impl PartialEq for Given {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.values, &other.values) && self.scale == other.scale
    }
}

/// The place of a point in a box.
fn unravel([_, h, w]: [usize; 3], index: usize) -> [usize; 3] {
    [index / (h * w), index / w % h, index % w]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// Two values a point, which say where they are: 100 z + 10 y + x, and its negative.
    fn numbers(span: Span) -> Vec<f64> {
        let mut numbers = Vec::new();
        let mut push = |[z, y, x]: [usize; 3]| {
            let value = (100 * z + 10 * y + x) as f64;
            numbers.extend([value, -value]);
            Ok(())
        };
        span.each(&mut push).unwrap();
        numbers
    }

    fn block(numbers: &[f64], span: Span, release: &Arc<AtomicUsize>) -> Block {
        let [_, h, w] = span.extent;
        let strides = [16 * h * w, 16 * w, 16].map(|bytes| bytes as isize);
        let layout = Layout { span, is_double: true, strides, width: 2, by_value: 8 };
        let release = release.clone();
        let release = move || {
            release.fetch_add(1, Ordering::SeqCst);
        };
        // SAFETY: the numbers outlive the block in these tests.
        let block = unsafe { Block::new(layout, numbers.as_ptr().cast()) };
        block.with_release(Some(Box::new(release)))
    }

    #[test]
    fn blocks_that_are_copied_or_lent_give_the_same_values() {
        let dims = [3, 4, 5];
        let spans = [
            Span { offset: [0, 0, 0], extent: [3, 4, 2] },
            Span { offset: [0, 0, 2], extent: [2, 4, 3] },
            Span { offset: [2, 0, 2], extent: [1, 4, 3] },
        ];
        let released = Arc::new(AtomicUsize::new(0));
        let memory = spans.map(numbers);
        let (mut lent, mut copied, mut both) =
            (Values::none(dims, 2), Values::none(dims, 2), Values::none(dims, 2));
        for (n, (span, memory)) in spans.into_iter().zip(&memory).enumerate() {
            let block = || block(memory, span, &released);
            block().check(false).unwrap();
            lent.lend(block());
            copied.copy(&block()).unwrap();
            match n {
                0 => both.copy(&block()).unwrap(),
                _ => both.lend(block()),
            }
        }
        let mut places = (0..).map(|index| spans[1].place(index));
        let check = |place| {
            assert_eq!(Some(place), places.next());
            Ok(())
        };
        spans[1].each(check).unwrap();
        let whole = numbers(Span { offset: [0; 3], extent: dims });
        for (index, &value) in whole.iter().enumerate() {
            let found = [&lent, &copied, &both].map(|values| values.at(index));
            assert_eq!(found, [value as f32; 3], "{index}");
        }
        assert_eq!((lent.copied_bytes(), copied.copied_bytes(), lent.len()), (0, 480, 120));
        let before = released.load(Ordering::SeqCst);
        drop((lent, copied, both));
        assert_eq!(released.load(Ordering::SeqCst), before + 5);
    }

    #[test]
    fn values_that_cannot_be_learned_are_named() {
        let span = Span { offset: [1, 0, 2], extent: [1, 2, 2] };
        let mut memory = numbers(span);
        memory[5] = f64::NAN;
        let said = |memory: &[f64], log| {
            block(memory, span, &Arc::default()).check(log).unwrap_err().to_string()
        };
        assert!(
            said(&memory, false).starts_with("value 1 of the point [2, 1, 1] (x first) is NaN")
        );
        memory[5] = 1e300;
        assert!(said(&memory, false).contains("is inf, expected a finite number of 32 bits"));
        memory[5] = 1.0;
        assert!(said(&memory, true).starts_with("value 1 of the point [2, 0, 1]"));
    }

    #[test]
    fn boxes_overlap_where_they_share_points() {
        let span = |offset, extent| Span { offset, extent };
        let first = span([0, 0, 0], [2, 2, 2]);
        assert!(first.overlaps(&span([1, 1, 1], [4, 4, 4])));
        assert!(!first.overlaps(&span([0, 2, 0], [2, 2, 2])));
    }
}
