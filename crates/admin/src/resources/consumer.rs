//! Consumers (`apisix/admin/consumers.lua`), and that the keys by which they are found are not used twice (`apisix/consumer.lua`).

use http::Method;
use lockgate_keyring::Part;
use lockgate_schema::is_secret_reference;
use lockgate_store::{BoxFuture, Entry, StoreError};
use serde_json::{Map, Value};

use crate::plugins::Purpose;

use super::{Identity, Kind, Rules, Sealed, Subject, holders::PREFIX, reference};

/// The kind.
pub(super) const KIND: Kind = Kind {
    identity: Identity::Field("username"),
    unsupported: &[Method::POST, Method::PATCH],
    owned: Some("credentials"),
    sealed: Sealed::plugins(Part::Consumer),
    ..Kind::plain(
        "consumers",
        "consumer",
        "consumer",
        |rules, subject| -> BoxFuture<'_, _> { Box::pin(check(rules, subject)) },
    )
};

/// Plugins that find a consumer by a key, and the field that holds it.
pub(super) const KEYS: &[(&str, &str)] = &[
    ("key-auth", "key"),
    ("basic-auth", "username"),
    ("jwt-auth", "key"),
    ("hmac-auth", "key_id"),
    ("ldap-auth", "user_dn"),
    ("ldap-auth-advanced", "user_dn"),
];

async fn check(rules: &Rules<'_>, subject: Subject<'_>) -> Result<(), String> {
    let conf = subject.conf;
    rules.schema("consumer", conf)?;
    let name = conf
        .get("username")
        .and_then(Value::as_str)
        .unwrap_or_default();
    if subject.id.is_some_and(|id| id != name) {
        return Err("wrong username".into());
    }
    check_plugins(rules, conf).await?;
    check_keys(rules, conf, name, None).await?;
    let (kind, words) = ("consumer_groups", "consumer group");
    reference::follow(rules, conf, "group_id", kind, words).await?;
    Ok(())
}

/// Checks plugins in the part that they have in consumers and credentials.
pub(super) async fn check_plugins(rules: &Rules<'_>, conf: &Value) -> Result<(), String> {
    let found = rules.plugins(conf, Purpose::Consumer).await;
    found.map_err(|why| format!("invalid plugins configuration: {why}"))
}

/// Checks that no other consumer or credential has a key of this one. `credential` is the id where a credential is checked; a consumer may
/// have the keys of its own credentials.
pub(super) async fn check_keys(
    rules: &Rules<'_>,
    conf: &Value,
    consumer: &str,
    credential: Option<&str>,
) -> Result<(), String> {
    let Some(plugins) = conf.get("plugins").and_then(Value::as_object) else {
        return Ok(());
    };
    let keys: Vec<(&str, &str, &str)> = KEYS
        .iter()
        .filter_map(|(plugin, field)| Some((*plugin, *field, key_in(plugins, plugin, field)?)))
        .filter(|(_, _, key)| !is_secret_reference(key))
        .collect();
    let mut everybody = None;
    for (plugin, field, key) in keys {
        let forms = rules.secrets.forms(plugin, Part::Consumer, field, key);
        let known = candidates(rules, plugin, &forms, &mut everybody).await;
        let known = known.map_err(|error| error.to_string())?;
        // Where it is not known, all are looked at.
        let entries = known.as_deref().or(everybody.as_deref());
        let owner = entries
            .unwrap_or_default()
            .iter()
            // Most entries need not be read.
            .filter(|entry| forms.iter().any(|form| may_contain(&entry.value, form)))
            .filter(|entry| has_key(rules, entry, plugin, field, key))
            .filter_map(Owner::of)
            .find(|owner| !owner.is(consumer, credential));
        if let Some(owner) = owner {
            let owner = owner.words();
            return Err(format!(
                "duplicate {field} of plugin {plugin} found with {owner}"
            ));
        }
    }
    Ok(())
}

