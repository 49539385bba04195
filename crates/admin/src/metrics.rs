//! The metrics' own port: one path, and nothing else (`export_metrics` in `apisix/plugins/prometheus/exporter.lua`).
//!
//! The text is made as whoever asks takes it: one who takes nothing holds a piece, and not the whole.

use std::{
    future::Future,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::{Body, Frame, Incoming};
use tokio::time::{Sleep, sleep};

use crate::{
    admin::server_value,
    limits::{METRICS_STEP, METRICS_TIME},
    request::{Call, read_away},
    response::Answer,
    server::Api,
};

/// The text of all metrics, in pieces that are made as they are asked for, at once.
pub type MetricsPieces = Box<dyn Iterator<Item = Vec<u8>> + Send>;

/// Begins to make it.
pub type MetricsText =
    Arc<dyn Fn() -> Pin<Box<dyn Future<Output = MetricsPieces> + Send>> + Send + Sync>;

/// Shows metrics.
pub struct MetricsApi {
    server: HeaderValue,
    path: String,
    text: MetricsText,
}

impl MetricsApi {
    /// Shows them at this path; `server` is the value of the `Server` field.
    pub fn new(server: &str, path: String, text: MetricsText) -> Self {
        Self {
            server: server_value(server),
            path,
            text,
        }
    }

    fn is_asked(&self, call: &Call, method: &Method) -> bool {
        *method == Method::GET && call.path.text() == self.path
    }
}

impl Api for MetricsApi {
    type Body = Text;

    async fn respond(&self, request: Request<Incoming>, peer: SocketAddr) -> Response<Text> {
        let (head, mut body) = request.into_parts();
        let method = head.method.clone();
        let mut is_asked = false;
        let answer = match Call::new(head, peer) {
            Err(_malformed) => Answer::page(StatusCode::BAD_REQUEST).closing(),
            Ok(call) => {
                is_asked = self.is_asked(&call, &method);
                let answer = if is_asked {
                    Answer::empty(StatusCode::OK)
                } else {
                    Answer::page(StatusCode::NOT_FOUND)
                };
                if read_away(&call, &mut body).await {
                    answer
                } else {
                    answer.closing()
                }
            }
        };
        let response = answer.into_response(&self.server, "text/plain; charset=utf-8");
        if is_asked {
            let pieces = Pieces::of((self.text)().await);
            response.map(|_empty| Text::Pieces(pieces))
        } else {
            response.map(Text::Whole)
        }
    }

    fn server(&self) -> &HeaderValue {
        &self.server
    }
}

/// The body of an answer.
pub(crate) enum Text {
    Whole(Full<Bytes>),
    Pieces(Pieces),
}

impl From<Full<Bytes>> for Text {
    fn from(whole: Full<Bytes>) -> Self {
        Self::Whole(whole)
    }
}

/// A text that is still being made, for a while.
pub(crate) struct Pieces {
    made: MetricsPieces,
    end: Pin<Box<Sleep>>,
    /// Pieces that were made since others had their turn.
    in_a_row: usize,
}

impl Pieces {
    fn of(pieces: MetricsPieces) -> Self {
        Self {
            made: pieces,
            end: Box::pin(sleep(METRICS_TIME)),
            in_a_row: 0,
        }
    }

    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<io::Result<Vec<u8>>>> {
        if self.end.as_mut().poll(context).is_ready() {
            return Poll::Ready(Some(Err(io::ErrorKind::TimedOut.into())));
        }
        if self.in_a_row == METRICS_STEP {
            self.in_a_row = 0;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.in_a_row += 1;
        Poll::Ready(self.made.next().map(Ok))
    }
}

impl Body for Text {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match self.get_mut() {
            Self::Whole(whole) => {
                let frame = ready!(Pin::new(whole).poll_frame(context));
                Poll::Ready(frame.map(|frame| frame.map_err(|never| match never {})))
            }
            Self::Pieces(pieces) => {
                let piece = ready!(pieces.poll_next(context));
                Poll::Ready(piece.map(|piece| Ok(Frame::data(piece?.into()))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(whole) if whole.is_end_stream())
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        match self {
            Self::Whole(whole) => whole.size_hint(),
            Self::Pieces(_) => hyper::body::SizeHint::default(),
        }
    }
}
