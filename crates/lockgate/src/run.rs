//! The gateway from its start to its end.

use std::{fmt::Write as _, future::Future, io, sync::Arc, time::Duration};

use anyhow::{Context as _, bail};
use lockgate_admin::{Admin, Control};
use lockgate_proxy::{Phase, Workers};
use lockgate_snapshot::{Compiler, Visible, Watcher};
use lockgate_store::Store;
use tokio::{
    sync::watch,
    task::{JoinHandle, JoinSet},
};

use crate::{
    admin_key,
    cli::Flags,
    configuration::Configuration,
    listeners,
    logs::Logs,
    process::{self, PidFile},
    signals::{Request, Signals},
    store, wiring,
};

/// Threads for everything that is not traffic: both APIs, the watch, compiling, name resolution.
const CONTROL_THREADS: usize = 2;

/// Pause between two looks at whether the workers have ended, once they were told to.
const END_POLL: Duration = Duration::from_millis(10);

/// The same while they are to run: nothing but a failure ends them.
const RUN_POLL: Duration = Duration::from_secs(1);

/// How long workers may take to end at once; they need far less unless the machine stands still.
const STOP_LIMIT: Duration = Duration::from_secs(5);

/// How long requests to the APIs that were begun may take at the end.
const API_LIMIT: Duration = Duration::from_secs(1);

/// `lockgate test`: says whether the gateway would start.
pub(crate) fn test(flags: &Flags) -> anyhow::Result<String> {
    let configuration = Configuration::read(flags).context("configuration test failed")?;
    let mut text = String::new();
    for warning in &configuration.boot.warnings {
        let at = configuration.place_of(warning);
        let _infallible = writeln!(text, "{at}: {warning}");
    }
    text.push_str("configuration test is successful\n");
    Ok(text)
}

/// Runs the gateway until a signal ends it.
pub(crate) fn run(flags: &Flags) -> anyhow::Result<()> {
    let configuration = Configuration::read(flags)?;
    let logs = Logs::open(&configuration)?;
    let outcome = run_logged(configuration, &logs);
    if let Err(error) = &outcome {
        logs.give_up(error);
    }
    logs.flush();
    outcome
}

fn run_logged(mut configuration: Configuration, logs: &Logs) -> anyhow::Result<()> {
    report(&configuration);
    admin_key::make_missing(&mut configuration)?;
    process::raise_open_files(&configuration.boot.config.nginx_config);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(CONTROL_THREADS)
        .thread_name("control")
        .enable_all()
        .build()
        .context("cannot start the control threads")?;
    let outcome = runtime.block_on(async {
        let store = store::open(&configuration).await?;
        serve(&configuration, logs, store).await
    });
    runtime.shutdown_timeout(API_LIMIT);
    outcome
}

/// Says what whoever starts the gateway should know.
fn report(configuration: &Configuration) {
    for warning in &configuration.boot.warnings {
        let at = configuration.place_of(warning);
        tracing::warn!(
            at,
            option = warning.path,
            note = warning.message,
            "an option needs a look"
        );
    }
    let admin = &configuration.boot.config.deployment.admin;
    if configuration.file.is_none() {
        tracing::warn!(
            "there is no configuration file: the Admin API asks for no key and listens on 127.0.0.1 alone; a conf/config.yaml turns keys on"
        );
    } else if configuration.boot.listeners.admin.is_none() {
    } else if !admin.admin_key_required {
        tracing::warn!(
            "Admin key is bypassed! If you are deploying in a production environment, enable `admin_key_required` and set a secure admin key!"
        );
    } else if admin.admin_key.is_none() {
        tracing::warn!("deployment.admin.admin_key was taken away: the Admin API asks for no key");
    }
}

