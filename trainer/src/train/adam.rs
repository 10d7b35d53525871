//! Adam (Kingma and Ba 2015) with its state in the open, so that a resumed run goes on exactly.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use tch::Tensor;

use crate::config::OptimConfig;
use crate::models::Parameters;

/// The optimiser and its moments.
pub struct Adam {
    betas: (f64, f64),
    eps: f64,
    steps: i32,
    slots: Vec<Slot>,
}

struct Slot {
    name: String,
    parameter: Tensor,
    mean: Tensor,
    square: Tensor,
}

impl Adam {
    /// For all trainable tensors of a model.
    pub fn new(parameters: &Parameters, config: &OptimConfig) -> Self {
        let slots = parameters.trainables().map(|(name, parameter)| Slot {
            name: name.to_owned(),
            parameter: parameter.shallow_clone(),
            mean: parameter.zeros_like(),
            square: parameter.zeros_like(),
        });
        Self { betas: config.betas, eps: config.eps, steps: 0, slots: slots.collect() }
    }

    /// One step with the gradients of `loss`.
    pub fn step(&mut self, loss: &Tensor, lr: f64) {
        for slot in &mut self.slots {
            slot.parameter.zero_grad();
        }
        loss.backward();
        self.steps += 1;
        let (beta1, beta2) = self.betas;
        let correction1 = 1.0 - beta1.powi(self.steps);
        let correction2 = (1.0 - beta2.powi(self.steps)).sqrt();
        tch::no_grad(|| {
            for slot in &mut self.slots {
                let gradient = slot.parameter.grad();
                if !gradient.defined() {
                    continue;
                }
                let _ = slot.mean.lerp_(&gradient, 1.0 - beta1);
                let _ = slot.square.g_mul_scalar_(beta2);
                let _ = slot.square.addcmul_(&gradient, &(&gradient * (1.0 - beta2)));
                let denominator = slot.square.sqrt() / correction2 + self.eps;
                let update = &slot.mean / denominator * (-lr / correction1);
                let _ = slot.parameter.g_add_(&update);
            }
        });
    }

    /// The moments by name, for a checkpoint.
    pub fn state(&self) -> Vec<(String, Tensor)> {
        let both = |slot: &Slot| {
            [("mean", &slot.mean), ("square", &slot.square)]
                .map(|(what, tensor)| (format!("{what}.{}", slot.name), tensor.shallow_clone()))
        };
        self.slots.iter().flat_map(both).collect()
    }

    /// Goes on from a checkpoint made after `steps` steps.
    ///
    /// # Errors
    /// If a moment is missing or of another shape.
    pub fn restore(&mut self, steps: u64, state: &BTreeMap<String, Tensor>) -> Result<()> {
        let device = |slot: &Slot| slot.parameter.device();
        let find = |what: &str, slot: &Slot| -> Result<Tensor> {
            let name = format!("{what}.{}", slot.name);
            let tensor =
                state.get(&name).with_context(|| format!("optimiser state lacks {name}"))?;
            ensure!(tensor.size() == slot.parameter.size(), "optimiser state: {name} does not fit");
            Ok(tensor.to_device(device(slot)))
        };
        for slot in &mut self.slots {
            slot.mean = find("mean", slot)?;
            slot.square = find("square", slot)?;
        }
        self.steps = steps.try_into().context("too many steps")?;
        Ok(())
    }
}

/// Learning rate of a step with cosine decay over all `steps` (Loshchilov and Hutter 2017), as
/// `torch.optim.lr_scheduler.CosineAnnealingLR` gives it.
pub fn cosine(step: u64, steps: u64, lr: f64, eta_min: f64) -> f64 {
    let progress = step as f64 / steps.max(1) as f64;
    eta_min + 0.5 * (lr - eta_min) * (1.0 + (std::f64::consts::PI * progress).cos())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::parameters::Init;
    use tch::Device;

    #[test]
    fn the_first_steps_are_those_of_the_formula() {
        let mut parameters = Parameters::new(Device::Cpu);
        let x = parameters.trainable("x".into(), &[1], Init::Ones).unwrap();
        let config = OptimConfig { lr: 0.1, eps: 1e-15, betas: (0.9, 0.999) };
        let mut adam = Adam::new(&parameters, &config);
        let (mut value, mut mean, mut square) = (1.0f64, 0.0, 0.0);
        for t in 1..=5 {
            adam.step(&x.square().sum(None), 0.1);
            let gradient = 2.0 * value;
            mean = 0.9 * mean + 0.1 * gradient;
            square = 0.999 * square + 0.001 * gradient * gradient;
            let (m, v) = (mean / (1.0 - 0.9f64.powi(t)), square / (1.0 - 0.999f64.powi(t)));
            value -= 0.1 * m / (v.sqrt() + 1e-15);
            assert!((x.double_value(&[0]) - value).abs() < 1e-6, "step {t}");
        }
    }

    #[test]
    fn cosine_goes_from_the_first_rate_to_the_last() {
        assert_eq!(cosine(0, 100, 1.0, 0.1), 1.0);
        assert!((cosine(50, 100, 1.0, 0.1) - 0.55).abs() < 1e-12);
        assert!((cosine(100, 100, 1.0, 0.1) - 0.1).abs() < 1e-12);
    }
}
