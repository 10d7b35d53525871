#![no_main]

libfuzzer_sys::fuzz_target!(|script: drr_fuzz::capi::Script| script.run());
