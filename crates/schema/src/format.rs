//! The formats that the reference checks (`reg_map` in `lib/jsonschema.lua`); any other `format` says nothing.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::pattern::Pattern;

/// A format.
#[derive(Debug)]
pub(crate) struct Format {
    name: &'static str,
    rule: Rule,
}

#[derive(Debug)]
enum Rule {
    Ipv4,
    Ipv6,
    Pattern(Pattern),
}

/// What the pattern of each format must find.
const PATTERNS: [(&str, &str); 6] = [
    (
        "email",
        r"^([A-Za-z0-9_\-\.])+\@([A-Za-z0-9_\-\.])+\.([A-Za-z]{2,4})$",
    ),
    ("hostname", r"^[a-zA-Z0-9\-\.]+$"),
    (
        "uuid",
        r"^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$",
    ),
    ("date", r"^\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])$"),
    (
        "date-time",
        r"^\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])[Tt](?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d+)?(?:[Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)$",
    ),
    ("uri", r"^[a-zA-Z][a-zA-Z0-9+\-.]*:[^\s]*$"),
];

impl Format {
    /// The format of this name, if it is checked.
    pub(crate) fn named(name: &str) -> Option<Self> {
        match name {
            "ipv4" => Some(Self {
                name: "ipv4",
                rule: Rule::Ipv4,
            }),
            "ipv6" => Some(Self {
                name: "ipv6",
                rule: Rule::Ipv6,
            }),
            _ => {
                let (name, pattern) = PATTERNS.iter().find(|(known, _)| *known == name)?;
                Some(Self {
                    name,
                    rule: Rule::Pattern(Pattern::compile(pattern)),
                })
            }
        }
    }

    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    pub(crate) fn is_match(&self, text: &str) -> bool {
        match &self.rule {
            Rule::Ipv4 => c_string(text).parse::<Ipv4Addr>().is_ok(),
            Rule::Ipv6 => c_string(text).parse::<Ipv6Addr>().is_ok(),
            Rule::Pattern(pattern) => pattern.is_match(text),
        }
    }
}

/// The text up to its first NUL, which is what `inet_pton` sees.
fn c_string(text: &str) -> &str {
    text.split('\0').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_accept_what_the_reference_accepts() {
        for (format, text, expected) in [
            ("ipv4", "127.0.0.1", true),
            ("ipv4", "127.0.0.1\0x", true),
            ("ipv4", "127.0.0.01", false),
            ("ipv4", "256.0.0.1", false),
            ("ipv4", "1.2.3", false),
            ("ipv4", "1.2.3.4 ", false),
            ("ipv6", "::1", true),
            ("ipv6", "1:2:3:4:5:6:7::", true),
            ("ipv6", "::ffff:1.2.3.4", true),
            ("ipv6", "1:2:3:4:5:6:7::8", false),
            ("ipv6", "fe80::1%eth0", false),
            ("ipv6", "[::1]", false),
            ("email", "a.b@example.com", true),
            ("email", "a@example.museum", false),
            ("hostname", "a-b.example", true),
            ("hostname", "a_b", false),
            ("uuid", "123e4567-e89b-12d3-a456-426614174000", true),
            ("uuid", "123e4567e89b12d3a456426614174000", false),
            ("date", "2024-02-31", true),
            ("date", "2024-13-01", false),
            ("date-time", "2024-01-01T10:00:00.5+02:00", true),
            ("date-time", "2024-01-01 10:00:00Z", false),
            ("uri", "http://example.com/a", true),
            ("uri", "urn:x", true),
            ("uri", "/path", false),
        ] {
            assert_eq!(
                Format::named(format).unwrap().is_match(text),
                expected,
                "{format} {text:?}"
            );
        }
    }

    #[test]
    fn other_formats_say_nothing() {
        for name in ["regex", "time", "IPv4", ""] {
            assert!(Format::named(name).is_none(), "{name}");
        }
    }
}
