//! Queries for values and derivatives: the caller's units and one-sided choices at the border. The derivatives themselves are made in [`cpu::gradient`](crate::cpu).

use std::ops::Range;

use super::points::Points;
use super::policy::Location;
use super::results::{GradientsMut, ValuesMut};
use super::worker::{Bound, Source, denormalize};
use super::{Lattice, Runtime, Sampler, Units};
use crate::Result;
use crate::cpu::gradient::{Derivatives, Tape};
use crate::cpu::{Positions, Scratch, TILE};
use crate::model::spec::{Spec, Transform};

/// The derivatives that a query is to give; those that are `None` cost nothing.
#[derive(Default)]
pub struct Gradients<'a> {
    /// Of each value with respect to each coordinate, `[points, outputs, axes]`.
    pub position: Option<GradientsMut<'a>>,
    /// Of each value with respect to each parameter of the sampler, `[points, outputs, parameters]`.
    pub parameters: Option<GradientsMut<'a>>,
}

impl Gradients<'_> {
    /// # Errors
    /// `InvalidArgument` unless there is room for just the derivatives at `len` points.
    pub(super) fn check(&self, spec: &Spec, len: usize) -> Result<()> {
        let shape = |components| [len, spec.outputs(), components];
        if let Some(position) = &self.position {
            position.check("position", shape(spec.axes.len()))?;
        }
        if let Some(parameters) = &self.parameters {
            parameters.check("parameters", shape(spec.parameters.len()))?;
        }
        Ok(())
    }
}

impl Sampler {
    /// Values at `points` (unless `None`), bit by bit those of [`Sampler::query`], and their
    /// derivatives: in physical units, for instance J/cm for a value in J on an axis in cm, or
    /// with [`Units::Normalized`] those of normalised values by normalised coordinates.
    ///
    /// Fields are only piecewise smooth. On the face between two cells the derivative is that of
    /// the cell above (towards larger coordinates), on the last vertices that of the cell below;
    /// the same holds for parameters. Nothing changes with a coordinate or parameter that is
    /// clamped. Where a value is NaN, so are its derivatives. docs/derivatives.md has all of it.
    ///
    /// # Errors
    /// As [`Sampler::query`]; `OutOfMemory` for models whose layers are too wide and many.
    pub fn query_gradient(
        &self,
        points: &Points<'_>,
        values: Option<&mut ValuesMut<'_>>,
        gradients: &mut Gradients<'_>,
    ) -> Result<()> {
        self.runtime.check_points(points)?;
        self.differentiate(&Source::Points(points), values, gradients)
    }

    /// [`Sampler::query_gradient`] for the points of a lattice, x fastest: no faster and no slower
    /// than the same points one by one, and bit by bit equal to them.
    ///
    /// # Errors
    /// As [`Sampler::query_lattice`] and [`Sampler::query_gradient`].
    pub fn query_lattice_gradient(
        &self,
        lattice: &Lattice,
        values: Option<&mut ValuesMut<'_>>,
        gradients: &mut Gradients<'_>,
    ) -> Result<()> {
        lattice.check(self.runtime.model.spec().axes.len())?;
        self.differentiate(&Source::Lattice(lattice), values, gradients)
    }

    /// Values and derivatives at the points of `source`, which has as many coordinates as the
    /// model.
    fn differentiate(
        &self,
        source: &Source<'_>,
        values: Option<&mut ValuesMut<'_>>,
        gradients: &mut Gradients<'_>,
    ) -> Result<()> {
        let spec = self.runtime.model.spec();
        let len = source.len();
        if let Some(values) = &values {
            self.runtime.check_room(len, values)?;
        }
        gradients.check(spec, len)?;
        let Gradients { position, parameters } = &*gradients;
        self.frame().check_inside(source, None)?;
        let parameters = parameters.as_ref().filter(|parameters| parameters.components() > 0);
        let out = Out { values: values.as_deref(), position: position.as_ref(), parameters };
        self.runtime.run(len, |range| {
            let mut worker = Worker::new(self, &out)?;
            // SAFETY: ranges of different tasks are disjoint and each is visited once.
            unsafe { worker.run(source, range) };
            Ok(())
        })
    }
}

/// What the caller wants.
struct Out<'a> {
    values: Option<&'a ValuesMut<'a>>,
    position: Option<&'a GradientsMut<'a>>,
    parameters: Option<&'a GradientsMut<'a>>,
}

/// How many physical units a normalised one is, per axis, parameter and value (or its logarithm).
struct Lengths {
    axes: Vec<f64>,
    parameters: Vec<f64>,
    values: Vec<f64>,
}

impl Lengths {
    fn new(spec: &Spec, units: Units) -> Self {
        let length = |min: f64, max: f64, normalized: f64| match units {
            Units::Physical => (max - min) / normalized,
            Units::Normalized => 1.0,
        };
        Self {
            axes: spec.axes.iter().map(|a| length(a.min, a.max, 2.0)).collect(),
            parameters: spec.parameters.iter().map(|p| length(p.min, p.max, 1.0)).collect(),
            values: spec.values.iter().map(|v| length(v.min, v.max, 1.0)).collect(),
        }
    }
}

/// One thread's share of a query.
struct Worker<'a> {
    sampler: &'a Sampler,
    out: &'a Out<'a>,
    lengths: Lengths,
    scratch: Scratch,
    tape: Tape,
    /// Of the tile in evaluation and of the next.
    positions: [Positions; 2],
    locations: [[Location; TILE]; 2],
    values: Vec<f64>,
    /// Of one value of each point.
    position: Vec<f64>,
    parameters: Vec<f64>,
}

