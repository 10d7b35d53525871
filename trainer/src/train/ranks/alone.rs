//! One process, where the program was built without MPI.

use anyhow::{Result, ensure};

/// That one.
#[derive(Debug, Default)]
pub struct World;

impl World {
    /// # Errors
    /// If there were to be several.
    pub fn start(said: usize) -> Result<Self> {
        ensure!(
            said <= 1,
            "{said} processes were started together, and this drr-train was built without MPI: build \
             it with `cargo build --release -p drr-train --features mpi`, or start one process"
        );
        Ok(Self)
    }

    pub fn rank(&self) -> usize {
        0
    }

    pub fn size(&self) -> usize {
        1
    }

    /// Which of the processes of its machine it is, and how many these are.
    pub fn local(&self) -> (usize, usize) {
        (0, 1)
    }

    pub fn sum(&self, _: &mut [f64]) {}

    pub fn sum_f32(&self, _: &mut [f32]) {}

    pub fn any_bytes(&self, _: &mut [u8]) {}

    pub fn broadcast(&self, _: &mut [f64]) {}

    pub fn broadcast_f32(&self, _: &mut [f32]) {}

    /// What each has.
    pub fn gather_all(&self, numbers: &[i64]) -> Vec<Vec<i64>> {
        vec![numbers.to_vec()]
    }

    pub fn exchange(&self, _: &[(usize, Vec<f32>)]) -> Vec<Vec<f32>> {
        Vec::new()
    }

    /// Calls `see` with what each has.
    pub fn collect(&self, numbers: &[f32], _: &[usize], mut see: impl FnMut(usize, &[f32])) {
        see(0, numbers);
    }

    pub fn abort(&self) {}
}