/// Consumers and credentials that may have a key in one of these forms, the oldest first; `None` where that is not known, and `everybody`
/// is read, once.
async fn candidates(
    rules: &Rules<'_>,
    plugin: &str,
    forms: &[String],
    everybody: &mut Option<Vec<Entry>>,
) -> Result<Option<Vec<Entry>>, StoreError> {
    if everybody.is_some() {
        return Ok(None);
    }
    let known = match rules.holders {
        Some(holders) => holders.of(plugin, forms).await,
        None => None,
    };
    let Some(known) = known else {
        *everybody = Some(rules.store.list(PREFIX).await?.entries);
        return Ok(None);
    };
    let mut entries = Vec::new();
    for key in known {
        entries.extend(rules.store.get(&key).await?);
    }
    entries.sort_by_key(|entry| entry.create_revision);
    Ok(Some(entries))
}

/// Whether a text may be in JSON. Looks for the longest part of it that no writer escapes; the reference writes `/` as `\/`.
fn may_contain(json: &[u8], text: &str) -> bool {
    let parts = text.split(|letter: char| !letter.is_ascii_alphanumeric());
    let longest = parts.max_by_key(|part| part.len()).unwrap_or_default();
    let part = longest.as_bytes();
    part.is_empty() || json.windows(part.len()).any(|window| window == part)
}

fn key_in<'a>(plugins: &'a Map<String, Value>, plugin: &str, field: &str) -> Option<&'a str> {
    plugins.get(plugin)?.get(field)?.as_str()
}

fn has_key(rules: &Rules<'_>, entry: &Entry, plugin: &str, field: &str, key: &str) -> bool {
    let Ok(mut value) = serde_json::from_slice::<Value>(&entry.value) else {
        return false;
    };
    let plugins = value.get_mut("plugins").and_then(Value::as_object_mut);
    let Some(config) = plugins.and_then(|plugins| plugins.get_mut(plugin)) else {
        return false;
    };
    // What no key opens is compared as it is stored.
    let _unread = rules.secrets.decrypt(plugin, Part::Consumer, config);
    config.get(field).and_then(Value::as_str) == Some(key)
}

/// Who holds a key.
struct Owner<'a> {
    consumer: &'a str,
    credential: Option<&'a str>,
}

impl<'a> Owner<'a> {
    fn of(entry: &'a Entry) -> Option<Self> {
        let path = entry.key.strip_prefix(PREFIX)?;
        Some(match path.split_once("/credentials/") {
            Some((consumer, credential)) => Self {
                consumer,
                credential: Some(credential),
            },
            None => Self {
                consumer: path,
                credential: None,
            },
        })
    }

    /// Whether it is the object that is checked, or belongs to the consumer that is.
    fn is(&self, consumer: &str, credential: Option<&str>) -> bool {
        self.consumer == consumer && (credential.is_none() || self.credential == credential)
    }

    fn words(&self) -> String {
        let consumer = self.consumer;
        match self.credential {
            Some(id) => format!("credential: {id} of consumer: {consumer}"),
            None => format!("consumer: {consumer}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_texts_however_they_are_escaped() {
        for (json, text, expected) in [
            (
                r#"{"key":"523EisB/dvqlIT9RzfF3ZQ=="}"#,
                "523EisB/dvqlIT9RzfF3ZQ==",
                true,
            ),
            (
                r#"{"key":"523EisB\/dvqlIT9RzfF3ZQ=="}"#,
                "523EisB/dvqlIT9RzfF3ZQ==",
                true,
            ),
            (
                r#"{"key":"523EisB\/dvqlIT9RzfF3Z"}"#,
                "523EisB/dvqlIT9RzfF3ZQ==",
                false,
            ),
            (r#"{"key":"a\"1"}"#, "a\"1", true),
            (r#"{"key":"\u00e9"}"#, "é", true),
            ("{}", "", true),
            ("{}", "a", false),
        ] {
            assert_eq!(
                may_contain(json.as_bytes(), text),
                expected,
                "{json} {text}"
            );
        }
    }
}
