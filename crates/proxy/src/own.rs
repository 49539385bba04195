//! Answers of the gateway's own that plugins made, or look at: their heads are put together as an upstream's would be.

use lockgate_http::{
    body::write_chunk_size, field::Known, head::Version, headers::Headers, request::Method,
    response::ResponseHead,
};
use lockgate_plugin::{BodyFilter, BodyStream, Filtered};

use crate::{
    client::After,
    exchange::{Answer, Exchange},
    io::{while_there, write_all},
    phases, reply,
    respond::{self, write_decimal, write_status_line},
    scene::Scene,
    upload::Upload,
};

/// What such an answer consists of.
pub(crate) struct Reply<'a> {
    pub(crate) status: u16,
    pub(crate) headers: Option<&'a Headers>,
    /// Where `headers` name none, and there is a body.
    pub(crate) content_type: &'static str,
    pub(crate) body: Body<'a>,
}

/// Its body.
pub(crate) enum Body<'a> {
    Bytes(&'a [u8]),
    Stream(Box<dyn BodyStream>),
}

/// The client is gone, or must not take what it got for the whole.
struct Cut;

/// Whether plugins have a say in the head of an answer of the gateway's own.
#[inline]
pub(crate) fn is_edited(scene: &Scene<'_>, exchange: &Exchange) -> bool {
    scene.filters_head()
        || scene.logs()
        || exchange.plugins.is_traced
        || exchange.plugins.fields.iter().next().is_some()
}

/// Sends an answer: plugins see its head, and its body where they ask.
pub(crate) async fn send(
    scene: &Scene<'_>,
    exchange: &mut Exchange,
    reply: Reply<'_>,
    after: After,
) -> After {
    let Scene { worker, client, .. } = *scene;
    let (length, is_streamed) = match &reply.body {
        Body::Bytes(bytes) => (bytes.len() as u64, false),
        Body::Stream(_) => (0, true),
    };
    let is_chunked = is_streamed && exchange.request.version() == Version::Http11;
    let after = match after {
        // The end of the connection ends the body.
        After::Keep if is_streamed && !is_chunked => After::Close,
        _ => after,
    };
    let after = reply::fit(worker, exchange, after);
    exchange.response.begin(reply.status, length);
    exchange.answer = Answer::Own;
    respond::add_fields(exchange);
    let headers = &mut exchange.response.headers;
    for (name, value) in reply.headers.into_iter().flat_map(Headers::iter) {
        headers.append(name, value);
    }
    if (length > 0 || is_streamed) && headers.get_known(Known::ContentType).is_none() {
        headers.append(b"Content-Type", reply.content_type.as_bytes());
    }
    if scene.filters_head() || exchange.plugins.is_traced {
        phases::filter_head(scene, exchange);
    }
    let mut filters = std::mem::take(&mut exchange.plugins.filters);
    let mut filtered = Vec::new();
    let body = match reply.body {
        Body::Bytes(bytes) if filters.is_empty() => Body::Bytes(bytes),
        Body::Bytes(bytes) => {
            let passed =
                phases::filter_body(scene, exchange, &mut filters, bytes, true, &mut filtered);
            if passed == Filtered::Abort {
                return After::Drop;
            }
            Body::Bytes(&filtered)
        }
        stream @ Body::Stream(_) => stream,
    };
    let is_silent = exchange.request.method() == Method::Head
        || ResponseHead::forbids_body(exchange.response.status());
    exchange.status = exchange.response.status();
    let mut out = std::mem::take(&mut exchange.out);
    out.clear();
    let keeps_alive = after == After::Keep;
    write_head(scene, exchange, &body, is_chunked, keeps_alive, &mut out);
    exchange.has_answered = true;
    let sent = match body {
        Body::Bytes(bytes) => {
            let bytes = if is_silent { &[][..] } else { bytes };
            exchange.body_bytes_sent += bytes.len() as u64;
            write(scene, exchange, &[&out, bytes]).await
        }
        Body::Stream(mut stream) => {
            let mut sent = write(scene, exchange, &[&out]).await;
            if sent.is_ok() && !is_silent {
                let pass = Pass {
                    scene,
                    is_chunked,
                    filters: &mut filters,
                };
                sent = pass.run(exchange, stream.as_mut()).await;
            }
            phases::ended(scene, exchange, stream.as_mut());
            sent
        }
    };
    exchange.out = out;
    if sent.is_err() {
        if is_streamed && !is_chunked {
            client.stream.reset_when_dropped();
        }
        return After::Drop;
    }
    // The client has its answer and need not wait until the body is gone.
    if after == After::Keep && !Upload::read_away(worker, client, exchange).await {
        return After::Linger;
    }
    after
}

