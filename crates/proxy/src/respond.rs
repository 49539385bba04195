//! From the upstream's response to the client's.

use std::{io::Write as _, ops::Range, time::Duration};

use lockgate_http::{
    body::{Body, write_chunk_size},
    field::Known,
    head::{Framing, Version},
    request::Method,
    response::ResponseHead,
};
use lockgate_net::{buffer::Buffer, deadline::Deadline, stream::Stream};
use lockgate_plugin::Filtered;

use crate::{
    exchange::Exchange,
    io::{Bytes, IoFailure, Size, read, write_all},
    phases,
    reason::Reason,
    reply,
    scene::Scene,
    worker::Worker,
};

/// Whether the client can tell where the response ends without the connection ending.
pub(crate) fn has_end(exchange: &Exchange) -> bool {
    let filters = &exchange.plugins.filters;
    exchange.request.version() == Version::Http11
        || is_silent(exchange)
        || match exchange.response.framing() {
            Framing::Chunked | Framing::UntilClose => false,
            Framing::None => true,
            Framing::Length(_) => filters.iter().all(|filter| filter.keeps_length()),
        }
}

/// Whether the client gets no body.
#[inline]
fn is_silent(exchange: &Exchange) -> bool {
    exchange.response.framing() == Framing::None
        || exchange.request.method() == Method::Head
        || ResponseHead::forbids_body(exchange.response.status())
}

/// Adds the fields that plugins set before there was a response.
#[inline]
pub(crate) fn add_fields(exchange: &mut Exchange) {
    let fields = std::mem::take(&mut exchange.plugins.fields);
    for (name, value) in fields.iter() {
        exchange.response.headers.append(name, value);
    }
    exchange.plugins.fields = fields;
}

/// How a response ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Relayed {
    /// Whole; the upstream's connection is as it was before the request.
    Whole,
    /// Whole, and the upstream's connection is of no further use.
    WholeLast,
    /// The upstream broke off, or sent what is no body: the client must not take the response for whole.
    UpstreamBroke,
    /// The client took no more.
    ClientGone,
    /// A plugin cut it.
    Cut,
}

/// How the body is framed for the client.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Out {
    /// As many bytes as the head says, or none.
    Plain,
    /// As many bytes as come until the connection ends.
    Open,
    /// In chunks.
    Chunked,
}

