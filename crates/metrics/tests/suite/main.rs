//! What is counted is what is read, in a text that Prometheus takes.

mod bounds;
mod concurrency;
mod exposition;
mod families;
mod output;
