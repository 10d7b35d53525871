//! libtorch's failures as errors: its wrapper makes panics of them, with libtorch's own stack.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind, set_hook, take_hook};
use std::sync::Once;

use anyhow::{Result, bail};

/// Which panics print nothing, in a thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quiet {
    /// None.
    Nothing,
    /// Those that are libtorch's failures.
    Libtorch,
    /// All of them.
    Everything,
}

thread_local! {
    static QUIET: Cell<Quiet> = const { Cell::new(Quiet::Nothing) };
}

/// Runs `work`, in which a failure of libtorch is an error; any other panic stays one.
///
/// # Errors
/// Those of `work`, and what libtorch said.
pub fn catch<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    // What `work` was changing is not looked at again: the program ends with the error.
    match quietly(Quiet::Libtorch, work) {
        Ok(result) => result,
        Err(panic) => match said(panic.as_ref()) {
            Some(said) => bail!("{said}{}", advice(&said)),
            None => resume_unwind(panic),
        },
    }
}

/// Runs `work` in a thread that prints nothing of some panics meanwhile; what `work` was changing
/// when it panicked may be half done.
pub fn quietly<T>(quiet: Quiet, work: impl FnOnce() -> T) -> std::thread::Result<T> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = take_hook();
        set_hook(Box::new(move |panic| match QUIET.get() {
            Quiet::Everything => {}
            Quiet::Libtorch if said(panic.payload()).is_some() => {}
            _ => usual(panic),
        }));
    });
    let before = QUIET.replace(quiet);
    let result = catch_unwind(AssertUnwindSafe(work));
    QUIET.set(before);
    result
}

/// What libtorch said, without its stack; `None` for other panics.
pub fn said(panic: &(dyn Any + Send)) -> Option<String> {
    let (_, error) = panic.downcast_ref::<String>()?.split_once("Torch(\"")?;
    // The wrapper shows the message as a string literal, line ends escaped.
    let line = error.split("\\n").next().unwrap_or(error);
    Some(format!("libtorch: {}", line.trim_end_matches("\")").replace("\\\"", "\"")))
}

fn advice(said: &str) -> &'static str {
    match said.contains("memory") {
        true => "; smaller grids, or less for --batch-members or --batch-points, need less memory",
        false => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind, Tensor};

    #[test]
    fn what_libtorch_says_is_an_error_of_one_line() {
        let add = || {
            Ok(Tensor::zeros([2], (Kind::Float, Device::Cpu))
                + Tensor::zeros([3], (Kind::Float, Device::Cpu)))
        };
        let error = catch(add).expect_err("shapes that differ").to_string();
        assert!(error.starts_with("libtorch: The size of tensor a (2) must match"), "{error}");
        assert!(!error.contains('\\') && !error.contains("frame"), "{error}");
        assert_eq!(catch(|| Ok(1)).expect("a number"), 1);
    }
}
