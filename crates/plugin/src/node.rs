//! What all workers share on behalf of plugins, and what outlives configurations.

use std::{
    any::{Any, TypeId, type_name},
    cell::RefCell,
    collections::HashMap,
    ops::Deref,
    path::PathBuf,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread::{self, ThreadId},
    time::Duration,
};

use arc_swap::ArcSwap;
use lockgate_net::dns::Resolver;
use lockgate_schema::Schema;
use serde_json::{Map, Value};
use tokio::{runtime::Handle, sync::watch};

use crate::{
    About, Compile, ConfigError, Consumers, Descriptor, Endpoint,
    metadata::{Cell, MetadataType},
};

/// What the process tells plugins; a reload replaces it.
#[derive(Debug, Clone)]
pub struct NodeOptions {
    /// How many workers there are.
    pub workers: usize,
    /// `plugin_attr` of `config.yaml`.
    pub attributes: Map<String, Value>,
    /// Ports of `apisix.ssl.listen`, where clients can reach the gateway over HTTPS.
    pub https_ports: Arc<[u16]>,
    /// How names are resolved.
    pub resolver: Resolver,
    /// File of the roots that certificates of servers are verified against, PEM (`apisix.ssl.ssl_trusted_certificate`); `None` for
    /// the system's.
    pub trusted: Option<PathBuf>,
    /// The id of this gateway (`apisix.id`).
    pub id: Arc<str>,
    /// The name of this machine.
    pub hostname: Arc<str>,
}

/// What a schema of a plugin is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Part {
    Plugin,
    Credential,
    Metadata,
}

type Closing = Pin<Box<dyn Future<Output = ()> + Send>>;
type Closer = Box<dyn FnOnce(Duration) -> Closing + Send>;

/// One per process and configuration. Cheap to clone.
#[derive(Clone)]
pub struct Node(Arc<Inner>);

struct Inner {
    runtime: Handle,
    options: ArcSwap<NodeOptions>,
    shared: Arc<Shared>,
    /// What is shared until the next reload.
    own: Shared,
    /// How many configurations the process has had.
    configurations: Arc<AtomicU64>,
    /// Which of them this is for.
    configuration: u64,
    consumers: Mutex<HashMap<&'static str, Arc<Consumers>>>,
    metadata: Mutex<HashMap<&'static str, Arc<Cell>>>,
    schemas: Mutex<HashMap<(&'static str, Part), Arc<Schema>>>,
    endpoints: Endpoints,
    closers: Arc<Mutex<Vec<Closer>>>,
    /// How much of that is under way.
    closing: watch::Sender<usize>,
    log_reopens: LogReopens,
}

/// One object of each type.
#[derive(Default)]
struct Shared(Mutex<HashMap<TypeId, Arc<Place>>>);

/// Where the object of a type is.
#[derive(Default)]
struct Place {
    /// Once it has been made.
    made: OnceLock<Arc<dyn Any + Send + Sync>>,
    /// While it is made.
    maker: Mutex<Option<ThreadId>>,
}

impl Shared {
    fn get<T: Any + Send + Sync>(&self, make: impl FnOnce() -> T) -> Arc<T> {
        let place = lock(&self.0).entry(TypeId::of::<T>()).or_default().clone();
        // Made without the lock: making it may ask for something else. Who asks for the same meanwhile waits.
        let made = if let Some(made) = place.made.get() {
            made
        } else {
            let here = thread::current().id();
            // It would wait for itself, for ever and without a word.
            assert!(
                *lock(&place.maker) != Some(here),
                "making the shared {} asks for it",
                type_name::<T>()
            );
            place.made.get_or_init(|| {
                let _making = Maker::new(&place.maker, here);
                Arc::new(make())
            })
        };
        let made = made.clone();
        made.downcast()
            .expect("invariant: objects lie by their types")
    }
}

/// The thread that makes something, until it has, or has failed.
struct Maker<'a>(&'a Mutex<Option<ThreadId>>);

