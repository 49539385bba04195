//! `plugin_attr.prometheus` of `config.yaml`.

use std::{collections::BTreeMap, time::Duration};

use lockgate_expr::Variable;
use lockgate_plugin::Node;
use serde::Deserialize;
use serde_json::{Map, Value};

/// The options. Everything has the reference's default.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Attributes {
    pub(super) export_uri: String,
    pub(super) metric_prefix: String,
    pub(super) enable_export_server: bool,
    /// Bounds of latencies in milliseconds.
    pub(super) default_buckets: Option<Vec<f64>>,
    /// By names of metrics without their prefix.
    metrics: BTreeMap<String, Metric>,
}

/// Options of one metric.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
struct Metric {
    /// Label and variable, one of each in an object.
    extra_labels: Option<Vec<Map<String, Value>>>,
    /// Seconds without an update after which a series ends; 0 for never.
    expire: Option<f64>,
}

impl Default for Attributes {
    fn default() -> Self {
        Self {
            export_uri: "/apisix/prometheus/metrics".into(),
            metric_prefix: "apisix_".into(),
            enable_export_server: true,
            default_buckets: None,
            metrics: BTreeMap::new(),
        }
    }
}

impl Attributes {
    /// Those of the node. Options that are none are named in the log, and the defaults are in force.
    pub(super) fn of(node: &Node) -> Self {
        let Some(value) = node.attributes("prometheus") else {
            return Self::default();
        };
        serde_json::from_value(value).unwrap_or_else(|error| {
            tracing::error!(%error, "plugin_attr.prometheus cannot be honoured");
            Self::default()
        })
    }

    /// Labels that users add to a metric, and the variables that they have the values of.
    pub(super) fn extra_labels(&self, metric: &str) -> Vec<(String, Variable)> {
        let labels = self.metrics.get(metric);
        let labels = labels.and_then(|metric| metric.extra_labels.as_ref());
        labels
            .into_iter()
            .flatten()
            .filter_map(|pair| {
                let (name, variable) = pair.iter().next()?;
                let variable = variable.as_str()?;
                // Without its `$`, which the reference cuts off whatever it is.
                let mut variable = variable.chars();
                variable.next();
                Some((name.clone(), Variable::parse(variable.as_str())))
            })
            .collect()
    }

    /// How long series of a metric are kept without an update; zero for ever.
    pub(super) fn expire(&self, metric: &str) -> Duration {
        let seconds = self.metrics.get(metric).and_then(|metric| metric.expire);
        Duration::try_from_secs_f64(seconds.unwrap_or(0.0)).unwrap_or_default()
    }

    /// The same without where metrics are shown: what decides about the metrics themselves.
    pub(super) fn of_metrics(self) -> Self {
        let Self {
            export_uri,
            enable_export_server,
            ..
        } = Self::default();
        Self {
            export_uri,
            enable_export_server,
            ..self
        }
    }

    /// The same without what users add, for where that cannot be declared.
    pub(super) fn plain(&self) -> Self {
        Self {
            export_uri: self.export_uri.clone(),
            enable_export_server: self.enable_export_server,
            ..Self::default()
        }
    }
}
