//! The shared library exports the functions of the committed list and nothing else: no name that
//! could clash with the host program's, none that went missing unnoticed.
#![cfg(target_os = "linux")]

use std::path::Path;
use std::process::Command;

#[test]
fn exported_symbols_are_those_of_the_list() {
    let program = std::env::current_exe().expect("this program");
    let library = program.with_file_name("libdrr.so");
    let Ok(output) = Command::new("nm").args(["-D", "--defined-only"]).arg(&library).output()
    else {
        eprintln!("skipped: no nm");
        return;
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let mut found: Vec<_> =
        text.lines().filter_map(|line| line.split_whitespace().last()).collect();
    found.sort_unstable();
    let list = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/exported_symbols.txt");
    let expected = std::fs::read_to_string(list).expect("the committed list");
    let expected: Vec<_> = expected.lines().collect();
    assert_eq!(found, expected);
}

#[test]
fn the_list_is_what_the_header_declares() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &str| std::fs::read_to_string(root.join(path)).expect(path);
    let header = read("include/drr.h");
    let mut declared: Vec<_> = (header.lines())
        .filter(|line| !line.trim_start().starts_with("//"))
        .filter_map(|line| line.split_once('(')?.0.split(&[' ', '*']).next_back())
        .filter(|name| name.starts_with("drr_"))
        .collect();
    declared.sort_unstable();
    if std::env::var_os("DRR_UPDATE_HEADER").is_some() {
        let list = declared.iter().map(|name| format!("{name}\n")).collect::<String>();
        std::fs::write(root.join("tests/exported_symbols.txt"), list).expect("the list");
    }
    assert_eq!(declared, read("tests/exported_symbols.txt").lines().collect::<Vec<_>>());
}
