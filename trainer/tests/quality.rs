//! What `eval` says of a run is what anyone can work out from answers and data.

mod common;

use common::ensemble::{HELD_OUT, MEMBERS, TinyEnsemble};
use common::scratch::{Scratch, is_png};
use common::{drr_train, drr_train_fails, drr_train_ok};
use drr_train::data::formats::Format;
use drr_train::data::npy;
use serde_json::Value;

/// Errors of one member, worked out from the answers of a baked file.
struct Errors {
    /// Mean squared error of values scaled by the training members.
    mse: f64,
    squared_error: f64,
    squared_norm: f64,
    largest: f64,
}

/// Least and greatest value of the training members.
fn range(ensemble: &TinyEnsemble) -> (f32, f32) {
    (0..MEMBERS)
        .filter(|m| !HELD_OUT.contains(m))
        .flat_map(|m| ensemble.field(m))
        .fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)))
}

/// The errors of the baked file `model.drr` on member `m`.
fn errors(scratch: &Scratch, ensemble: &TinyEnsemble, m: usize) -> Errors {
    let (low, high) = range(ensemble);
    let scale = f64::from(high) - f64::from(low);
    let (model, out) = (scratch.path("model.drr"), scratch.path("answer.npy"));
    let parameters = ensemble.assignments(m);
    drr_train_ok(&["query", &model, "--grid", "5,6,7", "--params", &parameters, "-o", &out]);
    let answer = npy::read::<f64>(&scratch.place("answer.npy")).expect("an answer").data;
    let truth = ensemble.field(m);
    let pairs = answer.iter().zip(&truth).map(|(&answer, &truth)| (answer, f64::from(truth)));
    let squared_error: f64 = pairs.clone().map(|(answer, truth)| (answer - truth).powi(2)).sum();
    Errors {
        mse: squared_error / truth.len() as f64 / (scale * scale),
        squared_error,
        largest: pairs.clone().map(|(answer, truth)| (answer - truth).abs()).fold(0.0, f64::max),
        squared_norm: pairs.map(|(_, truth)| truth * truth).sum(),
    }
}

fn psnr(mse: f64) -> f64 {
    -10.0 * mse.log10()
}

/// Checks one split of `quality` against `errors`.
fn check(quality: &Value, errors: &[Errors], split: &str) {
    let quality = &quality[split];
    let keys: Vec<_> = quality.as_object().expect("a split").keys().map(String::as_str).collect();
    let expected =
        ["psnr", "psnr_mean", "ssim", "rel_l2", "max_error", "spectrum_db", "lpips", "fields"];
    assert_eq!(keys, expected);
    assert!(quality["lpips"].is_null(), "nobody asked for it");
    let number = |key: &str| quality[key].as_f64().expect("a number");
    let mean = |f: &dyn Fn(&Errors) -> f64| errors.iter().map(f).sum::<f64>() / errors.len() as f64;
    let sums = (mean(&|e| e.squared_error), mean(&|e| e.squared_norm));
    let close = |key: &str, expected: f64, tolerance: f64| {
        let given = number(key);
        assert!(
            (given - expected).abs() < tolerance,
            "{split} {key}: {given}, expected {expected}"
        );
    };
    close("psnr", psnr(mean(&|e| e.mse)), 1e-3);
    close("psnr_mean", mean(&|e| psnr(e.mse)), 1e-3);
    close("rel_l2", (sums.0 / sums.1).sqrt(), 1e-6);
    close("max_error", errors.iter().map(|e| e.largest).fold(0.0, f64::max), 1e-5);
    close("fields", errors.len() as f64, 1e-9);
    assert!((0.5..1.0).contains(&number("ssim")), "{quality}");
    assert!((number("psnr") - number("psnr_mean")).abs() > 1e-3, "the two means must differ");
}

