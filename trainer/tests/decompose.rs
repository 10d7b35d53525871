//! Fields that several processes cut up, each with a block of the data and of the grids: the same
//! model as one process learns, in one file.

mod common;

use common::drr_train_ok;
use common::ensemble::TinyEnsemble;
use common::ranks::{STEADY, difference, is_there, losses, run, run_well};
use common::scratch::{Scratch, borrowed};

/// Blocks cut its cells anywhere.
const DIMS: [usize; 3] = [9, 8, 11];

/// A model of an encoder, with a refiner if there is one.
fn model(encoder: &str, refiner: &str) -> String {
    format!(
        "
- model:
    type: HDINRBase
    param:
      out_dim: 1
      default_act: ReLU
      out_act: Sigmoid
      hidden_dim: 16
      decoder_kwargs: {{type: FeatMLP, param: {{feat_dim: 16, num_layers: 2, out_dim: 1, activation: ReLU}}}}
      encoder_kwargs: {encoder}
      {refiner}
      latent_kwargs:
        type: MultiCondLatentLines
        param: {{cond_dim: 2, line_dims_list: [[2, 3], [5, 4]], latent_shape: [2]}}
"
    )
}

/// A refiner of so many features.
fn refiner(features: usize) -> String {
    format!(
        "if_refine: true
      spatial_fdim: {features}
      spatial_trans_kwargs: {{type: GLUFeatMLP, param: {{feat_dim: {features}, out_dim: {features}, \
            num_layers: 1, hidden_mult: 2, block_activation: ReLU}}}}"
    )
}

fn scratch(dims: &[usize], model: &str) -> Scratch {
    let scratch = Scratch::new();
    TinyEnsemble { dims: dims.to_vec(), ..Default::default() }.write(&scratch, "ens");
    scratch.put("model.yaml", model);
    scratch
}

/// Trains alone and by `ranks` processes that cut fields up in these ways: the losses and weights are
/// the same.
fn check(scratch: &Scratch, more: &[&str], ways: &[(usize, &str)]) {
    let more = [&["--steps", "8"], more, &STEADY].concat();
    drr_train_ok(&borrowed(&scratch.training("alone", &more)));
    for &(ranks, cuts) in ways {
        let run = format!("cut-{ranks}-{cuts}");
        let more = [&more[..], &["--decompose", cuts]].concat();
        let said = match ranks {
            1 => common::program()
                .args(scratch.training(&run, &more))
                .output()
                .map(|output| String::from_utf8_lossy(&output.stderr).into_owned())
                .expect("drr-train"),
            _ => run_well(ranks, &scratch.training(&run, &more)),
        };
        assert!(said.contains(&format!("decomposed into {ranks} block")), "{said}");
        let (found, expected) = (losses(scratch, &run), losses(scratch, "alone"));
        assert!(found.len() == expected.len() && !found.is_empty());
        for (found, expected) in found.iter().zip(&expected) {
            let error = (found - expected).abs() / expected;
            assert!(error < 1e-3, "{run}: {found}, expected {expected}");
        }
        let error = difference(scratch, ["alone", &run], 8);
        assert!(error < 2e-3, "{run}: weights differ by {error:e}");
    }
}

const MULTI: &str = "{type: MultiDenseFeatGrid, param: {grid_shapes: [[3, 4, 5], [5, 7, 6]], num_feat: 2, \
                     refine_highest_res: [8, 6, 9], prerefine_feat_up_kwargs: {g: 2}}}";

#[test]
fn one_block_is_the_whole() {
    check(&scratch(&DIMS, &model(MULTI, &refiner(16))), &[], &[(1, "auto"), (1, "1,1,1")]);
}

#[cfg(feature = "mpi")]
#[test]
fn blocks_learn_what_one_process_learns() {
    if !is_there() {
        return;
    }
    let scratch = scratch(&DIMS, &model(MULTI, &refiner(16)));
    let all = [(2, "auto"), (4, "1,2,2"), (8, "2,2,2"), (3, "1,1,3"), (4, "4,1,1")];
    check(&scratch, &[], &all);
}

#[cfg(feature = "mpi")]
#[test]
fn blocks_learn_moved_points_averages_and_blocks_of_points() {
    if !is_there() {
        return;
    }
    let scratch = scratch(&DIMS, &model(MULTI, &refiner(16)));
    let more = ["--pairs", "both", "--set", "train.accumulate=2", "--set", "train.ema=0.9"];
    let more = [&more[..], &["--set", "dataset.param.block=2", "--max-memory", "0.001"]].concat();
    check(&scratch, &more, &[(4, "auto"), (8, "2,2,2")]);
}

#[cfg(feature = "mpi")]
#[test]
fn every_encoder_can_be_cut_up() {
    if !is_there() {
        return;
    }
    let dense = "{type: DenseFeatGrid, param: {grid_shape: [6, 5, 8], num_feat: 8}}";
    let planes = "{type: TriPlane, param: {plane_res: [7, 7], num_feat: 8}}";
    let unrefined = "if_refine: false\n      spatial_fdim: 4";
    for model in [
        model(dense, &refiner(8)),
        model(MULTI, unrefined).replace(", prerefine_feat_up_kwargs: {g: 2}", ""),
        model(planes, "if_refine: false\n      spatial_fdim: 8"),
    ] {
        check(&scratch(&DIMS, &model), &[], &[(4, "auto")]);
    }
    let flat = "{type: DenseFeatGrid, param: {grid_shape: [6, 5], num_feat: 8}}";
    check(&scratch(&[12, 17], &model(flat, &refiner(8))), &[], &[(4, "auto"), (6, "2,3")]);
}

