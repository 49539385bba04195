//! A request and its response as plugins see them.

use std::{any::Any, borrow::Cow, net::IpAddr, sync::Arc, time::Duration};

use lockgate_expr::{Lookup, Template, Value, Variable};
use lockgate_http::{headers::Headers, request::RequestHead, response::ResponseHead};
use lockgate_upstream::Upstream;

use crate::{Consumer, LocalFuture, RateLimiting, State};

/// Who keeps a request on its way; implemented by the data plane, and by [`testing`](crate::testing).
///
/// As a [`Lookup`] it knows the value of every variable that is not set by a plugin.
pub trait Host: Lookup {
    /// The head of the request.
    fn request(&self) -> &RequestHead;
    /// The head of the request, to change its fields.
    fn request_mut(&mut self) -> &mut RequestHead;
    /// The head of the response; of no meaning before [`Host::is_responding`].
    fn response(&self) -> &ResponseHead;
    /// The head of the response, to change it.
    fn response_mut(&mut self) -> &mut ResponseHead;
    /// Whether the head of the response is known.
    fn is_responding(&self) -> bool;
    /// Whether the response came from the upstream, and is not the gateway's own.
    fn is_upstreams(&self) -> bool;
    /// What plugins have said.
    fn state(&self) -> &State;
    /// The same, to add to.
    fn state_mut(&mut self) -> &mut State;
    /// The route; `None` where none matched.
    fn route(&self) -> Option<RouteFacts<'_>>;
    /// The path in normal form.
    fn uri(&self) -> &[u8];
    /// The query without its `?`, as plugins have left it.
    fn query(&self) -> &[u8];
    /// Address of the client.
    fn remote_addr(&self) -> IpAddr;
    /// Number of the worker, from 0.
    fn worker(&self) -> usize;
    /// Time since the Unix epoch, good to some milliseconds.
    fn now(&self) -> Duration;
    /// How long things took so far.
    fn timing(&self) -> Timing;
    /// Reads the body of the request, up to its end or a little more than `limit` bytes.
    fn read_body(&mut self, limit: u64) -> LocalFuture<'_, Result<(), BodyError>>;
    /// The body, where all of it has been read or set.
    fn body(&self) -> Option<Cow<'_, [u8]>>;
    /// Replaces the body that is sent to the upstream.
    fn set_body(&mut self, body: Vec<u8>);
    /// Keeps the first `limit` bytes of the body, however it goes on, until the exchange has ended.
    fn keep_body(&mut self, limit: usize);
    /// The first bytes of the body as received so far: at least those that are to be kept, where they have come.
    fn kept_body(&self) -> Cow<'_, [u8]>;
}

/// What a route tells of itself.
#[derive(Debug, Clone, Copy)]
pub struct RouteFacts<'a> {
    /// Its id.
    pub id: &'a str,
    /// Its name.
    pub name: Option<&'a str>,
    /// The path of its configuration that the request matched.
    pub matched_uri: &'a str,
    /// The host of its configuration that the request matched; `None` where it has none.
    pub matched_host: Option<&'a str>,
    /// Id of its service.
    pub service_id: Option<&'a str>,
    /// Name of its service.
    pub service_name: Option<&'a str>,
}

/// Durations of an exchange.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Timing {
    /// From the head of the request to now, or to the end of the response.
    pub total: Duration,
    /// At upstream nodes, all attempts together; `None` where none was made.
    pub upstream: Option<Duration>,
    /// Bytes received from the client: the head, and the body as far as it was read.
    pub received: u64,
    /// Bytes sent to the client.
    pub sent: u64,
    /// Of these, bytes of the body.
    pub body_sent: u64,
}

/// Why a body cannot be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// It is longer than asked for.
    #[error("request size is greater than the maximum size allowed")]
    TooLarge,
    /// The client is gone or too slow, or what it sent is no body.
    #[error("the client did not send its body")]
    Broken,
}

/// Sees the body of a response piece by piece, and changes it.
pub trait BodyFilter {
    /// All `header_filter` hooks have run, and the head is about to be sent: the last moment to change it. `false` takes the filter
    /// away.
    fn begin(&mut self, _ex: &mut Exchange<'_>) -> bool {
        true
    }

    /// Whether it sees what all others have made of the body, whatever its plugin's priority: what encodes a body for the client does.
    fn runs_last(&self) -> bool {
        false
    }

