//! Gathering where grids are multiplied or depend on parameters: written once for all instruction
//! sets, like the plain gather (see [`tile`](crate::cpu::tile)).

use super::{Bound, Kind, Products, Term};
use crate::cpu::activation::apply_but_relu;
use crate::cpu::lanes::{LANES, Lanes};
use crate::cpu::product::{InstructionSet, Rows};
use crate::cpu::stage::{Corners, Staged};
use crate::cpu::tile::{Base, Parameters, Starts, corners};
use crate::cpu::{Binding, TILE};
use crate::model::spec::Activation;
use crate::model::{GridData, GridValues, Model};

/// Models of so few grids are evaluated without asking for memory.
const FEW_GRIDS: usize = 32;

/// Working memory.
#[derive(Default)]
pub struct ProductsScratch {
    /// What does not depend on the parameters, per point: of one, or of a tile where it is needed
    /// again.
    kept: Vec<[f32; LANES]>,
    /// The input vector of a point.
    sums: Vec<[f32; LANES]>,
    /// A product and one of its factors.
    rows: Vec<[f32; LANES]>,
    /// Of free grids, and of all that depend on parameters for derivatives.
    pub corners: Vec<Corners>,
    /// Those of a binding, for each point alike.
    pub parameters: Vec<[f64; TILE]>,
}

impl ProductsScratch {
    /// Makes the parameters of `binding` those of each point.
    #[inline(always)]
    pub fn spread(&mut self, binding: &Binding) {
        let all = binding.parameters.iter().map(|t| [t.clamp(0.0, 1.0); TILE]);
        self.parameters.clear();
        self.parameters.extend(all);
    }
}

/// The grids of a model, of few without asking for memory.
pub struct Grids<'a> {
    few: [GridData<'a>; FEW_GRIDS],
    many: Vec<GridData<'a>>,
    count: usize,
}

impl<'a> Grids<'a> {
    #[inline(always)]
    pub fn new(model: &'a Model) -> Self {
        let count = model.spec().grids.len();
        let (mut few, mut many) = ([model.grid(0); FEW_GRIDS], Vec::new());
        if count > FEW_GRIDS {
            many.extend((0..count).map(|n| model.grid(n)));
        } else {
            for (n, data) in few.iter_mut().enumerate().take(count) {
                *data = model.grid(n);
            }
        }
        Self { few, many, count }
    }

    #[inline(always)]
    pub fn all(&self) -> &[GridData<'a>] {
        if self.many.is_empty() { &self.few[..self.count] } else { &self.many }
    }
}

/// Where the factors of a tile's terms come from.
#[derive(Clone, Copy)]
pub struct Factors<'a> {
    pub products: &'a Products,
    pub tile: &'a Staged,
    /// Of each grid of the model.
    pub data: &'a [GridData<'a>],
    /// Over all dimensions, of grids that are not bound.
    pub corners: &'a [Corners],
    /// None where each point has its own parameters.
    pub bound: Option<&'a Bound>,
}

