//! See `lockgate_testkit::fuzz::request_head`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lockgate_testkit::fuzz::request_head(data));
