//! Disks end: results that were there before stay whole, and nothing half-written is left.
//!
//! The program runs under a limit on the size of files. Where the signal that goes with it is
//! ignored, writing fails as on a full disk; else the program is killed while it writes.
#![cfg(target_os = "linux")]

mod common;

use std::fs::File;
use std::process::{Output, Stdio};

use common::scratch::Scratch;
use common::{drr_train_ok, on_one_thread, program};

/// Files may grow to 8 KiB or 16 KiB: shells differ. Weights and baked files are larger.
const LIMIT: &str = "ulimit -f 16";

/// Runs the program where files cannot grow beyond [`LIMIT`].
fn limited(ignoring_signal: bool, arguments: &[&str]) -> Output {
    let trap = if ignoring_signal { "trap '' XFSZ; " } else { "" };
    on_one_thread("sh")
        .args(["-c", &format!("{trap}ulimit -c 0; {LIMIT}; exec \"$0\" \"$@\"")])
        .arg(env!("CARGO_BIN_EXE_drr-train"))
        .args(arguments)
        .output()
        .expect("a shell")
}

/// The program must have failed with a message, not crashed.
fn failed_with(output: &Output, texts: &[&str]) {
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(!message.contains("panicked"), "{message}");
    assert!(texts.iter().all(|text| message.contains(text)), "{message}");
}

#[test]
fn a_bake_that_finds_no_room_leaves_the_old_file() {
    let scratch = Scratch::baked(3);
    let before = (scratch.bytes("model.drr"), scratch.list(""));
    let (run, output) = (scratch.path("run"), scratch.path("model.drr"));
    let bake = ["bake", &run, "--grid", "f32", "-o", &output];
    failed_with(&limited(true, &bake), &["cannot write", "model.drr"]);
    assert!(before == (scratch.bytes("model.drr"), scratch.list("")), "the old file alone");

    // By way of a temporary file that is larger than the result.
    for more in [&["--rank", "4", "--grid", "i8"][..], &["--max-error", "0.1"], &["--report"]] {
        let arguments = [&["bake", &run, "-o", &output], more].concat();
        let texts = ["cannot write", "model.drr", "the model as it is goes to a temporary file"];
        failed_with(&limited(true, &arguments), &texts);
        assert!(before == (scratch.bytes("model.drr"), scratch.list("")), "{more:?}");
    }

    // Killed, it cannot clean up, but the old file stays and the next bake succeeds.
    assert!(!limited(false, &bake).status.success());
    assert!(scratch.bytes("model.drr") == before.0, "the old file");
    drr_train_ok(&bake);
    drr_train_ok(&["validate", &output]);
}

#[test]
fn a_checkpoint_that_finds_no_room_leaves_the_earlier_one() {
    let scratch = Scratch::small();
    scratch.train("run", &["--steps", "4"]);
    scratch.replace("run/config.yaml", "steps: 4", "steps: 8");
    let run = scratch.path("run");
    let resume = ["train", "--resume", &run];
    let earlier = "run/checkpoints/step-00000004";
    let contents = || -> Vec<_> {
        scratch
            .list(earlier)
            .iter()
            .map(|name| scratch.bytes(&format!("{earlier}/{name}")))
            .collect()
    };
    let before = contents();
    failed_with(&limited(true, &resume), &["cannot write", "weights.safetensors"]);
    assert_eq!(scratch.list("run/checkpoints"), ["step-00000004"]);
    assert!(contents() == before, "the earlier checkpoint");

    assert!(!limited(false, &resume).status.success());
    assert!(contents() == before, "the earlier checkpoint");
    drr_train_ok(&resume);
    assert!(scratch.has("run/checkpoints/step-00000008"));
}

#[test]
fn a_new_run_that_finds_no_room_says_so() {
    let scratch = Scratch::small();
    let arguments = scratch.training("run", &[]);
    let output = limited(true, &common::scratch::borrowed(&arguments));
    failed_with(&output, &["cannot write", "weights.safetensors"]);
    assert!(scratch.list("run/checkpoints").is_empty());
}

#[test]
fn a_query_that_finds_no_room_leaves_the_old_result() {
    let scratch = Scratch::with_model();
    let model = scratch.path("model.drr");
    for name in ["out.npy", "out.raw"] {
        let out = scratch.path(name);
        let query =
            |grid| ["query", &model, "--params", "density=0.5,heat=20", "-o", &out, "--grid", grid];
        drr_train_ok(&query("2,3,4"));
        let before = (scratch.bytes(name), scratch.list(""));
        failed_with(&limited(true, &query("20,20,20")), &["cannot write", name]);
        assert!(before == (scratch.bytes(name), scratch.list("")), "{name}: the old result alone");
    }
}

#[test]
fn results_that_nobody_can_read_are_an_error_and_no_crash() {
    let scratch = Scratch::baked(3);
    let (model, run, out) =
        (scratch.path("model.drr"), scratch.path("run"), scratch.path("out.npy"));
    let query = ["query", &model, "--params", "density=0.5,heat=20", "-o", &out, "--grid", "2,2,2"];
    let verbs: [&[&str]; 6] = [
        &["info", &model],
        &["info", &model, "--json"],
        &["validate", &model],
        &["eval", &run],
        &["bake", &run, "-o", &model],
        &query,
    ];
    for verb in verbs {
        let full = File::options().write(true).open("/dev/full").expect("a device");
        let output = program()
            .args(verb)
            .stdout(full)
            .stderr(Stdio::piped())
            .output()
            .expect("drr-train runs");
        failed_with(&output, &["cannot write to standard output"]);
    }
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let scratch = Scratch::with_model();
    let mut child = scratch.start(&["info".into(), scratch.path("model.drr"), "--json".into()]);
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("a child");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
}
