//! The Redis client of plugins: one server, a cluster, or whichever server sentinels name.
//!
//! [`Clients`] gives a [`Client`] for [`Settings`]; [`Client::eval`] and [`Client::command`] are all there is to call. The
//! protocol is the `redis` crate's; connections are opened here, with the gateway's names, TLS and timeouts, one per worker
//! and server. What it deliberately does not do: keep pools (a connection carries any number of calls), subscribe, block,
//! run transactions, or send commands again that may have been run.
//!
//! Read on at [`client`](Client) for who gets what when servers are away.

mod client;
mod clients;
mod connect;
mod error;
mod gate;
mod lane;
mod limits;
mod script;
mod sentinel;
mod settings;
mod topology;
mod value;
mod workers;

pub use client::Client;
pub use clients::{Clients, Options};
pub use error::{ConnectError, Error, Reply, SentinelError};
pub use limits::{BACKOFF_FIRST, BACKOFF_MAX, KEEPALIVE, PORT, SENTINEL_KEEPALIVE, TIMEOUT};
pub use lockgate_net::tls::TlsError;
pub use script::Script;
pub use settings::{
    Address, Cluster, Credentials, Password, Role, Sentinel, Settings, Single, Tls,
};
pub use value::{Arg, Value};
