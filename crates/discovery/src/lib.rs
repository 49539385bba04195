//! Registries of services: each tells which nodes a service has, and when that changes.
//!
//! A kind is configured in `config.yaml` below `discovery`; an upstream names it with `discovery_type`, and its service with
//! `service_name`. [`Discovery::start`] begins to follow the configured registries in the background, [`Discovery::subscribe`]
//! gives the nodes of one service as they are and as they change. What a registry said last stays when it is away.
//!
//! Nothing here knows upstreams, balancers or requests. One module per kind; what they share is in `board.rs`.
//! Source of kinds, addresses and fields: `apisix/discovery/` of the reference.

mod board;
mod consul;
mod consul_kv;
mod dns;
mod eureka;
mod http;
mod kubernetes;
mod limits;
mod nacos;
mod pace;
mod shown;

pub use board::Subscription;
pub use shown::Shown;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::PathBuf,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
};

use lockgate_model::boot::discovery as config;
use lockgate_net::dns::Resolver;
use serde_json::Value;
use thiserror::Error;
use tokio::task::JoinSet;

use board::Board;

/// What registries are reached with.
#[derive(Clone)]
pub struct Options<'a> {
    /// Resolves the names of registries.
    pub resolver: Resolver,
    /// `apisix.ssl.ssl_trusted_certificate`; `None` for the system's roots.
    pub trusted: Option<PathBuf>,
    /// `apisix.enable_ipv6`: whether AAAA records count.
    pub uses_ipv6: bool,
    /// `apisix.enable_resolv_search_opt`: whether the search list of resolv.conf counts.
    pub uses_search: bool,
    /// Variables of the environment.
    pub environment: &'a dyn Fn(&str) -> Option<String>,
}

/// A registry that cannot be started with.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("discovery.{kind}: {message}")]
pub struct StartError {
    /// Its kind.
    pub kind: &'static str,
    /// What is wrong with its options.
    pub message: String,
}

/// A service, as an upstream names it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Service {
    /// `service_name`
    pub name: String,
    /// `discovery_args.namespace_id`
    pub namespace_id: Option<String>,
    /// `discovery_args.group_name`
    pub group_name: Option<String>,
    /// Whether gRPC is spoken to its nodes, for which some registries know another port.
    pub is_grpc: bool,
}

/// The registries that are followed. Clones share them; they are left alone when the last clone is dropped.
#[derive(Clone, Default)]
pub struct Discovery {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    registries: BTreeMap<&'static str, Registry>,
    written: BTreeMap<String, Value>,
    /// Ends with this.
    _tasks: Mutex<JoinSet<()>>,
}

/// A registry that is followed.
struct Registry {
    board: Arc<Board>,
    key: fn(&Service) -> String,
    shown: shown::Show,
}

/// What follows the registries, before it begins to.
#[derive(Default)]
struct Tasks(Vec<Pin<Box<dyn Future<Output = ()> + Send>>>);

impl Tasks {
    fn add(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        self.0.push(Box::pin(task));
    }
}

impl std::fmt::Debug for Discovery {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_list()
            .entries(self.shared.registries.keys())
            .finish()
    }
}

impl Discovery {
    /// Whether [`Discovery::start`] would start; asks nobody for anything.
    ///
    /// # Errors
    /// As there.
    pub fn check(config: &config::Discovery, options: &Options<'_>) -> Result<(), StartError> {
        Self::prepare(config, options, &mut Tasks::default()).map(drop)
    }

    /// Begins to follow the configured registries. Must run within a tokio runtime that lives as long as this.
    ///
    /// # Errors
    /// Options of a registry are wrong; whether it can be reached does not matter.
    pub fn start(config: &config::Discovery, options: &Options<'_>) -> Result<Self, StartError> {
        let mut tasks = Tasks::default();
        let registries = Self::prepare(config, options, &mut tasks)?;
        Ok(Self {
            shared: Arc::new(Shared {
                registries,
                written: config.written.clone(),
                _tasks: Mutex::new(tasks.0.into_iter().collect()),
            }),
        })
    }

    fn prepare(
        config: &config::Discovery,
        options: &Options<'_>,
        tasks: &mut Tasks,
    ) -> Result<BTreeMap<&'static str, Registry>, StartError> {
        let mut registries = BTreeMap::new();
        if let Some(dns) = &config.dns {
            registries.insert("dns", dns::start(dns, options, tasks)?);
        }
        if let Some(consul) = &config.consul {
            registries.insert("consul", consul::start(consul, options, tasks)?);
        }
        if let Some(consul_kv) = &config.consul_kv {
            let registry = consul_kv::start(consul_kv, options, tasks)?;
            registries.insert("consul_kv", registry);
        }
        if let Some(eureka) = &config.eureka {
            registries.insert("eureka", eureka::start(eureka, options, tasks)?);
        }
        if let Some(nacos) = &config.nacos {
            registries.insert("nacos", nacos::start(nacos, options, tasks)?);
        }
        if let Some(kubernetes) = &config.kubernetes {
            let registry = kubernetes::start(kubernetes, options, tasks)?;
            registries.insert("kubernetes", registry);
        }
        Ok(registries)
    }

    /// Whether requests can be served as far as registries go: one of Kubernetes has to have been read once, as in the
    /// reference (`check_discovery_ready` in its `discovery/kubernetes/init.lua`).
    ///
    /// # Errors
    /// What is missing, in the words of the reference.
    pub fn ready(&self) -> Result<(), &'static str> {
        let mut registries = self.shared.registries.values();
        if registries.all(|registry| registry.shown.is_ready()) {
            Ok(())
        } else {
            Err("kubernetes discovery not ready")
        }
    }

    /// The nodes of a service; `None` where no registry of this kind is configured.
    pub fn subscribe(&self, kind: &str, service: &Service) -> Option<Subscription> {
        let registry = self.shared.registries.get(kind)?;
        Some(registry.board.subscribe((registry.key)(service)))
    }

    /// What the control API shows below `/v1/discovery/{kind}/`; `None` for what is not there.
    pub fn show(&self, kind: &str, what: &str) -> Option<Shown> {
        let registry = self.shared.registries.get(kind)?;
        let written = self.shared.written.get(kind)?;
        registry.shown.answer(&registry.board, written, what)
    }
}

/// The addresses of name servers: each with a port or with DNS's own.
fn name_servers(written: &[String]) -> Result<Vec<SocketAddr>, String> {
    let read = |text: &String| {
        let bare = text
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'));
        let ip = bare.unwrap_or(text).parse().ok();
        text.parse()
            .ok()
            .or(ip.map(|ip| SocketAddr::new(ip, 53)))
            .ok_or_else(|| {
                format!("failed to init the dns client: {text:?} is no address of a name server")
            })
    };
    written.iter().map(read).collect()
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
