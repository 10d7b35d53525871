//! Variational Pairs and importance sampling as the program runs them.

mod common;

use common::drr_train_ok;
use common::scratch::Scratch;
use drr_train::config::parse_yaml;
use drr_train::data::npy;

const STEPS: [&str; 2] = ["--steps", "6"];

fn last_weights(scratch: &Scratch, run: &str) -> Vec<u8> {
    scratch.bytes(&format!("{run}/checkpoints/step-00000006/weights.safetensors"))
}

#[test]
fn pairs_are_noted_stored_and_repeated() {
    let scratch = Scratch::small();
    scratch.train("none", &[&STEPS[..], &["--pairs", "none"]].concat());
    scratch.train("both", &[&STEPS[..], &["--pairs", "both"]].concat());
    assert!(last_weights(&scratch, "none") != last_weights(&scratch, "both"));
    assert!(!scratch.text("none/log.txt").contains("Variational Pairs"));
    let said = scratch.text("both/log.txt");
    let noise = "noise of up to 2.50e-1 on coordinates, up to 1.67e-1 on parameters";
    assert!(said.contains(noise) && said.contains("interpolated there"), "{said}");

    // The stored configuration has the noise in numbers, and repeats the run.
    let stored = parse_yaml(&scratch.text("both/config.yaml")).expect("YAML");
    let dataset = &stored["dataset"]["param"];
    assert!(dataset["pairs"].is_null(), "{dataset}");
    assert_eq!(dataset["x_noise_threshold"][2], 1.0 / 6.0, "half a spacing of 7 samples");
    assert_eq!(dataset["cond_noise_idw_knn"], 8);
    let (config, again) = (scratch.path("both/config.yaml"), scratch.path("again"));
    drr_train_ok(&["train", "--config", &config, "--out", &again]);
    assert!(last_weights(&scratch, "both") == last_weights(&scratch, "again"));
}

#[test]
fn weights_are_computed_stored_and_drawn_by() {
    let scratch = Scratch::small();
    let (config, data) = (scratch.path("model.yaml"), scratch.path("ens"));
    let out = scratch.path("weights");
    let arguments = ["importance", "--config", &config, "--data", &data, "--out", &out];
    let said = drr_train_ok(&[&arguments[..], &["--bins", "16"]].concat());
    assert!(said.contains("weights of 6 members"), "{said}");
    assert_eq!(scratch.list("weights/points").len(), 6, "of training members only");
    let members = npy::read::<f64>(&scratch.place("weights/members.npy")).expect("weights");
    assert_eq!(members.shape, [6]);
    assert!((members.data.iter().sum::<f64>() - 1.0).abs() < 1e-12);
    let points = npy::read::<f64>(&scratch.place("weights/points/m0.npy")).expect("weights");
    assert_eq!(points.shape, [5 * 6 * 7]);

    let members = format!("dataset.param.impsmp_cond_path={out}/members.npy");
    let points = format!("dataset.param.impsmp_coord_path={out}/points");
    scratch.train("plain", &STEPS);
    scratch.train("drawn", &[&STEPS[..], &["--set", &members, "--set", &points]].concat());
    assert!(scratch.text("drawn/log.txt").contains("members and points drawn by importance"));
    assert!(last_weights(&scratch, "plain") != last_weights(&scratch, "drawn"));

    let wrong = format!("dataset.param.impsmp_cond_path={out}/points/m0.npy");
    let arguments = scratch.training("bad", &["--set", &wrong]);
    let said = common::drr_train_fails(&common::scratch::borrowed(&arguments));
    assert!(said.contains("given 210 weights, expected 6") && said.contains("m0.npy"), "{said}");
    assert!(!scratch.has("bad"), "found before the run's folder is made");
}

#[test]
fn members_stand_where_no_simulation_was() {
    let scratch = Scratch::small();
    scratch.train("plain", &STEPS);
    let half = ["--set", "dataset.param.virtual_members=0.5"];
    scratch.train("half", &[&STEPS[..], &half].concat());
    assert!(last_weights(&scratch, "plain") != last_weights(&scratch, "half"));
    let said = scratch.text("half/log.txt");
    assert!(said.contains("virtual members: 50 % of a batch, by kriging"), "{said}");
    // The stored configuration repeats the run.
    let (config, again) = (scratch.path("half/config.yaml"), scratch.path("again"));
    drr_train_ok(&["train", "--config", &config, "--out", &again]);
    assert!(last_weights(&scratch, "half") == last_weights(&scratch, "again"));
    let groups = ["--set", "dataset.param.groups=[heat / density^2]"];
    scratch.train("groups", &[&STEPS[..], &half, &groups].concat());
    assert!(last_weights(&scratch, "half") != last_weights(&scratch, "groups"));

    let refused = |more: &[&str]| scratch.train_fails(&[&half[..], more].concat());
    let said = refused(&["--set", "dataset.param.groups=[heat / mass]"]);
    assert!(said.contains("`mass` is no parameter of the data: they are density, heat"), "{said}");
    let said = refused(&["--decompose", "auto"]);
    assert!(said.contains("virtual_members are made of whole members"), "{said}");
}
