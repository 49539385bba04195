//! Consul's key-value store: a node for each key `{prefix}/{service}/{host}:{port}`.
//!
//! A service is named by the address that lists it, `http://{server}/v1/kv/{prefix}/{service}/`. The value of a key is an
//! object with the node's weight; `check_status: false` takes it out. With `keepalive` the keys are followed by blocking
//! queries. Source: `apisix/discovery/consul_kv/init.lua`.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use lockgate_model::{boot::discovery as config, resource::Node};
use serde::Deserialize;
use serde_json::Value;

use crate::{
    Options, Registry, StartError, Tasks,
    board::{Board, Services},
    consul::{
        default_service,
        dump::DumpFile,
        server::{self, Server, Timing},
    },
    http::AskError,
    pace::Pace,
    shown::Show,
};

pub(crate) fn start(
    config: &config::ConsulKv,
    options: &Options<'_>,
    tasks: &mut Tasks,
) -> Result<Registry, StartError> {
    let wrong = |message: String| StartError {
        kind: "consul_kv",
        message,
    };
    let timing = Timing::new(config.timeout, config.keepalive, config.fetch_interval);
    let servers = server::all(&config.servers, &config.token, timing, options).map_err(wrong)?;
    let fallback = config.default_service.as_ref();
    let fallback = fallback.and_then(|written| default_service(written, config.weight));
    // The dump is a source of its own, which each server takes its services out of when it speaks.
    let board = Arc::new(Board::new(servers.len() + 1, fallback));
    let dump = config.dump.as_ref().map(DumpFile::new).map(Arc::new);
    if let Some(dump) = &dump {
        dump.load(&board);
    }
    board.settle(0);
    let reader = Arc::new(Reader {
        prefix: config.prefix.clone(),
        skipped: config.skip_keys.iter().cloned().collect(),
        weight: config.weight,
    });
    for (number, server) in servers.into_iter().enumerate() {
        let follower = Follower {
            server,
            source: number + 1,
            board: board.clone(),
            reader: reader.clone(),
            dump: dump.clone(),
        };
        tasks.add(follower.run());
    }
    Ok(Registry {
        board,
        key: |service| service.name.clone(),
        shown: Show::WithFile(dump.map(|dump| dump.path().to_owned())),
    })
}

/// A key and its value, as Consul lists them.
#[derive(Debug, Deserialize)]
struct Entry {
    #[serde(rename = "Key", default)]
    key: Option<String>,
    /// In Base64.
    #[serde(rename = "Value", default)]
    value: Option<String>,
}

/// How keys are read.
#[derive(Debug)]
struct Reader {
    prefix: String,
    skipped: HashSet<String>,
    weight: i64,
}

impl Reader {
    fn services(&self, server: &Server, entries: &[Entry]) -> Services {
        let mut services: BTreeMap<String, Vec<Node>> = BTreeMap::new();
        for entry in entries {
            match self.node(entry) {
                Ok(Some((name, node))) => {
                    let key = server.path(&format!("kv/{name}"));
                    services.entry(key).or_default().push(node);
                }
                Ok(None) => {}
                Err(problem) => {
                    let server = server.url();
                    tracing::error!(server, key = entry.key, problem, "a key is no node");
                }
            }
        }
        let services = services.into_iter();
        services.map(|(key, nodes)| (key, nodes.into())).collect()
    }

    /// The service of an entry, and the node; `None` for one that is left out.
    fn node(&self, entry: &Entry) -> Result<Option<(String, Node)>, String> {
        let key = entry.key.as_deref().unwrap_or_default();
        let (name, host, port) = self.split(key).ok_or("server name parse error")?;
        if self.skipped.contains(name) {
            return Ok(None);
        }
        let value = entry.value.as_deref().filter(|value| !value.is_empty());
        let value = STANDARD
            .decode(value.ok_or("consul_value_empty")?)
            .map_err(|error| format!("invalid upstream value: {error}"))?;
        let value: Value = serde_json::from_slice(&value)
            .map_err(|error| format!("invalid upstream value: {error}"))?;
        let is_down = match value.get("check_status") {
            Some(Value::Bool(status)) => !status,
            Some(Value::String(status)) => status == "false",
            _ => false,
        };
        if is_down {
            return Err("server node unhealthy".into());
        }
        let weight = value.get("weight").and_then(Value::as_i64);
        let node = Node {
            host: host.to_owned(),
            port: Some(port),
            weight: weight.unwrap_or(self.weight),
            priority: 0,
            metadata: None,
        };
        Ok(Some((name.to_owned(), node)))
    }

