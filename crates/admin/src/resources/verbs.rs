//! The verbs, the same for every kind (`apisix/admin/resource.lua`).

use std::time::Duration;

use http::Method;
use lockgate_store::{Author, Delete, Entry, Expect, Put, StoreError};
use serde_json::{Map, Value};

use crate::{
    admin::Admin,
    args::Args,
    envelope::{Action, Envelope},
    json,
    limits::JSON_DEPTH,
    lua_value::text_of,
    paging::{Filter, Page},
    patch,
    plugins::inactive_in,
    response::Answer,
};

use super::{Kind, conf, reference::id_of};

/// What a client wants of a kind.
pub(crate) struct Demand<'a> {
    pub(crate) kind: &'static Kind,
    /// The segment behind the kind.
    pub(crate) id: Option<&'a str>,
    /// What is behind the id.
    pub(crate) sub_path: &'a [&'a str],
    /// The body.
    pub(crate) conf: Option<Value>,
    pub(crate) args: &'a Args,
    /// The argument `ttl`.
    pub(crate) ttl: Option<Duration>,
    pub(crate) author: Author,
}

/// The key under which POST asks for a revision that nobody else has (`push` in `apisix/core/etcd.lua`).
const ID_SOURCE: &str = "gen_id";

/// Answers a demand. Any other method than the five verbs asks what GET asks; callers let no others through.
pub(crate) async fn answer(admin: &Admin, method: &Method, demand: Demand<'_>) -> Answer {
    let answer = match *method {
        Method::POST => post(admin, demand).await,
        Method::PUT => put(admin, demand).await,
        Method::PATCH => patch(admin, demand).await,
        Method::DELETE => delete(admin, demand).await,
        _ => get(admin, &demand).await,
    };
    answer.unwrap_or_else(|refused| refused)
}

async fn get(admin: &Admin, demand: &Demand<'_>) -> Result<Answer, Answer> {
    let store = admin.store();
    match demand.id {
        Some(id) => {
            let found = store.get(&demand.key(id)).await?;
            Ok(found.map_or_else(Envelope::missing, |entry| admin.envelope().found(&entry)))
        }
        None => list(admin, demand).await,
    }
}

/// The reference lists in the order of the keys, and pages in the order in which the objects were made.
async fn list(admin: &Admin, demand: &Demand<'_>) -> Result<Answer, Answer> {
    let plural = demand.kind.plural;
    let prefix = format!("{plural}/");
    let mut entries = admin.store().list(&prefix).await?.entries;
    entries.retain(|entry| id_of(&prefix, entry).is_some());
    let mut page = None;
    if admin.envelope().is_v3 {
        if let Some(filter) = Filter::of(demand.args, demand.kind.filters) {
            entries.retain(|entry| filter.takes(entry));
        }
        page = Page::of(demand.args)?;
    }
    let total = entries.len();
    let shown = if let Some(page) = page {
        page.cut(&entries)
    } else {
        entries.sort_by(|one, other| one.key.cmp(&other.key));
        &entries
    };
    Ok(admin.envelope().list(plural, shown, total))
}

async fn post(admin: &Admin, demand: Demand<'_>) -> Result<Answer, Answer> {
    let kind = demand.kind;
    let mut conf = conf::object(demand.conf).map_err(Answer::refusal)?;
    conf::refuse_id(kind.singular, demand.id, &mut conf).map_err(Answer::refusal)?;
    conf::refuse_times(&conf).map_err(Answer::refusal)?;
    let mut value = checked(admin, kind, conf).await?;
    let source = admin.store().put(Put {
        key: ID_SOURCE.into(),
        value: b"1".to_vec(),
        expect: Expect::Any,
        ttl: None,
        author: demand.author.clone(),
    });
    let id = format!("{:020}", source.await?.revision);
    if let Value::Object(fields) = &mut value {
        conf::stamp(fields, None, admin.now());
        fields.insert("id".into(), Value::String(id.clone()));
    }
    let key = format!("{}/{id}", kind.plural);
    let write = Write {
        action: Action::Create,
        expect: Expect::Any,
        ttl: demand.ttl,
        author: demand.author,
    };
    write.store(admin, key, &value).await
}

async fn put(admin: &Admin, demand: Demand<'_>) -> Result<Answer, Answer> {
    let kind = demand.kind;
    let mut conf = conf::object(demand.conf).map_err(Answer::refusal)?;
    conf::settle_id(kind.singular, demand.id, &mut conf).map_err(Answer::refusal)?;
    conf::refuse_times(&conf).map_err(Answer::refusal)?;
    let mut value = checked(admin, kind, conf).await?;
    let key = format!(
        "{}/{}",
        kind.plural,
        value.get("id").map(text_of).unwrap_or_default()
    );
    let previous = admin.store().get(&key).await?;
    let previous: Option<Value> =
        previous.and_then(|entry| serde_json::from_slice(&entry.value).ok());
    if let Value::Object(fields) = &mut value {
        let made = previous.as_ref().and_then(|value| value.get("create_time"));
        conf::stamp(fields, made, admin.now());
    }
    let write = Write {
        action: Action::Set,
        expect: Expect::Any,
        ttl: demand.ttl,
        author: demand.author,
    };
    write.store(admin, key, &value).await
}

