//! What hooks answer with.

use bytes::Bytes;
use lockgate_http::{field::FieldName, headers::Headers};
use serde::Serialize;

use crate::{Exchange, SendFuture};

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
#[non_exhaustive]
pub enum Body {
    /// The page that the gateway has for the status; nothing where it has none (2xx).
    Page,
    /// These bytes, by default as `text/plain`.
    Bytes(Bytes),
    /// Pieces that come while they are sent, by default as `text/plain`; made by [`Body::stream`] and [`Body::pieces`].
    Stream(Box<dyn BodyStream>),
}

/// A body that comes while it is sent: the events of a model, the lines of a long report.
pub trait BodyStream: Send {
    /// The next piece; `None` at the end. It is asked for when the client has taken the one before, so a slow client slows the source;
    /// when the client is gone the stream is dropped. An empty piece is skipped.
    ///
    /// # Errors
    /// The body cannot be finished. The connection to the client is cut, so that what was sent is not taken for the whole.
    fn next(&mut self) -> SendFuture<'_, Result<Option<Bytes>, StreamError>>;

    /// Nothing more is asked for: the body has ended or broken off, the client has left, or it gets no body. For what logs are to say of it
    /// ([`Exchange::set_variable`]): `log` hooks run next. Not called where `_meta.error_response` takes the place of the body.
    fn ended(&mut self, _ex: &mut Exchange<'_>) {}
}

/// Why a body cannot be finished: one sentence for the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct StreamError(pub String);

impl Body {
    /// A body that comes while it is sent.
    pub fn stream(stream: impl BodyStream + 'static) -> Self {
        Self::Stream(Box::new(stream))
    }

    /// A body of pieces that need not be waited for, made while they are sent.
    pub fn pieces<I>(pieces: I) -> Self
    where
        I: IntoIterator<IntoIter: Send + 'static>,
        I::Item: Into<Bytes>,
    {
        Self::stream(Pieces(pieces.into_iter()))
    }
}

struct Pieces<I>(I);

impl<I: Iterator<Item: Into<Bytes>> + Send> BodyStream for Pieces<I> {
    fn next(&mut self) -> SendFuture<'_, Result<Option<Bytes>, StreamError>> {
        Box::pin(std::future::ready(Ok(self.0.next().map(Into::into))))
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self::Bytes(bytes)
    }
}

impl std::fmt::Debug for Body {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Page => out.write_str("Page"),
            Self::Bytes(bytes) => write!(out, "Bytes({})", bytes.escape_ascii()),
            Self::Stream(_) => out.write_str("Stream"),
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
    pub fn bytes(status: u16, body: impl Into<Bytes>) -> Self {
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
    pub fn header(mut self, name: &FieldName, value: impl AsRef<[u8]>) -> Self {
        self.headers.append_field(name, value.as_ref());
        self
    }
}
