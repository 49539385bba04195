//! Labels that users switch off: `disabled_labels` of the plugin's metadata.

use std::{
    collections::BTreeMap,
    hash::{BuildHasher as _, Hasher as _},
};

use foldhash::fast::FixedState;
use lockgate_metrics::apisix::{self, Known};
use lockgate_plugin::{Compile, ConfigError, Metadata};
use serde::Deserialize;

/// The metadata as users write it.
#[derive(Debug, Deserialize)]
pub(super) struct DisabledConfig {
    /// Names of labels by names of families.
    disabled_labels: Option<BTreeMap<String, Vec<String>>>,
}

/// Labels whose values are left empty, by the bits of their places.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Disabled {
    pub(super) status: u32,
    pub(super) latency: u32,
    pub(super) bandwidth: u32,
    /// Another one for other labels.
    pub(super) version: u64,
}

impl Metadata for Disabled {
    type Config = DisabledConfig;

    fn compile(config: DisabledConfig, _: &Compile<'_>) -> Result<Self, ConfigError> {
        let Some(disabled) = config.disabled_labels else {
            return Ok(Self::default());
        };
        let bits = |family: &Known| {
            let names = disabled.get(family.name);
            let is_off =
                |label: &str| names.is_some_and(|names| names.iter().any(|name| name == label));
            let labels = family.labels.iter().enumerate();
            let bits = labels.filter(|(_, label)| is_off(label));
            bits.fold(0_u32, |bits, (place, _)| bits | 1 << place)
        };
        let (status, latency, bandwidth) = (
            bits(&apisix::HTTP_STATUS),
            bits(&apisix::HTTP_LATENCY),
            bits(&apisix::BANDWIDTH),
        );
        let mut hasher = FixedState::default().build_hasher();
        for bits in [status, latency, bandwidth] {
            hasher.write_u32(bits);
        }
        Ok(Self {
            status,
            latency,
            bandwidth,
            version: hasher.finish(),
        })
    }
}

/// Empties what is switched off.
pub(super) fn mask(labels: &mut [&[u8]], disabled: u32) {
    if disabled != 0 {
        for (place, label) in labels.iter_mut().enumerate() {
            if place < 32 && disabled & 1 << place != 0 {
                *label = b"";
            }
        }
    }
}