impl<'a> Maker<'a> {
    fn new(maker: &'a Mutex<Option<ThreadId>>, thread: ThreadId) -> Self {
        *lock(maker) = Some(thread);
        Self(maker)
    }
}

impl Drop for Maker<'_> {
    fn drop(&mut self) {
        *lock(self.0) = None;
    }
}

/// A node while something is made that lives as long as the process: what is to be done at its end can be said here, and only here, so
/// that it is said once. It counts when the thing is made.
pub struct Making<'a> {
    node: &'a Node,
    closers: RefCell<Vec<Closer>>,
}

impl Deref for Making<'_> {
    type Target = Node;

    fn deref(&self) -> &Node {
        self.node
    }
}

impl Making<'_> {
    /// Has something done before the process ends: what waits to be sent is sent, what was taken is given back.
    ///
    /// `close` is called when nothing serves any more, with the time that there is: some seconds where the process ends in peace
    /// (`QUIT`), less where it ends at once (`TERM`). What it gives runs on the control runtime, beside what others have to do, and is
    /// cut off when the time is up. It is called once at most, and not at all where the process is killed.
    pub fn at_shutdown<F>(&self, close: impl FnOnce(Duration) -> F + Send + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let close: Closer = Box::new(|within| Box::pin(close(within)));
        self.closers.borrow_mut().push(close);
    }
}

/// How often logs were opened anew: who writes a file of its own compares.
#[derive(Debug, Clone, Default)]
pub struct LogReopens(Arc<AtomicU64>);

impl LogReopens {
    /// How often it was asked for since the process began.
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl std::fmt::Debug for Making<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Making").finish_non_exhaustive()
    }
}

/// What plugins serve, as it is when it is asked for. Keeps nothing else of the node.
#[derive(Debug, Clone, Default)]
pub struct Endpoints(Arc<ArcSwap<Vec<Endpoint>>>);

impl Endpoints {
    /// All of it.
    pub fn all(&self) -> Arc<Vec<Endpoint>> {
        self.0.load_full()
    }
}

impl std::fmt::Debug for Node {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Node").finish_non_exhaustive()
    }
}

impl Node {
    /// Nothing is shared yet. `runtime` is the one that background work is done on.
    pub fn new(runtime: Handle, options: NodeOptions) -> Self {
        Self(Arc::new(Inner {
            runtime,
            options: ArcSwap::from_pointee(options),
            shared: Arc::default(),
            own: Shared::default(),
            configurations: Arc::default(),
            configuration: 0,
            consumers: Mutex::default(),
            metadata: Mutex::default(),
            schemas: Mutex::default(),
            endpoints: Endpoints::default(),
            closers: Arc::default(),
            closing: watch::Sender::default(),
            log_reopens: LogReopens::default(),
        }))
    }

    /// A node for a configuration that is started in place of this one's: what plugins share goes on, and so does what is to be done
    /// before the process ends; consumers, metadata and what is shared until a reload are the new configuration's own.
    #[must_use]
    pub fn renewed(&self, options: NodeOptions) -> Self {
        Self(Arc::new(Inner {
            runtime: self.0.runtime.clone(),
            options: ArcSwap::from_pointee(options),
            shared: self.0.shared.clone(),
            own: Shared::default(),
            configurations: self.0.configurations.clone(),
            configuration: self.0.configurations.fetch_add(1, Ordering::Relaxed) + 1,
            consumers: Mutex::default(),
            metadata: Mutex::default(),
            schemas: Mutex::default(),
            endpoints: Endpoints::default(),
            closers: self.0.closers.clone(),
            closing: self.0.closing.clone(),
            log_reopens: self.0.log_reopens.clone(),
        }))
    }

    /// Puts other options in force, for configurations that are compiled from then on.
    pub fn set_options(&self, options: NodeOptions) {
        self.0.options.store(Arc::new(options));
    }

    /// The options in force.
    pub fn options(&self) -> Arc<NodeOptions> {
        self.0.options.load_full()
    }

    /// The runtime for background work: shipping logs, asking other services. Workers have their own.
    pub fn runtime(&self) -> &Handle {
        &self.0.runtime
    }

