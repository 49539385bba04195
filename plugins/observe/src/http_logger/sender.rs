//! Sending a batch: `POST` with all its entries.

use std::time::Duration;

use bytes::Bytes;
use http::{
    HeaderName, HeaderValue, Request,
    header::{AUTHORIZATION, CONTENT_TYPE, HOST},
};
use lockgate_batch::{Failed, Sender, Sending};
use lockgate_client::{Client, Endpoint, EndpointError};
use lockgate_plugin::{About, Compile, ConfigError};

use super::{Concat, Config};
use crate::{http::Place, limits, logger::BatchSender};

/// Sends batches to one server.
pub(crate) struct HttpSender {
    client: Client,
    /// Why nothing can be sent, where the address is none.
    endpoint: Result<Endpoint, EndpointError>,
    headers: Vec<(HeaderName, HeaderValue)>,
    timeout: Duration,
    concat: Concat,
    /// Batches have one entry, which is sent as it is.
    is_single: bool,
}

impl BatchSender for HttpSender {
    const ABOUT: About = About::new("http-logger", 410, include_str!("schema.json"));
    const NAME: &'static str = "http logger";

    type Config = Config;

    fn new(config: &Config, is_single: bool, cx: &Compile<'_>) -> Result<Self, ConfigError> {
        let timeout = Duration::from_secs(config.timeout);
        let client = crate::http::client(cx.node, config.ssl_verify)
            .map_err(|error| ConfigError(error.to_string()))?;
        let endpoint = endpoint(&config.uri);
        let content_type = match config.concat_method {
            Concat::Json => "application/json",
            Concat::NewLine => "text/plain",
        };
        let mut headers = vec![(CONTENT_TYPE, HeaderValue::from_static(content_type))];
        // Without the port, as the reference sends it.
        if let Ok(endpoint) = &endpoint
            && let Ok(host) = HeaderValue::from_str(endpoint.host())
        {
            headers.push((HOST, host));
        }
        if let Some(text) = &config.auth_header {
            let value = lockgate_client::secret(text)
                .ok_or_else(|| ConfigError::new("auth_header cannot stand in a header"))?;
            headers.push((AUTHORIZATION, value));
        }
        Ok(Self {
            client: client.within_each(timeout),
            endpoint,
            headers,
            timeout,
            concat: config.concat_method,
            is_single,
        })
    }
}

impl HttpSender {
    fn body(&self, batch: &[Vec<u8>]) -> Bytes {
        match (batch, self.concat) {
            ([one], _) if self.is_single => one.clone().into(),
            (entries, Concat::Json) => [b"[", &*entries.join(&b","[..]), b"]"].concat().into(),
            (entries, Concat::NewLine) => entries.join(&b"\n"[..]).into(),
        }
    }

    async fn post(&self, batch: &[Vec<u8>]) -> Result<(), Failed> {
        let endpoint = self
            .endpoint
            .as_ref()
            .map_err(|error| Failed::whole(error.to_string()))?;
        // Without user and query, in which there may be secrets.
        tracing::info!(
            "sending a batch logs to {}:{}{}",
            endpoint.host(),
            endpoint.port(),
            endpoint.path()
        );
        let place = Place::of(endpoint);
        let mut request = Request::post(endpoint.uri()).body(self.body(batch));
        if let Ok(request) = &mut request {
            request.headers_mut().extend(self.headers.iter().cloned());
        }
        let request = request.map_err(|error| Failed::whole(error.to_string()))?;
        let answer = self.client.stream(request).await;
        let mut answer = answer.map_err(|error| Failed::whole(place.failed(&error)))?;
        // Read in any case, so that the connection can be used again.
        let status = answer.status().as_u16();
        let body = answer
            .body_mut()
            .excerpt(limits::EXCERPT_BYTES, self.timeout)
            .await;
        if status >= 400 {
            return Err(Failed::whole(place.refused(status, &body)));
        }
        Ok(())
    }
}

impl Sender<Vec<u8>> for HttpSender {
    fn send<'a>(&'a self, batch: &'a [Vec<u8>]) -> Sending<'a> {
        Box::pin(self.post(batch))
    }
}

/// The address; whatever is not `https` is `http`, and a user in it counts for nothing.
fn endpoint(uri: &str) -> Result<Endpoint, EndpointError> {
    match Endpoint::parse_past_user(uri) {
        Err(EndpointError::Scheme) => {
            let (_, rest) = uri.split_once("://").ok_or(EndpointError::Scheme)?;
            Endpoint::parse_past_user(&format!("http://{rest}"))
        }
        parsed => parsed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_any_scheme_for_http() {
        for (uri, expected) in [
            ("http://a.test/x?y=1", Some("http://a.test/x?y=1")),
            ("https://a.test", Some("https://a.test/")),
            ("ftp://a.test:81/x", Some("http://a.test:81/x")),
            ("http://user:secret@a.test/", Some("http://a.test/")),
            ("http://a.test:99999/", None),
        ] {
            let found = endpoint(uri).ok().map(|found| found.uri().to_string());
            assert_eq!(found.as_deref(), expected, "{uri}");
        }
    }
}
