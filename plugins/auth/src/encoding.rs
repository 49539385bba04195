//! Base64 as nginx reads it: everything from the first `=` on is padding, and bits that are left over do not matter.

use std::borrow::Cow;

use base64::{
    Engine as _,
    alphabet::{STANDARD, URL_SAFE},
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

const CONFIG: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::RequireNone)
    .with_decode_allow_trailing_bits(true);
const PLAIN: GeneralPurpose = GeneralPurpose::new(&STANDARD, CONFIG);
const URL: GeneralPurpose = GeneralPurpose::new(&URL_SAFE, CONFIG);

/// Decodes the standard alphabet (`ngx.decode_base64`).
pub(crate) fn standard(text: &[u8]) -> Option<Vec<u8>> {
    PLAIN.decode(unpadded(text)).ok()
}

/// Decodes the alphabet of URLs (`decode_base64url` of `ngx.base64`).
pub(crate) fn url(text: &[u8]) -> Option<Vec<u8>> {
    URL.decode(unpadded(text)).ok()
}

/// Decodes either alphabet, or both mixed.
pub(crate) fn either(text: &[u8]) -> Option<Vec<u8>> {
    let text = unpadded(text);
    let is_standard = |byte: &u8| matches!(byte, b'+' | b'/');
    let text = if text.iter().any(is_standard) {
        let translate = |byte: &u8| match byte {
            b'+' => b'-',
            b'/' => b'_',
            other => *other,
        };
        Cow::Owned(text.iter().map(translate).collect::<Vec<u8>>())
    } else {
        Cow::Borrowed(text)
    };
    URL.decode(text).ok()
}

fn unpadded(text: &[u8]) -> &[u8] {
    text.split(|byte| *byte == b'=').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_nginx_reads() {
        type Decode = fn(&[u8]) -> Option<Vec<u8>>;
        for (text, expected) in [
            ("", [Some(&b""[..]), Some(b""), Some(b"")]),
            ("Zm9v", [Some(b"foo"), Some(b"foo"), Some(b"foo")]),
            ("Zm8=", [Some(b"fo"), Some(b"fo"), Some(b"fo")]),
            ("Zm8", [Some(b"fo"), Some(b"fo"), Some(b"fo")]),
            ("Zm9=rest", [Some(b"fo"), Some(b"fo"), Some(b"fo")]),
            ("Zm9vY", [None, None, None]),
            (" Zm9v", [None, None, None]),
            ("+/+/", [Some(b"\xfb\xff\xbf"), None, Some(b"\xfb\xff\xbf")]),
            ("-_-_", [None, Some(b"\xfb\xff\xbf"), Some(b"\xfb\xff\xbf")]),
            ("-/-_", [None, None, Some(b"\xfb\xff\xbf")]),
        ] {
            for (decode, expected) in [standard as Decode, url, either].into_iter().zip(expected) {
                assert_eq!(decode(text.as_bytes()).as_deref(), expected, "{text}");
            }
        }
    }
}
