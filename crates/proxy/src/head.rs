//! The request head as an upstream node gets it.

use std::io::Write as _;

use lockgate_http::{field::Known, head::Framing};
use lockgate_upstream::{Node, PassHost, Upstream};
use rustls_pki_types::ServerName;

use crate::{
    client::Client,
    exchange::{Exchange, host_of},
    forwarded,
    respond::write_decimal,
    worker::Worker,
};

/// Name asked for in a TLS handshake, and what it adds to the key of kept connections.
pub(crate) struct TlsIdentity {
    pub(crate) name: ServerName<'static>,
    pub(crate) key: u64,
}

/// Whom the TLS handshake with a node is meant for: the host that the request names (`proxy_ssl_name $upstream_host`).
pub(crate) fn tls_identity(
    exchange: &Exchange,
    upstream: &Upstream,
    node: &Node,
) -> Option<TlsIdentity> {
    upstream.tls()?;
    let host = host_of(host_field(exchange, upstream, node)).to_ascii_lowercase();
    let key = lockgate_upstream::hash_of(host.as_slice());
    let text = std::str::from_utf8(&host).unwrap_or_default();
    let name =
        lockgate_net::tls::server_name(text).unwrap_or_else(|| ServerName::from(node.address.ip()));
    Some(TlsIdentity { name, key })
}

/// The Host that the node sees (`pass_host`).
fn host_field<'a>(exchange: &'a Exchange, upstream: &'a Upstream, node: &'a Node) -> &'a [u8] {
    if let Some(host) = &exchange.plugins.outgoing.host {
        return host;
    }
    match upstream.pass_host() {
        // HTTP/1.0 may come without a Host, HTTP/1.1 may not go without.
        PassHost::Pass if exchange.request.authority().is_empty() => node.host_header.as_bytes(),
        PassHost::Pass => exchange.request.authority(),
        PassHost::Node => node.host_header.as_bytes(),
        PassHost::Rewrite => upstream.upstream_host().as_bytes(),
    }
}

/// Writes the request head for a node: the client's fields but those of its hop, of framing and of forwarding, which are
/// written anew.
///
/// Rules of forwarding: features of the reference's `ngx_tpl.lua` and `handle_trusted_x_forwarded_headers`.
pub(crate) fn write_request(
    worker: &Worker,
    client: &Client,
    exchange: &Exchange,
    upstream: &Upstream,
    node: &Node,
    is_upgrade: bool,
    out: &mut Vec<u8>,
) {
    let request = &exchange.request;
    let outgoing = &exchange.plugins.outgoing;
    out.extend_from_slice(exchange.method());
    out.push(b' ');
    let target = match (&outgoing.uri, &outgoing.query) {
        (Some(uri), _) => uri,
        (None, None) => request.path_and_query(),
        (None, Some(_)) => request.raw_path(),
    };
    if target.first() != Some(&b'/') {
        out.push(b'/');
    }
    out.extend_from_slice(target);
    if let (None, Some(query)) = (&outgoing.uri, &outgoing.query)
        && !query.is_empty()
    {
        out.push(b'?');
        out.extend_from_slice(query);
    }
    out.extend_from_slice(b" HTTP/1.1\r\nHost: ");
    out.extend_from_slice(host_field(exchange, upstream, node));
    out.extend_from_slice(b"\r\n");

    let framing = exchange.upload.framing(request.framing());
    let is_chunked = framing == Framing::Chunked;
    request.headers.write(out, |field| match field.known() {
        Known::Other | Known::ContentType | Known::Date | Known::Server | Known::XAccel => true,
        Known::Forwarded => client.is_trusted || exchange.is_cleaned,
        Known::Trailer => is_chunked,
        Known::Upgrade => is_upgrade,
        Known::Host
        | Known::Connection
        | Known::KeepAlive
        | Known::ProxyConnection
        | Known::Te
        | Known::TransferEncoding
        | Known::ContentLength
        | Known::Expect
        | Known::XRealIp
        | Known::XForwardedFor
        | Known::XForwardedProto
        | Known::XForwardedHost
        | Known::XForwardedPort => false,
    });

    write_client(worker, client, exchange, out);
    let mut write = |name: &[u8], value: &[u8]| {
        if !value.is_empty() {
            out.extend_from_slice(name);
            out.extend_from_slice(value);
        }
    };
    write(
        b"\r\nX-Forwarded-Proto: ",
        &forwarded::proto(client, exchange),
    );
    write(
        b"\r\nX-Forwarded-Host: ",
        &forwarded::host(client, exchange),
    );
    if let Some(port) = forwarded::port(client, exchange) {
        write(b"\r\nX-Forwarded-Port: ", &port);
    } else {
        out.extend_from_slice(b"\r\nX-Forwarded-Port: ");
        write_decimal(u64::from(client.local.port()), out);
    }
    match framing {
        Framing::Length(length) => {
            out.extend_from_slice(b"\r\nContent-Length: ");
            write_decimal(length, out);
        }
        Framing::Chunked => out.extend_from_slice(b"\r\nTransfer-Encoding: chunked"),
        Framing::None | Framing::UntilClose => {}
    }
    if is_upgrade {
        out.extend_from_slice(b"\r\nConnection: upgrade");
    }
    out.extend_from_slice(b"\r\n\r\n");
}

/// Writes who the client is: `X-Real-IP`, and `X-Forwarded-For`. No line end behind.
fn write_client(worker: &Worker, client: &Client, exchange: &Exchange, out: &mut Vec<u8>) {
    out.extend_from_slice(b"X-Real-IP: ");
    write_address(client, exchange, out);
    out.extend_from_slice(b"\r\nX-Forwarded-For: ");
    write_forwarded_for(worker, client, exchange, out);
}

/// The client's address.
fn write_address(client: &Client, exchange: &Exchange, out: &mut Vec<u8>) {
    let peer = client.peer.ip();
    let remote = exchange.remote.unwrap_or(peer);
    if remote == peer {
        out.extend_from_slice(client.address.as_bytes());
    } else {
        let _infallible = write!(out, "{remote}");
    }
}

/// The value of `X-Forwarded-For`: the client's own list with its address behind.
pub(crate) fn write_forwarded_for(
    worker: &Worker,
    client: &Client,
    exchange: &Exchange,
    out: &mut Vec<u8>,
) {
    if exchange.is_cleaned || forwarded::keeps_for(worker.options(), client) {
        for value in exchange
            .request
            .headers
            .kept()
            .filter(|field| field.known() == Known::XForwardedFor)
        {
            out.extend_from_slice(exchange.request.headers.value_of(value));
            out.extend_from_slice(b", ");
        }
    }
    write_address(client, exchange, out);
}
