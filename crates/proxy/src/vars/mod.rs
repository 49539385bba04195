//! The values of variables in a request (nginx's, and the reference's `apisix/core/ctx.lua`).
//!
//! `body.rs` has those that look into the body, `plain.rs` those that are numbers, times or addresses, `sent.rs` those that the
//! log takes from the request as it came, `text.rs` how values are found in texts.

#![expect(
    clippy::unnecessary_wraps,
    reason = "every value has the type of `lookup`"
)]

mod body;
mod plain;
mod sent;
pub(crate) mod text;

use std::{borrow::Cow, cell::Cell, net::IpAddr};

use lockgate_expr::{Lookup, Value as Kinded, Variable};
use lockgate_http::{
    field::Known,
    head::{Framing, Version},
};
use lockgate_plugin::Destination;
use lockgate_router::{Methods, Request};
use lockgate_snapshot::{Route, Target};
use lockgate_upstream::{PassHost, Upstream};

use crate::{
    client::Client,
    exchange::{Answer, Exchange},
    forwarded, head,
    request::Matched,
    scene::Scene,
    worker::Worker,
};

pub(crate) use body::Told;
pub(crate) use plain::is_made;
pub(crate) use sent::{Scattered, Sent};
use text::{bytes, filled, header, number, present, received, text};

type Value<'a> = Option<Cow<'a, [u8]>>;

/// Who asks for values. Some have one meaning for routes and plugins, and another in nginx's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum View {
    /// The router: no route is known, and what is asked for of the body is noted.
    Routing,
    /// Balancers and plugins.
    Serving,
    /// The access log.
    Log,
}

/// A request as seen by expressions, the router, balancers and logs.
pub(crate) struct Facts<'a> {
    worker: &'a Worker,
    client: &'a Client,
    exchange: &'a Exchange,
    matched: Option<Matched<'a>>,
    view: View,
    /// How much of the body would have to be read to tell a value; 0 where none was asked for in vain.
    wanted: Cell<u64>,
}

impl<'a> Facts<'a> {
    fn new(
        worker: &'a Worker,
        client: &'a Client,
        exchange: &'a Exchange,
        matched: Option<Matched<'a>>,
        view: View,
    ) -> Self {
        Self {
            worker,
            client,
            exchange,
            matched,
            view,
            wanted: Cell::new(0),
        }
    }

    /// A request that has no route yet.
    #[inline]
    pub(crate) fn routing(worker: &'a Worker, client: &'a Client, exchange: &'a Exchange) -> Self {
        Self::new(worker, client, exchange, None, View::Routing)
    }

    /// A request as plugins and balancers see it.
    #[inline]
    pub(crate) fn plugins(scene: &Scene<'a>, exchange: &'a Exchange) -> Self {
        let Scene { worker, client, .. } = *scene;
        Self::new(worker, client, exchange, scene.matched, View::Serving)
    }

    /// A request that has ended.
    pub(crate) fn logging(scene: &Scene<'a>, exchange: &'a Exchange) -> Self {
        let Scene { worker, client, .. } = *scene;
        Self::new(worker, client, exchange, scene.matched, View::Log)
    }

    /// How many bytes of the body must be read to tell the values that were asked for; 0 where it makes no difference.
    #[inline]
    pub(crate) fn wanted(&self) -> u64 {
        self.wanted.get()
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

    /// The last reading of the clock that belongs to the request.
    fn now(&self) -> u64 {
        self.worker.clock.recent().max(self.exchange.ended)
    }

    /// The path: in nginx's log its own, else the one that options took something from.
    #[inline]
    fn uri(&self) -> &'a [u8] {
        match self.view {
            View::Routing => self.exchange.route_uri(),
            View::Serving => self.exchange.uri(),
            View::Log => self.exchange.received_uri(),
        }
    }

