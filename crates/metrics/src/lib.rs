//! The gateway's metrics: counted by each worker on its own, read together in Prometheus' text format 0.0.4.
//!
//! A [`Registry`] holds families, each declared once: name, help, type, label names. A worker counts through a [`Recorder`] of its
//! own: it writes only to its own cache lines, without locks or atomic read-modify-write instructions, and allocates only when a
//! series is new to it. A [`Memo`] finds the series of a request by a key that is built in a reused buffer. A [`Scrape`] adds up
//! what all recorders have counted and writes it chunk by chunk, in the order and with the numbers of the reference; it never makes
//! an update wait. Values that exist elsewhere already are asked for at each scrape from [`Collector`]s.
//!
//! Every family has a bound on its series and may have them expire. The reference's own families are in [`apisix`].
//!
//! Deliberately absent: any clock (time is passed in), any socket, histograms other than with fixed buckets, and what a label is for.
//!
//! Read next: `registry.rs`, `recorder.rs`, `memo.rs`, `scrape.rs`.

pub mod apisix;
mod cell;
mod collector;
mod family;
mod limits;
mod memo;
mod recorder;
mod registry;
mod scrape;
mod series;
mod text;
mod workers;

pub use collector::{Collector, Samples};
pub use family::{
    Buckets, Counter, Declaration, DeclareError, FloatCounter, Gauge, Histogram, Kind,
};
pub use memo::{Bundle, Key, Memo};
pub use recorder::{
    CounterSeries, FloatCounterSeries, GaugeSeries, HistogramSeries, Recorder, Recording,
};
pub use registry::Registry;
pub use scrape::Scrape;
pub use workers::Workers;

/// The `Content-Type` of what a [`Scrape`] writes.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";
