//! Processes that train one model together, over MPI.
//!
//! Each computes its share of every batch, gradients are added up, and all make the same step. The
//! first one says what is said, and writes. Without the feature `mpi`, and without `mpirun`, there is
//! one process, for which all of this does nothing.
//!
//! Calls that are for *all* wait for each other: every process has to make them, in the same order.

pub mod cut;
pub mod link;
#[cfg(feature = "mpi")]
mod mpi;
mod parts;

use std::cell::OnceCell;

#[cfg(not(feature = "mpi"))]
use anyhow::bail;
use anyhow::{Result, ensure};
use tch::{Device, Kind, Tensor};

use super::adam::Adam;
use crate::data::Share;
use crate::models::Parameters;
use crate::models::window::Window;
use cut::Halo;
use link::{Link, Message};
use parts::{append, parts, put};

/// What starters of MPI programs tell each process, how many there are: Open MPI's, MPICH's and Intel's,
/// MVAPICH's, Slurm's `srun`.
const SIZES: [&str; 4] =
    ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MV2_COMM_WORLD_SIZE", "SLURM_STEP_NUM_TASKS"];

/// The processes, seen from one of them.
#[derive(Default)]
pub struct Ranks<'a> {
    /// `None` if there is one alone.
    link: Option<Box<dyn Link + 'a>>,
    /// Of tensors that are cut up, since the first gradients.
    halo: OnceCell<Halo>,
}

impl Ranks<'static> {
    /// As `mpirun`, or whatever started this process, has it.
    ///
    /// # Errors
    /// If it started several, and this program cannot use MPI.
    pub fn start() -> Result<Self> {
        let said = SIZES.iter().find_map(|name| std::env::var(name).ok()?.parse::<usize>().ok());
        let Some(said) = said.filter(|&said| said > 1) else { return Ok(Self::default()) };
        let ranks = Self::of(start(said)?);
        if !ranks.is_first() {
            crate::progress::silence();
        }
        ranks.share_threads();
        Ok(ranks)
    }
}

#[cfg(feature = "mpi")]
fn start(said: usize) -> Result<Box<dyn Link>> {
    Ok(Box::new(mpi::World::start(said)?))
}

#[cfg(not(feature = "mpi"))]
fn start(said: usize) -> Result<Box<dyn Link>> {
    bail!(
        "{said} processes were started together, and this drr-train was built without MPI: build it \
         with `cargo build --release -p drr-train --features mpi`, or start one process"
    )
}

impl<'a> Ranks<'a> {
    /// Those that reach each other in this way.
    pub fn of(link: Box<dyn Link + 'a>) -> Self {
        Self { link: Some(link), halo: OnceCell::new() }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.link.as_ref().map_or(1, |link| link.size())
    }

    /// Whether this is the one that speaks and writes.
    pub fn is_first(&self) -> bool {
        self.share().rank == 0
    }

    /// What of each batch this one computes.
    pub fn share(&self) -> Share {
        Share { rank: self.link.as_ref().map_or(0, |link| link.rank()), ranks: self.count() }
    }

    /// Which one it is, for messages; `None` if it is alone.
    pub fn name(&self) -> Option<String> {
        let Share { rank, ranks } = self.share();
        (ranks > 1).then(|| format!("rank {rank} of {ranks}"))
    }

    /// Ends all of them, when one cannot go on; does nothing if it is alone.
    pub fn abort(&self) {
        if let Some(link) = &self.link {
            link.abort();
        }
    }

    /// The device of this one: those of a machine take its GPUs in turn, where `name` leaves that open.
    pub fn device(&self, name: &str, device: Device) -> Device {
        match device {
            Device::Cuda(0) if self.count() > 1 && !name.contains(':') => {
                let gpus = tch::Cuda::device_count().max(1) as usize;
                Device::Cuda(self.local().0 % gpus)
            }
            device => device,
        }
    }

    /// For all: whether it is so for any of them.
    pub fn any(&self, mine: bool) -> bool {
        self.sums([f64::from(u8::from(mine))])[0] > 0.0
    }

    /// For all: what it is for the first.
    pub fn of_first(&self, number: f64) -> f64 {
        let bytes = self.bytes_of_first(number.to_ne_bytes().to_vec());
        bytes.try_into().map_or(f64::NAN, f64::from_ne_bytes)
    }

    /// For all: the bytes of the first; each has as many.
    pub fn bytes_of_first(&self, bytes: Vec<u8>) -> Vec<u8> {
        match &self.link {
            Some(link) => link.broadcast(bytes),
            None => bytes,
        }
    }

    /// For all: the sums of what each has, as many numbers in each.
    pub fn sum(&self, numbers: &mut [f64]) {
        if let Some(link) = &self.link {
            numbers.copy_from_slice(&link.sum(numbers.to_vec()));
        }
    }

    /// For all: what each has, as many numbers in each.
    pub fn all(&self, numbers: &[f64]) -> Vec<Vec<f64>> {
        let Share { rank, ranks } = self.share();
        if numbers.is_empty() {
            return vec![Vec::new(); ranks];
        }
        let mut all = vec![0.0; numbers.len() * ranks];
        all[rank * numbers.len()..][..numbers.len()].copy_from_slice(numbers);
        self.sum(&mut all);
        all.chunks(numbers.len()).map(<[f64]>::to_vec).collect()
    }

    /// For all: the sums of what each has.
    pub fn sums<const N: usize>(&self, mut numbers: [f64; N]) -> [f64; N] {
        self.sum(&mut numbers);
        numbers
    }

