//! `include/drr_train.h` is what cbindgen makes of `src/capi` today, and the shared library exports
//! what it declares and nothing else.
#![cfg(target_os = "linux")]

use std::path::Path;
use std::process::Command;

/// The list of exported functions, which a program's symbols must not clash with.
const LIST: &str = "tests/exported_symbols.txt";

fn trainer() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn is_updated() -> bool {
    std::env::var_os("DRR_UPDATE_HEADER").is_some()
}

fn list() -> String {
    std::fs::read_to_string(trainer().join(LIST)).expect("the committed list")
}

#[test]
fn header_is_fresh() {
    let config = cbindgen::Config::from_file(trainer().join("cbindgen.toml"));
    let mut builder = cbindgen::Builder::new().with_config(config.expect("cbindgen.toml"));
    for name in ["status", "communicator", "structs", "session", "files", "log"] {
        builder = builder.with_src(trainer().join(format!("src/capi/{name}.rs")));
    }
    let mut generated = Vec::new();
    builder.generate().expect("src/capi can be parsed").write(&mut generated);
    let generated = String::from_utf8(generated).expect("UTF-8");

    let path = trainer().join("../include/drr_train.h");
    if is_updated() {
        std::fs::write(&path, &generated).expect("include/drr_train.h can be written");
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(generated == committed, "include/drr_train.h is stale: run `make header`");

    // Functions stand at the beginning of a line, with their type in front.
    let mut declared: Vec<_> = (generated.lines())
        .filter(|line| !line.starts_with([' ', '/', '*', '#']) && !line.starts_with("typedef"))
        .filter(|line| !line.starts_with("static"))
        .filter_map(|line| line.split_once('(')?.0.split([' ', '*']).next_back())
        .filter(|name| name.starts_with("drr_train_"))
        .collect();
    declared.sort_unstable();
    if is_updated() {
        let text: String = declared.iter().map(|name| format!("{name}\n")).collect();
        std::fs::write(trainer().join(LIST), text).expect("the list");
    }
    assert_eq!(declared, list().lines().collect::<Vec<_>>());
}

#[test]
fn exported_symbols_are_those_of_the_list() {
    let program = std::env::current_exe().expect("this program");
    let library = program.with_file_name("libdrr_train.so");
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
    assert_eq!(found, list().lines().collect::<Vec<_>>());
}
