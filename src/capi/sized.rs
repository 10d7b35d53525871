//! Structs of a C ABI that start with their size, so that they can grow. libdrr_train has such, too.

use crate::{Error, Result};

/// A struct that starts with its size. Fields are only ever added at the end, and without padding
/// there, so that every size that a caller may pass means a definite set of fields.
///
/// # Safety
/// `#[repr(C)]`, the first field is `struct_size: u32`, and all-zero bytes are a value of it.
pub unsafe trait Sized32: Copy {
    /// In messages.
    const NAME: &'static str;

    /// Size in the first version of the ABI: no caller's struct is smaller.
    const FIRST_SIZE: usize;
}

/// Makes [`Sized32`] of structs, with the sizes that they had first.
#[macro_export]
#[doc(hidden)]
macro_rules! sized_structs {
    ($($name:ident: $first_size:literal,)*) => {
        $(
            // SAFETY: see the definition: numbers, raw pointers, and pointers to functions that may
            // be NULL.
            unsafe impl $crate::capi::sized::Sized32 for $name {
                const NAME: &'static str = stringify!($name);
                const FIRST_SIZE: usize = $first_size;
            }
        )*
    };
}

/// Reads a struct of whatever size the caller knows; NULL is `None`.
///
/// # Safety
/// `pointer` must be NULL or readable for as many bytes as its `struct_size` says.
///
/// # Errors
/// `InvalidArgument` for sizes that no version has, and for fields that are not known and not zero.
pub unsafe fn read<T: Sized32>(pointer: *const T) -> Result<Option<T>> {
    if pointer.is_null() {
        return Ok(None);
    }
    // SAFETY: the caller's promise.
    let given = unsafe { checked_size(pointer)? };
    // SAFETY: all-zero bytes are a value (`Sized32`); the copy stays within both structs; bytes
    // beyond ours are within the caller's.
    unsafe {
        let mut value: T = std::mem::zeroed();
        let ours = size_of::<T>();
        let bytes = pointer.cast::<u8>();
        (&raw mut value).cast::<u8>().copy_from_nonoverlapping(bytes, given.min(ours));
        if (ours..given).any(|i| *bytes.add(i) != 0) {
            return Err(Error::argument(format!(
                "{} sets fields that this library ({}) does not know",
                T::NAME,
                crate::VERSION
            )));
        }
        Ok(Some(value))
    }
}

/// [`read`] where NULL is an error.
///
/// # Safety
/// As for [`read`].
///
/// # Errors
/// `InvalidArgument` for NULL, and as [`read`].
pub unsafe fn required<T: Sized32>(pointer: *const T) -> Result<T> {
    // SAFETY: the caller's promise.
    unsafe { read(pointer) }?.ok_or_else(|| Error::argument(format!("{} is NULL", T::NAME)))
}

/// Writes a struct of whatever size the caller knows, keeping its `struct_size`.
///
/// # Safety
/// `pointer` must be NULL or writable for as many bytes as its `struct_size` says.
///
/// # Errors
/// `InvalidArgument` for NULL, and sizes that no version has.
pub unsafe fn write<T: Sized32>(pointer: *mut T, value: T) -> Result<()> {
    // SAFETY: the caller's promise.
    let given = unsafe { checked_size(pointer)? };
    // SAFETY: stays within both structs and leaves `struct_size` alone.
    unsafe {
        let (from, to) = ((&raw const value).cast::<u8>(), pointer.cast::<u8>());
        let size = given.min(size_of::<T>());
        to.add(4).copy_from_nonoverlapping(from.add(4), size - 4);
        to.add(size).write_bytes(0, given - size);
    }
    Ok(())
}

/// Size of the caller's struct, if it is one that can be.
///
/// # Safety
/// `pointer` must be NULL or readable for `struct_size` itself.
///
/// # Errors
/// `InvalidArgument` for NULL and sizes that no version has.
pub unsafe fn checked_size<T: Sized32>(pointer: *const T) -> Result<usize> {
    super::check_pointer(pointer, T::NAME)?;
    // SAFETY: the caller's promise: at least `struct_size` itself is there.
    let size = unsafe { pointer.cast::<u32>().read() } as usize;
    if (T::FIRST_SIZE..=4096).contains(&size) {
        return Ok(size);
    }
    Err(Error::argument(format!(
        "{}.struct_size is {size}, expected sizeof({}) = {}",
        T::NAME,
        T::NAME,
        size_of::<T>()
    )))
}
