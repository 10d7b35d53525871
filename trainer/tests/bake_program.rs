//! `drr-train bake` as people use it: what it says is true, what it refuses it explains, and it
//! leaves nothing behind.

mod common;

use std::path::Path;

use common::ensemble::{HELD_OUT, TinyEnsemble};
use common::scratch::Scratch;
use common::{drr_train, drr_train_fails, drr_train_ok, on_one_thread};
use drr_train::data::npy;
use serde_json::Value as Json;

/// A lossy way to bake, without the rank.
const COARSE: [&str; 4] = ["--grid", "i8", "--decoder", "i8"];

fn bake<'a>(source: &'a str, more: &[&'a str], output: &'a str) -> Vec<&'a str> {
    [&["bake", source], more, &["-o", output]].concat()
}

fn compression(scratch: &Scratch, file: &str) -> Json {
    scratch.info(file)["spec"]["provenance"]["compression"].clone()
}

fn number(value: &Json) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("a number, not {value}"))
}

/// Mean PSNR of a file over the held-out members, from its answers and the data.
fn psnr(scratch: &Scratch, ensemble: &TinyEnsemble, file: &str) -> f64 {
    let value = &scratch.info(file)["spec"]["values"][0];
    let scale = number(&value["max"]) - number(&value["min"]);
    let (model, out) = (scratch.path(file), scratch.path("answer.npy"));
    let of_member = |m: usize| {
        let parameters = ensemble.assignments(m);
        drr_train_ok(&["query", &model, "--grid", "5,6,7", "--params", &parameters, "-o", &out]);
        let answer = npy::read::<f64>(Path::new(&out)).expect("an answer").data;
        let truth = ensemble.field(m);
        let squares = answer.iter().zip(&truth).map(|(a, &t)| ((a - f64::from(t)) / scale).powi(2));
        -10.0 * (squares.sum::<f64>() / truth.len() as f64).log10()
    };
    HELD_OUT.map(of_member).iter().sum::<f64>() / HELD_OUT.len() as f64
}

#[test]
fn measured_losses_are_what_the_answers_of_the_files_give() {
    let (scratch, ensemble) = (Scratch::small(), TinyEnsemble::default());
    scratch.train("run", &["--steps", "300"]);
    let (run, exact, small) = (scratch.path("run"), scratch.path("exact"), scratch.path("small"));
    drr_train_ok(&bake(&run, &["--grid", "f32", "--fold", "off"], &exact));
    let said = drr_train_ok(&bake(&run, &[&["--rank", "4"], &COARSE[..]].concat(), &small));

    let compression = compression(&scratch, "small");
    assert_eq!(compression["rank"], 4);
    assert_eq!((&compression["grids"], &compression["decoder"]), (&"i8".into(), &"i8".into()));
    assert_eq!(number(&compression["bytes"]), scratch.bytes("small").len() as f64);
    assert_eq!(number(&compression["f32_bytes"]), scratch.bytes("exact").len() as f64);
    assert!(number(&compression["max_error"]) > number(&compression["rms_error"]));

    let loss = psnr(&scratch, &ensemble, "exact") - psnr(&scratch, &ensemble, "small");
    let stated = number(&compression["psnr_loss_db"]);
    assert!((stated - loss).abs() < 2e-3, "{stated}, expected {loss}");
    assert!(loss.abs() > 0.02, "a loss that can be seen: {loss}");
    for text in [
        "rank 4, grids i8, decoder i8".to_owned(),
        format!("PSNR loss {stated:.3} dB on 2 held-out members"),
        format!("largest {:.1e}", number(&compression["max_error"])),
    ] {
        assert!(said.contains(&text), "no `{text}` in: {said}");
    }
    drr_train_ok(&["validate", &small]);
}