    /// For all: checks that they stand at the same step.
    ///
    /// # Errors
    /// If they do not.
    pub fn check_step(&self, step: u64) -> Result<()> {
        let first = self.of_first(step as f64);
        let differs = self.any(first != step as f64);
        ensure!(
            !differs,
            "the processes found checkpoints of different steps (this one {step}, the first \
             {first}): the run's folder has to be on a file system that all of them see"
        );
        Ok(())
    }

    /// For all: the weights of the first, where they are others.
    pub fn align(&self, parameters: &Parameters) {
        let Some(link) = &self.link else { return };
        let shared = parameters.all().filter(|(name, _)| parameters.window(name).is_none());
        let tensors: Vec<&Tensor> = shared.map(|(_, tensor)| tensor).collect();
        let sum: f64 =
            tensors.iter().map(|tensor| tensor.abs().sum(Kind::Double).double_value(&[])).sum();
        if !self.any(self.of_first(sum) != sum) {
            return;
        }
        tch::no_grad(|| {
            for tensor in tensors {
                let mut numbers = Vec::new();
                append(tensor, &mut numbers);
                let bytes = link.broadcast(numbers.iter().flat_map(|x| x.to_ne_bytes()).collect());
                let numbers =
                    bytes.chunks_exact(4).map(|x| f32::from_ne_bytes([x[0], x[1], x[2], x[3]]));
                put(tensor, &numbers.collect::<Vec<_>>());
            }
        });
    }

    /// For all: makes the gradients of each those of the whole batch.
    pub fn sum_gradients(&self, adam: &Adam) {
        let Some(link) = &self.link else { return };
        let (parameters, windows): (Vec<&Tensor>, Vec<_>) = adam.parameters().unzip();
        let gradients = self.moving(&parameters).into_iter().zip(&windows);
        let (cut, shared): (Vec<_>, Vec<_>) = gradients.partition(|(_, window)| window.is_some());
        tch::no_grad(|| {
            let shared: Vec<Tensor> =
                shared.into_iter().filter_map(|(gradient, _)| gradient).collect();
            self.sum_shared(&**link, &shared);
            if !cut.is_empty() {
                let windows: Vec<&Window> = windows.iter().copied().flatten().collect();
                let halo = self.halo.get_or_init(|| Halo::new(self, &windows));
                let cut: Vec<_> = cut.into_iter().map(|(gradient, _)| gradient).collect();
                halo.sum(self, &cut);
            }
        });
    }

    /// For all: adds up tensors that all of them have.
    fn sum_shared(&self, link: &dyn Link, gradients: &[Tensor]) {
        let parts = parts(link, gradients);
        let mut numbers = Vec::new();
        let lengths: Vec<usize> = (gradients.iter().zip(&parts))
            .map(|(gradient, part)| part.append(gradient, &mut numbers))
            .collect();
        let numbers = link.sum_f32(numbers);
        let mut rest = &numbers[..];
        for ((gradient, part), length) in gradients.iter().zip(&parts).zip(lengths) {
            let (own, others) = rest.split_at(length);
            part.put(gradient, own);
            rest = others;
        }
    }

    /// The gradients of those that have one in any process; here, too, then.
    fn moving(&self, parameters: &[&Tensor]) -> Vec<Option<Tensor>> {
        let is_moving = |parameter: &&Tensor| parameter.grad().defined();
        let mut counts: Vec<f64> =
            parameters.iter().map(|parameter| f64::from(u8::from(is_moving(parameter)))).collect();
        self.sum(&mut counts);
        let gradient = |(parameter, count): (&&Tensor, f64)| {
            if count > 0.0 && !is_moving(parameter) {
                // A gradient of zeros.
                (parameter.sum(Kind::Float) * 0.0).backward();
            }
            (count > 0.0).then(|| parameter.grad())
        };
        parameters.iter().zip(counts).map(gradient).collect()
    }

    /// As [`Link::exchange`].
    fn exchange(&self, sent: &[Message], received: &[(usize, usize)]) -> Vec<Vec<f32>> {
        self.link.as_ref().map_or_else(Vec::new, |link| link.exchange(sent, received))
    }

    /// Which of the processes of its machine it is, and how many these are.
    fn local(&self) -> (usize, usize) {
        self.link.as_ref().map_or((0, 1), |link| link.local())
    }

    /// Processes of a machine share its cores, unless they were given cores of their own, or
    /// OMP_NUM_THREADS says how many threads each has.
    fn share_threads(&self) {
        let here = self.local().1;
        if here == 1 || std::env::var_os("OMP_NUM_THREADS").is_some() {
            return;
        }
        let own = std::thread::available_parallelism().map_or(1, usize::from);
        // SAFETY: asks for a number.
        let all = unsafe { libc::sysconf(libc::_SC_NPROCESSORS_ONLN) }.max(1) as usize;
        if own >= all {
            tch::set_num_threads((all / here).max(1) as i32);
        }
    }
}

impl std::fmt::Debug for Ranks<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "rank {} of {}", self.share().rank, self.count())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_process_is_all_there_is() {
        let ranks = Ranks::default();
        assert!(ranks.is_first() && ranks.count() == 1 && ranks.name().is_none());
        assert_eq!((ranks.share(), ranks.sums([1.5, 2.0])), (Share::default(), [1.5, 2.0]));
        assert!(ranks.any(true) && !ranks.any(false));
        assert!(ranks.check_step(7).is_ok());
        assert_eq!(ranks.device("cuda", Device::Cuda(0)), Device::Cuda(0));
    }
}
