//! Training in situ: members that come by pointer teach what files teach, whatever their blocks are.

mod common;

use std::path::Path;
use std::time::Duration;

use common::SMALL_MODEL;
use common::ensemble::{HELD_OUT, MEMBERS, TinyEnsemble};
use common::insitu::{DIMS, PARTS, WHOLE, block, data, failed};
use common::scratch::Scratch;
use drr_train::bake;
use drr_train::data::given::Span;
use drr_train::train::insitu::failure::Kind;
use drr_train::train::insitu::{Data, InSitu, Keep, Limits, Memory, Options, Progress};

/// As `Scratch::training` trains.
fn options(more: &str) -> Options {
    let settings = "
  optim: {type: Adam, param: {lr: 0.02}}
  dataset: {type: HDFieldDataset, param: {cond_batch: 4, batch_points: 64}}
  train: {device: cpu";
    let config = format!("{SMALL_MODEL}{settings}{more}}}\n");
    Options { config, threads: 1, ..Options::default() }
}

fn trainer(more: &str) -> InSitu {
    InSitu::new(&data(), &options(more)).expect("a trainer")
}

struct Fields(Vec<(Vec<f64>, Vec<f32>)>);

impl Fields {
    fn training() -> Self {
        let ensemble = TinyEnsemble::default();
        let members = (0..MEMBERS).filter(|m| !HELD_OUT.contains(m));
        Self(members.map(|m| (ensemble.physical_parameters(m), ensemble.field(m))).collect())
    }

    fn add_to(&self, trainer: &mut InSitu, spans: &[Span], is_copied: bool) {
        for (parameters, field) in &self.0 {
            for (n, &span) in spans.iter().enumerate() {
                let memory = if is_copied { Memory::Copied } else { Memory::Borrowed(None) };
                let complete = trainer.add(parameters, block(field, span), memory);
                assert_eq!(complete.expect("a block"), n + 1 == spans.len());
            }
        }
    }
}

fn steps(trainer: &mut InSitu, count: u64) {
    let trained = trainer.train(Limits { steps: count, time: None }, None).expect("steps");
    assert_eq!((trained.steps, trained.is_stopped), (count, false));
}

fn saved(trainer: &mut InSitu, folder: &Path) -> Vec<u8> {
    trainer.save(folder).expect("a folder");
    let name = format!("checkpoints/step-{:08}/weights.safetensors", trainer.info().steps);
    std::fs::read(folder.join(name)).expect("weights")
}

#[test]
fn what_comes_by_pointer_teaches_what_files_teach() {
    let scratch = Scratch::small();
    scratch.train("run", &["--steps", "7", "--seed", "3"]);
    let expected = scratch.weights("run");
    let fields = Fields::training();
    for (n, (spans, is_copied)) in
        [(&[WHOLE][..], true), (&PARTS, true), (&PARTS, false)].into_iter().enumerate()
    {
        let mut trainer = trainer(", steps: 7, seed: 3");
        fields.add_to(&mut trainer, spans, is_copied);
        steps(&mut trainer, 2);
        steps(&mut trainer, 5);
        let weights = saved(&mut trainer, &scratch.place(&format!("insitu{n}")));
        assert!(weights == expected, "{spans:?}, copied: {is_copied}");
        let copied = trainer.info().copied_bytes;
        assert_eq!(copied, if is_copied { 6 * 4 * 210 } else { 0 });
    }
    // The folder is a run: other commands take it.
    scratch.bake("insitu0", "insitu.drr");
    assert_eq!(scratch.info("insitu.drr")["spec"]["provenance"]["data"]["name"], "in situ");
}

#[test]
fn a_restored_training_goes_on_as_if_it_had_not_stopped() {
    let scratch = Scratch::new();
    let fields = Fields::training();
    let start = || {
        let mut trainer = trainer(", ema: 0.9");
        fields.add_to(&mut trainer, &[WHOLE], true);
        trainer
    };
    let mut whole = start();
    steps(&mut whole, 3);
    whole.anneal(4).unwrap();
    steps(&mut whole, 2);
    whole.save(&scratch.place("run")).unwrap();
    steps(&mut whole, 4);
    assert!((whole.info().rate - 0.0002).abs() < 1e-12, "annealed: {}", whole.info().rate);
    let mut restored = start();
    steps(&mut restored, 1);
    restored.restore(&scratch.place("run")).unwrap();
    assert_eq!(restored.info().steps, 5);
    steps(&mut restored, 4);
    let [a, b] = [(&mut whole, "a"), (&mut restored, "b")]
        .map(|(trainer, name)| saved(trainer, &scratch.place(name)));
    assert!(a == b);
    let bytes = |trainer: &mut InSitu| trainer.bake_to_memory(&bake::Options::EXACT).unwrap();
    assert!(bytes(&mut whole) == bytes(&mut restored));

    // What does not fit is refused, and nothing changes.
    let mut other = data();
    other.parameters[0].max = 2.0;
    let mut other = InSitu::new(&other, &options("")).unwrap();
    failed(other.restore(&scratch.place("run")), Kind::InvalidArgument, "other data");
    failed(restored.restore(&scratch.place("none")), Kind::InvalidArgument, "is not a run");
    let weights = "run/checkpoints/step-00000005/weights.safetensors";
    let bytes = scratch.bytes(weights);
    scratch.put(weights, &bytes[..bytes.len() / 2]);
    failed(restored.restore(&scratch.place("run")), Kind::Format, "not a complete safetensors");
    steps(&mut restored, 1);
}

#[test]
fn baked_models_say_what_evaluation_says() {
    let scratch = Scratch::new();
    let fields = Fields::training();
    let mut trainer = trainer("");
    fields.add_to(&mut trainer, &PARTS, false);
    steps(&mut trainer, 150);
    let (parameters, field) = &fields.0[2];
    let quality = trainer.evaluate(parameters, &block(field, WHOLE)).unwrap();
    assert!(quality.psnr > 25.0 && quality.points == 210, "{quality:?}");
    assert!(quality.max_error < 1.5 && quality.rms_error < quality.max_error, "{quality:?}");
    let part = trainer.evaluate(parameters, &block(field, PARTS[1])).unwrap();
    assert!(part.points == 48 && part.max_error <= quality.max_error, "{part:?}");

    let lossy = bake::Options {
        compression: Some(bake::Compression::Rank(4)),
        grid: drr::model::GridPrecision::F16,
        ..bake::Options::EXACT
    };
    for options in [bake::Options::EXACT, lossy] {
        let path = scratch.place("model");
        trainer.bake(&path, &options).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), trainer.bake_to_memory(&options).unwrap());
    }
    trainer.bake(&scratch.place("model"), &bake::Options::EXACT).unwrap();
    let runtime = drr::Runtime::open(scratch.place("model"), &Default::default()).unwrap();
    let sampler = drr::Sampler::new(&runtime, parameters, &Default::default()).unwrap();
    let mut points = Vec::new();
    WHOLE
        .each(|[z, y, x]| {
            let at = |n: usize, of: usize| 2.0 * n as f64 / (of - 1) as f64 - 1.0;
            points.extend([at(x, 7), at(y, 6), at(z, 5)]);
            Ok(())
        })
        .unwrap();
    let mut values = vec![0.0f32; 210];
    let given = drr::Points::packed(&points, 3).unwrap();
    sampler.query(&given, &mut drr::ValuesMut::packed(&mut values, 1).unwrap()).unwrap();
    let worst = values.iter().zip(field).map(|(a, b)| f64::from((a - b).abs())).fold(0.0, f64::max);
    assert!((worst - quality.max_error).abs() < 1e-4, "{worst}, {quality:?}");
}

