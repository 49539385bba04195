//! A discovery as `config.yaml` says, and waiting for what comes of it.

use std::{path::PathBuf, time::Duration};

use lockgate_discovery::{Discovery, Options, Service, Shown, StartError, Subscription};
use lockgate_model::boot::{Boot, File};
use lockgate_net::dns::{DnsOptions, Resolver};
use serde_json::Value;

/// How long anything may take that is to come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// Starts what this text says below `discovery`.
pub(crate) fn start(text: &str) -> Discovery {
    started(text, None, &|_| None).expect("starts")
}

pub(crate) fn started(
    text: &str,
    trusted: Option<PathBuf>,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Discovery, StartError> {
    let text = format!(
        "deployment: {{role_traditional: {{config_provider: embedded}}}}\ndiscovery:\n  {}\n",
        text.trim().replace('\n', "\n  ")
    );
    let file = File {
        name: "config.yaml",
        text: &text,
    };
    let boot = Boot::read(Some(file), &|_| None).expect("a valid file");
    let options = Options {
        resolver: Resolver::new(DnsOptions {
            servers: vec![([127, 0, 0, 1], 1).into()],
            ..DnsOptions::default()
        }),
        trusted,
        uses_ipv6: true,
        uses_search: false,
        environment,
    };
    let started = Discovery::start(&boot.config.discovery, &options);
    let checked = Discovery::check(&boot.config.discovery, &options);
    assert_eq!(checked.as_ref().err(), started.as_ref().err());
    started
}

pub(crate) fn service(name: &str) -> Service {
    Service {
        name: name.into(),
        ..Service::default()
    }
}

/// The nodes of a service as they come.
pub(crate) struct Watched(Subscription);

impl Watched {
    pub(crate) fn of(discovery: &Discovery, kind: &str, name: &str) -> Self {
        Self::of_service(discovery, kind, &service(name))
    }

    pub(crate) fn of_service(discovery: &Discovery, kind: &str, service: &Service) -> Self {
        Self(discovery.subscribe(kind, service).expect("configured"))
    }

    /// `host:port weight` of each node, with `!priority` behind where it is not 0; sorted.
    pub(crate) fn now(&mut self) -> Vec<String> {
        let nodes = self.0.nodes();
        let mut shown: Vec<String> = nodes
            .iter()
            .map(|node| {
                let port = node.port.map(|port| format!(":{port}")).unwrap_or_default();
                let priority = match node.priority {
                    0 => String::new(),
                    other => format!(" !{other}"),
                };
                format!("{}{port} {}{priority}", node.host, node.weight)
            })
            .collect();
        shown.sort();
        shown
    }

    /// Waits until these are the nodes.
    pub(crate) async fn becomes(&mut self, expected: &[&str]) {
        let mut seen = self.now();
        let waiting = async {
            while seen != expected || !self.0.is_settled() {
                assert!(self.0.changed().await, "the registry is followed");
                seen = self.now();
            }
        };
        let waited = tokio::time::timeout(PATIENCE, waiting).await;
        assert!(
            waited.is_ok(),
            "the nodes are {seen:?} and not {expected:?}"
        );
    }

    /// Waits until the registry was asked.
    pub(crate) async fn settled(&mut self) {
        let waiting = async {
            while !self.0.is_settled() {
                assert!(self.0.changed().await, "the registry is followed");
            }
        };
        tokio::time::timeout(PATIENCE, waiting)
            .await
            .expect("it was asked");
    }
}

/// What the control API shows.
pub(crate) fn dump(discovery: &Discovery, kind: &str) -> Value {
    match discovery.show(kind, "dump") {
        Some(Shown::Json(shown)) => shown,
        other => panic!("no dump: {other:?}"),
    }
}
