//! Requests without a pause, counted.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use super::node::{Node, until, until_status};
use crate::{
    echo::address_of,
    support::{Process, connect, lockgate},
};

/// Clients on connections that are kept, and as many that open one for each request.
const CLIENTS: usize = 2;

/// Clients of one route, and the origin behind it.
pub(super) struct Traffic {
    shared: Arc<Shared>,
    clients: Vec<JoinHandle<Vec<String>>>,
    _origin: Process,
}

#[derive(Default)]
struct Shared {
    is_over: AtomicBool,
    answered: AtomicUsize,
}

impl Traffic {
    /// Stores a route `/traffic` of an own origin, and begins to use it.
    pub(super) fn start(node: &Node) -> Self {
        let (origin, address) = origin();
        node.put(
            "upstreams/traffic",
            &format!(r#"{{"type": "roundrobin", "nodes": {{"{address}": 1}}}}"#),
        );
        node.put(
            "routes/traffic",
            r#"{"uri": "/traffic", "upstream_id": "traffic"}"#,
        );
        until_status(&node.gateway, "/traffic", "200");
        let shared = Arc::<Shared>::default();
        let proxy = node.gateway.proxy;
        let clients = (0..2 * CLIENTS)
            .map(|n| {
                let shared = shared.clone();
                thread::spawn(move || ask_on(proxy, n < CLIENTS, &shared))
            })
            .collect();
        Self {
            shared,
            clients,
            _origin: origin,
        }
    }

    /// Waits until so many more requests have been answered.
    pub(super) fn goes_on(&self) {
        let before = self.shared.answered.load(Ordering::Relaxed);
        until("no request is answered any more", || {
            self.shared.answered.load(Ordering::Relaxed) > before + 200
        });
    }

    /// Ends it: every single request must have been answered with 200.
    pub(super) fn must_not_have_failed(self) {
        self.goes_on();
        self.shared.is_over.store(true, Ordering::Relaxed);
        let mut failures = Vec::new();
        for client in self.clients {
            failures.extend(client.join().expect("no panic"));
        }
        let answered = self.shared.answered.load(Ordering::Relaxed);
        assert!(
            failures.is_empty(),
            "{} failed, {answered} did not: {:?}",
            failures.len(),
            failures.first()
        );
    }
}

/// An origin that answers every request with 200.
pub(super) fn origin() -> (Process, SocketAddr) {
    let mut origin = Process::start(lockgate().args(["echo", "--listen", "127.0.0.1:0"]));
    let address = address_of(&mut origin);
    (origin, address)
}

fn ask_on(proxy: SocketAddr, is_kept: bool, shared: &Shared) -> Vec<String> {
    let mut failures = Vec::new();
    let mut kept: Option<TcpStream> = None;
    while !shared.is_over.load(Ordering::Relaxed) {
        let mut stream = kept.take().unwrap_or_else(|| connect(proxy));
        match ask(&mut stream, is_kept) {
            Ok(head) if head.starts_with("HTTP/1.1 200 ") => {
                shared.answered.fetch_add(1, Ordering::Relaxed);
                // The gateway says when it has had enough of a connection.
                let is_last = head.to_ascii_lowercase().contains("connection: close");
                kept = Some(stream).filter(|_| is_kept && !is_last);
            }
            Ok(head) => failures.push(head),
            Err(error) => failures.push(error.to_string()),
        }
        // Leaves the machine to the others.
        thread::park_timeout(Duration::from_millis(1));
    }
    failures
}

/// Asks without wanting a body; the head of the answer.
fn ask(stream: &mut TcpStream, is_kept: bool) -> std::io::Result<String> {
    let connection = if is_kept { "keep-alive" } else { "close" };
    let request =
        format!("HEAD /traffic HTTP/1.1\r\nHost: test\r\nConnection: {connection}\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut head = Vec::new();
    let mut part = [0; 4096];
    while !head.ends_with(b"\r\n\r\n") {
        let count = stream.read(&mut part)?;
        if count == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        head.extend_from_slice(part.get(..count).unwrap_or_default());
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}
