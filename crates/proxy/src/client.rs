//! The client's connection: from accept to close, request after request.

use std::{
    cell::Cell, fmt::Write as _, io, net::SocketAddr, panic::AssertUnwindSafe, pin::pin, rc::Rc,
    task::Poll,
};

use lockgate_http::head::HeadError;
use lockgate_net::{buffer::Buffer, deadline::Deadline, proxy_protocol::Proxied, stream::Stream};

use crate::{
    exchange::Exchange,
    finish,
    io::{Bytes, IoFailure, Size, read},
    limits,
    reason::Reason,
    reply, request,
    scene::Scene,
    worker::Worker,
};

/// A connected client and what is known of it.
#[derive(Debug)]
pub(crate) struct Client {
    /// The bytes.
    pub(crate) stream: Stream,
    /// Deadline of the connection's task.
    pub(crate) deadline: Deadline,
    /// The other end.
    pub(crate) peer: SocketAddr,
    /// Our end.
    pub(crate) local: SocketAddr,
    /// Serial number of the connection in this process (`$connection`).
    pub(crate) number: u64,
    /// Requests begun on it (`$connection_requests`).
    pub(crate) requests: Cell<u64>,
    /// The peer's address as text.
    pub(crate) address: String,
    /// When it was accepted, in microseconds of the worker's clock.
    pub(crate) accepted: u64,
    /// What the proxy in front says of its own client (PROXY protocol).
    pub(crate) proxied: Option<Proxied>,
    /// Whether the peer may name the real client (`real_ip_from`).
    pub(crate) is_real_ip_source: bool,
    /// Whether the peer's own `X-Forwarded-*` are kept (`trusted_addresses`).
    pub(crate) is_trusted: bool,
}

/// What becomes of the connection after an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum After {
    /// It waits for the next request.
    Keep,
    /// It is closed, everything having been read and sent.
    Close,
    /// It is closed once the client had time to read the answer: some of the request is still unread.
    Linger,
    /// It is broken or unfit, and dropped at once.
    Drop,
}

impl Client {
    pub(crate) fn new(
        worker: &Worker,
        stream: Stream,
        peer: SocketAddr,
        local: SocketAddr,
    ) -> Self {
        let peer_ip = peer.ip().to_canonical();
        let mut address = String::new();
        let _infallible = write!(address, "{peer_ip}");
        let options = worker.options();
        Self {
            stream,
            deadline: worker.deadlines.add(),
            peer: SocketAddr::new(peer_ip, peer.port()),
            local,
            number: worker.next_connection(),
            requests: Cell::new(0),
            address,
            accepted: worker.clock.recent(),
            proxied: None,
            is_real_ip_source: options
                .real_ip_from
                .iter()
                .any(|network| network.contains(&peer_ip)),
            is_trusted: options
                .trusted_addresses
                .iter()
                .any(|network| network.contains(&peer_ip)),
        }
    }
}

/// Serves a connection to its end.
pub(crate) async fn serve(worker: Rc<Worker>, client: Client) {
    worker.stats.opened();
    serve_from(&worker, &client, None).await;
    worker.stats.closed();
}

/// Serves a connection of which something has been read already.
pub(crate) async fn serve_from(worker: &Rc<Worker>, client: &Client, unread: Option<Buffer>) {
    if serve_requests(worker, client, unread).await == After::Linger {
        linger(worker, client).await;
    }
}

