//! What positions in the GraphQL schema of a service cost (`apisix/admin/graphql_cost_decorations.lua`).

use http::StatusCode;
use lockgate_store::{BoxFuture, Store};
use serde_json::{Map, Value};

use crate::{
    lua_value::{is_given, text_of},
    response::Answer,
};

use super::{Kind, Rules, Subject, owned, place::Place, reference::id_of};

/// The kind.
pub(super) const KIND: Kind = Kind::plain(
    "graphql_cost_decorations",
    "graphql cost decoration",
    "graphql_cost_decoration",
    |rules, subject| -> BoxFuture<'_, _> { Box::pin(async move { check(rules, subject) }) },
);

fn check(rules: &Rules<'_>, subject: Subject<'_>) -> Result<(), String> {
    rules.schema("graphql_cost_decoration", subject.conf)
}

/// Binds an object that is to be stored to its service.
///
/// # Errors
/// The service is not there, or is another one than the object says, or has a decoration of the position.
pub(super) async fn bind(
    store: &dyn Store,
    place: &Place<'_>,
    conf: &mut Option<Value>,
) -> Result<(), Answer> {
    let service = owner(place)?;
    let fields = fields(conf)?;
    if let Some(own) = fields.get("service_id").filter(|own| is_given(Some(own)))
        && text_of(own) != service
    {
        return Err(Answer::refusal(
            "wrong service_id, it is taken from the path",
        ));
    }
    owned::check_owner(store, place).await?;
    check_position(store, place, fields).await?;
    fields.insert("service_id".into(), Value::from(service));
    Ok(())
}

/// Checks a change of an object.
///
/// # Errors
/// It would move the object to another service, or to a position that another one has.
pub(super) async fn check_change(
    store: &dyn Store,
    place: &Place<'_>,
    conf: &mut Option<Value>,
) -> Result<(), Answer> {
    let fields = fields(conf)?;
    owner(place)?;
    if is_given(fields.get("service_id")) {
        return Err(Answer::refusal("service_id can not be patched"));
    }
    check_position(store, place, fields).await
}

/// The service in the path.
pub(super) fn owner<'a>(place: &Place<'a>) -> Result<&'a str, Answer> {
    place
        .parent
        .ok_or_else(|| Answer::refusal("missing service id"))
}

fn fields(conf: &mut Option<Value>) -> Result<&mut Map<String, Value>, Answer> {
    conf.as_mut()
        .and_then(Value::as_object_mut)
        .ok_or_else(|| Answer::refusal("invalid configuration"))
}

async fn check_position(
    store: &dyn Store,
    place: &Place<'_>,
    fields: &Map<String, Value>,
) -> Result<(), Answer> {
    let Some(position) = fields.get("field_path").and_then(Value::as_str) else {
        return Ok(());
    };
    let prefix = format!("{}/", place.collection());
    let listing = store.list(&prefix).await?;
    let own = place.id.map(str::to_owned);
    let own = own.or_else(|| fields.get("id").map(text_of));
    let taken = listing.entries.iter().find_map(|entry| {
        let id = id_of(&prefix, entry).filter(|id| Some(*id) != own.as_deref())?;
        let other: Value = serde_json::from_slice(&entry.value).ok()?;
        (other.get("field_path")?.as_str()? == position).then(|| id.to_owned())
    });
    match taken {
        Some(id) => Err(Answer::error(
            StatusCode::BAD_REQUEST,
            format!("field_path {position} is already decorated on this service by [{id}]"),
        )),
        None => Ok(()),
    }
}
