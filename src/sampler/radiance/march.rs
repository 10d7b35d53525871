//! Goes along the rays of an item of work, all of them together: each ray that is still under way
//! gives its next sample, until a tile of points is full. What a ray meets is added up in the order
//! along the ray, so that results do not depend on which rays go together.

use super::super::worker::{Worker, denormalize};
use super::super::{Sampler, ValuesMut};
use super::RenderOptions;
use super::occupancy::Occupancy;
use super::rays::{Bounds, Ray, Rays, to_border};
use crate::cpu::{HeadScratch, Padding, Positions, TILE};

/// Samples that weigh less give no colour: less than any picture shows. They hide what is behind
/// them all the same.
const NEGLIGIBLE: f64 = 1.0 / 4_194_304.0;

/// A sample that falls on the wall of a cell may be on either side by rounding: part of a step by
/// which jumps fall short.
const SHORT: f64 = 1e-6;

/// A picture to be made.
pub struct Job<'a> {
    pub sampler: &'a Sampler,
    pub rays: &'a Rays<'a>,
    pub bounds: Bounds,
    pub step: f64,
    pub options: &'a RenderOptions<'a>,
    pub rgba: &'a ValuesMut<'a>,
    pub depth: Option<&'a ValuesMut<'a>>,
}

/// Working memory of one thread.
pub struct RenderScratch {
    rays: Vec<Ray>,
    /// Those that are under way.
    alive: Vec<usize>,
    /// Whose turn it is among them.
    turn: usize,
    positions: Positions,
    /// The tile in evaluation and the next.
    tiles: [Samples; 2],
    shading: Shading,
}

/// What the points of a tile belong to.
struct Samples {
    len: usize,
    rays: [usize; TILE],
    /// Distances along them.
    t: [f64; TILE],
}

/// What is needed for colours.
pub struct Shading {
    head: HeadScratch,
    /// Of some points, `[points, inputs of the head]`.
    pub inputs: Vec<f64>,
    colours: [f64; 3 * TILE],
}

impl Shading {
    fn new(head: HeadScratch) -> Self {
        Self { head, inputs: Vec::new(), colours: [0.0; 3 * TILE] }
    }

    /// Colours, `[points, 3]`, for the inputs that were put together.
    pub fn colours(&mut self, sampler: &Sampler) -> &[f64] {
        let runtime = &sampler.runtime;
        runtime.engine.colours(&runtime.model, &self.inputs, &mut self.head, &mut self.colours);
        &self.colours
    }

    /// Adds a point whose values are known, seen along a direction, to the inputs.
    pub fn push(&mut self, sampler: &Sampler, harmonics: &[f64], values: &[f64]) {
        let radiance = sampler.runtime.model.spec().radiance.as_ref();
        let count = radiance.map_or(0, |radiance| radiance.harmonic_inputs());
        self.inputs.extend_from_slice(&harmonics[..count]);
        self.inputs.extend_from_slice(&values[1..]);
    }
}

impl RenderScratch {
    pub fn new(head: HeadScratch) -> Self {
        let none = || Samples { len: 0, rays: [0; TILE], t: [0.0; TILE] };
        Self {
            rays: Vec::new(),
            alive: Vec::new(),
            turn: 0,
            positions: Positions { len: 0, axes: [[0.0; TILE]; 3] },
            tiles: [none(), none()],
            shading: Shading::new(head),
        }
    }

    pub fn shading(&mut self) -> &mut Shading {
        &mut self.shading
    }

    fn begin(&mut self, job: &Job<'_>, item: usize) {
        self.rays.clear();
        let rays = &mut self.rays;
        job.rays.of_item(item, |line| rays.push(Ray::new(&line, &job.bounds, job.options)));
        if job.sampler.bound.is_nan {
            self.rays.iter_mut().for_each(|ray| ray.clear = f64::NAN);
        }
        self.alive.clear();
        self.alive.extend(0..self.rays.len());
        self.turn = 0;
    }

