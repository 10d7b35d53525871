//! Which device libtorch computes on.

use anyhow::{Result, bail, ensure};
use tch::{Cuda, Device};

/// The device that `name` asks for: `cpu`, `cuda`, `cuda:N`, or `auto` (CUDA if there is one).
///
/// # Errors
/// If the name is none of these or the device is not there.
pub fn parse(name: &str) -> Result<Device> {
    if name == "cpu" {
        return Ok(Device::Cpu);
    }
    let ordinal = match name {
        "auto" | "cuda" => 0,
        _ => match name.strip_prefix("cuda:").and_then(|n| n.parse::<usize>().ok()) {
            Some(ordinal) => ordinal,
            None => bail!("device `{name}`: expected cpu, cuda, cuda:N or auto"),
        },
    };
    let reason = load_cuda();
    let count = if Cuda::is_available() { Cuda::device_count() as usize } else { 0 };
    if name == "auto" && count == 0 {
        return Ok(Device::Cpu);
    }
    ensure!(
        ordinal < count,
        "device `{name}`: libtorch sees {count} CUDA devices{}; `--device cpu` works everywhere",
        reason.map(|why| format!(" ({why})")).unwrap_or_default()
    );
    Ok(Device::Cuda(ordinal))
}

/// Name for people.
pub fn name(device: Device) -> String {
    match device {
        Device::Cuda(n) => format!("cuda:{n}"),
        _ => format!("cpu, {} threads", tch::get_num_threads()),
    }
}

/// Opens libtorch's CUDA half where an installation has one beside its CPU half: programs link
/// the CPU half alone, so that they also start where there is no CUDA. Says why not otherwise.
fn load_cuda() -> Option<String> {
    // SAFETY: libtorch's own library; its initialisers register kernels and nothing else.
    match unsafe { libloading::Library::new("libtorch_cuda.so") } {
        Ok(library) => {
            // Registered kernels must outlive everything.
            std::mem::forget(library);
            None
        }
        Err(error) => Some(error.to_string()),
    }
}
