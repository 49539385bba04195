//! The data plane in this process: workers, compiler and access log, without a store.

use std::{
    io::{BufRead as _, BufReader},
    net::{Ipv4Addr, SocketAddr},
    os::fd::AsRawFd as _,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc},
    time::Duration,
};

use lockgate_discovery::Discovery;
use lockgate_keyring::Keyring;
use lockgate_model::health::CheckedUpstream;
use lockgate_net::{
    dns::{DnsOptions, Resolver},
    listen::Sockets,
};
use lockgate_plugin::{Descriptor, Node, testing};
use lockgate_proxy::{
    AccessLog, Counts, DEFAULT_FORMAT, Escape, LogOptions, Options, Phase, Workers,
};
use lockgate_router::Mode;
use lockgate_secret::{Environment, Secrets};
use lockgate_snapshot::{Compiler, Plugins, Published, Settings};
use lockgate_store::{Change, Entry};
use lockgate_upstream::{Compile, Defaults, Registry};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::{Client, Message, Origin, PATIENCE};

/// What a gateway starts with.
pub struct Setup {
    /// Settings of the data plane. Where it listens for plain requests is set by [`Self::start`].
    pub options: Options,
    /// `apisix.router.http`
    pub router: Mode,
    /// Text of the hosts file.
    pub hosts: String,
    /// Format of the access log.
    pub log_format: String,
    /// Bytes a worker collects before it writes to the access log.
    pub log_buffer_bytes: usize,
    /// Escaping in the access log.
    pub log_escape: Escape,
    /// Roots that certificates of upstreams are verified against, PEM.
    pub trusted: Option<String>,
    /// What belongs to all upstreams.
    pub registry: Registry,
    /// Variables that references may name.
    pub environment: Vec<(String, String)>,
    /// How long secrets are kept, failures included.
    pub secrets_kept: Duration,
    /// The plugins that are built in.
    pub plugins: Vec<&'static Descriptor>,
    /// What plugins share; one of this gateway's own where none is given.
    pub node: Option<Node>,
    entries: Vec<(String, String)>,
}

impl Default for Setup {
    fn default() -> Self {
        Self::new()
    }
}

impl Setup {
    /// The reference's defaults, and no objects.
    pub fn new() -> Self {
        Self {
            options: Options::default(),
            router: Mode::HostUri,
            hosts: String::new(),
            log_format: DEFAULT_FORMAT.into(),
            log_buffer_bytes: 1,
            log_escape: Escape::Default,
            trusted: None,
            registry: Registry::default(),
            environment: Vec::new(),
            secrets_kept: Duration::from_mins(5),
            plugins: Vec::new(),
            node: None,
            entries: Vec::new(),
        }
    }

    /// With this object, by a key such as `routes/1`.
    #[must_use]
    pub fn put(mut self, key: &str, object: &Value) -> Self {
        self.entries.push((key.into(), object.to_string()));
        self
    }

    /// With this text stored under a key, object or not.
    #[must_use]
    pub fn put_text(mut self, key: &str, text: &str) -> Self {
        self.entries.push((key.into(), text.into()));
        self
    }

    /// With these settings changed.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    /// Starts the gateway on a free port of the loopback.
    ///
    /// # Panics
    /// It cannot be started.
    pub fn start(self) -> Gateway {
        self.start_with(true)
    }

    /// Starts the gateway without an access log.
    ///
    /// # Panics
    /// It cannot be started.
    pub fn start_silent(self) -> Gateway {
        self.start_with(false)
    }

