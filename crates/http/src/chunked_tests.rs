use proptest::prelude::*;

use super::*;

/// Decodes `input` cut at the given places; the data, the bytes left over, and whether it ended.
fn decode(input: &[u8], cuts: &[usize]) -> Result<(Vec<u8>, Vec<u8>, bool), ChunkError> {
    let mut decoder = Decoder::default();
    let (mut data, mut left) = (Vec::new(), Vec::new());
    let mut places: Vec<usize> = cuts.iter().map(|cut| cut % (input.len() + 1)).collect();
    places.push(input.len());
    places.sort_unstable();
    let mut start = 0;
    for place in places {
        let mut piece = input[start..place].to_vec();
        start = place;
        let decoded = decoder.decode(&mut piece)?;
        data.extend_from_slice(&piece[decoded.data]);
        left.extend_from_slice(&piece[decoded.used..]);
    }
    Ok((data, left, decoder.is_done()))
}

#[test]
fn decodes_chunks_and_leaves_what_follows() {
    let text = b"3\r\nabc\r\n00a;x=\"y\"\r\n0123456789\r\n0\r\nT: 1\r\n\r\nGET /";
    let (data, left, is_done) = decode(text, &[]).expect("valid");
    assert_eq!(
        (data.as_slice(), left.as_slice(), is_done),
        (&b"abc0123456789"[..], &b"GET /"[..], true)
    );
}

#[test]
fn refuses_what_two_readers_could_read_differently() {
    for (text, error) in [
        ("0x3\r\nabc\r\n", ChunkError::Size),
        ("+3\r\nabc\r\n", ChunkError::Size),
        ("-3\r\nabc\r\n", ChunkError::Size),
        ("\r\n", ChunkError::Size),
        (" 3\r\nabc", ChunkError::Size),
        ("3 \r\nabc", ChunkError::Size),
        ("3\nabc\n", ChunkError::Size),
        ("3\r\nabcd\r\n", ChunkError::LineEnd),
        ("3\r\nabc\n0\r\n\r\n", ChunkError::LineEnd),
        ("3\r\nabc\r0\r\n\r\n", ChunkError::LineEnd),
        ("3;a\nb\r\nabc\r\n", ChunkError::LineEnd),
        ("3\rabc", ChunkError::LineEnd),
        ("1000000000000000\r\n", ChunkError::Size),
        ("00000000000000001\r\na", ChunkError::Size),
        ("0\r\nA: b\n\r\n", ChunkError::LineEnd),
        ("g\r\n", ChunkError::Size),
    ] {
        assert_eq!(decode(text.as_bytes(), &[]), Err(error), "{text:?}");
    }
    let long = format!("3;{}\r\nabc\r\n", "x".repeat(limits::CHUNK_LINE_BYTES));
    assert_eq!(decode(long.as_bytes(), &[]), Err(ChunkError::TooLong));
    let long = format!("0\r\nA: {}\r\n\r\n", "x".repeat(limits::TRAILER_BYTES));
    assert_eq!(decode(long.as_bytes(), &[]), Err(ChunkError::TooLong));
}

#[test]
fn forwards_trailers_but_those_that_steer() {
    let mut decoder = Decoder::default();
    let mut text = b"0\r\nX-Sum: 1\r\ncontent-length: 5\r\nHost: a\r\nCookie: b\r\n\r\n".to_vec();
    assert!(decoder.decode(&mut text).expect("valid").is_done);
    let mut out = Vec::new();
    decoder.write_trailers(&mut out).expect("fields");
    assert_eq!(out, b"X-Sum: 1\r\n");

    let mut decoder = Decoder::default();
    assert!(
        decoder
            .decode(&mut b"0\r\nno field\r\n\r\n".to_vec())
            .expect("ends")
            .is_done
    );
    assert_eq!(decoder.write_trailers(&mut out), Err(ChunkError::Trailer));
}

proptest! {
    /// Wherever the stream is cut, the same data comes out.
    #[test]
    fn cuts_do_not_matter(
        chunks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..40), 0..6),
        cuts in proptest::collection::vec(any::<usize>(), 0..8),
    ) {
        let mut text = Vec::new();
        for chunk in &chunks {
            text.extend_from_slice(format!("{:X}\r\n", chunk.len()).as_bytes());
            text.extend_from_slice(chunk);
            text.extend_from_slice(b"\r\n");
        }
        text.extend_from_slice(b"0\r\n\r\nrest");
        let (data, left, is_done) = decode(&text, &cuts).expect("valid");
        prop_assert!(is_done);
        prop_assert_eq!(data, chunks.concat());
        prop_assert_eq!(left, b"rest".to_vec());
    }

    /// Any bytes are decoded or refused, the same wherever they are cut.
    #[test]
    fn never_disagrees_with_itself(
        text in proptest::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'0'), Just(b'2'), Just(b';'), any::<u8>()], 0..60),
        cuts in proptest::collection::vec(any::<usize>(), 0..8),
    ) {
        prop_assert_eq!(decode(&text, &cuts), decode(&text, &[]));
    }
}
