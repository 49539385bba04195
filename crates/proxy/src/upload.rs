//! The request body on its way to the upstream.

use std::{borrow::Cow, cell::Cell, ops::Range, time::Duration};

use lockgate_http::{
    body::{Body, write_chunk_size},
    head::Framing,
};
use lockgate_net::{buffer::Buffer, deadline::Deadline, stream::Stream};

use crate::{
    client::Client,
    exchange::Exchange,
    forward::Failure,
    io::{Bytes, IoFailure, Size, read, write_all},
    limits,
    worker::Worker,
};

/// State of a request body; part of the exchange, so that whoever answers knows what is left to read.
#[derive(Debug, Default)]
pub(crate) struct Upload {
    body: Body,
    /// Data of the first read, in the exchange's unread buffer.
    first: Range<usize>,
    /// Bytes of that buffer which the body has used up.
    first_used: usize,
    /// Data read later, for another attempt; `None` once it is too much.
    replay: Option<Vec<u8>>,
    is_chunked: bool,
    received: u64,
    has_sent_continue: bool,
    /// What a plugin has put in the place of the body.
    replaced: Option<Vec<u8>>,
    /// How many of the first bytes are kept until the exchange has ended.
    keep_bytes: usize,
    /// These, once the body is too long for another attempt.
    kept: Vec<u8>,
}

impl Upload {
    /// Takes what the first read holds of the body.
    pub(crate) fn begin(exchange: &mut Exchange) -> Result<Self, Failure> {
        let framing = exchange.request.framing();
        let mut upload = Self {
            body: Body::new(framing),
            replay: Some(Vec::new()),
            is_chunked: framing == Framing::Chunked,
            ..Self::default()
        };
        if let Some(buffer) = &mut exchange.unread {
            (upload.first, upload.first_used) =
                upload.body.take(buffer).map_err(|_| Failure::BadBody)?;
            upload.received = upload.first.len() as u64;
        }
        Ok(upload)
    }

    /// What stands in the exchange while the body is on its way: it has not been read, and nothing of it is here.
    pub(crate) fn on_its_way(&self) -> Self {
        Self {
            body: Body::new(Framing::UntilClose),
            received: self.received,
            keep_bytes: self.keep_bytes,
            ..Self::default()
        }
    }

    /// Whether the whole body has been read.
    #[inline]
    pub(crate) fn is_read(&self) -> bool {
        self.body.is_done()
    }

    /// Bytes of the body read, without framing.
    pub(crate) fn received(&self) -> u64 {
        self.received
    }

    /// Whether the body could be sent again from its beginning.
    pub(crate) fn is_replayable(&self) -> bool {
        self.replay.is_some()
    }

