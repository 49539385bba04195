//! The entry that is logged where users ask for no other (`get_full_log` in `apisix/utils/log-util.lua`).

use lockgate_content::form;
use lockgate_expr::{Lookup as _, Variable};
use lockgate_http::headers::Headers;
use lockgate_plugin::Exchange;

use super::{
    format,
    json::{self, Object},
};
use crate::{REFERENCE, limits};

/// Names of its members, by which extra ones are told to be none. Those in the second list may be missing.
const ALWAYS: &[&str] = &[
    "apisix_latency",
    "client_ip",
    "latency",
    "request",
    "response",
    "server",
    "service_id",
    "start_time",
];

/// What is known of an exchange beside what it tells itself.
pub(super) struct Beside<'a> {
    pub(super) hostname: &'a str,
    /// The body of the request is logged, up to so many bytes.
    pub(super) request_body: Option<usize>,
    /// The body of the response is logged.
    pub(super) has_response_body: bool,
}

/// Whether the entry has a member of this name.
pub(super) fn has(ex: &Exchange<'_>, name: &str) -> bool {
    match name {
        "consumer" => ex.consumer().is_some(),
        "route_id" => ex.route().is_some(),
        "upstream" | "upstream_latency" => ex.timing().upstream.is_some(),
        _ => ALWAYS.contains(&name),
    }
}

/// Writes the members, in the order of their names.
pub(super) fn write(ex: &Exchange<'_>, beside: &Beside<'_>, entry: &mut Object<'_>) {
    let timing = ex.timing();
    let total = timing.total.as_secs_f64() * 1000.0;
    let upstream = timing.upstream.map(|time| time.as_secs_f64() * 1000.0);
    let own = (total - upstream.unwrap_or(0.0)).max(0.0);
    milliseconds(entry.member("apisix_latency"), own);
    let client = ex.remote_addr().to_string();
    json::string(entry.member("client_ip"), client.as_bytes());
    if let Some(consumer) = ex.consumer() {
        let mut object = Object::begin(entry.member("consumer"));
        json::string(object.member("username"), consumer.username.as_bytes());
        object.end();
    }
    milliseconds(entry.member("latency"), total);
    request(ex, beside, entry.member("request"));
    response(ex, beside, entry.member("response"));
    let route = ex.route();
    if let Some(route) = &route {
        json::string(entry.member("route_id"), route.id.as_bytes());
    }
    let mut server = Object::begin(entry.member("server"));
    json::string(server.member("hostname"), beside.hostname.as_bytes());
    json::string(server.member("version"), REFERENCE.as_bytes());
    server.end();
    let service = entry.member("service_id");
    match &route {
        Some(route) => json::string(service, route.service_id.unwrap_or_default().as_bytes()),
        None => json::string(service, &text(ex, &Variable::Host)),
    }
    let began = ex.now().saturating_sub(timing.total);
    let began_ms = u64::try_from(began.as_millis()).unwrap_or(u64::MAX);
    json::integer(entry.member("start_time"), began_ms);
    if let Some(upstream) = upstream {
        let addresses = text(ex, &Variable::UpstreamAddr);
        json::string(entry.member("upstream"), &addresses);
        milliseconds(entry.member("upstream_latency"), upstream);
    }
}

fn request(ex: &Exchange<'_>, beside: &Beside<'_>, out: &mut Vec<u8>) {
    let mut object = Object::begin(out);
    if let Some(max_bytes) = beside.request_body {
        let body = format::request_body(ex, max_bytes);
        if !body.is_empty() {
            json::string(object.member("body"), &body);
        }
    }
    headers(&ex.request().headers, |_| false, object.member("headers")).end();
    json::string(object.member("method"), ex.method());
    query(ex.query(), object.member("querystring"));
    json::integer(object.member("size"), ex.timing().received);
    let uri = text(ex, &Variable::RequestUri);
    json::string(object.member("uri"), &uri);
    let (scheme, host) = (text(ex, &Variable::Scheme), text(ex, &Variable::Host));
    let port = text(ex, &Variable::ServerPort);
    let url = [&*scheme, b"://", &*host, b":", &*port, &*uri].concat();
    json::string(object.member("url"), &url);
    object.end();
}

