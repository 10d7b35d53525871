//! Gathering for points in runs (see [`Run`](super::stage::Run)): the vertices of a run's cells are
//! interpolated along all other axes once, and each point then lies between two of the results.

use super::Binding;
use super::activation::apply_but_relu;
use super::lanes::{Feature, LANES, Lanes};
use super::product::Rows;
use super::stage::{Along, Corners, Staged};
use super::tile::{Base, corners, is_covered};
use crate::model::{GridValues, Model, Scaling};

/// Two vertices of one grid along the run, interpolated along the other axes.
pub struct Pair {
    channels: usize,
    /// Which vertex of the axis each is, by its start.
    starts: [Option<usize>; 2],
    features: [Vec<[f32; LANES]>; 2],
}

impl Pair {
    /// Room for so many channels.
    pub fn new(channels: usize) -> Self {
        let features = vec![[0.0; LANES]; channels.div_ceil(LANES)];
        Self { channels, starts: [None; 2], features: [features.clone(), features] }
    }
}

/// As [`gather`](super::tile::gather), for a tile of runs.
#[inline(always)]
pub fn gather<L: Lanes>(
    (model, binding): (&Model, &Binding),
    tile: &Staged,
    features: &mut [[f32; LANES]],
    pairs: &mut [Pair],
    inputs: &mut Rows<'_>,
) {
    let spec = model.spec();
    let Some(run) = tile.run else { return };
    let start = &binding.inputs32;
    // There is more of it once the model was asked for sets of parameters.
    let features = &mut features[..start.len()];
    let covered = is_covered(spec);
    let grids: Vec<_> = (0..spec.grids.len()).map(|n| model.grid(n)).collect();
    for (i, row) in inputs.words.chunks_exact_mut(inputs.stride).enumerate() {
        if !covered {
            features.copy_from_slice(start);
        }
        for (n, (grid, pair)) in spec.grids.iter().zip(&mut *pairs).enumerate() {
            if run.begins_at(i) {
                pair.starts = [None; 2];
            }
            let (around, along) = (&tile.grids[n], &tile.along[n]);
            match grids[n].values {
                GridValues::F32(values) => pair.move_to::<L, _>(values, None, around, along, i),
                GridValues::F16(values) => pair.move_to::<L, _>(values, None, around, along, i),
                GridValues::I8(values, scaling) => {
                    pair.move_to::<L, _>(values, Some(scaling), around, along, i);
                }
            }
            let features = &mut features.as_flattened_mut()[grid.offset..][..grid.channels];
            let base =
                if covered && n == 0 { Base::Of(start.as_flattened()) } else { Base::InPlace };
            pair.add::<L>([along.weights[0][i], along.weights[1][i]], base, features);
        }
        let least = apply_but_relu::<L>(spec.input.activation, features);
        inputs.format.store(features, features.len(), least, std::iter::once(row), 0);
    }
    inputs.clear_after(start.len());
}

impl Pair {
    /// Makes this the vertices on both sides of point `i`.
    #[inline(always)]
    fn move_to<L: Lanes, T: Feature>(
        &mut self,
        values: &[T],
        scaling: Option<&Scaling>,
        around: &Corners,
        along: &Along,
        i: usize,
    ) {
        let wanted = [along.starts[0][i], along.starts[1][i]];
        if self.starts[1] == Some(wanted[0]) || self.starts[0] == Some(wanted[1]) {
            self.starts.swap(0, 1);
            let [lower, upper] = &mut self.features;
            std::mem::swap(lower, upper);
        }
        for (k, start) in wanted.into_iter().enumerate() {
            if self.starts[k] != Some(start) {
                self.starts[k] = Some(start);
                let sums = &mut self.features[k].as_flattened_mut()[..self.channels];
                corners::<L, _>(values, scaling, (around, i, start), Base::Zero, sums);
            }
        }
    }

    /// The two vertices with their weights and `base` added up, into `sums`.
    #[inline(always)]
    fn add<L: Lanes>(&self, weights: [f32; 2], base: Base<'_>, sums: &mut [f32]) {
        let [lower, upper] = &self.features;
        let weights = [L::splat(weights[0]), L::splat(weights[1])];
        for (v, (lower, upper)) in lower.iter().zip(upper).enumerate() {
            let sums = &mut sums[v * LANES..];
            let low = L::load(lower).mul_add(weights[0], base.load(v * LANES, sums));
            let sum = L::load(upper).mul_add(weights[1], low);
            if let Some(chunk) = sums.first_chunk_mut() {
                sum.store(chunk);
            } else {
                let mut all = [0.0; LANES];
                sum.store(&mut all);
                sums.copy_from_slice(&all[..sums.len()]);
            }
        }
    }
}
