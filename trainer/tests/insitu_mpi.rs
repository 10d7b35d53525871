//! Programs in C, C++ and Fortran whose processes train together over MPI, compiled by MPI's own compilers:
//! they learn what one process learns.
#![cfg(target_os = "linux")]

mod common;

use std::process::Command;

use common::programs::{WARNINGS, is_installed, libraries, root};
use common::ranks::MPI;
use tempfile::TempDir;

/// A small model; rounding does not show with so large an epsilon.
const MODEL: &str = "
model:
  type: HDINRBase
  param:
    out_dim: 1
    hidden_dim: 16
    default_act: ReLU
    out_act: Identity
    decoder_kwargs: {type: FeatMLP, param: {feat_dim: 16, num_layers: 2, out_dim: 1}}
    encoder_kwargs:
      type: MultiDenseFeatGrid
      param: {grid_shapes: [[4, 5, 6]], num_feat: 8, refine_highest_res: [4, 5, 6]}
    if_refine: true
    spatial_fdim: 8
    spatial_trans_kwargs:
      {type: GLUFeatMLP, param: {feat_dim: 8, out_dim: 8, num_layers: 1, hidden_mult: 2}}
    latent_kwargs:
      type: MultiCondLatentLines
      param: {cond_dim: 1, line_dims_list: [[5]], latent_shape: [4]}
optim: {type: Adam, param: {lr: 0.01, eps: 1e-4}}
dataset: {type: HDFieldDataset, param: {cond_batch: 4, batch_points: 128}}
";

fn are_installed(programs: &[&str]) -> bool {
    programs.iter().all(|name| is_installed(name))
}

/// A program in a folder of its own, which has `model.yaml`, too.
fn compiled(compiler: &str, flags: &[&str], sources: &[&str]) -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join("model.yaml"), MODEL).expect("room for a file");
    let mut command = Command::new(compiler);
    command.current_dir(folder.path()).args(flags).args(WARNINGS).args(["-o", "program"]);
    for include in ["include", "bindings/cpp", "trainer/tests/insitu"] {
        command.arg("-I").arg(root().join(include));
    }
    command.args(sources.iter().map(|source| root().join(source)));
    command.arg("-L").arg(libraries()).args(["-ldrr_train", "-ldrr", "-lm"]);
    command.arg(format!("-Wl,-rpath,{}", libraries().display()));
    let output = command.output().expect(compiler);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && said.is_empty(), "{command:?}: {said}");
    folder
}

/// The numbers that the first of so many processes prints.
fn printed(folder: &TempDir, ranks: usize) -> Vec<f64> {
    let _ = std::fs::remove_dir_all(folder.path().join("run"));
    let mut command = Command::new("mpirun");
    command.args(["-n", &ranks.to_string(), "./program"]).arg(folder.path());
    command.envs(MPI.map(|name| (format!("OMPI_{name}"), "1")));
    // Cargo's would find other builds of the libraries first.
    command.current_dir(folder.path()).env_remove("LD_LIBRARY_PATH").env("OMP_NUM_THREADS", "1");
    let output = command.output().expect("mpirun");
    let (text, said) = (output.stdout, String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{ranks} processes: {}\n{said}", output.status);
    let text = String::from_utf8(text).expect("UTF-8");
    text.split_whitespace().map(|number| number.parse().expect("a number")).collect()
}

/// They learn the same, however many there are.
fn check(folder: &TempDir, numbers: usize) {
    let alone = printed(folder, 1);
    assert_eq!(alone.len(), numbers);
    assert!(alone[1] > 20.0, "{alone:?}");
    for ranks in [2, 4] {
        let found = printed(folder, ranks);
        assert_eq!(found.len(), numbers);
        for (found, alone) in found.iter().zip(&alone) {
            let error = (found - alone).abs() / alone.abs();
            assert!(error < 2e-2, "{ranks} processes: {found}, expected {alone}");
        }
    }
}

#[test]
fn processes_in_c_and_cpp_train_together() {
    if !are_installed(&["mpicc", "mpirun"]) {
        return;
    }
    let source = "trainer/tests/insitu/mpi.c";
    check(&compiled("mpicc", &["-std=c11", "-D_GNU_SOURCE", "-g"], &[source]), 3);
    if are_installed(&["mpicxx"]) {
        // MPI's own headers are not ours to warn of.
        let flags = ["-x", "c++", "-std=c++17", "-DOMPI_SKIP_MPICXX", "-DMPICH_SKIP_MPICXX"];
        let folder = compiled("mpicxx", &flags, &[source]);
        assert_eq!(printed(&folder, 2).len(), 3);
    }
}

#[test]
fn images_in_fortran_train_together() {
    if !are_installed(&["mpifort", "mpirun"]) {
        return;
    }
    let sources = [
        "bindings/fortran/drr_train.f90",
        "bindings/fortran/drr_train_mpi.f90",
        "trainer/tests/insitu/mpi.f90",
    ];
    let flags = ["-std=f2008", "-fcheck=all", "-g", "-Wno-compare-reals"];
    check(&compiled("mpifort", &flags, &sources), 2);
}
