//! Plugins that limit traffic, and that decide where it goes.
//!
//! One file or folder per plugin, with its user's page and its schemas beside it; [`ALL`] makes them known.

pub mod limit_conn;
pub mod limit_count;
pub mod limit_req;
mod limiting;
mod limits;
pub mod traffic_split;

use lockgate_plugin::Descriptor;

/// The plugins of this family.
pub const ALL: &[Descriptor] = &[
    Descriptor::of::<limit_conn::LimitConn>(),
    Descriptor::of::<limit_count::LimitCount>(),
    Descriptor::of::<limit_req::LimitReq>(),
    Descriptor::of::<traffic_split::TrafficSplit>(),
];
