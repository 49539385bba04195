//! Who the client of the Admin API is, where a trusted proxy stands between. nginx's `ngx_http_realip_module` does this for every server
//! of the reference, so that `allow_admin` is about what the proxy says.

use std::net::{IpAddr, SocketAddr};

use http::HeaderMap;
use ipnet::IpNet;

/// Whom to believe; the names of `config.yaml` are given with each. The default believes nobody.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RealIp {
    /// `nginx_config.http.real_ip_from`
    pub from: Vec<IpNet>,
    /// `nginx_config.http.real_ip_header`, in lower case.
    pub header: String,
    /// `nginx_config.http.real_ip_recursive`
    pub is_recursive: bool,
}

impl RealIp {
    /// The address of the client: what a trusted peer says, else the peer's.
    pub(crate) fn of(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        if !self.trusts(peer) {
            return peer;
        }
        self.told(headers).unwrap_or(peer)
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.from.iter().any(|network| network.contains(&address))
    }

    fn told(&self, headers: &HeaderMap) -> Option<IpAddr> {
        let mut lines: Vec<&str> = headers
            .get_all(&self.header)
            .iter()
            .filter_map(|line| line.to_str().ok())
            .collect();
        if self.header != "x-forwarded-for" {
            // Of any other field nginx takes the first line.
            lines.truncate(1);
        }
        // The nearest proxy wrote the last address. One that cannot be read ends what can be known.
        let mut addresses = lines
            .into_iter()
            .rev()
            .flat_map(|line| line.rsplit(','))
            .map_while(parse);
        let mut found = addresses.next()?;
        while self.is_recursive && self.trusts(found) {
            match addresses.next() {
                Some(next) => found = next,
                None => break,
            }
        }
        Some(found)
    }
}

/// An address with or without a port.
fn parse(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(text);
    let address = bare.parse().ok();
    address.or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    #[track_caller]
    fn check(header: &str, is_recursive: bool, peer: &str, lines: &[&str], expected: &str) {
        let real_ip = RealIp {
            from: vec![
                "127.0.0.0/8".parse().unwrap(),
                "10.0.0.0/8".parse().unwrap(),
            ],
            header: header.to_owned(),
            is_recursive,
        };
        let mut headers = HeaderMap::new();
        for line in lines {
            let name: HeaderName = header.parse().unwrap();
            headers.append(name, HeaderValue::from_str(line).unwrap());
        }
        let found = real_ip.of(peer.parse().unwrap(), &headers);
        assert_eq!(found.to_string(), expected, "{header} {lines:?}");
    }

    #[test]
    fn believes_trusted_peers_alone() {
        let (one, list) = ("x-real-ip", "x-forwarded-for");
        check(one, false, "127.0.0.1", &["1.2.3.4"], "1.2.3.4");
        check(one, false, "9.9.9.9", &["1.2.3.4"], "9.9.9.9");
        check(one, false, "127.0.0.1", &[], "127.0.0.1");
        check(one, false, "127.0.0.1", &["who"], "127.0.0.1");
        check(one, false, "127.0.0.1", &["1.1.1.1", "2.2.2.2"], "1.1.1.1");
        check(one, false, "127.0.0.1", &["[::2]:80"], "::2");
        check(list, false, "127.0.0.1", &["1.1.1.1, 10.0.0.2"], "10.0.0.2");
        check(list, true, "127.0.0.1", &["1.1.1.1, 10.0.0.2"], "1.1.1.1");
        check(list, true, "127.0.0.1", &["1.1.1.1", "10.0.0.2"], "1.1.1.1");
        check(list, true, "127.0.0.1", &["10.0.0.1, 10.0.0.2"], "10.0.0.1");
        check(
            list,
            true,
            "127.0.0.1",
            &["1.1.1.1, no, 10.0.0.2"],
            "10.0.0.2",
        );
    }

    #[test]
    fn believes_nobody_by_default() {
        let mut headers = HeaderMap::new();
        headers.insert("x-real-ip", HeaderValue::from_static("1.2.3.4"));
        let peer: IpAddr = "127.0.0.1".parse().unwrap();
        assert_eq!(RealIp::default().of(peer, &headers), peer);
    }
}
