//! Configurations that come as a whole: from a file ([`Loader`]), or pushed through `/apisix/admin/configs` ([`Configs`]).

mod configs;
mod loader;
mod yaml;

pub use configs::{Configs, InForce};
pub use loader::Loader;
