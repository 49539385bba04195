//! What forwarding fields say once it is known who may say it (`handle_trusted_x_forwarded_headers` in `apisix/init.lua`).
//!
//! A trusted peer's own fields stand, the first of each name; of anybody else the gateway says what it sees itself.

use lockgate_http::field::Known;

use crate::{
    client::Client,
    exchange::{Exchange, port_of},
    options::Options,
};

/// The client's own field, where its peer is trusted and it says anything.
fn told<'a>(client: &Client, exchange: &'a Exchange, known: Known) -> Option<&'a [u8]> {
    if !client.is_trusted && !exchange.is_cleaned {
        return None;
    }
    exchange
        .request
        .headers
        .get_known(known)
        .filter(|value| !value.is_empty())
}

/// `X-Forwarded-Proto`
pub(crate) fn proto<'a>(client: &Client, exchange: &'a Exchange) -> &'a [u8] {
    told(client, exchange, Known::XForwardedProto).unwrap_or(b"http")
}

/// `X-Forwarded-Host`; empty where there is none.
pub(crate) fn host<'a>(client: &Client, exchange: &'a Exchange) -> &'a [u8] {
    told(client, exchange, Known::XForwardedHost).unwrap_or(exchange.request.authority())
}

/// `X-Forwarded-Port`; `None` where it is the port that accepted the connection.
pub(crate) fn port<'a>(client: &Client, exchange: &'a Exchange) -> Option<&'a [u8]> {
    told(client, exchange, Known::XForwardedPort).or(port_of(exchange.request.authority()))
}

/// Whether the client's own `X-Forwarded-For` goes further: with a trust boundary, what a stranger says about itself does not.
pub(crate) fn keeps_for(options: &Options, client: &Client) -> bool {
    options.trusted_addresses.is_empty() || client.is_trusted
}

/// Takes away what a stranger says of forwarding, before plugins run: what they say of it goes on.
pub(crate) fn clean(options: &Options, client: &Client, exchange: &mut Exchange) {
    if !client.is_trusted {
        let keeps_for = keeps_for(options, client);
        exchange
            .request
            .headers
            .drop_where(|field| match field.known() {
                Known::XForwardedProto
                | Known::XForwardedHost
                | Known::XForwardedPort
                | Known::Forwarded => true,
                Known::XForwardedFor => !keeps_for,
                _ => false,
            });
    }
    exchange.is_cleaned = true;
}
