//! Processes that train together in situ, each with its block of the members: the same model as one
//! that has all of them. Here they are threads that reach each other through this program's memory.

mod common;

use std::sync::{Arc, Barrier, Condvar, Mutex};
use std::time::Duration;

use common::SMALL_MODEL;
use common::ensemble::{HELD_OUT, MEMBERS, TinyEnsemble};
use common::insitu::{PARTS, WHOLE, block, data, failed};
use common::ranks::STEADY;
use common::scratch::Scratch;
use drr_train::bake;
use drr_train::data::given::Span;
use drr_train::train::insitu::failure::{Failure, Kind, Outcome};
use drr_train::train::insitu::{
    Carrier, InSitu, Limits, Memory, Numbers, Options, Progress, Quality,
};
use drr_train::train::ranks::link::Message;

/// Where threads meet.
struct Room {
    barrier: Barrier,
    slots: Mutex<Vec<Vec<f64>>>,
    /// From whom, to whom, what.
    post: Mutex<Vec<(usize, usize, Vec<f32>)>>,
    came: Condvar,
}

struct Thread {
    room: Arc<Room>,
    rank: usize,
    size: usize,
    caller: std::thread::ThreadId,
}

impl Thread {
    /// What all have.
    fn all(&self, mine: Vec<f64>) -> Vec<Vec<f64>> {
        assert_eq!(std::thread::current().id(), self.caller, "in the host's thread");
        self.room.slots.lock().unwrap()[self.rank] = mine;
        self.room.barrier.wait();
        let all = self.room.slots.lock().unwrap().clone();
        self.room.barrier.wait();
        assert!(all.iter().all(|theirs| theirs.len() == all[0].len()), "as many numbers");
        all
    }

    fn sums(&self, mine: Vec<f64>) -> impl Iterator<Item = f64> {
        let all = self.all(mine);
        (0..all[0].len()).map(move |n| all.iter().map(|theirs| theirs[n]).sum())
    }
}

impl Carrier for Thread {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.size
    }

    fn reduce(&self, numbers: &mut Numbers) -> Outcome<()> {
        match numbers {
            Numbers::Sum(numbers) => *numbers = self.sums(numbers.clone()).collect(),
            Numbers::SumF32(numbers) => {
                let mine = numbers.iter().map(|&x| f64::from(x)).collect();
                *numbers = self.sums(mine).map(|x| x as f32).collect();
            }
            Numbers::Max(bytes) => {
                let all = self.all(bytes.iter().map(|&x| f64::from(x)).collect());
                let largest = |n: usize| all.iter().map(|theirs| theirs[n]).fold(0.0, f64::max);
                *bytes = (0..bytes.len()).map(|n| largest(n) as u8).collect();
            }
        }
        Ok(())
    }

    fn broadcast(&self, bytes: &mut [u8]) -> Outcome<()> {
        let all = self.all(bytes.iter().map(|&x| f64::from(x)).collect());
        bytes.iter_mut().zip(&all[0]).for_each(|(to, &from)| *to = from as u8);
        Ok(())
    }

    fn exchange(&self, sent: &[Message], received: &mut [Message]) -> Outcome<()> {
        let mut post = self.room.post.lock().unwrap();
        post.extend(sent.iter().map(|(to, numbers)| (self.rank, *to, numbers.clone())));
        self.room.came.notify_all();
        for (from, numbers) in received {
            loop {
                let wanted = |(a, b, _): &(usize, usize, Vec<f32>)| (*a, *b) == (*from, self.rank);
                if let Some(found) = post.iter().position(wanted) {
                    let (_, _, came) = post.remove(found);
                    assert_eq!(came.len(), numbers.len());
                    *numbers = came;
                    break;
                }
                post = self.room.came.wait(post).unwrap();
            }
        }
        Ok(())
    }
}

fn options(own: Option<Span>, more: &str) -> Options {
    let eps = STEADY[1].rsplit('=').next().expect("a number");
    let settings = format!(
        "
  optim: {{type: Adam, param: {{lr: 0.02, eps: {eps}}}}}
  dataset: {{type: HDFieldDataset, param: {{cond_batch: 4, batch_points: 64}}}}
  train: {{device: cpu{more}}}
"
    );
    let config = format!("{SMALL_MODEL}{settings}");
    Options { config, threads: 1, own, ..Options::default() }
}

fn fields() -> Vec<(Vec<f64>, Vec<f32>)> {
    let ensemble = TinyEnsemble::default();
    let members = (0..MEMBERS).filter(|m| !HELD_OUT.contains(m));
    members.map(|m| (ensemble.physical_parameters(m), ensemble.field(m))).collect()
}

