//! What a configuration counts under: the beginning of its keys.

use lockgate_limit::{Key, Prefix, Tables};
use lockgate_plugin::{Compile, Exchange};
use serde_json::Value;

use super::Source;

/// Where the reference keeps its objects in etcd; keys begin with it, wherever objects are kept.
const STORE: &str = "/apisix/";

/// The beginning of keys, and what stands behind the value.
#[derive(Debug)]
pub(crate) struct Scope {
    text: Box<[u8]>,
    hashed: Prefix,
    behind: Box<[u8]>,
}

impl Scope {
    /// One for all objects that name the group.
    pub(crate) fn group(name: &str, tables: &Tables) -> Self {
        Self::new(format!("{name}:"), String::new(), tables)
    }

    /// The object's own; edits elsewhere than in this configuration leave it as it is. `part` tells apart several configurations of
    /// one object (`_vid`).
    pub(crate) fn object(cx: &Compile<'_>, part: Option<&Value>, tables: &Tables) -> Self {
        let text = format!("{STORE}{}:{}:", cx.parent.key, version(cx.config));
        let behind = match part {
            None => String::new(),
            Some(Value::String(text)) => format!(":{text}"),
            Some(other) => format!(":{other}"),
        };
        Self::new(text, behind, tables)
    }

    fn new(text: String, behind: String, tables: &Tables) -> Self {
        Self {
            hashed: tables.prefix(text.as_bytes()),
            text: text.into_bytes().into(),
            behind: behind.into_bytes().into(),
        }
    }

    /// The key of a request, in memory that is the exchange's (`set_scratch`).
    #[inline]
    pub(crate) fn key(&self, source: &Source, ex: &mut Exchange<'_>) -> Vec<u8> {
        self.key_with(ex, |ex, key| source.write(ex, key))
    }

    /// The same with a value that is known.
    #[inline]
    pub(crate) fn key_with(
        &self,
        ex: &mut Exchange<'_>,
        value: impl FnOnce(&Exchange<'_>, &mut Vec<u8>),
    ) -> Vec<u8> {
        let mut key = ex.take_scratch();
        key.extend_from_slice(&self.text);
        value(ex, &mut key);
        key.extend_from_slice(&self.behind);
        key
    }

    /// What is the same for all its keys.
    pub(crate) fn name(&self) -> Vec<u8> {
        [&*self.text, &*self.behind].concat()
    }

    /// The key in the tables of this node.
    #[inline]
    pub(crate) fn hash(&self, key: &[u8]) -> Key {
        // Invariant: the key begins with the text that is hashed already.
        let value = key.get(self.text.len()..).unwrap_or_default();
        self.hashed.with(value).key()
    }
}

/// The CRC-32 of a configuration as JSON with sorted members (`conf_version` in `apisix/plugin.lua`).
fn version(config: &Value) -> u32 {
    crc32(sorted(config).to_string().as_bytes())
}

fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let mut names: Vec<_> = members.keys().collect();
            names.sort_unstable();
            let member = |name: &String| Some((name.clone(), sorted(members.get(name)?)));
            Value::Object(names.into_iter().filter_map(member).collect())
        }
        Value::Array(elements) => Value::Array(elements.iter().map(sorted).collect()),
        other => other.clone(),
    }
}

/// As zip has it; of some hundred bytes when a configuration is compiled, so that no table is worth its lines.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |sum: u32| (sum >> 1) ^ if sum & 1 == 1 { 0xEDB8_8320 } else { 0 };
    let sum = bytes.iter().fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| step(sum))
    });
    !sum
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn sums_as_zip_does() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
        assert_eq!(crc32(b""), 0);
    }

    #[test]
    fn order_is_no_difference_and_content_is() {
        let one = json!({"a": [{"x": 1, "y": 2}], "b": "c"});
        let same = json!({"b": "c", "a": [{"y": 2, "x": 1}]});
        let other = json!({"a": [{"x": 1, "y": 3}], "b": "c"});
        assert_eq!(version(&one), version(&same));
        assert_ne!(version(&one), version(&other));
    }
}
