//! Adam (Kingma and Ba 2015) and AdamW (Loshchilov and Hutter 2019) with their state in the open, so that a resumed run goes on exactly.

use anyhow::{Context, Result, bail, ensure};
use tch::{Kind, Tensor};

use crate::config::{OptimConfig, hint};
use crate::models::Parameters;
use crate::models::checkpoint::Checkpoint;
use crate::models::window::Window;

/// The optimiser and its moments.
pub struct Adam {
    betas: (f64, f64),
    eps: f64,
    weight_decay: f64,
    decoupled: bool,
    steps: i32,
    slots: Vec<Slot>,
}

struct Slot {
    name: String,
    parameter: Tensor,
    /// What it is of a tensor that several processes have cut up.
    window: Option<Window>,
    /// Learning rate at the first step.
    lr: f64,
    mean: Tensor,
    square: Tensor,
    /// Whether there was a gradient before. Experts that no point of a batch chose have none; from
    /// the first one on that counts as zero, also after a restart.
    has_moved: bool,
}

impl Adam {
    /// For all trainable tensors of a model.
    ///
    /// # Errors
    /// If a group of the configuration is no part of the model.
    pub fn new(parameters: &Parameters, config: &OptimConfig) -> Result<Self> {
        for (part, _) in &config.groups {
            check_part(parameters, part)?;
        }
        // The first group that has a tensor decides.
        let rate = |name: &str| {
            let group = config.groups.iter().find(|(part, _)| is_within(name, part));
            group.map_or(config.lr, |&(_, lr)| lr)
        };
        let slots = parameters.trainables().map(|(name, parameter)| Slot {
            name: name.to_owned(),
            parameter: parameter.shallow_clone(),
            window: parameters.window(name).cloned(),
            lr: rate(name),
            mean: parameter.zeros_like(),
            square: parameter.zeros_like(),
            has_moved: false,
        });
        Ok(Self {
            betas: config.betas,
            eps: config.eps,
            weight_decay: config.weight_decay,
            decoupled: config.decoupled,
            steps: 0,
            slots: slots.collect(),
        })
    }

    /// Steps that were done; fewer than those of the run where gradients overflowed.
    pub fn steps(&self) -> u64 {
        self.steps as u64
    }

    /// What it changes, and what that is of tensors that several processes have cut up.
    pub fn parameters(&self) -> impl Iterator<Item = (&Tensor, Option<&Window>)> {
        self.slots.iter().map(|slot| (&slot.parameter, slot.window.as_ref()))
    }

    /// Forgets the gradients that tensors have gathered.
    pub fn zero_grad(&mut self) {
        for slot in &mut self.slots {
            slot.parameter.zero_grad();
        }
    }

    /// Multiplies all gradients by `factor`; whether they are finite.
    pub fn scale_gradients(&mut self, factor: f64) -> bool {
        tch::no_grad(|| {
            let mut sums = Vec::new();
            for slot in &self.slots {
                let mut gradient = slot.parameter.grad();
                if gradient.defined() {
                    let _ = gradient.g_mul_scalar_(factor);
                    sums.push(gradient.sum(Kind::Double));
                }
            }
            // One look at all of them, since a GPU is waited for.
            sums.is_empty()
                || Tensor::stack(&sums, 0).sum(Kind::Double).double_value(&[]).is_finite()
        })
    }