    /// Takes a piece as it came, and appends to `out` what goes on in its place. The last call has `is_last`, maybe with an empty
    /// piece. It is not made where the response broke off.
    fn filter(&mut self, ex: &mut Exchange<'_>, piece: &[u8], is_last: bool, out: &mut Vec<u8>);

    /// Whether the body keeps its length, so that `Content-Length` stays.
    fn keeps_length(&self) -> bool {
        false
    }
}

/// A request and its response as a hook sees them.
///
/// Variables are looked up through [`Lookup`], so a [`Template`] renders with it and an expression evaluates on it.
pub struct Exchange<'a> {
    host: &'a mut dyn Host,
}

impl std::fmt::Debug for Exchange<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Exchange")
            .field("state", self.host.state())
            .finish_non_exhaustive()
    }
}

impl<'a> Exchange<'a> {
    /// The exchange that a host keeps.
    pub fn new(host: &'a mut dyn Host) -> Self {
        Self { host }
    }

    /// The head of the request as it was received, but for fields that plugins have changed.
    pub fn request(&self) -> &RequestHead {
        self.host.request()
    }

    /// The fields of the request, to change them: the upstream gets what is here.
    pub fn request_headers(&mut self) -> &mut Headers {
        &mut self.host.request_mut().headers
    }

