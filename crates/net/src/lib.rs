//! Sockets and what lies directly on them: streams, listeners, buffers, deadlines, DNS, TLS.
//!
//! Only this crate opens sockets for traffic. It knows nothing of HTTP. Everything a worker touches per request is
//! single-threaded (`Rc`, `Cell`): a worker is one thread with one runtime.

pub mod buffer;
pub mod clock;
pub mod deadline;
pub mod dns;
pub mod listen;
pub mod proxy_protocol;
pub mod stream;
pub mod tls;