/// Passes a streamed body on.
struct Pass<'a> {
    scene: &'a Scene<'a>,
    is_chunked: bool,
    filters: &'a mut [Box<dyn BodyFilter>],
}

impl Pass<'_> {
    async fn run(self, exchange: &mut Exchange, stream: &mut dyn BodyStream) -> Result<(), Cut> {
        let mut size = Vec::new();
        let mut filtered = Vec::new();
        let mut passed = Filtered::More;
        while passed == Filtered::More {
            let next = while_there(&self.scene.client.stream, stream.next()).await;
            let piece = match next {
                None => {
                    tracing::info!(client = %self.scene.client.peer, "client closed the connection during the response");
                    return Err(Cut);
                }
                Some(Ok(piece)) => piece,
                Some(Err(error)) => {
                    tracing::error!(%error, "an answer cannot be finished: the client's connection is cut");
                    return Err(Cut);
                }
            };
            let is_last = piece.is_none();
            let piece = piece.unwrap_or_default();
            let bytes: &[u8] = if self.filters.is_empty() {
                if is_last {
                    passed = Filtered::End;
                }
                &piece
            } else {
                filtered.clear();
                passed = phases::filter_body(
                    self.scene,
                    exchange,
                    self.filters,
                    &piece,
                    is_last,
                    &mut filtered,
                );
                &filtered
            };
            if passed == Filtered::Abort {
                return Err(Cut);
            }
            if bytes.is_empty() {
                continue;
            }
            exchange.body_bytes_sent += bytes.len() as u64;
            size.clear();
            let tail: &[u8] = if self.is_chunked {
                write_chunk_size(&mut size, bytes.len());
                b"\r\n"
            } else {
                b""
            };
            write(self.scene, exchange, &[&size, bytes, tail]).await?;
            // Making a piece may take a while: others have their turn between two.
            tokio::task::yield_now().await;
        }
        if self.is_chunked {
            write(self.scene, exchange, &[b"0\r\n\r\n"]).await?;
        }
        Ok(())
    }
}

async fn write(scene: &Scene<'_>, exchange: &mut Exchange, parts: &[&[u8]]) -> Result<(), Cut> {
    let Scene { worker, client, .. } = *scene;
    let limit = worker.options().send_timeout;
    let sent = write_all(&client.stream, &client.deadline, limit, parts).await;
    exchange.bytes_sent += parts.iter().map(|part| part.len() as u64).sum::<u64>();
    sent.map_err(|_gone| Cut)
}

fn write_head(
    scene: &Scene<'_>,
    exchange: &Exchange,
    body: &Body<'_>,
    is_chunked: bool,
    keeps_alive: bool,
    out: &mut Vec<u8>,
) {
    let worker = scene.worker;
    let response = &exchange.response;
    write_status_line(response.status(), b"", out);
    let mut has_date = false;
    response.headers.write(out, |field| match field.known() {
        Known::Date => {
            has_date = true;
            true
        }
        Known::Server => exchange.is_filtered,
        Known::Connection
        | Known::KeepAlive
        | Known::ProxyConnection
        | Known::TransferEncoding
        | Known::ContentLength
        | Known::Upgrade
        | Known::Te => false,
        _ => true,
    });
    if !has_date {
        worker
            .date
            .write(worker.clock.unix(worker.clock.recent()), out);
    }
    match body {
        _ if ResponseHead::forbids_body(response.status()) => {}
        Body::Bytes(bytes) => {
            out.extend_from_slice(b"Content-Length: ");
            write_decimal(bytes.len() as u64, out);
            out.extend_from_slice(b"\r\n");
        }
        Body::Stream(_) if is_chunked => {
            out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
        }
        Body::Stream(_) => {}
    }
    out.extend_from_slice(if keeps_alive {
        b"Connection: keep-alive\r\n" as &[u8]
    } else {
        b"Connection: close\r\n"
    });
    if !exchange.is_filtered {
        out.extend_from_slice(b"Server: ");
        out.extend_from_slice(worker.options().server.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    reply::write_upstream_status(worker, exchange, out);
    reply::write_reason(worker, exchange, out);
    out.extend_from_slice(b"\r\n");
}
