//! The benchmark of training compares like with like: its competitor computes the same values and
//! the same gradients.

// A benchmark cannot hold tests, and parts of it are not needed here.
#![allow(dead_code)]

#[path = "../benches/train_step/eager.rs"]
mod eager;
#[path = "../benches/train_step/workload.rs"]
mod workload;

use drr_train::models::Hdinr;
use eager::Eager;
use tch::{Device, Reduction, Tensor};
use workload::{WORKLOADS, Workload, tensors};

#[test]
fn eager_is_the_same_network() {
    let workload =
        Workload { members: 3, points: 200, ..*Workload::named("example-64").expect("one") };
    let config = workload.config().expect("a network");
    let model = Hdinr::new(&config, Device::Cpu, 3).expect("a model");
    // Larger features than those at the start, so that refinement matters.
    for (name, tensor) in model.parameters.trainables() {
        if name.contains("feature_grid") || name.contains("lines.") {
            let _ = tch::no_grad(|| tensor.shallow_clone().g_mul_scalar_(300.0));
        }
    }
    let ensemble = workload.ensemble();
    let [points, conditions, targets] =
        tensors(&workload.plan(false, 1).batch(5, &ensemble).expect("a batch"), false, Device::Cpu);
    let gradients = |values: Tensor| {
        values.mse_loss(&targets, Reduction::Mean).backward();
        let all = model.parameters.trainables().map(|(_, tensor)| {
            let gradient = tensor.grad().copy().view(-1);
            let _ = tensor.grad().zero_();
            gradient
        });
        Tensor::cat(&all.collect::<Vec<_>>(), 0)
    };
    let ours = model.forward(&points, &conditions);
    let eager = Eager::new(&model, &config);
    let theirs = eager.query(&eager.refine(1), &points, &conditions);
    let largest = (&ours - &theirs).abs().max().double_value(&[]);
    assert!(largest < 1e-5, "values differ by {largest:e}");
    let (ours, theirs) = (gradients(ours), gradients(theirs));
    let difference = (&ours - &theirs).norm().double_value(&[]) / theirs.norm().double_value(&[]);
    assert!(difference < 1e-4, "gradients differ by {difference:e}");
    // A slab is the beginning of the whole.
    let (slab, whole) = (eager.refine(4), eager.refine(1));
    let rows = slab.size()[0];
    assert_eq!(4 * rows, whole.size()[0]);
    assert!((slab - whole.narrow(0, 0, rows)).abs().max().double_value(&[]) < 1e-6);
    assert_eq!(WORKLOADS[1].config().expect("a network").spatial_fdim, 96);
}
