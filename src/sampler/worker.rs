//! How a query is carried out: ranges of points for threads, tiles of points for their workers,
//! whose buffers are kept from query to query.

use std::convert::Infallible;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;

use super::parameters::{Parameters, Ranges};
use super::points::Points;
use super::policy::{Location, Normalizer};
use super::pool::Pool;
use super::radiance::RenderScratch;
use super::results::ValuesMut;
use super::{Lattice, Runtime, SamplerOptions, Units};
use crate::cpu::{Binding, Positions, Run, Scratch, TILE};
use crate::model::Model;
use crate::model::spec::Transform;

/// Tiles that a thread takes at a time.
const TILES_PER_TASK: usize = 64;

/// How a query answers.
#[derive(Clone, Copy)]
pub struct Frame<'a> {
    pub runtime: &'a Runtime,
    pub options: &'a SamplerOptions,
    pub normalizer: &'a Normalizer,
}

/// Whose parameters a query answers for.
#[derive(Clone, Copy)]
pub enum Asked<'a> {
    /// The same for all points.
    Bound(&'a Bound),
    /// Each point's own: the row of its number.
    Each(&'a Parameters<'a>, &'a Ranges<'a>),
}

/// What follows from one set of parameters.
pub struct Bound {
    pub binding: Binding,
    /// All results are NaN because of a parameter.
    pub is_nan: bool,
}

/// Where the points of a query come from.
pub enum Source<'a> {
    Points(&'a Points<'a>),
    Lattice(&'a Lattice),
}

impl Source<'_> {
    pub fn len(&self) -> usize {
        match self {
            Self::Points(points) => points.len(),
            Self::Lattice(lattice) => lattice.points().unwrap_or(0),
        }
    }

    pub fn read(&self, start: usize, positions: &mut Positions) {
        match self {
            Self::Points(points) => points.read(start, positions),
            Self::Lattice(lattice) => lattice.read(start, positions),
        }
    }

    fn run(&self, start: usize) -> Option<Run> {
        match self {
            Self::Points(_) => None,
            Self::Lattice(lattice) => Some(lattice.run(start)),
        }
    }
}

impl Runtime {
    /// Runs `task` for ranges that together are all of `len` points, on the pool if there is one.
    pub(super) fn run<E: Send>(
        &self,
        len: usize,
        task: impl Fn(Range<usize>) -> Result<(), E> + Sync,
    ) -> Result<(), E> {
        let Some(pool) = self.threads_for(len) else { return task(0..len) };
        let size = range_size(len, pool);
        pool.install(|| {
            (0..len.div_ceil(size))
                .into_par_iter()
                .try_for_each(|n| task(n * size..len.min((n + 1) * size)))
        })
    }

    /// [`Runtime::run`] with a worker for each task.
    pub(super) fn each_range(&self, len: usize, task: impl Fn(&mut Worker, Range<usize>) + Sync) {
        let Ok(()) = self.run::<Infallible>(len, |range| {
            self.workers.lend(self, |worker| task(worker, range));
            Ok(())
        });
    }

    /// The threads that share a query of so many rows, if it is worth it.
    pub(super) fn threads_for(&self, rows: usize) -> Option<&rayon::ThreadPool> {
        self.pool.as_ref().and_then(Pool::get).filter(|_| rows > TILE)
    }
}

/// Points in a task of a query of `len`: whole tiles.
pub fn range_size(len: usize, pool: &rayon::ThreadPool) -> usize {
    TILE * TILES_PER_TASK.min(len.div_ceil(TILE * pool.current_num_threads()))
}

/// Workers that wait for the next query. As many as threads ask at the same time, so that none
/// waits for another; more are made and dropped.
#[derive(Default)]
pub struct Workers {
    slots: [Slot; 32],
}

/// On a cache line of its own: threads keep to theirs.
#[derive(Default)]
#[repr(align(64))]
struct Slot(Mutex<Option<Box<Worker>>>);

thread_local! {
    /// Where this thread looks first.
    static FIRST_SLOT: usize = {
        static THREADS: AtomicUsize = AtomicUsize::new(0);
        THREADS.fetch_add(1, Ordering::Relaxed)
    };
}

impl Workers {
    /// Calls `task` with a worker, and keeps the worker for the next query unless that panics.
    pub fn lend(&self, runtime: &Runtime, task: impl FnOnce(&mut Worker)) {
        let mut worker = self.take().unwrap_or_else(|| Box::new(Worker::new(runtime)));
        task(&mut worker);
        self.give_back(worker);
    }

    fn take(&self) -> Option<Box<Worker>> {
        self.slots().find_map(|slot| slot.0.try_lock().ok()?.take())
    }

    fn give_back(&self, worker: Box<Worker>) {
        let mut worker = Some(worker);
        for slot in self.slots() {
            // Never waits: a process that was forked may find slots locked for ever.
            if let Ok(mut free) = slot.0.try_lock()
                && free.is_none()
            {
                *free = worker.take();
                return;
            }
        }
    }