/// A process for each block, all at the same time.
fn processes<T: Send>(
    blocks: &[Span],
    work: impl Fn(Box<dyn Carrier>, Span) -> T + Sync,
) -> Vec<T> {
    let room = Arc::new(Room {
        barrier: Barrier::new(blocks.len()),
        slots: Mutex::new(vec![Vec::new(); blocks.len()]),
        post: Mutex::default(),
        came: Condvar::new(),
    });
    let (room, work) = (&room, &work);
    std::thread::scope(|scope| {
        let start = |(rank, span): (usize, &Span)| {
            let span = *span;
            scope.spawn(move || {
                let caller = std::thread::current().id();
                let carrier = Thread { room: room.clone(), rank, size: blocks.len(), caller };
                work(Box::new(carrier), span)
            })
        };
        let threads: Vec<_> = blocks.iter().enumerate().map(start).collect();
        threads.into_iter().map(|thread| thread.join().expect("a process")).collect()
    })
}

fn limits(steps: u64) -> Limits {
    Limits { steps, time: None }
}

/// Trains on a block of each member; what comes of it.
fn trained(training: &mut InSitu, span: Span, steps: u64) -> (Quality, Vec<u8>, f64) {
    let fields = fields();
    for (n, (parameters, field)) in fields.iter().enumerate() {
        let memory = if n % 2 == 0 { Memory::Copied } else { Memory::Borrowed(None) };
        assert!(training.add(parameters, block(field, span), memory).expect("a block"));
    }
    let mut seen = 0;
    let mut watch = |_: Progress| {
        seen += 1;
        false
    };
    training.train(limits(steps), Some(&mut watch)).expect("steps");
    assert_eq!(seen, steps);
    let (parameters, field) = &fields[1];
    let quality = training.evaluate(parameters, &block(field, span)).expect("a quality");
    let bytes = training.bake_to_memory(&bake::Options::EXACT).expect("a model");
    training.forget_members().expect("none");
    (quality, bytes, training.info().loss)
}

/// Values of a baked file at many points.
fn values(bytes: &[u8]) -> Vec<f32> {
    let model = drr::Model::from_bytes(bytes, drr::Checksums::default()).expect("a model");
    let runtime = drr::Runtime::new(model, drr::Kernel::best(), 1).expect("a runtime");
    let parameters = TinyEnsemble::default().physical_parameters(3);
    let sampler = drr::Sampler::new(&runtime, &parameters, &Default::default()).expect("it");
    let points: Vec<f64> = (0..3000).map(|n| f64::from(n * 7919 % 2000) / 1000.0 - 1.0).collect();
    let mut values = vec![0.0f32; 1000];
    let room = &mut drr::ValuesMut::packed(&mut values, 1).expect("room");
    sampler.query(&drr::Points::packed(&points, 3).expect("points"), room).expect("values");
    values
}

#[test]
fn blocks_of_members_teach_what_whole_ones_teach() {
    for more in ["", ", ema: 0.9, accumulate: 2"] {
        let mut alone = InSitu::new(&data(), &options(None, more)).expect("a trainer");
        let (expected, model, loss) = trained(&mut alone, WHOLE, 12);
        let truth = values(&model);
        for blocks in [&PARTS[..], &[WHOLE]] {
            let found = processes(blocks, |carrier, span| {
                let own = (blocks.len() > 1).then_some(span);
                let training = InSitu::together(&data(), &options(own, more), Some(carrier));
                trained(&mut training.expect("a trainer"), span, 12)
            });
            for (quality, bytes, last) in &found {
                assert!(bytes == &found[0].1, "all get the same file");
                assert!((last - loss).abs() < 1e-3 * loss, "{last}, {loss}");
                assert_eq!(quality.points, expected.points);
                assert!((quality.psnr - expected.psnr).abs() < 0.02, "{quality:?}, {expected:?}");
                assert!((quality.max_error - expected.max_error).abs() < 1e-2);
                for (a, b) in values(bytes).iter().zip(&truth) {
                    assert!((a - b).abs() < 4e-3, "{a}, {b}");
                }
            }
        }
    }
}

#[test]
fn files_are_written_by_the_first_and_read_by_all() {
    let scratch = Scratch::new();
    let (run, file) = (scratch.place("run"), scratch.place("model.drr"));
    let start = |carrier, span| {
        let training = InSitu::together(&data(), &options(Some(span), ", ema: 0.9"), Some(carrier));
        let mut training = training.expect("a trainer");
        for (parameters, field) in fields() {
            training.add(&parameters, block(&field, span), Memory::Copied).expect("a block");
        }
        training
    };
    let whole = processes(&PARTS, |carrier, span| {
        let mut training = start(carrier, span);
        training.train(limits(4), None).expect("steps");
        training.save(&run).expect("a run");
        training.train(limits(4), None).expect("steps");
        training.bake(&file, &bake::Options::EXACT).expect("a file");
        training.bake_to_memory(&bake::Options::EXACT).expect("a model")
    });
    assert!(scratch.bytes("model.drr") == whole[0]);
    let again = processes(&PARTS, |carrier, span| {
        let mut training = start(carrier, span);
        training.restore(&run).expect("a run");
        assert_eq!(training.info().steps, 4);
        training.train(limits(4), None).expect("steps");
        training.bake_to_memory(&bake::Options::EXACT).expect("a model")
    });
    assert!(again[0] == whole[0], "bit for bit");
    // What was trained in blocks goes on in one process.
    let mut alone = InSitu::new(&data(), &options(None, ", ema: 0.9")).expect("a trainer");
    alone.restore(&run).expect("a run");
    assert_eq!(alone.info().steps, 4);
}