#[test]
fn the_summary_is_what_the_answers_of_the_baked_file_give() {
    let (scratch, ensemble) = (Scratch::baked(150), TinyEnsemble::default());
    let quality = scratch.eval("run");
    let splits: Vec<_> = quality.as_object().expect("JSON").keys().map(String::as_str).collect();
    assert_eq!(splits, ["train", "test"]);
    let of = |wanted: bool| -> Vec<Errors> {
        let members = (0..MEMBERS).filter(|m| HELD_OUT.contains(m) == wanted);
        members.map(|m| errors(&scratch, &ensemble, m)).collect()
    };
    check(&quality, &of(false), "train");
    check(&quality, &of(true), "test");
}

const HEADER: &str = "split,member,mse,psnr,ssim,rel_l2,max_error,spectrum_db,lpips,resolution";

#[test]
fn volumes_hold_truth_prediction_and_difference() {
    let (scratch, ensemble) = (Scratch::baked(50), TinyEnsemble::default());
    let run = scratch.path("run");
    let table = drr_train_ok(&["eval", &run, "--volumes", "1", "--pictures", "0"]);
    let name = format!("run/eval/volume-m{}.vti", HELD_OUT[0]);
    assert!(table.contains(&scratch.path(&name)), "{table}");
    assert!(!scratch.has(&format!("run/eval/volume-m{}.vti", HELD_OUT[1])));
    let path = scratch.place(&name);
    let read = |variable: &str| {
        let format = Format::of(&path).expect("a format");
        format.read(&path, Some(variable)).expect("an array")
    };
    let data: Value = serde_json::from_str(&scratch.text("run/data.json")).expect("JSON");
    let value = data["description"]["values"][0]["name"].as_str().expect("a name").to_owned();
    let truth = read(&value);
    assert_eq!(truth.shape, [5, 6, 7]);
    let expected = ensemble.field(HELD_OUT[0]);
    let near = |a: f32, b: f32| (a - b).abs() < 1e-4 * (1.0 + b.abs());
    assert!(truth.data.iter().zip(&expected).all(|(&a, &b)| near(a, b)), "{:?}", truth.data);
    let (predicted, error) = (read(&format!("{value}_predicted")), read(&format!("{value}_error")));
    let largest = error.data.iter().fold(0.0f32, |most, e| most.max(e.abs()));
    for ((p, t), e) in predicted.data.iter().zip(&truth.data).zip(&error.data) {
        assert!(near(p - t, *e), "{p} - {t} is not {e}");
    }
    let csv = scratch.text("run/eval/members.csv");
    let record = csv.lines().find(|line| line.contains(&format!(",m{},", HELD_OUT[0])));
    let most: f32 = record.and_then(|r| r.split(',').nth(6)).expect("a cell").parse().expect("one");
    assert!(near(largest, most), "{largest}, the table says {most}");
}

#[test]
fn the_table_says_the_same_as_json_and_files_hold_every_member() {
    let scratch = Scratch::baked(50);
    let run = scratch.path("run");
    let table = drr_train_ok(&["eval", &run]);
    let csv = scratch.text("run/eval/members.csv");
    let quality = scratch.eval("run");
    for split in ["train", "test"] {
        let row = table.lines().find(|line| line.starts_with(split)).expect("a row");
        let number = |key: &str| quality[split][key].as_f64().expect("a number");
        for (text, what) in [
            (format!("{:.2} dB", number("psnr")), "psnr"),
            (format!("{:.2} dB", number("psnr_mean")), "psnr_mean"),
            (format!("{:.4}", number("ssim")), "ssim"),
            (format!("{:.5}", number("rel_l2")), "rel_l2"),
            (format!("{:.4}", number("max_error")), "max_error"),
            (format!("{:.2} dB", number("spectrum_db")), "spectrum_db"),
        ] {
            assert!(row.contains(&text), "{split} {what}: no {text} in {row}");
        }
    }
    let mut lines = csv.lines();
    assert_eq!(lines.next(), Some(HEADER));
    let mut members: Vec<_> = lines.map(|line| line.split(',').nth(1).expect("a name")).collect();
    members.sort_unstable();
    assert_eq!(members, ["m0", "m1", "m2", "m3", "m4", "m5", "m6", "m7"]);
    for m in HELD_OUT {
        assert!(is_png(&scratch.place(&format!("run/eval/slice-m{m}.png"))));
        assert!(table.contains(&format!("slice-m{m}.png")), "{table}");
        // Each held-out member has a row of its own in the table, as in the file.
        let row = table.lines().find(|line| line.starts_with(&format!("m{m} "))).expect("a row");
        let record = csv.lines().find(|line| line.contains(&format!(",m{m},"))).expect("a record");
        let psnr: f64 = record.split(',').nth(3).expect("PSNR").parse().expect("a number");
        assert!(row.contains(&format!("{psnr:.2} dB")), "{row} {record}");
    }
}

