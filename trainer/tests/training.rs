//! The model learns what it is told to: exact gradients, every parameter takes part, and weights
//! carry the reference's names.

mod common;

use std::collections::BTreeMap;

use common::{Golden, SMALL_MODEL};
use drr_train::config::{Config, HdinrConfig, ModelConfig, OptimConfig, parse_yaml};
use drr_train::models::checkpoint::{here, read_safetensors, write_safetensors};
use drr_train::models::network::Encoded;
use drr_train::models::{Hdinr, Parameters};
use drr_train::train::adam::Adam;
use drr_train::train::fields::budget::backward;
use tch::{Device, Kind, Reduction, Tensor};

/// A new small model in 64 bits.
fn small_model() -> Hdinr {
    let entry = parse_yaml(SMALL_MODEL).expect("YAML")[0].clone();
    let config = Config::from_value(&entry).expect("config");
    let ModelConfig::Hdinr(config) = &config.model else { panic!("HDINRBase") };
    in_double(config)
}

fn in_double(config: &HdinrConfig) -> Hdinr {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("weights.safetensors");
    let new = Hdinr::new(config, Device::Cpu, 3).expect("model");
    // Larger features than those at the start, so that gradients stand clear of rounding.
    let scaled: BTreeMap<String, Tensor> = (new.parameters.all())
        .map(|(name, tensor)| {
            let is_table = name.contains("feature_grid") || name.contains("lines.");
            (name.to_owned(), if is_table { tensor * 300.0 } else { tensor.shallow_clone() })
        })
        .collect();
    let scaled = here(scaled.iter().map(|(n, t)| (n.as_str(), t)));
    write_safetensors(&path, &scaled).expect("weights");
    let parameters = Parameters::from_checkpoint(&path, Device::Cpu, Kind::Double).expect("load");
    Hdinr::build(config, parameters).expect("model")
}

fn batch(dims: i64, conditions: i64) -> (Tensor, Tensor, Tensor) {
    tch::manual_seed(11);
    let options = (Kind::Double, Device::Cpu);
    let points = Tensor::rand([40, dims], options) * 2.0 - 1.0;
    let targets = Tensor::rand([3, 40, 1], options);
    (points, Tensor::rand([3, conditions], options), targets)
}

#[test]
fn gradients_agree_with_finite_differences() {
    let model = small_model();
    let (points, conditions, targets) = batch(3, 2);
    let loss = || model.forward(&points, &conditions).mse_loss(&targets, Reduction::Mean);
    loss().backward();
    for (name, parameter) in model.parameters.trainables() {
        let gradient = parameter.grad().contiguous().view(-1);
        let flat = parameter.detach().view(-1);
        let count = flat.size()[0];
        for at in [0, count / 3, count / 2, count - 1] {
            let (original, h) = (flat.double_value(&[at]), 1e-6);
            let with = |value: f64| {
                let _ = flat.get(at).fill_(value);
                tch::no_grad(|| loss().double_value(&[]))
            };
            let numeric = (with(original + h) - with(original - h)) / (2.0 * h);
            with(original);
            let analytic = gradient.double_value(&[at]);
            let error = (numeric - analytic).abs();
            assert!(
                error < 1e-8 + 1e-5 * analytic.abs(),
                "{name}[{at}]: {analytic:e}, numerically {numeric:e}"
            );
        }
    }
}

#[test]
fn one_step_moves_every_parameter() {
    let mut models = vec![("small".to_owned(), small_model(), 3, 2)];
    for golden in Golden::all("hdinr_") {
        let parameters = Parameters::from_checkpoint(&golden.weights(), Device::Cpu, Kind::Double)
            .expect("weights");
        let model = Hdinr::build(golden.hdinr(), parameters).expect("model");
        let conditions = golden.io["cond"].size()[1];
        models.push((golden.name.clone(), model, 3, conditions));
    }
    for (name, model, dims, conditions) in models {
        let before: BTreeMap<String, Tensor> =
            model.parameters.all().map(|(n, t)| (n.to_owned(), t.detach().copy())).collect();
        let (points, conditions, targets) = batch(dims, conditions);
        let loss = model.forward(&points, &conditions).mse_loss(&targets, Reduction::Mean);
        let betas = (0.9, 0.999);
        let config = OptimConfig {
            lr: 1e-3,
            eps: 1e-15,
            betas,
            weight_decay: 0.0,
            decoupled: false,
            groups: Vec::new(),
        };
        let mut adam = Adam::new(&model.parameters, &config).expect("an optimiser");
        loss.backward();
        adam.step(|lr| lr);
        let trainable: Vec<_> = model.parameters.trainables().map(|(name, _)| name).collect();
        for (tensor_name, tensor) in model.parameters.all() {
            let moved = (tensor - &before[tensor_name]).abs().max().double_value(&[]) > 0.0;
            assert_eq!(moved, trainable.contains(&tensor_name), "{name}: {tensor_name}");
        }
    }
}

