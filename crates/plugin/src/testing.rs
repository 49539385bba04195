//! Testing plugins without sockets: requests that are made up, and a node for them.
//!
//! ```
//! use lockgate_plugin::testing::{Kit, Request};
//! # use std::sync::Arc;
//! # use lockgate_plugin::{About, Access, Compile, ConfigError, Exchange, Flow, Hooks, Plugin};
//! # struct Closed;
//! # impl Plugin for Closed {
//! #     const ABOUT: About = About::new("closed", 1, "{}");
//! #     type Config = serde_json::Value;
//! #     fn compile(_: Self::Config, _: &Compile<'_>) -> Result<Self, ConfigError> { Ok(Self) }
//! #     fn hooks(self: Arc<Self>, on: &mut Hooks) { on.access(self); }
//! # }
//! # impl Access for Closed {
//! #     fn access(&self, _: &mut Exchange<'_>) -> Flow { Flow::message(403, "closed") }
//! # }
//! let kit = Kit::new();
//! let plugin = kit.plugin::<Closed>(&serde_json::json!({})).unwrap();
//! let mut request = Request::get("/").header("apikey", "secret");
//! let reply = plugin.access(&mut request).unwrap();
//! assert_eq!((reply.status, reply.text()), (403, "{\"message\":\"closed\"}\n".into()));
//! ```

