//! Counters against simple models of the reference's, and under many threads.

mod models;
mod threads;
