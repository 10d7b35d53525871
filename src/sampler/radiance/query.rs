//! Densities and colours at single points.

use std::ops::Range;

use super::super::policy::Location;
use super::super::worker::{Worker, denormalize};
use super::super::{Points, Runtime, Sampler, ValuesMut};
use super::RenderScratch;
use super::rays::{Bounds, tile, to_border, unit};
use crate::cpu::{Padding, Positions, TILE, harmonics};

impl Worker {
    /// Evaluates the points of a range and writes their densities and colours.
    ///
    /// # Safety
    /// No other thread may write the same points.
    pub unsafe fn radiance(
        &mut self,
        sampler: &Sampler,
        points: &Points<'_>,
        directions: &Points<'_>,
        out: &ValuesMut<'_>,
        range: Range<usize>,
    ) {
        let Runtime { model, engine, .. } = &*sampler.runtime;
        let bounds = Bounds::new(&model.spec().axes);
        let stage = |worker: &mut Self, range: Range<usize>| {
            let mut positions = tile(points, range.start);
            positions.len = positions.len.min(range.len());
            locate(&bounds, &mut positions, &mut worker.locations[1]);
            engine.stage(model, &positions, Padding::Border, None, &mut worker.scratch);
        };
        self.each_tile(range, stage, |worker, range| {
            let values = &mut worker.values[..range.len() * model.spec().outputs()];
            engine.evaluate(model, &sampler.bound.binding, &mut worker.scratch, values);
            denormalize(model, values);
            // SAFETY: the caller's promise.
            unsafe { worker.write_radiance(sampler, &tile(directions, range.start), out, range) };
        });
    }

    /// # Safety
    /// As for [`Worker::radiance`].
    unsafe fn write_radiance(
        &mut self,
        sampler: &Sampler,
        directions: &Positions,
        out: &ValuesMut<'_>,
        range: Range<usize>,
    ) {
        let Runtime { model, engine, .. } = &*sampler.runtime;
        let outputs = model.spec().outputs();
        let Self { values, render, locations, .. } = self;
        let render =
            render.get_or_insert_with(|| Box::new(RenderScratch::new(engine.head_scratch())));
        let shading = render.shading();
        shading.inputs.clear();
        let direction = |i: usize| unit(directions.axes.map(|x| x[i]));
        for (i, values) in values.chunks_exact(outputs).enumerate().take(range.len()) {
            shading.push(sampler, &harmonics(direction(i)), values);
        }
        let colours = shading.colours(sampler);
        for (i, point) in range.enumerate() {
            let density = values[i * outputs];
            let density = if density < 0.0 { 0.0 } else { density };
            let colour = &colours[3 * i..][..3];
            let mut result = [density, colour[0], colour[1], colour[2]];
            if direction(i).iter().any(|x| x.is_nan()) {
                result[1..].fill(f64::NAN);
            }
            match locations[0][i] {
                _ if sampler.bound.is_nan => result.fill(f64::NAN),
                Location::Inside => {}
                Location::Outside => result.fill(0.0),
                Location::Nan => result.fill(f64::NAN),
            }
            // SAFETY: the caller's promise.
            unsafe { out.set(point, &result) };
        }
    }
}

/// Normalises points and says which are inside.
fn locate(bounds: &Bounds, positions: &mut Positions, locations: &mut [Location; TILE]) {
    for (i, location) in locations.iter_mut().enumerate() {
        let x = bounds.normalized(positions.axes.map(|x| x[i]));
        *location = if x.iter().any(|x| x.is_nan()) {
            Location::Nan
        } else if x.iter().any(|x| x.abs() > 1.0) {
            Location::Outside
        } else {
            Location::Inside
        };
        for (all, x) in positions.axes.iter_mut().zip(x) {
            all[i] = to_border(x);
        }
    }
}
