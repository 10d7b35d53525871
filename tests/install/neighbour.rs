//! A static library of another Rust project in the same program.
#![crate_type = "staticlib"]

/// Uses the standard library, so that both bring it along.
#[unsafe(no_mangle)]
pub extern "C" fn neighbour(n: u32) -> u32 {
    let words: Vec<String> = (0..n).map(|i| i.to_string()).collect();
    let caught = std::panic::catch_unwind(|| panic!("{}", words.join(" ")));
    u32::from(caught.is_err()) + words.len() as u32
}
