//! The gateway as one configuration has it. A reload makes a new one, which takes over what can go on, and lets the old end.

use std::{future::Future, sync::Arc, time::Duration};

use anyhow::Context as _;
use lockgate_discovery::Discovery;
use lockgate_explain::Explainer;
use lockgate_metrics::Collector;
use lockgate_net::listen::Sockets;
use lockgate_plugin::Node;
use lockgate_plugins::prometheus::Metrics;
use lockgate_proxy::{AccessLog, Phase, Totals, Workers};
use lockgate_secret::Secrets;
use lockgate_snapshot::{Compiler, Plugins, Status, Watcher};
use lockgate_upstream::Registry;
use tokio::runtime::Handle;

use crate::{
    apis::{self, Apis, Told},
    collectors::{Process, Reachable, Stored},
    configuration::Configuration,
    control_plane::ControlPlane,
    debug_file::DebugFile,
    instance, listeners,
    store::{self, Identity, Opened},
    wiring,
};

/// Pause between two looks at whether the workers have ended, once they were told to.
const END_POLL: Duration = Duration::from_millis(10);

/// The same while they are to run: nothing but a failure ends them.
const RUN_POLL: Duration = Duration::from_secs(1);

/// How often it is looked whether a generation that is replaced accepts nothing more, and for how long.
const LEAVE_POLL: Duration = Duration::from_millis(1);
const LEAVE_LIMIT: Duration = Duration::from_secs(1);

/// How long workers may take to end at once; they need far less unless the machine stands still.
const STOP_LIMIT: Duration = Duration::from_secs(5);

/// How long plugins may take to send what waits to be sent, where the process ends in peace.
const PLUGINS_LIMIT: Duration = Duration::from_secs(5);

/// The same where it ends at once: what is sent to a server that answers takes a fraction of it, and who waits for the end hardly notices
/// the whole.
const PLUGINS_STOP_LIMIT: Duration = Duration::from_secs(2);

/// Everything that serves by one configuration.
pub(crate) struct Generation {
    configuration: Configuration,
    identity: Identity,
    opened: Opened,
    /// What is in force of the store.
    status: Arc<Status>,
    registry: Registry,
    references: Secrets,
    discovery: Discovery,
    node: Node,
    /// What workers have counted, those of generations before included.
    totals: Totals,
    /// Asked by the metrics as long as it is here.
    _collector: Arc<dyn Collector>,
    /// Whether metrics are shown on a port of their own.
    has_metrics: bool,
    sockets: Sockets,
    workers: Workers,
    control_plane: ControlPlane,
}

impl Generation {
    /// Starts what the configuration says. From the generation `before`, which serves until it is told otherwise, come the
    /// sockets, the store if it is the same with what is in force of it, and what is known of nodes and secrets.
    ///
    /// Nothing has changed for `before` when this fails.
    pub(crate) async fn start(
        configuration: Configuration,
        access_log: Option<Arc<AccessLog>>,
        before: Option<&Self>,
    ) -> anyhow::Result<Self> {
        let identity = Identity::of(&configuration)?;
        let same = before.filter(|before| before.identity == identity);
        let opened = match same {
            Some(before) => before.opened.clone(),
            None => store::open(&configuration, before.map(|before| &before.opened)).await?,
        };
        let mut sockets = before.map_or_else(Sockets::default, |before| before.sockets.next());
        let bound = &configuration.boot.listeners;
        let plugins = Arc::new(apis::plugins(&configuration));
        let apis = Apis {
            metrics: apis::metrics_listener(&mut sockets, bound, &plugins)?,
            admin_tls: apis::admin_tls(&configuration)?,
            admin: listeners::bind(&mut sockets, bound.admin, "deployment.admin.admin_listen")?,
            control: listeners::bind(&mut sockets, bound.control, "apisix.control")?,
            status: listeners::bind(&mut sockets, bound.status, "apisix.status")?,
        };
        let has_metrics = apis.metrics.is_some();
        let proxied = listeners::reachable(&bound.proxy_protocol);
        let debug = DebugFile::open(&configuration);
        let http = listeners::reachable(&bound.http);
        let options = wiring::proxy(&configuration, http, proxied, debug.mode());
        let taken_with = Arc::new(options.clone());
        let workers = Workers::bind(options, &mut sockets)
            .map_err(|error| listeners::explain_start(error, bound))?;

        let registry = wiring::registry(&configuration, before.map(Self::registry));
        let discovery = wiring::discovery(&configuration, before.map(Self::discovery))?;
        let node = wiring::node(&configuration);
        let node = match before {
            Some(before) => before.node.renewed(node),
            None => Node::new(Handle::current(), node),
        };
        let compiled = {
            let plugins = plugins.clone();
            Plugins::new(node.clone(), lockgate_plugins::all(), move |name| {
                plugins.has(name)
            })
        };
        let compiled = compiled.switched_by(plugins.switched());
        let known = before.map(|before| before.references.known());
        let settings = wiring::compiler(
            &configuration,
            registry.clone(),
            known.unwrap_or_default(),
            discovery.clone(),
            compiled,
        );
        let secrets = settings.plugin_secrets.clone();
        let references = settings.secrets.clone();
        let taken = same.map(|before| &*before.status);
        let watcher = Watcher::start(opened.store(), Compiler::new(settings), taken)
            .await
            .context("cannot read the store")?;
        sockets
            .listen()
            .map_err(|error| listeners::explain_start(error.into(), bound))?;
        let explainer = Explainer {
            published: watcher.published(),
            status: watcher.status(),
            options: taken_with,
            node: node.clone(),
        };
        let workers = workers
            .start(watcher.published(), access_log.as_deref())
            .map_err(|error| listeners::explain_start(error, bound))?;
        sockets.settle();

        let status = watcher.status();
        let mut control_plane = ControlPlane::new();
        let totals = before.map_or_else(Totals::default, |before| before.totals.clone());
        workers.count_in(&totals);
        let metrics = Metrics::of(&node);
        let collector = Process {
            families: metrics.families().clone(),
            totals: totals.clone(),
            registry: registry.clone(),
            prefix: wiring::object_prefix(&configuration, &opened),
            stored: matches!(opened, Opened::Single(_)).then(|| {
                let reachable = Reachable::new();
                let asking = reachable
                    .clone()
                    .ask(opened.store(), control_plane.stopped());
                control_plane.serve("whether the store can be reached", asking);
                Stored {
                    status: status.clone(),
                    reachable,
                }
            }),
        };
        let collector: Arc<dyn Collector> = Arc::new(collector);
        metrics.registry().register(&collector);
        let told = Told {
            opened: opened.clone(),
            status: status.clone(),
            registry: registry.clone(),
            secrets,
            serving: workers.serving(),
            discovery: discovery.clone(),
            plugins,
            node: node.clone(),
            explainer,
        };
        apis.serve(&configuration, told, &mut control_plane);
        let stopped = control_plane.stopped();
        control_plane.serve("the file of the debug mode", debug.follow(stopped));
        control_plane.watch(watcher);
        Ok(Self {
            configuration,
            identity,
            opened,
            status,
            registry,
            references,
            discovery,
            node,
            totals,
            _collector: collector,
            has_metrics,
            sockets,
            workers,
            control_plane,
        })
    }

