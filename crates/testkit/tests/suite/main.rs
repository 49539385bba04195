//! The HTTP engine against its naive double, every fuzz target on its corpus, and the sink that logs are sent to.

#![expect(
    clippy::indexing_slicing,
    reason = "a test that looks in the wrong place fails, as it should"
)]

mod corpus;
mod properties;
mod sink;
