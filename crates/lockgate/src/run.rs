//! The gateway from its start to its end.

use std::{collections::VecDeque, fmt::Write as _, sync::Arc};

use anyhow::{Context as _, anyhow};
use lockgate_proxy::AccessLog;
use tokio::{sync::oneshot, task::JoinSet};

use crate::{
    admin_key::{self, Unkept},
    cli::Flags,
    config_file,
    configuration::Configuration,
    control_plane::API_LIMIT,
    detach,
    generation::Generation,
    logs::Logs,
    process::{self, PidFile},
    signals::{Request, Signals},
    wiring,
};

/// Threads for everything that is not traffic: both APIs, the watch, compiling, name resolution.
const CONTROL_THREADS: usize = 2;

/// How many generations that were replaced may still answer what they have begun. Each has its threads and its configuration in
/// memory, and connections that last would let them pile up where a controller reloads often.
const RETIRED_LIMIT: usize = 8;

/// `test`: says whether the gateway would start.
pub(crate) fn test(flags: &Flags) -> anyhow::Result<String> {
    let configuration = read_checked(flags).context("configuration test failed")?;
    let mut text = warnings(&configuration);
    text.push_str(
        "configuration test is successful
",
    );
    Ok(text)
}

/// Reads the configuration, and checks what a start in this environment would meet.
fn read_checked(flags: &Flags) -> anyhow::Result<Configuration> {
    let configuration = Configuration::read(flags)?;
    config_file::check(&configuration)?;
    wiring::check_discovery(&configuration)?;
    Ok(configuration)
}

/// The options of a configuration that need a look, one a line.
pub(crate) fn warnings(configuration: &Configuration) -> String {
    let mut text = String::new();
    for warning in &configuration.boot.warnings {
        let at = configuration.place_of(warning);
        let _infallible = writeln!(text, "{at}: {warning}");
    }
    text
}

/// Runs the gateway until a signal ends it.
pub(crate) fn run(flags: &Flags) -> anyhow::Result<()> {
    if flags.detached {
        detach::leave_session()?;
    }
    let configuration = Configuration::read(flags)?;
    let mut logs = Logs::open(&configuration)?;
    let outcome = run_logged(flags, configuration, &mut logs);
    if let Err(error) = &outcome {
        logs.give_up(error);
    }
    logs.flush();
    outcome
}

fn run_logged(flags: &Flags, configuration: Configuration, logs: &mut Logs) -> anyhow::Result<()> {
    let mut unkept = Unkept::default();
    let prepared = prepare(configuration, logs, &mut unkept)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(CONTROL_THREADS)
        .thread_name("control")
        .enable_all()
        .build()
        .context("cannot start the control threads")?;
    let outcome = runtime.block_on(serve(flags, prepared, logs, unkept));
    runtime.shutdown_timeout(API_LIMIT);
    outcome
}

/// Makes what a configuration needs beside a generation, and says what is to be said of it.
fn prepare(
    mut configuration: Configuration,
    logs: &mut Logs,
    unkept: &mut Unkept,
) -> anyhow::Result<(Configuration, Option<Arc<AccessLog>>)> {
    config_file::check(&configuration)?;
    report(&configuration);
    admin_key::make_missing_logged(&mut configuration, unkept)?;
    process::raise_open_files(&configuration.boot.config.nginx_config);
    let access_log = logs.access(&configuration)?;
    Ok((configuration, access_log))
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
    flags: &Flags,
    (configuration, access_log): (Configuration, Option<Arc<AccessLog>>),
    logs: &mut Logs,
    unkept: Unkept,
) -> anyhow::Result<()> {
    let mut signals = Signals::listen().context("cannot listen to signals")?;
    let pid_path = configuration.below_prefix("logs/nginx.pid");
    let has_file = configuration.file.is_some();
    let generation = tokio::select! {
        generation = Generation::start(configuration, access_log, None) => generation?,
        _ = signals.end() => {
            tracing::info!("the gateway ends before it has begun");
            return Ok(());
        }
    };
    let pid_file = PidFile::write(pid_path);
    generation.announce("the gateway runs");
    if has_file || flags.detached {
        logs.end_echo();
    }
    if flags.detached {
        detach::report(logs.in_place_of_stderr());
    }
    let gateway = Gateway {
        flags,
        logs,
        unkept,
        generation,
        retired: JoinSet::new(),
        stops: VecDeque::new(),
    };
    let outcome = Box::pin(gateway.obey(&mut signals)).await;
    drop(pid_file);
    tracing::info!("the gateway has ended");
    outcome
}

/// What serves, and what has been replaced and still ends.
struct Gateway<'a> {
    flags: &'a Flags,
    logs: &'a mut Logs,
    unkept: Unkept,
    generation: Generation,
    retired: JoinSet<()>,
    /// Dropping one cuts a retired generation short; the oldest is first.
    stops: VecDeque<oneshot::Sender<()>>,
}

