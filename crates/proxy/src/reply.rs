//! Answers the gateway makes itself: nginx's pages, and JSON as the reference's `core.response.exit`.

use std::io::Write as _;

use crate::{
    client::{After, Client},
    exchange::{Exchange, Own},
    io::write_all,
    own,
    reason::Reason,
    respond::write_decimal,
    scene::Scene,
    upload::Upload,
    worker::Worker,
};

/// What an own answer consists of.
pub(crate) struct Reply<'a> {
    pub(crate) status: u16,
    pub(crate) content_type: &'static str,
    pub(crate) body: &'a [u8],
}

/// nginx's own status for a request head that is too large; the client sees 400, and a page that says more.
pub(crate) const HEADER_TOO_LARGE: u16 = 494;

/// Answers with the page nginx makes for a status.
pub(crate) async fn page(
    scene: &Scene<'_>,
    exchange: &mut Exchange,
    status: u16,
    reason: Reason,
    after: After,
) -> After {
    let body = page_text(status);
    let status = if status == HEADER_TOO_LARGE {
        400
    } else {
        status
    };
    let content_type = "text/html; charset=utf-8";
    send(
        scene,
        exchange,
        &Reply {
            status,
            content_type,
            body: body.as_bytes(),
        },
        reason,
        after,
    )
    .await
}

/// Sends an answer. `after` is what the caller wants; it becomes worse where the request or the socket demand it.
pub(crate) async fn send(
    scene: &Scene<'_>,
    exchange: &mut Exchange,
    reply: &Reply<'_>,
    reason: Reason,
    after: After,
) -> After {
    let Scene { worker, client, .. } = *scene;
    if own::is_edited(scene, exchange) {
        let own = own::Reply {
            status: reply.status,
            headers: None,
            content_type: reply.content_type,
            body: own::Body::Bytes(reply.body),
        };
        note(client, exchange, reason, reply.status);
        return Box::pin(own::send(scene, exchange, own, after)).await;
    }
    let after = fit(worker, exchange, after);
    note(client, exchange, reason, reply.status);
    let mut out = std::mem::take(&mut exchange.out);
    out.clear();
    write_head(worker, exchange, reply, after == After::Keep, &mut out);
    let is_head = exchange.request.method() == lockgate_http::request::Method::Head;
    let body = if is_head { &[][..] } else { reply.body };
    exchange.has_answered = true;
    exchange.own = Some(Own {
        content_type: reply.content_type,
        length: reply.body.len(),
    });
    let sent = write_all(
        &client.stream,
        &client.deadline,
        worker.options().send_timeout,
        &[&out, body],
    )
    .await;
    exchange.bytes_sent += (out.len() + body.len()) as u64;
    exchange.body_bytes_sent += body.len() as u64;
    exchange.out = out;
    if sent.is_err() {
        return After::Drop;
    }
    // The client has its answer and need not wait until the body is gone.
    if after == After::Keep && !Upload::read_away(worker, client, exchange).await {
        return After::Linger;
    }
    after
}

/// What becomes of the connection, where the request or the drain demand worse than what the caller wants.
pub(crate) fn fit(worker: &Worker, exchange: &Exchange, after: After) -> After {
    let after = match after {
        After::Keep if !exchange.request.keeps_alive() || worker.is_draining() => After::Close,
        other => other,
    };
    let expects_continue = exchange.request.expects_continue();
    match after {
        After::Keep if !exchange.upload.is_worth_reading(expects_continue) => After::Linger,
        After::Close if !exchange.upload.is_read() => After::Linger,
        other => other,
    }
}

/// Sends the answer of a plugin.
pub(crate) async fn plugins(
    scene: &Scene<'_>,
    exchange: &mut Exchange,
    reply: lockgate_plugin::Reply,
) -> After {
    let status = if (200..=599).contains(&reply.status) {
        reply.status
    } else {
        tracing::error!(
            plugin = reply.by,
            status = reply.status,
            "a plugin answered with what is no final status"
        );
        500
    };
    let page;
    let mut content_type = "text/plain; charset=utf-8";
    let body = match reply.body {
        lockgate_plugin::Body::Page if status < 300 => own::Body::Bytes(&[]),
        lockgate_plugin::Body::Page => {
            page = page_text(status);
            content_type = "text/html; charset=utf-8";
            own::Body::Bytes(page.as_bytes())
        }
        lockgate_plugin::Body::Bytes(ref bytes) => own::Body::Bytes(bytes),
        lockgate_plugin::Body::Stream(stream) => own::Body::Stream(stream),
        body => {
            tracing::error!(
                plugin = reply.by,
                ?body,
                "an answer of a kind that is not known"
            );
            own::Body::Bytes(&[])
        }
    };
    note(scene.client, exchange, Reason::Plugin(reply.by), status);
    let own = own::Reply {
        status,
        headers: Some(&reply.headers),
        content_type,
        body,
    };
    Box::pin(own::send(scene, exchange, own, After::Keep)).await
}

