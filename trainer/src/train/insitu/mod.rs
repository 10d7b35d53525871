//! Training while a simulation runs: members come by pointer, block by block; steps are made when
//! the host has time for them; the model can be judged and baked at any time.
//!
//! Prints nothing, changes nothing of the host's threads, writes no files but those it is asked for.
//!
//! Processes of the host may train together: what is called *collective* below, all of them call, with
//! the same arguments.
//!
//! - `asked`: configuration and data; `members`: blocks on their way, and which members stay;
//!   `ensemble`: those that do
//! - `aside`: where libtorch computes; `together`: with other processes, which `agree`
//! - `judge`: how good the model is; `store`: files
//! - `report`: how far it is, and is to go; `failure`: what went wrong

mod agree;
mod aside;
mod asked;
mod ensemble;
pub mod failure;
mod judge;
mod members;
mod report;
mod store;
mod together;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value as Json;
use tch::Device;

use super::fields::Fields;
use super::learner::Learner;
use super::settings::Settings;
use super::subject::Subject;
use crate::config::Config;
use crate::data::given::{Block, Given, Span, Values};
use crate::data::{
    Field, Member, Normalization, Share, Sharing, Split, Statistics, normalization,
    scales_are_given,
};
use crate::device;
use agree::{agree, check_same};
use aside::aside;
use asked::Asked;
pub use asked::{Data, Options};
use ensemble::{field, put, rescale};
use failure::{Failure, Kind, Outcome};
pub use judge::Quality;
use judge::padded;
pub use members::{Keep, Memory, Place};
use members::{Members, check_inside, shown};
pub use report::{Info, Limits, Progress, Trained};
use together::together;
pub use together::{Carrier, Numbers};

/// A training in situ.
pub struct InSitu {
    /// The configuration, to be stored.
    entry: Json,
    config: Config,
    settings: Settings,
    device: Device,
    threads: u32,
    learner: Learner<Fields>,
    /// Reaches the other processes, if there are any.
    carrier: Option<Box<dyn Carrier>>,
    /// The lattice points whose values this process gives.
    own: Span,
    members: Members,
    /// Of all members that were complete, as they were given (their logarithms, where these are
    /// learned).
    statistics: Statistics,
    /// Whether it is known what becomes 0 and 1.
    is_scaled: bool,
    /// Whether learning rates fall by `train.steps`.
    has_steps: bool,
    loss: f64,
}

/// libtorch draws new weights from one generator for all threads.
static GENERATOR: Mutex<()> = Mutex::new(());

impl InSitu {
    /// Ready for members, with a new model.
    ///
    /// # Errors
    /// For a configuration that cannot be trained in situ, data that do not fit it, or a device
    /// that is not there.
    pub fn new(data: &Data, options: &Options) -> Outcome<Self> {
        Self::together(data, options, None)
    }

    /// As [`new`](Self::new), for processes that train together; collective.
    ///
    /// # Errors
    /// As [`new`](Self::new), and if they were not given the same, or their blocks do not make up the
    /// lattice.
    pub fn together(
        data: &Data,
        options: &Options,
        carrier: Option<Box<dyn Carrier>>,
    ) -> Outcome<Self> {
        let asked = Asked::new(data, options).map_err(Failure::from);
        let asked = agree(options.threads, carrier.as_deref(), asked)?;
        check_same(options, carrier.as_deref(), &asked)?;
        let Asked { entry, config, settings, mut ensemble, own, has_steps } = asked;
        let sharing = sharing(carrier.as_deref());
        let is_scaled = scales_are_given(&config.dataset);
        if is_scaled {
            let scale = normalization(&config.dataset, &Statistics::NONE, &mut Vec::new())?;
            ensemble.normalization = scale;
        }
        let members = Members::new(options.keep, settings.seed, own.extent, ensemble.values.len());
        let made = aside(options.threads, || {
            let name = &config.train.device;
            let kind = if name.contains("cuda") { Kind::NoDevice } else { Kind::InvalidArgument };
            let device =
                device::parse_quietly(name).map_err(|error| Failure::from(error).of_kind(kind))?;
            let fields = Box::new(Fields::of(&config, ensemble, device, None, &sharing)?);
            let _alone = GENERATOR.lock().unwrap_or_else(PoisonError::into_inner);
            Ok((device, Learner::new(fields, &settings, device)?))
        });
        let (device, learner) = agree(options.threads, carrier.as_deref(), made)?;
        config.notes.iter().for_each(|note| log::info!("{note}"));
        let trainable = learner.subject.parameters().count();
        log::info!("a model of {trainable} trainable numbers on {}", config.train.device);
        Ok(Self {
            entry,
            config,
            settings,
            device,
            threads: options.threads,
            learner,
            carrier,
            own,
            members,
            statistics: Statistics::NONE,
            is_scaled,
            has_steps,
            loss: f64::NAN,
        })
    }