    /// In the log what the client sent; else the path in normal form, so that nobody is misled by what can be written in many ways.
    fn request_uri(&self) -> Value<'a> {
        if self.view == View::Log {
            return filled(self.exchange.request.path_and_query());
        }
        match self.query() {
            None => filled(self.exchange.uri()),
            Some(query) => Some(Cow::Owned([self.exchange.uri(), b"?", query].concat())),
        }
    }

    /// The query, where there is more of it than its `?`.
    fn query(&self) -> Option<&'a [u8]> {
        Some(self.exchange.query()).filter(|query| !query.is_empty())
    }

    /// Where the request goes: where a plugin says, else where the route says.
    fn upstream(&self) -> Option<&'a Upstream> {
        match &self.exchange.plugins.outgoing.destination {
            Destination::Upstream(upstream) => Some(upstream),
            Destination::Route => match &self.route()?.target {
                Target::Upstream(upstream) => Some(upstream),
                _ => None,
            },
            _ => None,
        }
    }

    fn upstream_host(&self) -> Value<'a> {
        if let Some(host) = &self.exchange.plugins.outgoing.host {
            return bytes(host);
        }
        let Some(upstream) = self.upstream() else {
            return bytes(self.exchange.request.authority());
        };
        match upstream.pass_host() {
            PassHost::Rewrite => bytes(upstream.upstream_host().as_bytes()),
            PassHost::Pass => bytes(self.exchange.request.authority()),
            PassHost::Node => bytes(&self.exchange.node_host),
        }
    }

    fn upstream_scheme(&self) -> &'static str {
        match self.upstream() {
            Some(upstream) if upstream.tls().is_some() => "https",
            _ => "http",
        }
    }

    /// A field that is passed on where the route lets connections be upgraded; empty else.
    fn upgrade_field(&self, name: &str) -> Value<'a> {
        if self.route().is_some_and(|route| route.allows_websocket) {
            header(&self.exchange.request.headers, name).or(bytes(b""))
        } else {
            bytes(b"")
        }
    }

    /// A cookie: in nginx's log the first of this name in any case.
    fn cookie(&self, name: &str) -> Value<'a> {
        let headers = &self.exchange.request.headers;
        if self.view == View::Log {
            return text::raw_cookie(headers, name).map(Cow::Borrowed);
        }
        text::cookie(headers, name)
    }

    /// An argument: to nginx the first of this name in any case, as it came; else the first of this name, both decoded. One
    /// without `=` is true.
    fn argument(&self, name: &str) -> Option<Kinded<'a>> {
        let query = self.exchange.query();
        if self.view == View::Log {
            return text::raw_argument(query, name)
                .map(Cow::Borrowed)
                .map(Kinded::Text);
        }
        text::argument(query, name)
    }

    /// A field of the request, those of forwarding as they are sent on.
    fn request_header(&self, name: &str) -> Value<'a> {
        let headers = &self.exchange.request.headers;
        let (client, exchange) = (self.client, self.exchange);
        match name.strip_prefix("x-forwarded-") {
            Some("for")
                if !exchange.is_cleaned && !forwarded::keeps_for(self.worker.options(), client) =>
            {
                None
            }
            Some("proto") if self.view != View::Log => present(forwarded::proto(client, exchange)),
            Some("host") if self.view != View::Log => present(forwarded::host(client, exchange)),
            Some("port") if self.view != View::Log => match forwarded::port(client, exchange) {
                Some(port) => present(port),
                None => number(u64::from(client.local.port())),
            },
            None if name == "forwarded"
                && self.view != View::Log
                && !client.is_trusted
                && !exchange.is_cleaned =>
            {
                None
            }
            _ => header(headers, name),
        }
    }

    /// A field of the response as it was sent.
    fn sent_header(&self, name: &str) -> Value<'a> {
        let exchange = self.exchange;
        if exchange.status == 0 {
            // It may be about to be sent, and plugins look at it.
            return match exchange.answer {
                Answer::None => None,
                Answer::Upstreams | Answer::Own => header(&exchange.response.headers, name),
            };
        }
        if name == "server" {
            return bytes(self.worker.options().server.as_bytes());
        }
        match (exchange.own, name) {
            (Some(own), "content-type") => bytes(own.content_type.as_bytes()),
            (Some(own), "content-length") => number(own.length as u64),
            (Some(_), _) => None,
            (None, "content-type") => {
                let sent = crate::respond::charset_to_add(self.worker, exchange);
                match sent {
                    Some((content_type, charset)) => Some(Cow::Owned(
                        [content_type, b"; charset=", charset.as_bytes()].concat(),
                    )),
                    None => header(&exchange.response.headers, name),
                }
            }
            (None, "transfer-encoding") => {
                let is_chunked = exchange.request.version() == Version::Http11
                    && matches!(
                        exchange.response.framing(),
                        Framing::Chunked | Framing::UntilClose
                    );
                is_chunked.then_some(Cow::Borrowed(b"chunked"))
            }
            (None, _) => header(&exchange.response.headers, name),
        }
    }

    /// A cookie that the upstream sets, from the last `Set-Cookie` that names it.
    fn upstream_cookie(&self, name: &str) -> Value<'a> {
        self.exchange
            .response
            .headers
            .get_all(b"set-cookie")
            .filter_map(|field| {
                let pair = field.split(|byte| *byte == b';').next()?.trim_ascii();
                pair.strip_prefix(name.as_bytes())?.strip_prefix(b"=")
            })
            .last()
            .map(Cow::Borrowed)
    }

    /// Address of the client as bytes of the network.
    fn binary_remote(&self) -> Value<'a> {
        Some(Cow::Owned(match self.remote() {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets().to_vec(),
        }))
    }
}

