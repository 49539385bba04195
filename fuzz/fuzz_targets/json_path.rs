//! See `lockgate_testkit::fuzz::json_path`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lockgate_testkit::fuzz::json_path(data));
