//! What the body of a request says, by its content type: forms, multipart forms, GraphQL documents.
//!
//! Bytes in, borrowed parts out. Nothing here knows of requests, waits, or keeps anything; who holds a request decides when its body is
//! read and how much of it. JSON is read by `serde_json` and needs nothing of its own.

pub mod form;
pub mod graphql;
mod limits;
pub mod multipart;