#[test]
fn what_one_cannot_do_none_does() {
    let together =
        |carrier, own, more: &str| InSitu::together(&data(), &options(own, more), Some(carrier));
    // Blocks that are not the lattice.
    processes(&PARTS[..2], |carrier, span| {
        failed(
            together(carrier, Some(span), ""),
            Kind::InvalidArgument,
            "138 of the lattice's 210",
        );
    });
    processes(&[PARTS[0], WHOLE], |carrier, span| {
        failed(together(carrier, Some(span), ""), Kind::InvalidArgument, "overlaps");
    });
    let alone = InSitu::new(&data(), &options(Some(PARTS[0]), ""));
    failed(alone, Kind::InvalidArgument, "there is no communicator");
    // Other configurations.
    processes(&PARTS, |carrier, span| {
        let more = if span == PARTS[1] { ", seed: 5" } else { "" };
        let made = together(carrier, Some(span), more);
        failed(made, Kind::InvalidArgument, "another configuration");
    });
    processes(&PARTS, |carrier, span| {
        let is_wrong = span == PARTS[2];
        let made = together(carrier, Some(span), if is_wrong { ", steps: none" } else { "" });
        match is_wrong {
            true => failed(made, Kind::InvalidArgument, "steps"),
            false => failed(made, Kind::Communication, "could not do its part"),
        }
    });
    processes(&PARTS, |carrier, span| {
        let mut options = options(Some(span), "");
        options.config = options.config.replace("cond_batch: 4", "cond_batch: 4, pairs: space");
        let made = InSitu::together(&data(), &options, Some(carrier));
        failed(made, Kind::InvalidArgument, "Variational Pairs in space");
    });
    processes(&PARTS, |carrier, span| {
        let mut training = together(carrier, Some(span), "").expect("a trainer");
        let fields = fields();
        let add = |training: &mut InSitu, n: usize, span| {
            let (parameters, field) = &fields[n];
            training.add(parameters, block(field, span), Memory::Copied)
        };
        failed(training.train(limits(1), None), Kind::NotReady, "no member is complete");
        let other = PARTS[usize::from(span == PARTS[0])];
        failed(add(&mut training, 0, other), Kind::InvalidArgument, "not inside that of this");
        add(&mut training, 0, span).expect("a block");
        // One lacks a member, or has another one.
        let is_first = span == PARTS[0];
        if !is_first {
            add(&mut training, 1, span).expect("a block");
        }
        failed(training.train(limits(1), None), Kind::NotReady, "different members");
        if is_first {
            add(&mut training, 1, span).expect("a block");
        }
        failed(
            training.train(limits(2 + u64::from(is_first)), None),
            Kind::InvalidArgument,
            "at most",
        );
        training.train(limits(2), None).expect("steps");
        // A block that one refuses is compared by none.
        let span = if is_first { other } else { span };
        let judged = training.evaluate(&fields[0].0, &block(&fields[0].1, span));
        match is_first {
            true => failed(judged, Kind::InvalidArgument, "not inside"),
            false => failed(judged, Kind::Communication, "another process"),
        }
        // Whoever wants to stop stops all; the first one's clock counts.
        let mut stop = |_: Progress| is_first;
        let done = training.train(limits(9), Some(&mut stop)).expect("a step");
        assert_eq!((done.steps, done.is_stopped), (1, true));
        let time = Some(Duration::ZERO);
        assert_eq!(training.train(Limits { steps: 9, time }, None).expect("a step").steps, 1);
        // The first one alone writes.
        let path = std::path::Path::new("/nowhere/model.drr");
        let baked = training.bake(path, &bake::Options::EXACT);
        match is_first {
            true => failed(baked, Kind::Io, "nowhere"),
            false => failed(baked, Kind::Communication, "another process"),
        }
        training.train(limits(1), None).expect("it goes on");
    });
}

/// A host that does not reach its processes.
struct Broken;

impl Carrier for Broken {
    fn rank(&self) -> usize {
        0
    }

    fn size(&self) -> usize {
        2
    }

    fn reduce(&self, _: &mut Numbers) -> Outcome<()> {
        Err(Failure::new(Kind::Communication, "the cable is out"))
    }

    fn broadcast(&self, _: &mut [u8]) -> Outcome<()> {
        Ok(())
    }

    fn exchange(&self, _: &[Message], _: &mut [Message]) -> Outcome<()> {
        Ok(())
    }
}

#[test]
fn what_the_host_cannot_carry_is_an_error() {
    let made = InSitu::together(&data(), &options(None, ""), Some(Box::new(Broken)));
    failed(made, Kind::Communication, "the cable is out");
}