#[test]
fn training_on_reduced_fields_is_judged_at_both_resolutions() {
    let (scratch, ensemble) = (Scratch::small(), TinyEnsemble::default());
    let (low, high) = range(&ensemble);
    let (low, high) =
        (format!("dataset.param.data_min={low}"), format!("dataset.param.data_max={high}"));
    let reduced = ["--set", "dataset.param.dim_scale_factor=0.7", "--set", &low, "--set", &high];
    scratch.train("run", &[&reduced[..], &["--steps", "150"]].concat());
    let said = scratch.text("run/log.txt");
    assert!(said.contains("[5, 6, 7] are reduced to [3, 4, 4]"), "{said}");
    scratch.bake("run", "model.drr");
    let quality = scratch.eval("run");
    let of = |wanted: bool| -> Vec<Errors> {
        let members = (0..MEMBERS).filter(|m| HELD_OUT.contains(m) == wanted);
        members.map(|m| errors(&scratch, &ensemble, m)).collect()
    };
    check(&quality["full_resolution"], &of(false), "train");
    check(&quality["full_resolution"], &of(true), "test");
    let psnr = |part: &Value| part["test"]["psnr"].as_f64().expect("a number");
    let difference = psnr(&quality) - psnr(&quality["full_resolution"]);
    assert!(difference.abs() > 1e-3 && difference.abs() < 10.0, "{quality}");

    let table = drr_train_ok(&["eval", &scratch.path("run")]);
    assert!(table.contains("fields of [3, 4, 4]\n") && table.contains("fields of [5, 6, 7]\n"));
    let csv = scratch.text("run/eval/members.csv");
    assert_eq!(csv.lines().filter(|line| line.ends_with(",3x4x4")).count(), MEMBERS);
    assert_eq!(csv.lines().filter(|line| line.ends_with(",5x6x7")).count(), MEMBERS);
}

#[test]
fn held_out_members_beyond_the_training_are_named() {
    let scratch = Scratch::small();
    let m5 = TinyEnsemble::default().physical_parameters(5)[0];
    scratch.replace("ens/params.csv", &format!("m5.raw,test,{m5},"), "m5.raw,test,1.5,");
    scratch.train("run", &[]);
    let output = drr_train(&["eval", &scratch.path("run"), "--pictures", "0"]);
    let said = String::from_utf8(output.stderr).expect("UTF-8");
    let note = "held-out member m5 extrapolates: density is 1.5, training has ";
    assert!(output.status.success() && said.contains(note), "{said}");
    assert_eq!(said.matches("extrapolates").count(), 1, "{said}");
}

#[test]
fn pictures_are_drawn_as_many_as_asked() {
    let scratch = Scratch::baked(3);
    let run = scratch.path("run");
    for (count, expected) in [("0", 0), ("1", 1), ("9", 2)] {
        let _ = std::fs::remove_dir_all(scratch.place("run/eval"));
        drr_train_ok(&["eval", &run, "--pictures", count]);
        let pictures = scratch.list("run/eval");
        let pictures = pictures.iter().filter(|name| name.ends_with(".png")).count();
        assert_eq!(pictures, expected, "--pictures {count}");
    }
}