/// Sends a response whose head has been read, and its body as it comes.
///
/// `keeps_alive` is whether the client's connection lives on; `first` holds what was read behind the head. The body is never
/// held back: what has been read is sent before more is read, so a slow client slows the upstream.
pub(crate) async fn relay(
    scene: &Scene<'_>,
    exchange: &mut Exchange,
    upstream: &Upstream<'_>,
    first: Option<Buffer>,
    keeps_alive: bool,
) -> Relayed {
    let Scene { worker, client, .. } = *scene;
    let framing = exchange.response.framing();
    let mut body = Body::new(framing);
    let mut filters = std::mem::take(&mut exchange.plugins.filters);
    let mut filtered = Vec::new();
    // The client gets no body: none came, or plugins made of the request or of the response one that has none.
    let is_silent = is_silent(exchange);
    if is_silent {
        filters.clear();
    }
    let keeps_length = filters.iter().all(|filter| filter.keeps_length());
    let is_counted = keeps_length && !matches!(framing, Framing::Chunked | Framing::UntilClose);
    let mut out_framing = match exchange.request.version() {
        Version::Http11 if !is_counted => Out::Chunked,
        _ if is_counted => Out::Plain,
        _ => Out::Open,
    };
    let mut out = std::mem::take(&mut exchange.out);
    out.clear();
    write_head(worker, exchange, keeps_alive, out_framing, &mut out);
    if is_silent {
        out_framing = Out::Plain;
    }
    exchange.status = exchange.response.status();
    let head_bytes = out.len() as u64;
    let mut buffer = first;
    // A plugin ended the body before the upstream did.
    let mut is_ended = false;
    let relayed = loop {
        let mut data: Range<usize> = 0..0;
        let mut used = 0;
        if let Some(buffer) = &mut buffer {
            match body.take(buffer) {
                Ok(taken) => (data, used) = taken,
                Err(error) => {
                    tracing::error!(upstream = %upstream.name, %error, "upstream sent an invalid chunked response");
                    break Relayed::UpstreamBroke;
                }
            }
        }
        let bytes = buffer
            .as_ref()
            .and_then(|buffer| buffer.filled().get(data.clone()))
            .unwrap_or_default();
        let taken = bytes.len() as u64;
        let bytes = if is_silent {
            &[]
        } else if filters.is_empty() {
            bytes
        } else {
            filtered.clear();
            let is_last = body.is_done();
            match phases::filter_body(scene, exchange, &mut filters, bytes, is_last, &mut filtered)
            {
                Filtered::More => {}
                Filtered::End => is_ended = true,
                Filtered::Abort => break Relayed::Cut,
            }
            &filtered
        };
        let mut tail = Vec::new();
        let parts: [&[u8]; 3] = if out_framing == Out::Chunked {
            if !bytes.is_empty() {
                write_chunk_size(&mut out, bytes.len());
                tail.extend_from_slice(b"\r\n");
            }
            if body.is_done() && body.write_last_chunk(&mut tail).is_err() {
                tracing::error!(upstream = %upstream.name, "upstream sent malformed trailers");
                break Relayed::UpstreamBroke;
            }
            if is_ended && !body.is_done() {
                tail.extend_from_slice(b"0\r\n\r\n");
            }
            [&out, bytes, &tail]
        } else {
            [&out, bytes, &[]]
        };
        exchange.has_answered = true;
        let sent = write_all(
            &client.stream,
            &client.deadline,
            worker.options().send_timeout,
            &parts,
        )
        .await;
        let total: u64 = parts.iter().map(|part| part.len() as u64).sum();
        let is_first = exchange.bytes_sent == 0;
        exchange.bytes_sent += total;
        exchange.body_bytes_sent += bytes.len() as u64;
        if let Some(attempt) = exchange.attempts.last_mut() {
            attempt.body += taken;
        }
        out.clear();
        if let Err(failure) = sent {
            tracing::info!(client = %client.peer, %failure, "client closed the connection during the response");
            if is_first {
                // nginx's word for a client that took nothing; one that took a part is logged with what it took.
                exchange.status = 499;
                exchange.reason = Some(Reason::ClientGone);
            }
            break Relayed::ClientGone;
        }
        if let Some(buffer) = &mut buffer {
            buffer.consume(used);
        }
        if is_ended && !body.is_done() {
            // Nobody reads what the upstream has still to say, so its connection is of no further use. Where more was promised to the
            // client, it must see that it does not come.
            break if out_framing == Out::Plain {
                Relayed::Cut
            } else {
                Relayed::WholeLast
            };
        }
        if body.is_done() {
            let left = buffer.as_ref().is_some_and(|buffer| !buffer.is_empty());
            // Bytes behind the end belong to nobody: such a connection is not used again.
            break if left || !exchange.response.keeps_alive() {
                Relayed::WholeLast
            } else {
                Relayed::Whole
            };
        }
        if let Some(buffer) = buffer.take() {
            worker.buffers.give_back(buffer);
        }
        match read(
            upstream.stream,
            upstream.deadline,
            upstream.read_timeout,
            &worker.buffers,
            Size::Large,
        )
        .await
        {
            Ok(Bytes::Some(more)) => {
                worker.clock.tick();
                if let Some(attempt) = exchange.attempts.last_mut() {
                    attempt.received += more.len() as u64;
                }
                buffer = Some(more);
            }
            Ok(Bytes::End) if body.end() => {
                let mut last = Vec::new();
                if !filters.is_empty() {
                    filtered.clear();
                    let passed = phases::filter_body(
                        scene,
                        exchange,
                        &mut filters,
                        &[],
                        true,
                        &mut filtered,
                    );
                    if passed == Filtered::Abort {
                        break Relayed::Cut;
                    }
                    if out_framing == Out::Chunked && !filtered.is_empty() {
                        write_chunk_size(&mut last, filtered.len());
                    }
                    last.extend_from_slice(&filtered);
                    exchange.body_bytes_sent += filtered.len() as u64;
                    if out_framing == Out::Chunked && !filtered.is_empty() {
                        last.extend_from_slice(b"\r\n");
                    }
                }
                if out_framing == Out::Chunked {
                    let _no_trailers = body.write_last_chunk(&mut last);
                }
                exchange.bytes_sent += last.len() as u64;
                if !last.is_empty()
                    && write_all(
                        &client.stream,
                        &client.deadline,
                        worker.options().send_timeout,
                        &[&last],
                    )
                    .await
                    .is_err()
                {
                    break Relayed::ClientGone;
                }
                break Relayed::WholeLast;
            }
            Ok(Bytes::End) => {
                tracing::error!(upstream = %upstream.name, "upstream prematurely closed connection while reading upstream");
                break Relayed::UpstreamBroke;
            }
            Err(failure) => {
                let timed_out = matches!(failure, IoFailure::TimedOut);
                tracing::error!(upstream = %upstream.name, %failure, timed_out, "reading the response from upstream failed");
                break Relayed::UpstreamBroke;
            }
        }
    };
    if let Some(buffer) = buffer {
        worker.buffers.give_back(buffer);
    }
    if out_framing == Out::Open
        && exchange.has_answered
        && matches!(relayed, Relayed::UpstreamBroke | Relayed::Cut)
    {
        client.stream.reset_when_dropped();
    }
    // Nothing of a head that was never sent counts.
    exchange.bytes_sent =
        exchange
            .bytes_sent
            .max(if exchange.has_answered { head_bytes } else { 0 });
    exchange.out = out;
    relayed
}

