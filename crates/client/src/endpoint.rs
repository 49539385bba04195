//! Addresses of servers in configurations, read in one place.

use std::net::Ipv6Addr;

use http::Uri;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use thiserror::Error;

use crate::server::Server;

/// What a request line cannot have; the rest of a target is sent as it was written.
const NOT_IN_A_TARGET: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'<').add(b'>').add(b'`');

/// An absolute `http` or `https` address, taken apart as lua-resty-http's `parse_uri` does; a fragment is left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    uri: Uri,
    server: Server,
}

/// An address that cannot be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum EndpointError {
    /// It does not begin with `http://` or `https://`.
    #[error("the address is no http or https URL")]
    Scheme,
    /// It has a user, and perhaps a password, in front of the host. The reference takes them for the host's name, which fails
    /// when it connects.
    #[error("the address has a user in front of its host")]
    UserInfo,
    /// There is no host, or it is none.
    #[error("the address has no host that could be asked")]
    Host,
    /// What follows the host is no port.
    #[error("the address has no port from 1 to 65535 behind the colon")]
    Port,
}

impl Endpoint {
    /// Reads an address; one with a user in front of its host is refused.
    ///
    /// # Errors
    /// See [`EndpointError`].
    pub fn parse(address: &str) -> Result<Self, EndpointError> {
        let parts = Parts::of(address)?;
        if parts.authority.contains('@') {
            return Err(EndpointError::UserInfo);
        }
        parts.endpoint()
    }

    /// Reads an address and passes over a user in front of its host, as plugins of the reference do that use `net.url`.
    ///
    /// # Errors
    /// See [`EndpointError`].
    pub fn parse_past_user(address: &str) -> Result<Self, EndpointError> {
        let mut parts = Parts::of(address)?;
        if let Some((_user, host)) = parts.authority.rsplit_once('@') {
            parts.authority = host;
        }
        parts.endpoint()
    }

    /// The whole address, for requests: without user and fragment, with a path, and the port where it is not the scheme's.
    pub fn uri(&self) -> &Uri {
        &self.uri
    }

    /// Whether the scheme is `https`.
    pub fn is_tls(&self) -> bool {
        self.server.is_tls
    }

    /// The host in lower case, an IPv6 address in brackets.
    pub fn host(&self) -> &str {
        &self.server.host
    }

    /// The port; the scheme's where none was written.
    pub fn port(&self) -> u16 {
        self.server.port
    }

    /// The path, at least `/`.
    pub fn path(&self) -> &str {
        self.uri.path()
    }

    /// The query without its question mark.
    pub fn query(&self) -> Option<&str> {
        self.uri.query()
    }

    /// The host as it stands in a `Host` header: with the port where it is not the scheme's.
    pub fn host_header(&self) -> String {
        self.server.host_header()
    }
}

/// An address, cut where its parts meet.
struct Parts<'a> {
    is_tls: bool,
    authority: &'a str,
    /// Path and query.
    target: &'a str,
}

impl<'a> Parts<'a> {
    fn of(address: &'a str) -> Result<Self, EndpointError> {
        let (scheme, rest) = address.split_once("://").ok_or(EndpointError::Scheme)?;
        let is_tls = if scheme.eq_ignore_ascii_case("https") {
            true
        } else if scheme.eq_ignore_ascii_case("http") {
            false
        } else {
            return Err(EndpointError::Scheme);
        };
        let rest = rest.split('#').next().unwrap_or_default();
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at(end);
        Ok(Self {
            is_tls,
            authority,
            target,
        })
    }

    fn endpoint(&self) -> Result<Endpoint, EndpointError> {
        let (host, port) = self.host_and_port()?;
        let server = Server::new(self.is_tls, host, port);
        let scheme = if self.is_tls { "https" } else { "http" };
        let slash = if self.target.starts_with('/') {
            ""
        } else {
            "/"
        };
        let target = utf8_percent_encode(self.target, NOT_IN_A_TARGET);
        let uri = format!("{scheme}://{}{slash}{target}", server.host_header());
        let uri = uri.parse().map_err(|_no_uri| EndpointError::Host)?;
        Ok(Endpoint { uri, server })
    }

