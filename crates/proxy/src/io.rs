//! Waiting reads and writes with a deadline.

use std::{
    io::{self, IoSlice},
    pin::{Pin, pin},
    task::{Context, Poll, ready},
    time::Duration,
};

use lockgate_net::{
    buffer::{Buffer, Buffers},
    deadline::Deadline,
    stream::Stream,
};
use thiserror::Error;
use tokio::time::{Instant, Sleep};

use crate::limits;

/// Why a read or write did not happen.
#[derive(Debug, Error)]
pub(crate) enum IoFailure {
    /// The other side took too long.
    #[error("timed out")]
    TimedOut,
    /// The connection is broken.
    #[error("{0}")]
    Broken(#[from] io::Error),
}

/// Most slices one message is written from: head, chunk size, data, chunk end, last chunk.
const PARTS: usize = 5;

/// Writes all of `parts`, in one system call where the socket takes them. `limit` is the time between two writes.
#[inline]
pub(crate) async fn write_all(
    stream: &Stream,
    deadline: &Deadline,
    limit: Duration,
    parts: &[&[u8]],
) -> Result<(), IoFailure> {
    let total: usize = parts.iter().map(|part| part.len()).sum();
    let mut done = 0;
    let mut is_armed = false;
    while done < total {
        let step = |context: &mut Context<'_>| poll_write_from(stream, context, parts, done);
        let count = if is_armed {
            deadline.guard(step).await
        } else {
            // The deadline is set when the first attempt has to wait; mostly it has not.
            deadline
                .guard(|context| {
                    let polled = step(context);
                    if polled.is_pending() && !is_armed {
                        deadline.set(limit);
                        is_armed = true;
                    }
                    polled
                })
                .await
        };
        match count {
            None => return Err(IoFailure::TimedOut),
            Some(Ok(0)) => return Err(io::Error::from(io::ErrorKind::WriteZero).into()),
            Some(Ok(count)) => {
                done += count;
                is_armed = false;
            }
            Some(Err(error)) => return Err(error.into()),
        }
    }
    if stream.is_tls() {
        deadline.set(limit);
        match deadline.guard(|context| stream.poll_flush(context)).await {
            None => return Err(IoFailure::TimedOut),
            Some(flushed) => flushed?,
        }
    }
    Ok(())
}

/// One write of what is left of `parts` behind `done` bytes.
#[inline]
fn poll_write_from(
    stream: &Stream,
    context: &mut Context<'_>,
    parts: &[&[u8]],
    done: usize,
) -> Poll<io::Result<usize>> {
    let mut slices = [IoSlice::new(&[]); PARTS];
    let mut used = 0;
    let mut skip = done;
    for part in parts {
        if skip >= part.len() {
            skip -= part.len();
            continue;
        }
        if let (Some(slice), Some(rest)) = (slices.get_mut(used), part.get(skip..)) {
            *slice = IoSlice::new(rest);
            used += 1;
        }
        skip = 0;
    }
    stream.poll_write(context, slices.get(..used).unwrap_or_default())
}

/// What a wait for bytes ended with.
pub(crate) enum Bytes {
    /// There are some, in this buffer.
    Some(Buffer),
    /// The other side sends no more.
    End,
}

/// Waits for bytes and reads them. Holds no buffer while it waits.
#[inline]
pub(crate) async fn read(
    stream: &Stream,
    deadline: &Deadline,
    limit: Duration,
    buffers: &Buffers,
    size: Size,
) -> Result<Bytes, IoFailure> {
    let mut is_armed = false;
    let bytes = deadline
        .guard(|context| {
            // At first there is mostly nothing yet: no buffer is taken to find that out.
            let polled = if !is_armed && stream.poll_readable(context).is_pending() {
                Poll::Pending
            } else {
                poll_read(stream, context, buffers, size)
            };
            if polled.is_pending() && !is_armed {
                deadline.set(limit);
                is_armed = true;
            }
            polled
        })
        .await;
    match bytes {
        None => Err(IoFailure::TimedOut),
        Some(bytes) => Ok(bytes?),
    }
}

/// Reads what there is into a buffer that goes back when there is nothing.
///
/// One look at the socket's readiness: asking first and reading then would look twice.
#[inline]
pub(crate) fn poll_read(
    stream: &Stream,
    context: &mut Context<'_>,
    buffers: &Buffers,
    size: Size,
) -> Poll<io::Result<Bytes>> {
    let mut buffer = match size {
        Size::Small => buffers.small(),
        Size::Large => buffers.large(),
    };
    match stream.poll_read(context, &mut buffer) {
        Poll::Ready(Ok(count)) if count > 0 => Poll::Ready(Ok(Bytes::Some(buffer))),
        other => {
            buffers.give_back(buffer);
            other.map(|read| read.map(|_| Bytes::End))
        }
    }
}

/// Waits for something as long as the client does; `None` when it is gone.
///
/// Where bytes of the client wait to be read (its next request, more of its body), its end behind them wakes nobody, and is looked for
/// from time to time.
#[inline]
pub(crate) async fn while_there<T>(client: &Stream, waiting: impl Future<Output = T>) -> Option<T> {
    let mut waiting = pin!(waiting);
    let mut look: Option<Pin<Box<Sleep>>> = None;
    std::future::poll_fn(|context| {
        if let Poll::Ready(outcome) = waiting.as_mut().poll(context) {
            return Poll::Ready(Some(outcome));
        }
        if look.is_none() && ready!(client.poll_ended(context)) {
            return Poll::Ready(None);
        }
        loop {
            let next = look.get_or_insert_with(|| {
                // Looked at once now, then from time to time.
                Box::pin(tokio::time::sleep(Duration::ZERO))
            });
            ready!(next.as_mut().poll(context));
            if client.has_ended() {
                return Poll::Ready(None);
            }
            next.as_mut()
                .reset(Instant::now() + limits::LOOK_FOR_CLIENT);
        }
    })
    .await
}

/// Which buffer to read into.
#[derive(Clone, Copy)]
pub(crate) enum Size {
    /// For heads.
    Small,
    /// For bodies.
    Large,
}
