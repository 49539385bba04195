//! An origin that does what a script says, byte by byte.

use std::{
    io::{self, Read, Write},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use rustls::{ServerConnection, StreamOwned};
use socket2::SockRef;

use crate::{
    Certificate, Message, PATIENCE, Received,
    message::{Kind, Source},
};

/// Bytes of a connection that are written down; large bodies must not cost the memory that tests measure.
const RECORDED_BYTES: usize = 1024 * 1024;

/// A listening origin; each connection runs the script on a thread of its own. Dropping it cuts all connections.
pub struct Origin {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    is_over: AtomicBool,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    requests: Vec<Received>,
    bytes: Vec<Vec<u8>>,
    names: Vec<Option<String>>,
    sockets: Vec<TcpStream>,
}

impl Shared {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Origin {
    /// An origin with this script for each connection; the connection is closed behind it.
    ///
    /// # Panics
    /// No port is free.
    pub fn start(script: impl Fn(&mut Connection) + Send + Sync + 'static) -> Self {
        Self::listen(None, script)
    }

    /// The same over TLS.
    ///
    /// # Panics
    /// No port is free.
    pub fn start_tls(
        certificate: &Certificate,
        script: impl Fn(&mut Connection) + Send + Sync + 'static,
    ) -> Self {
        Self::listen(Some(certificate.clone()), script)
    }

    /// An origin that answers every request with these bytes.
    ///
    /// # Panics
    /// No port is free.
    pub fn answering(response: impl Into<Vec<u8>>) -> Self {
        let response = response.into();
        Self::start(move |connection| {
            while connection.request().is_some() {
                connection.send(&response);
            }
        })
    }

    /// An origin that answers every request of one read with these bytes, and neither allocates nor writes down anything.
    ///
    /// # Panics
    /// No port is free.
    pub fn start_quiet(response: &'static str) -> Self {
        Self::start(move |connection| {
            let Transport::Plain(stream) = &mut connection.source.stream.transport else {
                return;
            };
            let mut room = [0; 4096];
            while stream.read(&mut room).is_ok_and(|count| count > 0) {
                if stream.write_all(response.as_bytes()).is_err() {
                    break;
                }
            }
        })
    }

    /// An origin that answers every request with 200 and this body.
    ///
    /// # Panics
    /// No port is free.
    pub fn saying(body: &str) -> Self {
        Self::answering(format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ))
    }

    fn listen(
        certificate: Option<Certificate>,
        script: impl Fn(&mut Connection) + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("bound");
        let shared = Arc::new(Shared::default());
        let script = Arc::new(script);
        let accepting = std::thread::spawn({
            let shared = shared.clone();
            move || {
                let mut threads = Vec::new();
                loop {
                    let accepted = listener.accept();
                    if shared.is_over.load(Ordering::Acquire) {
                        break;
                    }
                    let Ok((stream, _)) = accepted else {
                        // No descriptors: a test may be about that.
                        std::thread::park_timeout(Duration::from_millis(1));
                        continue;
                    };
                    let Ok(mut connection) =
                        Connection::new(stream, certificate.as_ref(), shared.clone())
                    else {
                        continue;
                    };
                    let script = script.clone();
                    threads.push(std::thread::spawn(move || script(&mut connection)));
                }
                for thread in threads {
                    // A script that panics shows in what the client sees.
                    let _panicked = thread.join();
                }
            }
        });
        Self {
            address,
            shared,
            accepting: Some(accepting),
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// As a key of an upstream's `nodes`.
    pub fn node(&self) -> String {
        self.address.to_string()
    }

    /// Requests read by the scripts so far, in the order of their ends.
    pub fn requests(&self) -> Vec<Received> {
        self.shared.seen().requests.clone()
    }

    /// The newest request.
    ///
    /// # Panics
    /// There is none.
    pub fn last(&self) -> Message {
        let last = self.shared.seen().requests.last().cloned();
        last.expect("a request").message
    }

    /// Connections accepted so far.
    pub fn connections(&self) -> usize {
        self.shared.seen().bytes.len()
    }

    /// The bytes received so far, connection by connection, the first MiB of each.
    pub fn bytes(&self) -> Vec<Vec<u8>> {
        self.shared.seen().bytes.clone()
    }

    /// The name each TLS connection asked for.
    pub fn names(&self) -> Vec<Option<String>> {
        self.shared.seen().names.clone()
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Release);
        // Wakes the accepting thread.
        let _closed = TcpStream::connect(self.address);
        for socket in self.shared.seen().sockets.drain(..) {
            let _gone = socket.shutdown(Shutdown::Both);
        }
        if let Some(accepting) = self.accepting.take() {
            let _panicked = accepting.join();
        }
    }
}

/// One connection, from the origin's side.
pub struct Connection {
    /// Serial number, from 0.
    pub number: usize,
    source: Source<Recording>,
}

/// The stream below, with every byte written down.
struct Recording {
    transport: Transport,
    number: usize,
    shared: Arc<Shared>,
}

enum Transport {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ServerConnection, TcpStream>>),
}

impl Read for Recording {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let count = match &mut self.transport {
            Transport::Plain(stream) => stream.read(room)?,
            Transport::Tls(stream) => stream.read(room)?,
        };
        let mut seen = self.shared.seen();
        if let (Some(bytes), Some(read)) = (seen.bytes.get_mut(self.number), room.get(..count)) {
            let room = RECORDED_BYTES.saturating_sub(bytes.len());
            bytes.extend(read.iter().take(room));
        }
        Ok(count)
    }
}

