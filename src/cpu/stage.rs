//! Before a tile is evaluated: between which vertices its points lie, with which weights, and
//! which cache lines that will need.
//!
//! Interpolation is multilinear with vertices at the ends (`align_corners = true`): vertex i of n
//! stands at -1 + 2 i / (n - 1). All loops run over the points of a tile, so that the compiler
//! makes vectors of them.

// The loops index several arrays alike.
#![allow(clippy::needless_range_loop)]

use super::bracket::Bracket;
use super::products::{Kind, Products};
use super::{Padding, Positions, TILE};
use crate::model::spec::Grid;
use crate::model::{GridData, GridValues, Model};

/// So few points are staged without the rest of the tile.
const FEW: usize = 8;

/// Bytes of a cache line.
pub const LINE: usize = 64;

/// What is to be staged.
pub struct Job<'a> {
    pub model: &'a Model,
    pub products: Option<&'a Products>,
    pub positions: &'a Positions,
    pub padding: Padding,
    pub run: Option<Run>,
    /// Whether cache lines are listed.
    pub lists: bool,
}

/// Points that follow one another on straight lines along an axis, as those of a lattice do: all
/// other coordinates stay the same within a run.
#[derive(Debug, Clone, Copy)]
pub struct Run {
    /// The axis that the points move along.
    pub axis: usize,
    /// Points of each run.
    pub length: usize,
    /// How many points of the first run came before.
    pub begun: usize,
}

impl Run {
    /// Whether point `i` is the first of its run, in this tile at least.
    #[inline]
    pub fn begins_at(self, i: usize) -> bool {
        i == 0 || (self.begun + i).is_multiple_of(self.length)
    }
}

/// A tile ready to be evaluated.
pub struct Staged {
    /// Number of points.
    pub len: usize,
    /// Per grid of the model; of points in runs, without the axis that they move along.
    pub grids: Vec<Corners>,
    /// From 0 to 1, per parameter of the model; empty unless each point has its own.
    pub parameters: Vec<[f64; TILE]>,
    /// Where the points are, of models with [`Products`].
    pub positions: [[f64; TILE]; 3],
    pub padding: Padding,
    /// If the points stand in runs.
    pub run: Option<Run>,
    /// Per grid, the vertices along the axis of the runs.
    pub along: Vec<Along>,
    /// Cache lines of vertices, the first of `unit` that follow one another.
    pub lines: Vec<*const u8>,
    /// 1 or 4: long rows are listed by several lines at a time.
    pub unit: usize,
    /// Whether the lines of a unit are better asked for one by one. Measured in
    /// random order: 10 to 20 % faster in rows of 256 bytes, slower by more in rows of 512.
    pub is_spread: bool,
    /// What the reference kernel takes instead.
    pub reference: Vec<([f64; 3], Padding)>,
}

// SAFETY: the addresses are only ever prefetched, never read through.
unsafe impl Send for Staged {}

/// The corners of the cells around the points of a tile, in one grid.
pub struct Corners {
    /// 2 to the number of dimensions.
    pub count: usize,
    /// Number of the first value of each corner's row.
    pub starts: [[usize; TILE]; 8],
    pub weights: [[f32; TILE]; 8],
}

/// The two vertices of each point along one axis.
pub struct Along {
    /// Number of the first value of a vertex, counted from that of the axis' first vertex.
    pub starts: [[usize; TILE]; 2],
    pub weights: [[f32; TILE]; 2],
}

impl Staged {
    /// Room for a model's grids.
    pub fn new(model: &Model) -> Self {
        let along = || Along { starts: [[0; TILE]; 2], weights: [[0.0; TILE]; 2] };
        let grids = &model.spec().grids;
        Self {
            len: 0,
            grids: grids.iter().map(|_| Corners::none()).collect(),
            parameters: Vec::new(),
            positions: [[0.0; TILE]; 3],
            padding: Padding::Border,
            run: None,
            along: grids.iter().map(|_| along()).collect(),
            lines: Vec::new(),
            unit: unit(model),
            is_spread: is_spread(model),
            reference: Vec::new(),
        }
    }

    /// Forgets the tile.
    pub fn clear(&mut self) {
        self.lines.clear();
        self.len = 0;
    }
}

