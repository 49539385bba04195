//! nginx's notations for times, sizes and switches, as values of options.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use ipnet::IpNet;
use serde::{
    Deserialize,
    de::{self, Deserializer, Visitor},
};

/// A time in nginx's notation: `60`, `60s`, `1m 30s`, `500ms`. A bare number counts seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Time(pub Duration);

/// A number of seconds, whole or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seconds(pub Duration);

/// A size in nginx's notation: `16384`, `16k`, `512m`, `1g`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size(pub u64);

/// nginx's `on` or `off`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Switch(pub bool);

/// A whole number, also where it was written as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count(pub u64);

/// Addresses and networks; `unix:`, which nginx takes in the same lists, is left out, for there are no such listeners.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Networks(pub Vec<IpNet>);

/// Name servers, each an address with or without a port.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NameServers {
    /// The usable ones.
    pub servers: Vec<SocketAddr>,
    /// Those with a zone (`fe80::1%eth0`), which the reference leaves out too.
    pub ignored: Vec<String>,
}

/// Keys of `data_encryption.keyring`, written as one or as a list. The schema has looked at their lengths.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct EncryptionKeys(pub Vec<String>);

impl fmt::Debug for EncryptionKeys {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "EncryptionKeys({})", self.0.len())
    }
}

/// Reads a time.
fn time(text: &str) -> Option<Duration> {
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let mut total = Duration::ZERO;
    let mut largest_left = usize::MAX;
    for part in text.split_whitespace().flat_map(split_units) {
        let (number, unit) = part;
        let number: u64 = number.parse().ok()?;
        let (rank, milliseconds) = match unit {
            "y" => (8, 365 * 24 * 3_600_000),
            "M" => (7, 30 * 24 * 3_600_000),
            "w" => (6, 7 * 24 * 3_600_000),
            "d" => (5, 24 * 3_600_000),
            "h" => (4, 3_600_000),
            "m" => (3, 60_000),
            "s" | "" => (2, 1_000),
            "ms" => (1, 1),
            _ => return None,
        };
        // As nginx: from large to small, each unit once.
        if rank >= largest_left {
            return None;
        }
        largest_left = rank;
        total = total.checked_add(Duration::from_millis(number.checked_mul(milliseconds)?))?;
    }
    (largest_left != usize::MAX).then_some(total)
}

/// `1m30s` in its parts.
fn split_units(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let all = rest;
        if all.is_empty() {
            return None;
        }
        let digits = all.find(|c: char| !c.is_ascii_digit()).unwrap_or(all.len());
        let (number, tail) = all.split_at(digits);
        let letters = tail
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(letters);
        rest = tail;
        Some((number, unit))
    })
}

/// Reads a size.
fn size(text: &str) -> Option<u64> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor = match unit {
        "" => 1,
        "k" | "K" => 1024,
        "m" | "M" => 1024 * 1024,
        "g" | "G" => 1024 * 1024 * 1024,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

/// Reads an address or a network.
pub(super) fn network(text: &str) -> Option<IpNet> {
    if let Ok(network) = text.parse::<IpNet>() {
        return Some(network.trunc());
    }
    text.parse::<IpAddr>().ok().map(IpNet::from)
}

/// Reads the address of a name server, IPv6 with or without brackets.
fn name_server(text: &str) -> Option<SocketAddr> {
    const PORT: u16 = 53;
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Some(address);
    }
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(text);
    Some(SocketAddr::new(bare.parse::<IpAddr>().ok()?, PORT))
}

/// A value that is text or a number, read from its text.
struct Textual<T> {
    expected: &'static str,
    read: fn(&str) -> Option<T>,
}

impl<T> Textual<T> {
    fn get<E: de::Error>(self, text: &str) -> Result<T, E> {
        (self.read)(text.trim())
            .ok_or_else(|| E::custom(format_args!("expected {}, got {text:?}", self.expected)))
    }
}

impl<T> Visitor<'_> for Textual<T> {
    type Value = T;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.expected)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        self.get(text)
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<T, E> {
        self.get(&number.to_string())
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<T, E> {
        self.get(&number.to_string())
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<T, E> {
        self.get(&number.to_string())
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let expected = "a time such as 60s, 500ms or 1m30s";
        deserializer
            .deserialize_any(Textual {
                expected,
                read: time,
            })
            .map(Self)
    }
}

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let expected = "a number of seconds";
        let read = |text: &str| Duration::try_from_secs_f64(text.parse().ok()?).ok();
        deserializer
            .deserialize_any(Textual { expected, read })
            .map(Self)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let expected = "a size such as 16384, 16k, 512m or 1g";
        deserializer
            .deserialize_any(Textual {
                expected,
                read: size,
            })
            .map(Self)
    }
}

impl<'de> Deserialize<'de> for Switch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let read = |text: &str| match text {
            "on" => Some(true),
            "off" => Some(false),
            _ => None,
        };
        let expected = "\"on\" or \"off\"";
        deserializer
            .deserialize_any(Textual { expected, read })
            .map(Self)
    }
}

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let read = |text: &str| text.parse().ok();
        let expected = "a whole number";
        deserializer
            .deserialize_any(Textual { expected, read })
            .map(Self)
    }
}