    /// All of them, those of this thread first.
    fn slots(&self) -> impl Iterator<Item = &Slot> {
        // A thread that is about to end may have lost its number.
        let first = FIRST_SLOT.try_with(|first| *first).unwrap_or(0) % self.slots.len();
        self.slots[first..].iter().chain(&self.slots[..first])
    }
}

/// Buffers of one thread.
pub struct Worker {
    pub scratch: Scratch,
    positions: Positions,
    /// Of the tile in evaluation and of the next.
    pub(super) locations: [[Location; TILE]; 2],
    /// Of a tile, `[rows, outputs]`.
    pub values: Vec<f64>,
    /// Made when a radiance field is first asked for colours.
    pub(super) render: Option<Box<RenderScratch>>,
}

impl Worker {
    fn new(runtime: &Runtime) -> Self {
        let Runtime { model, engine, .. } = runtime;
        Self {
            scratch: engine.scratch(model),
            positions: Positions { len: 0, axes: [[0.0; TILE]; 3] },
            locations: [[Location::Nan; TILE]; 2],
            values: vec![0.0; TILE * model.spec().outputs()],
            render: None,
        }
    }

    /// Evaluates the points of a range and writes their values.
    ///
    /// # Safety
    /// No other thread may write the same points.
    pub unsafe fn run(
        &mut self,
        frame: &Frame<'_>,
        asked: Asked<'_>,
        source: &Source<'_>,
        out: &ValuesMut<'_>,
        range: Range<usize>,
    ) {
        let Runtime { model, engine, .. } = frame.runtime;
        let stage = |worker: &mut Self, tile: Range<usize>| {
            worker.stage(frame, source, tile.clone());
            if let Asked::Each(parameters, ranges) = asked {
                let staged = engine.stage_parameters(model, &mut worker.scratch);
                parameters.read(tile.start, tile.len(), staged);
                ranges.locate(tile.len(), staged, &mut worker.locations[1]);
            }
        };
        self.each_tile(range, stage, |worker, tile| {
            let Self { scratch, values, .. } = worker;
            let values = &mut values[..tile.len() * model.spec().outputs()];
            let is_nan = match asked {
                Asked::Bound(Bound { binding, is_nan }) => {
                    engine.evaluate(model, binding, scratch, values);
                    *is_nan
                }
                Asked::Each(..) => {
                    engine.evaluate_each(model, scratch, values);
                    false
                }
            };
            // SAFETY: the caller's promise.
            unsafe { worker.write(frame, is_nan, 0, out, tile) };
        });
    }

    /// Calls `stage` and `evaluate` for each tile of a range; while a tile is computed, the
    /// vertices of the next one are fetched.
    pub fn each_tile(
        &mut self,
        range: Range<usize>,
        mut stage: impl FnMut(&mut Self, Range<usize>),
        mut evaluate: impl FnMut(&mut Self, Range<usize>),
    ) {
        let tile = |start: usize| start..range.end.min(start + TILE);
        if !range.is_empty() {
            stage(self, tile(range.start));
        }
        for start in range.clone().step_by(TILE) {
            self.locations.swap(0, 1);
            let next = tile(start + TILE);
            if !next.is_empty() {
                stage(self, next);
            }
            evaluate(self, tile(start));
        }
    }

    /// Prepares a tile.
    pub fn stage(&mut self, frame: &Frame<'_>, source: &Source<'_>, tile: Range<usize>) {
        let Runtime { model, engine, .. } = frame.runtime;
        source.read(tile.start, &mut self.positions);
        self.positions.len = self.positions.len.min(tile.len());
        frame.normalizer.locate(&mut self.positions, &mut self.locations[1]);
        let (padding, run) = (frame.options.padding(), source.run(tile.start));
        engine.stage(model, &self.positions, padding, run, &mut self.scratch);
    }

    /// Writes the values of a tile that was evaluated, from row `first` on.
    ///
    /// # Safety
    /// No other thread may write the same points.
    pub unsafe fn write(
        &mut self,
        frame: &Frame<'_>,
        is_nan: bool,
        first: usize,
        out: &ValuesMut<'_>,
        tile: Range<usize>,
    ) {
        let model = &frame.runtime.model;
        let outputs = model.spec().outputs();
        let values = &mut self.values[first * outputs..][..tile.len() * outputs];
        if frame.options.units == Units::Physical {
            denormalize(model, values);
        }
        let rows = values.chunks_exact_mut(outputs);
        for ((i, values), &location) in tile.zip(rows).zip(&self.locations[0]) {
            if is_nan || location != Location::Inside {
                values.fill(f64::NAN);
            }
            // SAFETY: the caller's promise.
            unsafe { out.set(i, values) };
        }
    }
}

/// From normalised results to physical ones, `[points, outputs]`.
pub fn denormalize(model: &Model, values: &mut [f64]) {
    let outputs = model.spec().values.len();
    for (k, spec) in model.spec().values.iter().enumerate() {
        let values = values[k..].iter_mut().step_by(outputs);
        let range = spec.max - spec.min;
        match spec.transform {
            Transform::Linear => values.for_each(|v| *v = *v * range + spec.min),
            Transform::Log => values.for_each(|v| *v = (*v * range + spec.min).exp()),
        }
    }
}