    /// How many workers there are.
    pub fn workers(&self) -> usize {
        self.0.options.load().workers
    }

    /// `plugin_attr` of a plugin.
    pub fn attributes(&self, plugin: &str) -> Option<Value> {
        self.0.options.load().attributes.get(plugin).cloned()
    }

    /// The one `T` of this process, made by `make` when it is first asked for: a table of counters, a registry of queues. It outlives
    /// reloads. Asked for while configurations are compiled, not in hooks.
    ///
    /// `make` runs once; it may ask for other types. Who asks for `T` meanwhile waits.
    ///
    /// # Panics
    /// `make` asks for `T`, or for what asks for `T` in turn. Two types of which each asks for the other would wait for each other, where
    /// two threads make them at the same time.
    pub fn shared<T: Any + Send + Sync>(&self, make: impl FnOnce(&Making<'_>) -> T) -> Arc<T> {
        self.0.shared.get(|| {
            let making = Making {
                node: self,
                closers: RefCell::default(),
            };
            let made = make(&making);
            // Not before: where it fails, there is nothing to close, and who makes it next says the same again.
            lock(&self.0.closers).append(&mut making.closers.into_inner());
            made
        })
    }

    /// The one `T` of this configuration of the process: a reload begins without. For what depends on options (clients, which have the
    /// resolver and the trusted roots) and need not outlive them. Otherwise as [`Self::shared`].
    ///
    /// # Panics
    /// See [`Self::shared`].
    pub fn shared_until_reload<T: Any + Send + Sync>(
        &self,
        make: impl FnOnce(&Self) -> T,
    ) -> Arc<T> {
        self.0.own.get(|| make(self))
    }

    /// A number for this configuration of the process: a reload has another. For the names of what is shared by the whole process and
    /// must not be found again after a reload.
    pub fn configuration(&self) -> u64 {
        self.0.configuration
    }

    /// The consumers that have credentials for a plugin; all of them by name where the name is empty.
    pub fn consumers(&self, plugin: &'static str) -> Arc<Consumers> {
        lock(&self.0.consumers).entry(plugin).or_default().clone()
    }

    pub(crate) fn metadata(&self, plugin: &'static str) -> Arc<Cell> {
        lock(&self.0.metadata).entry(plugin).or_default().clone()
    }

    /// Puts metadata of a plugin in force.
    ///
    /// # Errors
    /// It cannot be honoured; what was in force stays.
    pub fn set_metadata(
        &self,
        of: MetadataType,
        config: &Value,
        cx: &Compile<'_>,
    ) -> Result<(), ConfigError> {
        let config = &self.fill(cx.about, Part::Metadata, config)?;
        let compiled = (of.compile)(config, &Compile { config, ..*cx })?;
        self.metadata(cx.about.name).store(Some(Arc::new(compiled)));
        Ok(())
    }

    /// Ends metadata of a plugin.
    pub fn remove_metadata(&self, plugin: &'static str) {
        self.metadata(plugin).store(None);
    }

    /// Puts the endpoints of these plugins in place of those before.
    pub fn serve<'d>(&self, plugins: impl IntoIterator<Item = &'d Descriptor>) {
        let endpoints = plugins
            .into_iter()
            .filter_map(|plugin| plugin.endpoints)
            .flat_map(|endpoints| endpoints(self))
            .collect();
        self.0.endpoints.0.store(Arc::new(endpoints));
    }

    /// A configuration with the defaults of its schema, and without `_meta`, which is none of the plugin's business.
    pub(crate) fn fill(
        &self,
        about: &'static About,
        part: Part,
        config: &Value,
    ) -> Result<Value, ConfigError> {
        let mut config = config.clone();
        if let Some(members) = config.as_object_mut() {
            members.shift_remove("_meta");
        }
        let schema = self.schema(about, part)?;
        schema
            .fill(&mut config)
            .map_err(|finding| ConfigError(finding.to_string()))?;
        Ok(config)
    }