#[test]
fn a_file_bakes_again_and_is_judged_by_data_that_are_given() {
    let scratch = Scratch::small();
    scratch.train("run", &["--steps", "30"]);
    let path = |name: &str| scratch.path(name);
    let (run, exact, ens) = (path("run"), path("exact"), path("ens"));
    let ways = [&["--rank", "4"], &COARSE[..]].concat();
    drr_train_ok(&bake(&run, &["--grid", "f32", "--fold", "off"], &exact));
    drr_train_ok(&bake(&run, &ways, &path("from-run")));
    drr_train_ok(&bake(&exact, &[&ways[..], &["--data", &ens]].concat(), &path("from-file")));
    assert!(scratch.bytes("from-run") == scratch.bytes("from-file"), "the files differ");

    // Without data a file is compared with the one that it was made from.
    let said = drr_train_ok(&bake(&exact, &ways, &path("alone")));
    assert!(said.contains("PSNR of the difference"), "{said}");
    assert_eq!(compression(&scratch, "alone")["psnr_loss_db"], Json::Null);

    // Of a file that lost something, that stays known.
    drr_train_ok(&bake(&exact, &["--rank", "4", "--grid", "f32"], &path("rank")));
    drr_train_ok(&bake(&path("rank"), &["--grid", "i8"], &path("twice")));
    let provenance = &scratch.info("twice")["spec"]["provenance"];
    assert_eq!(provenance["compression_before"]["rank"], 4);
    assert_eq!(provenance["compression"]["rank"], Json::Null);

    TinyEnsemble { parameters: 3, ..Default::default() }.write(&scratch, "others");
    let others = path("others");
    let message =
        drr_train_fails(&bake(&exact, &[&ways[..], &["--data", &others]].concat(), &path("no")));
    assert!(message.contains("the file was not made from the data in"), "{message}");

    // The run's own data may be gone; that is said.
    std::fs::rename(scratch.place("ens"), scratch.place("moved")).expect("moved");
    let output = drr_train(&bake(&run, &ways, &path("moved.drr")));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("the run's data are not at hand"), "{said}");
    drr_train_ok(&bake(&run, &[&ways[..], &["--data", &path("moved")]].concat(), &path("again")));
    assert!(scratch.bytes("again") == scratch.bytes("from-run"), "the files differ");
}

