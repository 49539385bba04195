//! The verbs, the same for every kind (`apisix/admin/resource.lua`).

use std::time::Duration;

use http::{Method, StatusCode};
use lockgate_store::{Author, Delete, Entry, Expect, Put, Recalled, StoreError};
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

use super::{
    Identity, Kind, Place, Subject, conf, graphql_cost_decoration, owned, reference::id_of,
};

/// What a client wants of objects.
pub(crate) struct Demand<'a> {
    pub(crate) place: Place<'a>,
    /// The body.
    pub(crate) conf: Option<Value>,
    pub(crate) args: &'a Args,
    /// The argument `ttl`.
    pub(crate) ttl: Option<Duration>,
    pub(crate) author: Author,
}

/// The key under which POST asks for a revision that nobody else has (`push` in `apisix/core/etcd.lua`).
const ID_SOURCE: &str = "gen_id";

/// The kind whose objects are bound to their service before anything else is looked at.
const DECORATIONS: &str = "graphql_cost_decorations";

/// Answers a demand. Any other method than the five verbs asks what GET asks; callers let no others through.
pub(crate) async fn answer(admin: &Admin, method: &Method, demand: Demand<'_>) -> Answer {
    let kind = demand.place.kind;
    if kind.unsupported.contains(method) {
        return Answer::error(
            StatusCode::METHOD_NOT_ALLOWED,
            format!("not supported `{method}` method for {}", kind.words),
        );
    }
    if kind.plural == DECORATIONS
        && let Err(refused) = graphql_cost_decoration::owner(&demand.place)
    {
        return refused;
    }
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
    let Some(id) = demand.place.id else {
        return list(admin, demand).await;
    };
    let found = admin.store().get(&demand.place.key(id)).await?;
    Ok(found.map_or_else(Envelope::missing, |entry| {
        let kind = demand.place.kind;
        let shown = kind.shown(opened(admin, kind, id, entry));
        admin.envelope().found(&shown)
    }))
}

/// The reference lists in the order of the keys, and pages in the order in which the objects were made.
async fn list(admin: &Admin, demand: &Demand<'_>) -> Result<Answer, Answer> {
    let kind = demand.place.kind;
    // Secrets are listed whatever their manager, as in the reference.
    let is_deep = kind.plural == "secrets";
    let collection = if is_deep {
        kind.plural.to_owned()
    } else {
        demand.place.collection()
    };
    let prefix = format!("{collection}/");
    let mut entries = admin.store().list(&prefix).await?.entries;
    entries.retain(|entry| is_deep || id_of(&prefix, entry).is_some());
    // The reference keeps something in the other directories, so that they are always there.
    if demand.place.parent.is_some() && !is_deep && entries.is_empty() {
        return Err(Envelope::missing());
    }
    let mut page = None;
    if admin.envelope().is_v3 {
        if let Some(filter) = Filter::of(demand.args, kind.filters) {
            entries.retain(|entry| filter.takes(entry));
        }
        page = Page::of(demand.args)?;
    }
    let total = entries.len();
    let entries = if let Some(page) = page {
        page.cut(&entries).to_vec()
    } else {
        entries.sort_by(|one, other| one.key.cmp(&other.key));
        entries
    };
    let shown: Vec<Entry> = entries
        .into_iter()
        .map(|entry| {
            if kind.sealed.stays_in_lists() {
                entry
            } else {
                kind.shown(opened(admin, kind, "", entry))
            }
        })
        .collect();
    Ok(admin.envelope().list(&collection, &shown, total))
}

/// An entry with the secrets of its plugins decrypted. What holds none is shown as it is stored.
fn opened(admin: &Admin, kind: &Kind, id: &str, mut entry: Entry) -> Entry {
    let secrets = admin.secrets();
    if !kind.sealed.is_in(secrets, id, &entry) {
        return entry;
    }
    if let Ok(mut object) = serde_json::from_slice::<Value>(&entry.value) {
        let unread = kind.sealed.open(secrets, id, &mut object);
        admin.log_unread(&entry.key, &unread);
        entry.value = object.to_string().into_bytes().into();
    }
    entry
}

