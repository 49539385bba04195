//! Base64 as nginx reads it: everything from the first `=` on is padding, and bits that are left over do not matter.

use base64::{
    Engine as _,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

const CONFIG: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::RequireNone)
    .with_decode_allow_trailing_bits(true);
const PLAIN: GeneralPurpose = GeneralPurpose::new(&STANDARD, CONFIG);

/// Decodes the standard alphabet (`ngx.decode_base64`).
pub(crate) fn standard(text: &[u8]) -> Option<Vec<u8>> {
    PLAIN.decode(unpadded(text)).ok()
}

fn unpadded(text: &[u8]) -> &[u8] {
    text.split(|byte| *byte == b'=').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_nginx_reads() {
        for (text, expected) in [
            ("", Some(&b""[..])),
            ("Zm9v", Some(b"foo")),
            ("Zm8=", Some(b"fo")),
            ("Zm8", Some(b"fo")),
            ("Zm9=rest", Some(b"fo")),
            ("Zm9vY", None),
            (" Zm9v", None),
            ("+/+/", Some(b"\xfb\xff\xbf")),
            ("-_-_", None),
        ] {
            assert_eq!(standard(text.as_bytes()).as_deref(), expected, "{text}");
        }
    }
}