impl<'a> Worker<'a> {
    fn new(sampler: &'a Sampler, out: &'a Out<'a>) -> Result<Self> {
        let Runtime { model, engine, .. } = &*sampler.runtime;
        let spec = model.spec();
        let positions = || Positions { len: 0, axes: [[0.0; TILE]; 3] };
        Ok(Self {
            sampler,
            out,
            lengths: Lengths::new(spec, sampler.options.units),
            scratch: engine.scratch(model),
            tape: engine.tape(model)?,
            positions: [positions(), positions()],
            locations: [[Location::Nan; TILE]; 2],
            values: vec![0.0; TILE * spec.outputs()],
            position: vec![0.0; TILE * spec.axes.len()],
            parameters: vec![0.0; TILE * spec.parameters.len()],
        })
    }

    /// Evaluates the points of a range; while a tile is computed, the vertices of the next one are
    /// fetched.
    ///
    /// # Safety
    /// No other thread may write the same points.
    unsafe fn run(&mut self, source: &Source<'_>, range: Range<usize>) {
        if !range.is_empty() {
            self.stage(source, &range);
        }
        for start in range.clone().step_by(TILE) {
            self.locations.swap(0, 1);
            self.positions.swap(0, 1);
            let next = start + TILE;
            if next < range.end {
                self.stage(source, &(next..range.end));
            }
            // SAFETY: the caller's promise.
            unsafe { self.evaluate(start..next.min(range.end)) };
        }
    }

    /// Prepares the first tile of `range`.
    fn stage(&mut self, source: &Source<'_>, range: &Range<usize>) {
        let Runtime { model, engine, .. } = &*self.sampler.runtime;
        let positions = &mut self.positions[1];
        source.read(range.start, positions);
        positions.len = positions.len.min(range.len());
        self.sampler.normalizer.locate(positions, &mut self.locations[1]);
        engine.stage(model, positions, self.sampler.options.padding(), None, &mut self.scratch);
        self.sampler.normalizer.to_border(positions);
    }

    /// Evaluates the tile that was staged first and writes its results.
    ///
    /// # Safety
    /// No other thread may write the same points.
    unsafe fn evaluate(&mut self, range: Range<usize>) {
        let Sampler { runtime, options, bound: Bound { binding, is_nan }, .. } = self.sampler;
        let Runtime { model, engine, .. } = &**runtime;
        let outputs = model.spec().outputs();
        let values = &mut self.values[..range.len() * outputs];
        let at = (&self.positions[0], self.sampler.options.padding());
        let (scratch, tape) = (&mut self.scratch, &mut self.tape);
        engine.evaluate_for_derivatives((model, binding), at, scratch, tape, values);
        let tile = range.clone().zip(values.chunks_exact_mut(outputs)).zip(&self.locations[0]);
        for ((i, values), &location) in tile {
            if *is_nan || location != Location::Inside {
                values.fill(f64::NAN);
            } else if options.units == Units::Physical {
                denormalize(model, values);
            }
            if let Some(out) = self.out.values {
                // SAFETY: the caller's promise.
                unsafe { out.set(i, values) };
            }
        }
        if self.out.position.is_none() && self.out.parameters.is_none() {
            return;
        }
        for k in 0..outputs {
            // SAFETY: the caller's promise.
            unsafe { self.differentiate(k, range.clone()) };
        }
    }

    /// Writes the derivatives of value `k` at the points of the tile.
    ///
    /// # Safety
    /// No other thread may write the same points.
    unsafe fn differentiate(&mut self, k: usize, range: Range<usize>) {
        let Runtime { model, engine, .. } = &*self.sampler.runtime;
        let spec = model.spec();
        let (dims, count) = (spec.axes.len(), spec.parameters.len());
        let position = &mut self.position[..range.len() * dims];
        let parameters = &mut self.parameters[..range.len() * count];
        let slopes = self.sampler.parameter_slopes();
        let mut derivatives = Derivatives {
            position: self.out.position.map(|_| &mut *position),
            parameters: self.out.parameters.map(|_| &mut *parameters),
        };
        let (scratch, tape) = (&mut self.scratch, &mut self.tape);
        engine.differentiate((model, slopes), k, scratch, tape, &mut derivatives);
        for (n, i) in range.enumerate() {
            let value = self.values[n * spec.outputs() + k];
            let is_log = spec.values[k].transform == Transform::Log;
            let scale = match self.sampler.options.units {
                _ if value.is_nan() => f64::NAN,
                Units::Physical if is_log => value * self.lengths.values[k],
                Units::Physical | Units::Normalized => self.lengths.values[k],
            };
            if let Some(out) = self.out.position {
                let gradient = &mut position[n * dims..][..dims];
                convert(gradient, scale, &self.lengths.axes);
                // SAFETY: the caller's promise.
                unsafe { out.set(i, k, gradient) };
            }
            if let Some(out) = self.out.parameters {
                let gradient = &mut parameters[n * count..][..count];
                convert(gradient, scale, &self.lengths.parameters);
                // SAFETY: the caller's promise.
                unsafe { out.set(i, k, gradient) };
            }
        }
    }
}

/// The chain rule.
fn convert(gradient: &mut [f64], scale: f64, lengths: &[f64]) {
    for (number, length) in gradient.iter_mut().zip(lengths) {
        *number *= scale / length;
    }
}