    fn schema(&self, about: &'static About, part: Part) -> Result<Arc<Schema>, ConfigError> {
        let place = (about.name, part);
        if let Some(known) = lock(&self.0.schemas).get(&place) {
            return Ok(known.clone());
        }
        let unread = |error: &dyn std::fmt::Display| ConfigError(format!("its schema: {error}"));
        let mut record: Map<String, Value> =
            serde_json::from_str(about.record).map_err(|error| unread(&error))?;
        let mut take = |name: &str| record.shift_remove(name);
        let source = match part {
            Part::Plugin => take("schema"),
            Part::Credential => take("consumer_schema").or_else(|| take("schema")),
            Part::Metadata => take("metadata_schema"),
        };
        let source = source.unwrap_or_else(|| Value::Object(Map::new()));
        let schema = Arc::new(Schema::compile(source).map_err(|error| unread(&error))?);
        lock(&self.0.schemas).insert(place, schema.clone());
        Ok(schema)
    }

    /// What plugins serve, now and later.
    pub fn endpoints(&self) -> Endpoints {
        self.0.endpoints.clone()
    }

    /// Has plugins that write files close them and open their paths anew (the signal `USR1`).
    pub fn reopen_logs(&self) {
        self.0.log_reopens.0.fetch_add(1, Ordering::Relaxed);
    }

    /// How often that was asked for, now and later.
    pub fn log_reopens(&self) -> LogReopens {
        self.0.log_reopens.clone()
    }

    /// Does what was put off until the process ends; all at once, and no longer than `within`. Where that was begun and not waited for
    /// until its end, waits for what is left of it.
    pub async fn shut_down(&self, within: Duration) {
        for close in std::mem::take(&mut *lock(&self.0.closers)) {
            let under_way = UnderWay::new(&self.0.closing);
            self.0.runtime.spawn(async move {
                let _until_then = under_way;
                close(within).await;
            });
        }
        let mut closing = self.0.closing.subscribe();
        let _late = tokio::time::timeout(within, closing.wait_for(|left| *left == 0)).await;
    }
}

/// Counts as under way until it is dropped, be it by a panic.
struct UnderWay(watch::Sender<usize>);

