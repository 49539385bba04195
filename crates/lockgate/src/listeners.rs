//! Binds what is not the workers' own, and says why something cannot be bound.

use std::{
    io,
    net::{Ipv6Addr, SocketAddr},
};

use anyhow::{Context as _, anyhow};
use lockgate_model::boot::{HttpListener, Listeners};
use lockgate_net::listen::{self, ListenError, Sockets};
use lockgate_proxy::StartError;
use tokio::net::TcpListener;

/// Binds the address of an API; `option` is where it comes from.
pub(crate) fn bind(
    sockets: &mut Sockets,
    address: Option<SocketAddr>,
    option: &str,
) -> anyhow::Result<Option<TcpListener>> {
    let Some(address) = address else {
        return Ok(None);
    };
    let listener = sockets.alone(address);
    let listener = listener.map_err(|error| explain(&error, option))?;
    let listener = listen::register(listener)
        .with_context(|| format!("cannot watch the listener on {address}"))?;
    Ok(Some(listener))
}

/// Why the workers cannot start.
pub(crate) fn explain_start(error: StartError, bound: &Listeners) -> anyhow::Error {
    match error {
        StartError::Listen(error) => {
            let is_proxied = bound
                .proxy_protocol
                .iter()
                .any(|listener| listener.address == error.address);
            let option = if is_proxied {
                "apisix.proxy_protocol.listen_http_port"
            } else {
                "apisix.node_listen"
            };
            explain(&error, option)
        }
        error @ StartError::Thread(_) => anyhow!(error),
    }
}

/// Why an address cannot be listened on, and which option to change.
fn explain(error: &ListenError, option: &str) -> anyhow::Error {
    let reason = match error.source.kind() {
        io::ErrorKind::AddrInUse => "another process listens there".to_owned(),
        io::ErrorKind::PermissionDenied => {
            "ports below 1024 take root or CAP_NET_BIND_SERVICE".to_owned()
        }
        io::ErrorKind::AddrNotAvailable => "this machine has no such address".to_owned(),
        _ => error.source.to_string(),
    };
    anyhow!("{error} ({option}): {reason}")
}

/// The addresses of the proxy, without those of IPv6 that nobody asked for by name where the machine has no IPv6.
pub(crate) fn reachable(listeners: &[HttpListener]) -> Vec<SocketAddr> {
    let has_ipv6 = listen::check_free((Ipv6Addr::UNSPECIFIED, 0).into()).is_ok();
    if !has_ipv6 && listeners.iter().any(|listener| listener.is_implied) {
        tracing::warn!("this machine has no IPv6: apisix.enable_ipv6 has no effect");
    }
    let usable = listeners
        .iter()
        .filter(|listener| has_ipv6 || !listener.is_implied);
    usable.map(|listener| listener.address).collect()
}

/// Addresses for a line of the log.
pub(crate) fn names(addresses: impl IntoIterator<Item = SocketAddr>) -> String {
    let names: Vec<_> = addresses
        .into_iter()
        .map(|address| address.to_string())
        .collect();
    if names.is_empty() {
        "off".to_owned()
    } else {
        names.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_which_option_names_a_taken_address() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("free port");
        let address = taken.local_addr().expect("bound");
        let error = listen::check_free(address).expect_err("taken");
        assert_eq!(
            explain(&error, "apisix.control").to_string(),
            format!("cannot listen on {address} (apisix.control): another process listens there")
        );
        let error =
            listen::check_free(([192, 0, 2, 1], 0).into()).expect_err("not of this machine");
        let text = explain(&error, "apisix.control").to_string();
        assert!(
            text.ends_with("(apisix.control): this machine has no such address"),
            "{text}"
        );
    }

    #[test]
    fn names_what_is_off() {
        assert_eq!(names(None), "off");
        assert_eq!(
            names([([127, 0, 0, 1], 1).into(), ([127, 0, 0, 1], 2).into()]),
            "127.0.0.1:1 127.0.0.1:2"
        );
    }
}