use std::{
    borrow::Cow,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use lockgate_expr::{Lookup, Variable};
use lockgate_http::{
    request::RequestHead,
    response::{Asked, ResponseHead},
};
use lockgate_net::{
    buffer::Buffer,
    dns::{DnsOptions, Resolver},
};
use lockgate_upstream::Upstream;
use serde_json::{Map, Value, json};
use tokio::runtime::{Builder, Handle, Runtime};

use crate::{
    BodyError, BodyStream, Chain, Compile, CompileHost, ConfigError, Consumer, Descriptor,
    Exchange, Filtered, Flow, LocalFuture, Node, NodeOptions, Parent, Plugin, PluginSet, Reply,
    RouteFacts, Timing,
    consumer::Secret,
    host::{self, Host, Phase, Slot, State},
};

/// A node of one worker, and a runtime for what waits.
#[derive(Debug)]
pub struct Kit {
    /// The node.
    pub node: Node,
    runtime: Arc<Runtime>,
}

impl Default for Kit {
    fn default() -> Self {
        Self::new()
    }
}

impl Kit {
    /// Nothing configured.
    #[expect(clippy::missing_panics_doc, reason = "a test ends there")]
    pub fn new() -> Self {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        Self {
            node: Node::new(runtime.handle().clone(), options()),
            runtime: Arc::new(runtime),
        }
    }

    /// Sets `plugin_attr` of a plugin, for what is compiled from then on.
    #[must_use]
    pub fn attributes(self, plugin: &str, value: Value) -> Self {
        let mut options = NodeOptions::clone(&self.node.options());
        options.attributes.insert(plugin.to_owned(), value);
        self.node.set_options(options);
        self
    }

    /// Compiles a configuration, written into `routes/1`.
    ///
    /// # Errors
    /// It cannot be honoured.
    pub fn plugin<P: Plugin>(&self, config: &Value) -> Result<Tested, ConfigError> {
        let plugin = Descriptor::of::<P>();
        let slot = self.compile::<P, _>(config, |cx| Slot::compile(&plugin, config, cx))?;
        let mut set = PluginSet::default();
        set.insert(P::ABOUT.name, slot);
        Ok(Tested {
            chain: Chain::of(&set).unwrap_or_default(),
            runtime: self.runtime.clone(),
        })
    }

    /// Sets the metadata of a plugin.
    ///
    /// # Errors
    /// It cannot be honoured.
    pub fn metadata<P: Plugin>(&self, config: &Value) -> Result<(), ConfigError> {
        let of = P::METADATA.ok_or_else(|| ConfigError::new("the plugin has no metadata"))?;
        self.compile::<P, _>(config, |cx| self.node.set_metadata(of, config, cx))
    }

    /// Adds a consumer with a credential for a plugin.
    ///
    /// # Errors
    /// The credential cannot be honoured.
    pub fn consumer<P: Plugin>(&self, name: &str, credential: &Value) -> Result<(), ConfigError> {
        let of = P::CREDENTIAL.ok_or_else(|| ConfigError::new("the plugin has no consumers"))?;
        let (key, credential) =
            self.compile::<P, _>(credential, |cx| of.compile(credential, cx))?;
        let consumer = Arc::new(Consumer {
            credential,
            ..made_up(name)
        });
        let found_by_it = self.node.consumers(P::ABOUT.name);
        found_by_it.update([], [(key, consumer.clone())]);
        self.named(consumer);
        Ok(())
    }

    /// Adds a consumer who is found by name alone: the anonymous one of a plugin.
    pub fn named(&self, consumer: Arc<Consumer>) {
        let name = consumer.name.as_bytes().into();
        self.node.consumers("").update([], [(name, consumer)]);
    }

    fn compile<P: Plugin, R>(&self, config: &Value, with: impl FnOnce(&Compile<'_>) -> R) -> R {
        let parent = Parent {
            key: "routes/1".into(),
            revision: 1,
        };
        with(&Compile {
            node: &self.node,
            about: const { &P::ABOUT },
            parent: &parent,
            config,
            host: &Alone,
        })
    }
}

/// A node of one worker on the runtime of the caller.
///
/// # Panics
/// There is none.
pub fn node() -> Node {
    Node::new(Handle::current(), options())
}

fn options() -> NodeOptions {
    NodeOptions {
        workers: 1,
        attributes: Map::new(),
        https_ports: [].into(),
        resolver: Resolver::new(DnsOptions::default()),
        id: "node".into(),
        hostname: "host".into(),
        trusted: None,
    }
}

/// Compiles what needs nobody else.
struct Alone;

impl CompileHost for Alone {
    fn upstream(&self, _: &str, _: &Value) -> Result<Arc<Upstream>, ConfigError> {
        Err(ConfigError::new("upstreams are tested over sockets"))
    }

    fn upstream_by_id(&self, _: &str) -> Option<Arc<Upstream>> {
        None
    }

    fn plugins(&self, _: &str, _: &Map<String, Value>) -> Result<PluginSet, ConfigError> {
        Err(ConfigError::new("nested plugins are tested over sockets"))
    }
}

/// A consumer of this name, who brings nothing along.
pub fn consumer(name: &str) -> Arc<Consumer> {
    Arc::new(made_up(name))
}

fn made_up(name: &str) -> Consumer {
    Consumer {
        name: name.into(),
        username: name.into(),
        group_id: None,
        credential_id: None,
        custom_id: None,
        labels: Map::new(),
        credential: Secret(Arc::new(())),
        plugins: Arc::default(),
        revision: 1,
    }
}

/// A configured plugin under test.
#[derive(Debug)]
pub struct Tested {
    /// Its chain.
    pub chain: Chain,
    runtime: Arc<Runtime>,
}

impl Tested {
    /// Runs the `rewrite` hook; the answer, if it gives one.
    pub fn rewrite(&self, request: &mut Request) -> Option<Reply> {
        self.run(Phase::Rewrite, request)
    }

    /// Runs the `access` hook; the answer, if it gives one.
    pub fn access(&self, request: &mut Request) -> Option<Reply> {
        self.run(Phase::Access, request)
    }

    /// Runs the `before_proxy` hook; the answer, if it gives one.
    pub fn before_proxy(&self, request: &mut Request) -> Option<Reply> {
        self.run(Phase::BeforeProxy, request)
    }

    fn run(&self, phase: Phase, request: &mut Request) -> Option<Reply> {
        let flow = self.runtime.block_on(host::run(
            &self.chain,
            phase,
            None,
            &mut Exchange::new(request),
        ));
        match flow {
            Flow::Next => None,
            Flow::Reply(reply) => Some(*reply),
        }
    }

    /// Runs the `header_filter` hook on a response of the upstream, and its filters on the pieces of the body; the body that comes
    /// of it.
    pub fn respond(
        &self,
        request: &mut Request,
        status: u16,
        fields: &[(&str, &str)],
        pieces: &[&str],
    ) -> String {
        let pieces: Vec<_> = pieces.iter().map(|piece| piece.as_bytes()).collect();
        let body = self.respond_bytes(request, status, fields, &pieces);
        String::from_utf8_lossy(&body).into_owned()
    }

    /// The same of bodies that are no text.
    pub fn respond_bytes(
        &self,
        request: &mut Request,
        status: u16,
        fields: &[(&str, &str)],
        pieces: &[&[u8]],
    ) -> Vec<u8> {
        request.respond(status, fields);
        self.chain.filter_head(None, &mut Exchange::new(request));
        host::begin_filters(&mut Exchange::new(request));
        let mut filters = std::mem::take(&mut request.state.filters);
        let (mut between, mut body) = (Vec::new(), Vec::new());
        request.is_cut = false;
        for (place, piece) in pieces.iter().enumerate() {
            let is_last = place + 1 == pieces.len();
            let mut ex = Exchange::new(request);
            match host::filter_body(
                &mut filters,
                &mut ex,
                piece,
                is_last,
                &mut between,
                &mut body,
            ) {
                Filtered::More => {}
                Filtered::End => break,
                Filtered::Abort => {
                    request.is_cut = true;
                    break;
                }
            }
        }
        body
    }

    /// Runs the `log` hook.
    pub fn log(&self, request: &mut Request) {
        self.chain.log(None, &mut Exchange::new(request));
    }
}

/// A request that is made up.
#[derive(Debug)]
pub struct Request {
    /// Its head.
    pub head: RequestHead,
    /// The head of the response.
    pub response: ResponseHead,
    /// What plugins have said.
    pub state: State,
    /// Address of the client.
    pub remote: IpAddr,
    /// The body.
    pub body: Vec<u8>,
    /// Values of variables; those of the request's line and fields are known.
    pub variables: Vec<(Variable, Vec<u8>)>,
    /// Time since the epoch.
    pub now: Duration,
    /// How long things took.
    pub timing: Timing,
    /// The id of the route; none where no route matched.
    pub route: Option<String>,
    /// The name of the route.
    pub route_name: Option<String>,
    /// Id and name of the route's service.
    pub service: Option<(String, String)>,
    /// How much of the body a plugin asked to be kept.
    pub kept_bytes: usize,
    /// The node that is asked.
    pub node: Option<SocketAddr>,
    /// Whether a filter cut the response.
    pub is_cut: bool,
    is_responding: bool,
    is_upstreams: bool,
}

impl Request {
    /// `GET` of a path and query, from 127.0.0.1, on route 1.
    pub fn get(target: &str) -> Self {
        Self::new("GET", target)
    }

    /// A request of this method.
    #[expect(clippy::missing_panics_doc, reason = "a test ends there")]
    pub fn new(method: &str, target: &str) -> Self {
        let mut head = RequestHead::default();
        feed(
            &format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\n\r\n"),
            |buffer| head.feed(buffer).expect("a head"),
        );
        Self {
            head,
            response: ResponseHead::default(),
            state: State::default(),
            remote: [127, 0, 0, 1].into(),
            body: Vec::new(),
            variables: Vec::new(),
            now: Duration::from_secs(1_700_000_000),
            timing: Timing::default(),
            route: Some("1".into()),
            route_name: None,
            service: None,
            kept_bytes: 0,
            node: None,
            is_cut: false,
            is_responding: false,
            is_upstreams: false,
        }
    }

    /// With a field more.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.head.headers.append(name.as_bytes(), value.as_bytes());
        self
    }

    /// From another client.
    #[must_use]
    #[expect(clippy::missing_panics_doc, reason = "a test ends there")]
    pub fn from(mut self, address: &str) -> Self {
        self.remote = address.parse().expect("an address");
        self
    }

    /// With a body.
    #[must_use]
    pub fn body(mut self, body: &str) -> Self {
        self.body = body.into();
        self
    }

    /// With a value of a variable.
    #[must_use]
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((Variable::parse(name), value.into()));
        self
    }

    /// At another time.
    #[must_use]
    pub fn at(mut self, now: Duration) -> Self {
        self.now = now;
        self
    }

    /// By a consumer.
    #[must_use]
    pub fn by(mut self, consumer: Arc<Consumer>) -> Self {
        self.state.consumer = Some(consumer);
        self
    }

    /// The upstream has answered.
    #[expect(clippy::missing_panics_doc, reason = "a test ends there")]
    pub fn respond(&mut self, status: u16, fields: &[(&str, &str)]) {
        self.response.clear();
        let asked = Asked {
            is_head: false,
            is_upgrade: false,
        };
        let response = &mut self.response;
        feed(&format!("HTTP/1.1 {status} OK\r\n\r\n"), |buffer| {
            response.feed(buffer, asked).expect("a head")
        });
        for (name, value) in fields {
            self.response
                .headers
                .append(name.as_bytes(), value.as_bytes());
        }
        self.is_responding = true;
        self.is_upstreams = true;
    }

    /// A field of the request as the upstream would get it.
    pub fn sent(&self, name: &str) -> Option<String> {
        let value = self.head.headers.get(name.as_bytes())?;
        Some(String::from_utf8_lossy(value).into_owned())
    }

    /// A field of the response as the client would get it.
    pub fn answered(&self, name: &str) -> Option<String> {
        let headers = if self.is_responding {
            &self.response.headers
        } else {
            &self.state.fields
        };
        let value = headers.get(name.as_bytes())?;
        Some(String::from_utf8_lossy(value).into_owned())
    }
}

