//! Lets everything that is built here find libtorch where it was when it was linked, and the shared
//! library export its own functions alone: not those of libdrr, which is in it as a Rust library.

use std::path::PathBuf;

fn main() {
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|system| system == "linux") {
        println!("cargo::rustc-cdylib-link-arg=-Wl,--exclude-libs,ALL");
    }
    println!("cargo::rerun-if-env-changed=LIBTORCH");
    if let Some(libtorch) = std::env::var_os("LIBTORCH").map(PathBuf::from) {
        println!("cargo::rerun-if-changed={}", libtorch.join("build-version").display());
        // An absolute path without links: the program outlives the checkout's `.libtorch`.
        let path = std::fs::canonicalize(&libtorch).unwrap_or(libtorch);
        println!("cargo::rustc-link-arg=-Wl,-rpath,{}", path.join("lib").display());
    }
}