    /// Takes a block of the member with these parameters, in physical units; whether this process'
    /// part of the member is complete now. Members that give way are dropped, and so is the memory
    /// that they borrowed.
    ///
    /// # Errors
    /// If parameters or values are not finite or outside their ranges, or the block does not fit.
    pub fn add(&mut self, parameters: &[f64], block: Block, memory: Memory) -> Outcome<bool> {
        let normalized = self.unit_parameters(parameters)?;
        self.check_block(&block)?;
        let block = block.seen_from(self.own.offset);
        let Some(values) = self.members.add(parameters, block, memory)? else { return Ok(false) };
        self.keep(Arc::new(values), parameters, normalized)?;
        Ok(true)
    }

    /// Forgets the blocks of members that are not complete; how many members those were.
    pub fn forget_pending(&mut self) -> usize {
        self.members.forget_pending()
    }

    /// Forgets all complete members, and what they borrowed; what was learned of them stays.
    ///
    /// # Errors
    /// None that are known.
    pub fn forget_members(&mut self) -> Outcome<()> {
        self.members.forget();
        Ok(self.learner.subject.change(|ensemble| {
            ensemble.members.clear();
            ensemble.fields = crate::data::Fields::of([]);
        })?)
    }

    /// Makes steps on the members that are kept; collective. `watch` is told after each step, in the
    /// caller's thread, and ends the call by `true`, of any process.
    ///
    /// # Errors
    /// [`Kind::NotReady`] without members, or if processes have others, [`Kind::Diverged`] if the loss
    /// is not finite.
    pub fn train(
        &mut self,
        limits: Limits,
        watch: Option<&mut dyn FnMut(Progress) -> bool>,
    ) -> Outcome<Trained> {
        self.get_ready(limits)?;
        let Self { learner, settings, threads, loss, carrier, .. } = self;
        let is_watched = watch.is_some();
        together(*threads, carrier.as_deref(), watch, move |ranks, tell| {
            let (began, before) = (Instant::now(), learner.seconds);
            let mut trained = Trained { steps: 0, is_stopped: false };
            let mut longest = Duration::ZERO;
            while trained.steps < limits.steps && !trained.is_stopped {
                let so_far = began.elapsed();
                if let Some(time) = limits.time.filter(|_| trained.steps > 0) {
                    // The first process' clock counts.
                    let is_late = f64::from(u8::from(so_far + longest > time));
                    if ranks.of_first(is_late) > 0.0 {
                        break;
                    }
                }
                let part = learner.one_step(settings, ranks)?.value.double_value(&[]);
                [*loss] = ranks.sums([part]);
                longest = longest.max(began.elapsed() - so_far);
                trained.steps += 1;
                learner.seconds = before + began.elapsed().as_secs_f64();
                check_loss(*loss, learner.step)?;
                let (step, seconds) = (learner.step, learner.seconds);
                let wishes = is_watched && tell(Progress { step, loss: *loss, seconds });
                trained.is_stopped = ranks.any(wishes);
            }
            learner.seconds = ranks.of_first(learner.seconds);
            Ok(trained)
        })
    }

