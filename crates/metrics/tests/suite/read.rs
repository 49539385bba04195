//! Reads what a registry has to say, strictly.

use lockgate_metrics::{Registry, Scrape};
use lockgate_testkit::Exposition;

/// Everything that a scrape writes, chunk by chunk.
pub(crate) fn text_of(mut scrape: Scrape) -> String {
    let (mut text, mut chunk) = (Vec::new(), Vec::new());
    while scrape.next_chunk(&mut chunk) {
        assert!(chunk.len() <= 64 << 10, "a chunk of {}", chunk.len());
        text.extend_from_slice(&chunk);
    }
    String::from_utf8(text).expect("the format is UTF-8")
}

/// What a registry has to say.
pub(crate) fn read(registry: &Registry, now_ms: u64) -> Exposition {
    let text = text_of(registry.scrape(now_ms));
    Exposition::parse(&text).unwrap_or_else(|error| panic!("{error} in:\n{text}"))
}
