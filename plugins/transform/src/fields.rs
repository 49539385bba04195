//! Fields as configurations name them: `add`, `set` and `remove`, or names and values alone, which are set.

use lockgate_expr::Template;
use lockgate_pattern::Captures;
use lockgate_plugin::{ConfigError, Exchange, FieldName, InvalidFieldName};
use serde_json::Value;

use crate::escape::escape_value;

/// What is done to the fields of a head, in this order.
#[derive(Debug, Default)]
pub(crate) struct Operations {
    add: Vec<Values>,
    set: Vec<Values>,
    remove: Vec<FieldName>,
}

/// A field and its values.
#[derive(Debug)]
struct Values {
    name: FieldName,
    texts: Box<[Text]>,
}

/// A text with variables, and maybe groups of a pattern, in it.
#[derive(Debug)]
pub(crate) struct Text(Box<[Piece]>);

#[derive(Debug)]
enum Piece {
    Template(Template),
    Group(usize),
}

impl Operations {
    /// Reads the fields of a request.
    ///
    /// # Errors
    /// A field that cannot be sent, in the words of the reference.
    pub(crate) fn of_request(config: &Value) -> Result<Self, ConfigError> {
        if !is_by_action(config) {
            check_plain(config)?;
            check_characters(config)?;
            return Ok(Self {
                set: values(Some(config), FieldName::escaped, Text::with_groups),
                ..Self::default()
            });
        }
        Ok(Self {
            add: values(config.get("add"), FieldName::escaped, Text::with_groups),
            set: values(config.get("set"), FieldName::escaped, Text::with_groups),
            remove: names(config.get("remove"), FieldName::escaped),
        })
    }

    /// Reads the fields of a response.
    ///
    /// # Errors
    /// A field that cannot be sent, in the words of the reference.
    pub(crate) fn of_response(config: &Value) -> Result<Self, ConfigError> {
        if !is_by_action(config) {
            check_plain(config)?;
            return Ok(Self {
                set: values(Some(config), response_name, Text::new),
                ..Self::default()
            });
        }
        let added = config.get("add").and_then(Value::as_array);
        let lines = added.into_iter().flatten().filter_map(Value::as_str);
        let Some(add) = lines.map(line).collect() else {
            // As in the reference, whose request goes on without any of this.
            tracing::error!("a header to add is no line of a head: headers are left alone");
            return Ok(Self::default());
        };
        Ok(Self {
            add,
            set: values(config.get("set"), response_name, Text::new),
            remove: names(config.get("remove"), response_name),
        })
    }

    /// Does it to the fields of the response.
    pub(crate) fn change_response(&self, ex: &mut Exchange<'_>) {
        let mut value = ex.take_scratch();
        for field in &self.add {
            for text in &field.texts {
                text.render(ex, None, &mut value);
                if value.is_empty() {
                    continue;
                }
                if is_single(field.name.as_str()) {
                    ex.set_response_header(&field.name, Some(&value));
                } else {
                    ex.add_response_header(&field.name, &value);
                }
            }
        }
        for field in &self.set {
            for text in &field.texts {
                text.render(ex, None, &mut value);
                let value = Some(&*value).filter(|value| !value.is_empty());
                ex.set_response_header(&field.name, value);
            }
        }
        for name in &self.remove {
            ex.set_response_header(name, None);
        }
        ex.set_scratch(value);
    }

    /// Does it to the fields of the request. `found` is where a pattern was found in the path.
    pub(crate) fn change_request(&self, ex: &mut Exchange<'_>, found: Option<&Captures<'_>>) {
        let mut value = ex.take_scratch();
        for field in &self.add {
            for text in &field.texts {
                text.render(ex, found, &mut value);
                if !value.is_empty() {
                    ex.add_header(&field.name, &value);
                }
            }
        }
        for field in &self.set {
            // An empty value takes the field away.
            let mut is_first = true;
            for text in &field.texts {
                text.render(ex, found, &mut value);
                match (is_first, value.is_empty()) {
                    (true, true) => ex.set_header(&field.name, None),
                    (true, false) => ex.set_header(&field.name, Some(&value)),
                    (false, true) => {}
                    (false, false) => ex.add_header(&field.name, &value),
                }
                is_first = false;
            }
        }
        for name in &self.remove {
            ex.set_header(name, None);
        }
        ex.set_scratch(value);
    }
}

