//! Values normalised by mean and standard deviation: the model learns other numbers, the baked file
//! gives physical ones, and errors are compared with the range of the training data all the same.

mod common;

use common::drr_train_ok;
use common::ensemble::{HELD_OUT, MEMBERS, TinyEnsemble};
use common::scratch::Scratch;
use drr_train::data::npy;

const STANDARD: [&str; 4] =
    ["--set", "model.param.out_act=Identity", "--set", "dataset.param.normalize=standard"];

/// Mean, standard deviation, least and greatest value of the training members.
fn moments() -> (f64, f64, f64, f64) {
    let training = (0..MEMBERS).filter(|m| !HELD_OUT.contains(m));
    let values: Vec<f64> =
        training.flat_map(|m| TinyEnsemble::default().field(m)).map(f64::from).collect();
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let squares = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    (mean, (squares / values.len() as f64).sqrt(), low, high)
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-6 * b.abs()
}

#[test]
fn errors_are_of_the_range_however_values_are_normalised() {
    let scratch = Scratch::small();
    scratch.train("run", &[&STANDARD[..], &["--steps", "150"]].concat());
    let (mean, deviation, low, high) = moments();
    let log = scratch.text("run/log.txt");
    let said = format!("values are normalised by mean {mean:.4} and deviation {deviation:.4}");
    assert!(log.contains(&said) && log.contains(&format!("values {low:.4} to {high:.4}")), "{log}");

    scratch.bake("run", "model.drr");
    let spec = &scratch.info("model.drr")["spec"];
    let number = |key: &str| spec["values"][0][key].as_f64().expect("a number");
    assert!(close(number("min"), mean) && close(number("max"), mean + deviation), "{spec}");
    assert_eq!(spec["provenance"]["data"]["range"][1].as_f64(), Some(high));

    // PSNR of a held-out member by hand, from what the file answers.
    let member = HELD_OUT[1];
    let (model, out) = (scratch.path("model.drr"), scratch.path("out.npy"));
    let params = TinyEnsemble::default().assignments(member);
    drr_train_ok(&["query", &model, "--grid", "5,6,7", "--params", &params, "-o", &out]);
    let answer = npy::read::<f64>(&scratch.place("out.npy")).expect("values").data;
    let truth = TinyEnsemble::default().field(member);
    let squares = answer.iter().zip(&truth).map(|(a, t)| (a - f64::from(*t)).powi(2)).sum::<f64>();
    let psnr = 10.0 * ((high - low).powi(2) / (squares / truth.len() as f64)).log10();
    let quality = scratch.eval("run");
    let rows = scratch.text("run/eval/members.csv");
    let row = rows.lines().find(|row| row.starts_with(&format!("test,m{member}"))).expect("a row");
    let judged: f64 = row.split(',').nth(3).expect("psnr").parse().expect("a number");
    assert!((judged - psnr).abs() < 0.01, "{judged} dB, by hand {psnr} dB");
    let ssim = quality["test"]["ssim"].as_f64().expect("a number");
    assert!((0.5..1.0).contains(&ssim), "{quality}");

    // In training, the same range.
    let metrics = scratch.text("run/metrics.csv");
    let last: Vec<_> = metrics.lines().last().expect("a row").split(',').collect();
    let [loss, psnr] = [1, 2].map(|column| last[column].parse::<f64>().expect("a number"));
    let expected = -10.0 * (loss * (deviation / (high - low)).powi(2)).log10();
    assert!((psnr - expected).abs() < 1e-3, "{metrics}");

    // A file is judged by the same range, too.
    let (data, again) = (scratch.path("ens"), scratch.path("again.drr"));
    drr_train_ok(&["bake", &model, "--data", &data, "--grid", "f16", "-o", &again]);
}

#[test]
fn given_moments_are_those_of_the_data() {
    let scratch = Scratch::small();
    scratch.train("computed", &STANDARD);
    let (mean, deviation, ..) = moments();
    let mean = format!("dataset.param.data_mean={mean:e}");
    let deviation = format!("dataset.param.data_std={deviation:e}");
    scratch.train("given", &[&STANDARD[..2], &["--set", &mean, "--set", &deviation]].concat());
    let loss = |run: &str| scratch.last_loss(run, 1);
    assert!(close(loss("given"), loss("computed")), "{} {}", loss("given"), loss("computed"));
    scratch.train("range", &STANDARD[..2]);
    assert!(!close(loss("range"), loss("computed")));

    let weights = scratch.path("weights");
    let (config, data) = (scratch.path("given/config.yaml"), scratch.path("ens"));
    drr_train_ok(&["importance", "--config", &config, "--data", &data, "--out", &weights]);
    let members = npy::read::<f64>(&scratch.place("weights/members.npy")).expect("weights");
    let config = scratch.path("range/config.yaml");
    drr_train_ok(&["importance", "--config", &config, "--data", &data, "--out", &weights]);
    let by_range = npy::read::<f64>(&scratch.place("weights/members.npy")).expect("weights");
    for (a, b) in members.data.iter().zip(&by_range.data) {
        assert!((a - b).abs() < 0.05 * b, "rarity is of the range: {members:?} {by_range:?}");
    }
}

#[test]
fn normalisations_that_cannot_be_are_refused() {
    let scratch = Scratch::small();
    let set = |assignment: &str| ["--set".to_owned(), format!("dataset.param.{assignment}")];
    for (assignments, texts) in [
        (&["normalize=standard"][..], &["out_act", "given Sigmoid", "out_act=Identity"][..]),
        (&["data_mean=1"], &["dataset.param.data_mean: it needs data_mean and data_std"]),
        (&["data_std=1"], &["dataset.param.data_std: it needs", "normalize: standard"]),
        (&["data_mean=1", "data_std=0"], &["data_std: given 0, expected more than 0"]),
        (&["data_mean=1", "data_std=1", "normalize=minmax"], &["given minmax together with"]),
        (&["normalize=zscore"], &["given `zscore`, expected minmax or standard"]),
    ] {
        let arguments: Vec<String> = assignments.iter().flat_map(|a| set(a)).collect();
        let message = scratch.train_fails(&common::scratch::borrowed(&arguments));
        for text in texts {
            assert!(message.contains(text), "{assignments:?}: no `{text}` in: {message}");
        }
    }
}
