//! CPU queries, measured: drr, its competitors on the same network, and the limit of the machine.
//!
//! `make bench` runs it; `docs/performance.md` says what each figure means. Modules: `models` (the
//! networks), `points`, `subject` (drr), `torch` and `python` (competitors), `machine` and `limit`,
//! `case`, `difference` and `rounds` (how it is measured), `misc`, `report`.

mod case;
mod difference;
mod limit;
#[path = "../machine/mod.rs"]
mod machine;
mod misc;
mod models;
mod points;
mod python;
mod report;
mod rounds;
mod subject;
mod torch;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, ensure};
use clap::{Parser, ValueEnum};
use serde_json::json;

use case::{Case, Contest};
use machine::memory::Region;
use models::{Baked, Network, SIZES, Size, TINY};
use points::Order;
use python::{Peer, PeerFiles};
use report::Row;
use subject::VARIANTS;
use torch::Eager;

/// Points that competitors get at a time: they are slow, and their rate does not depend on it.
const PEER_POINTS: usize = 1 << 16;

/// The same for `--check`.
const TINY_POINTS: usize = 1 << 10;

/// Points at which inputs of layers are looked at, others than those that are measured.
const CALIBRATION_POINTS: usize = 1 << 14;

/// Measures queries on the CPU: points per second of drr and of its competitors on the same
/// network, and how much of what this machine can do that is.
///
/// Results: a table on standard output, OUT/cpu_query.json and OUT/cpu_misc.json. Needs some 8 GB
/// of memory and 4 GB of disk; leave the machine alone meanwhile. Before anything is measured, all
/// values are compared with PyTorch's: a difference is an error.
#[derive(Parser)]
#[command(name = "cpu_query", max_term_width = 100, after_help = EXAMPLES)]
struct Arguments {
    /// Fewer models and rounds, one number of points: under 5 minutes
    #[arg(long)]
    quick: bool,
    /// Only this model; may be repeated (default: all; clover_600 and nyx if --quick)
    #[arg(long, value_name = "NAME", value_parser = SIZES.map(|size| size.name))]
    model: Vec<String>,
    /// Points per query of drr, as powers of two (default: 18,20,22; 20 if --quick)
    #[arg(long, value_name = "LOG2,...", value_delimiter = ',', value_parser = clap::value_parser!(u32).range(16..=26))]
    points: Vec<u32>,
    /// Threads of everybody
    #[arg(long, value_name = "N,...", value_delimiter = ',', default_values_t = [1, 2])]
    threads: Vec<usize>,
    /// Repetitions, of which the median counts (default: 5; 3 if --quick)
    #[arg(long, value_name = "N")]
    rounds: Option<usize>,
    /// Competitors to measure beside drr and the limit; `none` for none of them
    #[arg(long, value_name = "NAME,...", value_delimiter = ',', value_enum, default_values_t = [Competitor::Torch, Competitor::Compile, Competitor::Onnxruntime])]
    against: Vec<Competitor>,
    /// What to measure: rates, everything else (opening, memory, latency, scaling), or both
    #[arg(long, value_enum, default_value_t = Part::All)]
    part: Part,
    /// Compare everybody's values on a tiny model and measure nothing, in seconds
    #[arg(long)]
    check: bool,
    /// Python that makes the environment of ONNX Runtime, and has PyTorch or not
    #[arg(long, value_name = "PROGRAM", default_value = "python3")]
    python: String,
    /// Folder for results, and for the models while they are measured
    #[arg(long, value_name = "FOLDER", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/bench"))]
    out: PathBuf,
    /// Prints how much memory this model takes, and does nothing else.
    #[arg(long, hide = true, value_name = "FILE")]
    resident: Option<PathBuf>,
    /// What cargo adds.
    #[arg(long, hide = true)]
    bench: bool,
}

const EXAMPLES: &str = "\
Examples:
  make bench                              all models, some 30 minutes
  make bench QUICK=1                      two models, some minutes
  make bench MODEL=nyx                    one model
  make bench BENCH='--against none --threads 1 --part rates'
  cargo bench -p drr-train --bench cpu_query -- --check";

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Competitor {
    /// PyTorch eager, all points at once and in chunks, by libtorch
    Torch,
    /// torch.compile, if Python has PyTorch
    Compile,
    /// ONNX Runtime, in an environment of its own
    Onnxruntime,
    /// Nobody
    None,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Points per second
    Rates,
    /// Everything else
    Misc,
    /// Both
    All,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cpu_query: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    if let Some(path) = &arguments.resident {
        println!("{}", misc::resident(path)?);
        return Ok(());
    }
    std::fs::create_dir_all(&arguments.out)?;
    let folder = std::fs::canonicalize(&arguments.out)?;
    ensure!(arguments.threads.iter().all(|&n| n > 0), "--threads: expected 1 or more");
    let mut bench = Bench { arguments, peers: Vec::new(), folder };
    bench.start_peers();
    if arguments.check {
        return bench.check();
    }
    if cfg!(debug_assertions) {
        eprintln!("built without optimisation: the figures mean nothing");
    }
    let cores = std::thread::available_parallelism()?.get();
    if arguments.threads.iter().any(|&threads| threads > cores) {
        eprintln!("more threads than the {cores} cores that there are: they share them");
    }
    bench.measure()
}

/// What all models have in common.
struct Bench<'a> {
    arguments: &'a Arguments,
    peers: Vec<(&'static str, Peer)>,
    folder: PathBuf,
}

