//! The benchmark compares like with like: what it bakes is the function that its competitors
//! compute, in every precision that it measures.

// A benchmark cannot hold tests, and parts of it are not needed here.
#![allow(dead_code)]

#[path = "../benches/cpu_query/models.rs"]
mod models;
#[path = "../benches/cpu_query/points.rs"]
mod points;
#[path = "../benches/cpu_query/subject.rs"]
mod subject;
#[path = "../benches/cpu_query/torch.rs"]
mod torch;

use models::{Network, SIZES, TINY};
use points::Order;
use subject::{Subject, VARIANTS, grid_precisions};
use torch::Eager;

#[test]
fn folded_and_baked_is_the_original_network() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let network = Network::new(TINY);
    let baked = network.bake(folder.path(), &grid_precisions()).expect("a baked file");
    let eager = Eager::new(&network);
    for order in [Order::Random, Order::Lattice] {
        let points = order.points(512);
        let truth = eager.query(&points, 1);
        for threads in [1, 2] {
            assert!(worst(&eager.query_chunks(&points, threads, 100), &truth) < 1e-5);
        }
        for variant in &VARIANTS {
            let path = baked.path(variant.grid);
            let subject =
                Subject::open(path, variant, 1, &TINY.parameter_values()).expect("a model");
            let mut values = vec![f32::NAN; truth.len()];
            subject.query(&points, &mut values).expect("values");
            let worst = worst(&values, &truth);
            assert!(worst <= variant.tolerance, "{}, {order:?}: {worst}", variant.name);
        }
    }
}

#[test]
fn a_lattice_runs_x_first() {
    let points = Order::Lattice.points(32);
    assert_eq!(points::lattice_shape(32), [4, 4, 2]);
    assert_eq!(points[..6], [-0.75, -0.75, -0.5, -0.25, -0.75, -0.5]);
    assert_eq!(points[93..], [0.75, 0.75, 0.5]);
}

#[test]
fn sizes_are_those_of_the_configurations() {
    let inputs = SIZES.map(|size| (size.name, size.layer_sizes()[0][0], size.vertices()));
    let volume = 128 * 128 * 128;
    assert_eq!(
        inputs,
        [
            ("clover_600", 96 + 48, volume),
            ("nyx", 128 + 48, volume),
            ("mpas_graph", 160 + 64, 160 * 160 * 60),
        ]
    );
}

fn worst(values: &[f32], truth: &[f32]) -> f64 {
    assert_eq!(values.len(), truth.len());
    let differences = values.iter().zip(truth).map(|(a, b)| f64::from((a - b).abs()));
    differences.fold(0.0, |worst, d| if d > worst || d.is_nan() { d } else { worst })
}
