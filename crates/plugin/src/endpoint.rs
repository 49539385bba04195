//! What plugins serve themselves: through the `public-api` plugin, or on a port of the gateway's own.

use std::sync::Arc;

use crate::{LocalFuture, Reply};

/// A request for an endpoint.
#[derive(Debug, Clone, Copy)]
pub struct EndpointRequest<'a> {
    /// The method.
    pub method: &'a [u8],
    /// The path in normal form.
    pub path: &'a [u8],
    /// The query without its `?`.
    pub query: &'a [u8],
    /// The body; empty where the endpoint did not ask for one.
    pub body: &'a [u8],
}

/// Answers requests for an endpoint.
pub type Handler = dyn for<'a> Fn(EndpointRequest<'a>) -> LocalFuture<'a, Reply> + Send + Sync;

/// Something that a plugin serves.
#[derive(Clone)]
pub struct Endpoint {
    /// The methods it is for, in capitals.
    pub methods: &'static [&'static str],
    /// The path; one that ends with `*` is a prefix.
    pub path: Box<str>,
    /// How many bytes of the request's body it wants; 0 for none.
    pub body_bytes: u64,
    /// Who answers.
    pub handler: Arc<Handler>,
}

impl Endpoint {
    /// Whether it is for this request.
    pub fn is_for(&self, method: &[u8], path: &[u8]) -> bool {
        let is_path = match self.path.strip_suffix('*') {
            Some(prefix) => path.starts_with(prefix.as_bytes()),
            None => path == self.path.as_bytes(),
        };
        is_path && self.methods.iter().any(|name| name.as_bytes() == method)
    }
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Endpoint")
            .field("methods", &self.methods)
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}