    /// From the next step on learning rates fall to their last value within `steps` steps and stay
    /// there; with 0 they are constant again.
    ///
    /// # Errors
    /// If `train.steps` of the configuration says how they fall, or they do not.
    pub fn anneal(&mut self, steps: u64) -> Outcome<()> {
        if self.has_steps {
            return Err(Failure::argument(
                "learning rates fall within train.steps of the configuration: leave it out to say \
                 later when they do",
            ));
        }
        let schedule = &mut self.settings.schedule;
        if schedule.decay.is_none() {
            return Err(Failure::argument(
                "train.disable_scheduler of the configuration says that learning rates are constant",
            ));
        }
        (schedule.begin, schedule.steps) = match steps {
            0 => (u64::MAX, 1),
            _ => (self.learner.step, steps),
        };
        Ok(())
    }

    /// Compares the model with the field of a member, or a block of it, that need not be kept;
    /// collective: of what all processes give.
    ///
    /// # Errors
    /// As [`add`](Self::add), and [`Kind::NotReady`] while it is not known what values are learned.
    pub fn evaluate(&mut self, parameters: &[f64], block: &Block) -> Outcome<Quality> {
        let normalized = self.agree(self.judged(parameters, block))?;
        let Self { learner, threads, carrier, .. } = self;
        together(*threads, carrier.as_deref(), None, move |ranks, _| {
            let Learner { subject, average, .. } = learner;
            let judge = || judge::judge(subject.model(), subject.ensemble(), &normalized, block);
            let sums = match average {
                Some(average) => average.swapped(judge),
                None => judge(),
            };
            Ok(sums?.quality(ranks, subject.ensemble()))
        })
    }

    /// Parameters in [0, 1], if a field can be compared.
    fn judged(&self, parameters: &[f64], block: &Block) -> Outcome<Vec<f32>> {
        self.check_scaled()?;
        self.check_block(block)?;
        self.unit_parameters(parameters)
    }

    /// Checks where a block is, and its values.
    fn check_block(&self, block: &Block) -> Outcome<()> {
        let ensemble = self.learner.subject.ensemble();
        check_inside(block.span(), padded(ensemble.places.lattice().unwrap_or(&[])))?;
        if !self.own.holds(block.span()) {
            return Err(Failure::argument(format!(
                "the block {} is not inside that of this process, {}",
                shown(block.span()),
                shown(&self.own)
            )));
        }
        Ok(block.check(ensemble.normalization.log)?)
    }

    /// Where it stands.
    pub fn info(&self) -> Info {
        let fields = &self.learner.subject;
        let ensemble = fields.ensemble();
        let held = |n: usize| {
            let field = ensemble.field(n).ok();
            let copied = field.as_ref().and_then(|field| field.given());
            copied.map_or(0, |given| given.values().copied_bytes())
        };
        let copied: usize = (0..ensemble.members.len()).map(held).sum();
        let known = |is_known: bool, pair: (f64, f64)| match is_known {
            true if ensemble.normalization.log => (pair.0.exp(), pair.1.exp()),
            true => pair,
            false => (f64::NAN, f64::NAN),
        };
        let Normalization { min, max, .. } = ensemble.normalization;
        let Statistics { low, high, .. } = self.statistics;
        Info {
            steps: self.learner.step,
            seconds: self.learner.seconds,
            loss: self.loss,
            rate: self.settings.schedule.rate(self.learner.step, self.settings.optim.lr),
            members_seen: self.members.seen(),
            members_held: ensemble.members.len() as u64,
            members_pending: self.members.pending() as u64,
            copied_bytes: (copied + self.members.copied_bytes()) as u64,
            trainable: fields.parameters().count() as u64,
            scale: known(self.is_scaled, (min, max)),
            range: known(low <= high, (low, high)),
        }
    }

    /// The points whose values this process gives.
    pub fn own(&self) -> Span {
        self.own
    }

    /// Points of the lattice `[z, y, x]`, and values of each.
    pub fn shape(&self) -> ([usize; 3], usize) {
        let ensemble = self.learner.subject.ensemble();
        (padded(ensemble.places.lattice().unwrap_or(&[])), ensemble.values.len())
    }

    /// Number of parameters.
    pub fn parameters(&self) -> usize {
        self.learner.subject.ensemble().parameters.len()
    }

    /// Numbers of the members that are kept, in the order in which they came, from 1.
    pub fn held(&self) -> Vec<u64> {
        let members = &self.learner.subject.ensemble().members;
        members.iter().filter_map(|member| member.name.parse().ok()).collect()
    }

