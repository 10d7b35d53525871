//! Sessions: members go in, steps are made, the model is judged.

#![allow(non_camel_case_types)]

use std::ffi::{c_char, c_void};
use std::sync::{Mutex, MutexGuard, TryLockError};
use std::time::Duration;

use drr::capi::sized::{checked_size, read, required, write};

use super::communicator::drr_train_communicator;
use super::status::{drr_train_status, guard};
use super::structs::{
    drr_train_block, drr_train_data, drr_train_info, drr_train_options, drr_train_progress,
    drr_train_quality, unknown,
};
use super::{blocks, communicator, texts};
use crate::train::insitu::failure::{Failure, Kind, Outcome};
use crate::train::insitu::{InSitu, Keep, Limits, Options, Progress};

/// A training in situ. One call at a time may use it, of any thread; several sessions can be used at
/// the same time.
pub struct drr_train_session {
    pub(super) training: InSitu,
    /// The model that was baked to memory last.
    pub(super) baked: Vec<u8>,
}

/// What C holds pointers to.
#[repr(C)]
struct Tagged {
    tag: u64,
    session: Mutex<drr_train_session>,
}

/// Tells live sessions from anything else.
const TAG: u64 = u64::from_le_bytes(*b"drrtrain");

const fn may_change_threads<T: Send>() {}
const _: () = may_change_threads::<drr_train_session>();

/// The session behind a pointer from C, for this call alone.
///
/// # Safety
/// `pointer` must be NULL or point to at least eight readable bytes, and come from
/// [`drr_train_create`] if they hold the tag.
pub(super) unsafe fn session<'a>(
    pointer: *mut drr_train_session,
) -> Outcome<MutexGuard<'a, drr_train_session>> {
    // SAFETY: the caller's promise.
    let tagged = unsafe { &*tagged(pointer)? };
    match tagged.session.try_lock() {
        Ok(session) => Ok(session),
        // What a panic left half done is still a training; its reason was reported.
        Err(TryLockError::Poisoned(poisoned)) => Ok(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => Err(Failure::new(
            Kind::Busy,
            "the session is in another call: of another thread, or around this callback",
        )),
    }
}

/// # Safety
/// As for [`session`].
unsafe fn tagged(pointer: *mut drr_train_session) -> Outcome<*mut Tagged> {
    let tagged = pointer.cast::<Tagged>();
    if pointer.is_null() {
        return Err(Failure::argument("session is NULL"));
    }
    // SAFETY: the caller's promise; the tag comes first.
    if !tagged.is_aligned() || unsafe { (&raw const (*tagged).tag).read_volatile() } != TAG {
        return Err(Failure::argument("not a live session: freed already, or something else"));
    }
    Ok(tagged)
}

/// Parameters of a member.
///
/// # Safety
/// `parameters` must be NULL or readable for `count` numbers.
unsafe fn numbers(parameters: *const f64, count: u32) -> Outcome<Vec<f64>> {
    if count == 0 {
        return Ok(Vec::new());
    }
    if parameters.is_null() || !parameters.is_aligned() {
        return Err(Failure::argument(format!(
            "parameters is {parameters:p}, expected the address of {count} numbers"
        )));
    }
    // SAFETY: the caller's promise; not NULL and aligned.
    Ok((0..count as usize).map(|n| unsafe { parameters.add(n).read() }).collect())
}

