//! The product rule: what each factor of a product is multiplied by, so that slopes of one grid
//! become those of the whole.

use crate::Result;
use crate::cpu::gradient::room;
use crate::cpu::lanes::{LANES, Lanes};
use crate::cpu::product::InstructionSet;
use crate::cpu::products::gather::{Factors, Grids, ProductsScratch, multiply_row};
use crate::cpu::products::{Kind, Products};
use crate::cpu::stage::Staged;
use crate::cpu::{Binding, TILE};
use crate::model::Model;

/// The products of all other factors of the terms of a tile's points.
#[derive(Default)]
pub struct Others {
    /// `[points][stride]`
    numbers: Vec<[f32; LANES]>,
    /// Vectors of a point.
    stride: usize,
    /// Where those of each grid are; None of grids that are no factor of several.
    places: Vec<Option<usize>>,
    /// The factors of a point.
    factors: Vec<[f32; LANES]>,
}

impl Others {
    /// Room for those of a model.
    ///
    /// # Errors
    /// `OutOfMemory`
    pub fn new(model: &Model, products: &Products) -> Result<Self> {
        let mut places = vec![None; model.spec().grids.len()];
        let (mut stride, mut most) = (0, 0);
        for (term, grids) in products.factors().filter(|(_, grids)| grids.len() > 1) {
            let vectors = term.channels.div_ceil(LANES);
            most = most.max(vectors * grids.len());
            for n in grids {
                places[n] = Some(stride);
                stride += vectors;
            }
        }
        let (mut numbers, mut factors) = (Vec::new(), Vec::new());
        room(&mut numbers, TILE * stride, [0.0; LANES], "factors")?;
        room(&mut factors, most, [0.0; LANES], "factors")?;
        Ok(Self { numbers, stride, places, factors })
    }

    /// At the points of `tile`.
    #[inline(always)]
    pub fn fill<I: InstructionSet>(
        &mut self,
        (model, products, binding): (&Model, &Products, &Binding),
        tile: &Staged,
        scratch: &mut ProductsScratch,
    ) {
        if self.stride == 0 {
            return;
        }
        scratch.spread(binding);
        let ProductsScratch { parameters, corners, .. } = scratch;
        products.fill_corners(model, tile, parameters, |kind| kind != Kind::Fixed, corners);
        let data = Grids::new(model);
        // Derivatives need no more than 32 bits of what depends on the parameters: no bound grids.
        let from = Factors { products, tile, data: data.all(), corners, bound: None };
        for (term, grids) in products.factors().filter(|(_, grids)| grids.len() > 1) {
            let vectors = term.channels.div_ceil(LANES);
            for i in 0..tile.len {
                let factors = &mut self.factors[..vectors * grids.len()];
                for (&n, factor) in grids.iter().zip(factors.chunks_exact_mut(vectors)) {
                    let features = &mut factor.as_flattened_mut()[..term.channels];
                    from.interpolate::<I>(n, i, features);
                }
                // The first of several: the others follow.
                let first = self.places[grids[0]].unwrap_or_default();
                let all = &mut self.numbers[i * self.stride + first..][..factors.len()];
                multiply_others::<I::Lanes>(factors, vectors, all);
            }
        }
    }

    /// The product of all other factors at point `i`, `[channels]`; None where there are none.
    #[inline(always)]
    pub fn of(&self, n: usize, i: usize) -> Option<&[f32]> {
        let place = (*self.places.get(n)?)?;
        Some(self.numbers[i * self.stride + place..].as_flattened())
    }
}

/// For each factor of so many vectors, the product of all others.
#[inline(always)]
fn multiply_others<L: Lanes>(
    factors: &[[f32; LANES]],
    vectors: usize,
    others: &mut [[f32; LANES]],
) {
    others[..vectors].fill([1.0; LANES]);
    // The products of those before, then of those behind.
    for end in (vectors..others.len()).step_by(vectors) {
        let (before, own) = others.split_at_mut(end);
        own[..vectors].copy_from_slice(&before[end - vectors..]);
        multiply_row::<L>(&factors[end - vectors..end], &mut own[..vectors]);
    }
    for v in 0..vectors {
        let mut behind = L::splat(1.0);
        for n in (v..others.len()).step_by(vectors).rev() {
            L::load(&others[n]).mul(behind).store(&mut others[n]);
            behind = behind.mul(L::load(&factors[n]));
        }
    }
}