/// Starts everything, and ends it.
async fn serve(
    configuration: &Configuration,
    logs: &Logs,
    store: Arc<dyn Store>,
) -> anyhow::Result<()> {
    let mut signals = Signals::listen().context("cannot listen to signals")?;
    let settings = wiring::compiler(configuration);
    let registry = settings.upstream.registry.clone();
    let compiler = Compiler::new(settings);
    let watcher = Watcher::start(store.clone(), compiler)
        .await
        .context("cannot read the store")?;
    let bound = &configuration.boot.listeners;
    let admin = listeners::bind(bound.admin, "deployment.admin.admin_listen")?;
    let control = listeners::bind(bound.control, "apisix.control")?;
    let options = wiring::proxy(configuration, listeners::reachable(&bound.http));
    let workers = Workers::start(options, watcher.published(), logs.access())
        .map_err(listeners::explain_start)?;

    let mut control_plane = ControlPlane::new();
    if let Some(listener) = admin {
        let store = Arc::new(Visible::new(store.clone(), watcher.status()));
        let admin = Arc::new(Admin::new(wiring::admin(configuration), store));
        control_plane.serve(
            "the Admin API",
            admin.serve(listener, control_plane.stopped()),
        );
    }
    if let Some(listener) = control {
        let control = Arc::new(Control::new(wiring::control(
            configuration,
            store,
            watcher.status(),
            registry,
        )));
        control_plane.serve(
            "the control API",
            control.serve(listener, control_plane.stopped()),
        );
    }
    control_plane.watch(watcher);

    let pid_file = PidFile::write(configuration.below_prefix("logs/nginx.pid"));
    tracing::info!(
        proxy = listeners::names(workers.addresses().iter().copied()),
        admin = listeners::names(bound.admin),
        control = listeners::names(bound.control),
        "the gateway runs"
    );
    if configuration.file.is_some() {
        logs.end_echo();
    }
    let outcome = obey(&mut signals, &workers, &control_plane, logs).await;
    control_plane.end().await;
    if workers.are_done() {
        workers.join();
    }
    drop(pid_file);
    tracing::info!("the gateway has ended");
    outcome
}

/// Does what signals ask for until the workers have ended.
async fn obey(
    signals: &mut Signals,
    workers: &Workers,
    control_plane: &ControlPlane,
    logs: &Logs,
) -> anyhow::Result<()> {
    let mut is_draining = false;
    loop {
        let request = tokio::select! {
            request = signals.next() => request,
            () = ended(workers, if is_draining { END_POLL } else { RUN_POLL }) => break,
        };
        match request {
            Request::ReopenLogs => logs.reopen(),
            Request::Reload => {
                tracing::warn!("config.yaml is read at start only: restart to change it");
            }
            Request::Quit => {
                tracing::info!("the gateway ends when the requests that were begun are done");
                is_draining = true;
                control_plane.stop();
                workers.enter(Phase::Drain);
            }
            Request::Stop => {
                tracing::info!("the gateway ends");
                workers.enter(Phase::Stop);
                let _late = tokio::time::timeout(STOP_LIMIT, ended(workers, END_POLL)).await;
                return Ok(());
            }
        }
    }
    if !is_draining {
        bail!("every worker has ended by itself");
    }
    Ok(())
}

async fn ended(workers: &Workers, pause: Duration) {
    while !workers.are_done() {
        tokio::time::sleep(pause).await;
    }
}

/// The tasks that are not traffic.
struct ControlPlane {
    stop: watch::Sender<bool>,
    apis: JoinSet<()>,
    watching: Option<JoinHandle<()>>,
}

impl ControlPlane {
    fn new() -> Self {
        Self {
            stop: watch::Sender::new(false),
            apis: JoinSet::new(),
            watching: None,
        }
    }

    /// Resolves when the APIs are to end.
    fn stopped(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut stopped = self.stop.subscribe();
        async move {
            // A sender that is gone has stopped.
            let _gone = stopped.wait_for(|is_stopped| *is_stopped).await;
        }
    }

    fn serve(
        &mut self,
        name: &'static str,
        serving: impl Future<Output = io::Result<()>> + Send + 'static,
    ) {
        self.apis.spawn(async move {
            if let Err(error) = serving.await {
                tracing::error!(%error, "{name} cannot be served any more");
            }
        });
    }

    fn watch(&mut self, watcher: Watcher) {
        self.watching = Some(tokio::spawn(watcher.run()));
    }

    fn stop(&self) {
        self.stop.send_replace(true);
    }

    async fn end(mut self) {
        self.stop();
        let answered = async { while self.apis.join_next().await.is_some() {} };
        let _late = tokio::time::timeout(API_LIMIT, answered).await;
        if let Some(watching) = self.watching {
            watching.abort();
        }
    }
}
