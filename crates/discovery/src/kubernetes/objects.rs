//! What a cluster says of the endpoints of services.

use std::collections::BTreeMap;

use lockgate_model::resource::Node;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::shown::node;

/// The nodes of a service, by the name of their port.
pub(super) type Ports = BTreeMap<String, Vec<Node>>;

/// Label of a slice with the name of its service.
const SERVICE_LABEL: &str = "kubernetes.io/service-name";

/// An `Endpoints` or an `EndpointSlice`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Object {
    pub(super) metadata: Metadata,
    /// Of an `Endpoints`.
    subsets: Option<Vec<Subset>>,
    /// Of an `EndpointSlice`.
    endpoints: Option<Vec<Endpoint>>,
    /// Of an `EndpointSlice`.
    ports: Option<Vec<Port>>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Metadata {
    name: String,
    pub(super) namespace: String,
    #[serde(rename = "resourceVersion")]
    pub(super) version: String,
    labels: Map<String, Value>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Subset {
    addresses: Option<Vec<Address>>,
    ports: Option<Vec<Port>>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Address {
    ip: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Endpoint {
    addresses: Option<Vec<String>>,
    conditions: Option<Conditions>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Conditions {
    ready: Option<Value>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Port {
    name: Option<String>,
    #[serde(rename = "port")]
    number: Option<u16>,
    #[serde(rename = "targetPort")]
    target: Option<Value>,
}

impl Port {
    /// How services name it: by its name, or by its number.
    fn key(&self) -> String {
        match (&self.name, &self.target) {
            (Some(name), _) => name.clone(),
            (None, Some(Value::String(target))) => target.clone(),
            (None, Some(target)) if target.is_number() => target.to_string(),
            _ => self.number.unwrap_or_default().to_string(),
        }
    }
}

impl Object {
    /// `{namespace}/{service}` and the name of the part that this object is of it; `None` where it lacks what names it.
    pub(super) fn place(&self, is_slice: bool) -> Option<(String, String)> {
        let Metadata {
            name,
            namespace,
            labels,
            ..
        } = &self.metadata;
        if name.is_empty() || namespace.is_empty() {
            return None;
        }
        if !is_slice {
            return Some((format!("{namespace}/{name}"), String::new()));
        }
        let service = labels.get(SERVICE_LABEL)?.as_str()?;
        Some((format!("{namespace}/{service}"), name.clone()))
    }

    /// The nodes that are ready.
    pub(super) fn ports(&self, weight: i64) -> Ports {
        let mut all = Ports::new();
        let mut add = |addresses: &mut dyn Iterator<Item = &str>, ports: &[Port]| {
            for address in addresses {
                for port in ports {
                    all.entry(port.key()).or_default().push(Node {
                        host: address.to_owned(),
                        port: port.number,
                        weight,
                        priority: 0,
                        metadata: None,
                    });
                }
            }
        };
        for subset in self.subsets.iter().flatten() {
            let addresses = subset.addresses.iter().flatten();
            let ports = subset.ports.as_deref().unwrap_or_default();
            add(&mut addresses.map(|address| &*address.ip), ports);
        }
        let ports = self.ports.as_deref().unwrap_or_default();
        for endpoint in self.endpoints.iter().flatten() {
            let ready = endpoint
                .conditions
                .as_ref()
                .and_then(|it| it.ready.as_ref());
            if ready == Some(&Value::Bool(true)) {
                let addresses = endpoint.addresses.iter().flatten();
                add(&mut addresses.map(|address| &**address), ports);
            }
        }
        all
    }
}

/// All objects of a cluster, by service and part.
#[derive(Debug, Default)]
pub(super) struct Objects {
    services: BTreeMap<String, BTreeMap<String, Ports>>,
}

impl Objects {
    /// Takes in what a part of a service has; `None` for a part that is gone.
    pub(super) fn put(&mut self, service: &str, part: String, ports: Option<Ports>) {
        let parts = self.services.entry(service.to_owned()).or_default();
        match ports {
            Some(ports) => drop(parts.insert(part, ports)),
            None => drop(parts.remove(&part)),
        }
        if parts.is_empty() {
            self.services.remove(service);
        }
    }

    /// The nodes of a service, from all its parts, in order and each once.
    pub(super) fn ports(&self, service: &str) -> Ports {
        let mut all = Ports::new();
        for ports in self
            .services
            .get(service)
            .into_iter()
            .flat_map(|it| it.values())
        {
            for (port, nodes) in ports {
                all.entry(port.clone())
                    .or_default()
                    .extend(nodes.iter().cloned());
            }
        }
        for nodes in all.values_mut() {
            nodes.sort_by(|a, b| (&a.host, a.port).cmp(&(&b.host, b.port)));
            nodes.dedup();
        }
        all
    }

    /// The names of the services.
    pub(super) fn services(&self) -> impl Iterator<Item = &String> {
        self.services.keys()
    }

    /// The services as the reference shows them: nodes by port, as a JSON text.
    pub(super) fn shown(&self) -> Vec<Value> {
        let shown = self.services().map(|service| {
            let ports = self.ports(service).into_iter();
            let ports = ports.map(|(port, nodes)| (port, nodes.iter().map(node).collect()));
            let value = Value::Object(ports.collect()).to_string();
            json!({"name": service, "value": value})
        });
        shown.collect()
    }
}
