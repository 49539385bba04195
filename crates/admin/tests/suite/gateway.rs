//! An Admin API that runs, and the one way in which tests talk to it.

use std::{
    future::Future,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use lockgate_admin::{
    Admin, AdminKey, AdminOptions, AdminTls, Configs, Control, ControlOptions, Discovered,
    Environment, MetricsApi, MetricsText, Plugins, Problem, Readiness, RealIp, Role, StatusApi,
};
use lockgate_model::health::CheckedUpstream;
use lockgate_store::{BoxFuture, Store, Whole};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};

use crate::{
    memory::{self, Memory},
    wire::{Reply, Wire},
};

/// An API that serves on a port of its own.
pub(crate) struct Gateway {
    pub(crate) address: SocketAddr,
    pub(crate) store: Arc<Memory>,
    /// What the API takes for the time.
    pub(crate) seconds: Arc<AtomicU64>,
    stop: Option<oneshot::Sender<()>>,
    served: JoinHandle<std::io::Result<()>>,
}

/// Resolves when an API is to stop.
type Stop = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Options without keys, as the gateway has them with no configuration.
pub(crate) fn open_options() -> AdminOptions {
    AdminOptions {
        keys: Vec::new(),
        is_key_required: false,
        allow: None,
        real_ip: RealIp::default(),
        has_cors: true,
        is_v3: true,
        prefix: "/apisix".into(),
        server: "APISIX/3.18.0".into(),
        ui: None,
    }
}

/// Options with a key of each role: `full` and `look`.
pub(crate) fn keyed_options() -> AdminOptions {
    let key = |name: &str, key: &str, role| AdminKey {
        name: name.into(),
        key: key.into(),
        role,
    };
    AdminOptions {
        keys: vec![
            key("ann", "full", Role::Admin),
            key("vic", "look", Role::Viewer),
        ],
        is_key_required: true,
        ..open_options()
    }
}

impl Gateway {
    /// Starts the Admin API with [`open_options`].
    pub(crate) async fn start() -> Self {
        Self::start_with(open_options()).await
    }

    /// Starts the Admin API with [`open_options`], as part of a process with these settings.
    pub(crate) async fn start_in(environment: Environment) -> Self {
        Self::start_whole(open_options(), environment).await
    }

    /// Starts the Admin API.
    pub(crate) async fn start_with(options: AdminOptions) -> Self {
        Self::start_whole(options, Environment::default()).await
    }

    /// Starts the Admin API with [`open_options`] over a store that is not [`Memory`].
    pub(crate) async fn start_over(store: Arc<dyn Store>) -> Self {
        let admin = Admin::new(open_options(), store);
        Self::serve_admin(admin, memory::empty()).await
    }

    /// Starts the Admin API through which a configuration is pushed as a whole, and the store that it goes to.
    pub(crate) async fn start_standalone(options: AdminOptions) -> (Self, Arc<Whole>) {
        let configs = Arc::new(Configs::default());
        let in_force = Arc::new(|_revision| -> BoxFuture<'static, ()> { Box::pin(async {}) });
        let whole = configs.store();
        let admin = Admin::standalone(options, configs, in_force);
        (Self::serve_admin(admin, memory::empty()).await, whole)
    }

    /// Starts the Admin API with [`open_options`] and these plugins. What it stores about them at its start is stored.
    pub(crate) async fn start_knowing(plugins: Plugins, stored: &[(&str, &str)]) -> Self {
        let store = memory::empty();
        for (key, value) in stored {
            store.seed(key, value);
        }
        let admin = Admin::new(open_options(), store.clone()).with_plugins(Arc::new(plugins));
        admin.reset_plugins().await.unwrap();
        Self::serve_admin(admin, store).await
    }

    /// Starts the Admin API with [`open_options`] over HTTPS.
    pub(crate) async fn start_tls(tls: AdminTls) -> Self {
        let store = memory::empty();
        let admin = Admin::new(open_options(), store.clone());
        Self::serve(store, Arc::default(), |listener, stop| {
            Arc::new(admin).serve_tls(listener, tls, stop)
        })
        .await
    }

    /// Starts the status API.
    pub(crate) async fn start_status(readiness: Readiness) -> Self {
        let status = StatusApi::new("APISIX/3.18.0", readiness);
        Self::serve(memory::empty(), Arc::default(), |listener, stop| {
            Arc::new(status).serve(listener, stop)
        })
        .await
    }

    /// Starts the metrics' own port, with `/metrics` for a path.
    pub(crate) async fn start_metrics(text: MetricsText) -> Self {
        let metrics = MetricsApi::new("APISIX/3.18.0", "/metrics".into(), text);
        Self::serve(memory::empty(), Arc::default(), |listener, stop| {
            Arc::new(metrics).serve(listener, stop)
        })
        .await
    }

    async fn start_whole(options: AdminOptions, environment: Environment) -> Self {
        let store = memory::empty();
        let admin = Admin::new(options, store.clone()).with_environment(environment);
        Self::serve_admin(admin, store).await
    }

    async fn serve_admin(admin: Admin, store: Arc<Memory>) -> Self {
        let seconds = Arc::new(AtomicU64::new(1000));
        let clock = seconds.clone();
        let admin = admin.with_clock(Arc::new(move || clock.load(Ordering::Relaxed)));
        Self::serve(store, seconds, |listener, stop| {
            Arc::new(admin).serve(listener, stop)
        })
        .await
    }

    async fn serve<F: Future<Output = std::io::Result<()>> + Send + 'static>(
        store: Arc<Memory>,
        seconds: Arc<AtomicU64>,
        serve: impl FnOnce(TcpListener, Stop) -> F,
    ) -> Self {
        let (listener, address) = listen().await;
        let (stop, stopped) = oneshot::channel::<()>();
        let stopped = Box::pin(async {
            stopped.await.ok();
        });
        Self {
            address,
            store,
            seconds,
            stop: Some(stop),
            served: tokio::spawn(serve(listener, stopped)),
        }
    }