/// Notes a status of the gateway's own and the reason for it. What is not the client's fault has been logged by who met it, with
/// more facts.
pub(crate) fn note(client: &Client, exchange: &mut Exchange, reason: Reason, status: u16) {
    exchange.status = status;
    exchange.reason = Some(reason);
    if reason.is_clients() {
        tracing::info!(client = %client.peer, status, %reason, "refused a request");
    }
}

fn write_head(
    worker: &Worker,
    exchange: &Exchange,
    reply: &Reply<'_>,
    keeps_alive: bool,
    out: &mut Vec<u8>,
) {
    let _infallible = write!(
        out,
        "HTTP/1.1 {} {}\r\n",
        reply.status,
        reason(reply.status)
    );
    let now = worker.clock.recent();
    worker.date.write(worker.clock.unix(now), out);
    let _infallible = write!(
        out,
        "Content-Type: {}\r\nContent-Length: {}\r\nConnection: {}\r\nServer: {}\r\n",
        reply.content_type,
        reply.body.len(),
        if keeps_alive { "keep-alive" } else { "close" },
        worker.options().server,
    );
    write_upstream_status(worker, exchange, out);
    write_reason(worker, exchange, out);
    out.extend_from_slice(b"\r\n");
}

/// Why the gateway answers itself, where that is to be told.
pub(crate) fn write_reason(worker: &Worker, exchange: &Exchange, out: &mut Vec<u8>) {
    if worker.options().reason_header
        && let Some(reason) = exchange.reason
    {
        let _infallible = write!(out, "X-Lockgate-Reason: {reason}\r\n");
    }
}

/// The reference's `X-APISIX-Upstream-Status`: the statuses of all attempts, where the last is a server's error or the
/// option asks for them always (`set_resp_upstream_status` in `apisix/init.lua`).
pub(crate) fn write_upstream_status(worker: &Worker, exchange: &Exchange, out: &mut Vec<u8>) {
    let Some(last) = exchange.attempts.last() else {
        return;
    };
    if !worker.options().show_upstream_status && last.status < 500 {
        return;
    }
    out.extend_from_slice(b"X-APISIX-Upstream-Status: ");
    for (place, attempt) in exchange.attempts.iter().enumerate() {
        if place > 0 {
            out.extend_from_slice(b", ");
        }
        match attempt.status {
            0 => out.push(b'-'),
            status => write_decimal(u64::from(status), out),
        }
    }
    out.extend_from_slice(b"\r\n");
}

/// nginx's page for a status, with the reference's footer (`t/error_page`).
fn page_text(status: u16) -> String {
    const TOO_LARGE: &str = "Request Header Or Cookie Too Large";
    let (title, heading, more) = if status == HEADER_TOO_LARGE {
        (
            format!("400 {TOO_LARGE}"),
            title(400),
            format!("<center>{TOO_LARGE}</center>\r\n"),
        )
    } else {
        (title(status), title(status), String::new())
    };
    format!(
        "<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{heading}</h1></center>\r\n{more}\
         <hr><center>openresty</center>\r\n\
         <p><em>Powered by <a href=\"https://apisix.apache.org/\">APISIX</a>.</em></p></body>\r\n</html>\r\n"
    )
}

/// Status and words of nginx's page (`ngx_http_special_response.c`).
fn title(status: u16) -> String {
    let words = match status {
        503 => "Service Temporarily Unavailable",
        504 => "Gateway Time-out",
        408 => "Request Time-out",
        413 => "Request Entity Too Large",
        414 => "Request-URI Too Large",
        405 => "Not Allowed",
        other => reason(other),
    };
    format!("{status} {words}")
}

/// Reason phrase of a status, as nginx's status lines have them (`ngx_http_header_filter_module.c`).
pub(crate) fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        301 => "Moved Permanently",
        302 => "Moved Temporarily",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Not Allowed",
        406 => "Not Acceptable",
        408 => "Request Time-out",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Request Entity Too Large",
        414 => "Request-URI Too Large",
        415 => "Unsupported Media Type",
        416 => "Requested Range Not Satisfiable",
        421 => "Misdirected Request",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Temporarily Unavailable",
        504 => "Gateway Time-out",
        505 => "HTTP Version Not Supported",
        507 => "Insufficient Storage",
        _ => "Unknown",
    }
}
