//! The configuration as users write it, and what its schema cannot say.

use std::collections::BTreeSet;

use lockgate_plugin::ConfigError;
use serde::Deserialize;
use serde_json::Value;

use crate::limiting::{KeyType, Number, Policy};

/// The configuration as users write it.
#[derive(Debug, Deserialize)]
pub struct Config {
    pub(super) count: Option<Number>,
    pub(super) time_window: Option<Number>,
    pub(super) window_type: WindowType,
    pub(super) rules: Option<Vec<Rule>>,
    pub(super) group: Option<String>,
    pub(super) key: String,
    pub(super) key_type: KeyType,
    pub(super) rejected_code: u16,
    pub(super) rejected_msg: Option<String>,
    pub(super) policy: Policy,
    pub(super) allow_degradation: bool,
    pub(super) show_limit_quota_header: bool,
    pub(super) sync_interval: f64,
    /// Which of several configurations of one object this is, where another plugin holds it (`workflow`).
    #[serde(rename = "_vid")]
    pub(super) part: Option<Value>,
}

/// Where windows begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum WindowType {
    /// With the first request.
    Fixed,
    /// Anywhere: the last window counts by its share.
    Sliding,
}

/// One of several limits.
#[derive(Debug, Deserialize)]
pub(super) struct Rule {
    pub(super) count: Number,
    pub(super) time_window: Number,
    pub(super) key: String,
    pub(super) header_prefix: Option<String>,
}

impl Config {
    /// Refuses what the schema cannot, in the words of the Admin API.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let refuse = |sentence: &str| Err(ConfigError::new(sentence));
        if self.rules.is_some() && (self.count.is_some() || self.time_window.is_some()) {
            return refuse("count/time_window and rules cannot be specified at the same time");
        }
        if self.group.is_some() && self.rules.is_some() {
            return refuse("group and rules cannot be specified at the same time");
        }
        if self.group.is_some() && self.part.is_some() {
            return refuse("group is not supported");
        }
        if self.policy != Policy::Local && self.sync_interval != NO_SYNC {
            if self.sync_interval < 0.1 {
                return refuse("sync_interval should not be smaller than 0.1");
            }
            if let Some(Number::Fixed(window_s)) = self.time_window
                && self.sync_interval >= window_s as f64
            {
                return refuse("sync_interval should be smaller than time_window");
            }
        }
        let mut keys = BTreeSet::new();
        for rule in self.rules.iter().flatten() {
            if !keys.insert(&rule.key) {
                let key = &rule.key;
                return Err(ConfigError(format!("duplicate key '{key}' in rules")));
            }
        }
        Ok(())
    }
}

/// `sync_interval` of those who count in Redis at once.
pub(super) const NO_SYNC: f64 = -1.0;
