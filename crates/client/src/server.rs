//! Whom a request goes to.

use http::Uri;

/// A server, as connections are kept by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Server {
    pub(crate) is_tls: bool,
    /// IPv6 in brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl Server {
    /// With the scheme's port where there is none.
    pub(crate) fn new(is_tls: bool, host: &str, port: Option<u16>) -> Self {
        Self {
            is_tls,
            host: host.to_ascii_lowercase(),
            port: port.unwrap_or(default_port(is_tls)),
        }
    }

    /// The server of an absolute address; `None` for anything else.
    pub(crate) fn of(uri: &Uri) -> Option<Self> {
        let is_tls = match uri.scheme_str()? {
            "http" => false,
            "https" => true,
            _ => return None,
        };
        let host = uri.host().filter(|host| !host.is_empty())?;
        Some(Self::new(is_tls, host, uri.port_u16()))
    }

    /// The Host header: with the port where it is not the scheme's.
    pub(crate) fn host_header(&self) -> String {
        if self.port == default_port(self.is_tls) {
            self.host.clone()
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

fn default_port(is_tls: bool) -> u16 {
    if is_tls { 443 } else { 80 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_servers_off_addresses() {
        for (address, expected) in [
            ("http://A.test/x", Some((false, "a.test", 80, "a.test"))),
            ("https://a.test", Some((true, "a.test", 443, "a.test"))),
            (
                "https://u:p@a.test:80/",
                Some((true, "a.test", 80, "a.test:80")),
            ),
            ("http://[::1]:81/", Some((false, "[::1]", 81, "[::1]:81"))),
            ("ftp://a.test/", None),
            ("/x", None),
        ] {
            let server = address.parse::<Uri>().ok().and_then(|uri| Server::of(&uri));
            let seen = server
                .as_ref()
                .map(|it| (it.is_tls, &*it.host, it.port, it.host_header()));
            let expected = expected
                .map(|(is_tls, host, port, header)| (is_tls, host, port, header.to_owned()));
            assert_eq!(seen, expected, "{address}");
        }
    }
}
