//! The values of variables in a request (nginx's, and the reference's `apisix/core/ctx.lua`).

#![expect(
    clippy::unnecessary_wraps,
    reason = "every value has the type of `lookup`"
)]

use std::{borrow::Cow, fmt::Write as _, io::Write as _, net::IpAddr};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use lockgate_expr::{Lookup, Variable};
use lockgate_http::headers::Headers;
use lockgate_router::{Methods, Request};
use lockgate_snapshot::{Route, Target};
use lockgate_upstream::PassHost;

use crate::{
    access_log::time,
    client::Client,
    exchange::{Attempt, Exchange},
    request::Matched,
    worker::Worker,
};

type Value<'a> = Option<Cow<'a, [u8]>>;

/// A request as seen by expressions, the router, balancers and logs.
pub(crate) struct Facts<'a> {
    worker: &'a Worker,
    client: &'a Client,
    exchange: &'a Exchange,
    matched: Option<Matched<'a>>,
}

impl<'a> Facts<'a> {
    pub(crate) fn new(
        worker: &'a Worker,
        client: &'a Client,
        exchange: &'a Exchange,
        matched: Option<Matched<'a>>,
    ) -> Self {
        Self {
            worker,
            client,
            exchange,
            matched,
        }
    }

    fn route(&self) -> Option<&'a Route> {
        self.matched.map(|matched| &**matched.value())
    }

    fn remote(&self) -> IpAddr {
        self.exchange.remote.unwrap_or(self.client.peer.ip())
    }

    /// Wall time for logs: the end of the exchange, or the last reading before it.
    fn wall(&self) -> std::time::Duration {
        let ended = self.exchange.ended;
        self.worker.clock.unix(if ended > 0 {
            ended
        } else {
            self.worker.clock.recent()
        })
    }

    /// One text per attempt, as nginx lists them: `a, b`.
    fn per_attempt(&self, write: impl Fn(&Attempt, &mut String)) -> Value<'_> {
        if self.exchange.attempts.is_empty() {
            return None;
        }
        let mut text = String::new();
        for (place, attempt) in self.exchange.attempts.iter().enumerate() {
            if place > 0 {
                text.push_str(", ");
            }
            write(attempt, &mut text);
        }
        owned(text)
    }

    fn request_uri(&self) -> Value<'_> {
        let (uri, query) = (self.exchange.uri(), self.exchange.request.query());
        match query {
            None => filled(uri),
            Some(query) => Some(Cow::Owned([uri, b"?", query].concat())),
        }
    }

    fn upstream_host(&self) -> Value<'_> {
        let Some(Target::Upstream(upstream)) = self.route().map(|route| &route.target) else {
            return bytes(self.exchange.request.authority());
        };
        match upstream.pass_host() {
            PassHost::Rewrite => bytes(upstream.upstream_host().as_bytes()),
            PassHost::Pass => bytes(self.exchange.request.authority()),
            PassHost::Node => bytes(&self.exchange.node_host),
        }
    }

    fn upstream_scheme(&self) -> &'static str {
        match self.route().map(|route| &route.target) {
            Some(Target::Upstream(upstream)) if upstream.tls().is_some() => "https",
            _ => "http",
        }
    }

    fn cookie(&self, name: &str) -> Value<'_> {
        self.exchange
            .request
            .headers
            .get_all(b"cookie")
            .flat_map(|list| list.split(|byte| *byte == b';'))
            .map(<[u8]>::trim_ascii_start)
            .find_map(|pair| pair.strip_prefix(name.as_bytes())?.strip_prefix(b"="))
            .map(Cow::Borrowed)
    }

    /// An argument as nginx finds it: the first of this name in any case, undecoded.
    fn argument(&self, name: &str) -> Value<'_> {
        let query = self.exchange.request.query()?;
        query
            .split(|byte| *byte == b'&')
            .find_map(|pair| {
                let (key, value) = pair.split_at_checked(name.len())?;
                (key.eq_ignore_ascii_case(name.as_bytes())).then(|| value.strip_prefix(b"="))?
            })
            .map(Cow::Borrowed)
    }

    fn basic_user(&self) -> Value<'_> {
        let credentials = self.exchange.request.headers.get(b"authorization")?;
        let (scheme, encoded) = credentials.split_at_checked(6)?;
        if !scheme.eq_ignore_ascii_case(b"basic ") {
            return None;
        }
        let decoded = BASE64_STANDARD.decode(encoded.trim_ascii()).ok()?;
        let user = decoded.split(|byte| *byte == b':').next()?;
        Some(Cow::Owned(user.to_vec()))
    }
}