    /// Value of the first field of the request of this name, in any case.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.host.request().headers.get(name.as_bytes())
    }

    /// Makes `value` the only field of this name that the upstream gets, or takes the field away.
    pub fn set_header(&mut self, name: &str, value: Option<&[u8]>) {
        let headers = self.request_headers();
        match value {
            Some(value) => headers.set(name.as_bytes(), value),
            None => {
                headers.remove(name.as_bytes());
            }
        }
    }

    /// The method, as plugins have left it.
    pub fn method(&self) -> &[u8] {
        let set = self.host.state().outgoing.method.as_deref();
        set.unwrap_or_else(|| self.host.request().method_name())
    }

    /// Sends the request with another method. One that is not written in capitals is passed over.
    pub fn set_method(&mut self, method: &[u8]) {
        if !method.is_empty() && method.iter().all(u8::is_ascii_uppercase) {
            self.host.state_mut().outgoing.method = Some(method.to_vec());
        }
    }

    /// The path in normal form.
    pub fn uri(&self) -> &[u8] {
        self.host.uri()
    }

    /// The query without its `?`, as plugins have left it; empty where there is none.
    pub fn query(&self) -> &[u8] {
        self.host.query()
    }

    /// Gives the request another query, without `?`, for plugins that follow and for the upstream. Bytes that cannot stand in a request
    /// line are escaped.
    pub fn set_query(&mut self, query: Vec<u8>) {
        self.host.state_mut().outgoing.query = Some(escaped(query));
    }

    /// Sends the request to this path and query (`upstream_uri`). Bytes that cannot stand in a request line are escaped.
    pub fn set_upstream_uri(&mut self, uri: Vec<u8>) {
        self.host.state_mut().outgoing.uri = Some(escaped(uri));
    }

    /// Path and query that were set with [`Self::set_upstream_uri`].
    pub fn upstream_uri(&self) -> Option<&[u8]> {
        self.host.state().outgoing.uri.as_deref()
    }

    /// Sends the request with this `Host`, whatever the upstream's `pass_host` says.
    /// Bytes that cannot stand in it are left out.
    pub fn set_upstream_host(&mut self, mut host: Vec<u8>) {
        host.retain(|byte| !ends_word(*byte));
        self.host.state_mut().outgoing.host = Some(host);
    }

    /// Sends the request to another upstream than the route's; `None`: to one that does not exist, which is a 502.
    pub fn set_upstream(&mut self, upstream: Option<Arc<Upstream>>) {
        let outgoing = &mut self.host.state_mut().outgoing;
        outgoing.has_no_upstream = upstream.is_none();
        outgoing.upstream = upstream;
    }

    /// Address of the client.
    pub fn remote_addr(&self) -> IpAddr {
        self.host.remote_addr()
    }

    /// The route; `None` in global rules on requests that no route matched.
    pub fn route(&self) -> Option<RouteFacts<'_>> {
        self.host.route()
    }

    /// Number of the worker that serves the request, from 0: where a plugin keeps things per worker.
    pub fn worker(&self) -> usize {
        self.host.worker()
    }

    /// Time since the Unix epoch, good to some milliseconds.
    pub fn now(&self) -> Duration {
        self.host.now()
    }

    /// How long things took so far, and how much was sent.
    pub fn timing(&self) -> Timing {
        self.host.timing()
    }

    /// Text of the value of a variable as plugins see it; `None` where it has none.
    pub fn variable(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        // For tests and rare paths: plugins parse names when they are compiled.
        let variable = Variable::parse(name);
        let mut out = Vec::new();
        self.value(&variable)?.write_text(&mut out);
        Some(Cow::Owned(out))
    }

    /// A template with its variables filled in.
    pub fn render(&self, template: &Template) -> Vec<u8> {
        let mut out = Vec::new();
        template.render(self, &mut out);
        out
    }

    /// Gives a variable a value, for plugins that follow, for the choice of the node and for logs.
    pub fn set_variable(&mut self, variable: &Variable, value: Vec<u8>) {
        let variables = &mut self.host.state_mut().variables;
        match variables.iter_mut().find(|(name, _)| name == variable) {
            Some((_, old)) => *old = value,
            None => variables.push((variable.clone(), value)),
        }
    }

    /// Who asked; `None` before a plugin found out.
    pub fn consumer(&self) -> Option<&Arc<Consumer>> {
        self.host.state().consumer.as_ref()
    }

    /// Says who asked, also to the upstream (`attach_consumer` in `apisix/consumer.lua`).
    pub fn attach(&mut self, consumer: Arc<Consumer>) {
        for (name, value) in [
            ("X-Consumer-Username", Some(&consumer.username)),
            ("X-Credential-Identifier", consumer.credential_id.as_ref()),
            ("X-Consumer-Custom-ID", consumer.custom_id.as_ref()),
        ] {
            self.set_header(name, value.map(|value| value.as_bytes()));
        }
        self.host.state_mut().consumer = Some(consumer);
    }

    /// Reads the body of the request and shows it, where it has no more than `limit` bytes.
    ///
    /// # Errors
    /// It is longer, or cannot be read.
    pub async fn body(&mut self, limit: u64) -> Result<Cow<'_, [u8]>, BodyError> {
        self.host.read_body(limit).await?;
        match self.host.body() {
            Some(body) if body.len() as u64 <= limit => Ok(body),
            _ => Err(BodyError::TooLarge),
        }
    }

    /// Replaces the body that is sent to the upstream, and its length.
    pub fn set_body(&mut self, body: Vec<u8>) {
        self.host.set_body(body);
    }

    /// Keeps the first `limit` bytes of the body of the request for hooks that run later, as loggers need them. Nothing waits for
    /// them: the body goes on as it comes.
    pub fn keep_body(&mut self, limit: usize) {
        self.host.keep_body(limit);
    }

    /// The first bytes of the body of the request as it was received so far, or as a plugin has set it; maybe more than were asked
    /// for with [`Self::keep_body`].
    pub fn kept_body(&self) -> Cow<'_, [u8]> {
        self.host.kept_body()
    }

    /// Status of the response; 0 before there is one.
    pub fn status(&self) -> u16 {
        if self.host.is_responding() {
            self.host.response().status()
        } else {
            0
        }
    }

    /// Gives the response another status.
    pub fn set_status(&mut self, status: u16) {
        self.host.response_mut().set_status(status);
    }

    /// Whether the response came from the upstream, and is not the gateway's own.
    pub fn is_upstreams(&self) -> bool {
        self.host.is_upstreams()
    }

    /// The head of the response. Of no meaning before `header_filter`.
    pub fn response(&self) -> &ResponseHead {
        self.host.response()
    }

    /// The fields of the response, to change them. Before `header_filter` they are put into the response that will come.
    pub fn response_headers(&mut self) -> &mut Headers {
        if self.host.is_responding() {
            &mut self.host.response_mut().headers
        } else {
            &mut self.host.state_mut().fields
        }
    }

    /// Makes `value` the only field of this name in the response, or takes the field away.
    pub fn set_response_header(&mut self, name: &str, value: Option<&[u8]>) {
        let headers = self.response_headers();
        match value {
            Some(value) => headers.set(name.as_bytes(), value),
            None => {
                headers.remove(name.as_bytes());
            }
        }
    }

    /// Asks to see the body of the response, and maybe to change it. For `header_filter` hooks.
    pub fn filter_body(&mut self, filter: impl BodyFilter + 'static) {
        let filters = &mut self.host.state_mut().filters;
        let place = if filter.runs_last() {
            filters.len()
        } else {
            filters.iter().take_while(|one| !one.runs_last()).count()
        };
        filters.insert(place, Box::new(filter));
    }

    /// Asks the filters of the body whether they stay. Hosts do so once, when all `header_filter` hooks have run.
    pub fn begin_filters(&mut self) {
        let mut filters = std::mem::take(&mut self.host.state_mut().filters);
        filters.retain_mut(|filter| filter.begin(self));
        self.host.state_mut().filters = filters;
    }

    /// Keeps a value from hook to hook of this plugin's, in place of the one kept before.
    pub fn keep<P, T: Any>(&mut self, plugin: &P, value: T) {
        let owner = std::ptr::from_ref(plugin).addr();
        let kept = &mut self.host.state_mut().kept;
        kept.retain(|(place, old)| *place != owner || !old.is::<T>());
        kept.push((owner, Box::new(value)));
    }

    /// The value that this plugin keeps.
    pub fn kept<P, T: Any>(&mut self, plugin: &P) -> Option<&mut T> {
        let owner = std::ptr::from_ref(plugin).addr();
        let kept = &mut self.host.state_mut().kept;
        kept.iter_mut()
            .filter(|(place, _)| *place == owner)
            .find_map(|(_, value)| value.downcast_mut())
    }

    /// Memory to write into, empty: taken for as long as it is needed, and given back by [`Self::set_scratch`].
    pub fn take_scratch(&mut self) -> Vec<u8> {
        let mut scratch = std::mem::take(&mut self.host.state_mut().scratch);
        scratch.clear();
        scratch
    }

    /// Gives memory back.
    pub fn set_scratch(&mut self, scratch: Vec<u8>) {
        self.host.state_mut().scratch = scratch;
    }

    /// What limiting plugins found, to say what this one finds.
    pub fn rate_limiting(&mut self) -> &mut RateLimiting {
        &mut self.host.state_mut().rate_limiting
    }

    /// What plugins have said about the request.
    pub fn state(&self) -> &State {
        self.host.state()
    }

    pub(crate) fn state_mut(&mut self) -> &mut State {
        self.host.state_mut()
    }
}