async fn post(admin: &Admin, mut demand: Demand<'_>) -> Result<Answer, Answer> {
    let place = demand.place;
    if place.kind.plural == DECORATIONS {
        graphql_cost_decoration::bind(admin.store(), &place, &mut demand.conf).await?;
    }
    let mut conf = conf::object(demand.conf).map_err(Answer::refusal)?;
    conf::refuse_id(place.kind.words, place.id, &mut conf).map_err(Answer::refusal)?;
    conf::refuse_times(&conf).map_err(Answer::refusal)?;
    let mut value = checked(admin, &place, conf).await?;
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
    let write = Write {
        action: Action::Create,
        expect: Expect::Any,
        ttl: demand.ttl,
        author: demand.author,
    };
    Ok(write.store(admin, place.key(&id), &value).await?)
}

async fn put(admin: &Admin, mut demand: Demand<'_>) -> Result<Answer, Answer> {
    let place = demand.place;
    let kind = place.kind;
    if kind.plural == DECORATIONS {
        graphql_cost_decoration::bind(admin.store(), &place, &mut demand.conf).await?;
    }
    let mut conf = conf::object(demand.conf).map_err(Answer::refusal)?;
    if kind.identity == Identity::Id {
        let id = place.id.map(|id| place.stored_id(id));
        conf::settle_id(kind.words, id.as_deref(), &mut conf).map_err(Answer::refusal)?;
    }
    conf::refuse_times(&conf).map_err(Answer::refusal)?;
    let value = checked(admin, &place, conf).await?;
    let id = place.id_of(&value);
    let key = place.key(&id);
    owned::check_owner(admin.store(), &place).await?;
    // What the store knows already saves a question to it: a write that finds it otherwise is not carried out. What an object inside
    // another one leaves behind must be known for certain.
    let mut recalled = match kind.owned {
        None => admin.store().recall(&key),
        Some(_) => Recalled::Unknown,
    };
    loop {
        let (previous, expect) = match std::mem::replace(&mut recalled, Recalled::Unknown) {
            Recalled::Unknown => (admin.store().get(&key).await?, Expect::Any),
            Recalled::Absent => (None, Expect::Absent),
            Recalled::Entry(entry) => {
                let expect = Expect::ModRevision(entry.mod_revision);
                (Some(entry), expect)
            }
        };
        if let (None, Some(owned)) = (&previous, kind.owned) {
            // What an object of this name left behind is not this one's.
            owned::remove(admin.store(), &key, owned, &demand.author).await?;
        }
        let mut stored = value.clone();
        if let Value::Object(fields) = &mut stored {
            if kind.identity == Identity::Path {
                fields.insert("id".into(), Value::String(id.clone()));
            } else {
                let previous: Option<Value> =
                    previous.and_then(|entry| serde_json::from_slice(&entry.value).ok());
                let made = previous.as_ref().and_then(|value| value.get("create_time"));
                conf::stamp(fields, made, admin.now());
            }
        }
        let write = Write {
            action: Action::Set,
            expect,
            ttl: demand.ttl,
            author: demand.author.clone(),
        };
        match write.store(admin, key.clone(), &stored).await {
            Err(StoreError::Conflict) if expect != Expect::Any => {}
            outcome => return Ok(outcome?),
        }
    }
}

