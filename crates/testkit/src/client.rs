//! A client that sends exactly the bytes it is told.

use std::{
    io::{self, Write as _},
    net::{Shutdown, SocketAddr, TcpStream},
    time::Duration,
};

use socket2::SockRef;

use crate::{
    Message, PATIENCE,
    message::{Kind, Source},
};

/// A connection to the gateway.
pub struct Client {
    source: Source<TcpStream>,
}

impl Client {
    /// Connects.
    ///
    /// # Panics
    /// Nobody listens.
    pub fn connect(address: SocketAddr) -> Self {
        Self::try_connect(address).expect("connected")
    }

    /// Connects, if that is possible.
    ///
    /// # Errors
    /// Those of `connect`.
    pub fn try_connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self {
            source: Source::new(stream),
        })
    }

    /// Connects with a small receive buffer, so that what the client does not read piles up early.
    ///
    /// # Panics
    /// Nobody listens.
    pub fn connect_narrow(address: SocketAddr, receive_bytes: usize) -> Self {
        let client = Self::connect(address);
        SockRef::from(&client.source.stream)
            .set_recv_buffer_size(receive_bytes)
            .expect("a receive buffer");
        client
    }

    /// Sends bytes.
    ///
    /// # Panics
    /// The gateway takes no more.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.try_send(bytes).expect("sent");
        self
    }

    /// Sends bytes to a gateway that may have closed the connection.
    ///
    /// # Errors
    /// Those of `write`.
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.source.stream.write_all(bytes.as_ref())
    }

    /// Sends `piece` again and again until `total` bytes are sent or nothing is taken for `patience`; how many were.
    ///
    /// # Panics
    /// The connection is gone.
    pub fn send_until_stuck(&mut self, piece: &[u8], total: usize, patience: Duration) -> usize {
        let stream = &mut self.source.stream;
        stream.set_write_timeout(Some(patience)).expect("connected");
        let mut sent = 0;
        while sent < total {
            let part = piece.get(..piece.len().min(total - sent));
            match stream.write(part.unwrap_or_default()) {
                Ok(count) if count > 0 => sent += count,
                _ => break,
            }
        }
        stream.set_write_timeout(Some(PATIENCE)).expect("connected");
        sent
    }

    /// Another handle of the same connection, to send from while this one reads.
    ///
    /// # Panics
    /// There are no file descriptors left.
    #[must_use]
    pub fn copy(&self) -> Self {
        let stream = self.source.stream.try_clone().expect("a descriptor");
        Self {
            source: Source::new(stream),
        }
    }

    /// Ends both directions, for all copies.
    pub fn close(&self) {
        let _gone = self.source.stream.shutdown(Shutdown::Both);
    }

    /// Ends the sending direction.
    ///
    /// # Panics
    /// The connection is gone.
    pub fn finish(&mut self) -> &mut Self {
        self.source
            .stream
            .shutdown(Shutdown::Write)
            .expect("connected");
        self
    }

    /// Closes the connection with a reset.
    ///
    /// # Panics
    /// The system refuses the option.
    pub fn reset(self) {
        SockRef::from(&self.source.stream)
            .set_linger(Some(Duration::ZERO))
            .expect("connected");
    }

    /// Reads a response.
    ///
    /// # Panics
    /// None comes.
    pub fn response(&mut self) -> Message {
        self.read(Kind::Response)
    }

    /// Reads the response to a HEAD request.
    ///
    /// # Panics
    /// None comes.
    pub fn response_to_head(&mut self) -> Message {
        self.read(Kind::ResponseToHead)
    }

    fn read(&mut self, kind: Kind) -> Message {
        let message = self.source.message(kind);
        message.expect("a response").expect("a whole response head")
    }

    /// Reads the head of a response alone.
    ///
    /// # Panics
    /// None comes.
    pub fn head(&mut self) -> Message {
        let head = self.source.head();
        head.expect("a response").expect("a whole response head")
    }

    /// Reads exactly `count` bytes, fewer at the end of the connection.
    ///
    /// # Panics
    /// They do not come in time.
    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        self.source.exactly(count).expect("bytes")
    }

    /// Reads and forgets `count` bytes; how many came before the end.
    ///
    /// # Panics
    /// They do not come in time.
    pub fn skip(&mut self, count: usize) -> usize {
        let mut total = 0;
        while total < count {
            let piece = self.bytes((count - total).min(64 * 1024)).len();
            if piece == 0 {
                break;
            }
            total += piece;
        }
        total
    }

    /// Reads until the gateway closes the connection. A reset counts as the end.
    ///
    /// # Panics
    /// It is not closed in time.
    pub fn rest(&mut self) -> Vec<u8> {
        loop {
            match self.source.more() {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => break,
                Err(error) => panic!(
                    "not closed ({error}) after {:?}",
                    String::from_utf8_lossy(&self.source.ahead)
                ),
            }
        }
        std::mem::take(&mut self.source.ahead)
    }

    /// Whether nothing arrives for this long, not even the end.
    ///
    /// # Panics
    /// The connection is gone.
    pub fn hears_nothing_for(&mut self, time: Duration) -> bool {
        let stream = &self.source.stream;
        stream.set_read_timeout(Some(time)).expect("connected");
        let peeked = stream.peek(&mut [0]);
        stream.set_read_timeout(Some(PATIENCE)).expect("connected");
        peeked.is_err_and(|error| {
            matches!(
                error.kind(),
                io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
            )
        })
    }

    /// Whether the gateway ends the connection without a reset and without another byte.
    ///
    /// # Panics
    /// It stays open.
    pub fn ends_cleanly(&mut self) -> bool {
        match self.source.more() {
            Ok(is_more) => !is_more && self.source.ahead.is_empty(),
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => false,
            Err(error) => panic!("not closed: {error}"),
        }
    }

    /// Sends a request and reads its response.
    ///
    /// # Panics
    /// Either fails.
    pub fn ask(&mut self, request: impl AsRef<[u8]>) -> Message {
        self.send(request).response()
    }

    /// `GET` of a path for the host `a.test`.
    ///
    /// # Panics
    /// It gets no response.
    pub fn get(&mut self, path: &str) -> Message {
        self.ask(format!("GET {path} HTTP/1.1\r\nHost: a.test\r\n\r\n"))
    }
}