    /// Fills the second tile with the next samples of the rays, in turn, and makes it the points'
    /// positions.
    fn gather(&mut self, job: &Job<'_>, occupancy: Option<Occupancy<'_>>) {
        let Self { rays, alive, turn, positions, tiles: [_, tile], .. } = self;
        tile.len = 0;
        while tile.len < TILE && !alive.is_empty() {
            if *turn >= alive.len() {
                alive.retain(|&n| rays[n].last > f64::NEG_INFINITY);
                *turn = 0;
                continue;
            }
            let n = alive[*turn];
            *turn += 1;
            let ray = &mut rays[n];
            let next = if ray.is_done(job.options.stop) { None } else { ray.next(job, occupancy) };
            let Some((t, x)) = next else {
                ray.last = f64::NEG_INFINITY;
                continue;
            };
            (tile.rays[tile.len], tile.t[tile.len]) = (n, t);
            for (all, x) in positions.axes.iter_mut().zip(x) {
                all[tile.len] = x;
            }
            tile.len += 1;
        }
        positions.len = tile.len;
    }

    /// Adds the samples of the first tile to their rays; `values` are physical.
    fn meet(&mut self, job: &Job<'_>, values: &[f64]) {
        let Self { rays, tiles: [tile, _], shading, .. } = self;
        let outputs = job.sampler.runtime.model.spec().outputs();
        let mut shaded = [(0, 0.0); TILE];
        let mut count = 0;
        shading.inputs.clear();
        let samples = tile.rays.iter().zip(&tile.t).zip(values.chunks_exact(outputs));
        for ((&n, &t), values) in samples.take(tile.len) {
            let ray = &mut rays[n];
            if ray.is_done(job.options.stop) {
                continue;
            }
            let density = if values[0] < 0.0 { 0.0 } else { values[0] };
            let weight = ray.meet(t, -(-density * job.step).exp_m1());
            if weight >= NEGLIGIBLE || weight.is_nan() {
                shading.push(job.sampler, &ray.harmonics, values);
                shaded[count] = (n, weight);
                count += 1;
            }
        }
        if count == 0 {
            return;
        }
        let colours = shading.colours(job.sampler).chunks_exact(3);
        for (&(n, weight), colour) in shaded[..count].iter().zip(colours) {
            for (sum, x) in rays[n].colour.iter_mut().zip(colour) {
                *sum += weight * x;
            }
        }
    }
}

impl Ray {
    /// Distance and normalised place of the next sample where there may be something.
    fn next(&mut self, job: &Job<'_>, occupancy: Option<Occupancy<'_>>) -> Option<(f64, [f64; 3])> {
        loop {
            let t = self.first + (f64::from(self.next) + 0.5) * job.step;
            if t >= self.last {
                return None;
            }
            // Within the domain but for rounding.
            let x = std::array::from_fn(|k| to_border(self.start[k] + t * self.slope[k]));
            let clearance = occupancy.and_then(|occupancy| occupancy.clearance(x, self.slope));
            let Some(clearance) = clearance else {
                self.next += 1;
                return Some((t, x));
            };
            let steps = (clearance / job.step - SHORT).ceil().max(1.0);
            self.next = self.next.saturating_add(steps as u32);
        }
    }
}

impl Worker {
    /// Makes the pixels of an item of work.
    ///
    /// # Safety
    /// No other thread may write the same pixels.
    pub unsafe fn render(&mut self, job: &Job<'_>, item: usize) {
        let Sampler { runtime, bound, .. } = job.sampler;
        let super::super::Runtime { model, engine, .. } = &**runtime;
        let Self { scratch, values, render, .. } = self;
        let render =
            render.get_or_insert_with(|| Box::new(RenderScratch::new(engine.head_scratch())));
        let blocks = runtime.blocks();
        let occupancy = Occupancy::new(model, blocks);
        render.begin(job, item);
        let stage = |render: &mut RenderScratch, scratch: &mut _| {
            render.gather(job, occupancy);
            if render.positions.len > 0 {
                engine.stage(model, &render.positions, Padding::Border, None, scratch);
            }
        };
        stage(render, scratch);
        loop {
            render.tiles.swap(0, 1);
            let points = render.tiles[0].len;
            if points == 0 {
                break;
            }
            // While a tile is computed, the vertices of the next one are fetched.
            stage(render, scratch);
            let values = &mut values[..points * model.spec().outputs()];
            engine.evaluate(model, &bound.binding, scratch, values);
            denormalize(model, values);
            render.meet(job, values);
        }
        for ray in &render.rays {
            // SAFETY: the caller's promise.
            unsafe {
                job.rgba.set(ray.index, &ray.rgba(job.options));
                if let Some(depth) = job.depth {
                    depth.set(ray.index, &[ray.depth(job.options)]);
                }
            }
        }
    }
}
