//! See `lockgate_testkit::fuzz::response_head`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lockgate_testkit::fuzz::response_head(data));
