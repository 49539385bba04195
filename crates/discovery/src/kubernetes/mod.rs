//! Kubernetes: the ready endpoints of services, of one cluster or several.
//!
//! All `Endpoints` (or `EndpointSlice`) objects are listed, then watched from there on; a watch that ends goes on where it
//! was, and all is listed anew when the server does not remember that. A service is `{namespace}/{name}:{port}`, with
//! `{id}/` before it where there are several clusters. Source: `apisix/discovery/kubernetes/`, the API of Kubernetes.

mod api_server;
mod objects;

use std::{
    collections::{BTreeMap, HashSet},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use lockgate_model::boot::discovery::{self as config, NamespaceSelector};
use regex::Regex;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    Options, Registry, StartError, Tasks,
    board::{Board, Services},
    http::{AskError, value},
    limits, lock,
    pace::{Pace, below, jittered},
    shown::Show,
};
use api_server::ApiServer;
use objects::{Object, Objects};

/// The authority of a cluster, where a pod has it.
const POD_ROOTS: &str = "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt";

pub(crate) fn start(
    config: &config::Kubernetes,
    options: &Options<'_>,
    tasks: &mut Tasks,
) -> Result<Registry, StartError> {
    let wrong = |message: String| StartError {
        kind: "kubernetes",
        message,
    };
    let clusters = match config {
        config::Kubernetes::One(cluster) => std::slice::from_ref(&**cluster),
        config::Kubernetes::Many(clusters) => clusters,
    };
    let board = Arc::new(Board::new(clusters.len(), None));
    let mut ids = HashSet::new();
    let mut shown = Vec::new();
    for (source, config) in clusters.iter().enumerate() {
        if !ids.insert(&config.id) {
            return Err(wrong("duplicate id value".into()));
        }
        let cluster = Arc::new(Cluster {
            id: config.id.clone(),
            objects: Mutex::default(),
            is_listed: AtomicBool::new(false),
        });
        let informer = Informer::new(config, options, source, &board, &cluster);
        tasks.add(informer.map_err(wrong)?.run());
        shown.push(cluster);
    }
    Ok(Registry {
        board,
        key: |service| service.name.clone(),
        shown: Show::Clusters(shown),
    })
}

/// What is known of a cluster.
#[derive(Debug)]
pub(crate) struct Cluster {
    /// Empty for the only one.
    id: String,
    objects: Mutex<Objects>,
    /// All of it has been read, at some time.
    is_listed: AtomicBool,
}

impl Cluster {
    /// Whether all of it has been read, at some time.
    pub(crate) fn is_listed(&self) -> bool {
        self.is_listed.load(Ordering::Acquire)
    }

    /// Its endpoints as the reference shows them; nothing for a cluster without any.
    pub(crate) fn shown(&self) -> Option<Value> {
        let endpoints = lock(&self.objects).shown();
        if endpoints.is_empty() {
            return None;
        }
        Some(if self.id.is_empty() {
            json!({ "endpoints": endpoints })
        } else {
            json!({ "id": self.id, "endpoints": endpoints })
        })
    }

    /// A port of a service as upstreams name it.
    fn key(&self, service: &str, port: &str) -> String {
        if self.id.is_empty() {
            format!("{service}:{port}")
        } else {
            format!("{}/{service}:{port}", self.id)
        }
    }
}

/// Which namespaces count, beyond what the server is told.
#[derive(Debug)]
enum Namespaces {
    All,
    Matching(Vec<Regex>),
    NotMatching(Vec<Regex>),
}

impl Namespaces {
    fn of(selector: &NamespaceSelector) -> Result<Self, String> {
        let whole = |patterns: &Vec<String>| {
            let compile = |pattern: &String| {
                Regex::new(&format!("^(?:{pattern})$"))
                    .map_err(|error| format!("namespace_selector: {error}"))
            };
            patterns.iter().map(compile).collect::<Result<Vec<_>, _>>()
        };
        if let Some(patterns) = &selector.matching {
            return whole(patterns).map(Self::Matching);
        }
        if let Some(patterns) = &selector.not_match {
            return whole(patterns).map(Self::NotMatching);
        }
        Ok(Self::All)
    }

