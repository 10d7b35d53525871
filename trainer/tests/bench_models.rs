//! The benchmark compares like with like: what it bakes is the function that its competitors
//! compute, in every precision that it measures.

// A benchmark cannot hold tests, and parts of it are not needed here.
#![allow(dead_code)]

#[path = "../benches/cpu_query/difference.rs"]
mod difference;
#[path = "../benches/machine/mod.rs"]
mod machine;
#[path = "../benches/cpu_query/models.rs"]
mod models;
#[path = "../benches/cpu_query/points.rs"]
mod points;
#[path = "../benches/cpu_query/subject.rs"]
mod subject;
#[path = "../benches/cpu_query/torch.rs"]
mod torch;

use difference::Difference;
use drr::Storage;
use models::{Network, SIZES, Size, TINY};
use points::Order;
use subject::{Subject, VARIANTS};
use torch::Eager;

/// How many inputs of a layer are taken away, one at a time.
const INPUTS: i64 = 64;

#[test]
fn folded_and_baked_is_the_original_network() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let network = Network::new(TINY);
    let eager = Eager::new(&network);
    let largest = eager.largest_inputs(&Order::Random.points(1 << 12));
    let baked = network.bake(folder.path(), &largest).expect("baked files");
    for order in [Order::Random, Order::Lattice] {
        let points = order.points(512);
        let truth = eager.query(&points, 1);
        for threads in [1, 2] {
            let chunks = eager.query_chunks(&points, threads, 100);
            assert!(Difference::new(&chunks, &truth).largest < 1e-5);
        }
        let storages = [Storage::Mapped, Storage::HugePages];
        let ways = VARIANTS.iter().flat_map(|variant| storages.map(|storage| (variant, storage)));
        for (variant, storage) in ways {
            let path = baked.path(variant);
            let subject = Subject::open(path, storage, 1, &TINY.parameter_values());
            let mut values = vec![f32::NAN; truth.len()];
            subject.expect("a model").query(&points, &mut values).expect("values");
            let difference = Difference::new(&values, &truth);
            let within = difference.is_within(variant.tolerance);
            assert!(within, "{}, {storage:?}, {order:?}: {difference}", variant.name);
        }
    }
}

#[test]
fn a_difference_sees_what_is_wrong() {
    let truth = [0.0, 0.5, 1.0, 0.25];
    assert_eq!(Difference::new(&truth, &truth), Difference::ZERO);
    let off = Difference::new(&[0.0, 0.5, 0.0, 0.25], &truth);
    assert_eq!((off.largest, off.rms), (1.0, 0.5));
    let limit = Difference { largest: 2.0, rms: 1.0 };
    assert!(off.is_within(limit) && !limit.is_within(off));
    for wrong in [&[0.0, f32::NAN, 1.0, 0.25][..], &[f32::NAN; 4], &[0.0, 0.5, 1.0]] {
        assert!(!Difference::new(wrong, &truth).is_within(limit), "{wrong:?}");
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

#[test]
fn tolerances_notice_that_a_layer_lost_an_input() {
    let network = Network::new(Size { shape: [16; 3], ..SIZES[0] });
    let eager = Eager::new(&network);
    let points = Order::Random.points(1 << 10);
    let truth = eager.query(&points, 1);
    for (weight, _) in &network.layers[1..network.layers.len() - 1] {
        let mut noticed = 0;
        for input in 0..INPUTS {
            let mut column = weight.narrow(1, input, 1);
            let kept = column.copy();
            let _ = column.zero_();
            let difference = Difference::new(&eager.query(&points, 1), &truth);
            column.copy_(&kept);
            let within = VARIANTS.iter().any(|variant| difference.is_within(variant.tolerance));
            noticed += i64::from(!within);
        }
        // Some inputs are zero nearly everywhere.
        assert!(noticed > INPUTS / 2, "{noticed} of {INPUTS}");
    }
}
