//! Variables that look into the body of the request: `post_arg_…`, `post_arg.…`, `graphql_…` (`apisix/core/ctx.lua`).
//!
//! A body that has come whole with the head is looked into at once. Of any other the router notes that it is wanted, and how much of it;
//! whoever called the router then reads it and asks again. What was found is kept for the rest of the exchange.

use std::{borrow::Cow, cell::OnceCell};

use lockgate_content::{form, graphql, multipart};
use lockgate_expr::Value as Kinded;
use serde_json::{Map, Value as Json};

use super::{Facts, Value, View, content_type, text};

const JSON: &[u8] = b"application/json";
const FORM: &[u8] = b"application/x-www-form-urlencoded";
const MULTIPART: &[u8] = b"multipart/form-data";

/// What was found in a body.
#[derive(Debug, Default)]
pub(crate) struct Told {
    fields: OnceCell<Option<Json>>,
    graphql: OnceCell<Option<Graphql>>,
}

/// The first operation of a GraphQL request.
#[derive(Debug)]
pub(super) struct Graphql {
    pub(super) name: Box<str>,
    pub(super) operation: Option<Box<str>>,
    pub(super) root_fields: Box<[Box<str>]>,
}

impl<'a> Facts<'a> {
    fn told(&self) -> &'a Told {
        self.exchange.told.get_or_init(Box::default)
    }

    /// The whole body, where it is here and not larger than `limit`. Where it is still to come, notes that it is wanted.
    fn body(&self, limit: u64) -> Option<&'a [u8]> {
        let upload = &self.exchange.upload;
        if upload.is_read() && upload.received() <= limit {
            return upload.whole(self.exchange.unread.as_ref());
        }
        if self.view == View::Routing && !upload.is_read() {
            self.wanted.set(self.wanted.get().max(limit));
        }
        None
    }

    /// `request_body` of nginx: what was read to be sent on, for the log.
    pub(super) fn request_body(&self) -> Value<'a> {
        if self.view != View::Log {
            return None;
        }
        let body = self.exchange.upload.whole(self.exchange.unread.as_ref())?;
        text::filled(body)
    }

    /// The first argument of this name in a form. One without `=` is true.
    pub(super) fn post_argument(&self, name: &str) -> Option<Kinded<'a>> {
        if !content_type(self.exchange).starts_with(FORM) {
            return None;
        }
        text::argument(self.body(self.worker.options().max_post_args_bytes)?, name)
    }

    /// The body as fields, whichever of the three types it has.
    pub(super) fn fields(&self) -> Option<&'a Json> {
        if let Some(known) = self.told().fields.get() {
            return known.as_ref();
        }
        let content_type = content_type(self.exchange);
        let read = reader(content_type)?;
        let body = self.body(self.worker.options().max_post_args_bytes)?;
        let fields = read(body, content_type);
        if fields.is_none() {
            tracing::info!(client = %self.client.peer, "a request body is not what its content type says");
        }
        self.told().fields.get_or_init(|| fields).as_ref()
    }

    /// The first operation of a GraphQL request: in the argument `query` of a `GET`, or in the body of a `POST`.
    pub(super) fn graphql(&self) -> Option<&'a Graphql> {
        if let Some(known) = self.told().graphql.get() {
            return known.as_ref();
        }
        let request = &self.exchange.request;
        let found = match request.method_name() {
            b"GET" => {
                let query = request.query().unwrap_or_default();
                let text = form::first(query, b"query").flatten();
                text.ok_or_else(|| "args[query] is nil".into())
                    .and_then(|text| read_graphql(&text))
            }
            b"POST" => {
                let body = self.body(self.worker.options().max_graphql_bytes)?;
                document(body, content_type(self.exchange)).and_then(|text| read_graphql(&text))
            }
            _ => Err("graphql supports GET and POST alone".into()),
        };
        let found = found.inspect_err(
            |reason| tracing::info!(client = %self.client.peer, reason, "failed to read graphql data"),
        );
        self.told().graphql.get_or_init(|| found.ok()).as_ref()
    }
}

/// Reads a body, which is of this content type.
type Reader = fn(&[u8], &[u8]) -> Option<Json>;