    /// The body as read so far: a part of the first buffer, and what came later.
    pub(crate) fn parts<'a>(&'a self, unread: Option<&'a Buffer>) -> (&'a [u8], &'a [u8]) {
        if let Some(replaced) = &self.replaced {
            return (replaced, &[]);
        }
        let first = unread
            .and_then(|buffer| buffer.filled().get(self.first.clone()))
            .unwrap_or_default();
        (first, self.replay.as_deref().unwrap_or_default())
    }

    /// The whole body, where it has been read and is still here.
    pub(crate) fn whole<'a>(&'a self, unread: Option<&'a Buffer>) -> Option<&'a [u8]> {
        if self.replaced.is_some() {
            return self.replaced.as_deref();
        }
        let whole = match self.parts(unread) {
            (first, []) => first,
            (_, later) => later,
        };
        (self.is_read() && whole.len() as u64 == self.received).then_some(whole)
    }

    /// Puts another body in the place of one that has been read.
    pub(crate) fn replace(&mut self, body: Vec<u8>) -> bool {
        let is_read = self.is_read();
        if is_read {
            self.replaced = Some(body);
        }
        is_read
    }

    /// Keeps the first bytes of the body until the exchange has ended.
    pub(crate) fn keep(&mut self, limit: usize) {
        self.keep_bytes = self.keep_bytes.max(limit);
    }

    /// The first bytes of the body as far as they have come.
    pub(crate) fn kept<'a>(&'a self, unread: Option<&'a Buffer>) -> Cow<'a, [u8]> {
        if self.replay.is_none() && self.replaced.is_none() {
            return Cow::Borrowed(&self.kept);
        }
        match self.parts(unread) {
            (first, []) => Cow::Borrowed(first),
            ([], later) => Cow::Borrowed(later),
            (first, later) => Cow::Owned([first, later].concat()),
        }
    }

    /// Gives up sending the body again, and goes on keeping its first bytes where that is asked for.
    fn give_up_replay(&mut self, next: &[u8]) {
        if let Some(mut kept) = self.replay.take()
            && self.keep_bytes > 0
        {
            kept.truncate(self.keep_bytes);
            self.kept = kept;
        }
        let room = self.keep_bytes.saturating_sub(self.kept.len());
        let next = next.get(..room).unwrap_or(next);
        self.kept.extend_from_slice(next);
    }

    /// Keeps of bytes that go nowhere what is among the first ones.
    fn keep_more(&mut self, bytes: &[u8]) {
        if let Some(replay) = &mut self.replay {
            let room = self.keep_bytes.saturating_sub(replay.len());
            replay.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
        }
    }

    /// How the body is framed for the upstream, where it came framed like this.
    #[inline]
    pub(crate) fn framing(&self, received: Framing) -> Framing {
        match &self.replaced {
            None => received,
            Some(body) => Framing::Length(body.len() as u64),
        }
    }

    /// Keeps a body that came with the head beyond [`Self::finish`].
    pub(crate) fn keep_first(&mut self, unread: Option<&Buffer>) {
        let first = unread.and_then(|buffer| buffer.filled().get(self.first.clone()));
        if let (Some(first), Some(replay)) = (first, &mut self.replay) {
            replay.splice(0..0, first.iter().copied());
            self.first = 0..0;
        }
    }

    /// Writes the framing around [`Self::parts`]: what stands in front of it to the end of `out`, what stands behind to `tail`.
    pub(crate) fn frame(&self, out: &mut Vec<u8>, tail: &mut Vec<u8>) -> Result<(), Failure> {
        if !self.is_chunked || self.replaced.is_some() {
            return Ok(());
        }
        let size = self.first.len() + self.replay.as_ref().map_or(0, Vec::len);
        if size > 0 {
            write_chunk_size(out, size);
            tail.extend_from_slice(b"\r\n");
        }
        if self.body.is_done() {
            self.body
                .write_last_chunk(tail)
                .map_err(|_| Failure::BadBody)?;
        }
        Ok(())
    }

    /// Ends with the body: what it used of the unread buffer is dropped, what follows is the next request.
    pub(crate) fn finish(&mut self, unread: Option<&mut Buffer>) {
        if self.keep_bytes > 0 {
            self.keep_first(unread.as_deref());
        }
        if let Some(buffer) = unread {
            buffer.consume(self.first_used);
        }
        self.first = 0..0;
        self.first_used = 0;
    }

    /// Goes over from the first read to a stream: what was read moves to where it can be sent again from.
    pub(crate) fn begin_streaming(&mut self, unread: Option<Buffer>) -> Option<Buffer> {
        let buffer = unread?;
        if let Some(replay) = &mut self.replay {
            let first = buffer.filled().get(self.first.clone()).unwrap_or_default();
            replay.splice(0..0, first.iter().copied());
        }
        self.first = 0..0;
        self.first_used = 0;
        Some(buffer)
    }

    /// Reads the body before it is sent on, up to its end or a little more than `limit` bytes, and keeps it for the upstream.
    ///
    /// A body that is known to be longer than `limit` is not read, nor is the client asked for it.
    pub(crate) async fn read_ahead(
        worker: &Worker,
        client: &Client,
        exchange: &mut Exchange,
        limit: u64,
    ) -> Result<(), Failure> {
        let options = worker.options();
        let max = options.max_body_bytes;
        let length = match exchange.request.framing() {
            Framing::Length(length) => length,
            _ => exchange.upload.received,
        };
        if max > 0 && length > max {
            return Err(Failure::BodyTooLarge);
        }
        if length > limit || exchange.upload.is_read() {
            return Ok(());
        }
        let expects_continue = exchange.request.expects_continue();
        let deadline = &client.deadline;
        let upload = &mut exchange.upload;
        upload
            .ask(client, deadline, expects_continue, options.send_timeout)
            .await?;
        // All of the first read is body: there is more to come.
        if let Some(emptied) = upload.begin_streaming(exchange.unread.take()) {
            worker.buffers.give_back(emptied);
        }
        while !upload.body.is_done() && upload.received <= limit {
            let mut buffer = next_piece(worker, client, deadline).await?;
            let (data, used) = upload
                .body
                .take(&mut buffer)
                .map_err(|_| Failure::BadBody)?;
            let bytes = buffer.filled().get(data).unwrap_or_default();
            upload.received += bytes.len() as u64;
            if let Some(replay) = &mut upload.replay {
                replay.extend_from_slice(bytes);
            }
            if max > 0 && upload.received > max {
                return Err(Failure::BodyTooLarge);
            }
            buffer.consume(used);
            if buffer.is_empty() {
                worker.buffers.give_back(buffer);
            } else {
                exchange.unread = Some(buffer);
            }
        }
        Ok(())
    }

    /// Tells a client that waits for leave to send the body that it may.
    async fn ask(
        &mut self,
        client: &Client,
        deadline: &Deadline,
        expects_continue: bool,
        send_timeout: Duration,
    ) -> Result<(), Failure> {
        if !expects_continue || self.received > 0 || self.has_sent_continue {
            return Ok(());
        }
        self.has_sent_continue = true;
        let interim: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
        write_all(&client.stream, deadline, send_timeout, &[interim])
            .await
            .map_err(|_| Failure::ClientGone)
    }

    /// Whether what is left of the body is worth reading for the sake of the connection.
    ///
    /// It is not where the body is long, or the client still waits for leave to send it.
    pub(crate) fn is_worth_reading(&self, expects_continue: bool) -> bool {
        let waits_for_leave = expects_continue && !self.has_sent_continue && self.received == 0;
        self.body.is_done()
            || !waits_for_leave
                && self
                    .body
                    .remaining()
                    .is_none_or(|left| left <= limits::DISCARD_BYTES)
    }

    /// Reads the rest of the body and throws it away, so that the connection can be used again.
    ///
    /// False where it turns out to be long or malformed, or the client is slow.
    pub(crate) async fn read_away(
        worker: &Worker,
        client: &Client,
        exchange: &mut Exchange,
    ) -> bool {
        exchange.upload.finish(exchange.unread.as_mut());
        let mut total = 0;
        while !exchange.upload.body.is_done() {
            let limit = worker.options().body_timeout;
            let Ok(Bytes::Some(mut buffer)) = read(
                &client.stream,
                &client.deadline,
                limit,
                &worker.buffers,
                Size::Small,
            )
            .await
            else {
                return false;
            };
            let Ok((data, used)) = exchange.upload.body.take(&mut buffer) else {
                return false;
            };
            exchange.upload.received += data.len() as u64;
            let bytes = buffer.filled().get(data).unwrap_or_default();
            exchange.upload.keep_more(bytes);
            buffer.consume(used);
            total += used as u64;
            if buffer.is_empty() {
                worker.buffers.give_back(buffer);
            } else {
                exchange.unread = Some(buffer);
            }
            if total > limits::DISCARD_BYTES {
                return false;
            }
        }
        true
    }
}

