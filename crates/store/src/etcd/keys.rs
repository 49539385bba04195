//! From keys of the contract to keys in etcd and back.

use std::sync::Arc;

use super::proto::KeyValue;
use crate::Entry;

/// What all keys begin with.
#[derive(Debug, Clone)]
pub(super) struct Keys {
    /// Ends in a slash.
    prefix: String,
}

impl Keys {
    /// `prefix` as in `config.yaml`, such as `/apisix`.
    pub(super) fn new(prefix: &str) -> Self {
        Self {
            prefix: format!("{}/", prefix.trim_end_matches('/')),
        }
    }

    /// The key in etcd.
    pub(super) fn full(&self, key: &str) -> Vec<u8> {
        format!("{}{key}", self.prefix).into_bytes()
    }

    /// First key that begins with `prefix`, and first after all of those.
    pub(super) fn range(&self, prefix: &str) -> (Vec<u8>, Vec<u8>) {
        let start = self.full(prefix);
        let mut end = start.clone();
        // UTF-8 has no byte 0xff, so the last one can always be raised.
        if let Some(last) = end.last_mut() {
            *last = last.saturating_add(1);
        }
        (start, end)
    }

    /// The entry of a key in etcd; `None` for what is no object: placeholders, whose keys end in a slash, and keys that are not
    /// text.
    pub(super) fn entry(&self, kv: &KeyValue) -> Option<Entry> {
        Some(Entry {
            key: self.short(&kv.key)?,
            value: Arc::from(&kv.value[..]),
            create_revision: kv.create_revision,
            mod_revision: kv.mod_revision,
        })
    }

    /// The key in the contract, if it is one of an object.
    pub(super) fn short(&self, key: &[u8]) -> Option<Arc<str>> {
        let key = std::str::from_utf8(key).ok()?.strip_prefix(&self.prefix)?;
        (!key.is_empty() && !key.ends_with('/')).then(|| key.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn puts_the_prefix_before_keys_and_takes_it_away() {
        for prefix in ["/apisix", "/apisix/"] {
            let keys = Keys::new(prefix);
            assert_eq!(keys.full("routes/1"), b"/apisix/routes/1");
            let short = keys.short(b"/apisix/routes/1");
            assert_eq!(short.as_deref(), Some("routes/1"));
            assert_eq!(keys.range(""), (b"/apisix/".to_vec(), b"/apisix0".to_vec()));
            assert_eq!(
                keys.range("routes/1"),
                (b"/apisix/routes/1".to_vec(), b"/apisix/routes/2".to_vec())
            );
        }
    }

    #[test]
    fn passes_over_what_is_no_object() {
        let keys = Keys::new("/apisix");
        for key in [
            &b"/apisix/routes/"[..],
            b"/apisix/",
            b"/other/routes/1",
            b"/apisix/routes/\xff",
        ] {
            assert_eq!(keys.short(key), None, "{key:?}");
        }
    }
}