    /// Starts the control API, which reports these problems.
    pub(crate) async fn start_control(problems: &[Problem]) -> Self {
        Self::start_control_with(problems, Vec::new()).await
    }

    /// A control API that is told this of the health of nodes.
    pub(crate) async fn start_control_with(
        problems: &[Problem],
        health: Vec<CheckedUpstream>,
    ) -> Self {
        Self::start_control_knowing(problems, health, Plugins::default()).await
    }

    /// A control API that is told this, with these plugins.
    pub(crate) async fn start_control_knowing(
        problems: &[Problem],
        health: Vec<CheckedUpstream>,
        plugins: Plugins,
    ) -> Self {
        let store = memory::empty();
        let problems = problems.to_vec();
        let control = Control::new(ControlOptions {
            server: "APISIX/3.18.0".into(),
            store: store.clone(),
            prefix: "/apisix".into(),
            problems: Arc::new(move || problems.clone()),
            health: Arc::new(move || health.clone()),
            secrets: Arc::new(Environment::default().plugin_secrets()),
            plugins: Arc::new(plugins),
            discovery: Arc::new(discovered),
            explain: Arc::new(explained),
        });
        Self::serve(store, Arc::default(), |listener, stop| {
            Arc::new(control).serve(listener, stop)
        })
        .await
    }

    /// Tells the API to stop.
    pub(crate) fn stop(&mut self) {
        if let Some(stop) = self.stop.take() {
            stop.send(()).ok();
        }
    }

    /// Waits until the API has stopped.
    pub(crate) async fn stopped(self) {
        self.served.await.unwrap().unwrap();
    }

    /// Asks `METHOD /target` with a body and further fields, each with its line end.
    pub(crate) async fn ask_with(
        &self,
        request: &str,
        fields: &str,
        body: impl AsRef<[u8]>,
    ) -> Reply {
        let (method, target) = request.split_once(' ').unwrap();
        let body = body.as_ref();
        let head = format!(
            "{method} {target} HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n{fields}\r\n",
            body.len()
        );
        let mut wire = Wire::open(self.address).await;
        wire.send([head.as_bytes(), body].concat()).await;
        wire.reply(method).await.unwrap()
    }

    /// Asks `METHOD /target` with a body, `""` for none.
    pub(crate) async fn ask(&self, request: &str, body: &str) -> Reply {
        self.ask_with(request, "", body).await
    }

    /// Asks below `/apisix/admin/` and compares status and body, as JSON where both are. `""` sends no body; an expected body of `null`
    /// stands for none, and a text for itself.
    pub(crate) async fn check(&self, steps: &[(&str, Value, u16, Value)]) {
        for (request, body, status, expected) in steps {
            let (method, path) = request.split_once(' ').unwrap();
            let request = format!("{method} /apisix/admin/{path}");
            let body = match body {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            let reply = self.ask(&request, &body).await;
            let found = match serde_json::from_str(&reply.body) {
                Ok(json) => {
                    assert!(
                        reply.body.ends_with('\n'),
                        "{request}: JSON ends with a newline"
                    );
                    json
                }
                Err(_) if reply.body.is_empty() => Value::Null,
                Err(_) => Value::String(reply.body),
            };
            assert_eq!(
                (reply.status, &found),
                (*status, expected),
                "{request} {body}"
            );
        }
    }

    /// As [`Self::check`], where every answer is a refusal with status 400 and this message.
    pub(crate) async fn check_refusals(&self, steps: &[(&str, Value, &str)]) {
        for (request, body, message) in steps {
            let expected = serde_json::json!({ "error_msg": message });
            self.check(&[(request, body.clone(), 400, expected)]).await;
        }
    }
}

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// What registries are said to have.
fn discovered(kind: &str, what: &str) -> Option<Discovered> {
    match (kind, what) {
        ("eureka", "dump") => Some(Discovered::Json(json!({"services": {}}))),
        ("consul", "show_dump_file") => Some(Discovered::Text("{}".into())),
        ("consul_kv", "show_dump_file") => {
            Some(Discovered::Unavailable("dump params is nil".into()))
        }
        _ => None,
    }
}

/// What is said to become of a request: its arguments are told, unless one is not understood.
fn explained(arguments: &[(&str, &str)]) -> Result<Value, String> {
    match arguments {
        [("bad", _), ..] => Err("bad: there is no such argument".to_owned()),
        _ => Ok(json!({ "asked": arguments })),
    }
}
