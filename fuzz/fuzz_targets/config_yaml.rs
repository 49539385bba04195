//! Any text as `config.yaml`: reading it ends and never panics, what is refused says why, and a key is only ever written where
//! the file keeps its meaning.
//!
//! Input: the file. Variables of the environment are set when their name has an even length.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lockgate_model::boot::{Boot, File, with_admin_keys};

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let environment = |name: &str| (name.len() % 2 == 0).then(|| "1".to_owned());
    let file = File { name: "f", text };
    match Boot::read(Some(file), &environment) {
        Ok(boot) => assert!(boot.warnings.iter().all(|warning| !warning.message.is_empty())),
        Err(error) => assert!(!error.message.is_empty()),
    }
    let _edited = with_admin_keys(text, &[(0, "KEY".to_owned())]);
});
