//! Resource types, their schemas and config.yaml.
//!
//! Data only: no behaviour, no I/O, no tokio. Types here are what is *stored*: dumb, serde-shaped, lenient on read (unknown
//! fields are ignored). What a request uses is compiled from them elsewhere (`snapshot`, `upstream`).

pub mod boot;
pub mod document;
pub mod health;
pub mod resource;
pub mod schema;
