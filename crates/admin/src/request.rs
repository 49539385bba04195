//! A request: its head in the shape the APIs ask of it, and its body within bounds.

use std::net::{IpAddr, SocketAddr};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, header, request::Parts};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use tokio::time::{Instant, timeout, timeout_at};

use crate::{
    args::Args,
    limits::{BODY_PIECE_TIME, BODY_TIME, REFUSED_BODY_BYTES, REFUSED_BODY_TIME},
    path::{Malformed, Path},
};

/// The head of a request.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) path: Path,
    pub(crate) args: Args,
    pub(crate) headers: HeaderMap,
    /// The other end of the connection, or whom it speaks for.
    pub(crate) client: IpAddr,
}

impl Call {
    /// Reads the head.
    ///
    /// # Errors
    /// The path is not one.
    pub(crate) fn new(head: Parts, peer: SocketAddr) -> Result<Self, Malformed> {
        Ok(Self {
            path: Path::parse(head.uri.path())?,
            args: Args::parse(head.uri.query().unwrap_or_default()),
            method: head.method,
            headers: head.headers,
            client: peer.ip().to_canonical(),
        })
    }

    /// The texts of a header field, joined as nginx joins them.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        let texts: Vec<_> = self
            .headers
            .get_all(name)
            .iter()
            .map(|value| String::from_utf8_lossy(value.as_bytes()))
            .collect();
        (!texts.is_empty()).then(|| texts.join(", "))
    }

    /// Whether the client waits for a go-ahead before it sends the body.
    fn expects_continue(&self) -> bool {
        self.headers
            .get(header::EXPECT)
            .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
    }
}

/// Why a body cannot be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyError {
    /// It is larger than allowed: its size, or what was read of it by then.
    TooLarge(u64),
    /// It came too slowly.
    Slow,
    /// The connection or its framing broke.
    Broken,
}

/// Reads a body of at most `bytes_max`; `None` where there is none.
///
/// # Errors
/// It cannot be had.
pub(crate) async fn read_body(
    call: &Call,
    body: &mut Incoming,
    bytes_max: u64,
) -> Result<Option<Bytes>, BodyError> {
    if let Some(announced) = announced_bytes(call)
        && announced > bytes_max
    {
        return Err(BodyError::TooLarge(announced));
    }
    let deadline = Instant::now() + BODY_TIME;
    let mut whole = BytesMut::new();
    loop {
        let piece_deadline = deadline.min(Instant::now() + BODY_PIECE_TIME);
        let frame = match timeout_at(piece_deadline, body.frame()).await {
            Err(_elapsed) => return Err(BodyError::Slow),
            Ok(None) => break,
            Ok(Some(Err(error))) => {
                tracing::debug!(%error, "a request body broke off");
                return Err(BodyError::Broken);
            }
            Ok(Some(Ok(frame))) => frame,
        };
        if let Ok(data) = frame.into_data() {
            whole.extend_from_slice(&data);
        }
        let bytes = whole.len() as u64;
        if bytes > bytes_max {
            return Err(BodyError::TooLarge(bytes));
        }
    }
    Ok((!whole.is_empty()).then(|| whole.freeze()))
}

/// Reads away a body that nobody wants, so that a client which is still sending it can read the answer. Returns whether the connection
/// can serve further requests.
pub(crate) async fn read_away(call: &Call, body: &mut Incoming) -> bool {
    if body.is_end_stream() {
        return true;
    }
    // The client waits for the answer in this case, and sends no body after it.
    if call.expects_continue() {
        return false;
    }
    let read = async {
        let mut bytes = 0;
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else { return false };
            bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
            if bytes > REFUSED_BODY_BYTES {
                return false;
            }
        }
        true
    };
    timeout(REFUSED_BODY_TIME, read).await.unwrap_or(false)
}

fn announced_bytes(call: &Call) -> Option<u64> {
    let value = call.headers.get(header::CONTENT_LENGTH)?;
    value.to_str().ok()?.parse().ok()
}