    /// Says where it listens; `event` is what happened.
    pub(crate) fn announce(&self, event: &'static str) {
        let bound = &self.configuration.boot.listeners;
        tracing::info!(
            id = instance::id(&self.configuration),
            proxy = listeners::names(self.workers.addresses().iter().copied()),
            admin = listeners::names(bound.admin),
            control = listeners::names(bound.control),
            status = listeners::names(bound.status),
            metrics = listeners::names(bound.metrics.filter(|_| self.has_metrics)),
            "{event}"
        );
    }

    /// Resolves when every worker has ended by itself.
    pub(crate) async fn failed(&self) {
        ended(&self.workers, RUN_POLL).await;
    }

    /// Leaves what comes to another that serves in its place. Resolves when nothing more is accepted: who has been told of the other is
    /// answered by it.
    pub(crate) async fn leave(&self) {
        self.workers.enter(Phase::HandOver);
        self.control_plane.stop();
        let left = async {
            while !(self.workers.have_left() && self.control_plane.has_stopped()) {
                tokio::time::sleep(LEAVE_POLL).await;
            }
        };
        let _late = tokio::time::timeout(LEAVE_LIMIT, left).await;
    }

    /// Ends it while another serves in its place: what comes on its connections is answered. `stop` cuts it short.
    pub(crate) async fn hand_over(mut self, stop: impl Future<Output = ()>) {
        self.workers.enter(Phase::HandOver);
        // The APIs first: the answer to a write waits for the watch. Then the watch, long before the workers, for what is known of nodes
        // is for one compiler to change.
        self.control_plane.end().await;
        tokio::select! {
            () = ended(&self.workers, END_POLL) => self.workers.join(),
            () = stop => self.stop().await,
        }
    }

    /// Accepts nothing more and finishes what was begun; resolves when all is done.
    pub(crate) async fn drain(&self) {
        self.control_plane.stop();
        self.workers.enter(Phase::Drain);
        ended(&self.workers, END_POLL).await;
    }

    /// Lets plugins send what waits to be sent, once nothing more comes.
    pub(crate) async fn close(&self) {
        self.node.shut_down(PLUGINS_LIMIT).await;
    }

    /// The same in a hurry; nothing where it has been done, and the rest where that was given up. To be called when nothing serves any
    /// more.
    pub(crate) async fn close_soon(node: &Node) {
        node.shut_down(PLUGINS_STOP_LIMIT).await;
    }

    /// Ends it at once. What its plugins have to send is left to [`Self::close_soon`].
    pub(crate) async fn stop(mut self) {
        self.workers.enter(Phase::Stop);
        let _late = tokio::time::timeout(STOP_LIMIT, ended(&self.workers, END_POLL)).await;
        self.control_plane.end().await;
        if self.workers.are_done() {
            self.workers.join();
        }
    }

    /// Has the workers end, as if by themselves.
    #[cfg(test)]
    pub(crate) fn end_workers_for_test(&self) {
        self.workers.enter(Phase::Stop);
    }

    /// What it was started with.
    pub(crate) fn configuration(&self) -> &Configuration {
        &self.configuration
    }

    /// What its plugins share.
    pub(crate) fn node(&self) -> &Node {
        &self.node
    }

    fn discovery(&self) -> (&Configuration, &Discovery) {
        (&self.configuration, &self.discovery)
    }

    fn registry(&self) -> (&Configuration, &Registry) {
        (&self.configuration, &self.registry)
    }
}

async fn ended(workers: &Workers, pause: Duration) {
    while !workers.are_done() {
        tokio::time::sleep(pause).await;
    }
}
