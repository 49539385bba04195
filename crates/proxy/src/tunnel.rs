//! After `101 Switching Protocols`: bytes in both directions, until both have ended.

use std::{future::poll_fn, pin::pin, task::Poll, time::Duration};

use lockgate_http::pool::Connection;
use lockgate_net::{buffer::Buffer, deadline::Deadline, stream::Stream};

use crate::{
    client::After,
    exchange::Exchange,
    io::{Bytes, IoFailure, Size, read, write_all},
    respond,
    scene::Scene,
    worker::Worker,
};

/// Sends the 101 and then everything, both ways. `idle` is the longest silence of both sides together.
pub(crate) async fn run(
    scene: &Scene<'_>,
    exchange: &mut Exchange,
    connection: Connection,
    rest: Option<Buffer>,
    idle: Duration,
) -> After {
    let Scene { worker, client, .. } = *scene;
    let upstream = &connection.stream;
    let side = respond::Upstream {
        stream: upstream,
        deadline: &client.deadline,
        read_timeout: idle,
        name: &exchange
            .attempts
            .last()
            .map_or(client.peer, |attempt| attempt.address),
    };
    if respond::relay(scene, exchange, &side, None, true).await == respond::Relayed::ClientGone {
        return After::Drop;
    }
    let deadlines = [worker.deadlines.add(), worker.deadlines.add()];
    let [down_deadline, up_deadline] = &deadlines;
    let (mut sent, mut received) = (0, 0);
    {
        let up = copy(
            worker,
            &client.stream,
            upstream,
            up_deadline,
            down_deadline,
            idle,
            exchange.unread.take(),
            &mut received,
        );
        let down = copy(
            worker,
            upstream,
            &client.stream,
            down_deadline,
            up_deadline,
            idle,
            rest,
            &mut sent,
        );
        let (mut up, mut down) = (pin!(up), pin!(down));
        let (mut is_up, mut is_down) = (true, true);
        poll_fn(|context| {
            for (is_open, direction) in [
                (
                    &mut is_up,
                    up.as_mut() as std::pin::Pin<&mut dyn Future<Output = Ended>>,
                ),
                (&mut is_down, down.as_mut()),
            ] {
                if *is_open && let Poll::Ready(ended) = direction.poll(context) {
                    *is_open = false;
                    if ended == Ended::Broken {
                        return Poll::Ready(());
                    }
                }
            }
            if is_up || is_down {
                Poll::Pending
            } else {
                Poll::Ready(())
            }
        })
        .await;
    }
    exchange.bytes_sent += sent;
    exchange.body_bytes_sent += sent;
    let now = worker.clock.tick();
    if let Some(attempt) = exchange.attempts.last_mut() {
        attempt.response_us = Some(now - attempt.began);
    }
    After::Close
}

/// How one direction ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    /// The sender said so; the other direction may go on.
    Cleanly,
    /// The whole tunnel is of no further use.
    Broken,
}

/// Copies one direction. A byte in either direction keeps both alive.
async fn copy(
    worker: &Worker,
    from: &Stream,
    to: &Stream,
    own: &Deadline,
    other: &Deadline,
    idle: Duration,
    first: Option<Buffer>,
    count: &mut u64,
) -> Ended {
    let mut next = first;
    loop {
        let buffer = match next.take() {
            Some(buffer) => buffer,
            None => match read(from, own, idle, &worker.buffers, Size::Large).await {
                Ok(Bytes::Some(buffer)) => buffer,
                Ok(Bytes::End) => {
                    let ended = poll_fn(|context| to.poll_shutdown(context)).await;
                    return if ended.is_ok() {
                        Ended::Cleanly
                    } else {
                        Ended::Broken
                    };
                }
                Err(IoFailure::TimedOut | IoFailure::Broken(_)) => return Ended::Broken,
            },
        };
        worker.clock.tick();
        other.set(idle);
        let sent = write_all(to, own, idle, &[buffer.filled()]).await;
        *count += buffer.len() as u64;
        worker.buffers.give_back(buffer);
        if sent.is_err() {
            return Ended::Broken;
        }
    }
}