fn feed(text: &str, head: impl FnOnce(&mut Buffer) -> bool) {
    let mut buffer = Buffer::new(text.len());
    buffer.free_mut().copy_from_slice(text.as_bytes());
    buffer.fill(text.len());
    assert!(head(&mut buffer), "a whole head");
}

/// All pieces of a stream, up to where it broke off.
fn whole(mut stream: Box<dyn BodyStream>) -> Vec<u8> {
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    runtime.block_on(async {
        let mut bytes = Vec::new();
        while let Ok(Some(piece)) = stream.next().await {
            bytes.extend(piece);
        }
        bytes
    })
}

impl Reply {
    /// The body as text, its pieces joined.
    pub fn text(self) -> String {
        let bytes = match self.body {
            crate::Body::Page => Vec::new(),
            crate::Body::Bytes(bytes) => bytes.into(),
            crate::Body::Stream(stream) => whole(stream),
        };
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The body as JSON; null where it is none.
    pub fn json_body(self) -> Value {
        serde_json::from_str(&self.text()).unwrap_or(json!(null))
    }
}

impl Lookup for Request {
    fn lookup<'a>(&'a self, variable: &Variable) -> Option<Cow<'a, [u8]>> {
        if let Some(value) = self.state.variable(variable) {
            return Some(Cow::Borrowed(value));
        }
        if let Some((_, value)) = self.variables.iter().find(|(name, _)| name == variable) {
            return Some(Cow::Borrowed(value));
        }
        let find = |list: &'a [u8], separator: u8, name: &str| {
            list.split(move |byte| *byte == separator).find_map(|pair| {
                let pair = pair.trim_ascii().strip_prefix(name.as_bytes())?;
                pair.strip_prefix(b"=").map(Cow::Borrowed)
            })
        };
        let headers = &self.head.headers;
        match variable {
            Variable::Uri => Some(Cow::Borrowed(self.uri())),
            Variable::RequestUri => Some(Cow::Borrowed(self.head.path_and_query())),
            Variable::Args => Some(Cow::Borrowed(self.query())),
            Variable::Arg(name) => find(self.query(), b'&', name),
            Variable::Header(name) => headers.get(name.as_bytes()).map(Cow::Borrowed),
            Variable::Cookie(name) => find(headers.get(b"cookie")?, b';', name),
            Variable::Host => Some(Cow::Borrowed(self.head.authority())),
            Variable::RequestMethod => Some(Cow::Borrowed(self.head.method_name())),
            Variable::Scheme => Some(Cow::Borrowed(b"http")),
            Variable::RouteId => Some(Cow::Borrowed(self.route.as_ref()?.as_bytes())),
            Variable::RemoteAddr => Some(Cow::Owned(self.remote.to_string().into_bytes())),
            Variable::Status if self.is_responding => {
                Some(Cow::Owned(self.response.status().to_string().into_bytes()))
            }
            _ => None,
        }
    }
}

