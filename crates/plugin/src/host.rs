//! What the data plane and the compiler of snapshots use of this crate; nothing that a plugin is written against.

use std::{
    borrow::Cow,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use lockgate_expr::Lookup;
use lockgate_http::{request::RequestHead, response::ResponseHead};

use crate::{BodyError, Exchange, LocalFuture, RouteFacts, Timing};

pub use crate::{
    chain::{Phase, run},
    filter::filter_body,
    instance::{Instance, Slot},
    state::{Outgoing, State},
};

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
    /// The node that is asked, or was asked last.
    fn node(&self) -> Option<SocketAddr>;
    /// Reads the body of the request, up to its end or a little more than `limit` bytes.
    fn read_body(&mut self, limit: u64) -> LocalFuture<'_, Result<(), BodyError>>;
    /// The body, where all of it has been read or set.
    fn body(&self) -> Option<Cow<'_, [u8]>>;
    /// Replaces the body that is sent to the upstream; `false` where the client's has not been read.
    fn set_body(&mut self, body: Vec<u8>) -> bool;
    /// Keeps the first `limit` bytes of the body, however it goes on, until the exchange has ended.
    fn keep_body(&mut self, limit: usize);
    /// The first bytes of the body as received so far: at least those that are to be kept, where they have come.
    fn kept_body(&self) -> Cow<'_, [u8]>;
}

/// Asks the filters of the body whether they stay; once, when all `header_filter` hooks have run.
pub fn begin_filters(ex: &mut Exchange<'_>) {
    let mut filters = std::mem::take(&mut ex.state_mut().filters);
    filters.retain_mut(|filter| filter.begin(ex));
    ex.state_mut().filters = filters;
}
