//! The configuration store: a revisioned key-value map that can be watched.
//!
//! Keys are the reference's etcd keys without the prefix (`routes/1`, `consumers/jack/credentials/a`); values are opaque
//! bytes (JSON text written by `admin`). Nothing here knows what a route is. A write is durable when its future resolves.

mod clock;
mod contract;
mod embedded;
mod etcd;
mod file;
mod limits;
mod whole;

pub use clock::{Clock, ManualClock, SystemClock, Wake};
pub use contract::{
    Author, Batch, BoxFuture, Change, Delete, Entry, Expect, Listing, Put, Recalled, Revision,
    Store, StoreError, Watch, Written,
};
pub use embedded::{Embedded, EmbeddedOptions, HistoryLimits, HistoryOf, HistoryQuery, Record};
pub use etcd::{ConnectError, Credentials, Etcd, EtcdOptions};
pub use file::{File, FileOptions, Read, Reading, Rejected};
pub use whole::{Item, Whole};
