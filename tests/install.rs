//! What `make install` makes is found and used by pkg-config, CMake and plain make, after the
//! whole tree has been moved. `cargo cinstall` makes the same, as far as it can.
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

/// What is built here only says what is in a model: compiling it fast is worth more than its speed.
const QUICK: (&str, &str) = ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0");

/// An installed tree that was moved, and a model beside it.
struct Installed {
    folder: TempDir,
}

impl Installed {
    fn new() -> Self {
        let installed = Self { folder: tempfile::tempdir().expect("a temporary folder") };
        // It builds in target/install, as the target folder of the test under way is locked.
        let stage = installed.folder.path().join("stage");
        run(Command::new("make")
            .args(["-C", &root().display().to_string(), "install", "PREFIX=/opt/drr"])
            .arg(format!("DESTDIR={}", stage.display()))
            .arg(format!("CARGO={}", env!("CARGO")))
            .env(QUICK.0, QUICK.1));
        std::fs::rename(stage.join("opt/drr"), installed.prefix()).expect("a free name");
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
        flags(&self.prefix(), &[package])
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

/// The flags that pkg-config knows for a package of a tree.
fn flags(prefix: &Path, package: &[&str]) -> Vec<String> {
    let mut command = Command::new("pkg-config");
    command.args(["--cflags", "--libs"]).args(package);
    command.env("PKG_CONFIG_PATH", prefix.join("lib/pkgconfig"));
    run(&mut command).split_whitespace().map(str::to_owned).collect()
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
    has_its_name(&installed.prefix());
    as_cargo_cinstall_makes_it(&installed);
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
    let version = env!("CARGO_PKG_VERSION");
    let [major, minor] = [env!("CARGO_PKG_VERSION_MAJOR"), env!("CARGO_PKG_VERSION_MINOR")];
    let next = minor.parse::<u32>().expect("a number") + 1;
    for wanted in ["1000.0", &format!("{major}.{next}"), &format!("{version};COMPONENTS;static")] {
        let refused = configure(wanted).output().expect("cmake");
        assert!(!refused.status.success(), "find_package(drr {wanted}) found something");
    }
    for wanted in ["", &format!("{major}.{minor}"), version, &format!("{version};EXACT")] {
        run(&mut configure(wanted));
    }
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
fn has_its_name(prefix: &Path) {
    if !is_installed("readelf") {
        return;
    }
    let library = prefix.join("lib/libdrr.so");
    let text = run(Command::new("readelf").arg("-d").arg(&library));
    let name = text.lines().find(|line| line.contains("(SONAME)")).unwrap_or_default();
    assert!(name.contains(&format!("[libdrr.so.{DRR_ABI_VERSION}]")), "{text}");
}

/// The files that it makes have the same names and contents. It cannot make those that say where
/// the library lies or what a static one needs, but for its own drr.pc.
fn as_cargo_cinstall_makes_it(installed: &Installed) {
    if !is_installed("cargo-cinstall") {
        return;
    }
    let prefix = installed.program("cinstalled");
    run(Command::new(env!("CARGO"))
        .env(QUICK.0, QUICK.1)
        .current_dir(root())
        .args(["cinstall", "--locked", "--libdir=lib", "--target-dir=target/install"])
        .arg(format!("--prefix={}", prefix.display())));

    let mut expected = tree(&installed.prefix());
    expected.retain(|name| !name.starts_with("lib/cmake") && !name.ends_with("drr-static.pc"));
    assert_eq!(tree(&prefix), expected);
    for name in ["include/drr.h", "include/drr.hpp", "share/drr/drr.f90", "share/drr/drr_cuda.f90"]
    {
        let read = |prefix: &Path| std::fs::read(prefix.join(name)).expect(name);
        assert!(read(&prefix) == read(&installed.prefix()), "{name} differs");
    }
    has_its_name(&prefix);
    if is_installed("pkg-config") {
        for package in [&["drr"][..], &["--static", "drr"]] {
            let moved = flags(&installed.prefix(), package).join(" ");
            let moved = moved
                .replace(&installed.library().join("pkgconfig/../..").display().to_string(), "");
            let made = flags(&prefix, package).join(" ").replace(&prefix.display().to_string(), "");
            assert_eq!(made, moved);
        }
        let program = installed.program("cinstalled_describe");
        run(Command::new("cc")
            .arg(example())
            .args(flags(&prefix, &["drr"]))
            .arg(format!("-Wl,-rpath,{}", prefix.join("lib").display()))
            .arg("-o")
            .arg(&program));
        installed.describes(&program);
    }
}

/// The files of a folder, in order; links with what they point to.
fn tree(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(inner) = folders.pop() {
        for entry in std::fs::read_dir(inner).expect("a folder") {
            let path = entry.expect("an entry").path();
            let name = path.strip_prefix(folder).expect("a path below it").display();
            match std::fs::read_link(&path) {
                Ok(target) => found.push(format!("{name} -> {}", target.display())),
                Err(_) if path.is_dir() => folders.push(path),
                Err(_) => found.push(name.to_string()),
            }
        }
    }
    found.sort();
    found
}
