//! What is answered, before it becomes HTTP.

use std::borrow::Cow;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use http_body_util::Full;
use lockgate_store::StoreError;
use serde_json::{Value, json};

/// One answer.
#[derive(Debug)]
pub(crate) struct Answer {
    status: StatusCode,
    body: Body,
    fields: Vec<(HeaderName, HeaderValue)>,
}

#[derive(Debug)]
enum Body {
    Empty,
    /// A JSON text without the final newline.
    Json(Vec<u8>),
    Text(String),
    /// Bytes of a type.
    Bytes(Bytes, &'static str),
    /// nginx's page for the status, and what it says more.
    Page(Option<&'static str>),
}

impl Answer {
    /// A status without a body.
    pub(crate) fn empty(status: StatusCode) -> Self {
        Self::new(status, Body::Empty)
    }

    /// A JSON value and a newline (`apisix/core/response.lua`).
    pub(crate) fn json(status: StatusCode, value: &Value) -> Self {
        Self::json_bytes(status, value.to_string().into_bytes())
    }

    /// A JSON text, to which a newline is added.
    pub(crate) fn json_bytes(status: StatusCode, text: Vec<u8>) -> Self {
        Self::new(status, Body::Json(text))
    }

    /// `{"error_msg": …}`.
    pub(crate) fn error(status: StatusCode, message: impl Into<String>) -> Self {
        Self::json(status, &json!({ "error_msg": message.into() }))
    }

    /// `{"error_msg": …}` with status 400.
    pub(crate) fn refusal(message: impl Into<String>) -> Self {
        Self::error(StatusCode::BAD_REQUEST, message)
    }

    /// A bare text.
    pub(crate) fn text(status: StatusCode, text: impl Into<String>) -> Self {
        Self::new(status, Body::Text(text.into()))
    }

    /// The HTML page that nginx makes for a status.
    pub(crate) fn page(status: StatusCode) -> Self {
        Self::new(status, Body::Page(None))
    }

    /// The HTML page that nginx makes for a bad request of a kind that it has words for.
    pub(crate) fn bad_request_page(words: &'static str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, Body::Page(Some(words)))
    }

    /// Bytes of a type.
    pub(crate) fn bytes(status: StatusCode, bytes: Bytes, kind: &'static str) -> Self {
        Self::new(status, Body::Bytes(bytes, kind))
    }

    /// The status.
    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    /// The text, for the log.
    pub(crate) fn as_text(&self) -> Cow<'_, str> {
        match &self.body {
            Body::Json(text) => String::from_utf8_lossy(text),
            Body::Text(text) => Cow::Borrowed(text),
            Body::Empty | Body::Bytes(..) | Body::Page(_) => Cow::Borrowed(""),
        }
    }

    /// Adds a field.
    pub(crate) fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.fields.push((name, value));
        self
    }

    /// Ends the connection after this answer.
    pub(crate) fn closing(self) -> Self {
        self.with(header::CONNECTION, HeaderValue::from_static("close"))
    }

    /// The response. Texts have the given type, unless a field of the answer says otherwise.
    pub(crate) fn into_response(
        self,
        server: &HeaderValue,
        text_type: &'static str,
    ) -> Response<Full<Bytes>> {
        let (content_type, body) = match self.body {
            Body::Empty => (text_type, Bytes::new()),
            Body::Text(text) => (text_type, Bytes::from(text)),
            Body::Bytes(bytes, kind) => (kind, bytes),
            Body::Page(words) => (
                "text/html; charset=utf-8",
                Bytes::from(page_text(self.status, words)),
            ),
            Body::Json(mut text) => {
                text.push(b'\n');
                ("application/json", Bytes::from(text))
            }
        };
        let mut response = Response::new(Full::new(body));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::SERVER, server.clone());
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        for (name, value) in self.fields {
            headers.insert(name, value);
        }
        response
    }

    fn new(status: StatusCode, body: Body) -> Self {
        Self {
            status,
            body,
            fields: Vec::new(),
        }
    }
}

impl From<StoreError> for Answer {
    /// The reference answers what its etcd client says with status 503.
    fn from(error: StoreError) -> Self {
        Self::error(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
    }
}

/// nginx's page with the reference's footer (`t/error_page`).
fn page_text(status: StatusCode, words: Option<&str>) -> String {
    let name = match status.as_u16() {
        405 => "Not Allowed",
        408 => "Request Time-out",
        other => StatusCode::from_u16(other)
            .ok()
            .and_then(|status| status.canonical_reason())
            .unwrap_or_default(),
    };
    let code = status.as_u16();
    let title = format!("{code} {}", words.unwrap_or(name));
    let words = words.map_or_else(String::new, |words| format!("<center>{words}</center>\r\n"));
    format!(
        "<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{code} {name}</h1></center>\r\n{words}\
         <hr><center>openresty</center>\r\n\
         <p><em>Powered by <a href=\"https://apisix.apache.org/\">APISIX</a>.</em></p></body>\r\n</html>\r\n"
    )
}