    fn start_with(mut self, is_logging: bool) -> Gateway {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let files = tempfile::tempdir().expect("a directory");
        let write = |name: &str, text: &str| -> PathBuf {
            let path = files.path().join(name);
            std::fs::write(&path, text).expect("written");
            path
        };
        let dns = DnsOptions {
            servers: vec![(Ipv4Addr::LOCALHOST, 1).into()],
            hosts: write("hosts", &self.hosts),
            ..DnsOptions::default()
        };
        let resolver = Resolver::new(dns);
        let environment: Environment = self.environment.into_iter().collect();
        let secrets = Secrets::new(lockgate_secret::Options {
            ttl: self.secrets_kept,
            neg_ttl: self.secrets_kept,
            ..lockgate_secret::Options::new(environment, resolver.clone())
        });
        let settings = Settings {
            router: self.router,
            upstream: Compile {
                resolver,
                defaults: Defaults::default(),
                workers: self.options.workers,
                trusted: self.trusted.as_deref().map(|pem| write("roots.pem", pem)),
                registry: self.registry.clone(),
                keyring: Keyring::default(),
                discovery: Discovery::default(),
                all_addresses: false,
            },
            plugin_secrets: Arc::default(),
            secrets: secrets.clone(),
            plugins: {
                let _entered = runtime.enter();
                Plugins::new(
                    self.node.unwrap_or_else(testing::node),
                    self.plugins,
                    |_| true,
                )
            },
        };
        let mut compiler = {
            let _entered = runtime.enter();
            Compiler::new(settings)
        };
        let published = Arc::new(Published::new(compiler.snapshot()));
        let (log, lines) = open_log(self.log_format, self.log_escape, self.log_buffer_bytes);
        self.options.listen = vec![(Ipv4Addr::LOCALHOST, 0).into()];
        let log_of_workers = is_logging.then_some(&log);
        let mut sockets = Sockets::default();
        let bound = Workers::bind(self.options, &mut sockets).expect("bound");
        let workers = bound
            .start(published.clone(), log_of_workers)
            .expect("workers");
        let mut addresses = workers.addresses().iter().copied();
        let stored = Arc::new(Mutex::new(Stored {
            compiler,
            revision: 0,
        }));
        runtime.spawn(secrets.clone().run());
        runtime.spawn(follow(secrets, stored.clone(), published.clone()));
        let gateway = Gateway {
            address: addresses.next().expect("one address"),
            proxied: addresses.next(),
            workers: Some(workers),
            registry: self.registry,
            published,
            stored,
            lines: Mutex::new(lines),
            runtime,
            _log: log,
            _files: files,
        };
        let changes: Vec<_> = self
            .entries
            .iter()
            .map(|(key, text)| gateway.entry(key, text))
            .collect();
        gateway.apply(&changes);
        gateway
    }
}

/// A running gateway. Dropping it stops it.
pub struct Gateway {
    /// Where it listens.
    pub address: SocketAddr,
    proxied: Option<SocketAddr>,
    workers: Option<Workers>,
    registry: Registry,
    published: Arc<Published>,
    stored: Arc<Mutex<Stored>>,
    lines: Mutex<mpsc::Receiver<String>>,
    runtime: Runtime,
    _log: AccessLog,
    _files: tempfile::TempDir,
}

struct Stored {
    compiler: Compiler,
    revision: u64,
}

impl Gateway {
    /// A gateway that sends every request to one origin.
    ///
    /// # Panics
    /// It cannot be started.
    pub fn to(origin: &Origin) -> Self {
        Setup::new().put("routes/1", &route("/*", origin)).start()
    }

    /// Writes an object, in force when this returns.
    pub fn put(&self, key: &str, object: &Value) {
        self.apply(&[self.entry(key, &object.to_string())]);
    }

    /// Writes a text, object or not.
    pub fn put_text(&self, key: &str, text: &str) {
        self.apply(&[self.entry(key, text)]);
    }

    /// Removes an object.
    pub fn delete(&self, key: &str) {
        let key = key.into();
        self.apply(&[Change::Delete { key, revision: 0 }]);
    }

    fn entry(&self, key: &str, text: &str) -> Change {
        let revision = self.stored().revision + 1;
        Change::Put(Entry {
            key: key.into(),
            value: text.as_bytes().into(),
            create_revision: revision,
            mod_revision: revision,
        })
    }

