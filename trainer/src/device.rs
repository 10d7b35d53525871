//! Which device libtorch computes on, and where its CUDA half comes from.
//!
//! The program links the CPU half alone, so that it starts and is built without CUDA. Where CUDA is
//! wanted, the CUDA half of an installed PyTorch of the same version is opened.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_LAZY};
use tch::{Cuda, Device};

/// The version of PyTorch whose CUDA half fits.
const VERSION: &str = "2.11.0";

/// libtorch's CUDA half.
const CUDA_HALF: &str = "libtorch_cuda.so";

/// Names the folder of an installed PyTorch, as `--torch` does.
const VARIABLE: &str = "DRR_TORCH";

/// The device that `name` asks for: `cpu`, `cuda`, `cuda:N`, or `auto` (CUDA if there is one).
/// `torch` is the folder of an installed PyTorch; by default it is looked for.
///
/// # Errors
/// If the name is none of these, the device is not there, or `torch` holds no PyTorch that fits.
pub fn parse(name: &str, torch: Option<&Path>) -> Result<Device> {
    let (device, note) = resolve(name, torch, find)?;
    if let Some(note) = note {
        crate::progress::say(&note);
    }
    Ok(device)
}

/// As [`parse`], for a library: says nothing, and starts no Python to look for PyTorch.
///
/// # Errors
/// As [`parse`].
pub fn parse_quietly(name: &str) -> Result<Device> {
    let found = || {
        open(OsStr::new(CUDA_HALF))
            .with_context(|| format!("{VARIABLE} may name the folder of PyTorch {VERSION}"))
    };
    Ok(resolve(name, None, found)?.0)
}

/// A device, and what there is to say of the choice.
fn resolve(
    name: &str,
    torch: Option<&Path>,
    find: impl FnOnce() -> Result<()>,
) -> Result<(Device, Option<String>)> {
    let on_cpu = (Device::Cpu, None);
    let ordinal = match name {
        "cpu" => return Ok(on_cpu),
        "auto" if !has_driver() => return Ok(on_cpu),
        "auto" | "cuda" => 0,
        _ => match name.strip_prefix("cuda:").and_then(|n| n.parse::<usize>().ok()) {
            Some(ordinal) => ordinal,
            None => bail!("device `{name}`: expected cpu, cuda, cuda:N or auto"),
        },
    };
    let named = torch.map(Path::to_owned).or_else(|| std::env::var_os(VARIABLE).map(PathBuf::from));
    let loaded = match &named {
        Some(folder) => load(folder),
        None => find(),
    };
    if let Err(error) = loaded {
        if name == "auto" && named.is_none() {
            return Ok((Device::Cpu, Some(format!("note: training on the CPU: {error:#}"))));
        }
        return Err(error.context(format!(
            "device `{name}`: libtorch's CUDA half is not there; `--device cpu` works everywhere"
        )));
    }
    let count = if Cuda::is_available() { Cuda::device_count() as usize } else { 0 };
    if name == "auto" && count == 0 {
        return Ok(on_cpu);
    }
    ensure!(
        ordinal < count,
        "device `{name}`: libtorch sees {count} CUDA devices{}; `--device cpu` works everywhere",
        if has_driver() { "" } else { ", since there is no NVIDIA driver (libcuda.so.1)" }
    );
    Ok((Device::Cuda(ordinal), None))
}

/// Name for people.
pub fn name(device: Device) -> String {
    match device {
        Device::Cuda(n) => format!("cuda:{n}"),
        _ => format!("cpu, {} threads", tch::get_num_threads()),
    }
}

fn has_driver() -> bool {
    // SAFETY: the driver's initialisers do nothing before its first call.
    unsafe { Library::open(Some("libcuda.so.1"), RTLD_LAZY) }.is_ok()
}