impl<'de> Deserialize<'de> for Networks {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut networks = Vec::new();
        for text in Vec::<String>::deserialize(deserializer)? {
            match text.as_str() {
                "unix:" => {}
                "all" => networks.extend(
                    [network("0.0.0.0/0"), network("::/0")]
                        .into_iter()
                        .flatten(),
                ),
                _ => networks.push(network(&text).ok_or_else(|| {
                    de::Error::custom(format_args!(
                        "expected an address or a network such as 10.0.0.0/8, got {text:?}"
                    ))
                })?),
            }
        }
        Ok(Self(networks))
    }
}

impl<'de> Deserialize<'de> for EncryptionKeys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Keys;

        impl<'de> Visitor<'de> for Keys {
            type Value = Vec<String>;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a key or a list of keys")
            }

            fn visit_str<E: de::Error>(self, key: &str) -> Result<Self::Value, E> {
                Ok(vec![key.to_owned()])
            }

            fn visit_seq<A: de::SeqAccess<'de>>(
                self,
                mut keys: A,
            ) -> Result<Self::Value, A::Error> {
                let mut all = Vec::new();
                while let Some(key) = keys.next_element()? {
                    all.push(key);
                }
                Ok(all)
            }
        }

        deserializer.deserialize_any(Keys).map(Self)
    }
}

impl<'de> Deserialize<'de> for NameServers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut all = Self::default();
        for text in Vec::<String>::deserialize(deserializer)? {
            if text.contains('%') {
                all.ignored.push(text);
                continue;
            }
            all.servers.push(name_server(&text).ok_or_else(|| {
                de::Error::custom(format_args!(
                    "expected the address of a name server, got {text:?}"
                ))
            })?);
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `value` is JSON.
    #[track_caller]
    fn check<T: serde::de::DeserializeOwned + PartialEq + fmt::Debug>(
        value: &str,
        expected: Option<&T>,
    ) {
        let read = serde_json::from_str::<T>(value).ok();
        assert_eq!(read.as_ref(), expected, "{value}");
    }

    #[test]
    fn reads_times() {
        let cases = [
            ("60", Some(60_000)),
            ("0", Some(0)),
            (r#""60""#, Some(60_000)),
            (r#""60s""#, Some(60_000)),
            (r#""500ms""#, Some(500)),
            (r#""1m""#, Some(60_000)),
            (r#""1m30s""#, Some(90_000)),
            (r#""1h 30m""#, Some(5_400_000)),
            (r#""1d""#, Some(86_400_000)),
            (r#""2w""#, Some(1_209_600_000)),
            (r#""1M""#, Some(2_592_000_000)),
            (r#""1y""#, Some(31_536_000_000)),
            (r#""30s 1m""#, None),
            (r#""1s1s""#, None),
            (r#""s""#, None),
            (r#""""#, None),
            (r#""1x""#, None),
            (r#""-1""#, None),
            ("-1", None),
            ("1.5", None),
            ("true", None),
            (r#""99999999999999999999s""#, None),
            (r#""18446744073709551615y""#, None),
        ];
        for (value, milliseconds) in cases {
            let time = milliseconds.map(|ms| Time(Duration::from_millis(ms)));
            check(value, time.as_ref());
        }
    }

    #[test]
    fn reads_sizes_switches_and_counts() {
        let sizes = [
            ("0", Some(0)),
            (r#""16384""#, Some(16384)),
            (r#""16k""#, Some(16384)),
            (r#""1M""#, Some(1_048_576)),
            (r#""2g""#, Some(2_147_483_648)),
            (r#""1t""#, None),
            (r#""k""#, None),
            ("-1", None),
            (r#""18446744073709551615g""#, None),
        ];
        for (value, bytes) in sizes {
            check(value, bytes.map(Size).as_ref());
        }
        for (value, is_on) in [
            (r#""on""#, Some(true)),
            (r#""off""#, Some(false)),
            (r#""yes""#, None),
        ] {
            check(value, is_on.map(Switch).as_ref());
        }
        for (value, count) in [("4", Some(4)), (r#""4""#, Some(4)), (r#""four""#, None)] {
            check(value, count.map(Count).as_ref());
        }
    }

    #[test]
    fn reads_seconds() {
        for (value, ms) in [
            ("5", Some(5000)),
            ("0.5", Some(500)),
            ("-1", None),
            ("1e300", None),
            ("true", None),
        ] {
            let seconds = ms.map(|ms| Seconds(Duration::from_millis(ms)));
            check(value, seconds.as_ref());
        }
    }

    #[test]
    fn reads_networks() {
        let good = |value: &str, networks: &[&str]| {
            let networks = networks.iter().filter_map(|text| network(text));
            check(value, Some(&Networks(networks.collect())));
        };
        good(r#"["127.0.0.1", "unix:"]"#, &["127.0.0.1/32"]);
        good(
            r#"["10.1.2.3/8", "::1", "fe80::/10"]"#,
            &["10.0.0.0/8", "::1/128", "fe80::/10"],
        );
        good(r#"["all"]"#, &["0.0.0.0/0", "::/0"]);
        for value in [
            r#"["localhost"]"#,
            r#"["127.0.0.0/33"]"#,
            r#""127.0.0.1""#,
            "[1]",
        ] {
            check::<Networks>(value, None);
        }
    }
}