impl Lookup for Facts<'_> {
    fn lookup<'a>(&'a self, variable: &Variable) -> Value<'a> {
        let (exchange, request, client) = (self.exchange, &self.exchange.request, self.client);
        match variable {
            Variable::Uri => filled(exchange.uri()),
            Variable::RequestUri => self.request_uri(),
            Variable::RealRequestUri => filled(request.path_and_query()),
            Variable::Args => request.query().map(Cow::Borrowed),
            Variable::IsArgs => bytes(if request.query().is_some_and(|query| !query.is_empty()) {
                b"?"
            } else {
                b""
            }),
            Variable::Arg(name) => self.argument(name),
            Variable::Header(name) => header(&request.headers, name),
            Variable::Cookie(name) => self.cookie(name),
            Variable::Host | Variable::ServerName => bytes(exchange.host()),
            Variable::Hostname => owned(crate::access_log::hostname().to_owned()),
            Variable::Scheme => bytes(b"http"),
            Variable::ServerAddr => owned(client.local.ip().to_canonical().to_string()),
            Variable::ServerPort => number(u64::from(client.local.port())),
            Variable::ServerProtocol => bytes(request.version().name().as_bytes()),
            Variable::RemoteAddr if self.remote() == client.peer.ip() => {
                bytes(client.address.as_bytes())
            }
            Variable::RemoteAddr => owned(self.remote().to_string()),
            Variable::RemotePort | Variable::RealipRemotePort => {
                number(u64::from(client.peer.port()))
            }
            Variable::RealipRemoteAddr => bytes(client.address.as_bytes()),
            Variable::RemoteUser => self.basic_user(),
            Variable::Request | Variable::RequestLine => bytes(request.line()),
            Variable::RequestMethod => filled(request.method_name()),
            Variable::RequestTime => seconds(
                self.worker
                    .clock
                    .recent()
                    .max(exchange.ended)
                    .saturating_sub(exchange.began),
            ),
            Variable::RequestLength => number(request.len() as u64 + exchange.upload.received()),
            Variable::RequestId | Variable::ApisixRequestId => {
                owned(format!("{:032x}", self.worker.request_id(&exchange.id)))
            }
            Variable::RequestType => bytes(b"traditional_http"),
            Variable::RequestCompletion => bytes(if exchange.status == 499 { b"" } else { b"OK" }),
            Variable::ContentType => header(&request.headers, "content-type"),
            Variable::ContentLength => header(&request.headers, "content-length"),
            Variable::Status if exchange.status > 0 => number(u64::from(exchange.status)),
            Variable::BytesSent => number(exchange.bytes_sent),
            Variable::BodyBytesSent => number(exchange.body_bytes_sent),
            Variable::Connection => number(client.number),
            Variable::ConnectionRequests => number(client.requests.get()),
            Variable::Pipe => bytes(b"."),
            Variable::Msec => {
                let wall = self.wall();
                owned(format!("{}.{:03}", wall.as_secs(), wall.subsec_millis()))
            }
            Variable::TimeLocal => owned(time::local(self.wall())),
            Variable::TimeIso8601 => owned(time::iso8601(self.wall())),
            Variable::NginxVersion => bytes(b"1.29.2"),
            Variable::Pid => number(u64::from(std::process::id())),
            Variable::UpstreamAddr => self.per_attempt(|attempt, out| {
                let _infallible = write!(out, "{}", attempt.address);
            }),
            Variable::UpstreamStatus => self.per_attempt(|attempt, out| {
                let _infallible = match attempt.status {
                    0 => out.write_str("-"),
                    status => write!(out, "{status}"),
                };
            }),
            Variable::UpstreamResponseTime | Variable::ApisixUpstreamResponseTime => {
                self.per_attempt(|attempt, out| write_time(attempt.response_us, out))
            }
            Variable::UpstreamHeaderTime => {
                self.per_attempt(|attempt, out| write_time(attempt.header_us, out))
            }
            // A kept connection took no time to make.
            Variable::UpstreamConnectTime => self.per_attempt(|attempt, out| {
                write_time(attempt.connect_us.or(attempt.header_us.map(|_| 0)), out);
            }),
            Variable::UpstreamScheme => bytes(self.upstream_scheme().as_bytes()),
            Variable::UpstreamHost => self.upstream_host(),
            Variable::UpstreamUri => bytes(b""),
            Variable::UpstreamHeader(name) | Variable::SentHeader(name) => {
                header(&exchange.response.headers, name)
            }
            Variable::BalancerIp => owned(exchange.attempts.last()?.address.ip().to_string()),
            Variable::BalancerPort => number(u64::from(exchange.attempts.last()?.address.port())),
            Variable::UriParam(name) => self
                .matched?
                .param(exchange.uri(), &exchange.params, name)
                .map(Cow::Borrowed),
            Variable::RouteId => self.route().map(|route| Cow::Borrowed(route.id.as_bytes())),
            Variable::RouteName => text(self.route()?.name.as_deref()),
            Variable::ServiceId => text(self.route()?.service.as_ref().map(|service| &*service.id)),
            Variable::ServiceName => text(self.route()?.service.as_ref()?.name.as_deref()),
            Variable::OriginalXForwardedFor => header(&request.headers, "x-forwarded-for"),
            Variable::OriginalXForwardedProto => header(&request.headers, "x-forwarded-proto"),
            Variable::OriginalXForwardedHost => header(&request.headers, "x-forwarded-host"),
            Variable::OriginalXForwardedPort => header(&request.headers, "x-forwarded-port"),
            Variable::OriginalForwarded => header(&request.headers, "forwarded"),
            _ => None,
        }
    }
}

