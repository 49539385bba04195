//! Plugins that change requests and responses, or answer themselves.
//!
//! One file or folder per plugin, with its user's page and its schemas beside it; [`ALL`] makes them known.

use lockgate_plugin::Descriptor;

/// The plugins of this family.
pub const ALL: &[Descriptor] = &[];
