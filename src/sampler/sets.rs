//! Queries for more than one set of parameters: each point its own, or many sets over the same
//! points.

use std::ops::Range;

use rayon::prelude::*;

use super::parameters::{Parameters, Ranges};
use super::points::Points;
use super::policy::{Location, Normalizer};
use super::results::ValuesMut;
use super::scalar::Number;
use super::worker::{Asked, Bound, Frame, Source, Worker, range_size};
use super::{Outside, Runtime, SamplerOptions};
use crate::cpu::{Positions, TILE};
use crate::{Error, ErrorKind, Result};

/// Sets that are bound at a time. The features of a tile are gathered once for each so many.
const SETS: usize = 64;

/// Bytes of bindings at a time, per thread: fewer sets are bound where one takes much of it.
const BINDINGS: usize = 1 << 26;

/// Tasks per thread where points are few and sets are many.
const TASKS_PER_THREAD: usize = 4;

/// Where the results of a query for several sets of parameters go, in the caller's memory.
pub struct SetValuesMut<'a> {
    sets: usize,
    /// Of the first set.
    first: ValuesMut<'a>,
    set_stride: isize,
}

impl<'a> SetValuesMut<'a> {
    /// Values one set after the other, `[sets][points][outputs]`.
    ///
    /// # Errors
    /// `InvalidArgument` if the length is no multiple of `sets * outputs`.
    pub fn packed<T: Number>(values: &'a mut [T], sets: usize, outputs: usize) -> Result<Self> {
        let per_set = values.len().checked_div(sets).unwrap_or(0);
        if per_set * sets != values.len() {
            return Err(Error::argument(format!(
                "room for {} values cannot be divided by {sets} sets",
                values.len()
            )));
        }
        let first = ValuesMut::packed(&mut values[..per_set], outputs)?;
        // SAFETY: each set's values follow those of the set before, in what is borrowed for 'a.
        Ok(unsafe { Self::from_raw(sets, first, (per_set * size_of::<T>()) as isize) })
    }

    /// Any layout: where the values of the first set go, and the bytes from one set to the next.
    ///
    /// # Safety
    /// What [`ValuesMut::from_raw`] asks for must hold for the values of set `s < sets` at
    /// `s * set_stride` bytes from those of the first, and no two of all these may overlap.
    pub unsafe fn from_raw(sets: usize, first: ValuesMut<'a>, set_stride: isize) -> Self {
        Self { sets, first, set_stride }
    }

    /// Number of sets.
    pub fn sets(&self) -> usize {
        self.sets
    }

    fn set(&self, n: usize) -> ValuesMut<'_> {
        assert!(n < self.sets);
        // SAFETY: in range by the assertion, so `from_raw`'s condition covers these addresses.
        unsafe { self.first.shifted(n as isize * self.set_stride) }
    }
}

impl Runtime {
    /// Values at `points`, each for parameters of its own: row `i` of `parameters` is that of
    /// point `i`. The same field as that of a [`Sampler`](super::Sampler) for each point, up to
    /// rounding. A point with a NaN coordinate or parameter gives NaN.
    ///
    /// # Errors
    /// `InvalidArgument` if sizes do not fit the model or each other; `OutsideDomain` by policy,
    /// naming the first such point. Nothing is written then.
    pub fn query(
        &self,
        parameters: &Parameters<'_>,
        options: &SamplerOptions,
        points: &Points<'_>,
        values: &mut ValuesMut<'_>,
    ) -> Result<()> {
        let spec = self.model.spec();
        let ranges = Ranges::new(spec, options)?;
        self.check_points(points)?;
        self.check_room(points.len(), values)?;
        parameters.check(spec, points.len(), "point")?;
        let normalizer = Normalizer::new(spec, options);
        let frame = Frame { runtime: self, options, normalizer: &normalizer };
        let asked = Asked::Each(parameters, &ranges);
        let source = Source::Points(points);
        frame.check_inside(&source, Some(asked))?;
        let values = &*values;
        self.each_range(points.len(), |worker, range| {
            // SAFETY: the ranges are disjoint and each is visited once.
            unsafe { worker.run(&frame, asked, &source, values, range) };
        });
        Ok(())
    }

    /// Values at `points` for many sets of parameters, each a row of `parameters`: bit by bit those
    /// of a [`Sampler`](super::Sampler) for each set, but what does not depend on the parameters is
    /// computed once. A set with a NaN parameter gives NaN.
    ///
    /// # Errors
    /// `InvalidArgument` if sizes do not fit the model or each other; `OutsideDomain` by policy,
    /// naming the first such set or point. Nothing is written then.
    pub fn query_sets(
        &self,
        parameters: &Parameters<'_>,
        options: &SamplerOptions,
        points: &Points<'_>,
        values: &mut SetValuesMut<'_>,
    ) -> Result<()> {
        let spec = self.model.spec();
        let ranges = Ranges::new(spec, options)?;
        parameters.check(spec, values.sets, "set")?;
        if values.sets == 0 {
            return Ok(());
        }
        self.check_points(points)?;
        self.check_room(points.len(), &values.first)?;
        let normalizer = Normalizer::new(spec, options);
        let frame = Frame { runtime: self, options, normalizer: &normalizer };
        let normalize = |set: usize| {
            ranges.normalize(&parameters.row(set)).map_err(|e| e.context(format!("set {set}")))
        };
        if options.outside_parameters == Outside::Error {
            (0..parameters.rows()).try_for_each(|set| normalize(set).map(drop))?;
        }
        let source = Source::Points(points);
        frame.check_inside(&source, None)?;
        let values = &*values;
        self.each_block(points.len(), values.sets, |worker, range, sets| {
            let each = self.engine.bound_bytes(&self.model).max(1);
            let at_once = (BINDINGS / each).clamp(1, SETS);
            for first in sets.clone().step_by(at_once) {
                let last = sets.end.min(first + at_once);
                // Errors were found above; whoever changes parameters meanwhile gets NaN.
                let bounds: Vec<Bound> = (first..last)
                    .map(|set| {
                        let unknown = |_| (vec![0.0; spec.parameters.len()], true);
                        let (normalized, is_nan) = normalize(set).unwrap_or_else(unknown);
                        Bound { binding: self.engine.bind(&self.model, &normalized), is_nan }
                    })
                    .collect();
                // SAFETY: the blocks are disjoint and each is visited once.
                unsafe { worker.run_sets(&frame, &bounds, &source, values, first, range.clone()) };
            }
        });
        Ok(())
    }

