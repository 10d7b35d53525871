//! Competitors that are Python packages: `peers.py` in a process per package, asked line by line,
//! so that it can take turns with everything else. A package that cannot be had is skipped.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, anyhow, bail, ensure};
use serde_json::{Value, json};

use crate::models::{Network, numbers};

/// What `peers.py` needs for ONNX Runtime, fixed so that figures can be compared.
const PACKAGES: [&str; 3] = ["onnxruntime==1.23.2", "onnx==1.19.1", "numpy==2.2.6"];

/// A running `peers.py`.
pub struct Peer {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    log: PathBuf,
}

/// Files that `peers.py` reads.
pub struct PeerFiles {
    grid: PathBuf,
    weights: PathBuf,
}

/// The Python of an environment with ONNX Runtime, which is made once in
/// `${DRR_CACHE:-~/.cache/drr}/bench-venv`.
///
/// # Errors
/// If it cannot be made: no Python, no pip, no network.
pub fn onnxruntime_python(python: &str) -> Result<PathBuf> {
    let cache = match std::env::var_os("DRR_CACHE").filter(|cache| !cache.is_empty()) {
        Some(cache) => PathBuf::from(cache),
        None => std::env::home_dir().context("there is no home folder")?.join(".cache/drr"),
    };
    let venv = cache.join("bench-venv");
    let inside = venv.join("bin/python");
    // Written last: an environment that was interrupted, or has other versions, is made anew.
    let stamp = venv.join("packages.txt");
    let packages = PACKAGES.join("\n");
    if std::fs::read_to_string(&stamp).is_ok_and(|made| made == packages) {
        return Ok(inside);
    }
    eprintln!("fetching {} into {}, once", PACKAGES.join(", "), venv.display());
    // Without its own pip, which some distributions keep in a package apart.
    let mut make = Command::new(python);
    succeed(make.args(["-m", "venv", "--clear", "--without-pip"]).arg(&venv))?;
    let mut install = Command::new(python);
    install.args(["-m", "pip", "--disable-pip-version-check", "--python"]).arg(&inside);
    succeed(install.args(["install", "--quiet"]).args(PACKAGES))?;
    std::fs::write(&stamp, packages)?;
    Ok(inside)
}

/// The Python that has a full PyTorch, if there is one.
///
/// # Errors
/// If there is none.
pub fn torch_python(python: &str) -> Result<PathBuf> {
    succeed(Command::new(python).args(["-c", "import torch, numpy"]))?;
    Ok(python.into())
}

fn succeed(command: &mut Command) -> Result<()> {
    let output = command.output().with_context(|| format!("{:?}", command.get_program()))?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<_> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    bail!("{}", lines.last().map_or("it failed without a word", |line| line.trim()))
}

impl PeerFiles {
    /// Writes what competitors in other processes need of `network` into `folder`.
    ///
    /// # Errors
    /// If they cannot be written.
    pub fn write(network: &Network, folder: &Path) -> Result<Self> {
        let grid = folder.join("peer-grid.f32");
        let mut out = File::create(&grid)?;
        // Channel by channel, as both packages have it.
        for channel in 0..network.size.channels {
            let plane = numbers(&network.grid.select(1, channel as i64));
            let bytes: Vec<u8> = plane.into_iter().flat_map(f32::to_le_bytes).collect();
            out.write_all(&bytes)?;
        }
        let weights = folder.join("peer-weights.f32");
        std::fs::write(&weights, network.weight_bytes())?;
        Ok(Self { grid, weights })
    }
}

impl Drop for PeerFiles {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.grid);
        let _ = std::fs::remove_file(&self.weights);
    }
}

impl Peer {
    /// Starts `peers.py ENGINE`; what it says besides its answers goes to a file in `folder`.
    ///
    /// # Errors
    /// If it does not start.
    pub fn start(python: &Path, engine: &str, folder: &Path) -> Result<Self> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/cpu_query/peers.py");
        let log = folder.join(format!("{engine}.log"));
        let mut child = Command::new(python)
            .arg(script)
            .arg(engine)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(&log)?)
            .spawn()?;
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().context("no pipe")?);
        Ok(Self { child, input, output, log })
    }

    /// Gives it a network, to be asked for `points` points at a time with any of `threads`.
    ///
    /// # Errors
    /// What it answers, for instance that there is not enough memory.
    pub fn load(
        &mut self,
        network: &Network,
        files: &PeerFiles,
        points: usize,
        threads: &[usize],
    ) -> Result<()> {
        let request = json!({
            "verb": "load",
            "grid": files.grid,
            "weights": files.weights,
            "shape": network.size.shape,
            "channels": network.size.channels,
            "layers": network.size.layer_sizes(),
            "latent": numbers(&network.latent()),
            "points": points,
            "threads": threads,
        });
        self.ask(&request).map(|_| ())
    }

    /// Seconds that the points in a file take; values are written to another, if wanted.
    ///
    /// # Errors
    /// What it answers.
    pub fn run(&mut self, points: &Path, threads: usize, values: Option<&Path>) -> Result<f64> {
        let request =
            json!({"verb": "run", "points": points, "threads": threads, "values": values});
        self.ask(&request)?["seconds"].as_f64().context("an answer without seconds")
    }

    fn ask(&mut self, request: &Value) -> Result<Value> {
        let mut answer = String::new();
        let input = self.input.as_mut().context("its input is closed")?;
        let asked = writeln!(input, "{request}").and_then(|()| input.flush());
        asked.and_then(|()| self.output.read_line(&mut answer)).map_err(|e| self.died(&e))?;
        ensure!(!answer.is_empty(), self.died(&"it ended"));
        let answer: Value = serde_json::from_str(&answer)?;
        match answer["error"].as_str() {
            Some(error) => bail!("{error}"),
            None => Ok(answer),
        }
    }

    fn died(&self, reason: &dyn std::fmt::Display) -> anyhow::Error {
        anyhow!("{reason}; see {}", self.log.display())
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.input = None; // The end of its requests is the end of it.
        let _ = self.child.wait();
    }
}