#[test]
fn a_report_compares_and_keeps_nothing() {
    let scratch = Scratch::small();
    scratch.train("run", &["--steps", "30"]);
    scratch.put("temporary/keep", "");
    let (run, temporary) = (scratch.path("run"), scratch.path("temporary"));
    let report = |more: &[&str]| {
        let output = common::program()
            .args(["bake", &run, "--report"])
            .args(more)
            .env("TMPDIR", &temporary)
            .output()
            .expect("drr-train runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    let before = scratch.list("");
    let rows: Vec<Json> = serde_json::from_str(&report(&["--json"])).expect("JSON");
    assert_eq!((scratch.list(""), scratch.list("temporary")), (before, vec!["keep".to_owned()]));
    let forms: Vec<_> = (rows.iter())
        .map(|row| {
            let word = |key: &str| row[key].as_str().expect("a word").to_owned();
            format!("{} {} {}", word("form"), word("grids"), word("decoder"))
        })
        .collect();
    // The model has 16 channels.
    let mut expected: Vec<String> = ["unfolded f32 f32", "folded f32 f32", "folded f16 f32"]
        .iter()
        .chain(&["folded f16 bf16", "folded i8 bf16", "folded i8 i8"])
        .map(|&row| row.to_owned())
        .collect();
    for rank in [4, 8] {
        let pairs = ["f16 bf16", "i8 bf16", "i8 i8"];
        expected.extend(pairs.map(|pair| format!("rank {rank} {pair}")));
    }
    assert_eq!(forms, expected);

    // What is marked is not beaten, what is not is.
    let numbers =
        |row: &Json| ["bytes", "psnr_loss_db", "points_per_s"].map(|key| number(&row[key]));
    let beats = |a: &Json, b: &Json| {
        let (a, b) = (numbers(a), numbers(b));
        let better = a[0] < b[0] || a[1] < b[1] || a[2] * 0.95 > b[2];
        a[0] <= b[0] && a[1] <= b[1] && a[2] >= b[2] * 0.95 && better
    };
    for row in &rows {
        assert_eq!(row["best"], !rows.iter().any(|other| beats(other, row)), "{row}");
        assert!(number(&row["points_per_s"]) > 1e4, "{row}");
    }
    assert_eq!(numbers(&rows[0])[1], 0.0);
    assert_eq!(number(&rows[0]["bytes"]), number(&rows[0]["f32_bytes"]));

    // Each row is what a bake with these options gives.
    let out = scratch.path("out.drr");
    let table = report(&[&["--rank", "4"], &COARSE[..], &["-o", &out]].concat());
    let row = &rows[8];
    assert_eq!(numbers(row)[0] as usize / 1000, scratch.bytes("out.drr").len() / 1000);
    let (own, compression) = (&row["max_error"], &compression(&scratch, "out.drr"));
    assert_eq!(own, &compression["max_error"], "{compression}");
    assert_eq!(table.lines().filter(|line| line.contains(" MB ")).count(), rows.len(), "{table}");
    assert!(table.contains("rank 4, grids i8, decoder i8"), "{table}");
    assert_eq!(scratch.list("temporary"), ["keep"]);
}

#[test]
fn wrong_options_are_explained() {
    let scratch = Scratch::small();
    scratch.train("run", &[]);
    let (run, model, out) = (scratch.path("run"), scratch.path("exact"), scratch.path("out.drr"));
    drr_train_ok(&bake(&run, &["--grid", "f32", "--fold", "off"], &model));
    let before = scratch.list("");
    let wrong_usage: [&[&str]; 5] = [
        &["--rank", "0"],
        &["--rank", "4", "--max-error", "0.1"],
        &["--grid", "f64"],
        &["--json"],
        &["--weights", "a.safetensors"],
    ];
    for more in wrong_usage {
        let output = drr_train(&bake(&model, more, &out));
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{more:?}: {text}");
    }
    let refused: [(&[&str], &str); 6] = [
        (&["--rank", "17"], "--rank 17: expected 1 to 16"),
        (&["--max-error", "-1"], "expected a positive number"),
        (&["--rank", "4", "--fold", "on"], "--rank with --fold on"),
        (&["--max-error", "1e-9", "--grid", "i8"], "from i8 grids and a f32 decoder"),
        (&["--grid", "i8", "--data", "nowhere"], "there is no folder nowhere"),
        (&["--report", "--data", "nowhere"], "there is no folder nowhere"),
    ];
    for (more, text) in refused {
        let arguments: Vec<_> = bake(&model, more, &out);
        let arguments: Vec<_> = (arguments.iter())
            .map(|&argument| argument.replace("--max-error", "--max-error="))
            .collect();
        let joined = arguments.join("\n").replace("--max-error=\n", "--max-error=");
        let message = drr_train_fails(&joined.split('\n').collect::<Vec<_>>());
        assert!(message.contains(text), "{more:?}: {message}");
    }
    let folder = scratch.path("");
    let message = drr_train_fails(&bake(&model, &["--grid", "i8"], &folder));
    assert!(message.contains("it is a folder"), "{message}");
    let elsewhere = scratch.path("nowhere/out.drr");
    let message = drr_train_fails(&bake(&model, &["--grid", "i8"], &elsewhere));
    assert!(message.contains("cannot write") && message.contains("nowhere"), "{message}");
    scratch.put("text", "no model");
    let text = scratch.path("text");
    let message = drr_train_fails(&bake(&text, &[], &out));
    assert!(message.contains("not a complete safetensors file"), "{message}");
    std::fs::remove_file(scratch.place("text")).expect("removed");
    assert_eq!(scratch.list(""), before, "nothing is left behind");
}

/// What the program may allocate: more than libtorch needs, less than the grid. Pages of mapped
/// files do not count: the system takes them back.
#[cfg(target_os = "linux")]
#[test]
fn grids_larger_than_memory_are_compressed() {
    const LIMIT: &str = "ulimit -d 160000";
    let scratch = Scratch::new();
    common::models::write_large(&scratch.place("large"));
    assert!(scratch.bytes("large").len() > 170 << 20);
    let (large, small) = (scratch.path("large"), scratch.path("small"));
    let arguments = bake(&large, &["--rank", "8", "--grid", "i8", "--decoder", "i8"], &small);
    let output = on_one_thread("sh")
        .args(["-c", &format!("{LIMIT}; exec \"$0\" \"$@\"")])
        .arg(env!("CARGO_BIN_EXE_drr-train"))
        .args(&arguments)
        .output()
        .expect("a shell");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(scratch.list(""), ["large", "small"]);
    let error = number(&compression(&scratch, "small")["rms_error"]);
    assert!((1e-5..0.02).contains(&error), "{error}");
}
