//! Processes of the host that train together, and reach each other as it says.

#![allow(non_camel_case_types)]

use std::ffi::c_void;

use drr::capi::sized::read;

use crate::train::insitu::failure::{Failure, Kind, Outcome};
use crate::train::insitu::{Carrier, Numbers};
use crate::train::ranks::link::Message;

/// What becomes of numbers that all processes have.
#[repr(u32)]
pub enum drr_train_reduction {
    /// Sums, of `double`.
    DRR_TRAIN_SUM_F64 = 0,
    /// Sums, of `float`.
    DRR_TRAIN_SUM_F32 = 1,
    /// The largest, of `unsigned char`.
    DRR_TRAIN_MAX_U8 = 2,
}

/// Numbers for a process, or from it.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct drr_train_message {
    /// `count` numbers; of received ones, room for them.
    pub numbers: *mut f32,
    /// How many.
    pub count: u64,
    /// The other process.
    pub rank: u32,
    /// Unused, 0.
    pub reserved: u32,
}

/// How the processes that train together reach each other. `drr_train_mpi.h` fills this in from an MPI
/// communicator, `drr_train_mpi.f90` from Fortran's handle of one; a program without MPI can write the
/// functions itself.
///
/// They run in the threads of the library's calls, within them. All processes call them in the same
/// order, with as many numbers; each returns when its own part is done, 0 if that went well. They
/// must return, not throw or jump, and must not call functions with the same session.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct drr_train_communicator {
    /// `sizeof(drr_train_communicator)`
    pub struct_size: u32,
    /// Which process this is, from 0.
    pub rank: u32,
    /// How many there are.
    pub size: u32,
    /// Unused, 0.
    pub reserved: u32,
    /// Handed to the functions; valid until the session is freed; may be NULL.
    pub user_data: *mut c_void,
    /// Puts what a `drr_train_reduction` makes of the numbers of all processes in the place of this one's.
    /// The result must be the same in all of them, bit for bit.
    pub reduce: Option<
        unsafe extern "C" fn(
            numbers: *mut c_void,
            count: u64,
            reduction: u32,
            user_data: *mut c_void,
        ) -> u32,
    >,
    /// Puts the bytes of process 0 in the place of those of this one.
    pub broadcast:
        Option<unsafe extern "C" fn(bytes: *mut c_void, count: u64, user_data: *mut c_void) -> u32>,
    /// Sends numbers to some processes and receives from some: those that a message is sent to make
    /// the call that receives it. Ordered by nothing but that, so that all are best on their way at once.
    pub exchange: Option<
        unsafe extern "C" fn(
            sent: *const drr_train_message,
            sent_count: u32,
            received: *const drr_train_message,
            received_count: u32,
            user_data: *mut c_void,
        ) -> u32,
    >,
}

/// The functions of a host.
struct Host {
    rank: usize,
    size: usize,
    user_data: *mut c_void,
    reduce: unsafe extern "C" fn(*mut c_void, u64, u32, *mut c_void) -> u32,
    broadcast: unsafe extern "C" fn(*mut c_void, u64, *mut c_void) -> u32,
    exchange: unsafe extern "C" fn(
        *const drr_train_message,
        u32,
        *const drr_train_message,
        u32,
        *mut c_void,
    ) -> u32,
}

// SAFETY: the functions are called, and handed their data, in the threads of the host's own calls.
unsafe impl Send for Host {}
// SAFETY: as above; one call at a time uses a session.
unsafe impl Sync for Host {}

/// What reaches the other processes; `None` if there are none.
///
/// # Safety
/// As for [`read`]; the functions must be what the struct's comments say until this is dropped.
pub(super) unsafe fn carrier(
    given: *const drr_train_communicator,
) -> Outcome<Option<Box<dyn Carrier>>> {
    // SAFETY: the caller's promise.
    let Some(given) = (unsafe { read(given) })? else { return Ok(None) };
    if given.size == 0 || given.rank >= given.size {
        return Err(Failure::argument(format!(
            "communicator.rank is {} of a size of {}, expected a rank below the size",
            given.rank, given.size
        )));
    }
    if given.size == 1 {
        return Ok(None);
    }
    let missing = |name: &str| Failure::argument(format!("communicator.{name} is NULL"));
    Ok(Some(Box::new(Host {
        rank: given.rank as usize,
        size: given.size as usize,
        user_data: given.user_data,
        reduce: given.reduce.ok_or_else(|| missing("reduce"))?,
        broadcast: given.broadcast.ok_or_else(|| missing("broadcast"))?,
        exchange: given.exchange.ok_or_else(|| missing("exchange"))?,
    })))
}

fn check(name: &str, result: u32) -> Outcome<()> {
    match result {
        0 => Ok(()),
        other => Err(Failure::new(
            Kind::Communication,
            format!(
                "communicator.{name} returned {other}: the processes that train together do not reach \
                 each other any more; free the session"
            ),
        )),
    }
}

impl Carrier for Host {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.size
    }

    fn reduce(&self, numbers: &mut Numbers) -> Outcome<()> {
        let (address, count, reduction) = match numbers {
            Numbers::Sum(numbers) => (numbers.as_mut_ptr().cast::<c_void>(), numbers.len(), 0),
            Numbers::SumF32(numbers) => (numbers.as_mut_ptr().cast(), numbers.len(), 1),
            Numbers::Max(bytes) => (bytes.as_mut_ptr().cast(), bytes.len(), 2),
        };
        if count == 0 {
            return Ok(());
        }
        // SAFETY: `count` numbers of the kind that `reduction` says; the host's promise.
        let result = unsafe { (self.reduce)(address, count as u64, reduction, self.user_data) };
        check("reduce", result)
    }

    fn broadcast(&self, bytes: &mut [u8]) -> Outcome<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        let (address, count) = (bytes.as_mut_ptr().cast(), bytes.len() as u64);
        // SAFETY: `count` bytes; the host's promise.
        check("broadcast", unsafe { (self.broadcast)(address, count, self.user_data) })
    }

    fn exchange(&self, sent: &[Message], received: &mut [Message]) -> Outcome<()> {
        let message = |rank: usize, numbers: *mut f32, count: usize| drr_train_message {
            numbers,
            count: count as u64,
            rank: rank as u32,
            reserved: 0,
        };
        // Sent numbers are read only: the type is the same for both.
        let sent: Vec<_> = sent
            .iter()
            .map(|(rank, numbers)| message(*rank, numbers.as_ptr().cast_mut(), numbers.len()))
            .collect();
        let received: Vec<_> = received
            .iter_mut()
            .map(|(rank, numbers)| message(*rank, numbers.as_mut_ptr(), numbers.len()))
            .collect();
        // SAFETY: messages that hold as many numbers as they say; the host's promise.
        let result = unsafe {
            (self.exchange)(
                sent.as_ptr(),
                sent.len() as u32,
                received.as_ptr(),
                received.len() as u32,
                self.user_data,
            )
        };
        check("exchange", result)
    }
}
