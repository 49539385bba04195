//! The data plane end to end: real sockets, scripted origins, exact bytes.

mod connection;
