//! What fuzzing found once stays fixed, also where there is no cargo-fuzz: all seeds run through.

use std::path::Path;

use drr_fuzz::{baked, capi, configurations, ensembles};

fn run_all(target: &str, run: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(target);
    let mut seeds: Vec<_> = (std::fs::read_dir(folder).expect("seeds"))
        .map(|entry| entry.expect("a seed").path())
        .collect();
    seeds.sort();
    assert!(seeds.len() > 2, "only {} seeds", seeds.len());
    for seed in seeds {
        println!("{}", seed.display());
        run(&std::fs::read(seed).expect("a seed"));
    }
}

#[test]
fn seeds_of_capi() {
    run_all("capi", capi::run);
}

#[test]
fn seeds_of_config() {
    run_all("config", configurations::run);
}

#[test]
fn seeds_of_data() {
    run_all("data", ensembles::run);
}

#[test]
fn seeds_of_model() {
    run_all("model", baked::run);
}
