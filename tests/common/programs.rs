//! Programs in other languages that use the shared library: compiled in a folder of their own, which
//! also holds a model, and run there.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use drr::cpu::KERNEL_VARIABLE;
use drr::model::GridPrecision;
use serde_json::json;
use tempfile::TempDir;

use super::radiance::scene;
use super::{Baked, Rng};

/// Wrong reads and writes and lost memory are failures. Not what is *possibly* lost: the lists
/// that rayon's threads share for ever are linked by tagged pointers, which valgrind cannot follow.
pub const VALGRIND: [&str; 6] = [
    "valgrind",
    "-q",
    "--error-exitcode=9",
    "--leak-check=full",
    "--show-leak-kinds=definite,indirect",
    "--errors-for-leak-kinds=definite,indirect",
];

/// A folder with a compiled program and models to run it on: `model`, the smaller `model.plane`, and
/// `model.radiance`, which can be seen.
pub struct Program {
    folder: TempDir,
}

impl Program {
    /// A folder with the models and no program yet.
    pub fn none() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let models = [("model", model()), ("model.plane", plane()), ("model.radiance", scene())];
        for (name, model) in models {
            std::fs::write(folder.path().join(name), model.bytes).expect("room for a file");
        }
        Self { folder }
    }

    /// Compiles sources of this repository and links them with the shared library.
    pub fn compile(compiler: &str, flags: &[&str], sources: &[&str]) -> Self {
        let program = Self::none();
        program.link(compiler, flags, sources);
        program
    }

    /// Runs a compiler in the folder, which must have nothing to say.
    pub fn command(&self, compiler: &str, flags: &[&str], sources: &[&str]) {
        self.compiles(compiler, sources, Command::new(compiler).args(flags));
    }

    /// [`Program::command`] whose result is the program.
    pub fn link(&self, compiler: &str, flags: &[&str], sources: &[&str]) {
        let mut command = Command::new(compiler);
        command.args(flags).arg("-o").arg("program").args(sources.iter().map(|s| root().join(s)));
        if let Some(sanitized) = sanitized() {
            command.arg("-fsanitize=address,undefined").arg(sanitized);
            command.args(["-lgcc_s", "-lpthread", "-ldl", "-lm"]);
        } else {
            let library = library();
            let search = format!("-Wl,-rpath,{}", library.display());
            command.arg("-L").arg(library).arg("-ldrr").arg("-lm").arg(search);
        }
        self.compiles(compiler, &[], &mut command);
    }

    fn compiles(&self, compiler: &str, sources: &[&str], command: &mut Command) {
        command.current_dir(self.folder.path()).arg("-I").arg(root().join("include"));
        command.args(sources.iter().map(|source| root().join(source)));
        silent(&command.output().expect(compiler), &format!("{command:?}"));
    }

    /// A file of the folder: `program`, or one of the models.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs the program on the model; it succeeds and prints nothing.
    pub fn run(&self, tool: &[&str], arguments: &[&str], kernel: &str) {
        let output = self.output(tool, arguments, kernel);
        silent(&output, &format!("{tool:?} {kernel}"));
    }

    /// What the program does with the model.
    pub fn output(&self, tool: &[&str], arguments: &[&str], kernel: &str) -> Output {
        let program = self.folder.path().join("program");
        let words = tool.iter().map(OsStr::new).chain([program.as_os_str()]);
        let words: Vec<_> = words.collect();
        Command::new(words[0])
            .args(&words[1..])
            .arg(self.folder.path().join("model"))
            .args(arguments)
            .env(KERNEL_VARIABLE, kernel)
            // Cargo's would find another build of the library first.
            .env_remove("LD_LIBRARY_PATH")
            .output()
            .expect("the program")
    }
}

/// Success, and nothing printed.
pub fn silent(output: &Output, what: &str) {
    let (out, err) = (&output.stdout, &output.stderr);
    let text = [String::from_utf8_lossy(out), String::from_utf8_lossy(err)].concat();
    assert!(output.status.success() && text.is_empty(), "{what}: {}\n{text}", output.status);
}

pub fn is_installed(program: &str) -> bool {
    let found = Command::new(program).arg("--version").output().is_ok();
    if !found {
        eprintln!("skipped: no {program}");
    }
    found
}

/// Valgrind, where it is installed and nothing else watches memory.
pub fn has_valgrind() -> bool {
    !is_sanitized() && is_installed("valgrind")
}

/// Whether programs are watched for wrong reads and writes without valgrind.
pub fn is_sanitized() -> bool {
    sanitized().is_some()
}

/// A static library built with AddressSanitizer, which `make test-asan` names.
fn sanitized() -> Option<OsString> {
    std::env::var_os("DRR_ASAN_LIBRARY")
}

/// The folder of this repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The folder of the shared library that was built with this test.
pub fn library() -> PathBuf {
    let program = std::env::current_exe().expect("this program");
    let folder = program.parent().expect("its folder");
    assert!(folder.join("libdrr.so").exists(), "no libdrr.so in {}", folder.display());
    folder.to_owned()
}

fn axis(name: &str) -> serde_json::Value {
    json!({"name": name, "unit": "", "min": 0.0, "max": 1.0})
}

/// The model that the programs expect.
pub fn model() -> Baked {
    let value = |unit, transform| {
        let (min, max) = (-1.0, 2.0);
        json!({"name": "v", "unit": unit, "min": min, "max": max, "transform": transform})
    };
    let spec = serde_json::from_value(json!({
        "axes": [axis("x"), axis("y"), axis("z")],
        "parameters": [axis("p"), axis("q")],
        "values": [value("m", "linear"), value("K", "log")],
        "grids": [{"axes": [0, 1, 2], "shape": [3, 5, 4], "channels": 13, "offset": 0}],
        "lines": [
            {"parameter": 0, "vertices": 4, "features": 3, "offset": 13},
            {"parameter": 1, "vertices": 5, "features": 3, "offset": 16},
        ],
        "input": {"width": 19, "bias": false, "activation": "identity"},
        "layers": [
            {"inputs": 19, "outputs": 21, "activation": "relu"},
            {"inputs": 21, "outputs": 2, "activation": "sigmoid"},
        ],
    }));
    Baked::write(spec.expect("a description"), GridPrecision::F16, &mut Rng::new(1))
}

/// A model with fewer of everything.
fn plane() -> Baked {
    let value = json!({"name": "v", "unit": "", "min": -1.0, "max": 2.0, "transform": "linear"});
    let spec = serde_json::from_value(json!({
        "axes": [axis("x"), axis("y")],
        "parameters": [axis("p")],
        "values": [value],
        "grids": [{"axes": [0, 1], "shape": [4, 3], "channels": 8, "offset": 0}],
        "lines": [{"parameter": 0, "vertices": 4, "features": 4, "offset": 8}],
        "input": {"width": 12, "bias": false, "activation": "identity"},
        "layers": [
            {"inputs": 12, "outputs": 16, "activation": "relu"},
            {"inputs": 16, "outputs": 1, "activation": "sigmoid"},
        ],
    }));
    Baked::write(spec.expect("a description"), GridPrecision::F32, &mut Rng::new(2))
}