/// Starts a training with a new model and no members. Collective.
///
/// The configuration is what `drr-train train` takes; paths of data in it are not looked at. With
/// `train.steps` the learning rate falls over so many steps and stays low afterwards; without, it
/// is constant after the warm-up until `drr_train_anneal`. Refused are `train.maxsteps` (alone),
/// `train.minutes`, `train.patience`, `dataset.param.validation`, `cache_gib`, `dim_scale_factor`,
/// importance sampling, scattered points and radiance fields.
///
/// @param config   text of the configuration, YAML in UTF-8, NUL-terminated
/// @param data     what the fields are
/// @param options  NULL for the defaults
/// @param session  receives the session, to be freed by `drr_train_free`; NULL on failure
/// @return `DRR_TRAIN_OK`, or `DRR_TRAIN_ERROR_INVALID_ARGUMENT`, `_NO_DEVICE`, `_OUT_OF_MEMORY`,
///         `_LIBTORCH`
#[unsafe(no_mangle)]
pub unsafe extern "C" fn drr_train_create(
    config: *const c_char,
    data: *const drr_train_data,
    options: *const drr_train_options,
    session: *mut *mut drr_train_session,
) -> drr_train_status {
    guard(|| {
        // SAFETY: the caller's promise, see the comment of the function.
        unsafe {
            if session.is_null() || !session.is_aligned() {
                return Err(Failure::argument(format!("session is {session:p}")));
            }
            session.write(std::ptr::null_mut());
            let config = texts::text(config, "config")?;
            let config = config.ok_or_else(|| Failure::argument("config is NULL"))?;
            let given = required(data)?;
            let data = texts::data(&given)?;
            let (mut understood, communicator) = training_options(options)?;
            understood.config = config.to_owned();
            understood.own = blocks::span(given.own_offset, given.own_extent, given.dims == 2);
            let training =
                InSitu::together(&data, &understood, communicator::carrier(communicator)?)?;
            let fresh = Mutex::new(drr_train_session { training, baked: Vec::new() });
            session.write(Box::into_raw(Box::new(Tagged { tag: TAG, session: fresh })).cast());
        }
        Ok(())
    })
}

/// How to train, and with whom.
///
/// # Safety
/// As for [`read`].
unsafe fn training_options(
    options: *const drr_train_options,
) -> Outcome<(Options, *const drr_train_communicator)> {
    // SAFETY: the caller's promise.
    let Some(options) = (unsafe { read(options) })? else {
        return Ok((Options::default(), std::ptr::null()));
    };
    let capacity = usize::try_from(options.capacity).unwrap_or(usize::MAX);
    let keep = match (options.keep, capacity) {
        (0, _) => Keep::All,
        (1 | 2, 0) => {
            return Err(Failure::argument("options.capacity is 0, expected members to keep"));
        }
        (1, capacity) => Keep::Reservoir(capacity),
        (2, capacity) => Keep::Latest(capacity),
        (other, _) => return Err(unknown("options.keep", other, "drr_train_keep")),
    };
    if options.threads > 4096 {
        let message = format!("options.threads is {}, expected 4096 at most", options.threads);
        return Err(Failure::argument(message));
    }
    let understood = Options {
        config: String::new(),
        entry: options.entry as usize,
        seed: (options.seed != 0).then_some(options.seed),
        threads: options.threads,
        // SAFETY: the caller's promise.
        device: unsafe { texts::text(options.device, "options.device")? }.map(str::to_owned),
        keep,
        own: None,
    };
    Ok((understood, options.communicator))
}

/// Ends a training. Borrowed memory is given up (see `drr_train_release`). No call with the session
/// may be under way.
///
/// @param session  NULL is fine
#[unsafe(no_mangle)]
pub unsafe extern "C" fn drr_train_free(session: *mut drr_train_session) {
    guard(|| {
        // SAFETY: the caller's promise, see the comment of the function. The tag is erased so that
        // a second attempt is seen as long as the memory is not used for something else; volatile,
        // because the compiler may drop writes to memory that is about to be freed.
        unsafe {
            let Ok(tagged) = tagged(session) else { return Ok(()) };
            (&raw mut (*tagged).tag).write_volatile(0);
            drop(Box::from_raw(tagged));
        }
        Ok(())
    });
}