impl Request for Facts<'_> {
    fn path(&self) -> &[u8] {
        self.exchange.uri()
    }

    fn host(&self) -> Option<&[u8]> {
        Some(self.exchange.host()).filter(|host| !host.is_empty())
    }

    fn host_with_port(&self) -> Option<&[u8]> {
        Some(self.exchange.authority()).filter(|authority| !authority.is_empty())
    }

    fn method(&self) -> Methods {
        Methods::of(self.exchange.request.method_name())
    }

    fn remote_addr(&self) -> Option<IpAddr> {
        Some(self.remote())
    }
}

fn bytes(value: &[u8]) -> Value<'_> {
    Some(Cow::Borrowed(value))
}

/// A value that is absent where it is empty: that of a request that was none.
fn filled(value: &[u8]) -> Value<'_> {
    bytes(value).filter(|value| !value.is_empty())
}

fn text(value: Option<&str>) -> Value<'_> {
    value.map(|value| Cow::Borrowed(value.as_bytes()))
}

fn owned(value: String) -> Value<'static> {
    Some(Cow::Owned(value.into_bytes()))
}

fn number(value: u64) -> Value<'static> {
    let mut digits = Vec::with_capacity(8);
    crate::respond::write_decimal(value, &mut digits);
    Some(Cow::Owned(digits))
}

/// Seconds with milliseconds, as nginx writes times.
fn seconds(micros: u64) -> Value<'static> {
    let millis = micros / 1000;
    let mut text = Vec::with_capacity(8);
    let _infallible = write!(text, "{}.{:03}", millis / 1000, millis % 1000);
    Some(Cow::Owned(text))
}

fn write_time(micros: Option<u64>, out: &mut String) {
    let _infallible = match micros.map(|micros| micros / 1000) {
        Some(millis) => write!(out, "{}.{:03}", millis / 1000, millis % 1000),
        None => out.write_str("-"),
    };
}

/// All values of a field, joined as nginx joins them (`$http_…`, since 1.23).
fn header<'a>(headers: &'a Headers, name: &str) -> Value<'a> {
    let mut values = headers.get_all(name.as_bytes());
    let first = values.next()?;
    match values.next() {
        None => Some(Cow::Borrowed(first)),
        Some(second) => {
            let separator: &[u8] = if name == "cookie" { b"; " } else { b", " };
            let mut joined = [first, separator, second].concat();
            for value in values {
                joined.extend_from_slice(separator);
                joined.extend_from_slice(value);
            }
            Some(Cow::Owned(joined))
        }
    }
}
