//! A set of addresses and networks, for `ipmatch` and `remote_addrs`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Addresses and networks of both families, compiled for lookups.
///
/// A lookup costs one binary search per prefix length in use. An IPv4 network never holds an IPv4-mapped IPv6 address, as in
/// the reference (`resty/ipmatcher.lua`).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IpSet {
    v4: Box<[Networks<u32>]>,
    v6: Box<[Networks<u128>]>,
}

/// The networks of one prefix length.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Networks<T> {
    /// Bits to drop from an address, less than the width of `T`; a prefix length of 0 is `all`.
    shift: u32,
    all: bool,
    /// Sorted network parts, shifted right.
    sorted: Box<[T]>,
}

/// A text that is neither an address nor a network. The text of the reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid ip address: {0}")]
pub struct AddressError(pub String);

impl IpSet {
    /// Reads addresses (`10.0.0.1`, `::1`, `[::1]`) and networks (`10.0.0.0/8`).
    ///
    /// As in the reference, a prefix length that is not a number or is longer than the address means the address alone.
    pub fn parse<'a>(addresses: impl IntoIterator<Item = &'a str>) -> Result<Self, AddressError> {
        let mut v4: Vec<(u32, u32)> = Vec::new();
        let mut v6: Vec<(u32, u128)> = Vec::new();
        for text in addresses {
            let (address, prefix) = match text.split_once('/') {
                Some((address, prefix)) => (address, prefix.parse::<u32>().ok()),
                None => (text, None),
            };
            match parse_address(address) {
                Some(IpAddr::V4(address)) => {
                    v4.push((prefix.unwrap_or(32).min(32), address.to_bits()));
                }
                Some(IpAddr::V6(address)) => {
                    v6.push((prefix.unwrap_or(128).min(128), address.to_bits()));
                }
                None => return Err(AddressError(address.to_owned())),
            }
        }
        Ok(Self {
            v4: group(v4, 32, |bits, shift| bits >> shift),
            v6: group(v6, 128, |bits, shift| bits >> shift),
        })
    }

    /// The addresses and networks in the set, as texts: of each family the widest first.
    pub fn texts(&self) -> Vec<String> {
        let v4 = self.v4.iter().flat_map(|networks| {
            networks.texts(32, |bits| Ipv4Addr::from_bits(bits << networks.shift))
        });
        let v6 = self.v6.iter().flat_map(|networks| {
            networks.texts(128, |bits| Ipv6Addr::from_bits(bits << networks.shift))
        });
        v4.chain(v6).collect()
    }

    /// Whether the address is in the set.
    pub fn contains(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(address) => {
                let bits = address.to_bits();
                self.v4.iter().any(|networks| {
                    networks.all
                        || networks
                            .sorted
                            .binary_search(&(bits >> networks.shift))
                            .is_ok()
                })
            }
            IpAddr::V6(address) => {
                let bits = address.to_bits();
                self.v6.iter().any(|networks| {
                    networks.all
                        || networks
                            .sorted
                            .binary_search(&(bits >> networks.shift))
                            .is_ok()
                })
            }
        }
    }

    /// Whether the text is an address and in the set.
    pub fn contains_text(&self, address: &[u8]) -> bool {
        std::str::from_utf8(address)
            .ok()
            .and_then(parse_address)
            .is_some_and(|address| self.contains(address))
    }
}

impl<T: Copy + Default> Networks<T> {
    /// The networks as texts. An address has `width` bits, and `address` makes one of a network part.
    fn texts<A: std::fmt::Display>(&self, width: u32, address: impl Fn(T) -> A) -> Vec<String> {
        if self.all {
            return vec![format!("{}/0", address(T::default()))];
        }
        let prefix = width - self.shift;
        let networks = self.sorted.iter().map(|bits| match prefix {
            _ if prefix == width => address(*bits).to_string(),
            _ => format!("{}/{prefix}", address(*bits)),
        });
        networks.collect()
    }
}

/// An address, IPv6 with or without brackets.
fn parse_address(text: &str) -> Option<IpAddr> {
    if let Ok(v4) = text.parse::<Ipv4Addr>() {
        return Some(IpAddr::V4(v4));
    }
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(text);
    bare.parse::<Ipv6Addr>().ok().map(IpAddr::V6)
}

