//! `ip-restriction`: lets in clients by their addresses, or keeps them out.
//!
//! Runs in `access`. A list is compiled into a set in which an address is looked up by halving, however long the list is.

use std::sync::Arc;

use lockgate_expr::IpSet;
use lockgate_plugin::{About, Access, Compile, ConfigError, Exchange, Flow, Hooks, Plugin};
use serde::Deserialize;

/// The configuration as users write it.
#[derive(Debug, Deserialize)]
pub struct Config {
    /// Addresses and networks that are let in; nobody else is.
    pub whitelist: Option<Vec<String>>,
    /// Addresses and networks that are kept out.
    pub blacklist: Option<Vec<String>>,
    /// What clients that are kept out are told.
    pub message: String,
    /// The status that they get.
    pub response_code: u16,
}

/// `ip-restriction`, compiled.
#[derive(Debug)]
pub struct IpRestriction {
    addresses: IpSet,
    /// Whether those are let in, and not kept out.
    lets_in: bool,
    message: Box<str>,
    status: u16,
}

impl Plugin for IpRestriction {
    const ABOUT: About = About::new("ip-restriction", 3000, include_str!("schema.json"));

    type Config = Config;

    fn compile(config: Config, _: &Compile<'_>) -> Result<Self, ConfigError> {
        let lets_in = config.whitelist.is_some();
        let addresses = config.whitelist.or(config.blacklist).unwrap_or_default();
        let addresses = IpSet::parse(addresses.iter().map(String::as_str));
        Ok(Self {
            addresses: addresses.map_err(|error| ConfigError(error.to_string()))?,
            lets_in,
            message: config.message.into(),
            status: config.response_code,
        })
    }

    fn hooks(self: Arc<Self>, on: &mut Hooks) {
        on.access(self);
    }
}

impl Access for IpRestriction {
    fn access(&self, ex: &mut Exchange<'_>) -> Flow {
        if self.addresses.contains(ex.remote_addr()) == self.lets_in {
            Flow::Next
        } else {
            Flow::message(self.status, &self.message)
        }
    }
}

#[cfg(test)]
mod tests {
    use lockgate_plugin::testing::{Kit, Request};
    use serde_json::{Value, json};

    use super::*;

    #[track_caller]
    fn check(config: &Value, address: &str, expected: Option<(u16, &str)>) {
        let plugin = Kit::new()
            .plugin::<IpRestriction>(config)
            .expect("a plugin");
        let reply = plugin.access(&mut Request::get("/").from(address));
        let reply = reply.map(|reply| (reply.status, reply.text()));
        let expected =
            expected.map(|(status, message)| (status, format!("{{\"message\":\"{message}\"}}\n")));
        assert_eq!(reply, expected, "{config} for {address}");
    }

    #[test]
    fn lets_in_whom_the_whitelist_has() {
        let list = json!({"whitelist": ["127.0.0.0/24", "113.74.26.106", "2001:db8::/32"]});
        let refused = Some((403, "Your IP address is not allowed"));
        check(&list, "127.0.0.9", None);
        check(&list, "113.74.26.106", None);
        check(&list, "2001:db8::2", None);
        check(&list, "114.114.114.114", refused);
        check(&list, "2001:db9::2", refused);
        check(&list, "::ffff:127.0.0.9", refused);
    }

    #[test]
    fn keeps_out_whom_the_blacklist_has() {
        let list = json!({"blacklist": ["127.0.0.0/24", "::1", "fe80::/32"], "message": "Go away", "response_code": 404});
        let refused = Some((404, "Go away"));
        check(&list, "127.0.0.1", refused);
        check(&list, "::1", refused);
        check(&list, "fe80::1:1", refused);
        check(&list, "127.0.1.1", None);
        check(&list, "2001:db8::2", None);
    }

    #[test]
    fn addresses_that_are_none_are_refused() {
        for (address, expected) in [
            ("10.255.256.0/24", "invalid ip address: 10.255.256.0"),
            ("::ffgg", "invalid ip address: ::ffgg"),
        ] {
            for list in ["whitelist", "blacklist"] {
                let refused = Kit::new().plugin::<IpRestriction>(&json!({list: [address]}));
                let refused = refused.unwrap_err().to_string();
                let by_schema = "failed to validate item 1: object matches none of the required";
                assert!(
                    refused == expected || refused.ends_with(by_schema),
                    "{refused}"
                );
            }
        }
    }
}
