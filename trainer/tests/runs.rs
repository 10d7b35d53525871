//! A run's folder explains itself, and a run repeats, stops and goes on exactly.

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::scratch::{Scratch, borrowed, is_png, signal};
use common::{SMALL_MODEL, drr_train, drr_train_ok, on_one_thread, program};
use drr_train::config::{Config, ModelConfig, parse_yaml};
use drr_train::models::Hdinr;
use drr_train::models::checkpoint::read_safetensors;
use tch::Device;

const HEADER: &str = "step,loss,psnr,steps_per_s,points_per_s,seconds,lr,validation_psnr";

/// Rows of `metrics.csv`: step and loss.
fn metrics(scratch: &Scratch, run: &str) -> Vec<(u64, f64)> {
    let text = scratch.text(&format!("{run}/metrics.csv"));
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some(HEADER));
    let row = |line: &str| {
        let Some(line) = line.strip_suffix(',') else { panic!("nothing was validated: {line}") };
        let numbers: Vec<f64> =
            line.split(',').map(|number| number.parse().expect("a number")).collect();
        assert_eq!(numbers.len(), 7, "{line}");
        assert!((numbers[2] + 10.0 * numbers[1].log10()).abs() < 1e-6, "PSNR of the loss: {line}");
        (numbers[0] as u64, numbers[1])
    };
    lines.map(row).collect()
}

