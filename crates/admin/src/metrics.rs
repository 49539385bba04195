//! The metrics' own port: one path, and nothing else (`export_metrics` in `apisix/plugins/prometheus/exporter.lua`).

use std::{future::Future, net::SocketAddr, pin::Pin, sync::Arc};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;

use crate::{
    admin::server_value,
    request::{Call, read_away},
    response::Answer,
    server::Api,
};

/// Makes the text of all metrics.
pub type MetricsText = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = Vec<u8>> + Send>> + Send + Sync>;

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

    async fn answer(&self, call: &Call, method: &Method) -> Answer {
        if *method != Method::GET || call.path.text() != self.path {
            return Answer::page(StatusCode::NOT_FOUND);
        }
        let text = (self.text)().await;
        Answer::bytes(StatusCode::OK, text.into(), "text/plain; charset=utf-8")
    }
}

impl Api for MetricsApi {
    async fn respond(&self, request: Request<Incoming>, peer: SocketAddr) -> Response<Full<Bytes>> {
        let (head, mut body) = request.into_parts();
        let method = head.method.clone();
        let answer = match Call::new(head, peer) {
            Err(_malformed) => Answer::page(StatusCode::BAD_REQUEST).closing(),
            Ok(call) => {
                let answer = self.answer(&call, &method).await;
                if read_away(&call, &mut body).await {
                    answer
                } else {
                    answer.closing()
                }
            }
        };
        answer.into_response(&self.server, "text/plain; charset=utf-8")
    }

    fn server(&self) -> &HeaderValue {
        &self.server
    }
}
