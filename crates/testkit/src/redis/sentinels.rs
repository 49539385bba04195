//! A master, a replica, and three sentinels that watch them.

use std::{
    fs, io,
    net::{Ipv4Addr, SocketAddr},
};

use super::{
    Redis,
    process::{Process, free_ports, on_free_ports},
    wire,
};
use crate::eventually;

/// The name under which the sentinels know the master.
pub const MASTER_NAME: &str = "mymaster";

/// Passwords of a set.
#[derive(Debug, Clone, Copy, Default)]
pub struct SentinelsSetup<'a> {
    /// That of the servers.
    pub password: Option<&'a str>,
    /// That of the sentinels.
    pub sentinel_password: Option<&'a str>,
}

/// A set that sentinels watch.
#[derive(Debug)]
pub struct Sentinels {
    /// The servers; the first was the master at the start.
    pub servers: [Redis; 2],
    /// The sentinels.
    pub sentinels: [Sentinel; 3],
}

/// One sentinel. It ends when this is dropped.
#[derive(Debug)]
pub struct Sentinel {
    process: Process,
    port: u16,
    password: Option<String>,
}

impl Sentinels {
    /// A set that lets anybody in, ready: all know all.
    pub fn start() -> Self {
        Self::with(SentinelsSetup::default())
    }

    /// The same with passwords.
    ///
    /// # Panics
    /// It does not start.
    pub fn with(setup: SentinelsSetup<'_>) -> Self {
        let server = |arguments: &str| {
            let mut server = Redis::setup().arguments(arguments);
            if let Some(password) = setup.password {
                server = server.password(password);
            }
            server.start()
        };
        let master = server("--repl-diskless-sync yes");
        let replica = server(&format!("--replicaof 127.0.0.1 {}", master.port()));
        // Sentinels look for replicas at once and then every ten seconds only.
        eventually("the replica follows", || {
            let info = replica.command(&["INFO", "replication"]);
            info.contains("master_link_status:up")
        });
        let sentinels = std::array::from_fn(|_| {
            on_free_ports(|| {
                let mut sentinel = Sentinel::spawn(&master, setup);
                sentinel.is_ready().then_some(sentinel)
            })
        });
        for sentinel in &sentinels {
            // They tell each other and look at the servers every few seconds otherwise.
            let periods = ["INFO-PERIOD", "200", "PUBLISH-PERIOD", "200"];
            sentinel.command(&[&["SENTINEL", "DEBUG"], &periods[..]].concat());
        }
        for sentinel in &sentinels {
            eventually("the sentinels know each other and the replica", || {
                let info = sentinel.command(&["SENTINEL", "MASTER", MASTER_NAME]);
                info.contains("num-slaves\n1\n") && info.contains("num-other-sentinels\n2\n")
            });
        }
        Self {
            servers: [master, replica],
            sentinels,
        }
    }

    /// Where the sentinels are.
    pub fn addresses(&self) -> [SocketAddr; 3] {
        self.sentinels.each_ref().map(Sentinel::address)
    }

    /// Makes the replica the master, and waits until both servers and all sentinels say so.
    ///
    /// # Panics
    /// That never comes.
    pub fn fail_over(&self) {
        // A server that changes its role closes the connections it has.
        let role = |server: &Redis| server.ask(&["ROLE"]).unwrap_or_default();
        let is_master = |server: &Redis| role(server).starts_with("master");
        let [first, second] = &self.servers;
        let (old, new) = if is_master(first) {
            (first, second)
        } else {
            (second, first)
        };
        let [sentinel, ..] = &self.sentinels;
        eventually("a sentinel begins a failover", || {
            sentinel.command(&["SENTINEL", "FAILOVER", MASTER_NAME]) == "OK"
        });
        eventually("the replica is the master", || is_master(new));
        eventually("the master is a replica", || role(old).starts_with("slave"));
        for sentinel in &self.sentinels {
            eventually("the sentinels name the new master", || {
                let question = ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER_NAME];
                sentinel.command(&question) == format!("127.0.0.1\n{}", new.port())
            });
        }
    }
}

impl Sentinel {
    fn spawn(master: &Redis, setup: SentinelsSetup<'_>) -> Self {
        let [port] = free_ports();
        let mut process = Process::new();
        let mut lines = vec![
            "bind 127.0.0.1".to_owned(),
            format!("port {port}"),
            format!(
                "sentinel monitor {MASTER_NAME} 127.0.0.1 {} 2",
                master.port()
            ),
            // A busy machine is no reason for a failover that no test has asked for.
            format!("sentinel down-after-milliseconds {MASTER_NAME} 5000"),
            format!("sentinel failover-timeout {MASTER_NAME} 5000"),
        ];
        if let Some(password) = setup.password {
            lines.push(format!("sentinel auth-pass {MASTER_NAME} {password}"));
        }
        if let Some(password) = setup.sentinel_password {
            lines.push(format!("requirepass {password}"));
            lines.push(format!("sentinel sentinel-pass {password}"));
        }
        let file = process.dir.path().join("sentinel.conf");
        fs::write(&file, lines.join("\n") + "\n").expect("a file");
        process.start(vec!["sentinel.conf".to_owned(), "--sentinel".to_owned()]);
        Self {
            process,
            port,
            password: setup.sentinel_password.map(str::to_owned),
        }
    }

    fn is_ready(&mut self) -> bool {
        let mark = self.process.mark();
        let mut lost = false;
        eventually("a sentinel answers", || {
            lost = self.process.lost_its_port();
            lost || self
                .ask(&["INFO", "server"])
                .is_ok_and(|info| info.contains(&mark))
        });
        !lost
    }

    /// Where it is.
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// Runs a command: the text of its answer, as [`Redis::command`] has it.
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

    /// Ends it without a word.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts it again, where it was; it must have been killed.
    ///
    /// # Panics
    /// It does not start.
    pub fn restart(&mut self) {
        self.process.restart();
        assert!(self.is_ready(), "the port of a test was taken");
    }

    /// Stops it in its tracks.
    pub fn pause(&self) {
        self.process.pause();
    }

    /// Lets it go on.
    pub fn resume(&self) {
        self.process.resume();
    }
}
