//! What rates do not show: whether the cost is linear, what opening costs, what stays in memory, how
//! long one point takes.

use std::collections::HashSet;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Result, ensure};
use drr::{Checksums, OpenOptions, Points, Runtime, Sampler, SamplerOptions, Storage, ValuesMut};
use serde_json::{Value, json};

use crate::limit::row_bytes;
use crate::machine::arithmetic::Arithmetic;
use crate::machine::peak::Peak;
use crate::models::Size;
use crate::points::Order;
use crate::rounds::{Figure, Figures, Rounds};
use crate::subject::{Subject, Variant};

/// Numbers of points of the scaling table.
const SCALE: [usize; 9] =
    [1_000, 3_000, 10_000, 30_000, 100_000, 300_000, 1_000_000, 3_000_000, 10_000_000];

/// Points after which resident memory is looked at.
const TOUCHED_POINTS: usize = 1_000;

/// Size of the pages that files are mapped in.
const PAGE: usize = 4096;

/// The largest of them that a quick measurement includes.
const QUICK_SCALE: usize = 1_000_000;

/// Measures and prints all of it for one baked model.
///
/// # Errors
/// If the model cannot be opened.
pub fn measure(
    path: &Path,
    size: &Size,
    variant: &Variant,
    repetitions: usize,
    quick: bool,
) -> Result<Value> {
    let subject = Subject::open(path, Storage::Mapped, 1, &size.parameter_values())?;
    let largest = if quick { QUICK_SCALE } else { SCALE[SCALE.len() - 1] };
    println!("\n{}, {}, one thread", size.name, variant.name);
    Ok(json!({
        "model": size.name,
        "precision": variant.name,
        "memory": memory(path, size, variant)?,
        "open": open(path, repetitions)?,
        "latency": latency(&subject)?,
        "scaling": scaling(&subject, largest, repetitions)?,
    }))
}

/// Peak arithmetic in every precision, for each number of threads, printed.
///
/// # Errors
/// None in practice.
pub fn machine(threads: &[usize], repetitions: usize) -> Result<Value> {
    let mut turns = Rounds::default();
    let mut peaks = Vec::new();
    for &threads in threads {
        for arithmetic in Arithmetic::ALL {
            let peak = Peak::new(arithmetic);
            turns.add(move || Ok(peak.measure(threads)));
            peaks.push((threads, arithmetic, peak.instruction));
        }
    }
    let Figures { figures, .. } = turns.run(repetitions)?;
    let peaks = peaks.into_iter().zip(figures).map(|((threads, arithmetic, by), rate)| {
        println!(
            "{threads} thread(s), {:4} {:6.0} G operations/s ({:.0} .. {:.0}) by {by}",
            arithmetic.name(),
            rate.median / 1e9,
            rate.min / 1e9,
            rate.max / 1e9,
        );
        json!({
            "threads": threads,
            "precision": arithmetic.name(),
            "instruction": by,
            "operations_per_s": rate.median,
        })
    });
    Ok(peaks.collect())
}

/// Resident memory that an open model takes, printed.
fn memory(path: &Path, size: &Size, variant: &Variant) -> Result<Value> {
    // In a process of its own, whose allocator has no freed memory to give out again.
    let mut child = Command::new(std::env::current_exe()?);
    let output = child.arg("--resident").arg(path).stderr(Stdio::inherit()).output()?;
    ensure!(output.status.success(), "the process whose memory is measured failed");
    let mut value: Value = serde_json::from_slice(&output.stdout)?;
    let touched = touched_pages(size, variant, &Order::Random.points(TOUCHED_POINTS));
    value["touched_bytes"] = json!(touched * PAGE);
    let kib = |name: &str| value[name].as_u64().unwrap_or(0) >> 10;
    println!(
        "resident after {TOUCHED_POINTS} random points: {} KiB of its own, {} KiB of the mapped \
         file, of which {} KiB were touched (the system maps neighbours that it has in its cache)",
        kib("private_bytes"),
        kib("mapped_bytes"),
        kib("touched_bytes")
    );
    Ok(value)
}

/// What [`memory`] measures: how much more is resident after a model was opened and asked.
///
/// # Errors
/// If the model cannot be opened.
pub fn resident(path: &Path) -> Result<Value> {
    let points = Order::Random.points(TOUCHED_POINTS);
    let mut values = vec![0.0; TOUCHED_POINTS];
    let before = Resident::now();
    let runtime =
        Runtime::open(path, &OpenOptions { checksums: Checksums::Skip, ..Default::default() })?;
    let parameters = vec![0.5; runtime.model().spec().parameters.len()];
    let sampler = Sampler::new(&runtime, &parameters, &SamplerOptions::default())?;
    sampler.query(&Points::packed(&points, 3)?, &mut ValuesMut::packed(&mut values, 1)?)?;
    let after = Resident::now();
    let mapped = (after.all - after.anonymous).saturating_sub(before.all - before.anonymous);
    Ok(json!({
        "points": TOUCHED_POINTS,
        "private_bytes": after.anonymous.saturating_sub(before.anonymous),
        "mapped_bytes": mapped,
    }))
}

/// Resident memory of this process, in bytes; zeros where the system does not say.
struct Resident {
    all: usize,
    anonymous: usize,
}

impl Resident {
    fn now() -> Self {
        let text = std::fs::read_to_string("/proc/self/smaps_rollup").unwrap_or_default();
        let field = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
            number.unwrap_or(0usize) << 10
        };
        Self { all: field("Rss:"), anonymous: field("Anonymous:") }
    }
}

/// Pages of the grid that hold a corner of any of the points.
fn touched_pages(size: &Size, variant: &Variant, points: &[f32]) -> usize {
    let row = row_bytes(size, variant);
    let [d, h, w] = size.shape;
    let mut pages = HashSet::new();
    for point in points.as_chunks::<3>().0 {
        let lower = |axis: usize, n: usize| {
            let p = f64::from(point[axis] + 1.0) * 0.5 * (n - 1) as f64;
            (p as usize).min(n - 2)
        };
        let [x, y, z] = [lower(0, w), lower(1, h), lower(2, d)];
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
fn latency(subject: &Subject) -> Result<Value> {
    const QUERIES: usize = 2_000;
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
fn scaling(subject: &Subject, largest: usize, repetitions: usize) -> Result<Value> {
    let points = Order::Random.points(largest);
    let mut values = vec![0.0; largest];
    subject.query(&points[..3 * 300_000], &mut values[..300_000])?; // Warms up.
    let mut rows = Vec::new();
    for count in SCALE.into_iter().filter(|&count| count <= largest) {
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
