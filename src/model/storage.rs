//! The bytes of a baked file: mapped, or copied into aligned memory. No meaning, no arithmetic.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::ptr::NonNull;

use half::f16;
use memmap2::Mmap;

use crate::{Error, ErrorKind, Result};

/// Alignment of a file's data in memory, one cache line.
pub const ALIGNMENT: usize = 64;

/// Size of a huge page on x86-64 and most other machines.
const HUGE_PAGE: usize = 1 << 21;

/// Where the bytes of an open model live.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Storage {
    /// The file is mapped and shared with other processes that map it; it must not be truncated
    /// or rewritten in place while it is open (replacing it by rename is fine).
    #[default]
    Mapped,
    /// The file is read into private memory.
    Copied,
    /// As `Copied`, into huge pages (2 MiB) where the system has them to give: random points find
    /// their vertices with fewer steps of address translation.
    HugePages,
}

/// Immutable bytes, shareable between threads.
pub(super) enum Bytes {
    Mapped(Mmap),
    Copied(AlignedBuffer),
}

impl Bytes {
    pub fn open(path: &Path, storage: Storage) -> Result<Self> {
        let file = File::open(path)?;
        if file.metadata()?.is_dir() {
            let error = std::io::Error::from_raw_os_error(libc::EISDIR);
            return Err(Error::from(error).context("expected a baked file"));
        }
        match storage {
            Storage::Mapped => {
                // SAFETY: the map is read-only; that nobody truncates or rewrites the file while
                // it is mapped is the documented condition of `Storage::Mapped`.
                Ok(Self::Mapped(unsafe { Mmap::map(&file) }?))
            }
            Storage::Copied => Ok(Self::Copied(AlignedBuffer::read(file, ALIGNMENT)?)),
            Storage::HugePages => Ok(Self::Copied(AlignedBuffer::read(file, HUGE_PAGE)?)),
        }
    }

    /// A copy of `parts`, one after the other.
    pub fn copy_of(parts: &[&[u8]]) -> Result<Self> {
        Ok(Self::Copied(AlignedBuffer::copy_of(parts)?))
    }

    pub fn as_slice(&self) -> &[u8] {
        match self {
            Self::Mapped(map) => map,
            Self::Copied(buffer) => buffer.as_slice(),
        }
    }
}

/// Owned bytes on an [`ALIGNMENT`] boundary or that of a huge page.
pub(super) struct AlignedBuffer {
    data: NonNull<u8>,
    len: usize,
    alignment: usize,
}

// SAFETY: the buffer is owned and never written after it was filled.
unsafe impl Send for AlignedBuffer {}
// SAFETY: as above.
unsafe impl Sync for AlignedBuffer {}

impl AlignedBuffer {
    fn zeroed(len: usize, alignment: usize) -> Result<Self> {
        let layout = Self::layout(len, alignment)?;
        // SAFETY: `layout` is at least one byte long.
        let data = NonNull::new(unsafe { std::alloc::alloc(layout) })
            .ok_or_else(|| Self::out_of_memory(len))?;
        let buffer = Self { data, len, alignment };
        // Before the first touch, which decides about the size of pages.
        #[cfg(target_os = "linux")]
        if alignment == HUGE_PAGE {
            buffer.advise_huge_pages();
        }
        // SAFETY: `len` bytes were allocated.
        unsafe { buffer.data.as_ptr().write_bytes(0, len) };
        Ok(buffer)
    }

    /// Asks the system for huge pages; it may decline.
    #[cfg(target_os = "linux")]
    fn advise_huge_pages(&self) {
        let (data, len) = (self.data.as_ptr().cast(), self.len);
        // SAFETY: the range is ours and starts on a page; the advice does not change its content.
        if unsafe { libc::madvise(data, len, libc::MADV_HUGEPAGE) } != 0 {
            let error = std::io::Error::last_os_error();
            log::warn!("no huge pages for {len} bytes, ordinary ones instead: {error}");
        }
    }

    fn copy_of(parts: &[&[u8]]) -> Result<Self> {
        let mut buffer = Self::zeroed(parts.iter().map(|part| part.len()).sum(), ALIGNMENT)?;
        let mut rest = buffer.as_mut_slice();
        for part in parts {
            let (space, after) = rest.split_at_mut(part.len());
            space.copy_from_slice(part);
            rest = after;
        }
        Ok(buffer)
    }

    /// The whole of `file`; one that shrinks while it is read is an error.
    fn read(mut file: File, alignment: usize) -> Result<Self> {
        let len = file.metadata()?.len();
        let len = usize::try_from(len).map_err(|_| Self::out_of_memory(0))?;
        let mut buffer = Self::zeroed(len, alignment)?;
        file.read_exact(buffer.as_mut_slice())?;
        Ok(buffer)
    }

    fn as_mut_slice(&mut self) -> &mut [u8] {
        // SAFETY: `data` holds `len` initialised bytes that `self` owns.
        unsafe { std::slice::from_raw_parts_mut(self.data.as_ptr(), self.len) }
    }

    pub fn as_slice(&self) -> &[u8] {
        // SAFETY: `data` holds `len` initialised bytes for the life of `self`.
        unsafe { std::slice::from_raw_parts(self.data.as_ptr(), self.len) }
    }

    fn layout(len: usize, alignment: usize) -> Result<std::alloc::Layout> {
        std::alloc::Layout::from_size_align(len.max(1), alignment)
            .map_err(|_| Self::out_of_memory(len))
    }

    fn out_of_memory(len: usize) -> Error {
        Error::new(ErrorKind::OutOfMemory, format!("no memory for a copy of {len} bytes"))
    }
}

impl Drop for AlignedBuffer {
    fn drop(&mut self) {
        if let Ok(layout) = Self::layout(self.len, self.alignment) {
            // SAFETY: allocated in `zeroed` with this very layout.
            unsafe { std::alloc::dealloc(self.data.as_ptr(), layout) };
        }
    }
}

/// Numbers that a little-endian file may be viewed as, in place.
///
/// # Safety
/// Every bit pattern is a value, and there is no padding.
pub(super) unsafe trait Number: Copy {}
// SAFETY: plain floating-point numbers.
unsafe impl Number for f32 {}
// SAFETY: a transparent u16.
unsafe impl Number for f16 {}
// SAFETY: an integer.
unsafe impl Number for i8 {}

/// `bytes` as numbers, or `None` where they are not aligned or not a whole number of them.
pub(super) fn view<T: Number>(bytes: &[u8]) -> Option<&[T]> {
    // SAFETY: `Number` allows every bit pattern; `align_to` deals with alignment.
    let (before, numbers, after) = unsafe { bytes.align_to::<T>() };
    (before.is_empty() && after.is_empty()).then_some(numbers)
}

/// `bytes` as a copied list of numbers, whatever their alignment.
pub(super) fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks::<4>().0.iter().map(|&chunk| f32::from_le_bytes(chunk)).collect()
}

#[cfg(target_endian = "big")]
compile_error!("baked files are little-endian and used in place: big-endian machines need a copy");
