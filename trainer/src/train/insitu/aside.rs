//! Work of libtorch in a thread of its own, so that nothing of the host's threads changes.
//!
//! libtorch sets the number of OpenMP threads of whatever thread calls it first. A new thread has
//! settings of its own in OpenMP, takes no signals, and its panics end at its end.

use std::mem::MaybeUninit;
use std::sync::mpsc::channel;
use std::thread::{Builder, scope};

use super::failure::{Failure, Kind, Outcome};
use crate::libtorch::{Quiet, quietly};

/// Bytes of the thread's stack.
const STACK: usize = 16 << 20;

/// Does `work` in another thread and waits for it. `threads` is how many libtorch may use there; 0
/// leaves what it has.
///
/// # Errors
/// Those of `work`, its panics, and [`Kind::OutOfMemory`] if there can be no thread.
pub fn aside<T: Send>(threads: u32, work: impl FnOnce() -> Outcome<T> + Send) -> Outcome<T> {
    asking(threads, |_| work(), |()| ())
}

/// As [`aside`], for work that asks something now and then, which is answered in the caller's thread.
///
/// # Errors
/// As [`aside`].
pub fn asking<T: Send, Q: Send, A: Send>(
    threads: u32,
    work: impl FnOnce(&mut dyn FnMut(Q) -> Option<A>) -> Outcome<T> + Send,
    mut answer: impl FnMut(Q) -> A,
) -> Outcome<T> {
    let (questions, asked) = channel();
    let (replies, answers) = channel();
    let inside = move || {
        block_signals();
        quietly(Quiet::Everything, || {
            if threads > 0 {
                tch::set_num_threads(i32::try_from(threads).unwrap_or(i32::MAX));
            }
            work(&mut |question| {
                questions.send(question).ok()?;
                answers.recv().ok()
            })
        })
    };
    scope(|scope| {
        let thread = Builder::new().name("drr-train".to_owned()).stack_size(STACK);
        let thread = thread.spawn_scoped(scope, inside).map_err(|error| {
            Failure::new(Kind::OutOfMemory, format!("cannot start a thread: {error}"))
        })?;
        // Until the work ends and drops its end of the channel.
        while let Ok(question) = asked.recv() {
            if replies.send(answer(question)).is_err() {
                break;
            }
        }
        match thread.join().unwrap_or_else(Err) {
            Ok(result) => result,
            Err(panic) => Err(Failure::of_panic(panic.as_ref())),
        }
    })
}

/// Leaves signals to the host's threads, but for those that say what this one did.
fn block_signals() {
    let mut all = MaybeUninit::uninit();
    // SAFETY: `sigfillset` writes the whole set; the mask is that of this thread alone.
    unsafe {
        libc::sigfillset(all.as_mut_ptr());
        for own in [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL, libc::SIGABRT] {
            libc::sigdelset(all.as_mut_ptr(), own);
        }
        libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), std::ptr::null_mut());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_wrong_comes_back_as_a_failure() {
        assert_eq!(aside(0, || Ok(7)).unwrap(), 7);
        let failure = aside(0, || -> Outcome<()> { panic!("lost") }).unwrap_err();
        assert_eq!(failure.kind, Kind::Internal);
        assert!(failure.message.ends_with("please report: lost"), "{failure}");
        let failure = aside(0, || {
            let options = (tch::Kind::Float, tch::Device::Cpu);
            Ok((tch::Tensor::zeros([2], options) + tch::Tensor::zeros([3], options)).numel())
        });
        let failure = failure.unwrap_err();
        assert_eq!(failure.kind, Kind::Libtorch);
        assert!(failure.message.starts_with("libtorch: The size of tensor a"), "{failure}");
    }

    #[test]
    fn questions_are_answered_by_the_caller() {
        let (caller, mut heard) = (std::thread::current().id(), Vec::new());
        let sum = asking(
            0,
            |ask| Ok((1..=3).filter_map(ask).sum::<i32>()),
            |n| {
                assert_eq!(std::thread::current().id(), caller);
                heard.push(n);
                10 * n
            },
        );
        assert_eq!((sum.unwrap(), heard), (60, vec![1, 2, 3]));
    }

    #[test]
    fn other_threads_keep_their_number_of_threads() {
        let before = tch::get_num_threads();
        let inside = |threads| aside(threads, || Ok(tch::get_num_threads())).unwrap();
        assert_eq!((inside(1), inside(2)), (1, 2));
        assert_eq!(tch::get_num_threads(), before);
    }
}
