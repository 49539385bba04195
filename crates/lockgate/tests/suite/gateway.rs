//! A gateway with a configuration file, on free ports, in a directory of its own.

use std::{fs, net::SocketAddr, path::PathBuf};

use rustix::process::Signal;

use crate::support::{Process, exchange, free_ports, get, lockgate, write};

/// A key that no test needs to know.
pub(crate) const KEY: &str = "edd1c9f034335f136f87ad84b625c8f1";

/// A path that only [`Gateway::put`] asks for.
const BARRIER: &str = "/barrier";

/// Writes each line of the access log at once.
pub(crate) const UNBUFFERED: &str =
    "  http: {access_log_buffer: 1, access_log_format: $request_method $uri $status}\n";

pub(crate) struct Gateway {
    pub(crate) process: Process,
    pub(crate) prefix: tempfile::TempDir,
    pub(crate) proxy: SocketAddr,
    pub(crate) admin: SocketAddr,
}

impl Gateway {
    /// Starts a gateway whose error log is its standard error stream; `nginx_config` is what else its file says there.
    pub(crate) fn start(nginx_config: &str) -> Self {
        Self::start_whole(KEY, nginx_config)
    }

    /// With this in place of the key of the Admin API.
    pub(crate) fn start_with_key(key: &str) -> Self {
        Self::start_whole(key, "")
    }

    fn start_whole(key: &str, nginx_config: &str) -> Self {
        // Between finding a port and listening on it, another test may take it.
        for _ in 0..5 {
            let prefix = tempfile::tempdir().expect("directory");
            let ports = free_ports();
            write(
                prefix.path(),
                "conf/config.yaml",
                &config(ports, key, nginx_config),
            );
            let mut process = Process::start(lockgate().arg("-p").arg(prefix.path()));
            if process.says("the gateway runs") {
                let [proxy, admin, _] = ports.map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
                return Self {
                    process,
                    prefix,
                    proxy,
                    admin,
                };
            }
            assert!(
                process.said.contains("another process listens there"),
                "{}",
                process.said
            );
        }
        panic!("no port stays free");
    }

    /// Has it read a configuration anew; whether it is in force then.
    pub(crate) fn reload(&mut self, file: &str) -> bool {
        write(self.prefix.path(), "conf/config.yaml", file);
        self.process.signal(Signal::HUP);
        let from = self.process.said.len();
        assert!(self.process.says("read anew"), "{}", self.process.said);
        let said = self.process.said.get(from..).unwrap_or_default();
        said.contains("the configuration was read anew")
    }

    /// The file that it started with.
    pub(crate) fn file(&self) -> String {
        fs::read_to_string(self.prefix.path().join("conf/config.yaml")).expect("file")
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.prefix.path().join("logs/access.log")
    }

    /// The access log, without what [`Self::put`] asked for.
    pub(crate) fn logged(&self) -> String {
        let log = fs::read_to_string(self.log()).expect("access log");
        let lines = log.lines().filter(|line| !line.contains(BARRIER));
        lines
            .map(|line| format!("{line}\n"))
            .collect::<Vec<_>>()
            .concat()
    }

    /// Puts a route that is new, and waits until the worker has it.
    pub(crate) fn put(&self, route: &str) {
        // Changes arrive in order: when the second route is there, so is the first. Its node refuses connections.
        let barrier = format!(
            r#"{{"uri": "{BARRIER}", "upstream": {{"type": "roundrobin", "nodes": {{"127.0.0.1:1": 1}}}}}}"#
        );
        for (id, route) in [("1", route), ("2", &barrier)] {
            let made = self.admin("PUT", &format!("routes/{id}"), route);
            assert!(made.starts_with("HTTP/1.1 201 "), "{made}");
        }
        let arrived = (0..1000).any(|_| get(self.proxy, BARRIER).starts_with("HTTP/1.1 502 "));
        assert!(arrived, "the route does not arrive");
    }

    /// A request to the Admin API.
    pub(crate) fn admin(&self, method: &str, path: &str, body: &str) -> String {
        let length = body.len();
        exchange(
            self.admin,
            &format!(
                "{method} /apisix/admin/{path} HTTP/1.1\r\nHost: test\r\nX-API-KEY: {KEY}\r\nConnection: close\r\n\
                 Content-Length: {length}\r\n\r\n{body}"
            ),
        )
    }
}

/// A file that starts with the embedded store, on these ports: proxy, Admin API, control API.
pub(crate) fn config([proxy, admin, control]: [u16; 3], key: &str, nginx_config: &str) -> String {
    format!(
        "deployment:
  role_traditional: {{config_provider: embedded}}
  admin:
    admin_listen: {{ip: 127.0.0.1, port: {admin}}}
    admin_key:
      - {{name: admin, key: '{key}', role: admin}}
apisix:
  node_listen: [{{ip: 127.0.0.1, port: {proxy}}}]
  control: {{ip: 127.0.0.1, port: {control}}}
nginx_config:
  error_log: stderr
  error_log_level: notice
  worker_processes: 1
{nginx_config}"
    )
}