#[test]
fn data_may_move() {
    let scratch = Scratch::baked(3);
    let before = scratch.eval("run");
    std::fs::rename(scratch.place("ens"), scratch.place("moved")).expect("moved");
    let (run, moved) = (scratch.path("run"), scratch.path("moved"));
    let message = drr_train_fails(&["eval", &run]);
    assert!(message.contains("there is no folder") && message.contains("ens"), "{message}");
    let after = drr_train_ok(&["eval", &run, "--json", "--data", &moved]);
    assert_eq!(before, serde_json::from_str::<Value>(&after).expect("JSON"));

    let message = drr_train_fails(&["train", "--resume", &run]);
    assert!(message.contains("there is no folder") && message.contains("config.yaml"), "{message}");
    drr_train_ok(&["train", "--resume", &run, "--data", &moved]);
}

#[test]
fn without_held_out_members_only_training_is_judged() {
    let scratch = Scratch::small();
    scratch.replace("ens/params.csv", ",test,", ",train,");
    scratch.train("run", &[]);
    let output = drr_train(&["eval", &scratch.path("run"), "--json"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let quality: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(quality["train"]["fields"], MEMBERS);
    assert_eq!(quality.get("test"), Some(&Value::Null), "{quality}");
}

#[test]
fn the_measured_quality_goes_into_the_baked_file() {
    let scratch = Scratch::baked(3);
    let provenance = |file: &str| scratch.info(file)["spec"]["provenance"].clone();
    assert_eq!(provenance("model.drr")["steps"], 3);
    assert!(provenance("model.drr").get("quality").is_none(), "nothing was measured yet");
    let quality = scratch.eval("run");
    scratch.bake("run", "measured.drr");
    let measured = &provenance("measured.drr")["quality"];
    assert_eq!((&measured["splits"], &measured["grids"]), (&quality, &"F32".into()));

    // What was measured before training went on says nothing about the last weights.
    scratch.replace("run/config.yaml", "steps: 3", "steps: 5");
    drr_train_ok(&["train", "--resume", &scratch.path("run")]);
    scratch.bake("run", "later.drr");
    assert_eq!(provenance("later.drr")["steps"], 5);
    assert!(provenance("later.drr").get("quality").is_none(), "{}", provenance("later.drr"));
}

#[test]
fn the_page_has_everything_and_needs_nothing() {
    let scratch = Scratch::small();
    scratch.replace("ens/field.yaml", "energy", "energy <b>");
    scratch.train("run", &["--steps", "20"]);
    let table = drr_train_ok(&["eval", &scratch.path("run")]);
    assert!(table.contains("run/eval/report.html"), "{table}");
    let page = scratch.text("run/eval/report.html");
    for outside in ["http", "src=\"/", "<link", "@import", "url("] {
        assert!(!page.contains(outside), "{outside} in the page");
    }
    assert!(page.contains("<title>run: evaluation after 20 steps</title>"));
    assert!(page.contains("energy &lt;b&gt; [J]") && !page.contains("energy <b>"), "escaped");
    let count = |text: &str| page.matches(text).count();
    // Five slices of each of two held-out members, of which the middle one is shown; the curve.
    assert_eq!((count("class=\"slice\""), count("data-slice=\"2\"")), (10, 2));
    assert_eq!((count(" hidden src"), count("type=\"range\"")), (8, 2));
    assert_eq!(count("data:image/png;base64,iVBORw0KGgo"), 11);
    assert_eq!(
        (count("<svg"), count("class=\"train\" cx"), count("class=\"test\" cx")),
        (2, 12, 4)
    );
    assert_eq!(count("<tr><td>m"), MEMBERS);
    // Whoever wants no pictures gets none.
    drr_train_ok(&["eval", &scratch.path("run"), "--pictures", "0"]);
    let page = scratch.text("run/eval/report.html");
    assert!(!page.contains("class=\"slice\"") && page.contains("<svg"));
}
