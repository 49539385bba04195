//! See `lockgate_testkit::fuzz::document`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lockgate_testkit::fuzz::document(data));
