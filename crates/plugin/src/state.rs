//! What plugins have said about one request.

use std::{any::Any, sync::Arc};

use lockgate_expr::Variable;
use lockgate_http::headers::Headers;
use lockgate_upstream::Upstream;
use smallvec::SmallVec;

use crate::{BodyFilter, Consumer, RateLimiting, limits};

/// What plugins have said about one request; part of the exchange, and emptied with it.
#[derive(Default)]
pub struct State {
    /// Who asked.
    pub consumer: Option<Arc<Consumer>>,
    /// What is sent to the upstream in place of what the client sent.
    pub outgoing: Outgoing,
    /// Fields of the response that were set before there was one.
    pub fields: Headers,
    /// Who filters the body of the response, in order.
    pub filters: Vec<Box<dyn BodyFilter>>,
    /// Variables that plugins have set.
    pub variables: Vec<(Variable, Vec<u8>)>,
    /// Memory that a hook may write into and that is nobody's when it returns, so that no request has to allocate it.
    pub scratch: Vec<u8>,
    /// Memory for bodies on their way from filter to filter.
    pub between: Vec<u8>,
    /// What limiting plugins found.
    pub rate_limiting: RateLimiting,
    /// Whether hooks that run are noted.
    pub is_traced: bool,
    /// The hooks that ran, with their phases.
    pub trace: Vec<(&'static str, &'static str)>,
    /// Whether `_meta.filter` of an instance (by its address) let the request pass.
    pub(crate) verdicts: SmallVec<[(usize, bool); 2]>,
    /// What instances (by their addresses) keep from hook to hook.
    pub(crate) kept: Vec<(usize, Box<dyn Any>)>,
}

/// What is sent to the upstream in place of what the client sent.
#[derive(Default)]
pub struct Outgoing {
    /// The method.
    pub method: Option<Vec<u8>>,
    /// Path and query as they are sent (`upstream_uri`).
    pub uri: Option<Vec<u8>>,
    /// The query of the request, without its `?`, as plugins and the upstream see it; empty for none.
    pub query: Option<Vec<u8>>,
    /// The `Host` field (`upstream_host`).
    pub host: Option<Vec<u8>>,
    /// Where the request goes.
    pub destination: Destination,
}

/// Where a request goes.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub enum Destination {
    /// Where the route says.
    #[default]
    Route,
    /// To this upstream.
    Upstream(Arc<Upstream>),
    /// To an upstream that was named and does not exist, which is a 502.
    Missing,
    /// Nowhere: a `before_proxy` hook is going to answer, so the route needs no upstream and no node is chosen.
    Plugin,
}

impl State {
    /// Makes room for the next request.
    pub fn clear(&mut self) {
        self.consumer = None;
        let Outgoing {
            method,
            uri,
            query,
            host,
            destination,
        } = &mut self.outgoing;
        *method = None;
        *uri = None;
        *query = None;
        *host = None;
        *destination = Destination::Route;
        self.fields.clear();
        self.filters.clear();
        self.variables.clear();
        for memory in [&mut self.scratch, &mut self.between] {
            if memory.capacity() > limits::KEPT_BYTES {
                *memory = Vec::new();
            }
        }
        self.rate_limiting.clear();
        self.is_traced = false;
        self.trace.clear();
        self.verdicts.clear();
        self.kept.clear();
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

impl std::fmt::Debug for State {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("State")
            .field("consumer", &self.consumer.as_ref().map(|who| &who.name))
            .field("trace", &self.trace)
            .finish_non_exhaustive()
    }
}
