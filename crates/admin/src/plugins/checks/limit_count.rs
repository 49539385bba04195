//! `limit-count`, also as an action of `workflow` and as the base of `graphql-limit-count`.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, PoisonError},
};

use serde_json::{Map, Value};

use super::{Scope, read};
use crate::limits::{LIMIT_GROUP_SECONDS, LIMIT_GROUPS};

const BOTH: &str = "count/time_window and rules cannot be specified at the same time";

pub(super) fn check(scope: &Scope<'_>, config: &mut Value) -> Result<(), String> {
    let found = scope.schema(config);
    let has = |field: &str| read::has(config, &[field]);
    let has_both = has("rules") && (has("count") || has("time_window"));
    if let Err(why) = found {
        let is_conflict = has_both && why.contains("value should match only one schema");
        return Err(if is_conflict { BOTH.into() } else { why });
    }
    if has_both {
        return Err(BOTH.into());
    }
    if let Some(group) = read::text(config, &["group"]) {
        if has("rules") {
            return Err("group and rules cannot be specified at the same time".into());
        }
        if has("_vid") {
            return Err("group is not supported".into());
        }
        scope.plugins.groups.check(group, config, scope.now)?;
    }
    check_interval(config)?;
    let mut keys = BTreeSet::new();
    for rule in read::items(config, &["rules"]) {
        let key = read::text(rule, &["key"]).unwrap_or_default();
        if !keys.insert(key) {
            return Err(format!("duplicate key '{key}' in rules"));
        }
    }
    Ok(())
}

/// How often counters are sent to Redis.
fn check_interval(config: &Value) -> Result<(), String> {
    let number = |field| read::at(config, &[field]).and_then(Value::as_f64);
    let policy = read::text(config, &["policy"]).unwrap_or_default();
    let Some(interval) = number("sync_interval") else {
        return Ok(());
    };
    let is_instant = interval.to_bits() == (-1.0_f64).to_bits();
    if !policy.starts_with("redis") || is_instant {
        return Ok(());
    }
    if interval < 0.1 {
        return Err("sync_interval should not be smaller than 0.1".into());
    }
    if number("time_window").is_some_and(|window| interval >= window) {
        return Err("sync_interval should be smaller than time_window".into());
    }
    Ok(())
}

/// Groups that share counters, and the configuration that each was first seen with. Members of a group must have the same.
#[derive(Debug, Default)]
pub(crate) struct Groups(Mutex<BTreeMap<String, Seen>>);

/// When a configuration was first seen, in unix seconds, and the configuration.
type Seen = (u64, Map<String, Value>);

impl Groups {
    fn check(&self, group: &str, config: &Value, now: u64) -> Result<(), String> {
        let mut config = config.as_object().cloned().unwrap_or_default();
        config.shift_remove("_meta");
        let mut groups = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        groups.retain(|_, (seen, _)| now.saturating_sub(*seen) < LIMIT_GROUP_SECONDS);
        match groups.get(group) {
            Some((_, first)) if *first != config => return Err("group conf mismatched".into()),
            Some(_) => {}
            None => {
                let oldest = groups.iter().min_by_key(|(_, (seen, _))| *seen);
                if groups.len() >= LIMIT_GROUPS
                    && let Some(oldest) = oldest.map(|(name, _)| name.clone())
                {
                    groups.remove(&oldest);
                }
                groups.insert(group.to_owned(), (now, config));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn members_of_a_group_have_the_same_configuration() {
        let groups = Groups::default();
        for (group, config, now, is_taken) in [
            ("a", json!({"count": 1}), 0, true),
            ("a", json!({"count": 1, "_meta": {}}), 1, true),
            ("a", json!({"count": 2}), 1, false),
            ("b", json!({"count": 2}), 1, true),
            // The reference forgets after a while.
            ("a", json!({"count": 2}), LIMIT_GROUP_SECONDS, true),
            ("a", json!({"count": 1}), LIMIT_GROUP_SECONDS, false),
        ] {
            let found = groups.check(group, &config, now);
            assert_eq!(found.is_ok(), is_taken, "{group} {config} {now}");
        }
    }
}
