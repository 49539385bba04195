//! A connected byte stream, plain or encrypted, driven by polling from one task.
//!
//! All methods take `&self`: a task may read one direction and write the other in the same poll. Nothing is buffered here
//! but what TLS needs.

use std::{
    cell::RefCell,
    io::{self, IoSlice},
    net::SocketAddr,
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, Interest, ReadBuf},
    net::TcpStream,
};

use crate::buffer::Buffer;

type ClientTls = tokio_rustls::client::TlsStream<TcpStream>;

/// A connected stream.
#[derive(Debug)]
pub struct Stream {
    transport: Transport,
}

#[derive(Debug)]
enum Transport {
    Tcp(RefCell<TcpStream>),
    ClientTls(Box<RefCell<ClientTls>>),
}

impl From<TcpStream> for Stream {
    fn from(stream: TcpStream) -> Self {
        Self {
            transport: Transport::Tcp(RefCell::new(stream)),
        }
    }
}

impl From<ClientTls> for Stream {
    fn from(stream: ClientTls) -> Self {
        Self {
            transport: Transport::ClientTls(Box::new(RefCell::new(stream))),
        }
    }
}

impl Stream {
    /// Opens a TCP connection, with small writes sent at once.
    ///
    /// # Errors
    /// Those of `connect`.
    pub async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// Ready when a read has something to say: bytes, the end, or an error.
    ///
    /// Costs no system call, so that a buffer need not be held while waiting. May be ready without cause.
    #[inline]
    pub fn poll_readable(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &self.transport {
            Transport::Tcp(stream) => stream.borrow().poll_read_ready(context),
            Transport::ClientTls(stream) => {
                let mut stream = stream.borrow_mut();
                let (tcp, session) = stream.get_mut();
                match session.process_new_packets() {
                    Ok(state) if state.plaintext_bytes_to_read() > 0 || state.peer_has_closed() => {
                        Poll::Ready(Ok(()))
                    }
                    Ok(_) => tcp.poll_read_ready(context),
                    Err(error) => {
                        Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, error)))
                    }
                }
            }
        }
    }

    /// Reads into the free part of `buffer`; 0 is the end of the stream.
    #[inline]
    pub fn poll_read(
        &self,
        context: &mut Context<'_>,
        buffer: &mut Buffer,
    ) -> Poll<io::Result<usize>> {
        let mut free = ReadBuf::new(buffer.free_mut());
        let polled = match &self.transport {
            Transport::Tcp(stream) => {
                Pin::new(&mut *stream.borrow_mut()).poll_read(context, &mut free)
            }
            Transport::ClientTls(stream) => {
                Pin::new(&mut *stream.borrow_mut()).poll_read(context, &mut free)
            }
        };
        let count = free.filled().len();
        match polled {
            Poll::Ready(Ok(())) => {
                buffer.fill(count);
                Poll::Ready(Ok(count))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => Poll::Pending,
        }
    }

    /// Writes some of `slices`.
    #[inline]
    pub fn poll_write(
        &self,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &self.transport {
            Transport::Tcp(stream) => {
                let mut stream = stream.borrow_mut();
                // A plain send is measurably cheaper than a gathering one of one slice.
                match slices {
                    [one] => Pin::new(&mut *stream).poll_write(context, one),
                    several => Pin::new(&mut *stream).poll_write_vectored(context, several),
                }
            }
            Transport::ClientTls(stream) => {
                Pin::new(&mut *stream.borrow_mut()).poll_write_vectored(context, slices)
            }
        }
    }

    /// Sends what TLS still holds back.
    #[inline]
    pub fn poll_flush(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &self.transport {
            Transport::Tcp(_) => Poll::Ready(Ok(())),
            Transport::ClientTls(stream) => Pin::new(&mut *stream.borrow_mut()).poll_flush(context),
        }
    }

    /// Ends the sending direction.
    pub fn poll_shutdown(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &self.transport {
            Transport::Tcp(stream) => Pin::new(&mut *stream.borrow_mut()).poll_shutdown(context),
            Transport::ClientTls(stream) => {
                Pin::new(&mut *stream.borrow_mut()).poll_shutdown(context)
            }
        }
    }

    /// Ready with true when the other side has ended the stream, with false when it has sent something that waits to be read.
    ///
    /// Reads nothing; costs a system call only after something has happened. Plain streams only; others are never ready.
    pub fn poll_ended(&self, context: &mut Context<'_>) -> Poll<bool> {
        match &self.transport {
            Transport::Tcp(stream) => {
                let mut byte = [0];
                let polled = stream
                    .borrow()
                    .poll_peek(context, &mut ReadBuf::new(&mut byte));
                polled.map(|peeked| !matches!(peeked, Ok(1..)))
            }
            Transport::ClientTls(_) => Poll::Pending,
        }
    }

    /// Whether the other side is known to have ended the stream, or to be gone, whatever waits to be read before that. False for what is
    /// not plain.
    ///
    /// Costs no system call.
    pub fn has_ended(&self) -> bool {
        let Transport::Tcp(stream) = &self.transport else {
            return false;
        };
        let stream = stream.borrow();
        let mut context = Context::from_waker(Waker::noop());
        match pin!(stream.ready(Interest::READABLE)).poll(&mut context) {
            Poll::Ready(Ok(ready)) => ready.is_read_closed() || ready.is_error(),
            Poll::Ready(Err(_)) => true,
            Poll::Pending => false,
        }
    }

    /// Has the connection reset when it is dropped, so that nobody takes what was sent for a whole that the end of the connection ends.
    pub fn reset_when_dropped(&self) {
        if let Transport::Tcp(stream) = &self.transport {
            // One that is gone already needs none.
            let _gone = stream.borrow().set_zero_linger();
        }
    }

    /// Whether nothing has happened on an idle stream: neither its end nor bytes nobody asked for.
    ///
    /// Costs a system call only where the runtime calls the socket readable, which it also does for one that was read
    /// empty, and for TLS messages that are no data. Bytes nobody asked for may be lost: the stream is of no further use.
    pub fn is_quiet(&self) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        if self.poll_readable(&mut context).is_pending() {
            return true;
        }
        match &self.transport {
            Transport::Tcp(_) => self.poll_ended(&mut context).is_pending(),
            Transport::ClientTls(stream) => Pin::new(&mut *stream.borrow_mut())
                .poll_read(&mut context, &mut ReadBuf::new(&mut [0]))
                .is_pending(),
        }
    }

    /// Whether bytes written are encrypted.
    pub fn is_tls(&self) -> bool {
        matches!(self.transport, Transport::ClientTls(_))
    }
}