    fn have(&self, namespace: &str) -> bool {
        let any = |patterns: &[Regex]| patterns.iter().any(|it| it.is_match(namespace));
        match self {
            Self::All => true,
            Self::Matching(patterns) => any(patterns),
            Self::NotMatching(patterns) => !any(patterns),
        }
    }
}

/// Follows one cluster.
struct Informer {
    server: ApiServer,
    source: usize,
    board: Arc<Board>,
    cluster: Arc<Cluster>,
    /// Address of the objects, with the selectors.
    url: String,
    is_slices: bool,
    namespaces: Namespaces,
    weight: i64,
}

/// A list of objects.
#[derive(Debug, Deserialize)]
struct List {
    #[serde(default)]
    kind: String,
    metadata: ListMetadata,
    #[serde(default)]
    items: Option<Vec<Object>>,
}

#[derive(Debug, Deserialize)]
struct ListMetadata {
    #[serde(rename = "resourceVersion", default)]
    version: String,
    #[serde(rename = "continue", default)]
    rest: String,
}

/// An event of a watch.
#[derive(Debug, Deserialize)]
struct Event {
    #[serde(rename = "type")]
    kind: String,
    object: Value,
}

/// How a watch ended.
enum End {
    /// It was time.
    Due,
    /// The server does not remember where it was.
    Gone,
}

impl Informer {
    fn new(
        config: &config::Cluster,
        options: &Options<'_>,
        source: usize,
        board: &Arc<Board>,
        cluster: &Arc<Cluster>,
    ) -> Result<Self, String> {
        let mut options = options.clone();
        let pod_roots = Path::new(POD_ROOTS);
        if options.trusted.is_none() && pod_roots.exists() {
            options.trusted = Some(PathBuf::from(pod_roots));
        }
        let server = ApiServer::new(config, &options)?;
        let is_slices = config.watch_endpoint_slices;
        let path = if is_slices {
            "/apis/discovery.k8s.io/v1/endpointslices"
        } else {
            "/api/v1/endpoints"
        };
        let mut url = format!("{}{path}?", server.base());
        if let Some(labels) = config.label_selector.as_deref().filter(|it| !it.is_empty()) {
            url = format!("{url}labelSelector={}&", value(labels));
        }
        let selector = config.namespace_selector.clone().unwrap_or_default();
        let field = match (&selector.equal, &selector.not_equal) {
            (Some(equal), _) => Some(format!("metadata.namespace={equal}")),
            (None, Some(other)) => Some(format!("metadata.namespace!={other}")),
            (None, None) => None,
        };
        if let Some(field) = field {
            url = format!("{url}fieldSelector={}&", value(&field));
        }
        Ok(Self {
            server,
            source,
            board: board.clone(),
            cluster: cluster.clone(),
            url,
            is_slices,
            namespaces: Namespaces::of(&selector)?,
            weight: config.default_weight,
        })
    }

    async fn run(self) {
        let mut pace = Pace::default();
        let mut at = None;
        loop {
            match self.advance(&mut at).await {
                Ok(()) => pace.succeeded(),
                Err(error) => {
                    self.board.settle(self.source);
                    let (cluster, pause) = (self.cluster.id.as_str(), pace.failed());
                    tracing::error!(cluster, %error, ?pause, "kubernetes: what the cluster said last stays");
                    tokio::time::sleep(pause).await;
                }
            }
        }
    }

