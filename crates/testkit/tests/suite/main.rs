//! The HTTP engine against its naive double, and every fuzz target on its corpus.

#![expect(
    clippy::indexing_slicing,
    reason = "a test that looks in the wrong place fails, as it should"
)]

mod corpus;
mod properties;
