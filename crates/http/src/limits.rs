//! Limits of the HTTP/1.1 engine.

/// Longest request line, in bytes; longer is answered 414.
///
/// nginx's `large_client_header_buffers 4 8k`: a line must fit into one buffer.
pub const REQUEST_LINE_BYTES: usize = 8 * 1024;

/// Longest header line of a request, in bytes; longer is answered 400 (nginx's internal 494).
pub const HEADER_LINE_BYTES: usize = 8 * 1024;

/// Longest request head, in bytes: nginx's four buffers of 8 KiB.
pub const REQUEST_HEAD_BYTES: usize = 32 * 1024;

/// Longest response head, in bytes. nginx refuses beyond `proxy_buffer_size` (4 KiB); the request limit is kinder.
pub const RESPONSE_HEAD_BYTES: usize = 32 * 1024;

/// Most header fields of one head. nginx has no limit of its own; its byte limit allows about this many real fields.
pub const FIELDS: usize = 256;

/// Most bytes of one chunk-size line, extensions included (RFC 9112 §7.1.1 asks for a limit).
pub const CHUNK_LINE_BYTES: usize = 256;

/// Most bytes of a trailer section.
pub const TRAILER_BYTES: usize = 8 * 1024;

/// Most interim (1xx) responses before the final one.
pub const INTERIM_RESPONSES: usize = 16;

/// Most idle connections of one worker, whatever the upstreams allow.
///
/// Upstreams are many, and one with TLS has kept connections for each name that clients ask for: without a bound the
/// clients could use up the process's file descriptors (the reference's `worker_rlimit_nofile` is 20480).
pub const IDLE_CONNECTIONS: usize = 4096;

/// Largest chunk and largest Content-Length, in bytes: beyond it sums could overflow.
pub const LENGTH_MAX: u64 = i64::MAX as u64;
