//! The processes of MPI's world.

use anyhow::{Context, Result, ensure};
use mpi::Threading;
use mpi::collective::SystemOperation;
use mpi::environment::Universe;
use mpi::request;
use mpi::topology::SimpleCommunicator;
use mpi::traits::{Communicator, CommunicatorCollectives, Destination, Equivalence, Root, Source};

use super::link::{Link, Message};

/// Numbers of a bucket: messages long enough for the network, and the sum of one is on its way while
/// the next is sent.
const BUCKET: usize = 1 << 20;

/// All of them.
pub struct World {
    world: SimpleCommunicator,
    local: (usize, usize),
    // Ends MPI when it is dropped, behind the rest.
    _universe: Universe,
}

impl World {
    /// Starts MPI, which has to show as many processes as the environment `said`.
    ///
    /// # Errors
    /// If it does not start, or shows another number.
    pub fn start(said: usize) -> Result<Self> {
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
        Ok(Self { world, local, _universe: universe })
    }

    fn reduce<T: Equivalence + Copy>(&self, numbers: Vec<T>, by: SystemOperation) -> Vec<T> {
        if numbers.is_empty() {
            return numbers;
        }
        let mut reduced = numbers.clone();
        self.world.all_reduce_into(&numbers[..], &mut reduced[..], by);
        reduced
    }
}

impl Link for World {
    fn rank(&self) -> usize {
        self.world.rank() as usize
    }

    fn size(&self) -> usize {
        self.world.size() as usize
    }

    fn local(&self) -> (usize, usize) {
        self.local
    }

    fn sum(&self, numbers: Vec<f64>) -> Vec<f64> {
        self.reduce(numbers, SystemOperation::sum())
    }

    /// In buckets, several of them on their way at a time.
    fn sum_f32(&self, numbers: Vec<f32>) -> Vec<f32> {
        let mut reduced = numbers.clone();
        request::scope(|scope| {
            let buckets = numbers.chunks(BUCKET).zip(reduced.chunks_mut(BUCKET));
            let sums = buckets.map(|(from, to)| {
                self.world.immediate_all_reduce_into(scope, from, to, SystemOperation::sum())
            });
            let sums: Vec<_> = sums.collect();
            for sum in sums {
                sum.wait();
            }
        });
        reduced
    }

    fn max(&self, bytes: Vec<u8>) -> Vec<u8> {
        self.reduce(bytes, SystemOperation::max())
    }

    fn broadcast(&self, mut bytes: Vec<u8>) -> Vec<u8> {
        let first = self.world.process_at_rank(0);
        bytes.chunks_mut(4 * BUCKET).for_each(|bucket| first.broadcast_into(bucket));
        bytes
    }

    fn exchange(&self, sent: &[Message], received: &[(usize, usize)]) -> Vec<Vec<f32>> {
        let mut arrived: Vec<Vec<f32>> =
            received.iter().map(|&(_, count)| vec![0.0; count]).collect();
        request::scope(|scope| {
            let mut receiving = Vec::new();
            for ((rank, _), to) in received.iter().zip(&mut arrived) {
                let other = self.world.process_at_rank(*rank as i32);
                let buckets = to.chunks_mut(BUCKET);
                receiving.extend(buckets.map(|to| other.immediate_receive_into(scope, to)));
            }
            let mut sending = Vec::new();
            for (rank, from) in sent {
                let other = self.world.process_at_rank(*rank as i32);
                sending.extend(from.chunks(BUCKET).map(|from| other.immediate_send(scope, from)));
            }
            for request in receiving {
                request.wait();
            }
            for request in sending {
                request.wait();
            }
        });
        arrived
    }

    fn abort(&self) {
        self.world.abort(1);
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
