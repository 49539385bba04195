//! `/apisix/admin/configs`: a configuration that is pushed and read as a whole, and kept in memory (`apisix/admin/standalone.lua`).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use lockgate_model::document::{self, LISTS, PLUGINS};
use lockgate_store::{BoxFuture, Item, Revision, Whole};
use serde_json::{Map, Number, Value, json};

use crate::{
    config_validate::{self, Extent, Finding, version_of},
    lua_value::{is_given, text_of},
    request::Call,
    resources::Rules,
    response::Answer,
};

use super::{loader::stored, yaml};

/// Not HTTP's own `Last-Modified`: caches shall not look at it.
const LAST_MODIFIED: &str = "X-Last-Modified";

/// What the client calls the configuration by.
const DIGEST: &str = "X-Digest";

/// Resolves when a revision of the store is in force.
pub type InForce = Arc<dyn Fn(Revision) -> BoxFuture<'static, ()> + Send + Sync>;

/// The configuration of a gateway that gets it through its Admin API, and the store in which it lies.
#[derive(Default)]
pub struct Configs {
    whole: Arc<Whole>,
    /// As it was accepted, with the versions of its lists and the two members about itself.
    current: Mutex<Option<Map<String, Value>>>,
    /// One at a time, from the look at the versions to the replacement.
    writing: tokio::sync::Mutex<()>,
}

impl Configs {
    /// The store that the objects go to.
    pub fn store(&self) -> Arc<Whole> {
        self.whole.clone()
    }

    /// Whether a configuration has come.
    pub fn is_filled(&self) -> bool {
        self.whole.is_filled()
    }

    /// `GET` and `HEAD`.
    pub(crate) fn show(&self, call: &Call) -> Answer {
        let current = self.current().clone();
        if call.method == Method::HEAD {
            return with_marks(Answer::empty(StatusCode::OK), current.as_ref());
        }
        let shown = current.clone().unwrap_or_else(|| {
            let versions = lists().map(|list| (version_of(list), json!(0)));
            versions.collect()
        });
        let shown = Value::Object(shown);
        let answer = if is_yaml(call, &header::ACCEPT) {
            match yaml::write(&shown) {
                Ok(text) => Answer::text(StatusCode::OK, text).with(
                    header::CONTENT_TYPE,
                    HeaderValue::from_static("application/yaml"),
                ),
                Err(error) => {
                    tracing::error!(%error, "the configuration cannot be written in YAML");
                    let message = "failed to encode yaml";
                    return Answer::error(StatusCode::INTERNAL_SERVER_ERROR, message);
                }
            }
        } else {
            Answer::json(StatusCode::OK, &shown)
        };
        with_marks(answer, current.as_ref())
    }

    /// `PUT`: the answer, and the revision that it is the answer to.
    ///
    /// # Errors
    /// The answer to a configuration that is not taken.
    pub(crate) async fn replace(
        &self,
        rules: &Rules<'_>,
        call: &Call,
        body: Option<&[u8]>,
    ) -> Result<(Answer, Revision), Answer> {
        let Some(digest) = call.header(DIGEST) else {
            return Err(Answer::refusal("missing digest header"));
        };
        let read = config_validate::read(is_yaml(call, &header::CONTENT_TYPE), body);
        let Value::Object(pushed) = read.map_err(Answer::refusal)? else {
            let message = "invalid request body: a configuration is an object of lists";
            return Err(Answer::refusal(message));
        };
        let _writing = self.writing.lock().await;
        let current = self.current().clone();
        if let Some(current) = &current
            && current.get(DIGEST).and_then(Value::as_str) == Some(&digest)
        {
            let answer = Answer::empty(StatusCode::NO_CONTENT);
            return Ok((with_marks(answer, Some(current)), 0));
        }
        let findings = config_validate::findings(rules, &pushed, Extent::First).await;
        if let Some(finding) = findings.into_iter().next() {
            return Err(Answer::refusal(Finding::into_message(finding)));
        }
        let mut next = merged(current.as_ref(), pushed).map_err(Answer::refusal)?;
        next.insert(LAST_MODIFIED.into(), json!(rules.now));
        next.insert(DIGEST.into(), Value::String(digest));
        let revision = self.whole.replace(objects(&next));
        let answer = with_marks(Answer::empty(StatusCode::ACCEPTED), Some(&next));
        *self.current() = Some(next);
        Ok((answer, revision))
    }

    fn current(&self) -> MutexGuard<'_, Option<Map<String, Value>>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Configs {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Configs")
            .field("whole", &self.whole)
            .finish_non_exhaustive()
    }
}

/// All lists of a configuration.
fn lists() -> impl Iterator<Item = &'static str> {
    LISTS.iter().copied().chain([PLUGINS])
}

/// The configuration after a push: lists that come with the version they have stay, others are replaced, or emptied where they do not come.
fn merged(
    current: Option<&Map<String, Value>>,
    mut pushed: Map<String, Value>,
) -> Result<Map<String, Value>, String> {
    let mut next = Map::new();
    for list in lists() {
        let name = version_of(list);
        let had = current.and_then(|current| current.get(&name)?.as_number());
        let had = had.cloned().unwrap_or_else(|| Number::from(0));
        let number = |number: &Number| number.as_f64().unwrap_or_default();
        let version = match pushed.get(&name).filter(|given| is_given(Some(given))) {
            Some(Value::Number(given)) if number(given) < number(&had) => {
                return Err(format!(
                    "{name} must be greater than or equal to ({})",
                    text_of(&Value::Number(had))
                ));
            }
            Some(Value::Number(given)) => given.clone(),
            _ => following(&had),
        };
        let items = if number(&version).total_cmp(&number(&had)).is_eq() {
            current.and_then(|current| current.get(list)).cloned()
        } else {
            let items = pushed.shift_remove(list);
            items.filter(|items| items.as_array().is_some_and(|items| !items.is_empty()))
        };
        next.insert(name, Value::Number(version));
        if let Some(items) = items {
            next.insert(list.to_owned(), items);
        }
    }
    Ok(next)
}

fn following(version: &Number) -> Number {
    let whole = version.as_i64().and_then(|version| version.checked_add(1));
    whole.map_or_else(
        || {
            let next = version.as_f64().unwrap_or_default() + 1.0;
            Number::from_f64(next).unwrap_or_else(|| Number::from(0))
        },
        Number::from,
    )
}

/// The objects of a configuration that has been checked.
fn objects(configuration: &Map<String, Value>) -> Vec<Item> {
    let mut objects = Vec::new();
    for list in LISTS {
        let items = document::items(configuration, list).into_iter().flatten();
        objects.extend(items.map(|item| {
            let version = item.modified_index.as_ref().map(text_of);
            stored(item, version)
        }));
    }
    objects
}

/// Whether a field begins with the type of YAML.
fn is_yaml(call: &Call, field: &HeaderName) -> bool {
    let types = call.header(field.as_str());
    types.is_some_and(|types| types.starts_with("application/yaml"))
}

/// Adds the fields that tell of the configuration, where there is one.
fn with_marks(answer: Answer, current: Option<&Map<String, Value>>) -> Answer {
    let fields = [
        (LAST_MODIFIED, HeaderName::from_static("x-last-modified")),
        (DIGEST, HeaderName::from_static("x-digest")),
    ];
    let marks = fields.into_iter().filter_map(|(member, field)| {
        let text = text_of(current?.get(member)?);
        Some((field, HeaderValue::from_str(&text).ok()?))
    });
    marks.fold(answer, |answer, (field, value)| answer.with(field, value))
}
