//! Whether a text defines Protocol Buffers: the language of versions 2 and 3, or a set of descriptors in base64
//! (`apisix/plugins/grpc-transcode/proto.lua`).
//!
//! Checked are the grammar and that types which are used are defined, unless the text imports others. Nothing is compiled.

mod descriptor;
mod grammar;
mod lexer;

use base64::{Engine as _, engine::general_purpose::STANDARD};

/// Checks a text.
///
/// # Errors
/// What is wrong with it as a definition; as a set of descriptors it is right or not.
pub(crate) fn check(content: &str) -> Result<(), String> {
    let Err(why) = grammar::check(content) else {
        return Ok(());
    };
    let is_set = STANDARD
        .decode(content)
        .is_ok_and(|bytes| descriptor::is_set(&bytes));
    if is_set { Ok(()) } else { Err(why) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_definitions_and_descriptors() {
        // protoc --descriptor_set_out of: syntax = "proto3"; package p; message A { string b = 1; }
        let set = "CiEKAWESAXAiEQoBQRIMCgFiGAEgASgJUgFiYgZwcm90bzM=";
        for (content, is_taken) in [
            ("syntax = \"proto3\";", true),
            ("", true),
            (set, true),
            ("a", false),
            ("YQ==", false),
            ("message A {", false),
        ] {
            assert_eq!(check(content).is_ok(), is_taken, "{content}");
        }
    }
}
