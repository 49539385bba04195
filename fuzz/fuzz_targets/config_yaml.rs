//! See `lockgate_testkit::fuzz::config_yaml`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lockgate_testkit::fuzz::config_yaml(data));