/// The upstream's side of an exchange.
pub(crate) struct Upstream<'a> {
    pub(crate) stream: &'a Stream,
    pub(crate) deadline: &'a Deadline,
    pub(crate) read_timeout: Duration,
    /// For logs: `address:port`.
    pub(crate) name: &'a std::net::SocketAddr,
}

/// Writes the response head for the client: the upstream's fields but those of its hop and of its framing, then the gateway's own
/// in the order of the reference. `Date` is the upstream's or none, as with nginx's `proxy_pass_header Date`, which the reference
/// sets (`t/node/remote-addr-ipv6.t`).
fn write_head(
    worker: &Worker,
    exchange: &Exchange,
    keeps_alive: bool,
    framing: Out,
    out: &mut Vec<u8>,
) {
    let response = &exchange.response;
    write_status_line(response.status(), response.reason(), out);
    let charset = charset_to_add(worker, exchange);
    let is_upgrade = response.status() == 101;
    response.headers.write(out, |field| match field.known() {
        Known::ContentType => charset.is_none(),
        Known::Upgrade => is_upgrade,
        Known::Connection
        | Known::KeepAlive
        | Known::ProxyConnection
        | Known::TransferEncoding
        | Known::ContentLength
        | Known::XAccel
        | Known::Te => false,
        // Plugins have seen the gateway's name, and may have changed it.
        Known::Server => exchange.is_filtered,
        _ => true,
    });
    if let Some((content_type, charset)) = charset {
        out.extend_from_slice(b"Content-Type: ");
        out.extend_from_slice(content_type);
        out.extend_from_slice(b"; charset=");
        out.extend_from_slice(charset.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    match framing {
        Out::Chunked => out.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
        Out::Open => {}
        Out::Plain => {
            // HEAD and 304 say how long the body would have been; where a body is expected and there is none, that is said.
            let is_empty = response.framing() == Framing::None
                && exchange.request.method() != Method::Head
                && !ResponseHead::forbids_body(response.status());
            let length = if is_empty {
                Some(0)
            } else {
                response.content_length()
            };
            if let Some(length) = length.filter(|_| !matches!(response.status(), 100..=199 | 204)) {
                out.extend_from_slice(b"Content-Length: ");
                write_decimal(length, out);
                out.extend_from_slice(b"\r\n");
            }
        }
    }
    out.extend_from_slice(match (is_upgrade, keeps_alive) {
        (true, _) => b"Connection: upgrade\r\n" as &[u8],
        (false, true) => b"Connection: keep-alive\r\n",
        (false, false) => b"Connection: close\r\n",
    });
    if !exchange.is_filtered {
        out.extend_from_slice(b"Server: ");
        out.extend_from_slice(worker.options().server.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    reply::write_upstream_status(worker, exchange, out);
    out.extend_from_slice(b"\r\n");
}

pub(crate) fn write_status_line(status: u16, reason: &[u8], out: &mut Vec<u8>) {
    if status == 200 && reason == b"OK" {
        out.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
        return;
    }
    let _infallible = write!(out, "HTTP/1.1 {status} ");
    out.extend_from_slice(if reason.is_empty() {
        reply::reason(status).as_bytes()
    } else {
        reason
    });
    out.extend_from_slice(b"\r\n");
}

/// The content type to write anew with a charset, as nginx's `charset` does for the types of `charset_types`.
pub(crate) fn charset_to_add<'a>(
    worker: &'a Worker,
    exchange: &'a Exchange,
) -> Option<(&'a [u8], &'a str)> {
    const TYPES: [&[u8]; 6] = [
        b"text/html",
        b"text/xml",
        b"text/plain",
        b"text/vnd.wap.wml",
        b"application/javascript",
        b"application/rss+xml",
    ];
    let charset = worker.options().charset.as_deref()?;
    let content_type = exchange.response.headers.get_known(Known::ContentType)?;
    let is_listed = TYPES
        .iter()
        .any(|listed| listed.eq_ignore_ascii_case(content_type));
    is_listed.then_some((content_type, charset))
}

/// Appends a number in decimal digits, without the machinery of formatting.
pub(crate) fn write_decimal(number: u64, out: &mut Vec<u8>) {
    if number >= 1000 {
        write_decimal(number / 1000, out);
        out.extend_from_slice(&three_digits(number));
        return;
    }
    // Byte by byte, which for so few takes less than a copy of memory.
    let [hundreds, tens, ones] = three_digits(number);
    if number >= 100 {
        out.push(hundreds);
    }
    if number >= 10 {
        out.push(tens);
    }
    out.push(ones);
}

/// The last three digits of a number.
pub(crate) fn three_digits(number: u64) -> [u8; 3] {
    let low = (number % 1000) as u32;
    [low / 100, low / 10 % 10, low % 10].map(|digit| b'0' + digit as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_decimal_numbers() {
        for number in [0, 9, 10, 99, 100, 999, 1_000, 12_005, 1_000_000, u64::MAX] {
            let mut out = Vec::new();
            write_decimal(number, &mut out);
            assert_eq!(out, number.to_string().into_bytes());
        }
    }
}
