//! Every public struct of the header has the layout of the committed list, as a C compiler sees it:
//! programs that were compiled with an older header must find each field where it was.
#![cfg(all(target_os = "linux", target_pointer_width = "64"))]

use std::fmt::Write;
use std::path::Path;
use std::process::Command;

#[test]
fn structs_are_laid_out_as_committed() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let header = std::fs::read_to_string(root.join("include/drr.h")).expect("the header");
    let mut program = String::from("#include <drr.h>\n#include <stddef.h>\n#include <stdio.h>\n");
    program.push_str("int main(void) {\n");
    for (name, fields) in structs(&header) {
        writeln!(program, r#"    printf("{name} %zu\n", sizeof({name}));"#).expect("a string");
        for field in fields {
            let size = format!("sizeof((({name} *)0)->{field})");
            let place = format!("offsetof({name}, {field}), {size}");
            writeln!(program, r#"    printf("    %zu %zu {field}\n", {place});"#)
                .expect("a string");
        }
    }
    program.push_str("    return 0;\n}\n");

    let folder = tempfile::tempdir().expect("a temporary folder");
    let (source, binary) = (folder.path().join("layout.c"), folder.path().join("layout"));
    std::fs::write(&source, program).expect("room for a file");
    let mut compiler = Command::new("cc");
    compiler.arg("-std=c11").arg("-I").arg(root.join("include")).arg(&source);
    let status = compiler.arg("-o").arg(&binary).status().expect("a C compiler");
    assert!(status.success());
    let output = Command::new(binary).output().expect("the program");
    let found = String::from_utf8(output.stdout).expect("UTF-8");

    let list = root.join("tests/struct_layout.txt");
    if std::env::var_os("DRR_UPDATE_HEADER").is_some() {
        std::fs::write(&list, &found).expect("the list can be written");
    }
    let committed = std::fs::read_to_string(list).unwrap_or_default();
    assert!(
        found == committed,
        "layouts changed (offset, size, field). New fields go to the end of a struct, and \
         `make header` writes the list; anything else needs a new DRR_ABI_VERSION.\n{found}"
    );
}

/// Names and fields of the structs that are not opaque.
fn structs(header: &str) -> Vec<(String, Vec<String>)> {
    let mut found: Vec<(String, Vec<String>)> = Vec::new();
    let mut inside = false;
    for line in header.lines().map(str::trim) {
        if let Some(rest) = line.strip_prefix("typedef struct ").and_then(|l| l.strip_suffix(" {"))
        {
            found.push((rest.to_owned(), Vec::new()));
            inside = true;
        } else if line.starts_with('}') {
            inside = false;
        } else if inside && !line.starts_with("//") && line.ends_with(';') {
            let declared = line.trim_end_matches(';').split('[').next().unwrap_or_default();
            let field = declared.split([' ', '*']).next_back().unwrap_or_default();
            found.last_mut().expect("an open struct").1.push(field.to_owned());
        }
    }
    assert!(found.len() > 5 && found.iter().all(|(_, fields)| !fields.is_empty()), "{found:?}");
    found
}
