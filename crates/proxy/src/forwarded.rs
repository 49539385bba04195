//! What forwarding fields say once it is known who may say it (`handle_trusted_x_forwarded_headers` in `apisix/init.lua`).
//!
//! A trusted peer's own fields stand, those of one name as a list; of anybody else the gateway says what it sees itself. What plugins make
//! of a field stands in any case, also where they take it away.

use std::borrow::Cow;

use lockgate_http::field::Known;

use crate::{
    client::Client,
    exchange::{Exchange, port_of},
    options::Options,
};

/// The client's own field, where its peer is trusted and it says anything; or what plugins have made of it, empty where they took it away.
fn told<'a>(client: &Client, exchange: &'a Exchange, known: Known) -> Option<Cow<'a, [u8]>> {
    let headers = &exchange.request.headers;
    let is_edited = headers.is_edited(known);
    if !is_edited && !client.is_trusted {
        return None;
    }
    let fields = headers.kept().filter(|field| field.known() == known);
    let mut values = fields.map(|field| headers.value_of(field));
    let first = Cow::Borrowed(values.next().unwrap_or_default());
    let list = values.fold(first, |mut list, value| {
        list.to_mut().extend_from_slice(b", ");
        list.to_mut().extend_from_slice(value);
        list
    });
    Some(list).filter(|list| is_edited || !list.is_empty())
}

/// `X-Forwarded-Proto`; empty where there is none.
pub(crate) fn proto<'a>(client: &Client, exchange: &'a Exchange) -> Cow<'a, [u8]> {
    let told = told(client, exchange, Known::XForwardedProto);
    told.unwrap_or(Cow::Borrowed(b"http"))
}

/// `X-Forwarded-Host`; empty where there is none.
pub(crate) fn host<'a>(client: &Client, exchange: &'a Exchange) -> Cow<'a, [u8]> {
    let told = told(client, exchange, Known::XForwardedHost);
    told.unwrap_or(Cow::Borrowed(exchange.request.authority()))
}

/// `X-Forwarded-Port`, empty where there is none; `None` where it is the port that accepted the connection.
pub(crate) fn port<'a>(client: &Client, exchange: &'a Exchange) -> Option<Cow<'a, [u8]>> {
    let told = told(client, exchange, Known::XForwardedPort);
    told.or(port_of(exchange.request.authority()).map(Cow::Borrowed))
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
    exchange.request.headers.record_edits();
    exchange.is_cleaned = true;
}
