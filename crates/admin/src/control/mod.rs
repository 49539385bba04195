//! The control API: what this process has loaded (`apisix/control/v1.lua`, `docs/control-api.md`).
//!
//! No keys and no rules: whoever reaches the address may ask.

mod dump;
mod health;
mod lines;
mod metadata;

use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use serde_json::{Map, Value, json};

use crate::{
    admin::server_value,
    options::{ControlOptions, Discovered},
    plugins::{self, Plugins},
    request::{Call, read_away},
    response::Answer,
    schemas::{self, Schemas},
    server::Api,
};

/// Schemas that `/v1/schema` shows.
const MAIN_SCHEMAS: &[&str] = &[
    "consumer",
    "consumer_group",
    "global_rule",
    "graphql_cost_decoration",
    "plugin_config",
    "plugins",
    "proto",
    "route",
    "service",
    "ssl",
    "stream_route",
    "upstream",
    "upstream_hash_header_schema",
    "upstream_hash_vars_schema",
];

/// The control API: what this process has loaded.
pub struct Control {
    options: ControlOptions,
    schemas: Schemas,
    server: HeaderValue,
}

impl Control {
    /// A control API.
    pub fn new(options: ControlOptions) -> Self {
        Self {
            server: server_value(&options.server),
            schemas: Schemas::load(dump::KINDS.iter().map(|kind| kind.singular)),
            options,
        }
    }

    async fn answer(&self, call: &Call) -> Answer {
        let segments = call.path.segments();
        let Some(("v1", inside)) = segments.split_first().map(|(first, rest)| (*first, rest))
        else {
            return Answer::page(StatusCode::NOT_FOUND);
        };
        let dump = |kind: &'static dump::Kind, id: Option<&str>| {
            let id = id.map(str::to_owned);
            async move {
                dump::answer(&self.options, &self.schemas, kind, id.as_deref())
                    .await
                    .unwrap_or_else(Answer::from)
            }
        };
        match (&call.method, inside) {
            (&Method::GET, ["schema"]) => {
                Answer::json(StatusCode::OK, &all_schemas(&self.options.plugins))
            }
            (&Method::GET, ["routes"]) => dump(&dump::ROUTES, None).await,
            (&Method::GET, ["route", id, ..]) => dump(&dump::ROUTES, Some(id)).await,
            (&Method::GET, ["services"]) => dump(&dump::SERVICES, None).await,
            (&Method::GET, ["service", id, ..]) => dump(&dump::SERVICES, Some(id)).await,
            (&Method::GET, ["upstreams"]) => dump(&dump::UPSTREAMS, None).await,
            (&Method::GET, ["upstream", id, ..]) => dump(&dump::UPSTREAMS, Some(id)).await,
            (&Method::GET, ["plugin_metadatas"]) => metadata::all(&self.options)
                .await
                .unwrap_or_else(Answer::from),
            (&Method::GET, ["plugin_metadata", name, ..]) => metadata::one(&self.options, name)
                .await
                .unwrap_or_else(Answer::from),
            (&Method::GET, ["problems"]) => Answer::json(StatusCode::OK, &self.problems()),
            (&Method::GET, ["explain"]) => self.explained(call),
            (&Method::GET, ["healthcheck"]) => health::all(&self.options, call),
            (&Method::GET, ["healthcheck", kind, rest @ ..]) => {
                let id = rest.first().copied();
                health::one(&self.options, call, kind, id)
                    .await
                    .unwrap_or_else(Answer::from)
            }
            (&Method::GET, ["discovery", kind, what]) => self.discovered(kind, what),
            // There is no garbage to collect.
            (&Method::POST, ["gc"]) => Answer::empty(StatusCode::OK),
            (&Method::PUT, ["plugins", "reload"]) => {
                self.options.plugins.reload().await;
                Answer::text(StatusCode::OK, "done")
            }
            _ => Answer::page(StatusCode::NOT_FOUND),
        }
    }

    fn discovered(&self, kind: &str, what: &str) -> Answer {
        match (self.options.discovery)(kind, what) {
            Some(Discovered::Json(value)) => Answer::json(StatusCode::OK, &value),
            Some(Discovered::Text(text)) => Answer::text(StatusCode::OK, text),
            Some(Discovered::Unavailable(reason)) => {
                Answer::text(StatusCode::SERVICE_UNAVAILABLE, reason)
            }
            None => Answer::page(StatusCode::NOT_FOUND),
        }
    }

    fn explained(&self, call: &Call) -> Answer {
        match (self.options.explain)(&call.args.texts()) {
            Ok(told) => Answer::json_bytes(StatusCode::OK, lines::write(&told).into_bytes()),
            Err(sentence) => Answer::refusal(sentence),
        }
    }

    fn problems(&self) -> Value {
        let prefix = &self.options.prefix;
        let problems = (self.options.problems)();
        problems
            .into_iter()
            .map(|found| {
                json!({ "key": format!("{prefix}/{}", found.key), "problem": found.problem })
            })
            .collect()
    }
}

impl Api for Control {
    type Body = Full<Bytes>;

    async fn respond(&self, request: Request<Incoming>, peer: SocketAddr) -> Response<Full<Bytes>> {
        let (head, mut body) = request.into_parts();
        let answer = match Call::new(head, peer) {
            Err(_malformed) => Answer::page(StatusCode::BAD_REQUEST).closing(),
            Ok(call) => {
                let answer = self.answer(&call).await;
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

fn all_schemas(plugins: &Plugins) -> Value {
    let main: Map<String, Value> = MAIN_SCHEMAS
        .iter()
        .filter_map(|name| {
            let schema = schemas::published(name, plugins)?;
            Some(((*name).to_owned(), schema))
        })
        .collect();
    let [http, stream] = plugins::api::schemas(plugins);
    json!({ "main": main, "plugins": http, "stream_plugins": stream })
}

/// A list of what was found; the reference's encoder writes an empty one as an object.
fn list(values: Vec<Value>) -> Value {
    if values.is_empty() {
        json!({})
    } else {
        Value::Array(values)
    }
}
