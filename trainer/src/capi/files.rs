//! What leaves a session: baked models, and stored trainings.

use std::ffi::{c_char, c_void};

use drr::model::GridPrecision;

use drr::capi::sized::read;

use super::session::{drr_train_session, session};
use super::status::{drr_train_status, guard};
use super::structs::{drr_train_bake_options, unknown};
use super::texts;
use crate::bake::{Compression, Decoder, Fold, Options};
use crate::train::insitu::failure::{Failure, Outcome};

/// Bakes the model as it is into a file for libdrr. The file appears under its name only when it is
/// complete: whatever goes wrong, one that was there before stays. Collective: process 0 writes.
///
/// @param session  a session
/// @param path     name of the file, NUL-terminated, in the system's encoding
/// @param options  NULL for the defaults
/// @return `DRR_TRAIN_OK`, or `DRR_TRAIN_ERROR_NOT_READY` while the range of the values is not fixed,
///         `_INVALID_ARGUMENT`, `_IO`, `_OUT_OF_MEMORY`, `_LIBTORCH`, `_BUSY`
#[unsafe(no_mangle)]
pub unsafe extern "C" fn drr_train_bake(
    session: *mut drr_train_session,
    path: *const c_char,
    options: *const drr_train_bake_options,
) -> drr_train_status {
    guard(|| {
        // SAFETY: the caller's promise, see the comment of the function.
        unsafe {
            let mut session = self::session(session)?;
            let (path, options) = (texts::path(path, "path")?, bake_options(options)?);
            session.training.bake(path, &options)?;
        }
        Ok(())
    })
}

/// Bakes the model as it is into memory, for `drr_model_open_memory`; `drr_train_bake_model` does both.
/// Collective: all processes get it.
/// Temporary files are made in the system's folder for them (`TMPDIR`) and are gone afterwards.
///
/// @param session  a session
/// @param options  NULL for the defaults
/// @param data     receives the address of the file's bytes, owned by the session: valid until the next
///                 call of this function with it, or its end; NULL on failure
/// @param size     receives their number; 0 on failure
/// @return as `drr_train_bake`
#[unsafe(no_mangle)]
pub unsafe extern "C" fn drr_train_bake_memory(
    session: *mut drr_train_session,
    options: *const drr_train_bake_options,
    data: *mut *const c_void,
    size: *mut u64,
) -> drr_train_status {
    guard(|| {
        // SAFETY: the caller's promise, see the comment of the function.
        unsafe {
            if data.is_null() || size.is_null() || !data.is_aligned() || !size.is_aligned() {
                return Err(Failure::argument(format!("data is {data:p}, size is {size:p}")));
            }
            data.write(std::ptr::null());
            size.write(0);
            let mut session = self::session(session)?;
            let options = bake_options(options)?;
            session.baked = Vec::new();
            session.baked = session.training.bake_to_memory(&options)?;
            data.write(session.baked.as_ptr().cast());
            size.write(session.baked.len() as u64);
        }
        Ok(())
    })
}

/// Stores the training in a folder: weights, optimiser, what the values' range is, not the members. The
/// folder is made if it is not there; it is a run, as `drr-train train` makes it, that `drr-train
/// bake` takes. Stored again, it keeps the last two. Collective: process 0 writes.
///
/// @param session  a session
/// @param folder   name of the folder, NUL-terminated, in the system's encoding: new, empty, or what
///                 this function made for the same model
/// @return as `drr_train_bake`
#[unsafe(no_mangle)]
pub unsafe extern "C" fn drr_train_save(
    session: *mut drr_train_session,
    folder: *const c_char,
) -> drr_train_status {
    guard(|| {
        // SAFETY: the caller's promise, see the comment of the function.
        unsafe {
            let mut session = self::session(session)?;
            session.training.save(texts::path(folder, "folder")?)
        }
    })
}

/// Goes on from what is stored in a folder: with the members that this session has, the training is
/// then as it was, bit for bit. Members are not stored: add those again that it shall learn from. On
/// failure nothing changes. Collective: every process reads.
///
/// @param session  a session with the same model and the same data, perhaps a new one
/// @param folder   what `drr_train_save` made
/// @return as `drr_train_bake`, or `DRR_TRAIN_ERROR_FORMAT`
#[unsafe(no_mangle)]
pub unsafe extern "C" fn drr_train_restore(
    session: *mut drr_train_session,
    folder: *const c_char,
) -> drr_train_status {
    guard(|| {
        // SAFETY: the caller's promise, see the comment of the function.
        unsafe {
            let mut session = self::session(session)?;
            session.training.restore(texts::path(folder, "folder")?)
        }
    })
}

/// How to bake.
///
/// # Safety
/// As for [`read`].
unsafe fn bake_options(options: *const drr_train_bake_options) -> Outcome<Options> {
    let default = Options {
        fold: Fold::Auto,
        compression: None,
        grid: GridPrecision::F16,
        decoder: Decoder::F32,
    };
    // SAFETY: the caller's promise.
    let Some(given) = (unsafe { read(options) })? else { return Ok(default) };
    let rank = usize::try_from(given.rank).unwrap_or(usize::MAX);
    let compression = match (rank, given.max_error) {
        (0, 0.0) => None,
        (rank, 0.0) => Some(Compression::Rank(rank)),
        (0, limit) if limit > 0.0 && limit.is_finite() => Some(Compression::MaxError(limit)),
        (rank, limit) => {
            return Err(Failure::argument(format!(
                "options.rank is {rank} and options.max_error {limit}, expected one of them above 0, or \
                 none"
            )));
        }
    };
    Ok(Options {
        compression,
        fold: match given.fold {
            0 => Fold::Auto,
            1 => Fold::On,
            2 => Fold::Off,
            other => return Err(unknown("options.fold", other, "drr_train_fold")),
        },
        grid: match given.grid {
            0 => GridPrecision::F16,
            1 => GridPrecision::F32,
            2 => GridPrecision::I8,
            other => return Err(unknown("options.grid", other, "drr_train_grid")),
        },
        decoder: match given.decoder {
            0 => Decoder::F32,
            1 => Decoder::Bf16,
            2 => Decoder::I8,
            other => return Err(unknown("options.decoder", other, "drr_train_decoder")),
        },
    })
}
