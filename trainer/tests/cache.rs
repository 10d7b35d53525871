//! Ensembles larger than memory: training sees members in turn, depends on seed and step alone, and
//! takes no more memory than it was given.

mod common;

use std::process::Stdio;

use common::drr_train_ok;
use common::ensemble::TinyEnsemble;
use common::scratch::{Scratch, borrowed};
use common::{drr_train_fails, program};
use drr_train::config::{DatasetConfig, parse_yaml};
use drr_train::data::{Ensemble, LoadOptions, Sharing};

/// GiB of so many fields of [`TinyEnsemble`].
fn fields(count: usize) -> f64 {
    (count * 5 * 6 * 7 * 4) as f64 / f64::from(1 << 30)
}

fn cached(run: &Scratch, name: &str, more: &[&str]) {
    let cache = fields(5).to_string();
    let arguments = ["--cache", &cache, "--batch-members", "3", "--steps", "12"];
    let reports = ["--set", "train.checkpoint_steps=5", "--set", "train.report_steps=1"];
    run.train(name, &[&arguments[..], &reports, more].concat());
}

fn last_weights(scratch: &Scratch, run: &str) -> Vec<u8> {
    scratch.bytes(&format!("{run}/checkpoints/step-00000012/weights.safetensors"))
}

#[test]
fn members_come_in_turn_and_runs_go_on_exactly() {
    let scratch = Scratch::small();
    cached(&scratch, "run", &[]);
    let log = scratch.text("run/log.txt");
    assert!(log.contains("training sees 3 of the members at a time"), "{log}");
    let all = ["--batch-members", "3", "--steps", "12"];
    scratch.train("memory", &all);
    assert!(last_weights(&scratch, "memory") != last_weights(&scratch, "run"));
    assert!(!scratch.text("memory/log.txt").contains("at a time"));

    // From the checkpoint before the last, as if interrupted there.
    let whole = last_weights(&scratch, "run");
    std::fs::remove_dir_all(scratch.place("run/checkpoints/step-00000012")).expect("removed");
    assert_eq!(scratch.list("run/checkpoints"), ["step-00000010"]);
    drr_train_ok(&["train", "--resume", &scratch.path("run")]);
    assert!(last_weights(&scratch, "run") == whole, "it went on in another way");

    // The stored configuration repeats the run.
    let stored = parse_yaml(&scratch.text("run/config.yaml")).expect("YAML");
    let dataset = &stored["dataset"]["param"];
    assert_eq!(dataset["cache_gib"].as_f64(), Some(fields(5)));
    assert!(dataset["data_min"].is_number() && dataset["data_max"].is_number());
    let (config, again) = (scratch.path("run/config.yaml"), scratch.path("again"));
    drr_train_ok(&["train", "--config", &config, "--out", &again]);
    assert!(last_weights(&scratch, "again") == whole, "it was another way");

    // What judges and bakes reads one member after the other.
    let quality = scratch.eval("run");
    assert_eq!((&quality["train"]["fields"], &quality["test"]["fields"]), (&6.into(), &2.into()));
    scratch.bake("run", "model.drr");
    let (data, weights) = (scratch.path("ens"), scratch.path("weights"));
    drr_train_ok(&["importance", "--config", &config, "--data", &data, "--out", &weights]);
    let members = format!("dataset.param.impsmp_cond_path={weights}/members.npy");
    cached(&scratch, "drawn", &["--set", &members]);
    assert!(last_weights(&scratch, "drawn") != whole);
    let standard = ["model.param.out_act=Identity", "dataset.param.normalize=standard"];
    cached(&scratch, "standard", &["--set", standard[0], "--set", standard[1]]);
    assert!(scratch.eval("standard")["test"]["psnr"].is_number());
}

#[test]
fn what_fits_is_in_memory() {
    let scratch = Scratch::small();
    let cache = fields(8).to_string();
    scratch.train("all", &["--cache", &cache]);
    scratch.train("default", &[]);
    assert!(scratch.weights("all") == scratch.weights("default"));
}