    fn apply(&self, changes: &[Change]) {
        let _entered = self.runtime.enter();
        let mut stored = self.stored();
        stored.revision += 1;
        let revision = stored.revision;
        stored.compiler.apply(revision, changes);
        let snapshot = stored.compiler.snapshot();
        self.published.publish(snapshot);
        stored.compiler.publish_consumers();
    }

    fn stored(&self) -> MutexGuard<'_, Stored> {
        lock(&self.stored)
    }

    /// What is stored but not in force as it stands: key and reason.
    pub fn problems(&self) -> Vec<(String, String)> {
        let stored = self.stored();
        let problems = stored.compiler.problems().iter();
        problems
            .map(|(key, problem)| (key.to_string(), problem.to_string()))
            .collect()
    }

    /// What health checks have found out.
    pub fn health(&self) -> Vec<CheckedUpstream> {
        self.registry.health()
    }

    /// Counters of the workers.
    ///
    /// # Panics
    /// Never: there are workers until the end.
    pub fn counts(&self) -> Counts {
        self.workers().counts()
    }

    /// Tells the workers what to do.
    ///
    /// # Panics
    /// Never: there are workers until the end.
    pub fn enter(&self, phase: Phase) {
        self.workers().enter(phase);
    }

    /// Whether every worker has ended.
    ///
    /// # Panics
    /// Never: there are workers until the end.
    pub fn is_done(&self) -> bool {
        self.workers().are_done()
    }

    fn workers(&self) -> &Workers {
        self.workers
            .as_ref()
            .expect("invariant: taken by drop alone")
    }

    /// The next line of the access log.
    ///
    /// # Panics
    /// None comes.
    pub fn log_line(&self) -> String {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.recv_timeout(PATIENCE).expect("a log line")
    }

    /// A new connection.
    ///
    /// # Panics
    /// It cannot be made.
    pub fn client(&self) -> Client {
        Client::connect(self.address)
    }

    /// Where it listens for connections with the PROXY protocol.
    ///
    /// # Panics
    /// There is no such port.
    pub fn proxied_address(&self) -> SocketAddr {
        self.proxied.expect("a port for the PROXY protocol")
    }

    /// A new connection to that port.
    ///
    /// # Panics
    /// There is no such port, or it cannot be connected to.
    pub fn proxied_client(&self) -> Client {
        Client::connect(self.proxied_address())
    }

    /// A `GET` on a connection of its own.
    ///
    /// # Panics
    /// It gets no response.
    pub fn get(&self, path: &str) -> Message {
        self.client().get(path)
    }

    /// A request on a connection of its own.
    ///
    /// # Panics
    /// It gets no response.
    pub fn ask(&self, request: impl AsRef<[u8]>) -> Message {
        self.client().ask(request)
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if let Some(workers) = self.workers.take() {
            workers.enter(Phase::Stop);
            workers.join();
        }
    }
}

/// Builds with secrets as they change.
async fn follow(secrets: Secrets, stored: Arc<Mutex<Stored>>, published: Arc<Published>) {
    loop {
        let changed = secrets.changed().await;
        let mut stored = lock(&stored);
        stored.compiler.secrets_changed(&changed);
        published.publish(stored.compiler.snapshot());
        stored.compiler.publish_consumers();
    }
}

fn lock(stored: &Mutex<Stored>) -> MutexGuard<'_, Stored> {
    stored.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A route of this path to one origin.
pub(crate) fn route(uri: &str, origin: &Origin) -> Value {
    json!({"uri": uri, "upstream": {"nodes": {origin.node(): 1}}})
}

/// An access log whose lines can be waited for: the file is a pipe.
fn open_log(
    format: String,
    escape: Escape,
    buffer_bytes: usize,
) -> (AccessLog, mpsc::Receiver<String>) {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let log = AccessLog::open(LogOptions {
        path: format!("/proc/self/fd/{}", writer.as_raw_fd()).into(),
        format,
        escape,
        buffer_bytes,
    });
    let (send, lines) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(reader).lines() {
            let Ok(line) = line else { break };
            if send.send(line).is_err() {
                break;
            }
        }
    });
    (log.expect("a valid format"), lines)
}
