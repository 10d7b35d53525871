//! Models whose grids are multiplied with one another or have dimensions along parameters: what is
//! computed when. Other models never come here.
//!
//! A *term* is what is added to the input vector: a product of grids, or a single one. Of its
//! factors some change with the position alone (*fixed*), some with the parameters too (*mixed*),
//! some with the parameters alone (*constant*). For bound parameters, mixed grids are interpolated
//! over the parameters once, into smaller grids over the coordinates that are left, and the product
//! of the constant ones is one row ([`bind`]); a point then only gathers and multiplies
//! ([`gather`]). Mixed grids that would be too large are interpolated over everything at each point
//! (*free*), as all are where each point has its own parameters.

mod bind;
pub mod gather;

use super::TILE;
use super::lanes::LANES;
use super::stage::{Corners, Staged};
use crate::model::spec::{Grid, Spec};
use crate::model::{GridPrecision, Model};
pub use bind::Bound;
pub use gather::ProductsScratch;

/// Bytes that the grids of a binding may take together.
const BOUND_BYTES: usize = 1 << 26;

/// How a model's terms are computed.
pub struct Products {
    /// Number of the model's axes: what indexes a grid from there on is a parameter.
    axes: usize,
    /// What differs from point to point.
    terms: Vec<Term>,
    /// Terms of parameters alone, which are part of what points start from.
    conditional: Vec<Term>,
    /// Of each grid of the model.
    kinds: Vec<Kind>,
    /// Length of what terms are added to, and of the longest term, in vectors.
    width: usize,
    longest: usize,
    /// Vectors of a point that do not depend on the parameters.
    kept: usize,
}

/// Grids that are multiplied.
pub struct Term {
    /// Where its features are added.
    pub offset: usize,
    /// How many they are.
    pub channels: usize,
    fixed: Vec<usize>,
    mixed: Vec<usize>,
    constant: Vec<usize>,
    /// Where the product of the fixed factors is kept, in vectors, unless it is all there is.
    place: usize,
}

/// What a grid depends on, and how it is gathered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// On the position.
    Fixed,
    /// On both. Bound: a grid over coordinates, of rows of so many numbers.
    Bound { row: usize },
    /// On both, and too large to bind.
    Free,
    /// On parameters, a factor of a term that differs from point to point.
    Constant,
    /// On parameters, like all of its term.
    Conditional,
}

impl Products {
    /// None if the model's grids are only added, and have no dimensions along parameters.
    pub fn new(model: &Model) -> Option<Self> {
        let spec = model.spec();
        let is_plain = |grid: &Grid| grid.product.is_none() && !spec.has_parameters(grid);
        if spec.grids.iter().all(is_plain) {
            return None;
        }
        let kinds = kinds(spec);
        let width = spec.spatial_width().div_ceil(LANES);
        let mut products = Self {
            axes: spec.axes.len(),
            terms: Vec::new(),
            conditional: Vec::new(),
            kinds,
            width,
            longest: 0,
            kept: width,
        };
        for grids in model.terms() {
            products.add(spec, grids);
        }
        Some(products)
    }

    fn add(&mut self, spec: &Spec, grids: &[usize]) {
        let Grid { offset, channels, .. } = spec.grids[grids[0]];
        let of = |wanted: &dyn Fn(Kind) -> bool| -> Vec<usize> {
            grids.iter().copied().filter(|&n| wanted(self.kinds[n])).collect()
        };
        let term = Term {
            offset,
            channels,
            fixed: of(&|kind| kind == Kind::Fixed),
            mixed: of(&|kind| matches!(kind, Kind::Bound { .. } | Kind::Free)),
            constant: of(&|kind| kind == Kind::Constant),
            place: self.kept,
        };
        let vectors = channels.div_ceil(LANES);
        self.longest = self.longest.max(vectors);
        if term.fixed.is_empty() && term.mixed.is_empty() {
            grids.iter().for_each(|&n| self.kinds[n] = Kind::Conditional);
            return self.conditional.push(term);
        }
        if !term.is_fixed() && !term.fixed.is_empty() {
            self.kept += vectors;
        }
        self.terms.push(term);
    }

