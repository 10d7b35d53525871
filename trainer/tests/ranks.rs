//! Several processes train one model over MPI: the same as one process, whatever becomes of them.
//!
//! Needs `mpirun`: without it nothing is tested, and said so.
#![cfg(feature = "mpi")]

mod common;

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::drr_train_ok;
use common::ranks::{STEADY, difference, is_there, losses, mpirun, run, run_well};
use common::scratch::{Scratch, borrowed};

#[test]
fn ranks_learn_what_one_process_learns() {
    if !is_there() {
        return;
    }
    let scratch = Scratch::small();
    for (n, more) in [
        &["--steps", "12"][..],
        &["--steps", "6", "--set", "dataset.param.shared_points=false"],
        &["--steps", "6", "--pairs", "space", "--set", "train.accumulate=2"],
        &["--steps", "6", "--set", "dataset.param.block=2", "--set", "train.ema=0.9"],
    ]
    .into_iter()
    .enumerate()
    {
        let more = [more, &STEADY].concat();
        let alone = format!("alone{n}");
        drr_train_ok(&borrowed(&scratch.training(&alone, &more)));
        let step = more[1].parse().expect("steps");
        for ranks in [1, 2, 4, 8] {
            let together = format!("together{n}-{ranks}");
            let said = run_well(ranks, &scratch.training(&together, &more));
            assert_eq!(said.matches("trainable numbers").count(), 1, "one speaks: {said}");
            let found = losses(&scratch, &together);
            let expected = losses(&scratch, &alone);
            assert_eq!(found.len(), expected.len());
            for (found, expected) in found.iter().zip(&expected) {
                let error = (found - expected).abs() / expected;
                assert!(error < 1e-3, "{together}: {found}, expected {expected}");
            }
            let error = difference(&scratch, [&alone, &together], step);
            assert!(error < 2e-3, "{together}: weights differ by {error:e}");
        }
    }
}

/// Entries of hash tables, of which a batch touches few.
const HASHED: &str = "
- model:
    type: HDINRBase
    param:
      out_dim: 1
      default_act: ReLU
      out_act: Sigmoid
      hidden_dim: 16
      decoder_kwargs: {type: FeatMLP, param: {feat_dim: 16, num_layers: 2, out_dim: 1, activation: ReLU}}
      encoder_kwargs:
        type: HashGrid
        param: {n_input_dims: 3, n_levels: 3, n_features_per_level: 4, log2_hashmap_size: 16,
                base_resolution: 4, max_resolution: 90}
      if_refine: false
      spatial_fdim: 12
      latent_kwargs:
        type: MultiCondLatentLines
        param: {cond_dim: 2, line_dims_list: [[2, 3], [5, 4]], latent_shape: [2]}
";

#[test]
fn gradients_of_few_cells_are_summed() {
    if !is_there() {
        return;
    }
    let scratch = Scratch::small();
    scratch.put("model.yaml", HASHED);
    let more = [&["--steps", "6"][..], &STEADY].concat();
    drr_train_ok(&borrowed(&scratch.training("alone", &more)));
    run_well(2, &scratch.training("together", &more));
    let error = difference(&scratch, ["alone", "together"], 6);
    assert!(error < 2e-3, "weights differ by {error:e}");
}

#[test]
fn members_set_aside_judge_the_same_model() {
    if !is_there() {
        return;
    }
    let scratch = Scratch::small();
    let more = ["--set", "dataset.param.validation=2", "--set", "train.validate_steps=4"];
    let more = [&more[..], &["--steps", "9"], &STEADY].concat();
    drr_train_ok(&borrowed(&scratch.training("alone", &more)));
    run_well(3, &scratch.training("together", &more));
    let judged = |run: &str| -> Vec<f64> {
        let text = scratch.text(&format!("{run}/metrics.csv"));
        text.lines().skip(1).filter_map(|row| row.rsplit(',').next()?.parse().ok()).collect()
    };
    let (found, expected) = (judged("together"), judged("alone"));
    assert!(found.len() == 3 && expected.len() == 3, "{found:?}, {expected:?}");
    assert!(found.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 0.05));
}