#[cfg(feature = "mpi")]
#[test]
fn members_set_aside_judge_the_whole_model() {
    if !is_there() {
        return;
    }
    let scratch = scratch(&DIMS, &model(MULTI, &refiner(16)));
    let more = ["--set", "dataset.param.validation=2", "--set", "train.validate_steps=4"];
    check(&scratch, &more, &[(4, "auto")]);
    let judged = |run: &str| -> Vec<f64> {
        let text = scratch.text(&format!("{run}/metrics.csv"));
        text.lines().skip(1).filter_map(|row| row.rsplit(',').next()?.parse().ok()).collect()
    };
    let (found, expected) = (judged("cut-4-auto"), judged("alone"));
    assert!(found.len() == 2 && expected.len() == 2, "{found:?}, {expected:?}");
    assert!(found.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 0.01), "{found:?}");
}

/// The file of a model that was cut up answers as that of one that was not, at block faces too.
#[cfg(feature = "mpi")]
#[test]
fn the_baked_file_is_one_model_without_seams() {
    if !is_there() {
        return;
    }
    let scratch = scratch(&DIMS, &model(MULTI, &refiner(16)));
    let more = [&["--steps", "40"][..], &STEADY].concat();
    drr_train_ok(&borrowed(&scratch.training("alone", &more)));
    let more = [&more[..], &["--decompose", "2,2,2"]].concat();
    run_well(8, &scratch.training("cut", &more));
    let values = |run: &str| {
        scratch.bake(run, &format!("{run}.drr"));
        let file = scratch.place(&format!("{run}.drr"));
        let runtime = drr::Runtime::open(file, &drr::OpenOptions::default()).expect("a model");
        let parameters = TinyEnsemble::default().physical_parameters(3);
        let sampler = drr::Sampler::new(&runtime, &parameters, &Default::default()).expect("it");
        // Through the middle, where eight blocks meet.
        let steps = 2000;
        let line: Vec<f64> =
            (0..=steps).flat_map(|n| [f64::from(n) / f64::from(steps) * 0.4 - 0.2; 3]).collect();
        let mut values = vec![0f32; line.len() / 3];
        let room = &mut drr::ValuesMut::packed(&mut values, 1).expect("room");
        sampler.query(&drr::Points::packed(&line, 3).expect("points"), room).expect("values");
        values
    };
    let (cut, alone) = (values("cut"), values("alone"));
    let range = alone.iter().fold(0f32, |a, b| a.max(b.abs()));
    for (n, (a, b)) in cut.iter().zip(&alone).enumerate() {
        assert!((a - b).abs() < 2e-3 * range, "{n}: {a}, {b}");
    }
    let jump = |values: &[f32]| {
        values.windows(2).map(|pair| (pair[1] - pair[0]).abs()).fold(0f32, f32::max)
    };
    assert!(jump(&cut) < 1.1 * jump(&alone) + 1e-6 * range);
}

#[cfg(feature = "mpi")]
#[test]
fn a_run_goes_on_cut_up_in_another_way() {
    if !is_there() {
        return;
    }
    let scratch = scratch(&DIMS, &model(MULTI, &refiner(16)));
    let more = ["--steps", "20", "--set", "train.checkpoint_steps=10", "--set", "train.ema=0.9"];
    let more = [&more[..], &STEADY].concat();
    drr_train_ok(&borrowed(&scratch.training("whole", &more)));
    for (ranks, cuts) in [(2, Some("2,1,1")), (1, None), (4, None)] {
        run_well(8, &scratch.training("half", &[&more[..], &["--decompose", "auto"]].concat()));
        std::fs::remove_dir_all(scratch.place("half/checkpoints/step-00000020")).expect("a folder");
        let mut resume = vec!["train".to_owned(), "--resume".to_owned(), scratch.path("half")];
        resume.extend(cuts.iter().flat_map(|cuts| ["--decompose".to_owned(), cuts.to_string()]));
        let said = run_well(ranks, &resume);
        assert!(said.contains("going on after step 10"), "{said}");
        let error = difference(&scratch, ["whole", "half"], 20);
        assert!(error < 2e-3, "{cuts:?}: weights differ by {error:e}");
        std::fs::remove_dir_all(scratch.place("half")).expect("a folder");
    }
}

#[test]
fn what_cannot_be_cut_up_is_refused() {
    let scratch = scratch(&DIMS, &model(MULTI, &refiner(16)));
    let refused = |more: &[&str]| scratch.train_fails(more);
    let said = refused(&["--decompose", "2,1,1"]);
    assert!(said.contains("one for each of 2 processes; there are 1 (mpirun -n 2"), "{said}");
    let said = refused(&["--decompose", "1,1"]);
    assert!(said.contains("a number for each axis"), "{said}");
    let said = refused(&["--decompose", "auto", "--set", "dataset.param.shared_points=false"]);
    assert!(said.contains("shared_points=true"), "{said}");
    if cfg!(feature = "mpi") && is_there() {
        let more = ["--decompose", "3,1,1"];
        let output = run(2, &scratch.training("refused", &more));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains("there are 2 (mpirun -n 3"), "{said}");
        assert!(!scratch.has("refused"));
    }
}
