//! `drr-train`: see `drr-train --help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    drr_train::cli::main()
}
