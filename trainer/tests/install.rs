//! What `make install TRAIN=1` makes is found and used by pkg-config and CMake, after the whole tree has
//! been moved; without libtorch it says what to do.
#![cfg(target_os = "linux")]

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use drr_train::capi::DRR_TRAIN_ABI_VERSION;
use tempfile::TempDir;

/// Compiling what is tested here fast is worth more than its speed.
const QUICK: [(&str, &str); 3] = [
    ("CARGO_PROFILE_DEV_OPT_LEVEL", "0"),
    ("CARGO_PROFILE_DEV_DEBUG", "false"),
    ("CARGO_INCREMENTAL", "0"),
];

/// An installed tree that was moved.
struct Installed {
    folder: TempDir,
}

impl Installed {
    fn new() -> Self {
        let installed = Self { folder: tempfile::tempdir().expect("a temporary folder") };
        let stage = installed.folder.path().join("stage");
        let mut command = install();
        command.arg("--destdir").arg(&stage).args(["--prefix", "/opt/drr", "--profile", "dev"]);
        command.arg("--target-dir").arg(built_before()).envs(QUICK);
        let text = run(&mut command);
        assert!(text.contains("will look for libtorch in /"), "{text}");
        std::fs::rename(stage.join("opt/drr"), installed.prefix()).expect("a free name");
        installed
    }

    fn prefix(&self) -> PathBuf {
        self.folder.path().join("moved")
    }

    fn library(&self) -> PathBuf {
        self.prefix().join("lib")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What pkg-config says, word by word.
    fn pkg_config(&self, words: &[&str]) -> Vec<String> {
        let mut command = Command::new("pkg-config");
        command.args(words).env("PKG_CONFIG_PATH", self.library().join("pkgconfig"));
        run(&mut command).split_whitespace().map(str::to_owned).collect()
    }

    /// A program trains in a folder of its own, and finds all libraries by itself.
    fn trains(&self, program: &Path) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut command = Command::new(program);
        command.arg(folder.path()).current_dir(folder.path());
        command.env_remove("LD_LIBRARY_PATH").env("OMP_NUM_THREADS", "1");
        // Without optimisation the other kernels want more stack than their threads have.
        command.env("DRR_CPU", "scalar");
        assert_eq!(run(&mut command), "", "{program:?}");
    }
}

/// A target folder with what this test's libraries were built from, so that they alone are compiled.
/// What Cargo writes anew in place is a copy, the rest is linked to.
fn built_before() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("train_install");
    if target.exists() {
        std::fs::remove_dir_all(&target).expect("a folder of this test");
    }
    let ours = std::env::current_exe().expect("this program");
    let from = ours.parent().and_then(Path::parent).expect("the folder of a profile");
    let to = target.join("debug");
    std::fs::create_dir_all(to.join("deps")).expect("a folder");
    for name in [".fingerprint", "build"] {
        run(Command::new("cp").arg("-a").args([from.join(name), to.join(name)]));
    }
    for entry in std::fs::read_dir(from.join("deps")).expect("what this test was built from") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
        let kinds = ["rlib", "rmeta", "so"].map(|kind| Some(OsStr::new(kind)));
        if kinds.contains(&path.extension()) && !name.starts_with("libdrr") {
            std::fs::hard_link(&path, to.join("deps").join(name)).expect("a link");
        }
    }
    target
}

/// The folder of this repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn install() -> Command {
    let mut command = Command::new("python3");
    command.arg(root().join("tools/install.py")).arg("--train").env("CARGO", env!("CARGO"));
    command
}

fn is_installed(program: &str) -> bool {
    let found = Command::new(program).arg("--version").output().is_ok();
    if !found {
        eprintln!("skipped: no {program}");
    }
    found
}

