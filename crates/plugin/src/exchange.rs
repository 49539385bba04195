//! A request and its response as plugins see them.

use std::{
    any::Any,
    borrow::Cow,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use lockgate_expr::{Lookup, Template, Value, Variable};
use lockgate_http::{
    field::FieldName, headers::Headers, request::RequestHead, response::ResponseHead,
};

use crate::{
    BodyFilter, Consumer, Destination, RateLimiting,
    host::{Host, State},
};

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

/// Why a body cannot be had, or replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BodyError {
    /// It is longer than asked for.
    #[error("request size is greater than the maximum size allowed")]
    TooLarge,
    /// The client is gone or too slow, or what it sent is no body.
    #[error("the client did not send its body")]
    Broken,
    /// It has not been read, and would come behind the one that is to replace it.
    #[error("the body has not been read")]
    Unread,
    /// The request has been sent to the upstream.
    #[error("the request has been sent already")]
    Sent,
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

    /// Makes `value` the only field of this name that the upstream gets, or takes the field away. CR, LF and NUL in it become spaces.
    pub fn set_header(&mut self, name: &FieldName, value: Option<&[u8]>) {
        put(self.request_headers(), name, value);
    }

    /// Gives the upstream a field more. CR, LF and NUL in the value become spaces.
    pub fn add_header(&mut self, name: &FieldName, value: &[u8]) {
        self.request_headers().append_field(name, value);
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

    /// Says where the request goes; what was said last counts.
    pub fn set_destination(&mut self, destination: Destination) {
        self.host.state_mut().outgoing.destination = destination;
    }

    /// The node that is asked, from `before_proxy` on, or was asked last; `None` where none was.
    pub fn node(&self) -> Option<SocketAddr> {
        self.host.node()
    }

    /// Address of the client.
    pub fn remote_addr(&self) -> IpAddr {
        self.host.remote_addr()
    }

    /// The route; `None` in global rules on requests that no route matched.
    pub fn route(&self) -> Option<RouteFacts<'_>> {
        self.host.route()
    }

    /// Number of the worker that serves the request, from 0: where a plugin keeps things per worker. A reload may start more workers than
    /// there were when a table was made; what is looked up by this number must be there for any (the remainder of a division will do).
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
    pub fn consumer(&self) -> Option<&Consumer> {
        self.host.state().consumer.as_deref()
    }

    /// Says who asked, also to the upstream (`attach_consumer` in `apisix/consumer.lua`).
    pub fn attach(&mut self, consumer: Arc<Consumer>) {
        const USERNAME: FieldName = FieldName::from_static("X-Consumer-Username");
        const CREDENTIAL: FieldName = FieldName::from_static("X-Credential-Identifier");
        const CUSTOM_ID: FieldName = FieldName::from_static("X-Consumer-Custom-ID");
        for (name, value) in [
            (&USERNAME, Some(&consumer.username)),
            (&CREDENTIAL, consumer.credential_id.as_ref()),
            (&CUSTOM_ID, consumer.custom_id.as_ref()),
        ] {
            self.set_header(name, value.map(|value| value.as_bytes()));
        }
        self.host.state_mut().consumer = Some(consumer);
    }

    /// Reads the body of the request, where it has no more than `limit` bytes; [`Self::body`] shows it then. What has been read is
    /// kept for the upstream, and is not read again.
    ///
    /// # Errors
    /// It is longer, or cannot be read.
    pub async fn read_body(&mut self, limit: u64) -> Result<(), BodyError> {
        self.host.read_body(limit).await?;
        match self.host.body() {
            Some(body) if body.len() as u64 <= limit => Ok(()),
            _ => Err(BodyError::TooLarge),
        }
    }

    /// The body of the request, where all of it has been read or a plugin has set it; `None` too once it has been sent on. What is to
    /// be seen later is kept with [`Self::keep_body`].
    pub fn body(&self) -> Option<Cow<'_, [u8]>> {
        self.host.body()
    }

    /// Replaces the body that is sent to the upstream, and its length.
    ///
    /// # Errors
    /// The body of the client has not been read ([`Self::read_body`]), or a response has come.
    pub fn set_body(&mut self, body: Vec<u8>) -> Result<(), BodyError> {
        if self.host.is_responding() {
            return Err(BodyError::Sent);
        }
        self.host
            .set_body(body)
            .then_some(())
            .ok_or(BodyError::Unread)
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

    /// Makes `value` the only field of this name in the response, or takes the field away. CR, LF and NUL in it become spaces.
    pub fn set_response_header(&mut self, name: &FieldName, value: Option<&[u8]>) {
        put(self.response_headers(), name, value);
    }

    /// Gives the response a field more. CR, LF and NUL in the value become spaces.
    pub fn add_response_header(&mut self, name: &FieldName, value: &[u8]) {
        self.response_headers().append_field(name, value);
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

    /// Whether a plugin has given a variable a value: what templates say may differ from what the request says.
    pub fn has_set_variables(&self) -> bool {
        !self.host.state().variables.is_empty()
    }

    /// The value that a plugin has given to a variable.
    pub fn set_value(&self, variable: &Variable) -> Option<&[u8]> {
        self.host.state().variable(variable)
    }

    pub(crate) fn state(&self) -> &State {
        self.host.state()
    }

    pub(crate) fn state_mut(&mut self) -> &mut State {
        self.host.state_mut()
    }
}

/// Makes a value the only one of a name, or takes the fields of that name away.
fn put(headers: &mut Headers, name: &FieldName, value: Option<&[u8]>) {
    match value {
        Some(value) => headers.set_field(name, value),
        None => {
            headers.remove(name.as_str().as_bytes());
        }
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