/// How a body of this type is read. The reference looks for the names anywhere in the field.
fn reader(content_type: &[u8]) -> Option<Reader> {
    let names = |name: &[u8]| memchr::memmem::find(content_type, name).is_some();
    if names(JSON) {
        Some(|body, _| serde_json::from_slice(body).ok())
    } else if names(FORM) {
        Some(|body, _| Some(form_fields(body)))
    } else if names(MULTIPART) {
        Some(|body, content_type| {
            let boundary = multipart::boundary(content_type)?;
            let parts = multipart::parts(body, boundary).into_iter();
            let fields = parts.map(|(name, content)| (lossy(name), Json::String(lossy(content))));
            Some(Json::Object(fields.collect()))
        })
    } else {
        None
    }
}

/// A form as fields. A name that comes again has the list of its values.
fn form_fields(body: &[u8]) -> Json {
    let mut fields = Map::new();
    for (name, value) in form::pairs(body) {
        let value = value.map_or(Json::Bool(true), |value| Json::String(lossy(&value)));
        match fields.get_mut(&*String::from_utf8_lossy(&name)) {
            None => {
                fields.insert(lossy(&name), value);
            }
            Some(Json::Array(values)) => values.push(value),
            Some(first) => *first = Json::Array(vec![first.take(), value]),
        }
    }
    Json::Object(fields)
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The document in the body of a `POST`: its field `query` where it is JSON by exactly that name, else the whole.
fn document<'a>(body: &'a [u8], content_type: &[u8]) -> Result<Cow<'a, [u8]>, String> {
    if body.is_empty() {
        return Err("request body has zero size".into());
    }
    if content_type != JSON {
        return Ok(Cow::Borrowed(body));
    }
    let json: Json = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    match json.get("query") {
        Some(Json::String(query)) => Ok(Cow::Owned(query.as_bytes().to_vec())),
        _ => Err("json body[query] is nil".into()),
    }
}

fn read_graphql(text: &[u8]) -> Result<Graphql, String> {
    let text = std::str::from_utf8(text).map_err(|error| error.to_string())?;
    let document = graphql::parse(text)?;
    if document.definitions > 1 {
        tracing::info!(
            "Multiple operations are not supported: only the first one of a GraphQL request is looked at"
        );
    }
    Ok(Graphql {
        name: document.name.into(),
        operation: document.operation.map(Into::into),
        root_fields: document.root_fields.into_iter().map(Into::into).collect(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_body_is_read_by_its_content_type() {
        let check = |content_type: &str, body: &str, expected: Option<Json>| {
            let content_type = content_type.as_bytes();
            let fields = reader(content_type).and_then(|read| read(body.as_bytes(), content_type));
            assert_eq!(fields, expected, "{body}");
        };
        check("application/json", "{\"a\": [1]}", Some(json!({"a": [1]})));
        check("application/json; charset=utf-8", "7", Some(json!(7)));
        check("application/json", "{", None);
        check("application/json", "", None);
        check(
            "application/x-www-form-urlencoded",
            "a=1&b&a=x+y&a",
            Some(json!({"a": ["1", "x y", true], "b": true})),
        );
        check(
            "application/x-www-form-urlencoded;charset=utf-8",
            "",
            Some(json!({})),
        );
        check(
            "multipart/form-data; boundary=b",
            "--b\r\nContent-Disposition: form-data; name=\"m\"\r\n\r\nx\r\n--b\r\n\
             Content-Disposition: form-data; name=\"m\"\r\n\r\ny\r\n--b--",
            Some(json!({"m": "y"})),
        );
        check("multipart/form-data", "--b", None);
        check("text/plain", "{}", None);
        check("", "{}", None);
    }

    #[test]
    fn a_document_is_found_in_json_or_is_the_body() {
        let check = |content_type: &str, body: &str, expected: Result<&str, &str>| {
            let found = document(body.as_bytes(), content_type.as_bytes());
            let found = found.map(|text| String::from_utf8_lossy(&text).into_owned());
            assert_eq!(found.as_deref().map_err(String::as_str), expected, "{body}");
        };
        check("", "{ a }", Ok("{ a }"));
        check("application/graphql", "{ a }", Ok("{ a }"));
        check("application/json", "{\"query\": \"{ a }\"}", Ok("{ a }"));
        check(
            "application/json; charset=utf-8",
            "{\"query\": 1}",
            Ok("{\"query\": 1}"),
        );
        check("application/json", "{}", Err("json body[query] is nil"));
        check("application/json", "[1]", Err("json body[query] is nil"));
        check("", "", Err("request body has zero size"));
    }
}