async fn serve_requests(worker: &Rc<Worker>, client: &Client, mut unread: Option<Buffer>) -> After {
    loop {
        if unread.is_none() {
            let limit = if client.requests.get() == 0 {
                worker.options().header_timeout
            } else if worker.closes_idle() {
                return After::Close;
            } else {
                worker.options().keepalive_timeout
            };
            // An idle connection holds neither an exchange nor a buffer.
            client.deadline.set_idle(true);
            worker.stats.waits();
            let read = read(
                &client.stream,
                &client.deadline,
                limit,
                &worker.buffers,
                Size::Small,
            )
            .await;
            worker.stats.wakes();
            client.deadline.set_idle(false);
            let Ok(Bytes::Some(buffer)) = read else {
                return After::Close;
            };
            unread = Some(buffer);
        }
        let mut exchange = worker.exchange();
        exchange.unread = unread.take();
        let after = serve_request(worker, client, &mut exchange).await;
        unread = exchange.unread.take().and_then(|buffer| {
            if buffer.is_empty() {
                worker.buffers.give_back(buffer);
                None
            } else {
                Some(buffer)
            }
        });
        match after {
            Ok(After::Keep) => worker.give_back(exchange),
            Ok(other) => {
                worker.give_back(exchange);
                let is_unread = unread.take().map(|buffer| worker.buffers.give_back(buffer));
                // Closing over bytes nobody read resets the connection, and the answer may be lost with it.
                return if other == After::Close && is_unread.is_some() {
                    After::Linger
                } else {
                    other
                };
            }
            // The exchange is in an unknown state and not used again.
            Err(Panicked(after)) => return after,
        }
    }
}

/// A request ended in a panic; what becomes of its connection.
struct Panicked(After);

/// One request.
async fn serve_request(
    worker: &Rc<Worker>,
    client: &Client,
    exchange: &mut Exchange,
) -> Result<After, Panicked> {
    if let Err(failure) = read_head(worker, client, exchange).await {
        return Ok(refuse_head(worker, client, exchange, failure).await);
    }
    client.requests.set(client.requests.get() + 1);
    let outcome = {
        let mut handling = pin!(request::handle(worker, client, exchange));
        // A panic in one request is that request's: everything it held is dropped here.
        std::future::poll_fn(|context| {
            match std::panic::catch_unwind(AssertUnwindSafe(|| handling.as_mut().poll(context))) {
                Ok(Poll::Ready(after)) => Poll::Ready(Some(after)),
                Ok(Poll::Pending) => Poll::Pending,
                Err(_) => Poll::Ready(None),
            }
        })
        .await
    };
    if let Some(after) = outcome {
        return Ok(after);
    }
    worker.stats.panicked();
    tracing::error!(client = %client.peer, "a request ended in a panic");
    // What plugins left undone shall touch nothing more.
    exchange.plugins.clear();
    exchange.response.clear();
    let scene = Scene::bare(worker, client);
    let after = if exchange.has_answered {
        After::Drop
    } else {
        reply::page(&scene, exchange, 500, Reason::Internal, After::Linger).await
    };
    finish::log(&scene, exchange);
    Err(Panicked(after))
}

/// Why no request head was read.
enum HeadFailure {
    Refused(HeadError),
    Io(IoFailure),
}

/// Reads a request head, of which a part has been read already.
async fn read_head(
    worker: &Rc<Worker>,
    client: &Client,
    exchange: &mut Exchange,
) -> Result<(), HeadFailure> {
    let mut is_timed = false;
    loop {
        if let Some(mut buffer) = exchange.unread.take() {
            let fed = exchange.request.feed(&mut buffer);
            if buffer.is_empty() {
                worker.buffers.give_back(buffer);
            } else {
                exchange.unread = Some(buffer);
            }
            if fed.map_err(HeadFailure::Refused)? {
                return Ok(());
            }
        }
        // The time is for the whole head, however many reads it takes.
        let left = if is_timed {
            client.deadline.left()
        } else {
            worker.options().header_timeout
        };
        client.deadline.set(left);
        is_timed = true;
        let read = read(
            &client.stream,
            &client.deadline,
            left,
            &worker.buffers,
            Size::Small,
        )
        .await;
        exchange.unread = match read.map_err(HeadFailure::Io)? {
            Bytes::Some(buffer) => Some(buffer),
            Bytes::End => {
                let error = io::Error::from(io::ErrorKind::UnexpectedEof);
                return Err(HeadFailure::Io(error.into()));
            }
        };
    }
}

