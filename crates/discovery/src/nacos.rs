//! Nacos: the healthy instances of the services that are wanted.
//!
//! Each wanted service is asked for each `fetch_interval`, and at once when it is wanted for the first time, from the first
//! server that answers, beginning with one by chance. A user in the address logs in; access keys sign.
//! Source: `apisix/discovery/nacos/`.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use lockgate_model::{boot::discovery as config, resource::Node};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{
    Options, Registry, Service, StartError, Tasks,
    board::{Board, Nodes},
    eureka::without_user,
    http::{AskError, Http, Times, value},
    limits, lock,
    pace::below,
    shown::Show,
};

/// What stands between the parts of a key on the board.
const BETWEEN: char = '/';

/// Marks services whose nodes are spoken to over gRPC, which has a port of its own.
const GRPC: &str = "#grpc";

pub(crate) fn start(
    config: &config::Nacos,
    options: &Options<'_>,
    tasks: &mut Tasks,
) -> Result<Registry, StartError> {
    let wrong = |message: String| StartError {
        kind: "nacos",
        message,
    };
    let times = Times {
        connect: Duration::from_millis(config.timeout.connect),
        read: Duration::from_millis(config.timeout.read),
    };
    let http = Http::new(options, times, true).map_err(|error| wrong(error.to_string()))?;
    let servers = config.host.iter().map(|host| {
        let (url, user) = without_user(host);
        let slash = if config.prefix.ends_with('/') {
            ""
        } else {
            "/"
        };
        Server {
            base: format!("{url}{}{slash}", config.prefix),
            user: user.map(|(name, password)| (name.to_owned(), password.to_owned())),
            token: Mutex::default(),
        }
    });
    let key = (!config.access_key.is_empty() && !config.secret_key.is_empty())
        .then(|| (config.access_key.clone(), config.secret_key.clone()));
    let board = Arc::new(Board::new(1, None));
    // There is no list of all services: each is settled when it was asked for.
    let fetching = Fetching {
        http,
        servers: servers.collect(),
        board: board.clone(),
        weight: config.weight,
        key,
        interval: Duration::from_secs(config.fetch_interval),
    };
    tasks.add(fetching.run());
    Ok(Registry {
        board,
        key: Wanted::key,
        shown: Show::Nacos,
    })
}

/// A service that is wanted.
#[derive(Debug)]
struct Wanted {
    namespace: String,
    group: String,
    name: String,
    is_grpc: bool,
}

impl Wanted {
    /// `default/{namespace}/{group}/{name}`, as the reference has it.
    fn key(service: &Service) -> String {
        let namespace = service.namespace_id.as_deref().unwrap_or("public");
        let group = service.group_name.as_deref().unwrap_or("DEFAULT_GROUP");
        let marker = if service.is_grpc { GRPC } else { "" };
        let name = &service.name;
        format!("default{BETWEEN}{namespace}{BETWEEN}{group}{BETWEEN}{name}{marker}")
    }

    fn read(key: &str) -> Option<Self> {
        let (key, is_grpc) = match key.strip_suffix(GRPC) {
            Some(key) => (key, true),
            None => (key, false),
        };
        let mut parts = key.splitn(4, BETWEEN).skip(1).map(str::to_owned);
        Some(Self {
            namespace: parts.next()?,
            group: parts.next()?,
            name: parts.next()?,
            is_grpc,
        })
    }
}

struct Server {
    base: String,
    user: Option<(String, String)>,
    /// What a login gave, and until when it is used.
    token: Mutex<Option<(String, Instant)>>,
}

struct Fetching {
    http: Http,
    servers: Vec<Server>,
    board: Arc<Board>,
    weight: i64,
    key: Option<(String, String)>,
    interval: Duration,
}

/// What a login answers.
#[derive(Debug, Deserialize)]
struct Login {
    #[serde(rename = "accessToken", default)]
    access_token: String,
    /// Seconds.
    #[serde(rename = "tokenTtl", default)]
    ttl: u64,
}

/// What `ns/instance/list` answers.
#[derive(Debug, Deserialize)]
struct Instances {
    #[serde(default)]
    hosts: Option<Vec<Instance>>,
}

#[derive(Debug, Deserialize)]
struct Instance {
    ip: String,
    port: u16,
    weight: Option<f64>,
    metadata: Option<Map<String, Value>>,
}

impl Fetching {
    async fn run(self) {
        let mut next = tokio::time::Instant::now();
        loop {
            // New services are asked for at once, the others when it is time.
            let is_time = tokio::select! {
                () = tokio::time::sleep_until(next) => true,
                () = self.board.wait_for_wanted() => false,
            };
            let mut keys = self.board.wanted();
            if is_time {
                next = tokio::time::Instant::now() + self.interval;
                // Forgets what nobody wants.
                for key in self.board.all().into_keys() {
                    self.board.keep(&key);
                }
            } else {
                keys.retain(|key| self.board.get(0, key).is_none());
            }
            if !keys.is_empty() {
                self.fetch(&keys).await;
            }
        }
    }

    async fn fetch(&self, keys: &[String]) {
        let first = below(self.servers.len());
        let (before, from) = self.servers.split_at_checked(first).unwrap_or_default();
        for server in from.iter().chain(before) {
            match self.fetch_from(server, keys).await {
                Ok(()) => return,
                Err(error) => {
                    let url = &server.base;
                    tracing::error!(url, %error, "fetch_from_host");
                }
            }
        }
        tracing::error!("failed to fetch nacos registry from all hosts: what they said last stays");
        for key in keys {
            self.board.settle_one(0, key);
        }
    }