/// Whether fields are named by what is done to them.
fn is_by_action(config: &Value) -> bool {
    ["add", "set", "remove"].iter().any(|action| {
        config
            .get(*action)
            .is_some_and(|fields| fields.is_object() || fields.is_array())
    })
}

/// Checks names and values as they stand alone.
///
/// # Errors
/// One cannot be sent, in the words of the reference (`check_set_headers`).
fn check_plain(config: &Value) -> Result<(), ConfigError> {
    if config.as_array().is_some_and(|items| !items.is_empty()) {
        return Err(ConfigError::new("invalid type as header field"));
    }
    for (name, value) in config.as_object().into_iter().flatten() {
        if !value.is_string() && !value.is_number() {
            return Err(ConfigError::new("invalid type as header value"));
        }
        if name.is_empty() {
            return Err(ConfigError::new("invalid field length in header"));
        }
    }
    Ok(())
}

fn check_characters(config: &Value) -> Result<(), ConfigError> {
    for (name, value) in config.as_object().into_iter().flatten() {
        let is_name = |byte: u8| byte.is_ascii_graphic() && byte != b':';
        if !name.bytes().all(is_name) {
            return Err(ConfigError::new("invalid field character in header"));
        }
        let is_value = |byte: u8| byte == b' ' || byte.is_ascii_graphic();
        if !value.as_str().unwrap_or_default().bytes().all(is_value) {
            return Err(ConfigError::new("invalid value character in header"));
        }
    }
    Ok(())
}

/// Names and values of an object. One that can be no name is passed over.
fn values(
    config: Option<&Value>,
    name: impl Fn(&str) -> Result<FieldName, InvalidFieldName>,
    text: impl Fn(&str) -> Text,
) -> Vec<Values> {
    let fields = config.and_then(Value::as_object).into_iter().flatten();
    fields
        .filter_map(|(field, value)| {
            Some(Values {
                name: name(field).ok()?,
                texts: match value {
                    Value::Array(values) => {
                        values.iter().map(|value| text(&plain(value))).collect()
                    }
                    value => [text(&plain(value))].into(),
                },
            })
        })
        .collect()
}

/// Names and texts of an object, whose values are strings and numbers.
pub(crate) fn texts(config: Option<&Value>) -> impl Iterator<Item = (&String, String)> {
    let fields = config.and_then(Value::as_object).into_iter().flatten();
    fields.map(|(name, value)| (name, plain(value)))
}

/// Names of a list.
fn names(
    config: Option<&Value>,
    name: impl Fn(&str) -> Result<FieldName, InvalidFieldName>,
) -> Vec<FieldName> {
    let names = config.and_then(Value::as_array).into_iter().flatten();
    let names = names.filter_map(Value::as_str);
    names.filter_map(|text| name(text).ok()).collect()
}

/// A line of a head: the reference's pattern is `^([^:\s]+)\s*:\s*([^:]+)$`.
fn line(text: &str) -> Option<Values> {
    let (name, value) = text.split_once(':')?;
    let (name, value) = (name.trim_ascii_end(), value.trim_ascii_start());
    let is_name = !name.is_empty() && !name.bytes().any(|byte| byte.is_ascii_whitespace());
    if !is_name || value.is_empty() || value.contains(':') {
        return None;
    }
    Some(Values {
        name: response_name(name).ok()?,
        texts: [Text::new(value)].into(),
    })
}

/// Whether nginx has one such field in a response at most, so that adding one replaces it.
fn is_single(name: &str) -> bool {
    [
        "content-type",
        "content-length",
        "content-encoding",
        "content-range",
        "accept-ranges",
        "location",
        "refresh",
        "server",
        "date",
        "last-modified",
        "expires",
        "etag",
        "www-authenticate",
    ]
    .iter()
    .any(|single| single.eq_ignore_ascii_case(name))
}

/// A name of a response's field as it can be sent; an underscore is a hyphen (`lua_transform_underscores_in_response_headers`).
pub(crate) fn response_name(name: &str) -> Result<FieldName, InvalidFieldName> {
    FieldName::escaped(&name.replace('_', "-"))
}

