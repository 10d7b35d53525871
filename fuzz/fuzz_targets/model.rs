#![no_main]

use drr_fuzz::common::Rng;
use drr_fuzz::{baked, mutator};
use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};

fuzz_target!(|input: &[u8]| baked::run(input));

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    let mut raw = |bytes: &mut Vec<u8>, max: usize| {
        let size = bytes.len();
        bytes.resize(max.max(size), 0);
        let size = fuzzer_mutate(bytes, size, max);
        bytes.truncate(size);
    };
    let rng = &mut Rng::new(seed.into());
    let changed = mutator::mutate(&data[..size], max_size, rng, &mut raw);
    let size = changed.len().min(max_size);
    data[..size].copy_from_slice(&changed[..size]);
    size
});
