//! The average of a model's weights over the steps, which is often better than the last of them.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use tch::Tensor;

use crate::models::Parameters;

/// Exponential moving average of all tensors (Polyak and Juditsky 1992), over fewer steps while
/// there were few: after step t, from 1, the weight of what was before is
/// `min(decay, t / (9 + t))`.
pub struct Average {
    decay: f64,
    /// Tensors of the model and their averages, by name.
    tensors: Vec<(String, Tensor, Tensor)>,
}

impl Average {
    /// Begins with the tensors as they are.
    pub fn new(parameters: &Parameters, decay: f64) -> Self {
        let pair = |(name, tensor): (&str, &Tensor)| {
            (name.to_owned(), tensor.shallow_clone(), tensor.detach().copy())
        };
        Self { decay, tensors: parameters.all().map(pair).collect() }
    }

    /// After a step; `step` counts from 1.
    pub fn update(&mut self, step: u64) {
        let decay = self.decay.min(step as f64 / (9.0 + step as f64));
        tch::no_grad(|| {
            for (_, tensor, average) in &mut self.tensors {
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
            for (_, tensor, average) in &mut self.tensors {
                let current = tensor.copy();
                tensor.copy_(average);
                average.copy_(&current);
            }
        });
    }

    /// The averages by name: a model's weights.
    pub fn all(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.tensors.iter().map(|(name, _, average)| (name.as_str(), average))
    }

    /// Goes on from a checkpoint.
    ///
    /// # Errors
    /// If an average is missing or of another shape.
    pub fn restore(&mut self, state: &BTreeMap<String, Tensor>) -> Result<()> {
        for (name, tensor, average) in &mut self.tensors {
            let stored =
                state.get(name).with_context(|| format!("the averaged weights lack {name}"))?;
            ensure!(stored.size() == tensor.size(), "averaged weights: {name} does not fit");
            average.copy_(stored);
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
        let state = average.all().map(|(name, tensor)| (name.to_owned(), tensor.copy())).collect();
        let mut other = Average::new(&parameters, 0.5);
        other.restore(&state).unwrap();
        assert_eq!(other.swapped(|| x.double_value(&[0])), inside);
        assert!(other.restore(&BTreeMap::new()).is_err());
    }
}
