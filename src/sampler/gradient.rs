//! Queries for values and derivatives: the caller's units, one-sided choices at the border, and
//! where the results go. The derivatives themselves are made in [`cpu::gradient`](crate::cpu).

use std::marker::PhantomData;
use std::ops::Range;

use super::points::{Number, Points, Scalar, ValuesMut};
use super::policy::Location;
use super::worker::{Bound, Source, denormalize};
use super::{Runtime, Sampler, Units};
use crate::cpu::gradient::{Derivatives, Tape};
use crate::cpu::{Positions, Scratch, TILE};
use crate::model::spec::{Spec, Transform};
use crate::{Error, Result};

/// Where derivatives go, in the caller's memory: for each point and each value of the model as
/// many numbers as there are *components*, that is coordinates or parameters.
pub struct GradientsMut<'a> {
    scalar: Scalar,
    len: usize,
    outputs: usize,
    components: usize,
    base: *mut u8,
    strides: [isize; 3],
    memory: PhantomData<&'a mut [u8]>,
}

// SAFETY: an exclusive view, like `&mut [f32]`; `set` is for disjoint points from several threads.
unsafe impl Send for GradientsMut<'_> {}
// SAFETY: as above.
unsafe impl Sync for GradientsMut<'_> {}

impl<'a> GradientsMut<'a> {
    /// Derivatives without gaps, `[points][outputs][components]`. With 0 components (a model
    /// without parameters) the array is empty and there may be any number of points.
    ///
    /// # Errors
    /// `InvalidArgument` if the length is no multiple of `outputs * components`.
    pub fn packed<T: Number>(
        gradients: &'a mut [T],
        outputs: usize,
        components: usize,
    ) -> Result<Self> {
        let each = outputs.checked_mul(components).filter(|_| outputs > 0);
        if each.is_none_or(|each| !gradients.len().is_multiple_of(each)) {
            return Err(Error::argument(format!(
                "room for {} derivatives is no whole number of points with {outputs} times \
                 {components} each",
                gradients.len()
            )));
        }
        let len = each.and_then(|each| gradients.len().checked_div(each)).unwrap_or(0);
        let [point, value, number] = [outputs * components, components, 1];
        let strides = [point, value, number].map(|numbers| (numbers * size_of::<T>()) as isize);
        let base = gradients.as_mut_ptr().cast();
        // SAFETY: `gradients` holds as many numbers per point and is borrowed for 'a.
        Ok(unsafe { Self::from_raw(T::SCALAR, [len, outputs, components], base, strides) })
    }

    /// Any layout of `[points, outputs, components]`: the address of the first number, and the
    /// bytes from point to point, from value to value and from component to component.
    ///
    /// # Safety
    /// For each index (i, k, c) within the shape, `base` plus the sum of index times stride must
    /// be writable as a number of type `scalar` (of any alignment) for 'a, and no two of them may
    /// overlap.
    pub unsafe fn from_raw(
        scalar: Scalar,
        [len, outputs, components]: [usize; 3],
        base: *mut u8,
        strides: [isize; 3],
    ) -> Self {
        Self { scalar, len, outputs, components, base, strides, memory: PhantomData }
    }

    /// Number of points.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Values per point.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Derivatives per value.
    pub fn components(&self) -> usize {
        self.components
    }

    /// Writes the derivatives of value `k` at point `i`.
    ///
    /// # Safety
    /// No other thread may write point `i` at the same time.
    unsafe fn set(&self, i: usize, k: usize, gradient: &[f64]) {
        assert!(i < self.len && k < self.outputs && gradient.len() == self.components);
        let offset = i as isize * self.strides[0] + k as isize * self.strides[1];
        let first = self.base.wrapping_offset(offset);
        for (c, &number) in gradient.iter().enumerate() {
            let at = first.wrapping_offset(c as isize * self.strides[2]);
            // SAFETY: in range by the assertion, so `from_raw`'s condition covers this address.
            unsafe { self.scalar.write(at, number) };
        }
    }

    fn check(&self, what: &str, len: usize, outputs: usize, components: usize) -> Result<()> {
        let fits = self.len == len || components == 0;
        if fits && self.outputs == outputs && self.components == components {
            return Ok(());
        }
        Err(Error::argument(format!(
            "room for derivatives by {what} of {} points, {} values and {} components, expected \
             {len}, {outputs} and {components}",
            self.len, self.outputs, self.components
        )))
    }
}

/// The derivatives that a query is to give; those that are `None` cost nothing.
#[derive(Default)]
pub struct Gradients<'a> {
    /// Of each value with respect to each coordinate, `[points, outputs, axes]`.
    pub position: Option<GradientsMut<'a>>,
    /// Of each value with respect to each parameter of the sampler, `[points, outputs, parameters]`.
    pub parameters: Option<GradientsMut<'a>>,
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
        let spec = self.runtime.model.spec();
        let (len, outputs) = (points.len(), spec.outputs());
        self.runtime.check_points(points)?;
        if let Some(values) = &values {
            self.runtime.check_room(len, values)?;
        }
        let Gradients { position, parameters } = &*gradients;
        if let Some(position) = position {
            position.check("position", len, outputs, spec.axes.len())?;
        }
        if let Some(parameters) = parameters {
            parameters.check("parameters", len, outputs, spec.parameters.len())?;
        }
        self.frame().check_inside(&Source::Points(points), None)?;
        let parameters = parameters.as_ref().filter(|parameters| parameters.components > 0);
        let out = Out { values: values.as_deref(), position: position.as_ref(), parameters };
        self.runtime.run(len, |range| {
            let mut worker = Worker::new(self, &out)?;
            // SAFETY: ranges of different tasks are disjoint and each is visited once.
            unsafe { worker.run(points, range) };
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
    unsafe fn run(&mut self, points: &Points<'_>, range: Range<usize>) {
        if !range.is_empty() {
            self.stage(points, &range);
        }
        for start in range.clone().step_by(TILE) {
            self.locations.swap(0, 1);
            self.positions.swap(0, 1);
            let next = start + TILE;
            if next < range.end {
                self.stage(points, &(next..range.end));
            }
            // SAFETY: the caller's promise.
            unsafe { self.evaluate(start..next.min(range.end)) };
        }
    }

    /// Prepares the first tile of `range`.
    fn stage(&mut self, points: &Points<'_>, range: &Range<usize>) {
        let Runtime { model, engine, .. } = &*self.sampler.runtime;
        let positions = &mut self.positions[1];
        points.read(range.start, positions);
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
