//! A folder for one test, with a tiny ensemble and a model for it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use serde_json::Value;
use tempfile::TempDir;

use super::ensemble::TinyEnsemble;
use super::{SMALL_MODEL, drr_train_fails, drr_train_ok, program};

/// A folder that goes away with its test. Everything in it goes by a relative name.
pub struct Scratch(TempDir);

impl Scratch {
    /// An empty folder.
    pub fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }

    /// With the ensemble `ens` and the configuration `model.yaml` for it.
    pub fn small() -> Self {
        let scratch = Self::new();
        TinyEnsemble::default().write(&scratch, "ens");
        scratch.put("model.yaml", SMALL_MODEL);
        scratch
    }

    /// With the run `run` of `steps` steps, too, and the baked file `model.drr`.
    pub fn baked(steps: u32) -> Self {
        let scratch = Self::small();
        scratch.train("run", &["--steps", &steps.to_string()]);
        scratch.bake("run", "model.drr");
        scratch
    }

    /// With the baked file `model.drr` alone; its run is made once for all tests of a file.
    pub fn with_model() -> Self {
        static MODEL: OnceLock<Vec<u8>> = OnceLock::new();
        let scratch = Self::new();
        scratch.put("model.drr", MODEL.get_or_init(|| Self::baked(60).bytes("model.drr")));
        scratch
    }

    /// Absolute path of `name`, as an argument.
    pub fn path(&self, name: &str) -> String {
        self.place(name).to_str().expect("UTF-8").to_owned()
    }

    /// Absolute path of `name`.
    pub fn place(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file, and the folders that it needs.
    pub fn put(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.place(name);
        let folder = path.parent().expect("a folder");
        std::fs::create_dir_all(folder).expect("room for a folder");
        std::fs::write(path, bytes).expect("room for a file");
    }

    /// Writes a file of little-endian 32-bit numbers.
    pub fn put_raw(&self, name: &str, values: &[f32]) {
        self.put(name, values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>());
    }

    /// A file's bytes.
    pub fn bytes(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.place(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// A file's text.
    pub fn text(&self, name: &str) -> String {
        String::from_utf8(self.bytes(name)).expect("UTF-8")
    }

    /// Replaces text that must be in the file.
    pub fn replace(&self, name: &str, old: &str, new: &str) {
        let text = self.text(name);
        assert!(text.contains(old), "{name} has no `{old}`");
        self.put(name, text.replace(old, new));
    }

    /// Whether there is such a file or folder.
    pub fn has(&self, name: &str) -> bool {
        self.place(name).exists()
    }

    /// What a folder holds, sorted, hidden files too.
    pub fn list(&self, folder: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.place(folder)).expect("a folder");
        let mut names: Vec<_> = entries
            .map(|entry| entry.expect("entry").file_name().into_string().expect("UTF-8"))
            .collect();
        names.sort();
        names
    }

    /// Arguments that train `model.yaml` on `ens` into `run`; later ones go before earlier ones.
    pub fn training(&self, run: &str, more: &[&str]) -> Vec<String> {
        let (config, data, out) = (self.path("model.yaml"), self.path("ens"), self.path(run));
        let mut arguments = vec!["train", "--config", &config, "--out", &out];
        let defaults = [
            ("--data", data.as_str()),
            ("--steps", "3"),
            ("--lr", "0.02"),
            ("--batch-members", "4"),
            ("--batch-points", "64"),
            ("--device", "cpu"),
        ];
        for (name, value) in defaults {
            let timed = name == "--steps" && more.contains(&"--minutes");
            if !more.contains(&name) && !timed {
                arguments.extend([name, value]);
            }
        }
        arguments.extend(more);
        arguments.into_iter().map(str::to_owned).collect()
    }

    /// Trains, which must succeed.
    pub fn train(&self, run: &str, more: &[&str]) {
        drr_train_ok(&borrowed(&self.training(run, more)));
    }

    /// Trains, which must fail without a trace: the same command must work once the mistake is
    /// put right. Returns the message.
    pub fn train_fails(&self, more: &[&str]) -> String {
        let message = drr_train_fails(&borrowed(&self.training("refused", more)));
        assert!(!self.has("refused"), "{more:?} left a run behind: {message}");
        message
    }

    /// Bakes with 32-bit grids.
    pub fn bake(&self, run: &str, output: &str) {
        let (run, output) = (self.path(run), self.path(output));
        drr_train_ok(&["bake", &run, "--grid", "f32", "-o", &output]);
    }

    /// What `info` says of a baked file.
    pub fn info(&self, file: &str) -> Value {
        let text = drr_train_ok(&["info", &self.path(file), "--json"]);
        serde_json::from_str(&text).expect("JSON")
    }

    /// What `eval` says of a run.
    pub fn eval(&self, run: &str) -> Value {
        let text = drr_train_ok(&["eval", &self.path(run), "--json", "--pictures", "0"]);
        serde_json::from_str(&text).expect("JSON")
    }

    /// The weights of a run's only checkpoint.
    pub fn weights(&self, run: &str) -> Vec<u8> {
        let checkpoints = format!("{run}/checkpoints");
        let [only] = &self.list(&checkpoints)[..] else { panic!("one checkpoint in {run}") };
        self.bytes(&format!("{checkpoints}/{only}/weights.safetensors"))
    }

    /// Mean loss of the last `count` reports of a run.
    pub fn last_loss(&self, run: &str, count: usize) -> f64 {
        let text = self.text(&format!("{run}/metrics.csv"));
        let rows: Vec<_> = text.lines().skip(1).collect();
        let loss = |row: &&str| -> f64 {
            row.split(',').nth(1).expect("a loss").parse().expect("a number")
        };
        rows[rows.len() - count..].iter().map(loss).sum::<f64>() / count as f64
    }

    /// Starts the program without waiting for it.
    pub fn start(&self, arguments: &[String]) -> Child {
        program()
            .args(arguments)
            .current_dir(self.0.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("drr-train starts")
    }
}

/// The form in which the program is given its arguments.
pub fn borrowed(arguments: &[String]) -> Vec<&str> {
    arguments.iter().map(String::as_str).collect()
}

/// Sends a process a signal: `INT` is that of Ctrl-C.
pub fn signal(child: &Child, name: &str) {
    let status = Command::new("kill").args(["-s", name, &child.id().to_string()]).status();
    assert!(status.expect("kill").success());
}

/// Whether a file begins as a PNG does.
pub fn is_png(path: &Path) -> bool {
    std::fs::read(path).is_ok_and(|bytes| bytes.starts_with(b"\x89PNG\r\n\x1a\n"))
}
