//! A gateway whose configuration is in etcd.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use serde_json::Value;

use super::server::Etcd;
use crate::{
    gateway::{Gateway, KEY, config},
    support::{PATIENCE, Process, free_ports, get, lockgate, write},
};

/// Where a route of [`reaches`] leads to: its node refuses connections.
pub(super) const NODES: &str = r#""upstream": {"type": "roundrobin", "nodes": {"127.0.0.1:1": 1}}"#;

pub(super) struct Node {
    pub(super) gateway: Gateway,
    pub(super) control: SocketAddr,
}

/// An answer to a request of the Admin API or the control API.
pub(super) struct Answered {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: Value,
}

impl Answered {
    fn read(response: &str) -> Self {
        let (head, body) = response.split_once("\r\n\r\n").expect("a head");
        let status = head.split(' ').nth(1).expect("a status");
        Self {
            status: status.parse().expect("a number"),
            head: head.to_owned(),
            body: serde_json::from_str(body).unwrap_or(Value::Null),
        }
    }
}

impl Node {
    pub(super) fn start(etcd: &[&Etcd]) -> Self {
        let hosts: Vec<SocketAddr> = etcd.iter().map(|etcd| etcd.address()).collect();
        Self::start_with(&hosts, "")
    }

    /// With further options of `deployment.etcd`.
    pub(super) fn start_with(hosts: &[SocketAddr], options: &str) -> Self {
        Self::start_in(tempfile::tempdir().expect("directory"), hosts, options)
    }

    /// In a directory that may have been used before.
    pub(super) fn start_in(prefix: tempfile::TempDir, hosts: &[SocketAddr], options: &str) -> Self {
        Self::start_whole(prefix, "traditional", hosts, options)
    }

    /// In a role.
    pub(super) fn start_as(role: &str, etcd: &Etcd) -> Self {
        let prefix = tempfile::tempdir().expect("directory");
        Self::start_whole(prefix, role, &[etcd.address()], "")
    }

    fn start_whole(
        prefix: tempfile::TempDir,
        role: &str,
        hosts: &[SocketAddr],
        options: &str,
    ) -> Self {
        let ports = free_ports();
        let hosts: Vec<String> = hosts
            .iter()
            .map(|host| format!("'http://{host}'"))
            .collect();
        let hosts = hosts.join(", ");
        let file = config(ports, KEY, "").replace(
            "role_traditional: {config_provider: embedded}",
            &format!(
                "role: {role}\n  role_{role}: {{config_provider: etcd}}\n  etcd: {{host: [{hosts}], resync_delay: 1, startup_retry: 1{options}}}"
            ),
        );
        write(prefix.path(), "conf/config.yaml", &file);
        let mut process = Process::start(lockgate().arg("-p").arg(prefix.path()));
        assert!(process.says("the gateway runs"), "{}", process.said);
        let [proxy, admin, control] = ports.map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        Self {
            gateway: Gateway {
                process,
                prefix,
                proxy,
                admin,
            },
            control,
        }
    }

    pub(super) fn admin(&self, method: &str, path: &str, body: &str) -> Answered {
        Answered::read(&self.gateway.admin(method, path, body))
    }

    /// Stores an object through the Admin API.
    pub(super) fn put(&self, path: &str, body: &str) {
        let answer = self.admin("PUT", path, body);
        assert!(
            matches!(answer.status, 200 | 201),
            "{path}: {} {}",
            answer.head,
            answer.body
        );
    }

    pub(super) fn control(&self, path: &str) -> Answered {
        Answered::read(&get(self.control, path))
    }
}

/// Waits until a path is routed, or is not.
pub(super) fn reaches(gateway: &Gateway, path: &str, is_routed: bool) {
    let expected = if is_routed { "502" } else { "404" };
    until_status(gateway, path, expected);
}

/// Waits until a path is answered with a status.
pub(super) fn until_status(gateway: &Gateway, path: &str, status: &str) {
    let expected = format!("HTTP/1.1 {status} ");
    until(&format!("{path} is never answered {status}"), || {
        get(gateway.proxy, path).starts_with(&expected)
    });
}

/// Waits until something is so.
pub(super) fn until(otherwise: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < PATIENCE, "{otherwise}");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}
