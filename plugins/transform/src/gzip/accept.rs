//! What clients say that they take.

/// Whether `Accept-Encoding` has `gzip` with a weight above 0, as nginx reads it (`ngx_http_gzip_accept_encoding`): a bare `*` does not count, and a weight
/// that is none does not either.
pub(super) fn takes_gzip(accepted: &[u8]) -> bool {
    accepted.split(|byte| *byte == b',').any(|coding| {
        let mut parts = coding.split(|byte| *byte == b';');
        let name = parts.next().unwrap_or_default().trim_ascii();
        name.eq_ignore_ascii_case(b"gzip")
            && parts
                .next()
                .is_none_or(|weight| is_above_0(weight.trim_ascii()))
    })
}

/// Whether a parameter is `q=` with a number above 0 and up to 1, of three digits behind the point.
fn is_above_0(parameter: &[u8]) -> bool {
    let Some((b'q' | b'Q', weight)) = parameter.split_first() else {
        return false;
    };
    match weight
        .trim_ascii_start()
        .strip_prefix(b"=")
        .map(<[u8]>::trim_ascii)
    {
        Some(b"1") => true,
        Some([b'0', b'.', digits @ ..]) => {
            digits.len() <= 3
                && digits.iter().all(u8::is_ascii_digit)
                && digits.iter().any(|digit| *digit != b'0')
        }
        Some([b'1', b'.', digits @ ..]) => {
            digits.len() <= 3 && digits.iter().all(|digit| *digit == b'0')
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_counts_with_a_weight_above_0() {
        for (accepted, expected) in [
            ("gzip", true),
            ("GZIP", true),
            ("deflate, gzip;q=1.0, br", true),
            ("br, gzip ; q=0.001", true),
            ("gzip; Q = 0.5", true),
            ("gzip;q=0", false),
            ("gzip;q=0.000", false),
            ("gzip;q=2", false),
            ("gzip;q=0.1234", false),
            ("gzip;x=1", false),
            ("xgzip, gzipx", false),
            ("*", false),
            ("", false),
        ] {
            assert_eq!(takes_gzip(accepted.as_bytes()), expected, "{accepted}");
        }
    }
}
