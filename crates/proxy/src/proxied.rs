//! Connections that begin with a header of the PROXY protocol: from the proxy in front, which says in it who its client is.
//!
//! The header comes first or the connection ends. It must be whole within `client_header_timeout`, as nginx has it.

use std::rc::Rc;

use lockgate_net::{
    buffer::Buffer,
    proxy_protocol::{self, Header, HeaderError},
};

use crate::{
    client::{self, Client},
    io::{Bytes, IoFailure, Size, read},
    worker::Worker,
};

/// Why a connection has no header.
enum Failure {
    /// What came is none.
    Malformed(HeaderError),
    /// It was not whole in time.
    TimedOut,
    /// It ended, perhaps before a byte was sent: a probe of the port.
    Ended,
}

/// Serves such a connection to its end.
pub(crate) async fn serve(worker: Rc<Worker>, mut client: Client) {
    worker.stats.opened();
    client.deadline.set_idle(true);
    let read = read_header(&worker, &client).await;
    client.deadline.set_idle(false);
    match read {
        Ok((header, unread)) => {
            client.proxied = header.proxied;
            client::serve_from(&worker, &client, unread).await;
        }
        Err(Failure::Ended) => {}
        Err(failure) => refuse(&worker, &client, &failure),
    }
    worker.stats.closed();
}

/// Reads the header and gives what was read behind it.
async fn read_header(
    worker: &Worker,
    client: &Client,
) -> Result<(Header, Option<Buffer>), Failure> {
    let mut known: Option<Buffer> = None;
    client.deadline.set(worker.options().header_timeout);
    loop {
        // The time is for the whole header, however many reads it takes.
        let left = client.deadline.left();
        let read = read(
            &client.stream,
            &client.deadline,
            left,
            &worker.buffers,
            Size::Small,
        )
        .await;
        let more = match read {
            Ok(Bytes::Some(buffer)) => buffer,
            Ok(Bytes::End) | Err(IoFailure::Broken(_)) => return Err(Failure::Ended),
            Err(IoFailure::TimedOut) => return Err(Failure::TimedOut),
        };
        let mut buffer = match known.take() {
            None => more,
            Some(mut buffer) => {
                let taken = buffer.append(more.filled());
                if taken < more.len() {
                    // A header is shorter than a buffer: what does not fit stands behind it, and this is the only copy.
                    let mut whole = worker.buffers.large();
                    whole.append(buffer.filled());
                    whole.append(more.filled().get(taken..).unwrap_or_default());
                    worker.buffers.give_back(buffer);
                    buffer = whole;
                }
                worker.buffers.give_back(more);
                buffer
            }
        };
        match proxy_protocol::parse(buffer.filled()).map_err(Failure::Malformed)? {
            None => known = Some(buffer),
            Some(header) => {
                buffer.consume(header.len);
                if buffer.is_empty() {
                    worker.buffers.give_back(buffer);
                    return Ok((header, None));
                }
                return Ok((header, Some(buffer)));
            }
        }
    }
}

/// Notes a connection that is closed for its header. Anybody who reaches the port can cause this: some are logged, the others
/// counted.
fn refuse(worker: &Worker, client: &Client, failure: &Failure) {
    if worker.is_draining() {
        return;
    }
    let Some(silent) = worker.refused_headers.lets_through(worker.clock.tick()) else {
        return;
    };
    let client = client.peer;
    match failure {
        Failure::Malformed(error) => {
            tracing::error!(%client, %error, silent, "broken PROXY protocol header: the connection is closed");
        }
        Failure::TimedOut => {
            tracing::error!(%client, silent, "no PROXY protocol header in time: the connection is closed");
        }
        Failure::Ended => {}
    }
}
