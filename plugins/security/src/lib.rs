//! Plugins that keep requests out, whoever asks.
//!
//! One file or folder per plugin, with its user's page and its schemas beside it; [`ALL`] makes them known.

use lockgate_plugin::Descriptor;

pub mod cors;
pub mod ip_restriction;
pub mod uri_blocker;

/// The plugins of this family.
pub const ALL: &[Descriptor] = &[
    Descriptor::of::<cors::Cors>(),
    Descriptor::of::<ip_restriction::IpRestriction>(),
    Descriptor::of::<uri_blocker::UriBlocker>(),
];
