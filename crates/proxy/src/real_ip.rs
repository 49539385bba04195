//! Who the client is, where a trusted proxy stands between (nginx's `ngx_http_realip_module`).

use std::net::IpAddr;

use lockgate_http::field::tokens;
use smallvec::SmallVec;

use crate::{client::Client, exchange::Exchange, options::Options};

/// Value of `real_ip_header` for the client that the PROXY protocol names.
const PROXY_PROTOCOL: &[u8] = b"proxy_protocol";

/// Sets the exchange's client address: what a trusted peer says, else the peer.
#[inline]
pub(crate) fn find(options: &Options, client: &Client, exchange: &mut Exchange) {
    let told = if client.is_real_ip_source {
        told(options, client, exchange)
    } else {
        None
    };
    let (address, port) = told.unwrap_or((client.peer.ip(), client.peer.port()));
    exchange.remote = Some(address);
    exchange.remote_port = port;
}

/// Address and port; the port is 0 where none is told.
fn told(options: &Options, client: &Client, exchange: &Exchange) -> Option<(IpAddr, u16)> {
    let name = options.real_ip_header.as_bytes();
    if name == PROXY_PROTOCOL {
        let source = client.proxied?.source;
        return Some((source.ip().to_canonical(), source.port()));
    }
    let mut lists = exchange
        .request
        .headers
        .get_all(name)
        .collect::<SmallVec<[_; 4]>>();
    if name != b"x-forwarded-for" {
        // Of any other field nginx takes the first line.
        lists.truncate(1);
    }
    // The nearest proxy wrote the last address. One that cannot be read ends what can be known.
    let mut addresses = lists
        .into_iter()
        .rev()
        .flat_map(|list| tokens(list).collect::<SmallVec<[_; 8]>>().into_iter().rev())
        .map_while(parse);
    let mut found = addresses.next()?;
    let is_known = |address: &IpAddr| {
        options
            .real_ip_from
            .iter()
            .any(|network| network.contains(address))
    };
    while options.real_ip_recursive && is_known(&found.0) {
        match addresses.next() {
            Some(next) => found = next,
            None => break,
        }
    }
    Some(found)
}

/// An address with or without a port.
fn parse(text: &[u8]) -> Option<(IpAddr, u16)> {
    let text = std::str::from_utf8(text).ok()?;
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(text);
    let address = bare.parse::<IpAddr>().ok().map(|address| (address, 0));
    let (address, port) = address.or_else(|| {
        let address = text.parse::<std::net::SocketAddr>().ok()?;
        Some((address.ip(), address.port()))
    })?;
    // As the peer's own address: lists of IPv4 networks are to match however a proxy writes it.
    Some((address.to_canonical(), port))
}