/// As [`tile::gather`](crate::cpu::tile::gather): the input vectors of all rows, activated and in
/// the format of the first layer. What does not depend on the parameters is added first, then the
/// other terms, then the start: always in this order, so that sets share what they can and give
/// the same as each alone.
#[inline(always)]
pub fn gather<I: InstructionSet>(
    (products, model, activation): (&Products, &Model, Activation),
    (tile, parameters): (&Staged, Parameters<'_>),
    mut starts: Starts<'_>,
    scratch: &mut ProductsScratch,
    inputs: &mut Rows<'_>,
) {
    let data = Grids::new(model);
    let (sets, shares) = match parameters {
        Parameters::Sets(bindings) => (bindings.len(), true),
        Parameters::Bound(_) | Parameters::Each(_) => (1, false),
    };
    let is_known = matches!(starts, Starts::Sets { is_complete: true, .. });
    let rows_kept = if shares { TILE } else { 1 };
    if scratch.kept.len() < rows_kept * products.kept {
        scratch.kept.resize(rows_kept * products.kept, [0.0; LANES]);
    }
    scratch.sums.resize(products.width, [0.0; LANES]);
    scratch.rows.resize(2 * products.longest, [0.0; LANES]);
    let has_free = products.kinds.contains(&Kind::Free);
    let mut rows = inputs.words.chunks_exact_mut(inputs.stride);
    for set in 0..sets {
        let binding = match parameters {
            Parameters::Bound(binding) => Some(binding),
            Parameters::Sets(bindings) => Some(bindings[set]),
            Parameters::Each(_) => None,
        };
        if let Some(binding) = binding.filter(|_| has_free) {
            scratch.spread(binding);
            let ProductsScratch { parameters, corners, .. } = &mut *scratch;
            products.fill_corners(model, tile, parameters, |kind| kind == Kind::Free, corners);
        }
        let ProductsScratch { kept, sums, rows: buffers, corners, .. } = &mut *scratch;
        for (i, row) in rows.by_ref().take(tile.len).enumerate() {
            let place = if shares { i * products.kept } else { 0 };
            let kept = &mut kept[place..][..products.kept];
            let mut factors = Factors { products, tile, data: data.all(), corners, bound: None };
            if set == 0 && !is_known {
                factors.add_fixed::<I>(i, kept, buffers);
            }
            factors.bound = binding.map(|binding| &binding.products);
            if let Starts::Each { own, .. } = &starts {
                factors.corners = own.corners;
            }
            sums.copy_from_slice(&kept[..products.width]);
            factors.add_others::<I>(i, kept, buffers, sums);
            let start = match (&mut starts, binding) {
                (Starts::Each { own, sums }, _) => own.start::<I>(i, sums),
                (_, Some(binding)) => &binding.inputs32,
                (Starts::Same(start), None) => start,
                (Starts::Sets { .. }, None) => unreachable!("sets have bindings"),
            };
            add_row::<I::Lanes>(start, sums.as_flattened_mut());
            let least = apply_but_relu::<I::Lanes>(activation, sums);
            inputs.format.store(sums, products.width, least, std::iter::once(row), 0);
        }
    }
    inputs.clear_after(products.width);
}

impl<'a> Factors<'a> {
    /// What does not depend on the parameters: the sum of such terms, and of each other term the
    /// product of such factors.
    #[inline(always)]
    fn add_fixed<I: InstructionSet>(
        &self,
        i: usize,
        kept: &mut [[f32; LANES]],
        buffers: &mut [[f32; LANES]],
    ) {
        kept[..self.products.width].fill([0.0; LANES]);
        for term in &self.products.terms {
            let vectors = term.channels.div_ceil(LANES);
            let (row, spare) = buffers.split_at_mut(self.products.longest);
            match (&term.fixed[..], term.is_fixed()) {
                ([], _) => {}
                (fixed, true) => {
                    self.multiply::<I>(fixed, i, true, (term.channels, row, spare));
                    add_row::<I::Lanes>(
                        row,
                        &mut kept.as_flattened_mut()[term.offset..][..term.channels],
                    );
                }
                (fixed, false) => {
                    let row = &mut kept[term.place..][..vectors];
                    self.multiply::<I>(fixed, i, true, (term.channels, row, spare));
                }
            }
        }
    }

    /// Adds the terms that depend on the parameters.
    #[inline(always)]
    fn add_others<I: InstructionSet>(
        &self,
        i: usize,
        kept: &[[f32; LANES]],
        buffers: &mut [[f32; LANES]],
        sums: &mut [[f32; LANES]],
    ) {
        for (t, term) in self.products.terms.iter().enumerate() {
            if term.is_fixed() {
                continue;
            }
            let vectors = term.channels.div_ceil(LANES);
            let (row, spare) = buffers.split_at_mut(self.products.longest);
            let mut is_first = term.fixed.is_empty();
            if !is_first {
                row[..vectors].copy_from_slice(&kept[term.place..][..vectors]);
            }
            match self.bound {
                _ if term.constant.is_empty() => {}
                Some(bound) if is_first => row[..vectors].copy_from_slice(&bound.constants[t]),
                Some(bound) => multiply_row::<I::Lanes>(&bound.constants[t], &mut row[..vectors]),
                None => {
                    self.multiply::<I>(&term.constant, i, is_first, (term.channels, row, spare));
                }
            }
            is_first &= term.constant.is_empty();
            self.multiply::<I>(&term.mixed, i, is_first, (term.channels, row, spare));
            add_row::<I::Lanes>(row, &mut sums.as_flattened_mut()[term.offset..][..term.channels]);
        }
    }

    /// Multiplies `row` by some grids at point `i`, or makes it their product.
    #[inline(always)]
    fn multiply<I: InstructionSet>(
        &self,
        grids: &[usize],
        i: usize,
        mut is_first: bool,
        (channels, row, spare): (usize, &mut [[f32; LANES]], &mut [[f32; LANES]]),
    ) {
        let vectors = channels.div_ceil(LANES);
        for &n in grids {
            let to = if is_first { &mut *row } else { &mut *spare };
            self.interpolate::<I>(n, i, &mut to.as_flattened_mut()[..channels]);
            if !is_first {
                multiply_row::<I::Lanes>(&spare[..vectors], &mut row[..vectors]);
            }
            is_first = false;
        }
    }

    /// Features of grid `n` at point `i`.
    #[inline(always)]
    pub fn interpolate<I: InstructionSet>(&self, n: usize, i: usize, features: &mut [f32]) {
        let (at, data) = match (self.products.kinds[n], self.bound) {
            (Kind::Fixed, _) => (&self.tile.grids[n], self.data[n]),
            (Kind::Bound { row }, Some(bound)) => (&self.tile.grids[n], bound.grid(n, row)),
            _ => (&self.corners[n], self.data[n]),
        };
        I::interpolate(at, data, i, features);
    }
}

/// Features at point `i` of a tile whose corners are known. For [`InstructionSet::interpolate`].
#[inline(always)]
pub fn interpolate<L: Lanes>(at: &Corners, data: GridData<'_>, i: usize, features: &mut [f32]) {
    let (at, base) = ((at, i, 0), Base::Zero);
    match data.values {
        GridValues::F32(values) => corners::<L, _>(values, None, at, base, features),
        GridValues::F16(values) => corners::<L, _>(values, None, at, base, features),
        GridValues::I8(values, scaling) => {
            corners::<L, _>(values, Some(scaling), at, base, features);
        }
    }
}

impl Term {
    /// The product of a term of parameters alone at point `i`, whose `corners` are known; the first
    /// half of `buffers`.
    #[inline(always)]
    pub fn of_parameters<'a, I: InstructionSet>(
        &self,
        model: &Model,
        (corners, i): (&[Corners], usize),
        buffers: &'a mut [[f32; LANES]],
    ) -> &'a [f32] {
        let (row, spare) = buffers.split_at_mut(buffers.len() / 2);
        for (place, &n) in self.constant.iter().enumerate() {
            let to = if place == 0 { &mut *row } else { &mut *spare };
            let features = &mut to.as_flattened_mut()[..self.channels];
            I::interpolate(&corners[n], model.grid(n), i, features);
            if place > 0 {
                let vectors = self.channels.div_ceil(LANES);
                multiply_row::<I::Lanes>(&spare[..vectors], &mut row[..vectors]);
            }
        }
        &row.as_flattened()[..self.channels]
    }
}

/// `row *= factor`
#[inline(always)]
pub fn multiply_row<L: Lanes>(factor: &[[f32; LANES]], row: &mut [[f32; LANES]]) {
    for (row, factor) in row.iter_mut().zip(factor) {
        L::load(row).mul(L::load(factor)).store(row);
    }
}

/// `sums += row`, as far as there are sums.
#[inline(always)]
pub fn add_row<L: Lanes>(row: &[[f32; LANES]], sums: &mut [f32]) {
    let count = sums.len();
    add_row_from::<L>(&row.as_flattened()[..count], sums);
}

/// `sums += row`, two of the same length.
#[inline(always)]
pub fn add_row_from<L: Lanes>(row: &[f32], sums: &mut [f32]) {
    let (chunks, tail) = sums.as_chunks_mut::<LANES>();
    let (row, row_tail) = row.as_chunks::<LANES>();
    for (chunk, row) in chunks.iter_mut().zip(row) {
        L::load(chunk).add(L::load(row)).store(chunk);
    }
    if !tail.is_empty() {
        let mut all = [0.0; LANES];
        L::load_some(tail).add(L::load_some(row_tail)).store(&mut all);
        tail.copy_from_slice(&all[..tail.len()]);
    }
}