    fn host_and_port(&self) -> Result<(&'a str, Option<u16>), EndpointError> {
        let end = match self.authority.strip_prefix('[') {
            Some(rest) => {
                let (address, _) = rest.split_once(']').ok_or(EndpointError::Host)?;
                let _parsed: Ipv6Addr = address.parse().map_err(|_none| EndpointError::Host)?;
                address.len() + 2
            }
            None => self.authority.find(':').unwrap_or(self.authority.len()),
        };
        let (host, port) = self.authority.split_at(end);
        if host.is_empty() {
            return Err(EndpointError::Host);
        }
        if port.is_empty() {
            return Ok((host, None));
        }
        let digits = port.strip_prefix(':').unwrap_or_default();
        let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
        let port = digits.parse().ok().filter(|port| is_number && *port > 0);
        Ok((host, Some(port.ok_or(EndpointError::Port)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_addresses_apart() {
        for (address, expected) in [
            ("http://a.test", "http a.test 80 / a.test"),
            (
                "https://A.test/x/y?z=1&b#c",
                "https a.test 443 /x/y?z=1&b a.test",
            ),
            ("HTTPS://a.test:8443", "https a.test 8443 / a.test:8443"),
            ("http://a.test:80/", "http a.test 80 / a.test"),
            ("http://a.test?x=/y", "http a.test 80 /?x=/y a.test"),
            ("http://[::1]:81/a", "http [::1] 81 /a [::1]:81"),
            (
                "https://[2001:DB8::1]",
                "https [2001:db8::1] 443 / [2001:db8::1]",
            ),
            (
                "http://127.0.0.1:1/a@b",
                "http 127.0.0.1 1 /a@b 127.0.0.1:1",
            ),
            ("http://a_b.test/", "http a_b.test 80 / a_b.test"),
            (
                "http://a.test/a b/ä?q=\"<>\"",
                "http a.test 80 /a%20b/%C3%A4?q=%22%3C%3E%22 a.test",
            ),
            ("http://a.test/%2f{x}", "http a.test 80 /%2f{x} a.test"),
        ] {
            let endpoint = Endpoint::parse(address).expect(address);
            let scheme = if endpoint.is_tls() { "https" } else { "http" };
            let seen = format!(
                "{scheme} {} {} {}{}{} {}",
                endpoint.host(),
                endpoint.port(),
                endpoint.path(),
                if endpoint.query().is_some() { "?" } else { "" },
                endpoint.query().unwrap_or_default(),
                endpoint.host_header(),
            );
            assert_eq!(seen, expected, "{address}");
            assert_eq!(
                Server::of(endpoint.uri()),
                Some(endpoint.server),
                "{address}"
            );
        }
    }

    #[test]
    fn refuses_what_cannot_be_asked() {
        for (address, expected) in [
            ("", EndpointError::Scheme),
            ("a.test/x", EndpointError::Scheme),
            ("//a.test/x", EndpointError::Scheme),
            ("ftp://a.test", EndpointError::Scheme),
            ("http://", EndpointError::Host),
            ("http:///x", EndpointError::Host),
            ("http://:80/", EndpointError::Host),
            ("http://a b/", EndpointError::Host),
            ("http://[::1", EndpointError::Host),
            ("http://[a.test]/", EndpointError::Host),
            ("http://a.test:/", EndpointError::Port),
            ("http://a.test:0/", EndpointError::Port),
            ("http://a.test:x/", EndpointError::Port),
            ("http://a.test:+8/", EndpointError::Port),
            ("http://a.test:65536/", EndpointError::Port),
            ("http://[::1]x/", EndpointError::Port),
            ("http://user@a.test/", EndpointError::UserInfo),
            ("http://user:secret@a.test:81/", EndpointError::UserInfo),
        ] {
            assert_eq!(Endpoint::parse(address), Err(expected), "{address}");
        }
    }

    #[test]
    fn passes_over_a_user_where_it_may() {
        let address = "http://user:p@ss@a.test:81/x@y";
        let endpoint = Endpoint::parse_past_user(address).expect("an address");
        assert_eq!(endpoint.uri(), "http://a.test:81/x@y");
        assert_eq!(
            Endpoint::parse_past_user("http://user@/"),
            Err(EndpointError::Host)
        );
    }
}
