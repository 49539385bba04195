//! Arguments as forms and query strings write them: `a=1&b=x%20y&c` (`application/x-www-form-urlencoded`).
//!
//! Decoded as the reference decodes them (`ngx.decode_args`): `+` is a space, `%` with two digits a byte, any other `%` stands for
//! itself, and what has no name is left out.

use std::borrow::Cow;

/// The arguments in order: name and value, which is `None` where there is no `=`.
pub fn pairs(text: &[u8]) -> impl Iterator<Item = (Cow<'_, [u8]>, Option<Cow<'_, [u8]>>)> {
    raw_pairs(text)
        .map(|(name, value)| (decode(name), value.map(decode)))
        .filter(|(name, _)| !name.is_empty())
}

/// The first argument of this name: `None` where there is none, `Some(None)` where it has no `=`.
pub fn first<'a>(text: &'a [u8], name: &[u8]) -> Option<Option<Cow<'a, [u8]>>> {
    raw_pairs(text)
        .find(|(raw, _)| is_name(raw, name))
        .map(|(_, value)| value.map(decode))
}

/// The values of all arguments of this name, in order: `None` where one has no `=`.
pub fn all<'t, 'n>(
    text: &'t [u8],
    name: &'n [u8],
) -> impl Iterator<Item = Option<Cow<'t, [u8]>>> + use<'t, 'n> {
    raw_pairs(text)
        .filter(move |(raw, _)| is_name(raw, name))
        .map(|(_, value)| value.map(decode))
}

/// The text without the arguments of this name. The others stay as they were written.
pub fn without(text: &[u8], name: &[u8]) -> Vec<u8> {
    let mut kept = Vec::with_capacity(text.len());
    for pair in text.split(|byte| *byte == b'&') {
        let raw = pair.split(|byte| *byte == b'=').next();
        if raw.is_some_and(|raw| is_name(raw, name)) {
            continue;
        }
        if !kept.is_empty() {
            kept.push(b'&');
        }
        kept.extend_from_slice(pair);
    }
    kept
}

fn raw_pairs(text: &[u8]) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
    text.split(|byte| *byte == b'&')
        .map(|pair| match pair.iter().position(|byte| *byte == b'=') {
            Some(at) => (
                pair.get(..at).unwrap_or_default(),
                Some(pair.get(at + 1..).unwrap_or_default()),
            ),
            None => (pair, None),
        })
}

/// Whether `raw` decodes to `name`, without keeping what it decodes to.
fn is_name(raw: &[u8], name: &[u8]) -> bool {
    if raw.is_empty() {
        return false;
    }
    raw == name && !is_coded(raw) || is_coded(raw) && *decode(raw) == *name
}

fn is_coded(text: &[u8]) -> bool {
    text.iter().any(|byte| matches!(byte, b'+' | b'%'))
}

/// Undoes the coding of a name or a value.
pub fn decode(text: &[u8]) -> Cow<'_, [u8]> {
    if !is_coded(text) {
        return Cow::Borrowed(text);
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        let digits = after.first_chunk::<2>().filter(|_| byte == b'%');
        if let Some(byte) = digits.and_then(|digits| hex(*digits)) {
            decoded.push(byte);
            rest = after.get(2..).unwrap_or_default();
        } else {
            decoded.push(if byte == b'+' { b' ' } else { byte });
        }
    }
    Cow::Owned(decoded)
}

fn hex([high, low]: [u8; 2]) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    Some((digit(high)? << 4 | digit(low)?) as u8)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> String {
        let pairs = pairs(text.as_bytes()).map(|(name, value)| match value {
            Some(value) => format!(
                "{}={}",
                String::from_utf8_lossy(&name),
                String::from_utf8_lossy(&value)
            ),
            None => String::from_utf8_lossy(&name).into_owned(),
        });
        pairs.collect::<Vec<_>>().join(" | ")
    }

    #[test]
    fn reads_arguments_as_the_reference_does() {
        for (text, expected) in [
            ("", ""),
            ("a=1", "a=1"),
            ("a=1&b=2&a=3", "a=1 | b=2 | a=3"),
            ("a", "a"),
            ("a=", "a="),
            ("=x&&b=", "b="),
            ("a=b=c", "a=b=c"),
            ("a=x+y%20z", "a=x y z"),
            ("%61%3D=1", "a==1"),
            ("a=%zz%4", "a=%zz%4"),
            ("a=%e9", "a=\u{fffd}"),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
    }

    #[test]
    fn finds_the_first_of_a_name() {
        for (text, name, expected) in [
            ("a=1&a=2", "a", Some(Some("1"))),
            ("A=1&a=2", "a", Some(Some("2"))),
            ("a&a=2", "a", Some(None)),
            ("b=1", "a", None),
            ("%61=1", "a", Some(Some("1"))),
            ("a%2Db=x+y", "a-b", Some(Some("x y"))),
            ("=1", "", None),
            ("a+b=1", "a+b", None),
        ] {
            let found = first(text.as_bytes(), name.as_bytes());
            let expected = expected.map(|value| value.map(|value| value.as_bytes().to_vec()));
            let found = found.map(|value| value.map(Cow::into_owned));
            assert_eq!(found, expected, "{text} {name}");
        }
    }

    #[test]
    fn leaves_out_the_arguments_of_a_name() {
        for (text, expected) in [
            ("a=1", ""),
            ("a", ""),
            ("b=x+y&a=1&c=%20", "b=x+y&c=%20"),
            ("a=1&b=2&%61=3&ab=4&A=5", "b=2&ab=4&A=5"),
            ("b=a", "b=a"),
            ("", ""),
        ] {
            assert_eq!(
                without(text.as_bytes(), b"a"),
                expected.as_bytes(),
                "{text}"
            );
        }
    }

    proptest! {
        #[test]
        fn the_first_is_the_first_of_all(text in "[ab=&+%41]{0,24}", name in "[ab A]{0,2}") {
            let all = pairs(text.as_bytes()).find(|(key, _)| **key == *name.as_bytes());
            prop_assert_eq!(first(text.as_bytes(), name.as_bytes()), all.map(|(_, value)| value));
        }

        #[test]
        fn what_is_left_out_is_what_has_the_name(text in "[ab=&+%41]{0,24}", name in "[ab A]{1,2}") {
            let (text, name) = (text.as_bytes(), name.as_bytes());
            let left = without(text, name);
            let others: Vec<_> = pairs(text).filter(|(key, _)| **key != *name).collect();
            prop_assert_eq!(pairs(&left).collect::<Vec<_>>(), others);
            prop_assert_eq!(all(text, name).count() + pairs(&left).count(), pairs(text).count());
        }

        #[test]
        fn encoding_and_decoding_gives_the_same(bytes in proptest::collection::vec(any::<u8>(), 0..16)) {
            use std::fmt::Write as _;
            let coded = bytes.iter().fold(String::new(), |mut text, byte| {
                let _infallible = write!(text, "%{byte:02x}");
                text
            });
            prop_assert_eq!(&*decode(coded.as_bytes()), &*bytes);
        }
    }
}