fn output(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

/// What the command prints; it succeeds.
fn run(command: &mut Command) -> String {
    let output = output(command);
    let [out, err] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
    assert!(output.status.success(), "{command:?}: {}\n{out}{err}", output.status);
    out.into_owned()
}

#[test]
fn an_installed_library_trains_from_where_it_was_moved() {
    let installed = Installed::new();
    has_its_name(&installed);
    with_pkg_config(&installed);
    with_cmake(&installed);
}

/// Programs remember the name with the interface's number; the library remembers libtorch.
fn has_its_name(installed: &Installed) {
    let name = format!("libdrr_train.so.{DRR_TRAIN_ABI_VERSION}");
    for link in ["libdrr_train.so", &name] {
        let target = std::fs::read_link(installed.library().join(link)).expect("a link");
        assert_eq!(target, Path::new(&format!("{name}.0.0")));
    }
    if !is_installed("readelf") {
        return;
    }
    let library = installed.library().join("libdrr_train.so");
    let text = run(Command::new("readelf").arg("-d").arg(library));
    let line = |key: &str| text.lines().find(|line| line.contains(key)).unwrap_or_default();
    assert!(line("(SONAME)").contains(&format!("[{name}]")), "{text}");
    let libtorch = std::env::var_os("LIBTORCH").expect("what this test was built with");
    let libtorch = std::fs::canonicalize(libtorch).expect("its folder").join("lib");
    assert!(line("(RUNPATH)").contains(&format!("[{}]", libtorch.display())), "{text}");
}

fn with_pkg_config(installed: &Installed) {
    if !is_installed("pkg-config") {
        return;
    }
    let sources = root().join("trainer/tests/insitu");
    let module = |package| installed.pkg_config(&["--variable=fortran_source", package]).concat();
    for (compiler, flags, source) in [
        ("cc", &["-std=c11", "-D_GNU_SOURCE", "-fopenmp"][..], "use.c"),
        ("c++", &["-std=c++17"], "bindings.cpp"),
        ("gfortran", &[&module("drr"), &module("drr_train")], "bindings.f90"),
    ] {
        if !is_installed(compiler) {
            continue;
        }
        let program = installed.path(compiler);
        run(Command::new(compiler)
            .current_dir(installed.folder.path())
            .args(flags)
            .arg(sources.join(source))
            .args(installed.pkg_config(&["--cflags", "--libs", "drr_train"]))
            .args(["-lm", &format!("-Wl,-rpath,{}", installed.library().display()), "-o"])
            .arg(&program));
        installed.trains(&program);
    }
}

fn with_cmake(installed: &Installed) {
    if !is_installed("cmake") {
        return;
    }
    let build = installed.path("build");
    let configure = |wanted: &str| {
        let mut command = Command::new("cmake");
        command.arg("-S").arg(root().join("trainer/tests/install")).arg("-B").arg(&build);
        command.arg(format!("-DCMAKE_PREFIX_PATH={}", installed.prefix().display()));
        command.arg(format!("-DDRR_SOURCES={}", root().join("trainer/tests/insitu").display()));
        command.arg(format!("-DDRR_WANTED={wanted}"));
        command
    };
    let version = env!("CARGO_PKG_VERSION");
    for wanted in ["1000.0", &format!("{version};COMPONENTS;cuda")] {
        let refused = output(&mut configure(wanted));
        assert!(!refused.status.success(), "find_package(drr_train {wanted}) found something");
    }
    run(&mut configure(version));
    run(Command::new("cmake").arg("--build").arg(&build).args(["--parallel", "2"]));
    installed.trains(&build.join("train_c"));
    if is_installed("gfortran") {
        installed.trains(&build.join("train_fortran"));
    }
}

#[test]
fn without_libtorch_nothing_is_built_or_installed() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut command = install();
    command.arg("--prefix").arg(folder.path().join("prefix")).env("LIBTORCH", folder.path());
    let refused = output(&mut command);
    let text = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && text.contains("run `make setup`"), "{text}");
    assert!(!folder.path().join("prefix").exists());
}
