//! See `lockgate_testkit::fuzz::declaration`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lockgate_testkit::fuzz::declaration(data));
