//! `discovery`: the registries that nodes come from.
//!
//! Checked by the reference's schemas, with their defaults filled in; what a schema cannot say (addresses, variables) is
//! looked at by who connects. Times are milliseconds and seconds as the reference has them.

#![expect(
    missing_docs,
    reason = "the options are described in one place, the table"
)]

mod schema;

pub(super) use schema::names_bad_variable;

use std::collections::BTreeMap;

use lockgate_schema::Schema;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

/// The registries that are configured.
#[derive(Clone, Default)]
pub struct Discovery {
    pub dns: Option<Dns>,
    pub consul: Option<Consul>,
    pub consul_kv: Option<ConsulKv>,
    pub eureka: Option<Eureka>,
    pub nacos: Option<Nacos>,
    pub kubernetes: Option<Kubernetes>,
    /// Each kind as written, with defaults: what the control API shows.
    pub written: BTreeMap<String, Value>,
}

impl std::fmt::Debug for Discovery {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_list().entries(self.written.keys()).finish()
    }
}

/// `discovery.dns`
#[derive(Debug, Clone, Deserialize)]
pub struct Dns {
    #[serde(default)]
    pub servers: Vec<String>,
    pub resolv_conf: Option<String>,
    pub order: Option<Vec<Order>>,
}

/// One of `discovery.dns.order`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Order {
    /// What there was last.
    #[serde(rename = "last")]
    Last,
    #[serde(rename = "SRV")]
    Srv,
    #[serde(rename = "A")]
    A,
    #[serde(rename = "AAAA")]
    Aaaa,
    #[serde(rename = "CNAME")]
    Cname,
}

/// `discovery.consul`
#[derive(Clone, Deserialize)]
pub struct Consul {
    pub servers: Vec<String>,
    pub token: String,
    pub fetch_interval: u64,
    pub keepalive: bool,
    pub weight: i64,
    pub timeout: ConsulTimeouts,
    pub sort_type: SortType,
    #[serde(default)]
    pub skip_services: Vec<String>,
    pub dump: Option<Dump>,
    pub default_service: Option<Value>,
}

/// `discovery.consul.sort_type`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SortType {
    Origin,
    HostSort,
    PortSort,
    CombineSort,
}

/// `discovery.consul_kv`
#[derive(Clone, Deserialize)]
pub struct ConsulKv {
    pub servers: Vec<String>,
    pub token: String,
    pub fetch_interval: u64,
    pub keepalive: bool,
    pub prefix: String,
    pub weight: i64,
    pub timeout: ConsulTimeouts,
    #[serde(default)]
    pub skip_keys: Vec<String>,
    pub dump: Option<Dump>,
    pub default_service: Option<Value>,
}

/// `timeout` of `consul` and `consul_kv`
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct ConsulTimeouts {
    /// Milliseconds.
    pub connect: u64,
    /// Milliseconds.
    pub read: u64,
    /// Seconds.
    pub wait: u64,
}

/// `dump` of `consul` and `consul_kv`
#[derive(Debug, Clone, Deserialize)]
pub struct Dump {
    pub path: String,
    pub load_on_init: bool,
    /// Seconds; 0 for never.
    pub expire: i64,
}

/// `discovery.eureka`
#[derive(Clone, Deserialize)]
pub struct Eureka {
    pub host: Vec<String>,
    pub fetch_interval: u64,
    pub prefix: Option<String>,
    pub weight: Option<i64>,
    #[serde(default)]
    pub timeout: Timeouts,
}

/// `discovery.nacos`
#[derive(Clone, Deserialize)]
pub struct Nacos {
    pub host: Vec<String>,
    pub fetch_interval: u64,
    pub prefix: String,
    pub weight: i64,
    pub timeout: Timeouts,
    pub access_key: String,
    pub secret_key: String,
}

/// `timeout` of `eureka` and `nacos`, in milliseconds.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct Timeouts {
    pub connect: u64,
    pub send: u64,
    pub read: u64,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: 2000,
            send: 2000,
            read: 5000,
        }
    }
}

/// `discovery.kubernetes`
#[derive(Debug, Clone)]
pub enum Kubernetes {
    /// One cluster; services are named without it.
    One(Box<Cluster>),
    /// Several, each with an id.
    Many(Vec<Cluster>),
}

/// A cluster.
#[derive(Clone, Deserialize)]
pub struct Cluster {
    /// Empty for the only one.
    #[serde(default)]
    pub id: String,
    pub service: ApiServer,
    pub client: ClusterClient,
    pub namespace_selector: Option<NamespaceSelector>,
    pub label_selector: Option<String>,
    pub default_weight: i64,
    pub watch_endpoint_slices: bool,
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Cluster")
            .field("id", &self.id)
            .field("service", &self.service)
            .finish_non_exhaustive()
    }
}

/// `service` of a cluster. Host and port may be `${NAME}` of the environment.
#[derive(Debug, Clone, Deserialize)]
pub struct ApiServer {
    pub schema: String,
    pub host: String,
    pub port: String,
    #[serde(default)]
    pub ssl_verify: bool,
}

/// `client` of a cluster. Both may be `${NAME}` of the environment.
#[derive(Clone, Default, Deserialize)]
pub struct ClusterClient {
    pub token: Option<String>,
    pub token_file: Option<String>,
}

/// `namespace_selector` of a cluster
#[derive(Debug, Clone, Default, Deserialize)]
pub struct NamespaceSelector {
    pub equal: Option<String>,
    pub not_equal: Option<String>,
    #[serde(rename = "match")]
    pub matching: Option<Vec<String>>,
    pub not_match: Option<Vec<String>>,
}