/// Gradients of all trainable tensors, which are zeroed.
fn take_gradients(model: &Hdinr) -> Vec<(String, Tensor)> {
    let take = |(name, parameter): (&str, &Tensor)| {
        let gradient = parameter.grad().copy();
        let _ = parameter.grad().zero_();
        (name.to_owned(), gradient)
    };
    model.parameters.trainables().map(take).collect()
}

#[test]
fn bounded_memory_gives_the_same_gradients() {
    let mut models = vec![("small".to_owned(), small_model(), 2)];
    for golden in Golden::all("hdinr_") {
        let parameters = Parameters::from_checkpoint(&golden.weights(), Device::Cpu, Kind::Double)
            .expect("weights");
        let model = Hdinr::build(golden.hdinr(), parameters).expect("model");
        models.push((golden.name.clone(), model, golden.io["cond"].size()[1]));
    }
    for (name, model, conditions) in models {
        tch::manual_seed(4);
        let options = (Kind::Double, Device::Cpu);
        let conditions = Tensor::rand([3, conditions], options);
        for shape in [&[300, 3][..], &[3, 300, 3]] {
            let points = Tensor::rand(shape, options) * 2.0 - 1.0;
            let targets = Tensor::rand([3, 300, 1], options);
            let plain = model.forward(&points, &conditions).mse_loss(&targets, Reduction::Mean);
            (&plain * 0.5).backward();
            let expected = take_gradients(&model);
            // Pieces of the least size, and everything in one.
            for bytes in [1, 1 << 30] {
                let loss =
                    backward(Encoded::Hdinr(&model), [&points, &conditions, &targets], 0.5, bytes);
                let error = (loss - &plain).abs().double_value(&[]);
                assert!(error < 1e-7, "{name}: the loss differs by {error:e}");
                for ((tensor, ours), (_, plain)) in take_gradients(&model).iter().zip(&expected) {
                    let scale = plain.abs().max().double_value(&[]).max(1e-12);
                    let error = (ours - plain).abs().max().double_value(&[]) / scale;
                    assert!(error < 1e-9, "{name}, {bytes} bytes: {tensor} differs by {error:e}");
                }
            }
        }
    }
}

#[test]
fn products_in_16_bits_change_little() {
    let entry = parse_yaml(SMALL_MODEL).expect("YAML")[0].clone();
    let config = Config::from_value(&entry).expect("config");
    let ModelConfig::Hdinr(config) = &config.model else { panic!("HDINRBase") };
    let mut model = Hdinr::new(config, Device::Cpu, 3).expect("model");
    tch::manual_seed(5);
    let options = (Kind::Float, Device::Cpu);
    let (points, conditions) =
        (Tensor::rand([200, 3], options) * 2.0 - 1.0, Tensor::rand([4, 2], options));
    let gradient = |model: &Hdinr| {
        let values = model.forward(&points, &conditions);
        assert_eq!(values.kind(), Kind::Float);
        values.square().mean(Kind::Float).backward();
        let gradients = model.parameters.trainables().map(|(_, parameter)| {
            let gradient = parameter.grad().copy().view(-1);
            let _ = parameter.grad().zero_();
            gradient
        });
        let gradients: Vec<_> = gradients.collect();
        (values.detach(), Tensor::cat(&gradients, 0))
    };
    let exact = gradient(&model);
    for (kind, limit) in [(Kind::BFloat16, 0.03), (Kind::Half, 0.004)] {
        model.compute_in(kind);
        let rounded = gradient(&model);
        for (rounded, exact) in [(&rounded.0, &exact.0), (&rounded.1, &exact.1)] {
            let error = (rounded - exact).norm().double_value(&[]);
            let relative = error / exact.norm().double_value(&[]);
            assert!(relative < limit && relative > limit * 1e-3, "{kind:?}: {relative:e}");
        }
    }
}

#[test]
fn weights_have_exactly_the_reference_names_and_shapes() {
    let folder = tempfile::tempdir().expect("folder");
    for golden in Golden::all("hdinr_") {
        let model = Hdinr::new(golden.hdinr(), Device::Cpu, 0).expect("model");
        let path = folder.path().join("weights.safetensors");
        write_safetensors(&path, &here(model.parameters.all())).expect("weights");
        let shapes = |path: &std::path::Path| -> BTreeMap<String, Vec<i64>> {
            let tensors = read_safetensors(path).expect("weights");
            tensors.into_iter().map(|(name, tensor)| (name, tensor.size())).collect()
        };
        assert_eq!(shapes(&path), shapes(&golden.weights()), "{}", golden.name);
        // Buffers are constants: equal, not only alike.
        let (ours, theirs) = (read_safetensors(&path), read_safetensors(&golden.weights()));
        let (ours, theirs) = (ours.expect("ours"), theirs.expect("theirs"));
        for name in ours.keys().filter(|n| n.contains("high") || n.contains("coeff")) {
            let error = (&ours[name] - &theirs[name]).abs().max().double_value(&[]);
            assert!(error <= 1.2e-7, "{}: {name} differs by {error:e}", golden.name);
        }
    }
}
