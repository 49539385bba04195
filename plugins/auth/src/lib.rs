//! Plugins that find out who asks, and what they may do.
//!
//! One file or folder per plugin, with its user's page and its schemas beside it; [`ALL`] makes them known.
//! What several of them need lies beside: `source.rs` finds credentials in a request, `fallback.rs` says what becomes of a request
//! without good ones.

pub mod basic_auth;
pub mod consumer_restriction;
mod encoding;
mod fallback;
pub mod jwt_auth;
pub mod key_auth;
mod source;

use lockgate_plugin::Descriptor;

/// The plugins of this family.
pub const ALL: &[Descriptor] = &[
    Descriptor::of::<key_auth::KeyAuth>(),
    Descriptor::of::<basic_auth::BasicAuth>(),
    Descriptor::of::<jwt_auth::JwtAuth>(),
    Descriptor::of::<consumer_restriction::ConsumerRestriction>(),
];