/// Opens the CUDA half wherever it is: beside the CPU half, or in the PyTorch of the Python that
/// is in use.
fn find() -> Result<()> {
    if open(OsStr::new(CUDA_HALF)).is_ok() {
        return Ok(());
    }
    let folder = python_torch().with_context(|| {
        format!(
            "no PyTorch was found by `python3`; install torch {VERSION}, or name its folder by \
             --torch DIR or {VARIABLE}"
        )
    })?;
    load(&folder)
}

/// The folder of the package `torch` of the Python in use.
fn python_torch() -> Option<PathBuf> {
    const SCRIPT: &str = "import importlib.util as u; print(u.find_spec('torch').origin)";
    let python =
        Command::new("python3").args(["-c", SCRIPT]).stderr(Stdio::null()).output().ok()?;
    let origin = String::from_utf8(python.stdout).ok()?;
    let folder = Path::new(origin.trim()).parent()?;
    (python.status.success() && folder.is_dir()).then(|| folder.to_owned())
}

/// Opens the CUDA half of the PyTorch in `folder`, or in the folder `torch` of `folder`.
fn load(folder: &Path) -> Result<()> {
    let inner = folder.join("torch");
    let folder = if inner.is_dir() { &inner } else { folder };
    let version_file = folder.join("version.py");
    let text = std::fs::read_to_string(&version_file).with_context(|| {
        format!("{} is no PyTorch: cannot read {}", folder.display(), version_file.display())
    })?;
    let version = text.lines().find_map(|line| {
        let (_, value) = line.split_once("__version__ = ")?;
        Some(value.trim().trim_matches(['\'', '"']).to_owned())
    });
    let version = version.with_context(|| format!("{} has no version", version_file.display()))?;
    // What follows a plus sign says for which CUDA it was built.
    ensure!(
        version.split('+').next() == Some(VERSION),
        "{} is PyTorch {version}, expected {VERSION}, which this program was built with",
        folder.display()
    );
    let library = folder.join("lib").join(CUDA_HALF);
    ensure!(
        library.is_file(),
        "{} is a PyTorch without CUDA: there is no {}",
        folder.display(),
        library.display()
    );
    open(library.as_os_str())
}

fn open(library: &OsStr) -> Result<()> {
    // SAFETY: libtorch's own library, of the version of its other half; its initialisers register
    // kernels and nothing else.
    let opened = unsafe { Library::open(Some(library), RTLD_LAZY | RTLD_GLOBAL) };
    // Registered kernels must outlive everything.
    std::mem::forget(opened.with_context(|| format!("cannot open {}", library.display()))?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_have_names() {
        assert_eq!(parse("cpu", None).unwrap(), Device::Cpu);
        for name in ["gpu", "cuda:", "cuda:x", "cuda:-1", ""] {
            let error = parse(name, None).unwrap_err().to_string();
            assert!(error.ends_with("expected cpu, cuda, cuda:N or auto"), "{error}");
        }
    }

    #[test]
    fn only_a_pytorch_that_fits_is_opened() {
        let folder = tempfile::tempdir().unwrap();
        let torch = folder.path().join("torch");
        let said = |given: &Path| format!("{:#}", load(given).unwrap_err());
        assert!(said(&torch).contains("is no PyTorch: cannot read"));
        std::fs::create_dir_all(torch.join("lib")).unwrap();
        let write = |name: &str, text: &str| std::fs::write(torch.join(name), text).unwrap();
        write("version.py", "debug = False\n");
        assert!(said(&torch).contains("has no version"));
        write("version.py", "__version__ = '2.10.0+cu130'\n");
        assert!(said(&torch).contains("is PyTorch 2.10.0+cu130, expected 2.11.0"));
        write("version.py", "from typing import Optional\n__version__ = '2.11.0+cpu'\n");
        assert!(said(&torch).contains("is a PyTorch without CUDA: there is no"));
        // The package may be named by the folder that it is installed in.
        write("lib/libtorch_cuda.so", "no library");
        assert!(said(folder.path()).starts_with("cannot open"));
    }
}
