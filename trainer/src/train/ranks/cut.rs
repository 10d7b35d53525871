//! Tensors that processes have cut up. What several hold of one is the same in all of them: its
//! gradients are added up between neighbours. The first process gets them whole, for checkpoints.

use std::cell::Cell;

use anyhow::Result;
use tch::Tensor;

use super::Ranks;
use super::parts::append;
use crate::models::checkpoint::Lazy;
use crate::models::window::Window;
use crate::train::checkpoints::Stored;

/// What this process holds together with others.
#[derive(Debug)]
pub struct Halo {
    rank: usize,
    /// In the order of their ranks.
    neighbours: Vec<Neighbour>,
}

#[derive(Debug)]
struct Neighbour {
    rank: usize,
    /// Which of the tensors, and which box of what is held of it.
    shared: Vec<(usize, Window)>,
}

impl Halo {
    /// For all: of tensors of which each holds what its `windows` say.
    pub fn new(ranks: &Ranks, windows: &[&Window]) -> Self {
        let rank = ranks.share().rank;
        let all = windows_of_all(ranks, windows);
        let neighbour = |(rank, theirs): (usize, Vec<Window>)| {
            let shared = (0..).zip(windows.iter().zip(theirs));
            let shared: Vec<_> =
                shared.filter_map(|(n, (mine, theirs))| Some((n, mine.shared(&theirs)?))).collect();
            (!shared.is_empty()).then_some(Neighbour { rank, shared })
        };
        let others = all.into_iter().enumerate().filter(|(other, _)| *other != rank);
        Self { rank, neighbours: others.filter_map(neighbour).collect() }
    }

    /// For all: adds up what each has, bit for bit the same in all; of tensors that are `None`, which
    /// are so in all processes, nothing.
    pub fn sum(&self, ranks: &Ranks, tensors: &[Option<Tensor>]) {
        let boxes = |neighbour: &Neighbour| -> Vec<(Tensor, Window)> {
            let there = neighbour.shared.iter().filter_map(|(n, window)| {
                Some((tensors[*n].as_ref()?.shallow_clone(), window.clone()))
            });
            there.collect()
        };
        let boxes: Vec<_> = self.neighbours.iter().map(boxes).collect();
        let sent = self.neighbours.iter().zip(&boxes).map(|(neighbour, boxes)| {
            let mut numbers = Vec::new();
            for (tensor, window) in boxes {
                append(&window.cut(tensor), &mut numbers);
            }
            (neighbour.rank, numbers)
        });
        let sent: Vec<_> = sent.collect();
        let counts: Vec<_> = sent.iter().map(|(rank, numbers)| (*rank, numbers.len())).collect();
        let received = ranks.exchange(&sent, &counts);
        let own: Vec<Tensor> = tensors.iter().flatten().map(Tensor::copy).collect();
        for tensor in tensors.iter().flatten() {
            let _ = tensor.shallow_clone().zero_();
        }
        // Always in the order of ranks: sums of three or more depend on it.
        let add_own = || {
            for (tensor, own) in tensors.iter().flatten().zip(&own) {
                let mut sum = tensor.shallow_clone();
                sum += own;
            }
        };
        let mut is_added = false;
        for ((neighbour, boxes), numbers) in self.neighbours.iter().zip(&boxes).zip(&received) {
            if !is_added && neighbour.rank > self.rank {
                add_own();
                is_added = true;
            }
            let mut rest = &numbers[..];
            for (tensor, window) in boxes {
                let shape = window.shape();
                let (part, others) = rest.split_at(shape.iter().product::<i64>() as usize);
                rest = others;
                let part = Tensor::from_slice(part).view(&shape[..]).to_device(tensor.device());
                window.put(&(window.cut(tensor) + part), tensor);
            }
        }
        if !is_added {
            add_own();
        }
    }
}

/// Tensors that are put together, one after the other, as the first process asks for them. The others
/// wait for its wishes meanwhile.
pub struct Collector<'a> {
    ranks: &'a Ranks<'a>,
    /// How many were handed out.
    given: Cell<usize>,
    /// What this process holds.
    own: Vec<Tensor>,
    /// What each process holds, of each tensor.
    windows: Vec<Vec<Window>>,
}

