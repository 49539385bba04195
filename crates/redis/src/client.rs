//! Calls: which server a command goes to, and what is tried again.

use std::sync::Arc;

use redis::Cmd;

use crate::{
    connect::{Connector, Greeting, Opened, Proof},
    error::{Error, Reply},
    lane::{CallError, Lane},
    limits,
    script::Script,
    sentinel,
    settings::{Address, Role, Settings},
    topology::{self, Asking, Look, Outcome, Topology},
    value::{Arg, Value},
    workers::{Target, Worker},
};

/// One Redis, shared by all workers, which share no connection and no lock.
///
/// # Workers
/// Each call names its worker; it gets the connection that this worker has, made on its runtime at its first call, with as many
/// calls in flight as there are. Where two runtimes use one number, each has its own connection. Numbers beyond the count of
/// workers wrap around.
///
/// # Failures
/// A call waits for the connection and for the answer, for each within its timeout; where sentinels or nodes of a cluster have
/// to be asked who is who, each that is asked has that timeout for itself. A server that cannot be reached is left
/// alone for 50 ms, then 100 ms, … up to [`limits::BACKOFF_MAX`](crate::BACKOFF_MAX); meanwhile calls fail at once, with the
/// last reason. After that one call tries and waits; the others fail at once until it has succeeded. One command without an
/// answer in time ends its connection, and with it all commands behind it, in the same way.
///
/// Calls are made on a tokio runtime with time and I/O. One that is dropped may be run all the same.
///
/// A command is sent again only where it was certainly not run: its connection had ended before; a server without the script
/// said so; a node of a cluster named another; a master that became a replica refused to write.
#[derive(Debug)]
pub struct Client {
    core: Arc<Core>,
}

#[derive(Debug)]
struct Core {
    settings: Settings,
    connector: Connector,
    /// The servers that the settings name: one, or nodes of a cluster.
    seeds: Box<[Arc<Address>]>,
    workers: Box<[Worker]>,
}

impl Client {
    pub(crate) fn new(settings: Settings, connector: Connector, workers: usize) -> Self {
        let workers = (0..workers.max(1)).map(|_| Worker::default()).collect();
        let seeds = match &settings {
            Settings::Single(single) => std::slice::from_ref(&single.address),
            Settings::Cluster(cluster) => &cluster.nodes,
            Settings::Sentinel(_) => &[],
        };
        let seeds = seeds.iter().cloned().map(Arc::new).collect();
        Self {
            core: Arc::new(Core {
                settings,
                connector,
                seeds,
                workers,
            }),
        }
    }

    /// What it was made for.
    pub fn settings(&self) -> &Settings {
        &self.core.settings
    }

    /// Runs a script. In a cluster it runs where its first key is; all keys must lie in that slot.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn eval(
        &self,
        worker: usize,
        script: &Script,
        keys: &[Arg<'_>],
        args: &[Arg<'_>],
    ) -> Result<Value, Error> {
        let slot = self.slot(keys.first());
        let by_name = evaluation("EVALSHA", &script.sha, keys, args);
        match self.core.run(worker, slot, &by_name).await {
            Err(Error::Reply(reply)) if reply.code() == "NOSCRIPT" => {
                tracing::info!(%reply, "a redis server gets the text of a script");
                let by_text = evaluation("EVAL", &script.source, keys, args);
                self.core.run(worker, slot, &by_text).await
            }
            answer => answer,
        }
    }

    /// Runs a command. In a cluster it runs where its first argument, taken for a key, is; without arguments, on any node.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn command(
        &self,
        worker: usize,
        name: &str,
        args: &[Arg<'_>],
    ) -> Result<Value, Error> {
        let mut command = Cmd::new();
        command.arg(name).arg(args);
        self.core
            .run(worker, self.slot(args.first()), &command)
            .await
    }

    fn slot(&self, key: Option<&Arg<'_>>) -> Option<u16> {
        match self.core.settings {
            Settings::Cluster(_) => key.map(topology::slot),
            Settings::Single(_) | Settings::Sentinel(_) => None,
        }
    }
}

fn evaluation(name: &str, script: &str, keys: &[Arg<'_>], args: &[Arg<'_>]) -> Cmd {
    let mut command = Cmd::new();
    command.arg(name).arg(script).arg(keys.len());
    command.arg(keys).arg(args);
    command
}

impl Core {
    async fn run(
        self: &Arc<Self>,
        worker: usize,
        slot: Option<u16>,
        command: &Cmd,
    ) -> Result<Value, Error> {
        match &self.settings {
            Settings::Single(_) => {
                let address = self.seeds.first();
                let address = address.expect("invariant: a single server is a seed");
                let target = Target::Node(address.clone());
                self.send(worker, &target, command, false).await
            }
            Settings::Sentinel(_) => {
                let answer = self
                    .send(worker, &Target::ThroughSentinels, command, false)
                    .await;
                match answer {
                    // The connection has been given up; the next one leads to who is master by then.
                    Err(Error::Reply(reply)) if self.shows_failover(&reply) => {
                        self.send(worker, &Target::ThroughSentinels, command, false)
                            .await
                    }
                    answer => answer,
                }
            }
            Settings::Cluster(_) => self.run_in_cluster(worker, slot, command).await,
        }
    }

    /// Whether an answer means that the server is no master any more.
    fn shows_failover(&self, reply: &Reply) -> bool {
        let wants_master =
            matches!(&self.settings, Settings::Sentinel(it) if it.role == Role::Master);
        wants_master && reply.is_read_only()
    }

    fn worker(&self, number: usize) -> &Worker {
        let worker = self.workers.get(number % self.workers.len());
        worker.expect("invariant: a remainder is less than the divisor")
    }