#[test]
fn a_run_goes_on_with_another_number_of_ranks() {
    if !is_there() {
        return;
    }
    let scratch = Scratch::small();
    let more = [&["--steps", "20", "--set", "train.checkpoint_steps=10"][..], &STEADY].concat();
    run_well(2, &scratch.training("whole", &more));
    // The same run, whose second half is lost.
    run_well(2, &scratch.training("half", &more));
    std::fs::remove_dir_all(scratch.place("half/checkpoints/step-00000020")).expect("a folder");
    let resume = ["train", "--resume", &scratch.path("half")].map(str::to_owned);
    let said = run_well(4, &resume);
    assert!(said.contains("going on after step 10"), "{said}");
    assert_eq!(losses(&scratch, "half").len(), losses(&scratch, "whole").len());
    let error = difference(&scratch, ["whole", "half"], 20);
    assert!(error < 2e-3, "weights differ by {error:e}");
}

#[test]
fn mistakes_end_all_ranks_with_a_reason() {
    if !is_there() {
        return;
    }
    let scratch = Scratch::small();
    let fails = |ranks: usize, more: &[&str]| {
        let output = run(ranks, &scratch.training("refused", more));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && !said.contains("panicked"), "{said}");
        assert!(!scratch.has("refused"), "{said}");
        said
    };
    let said = fails(2, &["--data", "nowhere"]);
    assert!(said.contains("drr-train: rank 0 of 2: ") && said.contains("nowhere"), "{said}");
    let said = fails(4, &["--batch-points", "3"]);
    assert!(said.contains("batches of 3 points are fewer than the 4 processes"), "{said}");
    // A folder that is taken is known to the first alone.
    scratch.put("taken/file", "mine");
    let output = run(2, &scratch.training("taken", &[]));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("is not empty"), "{said}");
    assert_eq!(scratch.list("taken"), ["file"]);
}

/// As if the mpirun of another MPI had started several: none of them trains a model of its own.
#[test]
fn processes_that_do_not_find_each_other_do_not_train() {
    let scratch = Scratch::small();
    let arguments = scratch.training("refused", &[]);
    let output = common::program().env("PMI_SIZE", "3").args(&arguments).output();
    let output = output.expect("drr-train");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("3 processes were started together, but MPI shows 1 of them"), "{said}");
    assert!(!scratch.has("refused"));
}

/// Processes of the program that train into this folder.
fn processes(scratch: &Scratch, run: &str) -> Vec<u32> {
    let pattern = format!("^[^ ]*drr-train .*{}", scratch.path(run));
    let output = Command::new("pgrep").args(["-f", &pattern]).output().expect("pgrep");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().filter_map(|line| line.parse().ok()).collect()
}

/// Whenever a rank is killed, all end, and the last checkpoint is whole.
#[test]
fn a_rank_that_is_lost_ends_all_and_the_run_goes_on() {
    if !is_there() || Command::new("pgrep").arg("--version").output().is_err() {
        return;
    }
    let scratch = Scratch::small();
    let more = ["--steps", "1000000", "--set", "train.checkpoint_steps=5"];
    let mut arguments = scratch.training("run", &more);
    let mut last = 0;
    for attempt in 0..10u32 {
        let mut command = mpirun(2, &arguments);
        let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("mpirun");
        let began = Instant::now();
        let newest = || {
            let has = scratch.has("run/checkpoints");
            let names = if has { scratch.list("run/checkpoints") } else { Vec::new() };
            let step = |name: &String| name.strip_prefix("step-")?.parse::<u64>().ok();
            names.iter().filter_map(step).max().unwrap_or(0)
        };
        // Until it got further, and then at any time.
        while newest() <= last {
            assert!(began.elapsed() < Duration::from_secs(60), "no checkpoint after a minute");
            std::thread::sleep(Duration::from_millis(5));
        }
        std::thread::sleep(Duration::from_millis(u64::from(attempt * 37 % 53)));
        let found = processes(&scratch, "run");
        assert_eq!(found.len(), 2, "{found:?}");
        let victim = found[attempt as usize % 2].to_string();
        assert!(Command::new("kill").args(["-9", &victim]).status().expect("kill").success());
        let killed = Instant::now();
        let output = child.wait_with_output().map(|output| (output.status, output.stderr));
        let (status, said) = output.expect("mpirun");
        assert!(!status.success(), "attempt {attempt}");
        assert!(killed.elapsed() < Duration::from_secs(30));
        let said = String::from_utf8_lossy(&said);
        assert!(said.contains("signal 9") || said.contains("Killed"), "{said}");
        assert!(newest() >= last && newest() > 0);
        last = newest();
        arguments = ["train", "--resume", &scratch.path("run")].map(str::to_owned).to_vec();
    }
    assert!(last >= 50, "{last}");
}