    /// Asks one server for all of them; an error when it has answered for none.
    async fn fetch_from(&self, server: &Server, keys: &[String]) -> Result<(), AskError> {
        let mut last = None;
        let mut has_answered = false;
        for key in keys {
            let Some(wanted) = Wanted::read(key) else {
                continue;
            };
            match self.instances(server, &wanted).await {
                Ok(nodes) => {
                    has_answered = true;
                    self.board.put(0, key, Some(nodes));
                }
                Err(error) => {
                    tracing::error!(service = wanted.name, %error, "nacos: a service stays as it was");
                    // A server that cannot be reached for one cannot be for the others.
                    let is_away = matches!(error, AskError::Call(_));
                    last = Some(error);
                    if is_away {
                        break;
                    }
                }
            }
        }
        match last {
            Some(error) if !has_answered => Err(error),
            _ => {
                for key in keys {
                    self.board.settle_one(0, key);
                }
                Ok(())
            }
        }
    }

    async fn instances(&self, server: &Server, wanted: &Wanted) -> Result<Nodes, AskError> {
        let Wanted {
            namespace,
            group,
            name,
            is_grpc,
        } = wanted;
        let token = self.token(server).await?;
        let token = token.map(|token| format!("&accessToken={}", value(&token)));
        let signature = self.signature(group, name);
        let url = format!(
            "{}ns/instance/list?healthyOnly=true&serviceName={}{}&namespaceId={}&groupName={}{}",
            server.base,
            value(name),
            token.unwrap_or_default(),
            value(namespace),
            value(group),
            signature.unwrap_or_default(),
        );
        let answer = self.http.get(&url).await;
        if let Err(AskError::Status { status, .. }) = &answer
            && matches!(status.as_u16(), 401 | 403)
        {
            *lock(&server.token) = None;
        }
        let found: Instances = answer?.json(&url)?;
        Ok(self.nodes(found.hosts.unwrap_or_default(), *is_grpc))
    }

    fn nodes(&self, instances: Vec<Instance>, is_grpc: bool) -> Nodes {
        // Weights are fractions, and shares are whole: all are scaled where one is none.
        let weights = instances.iter().filter_map(|it| it.weight);
        let scale = if weights.into_iter().all(|weight| weight.fract() == 0.0) {
            1.0
        } else {
            100.0
        };
        let nodes = instances.into_iter().map(|instance| {
            let grpc = instance.metadata.as_ref().filter(|_| is_grpc);
            let grpc = grpc.and_then(|metadata| port(metadata.get("gRPC_port")?));
            let weight = instance.weight.unwrap_or(self.weight as f64);
            Node {
                host: instance.ip,
                port: Some(grpc.unwrap_or(instance.port)),
                weight: (weight * scale).round().max(0.0) as i64,
                priority: 0,
                metadata: None,
            }
        });
        nodes.collect()
    }

    /// What the user of a server logged in with, where it has one.
    async fn token(&self, server: &Server) -> Result<Option<String>, AskError> {
        let Some((name, password)) = &server.user else {
            return Ok(None);
        };
        if let Some((token, until)) = &*lock(&server.token)
            && *until > Instant::now()
        {
            return Ok(Some(token.clone()));
        }
        let url = format!(
            "{}auth/login?username={}&password={}",
            server.base,
            value(name),
            value(password)
        );
        let login: Login = self.http.post(&url).await?.json(&url)?;
        if login.access_token.is_empty() {
            return Err(AskError::Refused(
                "nacos login response missing accessToken".into(),
            ));
        }
        let until = Instant::now() + Duration::from_secs(login.ttl.min(limits::NACOS_TOKEN_S)) / 2;
        *lock(&server.token) = Some((login.access_token.clone(), until));
        Ok(Some(login.access_token))
    }

    /// The parameters that sign a question, where there is a key.
    fn signature(&self, group: &str, name: &str) -> Option<String> {
        let (access_key, secret_key) = self.key.as_ref()?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let data = format!("{}@@{group}@@{name}", now.map_or(0, |now| now.as_millis()));
        Some(format!(
            "&ak={}&data={}&signature={}",
            value(access_key),
            value(&data),
            value(&signed(secret_key, &data))
        ))
    }
}

fn signed(secret_key: &str, data: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret_key.as_bytes());
    STANDARD.encode(hmac::sign(&key, data.as_bytes()))
}

fn port(written: &Value) -> Option<u16> {
    match written {
        Value::String(text) => text.parse().ok(),
        other => other.as_u64().and_then(|port| u16::try_from(port).ok()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_as_they_are_written() {
        for (service, key) in [
            (
                Service {
                    name: "a".into(),
                    ..Service::default()
                },
                "default/public/DEFAULT_GROUP/a",
            ),
            (
                Service {
                    name: "a/b".into(),
                    namespace_id: Some("n".into()),
                    group_name: Some("g".into()),
                    is_grpc: true,
                },
                "default/n/g/a/b#grpc",
            ),
        ] {
            assert_eq!(Wanted::key(&service), key);
            let read = Wanted::read(key).expect("a key");
            assert_eq!((&read.name, read.is_grpc), (&service.name, service.is_grpc));
        }
    }

    #[test]
    fn signs_as_rfc_2202_has_it() {
        assert_eq!(
            signed("Jefe", "what do ya want for nothing?"),
            // effcdf6a e5eb2fa2 d27416d5 f184df9c 259a7c79
            "7/zfauXrL6LSdBbV8YTfnCWafHk="
        );
    }
}
