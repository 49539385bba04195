//! What plugins serve themselves: through the `public-api` plugin, or on a port of the gateway's own.

use std::{net::IpAddr, sync::Arc};

use lockgate_http::headers::Headers;

use crate::{Reply, SendFuture};

/// A request for an endpoint.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct EndpointRequest<'a> {
    /// The method.
    pub method: &'a [u8],
    /// The path in normal form.
    pub path: &'a [u8],
    /// The query without its `?`.
    pub query: &'a [u8],
    /// The fields.
    pub headers: &'a Headers,
    /// Address of the client.
    pub remote_addr: IpAddr,
    /// The body; empty where the endpoint did not ask for one.
    pub body: &'a [u8],
}

/// Answers requests for an endpoint, on whichever thread serves them.
pub type Handler = dyn for<'a> Fn(EndpointRequest<'a>) -> SendFuture<'a, Reply> + Send + Sync;

/// Something that a plugin serves.
#[derive(Clone)]
#[non_exhaustive]
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

impl<'a> EndpointRequest<'a> {
    /// A request without a body, from a client at `remote_addr`.
    pub fn new(
        method: &'a [u8],
        path: &'a [u8],
        query: &'a [u8],
        headers: &'a Headers,
        remote_addr: IpAddr,
    ) -> Self {
        Self {
            method,
            path,
            query,
            headers,
            remote_addr,
            body: &[],
        }
    }

    /// The same with a body.
    #[must_use]
    pub fn with_body(self, body: &'a [u8]) -> Self {
        Self { body, ..self }
    }
}

impl Endpoint {
    /// For requests of these methods, in capitals, and this path; one that ends with `*` is a prefix. Bodies are not read for it.
    pub fn new<H>(methods: &'static [&'static str], path: impl Into<Box<str>>, handler: H) -> Self
    where
        H: for<'a> Fn(EndpointRequest<'a>) -> SendFuture<'a, Reply> + Send + Sync + 'static,
    {
        Self {
            methods,
            path: path.into(),
            body_bytes: 0,
            handler: Arc::new(handler),
        }
    }

    /// The same, which gets bodies of up to so many bytes; longer ones are answered with 413.
    #[must_use]
    pub fn reading(self, body_bytes: u64) -> Self {
        Self { body_bytes, ..self }
    }

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
