//! `public-api`: lets clients ask what other plugins serve.
//!
//! Phases: `access`. The endpoint answers in place of an upstream; plugins of the route that have run before, such as those that
//! authenticate, guard it. README.md is the user's page (the reference: `apisix/plugins/public-api.lua`).

use std::sync::Arc;

use lockgate_plugin::{
    About, AccessAsync, BodyError, Compile, ConfigError, EndpointRequest, Endpoints, Exchange,
    Flow, Hooks, Plugin,
};
use serde::Deserialize;

/// The configuration as users write it.
#[derive(Debug, Deserialize)]
pub struct Config {
    uri: Option<String>,
}

/// One configuration, compiled.
#[derive(Debug)]
pub struct PublicApi {
    /// The path of the endpoint; `None` for that of the request.
    uri: Option<Box<str>>,
    endpoints: Endpoints,
}

impl Plugin for PublicApi {
    const ABOUT: About = About::new("public-api", 501, include_str!("schema.json"));

    type Config = Config;

    fn compile(config: Config, cx: &Compile<'_>) -> Result<Self, ConfigError> {
        Ok(Self {
            uri: config.uri.map(Into::into),
            endpoints: cx.node.endpoints(),
        })
    }

    fn hooks(self: Arc<Self>, on: &mut Hooks) {
        on.access_async(self);
    }
}

impl AccessAsync for PublicApi {
    async fn access(&self, ex: &mut Exchange<'_>) -> Flow {
        let path = match &self.uri {
            Some(uri) => uri.as_bytes().to_vec(),
            None => ex.uri().to_vec(),
        };
        let endpoints = self.endpoints.all();
        let found = endpoints
            .iter()
            .find(|endpoint| endpoint.is_for(ex.method(), &path));
        let Some(endpoint) = found else {
            return Flow::page(404);
        };
        if endpoint.body_bytes > 0 {
            match ex.read_body(endpoint.body_bytes).await {
                Ok(()) => {}
                Err(BodyError::TooLarge) => return Flow::page(413),
                Err(_) => return Flow::page(400),
            }
        }
        let body = ex.body().filter(|_| endpoint.body_bytes > 0);
        let headers = &ex.request().headers;
        let request =
            EndpointRequest::new(ex.method(), &path, ex.query(), headers, ex.remote_addr())
                .with_body(body.as_deref().unwrap_or_default());
        (endpoint.handler)(request).await.into()
    }
}

#[cfg(test)]
mod tests {
    use lockgate_plugin::{
        Descriptor, Endpoint, Node, Reply,
        testing::{Kit, Request},
    };
    use serde_json::{Value, json};

    use super::*;

    /// A plugin that tells what it was asked.
    struct Told;

    impl Plugin for Told {
        const ABOUT: About = About::new("told", 1, "{}");
        const ENDPOINTS: Option<fn(&Node) -> Vec<Endpoint>> = Some(|_| {
            let endpoint = |methods, path: &str| {
                Endpoint::new(methods, path, |request: EndpointRequest<'_>| {
                    let parts = [request.method, request.path, request.query, request.body];
                    let text = parts.join(&b' ');
                    Box::pin(std::future::ready(Reply::bytes(202, text)))
                })
            };
            vec![
                endpoint(&["GET"], "/apisix/told"),
                endpoint(&["POST"], "/apisix/told/*").reading(4),
            ]
        });

        type Config = Value;

        fn compile(_: Value, _: &Compile<'_>) -> Result<Self, ConfigError> {
            Ok(Self)
        }

        fn hooks(self: Arc<Self>, _: &mut Hooks) {}
    }

    #[test]
    fn the_endpoint_of_the_path_answers() {
        let kit = Kit::new();
        kit.node.serve([&Descriptor::of::<Told>()]);
        for (config, request, expected) in [
            (
                json!({}),
                Request::get("/apisix/told?a=b"),
                (202, "GET /apisix/told a=b "),
            ),
            // What the endpoint did not ask for is not read.
            (
                json!({}),
                Request::get("/apisix/told").body("x"),
                (202, "GET /apisix/told  "),
            ),
            (
                json!({}),
                Request::new("POST", "/apisix/told/x").body("body"),
                (202, "POST /apisix/told/x  body"),
            ),
            (
                json!({}),
                Request::new("POST", "/apisix/told/x").body("longer"),
                (413, ""),
            ),
            (json!({}), Request::new("POST", "/apisix/told"), (404, "")),
            (json!({}), Request::get("/apisix/tol"), (404, "")),
            (json!({}), Request::get("/apisix/told/x"), (404, "")),
            (
                json!({"uri": "/apisix/told"}),
                Request::get("/metrics"),
                (202, "GET /apisix/told  "),
            ),
            (
                json!({"uri": "/none"}),
                Request::get("/apisix/told"),
                (404, ""),
            ),
        ] {
            let plugin = kit.plugin::<PublicApi>(&config).expect("a configuration");
            let mut request = request;
            let reply = plugin.access(&mut request).expect("an answer");
            let found = (reply.status, reply.text());
            assert_eq!(
                (found.0, found.1.as_str()),
                expected,
                "{config} {request:?}"
            );
        }
    }
}
