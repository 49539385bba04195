//! Redis: a server, a cluster, a set that sentinels watch; real processes on loopback, gone with the test.
//!
//! Nothing is written to disk: a server that is started again is empty.

#![expect(
    clippy::indexing_slicing,
    reason = "a test that names a node that is not there fails by panicking"
)]

mod cluster;
mod install;
mod process;
mod sentinels;
mod wire;

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
};

pub use cluster::RedisCluster;
pub use sentinels::{MASTER_NAME, Sentinels, SentinelsSetup};

use crate::{Certificate, eventually};
use process::{Process, free_ports, on_free_ports};

/// How a server is to be.
#[derive(Debug, Clone, Default)]
pub struct RedisSetup {
    password: Option<String>,
    tls: Option<(String, String)>,
    arguments: Vec<String>,
}

impl RedisSetup {
    /// The password of the default user (`requirepass`).
    #[must_use]
    pub fn password(mut self, password: &str) -> Self {
        self.password = Some(password.to_owned());
        self
    }

    /// A further user with a password, who may do what the rules say, such as `~* +@all`.
    #[must_use]
    pub fn user(mut self, name: &str, password: &str, rules: &str) -> Self {
        self.arguments.push("--user".to_owned());
        let words = ["on", &format!(">{password}")].map(str::to_owned);
        self.arguments.push(name.to_owned());
        self.arguments.extend(words);
        self.arguments.extend(rules.split(' ').map(str::to_owned));
        self
    }

    /// TLS, on a port of its own, with this certificate.
    #[must_use]
    pub fn tls(mut self, certificate: &Certificate) -> Self {
        self.tls = Some((certificate.pem.clone(), certificate.key.clone()));
        self
    }

    /// Further arguments of the program, such as `--maxclients 1`.
    #[must_use]
    pub fn arguments(mut self, arguments: &str) -> Self {
        self.arguments
            .extend(arguments.split(' ').map(str::to_owned));
        self
    }

    /// The server, ready.
    ///
    /// # Panics
    /// It does not start.
    pub fn start(self) -> Redis {
        on_free_ports(|| {
            let mut redis = Redis::spawn(&self);
            redis.is_ready().then_some(redis)
        })
    }
}

/// A server. It ends when this is dropped.
#[derive(Debug)]
pub struct Redis {
    process: Process,
    port: u16,
    tls_port: u16,
    bus_port: u16,
    is_tls: bool,
    password: Option<String>,
}

impl Redis {
    /// A server that lets anybody in, ready.
    pub fn start() -> Self {
        Self::setup().start()
    }

    /// How another server is to be.
    pub fn setup() -> RedisSetup {
        RedisSetup::default()
    }

    /// Starts a process; it may not be ready yet, and may find its ports taken.
    fn spawn(setup: &RedisSetup) -> Self {
        let [port, tls_port, bus_port] = free_ports();
        let mut process = Process::new();
        let mut arguments: Vec<String> = ["--bind", "127.0.0.1", "--save", ""]
            .map(str::to_owned)
            .into();
        let mut set = |name: &str, value: &str| {
            arguments.push(format!("--{name}"));
            arguments.push(value.to_owned());
        };
        set("port", &port.to_string());
        set("appendonly", "no");
        set("repl-diskless-sync-delay", "0");
        set("cluster-port", &bus_port.to_string());
        if let Some(password) = &setup.password {
            set("requirepass", password);
            set("masterauth", password);
        }
        if let Some((certificate, key)) = &setup.tls {
            for (file, content) in [("cert.pem", certificate), ("key.pem", key)] {
                std::fs::write(process.dir.path().join(file), content).expect("a file");
            }
            set("tls-port", &tls_port.to_string());
            set("tls-cert-file", "cert.pem");
            set("tls-key-file", "key.pem");
            set("tls-auth-clients", "no");
        }
        arguments.extend(setup.arguments.iter().cloned());
        process.start(arguments);
        Self {
            process,
            port,
            tls_port,
            bus_port,
            is_tls: setup.tls.is_some(),
            password: setup.password.clone(),
        }
    }

    /// Waits until it answers; false where somebody else has its ports.
    fn is_ready(&mut self) -> bool {
        let mark = self.process.mark();
        let mut lost = false;
        eventually("redis-server answers", || {
            lost = self.process.lost_its_port();
            lost || self
                .ask(&["INFO", "server"])
                .is_ok_and(|info| info.contains(&mark))
        });
        !lost
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where it is.
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// Where it speaks TLS, if it does.
    pub fn tls_address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.tls_port).into()
    }

    /// Where other nodes of its cluster find it.
    fn bus_port(&self) -> u16 {
        self.bus_port
    }

    /// The port that it is known by in its cluster.
    fn cluster_port(&self) -> u16 {
        if self.is_tls {
            self.tls_port
        } else {
            self.port
        }
    }

    /// Runs a command as the default user: the text of its answer, an error with `-` before it, an array as one line for each
    /// part.
    ///
    /// # Panics
    /// There is no answer.
    pub fn command(&self, words: &[&str]) -> String {
        self.ask(words)
            .unwrap_or_else(|error| panic!("{words:?}: {error}: {}", self.process.log()))
    }

    fn ask(&self, words: &[&str]) -> io::Result<String> {
        match &self.password {
            Some(password) => wire::ask(self.address(), &[&["AUTH", password], words]),
            None => wire::ask(self.address(), &[words]),
        }
    }

    /// How many clients are connected, this question aside.
    pub fn clients(&self) -> usize {
        self.command(&["CLIENT", "LIST", "TYPE", "normal"])
            .lines()
            .count()
            .saturating_sub(1)
    }

    /// Ends it without a word.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts it again, where it was, and empty; it must have been killed.
    ///
    /// # Panics
    /// It does not start.
    pub fn restart(&mut self) {
        self.process.restart();
        assert!(self.is_ready(), "the ports of a test were taken");
    }

    /// Stops it in its tracks: connections stay and are even accepted, and nothing is answered.
    pub fn pause(&self) {
        self.process.pause();
    }

    /// Lets it go on.
    pub fn resume(&self) {
        self.process.resume();
    }
}