async fn patch(admin: &Admin, mut demand: Demand<'_>) -> Result<Answer, Answer> {
    let place = demand.place;
    let words = place.kind.words;
    let is_decoration = place.kind.plural == DECORATIONS;
    if is_decoration {
        graphql_cost_decoration::check_change(admin.store(), &place, &mut demand.conf).await?;
    }
    let Some(id) = place.id else {
        let message = match place.parent {
            Some(_) if place.kind.plural == "secrets" => "no secret id".to_owned(),
            _ => format!("missing {words} id"),
        };
        return Err(Answer::refusal(message));
    };
    let Some(change) = demand.conf else {
        return Err(Answer::refusal("missing new configuration"));
    };
    // The path of an object inside another one says no more than which it is.
    let is_whole = place.sub_path.is_empty() || is_decoration;
    if is_whole && !change.is_array() && !change.is_object() {
        return Err(Answer::refusal("invalid configuration"));
    }
    let key = place.key(id);
    let Some(old) = admin.store().get(&key).await? else {
        return Err(Envelope::missing());
    };
    // What is merged and checked is not encrypted, or it would be encrypted twice.
    let mut object = Value::Object(stored_object(&old)?);
    let unread = place.kind.sealed.open(admin.secrets(), id, &mut object);
    admin.log_unread(&key, &unread);
    let mut conf = members(object);
    let keeps_update_time = is_whole && change.get("update_time").is_some();
    if is_whole {
        patch::merge(&mut conf, members(change));
    } else {
        patch::put_at(&mut conf, place.sub_path, change).map_err(Answer::refusal)?;
    }
    if !keeps_update_time {
        conf.insert("update_time".into(), Value::from(admin.now()));
    }
    conf::stamp(&mut conf, None, admin.now());
    if conf.values().map(json::depth).max() >= Some(JSON_DEPTH) {
        let message = "invalid configuration: too many nested data structures";
        return Err(Answer::refusal(message));
    }
    let stored_id = place.stored_id(id);
    conf::settle_id(words, Some(&stored_id), &mut conf).map_err(Answer::refusal)?;
    let value = checked(admin, &place, conf).await?;
    let write = Write {
        action: Action::CompareAndSwap,
        expect: Expect::ModRevision(old.mod_revision),
        ttl: demand.ttl,
        author: demand.author,
    };
    Ok(write.store(admin, key, &value).await?)
}

async fn delete(admin: &Admin, demand: Demand<'_>) -> Result<Answer, Answer> {
    let place = demand.place;
    let kind = place.kind;
    let Some(id) = place.id else {
        return Err(Answer::refusal(format!("missing {} id", kind.words)));
    };
    let store = admin.store();
    let is_forced = demand.args.only("force") == Some("true");
    if let Some(find_user) = kind.find_user.filter(|_| !is_forced)
        && let Some(user) = find_user(store, id).await?
    {
        return Err(Answer::refusal(user));
    }
    let key = place.key(id);
    if let Some(owned) = kind.owned {
        owned::remove(store, &key, owned, &demand.author).await?;
    }
    let removal = store.delete(Delete {
        key: key.clone(),
        author: demand.author,
    });
    Ok(match removal.await?.previous {
        Some(_) => admin.envelope().deleted(&key),
        None => Envelope::missing(),
    })
}

/// Checks an object by the rules of its kind, and encrypts what is secret in it.
async fn checked(
    admin: &Admin,
    place: &Place<'_>,
    conf: Map<String, Value>,
) -> Result<Value, Answer> {
    let mut value = Value::Object(conf);
    let settled = match place.kind.identity {
        Identity::Id => value.get("id").map(text_of),
        Identity::Field(_) | Identity::Path => place.id.map(str::to_owned),
    };
    let rules = admin.rules();
    let subject = Subject {
        conf: &value,
        id: settled.as_deref(),
        parent: place.parent,
    };
    (place.kind.check)(&rules, subject)
        .await
        .map_err(Answer::refusal)?;
    let (secrets, keyring) = (admin.secrets(), admin.keyring());
    let sealed = place.kind.sealed;
    sealed.close(secrets, keyring, settled.as_deref(), &mut value);
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
    async fn store(self, admin: &Admin, key: String, value: &Value) -> Result<Answer, StoreError> {
        let put = Put {
            key: key.clone(),
            value: value.to_string().into_bytes(),
            expect: self.expect,
            ttl: self.ttl,
            author: self.author,
        };
        let written = admin.store().put(put).await?;
        admin.holders().wrote(&key, written.revision);
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

/// The fields of an object, or of a change. Lua cannot tell the places of a list from fields, so a list has fields with numbers as names, which the schema
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