    /// Sends a command to one target; twice, where the first connection had ended before.
    async fn send(
        self: &Arc<Self>,
        worker: usize,
        target: &Target,
        command: &Cmd,
        asking: bool,
    ) -> Result<Value, Error> {
        let limit = self.settings.read_timeout();
        let mut error = Error::CLOSED;
        for _attempt in 0..2 {
            let lane = self
                .worker(worker)
                .acquire(target, || self.open(worker, target))?;
            match lane.call(command, asking, limit).await {
                Ok(value) => return Ok(value),
                Err(CallError::Unsent) => error = Error::CLOSED,
                Err(CallError::Failed(failed)) => {
                    if let Error::Reply(reply) = &failed
                        && self.shows_failover(reply)
                    {
                        lane.retire(failed.clone());
                    }
                    return Err(failed);
                }
            }
        }
        Err(error)
    }

    fn open(self: &Arc<Self>, worker: usize, target: &Target) -> Lane {
        let (core, target) = (self.clone(), target.clone());
        Lane::open(
            async move { core.connect(worker, &target).await },
            self.settings.keepalive_timeout(),
        )
    }

    async fn connect(&self, worker: usize, target: &Target) -> Result<Opened, Error> {
        let (credentials, database) = match &self.settings {
            Settings::Single(single) => (&single.credentials, single.database),
            Settings::Cluster(cluster) => (&cluster.credentials, 0),
            Settings::Sentinel(settings) => {
                return sentinel::open(&self.connector, settings, worker).await;
            }
        };
        let Target::Node(address) = target else {
            return Err(Error::CLOSED);
        };
        let greeting = Greeting {
            credentials,
            database,
            proof: Proof::Answers,
        };
        self.connector
            .open(address, greeting, self.settings.connect_timeout())
            .await
    }

    async fn run_in_cluster(
        self: &Arc<Self>,
        worker: usize,
        slot: Option<u16>,
        command: &Cmd,
    ) -> Result<Value, Error> {
        let mut topology = self.topology(worker, false).await?;
        let mut owner = pick(&topology, slot);
        if owner.is_none() {
            topology = self.topology(worker, true).await?;
            owner = pick(&topology, slot);
        }
        let mut node = owner.ok_or(Error::ClusterDown)?;
        let (mut is_asking, mut has_looked) = (false, false);
        for _redirection in 0..=limits::REDIRECTIONS {
            let target = Target::Node(node.clone());
            let error = match self.send(worker, &target, command, is_asking).await {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            if let Error::Reply(reply) = &error {
                let Some(redirection) = reply.redirection(&node) else {
                    return Err(self.settled(worker, &topology, error));
                };
                is_asking = redirection.is_ask;
                if !is_asking {
                    self.doubt(worker, &topology);
                }
                node = Arc::new(redirection.address);
                continue;
            }
            self.doubt(worker, &topology);
            if !error.is_unrun() || has_looked {
                return Err(error);
            }
            // The node is away; another may have taken over.
            has_looked = true;
            topology = self.topology(worker, true).await?;
            match pick(&topology, slot) {
                Some(owner) if owner != node => node = owner,
                _ => return Err(error),
            }
            is_asking = false;
        }
        Err(Error::Redirections)
    }

    /// An answer of a node as the caller is told it.
    fn settled(&self, worker: usize, topology: &Arc<Topology>, error: Error) -> Error {
        match error.code() {
            Some("CLUSTERDOWN") => {
                self.doubt(worker, topology);
                Error::ClusterDown
            }
            Some("READONLY" | "MASTERDOWN") => {
                self.doubt(worker, topology);
                error
            }
            _ => error,
        }
    }

    fn doubt(&self, worker: usize, topology: &Arc<Topology>) {
        self.worker(worker)
            .with_knowledge(|knowledge| knowledge.doubt(topology));
    }

    async fn topology(self: &Arc<Self>, worker: usize, wants_fresh: bool) -> Outcome {
        let look = self.worker(worker).with_knowledge(|knowledge| {
            let start = |known: &[Arc<Address>]| {
                let mut nodes = known.to_vec();
                for seed in &self.seeds {
                    if !nodes.contains(seed) {
                        nodes.push(seed.clone());
                    }
                }
                let core = self.clone();
                Asking::start(async move { core.ask_nodes(worker, &nodes).await })
            };
            knowledge.look(wants_fresh, start)
        });
        let mut outcome = match look {
            Look::Known(topology) => return Ok(topology),
            Look::Unknown(error) => return Err(error),
            Look::Wait(outcome) => outcome,
        };
        // Invariant: each node that is asked answers or fails within its timeouts.
        let outcome = outcome.wait_for(Option::is_some).await;
        outcome.map_or(Err(Error::CLOSED), |it| {
            it.clone().unwrap_or(Err(Error::CLOSED))
        })
    }

    /// Asks one node after the other who serves what.
    async fn ask_nodes(self: &Arc<Self>, worker: usize, nodes: &[Arc<Address>]) -> Outcome {
        let mut command = redis::cmd("CLUSTER");
        command.arg("SLOTS");
        let mut reasons = Vec::new();
        for node in nodes {
            let target = Target::Node(node.clone());
            match self.send(worker, &target, &command, false).await {
                Ok(answer) => match Topology::read(&answer, node) {
                    Some(topology) => return Ok(Arc::new(topology)),
                    None => reasons.push("malformed slots".to_owned()),
                },
                Err(error) => reasons.push(error.to_string()),
            }
        }
        Err(Error::Topology(reasons.into()))
    }
}

/// The node that serves a slot; any, where there is none.
fn pick(topology: &Topology, slot: Option<u16>) -> Option<Arc<Address>> {
    match slot {
        Some(slot) => topology.owner(slot).cloned(),
        None => topology.nodes.first().cloned(),
    }
}
