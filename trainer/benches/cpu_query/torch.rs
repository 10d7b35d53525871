//! PyTorch eager without Python: the same ATen kernels, called through libtorch, on the original
//! network. `grid_sample`, the latent vector appended, linear layers, as the reference does it.

use std::thread;

use tch::{Tensor, no_grad};

use crate::models::{Network, numbers};

/// Points per chunk that are tried: features and hidden values then fit a core's cache.
pub const CHUNKS: [usize; 4] = [512, 1024, 2048, 4096];

/// The network as eager PyTorch holds it.
pub struct Eager {
    /// `[1, C, D, H, W]`, channels last in memory, as the reference's refinement leaves it.
    grid: Tensor,
    /// `[1, latent]`
    latent: Tensor,
    layers: Vec<(Tensor, Tensor)>,
}

impl Eager {
    /// Shares the tensors of `network`.
    pub fn new(network: &Network) -> Self {
        let [d, h, w] = network.size.shape.map(|n| n as i64);
        let grid = network.grid.view([1, d, h, w, network.size.channels as i64]);
        Self {
            grid: grid.permute([0, 4, 1, 2, 3]),
            latent: network.latent().view([1, -1]),
            layers: shallow(&network.layers),
        }
    }

    /// Values at all points at once, libtorch on `threads` threads.
    pub fn query(&self, points: &[f32], threads: usize) -> Vec<f32> {
        set_threads(threads);
        no_grad(|| numbers(&self.forward(&tensor(points))))
    }

    /// Values at `points`, `chunk` at a time. Each of `threads` threads takes its share of the
    /// chunks and calls libtorch for itself, which suits small chunks better than libtorch's own
    /// threads: those do not divide the sampling of one grid.
    pub fn query_chunks(&self, points: &[f32], threads: usize, chunk: usize) -> Vec<f32> {
        set_threads(1);
        let share = (points.len() / 3).div_ceil(threads).next_multiple_of(chunk) * 3;
        let work = |eager: Self, points: &[f32]| -> Vec<f32> {
            let chunks = points.chunks(3 * chunk);
            no_grad(|| chunks.flat_map(|chunk| numbers(&eager.forward(&tensor(chunk)))).collect())
        };
        if threads == 1 {
            return work(self.shallow_clone(), points);
        }
        thread::scope(|scope| {
            let shares: Vec<_> = (points.chunks(share))
                .map(|share| {
                    let eager = self.shallow_clone();
                    scope.spawn(move || work(eager, share))
                })
                .collect();
            let results = shares.into_iter().map(|share| match share.join() {
                Ok(values) => values,
                Err(panic) => std::panic::resume_unwind(panic),
            });
            results.flatten().collect()
        })
    }

    /// The largest input of each layer after the fusion at any of `points`; none is negative.
    pub fn largest_inputs(&self, points: &[f32]) -> Vec<f64> {
        let mut largest = Vec::new();
        let layers = &self.layers[..self.layers.len() - 1];
        no_grad(|| {
            let mut x = self.features(&tensor(points));
            for (weight, bias) in layers {
                x = x.linear(weight, Some(bias)).relu();
                largest.push(x.max().double_value(&[]));
            }
        });
        largest
    }

    /// `[n, 3]` to `[n, 1]`.
    fn forward(&self, points: &Tensor) -> Tensor {
        let mut x = self.features(points);
        let last = self.layers.len() - 1;
        for (n, (weight, bias)) in self.layers.iter().enumerate() {
            x = x.linear(weight, Some(bias));
            x = if n == last { x.sigmoid() } else { x.relu() };
        }
        x
    }

    /// `[n, 3]` to `[n, channels + latent]`: the grid at the points, and the latent vector.
    fn features(&self, points: &Tensor) -> Tensor {
        const BILINEAR: i64 = 0;
        const ZEROS: i64 = 0;
        let count = points.size()[0];
        let channels = self.grid.size()[1];
        let sampled = self.grid.grid_sampler(&points.view([1, 1, 1, -1, 3]), BILINEAR, ZEROS, true);
        let spatial = sampled.view([channels, count]).transpose(0, 1);
        let latent = self.latent.expand([count, -1], false);
        Tensor::cat(&[spatial, latent], 1)
    }

    fn shallow_clone(&self) -> Self {
        Self {
            grid: self.grid.shallow_clone(),
            latent: self.latent.shallow_clone(),
            layers: shallow(&self.layers),
        }
    }
}

fn shallow(layers: &[(Tensor, Tensor)]) -> Vec<(Tensor, Tensor)> {
    layers.iter().map(|(weight, bias)| (weight.shallow_clone(), bias.shallow_clone())).collect()
}

fn tensor(points: &[f32]) -> Tensor {
    Tensor::from_slice(points).view([-1, 3])
}

fn set_threads(threads: usize) {
    tch::set_num_threads(threads as i32);
}
