//! Consul: the services of the catalog, with the instances whose checks pass.
//!
//! With `keepalive` the catalog and the health of all instances are followed by blocking queries; else all is fetched anew
//! each `fetch_interval`. Every server is followed by itself, and their services add up.
//! Source: `apisix/discovery/consul/`, Consul's HTTP API.

pub(crate) mod dump;
pub(crate) mod server;

use std::{
    collections::{BTreeMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::AcqRel},
    },
};

use lockgate_model::{
    boot::discovery::{self as config, SortType},
    resource::Node,
};
use serde::Deserialize;
use serde_json::Value;
use tokio::task::JoinSet;

use crate::{
    Options, Registry, StartError, Tasks,
    board::{Board, Nodes, Services},
    http::{AskError, segment},
    limits,
    pace::Pace,
    shown::Show,
};
use dump::DumpFile;
use server::{Server, Timing};

/// The service of the servers themselves, which the reference always leaves out.
const ITSELF: &str = "consul";

pub(crate) fn start(
    config: &config::Consul,
    options: &Options<'_>,
    tasks: &mut Tasks,
) -> Result<Registry, StartError> {
    let wrong = |message: String| StartError {
        kind: "consul",
        message: format!("format consul config got error: {message}"),
    };
    let timing = Timing::new(config.timeout, config.keepalive, config.fetch_interval);
    let servers = server::all(&config.servers, &config.token, timing, options).map_err(wrong)?;
    let fallback = config.default_service.as_ref();
    let fallback = fallback.and_then(|written| default_service(written, config.weight));
    // The dump is a source of its own, which goes when every server has spoken.
    let board = Arc::new(Board::new(servers.len() + 1, fallback));
    let dump = config.dump.as_ref().map(DumpFile::new).map(Arc::new);
    if let Some(dump) = &dump {
        dump.load(&board);
    }
    board.settle(0);
    let skipped = config.skip_services.iter().cloned();
    let reader = Arc::new(Reader {
        skipped: skipped.chain([ITSELF.to_owned()]).collect(),
        weight: config.weight,
        sort: config.sort_type,
    });
    let silent = Arc::new(AtomicUsize::new(servers.len()));
    for (number, server) in servers.into_iter().enumerate() {
        let follower = Follower {
            server: Arc::new(server),
            source: number + 1,
            board: board.clone(),
            reader: reader.clone(),
            dump: dump.clone(),
            silent: silent.clone(),
        };
        tasks.add(follower.run());
    }
    Ok(Registry {
        board,
        key: |service| service.name.clone(),
        shown: Show::WithFile(dump.map(|dump| dump.path().to_owned())),
    })
}

/// The node of services that are not known.
pub(crate) fn default_service(written: &Value, weight: i64) -> Option<Node> {
    let port = written.get("port").and_then(Value::as_u64);
    Some(Node {
        host: written.get("host")?.as_str()?.to_owned(),
        port: port.and_then(|port| u16::try_from(port).ok()),
        weight,
        priority: 0,
        metadata: written.get("metadata").cloned(),
    })
}

/// How answers are read.
#[derive(Debug)]
struct Reader {
    skipped: HashSet<String>,
    weight: i64,
    sort: SortType,
}

/// An entry of `/health/service/{name}`.
#[derive(Debug, Deserialize)]
struct Entry {
    #[serde(rename = "Node")]
    node: Option<Machine>,
    #[serde(rename = "Service")]
    service: Option<Instance>,
}

#[derive(Debug, Deserialize)]
struct Machine {
    #[serde(rename = "Address", default)]
    address: String,
}

#[derive(Debug, Deserialize)]
struct Instance {
    #[serde(rename = "Address", default)]
    address: String,
    #[serde(rename = "Port", default)]
    port: u16,
}

impl Reader {
    fn nodes(&self, entries: Vec<Entry>) -> Nodes {
        let mut seen = HashSet::new();
        let mut nodes = Vec::with_capacity(entries.len());
        for entry in entries {
            let Some(instance) = entry.service else {
                tracing::warn!("an instance without Service is left out");
                continue;
            };
            // An instance without an address is at that of its machine.
            let machine = entry.node.map(|node| node.address).unwrap_or_default();
            let host = Some(instance.address).filter(|address| !address.is_empty());
            let host = host.unwrap_or(machine);
            let port = if instance.port == 0 {
                80
            } else {
                instance.port
            };
            if !host.is_empty() && seen.insert((host.clone(), port)) {
                nodes.push(Node {
                    host,
                    port: Some(port),
                    weight: self.weight,
                    priority: 0,
                    metadata: None,
                });
            }
        }
        match self.sort {
            SortType::Origin => {}
            SortType::HostSort => nodes.sort_by(|a, b| a.host.cmp(&b.host)),
            SortType::PortSort => nodes.sort_by_key(|node| node.port),
            SortType::CombineSort => {
                nodes.sort_by(|a, b| (&a.host, a.port).cmp(&(&b.host, b.port)));
            }
        }
        nodes.into()
    }
}

/// Follows one server.
struct Follower {
    server: Arc<Server>,
    source: usize,
    board: Arc<Board>,
    reader: Arc<Reader>,
    dump: Option<Arc<DumpFile>>,
    /// How many servers have not spoken yet.
    silent: Arc<AtomicUsize>,
}

