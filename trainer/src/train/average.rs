//! The average of a model's weights over the steps, which is often better than the last of them.

use anyhow::{Context, Result, ensure};
use tch::Tensor;

use crate::models::Parameters;
use crate::models::checkpoint::Checkpoint;
use crate::models::window::Window;

/// Exponential moving average of all tensors (Polyak and Juditsky 1992), over fewer steps while
/// there were few: after step t, from 1, the weight of what was before is
/// `min(decay, t / (9 + t))`.
pub struct Average {
    decay: f64,
    tensors: Vec<Averaged>,
}

struct Averaged {
    name: String,
    /// Of the model.
    tensor: Tensor,
    average: Tensor,
    /// What they are of tensors that several processes have cut up.
    window: Option<Window>,
}

impl Average {
    /// Begins with the tensors as they are.
    pub fn new(parameters: &Parameters, decay: f64) -> Self {
        let averaged = |(name, tensor): (&str, &Tensor)| Averaged {
            name: name.to_owned(),
            tensor: tensor.shallow_clone(),
            average: tensor.detach().copy(),
            window: parameters.window(name).cloned(),
        };
        Self { decay, tensors: parameters.all().map(averaged).collect() }
    }

    /// After a step; `step` counts from 1.
    pub fn update(&mut self, step: u64) {
        let decay = self.decay.min(step as f64 / (9.0 + step as f64));
        tch::no_grad(|| {
            for Averaged { tensor, average, .. } in &mut self.tensors {
                if tensor.requires_grad() {
                    let _ = average.lerp_(tensor, 1.0 - decay);
                }
            }
        });
    }

    /// Does `work` with the averages as the model's weights.
    pub fn swapped<T>(&mut self, work: impl FnOnce() -> T) -> T {
        self.swap();
        let result = work();
        self.swap();
        result
    }

    fn swap(&mut self) {
        tch::no_grad(|| {
            for Averaged { tensor, average, .. } in &mut self.tensors {
                let current = tensor.copy();
                tensor.copy_(average);
                average.copy_(&current);
            }
        });
    }

    /// The averages by name: a model's weights.
    pub fn all(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.tensors.iter().map(|averaged| (averaged.name.as_str(), &averaged.average))
    }

    /// Goes on from a checkpoint; from the whole averages of what is cut up.
    ///
    /// # Errors
    /// If an average is missing or of another shape.
    pub fn restore(&mut self, mut state: Checkpoint) -> Result<()> {
        for Averaged { name, tensor, average, window } in &mut self.tensors {
            let stored =
                state.take(name)?.with_context(|| format!("the averaged weights lack {name}"))?;
            let expected = window.as_ref().map_or(tensor.size(), Window::whole);
            ensure!(stored.size() == expected, "averaged weights: {name} does not fit");
            average.copy_(&window.as_ref().map_or(stored.shallow_clone(), |own| own.cut(&stored)));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::parameters::Init;
    use tch::Device;

    #[test]
    fn averages_follow_the_formula_and_lend_themselves() {
        let mut parameters = Parameters::new(Device::Cpu);
        let mut x = parameters.trainable("x".into(), &[1], Init::Ones).unwrap();
        let mut average = Average::new(&parameters, 0.5);
        let mut expected = 1.0;
        for step in 1..=20u64 {
            let value = (step * step) as f64;
            let _ = tch::no_grad(|| x.fill_(value));
            average.update(step);
            let decay = 0.5f64.min(step as f64 / (9.0 + step as f64));
            expected = decay * expected + (1.0 - decay) * value;
        }
        let inside = average.swapped(|| x.double_value(&[0]));
        assert!((inside - expected).abs() < 1e-4 * expected, "{inside}, expected {expected}");
        assert_eq!(x.double_value(&[0]), 400.0);
        let state = average.all().map(|(name, tensor)| (name.to_owned(), tensor.copy()));
        let state = Checkpoint::of(state);
        let mut other = Average::new(&parameters, 0.5);
        other.restore(state).unwrap();
        assert_eq!(other.swapped(|| x.double_value(&[0])), inside);
        assert!(other.restore(Checkpoint::of([])).is_err());
    }
}
