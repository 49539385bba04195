//! Filters and pages of listings (`apisix/admin/v3_adapter.lua`). Only version 3 of the API has them.

use http::StatusCode;
use lockgate_expr::Pattern;
use lockgate_store::Entry;
use serde_json::Value;

use crate::{args::Args, limits::PAGE_SIZE, lua_value::to_number, response::Answer};

/// Which entries a listing shows.
pub(crate) struct Filter<'a> {
    name: Option<Regex>,
    uri: Option<Regex>,
    label: Option<&'a str>,
    /// Fields and the texts they must have.
    fields: Vec<(String, Option<String>)>,
}

/// A pattern, or nothing where it does not compile: then it matches nothing, as in the reference.
struct Regex(Option<Pattern>);

impl Regex {
    fn new(text: &str) -> Self {
        Self(Pattern::compile(text, false))
    }

    fn finds(&self, value: &Value) -> bool {
        let Self(Some(pattern)) = self else {
            return false;
        };
        match value {
            Value::String(text) => pattern.is_match(text.as_bytes()),
            other => pattern.is_match(other.to_string().as_bytes()),
        }
    }
}

impl<'a> Filter<'a> {
    /// Reads the filters of a request; of those in `filter`, only `fields` count. `None` where every entry is shown.
    pub(crate) fn of(args: &'a Args, fields: &[&str]) -> Option<Self> {
        let text = |name: &str| args.first(name).map(|arg| arg.text().unwrap_or("true"));
        let wanted = Args::parse(text("filter").unwrap_or_default());
        let filter = Self {
            name: text("name").map(Regex::new),
            uri: text("uri").map(Regex::new),
            label: text("label"),
            fields: wanted
                .last_of_each()
                .filter(|(field, _)| fields.contains(field))
                .map(|(field, arg)| (field.to_owned(), arg.text().map(str::to_owned)))
                .collect(),
        };
        let is_open = filter.name.is_none()
            && filter.uri.is_none()
            && filter.label.is_none()
            && filter.fields.is_empty();
        (!is_open).then_some(filter)
    }

    /// Whether an entry is shown.
    pub(crate) fn takes(&self, entry: &Entry) -> bool {
        let Ok(value) = serde_json::from_slice::<Value>(&entry.value) else {
            return false;
        };
        self.takes_name(&value)
            && self.takes_label(&value)
            && self.takes_uri(&value)
            && self.takes_fields(&value)
    }

    /// An object without a name has the name `nil`, as in the reference; so an empty pattern finds every object.
    fn takes_name(&self, value: &Value) -> bool {
        let Some(name) = &self.name else { return true };
        let nameless = Value::from("nil");
        name.finds(value.get("name").unwrap_or(&nameless))
    }

    fn takes_label(&self, value: &Value) -> bool {
        let Some(label) = self.label else { return true };
        value
            .get("labels")
            .is_some_and(|labels| labels.get(label).is_some())
    }

    fn takes_uri(&self, value: &Value) -> bool {
        let Some(uri) = &self.uri else { return true };
        let uris = value.get("uris").and_then(Value::as_array);
        value
            .get("uri")
            .into_iter()
            .chain(uris.into_iter().flatten())
            .any(|found| uri.finds(found))
    }

    /// Texts equal texts only: a `service_id` written as a number is never found, as in the reference.
    fn takes_fields(&self, value: &Value) -> bool {
        self.fields.iter().all(|(field, text)| {
            let found = value.get(field).and_then(Value::as_str);
            found.is_some() && found == text.as_deref()
        })
    }
}

/// Which entries of a filtered listing one page holds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Page {
    /// The first, counted from 1.
    first: f64,
    /// The last.
    last: f64,
}

impl Page {
    /// Reads the page of a request; `None` where the whole listing is asked for.
    ///
    /// # Errors
    /// The answer to a size out of bounds, which is a bare text.
    pub(crate) fn of(args: &Args) -> Result<Option<Self>, Answer> {
        let number = |name: &str| args.only(name).and_then(to_number);
        let (Some(page), Some(size)) = (number("page"), number("page_size")) else {
            return Ok(None);
        };
        if !PAGE_SIZE.contains(&size) {
            let text = "page_size must be between 10 and 500";
            return Err(Answer::text(StatusCode::BAD_REQUEST, text));
        }
        let last = page.max(1.0) * size;
        let first = last - size + 1.0;
        Ok(Some(Self { first, last }))
    }

    /// The entries of the page.
    pub(crate) fn cut(self, entries: &[Entry]) -> &[Entry] {
        // Lua counts up from `first`, so a fraction never hits a place.
        if self.first.fract() != 0.0 {
            return &[];
        }
        let length = entries.len() as f64;
        let first = (self.first - 1.0).min(length) as usize;
        let last = self.last.floor().min(length) as usize;
        entries.get(first..last).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_pages() {
        let entries: Vec<Entry> = (1..=25)
            .map(|revision| Entry {
                key: "routes/1".into(),
                value: (*b"{}").into(),
                create_revision: revision,
                mod_revision: revision,
            })
            .collect();
        for (query, expected) in [
            ("page=1&page_size=10", Some(1..=10)),
            ("page=3&page_size=10", Some(21..=25)),
            ("page=4&page_size=10", None),
            ("page=-1&page_size=10", Some(1..=10)),
            ("page=0&page_size=500", Some(1..=25)),
            ("page=1.5&page_size=10", Some(6..=15)),
            ("page=1&page_size=10.5", Some(1..=10)),
            ("page=1.25&page_size=10", None),
            ("page=1e300&page_size=10", None),
            ("page=0x2&page_size=+10", Some(11..=20)),
        ] {
            let page = Page::of(&Args::parse(query)).unwrap();
            let shown = page.map(|page| page.cut(&entries));
            let bounds = shown.and_then(|shown| {
                Some(shown.first()?.create_revision..=shown.last()?.create_revision)
            });
            assert_eq!(bounds, expected, "{query}");
        }
        for query in [
            "",
            "page=1",
            "page_size=10",
            "page=x&page_size=10",
            "page=1&page=2&page_size=10",
        ] {
            assert_eq!(Page::of(&Args::parse(query)).unwrap(), None, "{query}");
        }
        for query in [
            "page=1&page_size=9.9",
            "page=1&page_size=501",
            "page=1&page_size=-1",
        ] {
            assert!(Page::of(&Args::parse(query)).is_err(), "{query}");
        }
    }
}
