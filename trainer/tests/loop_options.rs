//! What can be asked of the training loop does what it says, and a run with all of it goes on
//! exactly where it stopped.

mod common;

use common::scratch::{Scratch, borrowed};
use common::{drr_train, drr_train_ok};
use drr_train::models::checkpoint::read_safetensors;
use tch::Kind;

/// The columns of `metrics.csv`, as text.
fn column(scratch: &Scratch, run: &str, name: &str) -> Vec<String> {
    let text = scratch.text(&format!("{run}/metrics.csv"));
    let mut rows = text.lines().map(|line| line.split(','));
    let at = rows.next().expect("a header").position(|column| column == name).expect("a column");
    rows.map(|mut row| row.nth(at).expect("a cell").to_owned()).collect()
}

fn numbers(scratch: &Scratch, run: &str, name: &str) -> Vec<f64> {
    let cells = column(scratch, run, name);
    cells.iter().map(|cell| cell.parse().expect("a number")).collect()
}

fn set(option: &str) -> [&str; 2] {
    ["--set", option]
}

#[test]
fn gradients_of_several_batches_make_one_step() {
    let scratch = Scratch::small();
    // Without learning: losses are those of the batches alone.
    let still = ["--lr", "1e-12", "--set", "scheduler.param.eta_min=0"];
    scratch.train("one", &[&still[..], &["--steps", "6"]].concat());
    let three = [&still[..], &["--steps", "2"], &set("train.accumulate=3")].concat();
    scratch.train("three", &three);
    let (one, three) = (numbers(&scratch, "one", "loss"), numbers(&scratch, "three", "loss"));
    for (mean, losses) in three.iter().zip(one.chunks(3)) {
        let expected = losses.iter().sum::<f64>() / 3.0;
        assert!((mean - expected).abs() < 1e-6 * expected, "{mean}, expected {expected}");
    }
}

#[test]
fn blocks_are_the_default_where_neighbours_share_vertices() {
    let scratch = Scratch::small();
    // 210 points, refined at more vertices and at fewer.
    for (name, set, block) in [
        ("finer", "model.param.encoder_kwargs.param.refine_highest_res=[9, 9, 9]", 1),
        ("coarser", "model.param.encoder_kwargs.param.refine_highest_res=[3, 5, 7]", 2),
        ("asked", "dataset.param.block=3", 3),
    ] {
        scratch.train(name, &["--set", set]);
        let config = scratch.text(&format!("{name}/config.yaml"));
        assert!(config.contains(&format!("block: {block}\n")), "{name}: {config}");
    }
}

#[test]
fn rates_warm_up_and_decay() {
    let scratch = Scratch::small();
    let options = [&["--steps", "20"][..], &set("scheduler.param.warmup_steps=5")].concat();
    scratch.train("run", &options);
    let rates = numbers(&scratch, "run", "lr");
    assert!(rates[..4].windows(2).all(|pair| pair[0] < pair[1]), "{rates:?}");
    assert!(rates[4..].windows(2).all(|pair| pair[0] > pair[1]), "{rates:?}");
}

#[test]
fn averaged_weights_are_those_that_are_used() {
    let scratch = Scratch::small();
    scratch.train("run", &[&["--steps", "30"][..], &set("train.ema=0.9")].concat());
    let weights = |name: &str| {
        let path = scratch.place(&format!("run/checkpoints/step-00000030/{name}.safetensors"));
        read_safetensors(&path).expect("weights")
    };
    let (last, averaged) = (weights("weights"), weights("averaged"));
    assert!(last.keys().eq(averaged.keys()));
    let moved = |name: &str| (&last[name] - &averaged[name]).abs().max().double_value(&[]);
    assert!(moved("fusion.0.weight") > 1e-4);
    assert_eq!(moved("spatial_encoder.high_res_coords"), 0.0);
    scratch.bake("run", "model.drr");
    let (config, out) = (scratch.path("run/config.yaml"), scratch.path("averaged.drr"));
    let path = scratch.path("run/checkpoints/step-00000030/averaged.safetensors");
    let bake = ["bake", "--config", &config, "--weights", &path, "--grid", "f32", "-o", &out];
    drr_train_ok(&bake);
    let tensors = |name: &str| read_safetensors(&scratch.place(name)).expect("a baked file");
    let (run, by_hand) = (tensors("model.drr"), tensors("averaged.drr"));
    assert!(run.keys().eq(by_hand.keys()));
    for (name, tensor) in &run {
        assert!(tensor.equal(&by_hand[name]), "{name} is not of the averaged weights");
    }
}

#[test]
fn training_stops_when_nothing_gets_better_and_keeps_the_best() {
    let scratch = Scratch::small();
    let mut options = vec!["--steps", "2000", "--lr", "0.05"];
    for option in [
        "dataset.param.validation=2",
        "train.validate_steps=5",
        "train.patience=2",
        "train.report_steps=5",
        "scheduler.param.eta_min=0.05",
    ] {
        options.extend(set(option));
    }
    let arguments = scratch.training("run", &options);
    let output = drr_train(&borrowed(&arguments));
    let said = String::from_utf8(output.stderr).expect("UTF-8");
    assert!(output.status.success(), "{said}");
    assert!(said.contains("4 training and 2 held-out members"), "{said}");
    assert!(said.contains("2 for validation"), "{said}");
    let found = numbers(&scratch, "run", "validation_psnr");
    assert!(found.len() < 400, "it did not stop");
    let best = found.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let at = found.iter().position(|&psnr| psnr == best).expect("a best");
    assert_eq!(at + 3, found.len(), "two looks after the best: {found:?}");
    let step = 5 * (at + 1);
    let line = format!("stopped early; best model after step {step}: {best:.2} dB");
    assert!(said.contains(&line), "no `{line}` in {said}");
    assert!(said.contains("run/checkpoints/best/weights.safetensors"), "{said}");

    // It is what is evaluated; the members set aside are judged, too, and as training said.
    let summary = drr_train_ok(&["eval", &scratch.path("run"), "--json"]);
    let summary: serde_json::Value = serde_json::from_str(&summary).expect("JSON");
    let psnr = summary["validation"]["psnr_mean"].as_f64().expect("a number");
    assert!((psnr - best).abs() < 0.01, "{psnr}, training found {best}");
    assert_eq!(summary["validation"]["fields"], 2);
    let table = drr_train_ok(&["eval", &scratch.path("run")]);
    assert!(table.contains("validation"), "{table}");

    // Nothing is left to do.
    let before = scratch.text("run/metrics.csv");
    drr_train_ok(&["train", "--resume", &scratch.path("run")]);
    assert_eq!(scratch.text("run/metrics.csv"), before);
}