    /// Carries out a query of `len` points for each of `sets`: `task` gets ranges of both, which
    /// are disjoint and cover all pairs.
    fn each_block(
        &self,
        len: usize,
        sets: usize,
        task: impl Fn(&mut Worker, Range<usize>, Range<usize>) + Send + Sync,
    ) {
        let Some(pool) = self.threads_for(len.saturating_mul(sets)) else {
            return self.workers.lend(self, |worker| task(worker, 0..len, 0..sets));
        };
        let size = range_size(len, pool);
        let ranges = len.div_ceil(size);
        let parts = (TASKS_PER_THREAD * pool.current_num_threads()).div_ceil(ranges);
        let sets_of_part = sets.div_ceil(parts);
        let parts = sets.div_ceil(sets_of_part);
        pool.install(|| {
            (0..ranges * parts).into_par_iter().for_each(|n| {
                let (start, first) = (n / parts * size, n % parts * sets_of_part);
                let range = start..len.min(start + size);
                let sets = first..sets.min(first + sets_of_part);
                self.workers.lend(self, |worker| task(worker, range, sets));
            });
        });
    }
}

impl Worker {
    /// Evaluates the points of a range for sets of parameters from number `first_set` on.
    ///
    /// # Safety
    /// No other thread may write the same points of the same sets.
    unsafe fn run_sets(
        &mut self,
        frame: &Frame<'_>,
        bounds: &[Bound],
        source: &Source<'_>,
        out: &SetValuesMut<'_>,
        first_set: usize,
        range: Range<usize>,
    ) {
        let Runtime { model, engine, .. } = frame.runtime;
        let outputs = model.spec().outputs();
        let stage = |worker: &mut Self, tile| worker.stage(frame, source, tile);
        self.each_tile(range, stage, |worker, tile| {
            // Few points share the rows of a tile with those of other sets.
            let at_once = TILE / tile.len();
            for (n, bounds) in bounds.chunks(at_once).enumerate() {
                let bindings: Vec<_> = bounds.iter().map(|bound| &bound.binding).collect();
                let Self { scratch, values, .. } = &mut *worker;
                let values = &mut values[..bounds.len() * tile.len() * outputs];
                engine.evaluate_sets(model, &bindings, scratch, values);
                for (k, bound) in bounds.iter().enumerate() {
                    let out = out.set(first_set + n * at_once + k);
                    let first = k * tile.len();
                    // SAFETY: the caller's promise.
                    unsafe { worker.write(frame, bound.is_nan, first, &out, tile.clone()) };
                }
            }
            worker.scratch.finish();
        });
    }
}

impl Frame<'_> {
    /// # Errors
    /// `OutsideDomain` by policy, naming the first point that lies outside or whose own parameters
    /// do.
    pub fn check_inside(&self, source: &Source<'_>, asked: Option<Asked<'_>>) -> Result<()> {
        let own = match asked {
            Some(Asked::Each(parameters, ranges))
                if self.options.outside_parameters == Outside::Error =>
            {
                Some((parameters, ranges))
            }
            _ => None,
        };
        if self.options.outside != Outside::Error && own.is_none() {
            return Ok(());
        }
        let axes = self.runtime.model.spec().axes.len();
        let mut positions = Positions { len: 0, axes: [[0.0; TILE]; 3] };
        let mut locations = [Location::Nan; TILE];
        let mut tile = vec![[0.0; TILE]; own.map_or(0, |(parameters, _)| parameters.columns())];
        for start in (0..source.len()).step_by(TILE) {
            source.read(start, &mut positions);
            let (len, given) = (positions.len, positions.axes);
            self.normalizer.locate(&mut positions, &mut locations);
            let is_outside = |&location: &Location| location == Location::Outside;
            let point = (self.options.outside == Outside::Error)
                .then(|| locations[..len].iter().position(is_outside))
                .flatten();
            let parameter = own.and_then(|(parameters, ranges)| {
                parameters.read(start, len, &mut tile);
                ranges.first_outside(len, &tile)
            });
            match (point, parameter) {
                (point, Some((i, error))) if point.is_none_or(|point| i < point) => {
                    return Err(error.context(format!("point {}", start + i)));
                }
                (Some(i), _) => {
                    let at: Vec<f64> = given[..axes].iter().map(|x| x[i]).collect();
                    let domain = self.normalizer.describe();
                    let message =
                        format!("point {} at {at:?} lies outside the domain {domain}", start + i);
                    return Err(Error::new(ErrorKind::OutsideDomain, message));
                }
                _ => {}
            }
        }
        Ok(())
    }
}
