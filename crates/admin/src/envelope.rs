//! The shape of answers: version 3, and the older one, of `deployment.admin.admin_api_version` (`apisix/admin/v3_adapter.lua`).

use http::{HeaderName, HeaderValue, StatusCode};
use lockgate_store::{Entry, Written};
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use crate::response::Answer;

/// What a write did, as the older shape names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// PUT.
    Set,
    /// POST.
    Create,
    /// PATCH.
    CompareAndSwap,
}

/// Makes answers in the configured shape.
#[derive(Debug, Clone)]
pub(crate) struct Envelope {
    /// Version 3, else the older shape.
    pub(crate) is_v3: bool,
    /// What keys begin with in answers, such as `/apisix`.
    pub(crate) prefix: String,
}

impl Envelope {
    /// The key as clients see it.
    pub(crate) fn key(&self, key: &str) -> String {
        format!("{}/{key}", self.prefix)
    }

    /// Adds the field that names the shape. The reference sends it with every answer of a resource, also of those that fail.
    pub(crate) fn mark(&self, answer: Answer) -> Answer {
        let version = if self.is_v3 { "v3" } else { "v2" };
        answer.with(
            HeaderName::from_static("x-api-version"),
            HeaderValue::from_static(version),
        )
    }

    /// One object that was read. The older shape hides the indexes.
    pub(crate) fn found(&self, entry: &Entry) -> Answer {
        let mut text = Vec::new();
        if self.is_v3 {
            self.write_entry(&mut text, entry, true);
        } else {
            text.extend_from_slice(b"{\"action\":\"get\",\"node\":");
            self.write_entry(&mut text, entry, false);
            text.push(b'}');
        }
        Answer::json_bytes(StatusCode::OK, text)
    }

    /// Objects of one kind, and how many there are on all pages together.
    pub(crate) fn list<'a>(
        &self,
        kind: &str,
        entries: impl IntoIterator<Item = &'a Entry>,
        total: usize,
    ) -> Answer {
        let mut text = Vec::new();
        if self.is_v3 {
            text.extend_from_slice(format!("{{\"total\":{total},\"list\":[").as_bytes());
        } else {
            let key = Value::String(self.key(kind));
            let head =
                format!("{{\"action\":\"get\",\"node\":{{\"key\":{key},\"dir\":true,\"nodes\":[");
            text.extend_from_slice(head.as_bytes());
        }
        for (place, entry) in entries.into_iter().enumerate() {
            if place > 0 {
                text.push(b',');
            }
            self.write_entry(&mut text, entry, true);
        }
        text.extend_from_slice(if self.is_v3 { b"]}" } else { b"]}}" });
        Answer::json_bytes(StatusCode::OK, text)
    }

    /// One object that was written. The status says whether the key is new.
    pub(crate) fn written(
        &self,
        action: Action,
        key: &str,
        value: &Value,
        written: &Written,
    ) -> Answer {
        let status = match action {
            Action::Set | Action::Create if written.previous.is_none() => StatusCode::CREATED,
            _ => StatusCode::OK,
        };
        let node = json!({ "key": self.key(key), "value": value });
        if self.is_v3 {
            return Answer::json(status, &node);
        }
        let action = match action {
            Action::Set => "set",
            Action::Create => "create",
            Action::CompareAndSwap => "compareAndSwap",
        };
        Answer::json(status, &json!({ "action": action, "node": node }))
    }

    /// One object that was removed.
    pub(crate) fn deleted(&self, key: &str) -> Answer {
        let mut value = json!({ "key": self.key(key), "deleted": "1" });
        if !self.is_v3
            && let Value::Object(fields) = &mut value
        {
            fields.insert("action".into(), "delete".into());
            fields.insert("node".into(), json!({}));
        }
        Answer::json(StatusCode::OK, &value)
    }

    /// The object is not there.
    pub(crate) fn missing() -> Answer {
        Answer::json(
            StatusCode::NOT_FOUND,
            &json!({ "message": "Key not found" }),
        )
    }

    /// Writes an entry, its value as it is stored. A value that is not JSON, such as the `init_dir` that the reference puts into etcd, is
    /// left out.
    fn write_entry(&self, text: &mut Vec<u8>, entry: &Entry, has_indexes: bool) {
        let key = Value::String(self.key(&entry.key));
        text.extend_from_slice(format!("{{\"key\":{key}").as_bytes());
        if serde_json::from_slice::<IgnoredAny>(&entry.value).is_ok() {
            text.extend_from_slice(b",\"value\":");
            text.extend_from_slice(&entry.value);
        }
        if has_indexes {
            let (created, modified) = (entry.create_revision, entry.mod_revision);
            let indexes = format!(",\"createdIndex\":{created},\"modifiedIndex\":{modified}");
            text.extend_from_slice(indexes.as_bytes());
        }
        text.push(b'}');
    }
}
