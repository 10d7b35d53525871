//! One case: a model, an order of points, a number of threads. Checks that everybody computes the
//! same function, then measures everybody in turns.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Result, ensure};
use drr::Storage;

use crate::difference::Difference;
use crate::limit::Limits;
use crate::machine::memory::Region;
use crate::models::{Baked, Network};
use crate::points::Order;
use crate::python::Peer;
use crate::report::Row;
use crate::rounds::{Figures, Rounds};
use crate::subject::{Subject, VARIANTS, Variant, storage_name};
use crate::torch::{CHUNKS, Eager};

/// Largest difference between competitors, all in 32 bits, of values between 0 and 1.
const PEER_TOLERANCE: Difference = Difference { largest: 1e-4, rms: 1e-5 };

/// Standard deviation that values have at least: else comparing them would show nothing.
const LEAST_SPREAD: f64 = 0.01;

/// A model with everything that is asked for its values.
pub struct Contest<'a> {
    /// The original network.
    pub network: &'a Network,
    /// Its baked files.
    pub baked: &'a Baked,
    /// Eager PyTorch with the same network.
    pub eager: &'a Eager,
    /// Competitors in other processes, by name.
    pub peers: &'a mut [(&'static str, Peer)],
    /// Whether eager PyTorch is measured, too; its values are always compared.
    pub with_eager: bool,
    /// Where files go.
    pub folder: &'a Path,
}

/// The points of a case.
#[derive(Debug, Clone)]
pub struct Case {
    /// In which order.
    pub order: Order,
    /// For everybody.
    pub threads: usize,
    /// Points per query of drr, powers of two; the lattice of the middle one is the one whose part
    /// competitors get.
    pub sizes: Vec<usize>,
    /// Points per query of competitors.
    pub peer_points: usize,
}

impl Case {
    /// Points for competitors: of a lattice as many as they get from its middle, so that they meet
    /// vertices as often as drr does.
    fn peer_sample(&self) -> Vec<f32> {
        match self.order {
            Order::Random => self.order.points(self.peer_points),
            Order::Lattice => {
                let all = self.order.points(self.lattice().max(self.peer_points));
                let start = (all.len() / 3 - self.peer_points) / 2;
                all[3 * start..][..3 * self.peer_points].to_vec()
            }
        }
    }

    fn lattice(&self) -> usize {
        self.sizes[self.sizes.len() / 2]
    }

    /// Where the file's bytes are: the size of pages matters where points jump.
    fn storages(&self) -> &'static [Storage] {
        match self.order {
            Order::Random => &[Storage::Mapped, Storage::HugePages],
            Order::Lattice => &[Storage::Mapped],
        }
    }
}

/// How far everybody's values are from PyTorch eager's, by path and name of the precision.
pub struct Agreement(Vec<(&'static str, &'static str, Difference)>);

impl Agreement {
    fn of(&self, path: &str, precision: &str) -> Difference {
        let found = self.0.iter().find(|found| (found.0, found.1) == (path, precision));
        found.map_or(Difference::ZERO, |found| found.2)
    }
}