impl Recording {
    fn socket(&self) -> &TcpStream {
        match &self.transport {
            Transport::Plain(stream) => stream,
            Transport::Tls(stream) => &stream.sock,
        }
    }
}

impl Connection {
    fn new(
        stream: TcpStream,
        certificate: Option<&Certificate>,
        shared: Arc<Shared>,
    ) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let number = {
            let mut seen = shared.seen();
            seen.sockets.push(stream.try_clone()?);
            seen.bytes.push(Vec::new());
            seen.names.push(None);
            seen.bytes.len() - 1
        };
        let transport = match certificate {
            None => Transport::Plain(stream),
            Some(certificate) => {
                let session =
                    ServerConnection::new(certificate.config.clone()).map_err(io::Error::other)?;
                Transport::Tls(Box::new(StreamOwned::new(session, stream)))
            }
        };
        let recording = Recording {
            transport,
            number,
            shared,
        };
        Ok(Self {
            number,
            source: Source::new(recording),
        })
    }

    /// The certificate that the other side has shown, once something was read.
    pub fn shown(&self) -> Option<Vec<u8>> {
        let Transport::Tls(stream) = &self.source.stream.transport else {
            return None;
        };
        let shown = stream.conn.peer_certificates()?.first()?;
        Some(shown.to_vec())
    }

    /// Reads a whole request and writes it down; `None` when the gateway closed the connection.
    pub fn request(&mut self) -> Option<Message> {
        let message = self.source.message(Kind::Request).ok()??;
        let received = Received {
            connection: self.number,
            message: message.clone(),
        };
        let recording = &self.source.stream;
        let mut seen = recording.shared.seen();
        if let Transport::Tls(stream) = &recording.transport
            && let Some(name) = seen.names.get_mut(self.number)
        {
            *name = stream.conn.server_name().map(str::to_owned);
        }
        seen.requests.push(received);
        Some(message)
    }

    /// Reads the head of a request and leaves its body where it is.
    pub fn head(&mut self) -> Option<Message> {
        self.source.head().ok()?
    }

    /// Reads exactly `count` bytes, fewer at the end of the connection.
    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        self.source.exactly(count).unwrap_or_default()
    }

    /// Reads up to the end of the connection.
    pub fn rest(&mut self) -> Vec<u8> {
        while let Ok(true) = self.source.more() {}
        std::mem::take(&mut self.source.ahead)
    }

    /// Sends bytes; false when the gateway takes no more.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        match &mut self.source.stream.transport {
            Transport::Plain(stream) => stream.write_all(bytes.as_ref()).is_ok(),
            Transport::Tls(stream) => stream
                .write_all(bytes.as_ref())
                .and_then(|()| stream.flush())
                .is_ok(),
        }
    }

    /// Sends `piece` again and again until `total` bytes are sent or nothing is taken for `patience`; how many were.
    pub fn send_until_stuck(&mut self, piece: &[u8], total: usize, patience: Duration) -> usize {
        let Transport::Plain(stream) = &mut self.source.stream.transport else {
            return 0;
        };
        let _kept = stream.set_write_timeout(Some(patience));
        let mut sent = 0;
        while sent < total {
            let part = piece.get(..piece.len().min(total - sent));
            match stream.write(part.unwrap_or_default()) {
                Ok(count) if count > 0 => sent += count,
                _ => break,
            }
        }
        let _kept = stream.set_write_timeout(Some(PATIENCE));
        sent
    }

    /// Ends the sending direction.
    pub fn finish(&mut self) {
        if let Transport::Tls(stream) = &mut self.source.stream.transport {
            stream.conn.send_close_notify();
            let _gone = stream.flush();
        }
        let _gone = self.source.stream.socket().shutdown(Shutdown::Write);
    }

    /// Closes the connection with a reset, at the end of the script.
    pub fn reset(&mut self) {
        let socket = self.source.stream.socket();
        let _gone = SockRef::from(socket).set_linger(Some(Duration::ZERO));
        let mut seen = self.source.stream.shared.seen();
        // The copy that could cut the connection would keep it open.
        let local = socket.peer_addr().ok();
        seen.sockets
            .retain(|socket| socket.peer_addr().ok() != local);
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let socket = self.source.stream.socket();
        let peer = socket.peer_addr().ok();
        let mut seen = self.source.stream.shared.seen();
        seen.sockets
            .retain(|socket| socket.peer_addr().ok() != peer);
    }
}
