//! Processors on a clock that stands still unless a test waits, and one under load.

mod bounds;
mod ends;
mod kept;
mod lines;
mod recorder;
mod retries;
mod stress;
mod timing;
