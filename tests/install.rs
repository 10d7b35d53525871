//! What `make install` makes is found and used by pkg-config, CMake and plain make, after the
//! whole tree has been moved.
#![cfg(target_os = "linux")]

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

use common::programs::{is_installed, root};
use common::{Baked, Rng};
use drr::capi::DRR_ABI_VERSION;
use drr::model::GridPrecision;
use serde_json::json;
use tempfile::TempDir;

/// An installed tree that was moved, and a model beside it.
struct Installed {
    folder: TempDir,
}

impl Installed {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let first = folder.path().join("first");
        let script = root().join("tools/install.py");
        // Another folder than that of the test under way, which is locked.
        let target = root().join("target/install");
        run(Command::new("python3")
            .arg(script)
            .arg("--prefix")
            .arg(&first)
            .arg("--target-dir")
            .arg(target)
            .env("CARGO", env!("CARGO")));
        let installed = Self { folder };
        std::fs::rename(first, installed.prefix()).expect("a free name");
        std::fs::write(installed.model(), model()).expect("room for a file");
        installed
    }

    fn prefix(&self) -> PathBuf {
        self.folder.path().join("moved")
    }

    fn library(&self) -> PathBuf {
        self.prefix().join("lib")
    }

    fn model(&self) -> PathBuf {
        self.folder.path().join("model.drr.safetensors")
    }

    /// A program of this test's, to be made.
    fn program(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The flags that pkg-config knows for a package.
    fn flags(&self, package: &str) -> Vec<String> {
        let folder = self.library().join("pkgconfig");
        let mut command = Command::new("pkg-config");
        command.args(["--cflags", "--libs", package]).env("PKG_CONFIG_PATH", folder);
        run(&mut command).split_whitespace().map(str::to_owned).collect()
    }

    /// The program describes the model.
    fn describes(&self, program: &Path) {
        let mut command = Command::new(program);
        command.arg(self.model()).env_remove("LD_LIBRARY_PATH");
        let text = run(&mut command);
        assert!(text.contains("height           2 to 5 m"), "{text}");
    }
}

fn model() -> Vec<u8> {
    let spec = serde_json::from_value(json!({
        "axes": [{"name": "height", "unit": "m", "min": 2.0, "max": 5.0}],
        "parameters": [],
        "values": [{"name": "v", "unit": "K", "min": 0.0, "max": 1.0, "transform": "linear"}],
        "grids": [{"axes": [0], "shape": [4], "channels": 1, "offset": 0}],
        "lines": [],
        "input": {"width": 1, "bias": false, "activation": "identity"},
        "layers": [{"inputs": 1, "outputs": 1, "activation": "identity"}],
    }));
    Baked::write(spec.expect("a description"), GridPrecision::F32, &mut Rng::new(1)).bytes
}

/// What the command prints; it succeeds.
fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let [out, err] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
    assert!(output.status.success(), "{command:?}: {}\n{out}{err}", output.status);
    out.into_owned()
}

fn examples() -> PathBuf {
    root().join("examples")
}

fn example() -> PathBuf {
    examples().join("tutorial/1_describe.c")
}

#[test]
fn an_installed_library_is_used_from_where_it_was_moved() {
    let installed = Installed::new();
    with_pkg_config(&installed);
    with_make(&installed);
    with_cmake(&installed);
    beside_another_rust_library(&installed);
    has_its_name(&installed);
}

fn with_pkg_config(installed: &Installed) {
    if !is_installed("pkg-config") {
        return;
    }
    for package in ["drr", "drr-static"] {
        let program = installed.program(package);
        let mut command = Command::new("cc");
        command.arg(example()).args(installed.flags(package)).arg("-o").arg(&program);
        if package == "drr" {
            command.arg(format!("-Wl,-rpath,{}", installed.library().display()));
        }
        run(&mut command);
        installed.describes(&program);
    }
    with_fortran(installed);
}

/// The module is installed as source.
fn with_fortran(installed: &Installed) {
    if !is_installed("gfortran") {
        return;
    }
    let folder = installed.library().join("pkgconfig");
    let mut command = Command::new("pkg-config");
    command.args(["--variable", "fortran_source", "drr"]).env("PKG_CONFIG_PATH", folder);
    let (source, program) = (run(&mut command), installed.program("query"));
    run(Command::new("gfortran")
        .current_dir(installed.folder.path())
        .arg(source.trim())
        .arg(examples().join("fortran/query.f90"))
        .args(installed.flags("drr"))
        .arg(format!("-Wl,-rpath,{}", installed.library().display()))
        .arg("-o")
        .arg(&program));
    run(Command::new(&program).arg(installed.model()));
}

fn with_make(installed: &Installed) {
    let makefile = root().join("tests/install/Makefile");
    run(Command::new("make")
        .arg("-C")
        .arg(installed.folder.path())
        .arg("-f")
        .arg(makefile)
        .arg(format!("PREFIX={}", installed.prefix().display()))
        .arg(format!("EXAMPLE={}", example().display())));
    installed.describes(&installed.program("describe"));
}

fn with_cmake(installed: &Installed) {
    if !is_installed("cmake") {
        return;
    }
    let build = installed.program("build");
    let configure = |wanted: &str| {
        let mut command = Command::new("cmake");
        command.arg("-S").arg(root().join("tests/install")).arg("-B").arg(&build);
        command.arg(format!("-DCMAKE_PREFIX_PATH={}", installed.prefix().display()));
        command.arg(format!("-DDRR_EXAMPLES={}", examples().display()));
        command.arg(format!("-DDRR_WANTED={wanted}"));
        command
    };
    let refused = configure("1000.0").output().expect("cmake");
    assert!(!refused.status.success(), "a version that is not there was found");
    run(&mut configure(env!("CARGO_PKG_VERSION")));
    run(Command::new("cmake").arg("--build").arg(&build));
    installed.describes(&build.join("describe_drr"));
    installed.describes(&build.join("describe_drr_static"));
    run(Command::new(build.join("query_cpp")).arg(installed.model()));
    if is_installed("gfortran") {
        run(Command::new(build.join("query_fortran")).arg(installed.model()));
    }
}

/// Both bring the standard library and a panic handler along.
fn beside_another_rust_library(installed: &Installed) {
    if !is_installed("rustc") || !is_installed("pkg-config") {
        return;
    }
    let neighbour = installed.program("libneighbour.a");
    let sources = root().join("tests/install");
    run(Command::new("rustc")
        .args(["--edition", "2024", "-o"])
        .arg(&neighbour)
        .arg(sources.join("neighbour.rs")));
    let program = installed.program("with_neighbour");
    run(Command::new("cc")
        .arg(sources.join("with_neighbour.c"))
        .arg(&neighbour)
        .args(installed.flags("drr-static"))
        .arg("-o")
        .arg(&program));
    run(Command::new(&program).arg(installed.model()));
}

/// Programs remember the name with the interface's number, not the file that they were linked to.
fn has_its_name(installed: &Installed) {
    if !is_installed("readelf") {
        return;
    }
    let library = installed.library().join("libdrr.so");
    let text = run(Command::new("readelf").arg("-d").arg(&library));
    let name = text.lines().find(|line| line.contains("(SONAME)")).unwrap_or_default();
    assert!(name.contains(&format!("[libdrr.so.{}]", DRR_ABI_VERSION)), "{text}");
    let target = std::fs::read_link(&library).expect("a link");
    assert_eq!(target, Path::new(&format!("libdrr.so.{}", DRR_ABI_VERSION)));
}
