//! The compiler, from stored values to problems, and the watcher that feeds it.

#![expect(
    clippy::indexing_slicing,
    reason = "a test may panic, and JSON is built by key"
)]

mod inactive;
mod incremental;
mod inline;
mod instances;
mod needing;
mod secrets;
mod watch;
