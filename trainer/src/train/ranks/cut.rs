//! Tensors that processes have cut up. What several hold of one is the same in all of them: its
//! gradients are added up between neighbours. The first process gets them whole, for checkpoints.

use tch::Tensor;

use super::{Ranks, append, put};
use crate::models::window::Window;
use crate::train::checkpoints::Named;

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

/// For all: tensors by name, those whole that are cut up; `None` but for the first process.
pub fn whole<'a>(
    ranks: &Ranks,
    tensors: Named,
    window: impl Fn(&str) -> Option<&'a Window>,
) -> Option<Named> {
    let windows: Vec<&Window> = tensors.iter().filter_map(|(name, _)| window(name)).collect();
    let all = windows_of_all(ranks, &windows);
    let is_first = ranks.is_first();
    let mut cut = 0;
    let mut made = Vec::with_capacity(tensors.len());
    for (name, tensor) in tensors {
        let Some(own) = window(&name) else {
            made.push((name, tensor));
            continue;
        };
        let mut numbers = Vec::new();
        append(&tensor, &mut numbers);
        if is_first {
            let whole = Tensor::zeros(&own.whole()[..], (tensor.kind(), tch::Device::Cpu));
            // One after the other: no more than one part is in memory beside the whole.
            for (rank, windows) in all.iter().enumerate() {
                let shape = windows[cut].shape();
                let count = shape.iter().product::<i64>() as usize;
                if rank > 0 {
                    numbers = ranks.exchange(&[], &[(rank, count)]).concat();
                }
                let part = Tensor::zeros(&shape[..], (tensor.kind(), tch::Device::Cpu));
                put(&part, &numbers);
                windows[cut].put(&part, &whole);
            }
            made.push((name, whole));
        } else {
            ranks.exchange(&[(0, numbers)], &[]);
        }
        cut += 1;
    }
    is_first.then_some(made)
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
