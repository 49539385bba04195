//! What hooks answer with.

use std::borrow::Cow;

use lockgate_http::headers::Headers;
use serde::Serialize;

/// What becomes of the request after a hook.
#[derive(Debug)]
#[must_use]
pub enum Flow {
    /// It goes on.
    Next,
    /// It is answered with this, and goes no further.
    Reply(Box<Reply>),
}

impl Flow {
    /// An answer whose body is this value as JSON and a line end, as the reference's `core.response.exit` sends tables.
    pub fn json(status: u16, body: &impl Serialize) -> Self {
        Reply::json(status, body).into()
    }

    /// [`Flow::json`] with `{"message": …}`, which is how most of the reference's plugins refuse.
    pub fn message(status: u16, message: &str) -> Self {
        Self::json(status, &Message { message })
    }

    /// The page that the gateway has for a status.
    pub fn page(status: u16) -> Self {
        Reply::new(status, Body::Page).into()
    }
}

impl From<Reply> for Flow {
    fn from(reply: Reply) -> Self {
        Self::Reply(Box::new(reply))
    }
}

#[derive(Serialize)]
struct Message<'a> {
    message: &'a str,
}

/// An answer of a plugin's.
#[derive(Debug)]
pub struct Reply {
    /// The status, 200 to 599.
    pub status: u16,
    /// Fields of the head; a `Content-Type` here replaces the one that the body has by default.
    pub headers: Headers,
    /// The body.
    pub body: Body,
    /// The plugin that answers; chains fill it in.
    pub by: &'static str,
}

/// The body of an answer.
pub enum Body {
    /// The page that the gateway has for the status; nothing where it has none (2xx).
    Page,
    /// These bytes, by default as `text/plain`.
    Bytes(Cow<'static, [u8]>),
    /// Pieces that are made while they are sent, by default as `text/plain`; an empty piece is skipped.
    Pieces(Box<dyn Iterator<Item = Vec<u8>> + Send>),
}

impl std::fmt::Debug for Body {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Page => out.write_str("Page"),
            Self::Bytes(bytes) => write!(out, "Bytes({})", bytes.escape_ascii()),
            Self::Pieces(_) => out.write_str("Pieces"),
        }
    }
}

impl Reply {
    /// An answer without fields of its own.
    pub fn new(status: u16, body: Body) -> Self {
        Self {
            status,
            headers: Headers::default(),
            body,
            by: "",
        }
    }

    /// An answer of these bytes.
    pub fn bytes(status: u16, body: impl Into<Cow<'static, [u8]>>) -> Self {
        Self::new(status, Body::Bytes(body.into()))
    }

    /// An answer whose body is this value as JSON and a line end.
    pub fn json(status: u16, body: &impl Serialize) -> Self {
        let mut bytes = serde_json::to_vec(body).unwrap_or_default();
        bytes.push(b'\n');
        Self::bytes(status, bytes)
    }

    /// The same with a field more.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.append(name.as_bytes(), value.as_ref());
        self
    }
}
