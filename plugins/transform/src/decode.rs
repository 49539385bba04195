//! Bodies that are compressed, made readable.

use std::io::{self, Read};

/// Why a body cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DecodeError {
    /// Its encoding is not one of those below.
    #[error("unsupported compression encoding type")]
    Unsupported,
    /// It is not what its encoding says.
    #[error("the body is not what its encoding says")]
    Broken(#[from] io::Error),
}

/// Decompresses a body as far as `limit` bytes. `encoding` is its `Content-Encoding`: `gzip` or `br`, as in the reference (`apisix/utils/content-decode.lua`).
pub(crate) fn decode(encoding: &[u8], body: &[u8], limit: usize) -> Result<Vec<u8>, DecodeError> {
    if encoding.eq_ignore_ascii_case(b"gzip") {
        read(flate2::bufread::MultiGzDecoder::new(body), limit)
    } else if encoding.eq_ignore_ascii_case(b"br") {
        read(
            brotli_decompressor::Decompressor::new(body, BROTLI_BUFFER),
            limit,
        )
    } else {
        Err(DecodeError::Unsupported)
    }
}

/// Bytes that the brotli decoder takes in at once.
const BROTLI_BUFFER: usize = 4096;

fn read(decoder: impl Read, limit: usize) -> Result<Vec<u8>, DecodeError> {
    let mut out = Vec::new();
    decoder.take(limit as u64).read_to_end(&mut out)?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    pub(crate) fn gzip(text: &str) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text.as_bytes()).expect("memory");
        encoder.finish().expect("memory")
    }

    /// `hello world` as brotli without compression: window bits, one uncompressed block, the empty last one.
    const BROTLI: &[u8] = b"\x0b\x05\x80hello world\x03";

    #[test]
    fn bodies_are_decompressed_up_to_a_limit() {
        let two = [gzip("hello "), gzip("world")].concat();
        for (encoding, body, limit, expected) in [
            ("gzip", gzip("hello world"), 100, Some("hello world")),
            ("GZIP", two, 100, Some("hello world")),
            ("gzip", gzip(&"a".repeat(100_000)), 3, Some("aaa")),
            ("gzip", b"no gzip".to_vec(), 100, None),
            ("gzip", gzip("hello world")[..20].to_vec(), 100, None),
            ("br", BROTLI.to_vec(), 100, Some("hello world")),
            ("br", BROTLI.to_vec(), 5, Some("hello")),
            ("br", b"\xffno".to_vec(), 100, None),
            ("deflate", b"x".to_vec(), 100, None),
        ] {
            let body = decode(encoding.as_bytes(), &body, limit).ok();
            let expected = expected.map(|text| text.as_bytes().to_vec());
            assert_eq!(body, expected, "{encoding}");
        }
    }
}
