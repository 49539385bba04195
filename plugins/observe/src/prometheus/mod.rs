//! `prometheus`: counts requests, and shows what was counted.
//!
//! Phases: `log`. Each worker counts on its own (`lockgate-metrics`): a request costs one look-up of its series by a key of what it is,
//! and six additions. What is shown comes from all workers at once, and from collectors of what is counted elsewhere. README.md is
//! the user's page, and lists what differs from the reference (`apisix/plugins/prometheus.lua` and `prometheus/exporter.lua`).
//!
//! `metrics.rs` has the families and what counts in them, `attributes.rs` the options of `plugin_attr`, `labels.rs` the labels that users
//! switch off.

mod attributes;
mod dictionaries;
mod labels;
mod metrics;

use std::sync::Arc;

use lockgate_plugin::{
    About, Body, Compile, ConfigError, Endpoint, EndpointRequest, Exchange, FieldName, Hooks, Log,
    MetadataHandle, MetadataType, Node, Plugin, Reply,
};
use serde::Deserialize;

use attributes::Attributes;
use labels::Disabled;
pub use metrics::{Families, Metrics};

/// The configuration as users write it.
#[derive(Debug, Deserialize)]
pub struct Config {
    prefer_name: bool,
}

/// One configuration, compiled.
#[derive(Debug)]
pub struct Prometheus {
    prefers_name: bool,
    metrics: Arc<Metrics>,
    disabled: MetadataHandle<Disabled>,
}

impl Plugin for Prometheus {
    const ABOUT: About = About::new("prometheus", 500, include_str!("schema.json")).prefers_route();
    const METADATA: Option<MetadataType> = Some(MetadataType::of::<Disabled>());
    const ENDPOINTS: Option<fn(&Node) -> Vec<Endpoint>> = Some(endpoints);

    type Config = Config;

    fn compile(config: Config, cx: &Compile<'_>) -> Result<Self, ConfigError> {
        Ok(Self {
            prefers_name: config.prefer_name,
            metrics: Metrics::of(cx.node),
            disabled: cx.metadata(),
        })
    }

    fn hooks(self: Arc<Self>, on: &mut Hooks) {
        on.log(self);
    }
}

impl Log for Prometheus {
    fn log(&self, ex: &mut Exchange<'_>) {
        let mut scratch = ex.take_scratch();
        self.disabled.with(|disabled| {
            self.metrics
                .count(self.prefers_name, disabled, ex, &mut scratch);
        });
        ex.set_scratch(scratch);
    }
}

const CONTENT_TYPE: FieldName = FieldName::from_static("Content-Type");

/// The path at which metrics are shown, by `plugin_attr.prometheus.export_uri`.
pub fn export_uri(node: &Node) -> String {
    Attributes::of(node).export_uri
}

/// As in the reference, there is none where metrics have a port of their own.
fn endpoints(node: &Node) -> Vec<Endpoint> {
    let attributes = Attributes::of(node);
    if attributes.enable_export_server {
        return Vec::new();
    }
    let metrics = Metrics::of(node);
    vec![Endpoint::new(
        &["GET"],
        attributes.export_uri,
        move |_: EndpointRequest<'_>| {
            let metrics = metrics.clone();
            Box::pin(async move {
                let pieces = metrics.text().await;
                Reply::new(200, Body::pieces(pieces))
                    .header(&CONTENT_TYPE, "text/plain; charset=utf-8")
            })
        },
    )]
}

#[cfg(test)]
mod tests;