#[test]
fn members_give_way_as_the_policy_says() {
    let fields = Fields::training();
    let with = |keep| {
        let mut trainer = InSitu::new(&data(), &Options { keep, ..options("") }).unwrap();
        fields.add_to(&mut trainer, &[WHOLE], true);
        trainer
    };
    assert_eq!(with(Keep::All).held(), [1, 2, 3, 4, 5, 6]);
    let mut latest = with(Keep::Latest(2));
    assert_eq!(latest.held(), [5, 6]);
    let info = latest.info();
    assert_eq!((info.members_seen, info.members_held, info.copied_bytes), (6, 2, 2 * 840));
    steps(&mut latest, 2);
    assert_eq!(latest.info().range, with(Keep::All).info().range, "of those that went, too");
    let reservoir = with(Keep::Reservoir(3));
    assert_eq!(reservoir.held().len(), 3);
    assert_eq!(reservoir.held(), with(Keep::Reservoir(3)).held());

    // What was borrowed is given back, at once and in this thread.
    let counter = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let keep = Keep::Latest(1);
    let mut trainer = InSitu::new(&data(), &Options { keep, ..options("") }).unwrap();
    for (n, (parameters, field)) in fields.0.iter().take(3).enumerate() {
        let (counter, here) = (counter.clone(), std::thread::current().id());
        let release = move || {
            assert_eq!(std::thread::current().id(), here);
            counter.lock().unwrap().push(n);
        };
        let memory = Memory::Borrowed(Some(Box::new(release)));
        trainer.add(parameters, block(field, WHOLE), memory).unwrap();
    }
    steps(&mut trainer, 1);
    assert_eq!(*counter.lock().unwrap(), [0, 1]);
    trainer.forget_members().unwrap();
    assert_eq!(*counter.lock().unwrap(), [0, 1, 2]);
    // The policy begins anew with those that come then.
    for keep in [Keep::Latest(2), Keep::Reservoir(2)] {
        let mut trainer = with(keep);
        trainer.forget_members().unwrap();
        fields.add_to(&mut trainer, &[WHOLE], true);
        assert_eq!((trainer.info().members_held, trainer.info().members_seen), (2, 12));
    }
}

