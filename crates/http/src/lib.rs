//! The HTTP/1.1 engine: heads, bodies, and connections kept to upstreams.
//!
//! Own code on `httparse`, because a proxy built on a general HTTP library costs more than nginx (docs/benchmarks.md). It
//! parses strictly, keeps the bytes of a head as received with an index over them, and re-frames every message: framing
//! fields are never forwarded as received. No routing and no policy here; those are `proxy`'s.

pub mod body;
pub mod chunked;
pub mod field;
pub mod head;
pub mod headers;
pub mod limits;
pub mod pool;
pub mod request;
pub mod response;