    /// Lists where it is not known where the cluster stands, else watches once from there.
    async fn advance(&self, at: &mut Option<String>) -> Result<(), AskError> {
        let Some(version) = at else {
            *at = Some(self.list().await?);
            return Ok(());
        };
        match self.watch(version).await {
            Ok(End::Due) => {
                // A server that ends each watch at once is not asked without a pause.
                tokio::time::sleep(jittered(limits::FIRST_PAUSE)).await;
                Ok(())
            }
            Ok(End::Gone) => {
                *at = None;
                Ok(())
            }
            Err(AskError::Status { status, .. }) if status.as_u16() == 410 => {
                *at = None;
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Reads all objects and puts them in force; where the cluster stood then.
    async fn list(&self) -> Result<String, AskError> {
        let kind = if self.is_slices {
            "EndpointSliceList"
        } else {
            "EndpointsList"
        };
        let mut all = Objects::default();
        let mut rest = String::new();
        let version = loop {
            let mut url = format!("{}limit={}", self.url, limits::KUBERNETES_PAGE);
            if !rest.is_empty() {
                url.push_str("&continue=");
                url.push_str(&value(&rest).to_string());
            }
            let page: List = self.server.http()?.get(&url).await?.json(&url)?;
            if page.kind != kind {
                return Err(AskError::Refused(format!(
                    "a list of {} in place of {kind}",
                    page.kind
                )));
            }
            for object in page.items.into_iter().flatten() {
                if let Some((service, part)) = self.place(&object) {
                    all.put(&service, part, Some(object.ports(self.weight)));
                }
            }
            rest = page.metadata.rest;
            if rest.is_empty() {
                break page.metadata.version;
            }
        };
        let mut services = Services::new();
        for service in all.services() {
            for (port, nodes) in all.ports(service) {
                services.insert(self.cluster.key(service, &port), nodes.into());
            }
        }
        *lock(&self.cluster.objects) = all;
        self.board.replace(self.source, services);
        self.cluster.is_listed.store(true, Ordering::Release);
        Ok(version)
    }

    /// Where an object belongs, if it counts.
    fn place(&self, object: &Object) -> Option<(String, String)> {
        let place = object.place(self.is_slices);
        if place.is_none() {
            tracing::warn!(
                "an object of kubernetes without name, namespace or service is left out"
            );
        }
        place.filter(|_| self.namespaces.have(&object.metadata.namespace))
    }

    /// Takes in what changes; moves `version` along.
    async fn watch(&self, version: &mut String) -> Result<End, AskError> {
        let (base, more) = limits::KUBERNETES_WATCH_S;
        let seconds = base + below(more) as u64;
        let url = format!(
            "{}watch=true&allowWatchBookmarks=true&timeoutSeconds={seconds}&resourceVersion={}",
            self.url,
            value(version)
        );
        let silence = Duration::from_secs(seconds) + limits::KUBERNETES_GRACE;
        let mut body = self.server.http()?.stream(&url).await?;
        let mut read = Vec::new();
        while let Some(piece) = body.chunk(silence).await? {
            read.extend_from_slice(&piece);
            while let Some(end) = read.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = read.drain(..=end).collect();
                if !line.trim_ascii().is_empty() && !self.take(&line, version)? {
                    return Ok(End::Gone);
                }
            }
            if read.len() > limits::KUBERNETES_EVENT_BYTES {
                return Err(AskError::Refused("an event is too large".into()));
            }
        }
        Ok(End::Due)
    }

    /// Takes in one event; false when the server does not remember where the watch began.
    fn take(&self, line: &[u8], version: &mut String) -> Result<bool, AskError> {
        let malformed = |error: serde_json::Error| AskError::Malformed {
            url: "an event of a watch".into(),
            error,
        };
        let event: Event = serde_json::from_slice(line).map_err(malformed)?;
        if event.kind == "ERROR" {
            if event.object.get("code").and_then(Value::as_u64) == Some(410) {
                return Ok(false);
            }
            let message = event.object.get("message").and_then(Value::as_str);
            let message = message.unwrap_or("the watch failed");
            return Err(AskError::Refused(message.to_owned()));
        }
        let object: Object = serde_json::from_value(event.object).map_err(malformed)?;
        version.clone_from(&object.metadata.version);
        let ports = match event.kind.as_str() {
            "ADDED" | "MODIFIED" => Some(object.ports(self.weight)),
            "DELETED" => None,
            // Bookmarks say where the cluster stands, and no more.
            _ => return Ok(true),
        };
        if let Some((service, part)) = self.place(&object) {
            self.put(&service, part, ports);
        }
        Ok(true)
    }

    fn put(&self, service: &str, part: String, ports: Option<objects::Ports>) {
        let (before, after): (BTreeMap<_, _>, BTreeMap<_, _>) = {
            let mut objects = lock(&self.cluster.objects);
            let before = objects.ports(service);
            objects.put(service, part, ports);
            (before, objects.ports(service))
        };
        for gone in before.keys().filter(|port| !after.contains_key(*port)) {
            let key = self.cluster.key(service, gone);
            self.board.put(self.source, &key, None);
        }
        for (port, nodes) in after {
            let key = self.cluster.key(service, &port);
            self.board.put(self.source, &key, Some(nodes.into()));
        }
    }
}
