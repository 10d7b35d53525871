//! Fields in all formats, written by the programs that people write them with.

use std::path::{Path, PathBuf};
use std::process::Command;

/// What writes them: the usual packages of Python.
const PACKAGES: [&str; 5] = ["numpy", "netCDF4", "h5py", "vtk", "pillow"];

/// Writes the files into `folder`, by a Python environment that is made once, beside the build;
/// `false` (and a line that says so) where that cannot be made.
pub fn write_fields(folder: &Path) -> bool {
    let Some(python) = environment() else { return false };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/write_fields.py");
    let output = Command::new(python).arg(script).arg(folder).output().expect("Python runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    true
}

fn environment() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("python-fields");
    let python = folder.join("bin/python");
    let works = || {
        let check = "import numpy, netCDF4, h5py, vtk, PIL";
        Command::new(&python).args(["-c", check]).output().is_ok_and(|out| out.status.success())
    };
    let run = |command: &mut Command| command.output().is_ok_and(|out| out.status.success());
    if !works() {
        let system = std::env::var("PYTHON").unwrap_or_else(|_| "python3".to_owned());
        run(Command::new(system).args(["-m", "venv"]).arg(&folder));
        // Without a network this fails at once.
        let pip = ["-m", "pip", "install", "--quiet", "--retries", "1", "--timeout", "20"];
        run(Command::new(&python).args(pip).args(PACKAGES));
    }
    if works() {
        return Some(python);
    }
    eprintln!("skipped: no Python with {} could be had (is there a network?)", PACKAGES.join(", "));
    None
}