/// Sorts the networks into one list per prefix length.
fn group<T: Ord + Copy>(
    mut networks: Vec<(u32, T)>,
    width: u32,
    shift_right: impl Fn(T, u32) -> T,
) -> Box<[Networks<T>]> {
    networks.sort_unstable();
    networks
        .chunk_by(|left, right| left.0 == right.0)
        .filter_map(|same_length| {
            let prefix = same_length.first()?.0;
            if prefix == 0 {
                return Some(Networks {
                    shift: 0,
                    all: true,
                    sorted: Box::default(),
                });
            }
            let shift = width - prefix;
            let mut sorted: Vec<T> = same_length
                .iter()
                .map(|(_, bits)| shift_right(*bits, shift))
                .collect();
            sorted.dedup();
            Some(Networks {
                shift,
                all: false,
                sorted: sorted.into_boxed_slice(),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn finds_addresses_and_networks() {
        let set = IpSet::parse([
            "127.0.0.1",
            "10.0.0.0/8",
            "192.168.1.7/16",
            "2001:db8::/32",
            "[::1]",
        ])
        .unwrap();
        for inside in [
            "127.0.0.1",
            "10.255.0.1",
            "192.168.200.1",
            "2001:db8:1::9",
            "::1",
            "[2001:db8::]",
        ] {
            assert!(set.contains_text(inside.as_bytes()), "{inside}");
        }
        for outside in [
            "127.0.0.2",
            "11.0.0.1",
            "192.169.0.1",
            "2001:db9::",
            "::2",
            "",
            "x",
            "::ffff:10.0.0.1",
        ] {
            assert!(!set.contains_text(outside.as_bytes()), "{outside}");
        }
    }

    #[test]
    fn writes_what_it_holds() {
        let texts = |addresses: &[&str]| {
            let set = IpSet::parse(addresses.iter().copied());
            set.unwrap().texts().join(" ")
        };
        assert_eq!(
            texts(&["127.0.0.1", "10.9.0.0/8", "2001:db8::/32", "[::1]"]),
            "10.0.0.0/8 127.0.0.1 2001:db8::/32 ::1"
        );
        assert_eq!(texts(&["1.2.3.4/0", "::/0"]), "0.0.0.0/0 ::/0");
    }

    #[test]
    fn prefix_length_zero_holds_its_family_only() {
        let set = IpSet::parse(["0.0.0.0/0"]).unwrap();
        assert!(set.contains_text(b"1.2.3.4"));
        assert!(!set.contains_text(b"::1"));
        let set = IpSet::parse(["::/0"]).unwrap();
        assert!(set.contains_text(b"::1"));
        assert!(!set.contains_text(b"1.2.3.4"));
    }

    #[test]
    fn unreadable_prefix_lengths_mean_the_address_alone() {
        for text in ["10.0.0.1/x", "10.0.0.1/33", "10.0.0.1/"] {
            let set = IpSet::parse([text]).unwrap();
            assert!(set.contains_text(b"10.0.0.1"), "{text}");
            assert!(!set.contains_text(b"10.0.0.2"), "{text}");
        }
    }

    #[test]
    fn refuses_what_is_no_address() {
        for (text, named) in [
            ("", ""),
            ("abc/8", "abc"),
            ("1.2.3", "1.2.3"),
            ("01.2.3.4", "01.2.3.4"),
            ("1.2.3.4:80", "1.2.3.4:80"),
        ] {
            assert_eq!(
                IpSet::parse([text]).unwrap_err().to_string(),
                format!("invalid ip address: {named}")
            );
        }
    }

    proptest! {
        #[test]
        fn agrees_with_comparing_prefixes(networks in prop::collection::vec((any::<u32>(), 0_u32..=32), 0..20), address in any::<u32>(), near in any::<prop::sample::Index>()) {
            let texts: Vec<String> = networks.iter().map(|(bits, prefix)| format!("{}/{prefix}", Ipv4Addr::from_bits(*bits))).collect();
            let set = IpSet::parse(texts.iter().map(String::as_str)).unwrap();
            let address = if networks.is_empty() { address } else { networks[near.index(networks.len())].0 ^ (address & 0xff) };
            let expected = networks.iter().any(|(bits, prefix)| (bits ^ address).checked_shr(32 - prefix).unwrap_or(0) == 0);
            prop_assert_eq!(set.contains(IpAddr::V4(Ipv4Addr::from_bits(address))), expected);
        }
    }
}
