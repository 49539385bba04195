//! Notes when bytes last moved on a connection, for limits on silence.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};

use crate::error::Failure;

/// How long a connection may be silent while a call is on it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Silence {
    /// While bytes of the request wait to be taken.
    pub(crate) send: Duration,
    /// Otherwise.
    pub(crate) read: Duration,
}

/// When bytes last moved, and what is waited for.
#[derive(Debug)]
pub(crate) struct Progress {
    began: Instant,
    /// In microseconds after `began`.
    last_us: AtomicU64,
    is_writing: AtomicBool,
}

impl Progress {
    pub(crate) fn new() -> Self {
        Self {
            began: Instant::now(),
            last_us: AtomicU64::new(0),
            is_writing: AtomicBool::new(false),
        }
    }

    /// Silence is counted from here on.
    pub(crate) fn touch(&self) {
        let elapsed = self.began.elapsed().as_micros();
        self.last_us.store(elapsed as u64, Relaxed);
    }

    fn last(&self) -> Instant {
        self.began + Duration::from_micros(self.last_us.load(Relaxed))
    }

    /// When to look at [`Self::stalled`] next; after now, unless it is stalled.
    pub(crate) fn look_at(&self, silence: Silence) -> Instant {
        let (last, Silence { send, read }) = (self.last(), silence);
        let soon = last + send.min(read);
        if soon > Instant::now() {
            soon
        } else {
            last + send.max(read)
        }
    }

    /// What the silence has become, where it was too long.
    pub(crate) fn stalled(&self, silence: Silence) -> Option<Failure> {
        let (limit, failure) = if self.is_writing.load(Relaxed) {
            (silence.send, Failure::SendTime)
        } else {
            (silence.read, Failure::NoAnswer)
        };
        (self.last() + limit <= Instant::now()).then_some(failure)
    }

    fn wrote<T>(&self, polled: &Poll<io::Result<T>>) {
        self.is_writing.store(polled.is_pending(), Relaxed);
        if polled.is_ready() {
            self.touch();
        }
    }
}

/// A stream that notes its progress.
pub(crate) struct Noting<T> {
    stream: T,
    progress: Arc<Progress>,
}

impl<T> Noting<T> {
    pub(crate) fn new(stream: T, progress: Arc<Progress>) -> Self {
        Self { stream, progress }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Noting<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        room: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_read(context, room);
        if polled.is_ready() {
            self.progress.touch();
        }
        polled
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Noting<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.progress.wrote(&polled);
        polled
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.progress.wrote(&polled);
        polled
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_flush(context);
        // A flush with nothing to do moves no bytes: it must not count as progress.
        self.progress.is_writing.store(polled.is_pending(), Relaxed);
        polled
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