/// The text of a string or a number, as Lua writes it.
fn plain(value: &Value) -> String {
    let mut out = Vec::new();
    if let Some(value) = lockgate_expr::Value::of_json(value) {
        value.write_text(&mut out);
    }
    String::from_utf8_lossy(&out).into_owned()
}

impl Text {
    /// Reads a text with variables in it.
    pub(crate) fn new(text: &str) -> Self {
        Self([Piece::Template(Template::parse(text))].into())
    }

    /// Reads a text in which `$1` and `${1}` are groups (`resolve_var_with_captures` in `apisix/core/utils.lua`, whose pattern is
    /// `(?<!\\)\$\{?(\d+)\}?`).
    pub(crate) fn with_groups(text: &str) -> Self {
        let mut pieces = Vec::new();
        // Where the text begins that is not in `pieces`, and where the next `$` is looked for.
        let (mut begin, mut from) = (0, 0);
        while let Some(at) = text.get(from..).and_then(|rest| rest.find('$')) {
            let at = from + at;
            from = at + 1;
            let before = text.get(begin..at).unwrap_or_default();
            let behind = text.get(from..).unwrap_or_default();
            let named = behind.strip_prefix('{').unwrap_or(behind);
            let end = named.find(|c: char| !c.is_ascii_digit());
            let (digits, tail) = named.split_at(end.unwrap_or(named.len()));
            let is_escaped = text.get(..at).unwrap_or_default().ends_with('\\');
            let Some(group) = digits.parse().ok().filter(|_| !is_escaped) else {
                continue;
            };
            pieces.extend([
                Piece::Template(Template::parse(before)),
                Piece::Group(group),
            ]);
            begin = text.len() - tail.strip_prefix('}').unwrap_or(tail).len();
            from = begin;
        }
        let rest = text.get(begin..).unwrap_or_default();
        pieces.push(Piece::Template(Template::parse(rest)));
        pieces.retain(|piece| !matches!(piece, Piece::Template(one) if one.parts().is_empty()));
        Self(pieces.into())
    }

    /// Makes `out` the text with its variables and groups filled in, as it can be sent.
    pub(crate) fn render(
        &self,
        ex: &Exchange<'_>,
        found: Option<&Captures<'_>>,
        out: &mut Vec<u8>,
    ) {
        out.clear();
        for piece in &self.0 {
            match piece {
                Piece::Template(template) => {
                    template.render(ex, out);
                }
                Piece::Group(group) => {
                    let text = found.and_then(|found| found.get(*group));
                    out.extend_from_slice(text.unwrap_or_default());
                }
            }
        }
        if out.iter().any(u8::is_ascii_control) {
            let raw = std::mem::take(out);
            escape_value(&raw, out);
        }
    }
}

#[cfg(test)]
mod tests {
    use lockgate_pattern::Pattern;
    use lockgate_plugin::testing::Request;
    use proptest::prelude::*;

    use super::*;

    fn rendered(text: &str) -> String {
        let pattern = Pattern::compile("(b)(x)?", false).expect("a pattern");
        let found = pattern.captures(b"abc").expect("few steps");
        let mut request = Request::get("/?a=1");
        let mut out = Vec::new();
        let text = Text::with_groups(text);
        text.render(&Exchange::new(&mut request), found.as_ref(), &mut out);
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn groups_and_variables_stand_in_texts() {
        for (text, expected) in [
            ("$1", "b"),
            ("${1}$0", "bb"),
            ("$1}x$2y$9z", "bxyz"),
            ("${1", "b"),
            ("$arg_a$1$arg_a", "1b1"),
            ("\\$1", "\\$1"),
            ("$ $$1 ${", "$ $b ${"),
            ("", ""),
        ] {
            assert_eq!(rendered(text), expected, "{text}");
        }
    }

    #[test]
    fn lines_are_names_and_values() {
        for (text, is_line) in [
            ("a:b", true),
            ("a : b c", true),
            ("a b: c", false),
            (": c", false),
            ("a:", false),
            ("a: b:c", false),
            ("a", false),
        ] {
            assert_eq!(line(text).is_some(), is_line, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_can_be_sent(text in "[$\\\\{}0-2a_\r\né-]{0,12}") {
            let out = rendered(&text);
            prop_assert!(!out.contains(['\r', '\n']));
            if !text.contains(['$', '\r', '\n']) {
                prop_assert_eq!(out, text);
            }
        }
    }
}
