//! Answers about configurations, compiled as the gateway compiles them.

#![expect(
    clippy::indexing_slicing,
    reason = "a test may panic, and JSON is built by key"
)]

mod answers;
