//! Requests of one client go to one node (`lockgate.sticky`): a cookie names it.
//!
//! The name is a digest of the node's address under the key that secrets at rest have, so that every gateway of a fleet knows it, an
//! edit changes nothing, and addresses cannot be found out by trying.

use std::{collections::HashMap, fmt::Write as _};

use lockgate_keyring::Keyring;
use lockgate_model::resource::StickyPolicy;

use crate::Node;

/// The name of a node: sixteen hexadecimal digits.
type Name = [u8; 16];

/// The cookie.
#[derive(Debug)]
pub struct Sticky {
    name: Box<[u8]>,
    /// What stands behind the value.
    attributes: Box<str>,
    keyring: Keyring,
}

impl Sticky {
    pub(crate) fn new(stored: &StickyPolicy, keyring: &Keyring) -> Self {
        let mut attributes = format!("; Path={}", stored.path);
        if let Some(seconds) = stored.max_age {
            let _infallible = write!(attributes, "; Max-Age={seconds}");
        }
        if let Some(same_site) = stored.same_site {
            let _infallible = write!(attributes, "; SameSite={}", same_site.name());
        }
        if stored.secure {
            attributes.push_str("; Secure");
        }
        if stored.http_only {
            attributes.push_str("; HttpOnly");
        }
        Self {
            name: stored.cookie.as_bytes().into(),
            attributes: attributes.into(),
            keyring: keyring.clone(),
        }
    }

    /// The value that a `Cookie` field has for it.
    pub fn value<'c>(&self, cookies: &'c [u8]) -> Option<&'c [u8]> {
        cookies.split(|byte| *byte == b';').find_map(|pair| {
            let rest = pair.trim_ascii().strip_prefix(&*self.name)?;
            rest.strip_prefix(b"=")
        })
    }

    /// The `Set-Cookie` field that sends a client back to a node.
    pub fn set_cookie(&self, node: &Node, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.name);
        out.push(b'=');
        out.extend_from_slice(&name_of(node, &self.keyring));
        out.extend_from_slice(self.attributes.as_bytes());
    }
}

/// Places of nodes by their names.
#[derive(Debug, Default)]
pub(crate) struct Names(HashMap<Name, u32>);

impl Names {
    pub(crate) fn of(nodes: &[Node], keyring: &Keyring) -> Self {
        Self(
            (0..)
                .zip(nodes)
                .map(|(place, node)| (name_of(node, keyring), place))
                .collect(),
        )
    }

    pub(crate) fn find(&self, name: &[u8]) -> Option<u32> {
        self.0.get(name).copied()
    }
}

/// The begin of a SHA-256: the same in every process, and different for different nodes.
fn name_of(node: &Node, keyring: &Keyring) -> Name {
    let keyed = keyring.encrypt(&node.server);
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, keyed.as_bytes());
    let mut name = Name::default();
    for (pair, byte) in name.chunks_exact_mut(2).zip(digest.as_ref()) {
        let digit =
            |value: u8| char::from_digit(u32::from(value), 16).map_or(b'0', |digit| digit as u8);
        pair.copy_from_slice(&[digit(byte >> 4), digit(byte & 15)]);
    }
    name
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn reads_and_writes_the_cookie() {
        let stored = json!({"cookie": "n", "max_age": 60, "same_site": "Lax", "secure": true});
        let stored: StickyPolicy = serde_json::from_value(stored).expect("valid");
        let keyring = Keyring::default();
        let sticky = Sticky::new(&stored, &keyring);
        for (cookies, value) in [
            ("n=1", Some("1")),
            ("a=2; n=1; n=3", Some("1")),
            ("nn=1;n=", Some("")),
            ("a=n; n", None),
            ("", None),
        ] {
            assert_eq!(sticky.value(cookies.as_bytes()), value.map(str::as_bytes));
        }
        let node = Node {
            address: ([127, 0, 0, 1], 80).into(),
            host_header: "a".into(),
            pool_key: 0,
            server: "127.0.0.1:80".into(),
            name: None,
            weight: 1,
            priority: 0,
        };
        let mut written = Vec::new();
        sticky.set_cookie(&node, &mut written);
        let written = String::from_utf8(written).expect("text");
        assert_eq!(
            written,
            "n=11c2281c8d85aa06; Path=/; Max-Age=60; SameSite=Lax; Secure; HttpOnly"
        );
        let value = sticky.value(written.as_bytes()).expect("a value");
        assert_eq!(Names::of(&[node], &keyring).find(value), Some(0));
    }
}
