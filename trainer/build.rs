//! Lets everything that is built here find libtorch where it was when it was linked.

use std::path::PathBuf;

fn main() {
    println!("cargo::rerun-if-env-changed=LIBTORCH");
    if let Some(libtorch) = std::env::var_os("LIBTORCH").map(PathBuf::from) {
        println!("cargo::rerun-if-changed={}", libtorch.join("build-version").display());
        // An absolute path without links: the program outlives the checkout's `.libtorch`.
        let path = std::fs::canonicalize(&libtorch).unwrap_or(libtorch);
        println!("cargo::rustc-link-arg=-Wl,-rpath,{}", path.join("lib").display());
    }
}