impl UnderWay {
    fn new(count: &watch::Sender<usize>) -> Self {
        count.send_modify(|count| *count += 1);
        Self(count.clone())
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::{
        panic::{AssertUnwindSafe, catch_unwind},
        sync::Barrier,
    };

    use tokio::sync::oneshot;

    use super::*;
    use crate::testing::{self, Kit};

    /// Counts the makings of all that has it.
    #[derive(Default)]
    struct Count(AtomicU64);

    struct One(u64);

    struct Other(Arc<One>);

    fn one(node: &Node) -> Arc<One> {
        node.shared(|node| {
            let count = node.shared(|_| Count::default());
            node.at_shutdown(async |_| ());
            // Others shall ask meanwhile.
            thread::yield_now();
            One(count.0.fetch_add(1, Ordering::Relaxed))
        })
    }

    /// What a panic says.
    fn panics(of: impl FnOnce()) -> String {
        let panic = catch_unwind(AssertUnwindSafe(of)).expect_err("a panic");
        let text = panic.downcast_ref::<String>().cloned();
        text.unwrap_or_else(|| (*panic.downcast_ref::<&str>().expect("text")).to_owned())
    }

    #[test]
    fn what_asks_for_itself_while_it_is_made_is_named() {
        struct Inner(Arc<Outer>);
        struct Outer(Option<Arc<Inner>>);
        fn outer(node: &Node) -> Arc<Outer> {
            node.shared(|node| Outer(Some(node.shared(|node| Inner(outer(node))))))
        }
        let kit = Kit::new();
        let node = &kit.node;
        for _ in 0..2 {
            let said = panics(|| drop(outer(node)));
            assert!(said.contains("Outer asks for it"), "{said}");
        }
        // It is not forbidden for ever.
        let inner = node.shared(|node| Inner(node.shared(|_| Outer(None))));
        assert!(inner.0.0.is_none());
        let own = |node: &Node| drop(node.shared_until_reload(|_| One(0)));
        let said = panics(|| {
            node.shared_until_reload(|node| {
                own(node);
                One(1)
            });
        });
        assert!(said.contains("One asks for it"), "{said}");
        // Another node's is another.
        let other = Kit::new();
        node.shared(|_| {
            let other = other.node.shared(|_| Count::default());
            other.0.fetch_add(1, Ordering::Relaxed);
            Count::default()
        });
    }

    #[test]
    fn what_could_not_be_made_is_not_closed() {
        let kit = Kit::new();
        let make = |fails: bool| {
            kit.node.shared(|node| {
                node.at_shutdown(async |_| ());
                assert!(!fails, "cannot be made");
                One(0)
            })
        };
        assert_eq!(panics(|| drop(make(true))), "cannot be made");
        assert_eq!(lock(&kit.node.0.closers).len(), 0);
        make(false);
        make(true);
        assert_eq!(lock(&kit.node.0.closers).len(), 1);
    }

    #[test]
    fn what_is_shared_until_a_reload_is_made_anew_then() {
        let kit = Kit::new();
        let count = |node: &Node| {
            let made = node.shared_until_reload(|node| One(node.configuration()));
            assert!(Arc::ptr_eq(&made, &node.shared_until_reload(|_| One(9))));
            made.0
        };
        let renewed = |node: &Node| node.renewed(NodeOptions::clone(&node.options()));
        let [first, second] = [(); 2].map(|()| renewed(&kit.node));
        let found = [&kit.node, &first, &second, &renewed(&first)].map(count);
        assert_eq!(found, [0, 1, 2, 3]);
        assert_eq!(count(&kit.node), 0);
    }

    #[tokio::test]
    async fn who_ends_the_process_again_waits_for_what_is_under_way() {
        const LONG: Duration = Duration::from_mins(10);
        let node = testing::node();
        let (begin, begun) = oneshot::channel();
        let (go_on, gone_on) = oneshot::channel::<()>();
        let is_done = Arc::new(AtomicU64::new(0));
        let done = is_done.clone();
        node.shared(|node| {
            node.at_shutdown(move |_| async move {
                begin.send(()).expect("somebody waits");
                gone_on.await.expect("it goes on");
                done.fetch_add(1, Ordering::Relaxed);
            });
            node.at_shutdown(async |_| panic!("harms nobody"));
        });
        // As where a signal comes that is in more of a hurry.
        tokio::select! {
            () = node.shut_down(LONG) => panic!("it has not gone on"),
            begun = begun => begun.expect("it begins"),
        }
        let renewed = node.renewed(NodeOptions::clone(&node.options()));
        let again = renewed.shut_down(LONG);
        tokio::pin!(again);
        tokio::select! {
            biased;
            () = &mut again => panic!("it has not gone on"),
            () = std::future::ready(()) => {}
        }
        go_on.send(()).expect("it waits");
        again.await;
        assert_eq!(is_done.load(Ordering::Relaxed), 1);
        node.shut_down(LONG).await;
    }

    #[test]
    fn what_is_shared_is_made_once_whoever_asks_first() {
        const THREADS: usize = 8;
        for _ in 0..100 {
            let kit = Kit::new();
            let node = &kit.node;
            let begin = Barrier::new(THREADS);
            thread::scope(|scope| {
                for number in 0..THREADS {
                    let begin = &begin;
                    scope.spawn(move || {
                        begin.wait();
                        let found = if number % 2 == 0 {
                            one(node)
                        } else {
                            node.shared(|node| Other(one(node))).0.clone()
                        };
                        assert_eq!(found.0, 0);
                    });
                }
            });
            assert_eq!(lock(&node.0.closers).len(), 1);
            // Another configuration of the process has the same.
            let renewed = node.renewed(NodeOptions::clone(&node.options()));
            assert!(Arc::ptr_eq(&one(node), &one(&renewed)));
        }
    }
}