impl Gateway<'_> {
    /// Does what signals ask for until the end.
    async fn obey(mut self, signals: &mut Signals) -> anyhow::Result<()> {
        let mut asked = None;
        let outcome = loop {
            let request = if let Some(request) = asked.take() {
                request
            } else {
                tokio::select! {
                    request = signals.next() => request,
                    () = self.generation.failed() => {
                        // What they have logged is sent all the same.
                        break Err(anyhow!("every worker has ended by itself"));
                    }
                }
            };
            // Those that have ended need no look any more.
            while self.retired.try_join_next().is_some() {}
            self.stops.retain(|stop| !stop.is_closed());
            match request {
                Request::ReopenLogs => self.reopen_logs(),
                Request::Reload => asked = self.reload(signals).await,
                Request::Quit => {
                    tracing::info!("the gateway ends when the requests that were begun are done");
                    self.quit(signals).await;
                    break Ok(());
                }
                Request::Stop => {
                    tracing::info!("the gateway ends");
                    break Ok(());
                }
            }
        };
        self.stops.clear();
        let node = self.generation.node().clone();
        self.generation.stop().await;
        while self.retired.join_next().await.is_some() {}
        Generation::close_soon(&node).await;
        outcome
    }

    /// Closes the files of logs and opens their paths anew, those of plugins as well.
    fn reopen_logs(&self) {
        self.logs.reopen();
        self.generation.node().reopen_logs();
    }

    /// Puts the configuration as it is in its file in force, or says why not. A request to end the process goes before, and is
    /// returned.
    async fn reload(&mut self, signals: &mut Signals) -> Option<Request> {
        let read = Configuration::read(self.flags);
        let prepared = read.and_then(|read| prepare(read, self.logs, &mut self.unkept));
        let next = match prepared {
            Ok((configuration, access_log)) => tokio::select! {
                // Boxed, for it is large and rarely needed.
                next = Box::pin(Generation::start(configuration, access_log, Some(&self.generation))) => next,
                request = signals.end() => return Some(request),
            },
            Err(error) => Err(error),
        };
        match next {
            Ok(next) => {
                self.generation.leave().await;
                next.announce("the configuration was read anew");
                self.logs.follow(next.configuration());
                let old = std::mem::replace(&mut self.generation, next);
                self.retire(old);
            }
            Err(error) => {
                let reason = format!("{error:#}");
                tracing::error!(
                    reason,
                    "the configuration is not read anew: the old one stays in force"
                );
            }
        }
        None
    }

    /// Lets a generation finish while another serves, and ends the one that has been at it for the longest where there are too many.
    fn retire(&mut self, old: Generation) {
        if self.stops.len() >= RETIRED_LIMIT {
            tracing::warn!(
                limit = RETIRED_LIMIT,
                "too many replaced configurations still answer requests: the oldest is cut short"
            );
            self.stops.pop_front();
        }
        let (stop, stopped) = oneshot::channel();
        self.stops.push_back(stop);
        self.retired.spawn(old.hand_over(async move {
            // Nothing is sent: it is dropped.
            let _gone = stopped.await;
        }));
    }

    /// Lets everything finish, until a request to stop.
    async fn quit(&mut self, signals: &mut Signals) {
        let drained = async {
            self.generation.drain().await;
            while self.retired.join_next().await.is_some() {}
            // Last: what has been replaced logs through the same queues.
            self.generation.close().await;
        };
        tokio::pin!(drained);
        loop {
            tokio::select! {
                () = &mut drained => return,
                request = signals.next() => match request {
                    Request::Stop => return,
                    Request::ReopenLogs => {
                        self.logs.reopen();
                        self.generation.node().reopen_logs();
                    }
                    Request::Quit | Request::Reload => {}
                },
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

    use clap::Parser as _;
    use lockgate_model::boot::{Boot, File, HttpListener, Listeners};

    use super::*;

    /// A gateway of one worker, on any port.
    fn configuration(flags: &Flags) -> Configuration {
        let text = "nginx_config: {worker_processes: 1}\n\
            deployment: {role_traditional: {config_provider: embedded}}";
        let file = File { name: "", text };
        let mut boot = Boot::read(Some(file), &|_| None).expect("starts");
        boot.listeners = Listeners {
            http: vec![HttpListener {
                address: ([127, 0, 0, 1], 0).into(),
                is_implied: false,
            }],
            https_ports: Vec::new(),
            proxy_protocol: Vec::new(),
            admin: None,
            control: None,
            status: None,
            metrics: None,
        };
        Configuration {
            prefix: flags.prefix.clone(),
            file: None,
            boot,
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_was_put_off_is_done_where_the_workers_end_by_themselves() {
        let prefix = tempfile::tempdir().expect("a directory");
        let mut flags = Flags::parse_from(["lockgate"]);
        flags.prefix = prefix.path().into();
        let generation = Generation::start(configuration(&flags), None, None).await;
        let generation = generation.expect("starts");
        let is_done = Arc::new(AtomicBool::new(false));
        let done = is_done.clone();
        generation.node().shared(|node| {
            node.at_shutdown(async move |_| done.store(true, Relaxed));
        });
        generation.end_workers_for_test();
        let gateway = Gateway {
            flags: &flags,
            logs: &mut Logs::for_test(),
            unkept: Unkept::default(),
            generation,
            retired: JoinSet::new(),
            stops: VecDeque::new(),
        };
        let outcome = gateway.obey(&mut Signals::listen().expect("signals")).await;
        let reason = outcome.expect_err("nobody has asked for it").to_string();
        assert_eq!(reason, "every worker has ended by itself");
        assert!(is_done.load(Relaxed));
    }
}
