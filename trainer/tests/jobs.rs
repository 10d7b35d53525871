//! Many runs by one command: all are made, failures are told, and an interrupted command goes on.

mod common;

use std::process::Stdio;
use std::time::{Duration, Instant};

use common::scratch::{Scratch, signal};
use common::{SMALL_MODEL, drr_train, drr_train_ok, program};

/// A file with the small model twice, the second a narrower one.
fn two_models(scratch: &Scratch) {
    let narrow = SMALL_MODEL.replace("model:", "test: {}\n  model:");
    scratch.put("two.yaml", format!("{SMALL_MODEL}{narrow}"));
}

fn arguments(scratch: &Scratch, more: &[&str]) -> Vec<String> {
    let (config, data, out) = (scratch.path("two.yaml"), scratch.path("ens"), scratch.path("runs"));
    let all = [&["jobs", "--config", &config, "--data", &data, "--out", &out], more].concat();
    all.into_iter().map(str::to_owned).collect()
}

#[test]
fn every_entry_and_seed_becomes_a_run() {
    let scratch = Scratch::small();
    two_models(&scratch);
    let more = ["--steps", "20", "--seeds", "0,3", "--devices", "cpu,cpu"];
    let set = ["--set", "dataset.param.cond_batch=4", "--set", "dataset.param.batch_points=64"];
    let arguments = arguments(&scratch, &[&more[..], &set].concat());
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let table = drr_train_ok(&arguments);
    let csv = scratch.text("runs/jobs.csv");
    assert!(
        csv.starts_with("run,steps,seconds,parameters,psnr_mean,ssim,rel_l2,max_error,error\n")
    );
    for name in ["two-0-seed0", "two-0-seed3", "two-1-seed0", "two-1-seed3"] {
        let row = csv.lines().find(|row| row.starts_with(&format!("{name},20,"))).expect(name);
        assert!(row.ends_with(','), "no error: {row}");
        let psnr: f64 = row.split(',').nth(4).expect("PSNR").parse().expect("a number");
        let line = table.lines().find(|line| line.starts_with(name)).expect(name);
        assert!(line.contains(&format!("{psnr:.2}")), "{line}");
        let config = scratch.text(&format!("runs/{name}/config.yaml"));
        assert!(config.contains(&format!("seed: {}", &name[10..])), "{config}");
        assert!(scratch.text(&format!("runs/{name}.log")).contains("20 steps in"));
    }
    // Again: nothing is trained anew, the table is the same.
    let metrics = scratch.text("runs/two-0-seed3/metrics.csv");
    assert_eq!(drr_train_ok(&arguments), table);
    assert_eq!(scratch.text("runs/two-0-seed3/metrics.csv"), metrics);
}

#[test]
fn a_run_that_fails_does_not_stop_the_others() {
    let scratch = Scratch::small();
    let wrong = SMALL_MODEL.replace("cond_dim: 2", "cond_dim: 3");
    assert_ne!(wrong, SMALL_MODEL);
    let wrong = wrong.replace("[2, 2]", "[2, 2, 2]").replace("[4, 4]", "[4, 4, 4]");
    scratch.put("two.yaml", format!("{wrong}{SMALL_MODEL}"));
    let more = ["--steps", "4", "--no-eval", "--set", "dataset.param.cond_batch=4"];
    let arguments = arguments(&scratch, &more);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let output = drr_train(&arguments);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).expect("UTF-8");
    assert!(said.contains("1 of 2 runs failed"), "{said}");
    let csv = scratch.text("runs/jobs.csv");
    let rows: Vec<&str> = csv.lines().collect();
    assert!(rows[1].starts_with("two-0,,") && rows[1].len() > 20, "{csv}");
    assert!(rows[2].starts_with("two-1,4,") && rows[2].ends_with(','), "{csv}");
}

#[test]
fn an_interrupted_command_goes_on() {
    let scratch = Scratch::small();
    two_models(&scratch);
    let more = ["--steps", "900", "--no-eval", "--set", "train.report_steps=5"];
    let set = ["--set", "dataset.param.cond_batch=4", "--set", "dataset.param.batch_points=64"];
    let arguments = arguments(&scratch, &[&more[..], &set].concat());
    let child = program().args(&arguments).stderr(Stdio::piped()).spawn().expect("it runs");
    let began = Instant::now();
    while !scratch.has("runs/two-0/metrics.csv")
        || scratch.text("runs/two-0/metrics.csv").lines().count() < 3
    {
        assert!(began.elapsed() < Duration::from_secs(60), "no report after a minute");
        std::thread::sleep(Duration::from_millis(5));
    }
    // To the command alone, as batch systems do; its runs hear of it.
    signal(&child, "INT");
    let output = child.wait_with_output().expect("an end");
    let said = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(output.status.code(), Some(130), "{said}");
    assert!(said.contains("two-0: interrupted") && !said.contains("two-1: begins"), "{said}");
    let csv = scratch.text("runs/jobs.csv");
    assert!(csv.contains("two-1,,,,,,,,not begun"), "{csv}");

    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    drr_train_ok(&arguments);
    assert!(scratch.text("runs/two-0.log").contains("going on after step"));
    let csv = scratch.text("runs/jobs.csv");
    assert!(csv.contains("two-0,900,") && csv.contains("two-1,900,"), "{csv}");
}

#[test]
fn what_cannot_be_done_is_refused_first() {
    let scratch = Scratch::small();
    two_models(&scratch);
    let two = scratch.path("two.yaml");
    let third = format!("{two}:0,2");
    let missing = scratch.path("missing.yaml");
    for (configs, expected) in [
        (vec![third.as_str()], "has 2 entries, numbered from 0: there is no entry 2"),
        (vec![&missing], "cannot read"),
        (vec![&two, &two], "two runs would be called two-0"),
    ] {
        let out = scratch.path("runs");
        let mut arguments = vec!["jobs", "--out", &out];
        configs.iter().for_each(|config| arguments.extend(["--config", config]));
        let output = drr_train(&arguments);
        let said = String::from_utf8(output.stderr).expect("UTF-8");
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(expected), "{said}");
        assert!(!scratch.has("runs"));
    }
}
