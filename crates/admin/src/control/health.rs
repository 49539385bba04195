//! `/v1/healthcheck`: what health checks have found out, as JSON, or as a page for browsers.

use std::fmt::Write as _;

use http::{StatusCode, header};
use lockgate_model::health::{CheckedNode, CheckedUpstream};
use lockgate_store::StoreError;
use serde_json::{Value, json};

use super::list;
use crate::{options::ControlOptions, request::Call, response::Answer};

/// Kinds of objects in which upstreams stand, in the order in which they are listed.
const KINDS: [&str; 4] = ["routes", "stream_routes", "services", "upstreams"];

/// Every upstream with checks.
pub(super) fn all(options: &ControlOptions, call: &Call) -> Answer {
    let mut found = (options.health)();
    found.sort_by_key(|upstream| {
        let kind = kind_of(&upstream.key);
        KINDS.iter().position(|known| *known == kind)
    });
    if wants_page(call) {
        return page(options, &found);
    }
    let shown = found.iter().map(|upstream| show(options, upstream));
    Answer::json(StatusCode::OK, &list(shown.collect()))
}

/// One upstream, by kind and id of the object that it stands in.
///
/// # Errors
/// The store failed.
pub(super) async fn one(
    options: &ControlOptions,
    call: &Call,
    kind: &str,
    id: Option<&str>,
) -> Result<Answer, StoreError> {
    let missing = |message: String| Ok(Answer::error(StatusCode::NOT_FOUND, message));
    let Some(id) = id else {
        return missing(format!("missing src id for src type {kind}"));
    };
    if !KINDS.contains(&kind) {
        return Ok(Answer::refusal(format!("invalid src type {kind}")));
    }
    let key = format!("{kind}/{id}");
    let found = (options.health)();
    match found.into_iter().find(|upstream| upstream.key == key) {
        Some(upstream) if wants_page(call) => Ok(page(options, &[upstream])),
        Some(upstream) => Ok(Answer::json(StatusCode::OK, &show(options, &upstream))),
        None if options.store.get(&key).await?.is_some() => {
            missing(format!("no checker for {kind}[{id}]"))
        }
        None => missing(format!("{kind}[{id}] not found")),
    }
}

fn kind_of(key: &str) -> &str {
    key.split_once('/').map_or(key, |(kind, _)| kind)
}

fn name(options: &ControlOptions, upstream: &CheckedUpstream) -> String {
    format!("{}/{}", options.prefix, upstream.key)
}

fn show(options: &ControlOptions, upstream: &CheckedUpstream) -> Value {
    let nodes = upstream.nodes.iter().map(|node| json!(node)).collect();
    json!({
        "name": name(options, upstream),
        "type": upstream.kind.name(),
        "nodes": list(nodes),
    })
}

fn wants_page(call: &Call) -> bool {
    call.header("accept")
        .is_some_and(|accepted| accepted.contains("text/html"))
}

/// A table with a line for each node; those that are not used stand out.
fn page(options: &ControlOptions, upstreams: &[CheckedUpstream]) -> Answer {
    const TITLE: &str = "APISIX upstream check status";
    const COLUMNS: [&str; 9] = [
        "Index",
        "Upstream",
        "Check type",
        "Host",
        "Status",
        "Success counts",
        "TCP Failures",
        "HTTP Failures",
        "TIMEOUT Failures",
    ];
    let mut text = format!(
        "<html xmlns=\"http://www.w3.org/1999/xhtml\">\n<head><title>{TITLE}</title></head>\n<body>\n<h1>{TITLE}</h1>\n\
         <table style=\"background-color:white\" cellspacing=\"0\" cellpadding=\"3\" border=\"1\">\n<tr bgcolor=\"#C0C0C0\">"
    );
    for column in COLUMNS {
        let _infallible = write!(text, "<th>{column}</th>");
    }
    text.push_str("</tr>\n");
    let nodes = upstreams
        .iter()
        .flat_map(|upstream| upstream.nodes.iter().map(move |node| (upstream, node)));
    for (index, (upstream, node)) in nodes.enumerate() {
        let color = if node.status.is_good() {
            ""
        } else {
            " bgcolor=\"#FF0000\""
        };
        let _infallible = write!(text, "<tr{color}><td>{}</td>", index + 1);
        for cell in cells(&name(options, upstream), upstream, node) {
            let _infallible = write!(text, "<td>{}</td>", escape(&cell));
        }
        text.push_str("</tr>\n");
    }
    text.push_str("</table>\n</body>\n</html>\n");
    let html = http::HeaderValue::from_static("text/html; charset=utf-8");
    Answer::text(StatusCode::OK, text).with(header::CONTENT_TYPE, html)
}

fn cells(name: &str, upstream: &CheckedUpstream, node: &CheckedNode) -> [String; 8] {
    let counter = &node.counter;
    [
        name.to_owned(),
        upstream.kind.name().to_owned(),
        format!("{}:{}", node.ip, node.port),
        node.status.name().to_owned(),
        counter.success.to_string(),
        counter.tcp_failure.to_string(),
        counter.http_failure.to_string(),
        counter.timeout_failure.to_string(),
    ]
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