/// Where catalog and health stand; 0 where the server does not tell.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Indexes {
    catalog: u64,
    health: u64,
}

impl Follower {
    async fn run(self) {
        let mut pace = Pace::default();
        let mut has_spoken = false;
        loop {
            let at = match self.fetch().await {
                Ok((services, indexes)) => {
                    pace.succeeded();
                    self.board.replace(self.source, services);
                    if !has_spoken {
                        has_spoken = true;
                        if self.silent.fetch_sub(1, AcqRel) == 1 {
                            self.board.replace(0, Services::new());
                        }
                    }
                    if let Some(dump) = &self.dump {
                        dump.write(&self.board).await;
                    }
                    indexes
                }
                Err(error) => {
                    self.board.settle(self.source);
                    self.rest(&mut pace, &error).await;
                    continue;
                }
            };
            while let Err(error) = self.changed(at).await {
                self.rest(&mut pace, &error).await;
            }
        }
    }

    async fn rest(&self, pace: &mut Pace, error: &AskError) {
        let pause = pace.failed();
        let server = self.server.url();
        tracing::error!(server, %error, ?pause, "connect consul: what it said last stays");
        tokio::time::sleep(pause).await;
    }

    /// All services and their instances.
    async fn fetch(&self) -> Result<(Services, Indexes), AskError> {
        let url = self.server.path("catalog/services");
        let (catalog, answer) = self.server.get(&url).await?;
        // The names; tags do not matter.
        let names: BTreeMap<String, Value> = answer.json(&url)?;
        let (health, _) = self
            .server
            .get(&self.server.path("health/state/any"))
            .await?;
        let mut services = Services::new();
        let mut asking = JoinSet::new();
        let mut names = names
            .into_keys()
            .filter(|name| !self.reader.skipped.contains(name));
        loop {
            while asking.len() < limits::CONSUL_PARALLEL
                && let Some(name) = names.next()
            {
                let server = self.server.clone();
                asking.spawn(async move {
                    let entries = entries(&server, &name).await;
                    (name, entries)
                });
            }
            match asking.join_next().await {
                None => break,
                Some(Err(_cancelled)) => {}
                Some(Ok((name, Ok(entries)))) => {
                    let nodes = self.reader.nodes(entries);
                    if !nodes.is_empty() {
                        services.insert(name, nodes);
                    }
                }
                Some(Ok((name, Err(error)))) => {
                    let server = self.server.url();
                    tracing::error!(server, service = name, %error, "connect consul: a service stays as it was");
                    if let Some(nodes) = self.board.get(self.source, &name) {
                        services.insert(name, nodes);
                    }
                }
            }
        }
        Ok((services, Indexes { catalog, health }))
    }

    /// Waits until there is something new, or the time to look has come.
    async fn changed(&self, at: Indexes) -> Result<(), AskError> {
        let (catalog, health) = (
            self.server.path("catalog/services"),
            self.server.path("health/state/any"),
        );
        tokio::select! {
            moved = self.server.moved(&catalog, at.catalog) => moved,
            moved = self.server.moved(&health, at.health) => moved,
        }
    }
}

async fn entries(server: &Server, name: &str) -> Result<Vec<Entry>, AskError> {
    let url = server.path(&format!("health/service/{}?passing=true", segment(name)));
    let (_, answer) = server.get(&url).await?;
    answer.json(&url)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(sort: SortType, entries: Value) -> Vec<(String, u16)> {
        let reader = Reader {
            skipped: HashSet::new(),
            weight: 1,
            sort,
        };
        let nodes = reader.nodes(serde_json::from_value(entries).expect("entries"));
        let nodes = nodes.iter();
        nodes
            .map(|node| (node.host.clone(), node.port.unwrap_or_default()))
            .collect()
    }

    #[test]
    fn reads_instances() {
        let entry = |host: &str, port: u16| json!({"Service": {"Address": host, "Port": port}});
        let entries = json!([
            entry("10.0.0.2", 1),
            entry("10.0.0.1", 3),
            entry("10.0.0.1", 2),
            entry("10.0.0.2", 1),
            entry("10.0.0.1", 0),
            {"Node": {"Address": "10.0.0.9"}},
            {"Node": {"Address": "10.0.0.9"}, "Service": {"Address": "", "Port": 9, "Meta": null}},
        ]);
        for (sort, expected) in [
            (SortType::Origin, ["2:1", "1:3", "1:2", "1:80", "9:9"]),
            (SortType::HostSort, ["1:3", "1:2", "1:80", "2:1", "9:9"]),
            (SortType::PortSort, ["2:1", "1:2", "1:3", "9:9", "1:80"]),
            (SortType::CombineSort, ["1:2", "1:3", "1:80", "2:1", "9:9"]),
        ] {
            let read = read(sort, entries.clone());
            let shown: Vec<_> = read
                .iter()
                .map(|(host, port)| format!("{host}:{port}").replace("10.0.0.", ""))
                .collect();
            assert_eq!(shown, expected, "{sort:?}");
        }
    }
}