    /// Parameters in [0, 1].
    fn unit_parameters(&self, given: &[f64]) -> Outcome<Vec<f32>> {
        let parameters = &self.learner.subject.ensemble().parameters;
        if given.len() != parameters.len() {
            return Err(Failure::argument(format!(
                "{} parameters are given, expected {}",
                given.len(),
                parameters.len()
            )));
        }
        let unit = parameters.iter().zip(given).map(|(parameter, &value)| parameter.unit(value));
        Ok(unit.collect::<anyhow::Result<_>>()?)
    }

    /// Keeps a complete member, or not.
    fn keep(
        &mut self,
        values: Arc<Values>,
        parameters: &[f64],
        normalized: Vec<f32>,
    ) -> Outcome<()> {
        let scale = self.learner.subject.ensemble().normalization;
        let plain = Normalization::min_max(0.0, 1.0, scale.log);
        let before = (self.statistics.low, self.statistics.high);
        self.statistics.add(&Field::Given(Given::new(values.clone(), plain)));
        let place = self.members.place();
        self.warn_of_range(before);
        let member = Member {
            name: self.members.seen().to_string(),
            file: Default::default(),
            split: Split::Train,
            parameters: parameters.to_vec(),
            normalized,
        };
        Ok(self.learner.subject.change(|ensemble| {
            let field = field(Given::new(values, scale), ensemble);
            put(ensemble, place, member, field);
        })?)
    }

    /// Collective: finds out what becomes 0 and 1, if that is not known, and checks that there are
    /// members, the same everywhere.
    fn get_ready(&mut self, limits: Limits) -> Outcome<()> {
        self.agree(self.check_members())?;
        self.check_same_steps(limits)?;
        if !self.is_scaled {
            let statistics = self.joined_statistics()?;
            let found = normalization(&self.config.dataset, &statistics, &mut Vec::new())?;
            self.learner.subject.change(|ensemble| rescale(ensemble, found))?;
            self.is_scaled = true;
            let (low, high) = found.range;
            log::info!("values from {low} to {high} are learned as 0 to 1 from now on");
        }
        Ok(self.learner.subject.check()?)
    }

    /// Checks that there is something to learn from.
    fn check_members(&self) -> Outcome<()> {
        if self.learner.subject.ensemble().members.is_empty() {
            return Err(Failure::new(
                Kind::NotReady,
                format!(
                    "no member is complete: nothing to learn from ({} of them lack blocks)",
                    self.members.pending()
                ),
            ));
        }
        Ok(())
    }

    /// Says that values leave the range that is learned further than those `before` did.
    fn warn_of_range(&self, before: (f64, f64)) {
        let Statistics { low, high, .. } = self.statistics;
        let (least, most) = self.learner.subject.ensemble().normalization.range;
        let is_wider = (low < least && low < before.0) || (high > most && high > before.1);
        if self.is_scaled && is_wider {
            log::warn!(
                "member {} has values beyond {least} to {most}, which are learned as 0 to 1: all \
                 members together range from {low} to {high}",
                self.members.seen()
            );
        }
    }

    fn check_scaled(&self) -> Outcome<()> {
        match self.is_scaled {
            true => Ok(()),
            false => Err(Failure::new(
                Kind::NotReady,
                "the range of the values is not known: the first step finds it in the members that came \
                 so far, or it is given beforehand",
            )),
        }
    }
}

/// Which of the processes this is. Each computes the points of its block.
fn sharing(carrier: Option<&dyn Carrier>) -> Sharing {
    let share = carrier.map(|carrier| Share { rank: carrier.rank(), ranks: carrier.size() });
    Sharing { share: share.unwrap_or_default(), cuts: None }
}

fn check_loss(loss: f64, step: u64) -> Outcome<()> {
    if loss.is_finite() {
        return Ok(());
    }
    let message = format!(
        "the loss is {loss} at step {step}: the model is lost; go on from a stored one, or train again \
         with a lower learning rate (optim.param.lr)"
    );
    Err(Failure::new(Kind::Diverged, message))
}
