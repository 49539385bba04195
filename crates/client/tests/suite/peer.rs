//! Scripted servers, and clients for them.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Method, Request};
use lockgate_client::{Client, Options};
use lockgate_net::dns::{DnsOptions, Resolver};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// How long anything may take that is to come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// A server that runs a script for each connection, which is told its number.
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    connections: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Peer {
    pub(crate) async fn start<F>(
        script: impl Fn(Wire<TcpStream>, usize) -> F + Send + 'static,
    ) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let connections = Arc::new(AtomicUsize::new(0));
        let count = connections.clone();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let number = count.fetch_add(1, Relaxed) + 1;
                tokio::spawn(script(Wire::of(stream), number));
            }
        });
        Self {
            address,
            connections,
            task,
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// How many connections there were.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Relaxed)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The server's end of a connection.
pub(crate) struct Wire<S> {
    pub(crate) stream: S,
    read: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    pub(crate) fn of(stream: S) -> Self {
        Self {
            stream,
            read: Vec::new(),
        }
    }

    /// The next request, head and body; `None` when the client has closed.
    pub(crate) async fn request(&mut self) -> Option<String> {
        loop {
            let text = String::from_utf8_lossy(&self.read).into_owned();
            if let Some((head, _)) = text.split_once("\r\n\r\n") {
                let length = head
                    .to_ascii_lowercase()
                    .lines()
                    .find_map(|line| line.strip_prefix("content-length: ")?.parse().ok())
                    .unwrap_or(0);
                let whole = head.len() + 4 + length;
                if self.read.len() >= whole {
                    self.read.drain(..whole);
                    return Some(text[..whole].to_owned());
                }
            }
            if self.stream.read_buf(&mut self.read).await.ok()? == 0 {
                return None;
            }
        }
    }

    pub(crate) async fn write(&mut self, bytes: impl AsRef<[u8]>) {
        // A client that has gone away is for the test to notice.
        let _gone = self.stream.write_all(bytes.as_ref()).await;
        let _gone = self.stream.flush().await;
    }

    /// Answers 200 with a body.
    pub(crate) async fn answer(&mut self, body: &str) {
        let length = body.len();
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
        self.write(head + body).await;
    }

    /// Waits for the client to close.
    pub(crate) async fn closed(&mut self) {
        while matches!(self.stream.read_buf(&mut self.read).await, Ok(count) if count > 0) {}
    }
}

pub(crate) fn options() -> Options {
    Options::new(Resolver::new(DnsOptions {
        servers: vec![([127, 0, 0, 1], 1).into()],
        timeout: Duration::from_millis(300),
        ..DnsOptions::default()
    }))
}

pub(crate) fn client() -> Client {
    client_with(|_| {})
}

pub(crate) fn client_with(change: impl FnOnce(&mut Options)) -> Client {
    let mut options = options();
    change(&mut options);
    Client::new(options).expect("a client")
}

pub(crate) fn get(url: &str) -> Request<Bytes> {
    request(Method::GET, url, "")
}

pub(crate) fn request(method: Method, url: &str, body: &'static str) -> Request<Bytes> {
    Request::builder()
        .method(method)
        .uri(url)
        .body(Bytes::from_static(body.as_bytes()))
        .expect("a request")
}
