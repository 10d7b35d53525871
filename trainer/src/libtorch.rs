//! libtorch's failures as errors: its wrapper makes panics of them, with libtorch's own stack.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind, set_hook, take_hook};

use anyhow::{Result, bail};

/// Runs `work`, in which a failure of libtorch is an error; any other panic stays one.
///
/// # Errors
/// Those of `work`, and what libtorch said.
pub fn catch<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    let usual = take_hook();
    set_hook(Box::new(move |panic| {
        if said(panic.payload()).is_none() {
            usual(panic);
        }
    }));
    // What `work` was changing is not looked at again: the program ends with the error.
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => result,
        Err(panic) => match said(panic.as_ref()) {
            Some(said) => bail!("{said}{}", advice(&said)),
            None => resume_unwind(panic),
        },
    }
}

/// What libtorch said, without its stack; `None` for other panics.
fn said(panic: &(dyn Any + Send)) -> Option<String> {
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