#[test]
fn fields_are_the_same_wherever_they_are() {
    let scratch = Scratch::small();
    let load = |cache_gib| {
        let config =
            DatasetConfig { data: Some(scratch.place("ens")), cache_gib, ..Default::default() };
        let options = LoadOptions { model_dims: 3, components: 1 };
        let mut told = Vec::new();
        let ensemble =
            Ensemble::load_shared(&config, &options, &Sharing::default(), &mut |done, all| {
                told.push((done, all));
                Ok(())
            });
        assert_eq!(told.last(), Some(&(8, 8)), "each file is read");
        ensemble.expect("an ensemble")
    };
    let (memory, cached) = (load(None), load(Some(fields(4))));
    assert_eq!((cached.fields.window(), memory.fields.window()), (Some(2), None));
    assert_eq!(cached.normalization, memory.normalization);
    for member in (0..8).chain([3, 0, 0, 7]) {
        assert_eq!(cached.field(member).expect("a field"), memory.field(member).expect("a field"));
    }
    std::fs::remove_file(scratch.place("ens/m4.raw")).expect("removed");
    scratch.put_raw("ens/m5.raw", &[f32::NAN; 210]);
    let error = |member| format!("{:#}", cached.field(member).expect_err("an error"));
    assert!(error(4).contains("member m4: cannot read") && error(4).contains("m4.raw"));
    assert!(error(5).contains("m5.raw: 210 of 210 values are not finite"), "{}", error(5));
    assert!(cached.field(6).is_ok(), "the others are still there");
}

#[test]
fn what_needs_all_members_is_refused() {
    let scratch = Scratch::small();
    let cache = |count| fields(count).to_string();
    let (two, five) = (cache(2), cache(5));
    let weights = scratch.path("weights");
    let (config, data) = (scratch.path("model.yaml"), scratch.path("ens"));
    drr_train_ok(&["importance", "--config", &config, "--data", &data, "--out", &weights]);
    let points = format!("dataset.param.impsmp_coord_path={weights}/points");
    let few = ["--cache", &five, "--batch-members", "2"];
    for (arguments, texts) in [
        (vec!["--cache", &two], &["3 at a time are the least", "--cache GIB"][..]),
        (vec!["--cache", &five], &["a batch of 4 members", "the 3 that are in memory"]),
        (vec!["--cache", "0"], &["cache_gib: given 0, expected more than 0"]),
        ([&few[..], &["--pairs", "both"]].concat(), &["between any members", "`--pairs space`"]),
        ([&few[..], &["--set", &points]].concat(), &["leave out impsmp_coord_path"]),
    ] {
        let message = scratch.train_fails(&arguments);
        for text in texts {
            assert!(message.contains(text), "{arguments:?}: no `{text}` in: {message}");
        }
    }
    scratch.train("space", &[&few[..], &["--pairs", "space"]].concat());
    scratch.train("short", &[&few[..], &["--steps", "1"]].concat());
    let log = scratch.text("short/log.txt");
    assert!(log.contains("in 1 steps training sees 3 of 6 members"), "{log}");
    let resumed = ["train", "--resume", &scratch.path("short"), "--cache", "1"];
    let output = program().args(resumed).output().expect("drr-train runs");
    assert_eq!(output.status.code(), Some(2), "a run goes on with the memory that it began with");
    std::fs::remove_file(scratch.place("ens/m0.raw")).expect("removed");
    let gone = drr_train_fails(&borrowed(&scratch.training("gone", &few)));
    assert!(gone.contains("there is no file") && gone.contains("m0.raw"), "{gone}");
}

/// Peak memory of a training, in bytes.
#[cfg(target_os = "linux")]
#[allow(clippy::zombie_processes)] // `wait4` waits for it.
fn peak(arguments: &[String]) -> u64 {
    let child = program()
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("drr-train starts");
    // SAFETY: plain numbers, for which zero is a value; both are written by the call.
    let (mut status, mut usage) = (0, unsafe { std::mem::zeroed::<libc::rusage>() });
    // SAFETY: a child of this process that nothing else waits for.
    unsafe { libc::wait4(child.id() as libc::pid_t, &raw mut status, 0, &raw mut usage) };
    assert_eq!(status, 0, "{arguments:?}");
    usage.ru_maxrss as u64 * 1024
}

#[test]
#[cfg(target_os = "linux")]
fn training_takes_the_memory_that_it_is_given() {
    const MIB: u64 = 1 << 20;
    let scratch = Scratch::small();
    // Eight members of 16 MiB: 128 MiB.
    let ensemble = TinyEnsemble { dims: vec![128, 128, 256], ..Default::default() };
    ensemble.write(&scratch, "ens");
    let run = |name: &str, cache: &str| {
        let few = ["--batch-members", "2", "--steps", "40", "--cache", cache];
        peak(&scratch.training(name, &few))
    };
    // 64 MiB, then all.
    let (small, large) = (run("small", "0.0625"), run("large", "1"));
    assert!(small + 50 * MIB < large, "{} MiB, of all {} MiB", small / MIB, large / MIB);
}