impl Contest<'_> {
    /// Compares everybody's values at the competitors' points with eager PyTorch's.
    ///
    /// # Errors
    /// If anybody differs by more than the tolerance: then they would not do the same work.
    pub fn check(&mut self, case: &Case) -> Result<Agreement> {
        let points = case.peer_sample();
        let truth = self.eager.query(&points, case.threads);
        let mean = truth.iter().map(|&v| f64::from(v)).sum::<f64>() / truth.len() as f64;
        let variance = truth.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>();
        let spread = (variance / truth.len() as f64).sqrt();
        ensure!(spread > LEAST_SPREAD, "the network's values hardly vary ({spread:.1e})");
        let mut agreement = Agreement(Vec::new());
        let name = self.network.size.name;
        let mut compare = |path, precision, values: &[f32], tolerance| {
            let difference = Difference::new(values, &truth);
            ensure!(
                difference.is_within(tolerance),
                "{path} in {precision} differs from PyTorch eager by {difference}, allowed are \
                 {tolerance} ({name}, {} order, {} threads)",
                case.order.name(),
                case.threads,
            );
            agreement.0.push((path, precision, difference));
            Ok(())
        };
        let peer_precision = VARIANTS[0].name;
        let chunks = self.eager.query_chunks(&points, case.threads, CHUNKS[0]);
        compare("torch_eager_chunked", peer_precision, &chunks, PEER_TOLERANCE)?;
        let mut values = vec![f32::NAN; truth.len()];
        for variant in &VARIANTS {
            values.fill(f32::NAN);
            let subject = self.subject(variant, Storage::Mapped, case.threads)?;
            subject.query(&points, &mut values)?;
            compare("drr", variant.name, &values, variant.tolerance)?;
        }
        let file = PointsFile::write(self.folder, &points)?;
        let answer = self.folder.join("peer-values.f32");
        for (name, peer) in self.peers.iter_mut() {
            peer.run(&file.0, case.threads, Some(&answer))?;
            let bytes = std::fs::read(&answer)?;
            let values: Vec<_> =
                bytes.as_chunks::<4>().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
            compare(name, peer_precision, &values, PEER_TOLERANCE)?;
        }
        let _ = std::fs::remove_file(answer);
        Ok(agreement)
    }

    /// Rates of everybody and the limit, medians of `rounds` rounds.
    ///
    /// # Errors
    /// If anybody fails or differs, see [`Contest::check`].
    pub fn measure(&mut self, case: &Case, region: &Region, rounds: usize) -> Result<Vec<Row>> {
        let agreement = self.check(case)?;
        let size = &self.network.size;
        let threads = case.threads;
        let queries: Vec<_> = case.sizes.iter().map(|&count| case.order.points(count)).collect();
        let sample = case.peer_sample();
        let file = PointsFile::write(self.folder, &sample)?;
        let ways = VARIANTS
            .iter()
            .flat_map(|variant| case.storages().iter().map(move |&storage| (variant, storage)));
        let ways: Vec<_> = ways
            .map(|(variant, storage)| {
                Ok((variant, storage, self.subject(variant, storage, threads)?))
            })
            .collect::<Result<_>>()?;
        let mut turns = Rounds::default();
        let limits = Limits::add(&mut turns, region, size, case.order, threads);
        let mut entries = Vec::new();
        for (variant, storage, subject) in &ways {
            for points in &queries {
                let count = points.len() / 3;
                let mut values = vec![0.0; count];
                turns.add(move || rate(count, || subject.query(points, &mut values)));
                let (storage, remark) = (storage_name(*storage), String::new());
                entries.push(Entry { path: "drr", variant, storage, points: count, remark });
            }
        }
        let mut competitor = |path, remark| {
            let (variant, points) = (&VARIANTS[0], case.peer_points);
            entries.push(Entry { path, variant, storage: "-", points, remark });
        };
        let (eager, points, count) = (self.eager, &sample, case.peer_points);
        if self.with_eager {
            turns.add(move || rate(count, || Ok(eager.query(points, threads))));
            competitor("torch_eager", String::new());
            let chunk = best_chunk(eager, points, threads);
            turns.add(move || rate(count, || Ok(eager.query_chunks(points, threads, chunk))));
            competitor("torch_eager_chunked", format!("chunks of {chunk} points"));
        }
        for (name, peer) in self.peers.iter_mut() {
            let path = &file.0;
            turns.add(move || Ok(count as f64 / peer.run(path, threads, None)?));
            competitor(name, String::new());
        }
        let Figures { figures, others_busy } = turns.run(rounds)?;
        println!("{}; others keep {others_busy:.1} cores busy", limits.describe(&figures));
        let first = figures.len() - entries.len();
        let rows = entries.into_iter().zip(&figures[first..]).map(|(entry, &figure)| {
            // Competitors get a part of a lattice: its density counts, not their number.
            let whole = if entry.path == "drr" { entry.points } else { case.lattice() };
            Row {
                model: size.name,
                order: case.order.name(),
                threads,
                path: entry.path,
                precision: entry.variant.name,
                storage: entry.storage,
                points: entry.points,
                figure,
                others_busy,
                difference: agreement.of(entry.path, entry.variant.name),
                limit: limits.of(&figures, size, entry.variant, whole),
                remark: entry.remark,
            }
        });
        Ok(rows.collect())
    }

    fn subject(&self, variant: &Variant, storage: Storage, threads: usize) -> Result<Subject> {
        let path = self.baked.path(variant);
        Subject::open(path, storage, threads, &self.network.size.parameter_values())
    }
}

/// What one of the turns is.
struct Entry {
    path: &'static str,
    /// Whose limit counts.
    variant: &'static Variant,
    storage: &'static str,
    points: usize,
    remark: String,
}

/// Points in a file of their own for as long as they are needed.
struct PointsFile(PathBuf);

impl PointsFile {
    fn write(folder: &Path, points: &[f32]) -> Result<Self> {
        let path = folder.join("peer-points.f32");
        let bytes: Vec<u8> = points.iter().flat_map(|x| x.to_le_bytes()).collect();
        std::fs::write(&path, bytes)?;
        Ok(Self(path))
    }
}

impl Drop for PointsFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Points per second of `work` on `count` points.
fn rate<T>(count: usize, work: impl FnOnce() -> Result<T>) -> Result<f64> {
    let start = Instant::now();
    work()?;
    Ok(count as f64 / start.elapsed().as_secs_f64())
}

/// The chunk that is fastest on a quarter of the points.
fn best_chunk(eager: &Eager, points: &[f32], threads: usize) -> usize {
    let part = &points[..points.len() / 12 * 3];
    let time = |chunk| {
        let start = Instant::now();
        eager.query_chunks(part, threads, chunk);
        start.elapsed()
    };
    CHUNKS.into_iter().min_by_key(|&chunk| time(chunk)).unwrap_or(CHUNKS[0])
}
