//! What every store keeps, and what the embedded one does besides, through files and processes.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "all of this is tests, which fail by panicking and tell where they are"
)]

mod child;
mod concurrency;
mod contract;
mod embedded;
mod full_disk;
mod history;
mod kill;
mod model;
mod ttl;
mod writes;