    /// One step with the gradients that tensors have; `rate` gives the learning rate from that at
    /// the first step.
    pub fn step(&mut self, rate: impl Fn(f64) -> f64) {
        self.steps += 1;
        let (beta1, beta2) = self.betas;
        let correction1 = 1.0 - beta1.powi(self.steps);
        let correction2 = (1.0 - beta2.powi(self.steps)).sqrt();
        tch::no_grad(|| {
            for slot in &mut self.slots {
                let mut gradient = slot.parameter.grad();
                if !gradient.defined() {
                    if !slot.has_moved {
                        continue;
                    }
                    gradient = slot.parameter.zeros_like();
                }
                slot.has_moved = true;
                match self.weight_decay > 0.0 {
                    true if self.decoupled => {
                        let kept = 1.0 - rate(slot.lr) * self.weight_decay;
                        let _ = slot.parameter.g_mul_scalar_(kept);
                    }
                    true => gradient += &slot.parameter * self.weight_decay,
                    false => {}
                }
                let _ = slot.mean.lerp_(&gradient, 1.0 - beta1);
                let _ = slot.square.g_mul_scalar_(beta2);
                let _ = slot.square.addcmul_(&gradient, &(&gradient * (1.0 - beta2)));
                let denominator = slot.square.sqrt() / correction2 + self.eps;
                let update = &slot.mean / denominator * (-rate(slot.lr) / correction1);
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

    /// Goes on from a checkpoint made after `steps` steps; from the whole moments of what is cut up.
    ///
    /// # Errors
    /// If a moment is missing or of another shape.
    pub fn restore(&mut self, steps: u64, mut state: Checkpoint) -> Result<()> {
        let device = |slot: &Slot| slot.parameter.device();
        let mut find = |what: &str, slot: &Slot| -> Result<Tensor> {
            let name = format!("{what}.{}", slot.name);
            let tensor =
                state.take(&name)?.with_context(|| format!("optimiser state lacks {name}"))?;
            let expected = slot.window.as_ref().map_or(slot.parameter.size(), Window::whole);
            ensure!(tensor.size() == expected, "optimiser state: {name} does not fit");
            let tensor =
                slot.window.as_ref().map_or(tensor.shallow_clone(), |own| own.cut(&tensor));
            Ok(tensor.to_device(device(slot)))
        };
        for slot in &mut self.slots {
            slot.mean = find("mean", slot)?;
            slot.square = find("square", slot)?;
            slot.has_moved = slot.square.any().int64_value(&[]) == 1;
        }
        self.steps = steps.try_into().context("too many steps")?;
        Ok(())
    }
}

/// Whether a tensor belongs to `part` of a model, such as `decoder` or `decoder.net.0`.
fn is_within(name: &str, part: &str) -> bool {
    name.strip_prefix(part).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

fn check_part(parameters: &Parameters, part: &str) -> Result<()> {
    if parameters.trainables().any(|(name, _)| is_within(name, part)) {
        return Ok(());
    }
    let mut parts: Vec<&str> =
        parameters.trainables().filter_map(|(name, _)| name.split('.').next()).collect();
    parts.dedup();
    bail!("optim.groups: the model has no `{part}`; {}", hint(part, &parts))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::parameters::Init;
    use tch::Device;

    fn config(groups: &[(&str, f64)]) -> OptimConfig {
        let groups = groups.iter().map(|&(part, lr)| (part.to_owned(), lr)).collect();
        let betas = (0.9, 0.999);
        OptimConfig { lr: 0.1, eps: 1e-15, betas, weight_decay: 0.0, decoupled: true, groups }
    }

    #[test]
    fn weights_decay_beside_the_gradients_way() {
        let mut parameters = Parameters::new(Device::Cpu);
        let x = parameters.trainable("x".into(), &[1], Init::Ones).unwrap();
        let decaying = OptimConfig { weight_decay: 0.5, ..config(&[]) };
        let mut adam = Adam::new(&parameters, &decaying).unwrap();
        x.sum(Kind::Float).backward();
        adam.step(|lr| lr);
        // The first step of Adam is one of the learning rate.
        assert!((x.double_value(&[0]) - (1.0 * (1.0 - 0.1 * 0.5) - 0.1)).abs() < 1e-6);
    }

    #[test]
    fn the_first_steps_are_those_of_the_formula() {
        let mut parameters = Parameters::new(Device::Cpu);
        let x = parameters.trainable("x".into(), &[1], Init::Ones).unwrap();
        let mut adam = Adam::new(&parameters, &config(&[])).unwrap();
        let (mut value, mut mean, mut square) = (1.0f64, 0.0, 0.0);
        for t in 1..=5 {
            adam.zero_grad();
            // Gradients of several backward passes add up.
            (x.square().sum(Kind::Float) * 0.25).backward();
            (x.square().sum(Kind::Float) * 0.75).backward();
            adam.step(|lr| lr);
            let gradient = 2.0 * value;
            mean = 0.9 * mean + 0.1 * gradient;
            square = 0.999 * square + 0.001 * gradient * gradient;
            let (m, v) = (mean / (1.0 - 0.9f64.powi(t)), square / (1.0 - 0.999f64.powi(t)));
            value -= 0.1 * m / (v.sqrt() + 1e-15);
            assert!((x.double_value(&[0]) - value).abs() < 1e-6, "step {t}");
        }
        assert_eq!(adam.steps(), 5);
    }

    #[test]
    fn groups_have_learning_rates_of_their_own() {
        let mut parameters = Parameters::new(Device::Cpu);
        let mut tensor = |name: &str| parameters.trainable(name.into(), &[1], Init::Ones).unwrap();
        let tensors = ["a.b.weight", "a.bias", "ab"].map(&mut tensor);
        let groups = config(&[("a.b", 0.2), ("a", 0.3)]);
        let mut adam = Adam::new(&parameters, &groups).unwrap();
        tensors.iter().for_each(|tensor| tensor.sum(Kind::Float).backward());
        adam.step(|lr| lr / 2.0);
        let moved = tensors.map(|tensor| 1.0 - tensor.double_value(&[0]));
        for (moved, expected) in moved.iter().zip([0.1, 0.15, 0.05]) {
            assert!((moved - expected).abs() < 1e-6, "{moved}, expected {expected}");
        }
        let unknown = Adam::new(&parameters, &config(&[("c", 1.0)])).err().unwrap().to_string();
        assert!(unknown.starts_with("optim.groups: the model has no `c`"), "{unknown}");
    }

    #[test]
    fn gradients_that_are_not_finite_are_noticed() {
        let mut parameters = Parameters::new(Device::Cpu);
        let x = parameters.trainable("x".into(), &[2], Init::Ones).unwrap();
        let mut adam = Adam::new(&parameters, &config(&[])).unwrap();
        assert!(adam.scale_gradients(2.0), "none at all");
        x.sum(Kind::Float).backward();
        assert!(adam.scale_gradients(0.5));
        assert_eq!(Vec::<f32>::try_from(&x.grad()).unwrap(), [0.5, 0.5]);
        for infinite in [f64::INFINITY, f64::NAN] {
            adam.zero_grad();
            (x.narrow(0, 1, 1) * infinite).sum(Kind::Float).backward();
            assert!(!adam.scale_gradients(1.0));
        }
    }
}
