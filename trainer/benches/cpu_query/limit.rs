//! The limit: no implementation of the folded function can be faster on this machine than its
//! arithmetic and its memory allow, whichever takes longer.

use anyhow::Result;

use crate::machine::arithmetic::Arithmetic;
use crate::machine::memory::{RandomRows, Region};
use crate::machine::peak::Peak;
use crate::models::Size;
use crate::points::{Order, lattice_coordinate, lattice_shape};
use crate::rounds::{Figure, Rounds};
use crate::subject::{VARIANTS, Variant};

/// The fastest rate that is possible, in points per second.
#[derive(Debug, Clone, Copy)]
pub struct Limit {
    /// Points per second.
    pub rate: f64,
    /// What sets it: `arithmetic` or `memory`.
    pub bound: &'static str,
}

/// What the machine gives, measured in turns with what it limits.
pub struct Limits {
    threads: usize,
    order: Order,
    /// Place among the figures, in operations per second.
    peaks: Vec<(Arithmetic, usize)>,
    /// The same in bytes per second, by bytes of a row.
    bandwidths: Vec<(usize, usize)>,
}

impl Limits {
    /// Adds to `rounds` all that limits any variant.
    pub fn add<'a>(
        rounds: &mut Rounds<'a>,
        region: &'a Region,
        size: &Size,
        order: Order,
        threads: usize,
    ) -> Self {
        let mut limits = Self { threads, order, peaks: Vec::new(), bandwidths: Vec::new() };
        for variant in &VARIANTS {
            let arithmetic = variant.arithmetic;
            if limits.peaks.iter().all(|peak| peak.0 != arithmetic) {
                let peak = Peak::new(arithmetic);
                limits.peaks.push((arithmetic, rounds.add(move || Ok(peak.measure(threads)))));
            }
            let row = row_bytes(size, variant);
            if limits.bandwidths.iter().all(|bandwidth| bandwidth.0 != row) {
                let bytes = size.vertices() * row;
                let place = match order {
                    Order::Lattice => rounds.add(move || Ok(region.stream(threads, bytes))),
                    Order::Random => {
                        let rows: RandomRows<'a> = region.random_rows(row, bytes, threads);
                        rounds.add(move || -> Result<f64> { Ok(rows.measure()) })
                    }
                };
                limits.bandwidths.push((row, place));
            }
        }
        limits
    }

    /// The limit of `variant` for queries of `points` points.
    pub fn of(&self, figures: &[Figure], size: &Size, variant: &Variant, points: usize) -> Limit {
        let row = row_bytes(size, variant);
        let place = |found: Option<usize>| found.map_or(f64::INFINITY, |at| figures[at].median);
        let peak = self.peaks.iter().find(|peak| peak.0 == variant.arithmetic);
        let bandwidth = self.bandwidths.iter().find(|bandwidth| bandwidth.0 == row);
        let arithmetic = place(peak.map(|peak| peak.1)) / size.decoder_flops();
        let memory = place(bandwidth.map(|bandwidth| bandwidth.1))
            / (rows_per_point(size, self.order, points) * row as f64);
        if arithmetic < memory {
            Limit { rate: arithmetic, bound: "arithmetic" }
        } else {
            Limit { rate: memory, bound: "memory" }
        }
    }

    /// What was measured, for people: `f32 116 GFLOP/s; rows of 512 B 14 GB/s`.
    pub fn describe(&self, figures: &[Figure]) -> String {
        let peaks = self.peaks.iter().map(|&(arithmetic, at)| {
            format!("{} {:.0} G operations/s", arithmetic.name(), figures[at].median / 1e9)
        });
        let bandwidths = self.bandwidths.iter().map(|&(row, at)| {
            let what = match self.order {
                Order::Random => "random rows",
                Order::Lattice => "stream, rows",
            };
            format!("{what} of {row} B {:.1} GB/s", figures[at].median / 1e9)
        });
        let parts: Vec<_> = peaks.chain(bandwidths).collect();
        format!("{} thread(s): {}", self.threads, parts.join("; "))
    }
}

/// Bytes from one vertex of the baked grid to the next.
pub fn row_bytes(size: &Size, variant: &Variant) -> usize {
    variant.grid.row(size.hidden) * variant.grid.bytes()
}

/// Rows that must come from memory per point: all eight corners in random order; on a lattice each
/// vertex that is touched at all, once.
fn rows_per_point(size: &Size, order: Order, points: usize) -> f64 {
    match order {
        Order::Random => 8.0,
        Order::Lattice => {
            let [d, h, w] = size.shape;
            let axes = lattice_shape(points).into_iter().zip([w, h, d]);
            let touched: usize = axes.map(|(n, vertices)| touched(n, vertices)).product();
            touched as f64 / points as f64
        }
    }
}

/// Vertices of an axis that `n` lattice points lie between.
fn touched(n: usize, vertices: usize) -> usize {
    let lower = |i| {
        let p = f64::from(lattice_coordinate(i, n) + 1.0) * 0.5 * (vertices - 1) as f64;
        (p as usize).min(vertices.saturating_sub(2))
    };
    let mut seen = vec![false; vertices];
    for i in 0..n {
        seen[lower(i)..vertices.min(lower(i) + 2)].fill(true);
    }
    seen.into_iter().filter(|&seen| seen).count()
}
