//! The status API: whether the process lives, and whether it is ready for traffic (`status` and `status_ready` in `apisix/init.lua`).
//!
//! No keys and no rules. As nginx's locations are prefixes, so are the paths here.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use serde_json::json;

use crate::{
    admin::server_value,
    options::Readiness,
    request::{Call, read_away},
    response::Answer,
    server::Api,
};

/// The status API.
pub struct StatusApi {
    server: HeaderValue,
    readiness: Readiness,
}

impl StatusApi {
    /// A status API; `server` is the value of the `Server` field.
    pub fn new(server: &str, readiness: Readiness) -> Self {
        Self {
            server: server_value(server),
            readiness,
        }
    }

    fn answer(&self, call: &Call) -> Answer {
        let path = call.path.text();
        let problem = if path.starts_with("/status/ready") {
            (self.readiness)().err()
        } else if path.starts_with("/status") {
            None
        } else {
            return Answer::page(StatusCode::NOT_FOUND);
        };
        // Without the newline that other JSON answers end with.
        match problem {
            None => Answer::text(StatusCode::OK, json!({"status": "ok"}).to_string()),
            Some(error) => Answer::text(
                StatusCode::SERVICE_UNAVAILABLE,
                json!({"status": "error", "error": error}).to_string(),
            ),
        }
    }
}

impl Api for StatusApi {
    type Body = Full<Bytes>;

    async fn respond(&self, request: Request<Incoming>, peer: SocketAddr) -> Response<Full<Bytes>> {
        let (head, mut body) = request.into_parts();
        let answer = match Call::new(head, peer) {
            Err(_malformed) => Answer::page(StatusCode::BAD_REQUEST).closing(),
            Ok(call) => {
                let answer = self.answer(&call);
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
