//! The compiler, from stored values to problems.

mod inactive;
mod incremental;
