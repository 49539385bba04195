//! Looks into configurations, whose shapes the schemas have settled before.

use serde_json::Value;

use crate::lua_value::is_given;

/// The value at a path of members, where it is given.
pub(super) fn at<'a>(config: &'a Value, path: &[&str]) -> Option<&'a Value> {
    let found = path
        .iter()
        .try_fold(config, |value, name| value.get(*name))?;
    is_given(Some(found)).then_some(found)
}

/// Whether something is given at a path.
pub(super) fn has(config: &Value, path: &[&str]) -> bool {
    at(config, path).is_some()
}

/// The text at a path.
pub(super) fn text<'a>(config: &'a Value, path: &[&str]) -> Option<&'a str> {
    at(config, path).and_then(Value::as_str)
}

/// The items of the list at a path; none where there is no list.
pub(super) fn items<'a>(config: &'a Value, path: &[&str]) -> &'a [Value] {
    let list = at(config, path).and_then(Value::as_array);
    list.map_or(&[], Vec::as_slice)
}

/// The texts of the list at a path.
pub(super) fn texts<'a>(config: &'a Value, path: &[&str]) -> impl Iterator<Item = &'a str> {
    items(config, path).iter().filter_map(Value::as_str)
}