/// Takes a block of a member, of the points that this process gives. Blocks with the same parameters
/// belong to the same member until all of these are there; then it counts, and another one with these parameters may begin. On
/// failure nothing is kept, and `release` is not called.
///
/// @param session          a session
/// @param parameters       `parameter_count` numbers in physical units, within their ranges
/// @param parameter_count  as in `drr_train_data`
/// @param block            values: finite, and above 0 where logarithms are learned
/// @param is_complete      receives 1 if the member is complete now, else 0; may be NULL
/// @return `DRR_TRAIN_OK`, or `DRR_TRAIN_ERROR_INVALID_ARGUMENT` (a value or parameter that is not
///         finite or out of its range; a block that leaves the lattice or overlaps another one of
///         the member; an address that is not what `location` says), `_NO_DEVICE` (memory of a GPU
///         without a driver, or that the driver could not copy), `_OUT_OF_MEMORY`, `_BUSY`
#[unsafe(no_mangle)]
pub unsafe extern "C" fn drr_train_add_block(
    session: *mut drr_train_session,
    parameters: *const f64,
    parameter_count: u32,
    block: *const drr_train_block,
    is_complete: *mut u32,
) -> drr_train_status {
    guard(|| {
        // SAFETY: the caller's promise, see the comment of the function.
        unsafe {
            let mut session = self::session(session)?;
            let parameters = numbers(parameters, parameter_count)?;
            let given = required(block)?;
            let (lattice, width) = session.training.shape();
            let memory = blocks::memory(&given)?;
            let block = blocks::block(&given, lattice, session.training.own(), width)?;
            let complete = session.training.add(&parameters, block, memory)?;
            if !is_complete.is_null() {
                is_complete.write(u32::from(complete));
            }
        }
        Ok(())
    })
}

/// Forgets the blocks of members that are not complete.
///
/// @param session  a session
/// @return `DRR_TRAIN_OK`, `DRR_TRAIN_ERROR_INVALID_ARGUMENT` or `_BUSY`
#[unsafe(no_mangle)]
pub unsafe extern "C" fn drr_train_forget_pending(
    session: *mut drr_train_session,
) -> drr_train_status {
    guard(|| {
        // SAFETY: the caller's promise, see the comment of the function.
        unsafe { self::session(session)? }.training.forget_pending();
        Ok(())
    })
}

/// Forgets all complete members: what was learned of them stays, borrowed memory is given up.
///
/// @param session  a session
/// @return `DRR_TRAIN_OK`, `DRR_TRAIN_ERROR_INVALID_ARGUMENT` or `_BUSY`
#[unsafe(no_mangle)]
pub unsafe extern "C" fn drr_train_forget_members(
    session: *mut drr_train_session,
) -> drr_train_status {
    guard(|| {
        // SAFETY: the caller's promise, see the comment of the function.
        unsafe { self::session(session)? }.training.forget_members()
    })
}

/// Makes steps on the members that are kept; collective: each process has its block of the same ones, in
/// the same order. In the thread of the call as far as the host can tell: it
/// returns when they are done.
///
/// @param session    a session
/// @param steps      steps to make at most
/// @param seconds    no step begins that would probably end later than this, but for the first; 0: no
///                   limit
/// @param progress   told after each step, may end the call; NULL for none
/// @param user_data  handed to `progress`; may be NULL
/// @param done       receives the number of steps, on failure too; may be NULL
/// @return `DRR_TRAIN_OK`, or `DRR_TRAIN_ERROR_NOT_READY` (no member is complete),
///         `_INVALID_ARGUMENT` (all values are the same, for instance), `_DIVERGED`, `_OUT_OF_MEMORY`,
///         `_LIBTORCH`, `_BUSY`
#[unsafe(no_mangle)]
pub unsafe extern "C" fn drr_train_step(
    session: *mut drr_train_session,
    steps: u64,
    seconds: f64,
    progress: drr_train_progress,
    user_data: *mut c_void,
    done: *mut u64,
) -> drr_train_status {
    guard(|| {
        // SAFETY: the caller's promise, see the comment of the function.
        let count = |steps: u64| unsafe {
            if !done.is_null() {
                done.write(steps);
            }
        };
        count(0);
        // SAFETY: as above.
        let mut session = unsafe { self::session(session)? };
        let time = match seconds {
            0.0 => None,
            _ if seconds >= 0.0 => Duration::try_from_secs_f64(seconds).ok(),
            _ => {
                let message = format!("seconds is {seconds}, expected 0 or more");
                return Err(Failure::argument(message));
            }
        };
        let mut watch = |now: Progress| {
            // SAFETY: a callback that its giver said may be called so.
            progress.is_some_and(|tell| unsafe {
                tell(now.step, now.loss, now.seconds, user_data) != 0
            })
        };
        let before = session.training.info().steps;
        let watch: Option<&mut dyn FnMut(Progress) -> bool> = match progress {
            Some(_) => Some(&mut watch),
            None => None,
        };
        let trained = session.training.train(Limits { steps, time }, watch);
        count(session.training.info().steps - before);
        trained.map(|_| ())
    })
}

