//! A cluster of three masters.

use std::net::SocketAddr;

use super::{Redis, RedisSetup, on_free_ports};
use crate::eventually;

/// First and last slot of each node.
const SLOTS: [(&str, &str); 3] = [("0", "5460"), ("5461", "10922"), ("10923", "16383")];

/// Three masters without replicas; each serves its slots as long as it is up, whatever becomes of the others.
#[derive(Debug)]
pub struct RedisCluster {
    /// The nodes, in the order of their slots.
    pub nodes: [Redis; 3],
    setup: RedisSetup,
}

impl RedisCluster {
    /// A cluster that lets anybody in, ready.
    pub fn start() -> Self {
        Self::with(&Redis::setup())
    }

    /// A cluster of nodes that are like this, ready.
    ///
    /// # Panics
    /// It does not start.
    pub fn with(setup: &RedisSetup) -> Self {
        let mut setup = setup.clone().arguments(
            "--cluster-enabled yes --cluster-node-timeout 2000 --cluster-require-full-coverage no",
        );
        if setup.tls.is_some() {
            // Nodes name their TLS ports to clients that use TLS only if they use it themselves.
            setup = setup.arguments("--tls-cluster yes --tls-ca-cert-file cert.pem");
        }
        let mut cluster = on_free_ports(|| {
            let mut nodes = std::array::from_fn(|_| Redis::spawn(&setup));
            let are_ready = nodes.iter_mut().all(Redis::is_ready);
            are_ready.then(|| Self {
                nodes,
                setup: setup.clone(),
            })
        });
        cluster.join();
        cluster
    }

    fn join(&mut self) {
        let told = |node: &Redis, words: &[&str]| {
            let answer = node.command(&[&["CLUSTER"], words].concat());
            assert_eq!(answer, "OK", "{words:?}");
        };
        for (number, (node, (first, last))) in self.nodes.iter().zip(SLOTS).enumerate() {
            told(node, &["SET-CONFIG-EPOCH", &(number + 1).to_string()]);
            told(node, &["ADDSLOTSRANGE", first, last]);
        }
        let [_first, others @ ..] = &self.nodes;
        for node in others {
            self.meet(node);
        }
        self.is_whole();
    }

    fn meet(&self, node: &Redis) {
        let (port, bus) = (node.cluster_port().to_string(), node.bus_port().to_string());
        let words = ["CLUSTER", "MEET", "127.0.0.1", &port, &bus];
        assert_eq!(self.nodes[0].command(&words), "OK");
    }

    /// A replica of a node, ready to take over when that is away. It does so by itself some seconds later, or many where its
    /// election comes too early for the others, and at once when told to (`CLUSTER FAILOVER TAKEOVER`).
    ///
    /// # Panics
    /// It does not start.
    pub fn add_replica(&self, of: usize) -> Redis {
        let replica = self.setup.clone().start();
        self.meet(&replica);
        let id = self.nodes[of].command(&["CLUSTER", "MYID"]);
        eventually("the replica knows its master", || {
            replica.command(&["CLUSTER", "REPLICATE", &id]) == "OK"
        });
        eventually("the replica follows", || {
            let info = replica.command(&["INFO", "replication"]);
            info.contains("master_link_status:up")
        });
        let its_id = replica.command(&["CLUSTER", "MYID"]);
        for node in &self.nodes {
            eventually("the masters know the replica", || {
                let nodes = node.command(&["CLUSTER", "NODES"]);
                let mut lines = nodes.lines().filter(|it| it.starts_with(&its_id));
                lines.any(|line| line.contains(" slave ") && line.contains(&id))
            });
        }
        replica
    }

    /// Waits until every node knows every other and who serves what.
    ///
    /// # Panics
    /// That never comes.
    pub fn is_whole(&self) {
        for node in &self.nodes {
            eventually("the cluster is whole", || {
                let info = node.command(&["CLUSTER", "INFO"]);
                [
                    "cluster_state:ok",
                    "cluster_slots_ok:16384",
                    "cluster_known_nodes:3",
                ]
                .iter()
                .all(|line| info.contains(line))
            });
        }
    }

    /// Where the nodes are.
    pub fn addresses(&self) -> [SocketAddr; 3] {
        self.nodes.each_ref().map(Redis::address)
    }

    /// A key in a slot that this node served at the start.
    ///
    /// # Panics
    /// There are three nodes.
    pub fn key_of(&self, node: usize) -> String {
        let (first, last) = SLOTS[node];
        let range = first.parse::<u16>().expect("a slot")..=last.parse().expect("a slot");
        (0..1000)
            .map(|number| format!("key-{number}"))
            .find(|key| range.contains(&self.slot(key)))
            .expect("a third of all keys")
    }

    /// The slot of a key, as a node says.
    ///
    /// # Panics
    /// The first node is down.
    pub fn slot(&self, key: &str) -> u16 {
        let [first, ..] = &self.nodes;
        let slot = first.command(&["CLUSTER", "KEYSLOT", key]);
        slot.parse().expect("a slot")
    }

    /// Begins to move the slot of a key from one node to another: keys that are not there any more are asked for at the other.
    ///
    /// # Panics
    /// A node is down.
    pub fn begin_move(&self, key: &str, from: usize, to: usize) {
        let slot = self.slot(key).to_string();
        let id = |node: usize| self.nodes[node].command(&["CLUSTER", "MYID"]);
        let set = |node: usize, what: &str, id: &str| {
            let answer = self.nodes[node].command(&["CLUSTER", "SETSLOT", &slot, what, id]);
            assert_eq!(answer, "OK");
        };
        set(to, "IMPORTING", &id(from));
        set(from, "MIGRATING", &id(to));
    }

    /// Ends the move, with no key left behind: the other node serves the slot.
    ///
    /// # Panics
    /// A node is down.
    pub fn end_move(&self, key: &str, to: usize) {
        let slot = self.slot(key).to_string();
        let id = self.nodes[to].command(&["CLUSTER", "MYID"]);
        let [first, second, third] = &self.nodes;
        // The new owner is told first.
        for node in [&self.nodes[to], first, second, third] {
            let answer = node.command(&["CLUSTER", "SETSLOT", &slot, "NODE", &id]);
            assert_eq!(answer, "OK");
        }
    }
}
