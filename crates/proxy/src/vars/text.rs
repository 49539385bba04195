//! Finding values in texts.

use std::borrow::Cow;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use lockgate_content::form;
use lockgate_expr::Value as Kinded;
use lockgate_http::headers::Headers;

use super::Value;

#[inline]
pub(crate) fn bytes(value: &[u8]) -> Value<'_> {
    Some(Cow::Borrowed(value))
}

/// A value that is absent where it is empty: that of a request that was none.
#[inline]
pub(crate) fn filled(value: &[u8]) -> Value<'_> {
    present(Cow::Borrowed(value))
}

/// The same of a value that may have been made.
pub(super) fn present(value: Cow<'_, [u8]>) -> Value<'_> {
    Some(value).filter(|value| !value.is_empty())
}

pub(crate) fn text(value: Option<&str>) -> Value<'_> {
    value.map(|value| Cow::Borrowed(value.as_bytes()))
}

pub(crate) fn number(value: u64) -> Value<'static> {
    let mut digits = Vec::with_capacity(8);
    crate::respond::write_decimal(value, &mut digits);
    Some(Cow::Owned(digits))
}

/// A value of any kind as text; a list has none.
pub(crate) fn plain(value: Kinded<'_>) -> Value<'_> {
    match value {
        Kinded::Text(text) => Some(text),
        Kinded::List(_) => None,
        other => {
            let mut text = Vec::new();
            other.write_text(&mut text);
            Some(Cow::Owned(text))
        }
    }
}

/// An argument as nginx finds it: the first of this name in any case, undecoded.
pub(crate) fn raw_argument<'a>(query: &'a [u8], name: &str) -> Value<'a> {
    query
        .split(|byte| *byte == b'&')
        .find_map(|pair| {
            let (key, value) = pair.split_at_checked(name.len())?;
            (key.eq_ignore_ascii_case(name.as_bytes())).then(|| value.strip_prefix(b"="))?
        })
        .map(Cow::Borrowed)
}

/// An argument as the reference finds it: the first of this name, decoded; true where it has no `=`.
pub(crate) fn argument<'a>(query: &'a [u8], name: &str) -> Option<Kinded<'a>> {
    form::first(query, name.as_bytes()).map(|value| match value {
        Some(value) => Kinded::Text(value),
        None => Kinded::Bool(true),
    })
}

/// All values of a field as the client sent it, also where it has been taken away.
pub(super) fn received<'a>(headers: &'a Headers, name: &str) -> Value<'a> {
    header(headers, name).or_else(|| headers.get_received(name.as_bytes()).map(Cow::Borrowed))
}

/// All values of a field, joined as nginx joins them (`$http_…`, since 1.23).
pub(crate) fn header<'a>(headers: &'a Headers, name: &str) -> Value<'a> {
    // Of the names that nginx has variables for, the field is meant that is spelled with dashes.
    let is_exact = !name.contains('-') || matches!(name, "user-agent" | "x-forwarded-for");
    if is_exact {
        joined(headers.get_all(name.as_bytes()), name)
    } else {
        joined(headers.get_all_alike(name.as_bytes()), name)
    }
}

fn joined<'a>(mut values: impl Iterator<Item = &'a [u8]>, name: &str) -> Value<'a> {
    let first = values.next()?;
    match values.next() {
        None => Some(Cow::Borrowed(first)),
        Some(second) => {
            let separator: &[u8] = if name == "cookie" { b"; " } else { b", " };
            let mut joined = [first, separator, second].concat();
            for value in values {
                joined.extend_from_slice(separator);
                joined.extend_from_slice(value);
            }
            Some(Cow::Owned(joined))
        }
    }
}

/// The values of cookies whose name passes.
fn cookies<'a>(
    headers: &'a Headers,
    name: &str,
    is_it: impl Fn(&[u8]) -> bool,
) -> impl Iterator<Item = &'a [u8]> {
    headers
        .get_all(b"cookie")
        .flat_map(|list| list.split(|byte| *byte == b';'))
        .map(<[u8]>::trim_ascii_start)
        .filter_map(move |pair| {
            let (key, value) = pair.split_at_checked(name.len())?;
            is_it(key).then(|| value.strip_prefix(b"="))?
        })
}

/// A cookie as the reference finds it: the last of exactly this name.
pub(crate) fn cookie<'a>(headers: &'a Headers, name: &str) -> Value<'a> {
    let values = cookies(headers, name, |key| key == name.as_bytes());
    values.last().map(Cow::Borrowed)
}

/// A cookie as nginx finds it: the first of this name in any case.
pub(crate) fn raw_cookie<'a>(headers: &'a Headers, name: &str) -> Value<'a> {
    let mut values = cookies(headers, name, |key| {
        key.eq_ignore_ascii_case(name.as_bytes())
    });
    values.next().map(Cow::Borrowed)
}

/// The user of HTTP basic authentication.
pub(crate) fn basic_user(headers: &Headers) -> Value<'_> {
    let credentials = headers.get(b"authorization")?;
    let (scheme, encoded) = credentials.split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case(b"basic ") {
        return None;
    }
    let decoded = BASE64_STANDARD.decode(encoded.trim_ascii()).ok()?;
    let user = decoded.split(|byte| *byte == b':').next()?;
    Some(Cow::Owned(user.to_vec()))
}