    /// `{prefix}/…/`, host and port: `({prefix}/.*/)([a-zA-Z0-9.]+):([0-9]+)`.
    fn split<'a>(&self, key: &'a str) -> Option<(&'a str, &'a str, u16)> {
        let start = key.find(&format!("{}/", self.prefix))?;
        let key = key.get(start..)?;
        let (name, address) = key.split_at(key.rfind('/')? + 1);
        // There is something between the prefix and the address.
        name.get(self.prefix.len() + 1..)
            .filter(|inside| inside.ends_with('/'))?;
        let (host, port) = address.split_once(':')?;
        let is_host = !host.is_empty()
            && host
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'.');
        let digits = port.bytes().take_while(u8::is_ascii_digit).count();
        let port = port.get(..digits)?.parse().ok()?;
        is_host.then_some((name, host, port))
    }
}

/// Follows one server.
struct Follower {
    server: Server,
    source: usize,
    board: Arc<Board>,
    reader: Arc<Reader>,
    dump: Option<Arc<DumpFile>>,
}

impl Follower {
    async fn run(self) {
        let mut pace = Pace::default();
        // Where the keys stand; nothing before the first answer, and after a failure.
        let mut at = None;
        let mut has_spoken = false;
        loop {
            match self.look(at).await {
                Ok((index, entries)) => {
                    pace.succeeded();
                    if at != Some(index) || index == 0 {
                        self.take(&entries, has_spoken);
                        has_spoken = true;
                        if let Some(dump) = &self.dump {
                            dump.write(&self.board).await;
                        }
                    }
                    at = Some(index);
                }
                Err(error) => {
                    self.board.settle(self.source);
                    let (server, pause) = (self.server.url(), pace.failed());
                    tracing::error!(server, %error, ?pause, "connect consul: what it said last stays");
                    at = None;
                    tokio::time::sleep(pause).await;
                }
            }
        }
    }

    /// The keys, at once where it is not known where they stand.
    async fn look(&self, at: Option<u64>) -> Result<(u64, Vec<Entry>), AskError> {
        let path = format!("kv/{}?recurse=true", self.reader.prefix);
        let url = self.server.path(&path);
        let (index, answer) = match at {
            None => self.server.get(&url).await?,
            Some(at) => self.server.next(&url, at).await?,
        };
        Ok((index, answer.json(&url)?))
    }

    fn take(&self, entries: &[Entry], has_spoken: bool) {
        let services = self.reader.services(&self.server, entries);
        if !has_spoken {
            let own = self.server.path("kv/");
            let mut left = self.board.all_of(0);
            left.retain(|key, _| !key.starts_with(&own));
            self.board.replace(0, left);
        }
        self.board.replace(self.source, services);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_keys() {
        let reader = Reader {
            prefix: "upstreams".into(),
            skipped: HashSet::new(),
            weight: 1,
        };
        for (key, expected) in [
            (
                "upstreams/a/127.0.0.1:80",
                Some(("upstreams/a/", "127.0.0.1", 80)),
            ),
            (
                "x/upstreams/a/b/host.test:8080",
                Some(("upstreams/a/b/", "host.test", 8080)),
            ),
            ("upstreams/127.0.0.1:80", None),
            ("upstreams/a/127.0.0.1", None),
            ("upstreams/a/:80", None),
            ("upstreams/a/a_b:80", None),
            ("upstreams/a/127.0.0.1:99999", None),
            ("other/a/127.0.0.1:80", None),
            ("upstreams/a/", None),
        ] {
            assert_eq!(reader.split(key), expected, "{key}");
        }
    }
}
