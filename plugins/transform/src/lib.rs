//! Plugins that change requests and responses, or answer themselves.
//!
//! One file or folder per plugin, with its user's page and its schemas beside it; [`ALL`] makes them known. `fields.rs` is what they share about
//! fields of heads, `escape.rs` about characters that may not stand there, `decode.rs` about bodies that are compressed.

use lockgate_plugin::Descriptor;

mod decode;
mod escape;
pub mod fault_injection;
mod fields;
pub mod gzip;
pub mod proxy_rewrite;
pub mod redirect;
pub mod request_id;
pub mod response_rewrite;

/// The plugins of this family.
pub const ALL: &[Descriptor] = &[
    Descriptor::of::<fault_injection::FaultInjection>(),
    Descriptor::of::<gzip::Gzip>(),
    Descriptor::of::<proxy_rewrite::ProxyRewrite>(),
    Descriptor::of::<redirect::Redirect>(),
    Descriptor::of::<request_id::RequestId>(),
    Descriptor::of::<response_rewrite::ResponseRewrite>(),
];
