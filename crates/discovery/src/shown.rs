//! What the control API shows of registries.

use std::{path::PathBuf, sync::Arc};

use lockgate_model::resource::Node;
use serde_json::{Map, Value, json};

use crate::{
    board::{Board, Services},
    kubernetes::Cluster,
};

/// An answer for the control API.
#[derive(Debug, Clone, PartialEq)]
pub enum Shown {
    /// 200, as JSON.
    Json(Value),
    /// 200, as it is in a file.
    File(String),
    /// 503, and why.
    Unavailable(String),
}

/// How a kind is shown.
pub(crate) enum Show {
    /// Not at all.
    Nothing,
    /// `dump`: options and services.
    Services,
    /// `dump`: services alone, in the form of Nacos.
    Nacos,
    /// `dump`: options and endpoints, by cluster.
    Clusters(Vec<Arc<Cluster>>),
    /// `dump`: options and services; and `show_dump_file`.
    WithFile(Option<PathBuf>),
}

impl Show {
    /// Whether what has to be read before requests are served was read.
    pub(crate) fn is_ready(&self) -> bool {
        match self {
            Self::Clusters(clusters) => clusters.iter().all(|cluster| cluster.is_listed()),
            Self::Nothing | Self::Services | Self::Nacos | Self::WithFile(_) => true,
        }
    }

    pub(crate) fn answer(&self, board: &Board, written: &Value, what: &str) -> Option<Shown> {
        match (self, what) {
            (Self::Services | Self::WithFile(_), "dump") => {
                let services = services(&board.all());
                Some(Shown::Json(
                    json!({"config": masked(written), "services": services}),
                ))
            }
            (Self::Nacos, "dump") => {
                let services = board.all();
                let services = services.iter().map(|(key, nodes)| {
                    let nodes: Value = nodes.iter().map(node).collect();
                    (key.clone(), json!({ "nodes": nodes }))
                });
                let services = Value::Object(services.collect());
                Some(Shown::Json(json!({ "services": services })))
            }
            (Self::Clusters(clusters), "dump") => {
                let endpoints = clusters.iter().filter_map(|cluster| cluster.shown());
                let endpoints: Value = endpoints.collect();
                Some(Shown::Json(
                    json!({"config": masked(written), "endpoints": endpoints}),
                ))
            }
            (Self::WithFile(path), "show_dump_file") => Some(match path {
                None => Shown::Unavailable("dump params is nil".into()),
                Some(path) => match std::fs::read_to_string(path) {
                    Ok(text) => Shown::File(text),
                    Err(error) => Shown::Unavailable(format!(
                        "failed to read file: {}: {error}",
                        path.display()
                    )),
                },
            }),
            _ => None,
        }
    }
}

/// Services as the reference writes them.
pub(crate) fn services(services: &Services) -> Value {
    let all = services.iter();
    let all = all.map(|(key, nodes)| (key.clone(), nodes.iter().map(node).collect::<Value>()));
    Value::Object(all.collect())
}

/// A node as the reference writes it.
pub(crate) fn node(node: &Node) -> Value {
    let mut shown = Map::new();
    shown.insert("host".into(), node.host.clone().into());
    if let Some(port) = node.port {
        shown.insert("port".into(), port.into());
    }
    shown.insert("weight".into(), node.weight.into());
    if node.priority != 0 {
        shown.insert("priority".into(), node.priority.into());
    }
    if let Some(metadata) = &node.metadata {
        shown.insert("metadata".into(), metadata.clone());
    }
    Value::Object(shown)
}

/// Options without what is secret in them: tokens, keys, and users in addresses.
pub(crate) fn masked(written: &Value) -> Value {
    match written {
        Value::Object(members) => {
            let members = members.iter().map(|(name, value)| {
                let is_secret = matches!(name.as_str(), "token" | "access_key" | "secret_key")
                    && value.as_str().is_some_and(|text| !text.is_empty());
                let shown = if is_secret {
                    Value::from("******")
                } else {
                    masked(value)
                };
                (name.clone(), shown)
            });
            Value::Object(members.collect())
        }
        Value::Array(items) => items.iter().map(masked).collect(),
        Value::String(text) => without_user(text).into(),
        other => other.clone(),
    }
}

fn without_user(text: &str) -> String {
    match text.split_once("://") {
        Some((scheme, rest)) if rest.contains('@') => {
            let host = rest.rsplit('@').next().unwrap_or_default();
            format!("{scheme}://******@{host}")
        }
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_no_secrets() {
        let written = json!({"token": "t", "host": ["http://u:p@a:1", "http://b"], "secret_key": "", "x": {"access_key": "k"}});
        let expected = json!({"token": "******", "host": ["http://******@a:1", "http://b"], "secret_key": "", "x": {"access_key": "******"}});
        assert_eq!(masked(&written), expected);
    }
}