impl Bench<'_> {
    /// Starts the competitors that can be had, and says which cannot.
    fn start_peers(&mut self) {
        let Arguments { against, python, part, .. } = self.arguments;
        if *part == Part::Misc {
            return;
        }
        let candidates = [
            (Competitor::Onnxruntime, "onnxruntime", python::onnxruntime_python as fn(&str) -> _),
            (Competitor::Compile, "torch_compile", python::torch_python),
        ];
        for (competitor, name, environment) in candidates {
            if against.contains(&competitor) {
                let peer = environment(python).and_then(|p| Peer::start(&p, name, &self.folder));
                match peer {
                    Ok(peer) => self.peers.push((name, peer)),
                    Err(error) => skip(name, &error),
                }
            }
        }
    }

    /// Gives the competitors a network; those that cannot take it are out.
    fn load_peers(&mut self, network: &Network, points: usize) -> Result<()> {
        if self.peers.is_empty() {
            return Ok(());
        }
        let files = PeerFiles::write(network, &self.folder)?;
        self.peers.retain_mut(|(name, peer)| {
            let loaded = peer.load(network, &files, points, &self.arguments.threads);
            loaded.inspect_err(|error| skip(name, error)).is_ok()
        });
        Ok(())
    }

    fn check(&mut self) -> Result<()> {
        let network = Network::new(TINY);
        let eager = Eager::new(&network);
        let baked = network.bake(&self.folder, &calibrate(&eager))?;
        let sizes = vec![1 << 12];
        self.load_peers(&network, TINY_POINTS)?;
        for order in [Order::Random, Order::Lattice] {
            for &threads in &self.arguments.threads {
                let case = Case { order, threads, sizes: sizes.clone(), peer_points: TINY_POINTS };
                let contest = &mut self.contest(&network, &baked, &eager);
                contest.check(&case)?;
            }
        }
        let peers = self.peers.iter().map(|peer| peer.0);
        let names: Vec<_> = ["drr", "torch_eager"].into_iter().chain(peers).collect();
        println!("all compute the same: {}", names.join(", "));
        Ok(())
    }

    fn measure(&mut self) -> Result<()> {
        let Arguments { quick, part, .. } = *self.arguments;
        let rounds = self.arguments.rounds.unwrap_or(if quick { 3 } else { 5 }).max(1);
        let mut rows = Vec::new();
        let mut misc = Vec::new();
        for (n, size) in self.sizes().into_iter().enumerate() {
            eprintln!("{}: making the network and baking it", size.name);
            let network = Network::new(size);
            let eager = Eager::new(&network);
            let baked = network.bake(&self.folder, &calibrate(&eager))?;
            if part != Part::Rates && n == 0 {
                for variant in &VARIANTS[..if quick { 1 } else { VARIANTS.len() }] {
                    let path = baked.path(variant);
                    misc.push(misc::measure(path, &size, variant, rounds, quick)?);
                }
            }
            if part != Part::Misc {
                self.rates(&network, &eager, &baked, rounds, &mut rows)?;
            }
        }
        // What was not measured now keeps its older results.
        if part != Part::Rates {
            let misc =
                json!({"machine": misc::machine(&self.arguments.threads, rounds)?, "models": misc});
            report::write_json(&self.folder.join("cpu_misc.json"), &misc)?;
        }
        if part != Part::Misc {
            report::write_rows(&self.folder.join("cpu_query.json"), &rows)?;
        }
        eprintln!("results are in {}", self.folder.display());
        Ok(())
    }

    /// Checks and measures all cases of a model.
    fn rates(
        &mut self,
        network: &Network,
        eager: &Eager,
        baked: &Baked,
        rounds: usize,
        rows: &mut Vec<Row>,
    ) -> Result<()> {
        let default: &[u32] = if self.arguments.quick { &[20] } else { &[18, 20, 22] };
        let given = &self.arguments.points;
        let sizes = if given.is_empty() { default } else { given };
        let sizes: Vec<_> = sizes.iter().map(|log2| 1 << log2).collect();
        self.load_peers(network, PEER_POINTS)?;
        let largest = VARIANTS.iter().map(|variant| limit::row_bytes(&network.size, variant)).max();
        let region = Region::new(largest.unwrap_or(64) * network.size.vertices())?;
        report::print_head();
        for order in [Order::Random, Order::Lattice] {
            for &threads in &self.arguments.threads {
                let case = Case { order, threads, sizes: sizes.clone(), peer_points: PEER_POINTS };
                let contest = &mut self.contest(network, baked, eager);
                for row in contest.measure(&case, &region, rounds)? {
                    report::print_row(&row);
                    rows.push(row);
                }
            }
        }
        Ok(())
    }

    fn contest<'a>(
        &'a mut self,
        network: &'a Network,
        baked: &'a Baked,
        eager: &'a Eager,
    ) -> Contest<'a> {
        let with_eager = self.arguments.against.contains(&Competitor::Torch);
        let (peers, folder) = (&mut self.peers[..], &*self.folder);
        Contest { network, baked, eager, peers, with_eager, folder }
    }

    /// The models that are wanted, the first is the one of the other measurements, too.
    fn sizes(&self) -> Vec<Size> {
        let Arguments { quick, model, .. } = self.arguments;
        let named = |size: &Size| model.iter().any(|name| name == size.name);
        let default = |size: &Size| model.is_empty() && !(*quick && size.name == "mpas_graph");
        SIZES.into_iter().filter(|size| named(size) || default(size)).collect()
    }
}

/// The largest inputs of the layers, on a sample: what 8-bit layers are baked for.
fn calibrate(eager: &Eager) -> Vec<f64> {
    eager.largest_inputs(&Order::Random.points(CALIBRATION_POINTS))
}

fn skip(name: &str, error: &anyhow::Error) {
    eprintln!("skipped: {name} ({error:#})");
}