/// What a process holds of a tensor; all of it without a window.
pub struct Held {
    /// What it is called.
    pub name: String,
    /// What is held.
    pub tensor: Tensor,
    /// Of which tensor.
    pub window: Option<Window>,
}

/// The wish that ends it.
const NO_MORE: f64 = -1.0;

impl<'a> Collector<'a> {
    /// For all: of these tensors.
    pub fn new<'h>(ranks: &'a Ranks<'a>, held: impl Iterator<Item = &'h Held>) -> Self {
        let cut =
            held.filter_map(|held| Some((held.tensor.shallow_clone(), held.window.as_ref()?)));
        let (own, windows): (Vec<_>, Vec<_>) = cut.unzip();
        Self { ranks, given: Cell::new(0), own, windows: windows_of_all(ranks, &windows) }
    }

    /// Some of them, in their order, as the first process can ask for them.
    pub fn stored(&self, held: &[Held]) -> Stored<'_> {
        let stored = |held: &Held| {
            let tensor = match &held.window {
                Some(window) => {
                    let number = self.given.replace(self.given.get() + 1);
                    Lazy::Made(window.whole(), Box::new(move || self.get(number)))
                }
                None => Lazy::Here(held.tensor.shallow_clone()),
            };
            (held.name.clone(), tensor)
        };
        held.iter().map(stored).collect()
    }

    /// For all: what `work` makes of them in the first process; nothing in others.
    ///
    /// # Errors
    /// Those of `work`.
    pub fn serve<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<Option<T>> {
        if self.ranks.is_first() {
            let made = work();
            if !self.own.is_empty() {
                self.ranks.of_first(NO_MORE);
            }
            return made.map(Some);
        }
        while !self.own.is_empty() {
            let wish = self.ranks.of_first(NO_MORE);
            if wish == NO_MORE {
                break;
            }
            let mut numbers = Vec::new();
            append(&self.own[wish as usize], &mut numbers);
            self.ranks.exchange(&[(0, numbers)], &[]);
        }
        Ok(None)
    }

    /// In `work`: a tensor, whole.
    fn get(&self, number: usize) -> Tensor {
        self.ranks.of_first(number as f64);
        let own = &self.own[number];
        let options = (own.kind(), tch::Device::Cpu);
        let whole = Tensor::zeros(&self.windows[0][number].whole()[..], options);
        let seen = cfg!(debug_assertions).then(|| whole.zeros_like());
        let put = |window: &Window, part: &Tensor| {
            if let Some(seen) = &seen {
                let differs = (window.cut(&whole) - part) * window.cut(seen);
                assert!(differs.abs().max().double_value(&[]) == 0.0, "what is shared is the same");
                window.put(&part.ones_like(), seen);
            }
            window.put(part, &whole);
        };
        // One after the other: no more than one part is in memory beside the whole.
        for (rank, windows) in self.windows.iter().enumerate() {
            let window = &windows[number];
            let shape = window.shape();
            if rank == 0 {
                put(window, &own.detach().to_device(tch::Device::Cpu));
                continue;
            }
            let count = shape.iter().product::<i64>() as usize;
            let numbers = self.ranks.exchange(&[], &[(rank, count)]).concat();
            put(window, &Tensor::from_slice(&numbers).view(&shape[..]).to_kind(own.kind()));
        }
        whole
    }
}

/// For all: what each process holds of the tensors that have these windows here.
fn windows_of_all(ranks: &Ranks, windows: &[&Window]) -> Vec<Vec<Window>> {
    let ends = windows.iter().flat_map(|window| window.ends().map(|end| end as f64));
    let of_one = |ends: Vec<f64>| {
        let ends: Vec<i64> = ends.into_iter().map(|end| end as i64).collect();
        let mut rest = &ends[..];
        let window = |mine: &&Window| {
            let (own, others) = rest.split_at(mine.ends().count());
            rest = others;
            mine.other(own)
        };
        windows.iter().map(window).collect()
    };
    ranks.all(&ends.collect::<Vec<_>>()).into_iter().map(of_one).collect()
}