impl Host for Request {
    fn request(&self) -> &RequestHead {
        &self.head
    }

    fn request_mut(&mut self) -> &mut RequestHead {
        &mut self.head
    }

    fn response(&self) -> &ResponseHead {
        &self.response
    }

    fn response_mut(&mut self) -> &mut ResponseHead {
        &mut self.response
    }

    fn is_responding(&self) -> bool {
        self.is_responding
    }

    fn is_upstreams(&self) -> bool {
        self.is_upstreams
    }

    fn state(&self) -> &State {
        &self.state
    }

    fn state_mut(&mut self) -> &mut State {
        &mut self.state
    }

    fn route(&self) -> Option<RouteFacts<'_>> {
        self.route.as_deref().map(|id| RouteFacts {
            id,
            name: self.route_name.as_deref(),
            matched_uri: "/*",
            matched_host: None,
            service_id: self.service.as_ref().map(|(id, _)| id.as_str()),
            service_name: self.service.as_ref().map(|(_, name)| name.as_str()),
        })
    }

    fn uri(&self) -> &[u8] {
        self.head.raw_path()
    }

    fn query(&self) -> &[u8] {
        let set = self.state.outgoing.query.as_deref();
        set.unwrap_or_else(|| self.head.query().unwrap_or_default())
    }

    fn remote_addr(&self) -> IpAddr {
        self.remote
    }

    fn worker(&self) -> usize {
        0
    }

    fn now(&self) -> Duration {
        self.now
    }

    fn timing(&self) -> Timing {
        self.timing
    }

    fn node(&self) -> Option<SocketAddr> {
        self.node
    }

    fn read_body(&mut self, limit: u64) -> LocalFuture<'_, Result<(), BodyError>> {
        let is_long = self.body.len() as u64 > limit;
        Box::pin(async move {
            if is_long {
                Err(BodyError::TooLarge)
            } else {
                Ok(())
            }
        })
    }

    fn body(&self) -> Option<Cow<'_, [u8]>> {
        Some(Cow::Borrowed(&self.body))
    }

    fn set_body(&mut self, body: Vec<u8>) -> bool {
        self.body = body;
        true
    }

    fn keep_body(&mut self, limit: usize) {
        self.kept_bytes = self.kept_bytes.max(limit);
    }

    fn kept_body(&self) -> Cow<'_, [u8]> {
        let end = self.kept_bytes.min(self.body.len());
        Cow::Borrowed(self.body.get(..end).unwrap_or_default())
    }
}