fn response(ex: &Exchange<'_>, beside: &Beside<'_>, out: &mut Vec<u8>) {
    let mut object = Object::begin(out);
    if beside.has_response_body
        && let Some(body) = ex.set_value(&Variable::RespBody)
    {
        json::string(object.member("body"), body);
    }
    let none = Headers::default();
    let is_known = ex.status() > 0;
    let fields = if is_known {
        &ex.response().headers
    } else {
        &none
    };
    // Between the gateway and the upstream alone, or told below.
    let skips = |name: &[u8]| {
        ["connection", "keep-alive", "transfer-encoding", "server"]
            .iter()
            .any(|other| name.eq_ignore_ascii_case(other.as_bytes()))
    };
    let mut members = headers(fields, skips, object.member("headers"));
    let made: &[&str] = if is_known {
        &["server", "transfer-encoding"]
    } else {
        &["content-length", "content-type", "server"]
    };
    for name in made {
        if let Some(value) = ex.lookup(&Variable::SentHeader((*name).into())) {
            json::string(members.member(name), &value);
        }
    }
    members.end();
    json::integer(object.member("size"), ex.timing().sent);
    let status = object.member("status");
    match format::sum(ex, &Variable::Status) {
        Some(number) => json::number(status, number),
        None => json::integer(status, u64::from(ex.status())),
    }
    object.end();
}

/// Fields, those of one name together. What is begun is the caller's to end.
fn headers<'o>(
    fields: &Headers,
    skips: impl Fn(&[u8]) -> bool,
    out: &'o mut Vec<u8>,
) -> Object<'o> {
    let mut object = Object::begin(out);
    let fields = || fields.iter().take(limits::FIELDS);
    for (place, (name, value)) in fields().enumerate() {
        let is_same = |other: &[u8]| other.eq_ignore_ascii_case(name);
        if skips(name) || fields().take(place).any(|(other, _)| is_same(other)) {
            continue;
        }
        let lower = name.to_ascii_lowercase();
        let out = object.member(&String::from_utf8_lossy(&lower));
        let mut others = fields().skip(place + 1).filter(|(other, _)| is_same(other));
        match others.next() {
            None => json::string(out, value),
            Some((_, second)) => {
                let others = others.map(|(_, value)| value);
                list(out, [value, second].into_iter().chain(others));
            }
        }
    }
    object
}

fn list<'v>(out: &mut Vec<u8>, values: impl Iterator<Item = &'v [u8]>) {
    out.push(b'[');
    for (place, value) in values.enumerate() {
        if place > 0 {
            out.push(b',');
        }
        json::string(out, value);
    }
    out.push(b']');
}

/// Arguments, those of one name together; one without `=` is true.
fn query(text: &[u8], out: &mut Vec<u8>) {
    let arguments: Vec<_> = form::pairs(text).take(limits::FIELDS).collect();
    let write = |out: &mut Vec<u8>, value: &Option<std::borrow::Cow<'_, [u8]>>| match value {
        Some(value) => json::string(out, value),
        None => out.extend_from_slice(b"true"),
    };
    let mut object = Object::begin(out);
    for (place, (name, value)) in arguments.iter().enumerate() {
        let (before, behind) = arguments.split_at(place);
        if before.iter().any(|(other, _)| other == name) {
            continue;
        }
        let out = object.member(&String::from_utf8_lossy(name));
        let mut others = behind.iter().skip(1).filter(|(other, _)| other == name);
        match others.next() {
            None => write(out, value),
            Some((_, second)) => {
                out.push(b'[');
                write(out, value);
                for other in std::iter::once(second).chain(others.map(|(_, value)| value)) {
                    out.push(b',');
                    write(out, other);
                }
                out.push(b']');
            }
        }
    }
    object.end();
}

fn text(ex: &Exchange<'_>, variable: &Variable) -> Vec<u8> {
    let mut out = Vec::new();
    if !ex.append(variable, &mut out)
        && let Some(value) = ex.value(variable)
    {
        value.write_text(&mut out);
    }
    out
}

/// Milliseconds, as exact as they were measured.
fn milliseconds(out: &mut Vec<u8>, time: f64) {
    json::number(out, (time * 1000.0).round() / 1000.0);
}
