//! Plugins that find out who asks, and what they may do.
//!
//! One file or folder per plugin, with its user's page and its schemas beside it; [`ALL`] makes them known.

use lockgate_plugin::Descriptor;

/// The plugins of this family.
pub const ALL: &[Descriptor] = &[];
