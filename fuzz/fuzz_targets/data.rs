#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| drr_fuzz::ensembles::run(input));