#[test]
fn the_host_decides_how_long_training_goes_on() {
    let fields = Fields::training();
    let mut trainer = trainer("");
    fields.add_to(&mut trainer, &[WHOLE], true);
    let limits = |steps, time| Limits { steps, time };
    let mut seen = Vec::new();
    let mut watch = |progress: Progress| {
        seen.push(progress.step);
        progress.step == 3
    };
    let trained = trainer.train(limits(10, None), Some(&mut watch)).unwrap();
    assert_eq!((trained.steps, trained.is_stopped, seen), (3, true, vec![1, 2, 3]));
    // However short the time, a step is made.
    let trained = trainer.train(limits(u64::MAX, Some(Duration::ZERO)), None).unwrap();
    assert_eq!((trained.steps, trained.is_stopped), (1, false));
    let time = Duration::from_millis(300);
    let began = std::time::Instant::now();
    let trained = trainer.train(limits(u64::MAX, Some(time)), None).unwrap();
    assert!(trained.steps > 1 && began.elapsed() < 10 * time, "{trained:?}");
    assert_eq!(trainer.train(limits(0, None), None).unwrap().steps, 0);
    let info = trainer.info();
    assert!(info.loss.is_finite() && info.seconds > 0.0 && info.trainable > 100, "{info:?}");
}

#[test]
fn a_model_that_is_lost_is_told_of() {
    let high = options("").config.replace("lr: 0.02", "lr: 1e30").replace("Sigmoid", "Identity");
    let mut trainer = InSitu::new(&data(), &Options { config: high, ..options("") }).unwrap();
    Fields::training().add_to(&mut trainer, &[WHOLE], true);
    let trained = trainer.train(Limits { steps: 20, time: None }, None);
    failed(trained, Kind::Diverged, "a lower learning rate");
    assert!(trainer.info().steps < 20);
}

#[test]
fn variational_pairs_work_while_members_come_and_go() {
    let pairs = options("").config.replace("cond_batch: 4", "cond_batch: 4, pairs: both");
    let options = Options { config: pairs, keep: Keep::Latest(3), ..options("") };
    let mut trainer = InSitu::new(&data(), &options).unwrap();
    for (parameters, field) in &Fields::training().0 {
        trainer.add(parameters, block(field, WHOLE), Memory::Copied).unwrap();
        steps(&mut trainer, 3);
    }
    assert!(trainer.info().loss < 1.0);
}

#[test]
fn what_cannot_be_learned_is_refused() {
    let fields = Fields::training();
    let (parameters, field) = &fields.0[0];
    let mut trainer = trainer("");
    let one = Limits { steps: 1, time: None };
    failed(trainer.train(one, None), Kind::NotReady, "no member is complete");
    let evaluated = trainer.evaluate(parameters, &block(field, WHOLE));
    failed(evaluated, Kind::NotReady, "range of the values is not known");
    let mut add =
        |parameters: &[f64], span| trainer.add(parameters, block(field, span), Memory::Copied);
    failed(add(&[0.5], WHOLE), Kind::InvalidArgument, "1 parameters are given, expected 2");
    failed(add(&[0.5, f64::NAN], WHOLE), Kind::InvalidArgument, "heat is NaN, outside its range");
    failed(add(&[0.1, 20.0], WHOLE), Kind::InvalidArgument, "density is 0.1, outside its range");
    let beyond = Span { offset: [0, 1, 0], extent: DIMS };
    failed(add(parameters, beyond), Kind::InvalidArgument, "axis y has 6 points");
    let empty = Span { offset: [0; 3], extent: [5, 0, 7] };
    failed(add(parameters, empty), Kind::InvalidArgument, "does not fit");
    assert!(!add(parameters, PARTS[0]).unwrap());
    failed(add(parameters, WHOLE), Kind::InvalidArgument, "overlaps the block of [3, 6, 5] points");
    let mut broken = field.clone();
    broken[3] = f32::INFINITY;
    let added = trainer.add(parameters, block(&broken, WHOLE), Memory::Copied);
    failed(added, Kind::InvalidArgument, "the point [3, 0, 0] (x first) is inf");
    failed(trainer.train(one, None), Kind::NotReady, "1 of them lack blocks");
    assert_eq!((trainer.info().members_pending, trainer.forget_pending()), (1, 1));
    let constant = vec![1.0; 210];
    trainer.add(parameters, block(&constant, WHOLE), Memory::Copied).unwrap();
    failed(trainer.train(one, None), Kind::InvalidArgument, "nothing to learn");

    for (more, text) in [
        (", stepz: 3", "train.stepz"),
        (", maxsteps: 3", "train.maxsteps: it counts epochs"),
        (", minutes: 3", "train.minutes"),
    ] {
        failed(InSitu::new(&data(), &options(more)), Kind::InvalidArgument, text);
    }
    let below = Data { range: Some((-1.0, 1.0)), ..data() };
    let logarithms = options("").config.replace("batch_points: 64", "use_logdata: true");
    let result = InSitu::new(&below, &Options { config: logarithms, ..options("") });
    failed(result, Kind::InvalidArgument, "-1 has no logarithm");
    let elsewhere = Options { device: Some("cuda:99".into()), ..options("") };
    failed(InSitu::new(&data(), &elsewhere), Kind::NoDevice, "cuda:99");
    let fixed = InSitu::new(&data(), &options(", steps: 5")).unwrap().anneal(3);
    failed(fixed, Kind::InvalidArgument, "train.steps");
}
