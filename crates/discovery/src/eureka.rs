//! Eureka: the instances of all applications that are up.
//!
//! All is fetched each `fetch_interval`, from the first server that answers, beginning with one by chance.
//! Source: `apisix/discovery/eureka/init.lua`.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use lockgate_model::{boot::discovery as config, resource::Node};
use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::{Map, Value};

use crate::{
    Options, Registry, StartError, Tasks,
    board::{Board, Services},
    http::{AskError, Http, Times},
    pace::below,
    shown::Show,
};

/// The weight of instances that have none, where the options name none.
const WEIGHT: i64 = 100;

pub(crate) fn start(
    config: &config::Eureka,
    options: &Options<'_>,
    tasks: &mut Tasks,
) -> Result<Registry, StartError> {
    let wrong = |message: String| StartError {
        kind: "eureka",
        message,
    };
    let times = Times {
        connect: Duration::from_millis(config.timeout.connect),
        read: Duration::from_millis(config.timeout.read),
    };
    // The reference does not ask for certificates.
    let http = Http::new(options, times, false).map_err(|error| wrong(error.to_string()))?;
    let prefix = config.prefix.as_deref().unwrap_or_default();
    let endpoints = config.host.iter().map(|host| {
        let (url, user) = without_user(host);
        let slash = if format!("{url}{prefix}").ends_with('/') {
            ""
        } else {
            "/"
        };
        let http = match user {
            Some((name, password)) => {
                let basic = lockgate_client::basic(name, password);
                http.clone().with("authorization", basic)
            }
            None => http.clone(),
        };
        (http, format!("{url}{prefix}{slash}apps"))
    });
    let board = Arc::new(Board::new(1, None));
    let fetching = Fetching {
        endpoints: endpoints.collect(),
        board: board.clone(),
        weight: config.weight.unwrap_or(WEIGHT),
        interval: Duration::from_secs(config.fetch_interval),
    };
    tasks.add(fetching.run());
    Ok(Registry {
        board,
        key: |service| service.name.clone(),
        shown: Show::Services,
    })
}

/// `scheme://user:password@rest` without the user, and the user.
pub(crate) fn without_user(url: &str) -> (String, Option<(&str, &str)>) {
    let Some((scheme, rest)) = url.split_once("://") else {
        return (url.to_owned(), None);
    };
    match rest.rsplit_once('@') {
        None => (url.to_owned(), None),
        Some((user, host)) => (
            format!("{scheme}://{host}"),
            Some(user.split_once(':').unwrap_or((user, ""))),
        ),
    }
}

struct Fetching {
    endpoints: Vec<(Http, String)>,
    board: Arc<Board>,
    weight: i64,
    interval: Duration,
}

impl Fetching {
    async fn run(self) {
        loop {
            match self.fetch().await {
                Some(services) => self.board.replace(0, services),
                None => self.board.settle(0),
            }
            tokio::time::sleep(self.interval).await;
        }
    }

    async fn fetch(&self) -> Option<Services> {
        let first = below(self.endpoints.len());
        let (before, from) = self.endpoints.split_at_checked(first)?;
        for (http, url) in from.iter().chain(before) {
            match self.ask(http, url).await {
                Ok(services) => return Some(services),
                Err(error) => {
                    tracing::error!(%error, "failed to fetch registry from a eureka host");
                }
            }
        }
        let tried = self.endpoints.len();
        tracing::error!(
            tried,
            "failed to fetch registry from all eureka hosts: what they said last stays"
        );
        None
    }

    async fn ask(&self, http: &Http, url: &str) -> Result<Services, AskError> {
        let answer: Answer = http.get(url).await?.json(url)?;
        let mut services: BTreeMap<String, Vec<Node>> = BTreeMap::new();
        for application in answer.applications.application {
            for instance in application.instance {
                if let Some(node) = instance.node(self.weight) {
                    let nodes = services.entry(application.name.clone()).or_default();
                    nodes.push(node);
                }
            }
        }
        let services = services.into_iter();
        Ok(services.map(|(name, nodes)| (name, nodes.into())).collect())
    }
}

/// What `/apps` answers.
#[derive(Debug, Deserialize)]
struct Answer {
    applications: Applications,
}

#[derive(Debug, Deserialize)]
struct Applications {
    #[serde(default, deserialize_with = "one_or_many")]
    application: Vec<Application>,
}

#[derive(Debug, Deserialize)]
struct Application {
    name: String,
    #[serde(default, deserialize_with = "one_or_many")]
    instance: Vec<Instance>,
}

#[derive(Debug, Deserialize)]
struct Instance {
    status: Option<String>,
    #[serde(rename = "overriddenstatus", alias = "overriddenStatus")]
    overridden: Option<String>,
    #[serde(rename = "ipAddr", default)]
    ip: String,
    port: Option<Port>,
    #[serde(rename = "securePort")]
    secure_port: Option<Port>,
    metadata: Option<Map<String, Value>>,
}

#[derive(Debug, Deserialize)]
struct Port {
    #[serde(rename = "@enabled")]
    enabled: Value,
    #[serde(rename = "$")]
    number: Value,
}

impl Port {
    fn enabled(&self) -> Option<u16> {
        let is_enabled = match &self.enabled {
            Value::Bool(enabled) => *enabled,
            Value::String(enabled) => enabled == "true",
            _ => false,
        };
        let number = number(&self.number).filter(|_| is_enabled);
        number.and_then(|number| u16::try_from(number).ok())
    }
}

impl Instance {
    /// The node of an instance that is up.
    fn node(self, weight: i64) -> Option<Node> {
        let overridden = self.overridden.filter(|status| status != "UNKNOWN");
        if overridden.or(self.status).as_deref() != Some("UP") || self.ip.is_empty() {
            return None;
        }
        // The secure port wins where there are both.
        let port = |port: &Option<Port>| port.as_ref().and_then(Port::enabled);
        let port = port(&self.secure_port).or(port(&self.port))?;
        let mut metadata = self.metadata;
        let own = metadata.as_mut().and_then(|it| it.shift_remove("weight"));
        Some(Node {
            host: self.ip,
            port: Some(port),
            weight: own.as_ref().and_then(number).unwrap_or(weight).max(0),
            priority: 0,
            metadata: metadata.map(Value::Object),
        })
    }
}

/// A number, also where it was written as text.
fn number(value: &Value) -> Option<i64> {
    match value {
        Value::String(text) => text.trim().parse().ok(),
        other => other.as_i64(),
    }
}

/// A list, or the only item of one, as Eureka may write it.
fn one_or_many<'de, D: Deserializer<'de>, T: DeserializeOwned>(
    from: D,
) -> Result<Vec<T>, D::Error> {
    let items = match Value::deserialize(from)? {
        Value::Array(items) => items,
        Value::Null => Vec::new(),
        one => vec![one],
    };
    let items = items.into_iter();
    // An application or instance that cannot be read does not take the others with it.
    let read = items.filter_map(|item| match T::deserialize(item) {
        Ok(item) => Some(item),
        Err(error) => {
            tracing::warn!(%error, "an entry of eureka cannot be read and is left out");
            None
        }
    });
    Ok(read.collect())
}