async fn patch(admin: &Admin, demand: Demand<'_>) -> Result<Answer, Answer> {
    let kind = demand.kind;
    let Some(id) = demand.id else {
        return Err(Answer::refusal(format!("missing {} id", kind.singular)));
    };
    let Some(change) = demand.conf else {
        return Err(Answer::refusal("missing new configuration"));
    };
    let is_whole = demand.sub_path.is_empty();
    if is_whole && !change.is_array() && !change.is_object() {
        return Err(Answer::refusal("invalid configuration"));
    }
    let key = format!("{}/{id}", kind.plural);
    let Some(old) = admin.store().get(&key).await? else {
        return Err(Envelope::missing());
    };
    let mut conf = stored_object(&old)?;
    let keeps_update_time = is_whole && change.get("update_time").is_some();
    if is_whole {
        patch::merge(&mut conf, members(change));
    } else {
        patch::put_at(&mut conf, demand.sub_path, change).map_err(Answer::refusal)?;
    }
    if !keeps_update_time {
        conf.insert("update_time".into(), Value::from(admin.now()));
    }
    conf::stamp(&mut conf, None, admin.now());
    if conf.values().map(json::depth).max() >= Some(JSON_DEPTH) {
        let message = "invalid configuration: too many nested data structures";
        return Err(Answer::refusal(message));
    }
    conf::settle_id(kind.singular, Some(id), &mut conf).map_err(Answer::refusal)?;
    let value = checked(admin, kind, conf).await?;
    let write = Write {
        action: Action::CompareAndSwap,
        expect: Expect::ModRevision(old.mod_revision),
        ttl: demand.ttl,
        author: demand.author,
    };
    write.store(admin, key, &value).await
}

async fn delete(admin: &Admin, demand: Demand<'_>) -> Result<Answer, Answer> {
    let kind = demand.kind;
    let Some(id) = demand.id else {
        return Err(Answer::refusal(format!("missing {} id", kind.singular)));
    };
    let store = admin.store();
    let is_forced = demand.args.only("force") == Some("true");
    if let Some(find_user) = kind.find_user.filter(|_| !is_forced)
        && let Some(user) = find_user(store, id).await?
    {
        return Err(Answer::refusal(user));
    }
    let key = demand.key(id);
    let removal = store.delete(Delete {
        key: key.clone(),
        author: demand.author,
    });
    Ok(match removal.await?.previous {
        Some(_) => admin.envelope().deleted(&key),
        None => Envelope::missing(),
    })
}

impl Demand<'_> {
    fn key(&self, id: &str) -> String {
        format!("{}/{id}", self.kind.plural)
    }
}

/// Checks an object by the rules of its kind.
async fn checked(admin: &Admin, kind: &Kind, conf: Map<String, Value>) -> Result<Value, Answer> {
    let value = Value::Object(conf);
    let rules = admin.rules();
    (kind.check)(&rules, &value)
        .await
        .map_err(Answer::refusal)?;
    Ok(value)
}

/// How a value is written.
struct Write {
    action: Action,
    expect: Expect,
    ttl: Option<Duration>,
    author: Author,
}

impl Write {
    async fn store(self, admin: &Admin, key: String, value: &Value) -> Result<Answer, Answer> {
        let put = Put {
            key: key.clone(),
            value: value.to_string().into_bytes(),
            expect: self.expect,
            ttl: self.ttl,
            author: self.author,
        };
        let written = admin.store().put(put).await?;
        warn_of_inactive(&key, value);
        Ok(admin.envelope().written(self.action, &key, value, &written))
    }
}

/// Tells whoever reads the log which plugins of a stored object do nothing.
fn warn_of_inactive(key: &str, value: &Value) {
    let plugins = inactive_in(value);
    if !plugins.is_empty() {
        let plugins = plugins.join(", ");
        tracing::warn!(%key, %plugins, "a stored object names plugins that are not built in: they do nothing");
    }
}

fn stored_object(entry: &Entry) -> Result<Map<String, Value>, Answer> {
    serde_json::from_slice(&entry.value).map_err(|error| {
        Answer::from(StoreError::Damaged {
            what: entry.key.to_string(),
            reason: error.to_string(),
        })
    })
}

/// The fields of a change. Lua cannot tell the places of a list from fields, so a list has fields with numbers as names, which the schema
/// then refuses.
fn members(change: Value) -> Map<String, Value> {
    match change {
        Value::Object(fields) => fields,
        Value::Array(items) => (1_usize..)
            .map(|place| place.to_string())
            .zip(items)
            .collect(),
        _ => Map::new(),
    }
}
