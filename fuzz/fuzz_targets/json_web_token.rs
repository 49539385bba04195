//! See `lockgate_testkit::fuzz::json_web_token`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lockgate_testkit::fuzz::json_web_token(data));