/// A registry that cannot be started with: the reference's sentence, and the path it speaks of.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) message: String,
    pub(super) kind: String,
}

impl Discovery {
    /// Reads the block. Kinds that are not built in are left to the warnings.
    pub(super) fn read(block: Option<&Value>) -> Result<Self, Refusal> {
        let mut read = Self::default();
        for (kind, written) in block.and_then(Value::as_object).into_iter().flatten() {
            let Some(schema) = schema::of(kind) else {
                continue;
            };
            let schema =
                Schema::compile(schema).expect("invariant: the schemas of this module are schemas");
            let refused = |found: &dyn std::fmt::Display| Refusal {
                message: format!("invalid discovery {kind} configuration: {found}"),
                kind: kind.clone(),
            };
            let mut value = written.clone();
            schema
                .fill(&mut value)
                .map_err(|finding| refused(&finding))?;
            read.take(kind, &value).map_err(|error| refused(&error))?;
            read.written.insert(kind.clone(), value);
        }
        Ok(read)
    }

    fn take(&mut self, kind: &str, value: &Value) -> Result<(), serde_json::Error> {
        fn typed<T: DeserializeOwned>(value: &Value) -> Result<Option<T>, serde_json::Error> {
            T::deserialize(value).map(Some)
        }
        match kind {
            "dns" => self.dns = typed(value)?,
            "consul" => self.consul = typed(value)?,
            "consul_kv" => self.consul_kv = typed(value)?,
            "eureka" => self.eureka = typed(value)?,
            "nacos" => self.nacos = typed(value)?,
            "kubernetes" if value.is_array() => {
                self.kubernetes = typed(value)?.map(Kubernetes::Many);
            }
            "kubernetes" => self.kubernetes = typed(value)?.map(Kubernetes::One),
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fills_in_what_the_reference_fills_in() {
        let block = json!({
            "dns": {"servers": ["127.0.0.1:53"]},
            "consul": {"servers": ["http://127.0.0.1:8500"]},
            "consul_kv": {"servers": ["http://127.0.0.1:8500"], "dump": {"path": "x"}},
            "eureka": {"host": ["http://127.0.0.1:8761"]},
            "nacos": {"host": ["http://127.0.0.1:8848"]},
            "kubernetes": {},
        });
        let read = Discovery::read(Some(&block)).expect("valid");
        assert_eq!(read.written.len(), 6);
        let consul = read.consul.expect("read");
        assert_eq!(
            (consul.fetch_interval, consul.weight, consul.timeout.wait),
            (3, 1, 60)
        );
        assert_eq!(consul.sort_type, SortType::Origin);
        let dump = read.consul_kv.expect("read").dump.expect("read");
        assert_eq!((dump.load_on_init, dump.expire), (true, 0));
        assert_eq!(read.eureka.expect("read").fetch_interval, 30);
        assert_eq!(read.nacos.expect("read").prefix, "/nacos/v1/");
        let Some(Kubernetes::One(cluster)) = read.kubernetes else {
            panic!("one cluster");
        };
        assert_eq!(cluster.service.host, "${KUBERNETES_SERVICE_HOST}");
        assert_eq!(
            cluster.client.token_file.as_deref(),
            Some(schema_token_file())
        );
        assert_eq!(
            (cluster.default_weight, cluster.watch_endpoint_slices),
            (50, false)
        );
    }

    fn schema_token_file() -> &'static str {
        "/var/run/secrets/kubernetes.io/serviceaccount/token"
    }

    #[test]
    fn refuses_what_the_reference_refuses_in_its_words() {
        for (block, expected) in [
            (
                json!({"consul": {}}),
                "invalid discovery consul configuration: property \"servers\" is required",
            ),
            (
                json!({"dns": {"servers": ["a"], "order": ["B"]}}),
                "invalid discovery dns configuration: property \"order\" validation failed: failed to validate item 1: matches none of the enum values",
            ),
            (
                json!({"dns": {"servers": ["a"], "order": ["SRV", "SRV"]}}),
                "invalid discovery dns configuration: property \"order\" validation failed: expected unique items but items 1 and 2 are equal",
            ),
            (
                json!({"dns": {}}),
                "invalid discovery dns configuration: value should match only one schema, but matches none",
            ),
            (
                json!({"eureka": {"host": "http://127.0.0.1:8761"}}),
                "invalid discovery eureka configuration: property \"host\" validation failed: wrong type: expected array, got string",
            ),
            (
                json!({"nacos": {"host": ["127.0.0.1:8848"]}}),
                "invalid discovery nacos configuration: property \"host\" validation failed: failed to validate item 1: failed to match pattern \"^http(s)?:\\\\/\\\\/([a-zA-Z0-9-_.]+:.+\\\\@)?[a-zA-Z0-9-_.:]+$\" with \"127.0.0.1:8848\"",
            ),
            (
                json!({"kubernetes": [{"id": "A"}]}),
                "invalid discovery kubernetes configuration: object matches none of the required",
            ),
        ] {
            let refusal = Discovery::read(Some(&block)).expect_err("refused");
            assert_eq!(refusal.message, expected);
        }
    }

    #[test]
    fn selects_namespaces_in_one_way() {
        let with = |selector: Value| {
            Discovery::read(Some(
                &json!({"kubernetes": {"namespace_selector": selector}}),
            ))
        };
        for good in [
            json!({}),
            json!({"equal": "default"}),
            json!({"not_match": ["a.*", "b"]}),
        ] {
            with(good).expect("valid");
        }
        for bad in [
            json!({"equal": "a", "not_equal": "b"}),
            json!({"match": []}),
            json!({"equal": "A"}),
        ] {
            with(bad).expect_err("invalid");
        }
    }
}