/// Answers what is no request, as nginx does: 400, 408 and their like, then the connection ends.
async fn refuse_head(
    worker: &Rc<Worker>,
    client: &Client,
    exchange: &mut Exchange,
    failure: HeadFailure,
) -> After {
    exchange.began = worker.clock.tick();
    let (status, reason) = match failure {
        HeadFailure::Refused(HeadError::TooLarge) => {
            (reply::HEADER_TOO_LARGE, Reason::HeaderTooLarge)
        }
        HeadFailure::Refused(refused) => (refused.status(), Reason::Malformed(refused)),
        HeadFailure::Io(IoFailure::TimedOut) => (408, Reason::HeadTimeout),
        HeadFailure::Io(_) => return After::Close,
    };
    let scene = Scene::bare(worker, client);
    let after = reply::page(&scene, exchange, status, reason, After::Linger).await;
    finish::log(&scene, exchange);
    after
}

/// Lets the client read the answer: the sending direction is ended, and what it still sends is thrown away for a while.
async fn linger(worker: &Rc<Worker>, client: &Client) {
    if std::future::poll_fn(|context| client.stream.poll_shutdown(context))
        .await
        .is_err()
    {
        return;
    }
    let end = worker.clock.tick() + limits::LINGER_TOTAL.as_micros() as u64;
    while worker.clock.tick() < end
        && let Ok(Bytes::Some(buffer)) = read(
            &client.stream,
            &client.deadline,
            limits::LINGER,
            &worker.buffers,
            Size::Small,
        )
        .await
    {
        worker.buffers.give_back(buffer);
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read as _, Write as _},
        net::TcpStream,
        sync::Arc,
    };

    use lockgate_keyring::Keyring;
    use lockgate_net::{
        dns::{DnsOptions, Resolver},
        listen::Sockets,
    };
    use lockgate_router::Mode;
    use lockgate_secret::{Environment, Secrets};
    use lockgate_snapshot::{Compiler, Plugins, Published, Settings};
    use lockgate_upstream::{Compile, Defaults, Registry};

    use crate::{Options, Phase, Workers};

    #[tokio::test]
    async fn a_panic_is_a_500_and_ends_nothing_but_its_request() {
        let upstream = Compile {
            resolver: Resolver::new(DnsOptions::default()),
            defaults: Defaults::default(),
            workers: 1,
            trusted: None,
            registry: Registry::default(),
            keyring: Keyring::default(),
            discovery: lockgate_discovery::Discovery::default(),
            all_addresses: false,
        };
        let mut compiler = Compiler::new(Settings {
            router: Mode::HostUri,
            upstream,
            plugin_secrets: Arc::default(),
            plugins: Plugins::new(lockgate_plugin::testing::node(), [], |_| true),
            secrets: Secrets::new(lockgate_secret::Options::new(
                Environment::default(),
                Resolver::new(DnsOptions::default()),
            )),
        });
        let options = Options {
            listen: vec![([127, 0, 0, 1], 0).into()],
            reason_header: true,
            ..Options::default()
        };
        let published = Arc::new(Published::new(compiler.snapshot()));
        let mut sockets = Sockets::default();
        let bound = Workers::bind(options, &mut sockets).expect("bound");
        let workers = bound.start(published, None).expect("workers");
        let address = workers.addresses()[0];
        let ask = |path: &str| {
            let mut stream = TcpStream::connect(address).expect("connected");
            let text = format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\nbehind");
            stream.write_all(text.as_bytes()).expect("sent");
            stream.shutdown(std::net::Shutdown::Write).expect("open");
            let mut answer = String::new();
            stream.read_to_string(&mut answer).expect("a clean end");
            answer
        };
        for panics in 1..=3 {
            let answer = ask("/panic");
            assert!(
                answer.starts_with("HTTP/1.1 500 Internal Server Error\r\n"),
                "{answer}"
            );
            assert!(answer.contains("\r\nX-Lockgate-Reason: internal error\r\n"));
            assert!(answer.contains("<title>500 Internal Server Error</title>"));
            assert!(ask("/").starts_with("HTTP/1.1 404 "));
            assert_eq!(workers.counts().panics, panics);
        }
        workers.enter(Phase::Stop);
        workers.join();
    }
}
