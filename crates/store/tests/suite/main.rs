//! What every store keeps, and what each of them does besides, through files, processes and servers.

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
mod etcd;
mod full_disk;
mod history;
mod kill;
mod model;
mod ttl;
mod whole;
mod writes;