#[test]
fn a_run_with_everything_goes_on_exactly() {
    for precision in ["f32", "bf16", "f16"] {
        let scratch = Scratch::small();
        let kind = format!("train.precision={precision}");
        let mut options = vec!["--steps", "14", "--set", &kind];
        for option in [
            "train.accumulate=2",
            "train.ema=0.8",
            "train.checkpoint_steps=7",
            "train.validate_steps=3",
            "dataset.param.validation=1",
            "scheduler.param.warmup_steps=4",
            "optim.type=AdamW",
            "optim.param.weight_decay=0.02",
            "optim.groups=[{params: decoder, lr: 0.01}]",
            "dataset.param.block=2",
            "dataset.param.pairs=both",
        ] {
            options.extend(set(option));
        }
        scratch.train("run", &options);
        let files = ["weights", "averaged", "optimizer"];
        let read = || {
            files.map(|name| {
                scratch.bytes(&format!("run/checkpoints/step-00000014/{name}.safetensors"))
            })
        };
        let (whole, psnr) = (read(), column(&scratch, "run", "validation_psnr"));
        let state = scratch.text("run/checkpoints/best/state.json");
        std::fs::remove_dir_all(scratch.place("run/checkpoints/step-00000014")).expect("removed");
        drr_train_ok(&["train", "--resume", &scratch.path("run")]);
        assert!(read() == whole, "{precision}: the weights differ");
        assert_eq!(column(&scratch, "run", "validation_psnr"), psnr);
        let best = |text: &str| -> serde_json::Value {
            let state: serde_json::Value = serde_json::from_str(text).expect("JSON");
            state["validation"].clone()
        };
        assert_eq!(best(&scratch.text("run/checkpoints/best/state.json")), best(&state));
    }
}

#[test]
fn sixteen_bits_learn_as_well() {
    let scratch = Scratch::small();
    let last = ["f32", "bf16", "f16"].map(|precision| {
        let kind = format!("train.precision={precision}");
        scratch.train(precision, &["--steps", "300", "--set", &kind]);
        scratch.last_loss(precision, 20)
    });
    for (loss, name) in last[1..].iter().zip(["bf16", "f16"]) {
        assert!(*loss < 2.0 * last[0], "{name}: {loss:e}, with f32 {:e}", last[0]);
    }
    let path = scratch.place("f16/checkpoints/step-00000300/weights.safetensors");
    let stored = read_safetensors(&path).expect("weights");
    assert!(stored.values().all(|tensor| tensor.kind() == Kind::Float), "weights keep 32 bits");
}

#[test]
fn what_cannot_be_is_refused_before_anything_is_made() {
    let scratch = Scratch::small();
    for (options, expected) in [
        ("train.patience=3", "train.patience needs members to judge by"),
        ("dataset.param.validation=6", "given 6, but there are 6 training members"),
        ("train.ema=1.0", "train.ema: given 1, expected 0 or more and less than 1"),
        ("train.precision=f8", "train.precision: given `f8`"),
        ("train.accumulate=0", "train.accumulate: given 0, expected 1 or more"),
        ("optim.param.weight_decay=-1", "optim.param.weight_decay: given -1"),
        ("optim.groups=[{params: decodr, lr: 0.1}]", "did you mean `decoder`?"),
        ("optim.groups=[{params: decoder}]", "expected a list of {params: PART, lr: RATE}"),
    ] {
        let arguments = scratch.training("run", &set(options));
        let output = drr_train(&borrowed(&arguments));
        let said = String::from_utf8(output.stderr).expect("UTF-8");
        assert_eq!(output.status.code(), Some(1), "{options}: {said}");
        assert!(said.contains(expected), "{options}: {said}");
        assert!(!scratch.has("run"), "{options}");
    }
}

/// The steps that fit are written down: the same run can be made again by them.
#[test]
fn a_time_becomes_a_number_of_steps() {
    let scratch = Scratch::small();
    scratch.train("timed", &["--minutes", "0.02"]);
    let config = scratch.text("timed/config.yaml");
    assert!(!config.contains("minutes"), "{config}");
    let steps = config.lines().find_map(|line| line.trim().strip_prefix("steps: "));
    let steps = steps.expect("a number of steps");
    assert!(steps.parse::<u64>().expect("a number") >= 1);
    assert!(scratch.text("timed/log.txt").contains(&format!("{steps} steps in")));
    scratch.train("again", &["--steps", steps]);
    let losses = |run| column(&scratch, run, "loss").last().cloned();
    assert_eq!(losses("timed"), losses("again"));
    let output = drr_train(&["train", "--minutes", "2", "--steps", "3"]);
    assert!(!output.status.success());
}