/// What a running upload shares with the answer that may overtake it.
#[derive(Default)]
pub(crate) struct Progress {
    /// The body has been sent whole.
    pub(crate) is_sent: Cell<bool>,
    /// It is too long to be kept for another attempt.
    pub(crate) is_gone: Cell<bool>,
    /// Bytes sent, framing included.
    pub(crate) bytes: Cell<u64>,
    /// Bytes read behind the body.
    pub(crate) rest: Cell<Option<Buffer>>,
}

/// Waits for more of a body.
async fn next_piece(
    worker: &Worker,
    client: &Client,
    deadline: &Deadline,
) -> Result<Buffer, Failure> {
    let limit = worker.options().body_timeout;
    match read(
        &client.stream,
        deadline,
        limit,
        &worker.buffers,
        Size::Large,
    )
    .await
    {
        Ok(Bytes::Some(buffer)) => Ok(buffer),
        Ok(Bytes::End) | Err(IoFailure::Broken(_)) => Err(Failure::ClientGone),
        Err(IoFailure::TimedOut) => Err(Failure::BodyTimeout),
    }
}

/// Sends the rest of a body as it comes from the client.
///
/// Bodies are never held back: a piece that was read is sent before the next is read, so a slow upstream slows the client.
pub(crate) async fn pump(
    worker: &Worker,
    client: &Client,
    upload: &mut Upload,
    upstream: &Stream,
    deadline: &Deadline,
    expects_continue: bool,
    send_timeout: Duration,
    progress: &Progress,
) -> Result<(), Failure> {
    let options = worker.options();
    upload
        .ask(client, deadline, expects_continue, options.send_timeout)
        .await?;
    let mut head = Vec::new();
    let mut tail = Vec::new();
    while !upload.body.is_done() {
        let mut buffer = next_piece(worker, client, deadline).await?;
        worker.clock.tick();
        let (data, used) = upload
            .body
            .take(&mut buffer)
            .map_err(|_| Failure::BadBody)?;
        let bytes = buffer.filled().get(data).unwrap_or_default();
        upload.received += bytes.len() as u64;
        if options.max_body_bytes > 0 && upload.received > options.max_body_bytes {
            return Err(Failure::BodyTooLarge);
        }
        match &mut upload.replay {
            Some(replay) if replay.len() + bytes.len() <= limits::REPLAY_BYTES => {
                replay.extend_from_slice(bytes);
            }
            _ => {
                upload.give_up_replay(bytes);
                progress.is_gone.set(true);
            }
        }
        head.clear();
        tail.clear();
        if upload.is_chunked {
            if !bytes.is_empty() {
                write_chunk_size(&mut head, bytes.len());
                tail.extend_from_slice(b"\r\n");
            }
            if upload.body.is_done() {
                upload
                    .body
                    .write_last_chunk(&mut tail)
                    .map_err(|_| Failure::BadBody)?;
            }
        }
        let behind = buffer.filled().get(used..).unwrap_or_default();
        if !behind.is_empty() {
            // The next request is out of reach of whatever becomes of this one.
            let mut rest = worker.buffers.large();
            rest.append(behind);
            progress.rest.set(Some(rest));
        }
        let total = head.len() + bytes.len() + tail.len();
        progress.bytes.set(progress.bytes.get() + total as u64);
        let sent = write_all(upstream, deadline, send_timeout, &[&head, bytes, &tail]).await;
        worker.buffers.give_back(buffer);
        sent.map_err(Failure::Send)?;
    }
    progress.is_sent.set(true);
    Ok(())
}
