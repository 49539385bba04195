//! Calls over real sockets, to servers that behave and to servers that do not.

mod calls;
mod idle;
mod limits;
mod peer;
mod tls;
mod waits;
mod workers;
