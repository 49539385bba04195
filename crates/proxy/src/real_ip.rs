//! Who the client is, where a trusted proxy stands between (nginx's `ngx_http_realip_module`).

use std::net::IpAddr;

use lockgate_http::field::tokens;
use smallvec::SmallVec;

use crate::{client::Client, exchange::Exchange, options::Options};

/// Sets the exchange's client address: what a trusted peer says, else the peer.
#[inline]
pub(crate) fn find(options: &Options, client: &Client, exchange: &mut Exchange) {
    let peer = client.peer.ip();
    exchange.remote = Some(if client.is_real_ip_source {
        told(options, exchange).unwrap_or(peer)
    } else {
        peer
    });
}

fn told(options: &Options, exchange: &Exchange) -> Option<IpAddr> {
    let name = options.real_ip_header.as_bytes();
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
    while options.real_ip_recursive && is_known(&found) {
        match addresses.next() {
            Some(next) => found = next,
            None => break,
        }
    }
    Some(found)
}

/// An address with or without a port.
fn parse(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?;
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(text);
    bare.parse().ok().or_else(|| {
        text.parse::<std::net::SocketAddr>()
            .ok()
            .map(|address| address.ip())
    })
}
