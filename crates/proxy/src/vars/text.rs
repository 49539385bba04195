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
#[inline]
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
pub(crate) fn raw_argument<'a>(query: &'a [u8], name: &str) -> Option<&'a [u8]> {
    first_named(query, b'&', name)
}

/// The value of the first `name=value` between separators, the name in any case; white space in front of it is left out.
fn first_named<'a>(list: &'a [u8], separator: u8, name: &str) -> Option<&'a [u8]> {
    let mut rest = list;
    loop {
        if let Some((b'=', name_and)) = rest.get(..=name.len()).and_then(<[u8]>::split_last)
            && name_and.eq_ignore_ascii_case(name.as_bytes())
        {
            let value = rest.get(name.len() + 1..)?;
            return value.get(..position(value, separator).unwrap_or(value.len()));
        }
        rest = rest.get(position(rest, separator)? + 1..)?;
        if separator == b';' {
            rest = rest.trim_ascii_start();
        }
    }
}

/// Where a byte is in a text, which is short as arguments and cookies are: by words, as a vector search takes longer to begin.
#[inline]
fn position(text: &[u8], byte: u8) -> Option<usize> {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let (words, rest) = text.as_chunks();
    for (place, word) in words.iter().enumerate() {
        // The first byte that is zero is the first whose top bit is set here.
        let differs = u64::from_le_bytes(*word) ^ (u64::from(byte) * EACH);
        let found = differs.wrapping_sub(EACH) & !differs & (0x80 * EACH);
        if found != 0 {
            return Some(place * 8 + found.trailing_zeros() as usize / 8);
        }
    }
    let at = rest.iter().position(|other| *other == byte)?;
    Some(words.len() * 8 + at)
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
    let exact = is_spelled_so(name);
    let name_bytes = name.as_bytes();
    let first = if exact {
        headers.get_first(name_bytes)
    } else {
        headers.get_first_alike(name_bytes)
    };
    let (first, has_more) = first?;
    if !has_more {
        return Some(Cow::Borrowed(first));
    }
    let separator: &[u8] = if name == "cookie" { b"; " } else { b", " };
    let values: Vec<_> = if exact {
        headers.get_all(name_bytes).collect()
    } else {
        headers.get_all_alike(name_bytes).collect()
    };
    Some(Cow::Owned(values.join(separator)))
}

/// Whether a variable of a field means that spelling alone. Of the names that nginx has variables for, the field is meant that is spelled
/// with dashes; in others `_` and `-` are the same.
pub(super) fn is_spelled_so(name: &str) -> bool {
    !name.contains('-') || matches!(name, "user-agent" | "x-forwarded-for")
}

/// A cookie as the reference finds it: the last of exactly this name.
pub(crate) fn cookie<'a>(headers: &'a Headers, name: &str) -> Value<'a> {
    headers
        .get_all(b"cookie")
        .flat_map(|list| list.split(|byte| *byte == b';'))
        .filter_map(|pair| {
            let value = pair.trim_ascii_start().strip_prefix(name.as_bytes())?;
            value.strip_prefix(b"=")
        })
        .last()
        .map(Cow::Borrowed)
}

/// A cookie as nginx finds it: the first of this name in any case.
pub(crate) fn raw_cookie<'a>(headers: &'a Headers, name: &str) -> Option<&'a [u8]> {
    headers
        .get_all(b"cookie")
        .find_map(|list| first_named(list.trim_ascii_start(), b';', name))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_bytes_in_texts_of_every_length() {
        for length in 0..=20 {
            let mut text = vec![b'a'; length];
            assert_eq!(position(&text, b'&'), None);
            for place in (0..length).rev() {
                text[place] = b'&';
                assert_eq!(position(&text, b'&'), Some(place), "{text:?}");
                // One more or less than what is looked for is something else.
                assert_eq!(position(&text, b'%'), None);
                assert_eq!(position(&text, b'\''), None);
            }
        }
    }

    #[test]
    fn finds_arguments_as_nginx_does() {
        for (query, name, expected) in [
            ("a=1&b=2", "b", Some("2")),
            ("a=1&b=2", "B", Some("2")),
            ("b=1&b=2", "b", Some("1")),
            ("b&b=2", "b", Some("2")),
            ("ab=1&b=2", "b", Some("2")),
            ("b=", "b", Some("")),
            ("b=%20=&c", "b", Some("%20=")),
            (
                "some=thing&long=er than a word&x",
                "long",
                Some("er than a word"),
            ),
            ("b", "b", None),
            ("", "b", None),
            (" b=1", "b", None),
            ("&&", "b", None),
        ] {
            let found = raw_argument(query.as_bytes(), name);
            assert_eq!(found, expected.map(str::as_bytes), "{query} {name}");
        }
    }

    #[test]
    fn finds_cookies_as_nginx_and_the_reference_do() {
        for (fields, first, last) in [
            (&["a=1; b=2"][..], Some("2"), Some("2")),
            (&["b=1;b=2"], Some("1"), Some("2")),
            (&["B=1; b=2"], Some("1"), Some("2")),
            (&["a=1", "x; b=2"], Some("2"), Some("2")),
            (&["b=1", "b=2"], Some("1"), Some("2")),
            (&["b; c=b=3"], None, None),
            (&[], None, None),
        ] {
            let mut headers = Headers::default();
            for field in fields {
                headers.append(b"Cookie", field.as_bytes());
            }
            let first = first.map(str::as_bytes);
            assert_eq!(raw_cookie(&headers, "b"), first, "{fields:?}");
            let last = last.map(|last| Cow::Borrowed(last.as_bytes()));
            assert_eq!(cookie(&headers, "b"), last, "{fields:?}");
        }
    }

    #[test]
    fn joins_the_lines_of_a_field() {
        let mut headers = Headers::default();
        for (name, value) in [
            ("A", "1"),
            ("b", "2"),
            ("a", "3"),
            ("Cookie", "4"),
            ("cookie", "5"),
        ] {
            headers.append(name.as_bytes(), value.as_bytes());
        }
        for (name, expected) in [
            ("a", Some("1, 3")),
            ("b", Some("2")),
            ("cookie", Some("4; 5")),
            ("c", None),
        ] {
            let expected = expected.map(|value| Cow::Borrowed(value.as_bytes()));
            assert_eq!(header(&headers, name), expected, "{name}");
        }
    }
}