/// Fills `staged` for the job's positions.
#[inline(always)]
pub fn stage(job: &Job<'_>, staged: &mut Staged) {
    let len = job.positions.len;
    staged.len = len;
    staged.run = job.run;
    staged.lines.clear();
    if job.products.is_some() {
        (staged.positions, staged.padding) = (job.positions.axes, job.padding);
    }
    let grids = job.model.spec().grids.iter().zip(&mut staged.grids).zip(&mut staged.along);
    for (n, ((grid, corners), along)) in grids.enumerate() {
        if let Some(products) = job.products.filter(|products| products.kind(n) != Kind::Fixed) {
            // What is bound is not known here, and small.
            if let Kind::Bound { row } = products.kind(n) {
                corners.fill_bound((grid, products), row, job);
            }
            continue;
        }
        let data = job.model.grid(n);
        let mut lines = LineList::new(data, grid.channels, staged.unit, &mut staged.lines);
        if len <= FEW {
            corners.fill::<FEW>(grid, data.row, job);
        } else {
            corners.fill::<TILE>(grid, data.row, job);
        }
        if let Some(run) = job.run {
            along.fill(grid, data.row, job, run.axis);
        }
        match job.run {
            _ if !job.lists => {}
            None => corners.list_lines(len, &mut lines),
            Some(run) => along.list_lines(len, run, corners, &mut lines),
        }
    }
}

impl Corners {
    /// Of no point yet.
    pub fn none() -> Self {
        Self { count: 0, starts: [[0; TILE]; 8], weights: [[0.0; TILE]; 8] }
    }

    #[inline(always)]
    fn begin<const N: usize>(&mut self) {
        self.count = 1;
        self.starts[0][..N].fill(0);
        self.weights[0][..N].fill(1.0);
    }

    /// Corners of the first `N` points along all axes but that of the runs.
    #[inline(always)]
    fn fill<const N: usize>(&mut self, grid: &Grid, row: usize, job: &Job<'_>) {
        self.begin::<N>();
        let (x, padding) = (&job.positions.axes, job.padding);
        if let Some(entries) = grid.entries {
            for (k, (&axis, &size)) in grid.axes.iter().zip(grid.shape.iter().rev()).enumerate() {
                self.add_hashed(&Bracket::<N>::new(x, padding, axis, size), k);
            }
            return self.take_rows::<N>(entries, row);
        }
        // The last spatial dimension is the fastest and moves with the first axis.
        let mut stride = row;
        for (&axis, &size) in grid.axes.iter().zip(grid.shape.iter().rev()) {
            if job.run.is_none_or(|run| run.axis != axis) {
                self.add_axis(&Bracket::<N>::new(x, padding, axis, size), stride);
            }
            stride *= size;
        }
    }

    /// Corners of all points along the axes of a grid whose other dimensions are bound.
    #[inline(always)]
    fn fill_bound(&mut self, (grid, products): (&Grid, &Products), row: usize, job: &Job<'_>) {
        self.begin::<TILE>();
        let mut stride = row;
        for (&axis, &size) in grid.axes.iter().zip(grid.shape.iter().rev()) {
            if products.is_coordinate(axis) {
                let x = &job.positions.axes;
                self.add_axis(&Bracket::<TILE>::new(x, job.padding, axis, size), stride);
                stride *= size;
            }
        }
    }

    /// Corners of all points along all dimensions of a grid, of which those from `axes` on are
    /// parameters.
    pub fn fill_all(
        &mut self,
        (grid, axes): (&Grid, usize),
        row: usize,
        positions: &[[f64; TILE]; 3],
        padding: Padding,
        parameters: &[[f64; TILE]],
    ) {
        self.begin::<TILE>();
        let mut stride = row;
        for (k, (&axis, &size)) in grid.axes.iter().zip(grid.shape.iter().rev()).enumerate() {
            let bracket = match axis.checked_sub(axes) {
                None => Bracket::<TILE>::new(positions, padding, axis, size),
                Some(n) => Bracket::<TILE>::between(&parameters[n], size),
            };
            if grid.entries.is_some() {
                self.add_hashed(&bracket, k);
            } else {
                self.add_axis(&bracket, stride);
                stride *= size;
            }
        }
        if let Some(entries) = grid.entries {
            self.take_rows::<TILE>(entries, row);
        }
    }

    #[inline(always)]
    fn add_axis<const N: usize>(&mut self, bracket: &Bracket<N>, stride: usize) {
        let (lower, upper) = self.starts.split_at_mut(self.count);
        for (lower, upper) in lower.iter_mut().zip(upper) {
            for i in 0..N {
                upper[i] = lower[i] + bracket.vertices[1][i] as usize * stride;
                lower[i] += bracket.vertices[0][i] as usize * stride;
            }
        }
        self.add_weights(bracket);
    }

    /// The starts are hashes until [`Corners::take_rows`].
    #[inline(always)]
    fn add_hashed<const N: usize>(&mut self, bracket: &Bracket<N>, k: usize) {
        let (lower, upper) = self.starts.split_at_mut(self.count);
        for (lower, upper) in lower.iter_mut().zip(upper) {
            for i in 0..N {
                upper[i] = lower[i] ^ Grid::hash(k, bracket.vertices[1][i]) as usize;
                lower[i] ^= Grid::hash(k, bracket.vertices[0][i]) as usize;
            }
        }
        self.add_weights(bracket);
    }