impl Lookup for Exchange<'_> {
    fn lookup<'b>(&'b self, variable: &Variable) -> Option<Cow<'b, [u8]>> {
        self.host.lookup(variable)
    }

    fn value<'b>(&'b self, variable: &Variable) -> Option<Value<'b>> {
        self.host.value(variable)
    }

    fn append(&self, variable: &Variable, out: &mut Vec<u8>) -> bool {
        self.host.append(variable, out)
    }
}

impl State {
    /// The value that a plugin gave to a variable, or that follows from what plugins have said. Hosts ask here first.
    #[inline]
    pub fn variable(&self, variable: &Variable) -> Option<&[u8]> {
        if let Some((_, value)) = self.variables.iter().find(|(name, _)| name == variable) {
            return Some(value);
        }
        match variable {
            Variable::ConsumerName => Some(self.consumer.as_ref()?.name.as_bytes()),
            Variable::ConsumerGroupId => {
                Some(self.consumer.as_ref()?.group_id.as_ref()?.as_bytes())
            }
            Variable::RateLimitingInfo => self.rate_limiting.text(),
            _ => None,
        }
    }
}

/// Whether a byte would end a word of a request line.
fn ends_word(byte: u8) -> bool {
    byte <= b' ' || byte == 0x7f
}

/// A part of a request target with what would end it escaped.
fn escaped(text: Vec<u8>) -> Vec<u8> {
    if !text.iter().any(|byte| ends_word(*byte)) {
        return text;
    }
    let mut out = Vec::with_capacity(text.len() + 8);
    for byte in text {
        if ends_word(byte) {
            let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0');
            out.push(b'%');
            out.push(digit(byte >> 4).to_ascii_uppercase() as u8);
            out.push(digit(byte & 15).to_ascii_uppercase() as u8);
        } else {
            out.push(byte);
        }
    }
    out
}