impl<'a> Facts<'a> {
    /// The value of a variable as text.
    pub(crate) fn find(&self, variable: &Variable) -> Value<'a> {
        if let Some(set) = self.exchange.plugins.variable(variable) {
            return bytes(set);
        }
        let (exchange, request, client) = (self.exchange, &self.exchange.request, self.client);
        match variable {
            Variable::Uri => filled(self.uri()),
            Variable::RequestUri => self.request_uri(),
            Variable::RealRequestUri => filled(request.path_and_query()),
            Variable::Args => self.query().map(Cow::Borrowed),
            Variable::IsArgs => bytes(if self.query().is_some() { b"?" } else { b"" }),
            Variable::Arg(_)
            | Variable::PostArg(_)
            | Variable::PostPath(_)
            | Variable::GraphqlName
            | Variable::GraphqlOperation
            | Variable::GraphqlRootFields => text::plain(self.find_asked(variable)?),
            Variable::Header(name) => self.request_header(name),
            Variable::Cookie(name) => self.cookie(name),
            Variable::Host if exchange.host().is_empty() => bytes(b"_"),
            Variable::Host => bytes(exchange.host()),
            // All requests come to one server, whose name in the reference's nginx.conf is this.
            Variable::ServerName => bytes(b"_"),
            Variable::Hostname => bytes(crate::access_log::hostname().as_bytes()),
            Variable::Scheme => bytes(b"http"),
            Variable::ServerProtocol => bytes(request.version().name().as_bytes()),
            Variable::RemoteAddr if self.remote() == client.peer.ip() => {
                bytes(client.address.as_bytes())
            }
            Variable::BinaryRemoteAddr => self.binary_remote(),
            Variable::RealipRemoteAddr => bytes(client.address.as_bytes()),
            Variable::ProxyAddXForwardedFor => {
                let mut value = Vec::new();
                head::write_forwarded_for(self.worker, client, exchange, &mut value);
                Some(Cow::Owned(value))
            }
            Variable::ProxyHost => bytes(b"apisix_backend"),
            Variable::ProxyPort => bytes(b"80"),
            Variable::VarXForwardedHost => filled(request.authority()).or(bytes(b"_")),
            Variable::VarXForwardedPort => {
                match crate::exchange::port_of(request.authority()) {
                    Some(port) => bytes(port),
                    None => number(u64::from(client.local.port())),
                }
            }
            Variable::RemoteUser => text::basic_user(&request.headers),
            Variable::Request | Variable::RequestLine => bytes(request.line()),
            Variable::RequestMethod => filled(exchange.method()),
            Variable::RequestBody => self.request_body(),
            Variable::RequestType => bytes(b"traditional_http"),
            Variable::RequestCompletion => bytes(if exchange.status == 499 { b"" } else { b"OK" }),
            Variable::ContentType => header(&request.headers, "content-type"),
            Variable::ContentLength => header(&request.headers, "content-length"),
            Variable::Pipe => bytes(b"."),
            Variable::NginxVersion => bytes(b"1.29.2"),
            Variable::UpstreamScheme => bytes(self.upstream_scheme().as_bytes()),
            Variable::UpstreamUri => {
                bytes(exchange.plugins.outgoing.uri.as_deref().unwrap_or_default())
            }
            Variable::UpstreamHost => self.upstream_host(),
            Variable::UpstreamUnresolvedHost => bytes(&exchange.node_name),
            Variable::UpstreamUpgrade => self.upgrade_field("upgrade"),
            Variable::UpstreamConnection => self.upgrade_field("connection"),
            Variable::UpstreamHeader(name) => header(&exchange.response.headers, name),
            Variable::UpstreamCookie(name) => self.upstream_cookie(name),
            Variable::SentHeader(name) => self.sent_header(name),
            Variable::UriParam(name) => self
                .matched?
                .param(exchange.route_uri(), &exchange.params, name)
                .map(Cow::Borrowed),
            Variable::RouteId => self.route().map(|route| Cow::Borrowed(route.id.as_bytes())),
            Variable::RouteName => text(self.route()?.name.as_deref()),
            Variable::ServiceId => text(self.route()?.service.as_ref().map(|service| &*service.id)),
            Variable::ServiceName => text(self.route()?.service.as_ref()?.name.as_deref()),
            Variable::OriginalXForwardedFor => received(&request.headers, "x-forwarded-for"),
            Variable::OriginalXForwardedProto => received(&request.headers, "x-forwarded-proto"),
            Variable::OriginalXForwardedHost => received(&request.headers, "x-forwarded-host"),
            Variable::OriginalXForwardedPort => received(&request.headers, "x-forwarded-port"),
            Variable::OriginalForwarded => received(&request.headers, "forwarded"),
            // What the reference's nginx.conf sets until a plugin sets something else.
            Variable::LlmTimeToFirstToken
            | Variable::LlmPromptTokens
            | Variable::LlmCompletionTokens
            | Variable::LlmTotalTokens
            | Variable::LlmToolCount
            | Variable::LlmCacheReadInputTokens
            | Variable::LlmCacheCreationInputTokens
            | Variable::LlmReasoningTokens => bytes(b"0"),
            Variable::LlmStream | Variable::LlmHasToolCalls => bytes(b"false"),
            Variable::UpstreamCacheZone => bytes(b"off"),
            Variable::RequestLlmModel
            | Variable::LlmModel
            | Variable::LlmEndUserId
            | Variable::LlmContentRiskLevel
            | Variable::RateLimitingInfo
            | Variable::UpstreamMirrorHost
            | Variable::UpstreamMirrorUri
            | Variable::UpstreamMirrorGrpcPath
            | Variable::UpstreamCacheZoneInfo
            | Variable::UpstreamCacheKey
            | Variable::UpstreamCacheBypass
            | Variable::UpstreamNoCache
            | Variable::OpentelemetryContextTraceparent
            | Variable::OpentelemetryTraceId
            | Variable::OpentelemetrySpanId
            | Variable::ZipkinContextTraceparent
            | Variable::ZipkinTraceId
            | Variable::ZipkinSpanId
            // And what nginx has for a plain connection.
            | Variable::Https
            | Variable::Http2
            | Variable::Http3
            // And what a logger gets that did not ask for it.
            | Variable::RespBody => bytes(b""),
            _ => {
                // Takes no memory until something is written.
                let mut value = Vec::new();
                self.append_plain(variable, &mut value)
                    .then_some(Cow::Owned(value))
            }
        }
    }

    /// The value of a variable with its kind.
    pub(crate) fn find_kinded(&self, variable: &Variable) -> Option<Kinded<'a>> {
        match variable {
            Variable::Arg(_)
            | Variable::PostArg(_)
            | Variable::PostPath(_)
            | Variable::GraphqlName
            | Variable::GraphqlOperation
            | Variable::GraphqlRootFields => match self.exchange.plugins.variable(variable) {
                Some(set) => Some(Kinded::Text(Cow::Borrowed(set))),
                None => self.find_asked(variable),
            },
            _ => self.find(variable).map(Kinded::Text),
        }
    }

    /// The value of a variable that asks for a part of the query or of the body, of the kind it has there.
    fn find_asked(&self, variable: &Variable) -> Option<Kinded<'a>> {
        match variable {
            Variable::Arg(name) => self.argument(name),
            Variable::PostArg(name) => self.post_argument(name),
            Variable::PostPath(path) => path.value(self.fields()?),
            Variable::GraphqlName => {
                Some(Kinded::Text(Cow::Borrowed(self.graphql()?.name.as_bytes())))
            }
            Variable::GraphqlOperation => Some(Kinded::Text(Cow::Borrowed(
                self.graphql()?.operation.as_ref()?.as_bytes(),
            ))),
            Variable::GraphqlRootFields => {
                let fields = self.graphql()?.root_fields.iter();
                let fields = fields.map(|field| Kinded::Text(Cow::Borrowed(field.as_bytes())));
                Some(Kinded::List(fields.collect()))
            }
            _ => None,
        }
    }
}

impl Lookup for Facts<'_> {
    fn lookup<'a>(&'a self, variable: &Variable) -> Value<'a> {
        self.find(variable)
    }

    fn append(&self, variable: &Variable, out: &mut Vec<u8>) -> bool {
        self.exchange.plugins.variable(variable).is_none() && self.append_plain(variable, out)
    }

    fn value<'a>(&'a self, variable: &Variable) -> Option<Kinded<'a>> {
        self.find_kinded(variable)
    }
}

impl Request for Facts<'_> {
    fn path(&self) -> &[u8] {
        self.exchange.route_uri()
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

/// The content type that a request names, as it is written.
fn content_type(exchange: &Exchange) -> &[u8] {
    let headers = &exchange.request.headers;
    headers.get_known(Known::ContentType).unwrap_or_default()
}