/// Waits until a run has made a few reports, but not forever.
fn wait_for_reports(scratch: &Scratch, run: &str, child: &mut Child) {
    let (path, began) = (format!("{run}/metrics.csv"), Instant::now());
    while !scratch.has(&path) || scratch.text(&path).lines().count() < 3 {
        assert!(began.elapsed() < Duration::from_secs(60), "no report after a minute");
        assert!(child.try_wait().expect("a child").is_none(), "it ended before its reports");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// What a process printed on standard error, and its exit status, once it ends.
fn end_of(mut child: Child) -> (Option<i32>, String) {
    let mut text = String::new();
    child.stderr.take().expect("piped").read_to_string(&mut text).expect("UTF-8");
    (child.wait().expect("a child").code(), text)
}

#[test]
fn a_run_explains_itself() {
    let scratch = Scratch::small();
    let arguments = scratch.training("run", &["--steps", "7", "--seed", "5"]);
    let output = drr_train(&borrowed(&arguments));
    let said = String::from_utf8(output.stderr).expect("UTF-8");
    assert!(output.status.success(), "{said}");
    assert!(output.stdout.is_empty(), "progress is no result");
    let files = ["checkpoints", "config.yaml", "data.json", "log.txt", "loss.png", "metrics.csv"];
    let mut found = scratch.list("run");
    assert!(found.remove(3).starts_with("events.out.tfevents."));
    assert_eq!(found, files);
    assert_eq!(scratch.list("run/checkpoints"), ["step-00000007"]);
    let parts = ["optimizer.safetensors", "state.json", "weights.safetensors"];
    assert_eq!(scratch.list("run/checkpoints/step-00000007"), parts);
    assert!(is_png(&scratch.place("run/loss.png")));

    assert_eq!(scratch.text("run/log.txt"), said, "the log is what was said");
    for text in ["6 training and 2 held-out members of [5, 6, 7], 2 parameters", "7 steps"] {
        assert!(said.contains(text), "no `{text}` in: {said}");
    }
    assert!(!said.chars().any(|c| c.is_control() && c != '\n'), "no terminal: {said:?}");

    // Every default stands in the stored configuration.
    let stored = parse_yaml(&scratch.text("run/config.yaml")).expect("YAML");
    assert_eq!(stored["train"]["steps"], 7);
    assert_eq!(stored["train"]["seed"], 5);
    assert_eq!(stored["train"]["checkpoint_steps"], 500);
    assert_eq!(stored["optim"]["param"]["betas"][1], 0.999);
    assert_eq!(stored["scheduler"]["param"]["eta_min"], 2e-4);
    assert_eq!(stored["dataset"]["param"]["cond_batch"], 4);
    assert_eq!(stored["dataset"]["param"]["data"], scratch.path("ens"));
    let data: serde_json::Value =
        serde_json::from_str(&scratch.text("run/data.json")).expect("JSON");
    assert_eq!(data["description"]["parameters"][1]["name"], "heat");
    assert_eq!(data["description"]["axes"][2]["unit"], "km");
    assert_eq!(metrics(&scratch, "run").len(), 7);
}

#[test]
fn weights_carry_the_names_of_the_model() {
    let scratch = Scratch::small();
    scratch.train("run", &[]);
    let path = scratch.place("run/checkpoints/step-00000003/weights.safetensors");
    let stored: Vec<_> = read_safetensors(&path).expect("weights").into_keys().collect();
    let entry = parse_yaml(SMALL_MODEL).expect("YAML")[0].clone();
    let ModelConfig::Hdinr(config) = Config::from_value(&entry).expect("config").model else {
        panic!("HDINRBase")
    };
    let model = Hdinr::new(&config, Device::Cpu, 0).expect("model");
    let names: Vec<_> = model.parameters.all().map(|(name, _)| name.to_owned()).collect();
    assert_eq!(stored, names);
}

#[test]
fn training_learns() {
    let scratch = Scratch::small();
    scratch.train("run", &["--steps", "400"]);
    let rows = metrics(&scratch, "run");
    let first = rows[..10].iter().map(|(_, loss)| loss).sum::<f64>() / 10.0;
    let last = scratch.last_loss("run", 10);
    assert!(last < first / 20.0, "from {first:e} to {last:e} only");
}

#[test]
fn a_stored_configuration_repeats_its_run_and_another_seed_does_not() {
    let scratch = Scratch::small();
    scratch.train("first", &["--steps", "20", "--set", "dataset.param.shared_points=false"]);
    let (config, again) = (scratch.path("first/config.yaml"), scratch.path("again"));
    drr_train_ok(&["train", "--config", &config, "--out", &again]);
    assert!(scratch.weights("again") == scratch.weights("first"), "the weights differ");
    let same = |name: &str| scratch.text(&format!("first/{name}"));
    assert_eq!(scratch.text("again/config.yaml"), same("config.yaml"));
    assert_eq!(scratch.text("again/data.json"), same("data.json"));

    // Two threads repeat what two threads did.
    let weights = ["one", "two"].map(|name| {
        let out = scratch.path(name);
        let arguments = ["train", "--config", &config, "--out", &out];
        let mut command = program();
        let output = command.args(arguments).env("OMP_NUM_THREADS", "2").output();
        assert!(output.expect("drr-train runs").status.success());
        scratch.weights(name)
    });
    assert!(weights[0] == weights[1], "the weights differ");

    let other = scratch.path("other");
    drr_train_ok(&["train", "--config", &config, "--out", &other, "--seed", "1"]);
    assert!(scratch.weights("other") != scratch.weights("first"), "seeds 0 and 1 gave the same");
}

#[test]
fn every_seed_starts_from_other_weights() {
    let scratch = Scratch::small();
    let start = |seed: &str| {
        let steps = ["--seed", seed, "--steps", "1", "--lr", "1e-12"];
        scratch.train(seed, &[&steps[..], &["--set", "scheduler.param.eta_min=0"]].concat());
        let path = scratch.place(&format!("{seed}/checkpoints/step-00000001/weights.safetensors"));
        read_safetensors(&path).expect("weights")
    };
    let (one, two) = (start("1"), start("2"));
    let is_table = |name: &&String| name.ends_with("feature_grid") || name.contains(".lines.");
    for name in one.keys().filter(is_table) {
        let difference = (&one[name] - &two[name]).abs().max().double_value(&[]);
        assert!(difference > 1e-4, "{name} differs by {difference:e}");
    }
}

#[test]
fn a_run_finds_its_data_from_anywhere() {
    let scratch = Scratch::small();
    let set = ["--set", "dataset.param.data_dir=ens", "--out", "run", "--steps", "2"];
    let here = |folder: &str, arguments: &[&str]| {
        let output = program()
            .args(arguments)
            .current_dir(scratch.place(folder))
            .output()
            .expect("drr-train runs");
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {text}");
    };
    here("", &[&["train", "--config", "model.yaml"], &set[..]].concat());
    here("run", &["eval", "."]);
    here("ens", &["train", "--resume", "../run"]);
}

#[test]
fn an_interrupted_run_goes_on_to_the_same_weights() {
    let scratch = Scratch::small();
    let long = ["--steps", "700", "--set", "train.report_steps=5"];
    scratch.train("whole", &long);
    let weights =
        |run: &str| scratch.bytes(&format!("{run}/checkpoints/step-00000700/weights.safetensors"));
    // Ctrl-C, what batch systems send, and the end of the terminal.
    for name in ["INT", "TERM", "HUP"] {
        let stopped = stop_early(&scratch, name, &long);
        drr_train_ok(&["train", "--resume", &scratch.path(name)]);
        assert!(weights(name) == weights("whole"), "{name}: the weights differ");
        assert!(is_png(&scratch.place(&format!("{name}/loss.png"))));

        let rows = metrics(&scratch, name);
        assert!(rows.windows(2).all(|pair| pair[0].0 < pair[1].0), "{rows:?}");
        assert!(rows.iter().any(|(step, _)| *step == stopped), "a row where it stopped");
        assert_eq!(rows.last().expect("rows").0, 700);
        // Reports at the same steps say the same, but for those of the steps around the stop.
        let whole = metrics(&scratch, "whole");
        let mut away = rows.iter().filter(|(step, _)| step.abs_diff(stopped) > 5);
        assert!(away.all(|row| whole.contains(row)), "{rows:?}\n{whole:?}");
    }
}

/// Starts a run and sends it a signal once it reports; the run's name is the signal's. Returns
/// the step after which it stopped.
fn stop_early(scratch: &Scratch, run: &str, arguments: &[&str]) -> u64 {
    let mut child = scratch.start(&scratch.training(run, arguments));
    wait_for_reports(scratch, run, &mut child);
    signal(&child, run);
    let (status, said) = end_of(child);
    assert_eq!(status, Some(130), "{said}");
    assert!(said.contains("stopped after step") && said.contains("--resume"), "{said}");
    let [stopped] = &scratch.list(&format!("{run}/checkpoints"))[..] else {
        panic!("one checkpoint")
    };
    let stopped = stopped.trim_start_matches("step-").parse().expect("a step");
    assert!((10..700).contains(&stopped), "stopped after step {stopped}");
    stopped
}

#[test]
fn nohup_is_respected() {
    let scratch = Scratch::small();
    let training = scratch.training("run", &["--steps", "400", "--set", "train.report_steps=5"]);
    let mut child = on_one_thread("sh")
        .args(["-c", "trap '' HUP; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_drr-train")])
        .args(training)
        .stderr(Stdio::piped())
        .spawn()
        .expect("a shell");
    wait_for_reports(&scratch, "run", &mut child);
    signal(&child, "HUP");
    let (status, said) = end_of(child);
    assert_eq!(status, Some(0), "{said}");
    assert!(scratch.has("run/checkpoints/step-00000400"));
}

#[test]
fn reports_after_the_checkpoint_are_made_again_only_once() {
    let scratch = Scratch::small();
    scratch.train("run", &["--steps", "9", "--set", "train.checkpoint_steps=6"]);
    let whole = metrics(&scratch, "run");
    // As after a crash: the reports go beyond the last checkpoint, the last one is cut.
    std::fs::remove_dir_all(scratch.place("run/checkpoints/step-00000009")).expect("removed");
    let text = scratch.text("run/metrics.csv");
    scratch.put("run/metrics.csv", &text[..text.len() - 30]);
    drr_train_ok(&["train", "--resume", &scratch.path("run")]);
    assert_eq!(metrics(&scratch, "run"), whole);
    let log = scratch.text("run/log.txt");
    assert!(log.contains("going on after step 6"), "{log}");
}

#[test]
fn old_checkpoints_are_removed_but_not_the_one_before_the_last() {
    let scratch = Scratch::small();
    scratch.train("run", &["--steps", "8", "--set", "train.checkpoint_steps=3"]);
    assert_eq!(scratch.list("run/checkpoints"), ["step-00000006", "step-00000008"]);
}

#[test]
fn training_goes_on_when_nobody_reads_what_it_says() {
    let scratch = Scratch::small();
    let mut child = scratch.start(&scratch.training("run", &["--steps", "300"]));
    let mut stderr = BufReader::new(child.stderr.take().expect("piped"));
    stderr.read_line(&mut String::new()).expect("a line");
    drop(stderr);
    assert!(child.wait().expect("a child").success());
    assert!(scratch.has("run/checkpoints/step-00000300"));
}

/// A pipe under a name: the program waits there for its input.
fn make_pipe(scratch: &Scratch, name: &str) {
    let status = Command::new("mkfifo").arg(scratch.place(name)).status();
    assert!(status.expect("mkfifo").success());
}

/// Interrupts the program once it waits for the contents of a pipe, then gives it these.
fn interrupt_at_pipe(scratch: &Scratch, arguments: &[String], pipe: &str, contents: &[u8]) {
    let before = scratch.list("");
    let child = scratch.start(arguments);
    // Opens as soon as the program reads.
    let mut input =
        std::fs::OpenOptions::new().write(true).open(scratch.place(pipe)).expect("a pipe");
    signal(&child, "INT");
    // The signal is caught by now, but has to reach the program's own thread.
    std::thread::sleep(Duration::from_millis(200));
    input.write_all(contents).expect("a reader");
    drop(input);
    let (status, said) = end_of(child);
    assert_eq!(status, Some(130), "{said}");
    assert_eq!(scratch.list(""), before, "nothing is left behind");
}

#[test]
fn an_interrupted_bake_leaves_the_old_file() {
    let scratch = Scratch::small();
    scratch.train("run", &[]);
    scratch.put("model.drr", "old");
    make_pipe(&scratch, "pipe.yaml");
    let (config, output) = (scratch.path("pipe.yaml"), scratch.path("model.drr"));
    let weights = scratch.path("run/checkpoints/step-00000003/weights.safetensors");
    // In one pass, and by way of temporary files.
    for more in [&[][..], &["--rank", "4", "--grid", "i8"], &["--report"]] {
        let arguments = ["bake", "--config", &config, "--weights", &weights, "-o", &output];
        let arguments = [&arguments[..], more].concat();
        let arguments: Vec<_> = arguments.into_iter().map(str::to_owned).collect();
        interrupt_at_pipe(&scratch, &arguments, "pipe.yaml", SMALL_MODEL.as_bytes());
        assert_eq!(scratch.text("model.drr"), "old");
    }
}

#[test]
fn an_interrupted_query_leaves_the_old_result() {
    let scratch = Scratch::with_model();
    scratch.put("out.npy", "old");
    make_pipe(&scratch, "points");
    let path = scratch.place("points.npy");
    drr_train::data::npy::write(&path, &[1, 3], &[1.0, 12.0, 0.0]).expect("points");
    let (model, points, out) =
        (scratch.path("model.drr"), scratch.path("points"), scratch.path("out.npy"));
    let parameters = ["--params", "density=0.5,heat=20", "-o", &out];
    let arguments = [&["query", &model, "--points", &points], &parameters[..]].concat();
    let arguments: Vec<_> = arguments.into_iter().map(str::to_owned).collect();
    let contents = scratch.bytes("points.npy");
    interrupt_at_pipe(&scratch, &arguments, "points", &contents);
    assert_eq!(scratch.text("out.npy"), "old");
}

#[test]
fn results_are_as_readable_as_the_user_wants() {
    let scratch = Scratch::baked(3);
    for (umask, file_mode, folder_mode) in [("022", 0o644, 0o755), ("077", 0o600, 0o700)] {
        let run = scratch.path("run");
        let out = |name: &str| scratch.path(&format!("{umask}/{name}"));
        let (new, baked, npy, raw) = (out("run"), out("a.drr"), out("a.npy"), out("a.raw"));
        let training = scratch.training(&format!("{umask}/run"), &[]);
        std::fs::create_dir(scratch.place(umask)).expect("a folder");
        let query =
            |out| ["query", &baked, "--grid", "1,1,1", "--params", "density=1,heat=20", "-o", out];
        let commands: [&[&str]; 4] =
            [&borrowed(&training), &["bake", &run, "-o", &baked], &query(&npy), &query(&raw)];
        for command in commands {
            let script = format!("umask {umask}; exec \"$0\" \"$@\"");
            let program = env!("CARGO_BIN_EXE_drr-train");
            let mut shell = on_one_thread("sh");
            let output = shell.args(["-c", &script, program]).args(command).output().expect("sh");
            assert!(output.status.success(), "{command:?}: {output:?}");
        }
        let mode = |path: &str| std::fs::metadata(path).expect(path).permissions().mode() & 0o777;
        let checkpoint = format!("{new}/checkpoints/step-00000003");
        for folder in [&new, &checkpoint] {
            assert_eq!(mode(folder), folder_mode, "{folder}");
        }
        let config = format!("{new}/config.yaml");
        let log = format!("{new}/log.txt");
        let weights = format!("{checkpoint}/weights.safetensors");
        for file in [&baked, &npy, &raw, &config, &log, &weights] {
            assert_eq!(mode(file), file_mode, "{file}");
        }
    }
}

/// Several processes that cannot see each other would all train into one folder.
#[cfg(not(feature = "mpi"))]
#[test]
fn several_processes_need_a_program_with_mpi() {
    let scratch = Scratch::small();
    let output = program().env("PMI_SIZE", "3").args(scratch.training("refused", &[])).output();
    let output = output.expect("drr-train");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("3 processes were started together"), "{said}");
    assert!(said.contains("--features mpi") && !scratch.has("refused"), "{said}");
}
