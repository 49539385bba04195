//! Questions to registries.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header::ACCEPT};
use lockgate_client::{Body, Client, ClientError};
use lockgate_net::tls::{ClientTls, TlsError};
use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::DeserializeOwned;
use thiserror::Error;

use crate::{Options, limits};

/// What may stand in one segment of a path as it is (RFC 3986 §3.3).
const SEGMENT: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'/')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// Asks one registry.
#[derive(Debug, Clone)]
pub(crate) struct Http {
    client: Client,
    /// Until the head of an answer.
    limit: Duration,
    headers: HeaderMap,
}

/// An answer with status 200.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// Why there is no useful answer.
#[derive(Debug, Error)]
pub(crate) enum AskError {
    #[error("{0}")]
    Call(#[from] ClientError),
    #[error("{method} {url}: the status is {status}")]
    Status {
        method: Method,
        url: String,
        status: StatusCode,
    },
    #[error("{url}: the answer cannot be read: {error}")]
    Malformed {
        url: String,
        error: serde_json::Error,
    },
    #[error("{0} is no address")]
    Address(String),
    #[error("{0}")]
    Refused(String),
}

/// Times of a registry.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    pub(crate) connect: Duration,
    /// From the request to the head of the answer.
    pub(crate) read: Duration,
}

impl Http {
    pub(crate) fn new(options: &Options<'_>, times: Times, verify: bool) -> Result<Self, TlsError> {
        let tls = ClientTls {
            verify,
            client_cert: None,
            trusted: options.trusted.clone(),
        };
        let client = Client::new(lockgate_client::Options {
            tls,
            connect_timeout: times.connect,
            max_body_bytes: limits::BODY_BYTES,
            ..lockgate_client::Options::new(options.resolver.clone())
        })?;
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        Ok(Self {
            client,
            limit: times.connect + times.read,
            headers,
        })
    }

    /// With a header on each request.
    pub(crate) fn with(mut self, name: &'static str, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// Asks, and reads the answer whole.
    pub(crate) async fn get(&self, url: &str) -> Result<Answer, AskError> {
        self.ask(Method::GET, url, self.limit).await
    }

    /// Sends what is in the query, and reads the answer whole.
    pub(crate) async fn post(&self, url: &str) -> Result<Answer, AskError> {
        self.ask(Method::POST, url, self.limit).await
    }

    /// Asks, and gives the body as it comes.
    pub(crate) async fn stream(&self, url: &str) -> Result<Body, AskError> {
        let request = self.request(Method::GET, url)?;
        let response = self.client.stream_within(request, self.limit).await?;
        if response.status() == StatusCode::OK {
            return Ok(response.into_body());
        }
        Err(AskError::Status {
            method: Method::GET,
            url: without_query(url),
            status: response.status(),
        })
    }

    /// Asks, and waits as long as the registry may hold the answer back.
    pub(crate) async fn poll(&self, url: &str, hold: Duration) -> Result<Answer, AskError> {
        self.ask(Method::GET, url, self.limit + hold).await
    }

    pub(crate) async fn ask(
        &self,
        method: Method,
        url: &str,
        limit: Duration,
    ) -> Result<Answer, AskError> {
        let request = self.request(method.clone(), url)?;
        let response = self.client.stream_within(request, limit).await?;
        let (head, mut body) = response.into_parts();
        if head.status != StatusCode::OK {
            return Err(AskError::Status {
                method,
                url: without_query(url),
                status: head.status,
            });
        }
        let body = body.rest(limits::BODY_BYTES, limits::BODY).await?;
        Ok(Answer {
            headers: head.headers,
            body,
        })
    }

    pub(crate) fn request(&self, method: Method, url: &str) -> Result<Request<Bytes>, AskError> {
        let request = Request::builder().method(method).uri(url);
        let mut request = request
            .body(Bytes::new())
            .map_err(|_wrong| AskError::Address(without_query(url)))?;
        *request.headers_mut() = self.headers.clone();
        Ok(request)
    }
}

impl Answer {
    /// The body, read as JSON.
    pub(crate) fn json<T: DeserializeOwned>(&self, url: &str) -> Result<T, AskError> {
        serde_json::from_slice(&self.body).map_err(|error| AskError::Malformed {
            url: without_query(url),
            error,
        })
    }
}

/// An address as it may be shown: queries have tokens in them.
pub(crate) fn without_query(url: &str) -> String {
    url.split('?').next().unwrap_or_default().to_owned()
}

/// A text as one segment of a path.
pub(crate) fn segment(text: &str) -> impl std::fmt::Display + '_ {
    utf8_percent_encode(text, SEGMENT)
}

/// A text as a value in a query.
pub(crate) fn value(text: &str) -> impl std::fmt::Display + '_ {
    utf8_percent_encode(text, NON_ALPHANUMERIC)
}
