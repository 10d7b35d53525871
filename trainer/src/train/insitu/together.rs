//! Work in libtorch's thread, together with other processes of the host. The host carries what they
//! tell each other, in the threads of its calls: that is where its MPI expects to be asked.

use std::cell::RefCell;
use std::panic::resume_unwind;

use super::aside::asking;
use super::failure::{Failure, Kind, Outcome};
use super::report::Progress;
use crate::train::ranks::Ranks;
use crate::train::ranks::link::{Link, Message};

/// How the host lets its processes reach each other. All of them make the same calls in the same order,
/// with as many numbers.
pub trait Carrier: Send + Sync {
    /// Which process this is, from 0.
    fn rank(&self) -> usize;

    /// How many there are.
    fn size(&self) -> usize;

    /// Puts sums, or largest, of what all have in the place of what this one has.
    ///
    /// # Errors
    /// If the host says so; then, the processes do not know of each other any more.
    fn reduce(&self, numbers: &mut Numbers) -> Outcome<()>;

    /// Puts what the first process has in the place of what this one has.
    ///
    /// # Errors
    /// As [`reduce`](Self::reduce).
    fn broadcast(&self, bytes: &mut [u8]) -> Outcome<()>;

    /// Sends and receives numbers: as [`Link::exchange`].
    ///
    /// # Errors
    /// As [`reduce`](Self::reduce).
    fn exchange(&self, sent: &[Message], received: &mut [Message]) -> Outcome<()>;
}

/// What is reduced.
#[derive(Debug)]
pub enum Numbers {
    /// To sums.
    Sum(Vec<f64>),
    /// To sums.
    SumF32(Vec<f32>),
    /// To the largest.
    Max(Vec<u8>),
}

/// What libtorch's thread wants of the caller's.
enum Question {
    Progress(Progress),
    Reduce(Numbers),
    Broadcast(Vec<u8>),
    Exchange(Vec<Message>, Vec<Message>),
}

/// What it gets.
enum Answer {
    IsStopped(bool),
    Numbers(Numbers),
    Bytes(Vec<u8>),
    Messages(Vec<Message>),
    Failure(Failure),
}

/// Reaches the others by asking the caller's thread.
struct Asking<'a> {
    rank: usize,
    size: usize,
    ask: &'a Ask<'a>,
}

type Ask<'a> = dyn Fn(Question) -> Answer + 'a;

/// Told of progress; stops by `true`.
pub type Watch<'a> = Option<&'a mut dyn FnMut(Progress) -> bool>;

/// Does `work` in another thread, as [`asking`]. It is given the processes, and what tells `watch`.
///
/// # Errors
/// Those of `work`, its panics, and [`Kind::Communication`] if the host cannot carry something.
pub fn together<T: Send>(
    threads: u32,
    carrier: Option<&dyn Carrier>,
    watch: Watch<'_>,
    work: impl FnOnce(&Ranks<'_>, &dyn Fn(Progress) -> bool) -> Outcome<T> + Send,
) -> Outcome<T> {
    let others = carrier.map(|carrier| (carrier.rank(), carrier.size())).filter(|all| all.1 > 1);
    let mut watch = watch;
    let answer = |question| match (question, carrier) {
        (Question::Progress(now), _) => {
            Answer::IsStopped(watch.as_mut().is_some_and(|watch| watch(now)))
        }
        (question, Some(carrier)) => carried(carrier, question).unwrap_or_else(Answer::Failure),
        (_, None) => Answer::Failure(lost()),
    };
    asking(
        threads,
        move |ask| {
            let ask = RefCell::new(ask);
            let ask = |question| {
                let answer = (ask.borrow_mut())(question);
                answer.unwrap_or_else(|| Answer::Failure(lost()))
            };
            let ranks = match others {
                Some((rank, size)) => Ranks::of(Box::new(Asking { rank, size, ask: &ask })),
                None => Ranks::default(),
            };
            let tell = |now| matches!(ask(Question::Progress(now)), Answer::IsStopped(true));
            work(&ranks, &tell)
        },
        answer,
    )
}

/// What the host makes of it.
fn carried(carrier: &dyn Carrier, question: Question) -> Outcome<Answer> {
    Ok(match question {
        Question::Progress(_) => Answer::IsStopped(false),
        Question::Reduce(mut numbers) => {
            carrier.reduce(&mut numbers)?;
            Answer::Numbers(numbers)
        }
        Question::Broadcast(mut bytes) => {
            carrier.broadcast(&mut bytes)?;
            Answer::Bytes(bytes)
        }
        Question::Exchange(sent, mut received) => {
            carrier.exchange(&sent, &mut received)?;
            Answer::Messages(received)
        }
    })
}

fn lost() -> Failure {
    Failure::new(Kind::Communication, "the processes that train together were not reached")
}

/// Leaves the work: whoever waits for it gets the reason.
fn fail(answer: Answer) -> ! {
    let failure = match answer {
        Answer::Failure(failure) => failure,
        _ => lost(),
    };
    resume_unwind(Box::new(failure))
}

impl Asking<'_> {
    fn reduced(&self, numbers: Numbers) -> Numbers {
        match (self.ask)(Question::Reduce(numbers)) {
            Answer::Numbers(numbers) => numbers,
            other => fail(other),
        }
    }
}

impl Link for Asking<'_> {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.size
    }

    /// The host's threads and devices are its own affair.
    fn local(&self) -> (usize, usize) {
        (0, 1)
    }

    fn sum(&self, numbers: Vec<f64>) -> Vec<f64> {
        match self.reduced(Numbers::Sum(numbers)) {
            Numbers::Sum(sums) => sums,
            _ => fail(Answer::Failure(lost())),
        }
    }

    fn sum_f32(&self, numbers: Vec<f32>) -> Vec<f32> {
        match self.reduced(Numbers::SumF32(numbers)) {
            Numbers::SumF32(sums) => sums,
            _ => fail(Answer::Failure(lost())),
        }
    }

    fn max(&self, bytes: Vec<u8>) -> Vec<u8> {
        match self.reduced(Numbers::Max(bytes)) {
            Numbers::Max(largest) => largest,
            _ => fail(Answer::Failure(lost())),
        }
    }

    fn broadcast(&self, bytes: Vec<u8>) -> Vec<u8> {
        match (self.ask)(Question::Broadcast(bytes)) {
            Answer::Bytes(bytes) => bytes,
            other => fail(other),
        }
    }

    fn exchange(&self, sent: &[Message], received: &[(usize, usize)]) -> Vec<Vec<f32>> {
        let room = received.iter().map(|&(rank, count)| (rank, vec![0.0; count])).collect();
        match (self.ask)(Question::Exchange(sent.to_vec(), room)) {
            Answer::Messages(messages) => {
                messages.into_iter().map(|(_, numbers)| numbers).collect()
            }
            other => fail(other),
        }
    }

    /// Never ends the host.
    fn abort(&self) {}
}
