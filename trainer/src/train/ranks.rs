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

/// What starters of MPI programs tell each process, how many there are: Open MPI's, MPICH's and Intel's,
/// MVAPICH's, Slurm's `srun`.
const SIZES: [&str; 4] =
    ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MV2_COMM_WORLD_SIZE", "SLURM_STEP_NUM_TASKS"];

/// From so many numbers on, a gradient is looked at for cells that no process touched.
const LARGE: usize = 1 << 18;

/// Part of a gradient's cells above which all of them are sent.
const SPARSE: f64 = 0.5;

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
        let parts = self.parts(link, gradients);
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

    /// What of each gradient is sent: of large ones, the cells that any process touched.
    fn parts(&self, link: &dyn Link, gradients: &[Tensor]) -> Vec<Part> {
        let cells: Vec<Option<Cells>> = gradients.iter().map(Cells::of).collect();
        let mut touched = Vec::new();
        for (gradient, cells) in gradients.iter().zip(&cells) {
            if let Some(cells) = cells {
                touched.extend(cells.touched(gradient));
            }
        }
        let touched = link.max(touched);
        let mut rest = &touched[..];
        let mut part = |cells: Option<Cells>| {
            let Some(cells) = cells else { return Part::All };
            let (own, others) = rest.split_at(cells.count);
            rest = others;
            let indices: Vec<i64> =
                (0..).zip(own).filter(|(_, touched)| **touched != 0).map(|(n, _)| n).collect();
            match indices.len() as f64 > SPARSE * cells.count as f64 {
                true => Part::All,
                false => Part::Some(cells, Tensor::from_slice(&indices)),
            }
        };
        cells.into_iter().map(&mut part).collect()
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

/// What of a gradient is sent.
enum Part {
    All,
    /// The cells of these numbers.
    Some(Cells, Tensor),
}

impl Part {
    /// Puts it behind other numbers; how many it has.
    fn append(&self, gradient: &Tensor, numbers: &mut Vec<f32>) -> usize {
        match self {
            Self::All => append(gradient, numbers),
            Self::Some(cells, indices) => {
                let indices = indices.to_device(gradient.device());
                let some = gradient.reshape(cells.shape).index_select(cells.axis, &indices);
                append(&some, numbers)
            }
        }
    }

    fn put(&self, gradient: &Tensor, numbers: &[f32]) {
        match self {
            Self::All => put(gradient, numbers),
            Self::Some(cells, indices) => {
                let indices = indices.to_device(gradient.device());
                let mut shape = cells.shape;
                shape[cells.axis as usize] = indices.numel() as i64;
                let values = Tensor::from_slice(numbers).view(shape).to_device(gradient.device());
                let whole = gradient.reshape(cells.shape).zeros_like();
                let whole = whole.index_copy(cells.axis, &indices, &values);
                gradient.shallow_clone().copy_(&whole.view(&gradient.size()[..]));
            }
        }
    }
}

/// How a gradient falls into cells of which a batch touches few: the vertices of a grid,
/// `[1, channels, depth, height, width]`, or the entries of a hash table, `[entries, features]`.
#[derive(Clone, Copy)]
struct Cells {
    /// As a matrix.
    shape: [i64; 2],
    /// Along which of its two axes the cells are.
    axis: i64,
    count: usize,
}

impl Cells {
    /// Of large gradients.
    fn of(gradient: &Tensor) -> Option<Self> {
        let size = gradient.size();
        if gradient.numel() < LARGE {
            return None;
        }
        match size[..] {
            [rows, columns] => {
                Some(Self { shape: [rows, columns], axis: 0, count: rows.try_into().ok()? })
            }
            [one, channels, ref along @ ..] if along.len() >= 2 => {
                let count: i64 = along.iter().product();
                let shape = [one * channels, count];
                Some(Self { shape, axis: 1, count: count.try_into().ok()? })
            }
            _ => None,
        }
    }

    /// A byte for each that is not 0 where the gradient is not.
    fn touched(&self, gradient: &Tensor) -> Vec<u8> {
        let across = [1 - self.axis];
        let touched = gradient.reshape(self.shape).ne(0.0).any_dims(&across[..], false);
        let mut bytes = vec![0; self.count];
        touched.to_kind(Kind::Uint8).to_device(Device::Cpu).copy_data(&mut bytes, self.count);
        bytes
    }
}

/// Puts the numbers of a tensor behind others; how many these are.
fn append(tensor: &Tensor, numbers: &mut Vec<f32>) -> usize {
    let (begin, count) = (numbers.len(), tensor.numel());
    numbers.resize(begin + count, 0.0);
    let flat = tensor.detach().to_device(Device::Cpu).to_kind(Kind::Float).contiguous();
    flat.copy_data(&mut numbers[begin..], count);
    count
}

fn put(tensor: &Tensor, numbers: &[f32]) {
    let values = Tensor::from_slice(numbers).view(&tensor.size()[..]);
    tensor.shallow_clone().copy_(&values);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A gradient of a shape in which only these cells are not 0.
    fn gradient(shape: &[i64], axis: i64, cells: &[i64]) -> Tensor {
        let all = Tensor::randn(shape, (Kind::Float, Device::Cpu));
        let gradient = all.zeros_like();
        for &cell in cells {
            gradient.narrow(axis, cell, 1).copy_(&all.narrow(axis, cell, 1));
        }
        gradient
    }

    #[test]
    fn touched_cells_are_all_that_is_sent() {
        let cells = [0, 17, 4095];
        let table = gradient(&[4096, 64], 0, &cells);
        let grid = gradient(&[1, 64, 4096], 2, &cells).view([1, 64, 16, 16, 16]);
        for gradient in [table, grid] {
            let found = Cells::of(&gradient).expect("a large one");
            let touched = found.touched(&gradient);
            let numbers: Vec<i64> =
                (0..).zip(&touched).filter(|(_, x)| **x != 0).map(|(n, _)| n).collect();
            assert_eq!(numbers, cells);
            // As if another process had touched one more.
            let part = Part::Some(found, Tensor::from_slice(&[0i64, 17, 18, 4095]));
            let mut sent = Vec::new();
            assert_eq!(part.append(&gradient, &mut sent), 4 * 64);
            sent.iter_mut().for_each(|x| *x *= 2.0);
            let twice = &gradient * 2.0;
            part.put(&gradient, &sent);
            assert!(gradient == twice, "and 0 elsewhere");
        }
    }

    #[test]
    fn small_gradients_are_sent_whole() {
        let gradient = Tensor::randn([3, 5], (Kind::Float, Device::Cpu));
        assert!(Cells::of(&gradient).is_none());
        let twice = &gradient * 2.0;
        let mut sent = vec![7.0];
        assert_eq!(Part::All.append(&gradient, &mut sent), 15);
        sent.iter_mut().for_each(|x| *x *= 2.0);
        Part::All.put(&gradient, &sent[1..]);
        assert!(gradient == twice);
    }

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
