//! The HTTP/1.1 engine: heads, bodies, connections, pool.
