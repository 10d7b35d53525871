//! What rates do not show: whether the cost is linear, what opening costs, what stays in memory, how
//! long one point takes.

use std::path::Path;
use std::time::Instant;

use anyhow::Result;
use drr::{Checksums, OpenOptions, Runtime};
use serde_json::{Value, json};

use crate::machine::peak::Peak;
use crate::models::Size;
use crate::points::Order;
use crate::rounds::Figure;
use crate::subject::{Arithmetic, Subject, Variant};

/// Numbers of points of the scaling table.
const SCALE: [usize; 9] =
    [1_000, 3_000, 10_000, 30_000, 100_000, 300_000, 1_000_000, 3_000_000, 10_000_000];

/// Points after which resident memory is looked at.
const TOUCHED_POINTS: usize = 1_000;

/// Size of the pages that files are mapped in.
const PAGE: usize = 4096;

/// Measures and prints all of it for one baked model.
///
/// # Errors
/// If the model cannot be opened.
pub fn measure(path: &Path, size: &Size, variant: &Variant, repetitions: usize) -> Result<Value> {
    println!("\n{}, {}, one thread", size.name, variant.name);
    Ok(json!({
        "model": size.name,
        "precision": variant.name,
        "memory": memory(path, size, variant)?,
        "open": open(path, repetitions)?,
        "latency": latency(path, size)?,
        "scaling": scaling(path, size, repetitions)?,
    }))
}

/// Peak arithmetic of one core in every precision, printed.
pub fn machine(repetitions: usize) -> Value {
    let peaks = Arithmetic::ALL.map(|arithmetic| {
        let peak = Peak::new(arithmetic);
        let rates = (0..repetitions).map(|_| peak.measure(1)).collect();
        let rate = Figure::new(rates).median;
        println!(
            "one core, {:4} {:6.0} G operations/s by {}",
            arithmetic.name(),
            rate / 1e9,
            peak.instruction
        );
        json!({
            "precision": arithmetic.name(),
            "instruction": peak.instruction,
            "operations_per_s": rate,
        })
    });
    json!(peaks)
}

/// Resident memory that a model takes beside the pages of the file that its queries touch.
fn memory(path: &Path, size: &Size, variant: &Variant) -> Result<Value> {
    let points = Order::Random.points(TOUCHED_POINTS);
    let mut values = vec![0.0; TOUCHED_POINTS];
    let touched = touched_pages(size, variant, &points) * PAGE;
    let before = Resident::now()?;
    let subject = Subject::open(path, 1, &size.parameter_values())?;
    subject.query(&points, &mut values)?;
    let after = Resident::now()?;
    let private = after.anonymous.saturating_sub(before.anonymous);
    let mapped = (after.all - after.anonymous).saturating_sub(before.all - before.anonymous);
    println!(
        "resident after {TOUCHED_POINTS} random points: {} KiB of its own, {} KiB of the file \
         (touched: {} KiB; the system maps neighbours, too)",
        private >> 10,
        mapped >> 10,
        touched >> 10
    );
    Ok(json!({
        "points": TOUCHED_POINTS,
        "private_bytes": private,
        "mapped_bytes": mapped,
        "touched_bytes": touched,
    }))
}

/// Resident memory of this process, in bytes.
struct Resident {
    all: usize,
    anonymous: usize,
}

impl Resident {
    fn now() -> Result<Self> {
        // Not on every system; then it is unknown, not an error.
        let text = std::fs::read_to_string("/proc/self/smaps_rollup").unwrap_or_default();
        let field = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
            number.unwrap_or(0usize) << 10
        };
        Ok(Self { all: field("Rss:"), anonymous: field("Anonymous:") })
    }
}

/// Pages of the grid that hold a corner of any of the points.
fn touched_pages(size: &Size, variant: &Variant, points: &[f32]) -> usize {
    let row = crate::limit::row_bytes(size, variant);
    let [d, h, w] = size.shape;
    let mut pages = std::collections::HashSet::new();
    for point in points.as_chunks::<3>().0 {
        let lower = |x: f32, n: usize| {
            let p = f64::from(x + 1.0) * 0.5 * (n - 1) as f64;
            (p as usize).min(n - 2)
        };
        let [x, y, z] = [lower(point[0], w), lower(point[1], h), lower(point[2], d)];
        for (y, z) in [(y, z), (y + 1, z), (y, z + 1), (y + 1, z + 1)] {
            let start = ((z * h + y) * w + x) * row;
            pages.extend(start / PAGE..=(start + 2 * row - 1) / PAGE);
        }
    }
    pages.len()
}

/// Milliseconds to open the file, which is in the system's cache, and bind parameters.
fn open(path: &Path, repetitions: usize) -> Result<Value> {
    let bytes = std::fs::metadata(path)?.len();
    let mut result = json!({"file_bytes": bytes});
    for (name, checksums) in [("verify", Checksums::Verify), ("skip", Checksums::Skip)] {
        let options = OpenOptions { checksums, ..OpenOptions::default() };
        let mut times = Vec::new();
        for _ in 0..repetitions {
            let start = Instant::now();
            let runtime = Runtime::open(path, &options)?;
            times.push(start.elapsed().as_secs_f64() * 1e3);
            drop(runtime);
        }
        let ms = Figure::new(times);
        println!(
            "open, checksums {name:6}: {:9.2} ms ({:.2} .. {:.2}) for {:.0} MB, file in cache",
            ms.median,
            ms.min,
            ms.max,
            bytes as f64 / 1e6
        );
        result[format!("checksums_{name}_ms")] = json!(ms.median);
    }
    Ok(result)
}

/// Microseconds of a query of one point whose vertices are in the core's cache.
fn latency(path: &Path, size: &Size) -> Result<Value> {
    const QUERIES: usize = 2_000;
    let subject = Subject::open(path, 1, &size.parameter_values())?;
    let mut value = [0.0];
    let mut times = Vec::with_capacity(QUERIES);
    for _ in 0..2 * QUERIES {
        let start = Instant::now();
        subject.query(&[0.1, -0.2, 0.3], &mut value)?;
        times.push(start.elapsed().as_secs_f64() * 1e6);
    }
    let us = Figure::new(times.split_off(QUERIES));
    println!(
        "one warm point: {:.2} us (least {:.2}) by kernel {}",
        us.median,
        us.min,
        subject.kernel()
    );
    Ok(json!({"one_point_us": us.median, "least_us": us.min, "kernel": subject.kernel()}))
}

/// Nanoseconds per point for queries of very different sizes, points in random order.
fn scaling(path: &Path, size: &Size, repetitions: usize) -> Result<Value> {
    let subject = Subject::open(path, 1, &size.parameter_values())?;
    let largest = SCALE[SCALE.len() - 1];
    let points = Order::Random.points(largest);
    let mut values = vec![0.0; largest];
    subject.query(&points[..3 * 300_000], &mut values[..300_000])?; // Warms up.
    let mut rows = Vec::new();
    for count in SCALE {
        let mut times = Vec::new();
        // Small queries are short: more of them make a steady median.
        for n in 0..repetitions.max(100_000 / count) {
            let first = n * count % (largest - count + 1);
            let start = Instant::now();
            subject.query(&points[3 * first..][..3 * count], &mut values[..count])?;
            times.push(start.elapsed().as_secs_f64() * 1e9 / count as f64);
        }
        let ns = Figure::new(times);
        println!("{count:>10} points: {:7.1} ns/point ({:.1} .. {:.1})", ns.median, ns.min, ns.max);
        rows.push(json!({"points": count, "ns_per_point": ns.median}));
    }
    Ok(json!(rows))
}