/// From the next step on the learning rate falls to its last value (`eta_min` of the scheduler) along a
/// cosine of `steps` steps, and stays there; the first of them has the full rate. For a good model at
/// the end of a simulation, or before a file is baked.
///
/// @param session  a session whose configuration has no `train.steps`
/// @param steps    steps of the fall; 0: the full rate again, until the next call
/// @return `DRR_TRAIN_OK`, `DRR_TRAIN_ERROR_INVALID_ARGUMENT` or `_BUSY`
#[unsafe(no_mangle)]
pub unsafe extern "C" fn drr_train_anneal(
    session: *mut drr_train_session,
    steps: u64,
) -> drr_train_status {
    guard(|| {
        // SAFETY: the caller's promise, see the comment of the function.
        unsafe { self::session(session)? }.training.anneal(steps)
    })
}

/// Compares the model as it is with the field of a member, or a block of it. The member need not be
/// one that was added, and is not. Collective: each process gives a block of its points, all are told of
/// what all gave.
///
/// @param session          a session
/// @param parameters       as for `drr_train_add_block`
/// @param parameter_count  as for `drr_train_add_block`
/// @param block            as for `drr_train_add_block`; read during the call only, `memory` is ignored
/// @param quality          `struct_size` set by the caller; the rest is written
/// @return as `drr_train_add_block`, or `DRR_TRAIN_ERROR_NOT_READY` while the range of the values is
///         not fixed, `_LIBTORCH`
#[unsafe(no_mangle)]
pub unsafe extern "C" fn drr_train_evaluate(
    session: *mut drr_train_session,
    parameters: *const f64,
    parameter_count: u32,
    block: *const drr_train_block,
    quality: *mut drr_train_quality,
) -> drr_train_status {
    guard(|| {
        // SAFETY: the caller's promise, see the comment of the function.
        unsafe {
            let mut session = self::session(session)?;
            checked_size(quality)?;
            let parameters = numbers(parameters, parameter_count)?;
            let (lattice, width) = session.training.shape();
            let own = session.training.own();
            let block = blocks::block(&required(block)?, lattice, own, width)?;
            let found = session.training.evaluate(&parameters, &block)?;
            write(
                quality,
                drr_train_quality {
                    struct_size: 0,
                    reserved: 0,
                    psnr: found.psnr,
                    rms_error: found.rms_error,
                    max_error: found.max_error,
                    points: found.points,
                },
            )?;
            Ok(())
        }
    })
}

/// Where the training stands.
///
/// @param session  a session
/// @param info     `struct_size` set by the caller; the rest is written
/// @return `DRR_TRAIN_OK`, `DRR_TRAIN_ERROR_INVALID_ARGUMENT` or `_BUSY`
#[unsafe(no_mangle)]
pub unsafe extern "C" fn drr_train_get_info(
    session: *mut drr_train_session,
    info: *mut drr_train_info,
) -> drr_train_status {
    guard(|| {
        // SAFETY: the caller's promise, see the comment of the function.
        unsafe {
            let session = self::session(session)?;
            let now = session.training.info();
            write(
                info,
                drr_train_info {
                    struct_size: 0,
                    reserved: 0,
                    steps: now.steps,
                    members_seen: now.members_seen,
                    members_held: now.members_held,
                    members_pending: now.members_pending,
                    copied_bytes: now.copied_bytes,
                    trainable: now.trainable,
                    loss: now.loss,
                    seconds: now.seconds,
                    learning_rate: now.rate,
                    value_min: now.scale.0,
                    value_max: now.scale.1,
                    seen_min: now.range.0,
                    seen_max: now.range.1,
                },
            )?;
            Ok(())
        }
    })
}