    #[inline(always)]
    fn take_rows<const N: usize>(&mut self, entries: usize, row: usize) {
        for starts in &mut self.starts[..self.count] {
            for start in &mut starts[..N] {
                // A power of two.
                *start = (*start & (entries - 1)) * row;
            }
        }
    }

    #[inline(always)]
    fn add_weights<const N: usize>(&mut self, bracket: &Bracket<N>) {
        let (lower, upper) = self.weights.split_at_mut(self.count);
        for (lower, upper) in lower.iter_mut().zip(upper) {
            for i in 0..N {
                upper[i] = lower[i] * bracket.weights[1][i];
                lower[i] *= bracket.weights[0][i];
            }
        }
        self.count *= 2;
    }

    #[inline(always)]
    fn list_lines(&self, len: usize, lines: &mut LineList<'_>) {
        for i in 0..len {
            for pair in self.starts[..self.count].chunks_exact(2) {
                lines.add_pair(pair[0][i], pair[1][i]);
            }
        }
    }
}

impl Along {
    #[inline(always)]
    fn fill(&mut self, grid: &Grid, row: usize, job: &Job<'_>, run: usize) {
        self.starts = [[0; TILE]; 2];
        self.weights = [[1.0; TILE], [0.0; TILE]];
        let mut stride = row;
        for (&axis, &size) in grid.axes.iter().zip(grid.shape.iter().rev()) {
            if axis == run {
                let bracket = Bracket::<TILE>::new(&job.positions.axes, job.padding, axis, size);
                for (starts, vertices) in self.starts.iter_mut().zip(&bracket.vertices) {
                    for i in 0..TILE {
                        starts[i] = vertices[i] as usize * stride;
                    }
                }
                self.weights = bracket.weights;
            }
            stride *= size;
        }
    }

    /// Vertices that the point before has are listed already.
    #[inline(always)]
    fn list_lines(&self, len: usize, run: Run, corners: &Corners, lines: &mut LineList<'_>) {
        for i in 0..len {
            let known = if run.begins_at(i) { None } else { Some(i - 1) };
            let is_new = |start: usize| {
                known.is_none_or(|known| self.starts.iter().all(|starts| starts[known] != start))
            };
            let [lower, upper] = [self.starts[0][i], self.starts[1][i]];
            for starts in &corners.starts[..corners.count] {
                match (is_new(lower), is_new(upper)) {
                    (true, true) => lines.add_pair(starts[i] + lower, starts[i] + upper),
                    (true, false) => lines.add(starts[i] + lower, 1),
                    (false, true) => lines.add(starts[i] + upper, 1),
                    (false, false) => {}
                }
            }
        }
    }
}

/// Bytes of the rows of each grid.
fn rows(model: &Model) -> impl Iterator<Item = usize> {
    let grids = 0..model.spec().grids.len();
    grids.map(|n| model.grid(n).row * model.grid_precision(n).bytes())
}

fn is_spread(model: &Model) -> bool {
    rows(model).all(|bytes| bytes < 8 * LINE)
}

/// Several lines at a time, if all grids have pairs of vertices that fill them.
fn unit(model: &Model) -> usize {
    if rows(model).all(|bytes| 2 * bytes >= 4 * LINE) { 4 } else { 1 }
}

/// Collects the cache lines of vertices of one grid.
struct LineList<'a> {
    base: *const u8,
    /// Bytes of a number.
    size: usize,
    /// Numbers from one vertex to the next, and how many of them count.
    row: usize,
    used: usize,
    unit: usize,
    lines: &'a mut Vec<*const u8>,
}

impl<'a> LineList<'a> {
    fn new(data: GridData<'_>, used: usize, unit: usize, lines: &'a mut Vec<*const u8>) -> Self {
        let (base, size) = match data.values {
            GridValues::F32(values) => (values.as_ptr().cast(), 4),
            GridValues::F16(values) => (values.as_ptr().cast(), 2),
            GridValues::I8(values, _) => (values.as_ptr().cast(), 1),
        };
        Self { base, size, row: data.row, used, unit, lines }
    }

    /// Vertices that start at these numbers; neighbours in memory are taken together.
    #[inline(always)]
    fn add_pair(&mut self, lower: usize, upper: usize) {
        if upper == lower + self.row {
            self.add(lower, 2);
        } else {
            self.add(lower, 1);
            self.add(upper, 1);
        }
    }

    /// Some vertices that follow one another.
    #[inline(always)]
    fn add(&mut self, start: usize, vertices: usize) {
        let bytes = ((vertices - 1) * self.row + self.used) * self.size;
        let start = self.base.wrapping_add(start * self.size);
        let within = start.addr() % LINE;
        let first = start.wrapping_sub(within);
        let step = self.unit * LINE;
        for n in 0..(within + bytes).div_ceil(step) {
            self.lines.push(first.wrapping_add(n * step));
        }
    }
}
