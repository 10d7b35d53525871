//! Models are trained on the same batches and compared in one table.

mod common;

use common::scratch::Scratch;
use common::{SMALL_MODEL, drr_train, drr_train_ok};

const SIREN: &str = "Siren, param: {in_dim: 5, feat_dim: 16, num_layers: 2, out_dim: 1}";

/// The small model, refined at so few vertices that its points come in blocks, and one to compare
/// with that has other batches of its own.
fn models(scratch: &Scratch) {
    let coarse = SMALL_MODEL.replace("[5, 6, 7]", "[3, 5, 7]");
    assert_ne!(coarse, SMALL_MODEL);
    let batches = "dataset: {param: {cond_batch: 1, batch_points: 7}}";
    let other = format!("- {{model: {{type: {SIREN}}}, {batches}}}\n");
    scratch.put("small.yaml", format!("{coarse}{other}"));
}

fn compare(scratch: &Scratch, config: &str, more: &[&str]) -> Vec<String> {
    let (config, data, out) = (scratch.path(config), scratch.path("ens"), scratch.path("out"));
    let set = ["--set", "dataset.param.cond_batch=4", "--set", "dataset.param.batch_points=64"];
    let all = ["compare", "--config", &config, "--data", &data, "--out", &out, "--device", "cpu"];
    [&all[..], &set, more].concat().into_iter().map(str::to_owned).collect()
}

#[test]
fn the_table_has_quality_and_cost_of_every_model() {
    let scratch = Scratch::small();
    models(&scratch);
    let arguments = compare(&scratch, "small.yaml", &["--budget", "20steps", "--budget", "8steps"]);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let text = drr_train_ok(&arguments);
    for budget in ["20steps", "8steps"] {
        for id in [0, 1] {
            let config = scratch.text(&format!("out/{budget}/small-{id}/config.yaml"));
            assert!(config.contains("cond_batch: 4\n"), "{config}");
            assert!(config.contains("batch_points: 64\n"), "{config}");
            // A default that depends on the model: that of the first one, for all.
            assert!(config.contains("block: 2\n"), "{config}");
        }
    }
    let csv = scratch.text("out/compare.csv");
    let mut rows = csv::Reader::from_reader(csv.as_bytes());
    let heading = rows.headers().expect("a heading").clone();
    let rows: Vec<csv::StringRecord> = rows.records().map(|row| row.expect("a row")).collect();
    assert_eq!(rows.len(), 4, "{csv}");
    let cell = |row: usize, key: &str| {
        let at = heading.iter().position(|name| name == key).expect(key);
        rows[row].get(at).expect("a cell").to_owned()
    };
    let number = |row: usize, key: &str| cell(row, key).parse::<f64>().expect(key);
    for row in 0..4 {
        assert_eq!(cell(row, "error"), "", "{csv}");
        assert_eq!(number(row, "steps"), if row < 2 { 20.0 } else { 8.0 });
        for key in [
            "train_seconds",
            "psnr",
            "psnr_train",
            "rel_l2",
            "multiply_adds_1e9_queries",
            "libtorch_seconds_1e9_queries",
            "parameters",
            "file_bytes",
        ] {
            assert!(number(row, key) > 0.0, "{key} in {csv}");
        }
        let title = cell(row, "model");
        assert!(text.lines().any(|line| line.starts_with(&title)), "{title} in {text}");
    }
    assert!([0, 1].iter().all(|&row| number(row, "libdrr_seconds_1e9_queries") > 0.0));
    let titles = [0, 1].map(|row| cell(row, "model"));
    assert_eq!(titles, ["DRR-Net, multi-dense grids", "SIREN"]);
    // What a run says of itself stands in the table.
    let summary = scratch.text("out/20steps/small-1/eval/summary.json");
    let summary: serde_json::Value = serde_json::from_str(&summary).expect("JSON");
    assert_eq!(summary["quality"]["test"]["psnr_mean"].as_f64(), Some(number(1, "psnr")));

    let markdown = scratch.text("out/compare.md");
    assert!(markdown.contains("### 20 steps each") && markdown.contains("| SIREN | 20 |"));
    let page = scratch.text("out/compare.html");
    assert_eq!(page.matches("alt=\"slices\"").count(), 4);
    assert_eq!(page.matches("alt=\"training courses\"").count(), 2);
    assert!(!page.contains("http"), "the page needs no network");
    // Again: nothing is trained anew.
    let metrics = scratch.text("out/8steps/small-1/metrics.csv");
    drr_train_ok(&arguments);
    assert_eq!(scratch.text("out/8steps/small-1/metrics.csv"), metrics);
}

#[test]
fn what_cannot_be_compared_is_said_first() {
    let scratch = Scratch::small();
    models(&scratch);
    scratch.put("wrong.yaml", "- model: {type: Siren, param: {in_dim: 5}}\n");
    scratch.put("scene.yaml", "- model: {type: NGPRadianceField, param: {num_dim: 3}}\n");
    for (config, budget, text) in [
        ("wrong.yaml", "3steps", "wrong.yaml, entry 0: model.param.feat_dim"),
        ("scene.yaml", "3steps", "a radiance field, expected a model of fields"),
        ("small.yaml", "3", "expected steps or minutes"),
        ("small.yaml", "0steps", "expected steps or minutes"),
    ] {
        let arguments = compare(&scratch, config, &["--budget", budget]);
        let output = drr_train(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
        let said = String::from_utf8(output.stderr).expect("UTF-8");
        assert!(!output.status.success() && said.contains(text), "{said}\nexpected {text}");
        assert!(!scratch.has("out/3steps"), "nothing was begun");
    }
}

#[test]
fn a_model_that_fails_does_not_stop_the_others() {
    let scratch = Scratch::small();
    let other =
        "- model: {type: Siren, param: {in_dim: 6, feat_dim: 8, num_layers: 1, out_dim: 1}}\n";
    scratch.put("two.yaml", format!("{SMALL_MODEL}{other}"));
    let arguments = compare(&scratch, "two.yaml", &["--budget", "4steps"]);
    let output = drr_train(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    let said = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("1 of 2 runs failed"), "{said}");
    let csv = scratch.text("out/compare.csv");
    let lines: Vec<&str> = csv.lines().collect();
    assert!(lines[1].ends_with(',') && lines[2].contains("parameters"), "{csv}");
}