    /// How grid `n` is gathered.
    pub fn kind(&self, n: usize) -> Kind {
        self.kinds[n]
    }

    /// Whether dimension `axis` of a grid is one along a coordinate.
    pub fn is_coordinate(&self, axis: usize) -> bool {
        axis < self.axes
    }

    /// Terms of parameters alone.
    pub fn conditional(&self) -> &[Term] {
        &self.conditional
    }

    /// The grids of each term of several, and all that they are multiplied to.
    pub fn factors(&self) -> impl Iterator<Item = (&Term, Vec<usize>)> {
        let all = |term: &Term| [&term.fixed[..], &term.mixed, &term.constant].concat();
        self.terms.iter().map(move |term| (term, all(term)))
    }

    /// Whether what is added at a point changes with a parameter.
    pub fn depend_on_parameters(&self) -> bool {
        self.terms.iter().any(|term| !term.is_fixed())
    }

    /// Length of the longest term, in vectors.
    pub fn longest(&self) -> usize {
        self.longest
    }

    /// Bytes of the grids of a binding.
    pub fn bound_bytes(&self, spec: &Spec) -> usize {
        let kinds = self.kinds.iter().zip(&spec.grids);
        let bytes = kinds.map(|(kind, grid)| match kind {
            Kind::Bound { row } => vertices(spec, grid).unwrap_or(0) * row * size_of::<f32>(),
            Kind::Fixed | Kind::Free | Kind::Constant | Kind::Conditional => 0,
        });
        bytes.sum()
    }

    /// The corners of all points of a tile in the grids of some kinds, over all dimensions; one
    /// entry per grid of the model. `parameters` has those of each point, from 0 to 1.
    pub fn fill_corners(
        &self,
        model: &Model,
        tile: &Staged,
        parameters: &[[f64; TILE]],
        wanted: fn(Kind) -> bool,
        corners: &mut Vec<Corners>,
    ) {
        corners.resize_with(self.kinds.len(), Corners::none);
        let grids = model.spec().grids.iter().zip(&self.kinds).zip(corners).enumerate();
        for (n, ((grid, &kind), corners)) in grids {
            if wanted(kind) {
                let (positions, padding) = (&tile.positions, tile.padding);
                corners.fill_all(
                    (grid, self.axes),
                    model.grid(n).row,
                    positions,
                    padding,
                    parameters,
                );
            }
        }
    }
}

impl Term {
    /// Whether it does not depend on the parameters.
    fn is_fixed(&self) -> bool {
        self.mixed.is_empty() && self.constant.is_empty()
    }
}

/// Which grids are bound is decided once, in the file's order: results do not depend on it but for
/// rounding, and rounding not on anything else.
fn kinds(spec: &Spec) -> Vec<Kind> {
    let mut left = BOUND_BYTES;
    let kind = |grid: &Grid| {
        match (spec.has_coordinates(grid), spec.has_parameters(grid)) {
            (_, false) => return Kind::Fixed,
            (false, true) => return Kind::Constant,
            (true, true) => {}
        }
        let row = GridPrecision::F32.row(grid.channels);
        // A table of hashed vertices is not spread out into a larger one.
        let rows = vertices(spec, grid).filter(|&rows| Some(rows) <= grid.rows());
        let bytes = rows.and_then(|rows| rows.checked_mul(row * size_of::<f32>()));
        match bytes.and_then(|bytes| left.checked_sub(bytes)) {
            Some(rest) => {
                left = rest;
                Kind::Bound { row }
            }
            None => Kind::Free,
        }
    };
    spec.grids.iter().map(kind).collect()
}

/// Vertices of a grid along its coordinates alone.
fn vertices(spec: &Spec, grid: &Grid) -> Option<usize> {
    let sizes = grid.axes.iter().zip(grid.shape.iter().rev());
    let coordinates = sizes.filter(|&(&axis, _)| axis < spec.axes.len());
    coordinates.map(|(_, &size)| size).try_fold(1usize, usize::checked_mul)
}
