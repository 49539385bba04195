//! What is counted is what is read, in a text that Prometheus takes.

mod bounds;
mod concurrency;
mod families;
mod output;
mod read;
