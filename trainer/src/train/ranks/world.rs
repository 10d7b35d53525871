//! The processes of MPI's world.

use anyhow::{Context, Result, ensure};
use mpi::Threading;
use mpi::collective::SystemOperation;
use mpi::environment::Universe;
use mpi::request;
use mpi::topology::SimpleCommunicator;
use mpi::traits::{Communicator, CommunicatorCollectives, Destination, Equivalence, Root, Source};

/// Numbers of a bucket: messages long enough for the network, and the sum of one is on its way while
/// the next is sent.
const BUCKET: usize = 1 << 20;

/// All of them, or one alone.
#[derive(Default)]
pub struct World {
    started: Option<Started>,
}

struct Started {
    world: SimpleCommunicator,
    local: (usize, usize),
    // Ends MPI when it is dropped, behind the rest.
    _universe: Universe,
}

impl World {
    /// Starts MPI if `said`, the number of processes that the environment tells, is more than one.
    ///
    /// # Errors
    /// If MPI does not start, or not with as many.
    pub fn start(said: usize) -> Result<Self> {
        if said <= 1 {
            return Ok(Self::default());
        }
        // Calls come from one thread; others read fields.
        let (universe, _) =
            mpi::initialize_with_threading(Threading::Funneled).context("MPI does not start")?;
        let world = universe.world();
        ensure!(
            world.size() as usize == said,
            "{said} processes were started together, but MPI shows {} of them: start this program by \
             the mpirun (or srun) of the MPI that it was built with",
            world.size()
        );
        let here = world.split_shared(world.rank());
        let local = (here.rank() as usize, here.size() as usize);
        Ok(Self { started: Some(Started { world, local, _universe: universe }) })
    }

    pub fn rank(&self) -> usize {
        self.started.as_ref().map_or(0, |started| started.world.rank() as usize)
    }

    pub fn size(&self) -> usize {
        self.started.as_ref().map_or(1, |started| started.world.size() as usize)
    }

    /// Which of the processes of its machine it is, and how many these are.
    pub fn local(&self) -> (usize, usize) {
        self.started.as_ref().map_or((0, 1), |started| started.local)
    }

    pub fn sum(&self, numbers: &mut [f64]) {
        self.reduce(numbers, SystemOperation::sum());
    }

    /// In buckets, several of them on their way at a time.
    pub fn sum_f32(&self, numbers: &mut [f32]) {
        let Some(Started { world, .. }) = &self.started else { return };
        let sent = numbers.to_vec();
        request::scope(|scope| {
            let buckets = sent.chunks(BUCKET).zip(numbers.chunks_mut(BUCKET));
            let sums = buckets.map(|(from, to)| {
                world.immediate_all_reduce_into(scope, from, to, SystemOperation::sum())
            });
            let sums: Vec<_> = sums.collect();
            for sum in sums {
                sum.wait();
            }
        });
    }

    pub fn any_bytes(&self, bytes: &mut [u8]) {
        self.reduce(bytes, SystemOperation::max());
    }

    pub fn broadcast(&self, numbers: &mut [f64]) {
        self.send_from_first(numbers);
    }

    pub fn broadcast_f32(&self, numbers: &mut [f32]) {
        self.send_from_first(numbers);
    }

    /// What each has: as many numbers as this one.
    pub fn gather_all(&self, numbers: &[i64]) -> Vec<Vec<i64>> {
        let Some(Started { world, .. }) = &self.started else { return vec![numbers.to_vec()] };
        let mut all = vec![0; numbers.len() * self.size()];
        if numbers.is_empty() {
            return vec![Vec::new(); self.size()];
        }
        world.all_gather_into(numbers, &mut all[..]);
        all.chunks(numbers.len()).map(<[i64]>::to_vec).collect()
    }

    /// Sends numbers to some processes, and gets as many from each of them.
    pub fn exchange(&self, sent: &[(usize, Vec<f32>)]) -> Vec<Vec<f32>> {
        let Some(Started { world, .. }) = &self.started else { return Vec::new() };
        let mut received: Vec<Vec<f32>> =
            sent.iter().map(|(_, numbers)| vec![0.0; numbers.len()]).collect();
        request::scope(|scope| {
            let mut requests = Vec::new();
            for ((rank, from), to) in sent.iter().zip(&mut received) {
                let other = world.process_at_rank(*rank as i32);
                for (from, to) in from.chunks(BUCKET).zip(to.chunks_mut(BUCKET)) {
                    requests.push(other.immediate_receive_into(scope, to));
                    requests.push(other.immediate_send(scope, from));
                }
            }
            for request in requests {
                request.wait();
            }
        });
        received
    }

    /// Calls `see` in the first with what each has, `lengths` numbers of them, one after the other.
    pub fn collect(&self, numbers: &[f32], lengths: &[usize], mut see: impl FnMut(usize, &[f32])) {
        let Some(Started { world, .. }) = &self.started else { return see(0, numbers) };
        if self.rank() > 0 {
            let first = world.process_at_rank(0);
            numbers.chunks(BUCKET).for_each(|bucket| first.send(bucket));
            return;
        }
        see(0, numbers);
        for (rank, &length) in lengths.iter().enumerate().skip(1) {
            let mut theirs = vec![0.0f32; length];
            let other = world.process_at_rank(rank as i32);
            for bucket in theirs.chunks_mut(BUCKET) {
                other.receive_into(bucket);
            }
            see(rank, &theirs);
        }
    }

    pub fn abort(&self) {
        if let Some(Started { world, .. }) = &self.started {
            world.abort(1);
        }
    }

    fn reduce<T: Equivalence + Copy>(&self, numbers: &mut [T], by: SystemOperation) {
        let Some(Started { world, .. }) = &self.started else { return };
        if !numbers.is_empty() {
            let sent = numbers.to_vec();
            world.all_reduce_into(&sent[..], numbers, by);
        }
    }

    fn send_from_first<T: Equivalence>(&self, numbers: &mut [T]) {
        let Some(Started { world, .. }) = &self.started else { return };
        world.process_at_rank(0).broadcast_into(numbers);
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // The others wait for this one, and ending MPI would wait for them.
        if std::thread::panicking() {
            self.abort();
        }
    }
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "rank {} of {}", self.rank(), self.size())
    }
}
