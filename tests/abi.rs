//! Programs that were compiled with an older header keep working: the header declares what the
//! committed list `tests/interface.txt` has, and nothing else.
//!
//! The list is the judge, as it needs no tool and takes what struct_layout.txt does not hold: types,
//! arguments, numbers of enums. `abidiff` says what a change would do to programs, but takes a struct
//! that grew at its end for a changed one, which `struct_size` allows, and does not see numbers that
//! are passed as `uint32_t`.
#![cfg(all(target_os = "linux", target_pointer_width = "64"))]

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

use common::programs::{is_installed, root};
use tempfile::TempDir;

const LIST: &str = "tests/interface.txt";

#[test]
fn the_interface_is_the_committed_one() {
    let found = interface();
    let list = root().join(LIST);
    if std::env::var_os("DRR_UPDATE_HEADER").is_some() {
        std::fs::write(&list, &found).expect("the list can be written");
    }
    let committed = std::fs::read_to_string(list).unwrap_or_default();
    if found != committed {
        let report = is_installed("abidiff").then(|| compare(&committed, &found));
        panic!(
            "include/drr.h declares something else than {LIST}. New functions, new fields at the \
             end of a struct and new numbers are fine, and `make header` writes the list; anything \
             else needs a new DRR_ABI_VERSION.\n{}",
            report.unwrap_or_default()
        );
    }
}

#[test]
fn a_function_more_keeps_what_was_there() {
    if !is_installed("abidiff") {
        return;
    }
    let before = interface();
    let after = format!("{before}drr_status drr_one_more(const struct drr_points *points);\n");
    let report = compare(&before, &after);
    assert!(
        report.contains("Functions changes summary: 0 Removed, 0 Changed, 1 Added"),
        "{report}"
    );
    assert!(report.contains("{drr_one_more}"), "{report}");
}

/// So that the comparison would show what it is made for.
#[test]
fn what_breaks_programs_is_noticed() {
    if !is_installed("abidiff") {
        return;
    }
    let before = interface();
    for (what, old, new) in [
        ("a function less", "int32_t drr_last_os_error(void);\n", ""),
        ("another argument", "uint64_t count,", "uint32_t count,"),
        ("another type of an array", "const float *points,", "const double *points,"),
        ("another result", "uint32_t drr_abi_version(void)", "uint64_t drr_abi_version(void)"),
        ("another callback", "(uint32_t level, const char", "(uint64_t level, const char"),
        ("a field in between", "uint32_t units;", "uint32_t more; uint32_t units;"),
        ("another type of a field", "uint64_t file_bytes;", "int64_t file_bytes;"),
        ("fields swapped", "double min; double max;", "double max; double min;"),
    ] {
        let after = before.replace(old, new);
        assert!(after != before, "{what}: there is no {old:?} in\n{before}");
        let report = compare(&before, &after);
        assert!(
            !report.contains("Functions changes summary: 0 Removed, 0 Changed"),
            "{what}\n{report}"
        );
    }
}

/// What the header declares to a C compiler, a declaration a line.
fn interface() -> String {
    let path = root().join("include/drr.h");
    let header = std::fs::read_to_string(&path).expect("the header");
    let constants = header.lines().filter(|line| line.starts_with("#define DRR_"));
    let mut text: String = ["#include <stdint.h>"]
        .into_iter()
        .chain(constants.filter(|line| *line != "#define DRR_H"))
        .map(|line| format!("{line}\n"))
        .collect();

    // In the place of the system's headers, whose types are to stay as they are called.
    let empty = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(empty.path().join("stdint.h"), "").expect("room for a file");
    let mut compiler = Command::new("cc");
    compiler.args(["-std=c11", "-E", "-P", "-nostdinc", "-I"]).arg(empty.path()).arg(path);
    let output = compiler.output().expect("a C compiler");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let declarations = String::from_utf8(output.stdout).expect("UTF-8");
    let mut depth = 0;
    for word in declarations.split_whitespace() {
        depth += word.matches('{').count();
        depth -= word.matches('}').count();
        text.push_str(word);
        text.push(if depth == 0 && word.ends_with(';') { '\n' } else { ' ' });
    }
    text
}

/// What abidiff says of programs that were compiled with one interface and run with another.
fn compare(before: &str, after: &str) -> String {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let [before, after] =
        [("before", before), ("after", after)].map(|(name, text)| library(&folder, name, text));
    let output = Command::new("abidiff").args([before, after]).output().expect("abidiff");
    // Bits: 1 and 2 for its own failure and wrong usage, 4 and 8 for changes.
    let usable = output.status.code().is_some_and(|code| code & 3 == 0);
    assert!(usable, "{}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// A library of an interface, whose functions do nothing.
fn library(folder: &TempDir, name: &str, interface: &str) -> PathBuf {
    let mut program = String::new();
    for line in interface.lines() {
        let is_function = line.ends_with(");") && !line.starts_with("typedef");
        program.push_str(if is_function { line.trim_end_matches(';') } else { line });
        program.push_str(if is_function { " {}\n" } else { "\n" });
    }
    let path = |ending: &str| folder.path().join(format!("{name}.{ending}"));
    std::fs::write(path("c"), program).expect("room for a file");
    compile(&path("c"), &path("so"));
    path("so")
}

fn compile(source: &Path, library: &Path) {
    let mut command = Command::new("cc");
    command.args(["-std=c11", "-w", "-g", "-shared", "-fPIC", "-o"]).arg(library).arg(source);
    assert!(command.status().expect("a C compiler").success(), "{command:?}");
}
